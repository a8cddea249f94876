/** When the last record of a journal was written, without reading the whole trail. */
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isSegment, readBlocks } from '../../audit/read/files.ts';
import { visitRecords } from '../../audit/record/otlp.ts';

/** A journal's lines are shorter; where the last one is not, the segment is read. */
const TAIL_BYTES = 1 << 18;
const NEWLINE = 10;

/** The last whole line of some bytes; undefined where they hold no whole line. */
function lastLine(bytes: Buffer): string | undefined {
  const end = bytes.lastIndexOf(NEWLINE);
  const start = end <= 0 ? -1 : bytes.lastIndexOf(NEWLINE, end - 1);
  return start < 0 ? undefined : bytes.toString('utf8', start + 1, end);
}

async function tailOf(path: string): Promise<string | undefined> {
  const handle = await open(path).catch(() => undefined);
  if (handle === undefined) return undefined;
  try {
    const { size } = await handle.stat();
    const length = Math.min(TAIL_BYTES, size);
    const bytes = Buffer.alloc(length);
    const { bytesRead } = await handle.read(bytes, 0, length, size - length);
    return lastLine(bytes.subarray(0, bytesRead));
  } finally {
    await handle.close();
  }
}

async function lastOf(path: string): Promise<bigint | undefined> {
  let line = path.endsWith('.zst') ? undefined : await tailOf(path);
  if (line === undefined) {
    for await (const { bytes, cut } of readBlocks(path)) {
      if (!cut && bytes.length > 0) line = lastLine(Buffer.concat([Buffer.from('\n'), bytes]));
    }
  }
  let time: bigint | undefined;
  if (line !== undefined) {
    visitRecords(line, ({ timeUnixNano }) => {
      if (typeof timeUnixNano === 'string' && /^\d{1,19}$/.test(timeUnixNano)) time = BigInt(timeUnixNano);
    });
  }
  return time;
}

/**
 * Time of the last record written of all streams, in nanoseconds since the epoch.
 * @returns undefined where it can't be told so: files that are no journal's, or a last line that is no record
 */
export async function lastTimeOf(files: readonly string[]): Promise<bigint | undefined> {
  const last = new Map<string, string>();
  for (const file of files) {
    if (!isSegment(file)) return undefined;
    last.set(dirname(file), file);
  }
  let latest: bigint | undefined;
  for (const path of last.values()) {
    const time = await lastOf(path);
    if (time === undefined) return undefined;
    if (latest === undefined || time > latest) latest = time;
  }
  return latest;
}
