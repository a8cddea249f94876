/** The disk of `durability.bench.ts`: one write of many takes its time, in whichever thread it is made. */
import { writeSync } from 'node:fs';

export const STALL_MS = 150;
export const STALL_EVERY = 2000;

/** @param data a shared count of writes */
export function createWriteSync(data: unknown): typeof writeSync {
  const count = data as Int32Array;
  const sleeper = new Int32Array(new SharedArrayBuffer(4));
  return ((fd: number, buffer: Buffer, offset: number, length: number) => {
    if (Atomics.add(count, 0, 1) % STALL_EVERY === STALL_EVERY - 1) Atomics.wait(sleeper, 0, 0, STALL_MS);
    return writeSync(fd, buffer, offset, length);
  }) as typeof writeSync;
}
