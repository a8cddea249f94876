/**
 * The files of a trail as pieces of a few megabytes, each with the time of its first and last record, so that a page reads
 * only what it shows. Segments of a journal are in the order of time; other files, such as a Collector's, are sorted piece by
 * piece. What is kept of a file is of the order of a hundred bytes a piece.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { findTrailFiles, isSegment, readBlocks } from '../../audit/read/files.ts';
import type { Clock } from '../../core/clock.ts';
import { RiskTrailError } from '../../core/errors.ts';
import { type LoadedPiece, LooseLines, SegmentLines, timeOfLine } from './loaded-piece.ts';

/** Above every time. */
export const NO_END = 1n << 64n;

/** Some whole lines of a file. */
export interface Piece {
  readonly path: string;
  /** Tells the file from others also after it was renamed. */
  readonly file: string;
  readonly start: number;
  readonly end: number;
  /** Whether it is a journal's: a record a line, in the order of time. */
  readonly segment: boolean;
  /** No record is before. */
  readonly min: bigint;
  /** No record is behind; {@link NO_END} where that isn't known. */
  readonly max: bigint;
}

interface FileState {
  readonly file: string;
  size: number;
  /** Time of its last change, in nanoseconds. */
  changed: bigint;
  /** Where the pieces of a segment begin, with the time of their first record. */
  readonly marks: { readonly start: number; readonly min: bigint }[];
  /** Time of the last record of a stream's last segment, and the size at which it was looked for. */
  last?: { readonly size: number; readonly time: bigint };
  /** Pieces of a file that is no segment. */
  loose: { start: number; end: number; min: bigint; max: bigint }[];
}

/** What a look at the files found. */
export interface TrailView {
  readonly pieces: readonly Piece[];
  /** The same, in the order in which they are opened from the end of the list: by their beginning, and by their end. */
  readonly forwards: readonly Piece[];
  readonly backwards: readonly Piece[];
  /** Changes when any file does. */
  readonly version: string;
}

export interface PiecesOptions {
  /** Files and directories, searched downwards. */
  readonly paths: readonly string[];
  readonly clock: Clock;
  /** Bytes of pieces that are kept for the next page. */
  readonly cacheBytes: number;
  /** A look at the files serves so long, in milliseconds. */
  readonly freshMs: number;
}

const LOOSE_BYTES = 8 * 2 ** 20;
/** A page of a hundred records lies in one or two such pieces of a segment. */
const SEGMENT_BYTES = 2 ** 19;
const HEAD_BYTES = 65_536;
const NEWLINE = 10;
/** Files that are asked at a time. */
const STATS_AT_ONCE = 64;

/** The pieces of a trail, and those of them that are loaded. */
export class TrailPieces {
  readonly #options: PiecesOptions;
  readonly #files = new Map<string, FileState>();
  readonly #loaded = new Map<string, LoadedPiece>();
  #loadedBytes = 0;
  #view: TrailView | undefined;
  #viewedAt = Number.NEGATIVE_INFINITY;
  #looking: Promise<TrailView> | undefined;

  constructor(options: PiecesOptions) {
    this.#options = options;
  }

