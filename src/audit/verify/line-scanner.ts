/**
 * The quick way through a line: reads records straight from the bytes and puts their canonical text together as it goes, without
 * making objects. It knows the forms that risktrail and the Collector write and refuses everything else, so that whatever it
 * takes is read by the general way (`visitRecords` and `auditForm`) to exactly the same. What it asks for beyond the grammar:
 * no member twice, no escapes, attribute keys of ASCII in ascending order, ints of at most 15 digits, doubles as ECMAScript
 * writes them.
 *
 * Every block ends with a newline and no text that is looked for holds one: no loop here can run past the end.
 */
import { hash } from 'node:crypto';
import { viewOf } from '../../core/bytes.ts';
import { HASH_BYTES } from '../proof/tree.ts';
import { BOUNDS, CODES, digitsEnd, lineText, stands, TEXTS } from '../read/line-text.ts';

const { BACKSLASH, CLOSE, CLOSE_LIST, COLON, COMMA, MINUS, NINE, OPEN, OPEN_LIST, POINT, QUOTE, SPACE, ZERO } = CODES;
const {
  ATTRIBUTES,
  BODY,
  DOUBLE,
  EVENT,
  FALSE,
  FLAGS,
  INT,
  KEY,
  LIST,
  MAP,
  OBSERVED,
  SEVERITY_NUMBER,
  SEVERITY_TEXT,
  SPAN,
  STRING,
  TIME,
  TRACE,
  TRUE,
  VALUE,
} = TEXTS;
const { MAX_DEPTH, MAX_DIGITS, MAX_TIME_DIGITS, TRACE_DIGITS } = BOUNDS;

const STREAM_KEY = lineText('audit.stream');
const SEQUENCE_KEY = lineText('audit.sequence.number');
const CLAIM_KEY = lineText('audit.integrity.value');
const OWN_EVENT = lineText('audit.');

const ascii = (text: string): Uint8Array => Buffer.from(text, 'latin1');

const HEAD = ascii('\0{"attributes":{');
const C_BODY = ascii('},"body":"');
const C_EVENT = ascii('","event":"');
const C_SEVERITY = ascii('","severity":');
const C_SPAN = ascii(',"span":"');
const C_TIME = ascii('","time":"');
const C_TRACE = ascii('","trace":"');
const C_END = ascii('"}');
const C_TRUE = ascii('true');
const C_FALSE = ascii('false');

const SPAN_DIGITS = 16;
/** Length of a hash in padded base64. */
const CLAIM_LENGTH = 44;
const BASE64 = ascii('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/');
/** More than stands in a canonical text without being in the line. */
const OUT_ROOM = 256;

/** What a record that was read turned out to be. */
export type ScannedKind =
  /** An audit record that is what its hash says, and says nothing beyond being there. */
  | 'plain'
  /** No audit record. */
  | 'other'
  /** To be looked at the general way. */
  | 'special';

/** Index of the quote that ends a string without escapes; -1 where it has some, or is none. */
function stringEnd(bytes: Uint8Array, at: number): number {
  for (let i = at; ; i++) {
    const code = bytes[i] as number;
    if (code === QUOTE) return i;
    if (code < SPACE || code === BACKSLASH) return -1;
  }
}

/**
 * Whether the text of a number is what ECMAScript writes for its value. Of decimals with at most 15 digits no two are the same
 * double (https://en.wikipedia.org/wiki/Double-precision_floating-point_format), so such a one is the shortest for its value.
 */
function isShortestDouble(bytes: Buffer, from: number, to: number): boolean {
  let at = bytes[from] === MINUS ? from + 1 : from;
  const point = digitsEnd(bytes, at, MAX_DIGITS);
  if (point > 0 && bytes[point] === POINT && to - at <= MAX_DIGITS + 1 && to - point > 1) {
    const small = point === at + 1 && bytes[at] === ZERO;
    let i = point + 1;
    while (i < to && (bytes[i] as number) >= ZERO && (bytes[i] as number) <= NINE) i++;
    // From 0.000001 on numbers are written without an exponent.
    if (i === to && bytes[to - 1] !== ZERO && (!small || hasDigit(bytes, point + 1, Math.min(to, point + 7))))
      return true;
  }
  for (at = from; at < to; at++) {
    const code = bytes[at] as number;
    const digit = code >= ZERO && code <= NINE;
    // Sign, point and exponent; the words for what is no number have other letters.
    if (!digit && code !== MINUS && code !== POINT && code !== 0x2b && code !== 0x65) return false;
  }
  const text = bytes.toString('latin1', from, to);
  return String(Number(text)) === text;
}

