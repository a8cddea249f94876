/** A breaker's snapshot: what its snapshot event records, and what a new process goes on from. */
import { BREAKER_STATES } from '../catalog/attributes.ts';
import { describeValue, RiskTrailError } from '../core/errors.ts';
import { decodeConfig, decodeState } from '../risk/circuit-breaker/codec.ts';
import type { BreakerConfig } from '../risk/circuit-breaker/options.ts';
import type { BreakerState } from '../risk/circuit-breaker/state.ts';

export interface BreakerSnapshot {
  readonly version: 1;
  readonly name: string;
  /** Epoch milliseconds. */
  readonly savedAtMs: number;
  readonly config: BreakerConfig;
  readonly state: BreakerState;
  /** Record id of the event that explains the state. */
  readonly causeRecordId?: string;
  /** Record id of the snapshot itself, where it comes from a trail. */
  readonly recordId?: string;
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
const isTimes = (value: unknown): boolean => Array.isArray(value) && value.every(Number.isFinite);

/**
 * Reads what `snapshot()` gave or `risk.snapshot` of a snapshot event holds.
 * @throws RiskTrailError OPTION_INVALID where it is not a snapshot that a breaker can go on from
 */
export function readSnapshot(field: string, value: unknown): BreakerSnapshot {
  const refuse = (part: string, received: unknown): never => {
    throw new RiskTrailError('OPTION_INVALID', {
      field: part === '' ? field : `${field}.${part}`,
      expected: "a circuit breaker's snapshot of version 1",
      received: describeValue(received),
    });
  };
  if (!isObject(value)) return refuse('', value);
  if (value.version !== 1) refuse('version', value.version);
  if (!Number.isFinite(value.savedAtMs)) refuse('savedAtMs', value.savedAtMs);
  if (!isObject(value.config)) refuse('config', value.config);
  const state = value.state;
  if (!isObject(state)) return refuse('state', state);
  const checks: readonly (readonly [string, boolean])[] = [
    ['status', BREAKER_STATES.includes(state.status as never)],
    ['epoch', isCount(state.epoch)],
    ['sinceMs', Number.isFinite(state.sinceMs)],
    ['openUntilMs', state.openUntilMs == null || Number.isFinite(state.openUntilMs)],
    ['triggers', Array.isArray(state.triggers)],
    ['probes', Array.isArray(state.probes)],
    ['probeSuccesses', isCount(state.probeSuccesses)],
    ['nextProbe', isCount(state.nextProbe)],
  ];
  for (const [part, good] of checks) if (!good) refuse(`state.${part}`, state[part]);
  const { calls, trades } = state;
  if (!isObject(calls) || !isTimes(calls.failures) || typeof calls.ring !== 'string' || !Array.isArray(calls.buckets))
    return refuse('state.calls', calls);
  if (!isCount(calls.consecutiveFailures)) refuse('state.calls.consecutiveFailures', calls.consecutiveFailures);
  if (!isObject(trades) || !isTimes(trades.stopLosses) || !isCount(trades.losingStreak))
    return refuse('state.trades', trades);
  if (!Number.isFinite(trades.dayPnl)) refuse('state.trades.dayPnl', trades.dayPnl);
  return {
    ...(value as unknown as BreakerSnapshot),
    config: decodeConfig(value.config as Record<string, unknown>),
    state: decodeState(state),
  };
}
