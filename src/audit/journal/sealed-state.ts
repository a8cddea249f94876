/**
 * What the sealer notes of the files that it has sealed, so that a start need not open them. In the stream's state folder;
 * made anew where it is missing.
 */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { STATE_DIRECTORY } from './segment-files.ts';

/** A sealed segment. */
export interface SealedSegment {
  /** Its name while it was plain. */
  readonly name: string;
  /** Length of its lines. */
  readonly bytes: number;
  /** Length of the compressed file. */
  readonly sealedBytes: number;
  /** Time of its last record, decimal nanoseconds. */
  readonly lastTime: string;
}

/** Everything that was sealed of a stream, in the order of writing. */
export interface SealedState {
  readonly version: 1;
  /** `<service>/<stream UUID>` */
  readonly stream: string;
  /** Whether the stream was closed in order and all of it is sealed. */
  readonly closed: boolean;
  readonly files: readonly SealedSegment[];
}

/** Path of the file of a stream's state folder. */
export function sealedStatePath(directory: string): string {
  return join(directory, STATE_DIRECTORY, 'sealed.json');
}

/** What was read last: a start asks for the same note several times, and that of a long stream is long. */
let read: { readonly identity: string; readonly state: SealedState | undefined } | undefined;

/** Reads the note; undefined where there is none, or none that can be read. */
export function readSealedState(directory: string): SealedState | undefined {
  try {
    const path = sealedStatePath(directory);
    // It is replaced as a whole, so another note is another file.
    const { dev, ino, mtimeNs, size } = statSync(path, { bigint: true });
    const identity = [path, dev, ino, mtimeNs, size].join(' ');
    if (read?.identity !== identity) read = { identity, state: parseState(readFileSync(path, 'utf8')) };
    return read.state;
  } catch {
    return undefined;
  }
}

function parseState(text: string): SealedState | undefined {
  try {
    const state = JSON.parse(text) as SealedState;
    const good =
      state.version === 1 &&
      typeof state.stream === 'string' &&
      typeof state.closed === 'boolean' &&
      state.files.every(
        (file) =>
          typeof file.name === 'string' &&
          Number.isSafeInteger(file.bytes) &&
          Number.isSafeInteger(file.sealedBytes) &&
          /^[0-9]{1,20}$/.test(file.lastTime),
      );
    return good ? state : undefined;
  } catch {
    return undefined;
  }
}

/** The text of {@link readSealedState}'s file. */
export function formatSealedState(state: SealedState): string {
  return `${JSON.stringify(state)}\n`;
}
