/**
 * OTLP/JSON logs payloads (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding) as they come out of
 * `JSON.parse`: nothing is trusted, members of unknown names are passed over, a JSON null is an unset member.
 */

/** A value of an attribute as plain JavaScript. */
export type PlainValue =
  | string
  | number
  | boolean
  | null
  | readonly PlainValue[]
  | { readonly [key: string]: PlainValue };

/** Attributes by name. */
export type PlainAttributes = { readonly [key: string]: PlainValue };

/** A log record of a payload, unchecked. */
export interface OtlpLogRecord {
  readonly timeUnixNano?: unknown;
  readonly severityNumber?: unknown;
  readonly severityText?: unknown;
  readonly body?: unknown;
  readonly eventName?: unknown;
  readonly attributes?: unknown;
  readonly traceId?: unknown;
  readonly spanId?: unknown;
}

/** Told of each log record of a line, with the attributes of its resource as they stand in the payload. */
export type RecordVisitor = (record: OtlpLogRecord, resourceAttributes: unknown) => void;

const ESCAPED_SURROGATE = /\\u[dD][89a-fA-F]/;

type Json = { readonly [member: string]: unknown };

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isWellFormed(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed();
  if (typeof value !== 'object' || value === null) return true;
  if (Array.isArray(value)) return value.every(isWellFormed);
  return Object.entries(value).every(([key, item]) => key.isWellFormed() && isWellFormed(item));
}

/** Keeps ints that a double may not hold as the text they were written as. */
function keepInts(this: unknown, key: string, value: unknown, context?: { source?: string }): unknown {
  const rounded = key === 'intValue' && typeof value === 'number' && !Number.isSafeInteger(value);
  return rounded ? (context?.source ?? value) : value;
}

/** The list in a member, empty where it is unset, or undefined where it is something else. */
function listOf(value: unknown): readonly unknown[] | undefined {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? value : undefined;
}

/** The beginning of a line of one record, up to the record, and the end behind it. */
const RECORD_START = '"logRecords":[';
const RECORD_END = ']}]}]}';

/** The beginning that the lines of a journal have in common: only what follows it is parsed again. */
let known: { readonly head: string; readonly attributes: unknown } | undefined;

/** Takes the beginning of a line, where a record and nothing else can stand between it and the end. */
function learnHead(line: string): void {
  const end = line.indexOf(RECORD_START) + RECORD_START.length;
  if (end < RECORD_START.length || !line.endsWith(RECORD_END)) return;
  const head = line.slice(0, end);
  // What parses to a lone record in that place for one value does so for every value.
  const found: unknown[] = [];
  const visit = (value: unknown, resource: unknown) => void found.push(value, resource);
  if (!parseLine(`${head}{"eventName":"?"}${RECORD_END}`, visit, false)) return;
  const [record, attributes] = found as [OtlpLogRecord, unknown];
  if (found.length === 2 && record.eventName === '?') known = { head, attributes };
}

/**
 * Reads one line and tells of its log records, in order. An object without `resourceLogs` has none. Resource attributes may
 * be the same object as those of lines before.
 * @param exactInts whether ints past ±(2^53-1) stay the text that they were written as; slow, and seldom needed
 * @returns false where the line is no JSON object in well-formed Unicode, or its lists are none
 */
export function visitRecords(line: string, visit: RecordVisitor, exactInts = false): boolean {
  if (exactInts) return parseLine(line, visit, true);
  if (known !== undefined && line.startsWith(known.head) && line.endsWith(RECORD_END)) {
    const text = line.slice(known.head.length, -RECORD_END.length);
    let record: unknown;
    try {
      record = JSON.parse(text);
    } catch {
      // More than one record, or none.
      return parseLine(line, visit, false);
    }
    if (!isObject(record) || (text.includes('\\u') && ESCAPED_SURROGATE.test(text) && !isWellFormed(record)))
      return false;
    visit(record as OtlpLogRecord, known.attributes);
    return true;
  }
  learnHead(line);
  return parseLine(line, visit, false);
}

function parseLine(line: string, visit: RecordVisitor, exactInts: boolean): boolean {
  let payload: unknown;
  try {
    payload = exactInts
      ? JSON.parse(line, keepInts as (this: unknown, key: string, value: unknown) => unknown)
      : JSON.parse(line);
  } catch {
    return false;
  }
  if (!isObject(payload)) return false;
  if (line.includes('\\u') && ESCAPED_SURROGATE.test(line) && !isWellFormed(payload)) return false;
  const resources = listOf(payload['resourceLogs']);
  if (resources === undefined || !areWhole(resources)) return false;
  for (const resource of resources as Json[]) {
    const holder = resource['resource'];
    const attributes = isObject(holder) ? holder['attributes'] : undefined;
    for (const scope of listOf(resource['scopeLogs']) as Json[]) {
      for (const record of listOf(scope['logRecords']) as OtlpLogRecord[]) visit(record, attributes);
    }
  }
  return true;
}

/** Whether resources, scopes and records are lists of objects: a line is read as a whole or not at all. */
function areWhole(resources: readonly unknown[]): boolean {
  for (const resource of resources) {
    const scopes = isObject(resource) ? listOf(resource['scopeLogs']) : undefined;
    if (scopes === undefined) return false;
    for (const scope of scopes) {
      const records = isObject(scope) ? listOf(scope['logRecords']) : undefined;
      if (records === undefined) return false;
      for (const record of records) if (!isObject(record)) return false;
    }
  }
  return true;
}

/**
 * An AnyValue as a plain value, for reading: unlike the canonical form it takes everything. Bytes stay base64, an unset value
 * is null, an int that no double holds is rounded.
 */
export function plainValue(value: unknown): PlainValue {
  if (!isObject(value)) return null;
  for (const member in value) {
    const item = value[member];
    if (item === null) continue;
    switch (member) {
      case 'stringValue':
      case 'bytesValue':
        return String(item);
      case 'intValue':
        return Number(item);
      case 'doubleValue':
        return typeof item === 'number' ? item : String(item);
      case 'boolValue':
        return item === true;
      case 'arrayValue':
        return (listOf((item as Json)['values']) ?? []).map(plainValue);
      case 'kvlistValue':
        return plainAttributes((item as Json)['values']);
    }
  }
  return null;
}

/** A list of key and value pairs as an object. The last of several values of one key stands. */
export function plainAttributes(list: unknown): PlainAttributes {
  const result: Record<string, PlainValue> = {};
  for (const pair of listOf(list) ?? []) {
    if (!isObject(pair)) continue;
    const key = typeof pair['key'] === 'string' ? pair['key'] : '';
    const value = plainValue(pair['value']);
    // Assigning would set the prototype.
    if (key === '__proto__') {
      Object.defineProperty(result, key, { value, enumerable: true, configurable: true, writable: true });
    } else {
      result[key] = value;
    }
  }
  return result;
}
