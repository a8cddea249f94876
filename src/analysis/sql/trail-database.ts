/** SQL over a trail: a database in memory whose views read the trail's files, and nothing else of this machine. */
import { stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import type { DuckDBConnection, DuckDBInstance, DuckDBValue } from '@duckdb/node-api';
import { findTrailFiles, isSegment } from '../../audit/read/files.ts';
import { RiskTrailError } from '../../core/errors.ts';
import { nearest } from '../../core/options.ts';
import { makeTemporaryDirectory, removeTemporaryDirectory } from '../temporary-directory.ts';
import type { ReadProgress } from '../trail-query.ts';
import { literal } from './columns.ts';
import { createInstance, type DuckDbModule, loadDuckDb, plainCell, type SqlValue } from './duckdb.ts';
import {
  type CachedFiles,
  type EventCount,
  type FactPass,
  FactTables,
  type FindCached,
  NOTHING_CACHED,
} from './fact-tables.ts';
import { addFunctions } from './functions.ts';
import { lastTimeOf } from './last-time.ts';
import { SplitFiles } from './split-lines.ts';
import { DERIVED_VIEWS, FILE_VIEWS, linesSql, MACROS, VIEW_NAMES, viewSql } from './views.ts';

/** Bounds of every query. */
export interface DatabaseOptions {
  /** Memory that DuckDB may take, in bytes; beyond it, it uses a temporary directory. @default 512 MiB */
  readonly memoryBytes?: number;
  /** Threads of DuckDB, at most one for each 96 MiB of memory. @default as many as there are processors */
  readonly threads?: number;
  /** Longest time of one query, in milliseconds. @default 120_000 */
  readonly timeoutMs?: number;
  /** Told how far a long query has come in the trail's files, of all their bytes. */
  readonly onProgress?: ((progress: ReadProgress) => void) | undefined;
}

/** A query's answer. */
export interface SqlResult {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly SqlValue[])[];
}

/** Runs a query and gives its answer. */
export type RunQuery = (sql: string, parameters?: SqlParameters) => Promise<SqlResult>;

/** Values for `$name` places of a query. */
export type SqlParameters = Readonly<Record<string, string | number | boolean | null>>;

/** Bounds of a query where none are given. */
export const DEFAULT_MEMORY_BYTES = 512 * 2 ** 20;
export const DEFAULT_TIMEOUT_MS = 120_000;
const PROGRESS_MS = 250;
/** Each thread of DuckDB that reads takes room for two of the longest lines, and for what it makes of them. */
const THREAD_BYTES = 96 * 2 ** 20;
const MAX_LINE_BYTES = 2 ** 24;
const LONGEST_LINE_BYTES = 2 ** 28;
/** A file may be sealed or pruned between the listing and the query: the next listing knows. */
const ATTEMPTS = 4;
/** Views that no family bounds: whether to tell copies apart there is worth a look of its own. */
const BROAD = /\b(events|operations)\b/i;
const FILE_GONE = /No files found|Cannot open file|No such file|Could not open/i;
const OUT_OF_MEMORY = /Out of Memory Error/;
const LINE_TOO_LONG = /maximum_object_size/;

/** A database over the files that were there when it was made. */
interface Session {
  readonly instance: DuckDBInstance;
  readonly connection: DuckDBConnection;
  readonly files: string;
  readonly directory: string;
  readonly cached: CachedFiles;
  /** Size of the files; 0 where nobody is told how far a query has come. */
  readonly bytes: number;
  /** Whether records come more than once; undefined until it was looked. */
  hasCopies: boolean | undefined;
  hasViews: boolean;
}

