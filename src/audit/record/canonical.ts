/**
 * The canonical bytes of an audit record (docs/audit-format.md section 3): RFC 8785 JSON of the parts that are hashed,
 * written straight from the OTLP/JSON form. Records of one kind share their keys, so the sorted order of the keys is kept per
 * event name and list of keys.
 */
import type { OtlpLogRecord } from './otlp.ts';

/** What a verifier takes from an audit record. */
export interface AuditForm {
  /** `audit.stream`, undefined where it is missing or no string. */
  readonly stream: string | undefined;
  /** `audit.sequence.number`, undefined where it is missing or no integer ≥ 0. */
  readonly sequence: number | undefined;
  /** `audit.integrity.value` as claimed, undefined where it is missing or no string. */
  readonly claim: string | undefined;
  /** The canonical text, undefined where the record has none. */
  readonly text: string | undefined;
  /** Why the record has no canonical text or lacks what an audit record needs, in words; undefined where all is there. */
  readonly defect: string | undefined;
  /** True where an int is past ±(2^53-1) and was a number: what it was before JSON.parse rounded it must be looked up. */
  readonly rounded: boolean;
}

/** Raised inside this file: there is no canonical form. */
class Formless extends Error {
  readonly rounded: boolean;

  constructor(message: string, rounded = false) {
    super(message);
    this.rounded = rounded;
  }
}

