/** Each errno at each call of the file system at several moments: trading goes on, nothing that was told as recorded is lost. */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Journal, JournalOptions } from '../../src/audit/journal/journal.ts';
import { writeShippedPosition } from '../../src/audit/journal/shipped-position.ts';
import { copyAsCrashed, openTestJournal, recordsByStream, temporaryDirectory, testEvent } from '../support/journal.ts';
import { createTestDisk, type DiskCall, type TestDisk } from '../support/journal-disk.ts';
import { verifyDirectory } from '../support/verify.ts';

/** The machine may be busy elsewhere. */
const PATIENT = { timeout: 20_000 };

let dir: string;
let remove: () => void;
let disk: TestDisk;
let journal: Journal;
let errors: string[];
beforeEach(() => {
  ({ path: dir, remove } = temporaryDirectory());
  disk = createTestDisk();
  errors = [];
});
afterEach(() => {
  disk.mend();
  journal.closeSync('test');
  remove();
});

function open(options: Partial<JournalOptions> = {}): void {
  journal = openTestJournal(dir, {
    fs: disk.fs,
    retryMs: 0,
    checkpointIntervalMs: 1_000_000,
    onError: (error, what) => void errors.push(`${what}: ${(error as NodeJS.ErrnoException).code}`),
    ...options,
  });
}

async function events(): Promise<number[]> {
  const records = (await recordsByStream(dir)).get(journal.stream)!;
  return records.filter((one) => one.eventName.startsWith('risk.')).map((one) => Number(one.attributes['index']));
}

async function degraded(): Promise<Readonly<Record<string, unknown>>[]> {
  const records = (await recordsByStream(dir)).get(journal.stream)!;
  return records.filter((one) => one.eventName === 'audit.degraded').map((one) => one.attributes);
}

const upTo = (end: number) => Array.from({ length: end }, (_, index) => index);

const CODES = ['ENOSPC', 'EDQUOT', 'EACCES', 'EROFS', 'EIO', 'EMFILE', 'ENOENT'];
const CALLS: DiskCall[] = [
  'writeSync',
  'ftruncateSync',
  'openSync',
  'fdatasync',
  'fstat',
  'fstatSync',
  'closeSync',
  'readFileSync',
  'truncateSync',
  'promises.open',
  'promises.rename',
  'promises.statfs',
];
/** Calls whose errors mean the same whatever their code: three stand for all. */
const PLAIN_CALLS = new Set<DiskCall>(CALLS.slice(4));
const codesOf = (call: DiskCall) =>
  CODES.filter((code, index) => !PLAIN_CALLS.has(call) || index % 3 === 1 || code === 'EMFILE');
/** Once, for a while, and together with a second call that fails. */
const MOMENTS: readonly { readonly name: string; readonly times: number; readonly also?: DiskCall }[] = [
  { name: 'once', times: 1 },
  { name: 'for a while', times: Number.POSITIVE_INFINITY },
  { name: 'while writes fail too', times: Number.POSITIVE_INFINITY, also: 'writeSync' },
  { name: 'while syncs fail too', times: Number.POSITIVE_INFINITY, also: 'fdatasync' },
];