  /**
   * The pieces that are there; a look serves all who ask within `freshMs`.
   * @param anew whether to look at once
   * @throws RiskTrailError PATH_NOT_FOUND, FILE_UNREADABLE, NO_TRAIL_FILES
   */
  async view(anew = false): Promise<TrailView> {
    if (this.#looking !== undefined) {
      const view = await this.#looking;
      if (!anew) return view;
    }
    const { clock, freshMs } = this.#options;
    if (!anew && this.#view !== undefined && clock.monotonic() - this.#viewedAt < freshMs) return this.#view;
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #look(): Promise<TrailView> {
    const { paths, clock } = this.#options;
    const startedAt = clock.monotonic();
    const { records } = await findTrailFiles(paths);
    if (records.length === 0) throw new RiskTrailError('NO_TRAIL_FILES', { path: paths.join(', ') });
    const found: { path: string; key: string; size: number; mtime: bigint }[] = [];
    for (let at = 0; at < records.length; at += STATS_AT_ONCE) {
      const some = await Promise.all(records.slice(at, at + STATS_AT_ONCE).map(lookAt));
      found.push(...some.filter((one) => one !== undefined));
    }
    const digest = createHash('sha256');
    for (const { key, size, mtime } of found) digest.update(`${key} ${size} ${mtime}\n`);
    const version = digest.digest('base64url').slice(0, 16);
    if (version !== this.#view?.version) {
      this.#forget(new Set(found.map(({ key }) => key)));
      this.#view = { version, ...inOrders(await this.#piecesOf(found)) };
    }
    this.#viewedAt = startedAt;
    return this.#view;
  }

  /** What was kept of files that are gone. */
  #forget(there: ReadonlySet<string>): void {
    for (const key of this.#files.keys()) if (!there.has(key)) this.#files.delete(key);
    this.#drop((file) => !there.has(file));
  }

  /** Lets go of the loaded pieces of some files. */
  #drop(isOf: (file: string) => boolean): void {
    for (const [key, piece] of this.#loaded) {
      if (!isOf(key.slice(0, key.lastIndexOf('@')))) continue;
      this.#loaded.delete(key);
      this.#loadedBytes -= piece.bytes.length;
    }
  }

  async #piecesOf(
    found: readonly { path: string; key: string; size: number; mtime: bigint }[],
  ): Promise<readonly Piece[]> {
    const pieces: Piece[] = [];
    for (let at = 0; at < found.length; at += STATS_AT_ONCE) {
      const some = found.slice(at, at + STATS_AT_ONCE);
      const lists = await Promise.all(some.map((one) => this.#piecesOfFile(one.path, one.key, one.size, one.mtime)));
      pieces.push(...lists.flat());
    }
    const closed = pieces.map(async (piece, at): Promise<Piece> => {
      if (!piece.segment) return piece;
      const next = pieces[at + 1];
      // Within a stream a segment ends where the next one begins.
      const isLast = next?.segment !== true || dirname(next.path) !== dirname(piece.path) || next.min < piece.min;
      return { ...piece, max: isLast ? await this.#lastOf(piece) : next.min };
    });
    return Promise.all(closed);
  }

  async #lastOf(piece: Piece): Promise<bigint> {
    const state = this.#files.get(piece.file)!;
    if (state.last?.size !== piece.end) {
      state.last = { size: piece.end, time: (await lastTimeOf(piece.path, piece.end)) ?? NO_END };
    }
    return state.last.time;
  }

  async #piecesOfFile(path: string, key: string, size: number, mtime: bigint): Promise<readonly Piece[]> {
    let state = this.#files.get(key);
    // What has grown was appended to; anything else may be another content.
    const isOther = state !== undefined && (size < state.size || (size === state.size && mtime !== state.changed));
    if (isOther) this.#drop((file) => file === key);
    if (state === undefined || isOther) {
      state = { file: key, size: 0, changed: mtime, marks: [], loose: [] };
      this.#files.set(key, state);
    }
    state.changed = mtime;
    if (isSegment(path)) {
      await markSegment(path, state, size);
      state.size = size;
      const { marks } = state;
      return marks.map(({ start, min }, at) => {
        const end = marks[at + 1]?.start ?? size;
        return { path, file: key, start, end, segment: true, min, max: NO_END };
      });
    }
    await this.#growLoose(path, state, size);
    return state.loose.map((one) => ({ path, file: key, segment: false, ...one }));
  }

  /** Adds what a file that is no segment has grown by; its last piece is made anew. */
  async #growLoose(path: string, state: FileState, size: number): Promise<void> {
    if (size === state.size) return;
    const last = state.loose.at(-1);
    let start = 0;
    if (last !== undefined) {
      const isFull = last.end - last.start >= LOOSE_BYTES;
      start = isFull ? last.end : last.start;
      if (!isFull) state.loose.pop();
    }
    const sealed = path.endsWith('.zst');
    while (start < size) {
      const end = sealed ? size : Math.min(size, start + LOOSE_BYTES);
      const piece = { path, file: state.file, start, end, segment: false, min: 0n, max: 0n };
      const loaded = await this.load(piece);
      const whole = sealed ? size : start + loaded.bytes.length;
      const range = loaded.range();
      if (range !== undefined) state.loose.push({ start, end: whole, ...range });
      if (whole === start) break;
      start = whole;
    }
    state.size = size;
  }

  /** A piece with its lines. Those that were asked for last stay in memory. */
  async load(piece: Piece): Promise<LoadedPiece> {
    const key = `${piece.file}@${piece.start}`;
    const known = this.#loaded.get(key);
    if (known !== undefined && known.end === piece.end) {
      this.#loaded.delete(key);
      this.#loaded.set(key, known);
      return known;
    }
    const before =
      known !== undefined && known.end < piece.end && !piece.path.endsWith('.zst') ? known.bytes : undefined;
    const bytes = await readPiece(piece, before);
    const loaded = piece.segment
      ? new SegmentLines(bytes, piece.end)
      : new LooseLines(bytes, piece.end, `${piece.file}@${piece.start}`);
    const old = this.#loaded.get(key);
    if (old !== undefined) this.#loadedBytes -= old.bytes.length;
    this.#loaded.delete(key);
    this.#loaded.set(key, loaded);
    this.#loadedBytes += bytes.length;
    for (const [other, one] of this.#loaded) {
      if (this.#loadedBytes <= this.#options.cacheBytes || other === key) break;
      this.#loaded.delete(other);
      this.#loadedBytes -= one.bytes.length;
    }
    return loaded;
  }
}

