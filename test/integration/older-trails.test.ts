import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkTrailSnapshots } from '../../src/analysis/semantic-check.ts';
import { verifyTrail } from '../../src/audit/verify/verify.ts';
import { createManualClock } from '../../src/core/clock.ts';
import { RiskStateFold } from '../../src/risk/risk-state.ts';
import { SCHEMA_VERSION, UPCASTERS } from '../../src/risk/upcast.ts';
import { rebuildRiskState } from '../../src/state/rebuild-state.ts';
import { readTrail, startTestTrail, temporaryDirectory } from '../support/trail.ts';

/** What an earlier version of this package wrote: see the folder's README. */
const STORED = join(import.meta.dirname, '../fixtures/trail-schema-1');
/** When its second process was killed, and a little more. */
const LATER = Date.UTC(2024, 0, 2, 14, 40);

const copy = () => {
  const dataDir = temporaryDirectory();
  cpSync(STORED, dataDir, { recursive: true });
  return dataDir;
};

const newestStream = (records: Awaited<ReturnType<typeof readTrail>>) => records.at(-1)!.stream!;

describe('a trail of an older version', () => {
  it('holds an event of every version that a step brings to the next', async () => {
    const versions = new Set((await readTrail(STORED)).map((one) => `${one.event} ${one[SCHEMA_VERSION] ?? 1}`));
    expect(UPCASTERS.filter(({ event, from }) => !versions.has(`${event} ${from}`))).toEqual([]);
    expect(UPCASTERS).not.toEqual([]);
  });

  it('risk.trailing_stop.add 1 → 2: the stop’s context is the widest that it may have had, until a snapshot tells it', async () => {
    const records = await readTrail(STORED);
    const { fold, problem } = await rebuildRiskState({ dataDir: STORED, stream: newestStream(records) });
    expect([problem, fold.unreadable]).toEqual([undefined, 0]);
    const contexts = fold
      .state()
      .stops.get('default')!
      .stops.map(({ id, context }) => [id, context]);
    expect(contexts).toEqual([
      ['around', undefined],
      ['own', { strategyId: 'mean-reversion', positionId: 'pos-2' }],
      ['none', undefined],
      ['late', { accountId: 'ACC1', strategyId: 'momentum' }],
    ]);
    // Folded from the very beginning: before the first snapshot nothing tells which context was the stop's own.
    const whole = new RiskStateFold();
    for (const one of records) {
      whole.apply({ name: one.event ?? '', recordId: one.record_id ?? '', timeMs: 0, attributes: one });
      if (one.event === 'risk.trailing_stop.add') break;
    }
    expect(whole.state().stops.get('default')!.stops[0]).toMatchObject({
      id: 'around',
      context: { accountId: 'ACC1', strategyId: 'momentum', executionId: 'e1', venue: 'XNAS' },
    });
  });

  it('holds no snapshot that disagrees, though its stops do not say whose context they stand in', async () => {
    const report = await checkTrailSnapshots([STORED]);
    expect(report).toMatchObject({ ok: true, findings: [], unreadable: 0 });
    expect(report.compared).toBeGreaterThan(5);
  });

  it('is gone on with: one history holds both versions, verifies, and folds to the live state', async () => {
    const dataDir = copy();
    const trail = await startTestTrail({ serviceName: 'desk', dataDir, clock: createManualClock(LATER) });
    expect(trail.restored).toMatchObject({ outcome: 'restored' });
    const breaker = trail.circuitBreaker('broker', { failureThreshold: 2, cooldownMs: 600_000, onOpen: 'REDUCING' });
    const stops = trail.trailingStops({ activationPct: 2, trailingPct: 1 });
    const limits = trail.portfolioLimits({
      dailyLoss: { max: 1000, timeZone: 'America/New_York', resetTime: '17:00', onBreach: 'none' },
    });
    expect([breaker.state, trail.gate.state(), limits.snapshot().day.pnl]).toEqual(['OPEN', 'REDUCING', -250]);
    expect(stops.list().map(({ id, status, quantity }) => [id, status, quantity])).toEqual([
      ['around', 'active', 10],
      ['own', 'triggered', 6],
      ['none', 'pending', 3],
      ['late', 'active', 10],
    ]);
    expect(trail.openOrders()).toMatchObject([{ clientOrderId: 'c1', status: 'intent' }]);
    trail.withContext({ accountId: 'ACC9', strategyId: 'other' }, () =>
      stops.add({ id: 'new', symbol: 'TSLA', side: 'long', entryPrice: 50, venue: 'XNAS' }),
    );
    expect(stops.tick('AAPL', 103)).toMatchObject([{ id: 'around', action: 'TRIGGER' }]);
    trail.snapshot();
    const live = stops.list();
    await trail.close();

    const records = await readTrail(dataDir);
    const versions = records.filter((one) => one.event === 'risk.trailing_stop.add').map((one) => one[SCHEMA_VERSION]);
    expect(versions).toEqual([undefined, undefined, undefined, undefined, 2]);
    expect(await checkTrailSnapshots([dataDir])).toMatchObject({ ok: true });
    const { fold } = await rebuildRiskState({ dataDir, stream: newestStream(records) });
    expect(fold.state().stops.get('default')!.stops).toEqual(live);
    expect(live.at(-1)).toMatchObject({ id: 'new', context: { venue: 'XNAS' } });
    expect(await verifyTrail({ paths: [dataDir] })).toMatchObject({ ok: true });
  });
});
