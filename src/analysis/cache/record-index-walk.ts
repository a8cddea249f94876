/** The quick way to what an index holds of a record: straight from the bytes of a line as a journal writes it. */
import { BOUNDS, CODES, digitsEnd, type LineText, lineText, stands, TEXTS } from '../../audit/read/line-text.ts';
import { viewOf } from '../../core/bytes.ts';
import { AT, WANTED } from './record-index-wanted.ts';

const { BACKSLASH, CLOSE, CLOSE_LIST, COMMA, MINUS, NEWLINE, NINE, OPEN, POINT, QUOTE, SPACE, ZERO } = CODES;
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
const { 'trading.order.ids': ORDER_IDS, 'audit.sequence.number': SEQUENCE } = AT;

/** Wanted attributes by the length of their names. */
const BY_LENGTH: { readonly name: LineText; readonly at: number }[][] = [];
for (const [at, name] of WANTED.entries()) {
  BY_LENGTH[name.length] ??= [];
  BY_LENGTH[name.length]!.push({ name: lineText(name), at });
}

/** Index behind a number as JSON has it, without exponent; else -1. */
function numberEnd(bytes: Uint8Array, at: number): number {
  let i = digitsEnd(bytes, bytes[at] === MINUS ? at + 1 : at, 300);
  if (i < 0 || bytes[i] !== POINT) return i;
  const point = i++;
  while ((bytes[i] as number) >= ZERO && (bytes[i] as number) <= NINE) i++;
  return i === point + 1 ? -1 : i;
}

/**
 * Walks through the records of a block of lines, and leaves what is unusual to the general way. Every block ends with a newline
 * and no loop here goes on behind one.
 */
export class RecordWalker {
  bytes: Buffer = Buffer.alloc(0);
  view = viewOf(new Uint8Array());
  /** Where the texts of the wanted attributes of the record begin and end; an end of 0 where it has none. */
  readonly starts = new Int32Array(WANTED.length);
  readonly ends = new Int32Array(WANTED.length);
  /** Places of the texts of its list of order ids. */
  listed: number[] = [];
  /** Whether a text of it has an escape. */
  escaped = false;
  /** Where its name, time and trace id begin and end; a trace of -1 where it has none. */
  event = -1;
  eventEnd = -1;
  time = -1;
  timeEnd = -1;
  trace = -1;
  traceEnd = -1;

  /** Takes whole lines, the last one ended by a newline. */
  begin(bytes: Buffer): void {
    this.bytes = bytes;
    this.view = viewOf(bytes);
  }

  /** Walks through a record. @returns the index behind it; -1 where it must be decoded */
  record(at: number): number {
    const bytes = this.bytes;
    if (bytes[at] !== OPEN) return -1;
    this.escaped = false;
    let time = -1;
    let timeEnd = -1;
    let trace = -1;
    let traceEnd = -1;
    let event = -1;
    let eventEnd = -1;
    let attributes = false;
    let i = at;
    do {
      i++;
      switch (bytes[i + 1]) {
        case 0x74: // t
          if (bytes[i + 2] === 0x69) {
            if (!stands(this.view, i, TIME)) return -1;
            time = i + TIME.length;
            timeEnd = digitsEnd(bytes, time, MAX_TIME_DIGITS);
            if (timeEnd < 0 || bytes[timeEnd] !== QUOTE) return -1;
            i = timeEnd + 1;
          } else {
            if (!stands(this.view, i, TRACE)) return -1;
            trace = i + TRACE.length;
            traceEnd = this.#lowerHex(trace);
            if (traceEnd < 0) return -1;
            i = traceEnd + 1;
          }
          break;
        case 0x65: // e
          if (!stands(this.view, i, EVENT)) return -1;
          event = i + EVENT.length;
          eventEnd = this.#stringEnd(event);
          i = eventEnd + 1;
          break;
        case 0x61: // a
          if (attributes || !stands(this.view, i, ATTRIBUTES)) return -1;
          attributes = true;
          i = this.#attributes(i + ATTRIBUTES.length);
          if (i < 0) return -1;
          break;
        case 0x62: // b
          if (!stands(this.view, i, BODY)) return -1;
          i = this.#member(i, BODY);
          if (i <= 0 || bytes[i++] !== CLOSE) return -1;
          break;
        case 0x6f: // o
          i = this.#member(i, OBSERVED);
          break;
        case 0x73: // s
          if (bytes[i + 2] === 0x70) i = this.#member(i, SPAN);
          else if (bytes[i + 9] === 0x54) i = this.#member(i, SEVERITY_TEXT);
          else i = stands(this.view, i, SEVERITY_NUMBER) ? digitsEnd(bytes, i + SEVERITY_NUMBER.length, 2) : -1;
          break;
        case 0x66: // f
          i = stands(this.view, i, FLAGS) ? digitsEnd(bytes, i + FLAGS.length, MAX_DIGITS) : -1;
          break;
        default:
          return -1;
      }
      if (i <= 0) return -1;
    } while (bytes[i] === COMMA);
    if (bytes[i] !== CLOSE || !attributes || event < 0 || eventEnd < 0 || time < 0) return -1;
    this.event = event;
    this.eventEnd = eventEnd;
    this.time = time;
    this.timeEnd = timeEnd;
    this.trace = trace;
    this.traceEnd = traceEnd;
    return i + 1;
  }

