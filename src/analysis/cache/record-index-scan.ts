/**
 * Finds in whole lines what an index holds. Lines as a journal writes them are walked through byte by byte, without making
 * objects; whatever looks unusual there is decoded like any other line, so that both ways find the same.
 *
 * Every block ends with a newline and no loop here goes on behind one.
 */
import { isUtf8 } from 'node:buffer';
import { type AuditRecord, toAuditRecord } from '../../audit/read/reader.ts';
import { visitRecords } from '../../audit/record/otlp.ts';
import { hashOf, ID_KIND, type IdKind, idHash, inLine, textHash, viewOf } from './record-index-hash.ts';
import { MARK, type MarkValues, PartDraft, STATE } from './record-index-part.ts';

const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const BACKSLASH = 0x5c;
const CLOSE_LIST = 0x5d;
const OPEN = 0x7b;
const CLOSE = 0x7d;
const SPACE = 0x20;
const NEWLINE = 0x0a;

/** A text of at least four bytes that is looked for four at a time; the last four may overlap those before. */
interface Text {
  readonly length: number;
  readonly words: Int32Array;
}

function ascii(text: string): Text {
  const bytes = Buffer.from(text, 'latin1');
  const words = new Int32Array(Math.ceil(bytes.length / 4));
  for (let at = 0; at < words.length; at++) words[at] = bytes.readInt32LE(Math.min(at * 4, bytes.length - 4));
  return { length: bytes.length, words };
}

const RECORDS = '"logRecords":[';
const TAIL_TEXT = ']}]}]}';
const TAIL = ascii(`${TAIL_TEXT}\n`);
const TIME = ascii('"timeUnixNano":"');
const TRACE = ascii('"traceId":"');
const OBSERVED = ascii('"observedTimeUnixNano":"');
const SEVERITY_NUMBER = ascii('"severityNumber":');
const SEVERITY_TEXT = ascii('"severityText":"');
const SPAN = ascii('"spanId":"');
const BODY = ascii('"body":{"stringValue":"');
const EVENT = ascii('"eventName":"');
const ATTRIBUTES = ascii('"attributes":[');
const FLAGS = ascii('"flags":');
const KEY = ascii('{"key":"');
const VALUE = ascii('","value":');
const STRING = ascii('{"stringValue":"');
const INT = ascii('{"intValue":');
const DOUBLE = ascii('{"doubleValue":');
const TRUE = ascii('{"boolValue":true');
const FALSE = ascii('{"boolValue":false');
const LIST = ascii('{"arrayValue":{"values":[');
const MAP = ascii('{"kvlistValue":{"values":[');

/** Attributes that are looked at. */
const WANTED = [
  'audit.record.id',
  'audit.stream',
  'audit.sequence.number',
  'risk.cause.record_id',
  'risk.scope',
  'risk.decision',
  'risk.trading_state.new',
  'risk.circuit_breaker.name',
  'trading.order.id',
  'trading.order.client_id',
  'trading.order.ids',
  'trading.execution.id',
  'trading.position.id',
  'risk.trailing_stop.id',
] as const;
type Wanted = (typeof WANTED)[number];
const AT = Object.fromEntries(WANTED.map((name, at) => [name, at])) as Readonly<Record<Wanted, number>>;
/** By the length of their names. */
const BY_LENGTH: { readonly name: Text; readonly at: number }[][] = [];
for (const [at, name] of WANTED.entries()) {
  BY_LENGTH[name.length] ??= [];
  BY_LENGTH[name.length]!.push({ name: ascii(name), at });
}
const ORDER_IDS: readonly Wanted[] = ['trading.order.id', 'trading.order.client_id'];
const POSITION_IDS: readonly Wanted[] = ['trading.execution.id', 'trading.position.id', 'risk.trailing_stop.id'];

const STATE_CHANGE = 'risk.trading_state_change';
const CHECK = 'risk.portfolio_limit.check';
const KINDS: Readonly<Record<string, number>> = {
  [STATE_CHANGE]: MARK.stateChange,
  'risk.circuit_breaker.failure': MARK.failure,
  'risk.circuit_breaker.trade_result': MARK.tradeResult,
  'risk.circuit_breaker.not_permitted': MARK.refused,
};
const EVENTS = [...Object.keys(KINDS), CHECK].map((name) => ({ name, bytes: ascii(name), kinds: KINDS[name] ?? 0 }));
const PRICE = ascii('market.price');
const ORDER_EVENT = ascii('order.');
const INTENT = ascii('order.intent');
const ACTIVE = ascii('ACTIVE');
const HALTED = ascii('HALTED');
const DENY = ascii('deny');

