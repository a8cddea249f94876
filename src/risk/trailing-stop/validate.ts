/** Whether something that was written down is a stop's state: what is restored is checked, never believed. */
import { isRiskTrailError } from '../../core/errors.ts';
import { isPrice } from './price.ts';
import { resolveSettings, type TrailingStopSettings } from './settings.ts';
import type { TrailingStop } from './stop.ts';

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
const isFiniteNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);
const absentOr = (test: (value: unknown) => boolean) => (value: unknown) => value === undefined || test(value);

const FIELDS: { readonly [K in keyof Required<TrailingStop>]: (value: unknown) => boolean } = {
  id: isText,
  symbol: isText,
  manager: isText,
  side: (value) => value === 'long' || value === 'short',
  entryPrice: isPrice,
  quantity: absentOr((value) => isFiniteNumber(value) && value > 0),
  status: (value) => value === 'pending' || value === 'active' || value === 'triggered',
  settings: isStopSettings,
  activationPrice: isPrice,
  peakPrice: isPrice,
  stopPrice: absentOr(isFiniteNumber),
  hardStopPrice: absentOr(isFiniteNumber),
  trigger: absentOr(
    (value) => isRecord(value) && ['level', 'price', 'gap'].every((name) => isFiniteNumber(value[name])),
  ),
  context: absentOr((value) => isRecord(value) && Object.values(value).every(isText)),
  cursor: absentOr(isRecord),
};

/** Whether `value` is the whole state of a stop, as a snapshot holds it. */
export function isTrailingStop(value: unknown): value is TrailingStop {
  if (!isRecord(value)) return false;
  if (!Object.entries(FIELDS).every(([name, test]) => test(value[name]))) return false;
  if (value['status'] === 'active') return value['stopPrice'] !== undefined;
  return value['status'] !== 'triggered' || value['trigger'] !== undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Settings that were found good and can't change: every move of a stop is looked at, and its settings stay the same. */
const good = new WeakSet<object>();

/** Whether `value` is the settings of a stop. */
export function isStopSettings(value: unknown): value is TrailingStopSettings {
  if (isRecord(value) && good.has(value)) return true;
  if (!isRecord(value) || !isText(value['fires']) || !isFiniteNumber(value['minimumStep'])) return false;
  try {
    resolveSettings('', { fires: 'touch', minimumStep: 0 }, value);
    if (Object.isFrozen(value)) good.add(value);
    return true;
  } catch (error) {
    if (isRiskTrailError(error)) return false;
    throw error;
  }
}
