import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkTrailSnapshots } from '../../src/analysis/semantic-check.ts';
import { stateAt } from '../../src/analysis/state-at.ts';
import { stateView } from '../../src/analysis/state-view.ts';
import type { ReadProgress } from '../../src/analysis/trail-query.ts';
import { createManualClock } from '../../src/core/clock.ts';
import { startRiskTrail } from '../../src/runtime/start.ts';

const START = Date.UTC(2024, 0, 2, 14, 30);
const QUIET = {
  ...{ serviceName: 'test', handleSignals: false, snapshotIntervalMs: 0, healthCheckIntervalMs: 0 },
  logLevel: 'off',
} as const;
const BY = { actor: 'ann', reason: 'test' };
/** So many seconds after the start, as the query has it. */
const at = (seconds: number, nanos = '000000000') =>
  `${new Date(START + seconds * 1000).toISOString().slice(0, 19)}.${nanos}Z`;

/** Opens at 10 s, is restarted at 20 s, half-open at 70 s, a stop from 30 s that ratchets at 40 s and fires at 50 s. */
async function makeTrail(dataDir: string): Promise<void> {
  const clock = createManualClock(START);
  const begin = async () => {
    const trail = await startRiskTrail({ ...QUIET, dataDir, clock });
    return {
      trail,
      breaker: trail.circuitBreaker('broker', { failureThreshold: 1, cooldownMs: 60_000 }),
      stops: trail.trailingStops({ trailingPct: 1, activationPct: 0 }),
      limits: trail.portfolioLimits({ dailyLoss: { max: 1000, onBreach: 'none' } }),
    };
  };
  const first = await begin();
  clock.set(START + 10_000);
  first.breaker.failure();
  first.limits.recordPnl(-400);
  clock.set(START + 19_000);
  await first.trail.close();
  clock.set(START + 20_000);
  const second = await begin();
  clock.set(START + 30_000);
  second.stops.add({ id: 'p1', symbol: 'AAPL', side: 'long', entryPrice: 100 });
  clock.set(START + 40_000);
  second.stops.tick('AAPL', 110);
  second.trail.snapshot();
  clock.set(START + 50_000);
  second.stops.tick('AAPL', 105);
  clock.set(START + 70_000);
  second.breaker.tick();
  second.trail.gate.reduce(BY);
  clock.set(START + 80_000);
  await second.trail.close();
}

type Tell = (progress: ReadProgress) => void;

async function viewAt(path: string, moment?: string) {
  const states = await stateAt([path], moment);
  expect(states).toHaveLength(1);
  const view = stateView(states[0]!);
  const [breaker] = view.circuit_breakers as { status: string; open_until: string | null }[];
  const [stop] = view.trailing_stops as { status: string; peakPrice: number }[];
  const [limits] = view.portfolio_limits as { day_pnl: number; daily_loss_headroom: number }[];
  return {
    ...{ trading: view.trading_state!.global, breaker: breaker?.status, until: breaker?.open_until },
    ...{ stop: stop && [stop.status, stop.peakPrice], limits: limits && [limits.day_pnl, limits.daily_loss_headroom] },
    last: view.last_time,
  };
}

describe('the state at a moment', () => {
  let home: string;
  let dataDir: string;
  let collector: string;

  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'risktrail-state-'));
    dataDir = join(home, 'data');
    await makeTrail(dataDir);
    // The same records as a Collector leaves them: in one file.
    const lines = readdirSync(join(dataDir, 'streams'))
      .sort()
      .flatMap((stream) =>
        readdirSync(join(dataDir, 'streams', stream))
          .filter((name) => name.endsWith('.jsonl'))
          .map((name) => readFileSync(join(dataDir, 'streams', stream, name), 'utf8')),
      );
    collector = join(home, 'audit.jsonl');
    writeFileSync(collector, lines.join(''));
  });

  afterAll(() => rmSync(home, { recursive: true, force: true }));

  it('tells how far its reading has come, of a journal and of other files, and so does the comparison of snapshots', async () => {
    for (const path of [dataDir, collector]) {
      for (const read of [
        (tell: Tell) => stateAt([path], undefined, tell),
        (tell: Tell) => checkTrailSnapshots([path], tell),
      ]) {
        const told: ReadProgress[] = [];
        await read((progress) => told.push(progress));
        expect(told.length).toBeGreaterThan(0);
        expect(told.map(({ bytes }) => bytes)).toEqual(told.map(({ bytes }) => bytes).toSorted((a, b) => a - b));
        const { bytes, totalBytes } = told.at(-1)!;
        expect([bytes > 0, bytes <= totalBytes]).toEqual([true, true]);
      }
    }
  });

  const open = { breaker: 'OPEN', until: new Date(START + 70_000).toISOString(), limits: [-400, 600] };

  it.each([
    ['before the failure', at(9, '999999999'), { trading: 'ACTIVE', breaker: 'CLOSED', limits: [0, 1000] }],
    ['at the failure', at(10), { ...open, trading: 'HALTED' }],
    ['while the service was down', at(19, '500000000'), { ...open, trading: 'HALTED' }],
    ['after the restart', at(25), { ...open, trading: 'HALTED', stop: undefined }],
    ['with a stop', at(30), { ...open, stop: ['active', 100] }],
    ['before it ratcheted', at(39, '999999999'), { stop: ['active', 100] }],
    ['when it ratcheted', at(40), { stop: ['active', 110] }],
    ['when it fired', at(50), { stop: ['triggered', 110] }],
    ['half-open', at(70), { breaker: 'HALF_OPEN', trading: 'REDUCING' }],
    ['at the end', undefined, { breaker: 'HALF_OPEN', trading: 'REDUCING', stop: ['triggered', 110] }],
  ])('%s, from the journal as from a Collector’s file', async (_, moment, expected) => {
    expect(await viewAt(dataDir, moment)).toMatchObject(expected);
    const { last, ...view } = await viewAt(dataDir, moment);
    expect(await viewAt(collector, moment)).toMatchObject(view);
    if (moment !== undefined) expect(Date.parse(last!)).toBeLessThanOrEqual(Date.parse(moment));
  });

  it('every snapshot says what the events before it come to; one that was rewritten does not', async () => {
    expect(await checkTrailSnapshots([dataDir])).toMatchObject({ ok: true });
    expect(await checkTrailSnapshots([collector])).toMatchObject({ ok: true });
    const forged = join(home, 'forged.jsonl');
    const lines = readFileSync(collector, 'utf8').split('\n');
    const last = lines.findLastIndex((line) => line.includes('"eventName":"risk.circuit_breaker.snapshot"'));
    writeFileSync(forged, lines.with(last, lines[last]!.replaceAll('HALF_OPEN', 'CLOSED')).join('\n'));
    const { findings } = await checkTrailSnapshots([forged]);
    expect(findings).toMatchObject([
      {
        layer: 'circuit_breaker:broker',
        differences: [{ path: 'state.status', folded: '"HALF_OPEN"', snapshot: '"CLOSED"' }],
      },
    ]);
  });

  it('before there was a trail there is none', async () => {
    expect(await stateAt([dataDir], at(-1))).toEqual([]);
  });
});