/** A view of some pieces. */
export function inOrders(pieces: readonly Piece[]): Omit<TrailView, 'version'> {
  return {
    pieces,
    forwards: pieces.toSorted((a, b) => compareTimes(b.min, a.min)),
    backwards: pieces.toSorted((a, b) => compareTimes(a.max, b.max)),
  };
}

const compareTimes = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);

async function lookAt(path: string) {
  try {
    const { dev, ino, size, mtimeNs } = await stat(path, { bigint: true });
    return size === 0n ? undefined : { path, key: `${dev}:${ino}`, size: Number(size), mtime: mtimeNs };
  } catch {
    // Sealed, pruned or rotated since the directory was read: the next look knows.
    return undefined;
  }
}

/** Finds where the pieces of a segment begin, as far as it has grown. A compressed one is a piece as a whole. */
async function markSegment(path: string, { marks }: FileState, size: number): Promise<void> {
  if (marks.length === 0) {
    const min = await firstTimeOf(path);
    if (min === undefined) return;
    marks.push({ start: 0, min });
  }
  if (path.endsWith('.zst') || size - marks.at(-1)!.start < 2 * SEGMENT_BYTES) return;
  const handle = await openExisting(path);
  if (handle === undefined) return;
  try {
    const buffer = Buffer.allocUnsafe(HEAD_BYTES);
    for (let at = marks.at(-1)!.start + SEGMENT_BYTES; at < size - SEGMENT_BYTES; at += SEGMENT_BYTES) {
      const { bytesRead } = await handle.read(buffer, 0, HEAD_BYTES, at);
      const bytes = buffer.subarray(0, bytesRead);
      const start = bytes.indexOf(NEWLINE) + 1;
      const end = start === 0 ? -1 : bytes.indexOf(NEWLINE, start);
      // Lines that are longer than what was read stay in the piece before.
      if (end > 0) marks.push({ start: at + start, min: timeOfLine(bytes, start, end) });
    }
  } finally {
    await handle.close();
  }
}

/** Time of the first record of a segment; undefined where no line of it is whole yet. */
async function firstTimeOf(path: string): Promise<bigint | undefined> {
  for await (const { bytes } of readHead(path)) {
    const newline = bytes.indexOf(NEWLINE);
    return newline < 0 ? undefined : timeOfLine(bytes, 0, newline);
  }
  return undefined;
}

