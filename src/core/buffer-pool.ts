/**
 * Large buffers that are used again. One made anew for each block or request is a megabyte that the collector's threads have to
 * find and give back, and they run at the priority of the trading code.
 */

/** A smaller one costs next to nothing, and is left to the collector. */
const MIN_BYTES = 1 << 16;
/** A larger one is an exception, and not kept. */
const MAX_BYTES = 1 << 24;
/** What a reader or an encoder has lent at once, and one more. */
const KEPT = 4;

/** Lends buffers, and lends them again once they were given back. */
export class BufferPool {
  readonly #free: Buffer<ArrayBuffer>[] = [];
  /** What is lent at present: nothing else is taken back, and nothing twice. */
  readonly #lent = new WeakSet<ArrayBufferLike>();

  /** @returns a buffer that is at least so long, with whatever it held before */
  take(bytes: number): Buffer {
    if (bytes < MIN_BYTES || bytes > MAX_BYTES) return Buffer.allocUnsafeSlow(bytes);
    const index = this.#free.findIndex(({ length }) => length >= bytes);
    const buffer =
      index < 0 ? Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(bytes))) : this.#free.splice(index, 1)[0]!;
    this.#lent.add(buffer.buffer);
    return buffer;
  }

  /**
   * Gives a buffer back: nobody reads or writes it any more. What never comes back is left to the collector.
   * @param part of the buffer; what isn't of this pool is passed over
   */
  give(part: Buffer): void {
    const { buffer } = part;
    if (!this.#lent.delete(buffer)) return;
    if (this.#free.length === KEPT) this.#free.shift();
    this.#free.push(Buffer.from(buffer as ArrayBuffer));
  }
}
