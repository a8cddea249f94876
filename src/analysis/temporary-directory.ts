/** Directories for what doesn't fit into memory: gone when they are let go, and at the latest when the process exits. */
import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Those that are there. */
const directories = new Set<string>();
let isWatching = false;

/** @param name what it is for, as a part of its name */
export async function makeTemporaryDirectory(name: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), `risktrail-${name}-`));
  directories.add(directory);
  if (!isWatching) {
    isWatching = true;
    process.once('exit', removeAll);
  }
  return directory;
}

/** Removes one with all that is in it. */
export async function removeTemporaryDirectory(directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true });
  directories.delete(directory);
}

/** Ctrl-C ends a command at once: nothing else of it is left then. */
function removeAll(): void {
  for (const directory of directories) {
    try {
      rmSync(directory, { recursive: true, force: true });
    } catch {
      // The process is at its end: nobody is left to be told.
    }
  }
}
