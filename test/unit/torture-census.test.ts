import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AckWriter, ackPath, readAcks } from '../../scripts/torture-acks.ts';
import { KEY_ATTRIBUTE, takeCensus } from '../../scripts/torture-census.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'risktrail-census-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const record = (key: string) =>
  `{"attributes":[{"key":"other","value":{"intValue":1}},{"key":"${KEY_ATTRIBUTE}","value":{"stringValue":"${key}"}}]}`;
const lines = (...keys: readonly string[]) => keys.map((key) => `${record(key)}\n`).join('');

/** Writes files below `place`, and returns its path. */
function files(place: string, contents: Readonly<Record<string, string | Buffer>>): string {
  mkdirSync(join(directory, place), { recursive: true });
  for (const [name, content] of Object.entries(contents)) writeFileSync(join(directory, place, name), content);
  return join(directory, place);
}

describe('the census of a torture', () => {
  it('names what was acknowledged and is nowhere', async () => {
    const journal = files('journal', { 'a.jsonl': lines('0:0', '1:0') });
    const copy = files('copy', { 'a.jsonl': `${record('0:0')}${record('0:1')}\n` });
    expect(await takeCensus(journal, copy, [3, 2])).toEqual({
      acknowledged: 5,
      inJournal: 2,
      inCopy: 2,
      lost: 2,
      lostKeys: ['0:2', '1:1'],
      duplicates: 0,
    });
  });

  it('reads sealed segments, and one that stands in both forms once', async () => {
    const journal = files('journal', {
      'a.jsonl': lines('0:0'),
      'a.jsonl.zst': zstdCompressSync(lines('0:0')),
      'b.jsonl.zst': zstdCompressSync(lines('0:1')),
    });
    const result = await takeCensus(journal, files('copy', {}), [2]);
    expect(result).toMatchObject({ inJournal: 2, inCopy: 0, lost: 0 });
  });

  it('counts deliveries beyond the first, wherever the file is split while reading', async () => {
    const keys = Array.from({ length: 30_000 }, (_, index) => `0:${index}`);
    const copy = files('copy', { 'a.jsonl': lines(...keys), 'b.jsonl': lines(...keys.slice(0, 7)) });
    const result = await takeCensus(files('journal', {}), copy, [keys.length]);
    expect(result).toMatchObject({ inCopy: keys.length, lost: 0, duplicates: 7 });
  });

  it('takes a record beyond those acknowledged, and refuses one that nobody wrote', async () => {
    const copy = files('copy', {});
    expect(await takeCensus(files('journal', { 'a.jsonl': lines('0:0') }), copy, [0])).toMatchObject({ lost: 0 });
    await expect(takeCensus(files('other', { 'a.jsonl': lines('7:0') }), copy, [0])).rejects.toThrow('7:0');
  });

  it('knows how many were acknowledged', () => {
    const path = ackPath(directory, 3);
    expect(readAcks(path)).toBe(0);
    const acks = new AckWriter(path);
    for (let count = 1; count <= 300; count++) acks.acknowledge(count);
    expect(readAcks(path)).toBe(300);
    acks.close();
  });
});
