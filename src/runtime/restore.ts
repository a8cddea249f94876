/** At start: what the trail holds of an earlier process, whether it is to be trusted, and what the service goes on from. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Journal } from '../audit/journal/journal.ts';
import { parseVerifierKeys } from '../audit/proof/note.ts';
import { type CatalogEvent, catalogEvent } from '../catalog/events.ts';
import { RiskTrailError } from '../core/errors.ts';
import { ORDERS_KEY, type RiskState, RiskStateFold } from '../risk/risk-state.ts';
import { effectiveState, GLOBAL_SCOPE, tradingStateCode } from '../risk/trading-state.ts';
import { otherServiceIn } from '../state/other-services.ts';
import { type RebuiltState, rebuildRiskState } from '../state/rebuild-state.ts';
import { previousStreamOf } from '../state/stream-head.ts';
import { snapshotFindingEvents } from './restore-findings.ts';
import { clockStepAttributes } from './restore-terms.ts';
import { RestoredLayers } from './restored-layers.ts';
import type { Settings } from './settings.ts';

/** What the layers went on from; see the setting `onUntrustedTrail`. */
export type RestoreOutcome = 'restored' | 'halted' | 'checkpoint' | 'fresh';

/** What a start found of an earlier process. */
export interface RestoreReport {
  /**
   * - `restored`: the state at the end of the trail
   * - `halted`, `checkpoint`: the trail is not to be trusted to its end; the state below its last good checkpoint, in the
   *   first case with trading halted until a person resumes it
   * - `fresh`: nothing
   */
  readonly outcome: RestoreOutcome;
  /** Why it is not the state at the end of the trail. */
  readonly reason?: string;
  /** Stream of the newest record that was used; absent where there was none. */
  readonly stream?: string;
  /** That record. */
  readonly recordId?: string;
  readonly ageMs?: number;
  /** Records that were read, and those of them that no signed checkpoint covers. */
  readonly records: number;
  readonly unsigned: number;
  /** Layers that can go on: `circuit_breaker:broker`, `portfolio_limits:default`, `trailing_stops:default`, `open_orders`. */
  readonly layers: readonly string[];
}

/** What a trail starts with where there was an earlier process. */
export interface Restored {
  readonly report: RestoreReport;
  readonly state: RiskState;
  readonly layers: RestoredLayers;
  /** To be recorded before `system.start`: it says that the process goes on from what was. */
  readonly event: CatalogEvent;
  /** Behind it: snapshots that were not gone by, as the events before them come to something else. */
  readonly findings: readonly CatalogEvent[];
}

/**
 * Refuses a directory that holds the trail of another service alone, unless that one runs at the moment, beside ours.
 * @throws RiskTrailError RESTORE_OTHER_SERVICE
 */
export async function refuseOtherService({ dataDir, serviceName, restore, disabled }: Settings): Promise<void> {
  if (!restore || disabled) return;
  const found = await otherServiceIn(dataDir, serviceName);
  if (found !== undefined) {
    throw new RiskTrailError('RESTORE_OTHER_SERVICE', { path: dataDir, found, expected: serviceName });
  }
}

/**
 * Reads back what an earlier process left. What goes wrong in reading is a reason not to trust the trail.
 * @returns undefined where there was none, or nothing is to be restored
 * @throws RiskTrailError RESTORE_OTHER_ACCOUNT
 */
export async function restoreRisk(settings: Settings, journal: Journal | undefined): Promise<Restored | undefined> {
  if (journal === undefined || !settings.restore) return undefined;
  const { dataDir, clock, onUntrustedTrail, accountId } = settings;
  // What stands in our own stream from here on, this process wrote.
  const below = journal.recovered?.records ?? 0;
  if (below === 0 && (await previousStreamOf(journal.directory)) === undefined) return undefined;
  let rebuilt: RebuiltState;
  try {
    const keys = parseVerifierKeys(readFileSync(join(dataDir, 'verifier.vkey'), 'utf8'));
    rebuilt = await rebuildRiskState({ dataDir, stream: journal.stream, keys, below, recovered: below > 0 });
  } catch (error) {
    const problem = `the trail cannot be read: ${(error as Error).message}`;
    rebuilt = { fold: new RiskStateFold(), problem, stream: undefined, records: 0, unsigned: 0 };
  }
  const { problem, records, unsigned } = rebuilt;
  const outcome: RestoreOutcome =
    problem === undefined ? 'restored' : onUntrustedTrail === 'halt' ? 'halted' : onUntrustedTrail;
  const state = (outcome === 'fresh' ? new RiskStateFold() : rebuilt.fold).state();
  if (accountId !== undefined && state.accountId !== undefined && accountId !== state.accountId) {
    throw new RiskTrailError('RESTORE_OTHER_ACCOUNT', { path: dataDir, found: state.accountId, expected: accountId });
  }
  const now = clock.now();
  const { last } = state;
  const layers = new RestoredLayers(state, () => clock.now());
  const keys = [...layers.keys(), ...(state.openOrders.length === 0 ? [] : [ORDERS_KEY])];
  const report: RestoreReport = {
    outcome,
    ...(problem === undefined ? {} : { reason: problem }),
    ...(rebuilt.stream === undefined || last === undefined ? {} : { stream: rebuilt.stream }),
    ...(last === undefined ? {} : { recordId: last.recordId, ageMs: Math.max(0, now - last.timeMs) }),
    ...{ records, unsigned, layers: keys },
  };
  const findings = snapshotFindingEvents(rebuilt.fold.findings, rebuilt.stream ?? journal.stream);
  return { report, state, layers, event: restoredEvent(report, state), findings };
}

function restoredEvent(report: RestoreReport, state: RiskState): CatalogEvent {
  const { outcome, reason, stream, recordId, ageMs, records, unsigned, layers } = report;
  return catalogEvent('risk.state_restored', {
    'risk.restored.outcome': outcome,
    ...(reason === undefined ? {} : { 'risk.reason': reason, 'risk.reason.code': 'TRAIL_NOT_TRUSTED' }),
    ...(stream === undefined ? {} : { 'risk.restored.stream': stream }),
    ...(recordId === undefined ? {} : { 'risk.restored.record_id': recordId }),
    ...(ageMs === undefined ? {} : { 'risk.restored.age_ms': ageMs }),
    'risk.restored.records': records,
    'risk.restored.unsigned': unsigned,
    'risk.restored.layers': layers,
    'risk.trading_state.new': effectiveState(state.tradingState, GLOBAL_SCOPE),
  });
}

/** The gate went on from demands of before. @param nowMs epoch milliseconds */
export function tradingRestoredEvent(
  { report, state }: Pick<Restored, 'report' | 'state'>,
  nowMs: number,
): CatalogEvent {
  const { recordId, ageMs } = report;
  const trading = effectiveState(state.tradingState, GLOBAL_SCOPE);
  return catalogEvent('risk.trading_state_restored', {
    'risk.trading_state.new': trading,
    'risk.trading_state.code': tradingStateCode(trading),
    ...(recordId === undefined ? {} : { 'risk.restored.record_id': recordId }),
    ...(ageMs === undefined ? {} : { 'risk.restored.age_ms': ageMs }),
    ...(state.last === undefined ? {} : clockStepAttributes(nowMs, state.last.timeMs)),
  });
}