/** Whether one of the digits is not zero. */
function hasDigit(bytes: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (bytes[i] !== ZERO) return true;
  return false;
}

/** Whether the text from `a` to `aEnd` stands in front of that from `b` to `bEnd`. */
function isBefore(bytes: Uint8Array, a: number, aEnd: number, b: number, bEnd: number): boolean {
  let i = a;
  let j = b;
  while (i < aEnd && j < bEnd) {
    const difference = (bytes[i++] as number) - (bytes[j++] as number);
    if (difference !== 0) return difference < 0;
  }
  return aEnd - a < bEnd - b;
}

/** Index behind lower-case hex of so many digits, not all zeros, or behind nothing at all, where a quote follows; else -1. */
function idEnd(bytes: Uint8Array, at: number, digits: number): number {
  if (bytes[at] === QUOTE) return at;
  let zeros = true;
  for (let i = at; i < at + digits; i++) {
    const code = bytes[i] as number;
    if (code !== ZERO) {
      if (code < ZERO || code > 0x66 || (code > NINE && code < 0x61)) return -1;
      zeros = false;
    }
  }
  return zeros || bytes[at + digits] !== QUOTE ? -1 : at + digits;
}

/** Reads records from the bytes of a block. */
export class LineScanner {
  /** What was read by the last {@link record}. */
  kind: ScannedKind = 'other';
  sequence = -1;
  /** Where the name of the stream stands in the bytes. */
  streamStart = 0;
  streamEnd = 0;
  /** The leaf hash. */
  readonly leaf = new Uint8Array(HASH_BYTES);
  #bytes: Buffer = Buffer.alloc(0);
  #view = viewOf(new Uint8Array());
  #out: Buffer = Buffer.alloc(0);
  #to = 0;
  #hasSequence = false;
  #claimAt = 0;
  #claims = false;

