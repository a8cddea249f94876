import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AppendedRecord, Journal, JournalOptions } from '../../src/audit/journal/journal.ts';
import { openTestJournal, recordsByStream, segmentPaths, temporaryDirectory, testEvent } from '../support/journal.ts';
import { createTestDisk, type TestDisk } from '../support/journal-disk.ts';
import { verifyDirectory } from '../support/verify.ts';

/** The machine may be busy elsewhere. */
const PATIENT = { timeout: 20_000 };

let dir: string;
let remove: () => void;
let disk: TestDisk;
let journal: Journal;
let appended: AppendedRecord[];
let errors: string[];
beforeEach(() => {
  ({ path: dir, remove } = temporaryDirectory());
  disk = createTestDisk();
  appended = [];
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
    stallBudgetMs: 20,
    calmMs: 0,
    retryMs: 0,
    checkpointIntervalMs: 1_000_000,
    onError: (error, what) => void errors.push(`${what}: ${(error as NodeJS.ErrnoException).code}`),
    onAppended: (record) => void appended.push(record),
    ...options,
  });
}

/** The next write stalls, so that the writer thread takes over. */
function stall(): void {
  disk.delayWrites(40);
  expect(journal.append(testEvent(0))).toMatchObject({ state: 'written', sequence: expect.any(Number) });
  expect(journal.stats().mode).toBe('buffered');
}

/** What the trail holds, checked: numbers without a gap, all of them verified. */
async function held(): Promise<{ events: number[]; degraded: Record<string, unknown>[]; names: string[] }> {
  const records = (await recordsByStream(dir)).get(journal.stream)!;
  expect(records.map((record) => record.sequence)).toEqual(records.map((_, index) => index));
  return {
    events: records.filter((one) => one.eventName.startsWith('risk.')).map((one) => Number(one.attributes['index'])),
    degraded: records
      .filter((one) => one.eventName === 'audit.degraded')
      .map(({ attributes }) =>
        Object.fromEntries(
          Object.entries(attributes)
            .filter(([key]) => key.startsWith('audit.degraded.') && !key.endsWith('_time'))
            .map(([key, value]) => [key.slice('audit.degraded.'.length), value]),
        ),
      ),
    names: records.map((record) => record.eventName),
  };
}

const upTo = (end: number) => Array.from({ length: end }, (_, index) => index);

