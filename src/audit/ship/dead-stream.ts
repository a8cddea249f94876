/** Streams whose writer is gone: what of them is on disk, and whether they ended in order. */
import { closeSync, fdatasyncSync, openSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { makeDirectorySync, syncDirectorySync } from '../journal/durable-file.ts';
import { type Lock, tryLock } from '../journal/lock.ts';
import { listSegments, STATE_DIRECTORY } from '../journal/segment-files.ts';
import { inspectStream, lockPath } from '../journal/streams.ts';
import { type ReadLimit, StreamReader } from './stream-reader.ts';

/** One shipper per stream, whoever writes to it. In the state folder. */
const SHIP_LOCK_FILE = 'ship.lock';
const ALL_AT_ONCE = 100_000;
const ALL_BYTES = 1 << 24;

/** Takes the right to ship a stream; undefined where another shipper has it. @throws the system's error */
export function lockForShipping(directory: string): Lock | undefined {
  makeDirectorySync(join(directory, STATE_DIRECTORY));
  return tryLock(join(directory, STATE_DIRECTORY, SHIP_LOCK_FILE));
}

/**
 * Puts a dead writer's files on disk, and says how far they go. The writer's lock is held meanwhile, so that none comes to
 * life in between; one that goes on with the stream later only adds to what was found.
 * @returns undefined where the writer lives, `empty` where there is no file
 * @throws the system's error
 */
export function settleStream(directory: string): ReadLimit | 'empty' | undefined {
  // A copy of the records alone has no such folder.
  makeDirectorySync(join(directory, STATE_DIRECTORY));
  const lock = tryLock(lockPath(directory));
  if (lock === undefined) return undefined;
  try {
    const files = listSegments(directory);
    const last = files.at(-1);
    if (last === undefined) return 'empty';
    for (const file of files) if (!file.sealed) syncFile(file.path);
    syncDirectorySync(directory);
    return { firstSequence: last.firstSequence, copy: last.copy, bytes: statSync(last.path).size, ended: true };
  } finally {
    lock.release();
  }
}

function syncFile(path: string): void {
  const fd = openSync(path, 'r+');
  try {
    fdatasyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** What changes when a stream's files do. Empty where there is none. */
export function signatureOf(directory: string): string {
  const last = listSegments(directory).at(-1);
  return last === undefined ? '' : `${last.name} ${statSync(last.path, { throwIfNoEntry: false })?.size ?? 0}`;
}

/** The number behind the last record. Reads the last segment. @throws the system's error */
export async function endOf(directory: string, limit: ReadLimit): Promise<number> {
  const last = listSegments(directory).findLast((file) => file.firstSequence <= limit.firstSequence);
  if (last === undefined) return 0;
  const reader = new StreamReader(directory, last.firstSequence, () => {});
  try {
    while ((await reader.read(limit, ALL_AT_ONCE, ALL_BYTES)).length > 0) reader.release(reader.next);
    return reader.next;
  } finally {
    await reader.close();
  }
}

/** Whether the stream ended in order: then nothing is ever added to it. @param stream `<service>/<stream UUID>` */
export function isClosed(directory: string, stream: string): boolean {
  const id = basename(directory);
  if (!stream.endsWith(`/${id}`)) return false;
  return inspectStream(dirname(dirname(directory)), stream.slice(0, -id.length - 1), id)?.status === 'closed';
}
