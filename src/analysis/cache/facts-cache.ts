/** The cache of reports: Parquet files of a trail's segments, made with DuckDB when one is missing. */
import { createHash } from 'node:crypto';
import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import type { Clock } from '../../core/clock.ts';
import { cacheSql, DAY_SQL } from '../report/facts.ts';
import { literal } from '../sql/columns.ts';
import { createInstance, type DuckDbModule, loadDuckDb } from '../sql/duckdb.ts';
import type { FindCached } from '../sql/fact-tables.ts';
import { addFunctions } from '../sql/functions.ts';
import { linesSql, MACROS } from '../sql/views.ts';
import { makeTemporaryDirectory, removeTemporaryDirectory } from '../temporary-directory.ts';
import { SegmentCache } from './segment-cache.ts';

const MAX_LINE_BYTES = 2 ** 24;
/** Version of the form; what is made differently by the same text has another. */
const FORM = 2;
/**
 * Sorted by day, then by event: of a range of days, and of the events that a query names, only a part is read. Not packed:
 * that costs more time than it saves room.
 */
const ORDER = `${DAY_SQL}, event, time_unix_nano`;
const PARQUET = '(FORMAT parquet, COMPRESSION uncompressed)';

const ONCE = 'QUALIFY row_number() OVER (PARTITION BY record_key) = 1';
const readSql = (tables: readonly string[]): string => `read_parquet([${tables.map(literal).join(', ')}])`;

/** Makes Parquet files in a database of its own, which lives as long as there is something to make. */
class ParquetMaker {
  readonly #duckdb: DuckDbModule;
  #opened: Promise<{ instance: DuckDBInstance; directory: string }> | undefined;
  #tables = 0;

  constructor(duckdb: DuckDbModule) {
    this.#duckdb = duckdb;
  }

  async #open(): Promise<{ instance: DuckDBInstance; directory: string }> {
    const directory = await makeTemporaryDirectory('cache');
    const instance = await createInstance(this.#duckdb, {
      memory_limit: '512MiB',
      temp_directory: directory,
      preserve_insertion_order: 'false',
    });
    const connection = await instance.connect();
    addFunctions(this.#duckdb, connection);
    for (const macro of MACROS) await connection.run(macro);
    connection.closeSync();
    return { instance, directory };
  }

  async make(segment: string, target: string): Promise<boolean> {
    const connection = await this.#connection();
    try {
      return await this.#copy(connection, segment, target);
    } catch {
      // A line too long, a file that is gone: the report reads the segment itself and tells what is wrong with it.
      return false;
    } finally {
      connection.closeSync();
    }
  }

  async #copy(connection: DuckDBConnection, segment: string, target: string): Promise<boolean> {
    const name = `segment_${++this.#tables}`;
    await connection.run(`CREATE TEMP TABLE ${name} AS ${cacheSql(linesSql([segment], MAX_LINE_BYTES))}`);
    const looked = await connection.runAndReadAll(
      `SELECT count(*) FILTER (odd), count(*) = count(DISTINCT record_key) FROM ${name}`,
    );
    const [odd, once] = looked.getRows()[0]!;
    if (odd === 0n) {
      await connection.run(
        `COPY (SELECT * EXCLUDE (odd) FROM ${name} ${once ? '' : ONCE} ORDER BY ${ORDER}) TO ${literal(target)} ${PARQUET}`,
      );
    }
    await connection.run(`DROP TABLE ${name}`);
    return odd === 0n;
  }

  async #connection(): Promise<DuckDBConnection> {
    this.#opened ??= this.#open();
    return (await this.#opened).instance.connect();
  }

  async #isOnce(connection: DuckDBConnection, tables: readonly string[]): Promise<boolean> {
    const looked = await connection.runAndReadAll(
      `SELECT count(*) = count(DISTINCT record_key) FROM ${readSql(tables)}`,
    );
    return looked.getRows()[0]![0] === true;
  }

  /** Whether no record stands in them twice. */
  async isOnce(tables: readonly string[]): Promise<boolean> {
    const connection = await this.#connection();
    try {
      return await this.#isOnce(connection, tables);
    } finally {
      connection.closeSync();
    }
  }

  async merge(tables: readonly string[], target: string, counts: string): Promise<void> {
    const connection = await this.#connection();
    try {
      const once = (await this.#isOnce(connection, tables)) ? '' : ONCE;
      await connection.run(
        `COPY (SELECT * FROM ${readSql(tables)} ${once} ORDER BY ${ORDER}) TO ${literal(target)} ${PARQUET}`,
      );
      await connection.run(
        `COPY (SELECT ${DAY_SQL} AS day, event, severity_number, timed, count(*) AS n, min(time_unix_nano) AS first, max(time_unix_nano) AS last
         FROM ${readSql([target])} GROUP BY ALL ORDER BY ALL) TO ${literal(counts)} ${PARQUET}`,
      );
    } finally {
      connection.closeSync();
    }
  }

  async close(): Promise<void> {
    if (this.#opened === undefined) return;
    const { instance, directory } = await this.#opened;
    this.#opened = undefined;
    instance.closeSync();
    await removeTemporaryDirectory(directory);
  }
}

/**
 * The cache of a trail's reports.
 * @param directory where it is
 */
export function factsCache(directory: string, clock: Clock): FindCached {
  return async (files) => {
    const duckdb = await loadDuckDb();
    const form = createHash('sha256')
      .update(`${FORM} ${duckdb.version()} ${cacheSql('')} ${ORDER} ${PARQUET}`)
      .digest('hex')
      .slice(0, 12);
    const maker = new ParquetMaker(duckdb);
    try {
      return await new SegmentCache(directory, `v${FORM}-${form}`, maker, clock).prepare(files);
    } finally {
      await maker.close();
    }
  };
}
