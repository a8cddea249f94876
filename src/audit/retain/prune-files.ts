/** Steps 4 and 5 of a pruning (`retention.ts` tells of all): the note that files may go, and their going. */
import { readdirSync } from 'node:fs';
import { rm, rmdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { replaceFile, syncDirectory } from '../journal/durable-file.ts';
import { formatPrunedState, type PrunedState, prunedStatePath } from '../journal/pruned-state.ts';
import { CHECKPOINT_FILE, listSegmentFiles, type SegmentFile, STATE_DIRECTORY } from '../journal/segment-files.ts';

/** What was removed. */
export interface RemovedFiles {
  readonly segments: number;
  readonly bytes: number;
  /** Whether the stream's folder is gone. */
  readonly stream: boolean;
}

/** Notes that files may go. The account must be covered by a checkpoint that is on disk. */
export function notePruned(directory: string, state: PrunedState): Promise<void> {
  return replaceFile(prunedStatePath(directory), formatPrunedState(state));
}

/** Removes what the note says, oldest first; again does nothing. The stream's lock must be held by this process. */
export async function removePruned(directory: string, { border }: PrunedState): Promise<RemovedFiles> {
  const files = listSegmentFiles(directory);
  let bytes = 0;
  const names = new Set<string>();
  for (const [index, file] of files.entries()) {
    if (border !== 'all' && endOf(files, index) > border) break;
    bytes += (await stat(file.path)).size;
    await rm(file.path);
    names.add(`${file.firstSequence}.${file.copy}`);
  }
  if (names.size > 0) await syncDirectory(directory);
  const stream = border === 'all' && (await removeStream(directory));
  return { segments: names.size, bytes, stream };
}

/** Where the next segment begins: of the last one nobody knows. */
function endOf(files: readonly SegmentFile[], index: number): number {
  const { firstSequence, copy } = files[index]!;
  const next = files.slice(index + 1).find((one) => one.firstSequence !== firstSequence || one.copy !== copy);
  return next?.firstSequence ?? Number.POSITIVE_INFINITY;
}

/** Records that a receiver refused are kept, and with them the folder. @returns whether it is gone */
async function removeStream(directory: string): Promise<boolean> {
  await rm(join(directory, CHECKPOINT_FILE), { force: true });
  const rest = readdirSync(directory).filter((name) => name !== STATE_DIRECTORY);
  for (const name of rest) {
    // Empty ones only.
    await rmdir(join(directory, name)).catch(() => {});
  }
  if (readdirSync(directory).some((name) => name !== STATE_DIRECTORY)) return false;
  await rm(join(directory, STATE_DIRECTORY), { recursive: true, force: true });
  await rmdir(directory);
  await syncDirectory(dirname(directory));
  return true;
}