/** Time of the last whole line of a segment's first `size` bytes; undefined where none is found. */
async function lastTimeOf(path: string, size: number): Promise<bigint | undefined> {
  if (path.endsWith('.zst')) {
    let time: bigint | undefined;
    for await (const { bytes, cut, broken } of readBlocks(path)) {
      if (!cut && !broken) time = lastTimeIn(bytes) ?? time;
    }
    return time;
  }
  const handle = await openExisting(path);
  if (handle === undefined) return undefined;
  try {
    for (let length = HEAD_BYTES; ; length *= 8) {
      const from = Math.max(0, size - length);
      const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(size - from), 0, size - from, from);
      const time = lastTimeIn(buffer.subarray(0, bytesRead), from === 0);
      if (time !== undefined || from === 0) return time;
    }
  } finally {
    await handle.close();
  }
}

/** @param whole whether the bytes begin with a line */
function lastTimeIn(bytes: Buffer, whole = true): bigint | undefined {
  const end = bytes.lastIndexOf(NEWLINE);
  if (end < 0) return undefined;
  const before = end === 0 ? -1 : bytes.lastIndexOf(NEWLINE, end - 1);
  return before < 0 && !whole ? undefined : timeOfLine(bytes, before + 1, end);
}

async function* readHead(path: string): AsyncGenerator<{ readonly bytes: Buffer }> {
  if (!path.endsWith('.zst')) {
    const handle = await openExisting(path);
    if (handle !== undefined) {
      try {
        const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(HEAD_BYTES), 0, HEAD_BYTES, 0);
        const bytes = buffer.subarray(0, bytesRead);
        if (bytes.includes(NEWLINE)) {
          yield { bytes };
          return;
        }
      } finally {
        await handle.close();
      }
    }
  }
  for await (const { bytes, cut } of readBlocks(path)) if (!cut) yield { bytes };
}

async function openExisting(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw new RiskTrailError('FILE_UNREADABLE', { path, reason: message }, error);
  }
}

/** The whole lines of a piece. @param before what was read of it earlier */
async function readPiece(piece: Piece, before: Buffer | undefined): Promise<Buffer> {
  const { path, start, end } = piece;
  const handle = path.endsWith('.zst') ? undefined : await openExisting(path);
  if (handle === undefined) return readWhole(path);
  try {
    const from = start + (before?.length ?? 0);
    const buffer = Buffer.allocUnsafeSlow(Math.max(0, end - from));
    let read = 0;
    while (read < buffer.length) {
      const { bytesRead } = await handle.read(buffer, read, buffer.length - read, from + read);
      if (bytesRead === 0) break;
      read += bytesRead;
    }
    // What stands behind the last newline is being written, or begins the next piece.
    const whole = buffer.subarray(0, buffer.subarray(0, read).lastIndexOf(NEWLINE) + 1);
    if (whole.length === 0 && before === undefined && read > 0) return readLongLine(handle, start, end);
    return before === undefined ? whole : Buffer.concat([before, whole]);
  } finally {
    await handle.close();
  }
}

/** A line that is longer than a piece. */
async function readLongLine(handle: FileHandle, start: number, end: number): Promise<Buffer> {
  const { size } = await handle.stat();
  for (let to = end; to < size; ) {
    to = Math.min(size, start + 2 * (to - start));
    const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafeSlow(to - start), 0, to - start, start);
    const newline = buffer.subarray(0, bytesRead).indexOf(NEWLINE);
    if (newline >= 0) return buffer.subarray(0, newline + 1);
  }
  return Buffer.alloc(0);
}

/** A compressed file, or what a plain one was sealed to; nothing where it is gone. */
async function readWhole(path: string): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const { bytes, cut, broken } of readBlocks(path)) if (!cut && !broken) parts.push(Buffer.from(bytes));
  return Buffer.concat(parts);
}
