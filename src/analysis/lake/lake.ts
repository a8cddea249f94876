/**
 * A lake: the records as Parquet files in folders by day and service (Hive's layout, which object stores and Spark take as it
 * is). Each file of the trail has files of its own there, named after it, so that another run writes only what is new.
 */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, type WriteStream } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { finished } from 'node:stream/promises';
import type { DuckDBConnection } from '@duckdb/node-api';
import { findTrailFiles } from '../../audit/read/files.ts';
import { readRecords } from '../../audit/read/reader.ts';
import { ProgressCount } from '../../audit/verify/progress-count.ts';
import { describeValue, RiskTrailError } from '../../core/errors.ts';
import { fileSink, textOfValue } from '../export.ts';
import type { RecordFilter } from '../filter.ts';
import { FLAT_MEMBERS, type FlatRecord, toFlatRecord } from '../flat-record.ts';
import { SeenRecords } from '../seen-records.ts';
import { literal } from '../sql/columns.ts';
import { createInstance, loadDuckDb } from '../sql/duckdb.ts';
import { makeTemporaryDirectory, removeTemporaryDirectory } from '../temporary-directory.ts';
import type { ReadProgress } from '../trail-query.ts';

/** What folders are made by. */
export const PARTITIONS = ['day', 'service'] as const;
export type Partition = (typeof PARTITIONS)[number];

/** What a run came to. */
export interface LakeResult {
  /** Records in the lake's files that were written. */
  readonly records: number;
  /** Parquet files written. */
  readonly written: number;
  /** Files of the trail that were in the lake as they are. */
  readonly unchanged: number;
}

interface Source {
  /** SHA-256 of the file, hex. */
  readonly digest: string;
  /** Its Parquet files, within the lake. */
  readonly files: readonly string[];
}

interface State {
  readonly version: 1;
  readonly partition: readonly Partition[];
  /** The filters as they were given. */
  readonly filter: string;
  readonly sources: Record<string, Source>;
}

/** A name that Spark and Hive pass over. */
const STATE = '_risktrail/state.json';
/** What stands for no value in a folder's name. */
const NOTHING = '__HIVE_DEFAULT_PARTITION__';
const MEMBERS: ReadonlySet<string> = new Set(FLAT_MEMBERS);

/** Columns of the lake's files; `service` stands in the folder's name where it is a partition. */
const COLUMNS: Readonly<Record<string, string>> = {
  timestamp: 'VARCHAR',
  time_unix_nano: 'BIGINT',
  event: 'VARCHAR',
  category: 'VARCHAR[]',
  severity: 'VARCHAR',
  severity_number: 'INTEGER',
  body: 'VARCHAR',
  component: 'VARCHAR',
  service: 'VARCHAR',
  stream: 'VARCHAR',
  sequence: 'BIGINT',
  record_id: 'VARCHAR',
  integrity: 'VARCHAR',
  trace_id: 'VARCHAR',
  span_id: 'VARCHAR',
  attributes: 'MAP(VARCHAR, VARCHAR)',
};

/**
 * Reads `day,service`.
 * @throws RiskTrailError OPTION_INVALID
 */
export function parsePartition(text: string): readonly Partition[] {
  const names = text.split(',').map((name) => name.trim());
  const isKnown = names.every((name, at) => PARTITIONS.some((one) => one === name) && names.indexOf(name) === at);
  if (isKnown) return names as Partition[];
  throw new RiskTrailError('OPTION_INVALID', {
    field: '--partition',
    expected: `${PARTITIONS.join(' or ')}, or both with a comma between`,
    received: describeValue(text),
  });
}

