/** SQL over a trail: a database in memory whose views read the trail's files, and nothing else of this machine. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DuckDBConnection, DuckDBInstance, DuckDBValue } from '@duckdb/node-api';
import { leafHashBase64 } from '../../audit/proof/tree.ts';
import { findTrailFiles, isSegment } from '../../audit/read/files.ts';
import { type AuditRecord, toAuditRecord } from '../../audit/read/reader.ts';
import { auditForm } from '../../audit/record/canonical.ts';
import { plainAttributes, plainValue, visitRecords } from '../../audit/record/otlp.ts';
import { RiskTrailError } from '../../core/errors.ts';
import { nearest } from '../../core/options.ts';
import { literal } from './columns.ts';
import { createInstance, type DuckDbModule, loadDuckDb, plainCell, type SqlValue } from './duckdb.ts';
import { DERIVED_VIEWS, FILE_VIEWS, linesSql, MACROS, RECORD_HASH, recordsSql, VIEW_NAMES, viewSql } from './views.ts';

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

/**
 * SQL of a table of facts.
 * @param key SQL of the column `record_key`
 * @param whole whether the key needs every record's attributes
 */
export type FactsSql = (records: string, key: string, whole: boolean) => string;

/** A pass over the trail. */
export interface FactPass {
  /** SQL of the rows, `texts` among their columns. */
  readonly pass: FactsSql;
  /** Typed columns, as SQL over the rows. */
  readonly columns: readonly string[];
  /** Which lines may hold what is looked for, as a condition on `json`; none where any may. */
  readonly lines: string | undefined;
}

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
  /** Whether records come more than once; undefined until it was looked. */
  hasCopies: boolean | undefined;
}

/** SQL over one trail. Queries run one after the other. */
export class TrailDatabase {
  readonly #paths: readonly string[];
  readonly #options: { readonly memoryBytes: number; readonly timeoutMs: number; readonly threads: number | undefined };
  #duckdb: DuckDbModule | undefined;
  #session: Session | undefined;
  #maxLineBytes = MAX_LINE_BYTES;
  #last: Promise<unknown> = Promise.resolve();

  constructor(paths: readonly string[], options: DatabaseOptions = {}) {
    this.#paths = paths;
    this.#options = {
      memoryBytes: options.memoryBytes ?? DEFAULT_MEMORY_BYTES,
      timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      threads: options.threads,
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
  withFacts<T>({ pass, columns, lines }: FactPass, work: (query: RunQuery) => Promise<T>): Promise<T> {
    return this.#inTurn(() =>
      this.#attempt(async (session) => {
        const files = session.files.split('\n');
        const records = recordsSql(linesSql(files, this.#maxLineBytes, lines));
        // A journal writes each line once: its copies are equal to the byte.
        const byText = files.every(isSegment);
        const rows = pass(records, byText ? 'hash(r)' : RECORD_HASH, !byText);
        await this.#run(session, `CREATE OR REPLACE TEMP TABLE fact_rows AS ${rows}`);
        const [counts] = (
          await this.#run(session, 'SELECT count(record_key), count(DISTINCT record_key) FROM fact_rows')
        ).rows;
        if (counts![0] !== counts![1]) {
          await this.#run(
            session,
            'CREATE OR REPLACE TEMP TABLE fact_rows AS SELECT * FROM fact_rows QUALIFY record_key IS NULL OR row_number() OVER (PARTITION BY record_key) = 1',
          );
        }
        const typed = columns.map((column) => `, ${column}`).join('');
        await this.#run(
          session,
          `CREATE OR REPLACE TEMP VIEW facts AS SELECT * EXCLUDE (texts)${typed} FROM fact_rows`,
        );
        try {
          return await work((sql, parameters) => this.#run(session, sql, parameters));
        } finally {
          await session.connection.run('DROP TABLE IF EXISTS fact_rows');
        }
      }),
    );
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
    if (this.#session?.files === key) return this.#session;
    await this.#endSession();
    this.#duckdb ??= await loadDuckDb();
    const directory = await mkdtemp(join(tmpdir(), 'risktrail-sql-'));
    const { memoryBytes, threads } = this.#options;
    const instance = await createInstance(this.#duckdb, {
      memory_limit: `${Math.ceil(memoryBytes / 2 ** 20)}MiB`,
      temp_directory: directory,
      preserve_insertion_order: 'false',
      ...(threads === undefined ? {} : { threads: String(threads) }),
    });
    const connection = await instance.connect();
    this.#session = { instance, connection, files: key, directory, hasCopies: undefined };
    this.#addFunctions(this.#duckdb, connection);
    for (const macro of MACROS) await connection.run(macro);
    await connection.run("SET TimeZone = 'UTC'");
    await this.#makeViews(connection, files, true);
    for (const { name, sql } of DERIVED_VIEWS) await connection.run(`CREATE VIEW ${name} AS ${sql}`);
    await connection.run(`SET allowed_paths = [${files.map(literal).join(', ')}]`);
    await connection.run('SET enable_external_access = false');
    await connection.run('SET lock_configuration = true');
    return this.#session;
  }

  async #makeViews(connection: DuckDBConnection, files: readonly string[], once: boolean): Promise<void> {
    for (const view of FILE_VIEWS) {
      await connection.run(`CREATE OR REPLACE VIEW ${view.name} AS ${viewSql(view, files, this.#maxLineBytes, once)}`);
    }
  }

  #addFunctions(duckdb: DuckDbModule, connection: DuckDBConnection): void {
    connection.registerScalarFunction(
      duckdb.DuckDBScalarFunction.create({
        name: 'plain_json',
        parameterTypes: [duckdb.VARCHAR],
        returnType: duckdb.VARCHAR,
        mainFunction(_info, input, output) {
          const texts = input.getColumnVector(0);
          for (let row = 0; row < input.rowCount; row++) output.setItem(row, plainJson(texts.getItem(row)));
          output.flush();
        },
      }),
    );
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

/** Text of an OTLP value (or of what is in its `kvlistValue`) as text of plain JSON. */
function plainJson(text: unknown): string | null {
  if (typeof text !== 'string') return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return text;
  }
  const isList = typeof value === 'object' && value !== null && 'values' in value;
  const plain = plainValue(isList ? { kvlistValue: value } : value);
  return plain === null ? null : JSON.stringify(plain);
}

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
