import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTrail } from '../../src/analysis/index.ts';
import { compareChains } from '../../src/analysis/replay/compare.ts';
import { type ParameterValues, readChanges } from '../../src/analysis/replay/parameters.ts';
import { readChains } from '../../src/analysis/replay/read-chains.ts';
import { checkReplay, sweepReplay } from '../../src/analysis/replay/replay.ts';
import type { RecordedChain } from '../../src/analysis/replay/steps.ts';
import { stateAt } from '../../src/analysis/state-at.ts';
import { STATE_AT_SQL } from '../../src/analysis/state-sql.ts';
import { stateView } from '../../src/analysis/state-view.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const DEMO = JSON.stringify(new URL('../../src/demo/main.ts', import.meta.url).href);
const ROOT = mkdtempSync(join(tmpdir(), 'risktrail-replay-'));
const TRAIL = join(ROOT, 'demo');
/** The first days alone. */
const SMALL = join(ROOT, 'small');
let chains: readonly RecordedChain[];
afterAll(() => rmSync(ROOT, { recursive: true, force: true }));

async function node(args: readonly string[]) {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  const [code] = await once(child, 'close');
  return { code, stdout, stderr };
}

const run = (...args: readonly string[]) => node([MAIN, 'replay', SMALL, ...args]);
const whatIf = (set: ParameterValues) => compareChains(chains, readChanges(set, chains));

async function playDemo(dir: string, days: number | undefined): Promise<void> {
  const { code, stderr } = await node([
    '--input-type=module',
    '-e',
    `import { runDemo } from ${DEMO};
     process.exitCode = await runDemo({ dir: ${JSON.stringify(dir)}, days: ${days}, quiet: true, json: true });`,
  ]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
}

beforeAll(async () => {
  await Promise.all([playDemo(TRAIL, undefined), playDemo(SMALL, 400)]);
  chains = await readChains([TRAIL]);
}, 300_000);

describe('with the parameters as they were', () => {
  it('the twenty years come out as they were recorded: zero differences', async () => {
    const { code, stdout, stderr } = await node([MAIN, 'replay', TRAIL, '--check', '--json']);
    expect(stderr).toBe('');
    const answer = JSON.parse(stdout);
    expect(answer).toMatchObject({ ok: true, differences: [], taken_over: 0, record_inputs: 'all' });
    expect(answer.decisions).toBeGreaterThan(20_000);
    expect(Object.keys(answer.layers).sort()).toEqual([
      'breaker:book',
      'breaker:broker',
      'gate',
      'limits:default',
      'stops:default',
    ]);
    expect(code).toBe(0);
  }, 120_000);

  it('a part of the trail is taken up with the state of then', async () => {
    const answer = await checkReplay(SMALL, { from: '2000-03-15', to: '2000-09-15T15:00:00Z' });
    expect(answer).toMatchObject({ ok: true, differences: [] });
    expect(answer.decisions).toBeGreaterThan(100);
  }, 60_000);

  it('a decision that is not what the inputs come to ends the check with its record, expected and got', async () => {
    const forged = join(ROOT, 'forged.jsonl');
    const [stream] = readdirSync(join(SMALL, 'streams'));
    const directory = join(SMALL, 'streams', stream!);
    const [first] = readdirSync(directory).filter((name) => name.endsWith('.jsonl'));
    const lines = readFileSync(join(directory, first!), 'utf8').split('\n');
    const at = lines.findIndex((one) => one.includes('"eventName":"risk.trailing_stop.trigger"'));
    const id = /"audit\.record\.id","value":\{"stringValue":"([^"]+)"/.exec(lines[at]!)![1];
    lines[at] = lines[at]!.replace(/("risk\.trailing_stop\.gap","value":\{"(?:double|int)Value":)[^}]+/, '$1123.5');
    writeFileSync(forged, lines.join('\n'));

    const { code, stdout } = await node([MAIN, 'replay', forged, '--check']);
    expect(stdout).toContain(`record ${id}`);
    expect(stdout).toContain('risk.trailing_stop.trigger risk.trailing_stop.gap');
    expect(stdout).toContain('expected 123.5');
    expect(code).toBe(1);
  }, 60_000);
});

