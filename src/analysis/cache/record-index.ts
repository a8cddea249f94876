/**
 * Where the records stand that explanations ask for, so that a question reads some lines and not the trail. Each file is looked
 * through once, as far as it goes; what comes to it later, when it is asked next. What is told is always read from the file
 * itself: the index says no more than where to look, and how many there are.
 */
import { stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { findTrailFiles } from '../../audit/read/files.ts';
import { RiskTrailError } from '../../core/errors.ts';
import type { RecordFinder } from '../explain-records.ts';
import type { DatabaseOptions } from '../sql/trail-database.ts';
import {
  type FileIdentity,
  identityOf,
  isSameFile,
  isSealed,
  LineReader,
  type ResumePoint,
} from './record-index-file.ts';
import { type IndexedFile, IndexFinder, StaleIndex } from './record-index-finder.ts';
import { IndexPart } from './record-index-part.ts';
import { scanFiles } from './record-index-pool.ts';
import { IndexStore } from './record-index-store.ts';
import type { ScanRequest } from './record-index-worker.ts';

/** What is known of a file. */
interface KnownFile extends IndexedFile {
  /** Where it goes on if it grows; undefined where that isn't known. */
  readonly next: ResumePoint | undefined;
}

const DEFAULT_TIMEOUT_MS = 120_000;
/** A file may be sealed, pruned or changed between the listing and the look: the next listing knows. */
const ATTEMPTS = 4;
/** For less a thread isn't worth its start. */
const MIN_THREAD_BYTES = 8_000_000;
/** As many parts of a growing file are worth looking through it anew. */
const MAX_PARTS = 64;
const FILES_AT_ONCE = 16;

/** An index of a trail's records. It may be written, sealed and pruned meanwhile. */
export class RecordIndex {
  readonly #paths: readonly string[];
  readonly #threads: number;
  readonly #timeoutMs: number;
  readonly #onProgress: DatabaseOptions['onProgress'];
  readonly #store: IndexStore | undefined;
  readonly #known = new Map<string, KnownFile>();
  /** Files whose index on disk turned out wrong. */
  readonly #distrusted = new Set<string>();
  readonly #reader = new LineReader();
  #last: Promise<unknown> = Promise.resolve();

  /**
   * @param options threads that look through files, and the longest time that this may take: the next question goes on
   * @param cache directory of a cache, where one is wanted
   */
  constructor(
    paths: readonly string[],
    options: Pick<DatabaseOptions, 'threads' | 'timeoutMs' | 'onProgress'> = {},
    cache?: string,
  ) {
    this.#paths = paths;
    this.#threads = options.threads ?? availableParallelism();
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.#onProgress = options.onProgress;
    this.#store = cache === undefined ? undefined : new IndexStore(cache);
  }

  /**
   * Answers from the trail as it is now.
   * @param work asked again where a file changed while it was read
   * @throws RiskTrailError PATH_NOT_FOUND, NO_TRAIL_FILES, FILE_UNREADABLE, SQL_TIMEOUT, and what `work` throws
   */
  async ask<T>(work: (find: RecordFinder) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const files = await this.#inTurn(() => this.#refresh());
      try {
        return await work(new IndexFinder(files, this.#reader));
      } catch (error) {
        if (!(error instanceof StaleIndex)) throw error;
        const { path } = error;
        await this.#inTurn(async () => {
          this.#known.delete(path);
          this.#distrusted.add(path);
        });
        if (attempt === ATTEMPTS)
          throw new RiskTrailError('FILE_UNREADABLE', { path, reason: 'it changes while it is read' }, error);
      }
    }
  }

  /** Forgets all that lies in memory. */
  close(): Promise<void> {
    return this.#inTurn(async () => {
      this.#known.clear();
      this.#reader.clear();
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work, work);
    this.#last = result.catch(() => {});
    return result;
  }

  /** Brings it up to the files that are there now. */
  async #refresh(): Promise<readonly IndexedFile[]> {
    const { records: paths } = await findTrailFiles(this.#paths);
    if (paths.length === 0) throw new RiskTrailError('NO_TRAIL_FILES', { path: this.#paths.join(', ') });
    const listed = new Set(paths);
    for (const path of this.#known.keys()) if (!listed.has(path)) this.#known.delete(path);
    const missing: ScanRequest[] = [];
    let bytes = 0;
    await each(paths, async (path) => {
      const identity = await identityAt(path);
      if (identity === undefined) {
        this.#known.delete(path);
        return;
      }
      const known = this.#known.get(path);
      if (known !== undefined && isSameFile(known.identity, identity)) return;
      const resume = known !== undefined && hasGrown(known, identity) ? known.next : undefined;
      if (resume === undefined && (await this.#readStored(path, identity))) return;
      missing.push({ path, resume });
      bytes += identity.size - (resume?.from ?? 0);
    });
    if (missing.length > 0) await this.#scan(missing, bytes, paths);
    return paths.flatMap((path) => this.#known.get(path) ?? []);
  }

  async #readStored(path: string, identity: FileIdentity): Promise<boolean> {
    if (this.#store === undefined || this.#distrusted.has(path)) return false;
    const stored = await this.#store.read(path, identity);
    if (stored === undefined) return false;
    this.#known.set(path, { path, ...stored, tail: [], next: undefined });
    return true;
  }

  async #scan(missing: readonly ScanRequest[], bytes: number, paths: readonly string[]): Promise<void> {
    const signal = AbortSignal.timeout(this.#timeoutMs);
    const asked = new Map(missing.map((one) => [one.path, one]));
    const requests = paths.flatMap((path) => asked.get(path) ?? []);
    const writes: Promise<void>[] = [];
    let done = 0;
    let left = requests.length;
    try {
      await scanFiles(requests, bytes < MIN_THREAD_BYTES ? 1 : this.#threads, signal, ({ path }, scanned) => {
        left--;
        const before = this.#known.get(path);
        this.#known.delete(path);
        if (scanned === undefined) return;
        const { identity, from, next, steady } = scanned;
        done += identity.size - from;
        this.#onProgress?.({ bytes: done, totalBytes: bytes });
        const parts = scanned.parts.map((part) => new IndexPart(part));
        const tail = scanned.tail.map((part) => new IndexPart(part));
        this.#known.set(path, { path, identity, parts: from > 0 ? [...before!.parts, ...parts] : parts, tail, next });
        // What has only grown is kept by the next process that looks through it.
        if (this.#store === undefined || from > 0 || !steady) return;
        const write = this.#store.write(path, { identity, parts: [...parts, ...tail] });
        this.#distrusted.delete(path);
        write.catch(() => {});
        writes.push(write);
      });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    if (writes.length > 0) await this.#store!.sweep(paths);
    await Promise.all(writes);
    if (left > 0) throw new RiskTrailError('SQL_TIMEOUT', { seconds: this.#timeoutMs / 1000 });
  }
}

/** Some at a time: a trail may have more files than a process may open. */
async function each(paths: readonly string[], work: (path: string) => Promise<void>): Promise<void> {
  let next = 0;
  const run = async () => {
    for (let at = next++; at < paths.length; at = next++) await work(paths[at]!);
  };
  await Promise.all(Array.from({ length: FILES_AT_ONCE }, run));
}

/** @returns undefined where the file is gone */
async function identityAt(path: string): Promise<FileIdentity | undefined> {
  try {
    return identityOf(await stat(path, { bigint: true }));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw new RiskTrailError('FILE_UNREADABLE', { path, reason: message }, error);
  }
}

const hasGrown = ({ identity, path, parts }: KnownFile, now: FileIdentity): boolean =>
  !isSealed(path) && identity.ino === now.ino && now.size > identity.size && parts.length < MAX_PARTS;
