/** What the position does to its stop: it is added, partly closed, flipped, removed. */
import type { CatalogEvent } from '../../catalog/events.ts';
import { describeValue, isRiskTrailError } from '../../core/errors.ts';
import { difference } from '../decimal.ts';
import {
  activateEvent,
  addEvent,
  invalidInputEvent,
  partialCloseEvent,
  type RefusedInput,
  removeEvent,
  sideFlipEvent,
} from './events.ts';
import { isPrice } from './price.ts';
import { resolveSettings, type TrailingStopOverrides, type TrailingStopSettings } from './settings.ts';
import { activated } from './step.ts';
import { isBetter, opposite, pendingStop, type StopContext, type StopSide, type TrailingStop } from './stop.ts';

/** Codes of a change that was, or was not, made to a stop. */
export type StopChangeCode =
  | 'OK'
  | 'TRAILING_STOP_INPUT_INVALID'
  | 'TRAILING_STOP_ID_INVALID'
  | 'TRAILING_STOP_ID_AMBIGUOUS'
  | 'TRAILING_STOP_SYMBOL_INVALID'
  | 'TRAILING_STOP_SIDE_INVALID'
  | 'TRAILING_STOP_ENTRY_PRICE_INVALID'
  | 'TRAILING_STOP_QUANTITY_INVALID'
  | 'TRAILING_STOP_QUANTITY_UNKNOWN'
  | 'TRAILING_STOP_QUANTITY_EXCEEDED'
  | 'TRAILING_STOP_CONTEXT_INVALID'
  | 'TRAILING_STOP_OPTION_INVALID'
  | 'TRAILING_STOP_ACTIVATION_UNREACHABLE'
  | 'TRAILING_STOP_HARD_STOP_WRONG_SIDE'
  | 'TRAILING_STOP_SAME_SIDE'
  | 'TRAILING_STOP_EXISTS'
  | 'TRAILING_STOP_UNKNOWN'
  | 'TRAILING_STOP_FAILED';

/** A position to guard. Settings given here take the place of the set's for this stop. */
export interface AddStopInput extends TrailingStopOverrides, StopContext {
  /** Unique within the service; best the position's own. */
  readonly id: string;
  readonly symbol: string;
  readonly side: StopSide;
  readonly entryPrice: number;
  /** Quantity of the position, > 0. Needed for partial closes only. */
  readonly quantity?: number;
}

/** The position after a flip. */
export interface FlipInput extends TrailingStopOverrides {
  readonly entryPrice: number;
  readonly quantity?: number;
  /** The new side, by default the other one. */
  readonly side?: StopSide;
}

/** `stop` is absent where the change was refused or has removed it. */
export interface StopChange {
  readonly accepted: boolean;
  readonly code: StopChangeCode;
  readonly reason?: string;
  readonly stop?: TrailingStop;
  readonly events: readonly CatalogEvent[];
}

const CONTEXT_NAMES = ['executionId', 'accountId', 'strategyId', 'positionId', 'venue'] as const;
const ADD_NAMES = new Set<string>(['id', 'symbol', 'side', 'entryPrice', 'quantity', ...CONTEXT_NAMES]);
const FLIP_NAMES = new Set<string>(['entryPrice', 'quantity', 'side']);

/** A change that is not made: recorded, the state as it was. */
export function refuseChange(
  code: StopChangeCode,
  reason: string,
  about: Omit<RefusedInput, 'code' | 'reason'> = {},
  stop?: TrailingStop,
): StopChange {
  return { accepted: false, code, reason, events: [invalidInputEvent({ ...about, code, reason }, stop)] };
}

