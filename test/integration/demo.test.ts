import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FlatRecord } from '../../src/analysis/flat-record.ts';
import { checkTrailSnapshots } from '../../src/analysis/semantic-check.ts';
import { queryTrail } from '../../src/analysis/trail-query.ts';
import { verifyDirectory } from '../support/verify.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url));
const DEMO = JSON.stringify(new URL('../../src/demo/main.ts', import.meta.url).href);
const ROOT = mkdtempSync(join(tmpdir(), 'risktrail-demo-test-'));
afterAll(() => rmSync(ROOT, { recursive: true, force: true }));

interface Run {
  readonly dir: string;
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(name: string, args: (dir: string) => readonly string[]): Promise<Run> {
  const dir = join(ROOT, name);
  const child = spawn(process.execPath, args(dir), { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  const [code] = await once(child, 'close');
  return { dir, code, stdout, stderr };
}

const command = (dir: string) => [MAIN, 'demo', dir];
/** The first days only. */
const short = (seed: number) => (dir: string) => [
  '--input-type=module',
  '-e',
  `import { runDemo } from ${DEMO};
   process.exitCode = await runDemo({ dir: ${JSON.stringify(dir)}, seed: ${seed}, days: 800, json: true });`,
];

/** What must be the same in every run, one text for each event. Record ids become places in the trail. */
async function eventsOf(dir: string): Promise<{ texts: string[]; odd: string[]; counts: Map<string, number> }> {
  const places = new Map<string, number>();
  const texts: string[] = [];
  const odd: string[] = [];
  const counts = new Map<string, number>();
  const plain = ({ stream, sequence, record_id, integrity, span_id, trace_id, ...rest }: FlatRecord) => ({
    ...rest,
    // A trace that no correlation gave its id has a random one.
    ...(rest['correlation.id'] === undefined ? {} : { trace_id }),
  });
  for await (const batch of queryTrail([dir])) {
    for (const record of batch) {
      const event = record.event ?? '';
      for (const name of ['audit.invalid', 'audit.missing', 'audit.coerced']) {
        if (name in record) odd.push(`${event} ${name} ${record[name]}`);
      }
      if (event.startsWith('audit.')) continue;
      places.set(record.record_id ?? '', texts.length);
      counts.set(event, (counts.get(event) ?? 0) + 1);
      const text = JSON.stringify(plain(record), (key, value) => {
        if (key === 'system.config') return { ...value, dataDir: '' };
        return typeof value === 'string' ? (places.get(value) ?? value) : value;
      });
      texts.push(`${event} ${createHash('sha1').update(text).digest('base64')}`);
    }
  }
  return { texts, odd, counts };
}

function firstDifference(one: readonly string[], other: readonly string[]): unknown {
  const at = one.findIndex((text, i) => text !== other[i]);
  return at < 0 && one.length === other.length ? undefined : [at, one[at], other[at]];
}

/** What was printed, without what the machine and the place give to it. */
const printed = ({ stdout, dir }: Run) =>
  stdout
    .replaceAll(dir, '<dir>')
    .replace(/^Speed: .*$/m, 'Speed')
    .replace(/\(\d+ signed checkpoints, .* s\)/, '(checkpoints)');

let first: Run;
let second: Run;
let events: Awaited<ReturnType<typeof eventsOf>>;
beforeAll(async () => {
  [first, second] = await Promise.all([run('first', command), run('second', command)]);
  events = await eventsOf(first.dir);
}, 120_000);

describe('the demo', () => {
  it('ends well, tells what happened with its causes, and which commands come next', () => {
    expect(first).toMatchObject({ code: 0, stderr: '' });
    for (const told of ['October 2008', '6 May 2010', 'March 2020', 'Why did trading halt?', 'Verify: PASSED']) {
      expect(first.stdout).toContain(told);
    }
    expect(first.stdout).toMatch(/2008-10-\d\d \d\d:\d\d {2}trading ACTIVE → HALTED/);
    expect(first.stdout).toMatch(/2020-03-\d\d \d\d:\d\d {2}stop fired: trend-/);
    expect(first.stdout).toMatch(
      /failure 1: Broker\w+ [\s\S]*breaker "broker" CLOSED → OPEN[\s\S]*trading ACTIVE → HALTED/,
    );
  });

  it('names three commands that work where it was started, in a clone that was never built', async () => {
    const commands = first.stdout.match(/^ {2}npm run -s risktrail -- (events|verify) .+$/gm) ?? [];
    expect(commands).toHaveLength(3);
    for (const line of commands) {
      const { stdout } = await promisify(execFile)('sh', ['-c', line], { cwd: CHECKOUT });
      expect(stdout, line).toMatch(/PASSED|risk\./);
    }
  });

  it('leaves a trail that verifies to the last record', async () => {
    expect(await verifyDirectory(first.dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
    const semantic = await checkTrailSnapshots([first.dir]);
    expect(semantic).toMatchObject({ ok: true, findings: [] });
    expect(semantic.compared).toBeGreaterThan(1000);
  });

  it('records nothing that had to be changed, is missing or is unknown', () => {
    expect(events.odd).toEqual([]);
  });

  it('two runs give the same events, decisions, times and table', async () => {
    expect(second).toMatchObject({ code: 0, stderr: '' });
    expect(printed(second)).toBe(printed(first));
    const again = await eventsOf(second.dir);
    expect(again.texts.length).toBeGreaterThan(50_000);
    expect(again.counts).toEqual(events.counts);
    expect(firstDifference(events.texts, again.texts)).toBeUndefined();
  });

  it('another seed gives other outages, and with them another story', async () => {
    const [same, other] = await Promise.all([run('same', short(15)), run('other', short(2))]);
    expect([same.code, other.code]).toEqual([0, 0]);
    const [sameEvents, otherEvents] = await Promise.all([eventsOf(same.dir), eventsOf(other.dir)]);
    // The same seed: the beginning of the long run.
    const days = sameEvents.texts.findLastIndex((text) => text.startsWith('market.candle_closed'));
    expect(days).toBeGreaterThan(5000);
    expect(firstDifference(sameEvents.texts.slice(0, days), events.texts.slice(0, days))).toBeUndefined();
    expect(firstDifference(sameEvents.texts, otherEvents.texts)).toBeDefined();
    expect(JSON.parse(other.stdout)).toMatchObject({ seed: 2, days: 800, verify: { ok: true, exitStatus: 0 } });
  });

  it('Ctrl-C in the middle of it leaves a trail that verifies', async () => {
    const dir = join(ROOT, 'interrupted');
    const child = spawn(process.execPath, command(dir), { stdio: 'ignore' });
    const streams = join(dir, 'streams');
    const bytes = () => {
      try {
        const segments = readdirSync(streams, { recursive: true }).map(String);
        return segments
          .filter((name) => name.endsWith('.jsonl'))
          .reduce((sum, name) => sum + statSync(join(streams, name)).size, 0);
      } catch {
        return 0;
      }
    };
    await expect.poll(bytes, { interval: 10, timeout: 30_000 }).toBeGreaterThan(1_000_000);
    child.kill('SIGINT');
    expect(await once(child, 'close')).toEqual([130, null]);
    expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
    const { texts } = await eventsOf(dir);
    expect(texts.length).toBeLessThan(events.texts.length);
  });
});

describe('the prices of the demo', () => {
  it('are the file of vega-datasets, byte for byte', () => {
    const packaged = new URL('../../node_modules/vega-datasets/data/sp500-2000.csv', import.meta.url);
    const shipped = readFileSync(new URL('../../src/demo/data/sp500-2000.csv', import.meta.url));
    expect(shipped.equals(readFileSync(packaged))).toBe(true);
  });
});
