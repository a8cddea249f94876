/**
 * One file of a stream. Records are appended whole or not at all; what was appended is synced by whoever needs it on disk.
 */
import { closeSync, fdatasync, fdatasyncSync, ftruncateSync, openSync, readdirSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { PRIVATE_FILE_MODE } from './durable-file.ts';

const SEQUENCE_DIGITS = 20;
/** `<first sequence>.jsonl`; a file begun after a disk error takes the same number with a suffix. */
const NAME = /^([0-9]{20})(?:\.([0-9]+))?\.jsonl$/;

/** A segment file as found in a directory. */
export interface SegmentFile {
  readonly name: string;
  readonly path: string;
  readonly firstSequence: number;
  readonly copy: number;
}

/** Name of the segment whose first record has this number. */
function segmentName(firstSequence: number, copy = 0): string {
  const digits = String(firstSequence).padStart(SEQUENCE_DIGITS, '0');
  return copy === 0 ? `${digits}.jsonl` : `${digits}.${copy}.jsonl`;
}

/** The plain segments of a stream's directory, in the order of writing. */
export function listSegments(directory: string): SegmentFile[] {
  const files: SegmentFile[] = [];
  for (const name of readdirSync(directory)) {
    const match = NAME.exec(name);
    if (match === null) continue;
    files.push({ name, path: join(directory, name), firstSequence: Number(match[1]), copy: Number(match[2] ?? 0) });
  }
  return files.sort((a, b) => a.firstSequence - b.firstSequence || a.copy - b.copy);
}

/** Errors after which this file can't be trusted, or can't grow, while another may. */
const FILE_ERRORS = new Set(['EIO', 'EFBIG', 'EBADF', 'ESTALE']);

/** An open segment. */
export class Segment {
  readonly path: string;
  readonly firstSequence: number;
  #fd: number;
  #bytes: number;
  #syncedBytes: number;
  #broken = false;

  private constructor(path: string, fd: number, firstSequence: number, bytes: number, syncedBytes: number) {
    this.path = path;
    this.#fd = fd;
    this.firstSequence = firstSequence;
    this.#bytes = bytes;
    this.#syncedBytes = syncedBytes;
  }

  /** Begins a new file; takes the next free suffix where the name is taken. */
  static create(directory: string, firstSequence: number): Segment {
    for (let copy = 0; ; copy++) {
      const path = join(directory, segmentName(firstSequence, copy));
      try {
        return new Segment(path, openSync(path, 'ax', PRIVATE_FILE_MODE), firstSequence, 0, 0);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
    }
  }

  /** Goes on with a file that is known to hold `bytes` bytes, all of them synced. */
  static reopen(file: SegmentFile, bytes: number): Segment {
    return new Segment(file.path, openSync(file.path, 'a'), file.firstSequence, bytes, bytes);
  }

  /** Length of the whole records in it. */
  get bytes(): number {
    return this.#bytes;
  }

  /** How much of it is known to be on disk. */
  get syncedBytes(): number {
    return this.#syncedBytes;
  }

  /** Nothing more may be appended: what comes next needs a new file. */
  get broken(): boolean {
    return this.#broken;
  }

  /**
   * Appends `length` bytes, all or none: what a failed write left behind is cut off again, so that a line is never continued.
   * @throws the system's error
   */
  append(buffer: Buffer, length: number): void {
    // What a failed write left behind couldn't be cut off, or the file can't grow.
    if (this.#broken) throw Object.assign(new Error(`EIO: ${this.path} can't be gone on with`), { code: 'EIO' });
    let done = 0;
    try {
      done = writeSync(this.#fd, buffer, 0, length);
      while (done < length) {
        const more = writeSync(this.#fd, buffer, done, length - done);
        if (more === 0) throw Object.assign(new Error('ENOSPC: nothing was written'), { code: 'ENOSPC' });
        done += more;
      }
    } catch (error) {
      this.#undo(done, error as NodeJS.ErrnoException);
      throw error;
    }
    this.#bytes += length;
  }

  #undo(done: number, error: NodeJS.ErrnoException): void {
    if (FILE_ERRORS.has(error.code ?? '')) this.#broken = true;
    // Somebody closed it; the number may be another file's by now, and is never closed or synced by us.
    if (error.code === 'EBADF') this.#fd = -1;
    if (done === 0) return;
    try {
      ftruncateSync(this.#fd, this.#bytes);
    } catch {
      this.#broken = true;
    }
  }

  /** Puts what is in the file at the time of the call on disk, without blocking. */
  sync(): Promise<void> {
    const bytes = this.#bytes;
    if (bytes === this.#syncedBytes) return Promise.resolve();
    return new Promise((resolve, reject) => {
      fdatasync(this.#fd, (error) => {
        if (error !== null) {
          this.#broken = true;
          reject(error);
        } else {
          this.#syncedBytes = Math.max(this.#syncedBytes, bytes);
          resolve();
        }
      });
    });
  }

  /** {@link sync}, waiting for it. */
  syncNow(): void {
    if (this.#bytes === this.#syncedBytes) return;
    try {
      fdatasyncSync(this.#fd);
    } catch (error) {
      this.#broken = true;
      throw error;
    }
    this.#syncedBytes = this.#bytes;
  }

  /** Closes the file; again does nothing. */
  close(): void {
    if (this.#fd < 0) return;
    const fd = this.#fd;
    this.#fd = -1;
    try {
      closeSync(fd);
    } catch {
      // What had to last was synced before.
    }
  }
}
