import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Journal } from '../../src/audit/journal/journal.ts';
import { openTestJournal, recordsByStream, segmentPaths, temporaryDirectory, testEvent } from '../support/journal.ts';
import { verifyDirectory } from '../support/verify.ts';

/** How many of the next syncs of a segment fail, as a disk's would. */
const failing = vi.hoisted(() => ({ next: 0 }));
vi.mock('node:fs', async (original) => {
  const fs = await original<typeof import('node:fs')>();
  const error = () => Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' });
  return {
    ...fs,
    fdatasync(fd: number, callback: (error: Error | null) => void) {
      if (failing.next > 0) {
        failing.next--;
        setImmediate(() => callback(error()));
      } else fs.fdatasync(fd, callback);
    },
    fdatasyncSync(fd: number) {
      if (failing.next > 0) {
        failing.next--;
        throw error();
      }
      fs.fdatasyncSync(fd);
    },
  };
});

let dir: string;
let remove: () => void;
let journal: Journal;
const errors: string[] = [];
beforeEach(() => {
  ({ path: dir, remove } = temporaryDirectory());
  errors.length = 0;
  failing.next = 0;
  journal = openTestJournal(dir, {
    checkpointIntervalMs: 1_000_000,
    onError: (error, what) => void errors.push(`${what}: ${(error as NodeJS.ErrnoException).code}`),
  });
});
afterEach(() => {
  journal.closeSync('test');
  remove();
});

describe('when a sync fails', () => {
  it('the file is never synced again: what it held unsynced goes to a new one, and only then is signed', async () => {
    for (let i = 0; i < 5; i++) journal.append(testEvent(i));
    await journal.sync();
    const [first] = segmentPaths(journal);
    const synced = readFileSync(first!).length;
    for (let i = 5; i < 10; i++) journal.append(testEvent(i));
    failing.next = 1;
    const info = await journal.checkpoint();
    expect(info).toMatchObject({ size: 11 });
    expect(errors).toEqual([expect.stringMatching(/^sync of a segment.*EIO$/)]);
    expect(segmentPaths(journal)).toEqual([first, join(journal.directory, '00000000000000000006.jsonl')]);
    expect(readFileSync(first!).length).toBe(synced);
    journal.append(testEvent(10));
    await journal.close('test');
    const records = (await recordsByStream(dir)).get(journal.stream)!;
    expect(records.filter((record) => record.eventName.startsWith('risk.'))).toHaveLength(11);
    expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });

  it('nothing is signed while it goes on failing, and everything is once it ends', async () => {
    for (let i = 0; i < 5; i++) journal.append(testEvent(i));
    failing.next = Number.POSITIVE_INFINITY;
    expect(await journal.checkpoint()).toBeUndefined();
    await expect(journal.sync()).rejects.toMatchObject({ code: 'AUDIT_NOT_DURABLE', details: { reason: 'EIO' } });
    expect(existsSync(join(journal.directory, 'checkpoint'))).toBe(false);
    expect(errors.at(-1)).toMatch(/EIO$/);
    failing.next = 0;
    expect(await journal.checkpoint()).toMatchObject({ size: 6 });
    await journal.close('test');
    expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });

  it('a close gets its last checkpoint over a new file as well', async () => {
    for (let i = 0; i < 5; i++) journal.append(testEvent(i));
    failing.next = 1;
    journal.closeSync('test');
    expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });

  it('records that are appended meanwhile are kept', async () => {
    for (let i = 0; i < 5; i++) journal.append(testEvent(i));
    failing.next = 1;
    const checkpoint = journal.checkpoint();
    for (let i = 5; i < 10; i++) journal.append(testEvent(i));
    await checkpoint;
    for (let i = 10; i < 15; i++) journal.append(testEvent(i));
    await journal.close('test');
    const records = (await recordsByStream(dir)).get(journal.stream)!;
    expect(records.map((record) => record.sequence)).toEqual(records.map((_, index) => index));
    expect(records.filter((record) => record.eventName.startsWith('risk.'))).toHaveLength(15);
    expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });
});
