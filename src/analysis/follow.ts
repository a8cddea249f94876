/**
 * Follows a trail live: the last records that are there, then each new one as it is appended, in whatever file or stream.
 *
 * Each file is read on from where its last whole line ended, so nothing is missed between two looks and a line that is
 * being written waits until it is whole. Files are told apart by inode: one that is rotated to another name is read on, not
 * anew. A change wakes the reader through `fs.watch`; a look at long intervals finds what a watch can't see (network file
 * systems, watch limits).
 */
import { type FSWatcher, watch } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { findTrailFiles, type LineBlock, scanBlock } from '../audit/read/files.ts';
import { type AuditRecord, readRecords, toAuditRecord } from '../audit/read/reader.ts';
import { plainAttributes, visitRecords } from '../audit/record/otlp.ts';
import type { RecordFilter } from './filter.ts';
import { type FlatRecord, toFlatRecord } from './flat-record.ts';
import { type SeenRanges, SeenRecords } from './seen-records.ts';
import { findGroups } from './trail-query.ts';

/** How a trail is followed. */
export interface FollowOptions {
  /** How many matching records that are already there come first; `all` takes them in batches. @default 10 */
  readonly last?: number | 'all';
  /** Goes on from there, with `last: 'all'`: what was told before is not told again. */
  readonly from?: FollowProgress | undefined;
  /** Told after each look at all files, when everything that was there has been taken. */
  readonly onLook?: (progress: () => FollowProgress) => void | Promise<void>;
  /** Only these; everything unless given. */
  readonly filter?: RecordFilter;
  /** Ends it. */
  readonly signal?: AbortSignal;
  /** Longest time between two looks, in milliseconds. @default 1000, and 250 where the file system can't be watched */
  readonly pollMs?: number;
}

/** How far a follower got, as plain data. */
export interface FollowProgress {
  /** Device and inode → path, and the bytes of it that were read. */
  readonly files: Readonly<Record<string, readonly [path: string, offset: number]>>;
  readonly seen: SeenRanges;
}

const DEFAULT_LAST = 10;
const WATCHED_POLL_MS = 1000;
const UNWATCHED_POLL_MS = 250;
/** Appends come in bursts: one look serves those of this time. */
const SETTLE_MS = 20;
const READ_BYTES = 1 << 20;
const NEWLINE = 10;

/** How far a file was read: up to the end of its last whole line. */
interface FilePosition {
  path: string;
  offset: number;
}

/**
 * Follows a trail until the signal says stop. The records of one look come as one batch, ordered by time; each audit record
 * comes once.
 * @throws RiskTrailError PATH_NOT_FOUND, FILE_UNREADABLE
 */
export async function* followTrail(
  paths: readonly string[],
  options: FollowOptions = {},
): AsyncGenerator<readonly FlatRecord[], void, undefined> {
  const { signal, last = DEFAULT_LAST, onLook } = options;
  const follower = new Follower(options.filter, options.from);
  // Watching begins before the first look, so that nothing falls between the two.
  const wake = new Wake(paths, options.pollMs, signal);
  try {
    const existing = last === 'all' ? [] : await follower.start(paths, last);
    if (existing.length > 0) yield existing;
    while (signal?.aborted !== true) {
      for await (const records of follower.look(paths)) yield records;
      await onLook?.(() => follower.progress());
      if (signal?.aborted) return;
      await wake.next();
    }
  } finally {
    wake.close();
  }
}

class Follower {
  readonly #filter: RecordFilter | undefined;
  readonly #seen: SeenRecords;
  /** By device and inode. */
  readonly #positions = new Map<string, FilePosition>();
  /** Of an earlier follower, until the file is found again: a number may have become another file's since. */
  readonly #resumed = new Map<string, FilePosition>();

  constructor(filter: RecordFilter | undefined, from: FollowProgress | undefined) {
    this.#filter = filter;
    this.#seen = new SeenRecords(from?.seen);
    for (const [key, [path, offset]] of Object.entries(from?.files ?? {})) this.#resumed.set(key, { path, offset });
  }