describe('with other parameters', () => {
  it('a value that is the one of then changes nothing', () => {
    const { recorded, replayed, rows, unknown } = whatIf({
      ...{ 'breaker.broker.failureThreshold': 5, 'limits.dailyLoss.max': 20_000, 'stops.activationPct': 2 },
    });
    expect(replayed).toEqual(recorded);
    expect({ rows, unknown }).toEqual({ rows: [], unknown: 0 });
  }, 60_000);

  it('a lower threshold opens the breaker earlier, and the order behind it is denied', () => {
    const { rows, replayed, recorded, first_difference } = whatIf({ 'breaker.broker.failureThreshold': 3 });
    expect(first_difference).toBe(rows[0]!.time);
    expect(rows.filter(({ time }) => time === first_difference).map(({ kind, known }) => [kind, known])).toContainEqual(
      ['order', 'exact'],
    );
    expect(rows.some(({ known }) => known === 'conditional')).toBe(true);
    expect(replayed.orders_denied).toBeGreaterThan(recorded.orders_denied);
  }, 60_000);

  it('a lower limit leaves positions unopened, and what followed from them undone', () => {
    const { rows, replayed, recorded } = whatIf({ 'limits.portfolioDelta.max': 700 });
    const denied = rows.filter((row) => row.kind === 'order' && row.replayed.startsWith('denied'));
    const unopened = rows.filter(({ replayed: text }) => text === 'not opened');
    expect(unopened.length).toBeGreaterThan(50);
    expect(replayed.positions_closed).toBe(recorded.positions_closed - unopened.length);
    const refused = new Set(denied.map(({ subject }) => subject));
    expect(unopened.filter(({ subject }) => !refused.has(subject))).toEqual([]);
    // What was denied then, or cut, and is not now, has no fill that could be known.
    for (const row of rows) if (row.why === 'the fill never happened') expect(row.known).toBe('unknown');
  }, 60_000);

  it('the result of a stop is that of its price in the trail, entry and quantity', async () => {
    const { rows } = whatIf({ 'stops.trailingPct': 1 });
    const stops = rows.filter((row) => row.kind === 'stop');
    expect(stops.length).toBeGreaterThan(200);
    const prices = new Set<string>();
    for (const step of chains[0]!.steps) {
      if (step.kind !== 'price') continue;
      prices.add(`${new Date(step.now).toISOString().slice(0, 16).replace('T', ' ')} ${step.price}`);
    }
    for (const { replayed } of stops) {
      const [, time, price] = /^fired (\S+ \S+) at (\S+)/.exec(replayed) ?? [];
      expect(prices.has(`${time} ${price}`)).toBe(true);
    }
  }, 60_000);

  it('a sweep holds the setting of then among the others, and comes to the same there', async () => {
    const done: number[] = [];
    const { rows, recorded, axes } = await sweepReplay(SMALL, {
      sweep: ['stops.activationPct=1..3/1', 'stops.fires=touch,through'],
      onProgress: (count, total) => total > 0 && done.push(count),
    });
    expect(axes.map(({ values }) => values)).toEqual([
      [1, 2, 3],
      ['touch', 'through'],
    ]);
    expect(done).toEqual([1, 2, 3, 4, 5, 6]);
    const then = rows.find(
      ({ parameters }) => parameters['stops.activationPct'] === 2 && parameters['stops.fires'] === 'touch',
    )!;
    expect(then).toMatchObject({ ...recorded, differences: 0, unknown: 0, first_difference: null });
    expect(new Set(rows.map(({ result }) => result)).size).toBeGreaterThan(2);
  }, 90_000);

  it('the page of a sweep needs nothing else and holds every number as a table', async () => {
    const page = join(ROOT, 'sweep.html');
    const { code, stdout } = await run(
      '--sweep',
      'stops.activationPct=1,2',
      '--from',
      '2000-05-01',
      '--html',
      page,
      '--csv',
    );
    expect(code).toBe(0);
    const [head, ...lines] = stdout.trim().split(/\r?\n/);
    expect(head).toMatch(/^stops\.activationPct,halts,/);
    expect(lines).toHaveLength(2);
    const html = readFileSync(page, 'utf8');
    expect(html).toContain('<svg role="img"');
    expect(html.match(/<tr>/g)).toHaveLength(2 + 2);
    expect(html).not.toMatch(/(src|href)=|<script/);
  }, 60_000);
});

