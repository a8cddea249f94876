/** What stands in a segment, plain or sealed, read at once. A segment's size is bounded by a setting. */
import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { constants, zstdDecompressSync } from 'node:zlib';

/** How much of a sealed file is read for its first lines: zstd's blocks hold at most 128 KB of text. */
const HEAD_BYTES = 131_072;

/** The error codes of zlib begin so: the file isn't what was sealed. */
const ZLIB_ERRORS = /^(?:Z|ZSTD|ERR_ZSTD|ERR_ZLIB|ERR_BUFFER)_/;

/** Whether an error of {@link readSegment} says that the compressed content is broken, rather than the file unreadable. */
export function isBrokenContent(error: unknown): boolean {
  return ZLIB_ERRORS.test((error as NodeJS.ErrnoException)?.code ?? '');
}

/**
 * The lines of a segment.
 * @throws the system's error; for a broken sealed file one that {@link isBrokenContent} knows
 */
export function readSegment(file: { readonly path: string; readonly sealed: boolean }): Buffer {
  const bytes = readFileSync(file.path);
  return file.sealed ? zstdDecompressSync(bytes) : bytes;
}

/** The first `bytes` bytes of a segment's lines, or somewhat less or more where it is sealed. */
export function readSegmentHead(file: { readonly path: string; readonly sealed: boolean }, bytes: number): Buffer {
  const start = readPart(file.path, 0, file.sealed ? Math.max(bytes, HEAD_BYTES) : bytes);
  // Not "end": the frame goes on where we stopped reading.
  return file.sealed ? zstdDecompressSync(start, { finishFlush: constants.ZSTD_e_flush }) : start;
}

/** The last `bytes` bytes of a segment's lines. */
export function readSegmentTail(file: { readonly path: string; readonly sealed: boolean }, bytes: number): Buffer {
  return file.sealed ? readSegment(file).subarray(-bytes) : readPart(file.path, -bytes, bytes);
}

/** @param from where to begin; negative: before the end */
function readPart(path: string, from: number, bytes: number): Buffer {
  const fd = openSync(path, 'r');
  try {
    const buffer = Buffer.allocUnsafe(bytes);
    const start = from >= 0 ? from : Math.max(0, fstatSync(fd).size + from);
    return buffer.subarray(0, readSync(fd, buffer, 0, bytes, start));
  } finally {
    closeSync(fd);
  }
}