const MAX_DEPTH = 32;
const MAX_DIGITS = 15;
const MAX_TIME_DIGITS = 19;
const NANO_DIGITS = 9;
const TRACE_DIGITS = 32;
/** An offset is of 32 bits. */
const MAX_RANGE = 2 ** 31;

/** Whether `text` stands in a block at `at`. */
function stands(view: DataView, at: number, { length, words }: Text): boolean {
  const last = at + length - 4;
  if (last + 4 > view.byteLength) return false;
  const count = words.length - 1;
  for (let i = 0; i < count; i++) if (view.getInt32(at + i * 4, true) !== words[i]) return false;
  return view.getInt32(last, true) === words[count];
}

/** Index behind an unsigned integer; -1 where there is none of up to `most` digits, or one with a zero in front. */
function digitsEnd(bytes: Uint8Array, at: number, most: number): number {
  let i = at;
  while ((bytes[i] as number) >= ZERO && (bytes[i] as number) <= NINE) i++;
  return i === at || i - at > most || (bytes[at] === ZERO && i - at > 1) ? -1 : i;
}

/** Index behind a number as JSON has it, without exponent; else -1. */
function numberEnd(bytes: Uint8Array, at: number): number {
  let i = digitsEnd(bytes, bytes[at] === MINUS ? at + 1 : at, 300);
  if (i < 0 || bytes[i] !== POINT) return i;
  const point = i++;
  while ((bytes[i] as number) >= ZERO && (bytes[i] as number) <= NINE) i++;
  return i === point + 1 ? -1 : i;
}

/** The beginning that the lines of a file have in common, up to their records; undefined where a line has no such. */
function headOf(line: string): Buffer | undefined {
  const end = line.indexOf(RECORDS) + RECORDS.length;
  if (end < RECORDS.length || !line.endsWith(TAIL_TEXT)) return undefined;
  const head = line.slice(0, end);
  // What parses to a lone record in that place for one value does so for every value.
  const found: unknown[] = [];
  const whole = visitRecords(`${head}{"eventName":"?"}${TAIL_TEXT}`, (record) => void found.push(record.eventName));
  return whole && found.length === 1 && found[0] === '?' ? Buffer.from(head) : undefined;
}

/** Looks through the lines of a file, in their order. */
export class RecordScanner {
  readonly #parts: ArrayBuffer[] = [];
  #draft: PartDraft;
  #at: number;
  #head: Buffer | undefined;
  #bytes: Buffer = Buffer.alloc(0);
  #view = viewOf(new Uint8Array());
  /** Where the texts of the wanted attributes of a record begin and end. */
  readonly #starts = new Int32Array(WANTED.length);
  readonly #ends = new Int32Array(WANTED.length);
  /** Places of the texts of a list of order ids. */
  #listed: number[] = [];
  #escaped = false;

  /** @param from where in the file the lines begin, in bytes */
  constructor(from = 0) {
    this.#at = from;
    this.#draft = new PartDraft(from);
  }

  /** Where the next line begins in the file. */
  get position(): number {
    return this.#at;
  }

