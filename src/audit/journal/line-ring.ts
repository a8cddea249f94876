/**
 * Lines that wait to be written: their bytes in memory that a writer thread can see, what else is known of them beside it.
 * Written in the order in which they came, by the thread or by the journal itself.
 */
import { COUNT, createControlMemory, type RingControl, ringControl } from './ring-control.ts';

/** A line that waits. */
export interface WaitingLine {
  readonly bytes: number;
  readonly recordId: string;
  readonly eventName: string;
  /** The record's time, decimal nanoseconds. */
  readonly time: string;
}

export class LineRing {
  readonly controlMemory = createControlMemory();
  readonly control: RingControl = ringControl(this.controlMemory);
  readonly memory: SharedArrayBuffer;
  readonly #ring: Buffer;
  /** From `#first` on: those that wait. */
  #lines: WaitingLine[] = [];
  #first = 0;
  /** Counts of bytes: where the first waiting line begins, and where the last one ends. */
  #begin = 0;
  #end = 0;

  constructor(capacity: number) {
    this.memory = new SharedArrayBuffer(capacity);
    this.#ring = Buffer.from(this.memory);
  }

  get capacity(): number {
    return this.#ring.length;
  }

  /** Lines that wait. */
  get records(): number {
    return this.#lines.length - this.#first;
  }

  /** Bytes that wait. */
  get bytes(): number {
    return this.#end - this.#begin;
  }

  /** Whether the thread has written all that it may. */
  get idle(): boolean {
    return Atomics.load(this.control.counts, COUNT.HEAD) === Atomics.load(this.control.counts, COUNT.LIMIT);
  }

  /** Takes a line. @returns false where there is no room for it */
  push(buffer: Buffer, line: WaitingLine): boolean {
    if (this.bytes + line.bytes > this.#ring.length) return false;
    const at = this.#end % this.#ring.length;
    const copied = buffer.copy(this.#ring, at, 0, Math.min(line.bytes, this.#ring.length - at));
    if (copied < line.bytes) buffer.copy(this.#ring, 0, copied, line.bytes);
    this.#lines.push(line);
    this.#end += line.bytes;
    return true;
  }

  /** Lets the thread write all that is in the ring. */
  release(): void {
    Atomics.store(this.control.counts, COUNT.LIMIT, BigInt(this.#end));
  }

  /** Takes out the lines that the thread has written whole. */
  collect(take: (line: WaitingLine) => void): void {
    const head = Number(Atomics.load(this.control.counts, COUNT.HEAD));
    while (this.records > 0 && this.#begin + this.#lines[this.#first]!.bytes <= head) this.#shift(take);
    this.#compact();
  }

  /**
   * Where the thread is parked: what it wrote of a line that isn't whole counts as not written, and it may write no more.
   */
  reclaim(): void {
    Atomics.store(this.control.counts, COUNT.HEAD, BigInt(this.#begin));
    Atomics.store(this.control.counts, COUNT.LIMIT, BigInt(this.#begin));
  }

  /** The first lines, at least one and as many as fit `maxBytes`, as a copy. */
  peek(maxBytes: number): { readonly bytes: Buffer; readonly lines: number } {
    let lines = 0;
    let length = 0;
    for (; lines < this.records; lines++) {
      const more = this.#lines[this.#first + lines]!.bytes;
      if (lines > 0 && length + more > maxBytes) break;
      length += more;
    }
    const bytes = Buffer.allocUnsafe(length);
    const at = this.#begin % this.#ring.length;
    const copied = this.#ring.copy(bytes, 0, at, Math.min(at + length, this.#ring.length));
    if (copied < length) this.#ring.copy(bytes, copied, 0, length - copied);
    return { bytes, lines };
  }

  /** Takes out the first lines, which the journal has written itself. */
  shift(lines: number, take: (line: WaitingLine) => void): void {
    for (let i = 0; i < lines; i++) this.#shift(take);
    this.#compact();
    this.reclaim();
  }

  #shift(take: (line: WaitingLine) => void): void {
    const line = this.#lines[this.#first++]!;
    this.#begin += line.bytes;
    take(line);
  }

  #compact(): void {
    if (this.#first * 2 < this.#lines.length) return;
    this.#lines = this.#lines.slice(this.#first);
    this.#first = 0;
  }
}