/** Puts a stop under a position. With an activation of 0 it is active at once, its first level taken from the entry price. */
export function addStop(base: TrailingStopSettings, manager: string, input: AddStopInput): StopChange {
  const given = fieldsOf(input);
  const { id, symbol, side, entryPrice, quantity } = given;
  const about = {
    ...(isName(id) ? { id } : {}),
    ...(isName(symbol) ? { symbol } : {}),
  };
  const no = (code: StopChangeCode, field: string, reason: string) =>
    refuseChange(code, reason, { ...about, field, value: describeValue(given[field]) });
  if (!isName(id)) return no('TRAILING_STOP_ID_INVALID', 'id', 'the id is no non-empty string');
  if (!isName(symbol)) return no('TRAILING_STOP_SYMBOL_INVALID', 'symbol', 'the symbol is no non-empty string');
  if (!isSide(side)) return no('TRAILING_STOP_SIDE_INVALID', 'side', "the side is neither 'long' nor 'short'");
  if (!isPrice(entryPrice)) {
    return no('TRAILING_STOP_ENTRY_PRICE_INVALID', 'entryPrice', 'the entry price is no finite number above 0');
  }
  if (quantity !== undefined && !isQuantity(quantity)) {
    return no('TRAILING_STOP_QUANTITY_INVALID', 'quantity', 'the quantity is no finite number above 0');
  }
  const context: Record<string, string> = {};
  for (const name of CONTEXT_NAMES) {
    const value = given[name];
    if (value === undefined) continue;
    if (!isName(value)) return no('TRAILING_STOP_CONTEXT_INVALID', name, `${name} is no non-empty string`);
    context[name] = value;
  }
  const settings = settingsFor(base, given, ADD_NAMES, side, entryPrice, about);
  if ('accepted' in settings) return settings;
  const stop = pendingStop({
    id,
    symbol,
    manager,
    side,
    entryPrice,
    settings,
    ...(quantity === undefined ? {} : { quantity }),
    ...(Object.keys(context).length === 0 ? {} : { context: Object.freeze(context) }),
  });
  return begun(stop, addEvent(stop));
}

/** Takes part of the position away. The last part removes the stop. A triggered stop may be closed in parts as well. */
export function partialCloseStop(stop: TrailingStop, quantityClosed: number): StopChange {
  const about = { id: stop.id, symbol: stop.symbol, field: 'quantityClosed', value: describeValue(quantityClosed) };
  if (!isQuantity(quantityClosed)) {
    return refuseChange('TRAILING_STOP_QUANTITY_INVALID', 'the quantity is no finite number above 0', about, stop);
  }
  if (stop.quantity === undefined) {
    const reason = 'the stop was added without a quantity';
    return refuseChange('TRAILING_STOP_QUANTITY_UNKNOWN', reason, about, stop);
  }
  const quantity = difference(stop.quantity, quantityClosed);
  if (quantity < 0) {
    const reason = `more than the ${stop.quantity} that the stop guards`;
    return refuseChange('TRAILING_STOP_QUANTITY_EXCEEDED', reason, about, stop);
  }
  const closed = partialCloseEvent(stop, quantity);
  if (quantity === 0) {
    return { accepted: true, code: 'OK', events: [closed, removeEvent(stop, 'the position was closed')] };
  }
  return { accepted: true, code: 'OK', stop: Object.freeze({ ...stop, quantity }), events: [closed] };
}

