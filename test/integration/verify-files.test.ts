import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { parseVerifierKeys } from '../../src/audit/proof/note.ts';
import { findTrailFiles, isSegment, segmentOf as readSegment } from '../../src/audit/read/files.ts';
import { type VerifyOptions, verifyTrail } from '../../src/audit/verify/verify.ts';
import {
  journalOf,
  lineOf,
  MadeKey,
  type MadeRecord,
  makeDirectory,
  makeStream,
  segmentOf,
} from '../support/trail-maker.ts';

const KEY = new MadeKey('bot');
const keys = parseVerifierKeys(KEY.vkey);
const UUID = '0b5f0e52-6b2a-4b6e-9d3c-2f0f9a7d1c11';

const made: string[] = [];
afterEach(() => {
  for (const directory of made.splice(0)) rmSync(directory, { recursive: true });
});

async function verify(files: Readonly<Record<string, string | Uint8Array>>, options: Partial<VerifyOptions> = {}) {
  const directory = makeDirectory(files);
  made.push(directory);
  const { exitStatus, streams } = await verifyTrail({ paths: [directory], keys, ...options });
  return { exitStatus, kinds: streams.flatMap(({ findings }) => findings.map(({ kind }) => kind)) };
}

const textOf = (records: readonly MadeRecord[]) => records.map((record) => lineOf(record)).join('');

describe('the files of a journal', () => {
  it('are taken in the order of writing: by number, then by suffix, the plain one first', async () => {
    const names = ['00000000000000000000', '00000000000000000015', '00000000000000000015.1', '00000000000000000015.10'];
    const directory = makeDirectory({
      [`streams/a/${names[3]}.jsonl`]: '',
      [`streams/a/${names[2]}.jsonl`]: '',
      [`streams/a/${names[1]}.jsonl.zst`]: '',
      [`streams/a/${names[1]}.jsonl`]: '',
      [`streams/a/${names[0]}.jsonl.zst`]: '',
      'other.jsonl': '',
    });
    made.push(directory);
    const { records } = await findTrailFiles([directory]);
    expect(records.map((path) => path.slice(directory.length + 1))).toEqual([
      'other.jsonl',
      `streams/a/${names[0]}.jsonl.zst`,
      `streams/a/${names[1]}.jsonl`,
      `streams/a/${names[1]}.jsonl.zst`,
      `streams/a/${names[2]}.jsonl`,
      `streams/a/${names[3]}.jsonl`,
    ]);
    expect(records.map(isSegment)).toEqual([false, true, true, true, true, true]);
    expect(readSegment(`${names[3]}.jsonl.zst`)).toEqual({ firstSequence: 15, copy: 10, sealed: true });
  });

  it('may stand in both forms while one is sealed, even of two different contents', async () => {
    const stream = makeStream(KEY, UUID);
    const files: Record<string, string | Uint8Array> = journalOf(stream);
    const name = segmentOf(stream, 15);
    files[`${name}.zst`] = zstdCompressSync(files[name] as string);
    expect(await verify(files, { strict: true })).toEqual({ exitStatus: 0, kinds: [] });
    // What one of them alone would hide is seen.
    const changed = (files[name] as string).replace('record 17', 'record 71');
    for (const [plain, sealed] of [
      [files[name] as string, changed],
      [changed, files[name] as string],
    ] as const) {
      const report = await verify({ ...files, [name]: plain, [`${name}.zst`]: zstdCompressSync(sealed) });
      expect(report.exitStatus).toBe(1);
      expect(report.kinds).toContain('INVALID');
    }
  });

  it('may repeat records after a disk error', async () => {
    const stream = makeStream(KEY, UUID);
    const files = journalOf(stream);
    const first = segmentOf(stream, 15);
    const copy = first.replace('.jsonl', '.1.jsonl');
    expect(await verify({ ...files, [copy]: textOf(stream.records.slice(15, 30)) }, { strict: true })).toEqual({
      exitStatus: 0,
      kinds: [],
    });
  });

  it('say TORN_TAIL of the newest alone, of a file begun after a disk error as well', async () => {
    const stream = makeStream(KEY, UUID);
    const files = journalOf(stream, stream.records.slice(0, 30));
    const last = segmentOf(stream, 30);
    const copy = last.replace('.jsonl', '.1.jsonl');
    const half = lineOf(stream.records[33] as MadeRecord).slice(0, 40);
    const begun = textOf(stream.records.slice(30, 33));
    const inCopy = await verify({ ...files, [last]: '', [copy]: begun + half });
    expect(inCopy.kinds).toContain('TORN_TAIL');
    const empty = await verify({ ...files, [last]: begun, [copy]: half });
    expect(empty.kinds).toContain('TORN_TAIL');
    const older = await verify({ ...files, [last]: half, [copy]: begun });
    expect(older).toMatchObject({ exitStatus: 2 });
    expect(older.kinds).toContain('TORN');
  });
});

describe('anchors', () => {
  it('are read from a file of many notes and from a directory of files', async () => {
    const stream = makeStream(KEY, UUID, 60);
    const notes = [9, 19, 29, 39].map((size) => stream.note(size));
    const anchors = makeDirectory({
      list: notes.join('\n'),
      'git/notes.txt': `${stream.note(58)}\n`,
      'git/README.md': 'What this is.\n\nAnd more.\n',
    });
    made.push(anchors);
    const whole = journalOf(stream);
    const cut = journalOf(stream, stream.records.slice(0, 36));
    const forged = { ...whole };
    for (const at of [join(anchors, 'list'), anchors]) {
      expect((await verify(whole, { anchors: [at] })).exitStatus).toBe(0);
      expect(await verify(cut, { anchors: [at] })).toMatchObject({ exitStatus: 2 });
      expect((await verify(cut, { anchors: [at] })).kinds).toContain('TRUNCATED');
      expect(
        (await verify(forged, { anchors: [at], keys: parseVerifierKeys(new MadeKey('bot').vkey) })).exitStatus,
      ).toBe(1);
    }
    // Another history of the same key: the notes in the middle of the list refute it.
    const other = makeStream(KEY, UUID, 60, { 'audit.config.digest': 'other' });
    expect((await verify(journalOf(other), { anchors: [join(anchors, 'list')] })).kinds).toContain('FORK');
  });
});
