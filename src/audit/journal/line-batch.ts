/** Lines that are gathered to be written in one go: their bytes one behind the other, what else is known of them beside it. */
import type { WaitingLine } from './line-ring.ts';

/** Some hundred records: what a longer write would save is nothing beside what it takes. */
const BATCH_BYTES = 131_072;

export class LineBatch {
  readonly #capacity: number;
  #buffer: Buffer | undefined;
  #lines: WaitingLine[] = [];
  #bytes = 0;

  /** @param most how many bytes it may hold at most */
  constructor(most: number) {
    this.#capacity = Math.min(BATCH_BYTES, most);
  }

  /** Bytes of the lines in it. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Takes a line. @returns false where there is no room for it */
  push(buffer: Buffer, line: WaitingLine): boolean {
    const end = this.#bytes + line.bytes;
    if (end > this.#capacity) return false;
    this.#buffer ??= Buffer.allocUnsafeSlow(this.#capacity);
    buffer.copy(this.#buffer, this.#bytes, 0, line.bytes);
    this.#lines.push(line);
    this.#bytes = end;
    return true;
  }

  /** The bytes of all lines, good until the next {@link push}. */
  content(): Buffer {
    return this.#buffer === undefined ? Buffer.alloc(0) : this.#buffer.subarray(0, this.#bytes);
  }

  /** Takes all lines out. */
  take(): readonly WaitingLine[] {
    const lines = this.#lines;
    this.#lines = [];
    this.#bytes = 0;
    return lines;
  }
}