describe('with any error of any call', () => {
  describe.each(CALLS)('%s', (call) => {
    it.each(
      codesOf(call).flatMap((code) =>
        MOMENTS.filter(({ also }) => also !== call).map((moment) => ({ ...moment, code })),
      ),
    )('$code, $name', async ({ code, times, also }) => {
      open({ segmentMaxBytes: 4000, checkpointRecords: 1_000_000 });
      const told: string[] = [];
      let taken = 0;
      const append = (count: number) => {
        for (let i = 0; i < count; i++) {
          // Two of three as orders are announced.
          const reliedOn = i % 3 === 0 ? 'append' : 'commit';
          const { state, recordId, committed } = journal.append(testEvent(taken++), reliedOn);
          expect(state).not.toBe('lost');
          if (state === 'written') told.push(recordId);
          committed?.then(
            () => told.push(recordId),
            (error) => expect(error).toMatchObject({ code: 'AUDIT_NOT_DURABLE' }),
          );
        }
      };
      append(5);
      await journal.checkpoint();
      disk.fail(call, code, times, 100);
      if (also !== undefined) disk.fail(also, code, times, 50);
      append(12);
      await journal.checkpoint();
      append(12);
      await journal.sync().catch((error) => expect(error).toMatchObject({ code: 'AUDIT_NOT_DURABLE' }));
      disk.mend();
      append(5);
      await journal.checkpoint();
      expect(journal.stats()).toMatchObject({ mode: 'direct', degraded: false, lostRecords: 0 });
      await journal.sync();
      await journal.close('test');
      expect(await events()).toEqual(upTo(taken));
      const held = new Set((await recordsByStream(dir)).get(journal.stream)!.map((record) => record.recordId));
      expect(told.filter((id) => !held.has(id))).toEqual([]);
      for (const one of await degraded()) expect(one).toMatchObject({ 'audit.degraded.lost_records': 0 });
      expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
    });
  });

  it.each(CODES)(
    'writing that fails (%s) until more comes than may wait: exactly that much is lost, and told',
    async (code) => {
      open({ waitBufferBytes: 5000, segmentMaxBytes: 4000 });
      disk.fail('writeSync', code, Number.POSITIVE_INFINITY, 10);
      disk.fail('openSync', code);
      const states = upTo(40).map((i) => journal.append(testEvent(i)).state);
      const waiting = states.filter((state) => state === 'waiting').length;
      expect(states).toEqual([...Array(waiting).fill('waiting'), ...Array(40 - waiting).fill('lost')]);
      expect(waiting).toBeGreaterThan(2);
      disk.mend();
      expect(await journal.checkpoint()).toBeDefined();
      expect(journal.append(testEvent(40)).state).toBe('written');
      await journal.close('test');
      expect(await events()).toEqual([...upTo(waiting), 40]);
      expect(await degraded()).toEqual([
        expect.objectContaining({ 'audit.degraded.reason': code, 'audit.degraded.lost_records': 40 - waiting }),
      ]);
      expect(journal.stats().lostRecords).toBe(40 - waiting);
      expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
    },
  );

  it('works again by itself, without further events', async () => {
    open({ retryMs: 5 });
    disk.fail('writeSync', 'ENOSPC');
    expect(journal.append(testEvent(0)).state).toBe('waiting');
    disk.mend();
    await expect.poll(() => journal.stats().mode, PATIENT).toBe('direct');
    await journal.close('test');
    expect(await degraded()).toHaveLength(1);
    expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });

  it('what waits at the end is written if it can be, and else counted as lost', async () => {
    open();
    disk.fail('writeSync', 'ENOSPC', 1);
    journal.append(testEvent(0));
    await journal.close('test');
    expect(await events()).toEqual([0]);
    expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });

    open();
    disk.fail('writeSync', 'ENOSPC');
    journal.append(testEvent(0));
    await journal.close('test');
    expect(journal.stats().lostRecords).toBe(1);
    expect(errors).toContain('close: ENOSPC');
    expect(await verifyDirectory(dir)).toMatchObject({ exitCode: 0 });
  });

  it('a descriptor whose sync failed is never trusted again, also where its records find no other file at first', async () => {
    open();
    for (let i = 0; i < 5; i++) journal.append(testEvent(i));
    disk.fail('fdatasync', 'EIO', 1);
    disk.fail('openSync', 'EMFILE');
    await expect(journal.sync()).rejects.toMatchObject({ code: 'AUDIT_NOT_DURABLE' });
    // The next fdatasync would succeed, and prove nothing.
    await expect(journal.sync()).rejects.toMatchObject({ code: 'AUDIT_NOT_DURABLE' });
    expect(journal.stats().durableSequence).toBeUndefined();
    disk.mend();
    await journal.sync();
    expect(journal.stats().durableSequence).toBe(6);
    await journal.close('test');
    expect(await events()).toEqual(upTo(5));
    expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });
});

