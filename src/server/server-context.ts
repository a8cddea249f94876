/** What the routes share: the trail read in several ways, what is known of its integrity, and the bounds of a request. */
import { existsSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { openTrail, type Trail } from '../analysis/index.ts';
import type { Clock } from '../core/clock.ts';
import { RiskTrailError } from '../core/errors.ts';
import { ACCESS_DIRECTORY } from './access/access-journal.ts';
import { AnswerCache, LongWork, RequestCounts } from './answers.ts';
import { IntegrityKeeper } from './integrity-keeper.ts';
import { TrailPages } from './pages/trail-pages.ts';
import { TrailPieces } from './pages/trail-pieces.ts';
import { ProblemError } from './problem.ts';
import { ThreadWork } from './threads/thread-work.ts';

/** Bounds of a server. */
export interface ServerLimits {
  /** Records of a page. */
  readonly maxPageRecords: number;
  /** Rows of a query's answer. */
  readonly maxRows: number;
  /** Longest SQL query, in milliseconds. */
  readonly queryTimeoutMs: number;
  /** Longest report, explanation or verification that a request waits for, in milliseconds. */
  readonly questionTimeoutMs: number;
  /** Memory of each of the two SQL engines, in bytes. */
  readonly queryMemoryBytes: number;
  /** Body of a request, in bytes. */
  readonly bodyBytes: number;
  /** Requests of one address within a minute; 0 for any number. */
  readonly requestsPerMinute: number;
  /** Live tails at a time. */
  readonly maxTails: number;
  /** Long questions that run or wait at a time. */
  readonly maxLongQuestions: number;
  /** Replays, evaluations of alert rules and verifications by given keys that are made at a time, each in a thread of its own. */
  readonly maxThreads: number;
  /** Memory of such a thread for JavaScript's objects, in bytes. */
  readonly threadMemoryBytes: number;
  /** Bytes of the trail that are kept in memory for pages. */
  readonly cacheBytes: number;
}

/** Bounds that hold where none are given. */
export const DEFAULT_LIMITS: ServerLimits = Object.freeze({
  maxPageRecords: 1000,
  maxRows: 10_000,
  queryTimeoutMs: 30_000,
  questionTimeoutMs: 120_000,
  queryMemoryBytes: 512 * 2 ** 20,
  bodyBytes: 64 * 1024,
  requestsPerMinute: 30_000,
  maxTails: 32,
  maxLongQuestions: 16,
  maxThreads: 2,
  threadMemoryBytes: 1024 * 2 ** 20,
  cacheBytes: 128 * 2 ** 20,
});

export interface ContextOptions {
  /** Data directory, or files and directories of a trail. */
  readonly paths: readonly string[];
  readonly clock: Clock;
  readonly limits: ServerLimits;
  /** Rest between two verifications in the background, in milliseconds; 0 for none. */
  readonly verifyIntervalMs: number;
  /** A look at the files serves so long, in milliseconds. */
  readonly freshMs: number;
  /** See `OpenTrailOptions.cache`. */
  readonly cache?: boolean | string | undefined;
}

/** What one server knows and holds. */
export class ServerContext {
  readonly clock: Clock;
  readonly limits: ServerLimits;
  /** As they were given: data directories among them are read through their streams. */
  readonly paths: readonly string[];
  /** Where records lie: the server's own trail is not among them. */
  readonly recordPaths: readonly string[];
  readonly pieces: TrailPieces;
  readonly pages: TrailPages;
  /** For reports and explanations. */
  readonly trail: Trail;
  /** For the SQL of callers. */
  readonly queries: Trail;
  readonly integrity: IntegrityKeeper;
  readonly answers = new AnswerCache(32 * 2 ** 20);
  readonly long: LongWork;
  /** For what takes a processor for long. */
  readonly threads: ThreadWork;
  /** For workbooks: one takes much memory, and many at a time have no hurry. */
  readonly workbooks: ThreadWork;
  readonly counts: RequestCounts;
  readonly #hidden: readonly string[];

  /** @throws RiskTrailError PATH_NOT_FOUND */
  constructor(options: ContextOptions) {
    const { clock, limits } = options;
    this.clock = clock;
    this.limits = limits;
    this.paths = options.paths.map((path) => resolve(path));
    for (const path of this.paths) if (!existsSync(path)) throw new RiskTrailError('PATH_NOT_FOUND', { path });
    this.recordPaths = this.paths.map(recordsOf);
    this.#hidden = [...this.recordPaths, ...this.paths];
    this.pieces = new TrailPieces({
      paths: this.recordPaths,
      clock,
      cacheBytes: limits.cacheBytes,
      freshMs: options.freshMs,
    });
    this.pages = new TrailPages(this.pieces, clock);
    const memoryBytes = limits.queryMemoryBytes;
    this.trail = openTrail(this.recordPaths, {
      clock,
      memoryBytes,
      timeoutMs: limits.questionTimeoutMs,
      cache: cacheOf(this.paths, options.cache),
    });
    this.queries = openTrail(this.recordPaths, { clock, memoryBytes, timeoutMs: limits.queryTimeoutMs });
    this.long = new LongWork(limits.maxLongQuestions, limits.questionTimeoutMs);
    const threads = {
      threads: limits.maxThreads,
      questions: limits.maxLongQuestions,
      timeoutMs: limits.questionTimeoutMs,
      memoryBytes: limits.threadMemoryBytes,
    };
    this.threads = new ThreadWork(threads);
    this.workbooks = new ThreadWork({ ...threads, threads: 1 });
    this.counts = new RequestCounts(clock);
    this.integrity = new IntegrityKeeper({
      paths: this.recordPaths,
      clock,
      version: () => this.version(),
      intervalMs: options.verifyIntervalMs,
    });
  }

  /**
   * The data directory that is served.
   * @throws ProblemError NO_DATA_DIRECTORY where it is none, but files
   */
  get dataDir(): string {
    const at = this.recordPaths.findIndex((path, index) => path !== this.paths[index]);
    if (at >= 0) return this.paths[at]!;
    const remedy = 'Serve the data directory of a service.';
    throw new ProblemError(409, 'NO_DATA_DIRECTORY', 'what is served is no data directory', { remedy });
  }

  /** What the files are like now. */
  async version(): Promise<string> {
    return (await this.pieces.view()).version;
  }

  /** Takes this machine's paths out of a text: whoever asks needs none. */
  hide(text: string): string {
    return this.#hidden.reduce((told, path) => told.replaceAll(path, 'the data directory'), text);
  }

  async close(): Promise<void> {
    this.integrity.stop();
    this.threads.close();
    this.workbooks.close();
    await Promise.all([this.trail.close(), this.queries.close()]);
  }
}

/** Where the records of a path lie: of a data directory its streams. */
function recordsOf(path: string): string {
  const streams = join(path, 'streams');
  return existsSync(streams) ? streams : path;
}

/** Where the cache lies that commands over the same data directory keep. */
function cacheOf(paths: readonly string[], cache: boolean | string | undefined): boolean | string | undefined {
  const [path] = paths;
  return cache === true && paths.length === 1 && existsSync(join(path!, 'streams')) ? join(path!, 'cache') : cache;
}

/** Where the server writes its own trail unless told; undefined where no data directory is served. */
export function defaultAuditDir(paths: readonly string[]): string | undefined {
  const directory = paths.map((path) => resolve(path)).find((path) => existsSync(path) && statSync(path).isDirectory());
  return directory === undefined ? undefined : join(directory, ACCESS_DIRECTORY);
}