  progress(): FollowProgress {
    const files = [...this.#positions].map(([key, { path, offset }]) => [key, [path, offset]] as const);
    return { files: Object.fromEntries(files), seen: this.#seen.ranges() };
  }

  /** The last `count` matching records, and every file's position behind what is there now. */
  async start(paths: readonly string[], count: number): Promise<readonly FlatRecord[]> {
    const { records: files } = await findTrailFiles(paths);
    if (files.length === 0) return [];
    for (const path of files) {
      const handle = await openExisting(path);
      if (handle === undefined) continue;
      try {
        const { size } = await handle.stat();
        const offset = path.endsWith('.zst') ? size : await lastLineEnd(handle, size);
        this.#positions.set(await keyOf(path), { path, offset });
      } finally {
        await handle.close();
      }
    }
    const found: FlatRecord[] = [];
    for (const group of await findGroups(paths)) found.push(...(await this.#lastOf(group, count)));
    found.sort(byTime);
    return count === 0 ? [] : found.slice(-count);
  }

  /** Reads a group's files from the newest backwards, as far as it takes. */
  async #lastOf(group: readonly string[], count: number): Promise<readonly FlatRecord[]> {
    let found: FlatRecord[] = [];
    for (const path of group.toReversed()) {
      const limit = this.#positionOf(path);
      const ofFile: FlatRecord[] = [];
      for await (const batch of limit === undefined ? readRecords([path]) : readLines(path, 0, limit.offset)) {
        this.#take(batch, ofFile);
        if (ofFile.length > 2 * count) ofFile.splice(0, ofFile.length - count);
      }
      found = [...ofFile, ...found].slice(-Math.max(count, 1));
      // The newest file of each group is read even for none: what is delivered again is mostly from there.
      if (found.length >= count) break;
    }
    return found;
  }

  #positionOf(path: string): FilePosition | undefined {
    return path.endsWith('.zst') ? undefined : [...this.#positions.values()].find((one) => one.path === path);
  }

  /** What was appended since the last look. */
  async *look(paths: readonly string[]): AsyncGenerator<readonly FlatRecord[]> {
    const { records: files } = await findTrailFiles(paths);
    const found: FlatRecord[] = [];
    for (const path of files) {
      for await (const batch of this.#newOf(path)) {
        this.#take(batch, found);
        if (found.length > 10_000) yield found.splice(0).sort(byTime);
      }
    }
    if (found.length > 0) yield found.sort(byTime);
  }

  async *#newOf(path: string): AsyncGenerator<readonly AuditRecord[]> {
    let key: string;
    let size: number;
    try {
      const stats = await stat(path, { bigint: true });
      key = `${stats.dev}:${stats.ino}`;
      size = Number(stats.size);
    } catch {
      // Pruned or renamed between the listing and now; under its new name it is found by the next look.
      return;
    }
    let position = this.#positions.get(key) ?? this.#resumedAt(key, path, size);
    if (path.endsWith('.zst')) {
      // A compressed file is written whole: it is read when it has appeared, and what its plain file held is known.
      if (position?.offset === size) return;
      this.#positions.set(key, { path, offset: size });
      for await (const batch of readRecords([path])) yield batch.filter((record) => record.sequence !== undefined);
      return;
    }
    if (position === undefined) {
      position = { path, offset: 0 };
      this.#positions.set(key, position);
    }
    position.path = path;
    if (size === position.offset) return;
    if (!(await endsLineAt(path, position.offset))) position.offset = 0;
    yield* readLines(path, position.offset, Number.POSITIVE_INFINITY, position);
  }

  #resumedAt(key: string, path: string, size: number): FilePosition | undefined {
    const position = this.#resumed.get(key);
    this.#resumed.delete(key);
    if (position === undefined || position.path !== path || position.offset > size) return undefined;
    this.#positions.set(key, position);
    return position;
  }

  #take(batch: readonly AuditRecord[], into: FlatRecord[]): void {
    for (const record of batch) {
      if (record.stream !== undefined && record.sequence !== undefined) {
        if (!this.#seen.add(record.stream, record.sequence)) continue;
      }
      const flat = toFlatRecord(record);
      if (this.#filter === undefined || this.#filter(flat)) into.push(flat);
    }
  }
}

const byTime = (a: FlatRecord, b: FlatRecord): number =>
  a.timestamp < b.timestamp ? -1 : a.timestamp > b.timestamp ? 1 : 0;

async function keyOf(path: string): Promise<string> {
  const { dev, ino } = await stat(path, { bigint: true });
  return `${dev}:${ino}`;
}

async function openExisting(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Where the last whole line of the first `size` bytes ends. */
async function lastLineEnd(handle: FileHandle, size: number): Promise<number> {
  const buffer = Buffer.allocUnsafe(Math.min(size, READ_BYTES));
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - buffer.length);
    const { bytesRead } = await handle.read(buffer, 0, end - start, start);
    const newline = buffer.subarray(0, bytesRead).lastIndexOf(NEWLINE);
    if (newline >= 0) return start + newline + 1;
    end = start;
  }
  return 0;
}

/** Whether a line ends in front of this offset: if none does, the file was cut or replaced since it was read. */
async function endsLineAt(path: string, offset: number): Promise<boolean> {
  if (offset === 0) return true;
  const handle = await openExisting(path);
  if (handle === undefined) return false;
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(1), 0, 1, offset - 1);
    return bytesRead === 1 && buffer[0] === NEWLINE;
  } finally {
    await handle.close();
  }
}

