/**
 * Two texts written at once, as bytes: the canonical form of a record and its line. Bytes and not strings, because a string
 * put together from fifty pieces is copied twice more before it is hashed and written: this took a third off the encoder.
 */
import { viewOf } from '../../core/bytes.ts';
import { writeNumberText } from './number-text.ts';

/** Bytes that a record rarely outgrows. */
const FIRST_BYTES = 16_384;
/** Buffers grown past this for one huge record are given back after it. */
const KEEP_BYTES = 1_048_576;
/** Room that the short fixed texts around a value may take without asking. */
const SLACK = 64;
/**
 * Up to here a loop over the characters beats a call into the runtime. Longer strings are often ropes (ids and sentences put
 * together just now), which the runtime flattens once and a loop unwraps at each character.
 */
const SHORT = 16;
/** From here `JSON.stringify` is the better way. */
const LONG = 1024;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const CLOSE = 0x7d;
/** No number's text, with what stands around it in the line, is longer. */
export const NUMBER_ROOM = 48;

/** A fixed text of 8 to 16 bytes as its first and its last eight, which overlap: put down in two steps in place of a dozen. */
interface Words {
  readonly head: number;
  readonly tail: number;
  readonly length: number;
}

const WORD = 8;

/** @param text 8 to 16 ASCII characters */
function asciiWords(text: string): Words {
  const view = viewOf(asciiBytes(text));
  return { head: view.getFloat64(0, true), tail: view.getFloat64(text.length - WORD, true), length: text.length };
}

const INT = asciiWords('{"intValue":');
const DOUBLE = asciiWords('{"doubleValue":');

/** ASCII text as bytes. */
export function asciiBytes(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}

/** UTF-8 bytes of a text. */
export function utf8Bytes(text: string): Uint8Array {
  return Buffer.from(text, 'utf8');
}

export class RecordBytes {
  canonical: Buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
  /** How much of `canonical` is written. */
  canonicalEnd = 0;
  line: Buffer;
  #view: DataView;
  /** How much of `line` is written. */
  lineEnd = 0;
  readonly #canonicalHead: Uint8Array;
  readonly #lineHead: Uint8Array;

  /** @param canonicalHead what every canonical text begins with, @param lineHead what every line begins with */
  constructor(canonicalHead: Uint8Array, lineHead: Uint8Array) {
    this.#canonicalHead = canonicalHead;
    this.#lineHead = lineHead;
    this.line = Buffer.allocUnsafeSlow(lineHead.length + FIRST_BYTES);
    this.canonical.set(canonicalHead);
    this.line.set(lineHead);
    this.#view = viewOf(this.line);
    this.begin();
  }

  /** Back to the heads. */
  begin(): void {
    this.canonicalEnd = this.#canonicalHead.length;
    this.lineEnd = this.#lineHead.length;
    if (this.line.length > KEEP_BYTES) {
      this.canonical = this.#resized(this.canonical, this.canonicalEnd, FIRST_BYTES);
      this.line = this.#resized(this.line, this.lineEnd, FIRST_BYTES);
      this.#view = viewOf(this.line);
    }
  }

