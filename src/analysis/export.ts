/**
 * Exports: the records that filters ask for, as CSV (RFC 4180), JSON lines or Parquet. Times keep their nine digits and
 * decimals their text.
 */
import { createWriteStream, type WriteStream } from 'node:fs';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import type { PlainValue } from '../audit/record/otlp.ts';
import { ATTRIBUTES } from '../catalog/attributes.ts';
import type { AttributeTable } from '../catalog/define.ts';
import { RiskTrailError } from '../core/errors.ts';
import { FLAT_MEMBERS, type FlatRecord } from './flat-record.ts';
import { literal, quoted } from './sql/columns.ts';
import { createInstance, loadDuckDb } from './sql/duckdb.ts';
import { makeTemporaryDirectory, removeTemporaryDirectory } from './temporary-directory.ts';
import { writeWhole } from './whole-file.ts';

/** Forms of an export. */
export const EXPORT_FORMATS = ['csv', 'jsonl', 'parquet', 'xlsx'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

/** As many lines go out in one write. */
const LINES_PER_WRITE = 1000;

/** Batches of records, which can be read more than once. */
export type RecordSource = () => AsyncIterable<readonly FlatRecord[]>;
/** Takes text; resolves when more may come. */
export type TextSink = (text: string) => Promise<void> | void;

/** The columns of some records: the members, then every attribute that one of them has, by name. */
export async function columnsOf(records: RecordSource): Promise<readonly string[]> {
  const names = new Set<string>();
  for await (const batch of records()) for (const record of batch) for (const name in record) names.add(name);
  for (const name of FLAT_MEMBERS) names.delete(name);
  return [...FLAT_MEMBERS, ...[...names].sort()];
}

/** A value as exports tell it: exact text, lists and maps as JSON. */
export const textOfValue = (value: PlainValue | undefined): string =>
  value === undefined || value === null ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value);

/** What a spreadsheet takes for the beginning of a formula. */
const FORMULA = /^[=+\-@\t\r]/;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/**
 * A cell of a CSV file (RFC 4180 section 2). Text that a spreadsheet would run as a formula gets an apostrophe in front, as
 * OWASP advises; a number never does.
 */
