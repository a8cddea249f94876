import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { parseVerifierKeys } from '../../src/audit/proof/note.ts';
import { type VerifyOptions, verifyTrail } from '../../src/audit/verify/verify.ts';
import {
  journalOf,
  leafOf,
  lineOf,
  MadeKey,
  type MadeRecord,
  MadeStream,
  makeDirectory,
  makeStream,
  reseal,
  segmentOf,
} from '../support/trail-maker.ts';

const KEY = new MadeKey('bot');
const OTHER_KEY = new MadeKey('bot');
const keys = parseVerifierKeys(KEY.vkey);
const UUID = '0b5f0e52-6b2a-4b6e-9d3c-2f0f9a7d1c11';
const UUID_2 = '1c6a1f63-7c3b-4c7f-8e4d-301fab8e2d22';

const made: string[] = [];
afterEach(() => {
  for (const directory of made.splice(0)) rmSync(directory, { recursive: true });
});

function directoryOf(files: Readonly<Record<string, string | Uint8Array>>): string {
  const directory = makeDirectory(files);
  made.push(directory);
  return directory;
}

/** Records 0 to 59: open at the end, checkpoints of sizes 9, 19, … */
function openStream(): MadeStream {
  const stream = new MadeStream(KEY, UUID);
  stream.add('audit.stream_opened', { 'audit.format.version': 1 });
  while (stream.records.length < 60) {
    if (stream.records.length % 10 === 9) stream.checkpoint();
    else stream.add('order.placed', { 'trading.quantity': stream.records.length });
  }
  return stream;
}

/** Verifies the first `count` records, and saves; then puts all of them in place. */
async function verifiedThrough(stream: MadeStream, count: number, all: readonly MadeRecord[] = stream.records) {
  const directory = directoryOf(journalOf(stream, stream.records.slice(0, count)));
  const saved = join(directoryOf({}), 'verified.json');
  const report = await verifyTrail({ paths: [directory], keys, saveCheckpoint: saved });
  expect(report.exitStatus).toBe(0);
  for (const [name, text] of Object.entries(journalOf(stream, all))) writeFileSync(join(directory, name), text);
  const next = (options: Partial<VerifyOptions> = {}) =>
    verifyTrail({ paths: [directory], keys, from: saved, ...options });
  return { directory, saved, next };
}

const kindsOf = (report: Awaited<ReturnType<typeof verifyTrail>>) =>
  report.streams.flatMap(({ findings }) => findings.map(({ kind, sequence }) => `${kind} ${sequence}`));

