/** SQL over a trail: a database in memory whose views read the trail's files, and nothing else of this machine. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DuckDBConnection, DuckDBInstance, DuckDBValue } from '@duckdb/node-api';
import { leafHashBase64 } from '../../audit/proof/tree.ts';
import { findTrailFiles, isSegment } from '../../audit/read/files.ts';
import { type AuditRecord, toAuditRecord } from '../../audit/read/reader.ts';
import { auditForm } from '../../audit/record/canonical.ts';
import { plainAttributes, visitRecords } from '../../audit/record/otlp.ts';
import { RiskTrailError } from '../../core/errors.ts';
import { nearest } from '../../core/options.ts';
import { literal } from './columns.ts';
import { createInstance, type DuckDbModule, loadDuckDb, plainCell, type SqlValue } from './duckdb.ts';
import { addFunctions } from './functions.ts';
import { lastTimeOf } from './last-time.ts';
import {
  DERIVED_VIEWS,
  FILE_VIEWS,
  ITSELF,
  linesSql,
  MACROS,
  OF_LINE,
  RECORD_HASH,
  recordsSql,
  VIEW_NAMES,
  viewSql,
} from './views.ts';

/** Bounds of every query. */
export interface DatabaseOptions {
  /** Memory that DuckDB may take, in bytes; beyond it, it uses a temporary directory. @default 512 MiB */
  readonly memoryBytes?: number;
  /** Threads of DuckDB. @default as many as there are processors */
  readonly threads?: number;
  /** Longest time of one query, in milliseconds. @default 120_000 */
  readonly timeoutMs?: number;
}

/** A query's answer. */
export interface SqlResult {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly SqlValue[])[];
}

/** The records that a pass is made of. */
export interface FactRecords {
  /** SQL of the texts `r`. */
  readonly records: string;
  /** Where in `r` the record stands. */
  readonly place: typeof ITSELF | typeof OF_LINE;
  /** SQL of the column `record_key`. */
  readonly key: string;
  /** Whether the key needs every record's attributes. */
  readonly whole: boolean;
}

/** SQL of a table of facts; its column `odd` tells lines that are not one record where they are taken for it. */
export type FactsSql = (of: FactRecords) => string;

/** A pass over the trail. */
export interface FactPass {
  /** SQL of the rows, `texts` among their columns. */
  readonly pass: FactsSql;
  /** Typed columns, as SQL over the rows. */
  readonly columns: readonly string[];
  /** Which lines may hold what is looked for, as a condition on `json`; none where any may. */
  readonly lines: string | undefined;
  /**
   * SQL of the same rows, their columns typed, from the tables of a cache: those that are looked into, and those that are
   * counted alone.
   */
  readonly cached: (source: string) => {
    readonly wide: string;
    readonly narrow: string | undefined;
  };
}

/** What a cache holds. */
export interface CachedFiles {
  /** Files that need not be read. */
  readonly segments: ReadonlySet<string>;
  /** Parquet files that hold what is in them. */
  readonly tables: readonly string[];
}

/** Tells what a cache holds of some files, and brings it up to date. */
export type FindCached = (files: readonly string[]) => Promise<CachedFiles>;

/** Runs a query and gives its answer. */
export type RunQuery = (sql: string, parameters?: SqlParameters) => Promise<SqlResult>;

/** Values for `$name` places of a query. */
export type SqlParameters = Readonly<Record<string, string | number | boolean | null>>;

const DEFAULT_MEMORY_BYTES = 512 * 2 ** 20;
const DEFAULT_TIMEOUT_MS = 120_000;
const MAX_LINE_BYTES = 2 ** 24;
const LONGEST_LINE_BYTES = 2 ** 28;
/** A file may be sealed or pruned between the listing and the query: the next listing knows. */
const ATTEMPTS = 4;
/** Views that no family bounds: whether to tell copies apart there is worth a look of its own. */
const BROAD = /\b(events|operations)\b/i;
const FILE_GONE = /No files found|Cannot open file|No such file|Could not open/i;
const LINE_TOO_LONG = /maximum_object_size/;

/** A record with the outcome of its check: whether the hash that it claims is that of what stands there. */
export interface TrailRecord {
  readonly record: AuditRecord;
  readonly integrity: 'intact' | 'changed' | 'unproven';
}

/** A database over the files that were there when it was made. */
interface Session {
  readonly instance: DuckDBInstance;
  readonly connection: DuckDBConnection;
  readonly files: string;
  readonly directory: string;
  readonly cached: CachedFiles;
  /** Whether records come more than once; undefined until it was looked. */
  hasCopies: boolean | undefined;
}

