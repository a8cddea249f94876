/**
 * Reads a stream that a dead writer left, to go on with it. Every record is hashed again: where one isn't what it claims, a
 * number is missing or a root differs from a signed one, the stream is left as it is, as evidence, and not continued.
 */
import {
  closeSync,
  fdatasyncSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { Frontier, leafHash } from '../proof/tree.ts';
import { auditForm } from '../record/canonical.ts';
import { plainAttributes, visitRecords } from '../record/otlp.ts';
import { syncDirectorySync } from './durable-file.ts';
import {
  accountHashes,
  noteStatement,
  PRUNED_EVENT,
  type PruneAccount,
  readPruneAccount,
  readPrunedState,
} from './pruned-state.ts';
import { type ResumePoint, readResumePoint } from './resume-point.ts';
import { isBrokenContent, readSegment } from './segment-content.ts';
import { CHECKPOINT_FILE, plainSegmentName, type SegmentFile, STATE_DIRECTORY } from './segment-files.ts';
import type { SealedFile, StreamPosition } from './stream-writer.ts';
import { CHECKPOINT_EVENT, CLOSED_EVENT } from './system-events.ts';

/** What was found. */
export type Recovered =
  | { readonly kind: 'empty' }
  | { readonly kind: 'damaged'; readonly reason: string }
  | {
      readonly kind: 'sound';
      readonly position: StreamPosition;
      /** Bytes of a torn last line that were cut off. */
      readonly cutBytes: number;
      /** Whether the stream was closed, its last checkpoint perhaps missing. */
      readonly closed: boolean;
    };

const CHUNK_BYTES = 1_048_576;
const NEWLINE = 10;
const EMPTY = Buffer.alloc(0);
/** Leaves below a checkpoint that are kept in memory. */
const MAX_SIGNED_LEAVES = 50_000;

/** Raised inside this file. */
class Damage extends Error {}

/**
 * Reads the stream in `directory`, cuts a torn last line and puts everything that stands on disk. Its lock must be held.
 * @param stream `<service>/<stream UUID>` that every record must name
 * @param files its segments, in order
 * @throws the system's error where files can't be read or written
 */
export function recoverStream(directory: string, stream: string, files: readonly SegmentFile[]): Recovered {
  if (files.length === 0) return { kind: 'empty' };
  removeTemporary(directory);
  removeTemporary(join(directory, STATE_DIRECTORY));
  const start = readResumePoint(directory, stream, files);
  if (start !== undefined) {
    const found = readFrom(start, directory, stream, files.slice(start.sealed.length));
    // Perhaps it is the noted place that isn't what it was: then all of it is read.
    if (found.kind !== 'damaged') return found;
  }
  return readFrom(pruneStart(directory, stream, files), directory, stream, files);
}

function readFrom(
  start: ResumePoint | undefined,
  directory: string,
  stream: string,
  files: readonly SegmentFile[],
): Recovered {
  try {
    return new Scan(directory, stream, start).run(files, start?.offset ?? 0);
  } catch (error) {
    if (error instanceof Damage) return { kind: 'damaged', reason: error.message };
    throw error;
  }
}

/** Files that the dead writer was about to rename. */
function removeTemporary(directory: string): void {
  for (const name of readdirSync(directory)) {
    if (name.endsWith('.tmp')) rmSync(join(directory, name), { force: true });
  }
}

/** The text of the `checkpoint` file, or undefined. */
export function readCheckpointFile(directory: string): string | undefined {
  try {
    return readFileSync(join(directory, CHECKPOINT_FILE), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

class Scan {
  readonly #directory: string;
  readonly #stream: string;
  readonly #frontier: Frontier;
  /** Leaves from number #first on: to check roots behind the end, and to know a record that stands twice. */
  #leaves: Buffer[] = [];
  #first: number;
  /** The tree as of the newest checkpoint that was checked. */
  readonly #checked: Frontier;
  readonly #sealed: SealedFile[];
  #lastTime: string;
  #checkpointSize = 0;
  #closedAt = -1;

  constructor(directory: string, stream: string, start: ResumePoint | undefined) {
    this.#directory = directory;
    this.#stream = stream;
    this.#frontier = start?.frontier ?? new Frontier();
    this.#first = this.#frontier.size;
    this.#checked = this.#frontier.clone();
    this.#lastTime = start?.lastTime ?? '0';
    this.#sealed = [...(start?.sealed ?? [])];
  }

  /** @param offset where in the first file to begin */
  run(files: readonly SegmentFile[], offset: number): Recovered {
    let cutBytes = 0;
    let end = 0;
    for (const [index, file] of files.entries()) {
      const last = index === files.length - 1;
      ({ cutBytes, end } = this.#readFile(file, last, index === 0 ? offset : 0));
      if (!last || file.sealed) this.#sealed.push({ name: plainSegmentName(file.name), bytes: end });
    }
    this.#checkNote(readCheckpointFile(this.#directory));
    if (this.#frontier.size > this.#checkpointSize) for (const file of files) if (!file.sealed) syncFile(file.path);
    syncDirectorySync(this.#directory);
    const file = files.at(-1)!;
    const position: StreamPosition = {
      sequence: this.#frontier.size,
      frontier: this.#frontier,
      lastTime: this.#lastTime,
      checkpointSize: this.#checkpointSize,
      // A sealed file is never written again: then a new one is begun.
      ...(file.sealed ? {} : { segment: { file, bytes: end } }),
      sealed: this.#sealed,
    };
    return { kind: 'sound', position, cutBytes, closed: this.#closedAt >= 0 };
  }

  /** @returns the file's length and how much of it was cut */
  #readFile(file: SegmentFile, last: boolean, from: number): { end: number; cutBytes: number } {
    const rest = forEachLine(file, from, (line) => {
      if (line.length > 0 && !this.#readLine(line)) {
        throw new Damage(`${file.name} holds a line that is no record, after number ${this.#frontier.size - 1}`);
      }
    });
    if (rest.tail.length === 0) return { end: rest.bytes, cutBytes: 0 };
    if (!last || file.sealed) throw new Damage(`${file.name} ends within a line and is not the newest segment`);
    // Only the newline may be missing: then the record stands.
    if (this.#readLine(rest.tail.toString('utf8'))) {
      appendNewline(file.path);
      return { end: rest.bytes + 1, cutBytes: 0 };
    }
    const end = rest.bytes - rest.tail.length;
    truncateSync(file.path, end);
    return { end, cutBytes: rest.tail.length };
  }

  /** @returns whether the line is a record of this writer's */
  #readLine(line: string): boolean {
    let count = 0;
    const good = visitRecords(line, (record) => {
      count++;
      const form = auditForm(record);
      if (form?.text === undefined || form.sequence === undefined || form.stream !== this.#stream) {
        throw new Damage(`after number ${this.#frontier.size - 1} stands what is no record of this stream`);
      }
      const leaf = leafHash(form.text);
      if (leaf.toString('base64') !== form.claim) throw new Damage(`record ${form.sequence} was changed`);
      if (form.sequence < this.#frontier.size) return this.#checkRepeated(form.sequence, leaf);
      if (form.sequence > this.#frontier.size) throw new Damage(`record ${this.#frontier.size} is missing`);
      this.#frontier.append(leaf);
      this.#leaves.push(leaf);
      this.#lastTime = String(record.timeUnixNano);
      if (record.eventName === CLOSED_EVENT) this.#closedAt = form.sequence;
      if (record.eventName === CHECKPOINT_EVENT) {
        const note = plainAttributes(record.attributes)['audit.checkpoint'];
        this.#checkNote(typeof note === 'string' ? note : undefined);
      }
    });
    return good && count > 0;
  }

  /** After a disk error records stand twice, in two files. */
  #checkRepeated(sequence: number, leaf: Buffer): void {
    const known = this.#leaves[sequence - this.#first];
    if (known !== undefined && !known.equals(leaf)) throw new Damage(`record ${sequence} stands twice and differs`);
  }

  /** The root that a note of this stream states must be that of the leaves. */
  #checkNote(note: string | undefined): void {
    if (note === undefined) return;
    const checkpoint = noteStatement(note);
    if (checkpoint === undefined || checkpoint.origin !== this.#stream) {
      throw new Damage('a checkpoint is not one of this stream');
    }
    const { size, root } = checkpoint;
    if (size > this.#frontier.size) throw new Damage(`records below a signed size of ${size} are missing`);
    this.#checkpointSize = Math.max(this.#checkpointSize, size);
    if (size < this.#checked.size) return;
    while (this.#checked.size < size) this.#checked.append(this.#leaves[this.#checked.size - this.#first]!);
    if (!this.#checked.root().equals(root))
      throw new Damage(`the records below ${size} are not those that were signed`);
    if (this.#checked.size - this.#first > MAX_SIGNED_LEAVES) {
      this.#leaves = this.#leaves.slice(this.#checked.size - this.#first);
      this.#first = this.#checked.size;
    }
  }
}

/**
 * Reads whole lines.
 * @param offset where a line begins
 * @returns the length of the whole text and what stands behind the last newline
 */
function forEachLine(
  file: SegmentFile,
  offset: number,
  visit: (line: string) => void,
): { bytes: number; tail: Buffer } {
  let rest: Buffer = EMPTY;
  let bytes = offset;
  for (const chunk of chunksOf(file, offset)) {
    bytes += chunk.length;
    const data = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let from = 0;
    for (let at = data.indexOf(NEWLINE); at >= 0; at = data.indexOf(NEWLINE, from)) {
      visit(data.toString('utf8', from, at));
      from = at + 1;
    }
    rest = Buffer.from(data.subarray(from));
  }
  return { bytes, tail: rest };
}

/** The text of a segment from `offset` on; the buffer is used again for the next chunk. */
function* chunksOf(file: SegmentFile, offset: number): Generator<Buffer> {
  if (file.sealed) {
    yield contentOf(file).subarray(offset);
    return;
  }
  const fd = openSync(file.path, 'r');
  try {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    for (let at = offset; ; ) {
      const read = readSync(fd, chunk, 0, CHUNK_BYTES, at);
      if (read === 0) return;
      at += read;
      yield chunk.subarray(0, read);
    }
  } finally {
    closeSync(fd);
  }
}

function contentOf(file: SegmentFile): Buffer {
  try {
    return readSegment(file);
  } catch (error) {
    if (isBrokenContent(error)) throw new Damage(`${file.name} can't be decompressed`);
    throw error;
  }
}

function appendNewline(path: string): void {
  const fd = openSync(path, 'a');
  try {
    writeSync(fd, '\n');
  } finally {
    closeSync(fd);
  }
}

function syncFile(path: string): void {
  const fd = openSync(path, 'r+');
  try {
    fdatasyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Where the tree begins of a stream whose first records were pruned. */
function pruneStart(directory: string, stream: string, files: readonly SegmentFile[]): ResumePoint | undefined {
  const first = files[0]!.firstSequence;
  if (first === 0) return undefined;
  let account = readPrunedState(directory, stream)?.account;
  if (account === undefined || account.size < first) account = findPruneAccount(stream, files);
  if (account === undefined || account.size < first) return undefined;
  const { size } = account;
  return {
    size,
    frontier: Frontier.from(size, accountHashes(account)),
    lastTime: '0',
    sealed: [],
    file: '',
    offset: 0,
  };
}

/** The newest account of the pruning of `stream` in `files`, which are those of one stream, in order. */
export function findPruneAccount(stream: string, files: readonly SegmentFile[]): PruneAccount | undefined {
  for (const file of files.toReversed()) {
    let found: PruneAccount | undefined;
    forEachLine(file, 0, (line) => {
      if (!line.includes(PRUNED_EVENT)) return;
      visitRecords(line, (record) => {
        if (record.eventName !== PRUNED_EVENT) return;
        const account = readPruneAccount(plainAttributes(record.attributes));
        if (account?.stream === stream) found = account;
      });
    });
    if (found !== undefined) return found;
  }
  return undefined;
}
