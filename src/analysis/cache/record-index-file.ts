/** The bytes of a trail's file by their places: all of them for its index, and single lines. */
import { type FileHandle, open } from 'node:fs/promises';
import { zstdDecompressSync } from 'node:zlib';
import { readBlocks } from '../../audit/read/files.ts';
import { zstdFrames } from '../../audit/read/zstd-frames.ts';
import { RiskTrailError } from '../../core/errors.ts';
import { RecordScanner } from './record-index-scan.ts';

/** What tells, without reading a file, whether it is the one that was indexed. */
export interface FileIdentity {
  readonly size: number;
  readonly mtimeNs: string;
  readonly ctimeNs: string;
  readonly ino: string;
}

/** Where a scan of a file that has grown goes on. */
export interface ResumePoint {
  /** Where a line begins, in bytes. */
  readonly from: number;
  /** The last bytes in front of it: where others stand there, the file is another and is scanned from its beginning. */
  readonly border: Uint8Array;
}

/** A file's index as it comes from a scan. */
export interface ScannedFile {
  /** As it was before the first byte was read. */
  readonly identity: FileIdentity;
  /** Whether it was still the same behind the last. */
  readonly steady: boolean;
  /** Where the first range begins. */
  readonly from: number;
  /** Ranges of whole lines. */
  readonly parts: readonly ArrayBuffer[];
  /** Where the last whole line ends, and to go on there, what stands in front of it. */
  readonly next: ResumePoint;
  /** A last line without a newline: it may grow. */
  readonly tail: readonly ArrayBuffer[];
}

const NEWLINE = 10;
const READ_BYTES = 1 << 22;
/** Lines are mostly shorter. */
const LINE_BYTES = 1 << 13;
/** Of a journal's line these are its end: the hash of a record, or its body and trace. */
const BORDER_BYTES = 256;
/** What is decompressed at once. */
const MAX_CONTENT_BYTES = 2 ** 27;
/** What is held of decompressed files for further lines; the last one is held whatever its size. */
const MAX_HELD_BYTES = 2 ** 26;

/** Whether two identities are of the same file in the same state. */
export const isSameFile = (one: FileIdentity, other: FileIdentity): boolean =>
  one.size === other.size && one.mtimeNs === other.mtimeNs && one.ctimeNs === other.ctimeNs && one.ino === other.ino;

/** Whether a file is compressed: it never grows, and its lines have no place on disk. */
export const isSealed = (path: string): boolean => path.endsWith('.zst');

/** What a file's status says of it. */
export function identityOf(stat: {
  readonly size: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly ino: bigint;
}): FileIdentity {
  return {
    size: Number(stat.size),
    mtimeNs: String(stat.mtimeNs),
    ctimeNs: String(stat.ctimeNs),
    ino: String(stat.ino),
  };
}

/**
 * Opens a file.
 * @returns undefined where it is gone
 * @throws RiskTrailError FILE_UNREADABLE
 */
async function openFile(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new RiskTrailError('FILE_UNREADABLE', { path, reason: (error as Error).message }, error);
  }
}

const identified = async (handle: FileHandle): Promise<FileIdentity> => identityOf(await handle.stat({ bigint: true }));

/**
 * Indexes a file, or what has come to it.
 * @returns undefined where it is gone
 * @throws RiskTrailError FILE_UNREADABLE
 */
export async function scanFile(
  path: string,
  resume?: ResumePoint,
  signal?: AbortSignal,
): Promise<ScannedFile | undefined> {
  const handle = await openFile(path);
  if (handle === undefined) return undefined;
  try {
    const identity = await identified(handle);
    const from = resume !== undefined && (await goesOn(handle, resume)) ? resume.from : 0;
    const scanner = new RecordScanner(from);
    const rest = isSealed(path)
      ? await scanSealed(scanner, path, handle, signal)
      : await scanPlain(scanner, handle, from, identity.size, signal);
    const parts = scanner.take();
    const end = scanner.position;
    const next = { from: end, border: isSealed(path) ? new Uint8Array() : await borderOf(handle, end) };
    if (rest !== undefined) scanner.tail(rest);
    const steady = isSameFile(identity, await identified(handle));
    return { identity, steady, from, parts, next, tail: scanner.take() };
  } catch (error) {
    if (error instanceof RiskTrailError || signal?.aborted === true) throw error;
    throw new RiskTrailError('FILE_UNREADABLE', { path, reason: (error as Error).message }, error);
  } finally {
    await handle.close();
  }
}

async function borderOf(handle: FileHandle, end: number): Promise<Uint8Array> {
  const length = Math.min(BORDER_BYTES, end);
  const { buffer, bytesRead } = await handle.read(new Uint8Array(length), 0, length, end - length);
  return buffer.subarray(0, bytesRead);
}

async function goesOn(handle: FileHandle, { from, border }: ResumePoint): Promise<boolean> {
  return Buffer.compare(await borderOf(handle, from), border) === 0;
}

