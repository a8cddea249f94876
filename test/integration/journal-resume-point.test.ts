import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { resumePointPath } from '../../src/audit/journal/resume-point.ts';
import { formatSealedState, sealedStatePath } from '../../src/audit/journal/sealed-state.ts';
import { copyAsCrashed, openTestJournal, segmentPaths, temporaryDirectory, testEvent } from '../support/journal.ts';
import { verifyDirectory } from '../support/verify.ts';

const EVENTS = 3000;

let root: string;
let remove: () => void;
beforeEach(() => {
  ({ path: root, remove } = temporaryDirectory());
});
afterEach(() => remove());

interface Place {
  readonly size: number;
  readonly offset: number;
  readonly file: string;
}

/** A directory as a writer leaves it that is killed with more than two megabytes in its first segment. */
async function crashed() {
  const dir = join(root, 'data');
  const journal = openTestJournal(dir, { checkpointIntervalMs: 1_000_000, checkpointRecords: 1_000_000 });
  for (let i = 0; i < EVENTS; i++) journal.append(testEvent(i));
  await journal.checkpoint();
  for (let i = 0; i < 5; i++) journal.append(testEvent(EVENTS + i));
  const copy = copyAsCrashed(dir, join(root, 'crash'));
  journal.closeSync('test');
  const directory = join(copy, 'streams', journal.streamId);
  const place: Place = JSON.parse(readFileSync(resumePointPath(directory), 'utf8'));
  return { dir: copy, directory, place, segment: segmentPaths({ directory })[0]!, stream: journal.stream };
}

/** Changes a record of line `index` without changing its length. */
function change(segment: string, index: number): void {
  const lines = readFileSync(segment, 'utf8').split('\n');
  lines[index] = lines[index]!.replace('"broker"', '"BROKER"');
  writeFileSync(segment, lines.join('\n'));
}

async function restart(dir: string) {
  const journal = openTestJournal(dir, { checkpointIntervalMs: 1_000_000, onError: () => {} });
  const { stream, recovered } = journal;
  await journal.close('test');
  return { stream, recovered };
}

describe('a place within the open segment', () => {
  it('is noted once two megabytes are signed, and a start goes on from there', async () => {
    const { dir, place, segment, stream } = await crashed();
    const before = readFileSync(segment).subarray(0, place.offset);
    // Opened, and the events; the checkpoint's record comes behind.
    expect(place).toMatchObject({ size: EVENTS + 1, file: '00000000000000000000.jsonl' });
    expect(before.toString('utf8').split('\n')).toHaveLength(EVENTS + 2);
    expect(await restart(dir)).toEqual({ stream, recovered: { records: EVENTS + 7, cutBytes: 0 } });
    expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });

  it('what stands before it is not read by the start, and a change there is the verifier’s to find', async () => {
    const { dir, segment, stream } = await crashed();
    change(segment, 100);
    expect(await restart(dir)).toMatchObject({ stream, recovered: {} });
    const { exitCode, findings } = await verifyDirectory(dir, {});
    expect(exitCode).not.toBe(0);
    expect(findings).not.toEqual([]);
  });

  it('what stands behind it is read, and a stream that was changed there is not gone on with', async () => {
    const { dir, segment, stream } = await crashed();
    change(segment, EVENTS + 3);
    const next = await restart(dir);
    expect(next.stream).not.toBe(stream);
    expect(next.recovered).toBeUndefined();
  });

  it.each([
    ['lies within a line', (place: Place) => ({ ...place, offset: place.offset - 10 })],
    ['lies behind the end', (place: Place) => ({ ...place, offset: place.offset * 10 })],
    ['is in another file', (place: Place) => ({ ...place, file: '00000000000000000000.1.jsonl' })],
    ['is of another stream', (place: Place) => ({ ...place, stream: 'other/0193f6a0-1111-7aaa-8bbb-123456789abc' })],
    ['is of an older version', (place: Place) => ({ ...place, version: 1 })],
  ])('that %s is passed over: everything is read', async (_, broken) => {
    const { dir, directory, place, segment, stream } = await crashed();
    writeFileSync(resumePointPath(directory), JSON.stringify(broken(place)));
    change(segment, 100);
    // Only a start that reads the beginning sees that it was changed.
    expect((await restart(dir)).stream).not.toBe(stream);
  });

  it('whose tree is not that of the records is found out by the signed root, and everything is read', async () => {
    const { dir, directory, place, stream } = await crashed();
    const hashes = (place as unknown as { hashes: string[] }).hashes.map(() => Buffer.alloc(32, 7).toString('base64'));
    writeFileSync(resumePointPath(directory), JSON.stringify({ ...place, hashes }));
    expect(await restart(dir)).toEqual({ stream, recovered: { records: EVENTS + 7, cutBytes: 0 } });
    expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });

  it('is good also when its file was sealed meanwhile', async () => {
    const { dir, directory, segment, stream } = await crashed();
    const text = readFileSync(segment);
    const sealed = zstdCompressSync(text);
    writeFileSync(`${segment}.zst`, sealed);
    const name = '00000000000000000000.jsonl';
    const files = [{ name, bytes: text.length, sealedBytes: sealed.length, lastTime: '1' }];
    writeFileSync(sealedStatePath(directory), formatSealedState({ version: 1, stream, closed: false, files }));
    rmSync(segment);
    expect(await restart(dir)).toEqual({ stream, recovered: { records: EVENTS + 7, cutBytes: 0 } });
    expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });
});
