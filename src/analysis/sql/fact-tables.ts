/** What reports stand on: the records of a trail as rows of `facts`, each once, and how many there are of which event. */
import { isSegment } from '../../audit/read/files.ts';
import { literal } from './columns.ts';
import type { RunQuery } from './trail-database.ts';
import { ITSELF, linesSql, OF_LINE, RECORD_HASH, recordsSql } from './views.ts';

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

/** A pass over the trail. */
export interface FactPass {
  /** SQL of the rows, `texts` among their columns; `odd` tells lines that are not one record where they are taken for it. */
  readonly pass: (of: FactRecords) => string;
  /** Typed columns, as SQL over the rows. */
  readonly columns: readonly string[];
  /** Which lines may hold what is looked for, as a condition on `json`; none where any may. */
  readonly lines: string | undefined;
  readonly cached: CachedPass;
}

/** The same of the tables of a cache. Their rows have every column, of whatever event. */
export interface CachedPass {
  /** The rows' columns, typed. */
  readonly columns: string;
  /** Condition on a row. */
  readonly where: string;
  /** The same condition on a row of the table that counts a day's records; none where it can't tell. */
  readonly counted: string | undefined;
}

/** What a cache holds. */
export interface CachedFiles {
  /** Files that need not be read. */
  readonly segments: ReadonlySet<string>;
  /** Parquet files that hold what is in them, each record once. */
  readonly tables: readonly string[];
  /** Parquet file that counts the records of one of the tables by day, event and severity. */
  readonly counts?: { readonly path: string; readonly of: string } | undefined;
}

/** Tells what a cache holds of some files, and brings it up to date. */
export type FindCached = (files: readonly string[]) => Promise<CachedFiles>;

export const NOTHING_CACHED: CachedFiles = { segments: new Set(), tables: [] };

/** How many records there are of an event and a severity. */
export interface EventCount {
  /** NULL for a line of a log. */
  readonly event: string | null;
  /** OpenTelemetry's severity number. */
  readonly severity: number;
  readonly n: number;
  /** Times of the first and the last of them, in nanoseconds since the epoch. */
  readonly first: bigint;
  readonly last: bigint;
}

const readSql = (tables: readonly string[]): string => `read_parquet([${tables.map(literal).join(', ')}])`;
const countSql = (source: string): string =>
  `SELECT event, severity_number, count(*) AS n, min(time_unix_nano) AS first, max(time_unix_nano) AS last FROM ${source} GROUP BY event, severity_number`;

/** The facts of one session's files. */
export class FactTables {
  readonly #run: RunQuery;
  readonly #files: readonly string[];
  readonly #cached: CachedFiles;
  readonly #maxLineBytes: number;

  constructor(run: RunQuery, files: readonly string[], cached: CachedFiles, maxLineBytes: number) {
    this.#run = run;
    this.#files = files;
    this.#cached = cached;
    this.#maxLineBytes = maxLineBytes;
  }

  /** Makes `facts`, of the cache where there is one and of the files, and counts them. */
  async gather(pass: FactPass): Promise<readonly EventCount[]> {
    const typed = pass.columns.map((column) => `, ${column}`).join('');
    const ofFiles = `SELECT * EXCLUDE (texts, odd, record_key)${typed} FROM fact_rows`;
    const { segments } = this.#cached;
    const open = this.#files.filter((file) => !segments.has(file));
    const whole = open.length === 0 || (await this.#read(pass, open, segments.size > 0));
    if (segments.size > 0 && whole) {
      if (open.length > 0) await this.#once(true);
      const { columns, where } = pass.cached;
      const parts = [`SELECT ${columns} FROM ${readSql(this.#cached.tables)} WHERE ${where}`];
      if (open.length > 0) parts.push(ofFiles);
      await this.#run(`CREATE OR REPLACE TEMP VIEW facts AS ${parts.join(' UNION ALL BY NAME ')}`);
      return this.#count([...this.#cachedCounts(pass.cached), ...(open.length > 0 ? [countSql('fact_rows')] : [])]);
    }
    // What the cache holds is told apart by lines: it can't stand beside records that were taken out of their lines.
    if (segments.size > 0) await this.#read(pass, this.#files, false);
    await this.#once(false);
    await this.#run(`CREATE OR REPLACE TEMP VIEW facts AS ${ofFiles}`);
    return this.#count([countSql('fact_rows')]);
  }

  /** Gives back what they take. */
  async drop(): Promise<void> {
    await this.#run('DROP TABLE IF EXISTS fact_rows');
  }

  #cachedCounts({ where, counted }: CachedPass): string[] {
    const { tables, counts } = this.#cached;
    const known = counted === undefined ? undefined : counts;
    const rest = tables.filter((table) => table !== known?.of);
    return [
      ...(known === undefined
        ? []
        : [`SELECT event, severity_number, n, first, last FROM ${readSql([known.path])} WHERE ${counted}`]),
      ...(rest.length === 0 ? [] : [countSql(`${readSql(rest)} WHERE ${where}`)]),
    ];
  }

  async #count(parts: readonly string[]): Promise<readonly EventCount[]> {
    const { rows } = await this.#run(
      `SELECT event, severity_number, sum(n)::BIGINT, min(first), max(last) FROM (${parts.join(' UNION ALL ')}) GROUP BY event, severity_number`,
    );
    return rows.map(([event, severity, n, first, last]) => ({
      event: event as string | null,
      severity: Number(severity),
      n: Number(n),
      first: BigInt(String(first)),
      last: BigInt(String(last)),
    }));
  }

  /**
   * Makes the table `fact_rows`.
   * @param onlyLines whether it is to be left where a line is not one record
   * @returns whether each line is one record
   */
  async #read({ pass, lines }: FactPass, files: readonly string[], onlyLines: boolean): Promise<boolean> {
    const text = linesSql(files, this.#maxLineBytes, lines);
    const make = (of: FactRecords) => this.#run(`CREATE OR REPLACE TEMP TABLE fact_rows AS ${pass(of)}`);
    // A journal writes each line once: its copies are equal to the byte.
    const byText = files.every(isSegment);
    if (byText) {
      // A line of a journal is one record: it is looked at once, where taking its records out of it would be a second time.
      await make({ records: `SELECT json AS r FROM (${text})`, place: OF_LINE, key: 'hash(r)', whole: false });
      const { rows } = await this.#run('SELECT count(*) FROM fact_rows WHERE odd');
      if (rows[0]![0] === 0) return true;
    }
    if (onlyLines) return false;
    const key = byText ? 'hash(r)' : RECORD_HASH;
    await make({ records: recordsSql(text), place: ITSELF, key, whole: !byText });
    return false;
  }

  /** Removes what the table has more than once. @param beside whether it also stands beside the cache */
  async #once(beside: boolean): Promise<void> {
    const { rows } = await this.#run('SELECT count(record_key), count(DISTINCT record_key) FROM fact_rows');
    if (rows[0]![0] !== rows[0]![1]) {
      await this.#run(
        `CREATE OR REPLACE TEMP TABLE fact_rows AS SELECT * FROM fact_rows
         QUALIFY record_key IS NULL OR row_number() OVER (PARTITION BY record_key) = 1`,
      );
    }
    if (!beside) return;
    const both = `SELECT record_key FROM ${readSql(this.#cached.tables)} WHERE record_key IN (SELECT record_key FROM fact_rows)`;
    const copies = await this.#run(`SELECT count(*) FROM (${both})`);
    if (copies.rows[0]![0] !== 0) await this.#run(`DELETE FROM fact_rows WHERE record_key IN (${both})`);
  }
}
