/** One trailing stop: its state, and its levels. Levels are exact in decimals: see `../decimal.ts`. */
import { changedByPercent, difference, product, sum } from '../decimal.ts';
import type { BarPoint } from './bar.ts';
import type { TrailingStopSettings } from './settings.ts';

/** Side of the position that a stop guards. */
export type StopSide = 'long' | 'short';

/**
 * - `pending`: the price has not yet moved far enough; only a hard stop can fire
 * - `active`: it trails
 * - `triggered`: it has fired; later prices change nothing
 */
export type StopStatus = 'pending' | 'active' | 'triggered';

/** Whose stop it is: carried by each of its events, so that a journey can be filtered whatever context the ticks come in. */
export interface StopContext {
  readonly executionId?: string;
  readonly accountId?: string;
  readonly strategyId?: string;
  readonly positionId?: string;
  readonly venue?: string;
}

/** How a stop fired. */
export interface StopTrigger {
  /** Which level fired; where both were passed at once, the tighter one. */
  readonly kind: 'trailing' | 'hard';
  readonly level: number;
  /** Observed price. */
  readonly price: number;
  /** How far the observed price was beyond the level, ≥ 0. */
  readonly gap: number;
  /** In a bar: the point at which it fired. */
  readonly barPoint?: BarPoint;
}

/** The last price that counted, so that a repeated or late one is known. Not a decision's basis otherwise. */
export interface FeedCursor {
  readonly sequence?: number;
  /** Connection that `sequence` counts within. */
  readonly feed?: string;
  /** Whole milliseconds since the epoch. */
  readonly timeMs?: number;
  /** Absent after a bar. */
  readonly price?: number;
}

/** The state of one stop. Plain, frozen, JSON-serialisable: written by snapshots, rebuilt by the fold. */
export interface TrailingStop {
  readonly id: string;
  readonly symbol: string;
  /** The set of stops that it belongs to. */
  readonly manager: string;
  readonly side: StopSide;
  readonly entryPrice: number;
  /** Quantity that it guards, > 0; absent where the caller never said. */
  readonly quantity?: number;
  readonly status: StopStatus;
  readonly settings: TrailingStopSettings;
  /** Price from which it trails. */
  readonly activationPrice: number;
  /** Best price since entry: highest for long, lowest for short. */
  readonly peakPrice: number;
  /** Trailing level; absent before activation. May be 0 or below where the distance is that wide. */
  readonly stopPrice?: number;
  readonly hardStopPrice?: number;
  readonly trigger?: StopTrigger;
  readonly context?: StopContext;
  readonly cursor?: FeedCursor;
}

/** What all stops of one or more sets come to: what a snapshot holds. */
export interface TrailingStopsState {
  readonly stops: readonly TrailingStop[];
}

/** The other side. */
export const opposite = (side: StopSide): StopSide => (side === 'long' ? 'short' : 'long');

/** Whether price `a` is better for the position than `b`. */
export const isBetter = (side: StopSide, a: number, b: number): boolean => (side === 'long' ? a > b : a < b);

/** `price` moved by `distance` against (negative: in favour of) the position. */
const against = (side: StopSide, price: number, distance: number): number =>
  side === 'long' ? difference(price, distance) : sum(price, distance);

const againstPct = (side: StopSide, price: number, percent: number): number =>
  changedByPercent(price, side === 'long' ? -percent : percent);

/** The trailing level that belongs to a best price: seeds' and freqtrade's `peak × (1 − pct / 100)` for long. */
export function trailingLevel(settings: TrailingStopSettings, side: StopSide, peak: number): number {
  if (settings.trailingPct !== undefined) return againstPct(side, peak, settings.trailingPct);
  if (settings.trailingPrice !== undefined) return against(side, peak, settings.trailingPrice);
  return against(side, peak, product(settings.trailingTicks!, settings.tickSize!));
}

/** The price from which a stop trails. */
export function activationPriceOf(settings: TrailingStopSettings, side: StopSide, entryPrice: number): number {
  return settings.activationDistance !== undefined
    ? against(side, entryPrice, -settings.activationDistance)
    : againstPct(side, entryPrice, -(settings.activationPct ?? 0));
}

/** The fixed level, where the settings have one. */
export function hardStopPriceOf(
  settings: TrailingStopSettings,
  side: StopSide,
  entryPrice: number,
): number | undefined {
  return settings.hardStopPct !== undefined
    ? againstPct(side, entryPrice, settings.hardStopPct)
    : settings.hardStopPrice;
}

/** The level that would fire first: the tighter of the trailing and the hard one, where there is any. */
export function levelInForce(stop: TrailingStop): number | undefined {
  const { stopPrice, hardStopPrice } = stop;
  if (stopPrice === undefined) return hardStopPrice;
  if (hardStopPrice === undefined) return stopPrice;
  return isBetter(stop.side, hardStopPrice, stopPrice) ? hardStopPrice : stopPrice;
}

/** A pending stop as it is right after it was added or flipped. */
export function pendingStop(
  stop: Pick<TrailingStop, 'id' | 'symbol' | 'manager' | 'side' | 'entryPrice' | 'settings'> &
    Partial<Pick<TrailingStop, 'quantity' | 'context' | 'cursor'>>,
): TrailingStop {
  const hardStopPrice = hardStopPriceOf(stop.settings, stop.side, stop.entryPrice);
  return Object.freeze({
    id: stop.id,
    symbol: stop.symbol,
    manager: stop.manager,
    side: stop.side,
    entryPrice: stop.entryPrice,
    ...(stop.quantity === undefined ? {} : { quantity: stop.quantity }),
    status: 'pending',
    settings: stop.settings,
    activationPrice: activationPriceOf(stop.settings, stop.side, stop.entryPrice),
    peakPrice: stop.entryPrice,
    ...(hardStopPrice === undefined ? {} : { hardStopPrice }),
    ...(stop.context === undefined ? {} : { context: stop.context }),
    ...(stop.cursor === undefined ? {} : { cursor: stop.cursor }),
  } satisfies TrailingStop);
}
