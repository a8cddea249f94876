/**
 * A disk for tests: each call of the file system can be made to fail or to take its time, in the journal's own thread and in
 * its writer thread alike.
 */
import * as nodeFs from 'node:fs';
import { constants } from 'node:os';
import type { JournalFs } from '../../src/audit/journal/journal-fs.ts';

const DELAY_MS = 0;
const ERRNO = 1;
const FAILURES = 2;
const WRITES = 3;
/** So many bytes of the next failing write are written before it fails. */
const PARTIAL = 4;
const sleeper = new Int32Array(new SharedArrayBuffer(4));

function systemError(errno: number, call: string): Error {
  const code = Object.entries(constants.errno).find(([, number]) => number === errno)?.[0] ?? 'UNKNOWN';
  return Object.assign(new Error(`${code}: injected, ${call}`), { code, errno: -errno, syscall: call });
}

function disturbedWriteSync(words: Int32Array): typeof nodeFs.writeSync {
  return ((fd: number, buffer: Buffer, offset: number, length: number) => {
    Atomics.add(words, WRITES, 1);
    const delay = Atomics.load(words, DELAY_MS);
    if (delay > 0) Atomics.wait(sleeper, 0, 0, delay);
    const errno = Atomics.load(words, ERRNO);
    if (errno === 0 || Atomics.load(words, FAILURES) <= 0) return nodeFs.writeSync(fd, buffer, offset, length);
    const partial = Math.min(length - 1, Atomics.load(words, PARTIAL));
    if (partial > 0) {
      // As the system does: a short write first, the error with the rest.
      Atomics.store(words, PARTIAL, 0);
      return nodeFs.writeSync(fd, buffer, offset, partial);
    }
    Atomics.sub(words, FAILURES, 1);
    throw systemError(errno, 'write');
  }) as typeof nodeFs.writeSync;
}

/** For the writer thread. */
export function createWriteSync(data: unknown): typeof nodeFs.writeSync {
  return disturbedWriteSync(data as Int32Array);
}

/** Names of the calls that {@link TestDisk.fail} knows. */
export type DiskCall = Exclude<keyof JournalFs, 'promises' | 'thread'> | `promises.${keyof JournalFs['promises']}`;

export interface TestDisk {
  readonly fs: JournalFs;
  /** Each write takes so long from now on. */
  delayWrites(ms: number): void;
  /** The next `times` calls fail. Writes may write a part before. */
  fail(call: DiskCall, code: string, times?: number, partial?: number): void;
  /** Nothing fails any more. */
  mend(): void;
  /** Writes so far, of both threads. */
  writes(): number;
}

export function createTestDisk(): TestDisk {
  const words = new Int32Array(new SharedArrayBuffer(5 * 4));
  const failing = new Map<DiskCall, { errno: number; left: number }>();
  const errnoOf = (code: string) => (constants.errno as Record<string, number>)[code]!;
  const failure = (call: DiskCall): Error | undefined => {
    const fault = failing.get(call);
    if (fault === undefined || fault.left <= 0) return undefined;
    fault.left--;
    return systemError(fault.errno, call);
  };
  const disturbed: Record<string, unknown> = {};
  for (const [name, original] of Object.entries(nodeFs)) {
    if (typeof original !== 'function') continue;
    disturbed[name] = (...args: unknown[]) => {
      const error = failure(name as DiskCall);
      const callback = args.at(-1);
      if (error === undefined) return (original as (...args: unknown[]) => unknown)(...args);
      if (typeof callback !== 'function') throw error;
      setImmediate(() => callback(error));
      return undefined;
    };
  }
  const promises: Record<string, unknown> = {};
  for (const name of ['open', 'rename', 'rm', 'statfs'] as const) {
    promises[name] = async (...args: unknown[]) => {
      const error = failure(`promises.${name}`);
      if (error !== undefined) throw error;
      return (nodeFs.promises[name] as (...args: unknown[]) => unknown)(...args);
    };
  }
  const fs = {
    ...disturbed,
    promises,
    writeSync: disturbedWriteSync(words),
    thread: { module: import.meta.url, data: words },
  } as unknown as JournalFs;
  return {
    fs,
    delayWrites: (ms) => void Atomics.store(words, DELAY_MS, ms),
    fail(call, code, times = Number.POSITIVE_INFINITY, partial = 0) {
      if (call === 'writeSync') {
        Atomics.store(words, ERRNO, errnoOf(code));
        Atomics.store(words, PARTIAL, partial);
        Atomics.store(words, FAILURES, Math.min(times, 2 ** 30));
      } else failing.set(call, { errno: errnoOf(code), left: times });
    },
    mend() {
      failing.clear();
      Atomics.store(words, FAILURES, 0);
      Atomics.store(words, ERRNO, 0);
      Atomics.store(words, DELAY_MS, 0);
    },
    writes: () => Atomics.load(words, WRITES),
  };
}