/** SQL over one trail. Queries run one after the other. */
export class TrailDatabase {
  readonly #paths: readonly string[];
  readonly #options: {
    readonly memoryBytes: number;
    readonly timeoutMs: number;
    readonly threads: number;
    readonly cache: FindCached | undefined;
    readonly onProgress: DatabaseOptions['onProgress'];
  };
  #duckdb: DuckDbModule | undefined;
  #session: Session | undefined;
  #maxLineBytes = MAX_LINE_BYTES;
  /** There once a line was too much. */
  #split: SplitFiles | undefined;
  #last: Promise<unknown> = Promise.resolve();

  /** @param cache where it is given, what reports ask for is taken from it, as far as it goes */
  constructor(paths: readonly string[], options: DatabaseOptions = {}, cache?: FindCached) {
    this.#paths = paths;
    this.#options = {
      memoryBytes: options.memoryBytes ?? DEFAULT_MEMORY_BYTES,
      timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      threads: options.threads ?? availableParallelism(),
      cache,
      onProgress: options.onProgress,
    };
  }

  /**
   * Runs one statement that only reads.
   * @throws RiskTrailError DUCKDB_MISSING, PATH_NOT_FOUND, NO_TRAIL_FILES, FILE_UNREADABLE, SQL_INVALID, SQL_NOT_READ_ONLY,
   * SQL_TIMEOUT, SQL_MEMORY
   */
  query(sql: string, parameters: SqlParameters = {}): Promise<SqlResult> {
    return this.#inTurn(() =>
      this.#attempt(async (session) => {
        if (!session.hasViews) await this.#makeViews(session, true);
        await this.#mayRun(session, sql);
        if (BROAD.test(sql)) await this.#lookForCopies(session);
        return this.#run(session, sql, parameters);
      }),
    );
  }

  /**
   * For reports: one pass over the trail, each record once, then queries of `facts`: its rows with typed columns.
   */
  withFacts<T>(pass: FactPass, work: (query: RunQuery, counts: readonly EventCount[]) => Promise<T>): Promise<T> {
    return this.#inTurn(() =>
      this.#attempt(async (session) => {
        const run: RunQuery = (sql, parameters) => this.#run(session, sql, parameters);
        const facts = new FactTables(run, session.files.split('\n'), session.cached, this.#maxLineBytes);
        try {
          return await work(run, await facts.gather(pass));
        } finally {
          await facts.drop();
        }
      }),
    );
  }

  /**
   * Time of the last record written, in nanoseconds since the epoch; undefined where only a pass over all can tell.
   * @throws RiskTrailError PATH_NOT_FOUND, NO_TRAIL_FILES
   */
  async lastTime(): Promise<string | undefined> {
    const time = await lastTimeOf(await this.#files());
    return time === undefined ? undefined : String(time);
  }

  /** Releases the database. It may be used again. */
  async close(): Promise<void> {
    await this.#last.catch(() => {});
    await this.#endSession();
    await this.#split?.close();
  }

  /** A connection runs one query at a time, and its files may be listed anew only between two. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work, work);
    this.#last = result.catch(() => {});
    return result;
  }

  async #attempt<T>(work: (session: Session) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const session = await this.#open();
      try {
        return await work(session);
      } catch (error) {
        if (error instanceof RiskTrailError) throw error;
        const { message } = error as Error;
        const longer = await this.#takesLonger(session, message);
        if (!longer && (!FILE_GONE.test(message) || attempt === ATTEMPTS)) throw this.#invalid(message, error);
        await this.#endSession();
      }
    }
  }

  /** Whether a query that failed may do with lines split, or with longer ones. */
  async #takesLonger(session: Session, message: string): Promise<boolean> {
    const isLine = LINE_TOO_LONG.test(message);
    if (!isLine && !OUT_OF_MEMORY.test(message)) return false;
    if (this.#split === undefined) {
      this.#split = new SplitFiles();
      const files = session.files.split('\n');
      if ((await this.#split.of(files)).join('\n') !== session.files) return true;
    }
    if (!isLine || this.#maxLineBytes === LONGEST_LINE_BYTES) return false;
    this.#maxLineBytes = LONGEST_LINE_BYTES;
    return true;
  }

  #invalid(message: string, cause: unknown): RiskTrailError {
    if (OUT_OF_MEMORY.test(message))
      return new RiskTrailError('SQL_MEMORY', { mebibytes: Math.ceil(this.#options.memoryBytes / 2 ** 20) }, cause);
    // The parser's picture of the place is of more than one line; a path is told as it is.
    const reason = message.split('\n', 1)[0]!.replace(/^(\w+ )?Error: /, '');
    const table = /Table with name (\S+) does not exist/.exec(message)?.[1];
    const hint = table === undefined ? '' : nearest(table, VIEW_NAMES) || ` (the views are ${VIEW_NAMES.join(', ')})`;
    if (/^IO Error/.test(message))
      return new RiskTrailError('FILE_UNREADABLE', { path: this.#paths.join(', '), reason }, cause);
    return new RiskTrailError('SQL_INVALID', { reason: `${reason.replace(/!$/, '')}${hint}` }, cause);
  }

  async #files(): Promise<readonly string[]> {
    const { records } = await findTrailFiles(this.#paths);
    if (records.length === 0) throw new RiskTrailError('NO_TRAIL_FILES', { path: this.#paths.join(', ') });
    return records;
  }

  /** The session over the files that are there now. */
  async #open(): Promise<Session> {
    const found = await this.#files();
    this.#duckdb ??= await loadDuckDb();
    const cached = (await this.#options.cache?.(found)) ?? NOTHING_CACHED;
    const files = this.#split === undefined ? found : await this.#split.of(found);
    const key = files.join('\n');
    const session = this.#session;
    if (session?.files === key && isSame(session.cached, cached)) return session;
    await this.#endSession();
    const directory = await makeTemporaryDirectory('sql');
    const { memoryBytes, threads } = this.#options;
    const instance = await createInstance(this.#duckdb, {
      memory_limit: `${Math.ceil(memoryBytes / 2 ** 20)}MiB`,
      temp_directory: directory,
      preserve_insertion_order: 'false',
      threads: String(Math.max(1, Math.min(threads, Math.floor(memoryBytes / THREAD_BYTES)))),
    });
    const connection = await instance.connect();
    const bytes = this.#options.onProgress === undefined ? 0 : await sizeOf(files);
    this.#session = {
      instance,
      connection,
      files: key,
      cached,
      bytes,
      directory,
      hasCopies: undefined,
      hasViews: false,
    };
    addFunctions(this.#duckdb, connection);
    for (const macro of MACROS) await connection.run(macro);
    await connection.run("SET TimeZone = 'UTC'");
    if (cached.tables.length > 0) await connection.run('SET parquet_metadata_cache = true');
    if (this.#options.onProgress !== undefined) {
      await connection.run('SET enable_progress_bar = true');
      await connection.run('SET enable_progress_bar_print = false');
    }
    const readable = [...files, ...cached.tables, ...(cached.counts === undefined ? [] : [cached.counts.path])];
    await connection.run(`SET allowed_paths = [${readable.map(literal).join(', ')}]`);
    await connection.run('SET enable_external_access = false');
    await connection.run('SET lock_configuration = true');
    return this.#session;
  }

  /** Reports do without: the views are made when the first query is asked. */
  async #makeViews(session: Session, once: boolean): Promise<void> {
    const { connection } = session;
    const files = session.files.split('\n');
    for (const view of FILE_VIEWS) {
      await connection.run(`CREATE OR REPLACE VIEW ${view.name} AS ${viewSql(view, files, this.#maxLineBytes, once)}`);
    }
    if (session.hasViews) return;
    for (const { name, sql } of DERIVED_VIEWS) await connection.run(`CREATE VIEW ${name} AS ${sql}`);
    session.hasViews = true;
  }

  /**
   * Once a session: where no record comes twice, the broad views needn't tell copies apart, which costs more than the look.
   * A journal writes each line once, so its copies are equal to the byte; a Collector's delivery is at least once, and is
   * not worth the look.
   */
  async #lookForCopies(session: Session): Promise<void> {
    if (session.hasCopies !== undefined) return;
    const files = session.files.split('\n');
    session.hasCopies = true;
    if (!files.every(isSegment)) return;
    const lines = linesSql(files, this.#maxLineBytes);
    const { rows } = await this.#run(session, `SELECT count(*), count(DISTINCT hash(json)) FROM (${lines})`);
    session.hasCopies = rows[0]![0] !== rows[0]![1];
    if (!session.hasCopies) await this.#makeViews(session, false);
  }

  async #mayRun({ connection }: Session, sql: string): Promise<void> {
    const { StatementType } = this.#duckdb!;
    const statements = await connection.extractStatements(sql);
    if (statements.count !== 1) {
      const received = statements.count === 0 ? 'nothing' : `${statements.count} statements`;
      throw new RiskTrailError('SQL_NOT_READ_ONLY', { received });
    }
    const prepared = await statements.prepare(0);
    try {
      const type = prepared.statementType;
      if (type !== StatementType.SELECT && type !== StatementType.EXPLAIN) {
        throw new RiskTrailError('SQL_NOT_READ_ONLY', { received: StatementType[type] ?? 'another statement' });
      }
    } finally {
      prepared.destroySync();
    }
  }

  async #run({ connection }: Session, sql: string, parameters: SqlParameters = {}): Promise<SqlResult> {
    const { timeoutMs, onProgress } = this.#options;
    const telling = onProgress === undefined ? undefined : setInterval(() => this.#tell(), PROGRESS_MS);
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      connection.interrupt();
    }, timeoutMs);
    try {
      const reader = await connection.runAndReadAll(sql, parameters as Record<string, DuckDBValue>);
      return {
        columns: reader.deduplicatedColumnNames(),
        rows: reader.getRows().map((row) => row.map((cell) => plainCell(cell))),
      };
    } catch (error) {
      if (late) throw new RiskTrailError('SQL_TIMEOUT', { seconds: timeoutMs / 1000 }, error);
      throw error;
    } finally {
      clearTimeout(timer);
      clearInterval(telling);
    }
  }

  /** DuckDB tells a share of the rows, which it estimates by the bytes of the files. */
  #tell(): void {
    const { connection, bytes } = this.#session!;
    const { percentage } = connection.progress;
    // Before its first file is done, and where no file is read, it tells nothing.
    if (percentage > 0) this.#options.onProgress!({ bytes: (percentage / 100) * bytes, totalBytes: bytes });
  }

  async #endSession(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    if (session === undefined) return;
    session.connection.closeSync();
    session.instance.closeSync();
    await removeTemporaryDirectory(session.directory);
  }
}

/** Bytes of files on disk. */
export async function sizeOf(files: readonly string[]): Promise<number> {
  let bytes = 0;
  // One that was removed meanwhile has nothing to be read.
  for (const path of files) bytes += (await stat(path).catch(() => ({ size: 0 }))).size;
  return bytes;
}

const isSame = (one: CachedFiles, other: CachedFiles): boolean =>
  one.segments.size === other.segments.size && one.tables.join('\n') === other.tables.join('\n');
