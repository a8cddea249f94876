/**
 * Reads the lines of one stream in order, each number once, no further than it is told, and goes on where it stood when there
 * is more. Plain segments are read while they grow. Memory of lines that are done with is used again, or given back.
 */
import { statSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { BufferPool } from '../../core/buffer-pool.ts';
import { listSegments, type SegmentFile } from '../journal/segment-files.ts';
import { LINE_TAIL, type Line, LineParser } from './line.ts';
import { type SealedBlock, sealedBlocks } from './sealed-segment.ts';

/** How far a stream may be read: what lies beyond is not known to be on disk. */
export interface ReadLimit {
  readonly firstSequence: number;
  readonly copy: number;
  /** Of that file; a sealed one is read whole. */
  readonly bytes: number;
  /** Nobody writes to the stream: a whole record that lacks nothing but its newline stands. */
  readonly ended: boolean;
}

const CHUNK_BYTES = 1 << 20;
const NEWLINE = 10;
const EMPTY: Buffer = Buffer.alloc(0);

/** Bytes of whole lines, and how their memory is given back. */
type Block = Pick<SealedBlock, 'bytes' | 'free'>;

type Place = { readonly firstSequence: number; readonly copy: number };

const order = (a: Place, b: Place): number => a.firstSequence - b.firstSequence || a.copy - b.copy;

/** A reader of one stream's lines. */
export class StreamReader {
  readonly #directory: string;
  readonly #onProblem: (problem: string) => void;
  readonly #parser = new LineParser();
  #next: number;
  #file: SegmentFile | undefined;
  #handle: FileHandle | undefined;
  /** Of the plain file: what is read next. */
  #offset = 0;
  #chunkBytes = CHUNK_BYTES;
  #blocks: AsyncGenerator<SealedBlock> | undefined;
  /** Whole lines that were read and not yet taken; the last may lack its newline. */
  #block = EMPTY;
  #at = 0;
  /** Gives the block's memory back. */
  #free = () => {};
  readonly #pool = new BufferPool();
  /** Blocks whose lines were all taken, and the number behind the last of them. */
  #taken: { readonly free: () => void; readonly end: number }[] = [];

  /**
   * @param from number of the first record wanted
   * @param onProblem told of what the journal should not hold; reading goes on behind it
   */
  constructor(directory: string, from: number, onProblem: (problem: string) => void) {
    this.#directory = directory;
    this.#next = from;
    this.#onProblem = onProblem;
  }

  /** Number of the record that is read next. */
  get next(): number {
    return this.#next;
  }

  /**
   * Takes the lines that come next, at least one where there is one. Their bytes stand until {@link release}.
   * @returns none where nothing more may be read at present
   * @throws the system's error
   */
  async read(limit: ReadLimit, maxRecords: number, maxBytes: number): Promise<Line[]> {
    const lines: Line[] = [];
    let bytes = 0;
    while (lines.length < maxRecords) {
      if (this.#at >= this.#block.length) {
        if (await this.#fill(limit)) continue;
        break;
      }
      const newline = this.#block.indexOf(NEWLINE, this.#at);
      const end = newline < 0 ? this.#block.length : newline;
      if (lines.length > 0 && bytes + end - this.#at > maxBytes) break;
      const line = this.#parse(this.#at, end);
      this.#at = end + 1;
      if (line === undefined) continue;
      lines.push(line);
      bytes += end - line.start;
    }
    return lines;
  }

  /** Tells that nobody looks at lines below this number any more: their blocks may be read into again. */
  release(below: number): void {
    while (this.#taken.length > 0 && this.#taken[0]!.end <= below) this.#taken.shift()!.free();
  }

  #parse(start: number, end: number): Line | undefined {
    if (start === end) return undefined;
    const line = this.#parser.parse(this.#block, start, end, this.#next);
    if (line === undefined) {
      this.#onProblem(
        `${this.#file?.path} holds a line that is no record, after number ${this.#next - 1}: passed over`,
      );
      return undefined;
    }
    // After a disk error records stand twice, in two files.
    if (line.sequence < this.#next) return undefined;
    if (line.sequence > this.#next) {
      this.#onProblem(`${this.#directory}: records ${this.#next} to ${line.sequence - 1} are missing`);
    }
    this.#next = line.sequence + 1;
    return line;
  }

  /** Reads the next lines into the block. @returns false where nothing more may be read */
  async #fill(limit: ReadLimit): Promise<boolean> {
    for (;;) {
      if (this.#file === undefined && !(await this.#openNext(limit, undefined))) return false;
      const file = this.#file!;
      const last = order(file, limit) >= 0;
      const block = this.#blocks === undefined ? await this.#readPlain(limit, last) : await this.#readSealed();
      if (block !== undefined) {
        const { bytes, free } = block;
        if (this.#block.length > 0) this.#taken.push({ free: this.#free, end: this.#next });
        [this.#block, this.#free] = [bytes, free];
        this.#at = 0;
        return true;
      }
      if (last || !(await this.#openNext(limit, file))) return false;
    }
  }

  async #readPlain(limit: ReadLimit, last: boolean): Promise<Block | undefined> {
    const end = last ? limit.bytes : Number.POSITIVE_INFINITY;
    for (;;) {
      const wanted = Math.min(this.#chunkBytes, end - this.#offset);
      if (wanted <= 0) return undefined;
      const chunk = this.#pool.take(wanted);
      let filled = 0;
      while (filled < wanted) {
        const { bytesRead } = await this.#handle!.read(chunk, filled, wanted - filled, this.#offset + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      const bytes = chunk.subarray(0, filled);
      const length = bytes.lastIndexOf(NEWLINE) + 1;
      if (length > 0) {
        this.#offset += length;
        return { bytes: bytes.subarray(0, length), free: () => this.#pool.give(chunk) };
      }
      if (filled < this.#chunkBytes && limit.ended && isWholeRecord(bytes)) {
        this.#offset += filled;
        return { bytes, free: () => this.#pool.give(chunk) };
      }
      this.#pool.give(chunk);
      if (filled < this.#chunkBytes) return undefined;
      this.#chunkBytes *= 2;
    }
  }

  async #readSealed(): Promise<Block | undefined> {
    for (;;) {
      const { value, done } = await this.#blocks!.next();
      if (done) return undefined;
      if (value.broken) this.#onProblem(`${this.#file!.path} holds a compressed frame that cannot be read`);
      else if (value.bytes.length > 0) return value;
    }
  }

  /** Opens the file behind `file`, or the one that holds the next record. */
  async #openNext(limit: ReadLimit, file: SegmentFile | undefined): Promise<boolean> {
    for (;;) {
      const files = listSegments(this.#directory).filter((one) => order(one, limit) <= 0);
      const index =
        file === undefined
          ? Math.max(
              0,
              files.findLastIndex((one) => one.firstSequence <= this.#next),
            )
          : files.findIndex((one) => order(one, file) > 0);
      const next = files[index];
      if (next === undefined) return false;
      await this.close();
      if (next.sealed) {
        this.#blocks = sealedBlocks(next.path, this.#pool);
      } else {
        try {
          this.#handle = await open(next.path);
        } catch (error) {
          // Sealed or removed since it was listed.
          if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue;
          throw error;
        }
      }
      this.#file = next;
      return true;
    }
  }

  /** Bytes on disk that were not taken yet. */
  backlogBytes(limit: ReadLimit): number {
    let bytes = this.#block.length - this.#at;
    for (const file of listSegments(this.#directory)) {
      if (order(file, limit) > 0) break;
      const place = this.#file === undefined ? -1 : order(file, this.#file);
      if (place < 0 && this.#file !== undefined) continue;
      const length = order(file, limit) === 0 && !file.sealed ? limit.bytes : sizeOf(file.path);
      // Of a sealed file that is being read, how much is left is not known: it counts until it is done.
      bytes += place === 0 && this.#blocks === undefined ? Math.max(0, length - this.#offset) : length;
    }
    return bytes;
  }

  /** Closes what is open. */
  async close(): Promise<void> {
    const handle = this.#handle;
    const blocks = this.#blocks;
    this.#handle = undefined;
    this.#blocks = undefined;
    this.#file = undefined;
    this.#offset = 0;
    this.#chunkBytes = CHUNK_BYTES;
    await handle?.close();
    await blocks?.return(undefined);
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function isWholeRecord(bytes: Buffer): boolean {
  if (!bytes.subarray(-LINE_TAIL.length).equals(LINE_TAIL)) return false;
  try {
    JSON.parse(bytes.toString('utf8'));
    return true;
  } catch {
    return false;
  }
}
