/**
 * One file of a stream. Records are appended whole or not at all; what was appended is synced by whoever needs it on disk.
 */
import { basename, join } from 'node:path';
import { PRIVATE_FILE_MODE } from './durable-file.ts';
import { type JournalFs, NODE_FS } from './journal-fs.ts';
import { type SegmentFile, segmentName } from './segment-files.ts';

/** Errors after which this file can't be trusted, or can't grow, while another may. */
const FILE_ERRORS = new Set(['EIO', 'EFBIG', 'EBADF', 'ESTALE']);
const NEWLINE = 10;

/** An open segment. */
export class Segment {
  readonly path: string;
  readonly firstSequence: number;
  readonly #fs: JournalFs;
  #fd: number;
  #bytes: number;
  #syncedBytes: number;
  #broken = false;
  /** Behind the last whole record stands a part of one. */
  #torn = false;
  /** Why a sync failed. The next one could succeed though the bytes are gone: it isn't tried. */
  #syncError: Error | undefined;

  private constructor(fs: JournalFs, path: string, fd: number, firstSequence: number, bytes: number) {
    this.#fs = fs;
    this.path = path;
    this.#fd = fd;
    this.firstSequence = firstSequence;
    this.#bytes = bytes;
    this.#syncedBytes = bytes;
  }

