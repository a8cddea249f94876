/**
 * One plain value, written twice at once: as RFC 8785 JSON and as an OTLP/JSON AnyValue. Both share the text of strings and
 * numbers: ECMAScript's own number and string formatting is what RFC 8785 asks for.
 */
import { type CanonicalAttributes, coerceAttributes, MAX_DEPTH } from './coerce.ts';
import { asciiBytes, NUMBER_ROOM, RecordBytes } from './record-bytes.ts';

const STRING = asciiBytes('{"stringValue":');
const BOOL = asciiBytes('{"boolValue":');
const LIST = asciiBytes('{"arrayValue":{"values":[');
const MAP = asciiBytes('{"kvlistValue":{"values":[');
const ENDS = asciiBytes(']}}');
const KEY = asciiBytes('{"key":');
const VALUE = asciiBytes(',"value":');
const CLOSE = 0x7d;
const COMMA = 0x2c;
const COLON = 0x3a;
/** A list for a number that stands alone: a double from the start, so that it keeps its kind. */
const ONE = [0.5];

/**
 * Writes a value to both texts.
 * @returns false where it has no canonical form as it stands; what was written so far is then of no use
 */
export function writeValue(out: RecordBytes, value: unknown, depth: number): boolean {
  if (typeof value === 'string') {
    out.reserve(0);
    out.toLine(STRING);
    if (!out.quoted(value)) return false;
    out.line[out.lineEnd++] = CLOSE;
    return true;
  }
  if (typeof value === 'number') return writeNumber(out, value);
  if (typeof value === 'boolean') {
    out.reserve(0);
    out.toLine(BOOL);
    out.ascii(value ? 'true' : 'false');
    out.line[out.lineEnd++] = CLOSE;
    return true;
  }
  if (typeof value !== 'object' || value === null || depth >= MAX_DEPTH) return false;
  if (Array.isArray(value)) return writeList(out, value, depth + 1);
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return false;
  return writeMap(out, value as Record<string, unknown>, depth + 1);
}

/** A number as an AnyValue. @returns false where it is not finite */
export function writeNumber(out: RecordBytes, value: number): boolean {
  ONE[0] = value;
  out.reserve(NUMBER_ROOM);
  return out.numbers(ONE);
}

/** A string of ASCII characters that need no escapes, as an AnyValue. */
export function writeAscii(out: RecordBytes, text: string): void {
  out.reserve(text.length);
  out.toLine(STRING);
  out.ascii('"');
  out.ascii(text);
  out.ascii('"');
  out.line[out.lineEnd++] = CLOSE;
}

function writeList(out: RecordBytes, items: readonly unknown[], depth: number): boolean {
  out.reserve(items.length * NUMBER_ROOM);
  out.toLine(LIST);
  out.asciiToCanonical('[');
  if (!out.numbers(items)) {
    for (let i = 0; i < items.length; i++) {
      if (i > 0) writeComma(out);
      if (!writeValue(out, items[i], depth)) return false;
    }
  }
  out.reserve(0);
  out.toLine(ENDS);
  out.asciiToCanonical(']');
  return true;
}

function writeMap(out: RecordBytes, members: Readonly<Record<string, unknown>>, depth: number): boolean {
  out.reserve(0);
  out.toLine(MAP);
  out.asciiToCanonical('{');
  let first = true;
  for (const key of Object.keys(members).sort()) {
    if (!first) writeComma(out);
    first = false;
    out.reserve(0);
    out.toLine(KEY);
    if (!out.quoted(key)) return false;
    out.reserve(0);
    out.canonical[out.canonicalEnd++] = COLON;
    out.toLine(VALUE);
    if (!writeValue(out, members[key], depth)) return false;
    out.reserve(0);
    out.line[out.lineEnd++] = CLOSE;
  }
  out.reserve(0);
  out.toLine(ENDS);
  out.asciiToCanonical('}');
  return true;
}

function writeComma(out: RecordBytes): void {
  out.reserve(0);
  out.canonical[out.canonicalEnd++] = COMMA;
  out.line[out.lineEnd++] = COMMA;
}

const NOTHING = new Uint8Array(0);

/** Attributes as OTLP/JSON: `[{"key":…,"value":…},…]`. */
export function otlpAttributes(attributes: CanonicalAttributes): string {
  const pairs = Object.entries(attributes).map(([key, value]) => {
    const out = new RecordBytes(NOTHING, NOTHING);
    writeValue(out, value, 0);
    return `{"key":${JSON.stringify(key)},"value":${out.line.toString('utf8', 0, out.lineEnd)}}`;
  });
  return `[${pairs.join(',')}]`;
}

/** RFC 8785 text of any value, made to fit as an attribute would be. */
export function canonicalJson(value: unknown): string {
  const out = new RecordBytes(NOTHING, NOTHING);
  writeValue(out, coerceAttributes({ value }), 0);
  return out.canonical.toString('utf8', 0, out.canonicalEnd);
}
