/** The events of a stop's journey, from its state before and after. */
import { type CatalogEvent, catalogEvent, type EventAttributes } from '../../catalog/events.ts';
import { type Bar, type BarPath, type BarPoint, isBarPath, wrongBarField } from './bar.ts';
import type { PriceStamp } from './feed.ts';
import { isPrice } from './price.ts';
import { levelInForce, type TrailingStop, type TrailingStopsState } from './stop.ts';

/** What a price event came from. */
export interface PriceSource {
  readonly price: number;
  readonly barPath?: BarPath;
  readonly barPoint?: BarPoint;
}

/** Identity and context, on every event of the stop. */
function identity(stop: TrailingStop) {
  const context = stop.context;
  return {
    'risk.trailing_stop.id': stop.id,
    'trading.symbol': stop.symbol,
    'risk.trailing_stop.side': stop.side,
    ...(context?.executionId === undefined ? {} : { 'trading.execution.id': context.executionId }),
    ...(context?.accountId === undefined ? {} : { 'trading.account.id': context.accountId }),
    ...(context?.strategyId === undefined ? {} : { 'trading.strategy.id': context.strategyId }),
    ...(context?.positionId === undefined ? {} : { 'trading.position.id': context.positionId }),
    ...(context?.venue === undefined ? {} : { 'trading.venue': context.venue }),
  };
}

function levels(stop: TrailingStop) {
  return {
    'risk.trailing_stop.entry_price': stop.entryPrice,
    'risk.trailing_stop.peak_price': stop.peakPrice,
    ...(stop.stopPrice === undefined ? {} : { 'risk.trailing_stop.stop_price': stop.stopPrice }),
    ...(stop.hardStopPrice === undefined ? {} : { 'risk.trailing_stop.hard_stop_price': stop.hardStopPrice }),
    ...(stop.quantity === undefined ? {} : { 'risk.trailing_stop.quantity': stop.quantity }),
  };
}

/** The observed price and what is known of it. */
function observed(stop: TrailingStop, source: PriceSource) {
  const cursor = stop.cursor;
  return {
    'risk.trailing_stop.current_price': source.price,
    ...(source.barPath === undefined ? {} : { 'risk.trailing_stop.bar_path': source.barPath }),
    ...(source.barPoint === undefined ? {} : { 'risk.trailing_stop.bar_point': source.barPoint }),
    ...(stop.settings.priceSource === undefined ? {} : { 'trading.price.source': stop.settings.priceSource }),
    ...(cursor?.timeMs === undefined ? {} : { 'trading.price.time': new Date(cursor.timeMs).toISOString() }),
    ...(cursor?.sequence === undefined ? {} : { 'trading.price.sequence': cursor.sequence }),
    ...(cursor?.feed === undefined ? {} : { 'trading.price.feed': cursor.feed }),
  };
}

export const addEvent = (stop: TrailingStop): CatalogEvent =>
  catalogEvent('risk.trailing_stop.add', {
    ...identity(stop),
    ...levels(stop),
    'risk.trailing_stop.entry_price': stop.entryPrice,
    'risk.trailing_stop.activation_price': stop.activationPrice,
    'risk.trailing_stop.manager': stop.manager,
    'risk.trailing_stop.config': { ...stop.settings },
    ...(stop.settings.priceSource === undefined ? {} : { 'trading.price.source': stop.settings.priceSource }),
    // What of the attributes above is the stop's own: those that it leaves out are filled from the context around the call.
    'risk.trailing_stop.context': { ...stop.context },
    'risk.schema.version': 2,
  });

export const activateEvent = (before: TrailingStop, after: TrailingStop, source: PriceSource): CatalogEvent =>
  catalogEvent('risk.trailing_stop.activate', {
    ...identity(after),
    ...levels(after),
    ...observed(after, source),
    'risk.trailing_stop.stop_price': after.stopPrice!,
    'risk.trailing_stop.previous_peak_price': before.peakPrice,
    'risk.trailing_stop.activation_price': after.activationPrice,
    'risk.trailing_stop.action': 'ACTIVATE',
  });

export const updateEvent = (before: TrailingStop, after: TrailingStop, source: PriceSource): CatalogEvent =>
  catalogEvent('risk.trailing_stop.update', {
    ...identity(after),
    ...levels(after),
    ...observed(after, source),
    'risk.trailing_stop.stop_price': after.stopPrice!,
    'risk.trailing_stop.previous_stop_price': before.stopPrice!,
    'risk.trailing_stop.previous_peak_price': before.peakPrice,
    'risk.trailing_stop.action': 'UPDATE',
  });

export const peakEvent = (before: TrailingStop, after: TrailingStop, source: PriceSource): CatalogEvent =>
  catalogEvent('risk.trailing_stop.peak', {
    ...identity(after),
    ...levels(after),
    ...observed(after, source),
    'risk.trailing_stop.peak_price': after.peakPrice,
    'risk.trailing_stop.previous_peak_price': before.peakPrice,
    'risk.trailing_stop.action': 'HOLD',
  });

/** `stop_price` is the level that fired; the trailing level, where the hard one fired, is `previous_stop_price`. */
export function triggerEvent(after: TrailingStop, source: PriceSource): CatalogEvent {
  const trigger = after.trigger!;
  return catalogEvent('risk.trailing_stop.trigger', {
    ...identity(after),
    ...levels(after),
    ...observed(after, source),
    'risk.trailing_stop.stop_price': trigger.level,
    ...(trigger.kind === 'hard' && after.stopPrice !== undefined
      ? { 'risk.trailing_stop.previous_stop_price': after.stopPrice }
      : {}),
    'risk.trailing_stop.current_price': trigger.price,
    'risk.trailing_stop.gap': trigger.gap,
    'risk.trailing_stop.trigger': trigger.kind,
    'risk.trailing_stop.action': 'TRIGGER',
    'risk.reason.code': trigger.kind === 'hard' ? 'TRAILING_STOP_HARD_TRIGGERED' : 'TRAILING_STOP_TRIGGERED',
  });
}

