/**
 * The one flat shape of a record: what `risktrail events --json` prints, one object a line, and what recipes for jq rely on.
 * Its schema is `schema/event.json`, that of each event `schema/events/<event>.json`.
 *
 * The shape's own members come first and are always there, null where they don't apply. After them stands every attribute
 * of the record under its full catalogue name. The four attributes that make a record an audit record are the members
 * `stream`, `sequence`, `record_id` and `integrity`. No catalogue attribute has the name of a member; an attribute of
 * somebody else's that has stands as `attributes.<name>`.
 */

import type { AuditRecord } from '../audit/read/reader.ts';
import type { PlainValue } from '../audit/record/otlp.ts';
import { ATTRIBUTES } from '../catalog/attributes.ts';
import {
  type AttributeTable,
  CATEGORIES,
  type Category,
  type EventDefinition,
  severityName,
} from '../catalog/define.ts';
import { EVENTS } from '../catalog/events.ts';

/** The members of every flat record, in the order of printing. */
export interface FlatMembers {
  /** ISO 8601 in UTC, always with nine digits of the second: sorting as text is sorting by time. */
  readonly timestamp: string;
  /** Name of the event; null for a plain log line. */
  readonly event: string | null;
  /** Categories of the event; records of ERROR and above have `error` too. */
  readonly category: readonly string[];
  /** TRACE, DEBUG, INFO, WARN, ERROR or FATAL; '' where the record has none. */
  readonly severity: string;
  /** OpenTelemetry's severity number, 1 to 24; 0 where the record has none. */
  readonly severity_number: number;
  readonly body: string;
  /** What emitted it, such as circuit_breaker; null where that isn't known. */
  readonly component: string | null;
  /** `service.name` of the resource, else the service in the stream's name. */
  readonly service: string | null;
  /** `<service>/<stream UUID>`; null, like the next three, where the record is no audit record. */
  readonly stream: string | null;
  readonly sequence: number | null;
  readonly record_id: string | null;
  /** Base64 of the leaf hash. */
  readonly integrity: string | null;
  /** Lower-case hex; null where no span was active. */
  readonly trace_id: string | null;
  readonly span_id: string | null;
}

/** A record of the trail in the flat shape: the members, then every attribute by its full name. */
export type FlatRecord = FlatMembers & { readonly [attribute: string]: PlainValue | undefined };

/** Attribute → member that stands for it. */
export const MEMBER_OF_ATTRIBUTE: Readonly<Record<string, keyof FlatMembers>> = {
  'audit.stream': 'stream',
  'audit.sequence.number': 'sequence',
  'audit.record.id': 'record_id',
  'audit.integrity.value': 'integrity',
};

/** The members, in the order in which they are shown. */
export const FLAT_MEMBERS = [
  'timestamp',
  'event',
  'category',
  'severity',
  'severity_number',
  'body',
  'component',
  'service',
  'stream',
  'sequence',
  'record_id',
  'integrity',
  'trace_id',
  'span_id',
] as const satisfies readonly (keyof FlatMembers)[];

const MEMBERS: ReadonlySet<string> = new Set(FLAT_MEMBERS);

/** Every name by which the catalogue's attributes and the members are asked for. */
export const KNOWN_KEYS: readonly string[] = [...MEMBERS, ...Object.keys(ATTRIBUTES)];

/** Whether a key is a member, an attribute of the catalogue, or a path into one that is a map. */
export function isKnownKey(key: string): boolean {
  return KNOWN_KEYS.some(
    (name) => key === name || (key.startsWith(`${name}.`) && (ATTRIBUTES as AttributeTable)[name]?.type === 'map'),
  );
}

/** From this severity number on a record belongs to the category `error`, too. */
const ERROR_NUMBER = 17;
const NANOS = /^\d{1,20}$/;

/**
 * Nanoseconds since the epoch, a string of digits, as ISO 8601 in UTC with nine digits of the second. What is no such
 * string counts as 0.
 */
export function nanosToIso(nanos: string): string {
  const digits = NANOS.test(nanos) ? nanos.padStart(10, '0') : '0000000000';
  return `${isoSeconds(digits.slice(0, -9))}.${digits.slice(-9)}Z`;
}

let lastSeconds = '';
let lastIso = '';

/** Neighbours mostly share their second. */
function isoSeconds(seconds: string): string {
  if (seconds !== lastSeconds) {
    lastIso = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
    lastSeconds = seconds;
  }
  return lastIso;
}

/** A record in the flat shape. Takes everything: telling what is wrong with a record is the verifier's work. */
export function toFlatRecord(record: AuditRecord): FlatRecord {
  const { attributes } = record;
  const event = record.eventName || null;
  const definition = event === null ? undefined : definitionOf(event);
  const component = attributes['risk.component'];
  const service = record.resource['service.name'];
  const flat: Record<string, PlainValue> = {
    timestamp: nanosToIso(record.time),
    event,
    category: categoriesOf(event, definition, record.severityNumber, attributes['event.category']),
    severity: severityName(record.severityNumber),
    severity_number: record.severityNumber,
    body: record.body,
    component: definition?.component ?? (typeof component === 'string' ? component : familyOf(event)),
    service: typeof service === 'string' ? service : (record.stream?.split('/', 1)[0] ?? null),
    stream: record.stream ?? null,
    sequence: record.sequence ?? null,
    record_id: record.recordId ?? null,
    integrity: record.integrity ?? null,
    trace_id: record.traceId || null,
    span_id: record.spanId || null,
  };
  for (const name in attributes) {
    if (Object.hasOwn(MEMBER_OF_ATTRIBUTE, name)) continue;
    flat[MEMBERS.has(name) || name === '__proto__' ? `attributes.${name}` : name] = attributes[name]!;
  }
  return flat as unknown as FlatRecord;
}

/** What the built-in catalogue says of an event; undefined for a service's own. */
export function definitionOf(event: string): EventDefinition | undefined {
  return Object.hasOwn(EVENTS, event) ? (EVENTS as Readonly<Record<string, EventDefinition>>)[event] : undefined;
}

function categoriesOf(
  event: string | null,
  definition: EventDefinition | undefined,
  severityNumber: number,
  own: PlainValue | undefined,
): readonly string[] {
  let categories: readonly string[] = definition?.category ?? [];
  if (definition === undefined) {
    const told = typeof own === 'string' ? own : familyOf(event);
    categories = (told ?? '').split(',').filter((one) => CATEGORIES.includes(one as Category));
  }
  return severityNumber >= ERROR_NUMBER && !categories.includes('error') ? [...categories, 'error'] : categories;
}

/** The first part of an event's name. */
const familyOf = (event: string | null): string | null => event?.split('.', 1)[0] || null;
