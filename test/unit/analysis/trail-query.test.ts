import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FlatRecord } from '../../../src/analysis/flat-record.ts';
import { type QueryOptions, queryTrail } from '../../../src/analysis/trail-query.ts';
import { groupedLine, line, lines, put, START_MS, STREAM_A, STREAM_B, segmentPath } from '../../support/trail-lines.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'risktrail-query-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

async function query(paths: readonly string[] = [dir], options: QueryOptions = {}): Promise<FlatRecord[]> {
  const records: FlatRecord[] = [];
  for await (const batch of queryTrail(paths, options)) records.push(...batch);
  return records;
}

const sequences = (records: readonly FlatRecord[]) => records.map((record) => record.sequence);
const isSorted = (records: readonly FlatRecord[]) =>
  records.every((record, index) => index === 0 || records[index - 1]!.timestamp <= record.timestamp);

describe('a query of a trail', () => {
  it('reads the segments of a stream in their order, compressed ones too', async () => {
    put(`${segmentPath(dir, STREAM_A, 0)}.zst`, zstdCompressSync(Buffer.from(lines(0, 3))));
    put(segmentPath(dir, STREAM_A, 3), lines(3, 5));
    expect(sequences(await query())).toEqual([0, 1, 2, 3, 4]);
  });

  it('merges streams by time', async () => {
    put(segmentPath(dir, STREAM_A, 0), lines(0, 5));
    const between = [0, 1, 2].map((sequence) =>
      line(sequence, { stream: STREAM_B, timeMs: START_MS + 1500 + sequence * 1000 }),
    );
    put(segmentPath(dir, STREAM_B, 0), between.join(''));
    const records = await query();
    expect(records.map(({ stream, sequence }) => `${stream === STREAM_A ? 'a' : 'b'}${sequence}`)).toEqual([
      'a0',
      'a1',
      'b0',
      'a2',
      'b1',
      'a3',
      'b2',
      'a4',
    ]);
  });

  it('merges many streams, whichever was begun first', async () => {
    for (let stream = 0; stream < 12; stream++) {
      const name = `bot/00000000-0000-4000-8000-${String(99 - stream).padStart(12, '0')}`;
      const text = [0, 1, 2, 3].map((sequence) =>
        line(sequence, { stream: name, timeMs: START_MS + stream * 1700 + sequence * 1000 }),
      );
      put(segmentPath(dir, name, 0), text.join(''));
    }
    const records = await query();
    expect(records).toHaveLength(48);
    // Without a window, the merge alone must have put them in order.
    expect(isSorted(await query([dir], { reorderRecords: 0 }))).toBe(true);
    expect(isSorted(records)).toBe(true);
  });

  it('tells each record of a Collector’s file once and in order, however it was regrouped, repeated or shuffled', async () => {
    const first = [[3], [1], [0], [1]] as const;
    put(join(dir, 'audit.jsonl'), `${groupedLine(first)}${line(2)}\n{"other":1}\n${line(0)}${line(4)}`);
    expect(sequences(await query())).toEqual([0, 1, 2, 3, 4]);
  });

  it('puts late records into their place within its window, and hands later ones out late', async () => {
    const order = [1, 2, 3, 4, 5, 6, 7, 8, 0];
    put(join(dir, 'audit.jsonl'), order.map((sequence) => line(sequence)).join(''));
    expect(sequences(await query([dir], { reorderRecords: 8 }))).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    const files = order.map((sequence, index) => [join(dir, 'late', `${index}.jsonl`), line(sequence)] as const);
    for (const [path, text] of files) put(path, text);
    // One batch a file: the window is looked at after each.
    expect(sequences(await query([join(dir, 'late')], { reorderRecords: 2 }))).toEqual([1, 2, 3, 4, 5, 6, 0, 7, 8]);
  });

  it('shows log records that are no audit records, as often as they stand there', async () => {
    const plain = line(undefined, { event: 'api.call', attributes: { operation: 'fetch' } });
    put(join(dir, 'audit.jsonl'), plain + plain);
    const records = await query();
    expect(records.map(({ event, stream, sequence }) => [event, stream, sequence])).toEqual([
      ['api.call', null, null],
      ['api.call', null, null],
    ]);
  });

  it('filters', async () => {
    put(segmentPath(dir, STREAM_A, 0), lines(0, 10));
    expect(sequences(await query([dir], { filter: (record) => record.sequence! % 3 === 0 }))).toEqual([0, 3, 6, 9]);
  });

  it('goes on behind lines that cannot be read, and tells of them', async () => {
    const torn: string[] = [];
    put(segmentPath(dir, STREAM_A, 0), `${line(0)}{"resourceLogs"\n${line(1)}{"res`);
    const records = await query([dir], { onTorn: ({ line: number, kind }) => torn.push(`${number} ${kind}`) });
    expect(sequences(records)).toEqual([0, 1]);
    expect(torn).toEqual(['2 line', '4 tail']);
  });

  it('says what is wrong with a path', async () => {
    await expect(query([join(dir, 'none')])).rejects.toMatchObject({ code: 'PATH_NOT_FOUND' });
    await expect(query()).rejects.toMatchObject({ code: 'NO_TRAIL_FILES' });
  });

  it.each([
    ['trail', 300],
    ['trail-collector', 300],
    ['trail-pruned', 120],
    ['trail-chain', 180],
  ])('reads the vector %s: %i records, each once, in order', async (name, count) => {
    const records = await query([join(import.meta.dirname, '../../vectors', name)]);
    expect(records).toHaveLength(count);
    expect(isSorted(records)).toBe(true);
    expect(new Set(records.map((record) => record.record_id)).size).toBe(count);
  });
});
