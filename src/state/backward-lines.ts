/** The lines of a segment from the last to the first, so that a start reads only the tail of a long trail. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { SegmentFile } from '../audit/journal/segment-files.ts';
import { readBlocks } from '../audit/read/files.ts';

const CHUNK_BYTES = 1 << 19;
const NEWLINE = 10;

/**
 * Whole lines in batches, each batch and the batches newest first. A last line without its newline is handed out as it stands.
 * @throws the system's error where the file can't be read; RiskTrailError FILE_UNREADABLE
 */
export async function* backwardLines(file: SegmentFile): AsyncGenerator<readonly string[], void, undefined> {
  // What is compressed can be read from its beginning only.
  if (file.sealed) yield (await forwardLines(file.path)).reverse();
  else yield* plainLines(file.path);
}

async function forwardLines(path: string): Promise<string[]> {
  const lines: string[] = [];
  for await (const { bytes } of readBlocks(path)) {
    for (const line of bytes.toString('utf8').split('\n')) if (line !== '') lines.push(line);
  }
  return lines;
}

function* plainLines(path: string): Generator<readonly string[], void, undefined> {
  const fd = openSync(path, 'r');
  try {
    let end = fstatSync(fd).size;
    /** Beginning of a line whose other part was read before. */
    let rest: Buffer = Buffer.alloc(0);
    while (end > 0) {
      const start = Math.max(0, end - CHUNK_BYTES);
      const chunk = Buffer.allocUnsafe(end - start);
      readSync(fd, chunk, 0, chunk.length, start);
      const bytes = rest.length === 0 ? chunk : Buffer.concat([chunk, rest]);
      end = start;
      const first = start === 0 ? 0 : bytes.indexOf(NEWLINE) + 1;
      if (start > 0 && first === 0) {
        rest = bytes;
        continue;
      }
      rest = bytes.subarray(0, first);
      const lines = bytes.toString('utf8', first).split('\n').reverse();
      yield lines.filter((line) => line !== '');
    }
  } finally {
    closeSync(fd);
  }
}
