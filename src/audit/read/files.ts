/** The files of a trail: which there are, and their lines, read as a stream in flat memory. */
import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { createReadStream, type Dirent } from 'node:fs';
import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { createZstdDecompress } from 'node:zlib';
import { RiskTrailError } from '../../core/errors.ts';
import { type ZstdFrame, zstdFrames } from './zstd-frames.ts';

/** What was found under the paths that a reader was given. */
export interface TrailFiles {
  /** Files of records, `*.jsonl` and `*.jsonl.zst`, each once, sorted by path: a journal's segments in the order of writing. */
  readonly records: readonly string[];
  /** Files named `checkpoint` in the directories. */
  readonly checkpoints: readonly string[];
  /** Files named `verifier.vkey` in the directories. */
  readonly keys: readonly string[];
  /** Whether a directory was among the paths, so that a missing stream is a finding. */
  readonly directoryGiven: boolean;
}

const RECORDS = /\.jsonl(?:\.zst)?$/;
const NEWLINE = 10;
const READ_BYTES = 1 << 20;
const BROKEN = Buffer.alloc(0);

/** By code units. */
function byName(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Files in the order of writing: segments by their number, then by suffix, the plain one in front of the sealed. */
function inOrder(paths: readonly string[]): string[] {
  return paths
    .map((path) => ({ path, order: orderOf(path) }))
    .sort((a, b) => byName(a.order, b.order))
    .map(({ path }) => path);
}

async function isDirectory(path: string): Promise<boolean | undefined> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return undefined;
  }
}

/** What a directory holds; nothing where it is gone, as a running writer may remove one. */
async function listDirectory(directory: string): Promise<Dirent[]> {
  try {
    return await readdir(directory, { withFileTypes: true });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return [];
    throw new RiskTrailError('FILE_UNREADABLE', { path: directory, reason: message }, error);
  }
}

/**
 * Looks for a trail's files: directories are searched downwards, a file that is named itself is taken whatever its name.
 * @throws RiskTrailError PATH_NOT_FOUND
 */
export async function findTrailFiles(paths: readonly string[]): Promise<TrailFiles> {
  const records = new Set<string>();
  const checkpoints = new Set<string>();
  const keys = new Set<string>();
  let directoryGiven = false;
  const search = async (directory: string): Promise<void> => {
    for (const entry of await listDirectory(directory)) {
      const path = join(directory, entry.name);
      if (entry.isDirectory()) await search(path);
      else if (RECORDS.test(entry.name)) records.add(path);
      else if (entry.name === 'checkpoint') checkpoints.add(path);
      else if (entry.name === 'verifier.vkey') keys.add(path);
    }
  };
  for (const path of paths.map((one) => resolve(one))) {
    const directory = await isDirectory(path);
    if (directory === undefined) throw new RiskTrailError('PATH_NOT_FOUND', { path });
    if (directory) {
      directoryGiven = true;
      await search(path);
    } else {
      records.add(path);
    }
  }
  return {
    records: inOrder([...records]),
    checkpoints: [...checkpoints].sort(byName),
    keys: [...keys].sort(byName),
    directoryGiven,
  };
}

const SEGMENT = /^(\d{20})(?:\.(\d{1,9}))?\.jsonl(\.zst)?$/;

/** What the name of a journal's file says. */
export interface SegmentNumber {
  /** Number of its first record. */
  readonly firstSequence: number;
  /** 0, or the suffix of a file that was begun after a disk error. */
  readonly copy: number;
  readonly sealed: boolean;
}

/** What the name of a file says, where it is a segment of a journal. */
export function segmentOf(path: string): SegmentNumber | undefined {
  const match = SEGMENT.exec(basename(path));
  if (match === null) return undefined;
  return { firstSequence: Number(match[1]), copy: Number(match[2] ?? 0), sealed: match[3] !== undefined };
}

/** Whether a file is a segment of a journal: its name is a sequence number of 20 digits. */
export function isSegment(path: string): boolean {
  return segmentOf(path) !== undefined;
}

/** What puts the files of a journal in the order of writing, and any others in that of their paths. */
function orderOf(path: string): string {
  const match = SEGMENT.exec(basename(path));
  if (match === null) return path;
  return join(dirname(path), `${match[1]}.${(match[2] ?? '0').padStart(9, '0')}.jsonl${match[3] ?? ''}`);
}

/** Where a line is not what it should be. */
export interface TornLine {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** A `tail` is a last line without its newline: being written, or cut off. */
  readonly kind: 'line' | 'tail' | 'frame';
}

/** Takes the lines of a file. */
export interface LineSink {
  /** A line that is not blank, without its newline, numbered from 1; returns whether it is what it should be. */
  line(text: string, number: number): boolean;
  torn(number: number, kind: TornLine['kind']): void;
}

/** Some whole lines of a file; valid until the next block is asked for. */
export interface LineBlock {
  readonly bytes: Buffer;
  /** Number of the first of the lines, from 1. */
  readonly firstLine: number;
  /** True where the file ended without a newline: the last line is cut off there. */
  readonly cut: boolean;
  /** True in an empty block: here a compressed frame could not be read; its lines from this one on are lost. */
  readonly broken: boolean;
}

async function openFile(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new RiskTrailError('FILE_UNREADABLE', { path, reason: (error as Error).message }, error);
  }
}

/** Chunks of a plain file. The buffer is used again for each. */
async function* plainChunks(handle: FileHandle): AsyncGenerator<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  for (;;) {
    const { bytesRead } = await handle.read(buffer, 0, READ_BYTES, null);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}

