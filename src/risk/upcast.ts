/**
 * Events of older versions, brought to the form of today before they are folded. An event's attributes are of version
 * `risk.schema.version`; an event without it is of version 1. Where the meaning of an event's attributes changes, its version
 * is raised, its writer says so in that attribute, and a step from the version before stands in {@link UPCASTERS}.
 *
 * The versions so far, of every event that is not listed 1:
 *
 * - `risk.trailing_stop.add` 2: the stop's own context stands in `risk.trailing_stop.context`. In version 1 it stood in the
 *   attributes `trading.account.id`, `trading.strategy.id` and so on alone, where the context of the work around the call
 *   stands too: which of them were the stop's cannot be told.
 */
import type { RecordedEvent } from './recorded-event.ts';

/** Attribute with the version of an event's attributes; absent in version 1. */
export const SCHEMA_VERSION = 'risk.schema.version';

/** Set by the step from version 1 of a stop's beginning: its context is the widest that it may have had. In no record. */
export const CONTEXT_ASSUMED = 'risk.trailing_stop.context_assumed';

/** One step: the attributes of an event of version `from` as those of version `from + 1`. */
export interface Upcaster {
  readonly event: string;
  readonly from: number;
  upcast(attributes: RecordedEvent['attributes']): RecordedEvent['attributes'];
}

const STOP_CONTEXT = {
  executionId: 'trading.execution.id',
  accountId: 'trading.account.id',
  strategyId: 'trading.strategy.id',
  positionId: 'trading.position.id',
  venue: 'trading.venue',
} as const;

const addedStop: Upcaster = Object.freeze({
  event: 'risk.trailing_stop.add',
  from: 1,
  upcast(attributes: RecordedEvent['attributes']): RecordedEvent['attributes'] {
    const context: Record<string, string> = {};
    for (const [name, attribute] of Object.entries(STOP_CONTEXT)) {
      const value = attributes[attribute];
      if (typeof value === 'string') context[name] = value;
    }
    return { ...attributes, 'risk.trailing_stop.context': context, [CONTEXT_ASSUMED]: true };
  },
});

/** Every step there is. */
export const UPCASTERS: readonly Upcaster[] = Object.freeze([addedStop]);

/** By event, by version; events that never changed are not in it. */
type Steps = ReadonlyMap<string, ReadonlyMap<number, Upcaster>>;

const STEPS = new WeakMap<readonly Upcaster[], Steps>();

/** A list's steps, sorted once. */
function stepsOf(upcasters: readonly Upcaster[]): Steps {
  const known = STEPS.get(upcasters);
  if (known !== undefined) return known;
  const steps = new Map<string, Map<number, Upcaster>>();
  for (const one of upcasters) {
    const ofEvent = steps.get(one.event) ?? new Map<number, Upcaster>();
    steps.set(one.event, ofEvent.set(one.from, one));
  }
  STEPS.set(upcasters, steps);
  return steps;
}

/**
 * The event in the form that the folds read.
 * @returns undefined where it was written by a newer version, whose meaning is not known here
 */
export function upcastEvent(
  event: RecordedEvent,
  upcasters: readonly Upcaster[] = UPCASTERS,
): RecordedEvent | undefined {
  const given = event.attributes[SCHEMA_VERSION];
  const steps = stepsOf(upcasters).get(event.name);
  // Nearly every event: it never had another version.
  if (given === undefined && steps === undefined) return event;
  let version = given === undefined ? 1 : given;
  const newest = Math.max(1, ...Array.from(steps?.keys() ?? [], (from) => from + 1));
  if (typeof version !== 'number' || !(version <= newest)) return undefined;
  let { attributes } = event;
  for (; version < newest; version++) {
    const step = steps?.get(version);
    if (step === undefined) return undefined;
    attributes = step.upcast(attributes);
  }
  return attributes === event.attributes ? event : { ...event, attributes };
}