  #resized(buffer: Buffer, end: number, room: number): Buffer {
    const next = Buffer.allocUnsafeSlow(end + room);
    buffer.copy(next, 0, 0, end);
    return next;
  }

  /** Makes room for `bytes` more and the short texts around them in both. */
  reserve(bytes: number): void {
    const room = bytes + SLACK;
    if (this.canonicalEnd + room > this.canonical.length) {
      this.canonical = this.#resized(this.canonical, this.canonicalEnd, this.canonicalEnd + room);
    }
    if (this.lineEnd + room > this.line.length) {
      this.line = this.#resized(this.line, this.lineEnd, this.lineEnd + room);
      this.#view = viewOf(this.line);
    }
  }

  /** Bytes for the canonical text alone. Room must have been made. */
  toCanonical(bytes: Uint8Array): void {
    const { length } = bytes;
    if (length > SHORT) this.canonical.set(bytes, this.canonicalEnd);
    else for (let i = 0, to = this.canonicalEnd; i < length; i++) this.canonical[to++] = bytes[i]!;
    this.canonicalEnd += length;
  }

  /** Bytes for the line alone. Room must have been made. */
  toLine(bytes: Uint8Array): void {
    const { length } = bytes;
    if (length > SHORT) this.line.set(bytes, this.lineEnd);
    else for (let i = 0, to = this.lineEnd; i < length; i++) this.line[to++] = bytes[i]!;
    this.lineEnd += length;
  }

  /** ASCII text for the canonical text alone. Room must have been made. */
  asciiToCanonical(text: string): void {
    const { canonical } = this;
    let at = this.canonicalEnd;
    for (let i = 0; i < text.length; i++) canonical[at++] = text.charCodeAt(i);
    this.canonicalEnd = at;
  }

  /** ASCII text for the line alone. Room must have been made. */
  asciiToLine(text: string): void {
    const { line } = this;
    let at = this.lineEnd;
    for (let i = 0; i < text.length; i++) line[at++] = text.charCodeAt(i);
    this.lineEnd = at;
  }

  /** ASCII text for both. Room must have been made. */
  ascii(text: string): void {
    const { canonical, line } = this;
    let from = this.lineEnd;
    let to = this.canonicalEnd;
    if (text.length > SHORT) {
      const end = from + line.write(text, from, 'latin1');
      while (from < end) canonical[to++] = line[from++]!;
    } else {
      for (let i = 0; i < text.length; i++) {
        const code = text.charCodeAt(i);
        canonical[to++] = code;
        line[from++] = code;
      }
    }
    this.lineEnd = from;
    this.canonicalEnd = to;
  }

  /**
   * Finite numbers for both, commas between them: their text for the canonical form, and values of OTLP/JSON for the line. Room
   * for {@link NUMBER_ROOM} each must have been made.
   * @returns false where one is something else; then nothing is written
   */
  numbers(items: readonly unknown[]): boolean {
    // One loop with its own places: a check of limits brings forty numbers. Each is read once: it may be a getter.
    const { line, canonical } = this;
    const view = this.#view;
    let at = this.lineEnd;
    let to = this.canonicalEnd;
    for (let i = 0; i < items.length; i++) {
      const value = items[i];
      if (typeof value !== 'number' || !Number.isFinite(value)) return false;
      if (i > 0) {
        line[at++] = COMMA;
        canonical[to++] = COMMA;
      }
      // An int where JSON → protobuf → JSON keeps it as one, else a double.
      const { head, tail, length } = Number.isSafeInteger(value) ? INT : DOUBLE;
      view.setFloat64(at, head, true);
      view.setFloat64(at + length - WORD, tail, true);
      at += length;
      const start = at;
      at = writeNumberText(line, at, value);
      for (let from = start; from < at; from++) canonical[to++] = line[from]!;
      line[at++] = CLOSE;
    }
    this.lineEnd = at;
    this.canonicalEnd = to;
    return true;
  }

  /** A string as JSON for both, and the room for it. @returns false where it is no string or holds half of a surrogate pair */
  quoted(value: unknown): boolean {
    if (typeof value !== 'string') return false;
    const { length } = value;
    if (length > LONG) return this.#quotedLong(value);
    this.reserve(length * 3);
    const { canonical, line } = this;
    let from = this.lineEnd;
    let to = this.canonicalEnd;
    line[from++] = QUOTE;
    canonical[to++] = QUOTE;
    if (length > SHORT) {
      const end = from + line.write(value, from, 'utf8');
      while (from < end) {
        const code = line[from++]!;
        if (isSpecial(code)) return this.#quotedLong(value);
        canonical[to++] = code;
      }
    } else {
      for (let i = 0; i < length; i++) {
        const code = value.charCodeAt(i);
        if (isSpecial(code)) return this.#quotedLong(value);
        line[from++] = code;
        canonical[to++] = code;
      }
    }
    line[from++] = QUOTE;
    canonical[to++] = QUOTE;
    this.lineEnd = from;
    this.canonicalEnd = to;
    return true;
  }

  #quotedLong(value: string): boolean {
    if (!value.isWellFormed()) return false;
    const text = JSON.stringify(value);
    this.reserve(text.length * 3);
    const start = this.canonicalEnd;
    this.canonicalEnd += this.canonical.write(text, start, 'utf8');
    this.toLine(this.canonical.subarray(start, this.canonicalEnd));
    return true;
  }
}

/** Characters that need an escape, or more than one byte. */
function isSpecial(code: number): boolean {
  return code < 0x20 || code > 0x7e || code === QUOTE || code === BACKSLASH;
}
