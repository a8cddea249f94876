/**
 * Analysis as a library: what `risktrail query`, `report`, `explain` and `export` are made of.
 * @example
 * import { openTrail } from 'risktrail/analysis';
 *
 * await using trail = openTrail('./risktrail-data');
 * const { rows } = await trail.sql('SELECT symbol, sum(pnl) FROM trades GROUP BY symbol');
 * const metrics = await trail.tradingMetrics('2024-01-01', '2024-01-31');
 */
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { findTrailFiles } from '../audit/read/files.ts';
import { type VerifyReport, verifyTrail } from '../audit/verify/verify.ts';
import { type Clock, createSystemClock } from '../core/clock.ts';
import { describeValue, isRiskTrailError, RiskTrailError } from '../core/errors.ts';
import { factsCache } from './cache/facts-cache.ts';
import { RecordIndex } from './cache/record-index.ts';
import { type ExplainTarget, type Explanation, explain } from './explain.ts';
import { explainMany } from './explain-many.ts';
import { parseMoment } from './explain-time.ts';
import { type ExportFormat, fileSink, type TextSink, writeCsv, writeJsonLines, writeParquet } from './export.ts';
import { type FilterOptions, parseFilter, textsOf } from './filter.ts';
import type { FlatRecord } from './flat-record.ts';
import { type LakeResult, parsePartition, writeLake } from './lake/lake.ts';
import type { Metric } from './metrics.ts';
import { makeReport } from './report/report.ts';
import { REPORTS, type Report, type ReportIntegrity, type ReportName, type ReportOptions } from './report/types.ts';
import {
  type DatabaseOptions,
  type SqlParameters,
  type SqlResult,
  sizeOf,
  TrailDatabase,
} from './sql/trail-database.ts';
import { queryTrail } from './trail-query.ts';
import { writeWhole } from './whole-file.ts';
import { writeXlsx } from './xlsx.ts';

export type { ExplainStep, ExplainTarget, Explanation } from './explain.ts';
export type { ExportFormat } from './export.ts';
export type { FilterOptions } from './filter.ts';
export type { FlatRecord } from './flat-record.ts';
export type { LakeResult } from './lake/lake.ts';
export type { Metric } from './metrics.ts';
export { type PageOptions, type PageTrail, renderPage } from './page/index.ts';
export type { ReplayCheck, ReplayDifference } from './replay/check.ts';
export type { Certainty, ReplayComparison, ReplayFigures, ReplayRow } from './replay/compare.ts';
export type { ParameterValue, ParameterValues, SweepAxis } from './replay/parameters.ts';
export {
  checkReplay,
  type ReplayOptions,
  type ReplayRange,
  type ReplayResult,
  replay,
  type SweepOptions,
  type SweepResult,
  type SweepRow,
  sweepReplay,
} from './replay/replay.ts';
export type { Report, ReportIntegrity, ReportName, ReportOptions, ReportSection } from './report/types.ts';
export type { SqlValue } from './sql/duckdb.ts';
export type { DatabaseOptions, SqlParameters, SqlResult } from './sql/trail-database.ts';
export { STATE_AT_SQL } from './state-sql.ts';
export type { ReadProgress } from './trail-query.ts';

/** How a trail is opened. */
export interface OpenTrailOptions extends DatabaseOptions {
  /** From whose wall time `24h` counts back. @default the machine's */
  readonly clock?: Clock;
  /**
   * Whether reports take what they can from Parquet files, which are made of the segments that are never written again, and
   * explanations find their records by indexes on disk: `true` keeps both in `cache` within the trail's directory, a path
   * elsewhere. What is verified reads the segments themselves.
   * @default false
   */
  readonly cache?: boolean | string | undefined;
}

/** What a report or an explanation is told besides. */
export interface VerifyChoice {
  /** Whether the trail is verified first, and the outcome told. */
  readonly verify?: boolean | undefined;
}

/** Where an export goes: a file's path, or a function that takes text (not for Parquet). */
export type ExportTarget = string | TextSink;

type ReportMaker = (options?: ReportOptions & VerifyChoice) => Promise<Report>;

/** Up to this size a trail is verified for an explanation without being asked: it takes a second or two. */
const VERIFY_UNASKED_BYTES = 200_000_000;

/** A trail that is opened for questions. It is only read, may be written meanwhile, and what is asked next sees that. */
export class Trail {
  readonly #paths: readonly string[];
  readonly #clock: Clock;
  readonly #onProgress: DatabaseOptions['onProgress'];
  readonly #database: TrailDatabase;
  /** That of reports: with the cache, where one is wanted. */
  readonly #reports: TrailDatabase;
  /** Where the records of explanations stand, told by the segments alone. */
  readonly #records: RecordIndex;
  /** The same, with the cache where one is wanted. */
  readonly #cachedRecords: RecordIndex;
  /** Reports by name: `trail.report.daily({ from: '2024-01-15' })`. */
  readonly report: Readonly<Record<ReportName, ReportMaker>>;

