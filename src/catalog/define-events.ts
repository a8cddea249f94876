/** A service's own family of events, with the same checks as the built-in ones. */

import { describeValue, RiskTrailError } from '../core/errors.ts';
import { nearest } from '../core/options.ts';
import { ATTRIBUTES, type AttributeName, type CommonAttributeName } from './attributes.ts';
import {
  type AttributeDefinition,
  type AttributesOf,
  type AttributeTable,
  CATEGORIES,
  type Category,
  type EventClass,
  type EventDefinition,
  type EventTable,
  SEVERITY_NUMBERS,
  type Severity,
} from './define.ts';
import { EVENTS, type EventAttributes, type EventName, type STREAM_EVENTS } from './events.ts';

/** How an own event is described; what is left out is the default. */
export interface OwnEvent<A extends string = string> {
  readonly brief: string;
  readonly required?: readonly A[];
  readonly optional?: readonly A[];
  /** @default the brief */
  readonly message?: string;
  /** @default 'INFO' */
  readonly severity?: Severity;
  /** @default 'audit' */
  readonly class?: EventClass;
  /** @default ['system'] */
  readonly category?: readonly Category[];
  /** @default the name's first part */
  readonly component?: string;
}

/** A family as {@link defineEvents} returns it, for the option `events` of `startRiskTrail`. */
export interface EventFamily<
  A extends AttributeTable = AttributeTable,
  E extends Record<string, OwnEvent> = Record<string, OwnEvent>,
> {
  readonly attributes: A;
  readonly events: EventTable;
  /** Types only: the events as they were written. */
  readonly written?: E;
}

/** No events of one's own. */
export type NoFamily = EventFamily<Record<never, never>, Record<never, never>>;

/** Names that `trail.emit` takes, given the family `F`. */
export type EmittableName<F extends EventFamily> = Exclude<EventName, (typeof STREAM_EVENTS)[number]> | OwnName<F>;
type OwnName<F extends EventFamily> = F extends EventFamily<AttributeTable, infer E> ? keyof E & string : never;

type Filled<O extends OwnEvent> = EventDefinition & {
  readonly required: O['required'] extends readonly string[] ? O['required'] : readonly [];
  readonly optional: O['optional'] extends readonly string[] ? O['optional'] : readonly [];
};

/** Attributes that `trail.emit(name, …)` takes, given the family `F`. */
export type EmittableAttributes<F extends EventFamily, N extends string> = N extends EventName
  ? EventAttributes<N>
  : F extends EventFamily<infer A, infer E>
    ? N extends keyof E
      ? AttributesOf<typeof ATTRIBUTES & A, Filled<E[N]>, CommonAttributeName>
      : never
    : never;

const NAME = /^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$/;

function invalid(field: string, expected: string, received: unknown): RiskTrailError {
  return new RiskTrailError('OPTION_INVALID', { field, expected, received: describeValue(received) });
}

/** Refuses what is no object of these keys: a misspelt key would otherwise be a default in silence. */
function checkKeys(field: string, given: unknown, keys: readonly string[]): void {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw invalid(field, 'an object', given);
  for (const key of Object.keys(given)) {
    if (!keys.includes(key))
      throw new RiskTrailError('OPTION_UNKNOWN', { field: `${field}.${key}`, hint: nearest(key, keys) });
  }
}

const FAMILY_KEYS = ['attributes', 'events'];
const EVENT_KEYS = ['brief', 'required', 'optional', 'message', 'severity', 'class', 'category', 'component'];
const CLASSES: readonly unknown[] = ['audit', 'telemetry'] satisfies EventClass[];

/**
 * Describes events of the service's own.
 * @example
 * const events = defineEvents({
 *   attributes: { 'acme.score': { type: 'number', brief: 'Score of the rebalancing.' } },
 *   events: { 'acme.rebalanced': { brief: 'The book was rebalanced.', required: ['acme.score'] } },
 * });
 * const trail = await startRiskTrail({ serviceName: 'acme', events });
 * trail.emit('acme.rebalanced', { 'acme.score': 0.8 });
 * @throws RiskTrailError OPTION_INVALID, OPTION_UNKNOWN: a name that is malformed or taken, an attribute that nobody defined
 */
export function defineEvents<
  const A extends Record<string, AttributeDefinition> = Record<never, never>,
  const E extends Record<string, OwnEvent<AttributeName | (keyof A & string)>> = Record<never, never>,
>(family: { readonly attributes?: A; readonly events: E }): EventFamily<A, E> {
  checkKeys('defineEvents', family, FAMILY_KEYS);
  if (typeof family.events !== 'object' || family.events === null) throw invalid('events', 'an object', family.events);
  const attributes: AttributeTable = family.attributes ?? {};
  for (const [name, definition] of Object.entries(attributes)) {
    if (!NAME.test(name)) throw invalid(`attributes["${name}"]`, 'a dotted name in snake_case', name);
    if (Object.hasOwn(ATTRIBUTES, name))
      throw invalid(`attributes["${name}"]`, 'a name that the catalogue has not', name);
    const types = ['string', 'boolean', 'number', 'int', 'decimal', 'strings', 'numbers', 'map'];
    if (!types.includes(definition?.type)) {
      throw invalid(`attributes["${name}"].type`, `one of ${types.join(', ')}`, definition?.type);
    }
  }
  const known = new Set([...Object.keys(ATTRIBUTES), ...Object.keys(attributes)]);
  const events: Record<string, EventDefinition> = {};
  for (const [name, own] of Object.entries<OwnEvent>(family.events)) {
    const field = `events["${name}"]`;
    if (!NAME.test(name)) throw invalid(field, 'a dotted name in snake_case', name);
    if (Object.hasOwn(EVENTS, name) || name.startsWith('audit.'))
      throw invalid(field, 'a name that is not taken', name);
    checkKeys(field, own, EVENT_KEYS);
    if (own.class !== undefined && !CLASSES.includes(own.class)) {
      throw invalid(`${field}.class`, `one of ${CLASSES.join(', ')}`, own.class);
    }
    if (typeof own.brief !== 'string') throw invalid(`${field}.brief`, 'a sentence', own?.brief);
    for (const attribute of [...(own.required ?? []), ...(own.optional ?? [])]) {
      if (!known.has(attribute))
        throw new RiskTrailError('OPTION_UNKNOWN', {
          field: `${field}: attribute ${attribute}`,
          hint: nearest(attribute, known),
        });
    }
    if (own.severity !== undefined && !Object.hasOwn(SEVERITY_NUMBERS, own.severity)) {
      throw invalid(`${field}.severity`, `one of ${Object.keys(SEVERITY_NUMBERS).join(', ')}`, own.severity);
    }
    for (const category of own.category ?? []) {
      if (!CATEGORIES.includes(category)) throw invalid(`${field}.category`, `of ${CATEGORIES.join(', ')}`, category);
    }
    events[name] = Object.freeze({
      component: own.component ?? name.slice(0, name.indexOf('.')),
      category: own.category ?? (['system'] as const),
      class: own.class ?? 'audit',
      severity: own.severity ?? 'INFO',
      required: own.required ?? [],
      optional: own.optional ?? [],
      brief: own.brief,
      message: own.message ?? own.brief.replace(/[[\]{}]/g, ''),
    });
  }
  return Object.freeze({ attributes: Object.freeze({ ...attributes }) as unknown as A, events: Object.freeze(events) });
}
