import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DurablePosition, Journal, JournalOptions } from '../../src/audit/journal/journal.ts';
import { openTestJournal, recordsByStream, segmentPaths, temporaryDirectory, testEvent } from '../support/journal.ts';
import { createTestDisk, type TestDisk } from '../support/journal-disk.ts';
import { verifyDirectory } from '../support/verify.ts';

/** The machine may be busy elsewhere. */
const PATIENT = { timeout: 20_000 };

let dir: string;
let remove: () => void;
let disk: TestDisk;
let journal: Journal;
let syncs: number;
beforeEach(() => {
  ({ path: dir, remove } = temporaryDirectory());
  disk = createTestDisk();
  syncs = 0;
});
afterEach(() => {
  disk.mend();
  journal.closeSync('test');
  remove();
});

function open(options: Partial<JournalOptions> = {}): void {
  const { fs } = disk;
  journal = openTestJournal(dir, {
    fs: {
      ...fs,
      fdatasync: ((fd: number, callback: (error: Error | null) => void) => {
        syncs++;
        fs.fdatasync(fd, callback);
      }) as typeof fs.fdatasync,
    },
    checkpointIntervalMs: 1_000_000,
    onError: () => {},
    ...options,
  });
}

const upTo = (end: number) => Array.from({ length: end }, (_, index) => index);

/** The `index` of each event in the files. */
async function events(): Promise<number[]> {
  const records = (await recordsByStream(dir)).get(journal.stream) ?? [];
  return records.filter((one) => one.eventName.startsWith('risk.')).map((one) => Number(one.attributes['index']));
}

/** How many records are in the newest file at this moment. */
const lines = () => readFileSync(segmentPaths(journal).at(-1)!, 'utf8').split('\n').length - 1;

describe('commit', () => {
  it('has callers that come together share one sync, and covers what each appended before it', async () => {
    open();
    const covered = await Promise.all(
      Array.from({ length: 64 }, async (_, i) => {
        const { sequence } = journal.append(testEvent(i));
        await journal.commit();
        return journal.stats().durableSequence! > sequence!;
      }),
    );
    expect(covered).toEqual(Array(64).fill(true));
    expect(syncs).toBeLessThanOrEqual(2);
  });

  it('rejects where the records cannot be put on disk, and where some were lost', async () => {
    open({ waitBufferBytes: 1000, retryMs: 1_000_000 });
    disk.fail('writeSync', 'ENOSPC');
    journal.append(testEvent(0));
    await expect(journal.commit()).rejects.toMatchObject({ code: 'AUDIT_NOT_DURABLE', details: { reason: 'ENOSPC' } });
    expect(journal.append(testEvent(1)).state).toBe('lost');
    await expect(journal.commit()).rejects.toMatchObject({ code: 'AUDIT_NOT_DURABLE' });
  });
});

