/** Every event of the catalogue in one table, and the types of their attributes. */
import type { ATTRIBUTES, CommonAttributeName } from './attributes.ts';
import type { AttributesOf } from './define.ts';
import { OPERATIONS_EVENTS } from './events/operations.ts';
import { RISK_EVENTS } from './events/risk.ts';
import { TRADING_EVENTS } from './events/trading.ts';

export const EVENTS = { ...RISK_EVENTS, ...TRADING_EVENTS, ...OPERATIONS_EVENTS } as const;

/** Name of an event of the built-in catalogue. */
export type EventName = keyof typeof EVENTS;

/**
 * Events that say what became of a stream. Only its journal writes them: a verifier believes them, and one of anybody else's
 * would end or fork the stream in its eyes.
 */
export const STREAM_EVENTS = [
  'audit.stream_opened',
  'audit.stream_closed',
  'audit.checkpoint',
  'audit.recovered',
  'audit.segment_sealed',
  'audit.segment_pruned',
  'audit.degraded',
] as const satisfies readonly EventName[];

/** The attributes that event `N` takes. */
export type EventAttributes<N extends EventName> = AttributesOf<
  typeof ATTRIBUTES,
  (typeof EVENTS)[N],
  CommonAttributeName
>;

/** An event that is decided but not yet emitted: what the pure risk layers return. */
export type CatalogEvent = {
  [N in EventName]: { readonly name: N; readonly attributes: EventAttributes<N> };
}[EventName];

/** Types the pair, so that a wrong attribute does not compile. */
export function catalogEvent<N extends EventName>(name: N, attributes: EventAttributes<N>): CatalogEvent {
  return { name, attributes } as unknown as CatalogEvent;
}
