/**
 * Two texts written at once, as bytes: the canonical form of a record and its line. Bytes and not strings, because a string
 * put together from fifty pieces is copied twice more before it is hashed and written: this took a third off the encoder.
 */

/** Bytes that a record rarely outgrows. */
const FIRST_BYTES = 16_384;
/** Buffers grown past this for one huge record are given back after it. */
const KEEP_BYTES = 1_048_576;
/** Room that the short fixed texts around a value may take without asking. */
const SLACK = 64;
/** Up to here a loop over the characters beats a call into the runtime. */
const SHORT = 96;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

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
    this.begin();
  }

  /** Back to the heads. */
  begin(): void {
    this.canonicalEnd = this.#canonicalHead.length;
    this.lineEnd = this.#lineHead.length;
    if (this.line.length > KEEP_BYTES) {
      this.canonical = this.#resized(this.canonical, this.canonicalEnd, FIRST_BYTES);
      this.line = this.#resized(this.line, this.lineEnd, FIRST_BYTES);
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
    }
  }

  /** Bytes for the canonical text alone. Room must have been made. */
  toCanonical(bytes: Uint8Array): void {
    this.canonical.set(bytes, this.canonicalEnd);
    this.canonicalEnd += bytes.length;
  }

  /** Bytes for the line alone. Room must have been made. */
  toLine(bytes: Uint8Array): void {
    this.line.set(bytes, this.lineEnd);
    this.lineEnd += bytes.length;
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
    this.asciiToCanonical(text);
    this.asciiToLine(text);
  }

  /** A string as JSON for both, and the room for it. @returns false where it is no string or holds half of a surrogate pair */
  quoted(value: unknown): boolean {
    if (typeof value !== 'string') return false;
    const { length } = value;
    if (length > SHORT) return this.#quotedLong(value);
    this.reserve(length);
    const { canonical, line, canonicalEnd, lineEnd } = this;
    canonical[canonicalEnd] = QUOTE;
    line[lineEnd] = QUOTE;
    for (let i = 0; i < length; ) {
      const code = value.charCodeAt(i++);
      if (code < 0x20 || code > 0x7e || code === QUOTE || code === BACKSLASH) return this.#quotedLong(value);
      canonical[canonicalEnd + i] = code;
      line[lineEnd + i] = code;
    }
    canonical[canonicalEnd + length + 1] = QUOTE;
    line[lineEnd + length + 1] = QUOTE;
    this.canonicalEnd = canonicalEnd + length + 2;
    this.lineEnd = lineEnd + length + 2;
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