/**
 * The records of the whole lines between two offsets of a plain file.
 * @param position is moved on behind what was read, where given
 */
async function* readLines(
  path: string,
  from: number,
  to: number,
  position?: FilePosition,
): AsyncGenerator<readonly AuditRecord[]> {
  const handle = await openExisting(path);
  if (handle === undefined) return;
  try {
    let rest: Buffer = Buffer.alloc(0);
    for (let at = from; at < to; ) {
      const chunk = Buffer.allocUnsafe(Math.min(READ_BYTES, to - at));
      const { bytesRead } = await handle.read(chunk, 0, chunk.length, at);
      if (bytesRead === 0) return;
      at += bytesRead;
      const bytes = Buffer.concat([rest, chunk.subarray(0, bytesRead)]);
      const end = bytes.lastIndexOf(NEWLINE) + 1;
      rest = bytes.subarray(end);
      if (position !== undefined) position.offset = at - rest.length;
      if (end > 0) yield recordsIn({ bytes: bytes.subarray(0, end), firstLine: 1, cut: false, broken: false }, path);
    }
  } finally {
    await handle.close();
  }
}

/** Lines that can't be read are passed over: telling of them is the verifier's work. */
function recordsIn(block: LineBlock, file: string): AuditRecord[] {
  const records: AuditRecord[] = [];
  scanBlock(block, {
    line: (text, number) =>
      visitRecords(text, (record, resource) =>
        records.push(toAuditRecord(record, plainAttributes(resource), file, number)),
      ),
    torn: () => {},
  });
  return records;
}

/** Waits for a change, or for the longest time between two looks. */
class Wake {
  readonly #watchers: FSWatcher[] = [];
  readonly #pollMs: number;
  readonly #signal: AbortSignal | undefined;
  #changed = false;
  #resolve: (() => void) | undefined;
  readonly #stop = (): void => this.#resolve?.();

  constructor(paths: readonly string[], pollMs: number | undefined, signal: AbortSignal | undefined) {
    this.#signal = signal;
    signal?.addEventListener('abort', this.#stop);
    let watched = true;
    for (const path of paths) {
      watched = (this.#watch(path, true) || this.#watch(dirname(path), false)) && watched;
    }
    this.#pollMs = pollMs ?? (watched ? WATCHED_POLL_MS : UNWATCHED_POLL_MS);
  }

  #watch(path: string, recursive: boolean): boolean {
    try {
      const watcher = watch(path, { recursive, persistent: false }, () => {
        this.#changed = true;
        this.#resolve?.();
      });
      // A watch may fail later, as when its directory goes away: looking goes on without it.
      watcher.on('error', () => watcher.close());
      this.#watchers.push(watcher);
      return true;
    } catch {
      return false;
    }
  }

  async next(): Promise<void> {
    if (!this.#changed) await this.#sleep(this.#pollMs, true);
    if (this.#changed) await this.#sleep(SETTLE_MS, false);
    this.#changed = false;
  }

  #sleep(ms: number, wakeable: boolean): Promise<void> {
    if (this.#signal?.aborted === true) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(done, ms);
      const self = this;
      function done(): void {
        clearTimeout(timer);
        self.#resolve = undefined;
        resolve();
      }
      if (wakeable) this.#resolve = done;
    });
  }

  close(): void {
    this.#signal?.removeEventListener('abort', this.#stop);
    for (const watcher of this.#watchers) watcher.close();
  }
}
