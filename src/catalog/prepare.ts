/**
 * The catalogue made ready for the hot path: for each event its severity, its class, the check of its attributes and
 * the maker of its body, found by one lookup of the name.
 */
import { ATTRIBUTES, COMMON_ATTRIBUTES } from './attributes.ts';
import {
  type AttributeDefinition,
  type AttributeTable,
  type Category,
  type EventClass,
  type EventDefinition,
  type EventTable,
  SEVERITY_NUMBERS,
  type Severity,
} from './define.ts';
import { EVENTS, STREAM_EVENTS } from './events.ts';

/** An attribute that an event takes. */
export interface PreparedAttribute {
  readonly definition: AttributeDefinition;
  /**
   * The value that was last recorded as it was given, where it can't have changed since: symbols, sides and codes come again
   * and again. Kept by whoever checks and masks; at first a value that nobody can give.
   */
  unchanged: unknown;
}

/** One event, ready to be checked and recorded. */
export interface PreparedEvent {
  readonly name: string;
  readonly class: EventClass;
  readonly severityNumber: number;
  readonly severityText: Severity;
  readonly component: string;
  readonly categories: readonly Category[];
  /** The attributes that this event takes, by name. */
  readonly attributes: Readonly<Record<string, PreparedAttribute | undefined>>;
  readonly required: readonly string[];
  /** What the record says of an event that its readers don't know: a service's own. */
  readonly own?: Readonly<Record<string, string>>;
  /** The body over the attributes as they will be recorded, masked ones included. */
  body(attributes: Readonly<Record<string, unknown>>): string;
}

/** All events that may be emitted, built-in ones and the service's own; without {@link STREAM_EVENTS}. */
export interface Catalog {
  get(name: string): PreparedEvent | undefined;
  attribute(name: string): AttributeDefinition | undefined;
  readonly names: readonly string[];
}

/** Whether `value` is of the attribute's type and, where it has them, one of its values. */
export function acceptsValue(definition: AttributeDefinition, value: unknown): boolean {
  switch (definition.type) {
    case 'string':
      return typeof value === 'string' && (definition.values === undefined || definition.values.includes(value));
    case 'boolean':
      return typeof value === 'boolean';
    case 'number':
      return typeof value === 'number' && Number.isFinite(value);
    case 'int':
      return Number.isSafeInteger(value);
    case 'decimal':
      return typeof value === 'number' ? Number.isFinite(value) : typeof value === 'string' && isDecimal(value);
    case 'strings':
      return isListOf(value, 'string');
    case 'numbers':
      return isListOf(value, 'number');
    case 'map':
      return typeof value === 'object' && value !== null && !Array.isArray(value);
  }
}

function isListOf(value: unknown, type: 'string' | 'number'): boolean {
  if (!Array.isArray(value)) return false;
  // Not `every`: this runs for each list of each event.
  for (let i = 0; i < value.length; i++) {
    const item: unknown = value[i];
    if (typeof item !== type || (type === 'number' && !Number.isFinite(item))) return false;
  }
  return true;
}

const isDecimal = (value: string) => /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/.test(value);

/** A piece of a body: fixed text, the value of one attribute, or a part that needs all of its attributes. */
type Piece =
  | string
  | { readonly attribute: string }
  | { readonly needs: readonly string[]; readonly pieces: readonly Piece[] };

function parseTemplate(template: string): readonly Piece[] {
  const pieces: Piece[] = [];
  for (const match of template.matchAll(/\[([^\]]*)\]|\{([^}]*)\}|([^[{]+)/g)) {
    if (match[1] !== undefined) {
      const inner = parseTemplate(match[1]);
      const needs = inner.flatMap((piece) =>
        typeof piece === 'object' && 'attribute' in piece ? [piece.attribute] : [],
      );
      pieces.push({ needs, pieces: inner });
    } else if (match[2] !== undefined) pieces.push({ attribute: match[2] });
    else pieces.push(match[3]!);
  }
  return pieces;
}

function render(pieces: readonly Piece[], attributes: Readonly<Record<string, unknown>>): string {
  let text = '';
  for (const piece of pieces) {
    if (typeof piece === 'string') text += piece;
    else if ('attribute' in piece) {
      const value = attributes[piece.attribute];
      text += value === undefined ? '?' : String(value);
    } else if (hasAll(attributes, piece.needs)) text += render(piece.pieces, attributes);
  }
  return text;
}

function hasAll(attributes: Readonly<Record<string, unknown>>, names: readonly string[]): boolean {
  for (let i = 0; i < names.length; i++) if (attributes[names[i]!] === undefined) return false;
  return true;
}

const NOTHING_YET = Symbol('nothing yet');

function prepareEvent(name: string, definition: EventDefinition, table: AttributeTable): PreparedEvent {
  const attributes: Record<string, PreparedAttribute | undefined> = Object.create(null);
  for (const one of [...COMMON_ATTRIBUTES, ...definition.required, ...definition.optional]) {
    const known = table[one];
    if (known !== undefined) attributes[one] = { definition: known, unchanged: NOTHING_YET };
  }
  const pieces = parseTemplate(definition.message);
  return {
    name,
    class: definition.class,
    severityNumber: SEVERITY_NUMBERS[definition.severity],
    severityText: definition.severity,
    component: definition.component,
    categories: definition.category,
    attributes,
    required: definition.required,
    body: (values) => render(pieces, values),
  };
}

/** The event for a name that is in no catalogue: recorded all the same, every attribute unknown. */
export function prepareUnknownEvent(name: string): PreparedEvent {
  const isReserved = (STREAM_EVENTS as readonly string[]).includes(name);
  return prepareEvent(
    isReserved ? `foreign.${name}` : name,
    {
      component: 'unknown',
      category: ['system'],
      class: 'audit',
      severity: 'INFO',
      required: [],
      optional: [],
      brief: 'An event of a name that is in no catalogue.',
      message: name.replace(/[[\]{}]/g, '_'),
    },
    ATTRIBUTES,
  );
}

/** @param families tables of the service's own, as `defineEvents` gives them */
export function prepareCatalog(families: readonly { attributes: AttributeTable; events: EventTable }[] = []): Catalog {
  const table: AttributeTable = Object.assign(
    Object.create(null),
    ATTRIBUTES,
    ...families.map((family) => family.attributes),
  );
  const events = new Map<string, PreparedEvent>();
  for (const [name, definition] of Object.entries<EventDefinition>(EVENTS))
    events.set(name, prepareEvent(name, definition, table));
  for (const name of STREAM_EVENTS) events.delete(name);
  for (const family of families) {
    for (const [name, definition] of Object.entries(family.events)) {
      const { category, component } = definition;
      const own = { 'event.category': category.join(','), 'risk.component': component };
      events.set(name, { ...prepareEvent(name, definition, table), own });
    }
  }
  return {
    get: (name) => events.get(name),
    attribute: (name) => table[name],
    names: [...events.keys()],
  };
}