describe('while the disk is slow', () => {
  it('a thread writes what comes, in order, and the journal says so; afterwards it writes itself again', async () => {
    open();
    stall();
    for (let i = 1; i < 50; i++) {
      expect(journal.append(testEvent(i))).toMatchObject({ state: 'waiting', sequence: undefined });
    }
    expect(journal.stats()).toMatchObject({ mode: 'buffered', degraded: false, stalls: 1 });
    expect(journal.stats().waiting.records).toBeGreaterThan(0);
    await journal.sync();
    disk.delayWrites(0);
    expect(journal.append(testEvent(50)).state).toBe('waiting');
    await journal.sync();
    expect(journal.stats().waiting).toMatchObject({ records: 0, bytes: 0 });
    expect(journal.append(testEvent(51))).toMatchObject({ state: 'written' });
    expect(journal.stats().mode).toBe('direct');
    await journal.close('test');
    const { events, degraded } = await held();
    expect(events).toEqual(upTo(52));
    expect(degraded).toEqual([
      { reason: 'slow', durability: 'memory', lost_records: 0 },
      { reason: 'slow', durability: 'process', lost_records: 0 },
    ]);
    expect(appended.map((record) => record.sequence)).toEqual(
      appended.map((record) => record.sequence).toSorted((a, b) => a - b),
    );
    expect(appended.filter((record) => record.eventName.startsWith('risk.'))).toHaveLength(52);
    expect(errors).toEqual([]);
    expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });

  it('a checkpoint covers what is written, and a sync waits for what was appended before it', async () => {
    open();
    stall();
    const durable: number[] = [];
    const covered: [size: number, durable: number][] = [];
    journal.onDurable(({ sequence }) => void durable.push(sequence));
    journal.onCheckpoint(({ size }) => void covered.push([size, durable.at(-1) ?? 0]));
    expect(journal.append(testEvent(1)).state).toBe('waiting');
    await journal.checkpoint();
    const appended = journal.stats().records;
    await journal.commit();
    expect(journal.stats().durableSequence).toBeGreaterThanOrEqual(appended);
    expect(covered.length).toBeGreaterThan(0);
    for (const [size, onDisk] of covered) expect(size).toBeLessThanOrEqual(onDisk);
    await journal.close('test');
    expect((await held()).events).toEqual([0, 1]);
    expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });

  it('records that find the ring full are lost, counted, and told where they are missing', async () => {
    open({ waitBufferBytes: 20_000 });
    stall();
    disk.delayWrites(1000);
    expect(journal.append(testEvent(1)).state).toBe('waiting');
    const begun = disk.writes();
    await expect.poll(() => disk.writes(), PATIENT).toBeGreaterThan(begun);
    const states = upTo(60).map((i) => journal.append(testEvent(i + 2)).state);
    const lost = states.filter((state) => state === 'lost').length;
    expect(lost).toBeGreaterThan(20);
    expect(states).toEqual(states.toSorted().reverse());
    expect(journal.failing).toBe(true);
    await expect(journal.sync()).rejects.toMatchObject({ code: 'AUDIT_NOT_DURABLE' });
    disk.delayWrites(0);
    await expect.poll(() => journal.failing, PATIENT).toBe(false);
    await journal.sync();
    expect(['written', 'waiting']).toContain(journal.append(testEvent(62)).state);
    expect(journal.stats().lostRecords).toBe(lost);
    await journal.close('test');
    const { events, degraded } = await held();
    expect(events).toEqual([...upTo(62 - lost), 62]);
    expect(degraded.reduce((sum, one) => sum + Number(one['lost_records']), 0)).toBe(lost);
    expect(degraded.filter((one) => one['lost_records'] !== 0)).toHaveLength(1);
    expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });

  it('a burst that is quicker than the thread waits for it, and loses nothing', async () => {
    open({ waitBufferBytes: 20_000 });
    stall();
    disk.delayWrites(0);
    for (let i = 1; i < 2000; i++) expect(journal.append(testEvent(i)).state).not.toBe('lost');
    await journal.close('test');
    expect((await held()).events).toEqual(upTo(2000));
    expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });

  it('segments are rotated by the thread as well', async () => {
    open({ segmentMaxBytes: 10_000, calmMs: 1_000_000 });
    stall();
    disk.delayWrites(1);
    for (let i = 1; i < 200; i++) {
      journal.append(testEvent(i));
      if (i % 20 === 0) await journal.sync();
    }
    await journal.sync();
    expect(journal.stats().mode).toBe('buffered');
    expect(segmentPaths(journal).length).toBeGreaterThan(3);
    await journal.close('test');
    const { events, names } = await held();
    expect(events).toEqual(upTo(200));
    expect(names.filter((name) => name === 'audit.segment_sealed').length).toBeGreaterThan(2);
    expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });

  it('an end that cannot wait has the thread finish first', async () => {
    open();
    stall();
    for (let i = 1; i < 50; i++) journal.append(testEvent(i));
    disk.delayWrites(5);
    journal.closeSync('test');
    expect((await held()).events).toEqual(upTo(50));
    expect(journal.stats()).toMatchObject({ lostRecords: 0, waiting: { records: 0 } });
    expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });

  it('an end waits a bounded time only: what the disk did not take is counted as lost, and the next start goes on', async () => {
    open({ closeWaitMs: 30 });
    stall();
    disk.delayWrites(1500);
    for (let i = 1; i < 50; i++) journal.append(testEvent(i));
    // The thread is within its first long write.
    await expect.poll(() => disk.writes(), PATIENT).toBeGreaterThan(2);
    journal.closeSync('test');
    expect(errors).toEqual([expect.stringMatching(/^close/)]);
    expect(journal.stats().lostRecords).toBeGreaterThan(0);
    expect(await verifyDirectory(dir)).toMatchObject({ exitCode: 0 });
  });

  it.each(['ENOSPC', 'EIO', 'EDQUOT'])('a write of the thread that fails (%s) loses nothing', async (code) => {
    open();
    stall();
    disk.fail('writeSync', code, 3, 100);
    for (let i = 1; i < 50; i++) journal.append(testEvent(i));
    await expect.poll(() => errors, PATIENT).toEqual([`append: ${code}`]);
    disk.mend();
    await expect.poll(() => journal.stats().waiting.records, PATIENT).toBe(0);
    await journal.close('test');
    const { events, degraded } = await held();
    expect(events).toEqual(upTo(50));
    expect(degraded).toContainEqual(expect.objectContaining({ reason: code, lost_records: 0 }));
    expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });

  it('a thread that dies loses nothing: the journal writes again itself, and says so', async () => {
    const module = 'data:text/javascript,export function createWriteSync() { throw new Error("no disk here") }';
    open({ fs: { ...disk.fs, thread: { module, data: undefined } } });
    stall();
    disk.delayWrites(0);
    for (let i = 1; i < 50; i++) expect(journal.append(testEvent(i)).state).toBe('waiting');
    await expect(journal.sync()).rejects.toMatchObject({
      code: 'AUDIT_NOT_DURABLE',
      details: { reason: 'WRITER_THREAD' },
    });
    expect(journal.append(testEvent(50)).state).toBe('written');
    expect(errors).toEqual(['append: WRITER_THREAD']);
    // Not started again at once.
    disk.delayWrites(40);
    expect(journal.append(testEvent(51)).state).toBe('written');
    expect(journal.stats()).toMatchObject({ mode: 'direct', stalls: 2 });
    await journal.close('test');
    const { events, degraded } = await held();
    expect(events).toEqual(upTo(52));
    expect(degraded).toContainEqual({ reason: 'WRITER_THREAD', durability: 'process', lost_records: 0 });
    expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });

  it('a sync that fails while the thread writes has the records written to a new file', async () => {
    open();
    stall();
    for (let i = 1; i < 20; i++) journal.append(testEvent(i));
    disk.fail('fdatasync', 'EIO', 1);
    await journal.checkpoint();
    disk.mend();
    for (let i = 20; i < 40; i++) journal.append(testEvent(i));
    await journal.close('test');
    expect((await held()).events).toEqual(upTo(40));
    expect(segmentPaths(journal).length).toBeGreaterThan(1);
    expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });
});