describe('a directory that is deleted under the writer', () => {
  it.each(['the stream', 'the data directory'])('%s: it is made again, with all that is still open', async (which) => {
    open();
    for (let i = 0; i < 5; i++) journal.append(testEvent(i));
    await journal.checkpoint();
    rmSync(which === 'the stream' ? journal.directory : dir, { recursive: true });
    for (let i = 5; i < 10; i++) expect(journal.append(testEvent(i)).state).toBe('written');
    await journal.checkpoint();
    for (let i = 10; i < 15; i++) expect(journal.append(testEvent(i)).state).toBe('written');
    // It holds the lock of the new folder as well: another start doesn't take the stream.
    const second = openTestJournal(dir);
    expect(second.stream).not.toBe(journal.stream);
    await second.close('test');
    await journal.close('test');
    expect(await events()).toEqual(upTo(15));
    expect(await degraded()).toEqual([
      expect.objectContaining({ 'audit.degraded.reason': 'ENOENT', 'audit.degraded.lost_records': 0 }),
    ]);
    expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });

  it('records of files that were closed already are lost: they are counted and their numbers told', async () => {
    open({ segmentMaxBytes: 3000 });
    for (let i = 0; i < 20; i++) journal.append(testEvent(i));
    await journal.checkpoint();
    rmSync(journal.directory, { recursive: true });
    journal.append(testEvent(20));
    await journal.checkpoint();
    await journal.close('test');
    const [outage] = await degraded();
    const lost = Number(outage!['audit.degraded.lost_records']);
    expect(lost).toBeGreaterThan(5);
    expect(outage).toMatchObject({
      'audit.degraded.reason': 'ENOENT',
      'audit.degraded.deleted': [`0-${lost - 1}`],
    });
    expect(journal.stats().lostRecords).toBe(lost);
    expect((await recordsByStream(dir)).get(journal.stream)![0]!.sequence).toBe(lost);
    const { exitCode, findings } = await verifyDirectory(dir);
    expect(exitCode).toBe(2);
    expect(findings).toEqual(expect.arrayContaining([expect.stringMatching(/GAP/)]));
  });

  it('is made again as soon as it can be', async () => {
    open();
    journal.append(testEvent(0));
    await journal.checkpoint();
    rmSync(dir, { recursive: true });
    disk.fail('openSync', 'EACCES');
    await journal.checkpoint();
    expect(journal.stats().mode).toBe('failing');
    expect(journal.append(testEvent(1)).state).toBe('waiting');
    disk.mend();
    expect(journal.append(testEvent(2)).state).toBe('written');
    await journal.close('test');
    expect(await events()).toEqual([0, 1, 2]);
    expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });
});

describe('a quota', () => {
  it('has records wait and then be lost, deletes nothing, and goes on by itself once retention gave something up', async () => {
    const old = join(dir, 'streams', 'old');
    mkdirSync(old, { recursive: true });
    writeFileSync(join(old, 'archive'), Buffer.alloc(30_000));
    let mayGo = false;
    let asked = 0;
    open({
      maxBytes: 50_000,
      waitBufferBytes: 4000,
      retryMs: 5,
      reclaim: async () => {
        asked++;
        if (mayGo) rmSync(old, { recursive: true, force: true });
        return 0;
      },
    });
    let written = 0;
    while (journal.append(testEvent(written)).state === 'written') written++;
    expect(errors).toEqual(['append: QUOTA']);
    expect(journal).toMatchObject({ failing: true });
    expect(journal.stats().bytes).toBeLessThanOrEqual(20_000);
    let waiting = 1;
    while (journal.append(testEvent(written + waiting)).state === 'waiting') waiting++;
    await expect(journal.sync()).rejects.toMatchObject({ details: { reason: 'QUOTA' } });
    expect(readdirSync(old)).toEqual(['archive']);
    await expect.poll(() => asked, PATIENT).toBeGreaterThan(0);
    mayGo = true;
    await expect.poll(() => journal.stats().mode, PATIENT).toBe('direct');
    expect(journal.append(testEvent(written + waiting + 1)).state).toBe('written');
    await journal.close('test');
    expect(await events()).toEqual([...upTo(written + waiting), written + waiting + 1]);
    expect(await degraded()).toEqual([
      expect.objectContaining({ 'audit.degraded.reason': 'QUOTA', 'audit.degraded.lost_records': 1 }),
    ]);
    expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });
});

describe('a journal that is shorter than what was shipped of it', () => {
  it('is not gone on with: a new stream names it', async () => {
    open();
    for (let i = 0; i < 5; i++) journal.append(testEvent(i));
    await journal.checkpoint();
    // As after a restored backup: the writer died, and what was shipped is not all there.
    const crashed = join(dir, 'crashed');
    mkdirSync(crashed);
    copyAsCrashed(join(dir, 'streams'), join(crashed, 'streams'));
    const folder = join(crashed, 'streams', journal.streamId);
    const shipped = (sequence: number) =>
      writeShippedPosition(folder, { stream: journal.stream, sequence, endpoint: 'http://127.0.0.1', complete: false });
    await shipped(journal.stats().records + 1);
    const refused: unknown[] = [];
    const next = openTestJournal(crashed, { onError: (error) => void refused.push(error) });
    expect(next.stream).not.toBe(journal.stream);
    expect(String(refused)).toMatch(/7 records stand and 8 were shipped/);
    await next.close('test');
    const [opened] = (await recordsByStream(crashed)).get(next.stream)!;
    expect(opened!.attributes['audit.previous.stream']).toBe(journal.stream);
  });
});
