/** Directories for what doesn't fit into memory, and files that are not whole yet: gone at the latest when the process exits. */
import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Those that are there. */
const temporary = new Set<string>();
let isWatching = false;

/** @param path what is removed when the process exits, unless it is let go */
export function removeAtExit(path: string): void {
  temporary.add(path);
  if (isWatching) return;
  isWatching = true;
  process.once('exit', removeAll);
}

/** @param path what is kept when the process exits, or is there no longer */
export function letGo(path: string): void {
  temporary.delete(path);
}

/** @param name what it is for, as a part of its name */
export async function makeTemporaryDirectory(name: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), `risktrail-${name}-`));
  removeAtExit(directory);
  return directory;
}

/** Removes one with all that is in it. */
export async function removeTemporaryDirectory(directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true });
  letGo(directory);
}

/** Ctrl-C ends a command at once: nothing else of it is left then. */
function removeAll(): void {
  for (const path of temporary) {
    try {
      rmSync(path, { recursive: true, force: true });
    } catch {
      // The process is at its end: nobody is left to be told.
    }
  }
}
