/** What a reconciliation found a copy to hold of a stream. Written by the reconciling command, read by retention. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { STATE_DIRECTORY } from '../journal/segment-files.ts';

/** Path of the file in a stream's state folder. */
export function reconciledPositionPath(directory: string): string {
  return join(directory, STATE_DIRECTORY, 'reconciled.json');
}

/**
 * Every record of `stream` with a number below the result was found in a copy elsewhere. 0 where nothing was reconciled yet,
 * or the file can't be read.
 * @param directory the stream's folder
 */
export function reconciledThrough(directory: string, stream: string): number {
  try {
    const state = JSON.parse(readFileSync(reconciledPositionPath(directory), 'utf8'));
    const good = state.version === 1 && state.stream === stream && Number.isSafeInteger(state.sequence);
    return good ? Math.max(0, state.sequence) : 0;
  } catch {
    return 0;
  }
}