  /** Begins a new file; takes the next free suffix where the name is taken. @throws the system's error */
  static create(directory: string, firstSequence: number, fs: JournalFs = NODE_FS): Segment {
    for (let copy = 0; ; copy++) {
      const path = join(directory, segmentName(firstSequence, copy));
      try {
        return new Segment(fs, path, fs.openSync(path, 'ax+', PRIVATE_FILE_MODE), firstSequence, 0);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
    }
  }

  /** {@link create} off the thread. */
  static async createAside(directory: string, firstSequence: number, fs: JournalFs): Promise<Segment> {
    for (let copy = 0; ; copy++) {
      const path = join(directory, segmentName(firstSequence, copy));
      try {
        const fd = await new Promise<number>((resolve, reject) => {
          fs.open(path, 'ax+', PRIVATE_FILE_MODE, (error, opened) =>
            error === null ? resolve(opened) : reject(error),
          );
        });
        return new Segment(fs, path, fd, firstSequence, 0);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
    }
  }

  /** Goes on with a file that is known to hold `bytes` bytes, all of them synced. @throws the system's error */
  static reopen(file: SegmentFile, bytes: number, fs: JournalFs = NODE_FS): Segment {
    return new Segment(fs, file.path, fs.openSync(file.path, 'a+'), file.firstSequence, bytes);
  }

  get name(): string {
    return basename(this.path);
  }

  /** The descriptor, for the writer thread. */
  get fd(): number {
    return this.#fd;
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
      done = this.#fs.writeSync(this.#fd, buffer, 0, length);
      while (done < length) {
        const more = this.#fs.writeSync(this.#fd, buffer, done, length - done);
        if (more === 0) throw Object.assign(new Error('ENOSPC: nothing was written'), { code: 'ENOSPC' });
        done += more;
      }
    } catch (error) {
      this.failed(error);
      if (done > 0) this.#cut();
      throw error;
    }
    this.#bytes += length;
  }

  /** The writer thread has appended a line. */
  grew(bytes: number): void {
    this.#bytes += bytes;
  }

  /** A write of the writer thread failed. */
  failed(error: unknown): void {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (FILE_ERRORS.has(code)) this.#broken = true;
    // Somebody closed it; the number may be another file's by now, and is never closed or synced by us.
    if (code === 'EBADF') this.#fd = -1;
  }

  /** Cuts off what stands behind the last whole record. */
  trim(): void {
    try {
      if (this.#fs.fstatSync(this.#fd).size > this.#bytes) this.#cut();
    } catch {
      this.#broken = true;
      this.#torn = true;
    }
  }

  #cut(): void {
    try {
      this.#fs.ftruncateSync(this.#fd, this.#bytes);
      this.#torn = false;
    } catch {
      this.#broken = true;
      this.#torn = true;
    }
  }

  /** Where a part of a record couldn't be cut off at once: tries again. @returns whether nothing is left to do */
  mend(): boolean {
    if (!this.#torn) return true;
    try {
      // By name where the descriptor is lost.
      if (this.#fd < 0) this.#fs.truncateSync(this.path, this.#bytes);
      else this.#fs.ftruncateSync(this.#fd, this.#bytes);
      this.#torn = false;
    } catch {
      return false;
    }
    return true;
  }

  /** Puts what is in the file at the time of the call on disk, without blocking. */
  sync(): Promise<void> {
    const bytes = this.#bytes;
    if (bytes === this.#syncedBytes) return Promise.resolve();
    if (this.#syncError !== undefined) return Promise.reject(this.#syncError);
    return new Promise((resolve, reject) => {
      this.#fs.fdatasync(this.#fd, (error) => {
        if (error !== null) {
          this.#broken = true;
          this.#syncError = error;
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
    if (this.#syncError !== undefined) throw this.#syncError;
    try {
      this.#fs.fdatasyncSync(this.#fd);
    } catch (error) {
      this.#broken = true;
      this.#syncError = error as Error;
      throw error;
    }
    this.#syncedBytes = this.#bytes;
  }

  /** Whether the file has no name any more: somebody deleted it. False where that can't be told. */
  deleted(): Promise<boolean> {
    if (this.#fd < 0) return Promise.resolve(false);
    return new Promise((resolve) => {
      this.#fs.fstat(this.#fd, (error, stats) => resolve(error === null && stats.nlink === 0));
    });
  }

  /** {@link deleted}, waiting for it. */
  deletedNow(): boolean {
    try {
      return this.#fd >= 0 && this.#fs.fstatSync(this.#fd).nlink === 0;
    } catch {
      return false;
    }
  }

  /** The whole records from `from` on, also where the file has no name any more. @throws the system's error */
  read(from: number): Buffer {
    const content = Buffer.allocUnsafe(this.#bytes - from);
    let done = 0;
    while (done < content.length) {
      const read = this.#fs.readSync(this.#fd, content, done, content.length - done, from + done);
      if (read === 0) throw new Error(`${this.path} has lost records`);
      done += read;
    }
    return content;
  }

  /** Writes what isn't synced of this file to a new one. @throws the system's error */
  replacement(directory: string): Segment {
    const content = this.#readForReplacement();
    // One record is one line.
    const sequence = this.firstSequence + countLines(content.subarray(0, this.#syncedBytes));
    const unsynced = content.subarray(this.#syncedBytes);
    const copy = Segment.create(directory, sequence, this.#fs);
    try {
      copy.append(unsynced, unsynced.length);
    } catch (error) {
      copy.discard();
      throw error;
    }
    return copy;
  }

  /** By name, since the descriptor may not be good any more. */
  #readForReplacement(): Buffer {
    const content = this.#fs.readFileSync(this.path);
    if (content.length < this.#bytes) throw new Error(`${this.path} has lost records`);
    return content.subarray(0, this.#bytes);
  }

  /** After {@link replacement}: lets go of it, without what stands in the other file now. */
  retire(): void {
    this.close();
    try {
      this.#fs.truncateSync(this.path, this.#syncedBytes);
    } catch {
      // The records then stand in two files, which a reader takes as one.
    }
  }

  /** Writes all of it to a new file of its number, its own having been deleted. @throws the system's error */
  restored(directory: string): Segment {
    const content = this.read(0);
    const copy = Segment.create(directory, this.firstSequence, this.#fs);
    try {
      copy.append(content, content.length);
    } catch (error) {
      copy.discard();
      throw error;
    }
    return copy;
  }

  /** Removes a file that holds no record. */
  discard(): void {
    this.mend();
    this.close();
    try {
      this.#fs.rmSync(this.path, { force: true });
    } catch {
      // An empty file is passed over by every reader.
    }
  }

  /** Closes the file; again does nothing. */
  close(): void {
    if (this.#fd < 0) return;
    const fd = this.#fd;
    this.#fd = -1;
    try {
      this.#fs.closeSync(fd);
    } catch {
      // What had to last was synced before.
    }
  }
}

function countLines(content: Buffer): number {
  let count = 0;
  for (let at = content.indexOf(NEWLINE); at >= 0; at = content.indexOf(NEWLINE, at + 1)) count++;
  return count;
}