  /** Takes whole lines, the last one ended by a newline. */
  lines(bytes: Buffer): void {
    if (this.#at + bytes.length - this.#draft.from > MAX_RANGE) this.#next();
    this.#bytes = bytes;
    this.#view = viewOf(bytes);
    const valid = isUtf8(bytes);
    const base = this.#at - this.#draft.from;
    for (let start = 0; start < bytes.length; ) {
      const head = this.#head;
      let end = -1;
      if (valid && head !== undefined && bytes.compare(head, 0, head.length, start, start + head.length) === 0) {
        const { ids, marks } = this.#draft;
        const held = marks.length;
        end = this.#line(start + head.length, base + start);
        if (end < 0) {
          this.#draft.ids = ids;
          marks.length = held;
        }
      }
      if (end < 0) {
        end = bytes.indexOf(NEWLINE, start) + 1;
        this.#decode(bytes.subarray(start, end - 1), base + start, valid);
      }
      start = end;
    }
    this.#at += bytes.length;
  }

  /** Takes a last line that no newline ends, as far as it is one. */
  tail(bytes: Buffer): void {
    this.#decode(bytes, this.#at - this.#draft.from, false);
    this.#at += bytes.length;
  }

  /** What was found so far; the next line begins a part of its own. */
  take(): ArrayBuffer[] {
    if (this.#at > this.#draft.from) this.#next();
    return this.#parts.splice(0);
  }

  #next(): void {
    this.#parts.push(this.#draft.pack(this.#at));
    this.#draft = new PartDraft(this.#at);
  }

  /** Decodes a line. */
  #decode(bytes: Buffer, offset: number, valid: boolean): void {
    if (bytes.length === 0 || !(valid || isUtf8(bytes))) return;
    const line = bytes.toString('utf8');
    let count = 0;
    const read = visitRecords(line, (source) => {
      count++;
      this.#add(toAuditRecord(source, {}, '', 0), offset);
    });
    if (read && count > 0) this.#head = headOf(line) ?? this.#head;
  }

  #add(record: AuditRecord, offset: number): void {
    const { attributes, eventName: event, stream, sequence } = record;
    const draft = this.#draft;
    const hashes = new Set<number>();
    const id = (kind: IdKind, value: unknown) => {
      if (typeof value !== 'string') return;
      const bytes = inLine(value);
      hashes.add(idHash(kind, viewOf(bytes), 0, bytes.length));
    };
    const told = (name: Wanted) => {
      const value = attributes[name];
      return value === undefined || value === null ? undefined : String(value);
    };
    id(ID_KIND.record, record.recordId);
    for (const name of ORDER_IDS) id(ID_KIND.order, attributes[name]);
    const orders = attributes['trading.order.ids'];
    if (Array.isArray(orders)) for (const one of orders) id(ID_KIND.order, one);
    if (event !== 'market.price') for (const name of POSITION_IDS) id(ID_KIND.position, attributes[name]);
    if (record.traceId !== '' && event.startsWith('order.') && event !== 'order.intent')
      id(ID_KIND.trace, record.traceId);
    for (const hash of hashes) draft.add(hash, offset);

