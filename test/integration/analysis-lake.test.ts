import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { DuckDBInstance } from '@duckdb/node-api';
import { describe, expect, it } from 'vitest';
import { openTrail } from '../../src/analysis/index.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { line, lines, put, START_MS, STREAM_A, segmentPath } from '../support/trail-lines.ts';

const DAY_MS = 86_400_000;
const tables = (lake: string): string[] =>
  readdirSync(lake, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.parquet'))
    .sort();

async function rowsOf(lake: string, sql: string): Promise<readonly (readonly unknown[])[]> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const source = `read_parquet('${lake}/**/*.parquet', hive_partitioning = true, hive_types_autocast = false)`;
  const rows = (await connection.runAndReadAll(sql.replace('LAKE', source))).getRowsJson();
  connection.closeSync();
  instance.closeSync();
  return rows;
}

describe('a lake', () => {
  it('is laid out by day and service, with exact texts, and another run writes what is new', async () => {
    const dir = temporaryDirectory();
    const lake = join(temporaryDirectory(), 'lake');
    const first = segmentPath(dir, STREAM_A, 0);
    put(
      first,
      lines(0, 3) +
        line(3, {
          timeMs: START_MS + DAY_MS,
          service: 'a b/ü',
          attributes: { 'trading.price': '0.10000000000000000001' },
        }),
    );
    put(segmentPath(dir, STREAM_A, 4), lines(4, 6));
    await using trail = openTrail(dir);
    expect(await trail.exportLake(lake, 'day,service')).toEqual({ records: 6, written: 3, unchanged: 0 });
    const stream = STREAM_A.split('/')[1]!;
    expect(tables(lake)).toEqual([
      `day=2020-03-16/service=bot/${stream}-00000000000000000000.parquet`,
      `day=2020-03-16/service=bot/${stream}-00000000000000000004.parquet`,
      `day=2020-03-17/service=a%20b%2F%C3%BC/${stream}-00000000000000000000.parquet`,
    ]);
    expect(
      await rowsOf(
        lake,
        "SELECT day, service, attributes['trading.price'], timestamp, time_unix_nano FROM LAKE WHERE sequence = 3",
      ),
    ).toEqual([
      ['2020-03-17', 'a b/ü', '0.10000000000000000001', '2020-03-17T14:00:00.000000000Z', '1584453600000000000'],
    ]);
    const made = statSync(join(lake, tables(lake)[0]!), { bigint: true }).mtimeNs;
    put(segmentPath(dir, STREAM_A, 4), lines(4, 8));
    expect(await trail.exportLake(lake, 'day,service')).toEqual({ records: 4, written: 1, unchanged: 1 });
    expect(statSync(join(lake, tables(lake)[0]!), { bigint: true }).mtimeNs).toBe(made);
    // Sealing changes the file, not what it is called in the lake; pruning takes nothing away.
    put(`${first}.zst`, zstdCompressSync(readFileSync(first)));
    expect((await trail.exportLake(lake, 'day,service')).records).toBe(4);
    rmSync(first);
    rmSync(`${first}.zst`);
    await trail.exportLake(lake, 'day,service');
    expect(await rowsOf(lake, 'SELECT count(*), count(DISTINCT sequence) FROM LAKE')).toEqual([['8', '8']]);
  });

  it('takes filters, and is not mixed with one of others', async () => {
    const dir = temporaryDirectory();
    const lake = join(temporaryDirectory(), 'lake');
    put(segmentPath(dir, STREAM_A, 0), lines(0, 3) + lines(3, 5, { event: 'trade.exit' }));
    await using trail = openTrail(dir);
    expect((await trail.exportLake(lake, 'day', { event: ['trade.*'] })).records).toBe(2);
    await expect(trail.exportLake(lake, 'day')).rejects.toThrow(
      /--output: expected the directory of a lake by day with no filters/,
    );
    expect(() => trail.exportLake(lake, 'month')).toThrow(/--partition: expected day or service/);
  });
});
