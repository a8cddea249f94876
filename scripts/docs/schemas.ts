/** JSON Schemas (draft 2020-12) of the flat record shape and of each event, from the catalogue. */

import { MEMBER_OF_ATTRIBUTE } from '../../src/analysis/flat-record.ts';
import { ATTRIBUTES, COMMON_ATTRIBUTES } from '../../src/catalog/attributes.ts';
import {
  type AttributeDefinition,
  CATEGORIES,
  type EventDefinition,
  SEVERITY_NUMBERS,
} from '../../src/catalog/define.ts';
import { EVENTS } from '../../src/catalog/events.ts';

type Schema = Readonly<Record<string, unknown>>;

const DRAFT = 'https://json-schema.org/draft/2020-12/schema';
/** `$id` of a schema: a name, not a place; nothing is fetched from it. */
const schemaId = (name: string) => `urn:risktrail:schema:${name}`;

const nullable = (schema: Schema, description: string): Schema => ({
  ...schema,
  type: [schema['type'], 'null'],
  description,
});

const MEMBERS: Readonly<Record<string, Schema>> = {
  timestamp: {
    type: 'string',
    pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{9}Z$',
    description: 'ISO 8601 in UTC with nine digits of the second: sorting as text is sorting by time.',
  },
  event: nullable({ type: 'string' }, 'Name of the event; null for a plain log line.'),
  category: {
    type: 'array',
    items: { type: 'string' },
    description: `Categories of the event, of ${CATEGORIES.join(', ')}; records of ERROR and above have error too.`,
  },
  severity: {
    enum: [...Object.keys(SEVERITY_NUMBERS), ''],
    description: 'Short name; empty where the record has none.',
  },
  severity_number: {
    type: 'integer',
    minimum: 0,
    maximum: 24,
    description: 'OpenTelemetry severity number; 0 where the record has none.',
  },
  body: { type: 'string', description: 'What happened, in a sentence.' },
  component: nullable({ type: 'string' }, 'What emitted it.'),
  service: nullable({ type: 'string' }, 'Name of the service.'),
  stream: nullable({ type: 'string' }, 'Stream of the record (audit.stream); null where it is no audit record.'),
  sequence: nullable({ type: 'integer', minimum: 0 }, 'Number within the stream (audit.sequence.number).'),
  record_id: nullable({ type: 'string' }, 'UUIDv7 of the record (audit.record.id).'),
  integrity: nullable({ type: 'string' }, 'Base64 of the leaf hash (audit.integrity.value).'),
  trace_id: nullable(
    { type: 'string', pattern: '^[0-9a-f]+$' },
    'Trace, lower-case hex; null where no span was active.',
  ),
  span_id: nullable({ type: 'string', pattern: '^[0-9a-f]+$' }, 'Span, lower-case hex; null where no span was active.'),
};

const TYPES: Readonly<Record<AttributeDefinition['type'], Schema>> = {
  string: { type: 'string' },
  boolean: { type: 'boolean' },
  number: { type: 'number' },
  int: { type: 'integer' },
  // A pattern holds for strings only: numbers pass it.
  decimal: { type: ['number', 'string'], pattern: '^[+-]?(\\d+(\\.\\d*)?|\\.\\d+)([eE][+-]?\\d+)?$' },
  strings: { type: 'array', items: { type: 'string' } },
  numbers: { type: 'array', items: { type: 'number' } },
  map: { type: 'object' },
};

function attributeSchema(name: string): Schema {
  const definition: AttributeDefinition = ATTRIBUTES[name as keyof typeof ATTRIBUTES];
  const unit = definition.unit === undefined ? '' : ` Unit: ${definition.unit}.`;
  return {
    ...TYPES[definition.type],
    ...(definition.values === undefined ? {} : { enum: definition.values }),
    description: definition.brief + unit,
  };
}

const attributeSchemas = (names: Iterable<string>): Schema =>
  Object.fromEntries(
    [...new Set(names)]
      .filter((name) => !Object.hasOwn(MEMBER_OF_ATTRIBUTE, name))
      .map((name) => [name, attributeSchema(name)]),
  );

/** The flat shape: its members and every attribute of the catalogue; others may follow. */
export function recordSchema(): Schema {
  return {
    $schema: DRAFT,
    $id: schemaId('event'),
    title: 'A record of the trail, as `risktrail events --json` prints it',
    description:
      'The members below are always there. Every attribute of the record follows under its full name; one whose name is that of a member stands as attributes.<name>.',
    type: 'object',
    required: Object.keys(MEMBERS),
    properties: { ...MEMBERS, ...attributeSchemas(Object.keys(ATTRIBUTES)) },
    additionalProperties: true,
  };
}

/** One event in the flat shape: a record that says of itself that it fits the catalogue fits this. */
export function eventSchema(name: string, event: EventDefinition): Schema {
  const severities = Object.keys(SEVERITY_NUMBERS);
  return {
    $schema: DRAFT,
    $id: schemaId(`events:${name}`),
    title: name,
    description: `${event.brief} Class: ${event.class}. Default severity: ${event.severity}.`,
    type: 'object',
    required: [...Object.keys(MEMBERS), ...event.required],
    properties: {
      ...MEMBERS,
      event: { const: name },
      category: { type: 'array', items: { enum: CATEGORIES }, contains: { const: event.category[0] } },
      severity: { enum: severities },
      component: { const: event.component },
      ...attributeSchemas([
        ...event.required,
        ...event.optional,
        ...COMMON_ATTRIBUTES,
        // What the trail itself says of a record's attributes.
        'audit.coerced',
      ]),
    },
    additionalProperties: false,
  };
}

/** Every schema by its path below the package. */
export function schemaFiles(): ReadonlyMap<string, string> {
  const files = new Map([['schema/event.json', toJson(recordSchema())]]);
  for (const [name, event] of Object.entries<EventDefinition>(EVENTS)) {
    files.set(`schema/events/${name}.json`, toJson(eventSchema(name, event)));
  }
  return files;
}

const toJson = (schema: Schema) => `${JSON.stringify(schema, undefined, 1)}\n`;