export const partialCloseEvent = (before: TrailingStop, quantity: number): CatalogEvent =>
  catalogEvent('risk.trailing_stop.partial_close', {
    ...identity(before),
    ...levels(before),
    'risk.trailing_stop.quantity': quantity,
    'risk.trailing_stop.previous_quantity': before.quantity!,
  });

export const sideFlipEvent = (before: TrailingStop, after: TrailingStop): CatalogEvent =>
  catalogEvent('risk.trailing_stop.side_flip', {
    ...identity(after),
    ...levels(after),
    'risk.trailing_stop.side': after.side,
    'risk.trailing_stop.entry_price': after.entryPrice,
    'risk.trailing_stop.activation_price': after.activationPrice,
    'risk.trailing_stop.config': { ...after.settings },
    'risk.trailing_stop.previous_peak_price': before.peakPrice,
    ...(before.stopPrice === undefined ? {} : { 'risk.trailing_stop.previous_stop_price': before.stopPrice }),
    ...(before.quantity === undefined ? {} : { 'risk.trailing_stop.previous_quantity': before.quantity }),
  });

export const removeEvent = (stop: TrailingStop, reason: string | undefined): CatalogEvent =>
  catalogEvent('risk.trailing_stop.remove', {
    ...identity(stop),
    ...levels(stop),
    ...(reason === undefined ? {} : { 'risk.reason': reason }),
  });

/** What is known of a refused input. */
export interface RefusedInput {
  readonly code: string;
  readonly id?: string;
  readonly symbol?: string;
  /** The input that was bad. */
  readonly field?: string;
  /** What it was, as text. */
  readonly value?: string;
  readonly reason?: string;
}

export const invalidInputEvent = (input: RefusedInput, stop?: TrailingStop): CatalogEvent =>
  catalogEvent('risk.trailing_stop.invalid_input', {
    ...(stop === undefined ? {} : contextOnly(stop)),
    ...(input.id === undefined ? {} : { 'risk.trailing_stop.id': input.id }),
    ...(input.symbol === undefined ? {} : { 'trading.symbol': input.symbol }),
    ...(input.field === undefined ? {} : { 'risk.trailing_stop.field': input.field }),
    ...(input.value === undefined ? {} : { 'risk.trailing_stop.value': input.value }),
    ...(input.reason === undefined ? {} : { 'risk.reason': input.reason }),
    'risk.reason.code': input.code,
  });

function contextOnly(stop: TrailingStop) {
  const { 'risk.trailing_stop.side': _side, ...rest } = identity(stop);
  return rest;
}

export function restoredEvent(
  stop: TrailingStop,
  recordId: string | undefined,
  ageMs: number | undefined,
  further: Partial<EventAttributes<'risk.trailing_stop.restored'>> = {},
): CatalogEvent {
  const level = levelInForce(stop);
  return catalogEvent('risk.trailing_stop.restored', {
    ...identity(stop),
    ...levels(stop),
    ...(level === undefined ? {} : { 'risk.trailing_stop.stop_price': level }),
    ...(recordId === undefined ? {} : { 'risk.restored.record_id': recordId }),
    ...(ageMs === undefined ? {} : { 'risk.restored.age_ms': ageMs }),
    ...further,
  });
}

export const snapshotEvent = (state: TrailingStopsState): CatalogEvent =>
  catalogEvent('risk.trailing_stop.snapshot', { 'risk.snapshot': { stops: state.stops } });

/** Whom an input is for: all stops on a symbol, or one stop, of one set. */
export interface InputTarget {
  readonly symbol: string;
  readonly stopId?: string;
  readonly manager: string;
}

const target = ({ symbol, stopId, manager }: InputTarget) => ({
  'trading.symbol': symbol,
  ...(stopId === undefined ? {} : { 'risk.trailing_stop.id': stopId }),
  'risk.trailing_stop.manager': manager,
});

/** What of a stamp can be written down. */
function stamped(stamp: PriceStamp) {
  const { timeMs, sequence, feed } = stamp;
  return {
    ...(typeof timeMs === 'number' && Math.abs(timeMs) <= 8.64e15
      ? { 'trading.price.time': new Date(timeMs).toISOString() }
      : {}),
    ...(Number.isSafeInteger(sequence) ? { 'trading.price.sequence': sequence } : {}),
    ...(typeof feed === 'string' ? { 'trading.price.feed': feed } : {}),
  };
}

/** An observed price as an input, whatever it brings about; undefined where it is no price. */
export const priceInputEvent = (to: InputTarget, price: number, stamp: PriceStamp): CatalogEvent | undefined =>
  isPrice(price)
    ? catalogEvent('market.price', { ...target(to), ...stamped(stamp), 'trading.price': price })
    : undefined;

/** A bar as an input, whatever it brings about; undefined where it is no bar. */
export function barInputEvent(to: InputTarget, bar: Bar, path: BarPath, stamp: PriceStamp): CatalogEvent | undefined {
  if (wrongBarField(bar) !== undefined || !isBarPath(path)) return undefined;
  return catalogEvent('market.candle_closed', {
    ...target(to),
    ...stamped(stamp),
    'trading.open': bar.open,
    'trading.high': bar.high,
    'trading.low': bar.low,
    'trading.close': bar.close,
    'risk.trailing_stop.bar_path': path,
  });
}