    const digits = /^\d{1,20}$/.test(record.time) ? record.time.padStart(NANO_DIGITS + 1, '0') : '0'.padStart(10, '0');
    const seconds = Number(digits.slice(0, -NANO_DIGITS));
    const nanos = Number(digits.slice(-NANO_DIGITS));
    this.#seen(seconds, nanos);
    let kinds = Object.hasOwn(KINDS, event) ? KINDS[event]! : 0;
    if (event === CHECK && attributes['risk.decision'] === 'deny') kinds |= MARK.refused;
    const cause = told('risk.cause.record_id');
    if (cause !== undefined) kinds |= MARK.cites;
    if (kinds === 0) return;
    const state = told('risk.trading_state.new');
    draft.marks.push({
      offset,
      kinds,
      state: state === 'ACTIVE' ? STATE.active : state === 'HALTED' ? STATE.halted : 0,
      seconds,
      nanos,
      sequence: sequence ?? Number.NaN,
      stream: hashOf(stream),
      name: hashOf(told(event === STATE_CHANGE ? 'risk.scope' : 'risk.circuit_breaker.name')),
      cause: hashOf(cause),
      key: hashOf(
        stream !== undefined && sequence !== undefined
          ? `${stream}#${sequence}`
          : (record.recordId ?? `${record.time} ${event} ${record.body}`),
      ),
    });
  }

  #seen(seconds: number, nanos: number): void {
    const draft = this.#draft;
    if (seconds < draft.lastSeconds || (seconds === draft.lastSeconds && nanos <= draft.lastNanos)) return;
    draft.lastSeconds = seconds;
    draft.lastNanos = nanos;
  }

  /** Walks through the records of a line. @returns the index behind its newline; -1 where it must be decoded */
  #line(at: number, offset: number): number {
    const bytes = this.#bytes;
    let i = at;
    for (;;) {
      i = this.#record(i, offset);
      if (i < 0) return -1;
      if (bytes[i] === CLOSE_LIST) break;
      if (bytes[i] !== COMMA) return -1;
      i++;
    }
    return stands(this.#view, i, TAIL) ? i + TAIL.length : -1;
  }

  /** Walks through a record. @returns the index behind it; -1 where it must be decoded */
  #record(at: number, offset: number): number {
    const bytes = this.#bytes;
    if (bytes[at] !== OPEN) return -1;
    this.#escaped = false;
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
            if (!stands(this.#view, i, TIME)) return -1;
            time = i + TIME.length;
            timeEnd = digitsEnd(bytes, time, MAX_TIME_DIGITS);
            if (timeEnd < 0 || bytes[timeEnd] !== QUOTE) return -1;
            i = timeEnd + 1;
          } else {
            if (!stands(this.#view, i, TRACE)) return -1;
            trace = i + TRACE.length;
            traceEnd = this.#lowerHex(trace);
            if (traceEnd < 0) return -1;
            i = traceEnd + 1;
          }
          break;
        case 0x65: // e
          if (!stands(this.#view, i, EVENT)) return -1;
          event = i + EVENT.length;
          eventEnd = this.#stringEnd(event);
          i = eventEnd + 1;
          break;
        case 0x61: // a
          if (attributes || !stands(this.#view, i, ATTRIBUTES)) return -1;
          attributes = true;
          i = this.#attributes(i + ATTRIBUTES.length);
          if (i < 0) return -1;
          break;
        case 0x62: // b
          if (!stands(this.#view, i, BODY)) return -1;
          i = this.#member(i, BODY);
          if (i <= 0 || bytes[i++] !== CLOSE) return -1;
          break;
        case 0x6f: // o
          i = this.#member(i, OBSERVED);
          break;
        case 0x73: // s
          if (bytes[i + 2] === 0x70) i = this.#member(i, SPAN);
          else if (bytes[i + 9] === 0x54) i = this.#member(i, SEVERITY_TEXT);
          else i = stands(this.#view, i, SEVERITY_NUMBER) ? digitsEnd(bytes, i + SEVERITY_NUMBER.length, 2) : -1;
          break;
        case 0x66: // f
          i = stands(this.#view, i, FLAGS) ? digitsEnd(bytes, i + FLAGS.length, MAX_DIGITS) : -1;
          break;
        default:
          return -1;
      }
      if (i <= 0) return -1;
    } while (bytes[i] === COMMA);
    if (bytes[i] !== CLOSE || !attributes || event < 0 || eventEnd < 0 || time < 0) return -1;
    return this.#take(offset, event, eventEnd, time, timeEnd, trace, traceEnd) ? i + 1 : -1;
  }

  /** Index behind a member whose value is a string. */
  #member(at: number, name: Text): number {
    return stands(this.#view, at, name) ? this.#stringEnd(at + name.length) + 1 : -1;
  }

  /** Index of the quote that ends a string; -1 where none does. */
  #stringEnd(at: number): number {
    const bytes = this.#bytes;
    for (let i = at; ; i++) {
      const code = bytes[i] as number;
      if (code === QUOTE) return i;
      if (code === BACKSLASH) {
        this.#escaped = true;
        i++;
        if (bytes[i] === NEWLINE) return -1;
      } else if (code < SPACE) return -1;
    }
  }

  /** Index of the quote behind a trace id, or behind none. */
  #lowerHex(at: number): number {
    const bytes = this.#bytes;
    if (bytes[at] === QUOTE) return at;
    for (let i = at; i < at + TRACE_DIGITS; i++) {
      const code = bytes[i] as number;
      if (code < ZERO || code > 0x66 || (code > NINE && code < 0x61)) return -1;
    }
    return bytes[at + TRACE_DIGITS] === QUOTE ? at + TRACE_DIGITS : -1;
  }

  /** Walks through a list of attributes. @returns the index behind it; -1 where it must be decoded */
  #attributes(at: number): number {
    const bytes = this.#bytes;
    this.#ends.fill(0);
    if (this.#listed.length > 0) this.#listed = [];
    let i = at;
    if (bytes[i] === CLOSE_LIST) return i + 1;
    for (;;) {
      if (!stands(this.#view, i, KEY)) return -1;
      const key = i + KEY.length;
      let end = key;
      while (bytes[end] !== QUOTE) {
        if (bytes[end] === BACKSLASH || (bytes[end] as number) < SPACE) return -1;
        end++;
      }
      if (!stands(this.#view, end, VALUE)) return -1;
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
    for (const { name, at } of candidates) if (stands(this.#view, key, name)) return at;
    return -1;
  }

  /** Notes a value that is looked at. @returns the index behind it; -1 where it must be decoded */
  #wantedValue(wanted: number, at: number): number {
    const bytes = this.#bytes;
    // Of a key that stands twice the last one counts: that is for the general way.
    if (this.#ends[wanted] !== 0) return -1;
    if (wanted === AT['trading.order.ids']) {
      if (!stands(this.#view, at, LIST)) return -1;
      this.#ends[wanted] = 1;
      return this.#list(at + LIST.length, 1, this.#listed);
    }
    if (wanted === AT['audit.sequence.number']) {
      if (!stands(this.#view, at, INT)) return -1;
      const quoted = bytes[at + INT.length] === QUOTE;
      const from = at + INT.length + (quoted ? 1 : 0);
      const end = digitsEnd(bytes, from, MAX_DIGITS);
      if (end < 0 || (quoted && bytes[end] !== QUOTE)) return -1;
      this.#starts[wanted] = from;
      this.#ends[wanted] = end;
      const close = quoted ? end + 1 : end;
      return bytes[close] === CLOSE ? close + 1 : -1;
    }
    if (!stands(this.#view, at, STRING)) return -1;
    const from = at + STRING.length;
    const end = this.#stringEnd(from);
    if (end < 0 || bytes[end + 1] !== CLOSE) return -1;
    this.#starts[wanted] = from;
    this.#ends[wanted] = end;
    return end + 2;
  }

  /** Index behind an AnyValue; -1 where it is unusual. */
  #value(at: number, depth: number): number {
    const bytes = this.#bytes;
    let end: number;
    switch (bytes[at + 2]) {
      case 0x73: // s
        end = stands(this.#view, at, STRING) ? this.#stringEnd(at + STRING.length) + 1 : 0;
        if (end === 0) return -1;
        break;
      case 0x69: {
        // i
        if (!stands(this.#view, at, INT)) return -1;
        const quoted = bytes[at + INT.length] === QUOTE;
        end = numberEnd(bytes, at + INT.length + (quoted ? 1 : 0));
        if (end < 0 || (quoted && bytes[end] !== QUOTE)) return -1;
        if (quoted) end++;
        break;
      }
      case 0x64: // d
        end = stands(this.#view, at, DOUBLE) ? numberEnd(bytes, at + DOUBLE.length) : -1;
        break;
      case 0x62: // b
        end = stands(this.#view, at, TRUE) ? at + TRUE.length : stands(this.#view, at, FALSE) ? at + FALSE.length : -1;
        break;
      case 0x61: // a
        return depth < MAX_DEPTH && stands(this.#view, at, LIST) ? this.#list(at + LIST.length, depth + 1) : -1;
      case 0x6b: // k
        return depth < MAX_DEPTH && stands(this.#view, at, MAP) ? this.#map(at + MAP.length, depth + 1) : -1;
      default:
        return -1;
    }
    return end >= 0 && bytes[end] === CLOSE ? end + 1 : -1;
  }

  /** Index behind a list of values. @param texts takes the places of its strings; it may hold nothing else then */
  #list(at: number, depth: number, texts?: number[]): number {
    const bytes = this.#bytes;
    let i = at;
    if (bytes[i] !== CLOSE_LIST) {
      for (;;) {
        const start = i + STRING.length;
        if (texts !== undefined && !stands(this.#view, i, STRING)) return -1;
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
    const bytes = this.#bytes;
    let i = at;
    if (bytes[i] !== CLOSE_LIST) {
      for (;;) {
        if (!stands(this.#view, i, KEY)) return -1;
        const end = this.#stringEnd(i + KEY.length);
        if (end < 0 || !stands(this.#view, end, VALUE)) return -1;
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

  #id(kind: IdKind, wanted: number, offset: number): number {
    const end = this.#ends[wanted] as number;
    if (end === 0) return -1;
    const hash = idHash(kind, this.#view, this.#starts[wanted] as number, end);
    this.#draft.add(hash, offset);
    return hash;
  }

  /** Notes a record that was walked through. @returns whether that was enough: a rare one with escapes is decoded */
  #take(
    offset: number,
    event: number,
    eventEnd: number,
    time: number,
    timeEnd: number,
    trace: number,
    traceEnd: number,
  ): boolean {
    const bytes = this.#bytes;
    const starts = this.#starts;
    const ends = this.#ends;
    const draft = this.#draft;
    let seconds = 0;
    let nanos = 0;
    const border = timeEnd - NANO_DIGITS;
    for (let i = time; i < timeEnd; i++) {
      if (i < border) seconds = seconds * 10 + (bytes[i] as number) - ZERO;
      else nanos = nanos * 10 + (bytes[i] as number) - ZERO;
    }
    this.#seen(seconds, nanos);

    this.#id(ID_KIND.record, AT['audit.record.id'], offset);
    this.#id(ID_KIND.order, AT['trading.order.id'], offset);
    this.#id(ID_KIND.order, AT['trading.order.client_id'], offset);
    for (let i = 0; i < this.#listed.length; i += 2)
      draft.add(idHash(ID_KIND.order, this.#view, this.#listed[i]!, this.#listed[i + 1]!), offset);
    const length = eventEnd - event;
    if (length !== PRICE.length || !stands(this.#view, event, PRICE)) {
      const execution = this.#id(ID_KIND.position, AT['trading.execution.id'], offset);
      this.#id(ID_KIND.position, AT['trading.position.id'], offset);
      const stop = AT['risk.trailing_stop.id'];
      // A stop mostly has the id of its execution.
      if (ends[stop] !== 0 && idHash(ID_KIND.position, this.#view, starts[stop]!, ends[stop]!) !== execution)
        this.#id(ID_KIND.position, stop, offset);
    }
    if (
      traceEnd > trace &&
      stands(this.#view, event, ORDER_EVENT) &&
      (length !== INTENT.length || !stands(this.#view, event, INTENT))
    )
      draft.add(idHash(ID_KIND.trace, this.#view, trace, traceEnd), offset);

    let kinds = 0;
    let isChange = false;
    for (const one of EVENTS) {
      if (one.bytes.length !== length || !stands(this.#view, event, one.bytes)) continue;
      kinds = one.name === CHECK && this.#isText(AT['risk.decision'], DENY) ? MARK.refused : one.kinds;
      isChange = one.name === STATE_CHANGE;
      break;
    }
    if (ends[AT['risk.cause.record_id']] !== 0) kinds |= MARK.cites;
    if (kinds === 0) return true;
    // What is counted without being read must be readable: escapes are left to the general way. So is what has no number.
    const stream = AT['audit.stream'];
    const sequence = AT['audit.sequence.number'];
    if (this.#escaped || ends[stream] === 0 || ends[sequence] === 0) return false;
    const state = AT['risk.trading_state.new'];
    const name = isChange ? AT['risk.scope'] : AT['risk.circuit_breaker.name'];
    const cause = AT['risk.cause.record_id'];
    const mark: MarkValues = {
      offset,
      kinds,
      state: this.#isText(state, ACTIVE) ? STATE.active : this.#isText(state, HALTED) ? STATE.halted : 0,
      seconds,
      nanos,
      sequence: Number(bytes.toString('latin1', starts[sequence], ends[sequence])),
      stream: this.#hash(stream),
      name: this.#hash(name),
      cause: this.#hash(cause),
      key: hashOf(
        `${bytes.toString('utf8', starts[stream], ends[stream])}#${bytes.toString('latin1', starts[sequence], ends[sequence])}`,
      ),
    };
    draft.marks.push(mark);
    return true;
  }

  #hash(wanted: number): number {
    const end = this.#ends[wanted] as number;
    return end === 0 ? 0 : textHash(this.#bytes, this.#starts[wanted] as number, end);
  }

  #isText(wanted: number, text: Text): boolean {
    const start = this.#starts[wanted] as number;
    return this.#ends[wanted] === start + text.length && stands(this.#view, start, text);
  }
}