export function csvCell(value: PlainValue | undefined): string {
  const text = textOfValue(value);
  const safe = FORMULA.test(text) && !NUMBER.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** A row of a CSV file, its end included. */
export function csvRow(cells: readonly (PlainValue | undefined)[]): string {
  return `${cells.map(csvCell).join(',')}\r\n`;
}

/** Writes CSV with a heading. @returns how many records */
export async function writeCsv(records: RecordSource, sink: TextSink): Promise<number> {
  const columns = await columnsOf(records);
  await sink(csvRow(columns));
  return writeLines(records, (record) => csvRow(columns.map((name) => record[name])), sink);
}

/** Writes the flat shape, one object a line. @returns how many records */
export function writeJsonLines(records: RecordSource, sink: TextSink): Promise<number> {
  return writeLines(records, (record) => `${JSON.stringify(record)}\n`, sink);
}

async function writeLines(
  records: RecordSource,
  format: (record: FlatRecord) => string,
  sink: TextSink,
): Promise<number> {
  let count = 0;
  for await (const batch of records()) {
    for (let at = 0; at < batch.length; at += LINES_PER_WRITE) {
      await sink(
        batch
          .slice(at, at + LINES_PER_WRITE)
          .map(format)
          .join(''),
      );
    }
    count += batch.length;
  }
  return count;
}

/** A sink into a file. */
export function fileSink(stream: WriteStream): TextSink {
  return (text) => new Promise((done, fail) => stream.write(text, (error) => (error ? fail(error) : done())));
}

/** Type of a column in Parquet: exact texts stay text, lists are lists, maps are JSON text. */
function parquetType(name: string): string {
  if (name === 'category') return 'VARCHAR[]';
  if (name === 'severity_number' || name === 'sequence') return 'BIGINT';
  switch ((ATTRIBUTES as AttributeTable)[name]?.type) {
    case 'number':
      return 'DOUBLE';
    case 'int':
      return 'BIGINT';
    case 'boolean':
      return 'BOOLEAN';
    case 'strings':
      return 'VARCHAR[]';
    case 'numbers':
      return 'DOUBLE[]';
    default:
      return 'VARCHAR';
  }
}

const FITS: Readonly<Record<string, (value: PlainValue) => boolean>> = {
  DOUBLE: (value) => typeof value === 'number',
  BIGINT: (value) => Number.isSafeInteger(value),
  BOOLEAN: (value) => typeof value === 'boolean',
  'VARCHAR[]': (value) => Array.isArray(value) && value.every((one) => typeof one === 'string'),
  'DOUBLE[]': (value) => Array.isArray(value) && value.every((one) => typeof one === 'number'),
};

/**
 * Writes a Parquet file (zstd), a column for every attribute. `timestamp` is text of nine digits, `timestamp_utc` the same
 * as a time of microseconds. A value that isn't of its attribute's type makes its column text, so that none is lost.
 * @returns how many records
 * @throws RiskTrailError DUCKDB_MISSING, FILE_UNREADABLE
 */
export async function writeParquet(records: RecordSource, path: string): Promise<number> {
  const duckdb = await loadDuckDb();
  const types = new Map<string, string>();
  for await (const batch of records()) {
    for (const record of batch) {
      for (const name in record) {
        const value = record[name];
        const type = types.get(name) ?? parquetType(name);
        const fits = value === null || value === undefined || (FITS[type]?.(value) ?? true);
        types.set(name, fits ? type : 'VARCHAR');
      }
    }
  }
  const columns = [
    ...FLAT_MEMBERS,
    ...[...types.keys()].filter((name) => !(FLAT_MEMBERS as readonly string[]).includes(name)).sort(),
  ];
  const directory = await makeTemporaryDirectory('export');
  try {
    const lines = join(directory, 'records.jsonl');
    const stream = createWriteStream(lines);
    let longest = 2 ** 22;
    const typed = (record: FlatRecord) => {
      const row: Record<string, unknown> = {};
      for (const name in record) {
        const value = record[name];
        row[name] = types.get(name) === 'VARCHAR' && value !== null && value !== undefined ? textOfValue(value) : value;
      }
      const line = `${JSON.stringify(row)}\n`;
      // Bytes of UTF-8, at most three for a code unit.
      longest = Math.max(longest, 3 * line.length);
      return line;
    };
    const count = await writeLines(records, typed, fileSink(stream));
    stream.end();
    await finished(stream);
    const instance = await createInstance(duckdb, { memory_limit: '512MiB', temp_directory: directory });
    const connection = await instance.connect();
    try {
      const schema = columns
        .map((name) => `${literal(name)}: ${literal(types.get(name) ?? parquetType(name))}`)
        .join(', ');
      const select = columns.map((name) =>
        name === 'timestamp' ? `timestamp, CAST(left(timestamp, 26) AS TIMESTAMP) AS timestamp_utc` : quoted(name),
      );
      const copy = (file: string) =>
        `COPY (SELECT ${select.join(', ')} FROM read_json(${literal(lines)}, format = 'newline_delimited', columns = {${schema}}, maximum_object_size = ${longest}))
         TO ${literal(file)} (FORMAT parquet, COMPRESSION zstd)`;
      await writeWhole(path, (file) => connection.run(copy(file)));
    } finally {
      connection.closeSync();
      instance.closeSync();
    }
    return count;
  } catch (error) {
    if (error instanceof RiskTrailError) throw error;
    throw new RiskTrailError('FILE_UNREADABLE', { path, reason: (error as Error).message.split('\n', 1)[0]! }, error);
  } finally {
    await removeTemporaryDirectory(directory);
  }
}