/** The position turned to the other side: the stop begins anew from the new entry price, with the settings that it had. */
export function flipStop(stop: TrailingStop, input: FlipInput): StopChange {
  const given = fieldsOf(input);
  const about = { id: stop.id, symbol: stop.symbol };
  const no = (code: StopChangeCode, field: string, reason: string) =>
    refuseChange(code, reason, { ...about, field, value: describeValue(given[field]) }, stop);
  const { entryPrice, quantity, side = opposite(stop.side) } = given;
  if (!isSide(side)) return no('TRAILING_STOP_SIDE_INVALID', 'side', "the side is neither 'long' nor 'short'");
  if (side === stop.side) return no('TRAILING_STOP_SAME_SIDE', 'side', `the position is ${side} already`);
  if (!isPrice(entryPrice)) {
    return no('TRAILING_STOP_ENTRY_PRICE_INVALID', 'entryPrice', 'the entry price is no finite number above 0');
  }
  if (quantity !== undefined && !isQuantity(quantity)) {
    return no('TRAILING_STOP_QUANTITY_INVALID', 'quantity', 'the quantity is no finite number above 0');
  }
  const settings = settingsFor(stop.settings, given, FLIP_NAMES, side, entryPrice, about, stop);
  if ('accepted' in settings) return settings;
  const flipped = pendingStop({
    id: stop.id,
    symbol: stop.symbol,
    manager: stop.manager,
    side,
    entryPrice,
    settings,
    ...(quantity === undefined ? {} : { quantity }),
    ...(stop.context === undefined ? {} : { context: stop.context }),
    ...(stop.cursor === undefined ? {} : { cursor: stop.cursor }),
  });
  return begun(flipped, sideFlipEvent(stop, flipped));
}

/** Takes the stop away. */
export function removeStop(stop: TrailingStop, reason?: string): StopChange {
  const said = typeof reason === 'string' && reason !== '' ? reason : undefined;
  return { accepted: true, code: 'OK', events: [removeEvent(stop, said)] };
}

/** A stop whose activation price is its entry price is active at once. */
function begun(stop: TrailingStop, first: CatalogEvent): StopChange {
  if (stop.activationPrice !== stop.entryPrice) return { accepted: true, code: 'OK', stop, events: [first] };
  const after = activated(stop);
  const activation = activateEvent(stop, after, { price: stop.entryPrice });
  return { accepted: true, code: 'OK', stop: after, events: [first, activation] };
}

function settingsFor(
  base: TrailingStopSettings,
  given: Partial<Record<string, unknown>>,
  others: ReadonlySet<string>,
  side: StopSide,
  entryPrice: number,
  about: Omit<RefusedInput, 'code' | 'reason'>,
  stop?: TrailingStop,
): TrailingStopSettings | StopChange {
  let settings: TrailingStopSettings;
  try {
    const own = Object.fromEntries(Object.entries(given).filter(([name]) => !others.has(name)));
    settings = resolveSettings('', base, own);
  } catch (error) {
    if (!isRiskTrailError(error)) throw error;
    const { field, received } = error.details;
    return refuseChange(
      'TRAILING_STOP_OPTION_INVALID',
      error.message,
      { ...about, field: String(field), ...(received === undefined ? {} : { value: String(received) }) },
      stop,
    );
  }
  const start = pendingStop({ id: '', symbol: '', manager: '', side, entryPrice, settings });
  const { hardStopPrice, activationPrice } = start;
  if (hardStopPrice !== undefined && !isBetter(side, entryPrice, hardStopPrice)) {
    const field = 'hardStopPrice';
    const reason = `the hard stop of a ${side} position stands ${side === 'long' ? 'below' : 'above'} its entry price`;
    return refuseChange(
      'TRAILING_STOP_HARD_STOP_WRONG_SIDE',
      reason,
      { ...about, field, value: describeValue(hardStopPrice) },
      stop,
    );
  }
  if (!isPrice(activationPrice)) {
    const field = settings.activationDistance === undefined ? 'activationPct' : 'activationDistance';
    return refuseChange(
      'TRAILING_STOP_ACTIVATION_UNREACHABLE',
      'no price can come that far',
      { ...about, field, value: describeValue(settings[field]) },
      stop,
    );
  }
  return settings;
}

const fieldsOf = (input: unknown): Partial<Record<string, unknown>> =>
  typeof input === 'object' && input !== null ? (input as Partial<Record<string, unknown>>) : {};
const isName = (value: unknown): value is string => typeof value === 'string' && value !== '';
const isSide = (value: unknown): value is StopSide => value === 'long' || value === 'short';
const isQuantity = (value: unknown): value is number =>
  typeof value === 'number' && value > 0 && Number.isFinite(value);