  /** Index behind a member whose value is a string. */
  #member(at: number, name: LineText): number {
    return stands(this.view, at, name) ? this.#stringEnd(at + name.length) + 1 : -1;
  }

  /** Index of the quote that ends a string; -1 where none does. */
  #stringEnd(at: number): number {
    const bytes = this.bytes;
    for (let i = at; ; i++) {
      const code = bytes[i] as number;
      if (code === QUOTE) return i;
      if (code === BACKSLASH) {
        this.escaped = true;
        i++;
        if (bytes[i] === NEWLINE) return -1;
      } else if (code < SPACE) return -1;
    }
  }

  /** Index of the quote behind a trace id, or behind none. */
  #lowerHex(at: number): number {
    const bytes = this.bytes;
    if (bytes[at] === QUOTE) return at;
    for (let i = at; i < at + TRACE_DIGITS; i++) {
      const code = bytes[i] as number;
      if (code < ZERO || code > 0x66 || (code > NINE && code < 0x61)) return -1;
    }
    return bytes[at + TRACE_DIGITS] === QUOTE ? at + TRACE_DIGITS : -1;
  }

  /** Walks through a list of attributes. @returns the index behind it; -1 where it must be decoded */
  #attributes(at: number): number {
    const bytes = this.bytes;
    this.ends.fill(0);
    if (this.listed.length > 0) this.listed = [];
    let i = at;
    if (bytes[i] === CLOSE_LIST) return i + 1;
    for (;;) {
      if (!stands(this.view, i, KEY)) return -1;
      const key = i + KEY.length;
      let end = key;
      while (bytes[end] !== QUOTE) {
        if (bytes[end] === BACKSLASH || (bytes[end] as number) < SPACE) return -1;
        end++;
      }
      if (!stands(this.view, end, VALUE)) return -1;
      const value = end + VALUE.length;
      const wanted = this.#wanted(key, end);
      i = wanted < 0 ? this.#value(value, 0) : this.#wantedValue(wanted, value);
      if (i < 0 || bytes[i] !== CLOSE) return -1;
      i++;
      if (bytes[i] === CLOSE_LIST) return i + 1;
      if (bytes[i] !== COMMA) return -1;
      i++;
    }
  }

  #wanted(key: number, end: number): number {
    const candidates = BY_LENGTH[end - key];
    if (candidates === undefined) return -1;
    for (const { name, at } of candidates) if (stands(this.view, key, name)) return at;
    return -1;
  }

  /** Notes a value that is looked at. @returns the index behind it; -1 where it must be decoded */
  #wantedValue(wanted: number, at: number): number {
    const bytes = this.bytes;
    // Of a key that stands twice the last one counts: that is for the general way.
    if (this.ends[wanted] !== 0) return -1;
    if (wanted === ORDER_IDS) {
      if (!stands(this.view, at, LIST)) return -1;
      this.ends[wanted] = 1;
      return this.#list(at + LIST.length, 1, this.listed);
    }
    if (wanted === SEQUENCE) {
      if (!stands(this.view, at, INT)) return -1;
      const quoted = bytes[at + INT.length] === QUOTE;
      const from = at + INT.length + (quoted ? 1 : 0);
      const end = digitsEnd(bytes, from, MAX_DIGITS);
      if (end < 0 || (quoted && bytes[end] !== QUOTE)) return -1;
      this.starts[wanted] = from;
      this.ends[wanted] = end;
      const close = quoted ? end + 1 : end;
      return bytes[close] === CLOSE ? close + 1 : -1;
    }
    if (!stands(this.view, at, STRING)) return -1;
    const from = at + STRING.length;
    const end = this.#stringEnd(from);
    if (end < 0 || bytes[end + 1] !== CLOSE) return -1;
    this.starts[wanted] = from;
    this.ends[wanted] = end;
    return end + 2;
  }

  /** Index behind an AnyValue; -1 where it is unusual. */
  #value(at: number, depth: number): number {
    const bytes = this.bytes;
    let end: number;
    switch (bytes[at + 2]) {
      case 0x73: // s
        end = stands(this.view, at, STRING) ? this.#stringEnd(at + STRING.length) + 1 : 0;
        if (end === 0) return -1;
        break;
      case 0x69: {
        // i
        if (!stands(this.view, at, INT)) return -1;
        const quoted = bytes[at + INT.length] === QUOTE;
        end = numberEnd(bytes, at + INT.length + (quoted ? 1 : 0));
        if (end < 0 || (quoted && bytes[end] !== QUOTE)) return -1;
        if (quoted) end++;
        break;
      }
      case 0x64: // d
        end = stands(this.view, at, DOUBLE) ? numberEnd(bytes, at + DOUBLE.length) : -1;
        break;
      case 0x62: // b
        end = stands(this.view, at, TRUE) ? at + TRUE.length : stands(this.view, at, FALSE) ? at + FALSE.length : -1;
        break;
      case 0x61: // a
        return depth < MAX_DEPTH && stands(this.view, at, LIST) ? this.#list(at + LIST.length, depth + 1) : -1;
      case 0x6b: // k
        return depth < MAX_DEPTH && stands(this.view, at, MAP) ? this.#map(at + MAP.length, depth + 1) : -1;
      default:
        return -1;
    }
    return end >= 0 && bytes[end] === CLOSE ? end + 1 : -1;
  }

  /** Index behind a list of values. @param texts takes the places of its strings; it may hold nothing else then */
  #list(at: number, depth: number, texts?: number[]): number {
    const bytes = this.bytes;
    let i = at;
    if (bytes[i] !== CLOSE_LIST) {
      for (;;) {
        const start = i + STRING.length;
        if (texts !== undefined && !stands(this.view, i, STRING)) return -1;
        i = this.#value(i, depth);
        if (i < 0) return -1;
        texts?.push(start, i - 2);
        if (bytes[i] === CLOSE_LIST) break;
        if (bytes[i] !== COMMA) return -1;
        i++;
      }
    }
    return bytes[i + 1] === CLOSE && bytes[i + 2] === CLOSE ? i + 3 : -1;
  }

  #map(at: number, depth: number): number {
    const bytes = this.bytes;
    let i = at;
    if (bytes[i] !== CLOSE_LIST) {
      for (;;) {
        if (!stands(this.view, i, KEY)) return -1;
        const end = this.#stringEnd(i + KEY.length);
        if (end < 0 || !stands(this.view, end, VALUE)) return -1;
        i = this.#value(end + VALUE.length, depth);
        if (i < 0 || bytes[i] !== CLOSE) return -1;
        i++;
        if (bytes[i] === CLOSE_LIST) break;
        if (bytes[i] !== COMMA) return -1;
        i++;
      }
    }
    return bytes[i + 1] === CLOSE && bytes[i + 2] === CLOSE ? i + 3 : -1;
  }
}
