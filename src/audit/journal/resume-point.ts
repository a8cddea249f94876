/**
 * Where a start may begin to read a stream: a place below which everything is signed, and the tree as it was there. The writer
 * notes one at the beginning of a segment, and every some megabytes within it, so that a start takes the same time however
 * long the stream and however full its segment is. What stands before it is the verifier's matter.
 */
import { closeSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Frontier } from '../proof/tree.ts';
import { readPrunedState } from './pruned-state.ts';
import { readSealedState } from './sealed-state.ts';
import { plainSegmentName, type SegmentFile, STATE_DIRECTORY } from './segment-files.ts';
import type { SealedFile } from './stream-writer.ts';

/** A place between two records. */
export interface ResumePoint {
  /** How many records stand before it. */
  readonly size: number;
  /** The tree over them. */
  readonly frontier: Frontier;
  /** Time of the last of them, decimal nanoseconds. */
  readonly lastTime: string;
  /** The files before the one that it is in. */
  readonly sealed: readonly SealedFile[];
  /** Name of that one while it is plain. */
  readonly file: string;
  /** Bytes of its lines that stand before the place. */
  readonly offset: number;
}

/**
 * Of the files before the place the newest so many are compared with their noted lengths; of all others only the names.
 * So a start takes the same time however long the stream is; what is in the files is the verifier's matter.
 */
const LENGTHS_COMPARED = 16;
const VERSION = 2;
const NEWLINE = 10;

/** Path of the file that {@link formatResumePoint} is for, in a stream's directory. */
export function resumePointPath(directory: string): string {
  return join(directory, STATE_DIRECTORY, 'frontier.json');
}

/** What the next start needs to leave what is before the place unread. */
export function formatResumePoint(stream: string, { frontier, ...place }: ResumePoint): string {
  const hashes = frontier.hashes().map((one) => one.toString('base64'));
  return `${JSON.stringify({ version: VERSION, stream, ...place, hashes })}\n`;
}

interface Stored extends Omit<ResumePoint, 'frontier'> {
  readonly hashes: readonly string[];
}

function readStored(directory: string, stream: string): Stored {
  const stored = JSON.parse(readFileSync(resumePointPath(directory), 'utf8'));
  const good = stored.version === VERSION && stored.stream === stream && typeof stored.lastTime === 'string';
  if (!good) throw new Error('another version, or of another stream');
  return stored;
}

const frontierOf = ({ size, hashes }: Stored): Frontier =>
  Frontier.from(
    size,
    hashes.map((one) => Buffer.from(one, 'base64')),
  );

/** The tree at the noted place; undefined where none is noted. It is to be believed only where the roots above it fit. */
export function storedFrontier(directory: string, stream: string): Frontier | undefined {
  try {
    return frontierOf(readStored(directory, stream));
  } catch {
    return undefined;
  }
}

/**
 * The noted place, where it fits the files that are there; else undefined: everything is to be read. Reads one byte of one
 * segment.
 * @param files those of the stream, in order
 */
export function readResumePoint(
  directory: string,
  stream: string,
  files: readonly SegmentFile[],
): ResumePoint | undefined {
  try {
    const stored = readStored(directory, stream);
    const sealed = presentFiles(directory, stream, stored.sealed, files);
    const file = files[sealed?.length ?? files.length];
    if (sealed === undefined || file === undefined || !fits(directory, file, stored)) return undefined;
    const { size, lastTime, offset } = stored;
    return { size, frontier: frontierOf(stored), lastTime, sealed, file: stored.file, offset };
  } catch {
    return undefined;
  }
}

/** Whether the place can be one of this file's. */
function fits(directory: string, file: SegmentFile, { size, file: name, offset }: Stored): boolean {
  if (offset === 0) return file.firstSequence === size;
  if (plainSegmentName(file.name) !== name || file.firstSequence >= size) return false;
  if (file.sealed) return sealedLength(directory, name) >= offset;
  const fd = openSync(file.path, 'r');
  try {
    const before = Buffer.alloc(1);
    return readSync(fd, before, 0, 1, offset - 1) === 1 && before[0] === NEWLINE;
  } finally {
    closeSync(fd);
  }
}

const sealedLength = (directory: string, name: string): number =>
  readSealedState(directory)?.files.findLast((one) => one.name === name)?.bytes ?? 0;

/**
 * Of the noted files those that are there, first in `files`; undefined where something is missing that was not pruned, or one
 * of the newest isn't as long as it was.
 */
function presentFiles(
  directory: string,
  stream: string,
  noted: readonly SealedFile[],
  files: readonly SegmentFile[],
): SealedFile[] | undefined {
  const present: SealedFile[] = [];
  for (const one of noted) {
    const file = files[present.length];
    if (file === undefined || plainSegmentName(file.name) !== one.name) {
      // Pruning takes the oldest files only.
      if (present.length > 0) return undefined;
      continue;
    }
    present.push(one);
  }
  const compared = Math.max(0, present.length - LENGTHS_COMPARED);
  const seals = compared < present.length ? readSealedState(directory)?.files : undefined;
  const lengths = new Map(seals?.slice(-2 * LENGTHS_COMPARED).map((one) => [one.name, one]));
  for (const [index, one] of present.slice(compared).entries()) {
    const file = files[compared + index]!;
    const seal = file.sealed ? lengths.get(one.name) : undefined;
    if (file.sealed && seal?.bytes !== one.bytes) return undefined;
    if (statSync(file.path).size !== (seal?.sealedBytes ?? one.bytes)) return undefined;
  }
  if (present.length === noted.length) return present;
  const prunedSize = readPrunedState(directory, stream)?.account.size ?? 0;
  return (files[0]?.firstSequence ?? 0) <= prunedSize ? present : undefined;
}