describe('wrong usage is told in one line', () => {
  it.each([
    [['--set', 'breaker.broker.failureTreshold=3'], /no such parameter.*breaker\.broker\.failureThreshold/],
    [['--set', 'breaker.nobody.cooldownMs=3'], /there are: breaker\.broker\.…, breaker\.book\.…/],
    [['--set', 'stops.trailingPct=0'], /stops\.trailingPct: expected a finite number > 0/],
    [['--set', 'limits.dailyLoss.max=-1'], /limits\.dailyLoss\.max: expected a finite number ≥ 0/],
    [['--set', 'nothing'], /--set: expected parameter=value/],
    [['--sweep', 'stops.activationPct=4..1/0.5'], /--sweep: expected/],
    [['--check', '--set', 'stops.trailingPct=1'], /--check and --set/],
    [[], /expected --check, --set/],
    [['--check', '--html', 'x.html'], /--html: expected --sweep/],
  ])(
    '%j',
    async (args, message) => {
      const { code, stdout, stderr } = await run(...args, '--to', '2000-03-01');
      expect(stderr.trim().split('\n')).toHaveLength(1);
      expect(stderr).toMatch(message);
      expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
    },
    60_000,
  );
});

describe('the state at a time in SQL', () => {
  it('says what the fold says: quiet, with stops, halted, and at the end', async () => {
    const [small] = await readChains([SMALL]);
    const halt = small!.gateChanges.find((one) => one.new === 'HALTED')!;
    const moments = [
      ...['2000-03-01T15:00:00.000Z', '2000-06-20T15:00:00.000Z'],
      ...[halt.timeMs, small!.lastMs].map((ms) => new Date(ms).toISOString()),
    ];
    await using trail = openTrail(SMALL);
    for (const at of moments) {
      const { columns, rows } = await trail.sql(STATE_AT_SQL, { at: at.slice(0, 23).replace('T', ' ') });
      const told = rows.map((row) => Object.fromEntries(columns.map((name, index) => [name, row[index]])));
      const of = (layer: string) => told.filter((row) => row['layer'] === layer);
      const [state] = await stateAt([SMALL], `${at.slice(0, 23)}000000Z`);
      const view = stateView(state!);
      const byName = (list: readonly (readonly unknown[])[]) =>
        list.toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1));
      // biome-ignore lint/suspicious/noExplicitAny: rows of the view, read by their names
      const folded = (list: readonly object[] | undefined) => list as readonly any[];

      expect(of('circuit_breaker').map((row) => [row['name'], row['status'], row['until']])).toEqual(
        byName(folded(view.circuit_breakers).map((one) => [one.name, one.status, one.open_until])),
      );
      expect(of('trailing_stop').map((row) => [row['name'], row['status'], row['value']])).toEqual(
        byName(folded(view.trailing_stops).map((one) => [one.id, one.status, one.stopPrice ?? null])),
      );
      expect(of('trading_state').map((row) => [row['name'], row['status']])).toEqual(
        byName(Object.entries(view.trading_state!.scopes)),
      );
      const [limits] = folded(view.portfolio_limits);
      const [row] = of('portfolio_limits');
      expect(row!['value']).toBeCloseTo(limits.daily_loss, 6);
      expect(row!['headroom']).toBeCloseTo(limits.daily_loss_headroom, 6);
      expect(of('orders').map((one) => [one['name'], one['status']])).toEqual(
        byName(folded(view.open_orders).map((one) => [one.orderId, one.status])),
      );
    }
    expect(moments).toHaveLength(4);
  }, 120_000);

  it('is the statement of the page', () => {
    const page = readFileSync(fileURLToPath(new URL('../../docs/replay.md', import.meta.url)), 'utf8');
    expect(page).toContain(`\`\`\`sql\n${STATE_AT_SQL}\n\`\`\``);
  });
});