const NEEDS_ESCAPE = /["\\\p{Cc}]/u;
const DECIMAL = /^(?:0|[1-9]\d{0,19})$/;
const INTEGER = /^-?(?:0|[1-9]\d{0,18})$/;
const MAX_UINT64 = '18446744073709551615';
const MIN_INT64 = -(2n ** 63n);
const MAX_INT64 = 2n ** 63n - 1n;

/** A JSON string as RFC 8785 writes it, which is how JSON.stringify writes it. */
function quote(text: string): string {
  return NEEDS_ESCAPE.test(text) ? JSON.stringify(text) : `"${text}"`;
}

/** How the attributes of one list of keys are written. */
interface Shape {
  /** In the record's order. */
  readonly keys: readonly string[];
  /** Indexes of what is hashed, sorted by key in UTF-16 code units. */
  readonly order: readonly number[];
  /** `"key":` of each of these, with a comma in front of all but the first. */
  readonly prefixes: readonly string[];
  readonly streamAt: number;
  readonly sequenceAt: number;
  readonly claimAt: number;
  readonly defect: string | undefined;
}

const MAX_EVENTS = 1000;
const MAX_SHAPES = 8;
const shapes = new Map<string, Shape[]>();

function keyOf(pair: unknown): string {
  const key = (pair as { key?: unknown } | null)?.key;
  return typeof key === 'string' ? key : '';
}

function makeShape(pairs: readonly unknown[]): Shape {
  const keys = pairs.map(keyOf);
  const claimAt = keys.indexOf('audit.integrity.value');
  const order = keys
    .map((_, index) => index)
    .filter((index) => index !== claimAt)
    .sort((a, b) => ((keys[a] as string) < (keys[b] as string) ? -1 : 1));
  return {
    keys,
    order,
    prefixes: order.map((index, place) => `${place === 0 ? '' : ','}${quote(keys[index] as string)}:`),
    streamAt: keys.indexOf('audit.stream'),
    sequenceAt: keys.indexOf('audit.sequence.number'),
    claimAt,
    defect: new Set(keys).size === keys.length ? undefined : 'an attribute key stands twice',
  };
}

function fits(shape: Shape, pairs: readonly unknown[]): boolean {
  const keys = shape.keys;
  if (keys.length !== pairs.length) return false;
  for (let i = 0; i < keys.length; i++) {
    if ((pairs[i] as { key?: unknown } | null)?.key !== keys[i]) return false;
  }
  return true;
}

function shapeOf(eventName: unknown, pairs: readonly unknown[]): Shape {
  const event = typeof eventName === 'string' ? eventName : '';
  let known = shapes.get(event);
  if (known === undefined) {
    if (shapes.size >= MAX_EVENTS) shapes.clear();
    known = [];
    shapes.set(event, known);
  }
  for (const shape of known) {
    if (fits(shape, pairs)) return shape;
  }
  const shape = makeShape(pairs);
  if (known.length >= MAX_SHAPES) known.pop();
  known.unshift(shape);
  return shape;
}

/** An int of OTLP/JSON, a number or a string of digits, where a double holds it exactly. */
function exactInt(value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
  if (typeof value !== 'string' || !INTEGER.test(value)) {
    throw new Formless('an int that is none', typeof value === 'number' && Number.isInteger(value));
  }
  const exact = BigInt(value);
  if (exact < MIN_INT64 || exact > MAX_INT64) throw new Formless('an int outside 64 bits');
  const number = Number(exact);
  if (BigInt(number) !== exact) throw new Formless('an int that no double holds exactly');
  return number;
}

function listText(value: unknown): string {
  const values = (value as { values?: unknown }).values ?? [];
  if (typeof value !== 'object' || !Array.isArray(values)) throw new Formless('an array that is none');
  let text = '[';
  for (let i = 0; i < values.length; i++) text += i === 0 ? valueText(values[i]) : `,${valueText(values[i])}`;
  return `${text}]`;
}

function mapText(value: unknown): string {
  const values = (value as { values?: unknown }).values ?? [];
  if (typeof value !== 'object' || !Array.isArray(values)) throw new Formless('a map that is none');
  const shape = makeShape(values.map((pair) => ({ key: `.${keyOf(pair)}` })));
  if (shape.defect !== undefined) throw new Formless('a key stands twice in a map');
  let text = '{';
  for (const [place, index] of shape.order.entries()) {
    const pair = values[index];
    text += `${place === 0 ? '' : ','}${quote(keyOf(checkPair(pair)))}:${valueText(pair.value)}`;
  }
  return `${text}}`;
}

function checkPair<T>(pair: T): T {
  const key = typeof pair === 'object' && pair !== null ? (pair as { key?: unknown }).key : 0;
  if (key !== undefined && key !== null && typeof key !== 'string') throw new Formless('an attribute that is none');
  return pair;
}

/** RFC 8785 text of an AnyValue. */
function valueText(value: unknown): string {
  if (typeof value !== 'object' || value === null) throw new Formless('an attribute without a value');
  let text: string | undefined;
  for (const member in value) {
    const item = (value as Record<string, unknown>)[member];
    if (item === null) continue;
    let next: string;
    switch (member) {
      case 'stringValue':
        if (typeof item !== 'string') throw new Formless('a string that is none');
        next = quote(item);
        break;
      case 'intValue':
        // -0 is written as 0 by the language as well.
        next = `${exactInt(item)}`;
        break;
      case 'doubleValue':
        if (typeof item !== 'number' || !Number.isFinite(item)) throw new Formless('a double that is no finite number');
        next = `${item}`;
        break;
      case 'boolValue':
        if (typeof item !== 'boolean') throw new Formless('a boolean that is none');
        next = item ? 'true' : 'false';
        break;
      case 'arrayValue':
        next = listText(item);
        break;
      case 'kvlistValue':
        next = mapText(item);
        break;
      case 'bytesValue':
        throw new Formless('bytes');
      default:
        continue;
    }
    if (text !== undefined) throw new Formless('a value of two types');
    text = next;
  }
  if (text === undefined) throw new Formless('an attribute without a value');
  return text;
}

function bodyText(body: unknown): string {
  if (body === undefined || body === null) return '""';
  if (typeof body !== 'object') throw new Formless('a body that is no value');
  for (const member in body) {
    const item = (body as Record<string, unknown>)[member];
    if (item === null) continue;
    if (member === 'stringValue' && typeof item === 'string') continue;
    if (member.endsWith('Value')) throw new Formless('a body that is no string');
  }
  return quote(((body as { stringValue?: unknown }).stringValue ?? '') as string);
}

const TRACE_ID = /^[0-9a-fA-F]{32}$/;
const SPAN_ID = /^[0-9a-fA-F]{16}$/;

function idText(id: unknown, form: RegExp): string {
  if (id === undefined || id === null || id === '') return '';
  if (typeof id !== 'string' || !form.test(id)) throw new Formless('an id that is not hex of its length');
  // Almost every id is told from all zeros by its first digit.
  if (id.charCodeAt(0) === 48 && /^0+$/.test(id)) return '';
  return id.toLowerCase();
}

function timeText(time: unknown): string {
  if (time === undefined || time === null) return '0';
  if (typeof time === 'number' && Number.isSafeInteger(time) && time >= 0) return `${time}`;
  if (typeof time !== 'string' || !DECIMAL.test(time) || (time.length === 20 && time > MAX_UINT64)) {
    throw new Formless('a time that is no count of nanoseconds');
  }
  return time;
}

function severityText(severity: unknown): string {
  if (severity === undefined || severity === null) return '0';
  if (!Number.isSafeInteger(severity)) throw new Formless('a severity that is no integer');
  return `${severity}`;
}

function canonicalText(record: OtlpLogRecord, pairs: readonly unknown[], shape: Shape): string {
  if (shape.defect !== undefined) throw new Formless(shape.defect);
  const { eventName } = record;
  if (eventName !== undefined && eventName !== null && typeof eventName !== 'string') {
    throw new Formless('an event name that is no string');
  }
  let text = '{"attributes":{';
  const { order, prefixes } = shape;
  for (let i = 0; i < order.length; i++) {
    const pair = checkPair(pairs[order[i] as number]) as { value?: unknown };
    text += (prefixes[i] as string) + valueText(pair.value);
  }
  return `${text}},"body":${bodyText(record.body)},"event":${quote(eventName ?? '')},"severity":${severityText(record.severityNumber)},"span":"${idText(record.spanId, SPAN_ID)}","time":"${timeText(record.timeUnixNano)}","trace":"${idText(record.traceId, TRACE_ID)}"}`;
}

function stringAt(pairs: readonly unknown[], index: number): string | undefined {
  const value = (pairs[index] as { value?: { stringValue?: unknown } | null } | undefined)?.value?.stringValue;
  return typeof value === 'string' ? value : undefined;
}

function sequenceAt(pairs: readonly unknown[], index: number): number | undefined {
  const value = (pairs[index] as { value?: { intValue?: unknown; doubleValue?: unknown } | null } | undefined)?.value;
  const raw = value?.intValue ?? value?.doubleValue;
  const number = typeof raw === 'string' && INTEGER.test(raw) ? Number(raw) : raw;
  return Number.isSafeInteger(number) && (number as number) >= 0 ? (number as number) : undefined;
}

/** What is wrong, in words, or undefined. */
function defectOf(form: Pick<AuditForm, 'stream' | 'sequence' | 'claim'>): string | undefined {
  if (form.stream === undefined || form.stream === '') return 'audit.stream is missing or no string';
  if (form.sequence === undefined) return 'audit.sequence.number is missing or no integer ≥ 0';
  if (form.claim === undefined) return 'audit.integrity.value is missing or no string';
  return undefined;
}

/**
 * Reads what is hashed of a record, and its place in the trail. The strings of the record must be well-formed Unicode, as
 * those that `visitRecords` hands out are.
 * @returns undefined where the record is no audit record
 */
export function auditForm(record: OtlpLogRecord): AuditForm | undefined {
  const pairs = record.attributes;
  if (!Array.isArray(pairs)) return undefined;
  const shape = shapeOf(record.eventName, pairs);
  if (shape.streamAt < 0 && shape.sequenceAt < 0 && shape.claimAt < 0) return undefined;
  const stream = stringAt(pairs, shape.streamAt) || undefined;
  const sequence = sequenceAt(pairs, shape.sequenceAt);
  const claim = stringAt(pairs, shape.claimAt);
  let text: string | undefined;
  let defect: string | undefined;
  let rounded = false;
  try {
    text = canonicalText(record, pairs, shape);
  } catch (error) {
    if (!(error instanceof Formless)) throw error;
    defect = error.message;
    rounded = error.rounded;
  }
  if (stream === undefined || sequence === undefined || claim === undefined) {
    defect ??= defectOf({ stream, sequence, claim });
  }
  return { stream, sequence, claim, text, defect, rounded };
}
