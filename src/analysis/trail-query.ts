/** Reads a trail for people and queries: every record once, in the order of time, whatever files it came in. */
import { dirname } from 'node:path';
import { findTrailFiles, isSegment, readBlocks, type TornLine } from '../audit/read/files.ts';
import { type AuditRecord, readRecords } from '../audit/read/reader.ts';
import { visitRecords } from '../audit/record/otlp.ts';
import { ProgressCount } from '../audit/verify/progress-count.ts';
import { RiskTrailError } from '../core/errors.ts';
import type { RecordFilter } from './filter.ts';
import { type FlatRecord, toFlatRecord } from './flat-record.ts';
import { SeenRecords } from './seen-records.ts';

/** How far the reading of a trail has come. */
export interface ReadProgress {
  /** Bytes of the files that were read, as they lie on disk. */
  readonly bytes: number;
  /** Bytes of all of them. */
  readonly totalBytes: number;
  /** Records read; absent where that isn't counted. */
  readonly records?: number;
}

/** How a trail is queried. */
export interface QueryOptions {
  /** Only these; everything unless given. */
  readonly filter?: RecordFilter;
  /** Texts of which a line must hold one to be worth a look, where the files are a journal's: see `textsOf`. */
  readonly texts?: readonly string[] | undefined;
  /** Told of each line that can't be read; reading goes on behind it. */
  readonly onTorn?: (torn: TornLine) => void;
  /** How many matching records are held back to put what comes out of order into its place. @default 10_000 */
  readonly reorderRecords?: number;
  /** Told how far reading has come, file by file. */
  readonly onProgress?: ((progress: ReadProgress) => void) | undefined;
}

const DEFAULT_REORDER_RECORDS = 10_000;

/**
 * The records of a trail that match, in batches, ordered by time, each audit record once however often it was delivered.
 *
 * A journal is in order, and a service's streams are merged by time. A Collector's file may be out of order: a record that
 * comes more than `reorderRecords` matches late is handed out late. Log records that are no audit records have nothing to
 * be told apart by, so they come as often as they stand there. Memory is bounded by the batches of the streams that run at
 * the same time and by `reorderRecords`.
 * @param paths files and directories, as for `readRecords`
 * @throws RiskTrailError PATH_NOT_FOUND, FILE_UNREADABLE, NO_TRAIL_FILES
 */
export async function* queryTrail(
  paths: readonly string[],
  options: QueryOptions = {},
): AsyncGenerator<readonly FlatRecord[], void, undefined> {
  const groups = await findGroups(paths);
  const seen = new SeenRecords();
  const isJournal = groups.every((group) => group.every(isSegment));
  const texts = isJournal ? options.texts : undefined;
  // What is looked for by such a text is of one flow: its stream has it in order, and its first record need not wait.
  const size = options.reorderRecords ?? (texts === undefined ? DEFAULT_REORDER_RECORDS : 0);
  const window = new ReorderWindow(size);
  const { onTorn, onProgress } = options;
  const files = groups.flat();
  let read = 0;
  const count = onProgress === undefined ? undefined : await ProgressCount.of(files, onProgress);
  const onFileEnd = (file: string) => count?.end(files.indexOf(file), read);
  for await (const records of mergeGroups(groups, { onTorn, texts, onFileEnd })) {
    read += records.length;
    for (const record of records) {
      if (record.stream !== undefined && record.sequence !== undefined && !seen.add(record.stream, record.sequence)) {
        continue;
      }
      const flat = toFlatRecord(record);
      if (options.filter === undefined || options.filter(flat)) window.add(flat);
    }
    const ready = window.takeReady();
    if (ready.length > 0) yield ready;
  }
  const rest = window.takeAll();
  if (rest.length > 0) yield rest;
}

/** Files of one directory, in their order: a journal's stream, or the files of a Collector. */
export type FileGroup = readonly string[];

/**
 * The trail's files by directory.
 * @throws RiskTrailError PATH_NOT_FOUND, NO_TRAIL_FILES
 */
export async function findGroups(paths: readonly string[]): Promise<readonly FileGroup[]> {
  const { records } = await findTrailFiles(paths);
  if (records.length === 0) throw new RiskTrailError('NO_TRAIL_FILES', { path: paths.join(', ') });
  const groups = new Map<string, string[]>();
  for (const file of records) {
    const group = groups.get(dirname(file));
    if (group === undefined) groups.set(dirname(file), [file]);
    else group.push(file);
  }
  return [...groups.values()];
}