  /** Takes the bytes to read from; they must be whole lines in UTF-8, the last one ended by a newline. */
  begin(bytes: Buffer): void {
    this.#bytes = bytes;
    this.#view = viewOf(bytes);
    if (this.#out.length >= bytes.length + OUT_ROOM) return;
    this.#out = Buffer.allocUnsafeSlow(bytes.length + OUT_ROOM);
    this.#out.set(HEAD);
  }

  /**
   * Reads the record that begins at `at`.
   * @returns the index behind it; -1 where the general way must read the line
   */
  record(at: number): number {
    const bytes = this.#bytes;
    const view = this.#view;
    if (bytes[at] !== OPEN) return -1;
    this.#to = HEAD.length;
    this.streamEnd = 0;
    this.#hasSequence = false;
    this.#claims = false;
    let time = -1;
    let timeEnd = 0;
    let trace = -1;
    let traceEnd = 0;
    let span = -1;
    let spanEnd = 0;
    let severity = -1;
    let severityEnd = 0;
    let body = -1;
    let bodyEnd = 0;
    let event = -1;
    let eventEnd = 0;
    let attributes = false;
    // Members that aren't hashed.
    let seen = 0;
    let i = at;
    do {
      i++;
      switch (bytes[i + 1]) {
        case 0x74: // t
          if (bytes[i + 2] === 0x69) {
            if (time >= 0 || !stands(view, i, TIME)) return -1;
            time = i + TIME.length;
            timeEnd = digitsEnd(bytes, time, MAX_TIME_DIGITS);
            if (timeEnd < 0 || bytes[timeEnd] !== QUOTE) return -1;
            i = timeEnd + 1;
          } else {
            if (trace >= 0 || !stands(view, i, TRACE)) return -1;
            trace = i + TRACE.length;
            traceEnd = idEnd(bytes, trace, TRACE_DIGITS);
            if (traceEnd < 0) return -1;
            i = traceEnd + 1;
          }
          break;
        case 0x6f: // o
          if ((seen & 1) !== 0 || !stands(view, i, OBSERVED)) return -1;
          seen |= 1;
          i = stringEnd(bytes, i + OBSERVED.length) + 1;
          if (i === 0) return -1;
          break;
        case 0x73: // s
          if (bytes[i + 2] === 0x70) {
            if (span >= 0 || !stands(view, i, SPAN)) return -1;
            span = i + SPAN.length;
            spanEnd = idEnd(bytes, span, SPAN_DIGITS);
            if (spanEnd < 0) return -1;
            i = spanEnd + 1;
          } else if (bytes[i + 9] === 0x4e) {
            if (severity >= 0 || !stands(view, i, SEVERITY_NUMBER)) return -1;
            severity = i + SEVERITY_NUMBER.length;
            severityEnd = digitsEnd(bytes, severity, 2);
            if (severityEnd < 0) return -1;
            i = severityEnd;
          } else {
            if ((seen & 2) !== 0 || !stands(view, i, SEVERITY_TEXT)) return -1;
            seen |= 2;
            i = stringEnd(bytes, i + SEVERITY_TEXT.length) + 1;
            if (i === 0) return -1;
          }
          break;
        case 0x62: // b
          if (body >= 0 || !stands(view, i, BODY)) return -1;
          body = i + BODY.length;
          bodyEnd = stringEnd(bytes, body);
          if (bodyEnd < 0 || bytes[bodyEnd + 1] !== CLOSE) return -1;
          i = bodyEnd + 2;
          break;
        case 0x65: // e
          if (event >= 0 || !stands(view, i, EVENT)) return -1;
          event = i + EVENT.length;
          eventEnd = stringEnd(bytes, event);
          if (eventEnd < 0) return -1;
          i = eventEnd + 1;
          break;
        case 0x61: // a
          if (attributes || !stands(view, i, ATTRIBUTES)) return -1;
          attributes = true;
          i = this.#attributes(i + ATTRIBUTES.length);
          if (i < 0) return -1;
          break;
        case 0x66: // f
          if ((seen & 4) !== 0 || !stands(view, i, FLAGS)) return -1;
          seen |= 4;
          i = digitsEnd(bytes, i + FLAGS.length, MAX_DIGITS);
          if (i < 0) return -1;
          break;
        default:
          return -1;
      }
    } while (bytes[i] === COMMA);
    if (bytes[i] !== CLOSE) return -1;

    if (this.streamEnd === 0 && !this.#hasSequence && !this.#claims) {
      this.kind = 'other';
      return i + 1;
    }
    this.kind = 'special';
    if (this.streamEnd <= this.streamStart || !this.#hasSequence || !this.#claims) return i + 1;
    if (event >= 0 && stands(view, event, OWN_EVENT)) return i + 1;
    this.#put(C_BODY);
    if (body >= 0) this.#copy(body, bodyEnd);
    this.#put(C_EVENT);
    if (event >= 0) this.#copy(event, eventEnd);
    this.#put(C_SEVERITY);
    if (severity >= 0) this.#copy(severity, severityEnd);
    else this.#out[this.#to++] = ZERO;
    this.#put(C_SPAN);
    if (span >= 0) this.#copy(span, spanEnd);
    this.#put(C_TIME);
    if (time >= 0) this.#copy(time, timeEnd);
    else this.#out[this.#to++] = ZERO;
    this.#put(C_TRACE);
    if (trace >= 0) this.#copy(trace, traceEnd);
    this.#put(C_END);
    if (this.#isAsClaimed()) this.kind = 'plain';
    return i + 1;
  }

  /** Hashes the canonical text; whether that is what the record claims. */
  #isAsClaimed(): boolean {
    const digest = hash('sha256', this.#out.subarray(0, this.#to), 'binary');
    const { leaf } = this;
    for (let i = 0; i < HASH_BYTES; i++) leaf[i] = digest.charCodeAt(i);
    const bytes = this.#bytes;
    let at = this.#claimAt;
    // 32 bytes are ten groups of three, and one of two.
    for (let i = 0; i < 30; i += 3) {
      const group = ((leaf[i] as number) << 16) | ((leaf[i + 1] as number) << 8) | (leaf[i + 2] as number);
      if (
        bytes[at] !== BASE64[group >> 18] ||
        bytes[at + 1] !== BASE64[(group >> 12) & 63] ||
        bytes[at + 2] !== BASE64[(group >> 6) & 63] ||
        bytes[at + 3] !== BASE64[group & 63]
      ) {
        return false;
      }
      at += 4;
    }
    const last = ((leaf[30] as number) << 10) | ((leaf[31] as number) << 2);
    return (
      bytes[at] === BASE64[last >> 12] &&
      bytes[at + 1] === BASE64[(last >> 6) & 63] &&
      bytes[at + 2] === BASE64[last & 63] &&
      bytes[at + 3] === 0x3d
    );
  }

  #put(text: Uint8Array): void {
    const out = this.#out;
    let to = this.#to;
    for (let i = 0; i < text.length; i++) out[to++] = text[i] as number;
    this.#to = to;
  }

  #copy(from: number, end: number): void {
    const bytes = this.#bytes;
    const out = this.#out;
    let to = this.#to;
    for (let i = from; i < end; i++) out[to++] = bytes[i] as number;
    this.#to = to;
  }

  /** A string from behind its quote, copied with both quotes. @returns the index behind it; -1 where it has escapes */
  #string(at: number): number {
    const bytes = this.#bytes;
    const out = this.#out;
    let to = this.#to;
    out[to++] = QUOTE;
    for (let i = at; ; i++) {
      const code = bytes[i] as number;
      if (code === QUOTE) {
        out[to++] = QUOTE;
        this.#to = to;
        return i + 1;
      }
      if (code < SPACE || code === BACKSLASH) return -1;
      out[to++] = code;
    }
  }

