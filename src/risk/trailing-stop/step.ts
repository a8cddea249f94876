/**
 * What a price does to one stop: `(stop, input, now) → {stop, decision, events}`.
 *
 * The order within one price:
 * 1. Does it reach a level that stood before it? Then the stop triggers, and the price changes nothing else.
 * 2. Is it the best price so far? Then it is the new peak.
 * 3. Has it come to the activation price? Then the stop is active, its first level taken from the new peak.
 * 4. Is it active already, and is the level that belongs to the peak better by the minimum step? Then the level ratchets.
 * So a price never triggers the level that it has itself brought about, and each price leaves at most one event.
 */
import type { CatalogEvent } from '../../catalog/events.ts';
import { describeValue } from '../../core/errors.ts';
import { difference } from '../decimal.ts';
import { type Bar, type BarPath, type BarPoint, isBarPath, pointsOf, wrongBarField } from './bar.ts';
import { activateEvent, invalidInputEvent, type PriceSource, peakEvent, triggerEvent, updateEvent } from './events.ts';
import { type FeedCode, type PriceStamp, placeInFeed } from './feed.ts';
import { isPrice } from './price.ts';
import { type FeedCursor, isBetter, levelInForce, type TrailingStop, trailingLevel } from './stop.ts';

export type StopAction = 'HOLD' | 'ACTIVATE' | 'UPDATE' | 'TRIGGER' | 'IGNORED';

/** Codes of what a price brought about. */
export type StopCode =
  | 'TRAILING_STOP_HOLD'
  | 'TRAILING_STOP_ACTIVATED'
  | 'TRAILING_STOP_UPDATED'
  | 'TRAILING_STOP_TRIGGERED'
  | 'TRAILING_STOP_HARD_TRIGGERED'
  | 'TRAILING_STOP_ALREADY_TRIGGERED'
  | 'TRAILING_STOP_PRICE_INVALID'
  | FeedCode
  | 'TRAILING_STOP_BAR_INVALID'
  | 'TRAILING_STOP_BAR_PATH_INVALID'
  | 'TRAILING_STOP_FAILED';

/** What a price brought about for one stop. */
export interface StopDecision {
  readonly id: string;
  readonly symbol: string;
  /** Of a bar: the strongest of its four prices, TRIGGER before ACTIVATE before UPDATE before HOLD. */
  readonly action: StopAction;
  readonly code: StopCode;
  /** The level in force: the tighter of the trailing and the hard one; of a trigger, the level that fired. */
  readonly stopPrice?: number;
  readonly peakPrice: number;
  /** Of a trigger: the observed price. */
  readonly price?: number;
  /** Of a trigger: how far the observed price was beyond the level, ≥ 0. */
  readonly gap?: number;
  readonly trigger?: 'trailing' | 'hard';
  /** Of a trigger in a bar: the point at which it fired. Only at `open` is the gap a fact; within the bar it is the most it can have been. */
  readonly barPoint?: BarPoint;
  /** Of an ignored input, in words. */
  readonly reason?: string;
}

export interface StopStep {
  readonly stop: TrailingStop;
  readonly decision: StopDecision;
  readonly events: readonly CatalogEvent[];
}

const NO_EVENTS: readonly CatalogEvent[] = Object.freeze([]);

/**
 * Takes one observed price.
 * @param now milliseconds since the epoch
 */
export function tickStop(stop: TrailingStop, price: number, stamp: PriceStamp, now: number): StopStep {
  if (stop.status === 'triggered') return ignoredAsTriggered(stop);
  if (!isPrice(price)) {
    return refuse(stop, 'TRAILING_STOP_PRICE_INVALID', 'price', price, 'the price is no finite number above 0');
  }
  const placed = placeInFeed(stop.cursor, stamp, price, now);
  if ('code' in placed) return refuse(stop, placed.code, placed.field, placed.value, placed.reason);
  const moved = applyPrice(withCursor(stop, placed.cursor), { price });
  return { ...moved, decision: decisionOf(moved) };
}

/** Takes the four prices of a bar in the declared order; a trigger ends it. A repeated bar is known by its sequence or time. */
export function barStop(stop: TrailingStop, bar: Bar, path: BarPath, stamp: PriceStamp, now: number): StopStep {
  if (stop.status === 'triggered') return ignoredAsTriggered(stop);
  if (!isBarPath(path)) {
    return refuse(
      stop,
      'TRAILING_STOP_BAR_PATH_INVALID',
      'path',
      path,
      "the path must be declared as 'OHLC' or 'OLHC'",
    );
  }
  const wrong = wrongBarField(bar);
  if (wrong !== undefined) {
    const value = typeof bar === 'object' && bar !== null ? bar[wrong] : bar;
    return refuse(
      stop,
      'TRAILING_STOP_BAR_INVALID',
      wrong,
      value,
      'the bar is not four prices with low and high outermost',
    );
  }
  const placed = placeInFeed(stop.cursor, stamp, undefined, now);
  if ('code' in placed) return refuse(stop, placed.code, placed.field, placed.value, placed.reason);

  const events: CatalogEvent[] = [];
  let strongest: Moved | undefined;
  let current = withCursor(stop, placed.cursor);
  for (const barPoint of pointsOf(path)) {
    const moved = applyPrice(current, { price: bar[barPoint], barPath: path, barPoint });
    current = moved.stop;
    events.push(...moved.events);
    if (strongest === undefined || RANK[moved.action] > RANK[strongest.action]) strongest = moved;
    if (moved.action === 'TRIGGER') break;
  }
  return { stop: current, decision: decisionOf({ stop: current, action: strongest!.action }), events };
}