/** @returns a last line that no newline ends */
async function scanPlain(
  scanner: RecordScanner,
  handle: FileHandle,
  from: number,
  size: number,
  signal: AbortSignal | undefined,
): Promise<Buffer | undefined> {
  let buffer = Buffer.allocUnsafeSlow(Math.max(1, Math.min(READ_BYTES, size - from)));
  let held = 0;
  for (let at = from; at < size; ) {
    signal?.throwIfAborted();
    if (held === buffer.length) buffer = Buffer.concat([buffer], 2 * held);
    const { bytesRead } = await handle.read(buffer, held, Math.min(buffer.length - held, size - at), at);
    if (bytesRead === 0) break;
    at += bytesRead;
    const filled = held + bytesRead;
    const end = buffer.subarray(0, filled).lastIndexOf(NEWLINE) + 1;
    if (end > 0) {
      scanner.lines(buffer.subarray(0, end));
      buffer.copyWithin(0, end, filled);
    }
    held = filled - end;
  }
  return held > 0 ? buffer.subarray(0, held) : undefined;
}

async function scanSealed(
  scanner: RecordScanner,
  path: string,
  handle: FileHandle,
  signal: AbortSignal | undefined,
): Promise<Buffer | undefined> {
  let rest: Buffer | undefined;
  const take = (content: Buffer) => {
    signal?.throwIfAborted();
    const end = content.lastIndexOf(NEWLINE) + 1;
    if (end > 0) scanner.lines(content.subarray(0, end));
    // Only what the file ends with has no newline.
    rest = end < content.length ? content.subarray(end) : undefined;
  };
  const content = await wholeContent(handle);
  if (content !== undefined) take(content);
  else for await (const { bytes } of readBlocks(path)) take(bytes);
  return rest;
}

/**
 * What a compressed file holds where that is a single frame of a moderate size, as a segment is sealed: decompressed at once it
 * takes a third of the time that a stream does.
 */
async function wholeContent(handle: FileHandle): Promise<Buffer | undefined> {
  const { size } = await handle.stat();
  for await (const { start, end, whole } of zstdFrames(handle)) {
    if (!whole || start !== 0 || end !== size) return undefined;
  }
  const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(size), 0, size, 0);
  try {
    return zstdDecompressSync(buffer.subarray(0, bytesRead), { maxOutputLength: MAX_CONTENT_BYTES });
  } catch {
    // Larger than that, or broken: as far as it goes, it is read as a stream.
    return undefined;
  }
}

/** Reads single lines of files. */
export class LineReader {
  /** Of compressed files the last that were looked into. */
  readonly #contents = new Map<string, { readonly identity: FileIdentity; readonly bytes: Buffer }>();
  #contentBytes = 0;

  /**
   * The lines that begin at some places of a file, without their newlines.
   * @param offsets ascending
   * @param fits whether the file, as it is now, is the one that the places are of
   * @returns undefined where it is not, or is gone
   * @throws RiskTrailError FILE_UNREADABLE
   */
  async lines(
    path: string,
    offsets: readonly number[],
    fits: (identity: FileIdentity) => boolean,
  ): Promise<readonly Buffer[] | undefined> {
    const handle = await openFile(path);
    if (handle === undefined) return undefined;
    try {
      const identity = await identified(handle);
      if (!fits(identity)) return undefined;
      if (!isSealed(path)) {
        const lines: Buffer[] = [];
        for (const offset of offsets) lines.push(await plainLine(handle, offset));
        return lines;
      }
      const content = await this.#content(path, handle, identity);
      if (content !== undefined) return offsets.map((offset) => lineAt(content, offset));
    } finally {
      await handle.close();
    }
    const lines: Buffer[] = [];
    let from = 0;
    for await (const { bytes } of readBlocks(path)) {
      const within = offsets.slice(lines.length).filter((offset) => offset < from + bytes.length);
      for (const offset of within) lines.push(Buffer.from(lineAt(bytes, offset - from)));
      from += bytes.length;
      if (lines.length === offsets.length) break;
    }
    return lines;
  }

  /** Lets go of what is held. */
  clear(): void {
    this.#contents.clear();
    this.#contentBytes = 0;
  }

  async #content(path: string, handle: FileHandle, identity: FileIdentity): Promise<Buffer | undefined> {
    const held = this.#contents.get(path);
    if (held !== undefined && isSameFile(held.identity, identity)) return held.bytes;
    const bytes = await wholeContent(handle);
    if (bytes === undefined) return undefined;
    this.#forget(path);
    this.#contents.set(path, { identity, bytes });
    this.#contentBytes += bytes.length;
    for (const other of this.#contents.keys()) {
      if (this.#contentBytes <= MAX_HELD_BYTES || other === path) break;
      this.#forget(other);
    }
    return bytes;
  }

  #forget(path: string): void {
    this.#contentBytes -= this.#contents.get(path)?.bytes.length ?? 0;
    this.#contents.delete(path);
  }
}

function lineAt(content: Buffer, offset: number): Buffer {
  const end = content.indexOf(NEWLINE, offset);
  return content.subarray(offset, end < 0 ? content.length : end);
}

async function plainLine(handle: FileHandle, offset: number): Promise<Buffer> {
  for (let length = LINE_BYTES; ; length *= 4) {
    const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(length), 0, length, offset);
    const end = buffer.subarray(0, bytesRead).indexOf(NEWLINE);
    if (end >= 0 || bytesRead < length) return buffer.subarray(0, end < 0 ? bytesRead : end);
  }
}