describe('a record that is relied on once it is committed', () => {
  it('brings a promise of its being on disk; others bring none', async () => {
    open();
    const { committed, state, sequence } = journal.append(testEvent(0), 'commit');
    expect({ state, sequence }).toEqual({ state: 'waiting', sequence: undefined });
    await committed;
    expect(journal.stats()).toMatchObject({ records: 2, durableSequence: 2, waiting: { records: 0, bytes: 0 } });
    expect(journal.append(testEvent(1)).committed).toBeUndefined();
  });

  it('is written in one go with those that come together, as soon as their turn of the event loop is over', async () => {
    open();
    const before = disk.writes();
    const appended = upTo(64).map((i) => journal.append(testEvent(i), 'commit'));
    expect(disk.writes()).toBe(before);
    expect(journal.stats().waiting.records).toBe(64);
    await Promise.all(appended.map(({ committed }) => committed));
    expect(disk.writes()).toBe(before + 1);
    expect(syncs).toBe(1);
    expect(await events()).toEqual(upTo(64));
  });

  it.each<[string, () => unknown]>([
    ['another record', () => journal.append(testEvent(2))],
    ['a checkpoint', () => void journal.checkpoint()],
    ['a sync', () => void journal.sync()],
    ['an end that waits for nothing', () => journal.closeSync('test')],
  ])('is written before %s', async (_, next) => {
    open();
    const committed = [0, 1].map((i) => journal.append(testEvent(i), 'commit').committed);
    expect(lines()).toBe(1);
    next();
    expect(lines()).toBeGreaterThanOrEqual(3);
    await Promise.all(committed);
    expect((await events()).slice(0, 2)).toEqual([0, 1]);
    await journal.close('test');
    expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });

  it('is written where nobody waits for it', async () => {
    open();
    journal.append(testEvent(0), 'commit');
    await expect.poll(() => journal.stats().durableSequence, PATIENT).toBe(2);
  });

  it('more of them than are gathered, and one that is longer than all that may be', async () => {
    open();
    const before = disk.writes();
    const long = testEvent(200, { body: 'x'.repeat(300_000) });
    const appended = [...upTo(200).map((i) => testEvent(i)), long, testEvent(201)].map((one) =>
      journal.append(one, 'commit'),
    );
    expect(appended.at(-2)!.state).toBe('written');
    await Promise.all(appended.map(({ committed }) => committed));
    expect(disk.writes() - before).toBeLessThan(8);
    expect(await events()).toEqual(upTo(202));
  });

  it('where nothing may wait in memory they are written one by one', async () => {
    open({ waitBufferBytes: 10 });
    expect(journal.append(testEvent(0), 'commit').state).toBe('written');
  });

  it('goes into the next segment where it is the first one behind a full one', async () => {
    open({ segmentMaxBytes: 3000 });
    for (let turn = 0; turn < 10; turn++) {
      const ahead = [0, 1, 2].map((i) => journal.append(testEvent(turn * 4 + i), 'commit').committed);
      if (turn % 2 === 0) await Promise.all(ahead);
      journal.append(testEvent(turn * 4 + 3));
    }
    await journal.close('test');
    expect(segmentPaths(journal).length).toBeGreaterThan(5);
    expect(await events()).toEqual(upTo(40));
    expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });

  it.each(['ENOSPC', 'EIO', 'EROFS'])(
    'a write that fails in the middle of them (%s): the promises say so, and nothing is lost',
    async (code) => {
      open({ retryMs: 1_000_000 });
      const ahead = upTo(10).map((i) => journal.append(testEvent(i), 'commit').committed);
      disk.fail('writeSync', code, Number.POSITIVE_INFINITY, 2500);
      for (const one of ahead)
        await expect(one).rejects.toMatchObject({ code: 'AUDIT_NOT_DURABLE', details: { reason: code } });
      expect(journal.stats()).toMatchObject({ mode: 'failing', lostRecords: 0, waiting: { records: 10 } });
      expect(await events()).toEqual([]);
      disk.mend();
      expect(await journal.checkpoint()).toBeDefined();
      await journal.append(testEvent(10), 'commit').committed;
      await journal.close('test');
      expect(await events()).toEqual(upTo(11));
      expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
    },
  );

  it('a write of them that stalls: the next ones are the writer thread’s', async () => {
    open({ stallBudgetMs: 20 });
    disk.delayWrites(40);
    await journal.append(testEvent(0), 'commit').committed;
    expect(journal.stats()).toMatchObject({ mode: 'buffered', stalls: 1 });
    await journal.append(testEvent(1), 'commit').committed;
    expect(journal.stats().durableSequence).toBeGreaterThanOrEqual(3);
    disk.delayWrites(0);
    await journal.close('test');
    expect(await events()).toEqual([0, 1]);
  });

  it('an appended record that tells of itself tells each with its number', async () => {
    const told: number[] = [];
    open({
      onAppended({ sequence, eventName }) {
        told.push(sequence);
        if (eventName === 'order.intent') journal.append(testEvent(told.length));
      },
    });
    for (const i of [0, 1]) journal.append(testEvent(i, { eventName: 'order.intent' }), 'commit');
    await journal.commit();
    await journal.close('test');
    expect(told.toSorted((a, b) => a - b)).toEqual(upTo(told.length).map((i) => i + told[0]!));
    const records = (await recordsByStream(dir)).get(journal.stream)!;
    expect(records.map((record) => record.sequence)).toEqual(records.map((_, index) => index));
    expect(records.filter((record) => record.eventName.startsWith('risk.'))).toHaveLength(2);
  });

  it('brings its promise also from within another append, and one that rejects after the end', async () => {
    open();
    let inner: Promise<void> | undefined;
    const outer = testEvent(0, {
      attributes: {
        get index() {
          inner ??= journal.append(testEvent(1), 'commit').committed;
          return 0;
        },
      },
    });
    journal.append(outer);
    expect(inner).toBeInstanceOf(Promise);
    await inner;
    expect(journal.stats()).toMatchObject({ records: 3, durableSequence: 3 });
    await journal.close('test');
    const { state, committed } = journal.append(testEvent(2), 'commit');
    expect(state).toBe('lost');
    await expect(committed).rejects.toMatchObject({ code: 'AUDIT_NOT_DURABLE' });
  });

  it('its promise rejects where it could not be taken, which harms nobody who does not wait', async () => {
    open({ waitBufferBytes: 10 });
    disk.fail('writeSync', 'EIO');
    const { committed, state } = journal.append(testEvent(0), 'commit');
    journal.append(testEvent(0), 'commit');
    expect(state).toBe('lost');
    await expect(committed).rejects.toMatchObject({ code: 'AUDIT_NOT_DURABLE' });
  });
});

describe('what is on disk', () => {
  it('is told after each sync, and at once to who comes later', async () => {
    open();
    const positions: DurablePosition[] = [];
    const subscription = journal.onDurable((position) => void positions.push(position));
    journal.append(testEvent(0));
    await journal.sync();
    const [path] = segmentPaths(journal);
    expect(positions).toEqual([
      {
        directory: journal.directory,
        stream: journal.stream,
        file: path!.split('/').at(-1),
        bytes: journal.stats().bytes,
        sequence: 2,
      },
    ]);
    const late: DurablePosition[] = [];
    journal.onDurable((position) => void late.push(position));
    expect(late).toEqual(positions);
    subscription.dispose();
    journal.append(testEvent(1));
    await journal.sync();
    expect([positions.length, late.length]).toEqual([1, 2]);
  });

  it('never runs ahead of a sync that failed', async () => {
    open();
    journal.append(testEvent(0));
    disk.fail('fdatasync', 'EIO');
    await expect(journal.sync()).rejects.toMatchObject({ code: 'AUDIT_NOT_DURABLE' });
    expect(journal.stats().durableSequence).toBeUndefined();
    disk.mend();
    await journal.sync();
    expect(journal.stats().durableSequence).toBe(2);
  });

  it('a listener of checkpoints hears of each, and one that throws harms nobody', async () => {
    const errors: string[] = [];
    open({ onError: (_, what) => void errors.push(what) });
    const sizes: number[] = [];
    journal.onCheckpoint(() => {
      throw new Error('listener');
    });
    journal.onCheckpoint(({ size }) => void sizes.push(size));
    journal.append(testEvent(0));
    await journal.checkpoint();
    journal.append(testEvent(1));
    await journal.close('test');
    expect(sizes).toEqual([2, 5]);
    expect(errors).toEqual(['listener', 'listener']);
  });
});
