/**
 * The newest `risk.account_state` record of every other stream in a data directory: read once from the streams' ends, then
 * followed as they grow.
 *
 * Each look reads what came to the files that may grow; all of it off the thread. A record
 * counts once its line is whole and its hash is the one that it claims. A look every few milliseconds costs less than a watch
 * would on a stream of thousands of records a second, and works on any file system.
 */
import { closeSync, fstatSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { listSegments, type SegmentFile } from '../audit/journal/segment-files.ts';
import { STREAMS_DIRECTORY, streamDirectory } from '../audit/journal/streams.ts';
import { isIntact, placeOf, toRecordedEvent } from '../state/stream-record.ts';
import { ACCOUNT_EVENT, type AccountState, readAccountState } from './account-state.ts';

/** The newest state of one stream. */
export interface StreamState {
  /** `<service>/<stream UUID>` */
  readonly stream: string;
  readonly recordId: string;
  readonly sequence: number;
  readonly state: AccountState;
  /** The stream ended in order. */
  readonly closed: boolean;
}

export interface AccountStreamsOptions {
  readonly dataDir: string;
  readonly accountId: string;
  /** UUID of the process's own stream: it is not followed. */
  readonly ownId: string;
  /** Told of each newer state of another stream. */
  onState(state: StreamState): void;
  report(error: unknown, where: string): void;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const MARK = Buffer.from(`"eventName":"${ACCOUNT_EVENT}"`);
const CLOSED_MARK = Buffer.from('"eventName":"audit.stream_closed"');
const NEWLINE = 10;
/** Time between the end of a look and the next. */
const LOOK_MS = 15;
/** Every so many looks, new streams and segments are looked for, too. */
const THOROUGH = 3;
const CHUNK_BYTES = 1 << 18;
const READ_BYTES = 1 << 16;
/** A process that shares says so with each round of snapshots: what is farther back is of one that does not. */
const SEARCH_BYTES = 16 << 20;
const CLOSED_SEARCH_BYTES = 1 << 20;

interface Followed {
  readonly id: string;
  readonly directory: string;
  /** Number of the newest state that was told. */
  sequence: number;
  file: SegmentFile | undefined;
  /** End of the last whole line that was read of it. */
  offset: number;
  handle: FileHandle | undefined;
  buffer: Buffer | undefined;
  /** When the folder was changed last, and how often it was listed since: times of files are coarse. */
  changed: bigint;
  lists: number;
}

const UNREAD = { handle: undefined, buffer: undefined, changed: -1n, lists: 0 } as const;

/** So often a folder is listed after a change. */
const LISTS = 4;

export class AccountStreams {
  readonly #options: AccountStreamsOptions;
  readonly #followed = new Map<string, Followed>();
  readonly #ended = new Set<string>();
  #changed = -1n;
  #lists = 0;
  #looks = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: AccountStreamsOptions) {
    this.#options = options;
  }

  /** Reads the newest state of every stream that is there, the process's own included. Synchronous: it comes before trading. */
  scan(): readonly StreamState[] {
    const states: StreamState[] = [];
    for (const id of streamsIn(this.#options.dataDir)) {
      try {
        const found = this.#scanStream(id);
        if (found !== undefined) states.push(found);
      } catch (error) {
        // Retention may have removed it between the listing and now.
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#options.report(error, `account stream ${id}`);
      }
    }
    return states;
  }

  #scanStream(id: string): StreamState | undefined {
    const directory = streamDirectory(this.#options.dataDir, id);
    const files = listSegments(directory);
    const last = files.at(-1);
    if (last === undefined) return undefined;
    let left = SEARCH_BYTES;
    let closed = false;
    let end = 0;
    let found: Omit<StreamState, 'closed'> | undefined;
    for (const file of files.toReversed()) {
      for (const { bytes, wholeEnd } of backwards(file)) {
        if (file === last && end === 0) end = wholeEnd;
        if (!closed && bytes.includes(CLOSED_MARK)) {
          closed = true;
          left = Math.min(left, CLOSED_SEARCH_BYTES);
        }
        found = newestIn(bytes, id, this.#options.accountId);
        left -= bytes.length;
        if (found !== undefined || left <= 0) break;
      }
      if (found !== undefined || left <= 0) break;
    }
    const known = this.#followed.get(id);
    if (known !== undefined) this.#letGo(known);
    if (id !== this.#options.ownId) {
      if (closed || last.sealed) this.#ended.add(id);
      else {
        const sequence = found?.sequence ?? -1;
        this.#followed.set(id, { id, directory, sequence, file: last, offset: end, ...UNREAD });
      }
    }
    return found === undefined ? undefined : { ...found, closed };
  }

  /** Follows the streams from where `scan` ended. */
  start(): void {
    this.#next();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    for (const one of this.#followed.values()) this.#letGo(one);
  }

  #letGo(one: Followed): void {
    const { handle } = one;
    one.handle = undefined;
    handle?.close().catch(() => {});
  }

  #next(): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#looks++;
      this.look(this.#looks % THOROUGH === 0)
        .catch((error: unknown) => this.#options.report(error, 'account streams'))
        .finally(() => this.#next());
    }, LOOK_MS);
    this.#timer.unref();
  }

  /** Looks once at what came. @param thorough whether new streams and segments are looked for, too */
  async look(thorough = true): Promise<void> {
    if (thorough) await this.#findNew();
    await Promise.all(Array.from(this.#followed.values(), (one) => this.#lookAt(one, thorough)));
  }

  async #lookAt(one: Followed, thorough: boolean): Promise<void> {
    try {
      await this.#readFiles(one, thorough);
    } catch (error) {
      if (this.#stopped) return;
      this.#letGo(one);
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      // Sealed, or removed by retention: what it held to its end is looked up in what took its place.
      this.#rescan(one);
    }
  }

  #rescan(one: Followed): void {
    this.#followed.delete(one.id);
    try {
      const found = this.#scanStream(one.id);
      if (found !== undefined && found.sequence > one.sequence) this.#options.onState(found);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      this.#ended.add(one.id);
    }
  }

  async #findNew(): Promise<void> {
    const path = join(this.#options.dataDir, STREAMS_DIRECTORY);
    const { mtimeNs } = await stat(path, { bigint: true });
    if (mtimeNs !== this.#changed) this.#lists = 0;
    else if (this.#lists >= LISTS) return;
    this.#changed = mtimeNs;
    this.#lists++;
    for (const id of await readdir(path)) {
      if (!UUID.test(id) || id === this.#options.ownId || this.#followed.has(id) || this.#ended.has(id)) continue;
      const directory = streamDirectory(this.#options.dataDir, id);
      this.#followed.set(id, { id, directory, sequence: -1, file: undefined, offset: 0, ...UNREAD });
    }
  }

  async #readFiles(one: Followed, thorough: boolean): Promise<void> {
    // The names first: what a writer began later is found by a later look, and what it ended is whole in the older file.
    const files = thorough ? await this.#changedFiles(one) : undefined;
    one.file ??= files?.[0];
    if (one.file === undefined) return;
    for (;;) {
      await this.#readOn(one, one.file);
      const next = files?.find((file) => isAfter(file, one.file!));
      if (next === undefined || this.#stopped) return;
      this.#letGo(one);
      if (next.sealed) {
        this.#rescan(one);
        return;
      }
      Object.assign(one, { file: next, offset: 0 });
    }
  }

  /** The segments of a stream, where its folder was changed lately. */
  async #changedFiles(one: Followed): Promise<readonly SegmentFile[] | undefined> {
    const { mtimeNs } = await stat(one.directory, { bigint: true });
    if (mtimeNs !== one.changed) one.lists = 0;
    else if (one.lists >= LISTS) return undefined;
    one.changed = mtimeNs;
    one.lists++;
    return listSegments(one.directory);
  }

  async #readOn(one: Followed, file: SegmentFile): Promise<void> {
    one.handle ??= await open(file.path);
    one.buffer ??= Buffer.allocUnsafeSlow(READ_BYTES);
    while (!this.#stopped) {
      const { bytesRead } = await one.handle.read(one.buffer, 0, one.buffer.length, one.offset);
      const bytes = one.buffer.subarray(0, bytesRead);
      const end = bytes.lastIndexOf(NEWLINE) + 1;
      if (end > 0) {
        one.offset += end;
        this.#find(one, bytes.subarray(0, end));
      } else if (bytesRead === one.buffer.length) {
        // A line that is longer.
        one.buffer = Buffer.allocUnsafeSlow(2 * one.buffer.length);
        continue;
      }
      if (bytesRead < one.buffer.length) return;
    }
  }

  #find(one: Followed, lines: Buffer): void {
    const found = newestIn(lines, one.id, this.#options.accountId);
    if (found === undefined || found.sequence <= one.sequence) return;
    one.sequence = found.sequence;
    this.#options.onState({ ...found, closed: false });
  }
}

function streamsIn(dataDir: string): string[] {
  try {
    return readdirSync(join(dataDir, STREAMS_DIRECTORY)).filter((name) => UUID.test(name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

const isAfter = (file: SegmentFile, other: SegmentFile): boolean =>
  file.firstSequence > other.firstSequence || (file.firstSequence === other.firstSequence && file.copy > other.copy);

/** The whole lines of a file in pieces, from its end on; with where the last whole line ends. */
function* backwards(file: SegmentFile): Generator<{ readonly bytes: Buffer; readonly wholeEnd: number }> {
  if (file.sealed) {
    const bytes = zstdDecompressSync(readFileSync(file.path));
    yield { bytes, wholeEnd: bytes.length };
    return;
  }
  const fd = openSync(file.path, 'r');
  try {
    let end = fstatSync(fd).size;
    let wholeEnd: number | undefined;
    let rest: Buffer = Buffer.alloc(0);
    while (end > 0) {
      const start = Math.max(0, end - CHUNK_BYTES);
      const chunk = Buffer.allocUnsafe(end - start);
      const bytesRead = readSync(fd, chunk, 0, chunk.length, start);
      let bytes = Buffer.concat([chunk.subarray(0, bytesRead), rest]);
      if (wholeEnd === undefined) {
        const last = bytes.lastIndexOf(NEWLINE) + 1;
        if (last === 0) {
          rest = bytes;
          end = start;
          continue;
        }
        wholeEnd = start + last;
        bytes = bytes.subarray(0, last);
      }
      const first = start === 0 ? 0 : bytes.indexOf(NEWLINE) + 1;
      rest = bytes.subarray(0, first);
      end = start;
      if (first < bytes.length) yield { bytes: bytes.subarray(first), wholeEnd };
    }
  } finally {
    closeSync(fd);
  }
}

/** The newest intact state of the account in a piece of whole lines. */
function newestIn(bytes: Buffer, id: string, accountId: string): Omit<StreamState, 'closed'> | undefined {
  for (let at = bytes.lastIndexOf(MARK); at >= 0; at = at === 0 ? -1 : bytes.lastIndexOf(MARK, at - 1)) {
    const start = at === 0 ? 0 : bytes.lastIndexOf(NEWLINE, at) + 1;
    const end = bytes.indexOf(NEWLINE, at);
    const place = placeOf(bytes.toString('utf8', start, end < 0 ? bytes.length : end));
    if (place?.event !== ACCOUNT_EVENT) continue;
    const { attributes, recordId } = toRecordedEvent(place);
    const stream = attributes['audit.stream'];
    if (typeof stream !== 'string' || !stream.endsWith(`/${id}`) || !isIntact(place, stream)) continue;
    if (attributes['trading.account.id'] !== accountId) continue;
    const state = readAccountState(attributes['risk.snapshot']);
    if (state !== undefined) return { stream, recordId, sequence: place.sequence, state };
  }
  return undefined;
}
