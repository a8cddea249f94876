/**
 * Events of older versions, brought to the form of today before they are folded. An event's attributes are of version
 * `risk.schema.version`; an event without it is of version 1. Where the meaning of an event's attributes changes, its version
 * is raised, its writer says so in that attribute, and a step from the version before stands in {@link UPCASTERS}.
 */
import type { RecordedEvent } from './recorded-event.ts';

/** Attribute with the version of an event's attributes; absent in version 1. */
export const SCHEMA_VERSION = 'risk.schema.version';

/** One step: the attributes of an event of version `from` as those of version `from + 1`. */
export interface Upcaster {
  readonly event: string;
  readonly from: number;
  upcast(attributes: RecordedEvent['attributes']): RecordedEvent['attributes'];
}

/** Every step there is. None yet: every event that was ever written is of version 1. */
export const UPCASTERS: readonly Upcaster[] = Object.freeze([]);

/**
 * The event in the form that the folds read.
 * @returns undefined where it was written by a newer version, whose meaning is not known here
 */
export function upcastEvent(
  event: RecordedEvent,
  upcasters: readonly Upcaster[] = UPCASTERS,
): RecordedEvent | undefined {
  const given = event.attributes[SCHEMA_VERSION];
  // Nearly every event: written by the version that reads it.
  if (given === undefined && upcasters.length === 0) return event;
  let version = given === undefined ? 1 : given;
  let { attributes } = event;
  const steps = upcasters.filter((one) => one.event === event.name);
  const newest = Math.max(1, ...steps.map((one) => one.from + 1));
  if (typeof version !== 'number' || !(version <= newest)) return undefined;
  for (; version < newest; version++) {
    const step = steps.find((one) => one.from === version);
    if (step === undefined) return undefined;
    attributes = step.upcast(attributes);
  }
  return attributes === event.attributes ? event : { ...event, attributes };
}