/** Nanoseconds as a number: 256 ns apart are told apart, which is enough to merge streams. */
function timeOf(record: { readonly time: string }): number {
  const time = Number(record.time);
  return Number.isFinite(time) ? time : 0;
}

/** Time of the first record of a group; -Infinity where that can't be told, so that the group is opened at once. */
async function startOf(group: FileGroup): Promise<number> {
  for await (const block of readBlocks(group[0]!)) {
    const newline = block.bytes.indexOf(10);
    let start = Number.NEGATIVE_INFINITY;
    visitRecords(block.bytes.toString('utf8', 0, newline < 0 ? undefined : newline), (record) => {
      if (start === Number.NEGATIVE_INFINITY) start = timeOf({ time: String(record.timeUnixNano) });
    });
    return start;
  }
  return Number.NEGATIVE_INFINITY;
}

interface Looked {
  readonly onTorn: QueryOptions['onTorn'];
  readonly texts: readonly string[] | undefined;
  readonly onFileEnd: (file: string) => void;
}

/** A group that is being read. */
class GroupCursor {
  readonly #batches: AsyncIterator<readonly AuditRecord[]>;
  batch: readonly AuditRecord[] = [];
  at = 0;

  constructor(group: FileGroup, { onTorn, texts, onFileEnd }: Looked) {
    const options = {
      onFileEnd,
      ...(onTorn === undefined ? {} : { onTorn }),
      ...(texts === undefined ? {} : { texts }),
    };
    this.#batches = readRecords(group, options)[Symbol.asyncIterator]();
  }

  /** @returns false at the end */
  async load(): Promise<boolean> {
    const { done, value } = await this.#batches.next();
    this.batch = done === true ? [] : value;
    this.at = 0;
    return done !== true;
  }

  get time(): number {
    return timeOf(this.batch[this.at]!);
  }

  async close(): Promise<void> {
    await this.#batches.return?.();
  }
}

/** Merges groups by time. A group is opened when its first record is due: a long row of closed streams costs no memory. */
async function* mergeGroups(
  groups: readonly FileGroup[],
  looked: Looked,
): AsyncGenerator<readonly AuditRecord[], void, undefined> {
  const pending: { group: FileGroup; start: number }[] = [];
  for (const group of groups) pending.push({ group, start: groups.length === 1 ? 0 : await startOf(group) });
  pending.sort((a, b) => a.start - b.start);
  const active: GroupCursor[] = [];
  try {
    for (;;) {
      let first = earliest(active);
      while (pending.length > 0 && (first === undefined || pending[0]!.start <= first.time)) {
        const cursor = new GroupCursor(pending.shift()!.group, looked);
        if (await cursor.load()) active.push(cursor);
        first = earliest(active);
      }
      if (first === undefined) return;
      let until = pending[0]?.start ?? Number.POSITIVE_INFINITY;
      for (const other of active) if (other !== first) until = Math.min(until, other.time);
      const from = first.at;
      do first.at++;
      while (first.at < first.batch.length && first.time <= until);
      yield first.batch.slice(from, first.at);
      if (first.at === first.batch.length && !(await first.load())) active.splice(active.indexOf(first), 1);
    }
  } finally {
    await Promise.all(active.map((cursor) => cursor.close()));
  }
}

function earliest(cursors: readonly GroupCursor[]): GroupCursor | undefined {
  let first: GroupCursor | undefined;
  for (const cursor of cursors) if (first === undefined || cursor.time < first.time) first = cursor;
  return first;
}

/** Holds the newest records back, sorted by time. What comes in order is appended; a late one is put into its place. */
class ReorderWindow {
  readonly #size: number;
  #records: FlatRecord[] = [];

  constructor(size: number) {
    this.#size = size;
  }

  add(record: FlatRecord): void {
    const records = this.#records;
    let at = records.length;
    if (at > 0 && records[at - 1]!.timestamp > record.timestamp) {
      let low = 0;
      while (low < at) {
        const middle = (low + at) >> 1;
        if (records[middle]!.timestamp > record.timestamp) at = middle;
        else low = middle + 1;
      }
      records.splice(at, 0, record);
    } else records.push(record);
  }

  takeReady(): readonly FlatRecord[] {
    return this.#records.length > this.#size ? this.#records.splice(0, this.#records.length - this.#size) : [];
  }

  takeAll(): readonly FlatRecord[] {
    return this.#records.splice(0);
  }
}