  constructor(paths: readonly string[], options: OpenTrailOptions = {}) {
    this.#paths = paths;
    this.#clock = options.clock ?? createSystemClock();
    this.#onProgress = options.onProgress;
    this.#database = new TrailDatabase(paths, options);
    const cache = cacheDirectory(paths, options.cache);
    this.#reports =
      cache === undefined ? this.#database : new TrailDatabase(paths, options, factsCache(cache, this.#clock));
    this.#records = new RecordIndex(paths, options);
    this.#cachedRecords = cache === undefined ? this.#records : new RecordIndex(paths, options, cache);
    this.report = Object.fromEntries(
      REPORTS.map((name): [ReportName, ReportMaker] => [name, (asked = {}) => this.#report(name, asked)]),
    ) as Record<ReportName, ReportMaker>;
  }

  /**
   * The records that match, in the order of time, in batches.
   * @throws RiskTrailError OPTION_INVALID, PATH_NOT_FOUND, FILE_UNREADABLE, NO_TRAIL_FILES
   */
  events(filter: FilterOptions = {}): AsyncGenerator<readonly FlatRecord[], void, undefined> {
    const onProgress = this.#onProgress;
    return queryTrail(this.#paths, { filter: parseFilter(filter, this.#clock), texts: textsOf(filter), onProgress });
  }

  /**
   * Runs one SELECT over the views, which docs/sql.md lists.
   * @param parameters values for `$name` in the text
   * @throws RiskTrailError DUCKDB_MISSING, SQL_INVALID, SQL_NOT_READ_ONLY, SQL_TIMEOUT, PATH_NOT_FOUND, NO_TRAIL_FILES
   */
  sql(text: string, parameters: SqlParameters = {}): Promise<SqlResult> {
    return this.#database.query(text, parameters);
  }

  /** The metrics of the closed trades between two times, both included. @throws as `sql`, and OPTION_INVALID */
  async tradingMetrics(start?: string, end?: string): Promise<Readonly<Record<string, Metric>>> {
    const { sections } = await this.report.trading({ from: start, to: end });
    return sections[0]!.metrics!;
  }

  /**
   * Why trading was halted at a time, or what led to an event, an order or a position.
   * @throws RiskTrailError NOTHING_TO_EXPLAIN, OPTION_INVALID, PATH_NOT_FOUND, NO_TRAIL_FILES, FILE_UNREADABLE, SQL_TIMEOUT
   */
  async explain(target: ExplainTarget & VerifyChoice): Promise<Explanation> {
    const { at, event, order, position, verify } = target;
    const given = Object.entries({ at, event, order, position }).filter(([, value]) => value !== undefined);
    if (given.length !== 1) {
      const received = given.length === 0 ? 'nothing' : given.map(([name]) => name).join(' and ');
      throw new RiskTrailError('OPTION_INVALID', {
        field: 'explain',
        expected: 'one of at, event, order, position',
        received,
      });
    }
    const asked = at === undefined ? target : { at: parseMoment('--at', at, this.#clock) };
    const verified = verify ?? (await this.#bytes()) <= VERIFY_UNASKED_BYTES;
    // What was verified are the segments: an explanation that says so is found in them alone.
    const records = verified ? this.#records : this.#cachedRecords;
    const explained = await records.ask((find) => explain(find, asked));
    const { status, detail } = await this.#verify(verified);
    const changed = explained.steps.filter((step) => step.integrity === 'changed').length;
    const unproven = explained.steps.filter((step) => step.integrity === 'unproven').length;
    const own = [
      ...(changed > 0 ? [`${changed} of these records ${changed === 1 ? 'is' : 'are'} not what was written`] : []),
      ...(unproven > 0 ? [`${unproven} claim no hash`] : []),
      ...(changed + unproven === 0 && explained.steps.length > 0
        ? ['each of these records is what was hashed when it was written']
        : []),
    ].join('; ');
    const whole = status === 'unverified' ? 'the stream as a whole was not verified: risktrail verify does' : detail;
    return { ...explained, integrity: [own, whole].filter((part) => part !== '').join('; ') };
  }

  /**
   * What led to each of several events, by record id. Nothing is verified: see {@link integrity}.
   * @returns one for each, in their order; undefined where the trail has no such record
   * @throws RiskTrailError as `explain`
   */
  explainMany(events: readonly string[]): Promise<readonly (Omit<Explanation, 'integrity'> | undefined)[]> {
    return this.#cachedRecords.ask((find) => explainMany(find, events));
  }

  /**
   * How far the trail's records can be trusted.
   * @param verify whether it is verified now; by default where that takes a moment
   * @throws RiskTrailError PATH_NOT_FOUND, NO_TRAIL_FILES, FILE_UNREADABLE
   */
  async integrity(verify?: boolean): Promise<ReportIntegrity> {
    return this.#verify(verify ?? (await this.#bytes()) <= VERIFY_UNASKED_BYTES);
  }

  /**
   * Writes the records that match.
   * @returns how many
   * @throws RiskTrailError OPTION_INVALID, FILE_UNREADABLE, DUCKDB_MISSING (Parquet), XLSX_MISSING, XLSX_TOO_LARGE, and as `events`
   */
  async export(format: ExportFormat, target: ExportTarget, filter: FilterOptions = {}): Promise<number> {
    const records = () => this.events(filter);
    if (format === 'parquet' || format === 'xlsx') {
      if (typeof target !== 'string') {
        throw new RiskTrailError('OPTION_INVALID', {
          field: 'target',
          expected: `the path of a file, for ${format}`,
          received: 'a function',
        });
      }
      return format === 'parquet' ? writeParquet(records, target) : writeXlsx(records, target);
    }
    const write = format === 'csv' ? writeCsv : writeJsonLines;
    if (typeof target !== 'string') return write(records, target);
    // Whatever is wrong with filter or trail shows before the file is touched.
    for await (const _ of records()) break;
    return writeWhole(target, async (path) => {
      const stream = createWriteStream(path);
      const failed = new Promise<never>((_, fail) => stream.once('error', fail));
      try {
        const count = await Promise.race([write(records, fileSink(stream)), failed]);
        stream.end();
        await finished(stream);
        return count;
      } catch (error) {
        stream.destroy();
        throw error;
      }
    });
  }

  /**
   * Writes a lake: Parquet files in folders by day and service. Another run writes what is new.
   * @param partition `day`, `service` or `day,service`
   * @param directory the lake's
   * @throws RiskTrailError as {@link writeLake}, and OPTION_INVALID for the filters
   */
  exportLake(directory: string, partition: string, filter: FilterOptions = {}): Promise<LakeResult> {
    const given = Object.entries(filter).filter(([, value]) => value !== undefined);
    return writeLake(this.#paths, directory, {
      partition: parsePartition(partition),
      filter: given.length === 0 ? undefined : parseFilter(filter, this.#clock),
      onProgress: this.#onProgress,
      filterText: given.map(([name, value]) => `${name} ${JSON.stringify(value)}`).join(', '),
    });
  }

  /** Releases what queries hold. The trail may be asked again. */
  async close(): Promise<void> {
    await this.#records.close();
    await this.#cachedRecords.close();
    await this.#database.close();
    await this.#reports.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #report(name: ReportName, { verify, ...options }: ReportOptions & VerifyChoice): Promise<Report> {
    const integrity = await this.#verify(verify === true);
    // What was verified are the segments: a report that says so stands on them alone.
    const database = verify === true ? this.#database : this.#reports;
    return makeReport(database, name, options, this.#clock, integrity);
  }

  async #verify(asked: boolean): Promise<ReportIntegrity> {
    const unverified = {
      status: 'unverified',
      detail: 'the records were not verified: ask for it, or run risktrail verify',
    } as const;
    if (!asked) return unverified;
    try {
      return integrityOf(await verifyTrail({ paths: this.#paths, onProgress: this.#onProgress }));
    } catch (error) {
      if (!isRiskTrailError(error, 'VERIFIER_KEY_MISSING') && !isRiskTrailError(error, 'NOTHING_TO_VERIFY'))
        throw error;
      return { status: 'unverified', detail: `the records could not be verified: ${error.message}` };
    }
  }

  async #bytes(): Promise<number> {
    const { records } = await findTrailFiles(this.#paths);
    return sizeOf(records);
  }
}

function cacheDirectory(paths: readonly string[], cache: boolean | string | undefined): string | undefined {
  if (cache === undefined || cache === false) return undefined;
  if (typeof cache === 'string' && cache !== '') return cache;
  const [path] = paths;
  if (cache === true && paths.length === 1 && !/\.jsonl(\.zst)?$/.test(path!)) return join(path!, 'cache');
  throw new RiskTrailError('OPTION_INVALID', {
    field: 'cache',
    expected: 'the path of a directory, where the trail is not one directory',
    received: describeValue(cache),
  });
}

function integrityOf(report: VerifyReport): ReportIntegrity {
  const streams = report.streams.filter(({ stream }) => stream !== '');
  const through = streams
    .map(({ verifiedThrough, stream }) => `${stream} verified through record ${verifiedThrough ?? 'none'}`)
    .join(', ');
  const source =
    report.keySource === 'given' ? '' : ' (by the key beside the trail: consistent, but not who signed it)';
  if (report.ok) return { status: 'verified', detail: `${through}${source}` };
  const kinds = [...new Set(report.streams.flatMap(({ findings }) => findings.map(({ kind }) => kind)))].join(', ');
  return { status: 'findings', detail: `verification found ${kinds}: see risktrail verify; ${through}${source}` };
}

/**
 * Opens a trail for questions. Nothing is read before the first.
 * @param paths data directory or files of a trail, one or several
 * @example
 * await using trail = openTrail('./risktrail-data');
 * console.log((await trail.report.daily({ from: '2024-01-15' })).sections);
 */
export function openTrail(paths: string | readonly string[], options: OpenTrailOptions = {}): Trail {
  return new Trail(typeof paths === 'string' ? [paths] : paths, options);
}
