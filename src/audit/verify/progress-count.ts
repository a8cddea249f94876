/** How far a pass has come, in bytes of its files. */
import { stat } from 'node:fs/promises';

/** How far a verification has come. */
export interface VerifyProgress {
  /** Bytes of files that were read, as they lie on disk. */
  readonly bytes: number;
  /** Bytes of all files. A live trail grows meanwhile. */
  readonly totalBytes: number;
  /** Audit records looked at. */
  readonly records: number;
}

/** Adds up what was read. */
export class ProgressCount {
  readonly #sizes: readonly number[];
  readonly #compressed: readonly boolean[];
  readonly #totalBytes: number;
  readonly #tell: (progress: VerifyProgress) => void;
  /** Bytes of files that are done. */
  #done = 0;
  #ofFile = 0;

  private constructor(
    sizes: readonly number[],
    compressed: readonly boolean[],
    tell: (progress: VerifyProgress) => void,
  ) {
    this.#sizes = sizes;
    this.#compressed = compressed;
    this.#totalBytes = sizes.reduce((sum, size) => sum + size, 0);
    this.#tell = tell;
  }

  static async of(files: readonly string[], tell: (progress: VerifyProgress) => void): Promise<ProgressCount> {
    const sizes: number[] = [];
    for (const path of files) {
      // One that is gone has nothing to be read.
      const stats = await stat(path).catch(() => undefined);
      sizes.push(stats?.size ?? 0);
    }
    const compressed = files.map((path) => path.endsWith('.zst'));
    return new ProgressCount(sizes, compressed, tell);
  }

  /** A block of a file was read. Of a compressed file it isn't known how much that is. */
  add(file: number, bytes: number, records: number): void {
    if (!this.#compressed[file]) this.#ofFile = Math.min(this.#ofFile + bytes, this.#sizes[file] as number);
    this.#tell({ bytes: this.#done + this.#ofFile, totalBytes: this.#totalBytes, records });
  }

  /** A file was read whole. */
  end(file: number, records: number): void {
    this.#done += this.#sizes[file] as number;
    this.#ofFile = 0;
    this.#tell({ bytes: this.#done, totalBytes: this.#totalBytes, records });
  }
}
