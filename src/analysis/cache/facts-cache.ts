/** The cache of reports: Parquet files of a trail's segments, made with DuckDB when one is missing. */
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { cacheSql } from '../report/facts.ts';
import { literal } from '../sql/columns.ts';
import { createInstance, type DuckDbModule, loadDuckDb } from '../sql/duckdb.ts';
import { addFunctions } from '../sql/functions.ts';
import type { FindCached } from '../sql/trail-database.ts';
import { linesSql, MACROS } from '../sql/views.ts';
import { SegmentCache } from './segment-cache.ts';

const MAX_LINE_BYTES = 2 ** 24;
/** Version of the form; what is made differently by the same text has another. */
const FORM = 1;

/** Makes Parquet files in a database of its own, which lives as long as there is something to make. */
class ParquetMaker {
  readonly #duckdb: DuckDbModule;
  #opened: Promise<{ instance: DuckDBInstance; directory: string }> | undefined;
  #tables = 0;

  constructor(duckdb: DuckDbModule) {
    this.#duckdb = duckdb;
  }

  async #open(): Promise<{ instance: DuckDBInstance; directory: string }> {
    const directory = await mkdtemp(join(tmpdir(), 'risktrail-cache-'));
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
    this.#opened ??= this.#open();
    const { instance } = await this.#opened;
    const connection = await instance.connect();
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
    const odd = await connection.runAndReadAll(`SELECT count(*) FROM ${name} WHERE odd`);
    const isOdd = odd.getRows()[0]![0] !== 0n;
    if (!isOdd) {
      await connection.run(
        `COPY (SELECT * EXCLUDE (odd) FROM ${name} ORDER BY event, time_unix_nano) TO ${literal(target)} (FORMAT parquet, COMPRESSION zstd)`,
      );
    }
    await connection.run(`DROP TABLE ${name}`);
    return !isOdd;
  }

  async merge(tables: readonly string[], target: string): Promise<void> {
    this.#opened ??= this.#open();
    const { instance } = await this.#opened;
    const connection = await instance.connect();
    try {
      await connection.run(
        `COPY (SELECT * FROM read_parquet([${tables.map(literal).join(', ')}]) ORDER BY event, time_unix_nano) TO ${literal(target)} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 20480)`,
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
    await rm(directory, { recursive: true, force: true });
  }
}

/**
 * The cache of a trail's reports.
 * @param directory where it is
 */
export function factsCache(directory: string): FindCached {
  return async (files) => {
    const duckdb = await loadDuckDb();
    const form = createHash('sha256')
      .update(`${FORM} ${duckdb.version()} ${cacheSql('')}`)
      .digest('hex')
      .slice(0, 12);
    const maker = new ParquetMaker(duckdb);
    try {
      const make = (segment: string, target: string) => maker.make(segment, target);
      const merge = (tables: readonly string[], target: string) => maker.merge(tables, target);
      return await new SegmentCache(directory, `v${FORM}-${form}`, make, merge).prepare(files);
    } finally {
      await maker.close();
    }
  };
}