describe('a verification that goes on from a saved checkpoint', () => {
  it('comes to the report of one from the beginning', async () => {
    for (const closed of [false, true]) {
      const stream = openStream();
      if (closed) stream.close();
      const { directory, next } = await verifiedThrough(stream, 44);
      expect(await next()).toEqual(await verifyTrail({ paths: [directory], keys }));
    }
  });

  it('does not read the segments of what is verified, and goes on from what it saves itself', async () => {
    const stream = openStream();
    const { directory, saved, next } = await verifiedThrough(stream, 44);
    // Of size 39: the segment of records 30 to 44 is read, those in front of it are not.
    for (const first of [0, 15]) writeFileSync(join(directory, segmentOf(stream, first)), 'not read\n');
    expect((await next({ saveCheckpoint: saved })).exitStatus).toBe(0);
    writeFileSync(join(directory, segmentOf(stream, 30)), 'not read any more\n');
    const report = await next();
    expect(report.exitStatus).toBe(0);
    expect(report.streams[0]).toMatchObject({ records: 60, firstSequence: 0, lastSequence: 59, verifiedThrough: 58 });
  });

  it('reads sealed segments and files of a Collector as well', async () => {
    const stream = openStream();
    const { directory, next, saved } = await verifiedThrough(stream, 44);
    for (const first of [0, 15, 30]) {
      const path = join(directory, segmentOf(stream, first));
      writeFileSync(`${path}.zst`, first === 0 ? 'not read' : zstdCompressSync(readFileSync(path)));
      rmSync(path);
    }
    expect((await next()).exitStatus).toBe(0);
    const collector = directoryOf({ 'collector.jsonl': lineOf(...[...stream.records].reverse()) });
    expect((await verifyTrail({ paths: [collector], keys, from: saved })).exitStatus).toBe(0);
  });

  it.each([
    [
      'a change',
      1,
      (records: MadeRecord[]) => {
        records[50] = { ...(records[50] as MadeRecord), body: 'x' };
      },
    ],
    [
      'a change that is hashed anew',
      1,
      (records: MadeRecord[]) => {
        const changed = { ...(records[50] as MadeRecord), body: 'x' };
        reseal(changed);
        records[50] = changed;
      },
    ],
    ['a removal', 2, (records: MadeRecord[]): void => void records.splice(47, 2)],
    ['a removal of all that is new', 2, (records: MadeRecord[]): void => void records.splice(30)],
  ] as const)('finds %s above it', async (_, status, tamper): Promise<void> => {
    const stream = openStream();
    const records = [...stream.records];
    tamper(records);
    const { directory, next } = await verifiedThrough(stream, 44, records);
    if (records.length === 30) rmSync(join(directory, segmentOf(stream, 30)));
    const report = await next();
    expect(report.exitStatus).toBe(status);
  });

  it('finds that a segment below it is gone, but for what was pruned', async () => {
    const stream = openStream();
    const { directory, next } = await verifiedThrough(stream, 44);
    rmSync(join(directory, segmentOf(stream, 0)));
    expect(kindsOf(await next())).toContain('GAP 0');

    stream.pruned(stream, 19);
    stream.checkpoint();
    for (const [name, text] of Object.entries(journalOf(stream))) writeFileSync(join(directory, name), text);
    rmSync(join(directory, segmentOf(stream, 0)));
    const report = await next();
    expect(report.exitStatus).toBe(0);
    expect(kindsOf(report)).toContain('PRUNED 0');
  });

  it('keeps in mind what the records below it said: an end, an earlier stream, a pruning', async () => {
    const first = makeStream(KEY, UUID, 40);
    const second = new MadeStream(KEY, UUID_2);
    second.add('audit.stream_opened', {
      'audit.format.version': 1,
      'audit.previous.stream': first.name,
      'audit.previous.checkpoint': first.note(),
    });
    second.pruned(first, 39);
    second.addMany(10);
    second.checkpoint();
    second.add('audit.stream_closed', { 'audit.closed.reason': 'shutdown' });
    second.checkpoint();
    second.checkpoint();
    const directory = directoryOf({ ...journalOf(first), ...journalOf(second, second.records, 5) });
    const saved = join(directory, 'verified');
    expect((await verifyTrail({ paths: [directory], keys, saveCheckpoint: saved })).exitStatus).toBe(0);
    const next = () => verifyTrail({ paths: [directory], keys, from: saved });
    expect((await next()).exitStatus).toBe(0);

    second.add('order.placed');
    writeFileSync(join(directory, segmentOf(second, 15)), lineOf(...second.records.slice(15)));
    expect(kindsOf(await next())).toContain(`AFTER_CLOSE ${second.records.length - 1}`);
    rmSync(join(directory, 'streams', UUID), { recursive: true });
    expect(kindsOf(await next()).filter((kind) => kind.startsWith('MISSING') || kind.startsWith('TRUNC'))).toEqual(
      kindsOf(await verifyTrail({ paths: [directory], keys })).filter((kind) => /^(MISSING|TRUNC)/.test(kind)),
    );
  });

  it('is not saved where something is wrong', async () => {
    const stream = openStream();
    const records = stream.records.filter((_, index) => index !== 20);
    const directory = directoryOf(journalOf(stream, records));
    const saveCheckpoint = join(directory, 'verified');
    expect((await verifyTrail({ paths: [directory], keys, saveCheckpoint })).exitStatus).toBe(2);
    expect(existsSync(saveCheckpoint)).toBe(false);
  });

  it('is refused where it is not signed by the keys, or its hashes are not those that were signed', async () => {
    const stream = openStream();
    const { saved, next } = await verifiedThrough(stream, 44);
    const refused = { code: 'VERIFIED_CHECKPOINT_INVALID' };
    await expect(next({ keys: parseVerifierKeys(OTHER_KEY.vkey) })).rejects.toMatchObject(refused);
    const text = readFileSync(saved, 'utf8');
    const file = JSON.parse(text);
    const [entry] = file.streams;
    const leaf = leafOf(stream.records[3] as MadeRecord).toString('base64');
    const wrong = [
      'no JSON',
      '{}',
      JSON.stringify({ ...file, version: 2 }),
      JSON.stringify({ ...file, streams: [{ ...entry, hashes: [leaf, ...entry.hashes.slice(1)] }] }),
      JSON.stringify({ ...file, streams: [{ ...entry, hashes: entry.hashes.slice(1) }] }),
      JSON.stringify({ ...file, streams: [{ ...entry, stream: `bot/${UUID_2}` }] }),
      JSON.stringify({ ...file, streams: [{ ...entry, note: stream.note(38) }] }),
      JSON.stringify({ ...file, streams: [entry, entry] }),
      JSON.stringify({ ...file, streams: [{ ...entry, records: -1 }] }),
    ];
    for (const content of wrong) {
      writeFileSync(saved, content);
      await expect(next()).rejects.toMatchObject(refused);
    }
    renameSync(saved, `${saved}.away`);
    await expect(next()).rejects.toMatchObject({ code: 'PATH_NOT_FOUND' });
  });
});