  /** A key with its quotes and a colon. @returns the index of the quote behind it; -1 where it is not in plain ASCII */
  #key(at: number, first: boolean): number {
    const bytes = this.#bytes;
    const out = this.#out;
    let to = this.#to;
    if (!first) out[to++] = COMMA;
    out[to++] = QUOTE;
    for (let i = at; ; i++) {
      const code = bytes[i] as number;
      if (code === QUOTE) {
        out[to++] = QUOTE;
        out[to++] = COLON;
        this.#to = to;
        return i;
      }
      if (code < SPACE || code === BACKSLASH || code > 0x7e) return -1;
      out[to++] = code;
    }
  }

  /** The attributes of a record from behind the bracket. @returns the index behind the list; -1 where it is unusual */
  #attributes(at: number): number {
    const bytes = this.#bytes;
    const view = this.#view;
    let i = at;
    if (bytes[i] === CLOSE_LIST) return i + 1;
    let before = 0;
    let beforeEnd = 0;
    let first = true;
    for (;;) {
      if (!stands(view, i, KEY)) return -1;
      const key = i + KEY.length;
      const start = this.#to;
      const keyEnd = this.#key(key, first);
      if (keyEnd < 0 || !stands(view, keyEnd, VALUE)) return -1;
      const value = keyEnd + VALUE.length;
      const length = keyEnd - key;
      if (length === CLAIM_KEY.length && stands(view, key, CLAIM_KEY)) {
        this.#to = start;
        if (this.#claims || !stands(view, value, STRING)) return -1;
        this.#claims = true;
        this.#claimAt = value + STRING.length;
        const end = stringEnd(bytes, this.#claimAt);
        if (end - this.#claimAt !== CLAIM_LENGTH || bytes[end + 1] !== CLOSE) return -1;
        i = end + 2;
      } else {
        if (!first && !isBefore(bytes, before, beforeEnd, key, keyEnd)) return -1;
        first = false;
        before = key;
        beforeEnd = keyEnd;
        if (length === SEQUENCE_KEY.length && stands(view, key, SEQUENCE_KEY)) i = this.#sequence(value);
        else {
          if (length === STREAM_KEY.length && stands(view, key, STREAM_KEY)) {
            if (!stands(view, value, STRING)) return -1;
            this.streamStart = value + STRING.length;
            this.streamEnd = stringEnd(bytes, this.streamStart);
          }
          i = this.#value(value, 0);
        }
        if (i < 0) return -1;
      }
      if (bytes[i] !== CLOSE) return -1;
      i++;
      if (bytes[i] === CLOSE_LIST) return i + 1;
      if (bytes[i] !== COMMA) return -1;
      i++;
    }
  }

  /** The number of the record, as an int ≥ 0. */
  #sequence(at: number): number {
    if (!stands(this.#view, at, INT)) return -1;
    const start = this.#to;
    const end = this.#value(at, 0);
    if (end < 0 || this.#out[start] === MINUS) return -1;
    let number = 0;
    for (let i = start; i < this.#to; i++) number = number * 10 + (this.#out[i] as number) - ZERO;
    this.sequence = number;
    this.#hasSequence = true;
    return end;
  }

  /** An AnyValue. @returns the index behind it; -1 where it is unusual */
  #value(at: number, depth: number): number {
    const bytes = this.#bytes;
    const view = this.#view;
    let end: number;
    switch (bytes[at + 2]) {
      case 0x73: // s
        if (!stands(view, at, STRING)) return -1;
        end = this.#string(at + STRING.length);
        break;
      case 0x69: // i
        if (!stands(view, at, INT)) return -1;
        end = this.#int(at + INT.length);
        break;
      case 0x64: {
        // d
        if (!stands(view, at, DOUBLE)) return -1;
        const from = at + DOUBLE.length;
        end = from;
        while ((bytes[end] as number) > SPACE && bytes[end] !== CLOSE) end++;
        if (!isShortestDouble(bytes, from, end)) return -1;
        this.#copy(from, end);
        break;
      }
      case 0x62: // b
        if (stands(view, at, TRUE)) {
          this.#put(C_TRUE);
          end = at + TRUE.length;
        } else if (stands(view, at, FALSE)) {
          this.#put(C_FALSE);
          end = at + FALSE.length;
        } else return -1;
        break;
      case 0x61: // a
        if (depth >= MAX_DEPTH || !stands(view, at, LIST)) return -1;
        end = this.#list(at + LIST.length, depth + 1);
        break;
      case 0x6b: // k
        if (depth >= MAX_DEPTH || !stands(view, at, MAP)) return -1;
        end = this.#map(at + MAP.length, depth + 1);
        break;
      default:
        return -1;
    }
    return end >= 0 && bytes[end] === CLOSE ? end + 1 : -1;
  }

  /** An int, as a number or, as the Collector has it, in quotes. */
  #int(at: number): number {
    const bytes = this.#bytes;
    const quoted = bytes[at] === QUOTE;
    const from = quoted ? at + 1 : at;
    const digits = bytes[from] === MINUS ? from + 1 : from;
    const end = digitsEnd(bytes, digits, MAX_DIGITS);
    // Minus zero is written as zero.
    if (end < 0 || (digits !== from && bytes[digits] === ZERO)) return -1;
    if (quoted && bytes[end] !== QUOTE) return -1;
    this.#copy(from, end);
    return quoted ? end + 1 : end;
  }

  #list(at: number, depth: number): number {
    const bytes = this.#bytes;
    this.#out[this.#to++] = OPEN_LIST;
    let i = at;
    if (bytes[i] !== CLOSE_LIST) {
      for (;;) {
        i = this.#value(i, depth);
        if (i < 0) return -1;
        if (bytes[i] === CLOSE_LIST) break;
        if (bytes[i] !== COMMA) return -1;
        this.#out[this.#to++] = COMMA;
        i++;
      }
    }
    this.#out[this.#to++] = CLOSE_LIST;
    return bytes[i + 1] === CLOSE ? i + 2 : -1;
  }

  #map(at: number, depth: number): number {
    const bytes = this.#bytes;
    const view = this.#view;
    this.#out[this.#to++] = OPEN;
    let i = at;
    if (bytes[i] !== CLOSE_LIST) {
      let before = 0;
      let beforeEnd = 0;
      let first = true;
      for (;;) {
        if (!stands(view, i, KEY)) return -1;
        const key = i + KEY.length;
        const keyEnd = this.#key(key, first);
        if (keyEnd < 0 || !stands(view, keyEnd, VALUE)) return -1;
        if (!first && !isBefore(bytes, before, beforeEnd, key, keyEnd)) return -1;
        first = false;
        before = key;
        beforeEnd = keyEnd;
        i = this.#value(keyEnd + VALUE.length, depth);
        if (i < 0 || bytes[i] !== CLOSE) return -1;
        i++;
        if (bytes[i] === CLOSE_LIST) break;
        if (bytes[i] !== COMMA) return -1;
        i++;
      }
    }
    this.#out[this.#to++] = CLOSE;
    return bytes[i + 1] === CLOSE ? i + 2 : -1;
  }
}
