/**
 * Rebuilds the stops from their recorded events. With the events of `recordInputs: 'changes'` the fold equals the live
 * state but for the feed cursor, which is that of the last recorded price: prices after it changed nothing, and would
 * change nothing if they came again.
 */

import { isPrice } from './price.ts';
import {
  type FeedCursor,
  pendingStop,
  type StopContext,
  type StopSide,
  type StopTrigger,
  type TrailingStop,
  type TrailingStopsState,
} from './stop.ts';
import { isStopSettings, isTrailingStop } from './validate.ts';

/** An event as it stands in the trail. */
export interface RecordedRiskEvent {
  readonly name: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** Stops by id, as the fold goes on. */
export type FoldedStops = Map<string, TrailingStop>;

/** The state that events leave, from the first on. Events that are no stops' are passed over, as are such that do not fit. */
export function foldTrailingStops(events: Iterable<RecordedRiskEvent>): TrailingStopsState {
  const stops: FoldedStops = new Map();
  for (const event of events) applyStopEvent(stops, event);
  return { stops: [...stops.values()] };
}

/** Takes one event into `stops`. */
export function applyStopEvent(stops: FoldedStops, event: RecordedRiskEvent): void {
  if (!event.name.startsWith(PREFIX)) return;
  const kind = event.name.slice(PREFIX.length);
  if (kind === 'snapshot') takeSnapshot(stops, event.attributes['risk.snapshot']);
  const id = event.attributes[`${PREFIX}id`];
  if (typeof id !== 'string') return;
  const next = nextStop(kind, id, stops.get(id), event.attributes);
  // A re-entry stands at the end, as it does in the live list.
  if (kind === 'remove' || (kind === 'add' && next !== undefined)) stops.delete(id);
  put(stops, next);
}

const PREFIX = 'risk.trailing_stop.';

/** The stop after the event; undefined where the event changes none. */
function nextStop(
  kind: string,
  id: string,
  stop: TrailingStop | undefined,
  attributes: Attributes,
): TrailingStop | undefined {
  if (kind === 'add') return begunStop({ id, ...addedFields(attributes) }, attributes);
  if (stop === undefined) return undefined;
  const number = (name: string) => attributes[PREFIX + name] as number;
  const cursor = cursorOf(stop, attributes);
  switch (kind) {
    case 'activate':
      return {
        ...stop,
        status: 'active',
        peakPrice: number('peak_price'),
        stopPrice: number('stop_price'),
        ...cursor,
      };
    case 'peak':
      return { ...stop, peakPrice: number('peak_price'), ...cursor };
    case 'update':
      return { ...stop, peakPrice: number('peak_price'), stopPrice: number('stop_price'), ...cursor };
    case 'trigger':
      return { ...stop, status: 'triggered', trigger: triggerOf(attributes), ...cursor };
    case 'partial_close':
      return { ...stop, quantity: number('quantity') };
    case 'side_flip':
      return begunStop(stop, attributes);
    default:
      return undefined;
  }
}

/** An event that does not give a whole stop (written by something else, or of another version) changes nothing. */
function put(stops: FoldedStops, stop: TrailingStop | undefined): void {
  if (!isTrailingStop(stop)) return;
  stops.set(stop.id, Object.freeze(stop));
}

/** A snapshot puts in what it lists and takes nothing away: there may be one for each set of stops. */
function takeSnapshot(stops: FoldedStops, snapshot: unknown): void {
  const list = (snapshot as { stops?: unknown } | undefined)?.stops;
  if (!Array.isArray(list)) return;
  for (const stop of list) {
    if (!isTrailingStop(stop)) continue;
    Object.freeze(stop.settings);
    stops.set(stop.id, Object.freeze(stop));
  }
}

type Attributes = RecordedRiskEvent['attributes'];

function addedFields(attributes: Attributes): Pick<TrailingStop, 'symbol' | 'manager' | 'context'> {
  const context = contextOf(attributes);
  return {
    symbol: attributes['trading.symbol'] as string,
    manager: attributes[`${PREFIX}manager`] as string,
    ...(context === undefined ? {} : { context }),
  };
}

/** A stop at its beginning, after it was added or flipped. */
function begunStop(
  of: Pick<TrailingStop, 'id' | 'symbol' | 'manager' | 'context' | 'cursor'>,
  attributes: Attributes,
): TrailingStop | undefined {
  const settings = attributes[`${PREFIX}config`];
  const entryPrice = attributes[`${PREFIX}entry_price`];
  const quantity = attributes[`${PREFIX}quantity`] as number | undefined;
  if (!isStopSettings(settings) || !isPrice(entryPrice)) return undefined;
  return pendingStop({
    id: of.id,
    symbol: of.symbol,
    manager: of.manager,
    side: attributes[`${PREFIX}side`] as StopSide,
    entryPrice,
    settings: Object.freeze({ ...settings }),
    ...(quantity === undefined ? {} : { quantity }),
    ...(of.context === undefined ? {} : { context: of.context }),
    ...(of.cursor === undefined ? {} : { cursor: of.cursor }),
  });
}

function triggerOf(attributes: Attributes): StopTrigger {
  const barPoint = attributes[`${PREFIX}bar_point`] as StopTrigger['barPoint'];
  return Object.freeze({
    kind: attributes[`${PREFIX}trigger`] as StopTrigger['kind'],
    level: attributes[`${PREFIX}stop_price`] as number,
    price: attributes[`${PREFIX}current_price`] as number,
    gap: attributes[`${PREFIX}gap`] as number,
    ...(barPoint === undefined ? {} : { barPoint }),
  });
}

/** The stop's own context; what surrounded the call is no part of it. */
function contextOf(attributes: Attributes): StopContext | undefined {
  const given = attributes[`${PREFIX}context`];
  if (typeof given !== 'object' || given === null || Object.keys(given).length === 0) return undefined;
  return Object.freeze({ ...given });
}

function cursorOf(stop: TrailingStop, attributes: Attributes): { cursor?: FeedCursor } {
  const time = attributes['trading.price.time'];
  const sequence = attributes['trading.price.sequence'] as number | undefined;
  const feed = attributes['trading.price.feed'] as string | undefined;
  if (time === undefined && sequence === undefined) return stop.cursor === undefined ? {} : { cursor: stop.cursor };
  const price = attributes[`${PREFIX}bar_path`] === undefined ? attributes[`${PREFIX}current_price`] : undefined;
  return {
    cursor: Object.freeze({
      ...(sequence === undefined ? {} : { sequence }),
      ...(feed === undefined ? {} : { feed }),
      ...(typeof time === 'string' ? { timeMs: Date.parse(time) } : {}),
      ...(price === undefined ? {} : { price: price as number }),
    }),
  };
}