/** SQL over one trail. Queries run one after the other. */
export class TrailDatabase {
  readonly #paths: readonly string[];
  readonly #options: {
    readonly memoryBytes: number;
    readonly timeoutMs: number;
    readonly threads: number | undefined;
    readonly cache: FindCached | undefined;
  };
  #duckdb: DuckDbModule | undefined;
  #session: Session | undefined;
  #maxLineBytes = MAX_LINE_BYTES;
  #last: Promise<unknown> = Promise.resolve();

  /** @param cache where it is given, what reports ask for is taken from it, as far as it goes */
  constructor(paths: readonly string[], options: DatabaseOptions = {}, cache?: FindCached) {
    this.#paths = paths;
    this.#options = {
      memoryBytes: options.memoryBytes ?? DEFAULT_MEMORY_BYTES,
      timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      threads: options.threads,
      cache,
    };
  }

  /**
   * Runs one statement that only reads.
   * @throws RiskTrailError DUCKDB_MISSING, PATH_NOT_FOUND, NO_TRAIL_FILES, FILE_UNREADABLE, SQL_INVALID, SQL_NOT_READ_ONLY,
   * SQL_TIMEOUT
   */
  query(sql: string, parameters: SqlParameters = {}): Promise<SqlResult> {
    return this.#inTurn(() =>
      this.#attempt(async (session) => {
        await this.#mayRun(session, sql);
        if (BROAD.test(sql)) await this.#lookForCopies(session);
        return this.#run(session, sql, parameters);
      }),
    );
  }

  /**
   * For reports: one pass over the trail into a table, each record once, then queries of `facts`: its rows with typed columns.
   */
  withFacts<T>(pass: FactPass, work: (query: RunQuery) => Promise<T>): Promise<T> {
    return this.#inTurn(() =>
      this.#attempt(async (session) => {
        await this.#gather(session, pass);
        try {
          return await work((sql, parameters) => this.#run(session, sql, parameters));
        } finally {
          for (const table of ['fact_rows', 'cached_rows', 'counted_rows'])
            await session.connection.run(`DROP TABLE IF EXISTS ${table}`);
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

  /** Makes `facts`, of the cache where there is one and of the files. */
  async #gather(session: Session, pass: FactPass): Promise<void> {
    const typed = pass.columns.map((column) => `, ${column}`).join('');
    const ofFiles = `SELECT * EXCLUDE (texts, odd)${typed} FROM fact_rows`;
    const files = session.files.split('\n');
    const isCached = session.cached.segments.size > 0;
    const open = isCached ? files.filter((file) => !session.cached.segments.has(file)) : files;
    const whole = open.length === 0 || (await this.#read(session, pass, open, isCached));
    if (isCached && whole) {
      const source = `read_parquet([${session.cached.tables.map(literal).join(', ')}])`;
      const { wide, narrow } = pass.cached(source);
      const more = open.length === 0 ? '' : ` UNION ALL BY NAME ${ofFiles}`;
      await this.#run(session, `CREATE OR REPLACE TEMP TABLE cached_rows AS ${wide}${more}`);
      const tables = ['cached_rows'];
      if (narrow !== undefined) {
        await this.#run(session, `CREATE OR REPLACE TEMP TABLE counted_rows AS ${narrow}`);
        tables.push('counted_rows');
      }
      await this.#onceEach(session, tables);
      const all = tables.map((table) => `SELECT * FROM ${table}`).join(' UNION ALL BY NAME ');
      await this.#run(session, `CREATE OR REPLACE TEMP VIEW facts AS ${all}`);
      return;
    }
    // What the cache holds is told apart by lines: it can't stand beside records that were taken out of their lines.
    if (isCached) await this.#read(session, pass, files, false);
    await this.#onceEach(session, ['fact_rows']);
    await this.#run(session, `CREATE OR REPLACE TEMP VIEW facts AS ${ofFiles}`);
  }

  /**
   * Makes the table `fact_rows`.
   * @param onlyLines whether it is to be left where a line is not one record
   * @returns whether each line is one record
   */
  async #read(
    session: Session,
    { pass, lines }: FactPass,
    files: readonly string[],
    onlyLines: boolean,
  ): Promise<boolean> {
    const text = linesSql(files, this.#maxLineBytes, lines);
    const make = (of: FactRecords) => this.#run(session, `CREATE OR REPLACE TEMP TABLE fact_rows AS ${pass(of)}`);
    // A journal writes each line once: its copies are equal to the byte.
    const byText = files.every(isSegment);
    if (byText) {
      // A line of a journal is one record: it is looked at once, where taking its records out of it would be a second time.
      await make({ records: `SELECT json AS r FROM (${text})`, place: OF_LINE, key: 'hash(r)', whole: false });
      const { rows } = await this.#run(session, 'SELECT count(*) FROM fact_rows WHERE odd');
      if (rows[0]![0] === 0) return true;
    }
    if (onlyLines) return false;
    const key = byText ? 'hash(r)' : RECORD_HASH;
    await make({ records: recordsSql(text), place: ITSELF, key, whole: !byText });
    return false;
  }

  /** Removes what some tables of facts have more than once: what one has, the next has no more. */
  async #onceEach(session: Session, tables: readonly string[]): Promise<void> {
    const keys = tables.map((table) => `SELECT record_key FROM ${table}`).join(' UNION ALL ');
    const { rows } = await this.#run(session, `SELECT count(record_key), count(DISTINCT record_key) FROM (${keys})`);
    if (rows[0]![0] === rows[0]![1]) return;
    for (const [at, table] of tables.entries()) {
      const before = tables
        .slice(0, at)
        .map((one) => ` AND record_key NOT IN (SELECT record_key FROM ${one} WHERE record_key IS NOT NULL)`);
      await this.#run(
        session,
        `CREATE OR REPLACE TEMP TABLE ${table} AS SELECT * FROM ${table} WHERE record_key IS NULL OR (true${before.join('')})
         QUALIFY record_key IS NULL OR row_number() OVER (PARTITION BY record_key) = 1`,
      );
    }
  }

  /**
   * The records of the lines that meet a condition, decoded whole, each checked against the hash that it claims.
   * @param lines condition on `json`, the line's text
   */
  records(lines: string): Promise<readonly TrailRecord[]> {
    return this.#inTurn(() =>
      this.#attempt(async (session) => {
        const files = session.files.split('\n');
        const sql = `SELECT CAST(json AS VARCHAR) FROM (${linesSql(files, this.#maxLineBytes, lines)})`;
        const { rows } = await this.#run(session, sql);
        return rows.flatMap(([line]) => recordsOfLine(String(line)));
      }),
    );
  }

  /** Releases the database. It may be used again. */
  async close(): Promise<void> {
    await this.#last.catch(() => {});
    await this.#endSession();
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
        const longer = LINE_TOO_LONG.test(message) && this.#maxLineBytes < LONGEST_LINE_BYTES;
        if (longer) this.#maxLineBytes = LONGEST_LINE_BYTES;
        if (!longer && (!FILE_GONE.test(message) || attempt === ATTEMPTS)) throw this.#invalid(message, error);
        await this.#endSession();
      }
    }
  }

  #invalid(message: string, cause: unknown): RiskTrailError {
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
    const files = await this.#files();
    const key = files.join('\n');
    this.#duckdb ??= await loadDuckDb();
    const cached = (await this.#options.cache?.(files)) ?? NOTHING_CACHED;
    const session = this.#session;
    if (session?.files === key && isSame(session.cached, cached)) return session;
    await this.#endSession();
    const directory = await mkdtemp(join(tmpdir(), 'risktrail-sql-'));
    const { memoryBytes, threads } = this.#options;
    const instance = await createInstance(this.#duckdb, {
      memory_limit: `${Math.ceil(memoryBytes / 2 ** 20)}MiB`,
      temp_directory: directory,
      preserve_insertion_order: 'false',
      ...(threads === undefined ? {} : { threads: String(threads) }),
    });
    const connection = await instance.connect();
    this.#session = { instance, connection, files: key, cached, directory, hasCopies: undefined };
    addFunctions(this.#duckdb, connection);
    for (const macro of MACROS) await connection.run(macro);
    await connection.run("SET TimeZone = 'UTC'");
    await this.#makeViews(connection, files, true);
    for (const { name, sql } of DERIVED_VIEWS) await connection.run(`CREATE VIEW ${name} AS ${sql}`);
    await connection.run(`SET allowed_paths = [${[...files, ...cached.tables].map(literal).join(', ')}]`);
    await connection.run('SET enable_external_access = false');
    await connection.run('SET lock_configuration = true');
    return this.#session;
  }

  async #makeViews(connection: DuckDBConnection, files: readonly string[], once: boolean): Promise<void> {
    for (const view of FILE_VIEWS) {
      await connection.run(`CREATE OR REPLACE VIEW ${view.name} AS ${viewSql(view, files, this.#maxLineBytes, once)}`);
    }
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
    if (!session.hasCopies) await this.#makeViews(session.connection, files, false);
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
    const { timeoutMs } = this.#options;
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
    }
  }

  async #endSession(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    if (session === undefined) return;
    session.connection.closeSync();
    session.instance.closeSync();
    await rm(session.directory, { recursive: true, force: true });
  }
}

const NOTHING_CACHED: CachedFiles = { segments: new Set(), tables: [] };

const isSame = (one: CachedFiles, other: CachedFiles): boolean =>
  one.segments.size === other.segments.size && one.tables.join('\n') === other.tables.join('\n');

function recordsOfLine(line: string): TrailRecord[] {
  const records: TrailRecord[] = [];
  // Ints that no double holds must stay what they are, or the hash of a good record would not fit.
  visitRecords(
    line,
    (source, resource) => {
      const record = toAuditRecord(source, plainAttributes(resource), '', 0);
      const form = record.integrity === undefined ? undefined : auditForm(source);
      const fits = form?.text !== undefined && leafHashBase64(form.text) === record.integrity;
      records.push({ record, integrity: record.integrity === undefined ? 'unproven' : fits ? 'intact' : 'changed' });
    },
    true,
  );
  return records;
}