/** What a frame decompresses to. An empty chunk says that the frame is broken or cut off. */
async function* frameChunks(path: string, frame: ZstdFrame): AsyncGenerator<Buffer> {
  const source = createReadStream(path, { start: frame.start, end: frame.end - 1, highWaterMark: 1 << 17 });
  const target = createZstdDecompress({ chunkSize: 1 << 18 });
  source.on('error', (error) => target.destroy(error));
  source.pipe(target);
  let { whole } = frame;
  try {
    for await (const chunk of target) yield chunk as Buffer;
  } catch {
    whole = false;
  } finally {
    source.destroy();
    target.destroy();
  }
  if (!whole) yield BROKEN;
}

/** Opens a file, or what it was sealed to since the directory was read; undefined where it is gone. */
async function openListed(listed: string): Promise<{ handle: FileHandle; path: string } | undefined> {
  const handle = await openFile(listed);
  if (handle !== undefined) return { handle, path: listed };
  if (listed.endsWith('.zst')) return undefined;
  const path = `${listed}.zst`;
  const sealed = await openFile(path);
  return sealed === undefined ? undefined : { handle: sealed, path };
}

/** Chunks of a compressed file. */
async function* framesOf(handle: FileHandle, path: string): AsyncGenerator<Buffer> {
  for await (const frame of zstdFrames(handle)) yield* frameChunks(path, frame);
}

function countLines(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) count++;
  return count;
}

/**
 * Whether a plain segment and its sealed twin hold the same, as they do while sealing goes on: then one of them need not be read.
 */
export async function isTwin(plain: string, sealed: string): Promise<boolean> {
  const [one, other] = [await digestOf(plain), await digestOf(sealed)];
  return one !== undefined && one === other;
}

/** Hash of what a file holds; undefined where a frame is broken. */
async function digestOf(listed: string): Promise<string | undefined> {
  const digest = createHash('sha256');
  const opened = await openListed(listed);
  if (opened === undefined) return undefined;
  const { handle, path } = opened;
  try {
    for await (const chunk of path.endsWith('.zst') ? framesOf(handle, path) : plainChunks(handle)) {
      if (chunk === BROKEN) return undefined;
      digest.update(chunk);
    }
  } finally {
    await handle.close();
  }
  return digest.digest('base64');
}

/** Blocks of a plain file, all in one buffer: what is left of a line at its end moves to its beginning. */
async function* plainBlocks(handle: FileHandle): AsyncGenerator<LineBlock> {
  let buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  let held = 0;
  let firstLine = 1;
  for (;;) {
    if (held === buffer.length) buffer = Buffer.concat([buffer], 2 * held);
    const { bytesRead } = await handle.read(buffer, held, buffer.length - held, null);
    if (bytesRead === 0) break;
    const filled = held + bytesRead;
    const end = buffer.subarray(held, filled).lastIndexOf(NEWLINE) + 1;
    if (end === 0) {
      held = filled;
      continue;
    }
    const bytes = buffer.subarray(0, held + end);
    const lines = countLines(bytes);
    yield { bytes, firstLine, cut: false, broken: false };
    firstLine += lines;
    buffer.copyWithin(0, bytes.length, filled);
    held = filled - bytes.length;
  }
  if (held > 0) yield { bytes: buffer.subarray(0, held), firstLine, cut: true, broken: false };
}

/**
 * The lines of a file, in blocks of whole lines. A file that is gone has none: retention may have removed it.
 * @throws RiskTrailError FILE_UNREADABLE
 */
export async function* readBlocks(path: string): AsyncGenerator<LineBlock> {
  const opened = await openListed(path);
  if (opened === undefined) return;
  try {
    yield* opened.path.endsWith('.zst') ? sealedBlocks(opened.handle, opened.path) : plainBlocks(opened.handle);
  } finally {
    await opened.handle.close();
  }
}

/** Blocks of a compressed file. */
async function* sealedBlocks(handle: FileHandle, path: string): AsyncGenerator<LineBlock> {
  let firstLine = 1;
  // Chunks since the last newline: a long line is put together once, at its end.
  let rest: Buffer[] = [];
  for await (const chunk of framesOf(handle, path)) {
    if (chunk === BROKEN) {
      // What was begun can't be ended.
      rest = [];
      yield { bytes: BROKEN, firstLine, cut: false, broken: true };
      continue;
    }
    const end = chunk.lastIndexOf(NEWLINE) + 1;
    if (end > 0) {
      const whole = chunk.subarray(0, end);
      const bytes = rest.length === 0 ? whole : Buffer.concat([...rest, whole]);
      rest = [];
      yield { bytes, firstLine, cut: false, broken: false };
      firstLine += countLines(bytes);
    }
    if (end < chunk.length) rest.push(Buffer.from(chunk.subarray(end)));
  }
  if (rest.length > 0) yield { bytes: Buffer.concat(rest), firstLine, cut: true, broken: false };
}

/**
 * Hands the lines of a block to a sink.
 * @returns number of the line behind the block
 */
export function scanBlock(block: LineBlock, sink: LineSink): number {
  if (block.broken) {
    sink.torn(block.firstLine, 'frame');
    return block.firstLine;
  }
  const { bytes } = block;
  const valid = isUtf8(bytes);
  let number = block.firstLine;
  for (let start = 0; start < bytes.length; number++) {
    const newline = bytes.indexOf(NEWLINE, start);
    const end = newline < 0 ? bytes.length : newline;
    if (valid || isUtf8(bytes.subarray(start, end))) {
      const text = bytes.toString('utf8', start, end);
      // A line starts with a brace; only another beginning is worth a closer look.
      const blank = text.charCodeAt(0) !== 123 && text.trim() === '';
      if (!blank && !sink.line(text, number)) sink.torn(number, newline < 0 ? 'tail' : 'line');
    } else {
      sink.torn(number, newline < 0 ? 'tail' : 'line');
    }
    start = end + 1;
  }
  return number;
}
