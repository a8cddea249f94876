/** On which terms a layer goes on from an earlier state: what its settings are, where they differ, and what is told of it. */
import type { EventAttributes } from '../catalog/events.ts';
import { differences } from '../core/difference.ts';
import { RiskTrailError } from '../core/errors.ts';

/** `keep`: the settings of before hold. `apply`: those given now. `refuse`: the layer isn't made. */
export type OnConfigChange = 'keep' | 'apply' | 'refuse';

export interface RestoreTerms {
  /** @default 'apply' */
  readonly onConfigChange?: OnConfigChange | undefined;
  /** Age of the record that the state comes from, milliseconds. */
  readonly ageMs?: number | undefined;
}

/** What a `*.restored` event tells besides the layer's own. */
export type RestoredAttributes = Pick<
  EventAttributes<'risk.circuit_breaker.restored'>,
  'risk.restored.differs' | 'risk.restored.config' | 'risk.restored.clock_step_ms'
>;

export interface ConfigChange {
  /** The settings of before hold, though others were given. */
  readonly keep: boolean;
  readonly attributes: RestoredAttributes;
}

export const NO_CHANGE: ConfigChange = Object.freeze({ keep: false, attributes: Object.freeze({}) });

/**
 * What of the settings differs, and which hold.
 * @param layer in words, for the error
 * @throws RiskTrailError RESTORE_CONFIG_CHANGED where they differ and that is to be refused
 */
export function settleConfigChange(
  layer: string,
  before: object,
  now: object,
  terms: RestoreTerms | undefined,
): ConfigChange {
  const differs = differences(before, now).map((one) => `${one.path}: ${show(one.before)} → ${show(one.after)}`);
  if (differs.length === 0) return NO_CHANGE;
  const policy = terms?.onConfigChange ?? 'apply';
  if (policy === 'refuse') throw new RiskTrailError('RESTORE_CONFIG_CHANGED', { layer, differs: differs.join(', ') });
  return { keep: policy === 'keep', attributes: { 'risk.restored.differs': differs, 'risk.restored.config': policy } };
}

const show = (value: unknown): string => (value == null ? 'not set' : JSON.stringify(value));

/** Up to this a clock is not called set back: records are written a moment after their time was read. */
const SLACK_MS = 1;

/**
 * The wall clock was set back while the service was down, where it now shows less than at the last record. How far it was set
 * forward can't be told from the time that went by.
 */
export function clockStepAttributes(nowMs: number, lastMs: number): RestoredAttributes {
  const stepMs = Math.floor(nowMs) - Math.floor(lastMs);
  return stepMs < -SLACK_MS ? { 'risk.restored.clock_step_ms': stepMs } : {};
}
