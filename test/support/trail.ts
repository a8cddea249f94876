/** A real trail on real files for integration tests: started, read back, removed. */
import { onTestFinished } from 'vitest';
import type { FlatRecord } from '../../src/analysis/flat-record.ts';
import { queryTrail } from '../../src/analysis/trail-query.ts';
import type { EventFamily, NoFamily } from '../../src/catalog/define-events.ts';
import type { RiskTrail } from '../../src/runtime/risk-trail.ts';
import type { RiskTrailOptions } from '../../src/runtime/settings.ts';
import { startRiskTrail } from '../../src/runtime/start.ts';
import { temporaryDirectory } from './temporary.ts';

export { temporaryDirectory };

/** A trail in a directory of its own, closed when the test is over. */
export async function startTestTrail<F extends EventFamily = NoFamily>(
  options: RiskTrailOptions<F> = {},
): Promise<RiskTrail<F>> {
  const trail = await startRiskTrail<F>({
    serviceName: 'test',
    dataDir: temporaryDirectory(),
    handleSignals: false,
    // A busy machine is not to be taken for a slow disk.
    stallBudgetMs: 0,
    snapshotIntervalMs: 0,
    healthCheckIntervalMs: 0,
    logLevel: 'off',
    ...options,
  });
  onTestFinished(() => trail.close());
  return trail;
}

/** Closes the trail and reads everything back. */
export async function readBack(trail: Pick<RiskTrail, 'close' | 'dataDir'>): Promise<FlatRecord[]> {
  await trail.close();
  return readTrail(trail.dataDir);
}

export async function readTrail(dataDir: string): Promise<FlatRecord[]> {
  const records: FlatRecord[] = [];
  for await (const batch of queryTrail([dataDir])) records.push(...batch);
  return records;
}

/** Names of the events but for the trail's own and the snapshots. */
export function eventNames(records: readonly FlatRecord[]): string[] {
  return records
    .map((record) => record.event ?? '')
    .filter((name) => !name.startsWith('audit.') && !name.startsWith('system.') && !/snapshot$/.test(name));
}
