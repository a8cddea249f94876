/**
 * Writes protobuf messages from their ends to their beginnings: the length that stands in front of a part is known when it is
 * written, and nothing is moved. Fields are therefore given in reverse order.
 * https://protobuf.dev/programming-guides/encoding/
 */

const FIRST_BYTES = 65_536;
const VARINT = 0;
const FIXED_64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED_32 = 5;
const MAX_VARINT_BYTES = 10;
const LOW_32_BITS = 2 ** 32;

/** A writer of one message after the other. */
export class ProtobufWriter {
  #bytes = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #start = FIRST_BYTES;

  /** How much was written: what {@link lengthSince} measures from. */
  get length(): number {
    return this.#bytes.length - this.#start;
  }

  /**
   * A copy of what was written. The next message may begin.
   * @param take gives a buffer of at least so many bytes, for the copy
   */
  finish(take: (bytes: number) => Buffer): Buffer {
    const { length } = this;
    const message = take(length);
    this.#bytes.copy(message, 0, this.#start);
    this.#start = this.#bytes.length;
    return message.subarray(0, length);
  }

  /** Closes a part that was begun where `length` was `since`: a message within a message, or a list in one. */
  message(field: number, since: number): void {
    this.#varint(this.length - since);
    this.#tag(field, LENGTH_DELIMITED);
  }

  string(field: number, text: string): void {
    const length = Buffer.byteLength(text);
    this.#reserve(length);
    this.#start -= length;
    this.#bytes.write(text, this.#start, length, 'utf8');
    this.#varint(length);
    this.#tag(field, LENGTH_DELIMITED);
  }

  bytes(field: number, bytes: Buffer): void {
    this.#reserve(bytes.length);
    this.#start -= bytes.length;
    bytes.copy(this.#bytes, this.#start);
    this.#varint(bytes.length);
    this.#tag(field, LENGTH_DELIMITED);
  }

  /** An unsigned integer of at most 53 bits, or a bool as 0 or 1. */
  uint(field: number, value: number): void {
    this.#varint(value);
    this.#tag(field, VARINT);
  }

  /** A signed integer of at most 64 bits, in two's complement. */
  int64(field: number, value: bigint): void {
    let rest = BigInt.asUintN(64, value);
    const digits: number[] = [];
    for (; rest > 127n; rest >>= 7n) digits.push(Number(rest & 127n) | 128);
    digits.push(Number(rest));
    this.#reserve(digits.length);
    this.#start -= digits.length;
    this.#bytes.set(digits, this.#start);
    this.#tag(field, VARINT);
  }

  double(field: number, value: number): void {
    this.#reserve(8);
    this.#start -= 8;
    this.#bytes.writeDoubleLE(value, this.#start);
    this.#tag(field, FIXED_64);
  }

  fixed64(field: number, value: bigint): void {
    this.#reserve(8);
    this.#start -= 8;
    this.#bytes.writeBigUInt64LE(BigInt.asUintN(64, value), this.#start);
    this.#tag(field, FIXED_64);
  }

  fixed32(field: number, value: number): void {
    this.#reserve(4);
    this.#start -= 4;
    this.#bytes.writeUInt32LE(value % LOW_32_BITS, this.#start);
    this.#tag(field, FIXED_32);
  }

  #tag(field: number, type: number): void {
    this.#varint(field * 8 + type);
  }

  #varint(value: number): void {
    this.#reserve(MAX_VARINT_BYTES);
    let length = 1;
    for (let rest = value; rest > 127; rest = Math.floor(rest / 128)) length++;
    this.#start -= length;
    let at = this.#start;
    let rest = value;
    for (; rest > 127; rest = Math.floor(rest / 128)) this.#bytes[at++] = (rest % 128) | 128;
    this.#bytes[at] = rest;
  }

  #reserve(bytes: number): void {
    if (this.#start >= bytes) return;
    const { length } = this;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, length + bytes));
    this.#bytes.copy(larger, larger.length - length, this.#start);
    this.#bytes = larger;
    this.#start = larger.length - length;
  }
}
