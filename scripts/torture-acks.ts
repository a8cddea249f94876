/**
 * What a process says it was told. After each `append` that said "written", and each promise of a commit that resolved, it
 * writes how many records there were up to this one, by one `pwrite` of eight bytes: it stands in the file, whenever the process
 * is killed. Records that wait in memory are not acknowledged; but they are written in their order, so the next "written" speaks
 * for them too.
 */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const BYTES = 8;

/** Path of the file of one process. */
export function ackPath(directory: string, life: number): string {
  return join(directory, `${life}.acks`);
}

/** Written by the process that appends. */
export class AckWriter {
  readonly #fd: number;
  readonly #bytes = Buffer.alloc(BYTES);
  #count = 0;

  constructor(path: string) {
    this.#fd = openSync(path, 'w');
  }

  acknowledge(count: number): void {
    if (count <= this.#count) return;
    this.#count = count;
    this.#bytes.writeDoubleLE(count);
    writeSync(this.#fd, this.#bytes, 0, BYTES, 0);
  }

  close(): void {
    // A commit may still be on its way, and the number be another file's by then.
    this.#count = Number.POSITIVE_INFINITY;
    closeSync(this.#fd);
  }
}

/** How many records a process was told to be taken; 0 where it died before its first. */
export function readAcks(path: string): number {
  try {
    const bytes = readFileSync(path);
    return bytes.length === BYTES ? bytes.readDoubleLE() : 0;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
}