/** A value in a folder's name: what is no letter, digit, `_`, `-` or `.` as `%XX` of its bytes. */
function folderValue(value: string | null): string {
  if (value === null || value === '') return NOTHING;
  return [...Buffer.from(value)]
    .map((byte) => {
      const char = String.fromCharCode(byte);
      return /[A-Za-z0-9_.-]/.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');
}

/** Nanoseconds of a flat record's timestamp. */
const nanosOf = ({ timestamp }: FlatRecord): string =>
  `${Date.parse(`${timestamp.slice(0, 19)}Z`) / 1000}${timestamp.slice(20, 29)}`.replace(/^0+(?=\d)/, '');

function rowOf(record: FlatRecord): string {
  const attributes: Record<string, string> = {};
  const row: Record<string, unknown> = { time_unix_nano: nanosOf(record), attributes };
  for (const name in record) {
    const value = record[name];
    if (MEMBERS.has(name)) row[name] = value;
    else if (value !== null && value !== undefined) attributes[name.replace(/^attributes\./, '')] = textOfValue(value);
  }
  return `${JSON.stringify(row)}\n`;
}

async function digestOf(path: string): Promise<string> {
  const digest = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) digest.update(chunk as Buffer);
  return digest.digest('hex');
}

/** A file of the trail by a name that sealing doesn't change. */
const nameOf = (file: string): string => `${basename(dirname(file))}-${basename(file).replace(/\.jsonl(\.zst)?$/, '')}`;

/** How a lake is written. */
export interface LakeOptions {
  readonly partition: readonly Partition[];
  /** Which records; all unless given. */
  readonly filter?: RecordFilter | undefined;
  /** The filters in words: a lake has one set of them. */
  readonly filterText?: string;
  /** Told of each file of the trail that is done. */
  readonly onProgress?: ((progress: ReadProgress) => void) | undefined;
}

/**
 * Writes a trail into a lake, or brings the lake up to the trail. Files of the trail that are gone stay in the lake.
 * @param directory the lake's
 * @throws RiskTrailError OPTION_INVALID (the directory holds a lake of another kind), DUCKDB_MISSING, PATH_NOT_FOUND,
 * NO_TRAIL_FILES, FILE_UNREADABLE
 */
export async function writeLake(
  paths: readonly string[],
  directory: string,
  { partition, filter, filterText = '', onProgress }: LakeOptions,
): Promise<LakeResult> {
  const { records: files } = await findTrailFiles(paths);
  if (files.length === 0) throw new RiskTrailError('NO_TRAIL_FILES', { path: paths.join(', ') });
  const duckdb = await loadDuckDb();
  const state = await readState(directory, partition, filterText);
  const progress = onProgress === undefined ? undefined : await ProgressCount.of(files, onProgress);
  const temporary = await makeTemporaryDirectory('lake');
  const instance = await createInstance(duckdb, { memory_limit: '512MiB', temp_directory: temporary });
  const connection = await instance.connect();
  const seen = new SeenRecords();
  let [records, written, unchanged] = [0, 0, 0];
  try {
    await mkdir(join(directory, dirname(STATE)), { recursive: true });
    // Of a segment that is being sealed there are two for a moment: the later one in the order is the sealed.
    for (const [name, file] of new Map(files.map((one) => [nameOf(one), one]))) {
      const digest = await digestOf(file).catch(() => undefined);
      // Pruned since the listing.
      if (digest === undefined) continue;
      const known = state.sources[name];
      if (known?.digest === digest) {
        unchanged++;
        progress?.end(files.indexOf(file), records);
        continue;
      }
      const groups = await collect(file, temporary, partition, filter, seen);
      const made: string[] = [];
      for (const [folder, group] of groups) {
        const path = join(folder, `${name}.parquet`);
        await mkdir(join(directory, folder), { recursive: true });
        await copyTo(connection, group, partition, join(directory, path));
        await rm(group.path);
        made.push(path);
        records += group.count;
      }
      written += made.length;
      for (const old of known?.files ?? []) if (!made.includes(old)) await rm(join(directory, old), { force: true });
      state.sources[name] = { digest, files: made };
      await writeState(directory, state);
      progress?.end(files.indexOf(file), records);
    }
    return { records, written, unchanged };
  } catch (error) {
    if (error instanceof RiskTrailError) throw error;
    const reason = (error as Error).message.split('\n', 1)[0]!;
    throw new RiskTrailError('FILE_UNREADABLE', { path: directory, reason }, error);
  } finally {
    connection.closeSync();
    instance.closeSync();
    await removeTemporaryDirectory(temporary);
  }
}

interface Group {
  readonly path: string;
  readonly stream: WriteStream;
  count: number;
  longest: number;
}

/** The records of a file as JSON lines by folder. */
async function collect(
  file: string,
  temporary: string,
  partition: readonly Partition[],
  filter: RecordFilter | undefined,
  seen: SeenRecords,
): Promise<Map<string, Group>> {
  const groups = new Map<string, Group>();
  for await (const batch of readRecords([file])) {
    const texts = new Map<Group, string[]>();
    for (const record of batch) {
      const { stream, sequence } = record;
      if (stream !== undefined && sequence !== undefined && !seen.add(stream, sequence)) continue;
      const flat = toFlatRecord(record);
      if (filter !== undefined && !filter(flat)) continue;
      const values = { day: flat.timestamp.slice(0, 10), service: flat.service };
      const folder = join(...partition.map((key) => `${key}=${folderValue(values[key])}`));
      let group = groups.get(folder);
      if (group === undefined) {
        const path = join(temporary, `${groups.size}.jsonl`);
        group = { path, stream: createWriteStream(path), count: 0, longest: 2 ** 22 };
        groups.set(folder, group);
      }
      const text = rowOf(flat);
      group.count++;
      // Bytes of UTF-8, at most three for a code unit.
      group.longest = Math.max(group.longest, 3 * text.length);
      const list = texts.get(group);
      if (list === undefined) texts.set(group, [text]);
      else list.push(text);
    }
    for (const [group, list] of texts) await fileSink(group.stream)(list.join(''));
  }
  for (const { stream } of groups.values()) {
    stream.end();
    await finished(stream);
  }
  return groups;
}

async function copyTo(
  connection: DuckDBConnection,
  { path, longest }: Group,
  partition: readonly Partition[],
  target: string,
): Promise<void> {
  const schema = Object.entries(COLUMNS).map(([name, type]) => `${literal(name)}: ${literal(type)}`);
  const own = Object.keys(COLUMNS).filter((name) => name !== 'service' || !partition.includes('service'));
  const select = own.map((name) =>
    name === 'timestamp' ? 'timestamp, CAST(left(timestamp, 26) AS TIMESTAMP) AS timestamp_utc' : name,
  );
  const temporary = `${target}.${process.pid}.tmp`;
  try {
    await connection.run(
      `COPY (SELECT ${select.join(', ')} FROM read_json(${literal(path)}, format = 'newline_delimited', columns = {${schema.join(', ')}}, maximum_object_size = ${longest})
         ORDER BY time_unix_nano, sequence) TO ${literal(temporary)} (FORMAT parquet, COMPRESSION zstd)`,
    );
    await rename(temporary, target);
  } finally {
    await rm(temporary, { force: true });
  }
}

async function readState(directory: string, partition: readonly Partition[], filter: string): Promise<State> {
  let state: State;
  try {
    state = JSON.parse(await readFile(join(directory, STATE), 'utf8')) as State;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { version: 1, partition, filter, sources: {} };
    throw new RiskTrailError(
      'FILE_UNREADABLE',
      { path: join(directory, STATE), reason: (error as Error).message },
      error,
    );
  }
  if (state.partition.join() === partition.join() && state.filter === filter) return state;
  throw new RiskTrailError('OPTION_INVALID', {
    field: '--output',
    expected: `the directory of a lake by ${partition.join(',')} with ${filter === '' ? 'no filters' : `the filters ${filter}`}`,
    received: `one by ${state.partition.join(',')} with ${state.filter === '' ? 'no filters' : `the filters ${state.filter}`}`,
  });
}

async function writeState(directory: string, state: State): Promise<void> {
  const path = join(directory, STATE);
  const temporary = `${path}.${process.pid}.tmp`;
  await writeFile(temporary, JSON.stringify(state));
  await rename(temporary, path);
}
