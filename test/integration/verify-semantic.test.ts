import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkTrailSnapshots } from '../../src/analysis/semantic-check.ts';
import { addVerifyCommand } from '../../src/cli/commands/verify.ts';
import { createManualClock } from '../../src/core/clock.ts';
import { startRiskTrail } from '../../src/runtime/start.ts';
import { runCommand } from '../support/command.ts';
import { readTrail } from '../support/trail.ts';

const BY = { actor: 'ann', reason: 'mail ann@example.com, key sk-12345678901234567890' };
const START = Date.UTC(2024, 0, 2, 14, 30);

/** All layers, in contexts, with readings of a clock in fractions, started again, the clock set back meanwhile. */
async function makeTrail(dataDir: string): Promise<void> {
  let at = START + 0.123;
  for (const back of [0, 7_200_000.5]) {
    at -= back;
    const clock = createManualClock(at);
    const step = () => clock.advance(1_000.457);
    const trail = await startRiskTrail({
      ...{ serviceName: 'desk', dataDir, clock, handleSignals: false, logLevel: 'off', stallBudgetMs: 0 },
      ...{ snapshotIntervalMs: 0, healthCheckIntervalMs: 0, verifyAfterStartMs: 0 },
    });
    const breaker = trail.circuitBreaker('broker', { failureThreshold: 3, cooldownMs: 5_000, onOpen: 'REDUCING' });
    const stops = trail.trailingStops({ activationPct: 1, trailingPct: 1 });
    const limits = trail.portfolioLimits({ dailyLoss: { max: 1000 }, orderRate: { max: 5, windowMs: 10_000 } });
    const order = { symbol: 'AAPL', side: 'buy', quantity: 1, price: 100, referencePrice: 100 } as const;
    trail.withContext(
      { accountId: 'ACC1', strategyId: 'momentum', executionId: 'e1', symbol: 'AAPL', venue: 'V' },
      () => {
        stops.add({ id: 'p1', symbol: 'AAPL', side: 'long', entryPrice: 100, quantity: 5 });
        stops.add({ id: 'p2', symbol: 'AAPL', side: 'short', entryPrice: 100, strategyId: 'own' });
        // The context says the symbol.
        const intent = { 'trading.side': 'buy', 'trading.quantity': 5, 'trading.order.client_id': `c${back}` };
        trail.emit('order.intent', intent as never);
        step();
        for (const price of [102, 97.5, 103.25]) stops.tick('AAPL', price, { timeMs: clock.now() });
        for (let failure = 0; failure < 3; failure++) breaker.failure(new Error('down'));
        limits.recordPnl(-123.45);
        limits.checkEntry({ equity: 10_000, positions: [] }, order);
        trail.gate.reduce({ ...BY, scope: 'symbol:AAPL', untilMs: clock.now() + 60_000 });
        trail.snapshot();
      },
    );
    step();
    breaker.recordTrade({ pnl: -5 });
    trail.emit('order.placed', { 'trading.symbol': 'MSFT', 'trading.side': 'buy', 'trading.order.id': `v${back}` });
    trail.snapshot();
    step();
    stops.partialClose('p1', 2);
    for (let second = 0; second < 6; second++) step();
    breaker.allow();
    trail.snapshot();
    at = clock.now();
    await trail.close();
  }
}

const linesOf = (dataDir: string): string[] =>
  readdirSync(join(dataDir, 'streams')).flatMap((stream) =>
    readdirSync(join(dataDir, 'streams', stream))
      .filter((name) => name.endsWith('.jsonl'))
      .flatMap((name) =>
        readFileSync(join(dataDir, 'streams', stream, name), 'utf8')
          .trimEnd()
          .split('\n'),
      ),
  );

describe('verify --semantic', () => {
  let home: string;
  let dataDir: string;
  let collector: string;
  let forged: string;

  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'risktrail-semantic-'));
    dataDir = join(home, 'data');
    await makeTrail(dataDir);
    collector = join(home, 'collector.jsonl');
    writeFileSync(collector, `${linesOf(dataDir).join('\n')}\n`);
    forged = join(home, 'forged.jsonl');
    const lines = linesOf(dataDir);
    const at = lines.findLastIndex((line) => line.includes('"eventName":"risk.trailing_stop.snapshot"'));
    writeFileSync(forged, `${lines.with(at, lines[at]!.replaceAll('103.25', '103.5')).join('\n')}\n`);
  }, 60_000);

  afterAll(() => rmSync(home, { recursive: true, force: true }));

  it('no snapshot disagrees: contexts, masked reasons, fractions of milliseconds, restarts and a clock set back are no difference', async () => {
    const report = await checkTrailSnapshots([dataDir]);
    expect(report.findings).toEqual([]);
    expect(report.ok).toBe(true);
    // Three rounds and one at close in each of two processes, all but the first of a layer compared.
    const snapshots = (await readTrail(dataDir)).filter((one) => /snapshot$/.test(one.event ?? '')).length;
    expect(report.compared).toBeGreaterThan(snapshots / 2);
  });

  it('a Collector’s file in any order gives the same', async () => {
    const whole = await checkTrailSnapshots([collector]);
    expect(whole).toMatchObject({ ok: true });
    const lines = readFileSync(collector, 'utf8').trimEnd().split('\n');
    // As a batch that is sent again after the next one, and twice.
    const shuffled = lines.flatMap((_, at) => (at % 7 === 0 ? lines.slice(at, at + 7).reverse() : []));
    writeFileSync(join(home, 'shuffled.jsonl'), `${[...shuffled, ...lines.slice(5, 30)].join('\n')}\n`);
    expect(await checkTrailSnapshots([join(home, 'shuffled.jsonl')])).toEqual(whole);
  });

  it('says so, exit status 0', async () => {
    const { status, out } = await runCommand(addVerifyCommand, ['verify', dataDir, '--semantic']);
    expect(out).toMatch(/Snapshots: \d+ snapshots compared with the events before them, none disagrees\./);
    expect(status).toBe(0);
  });

  it('a snapshot that disagrees is a finding: what the events give, what it says, exit status 1', async () => {
    const { status, out } = await runCommand(addVerifyCommand, [
      'verify',
      forged,
      '--semantic',
      '--vkey',
      join(dataDir, 'verifier.vkey'),
    ]);
    expect(out).toContain('1 disagree. A restart goes by the events.');
    expect(out).toContain('stops.p2.trigger.price: the events give 103.25, the snapshot says 103.5');
    expect(status).toBe(1);
  });

  it('the same as JSON', async () => {
    const key = ['--vkey', join(dataDir, 'verifier.vkey')];
    const { status, out } = await runCommand(addVerifyCommand, ['verify', forged, '--semantic', '--json', ...key]);
    const { semantic } = JSON.parse(out);
    expect(semantic).toMatchObject({ ok: false, unreadable: 0 });
    expect(semantic.findings).toMatchObject([
      {
        layer: 'trailing_stops:default',
        event: 'risk.trailing_stop.snapshot',
        differences: [{ path: 'stops.p2.trigger.price', folded: '103.25', snapshot: '103.5' }],
      },
    ]);
    expect(status).toBe(1);
    const whole = await runCommand(addVerifyCommand, ['verify', dataDir, '--semantic', '--json']);
    expect(JSON.parse(whole.out)).toMatchObject({ ok: true, semantic: { ok: true, findings: [] } });
  });

  it('is refused together with --follow', async () => {
    const both = runCommand(addVerifyCommand, ['verify', dataDir, '--semantic', '--follow']);
    await expect(both).rejects.toThrow('--semantic');
  });
});