const RANK = { HOLD: 0, UPDATE: 1, ACTIVATE: 2, TRIGGER: 3 } as const;

interface Moved {
  readonly stop: TrailingStop;
  readonly action: Exclude<StopAction, 'IGNORED'>;
}

function applyPrice(stop: TrailingStop, source: PriceSource): Moved & { readonly events: readonly CatalogEvent[] } {
  const { price } = source;
  const level = levelInForce(stop);
  if (level !== undefined && fires(stop, level, price)) {
    const after: TrailingStop = Object.freeze({
      ...stop,
      status: 'triggered',
      trigger: Object.freeze({
        kind: level === stop.stopPrice ? 'trailing' : 'hard',
        level,
        price,
        gap: stop.side === 'long' ? difference(level, price) : difference(price, level),
        ...(source.barPoint === undefined ? {} : { barPoint: source.barPoint }),
      }),
    });
    return { stop: after, action: 'TRIGGER', events: [triggerEvent(after, source)] };
  }
  if (!isBetter(stop.side, price, stop.peakPrice)) return { stop, action: 'HOLD', events: NO_EVENTS };

  const peaked: TrailingStop = Object.freeze({ ...stop, peakPrice: price });
  if (stop.status === 'pending') {
    if (isBetter(stop.side, stop.activationPrice, price)) {
      return { stop: peaked, action: 'HOLD', events: [peakEvent(stop, peaked, source)] };
    }
    const after = activated(peaked);
    return { stop: after, action: 'ACTIVATE', events: [activateEvent(stop, after, source)] };
  }
  const next = trailingLevel(stop.settings, stop.side, price);
  if (!ratchets(stop, next)) return { stop: peaked, action: 'HOLD', events: [peakEvent(stop, peaked, source)] };
  const after: TrailingStop = Object.freeze({ ...peaked, stopPrice: next });
  return { stop: after, action: 'UPDATE', events: [updateEvent(stop, after, source)] };
}

/** The stop with its first level, taken from its peak. */
export const activated = (stop: TrailingStop): TrailingStop =>
  Object.freeze({
    ...stop,
    status: 'active',
    stopPrice: trailingLevel(stop.settings, stop.side, stop.peakPrice),
  });

const fires = (stop: TrailingStop, level: number, price: number): boolean =>
  isBetter(stop.side, level, price) || (price === level && stop.settings.fires === 'touch');

/** The stop never loosens: only a better level by the minimum step or more takes the place of the old one. */
function ratchets(stop: TrailingStop, next: number): boolean {
  const level = stop.stopPrice!;
  if (!isBetter(stop.side, next, level)) return false;
  const { minimumStep } = stop.settings;
  return minimumStep === 0 || Math.abs(difference(next, level)) >= minimumStep;
}

const CODES = {
  HOLD: 'TRAILING_STOP_HOLD',
  ACTIVATE: 'TRAILING_STOP_ACTIVATED',
  UPDATE: 'TRAILING_STOP_UPDATED',
} as const;

function decisionOf({ stop, action }: Moved): StopDecision {
  const { id, symbol, peakPrice, trigger } = stop;
  if (action === 'TRIGGER') {
    return {
      id,
      symbol,
      action,
      code: trigger!.kind === 'hard' ? 'TRAILING_STOP_HARD_TRIGGERED' : 'TRAILING_STOP_TRIGGERED',
      stopPrice: trigger!.level,
      peakPrice,
      price: trigger!.price,
      gap: trigger!.gap,
      trigger: trigger!.kind,
      ...(trigger!.barPoint === undefined ? {} : { barPoint: trigger!.barPoint }),
    };
  }
  const level = levelInForce(stop);
  return level === undefined
    ? { id, symbol, action, code: CODES[action], peakPrice }
    : { id, symbol, action, code: CODES[action], stopPrice: level, peakPrice };
}

function ignored(stop: TrailingStop, code: StopCode, reason: string): StopDecision {
  const level = stop.trigger?.level ?? levelInForce(stop);
  return {
    id: stop.id,
    symbol: stop.symbol,
    action: 'IGNORED',
    code,
    ...(level === undefined ? {} : { stopPrice: level }),
    peakPrice: stop.peakPrice,
    reason,
  };
}

/** No bad input, so not recorded: prices go on coming while the exit is under way. */
const ignoredAsTriggered = (stop: TrailingStop): StopStep => ({
  stop,
  decision: ignored(stop, 'TRAILING_STOP_ALREADY_TRIGGERED', 'the stop has fired before'),
  events: NO_EVENTS,
});

/** Our own failure at one stop: the others' prices must be taken all the same. */
export const failedStep = (stop: TrailingStop): StopStep => ({
  stop,
  decision: ignored(stop, 'TRAILING_STOP_FAILED', 'the price could not be taken; the failure was reported'),
  events: NO_EVENTS,
});

function refuse(stop: TrailingStop, code: StopCode, field: string, value: unknown, reason: string): StopStep {
  const refused = { code, id: stop.id, symbol: stop.symbol, field, value: describeValue(value), reason };
  return { stop, decision: ignored(stop, code, reason), events: [invalidInputEvent(refused, stop)] };
}

const withCursor = (stop: TrailingStop, cursor: FeedCursor | undefined): TrailingStop =>
  cursor === stop.cursor || cursor === undefined ? stop : Object.freeze({ ...stop, cursor });
