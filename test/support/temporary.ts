/**
 * Directories for one test file, removed behind its last test: which of several concurrent tests is the current one nobody can
 * tell, so none of them may remove another's.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const made: string[] = [];

/** A new directory. */
export function temporaryDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), 'risktrail-test-'));
  made.push(path);
  return path;
}

/** Removes them all. */
export function removeTemporaryDirectories(): void {
  for (const path of made.splice(0)) rmSync(path, { recursive: true, force: true });
}
