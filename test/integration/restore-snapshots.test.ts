import { cpSync } from 'node:fs';
import { expect, it } from 'vitest';
import { checkTrailSnapshots } from '../../src/analysis/semantic-check.ts';
import { createManualClock } from '../../src/core/clock.ts';
import type { RiskTrail } from '../../src/index.ts';
import { readTrail, startTestTrail, temporaryDirectory } from '../support/trail.ts';

const START = Date.UTC(2024, 0, 2, 14, 30);
const breakerOf = (trail: RiskTrail) =>
  trail.circuitBreaker('broker', { failureThreshold: 2, cooldownMs: 60_000, onOpen: 'none' });

/** What kill -9 leaves behind a round of snapshots in which the open breaker says that it is closed: all of it signed. */
async function leaveLyingSnapshot(): Promise<string> {
  const trail = await startTestTrail({ clock: createManualClock(START) });
  const breaker = breakerOf(trail);
  const closed = breaker.snapshot();
  trail.snapshot();
  breaker.failure();
  breaker.failure();
  expect(breaker.state).toBe('OPEN');
  const own = trail as RiskTrail & { emit(name: string, attributes: object): string | undefined };
  own.emit('risk.trading_state_snapshot', {
    ...{ 'risk.trading_state.new': 'ACTIVE', 'risk.trading_state.code': 0 },
    ...{ 'risk.snapshot': { demands: [] }, 'risk.layers': ['circuit_breaker:broker'] },
  });
  own.emit('risk.circuit_breaker.snapshot', {
    ...{ 'risk.circuit_breaker.name': 'broker', 'risk.circuit_breaker.state.new': 'CLOSED' },
    'risk.snapshot': JSON.parse(JSON.stringify(closed), (_, value) => value ?? undefined),
  });
  await trail.flush();
  const left = temporaryDirectory();
  cpSync(trail.dataDir, left, { recursive: true });
  await trail.close();
  return left;
}

it('a snapshot that disagrees with the events before it: a restart goes by the events, and records the finding', async () => {
  const dataDir = await leaveLyingSnapshot();
  expect((await checkTrailSnapshots([dataDir])).findings).toMatchObject([
    {
      layer: 'circuit_breaker:broker',
      differences: expect.arrayContaining([
        expect.objectContaining({ path: 'state.status', folded: '"OPEN"', snapshot: '"CLOSED"' }),
      ]),
    },
  ]);
  const trail = await startTestTrail({ dataDir, clock: createManualClock(START + 10_000) });
  expect(trail.restored?.outcome).toBe('restored');
  const breaker = breakerOf(trail);
  expect(breaker.snapshot().state).toMatchObject({ status: 'OPEN', openUntilMs: START + 60_000 });
  await trail.close();
  const found = (await readTrail(dataDir)).filter((one) => one.event === 'audit.finding');
  expect(found).toHaveLength(1);
  expect(found[0]).toMatchObject({ 'audit.finding.kind': 'SNAPSHOT_DISAGREES' });
  expect(found[0]!['audit.finding.detail']).toMatch(
    /^circuit_breaker:broker, record .*state\.status: the events give "OPEN", the snapshot says "CLOSED"/,
  );
  // What the new process says agrees with the events again.
  expect((await checkTrailSnapshots([dataDir])).findings).toHaveLength(1);
});

it('where records were lost, the next snapshot is better than the events, and no finding', async () => {
  const { RiskStateFold } = await import('../../src/risk/risk-state.ts');
  const records = await readTrail(await leaveLyingSnapshot());
  const fold = new RiskStateFold();
  const lies = records.findLastIndex((one) => one.event === 'risk.trading_state_snapshot');
  const lost = { event: 'audit.degraded', record_id: 'x' } as (typeof records)[number];
  for (const one of records.toSpliced(lies, 0, lost)) {
    fold.apply({ name: one.event!, recordId: one.record_id!, timeMs: START, attributes: one });
  }
  expect(fold.findings).toEqual([]);
  expect(fold.state().breakers.get('broker')?.state.status).toBe('CLOSED');
});
