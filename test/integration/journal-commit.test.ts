import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DurablePosition, Journal, JournalOptions } from '../../src/audit/journal/journal.ts';
import { openTestJournal, segmentPaths, temporaryDirectory, testEvent } from '../support/journal.ts';
import { createTestDisk, type TestDisk } from '../support/journal-disk.ts';

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

describe('an event that is to be on disk', () => {
  it('brings a promise of it; others bring none', async () => {
    open({ diskEvents: ['order.intent'] });
    const { committed, sequence } = journal.append(testEvent(0, { eventName: 'order.intent' }));
    await committed;
    expect(journal.stats().durableSequence).toBeGreaterThan(sequence!);
    expect(journal.append(testEvent(1)).committed).toBeUndefined();
  });

  it('rejects it where it could not be taken, which harms nobody who does not wait', async () => {
    open({ diskEvents: ['order.intent'], waitBufferBytes: 10 });
    disk.fail('writeSync', 'EIO');
    const { committed, state } = journal.append(testEvent(0, { eventName: 'order.intent' }));
    journal.append(testEvent(0, { eventName: 'order.intent' }));
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
