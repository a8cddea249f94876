/**
 * Where the frames of a zstd file begin and end (RFC 8878 section 3.1, https://www.rfc-editor.org/rfc/rfc8878#section-3.1).
 * Node's streaming decompressor stops after the first frame and says nothing of the rest, so the frames are told apart here,
 * by their block headers, and each is given a decompressor of its own.
 */
import type { FileHandle } from 'node:fs/promises';

/** A frame's bytes: `end` is exclusive. */
export interface ZstdFrame {
  readonly start: number;
  readonly end: number;
  /** False where the file ends or turns into something else within the frame; it is the last one then. */
  readonly whole: boolean;
}

const MAGIC = 0xfd2fb528;
const SKIPPABLE = 0x184d2a50;
const BLOCK_HEADER_BYTES = 3;
const MAX_HEADER_BYTES = 18;
const RLE_BLOCK = 1;
const RESERVED_BLOCK = 3;

/** Size of the frame header, magic number included (RFC 8878 section 3.1.1.1). */
function headerSize(descriptor: number): number {
  const singleSegment = (descriptor >> 5) & 1;
  const dictionaryId = [0, 1, 2, 4][descriptor & 3] as number;
  const contentSize = [singleSegment, 2, 4, 8][descriptor >> 6] as number;
  return 5 + (1 - singleSegment) + dictionaryId + contentSize;
}

/**
 * The size of what a frame decompresses to, as its header says (RFC 8878 section 3.1.1.1.4).
 * @param frame its beginning
 * @returns undefined where it is no frame, or doesn't say
 */
export function contentBytesOf(frame: Buffer): number | undefined {
  if (frame.length < MAX_HEADER_BYTES || frame.readUInt32LE(0) !== MAGIC) return undefined;
  const descriptor = frame[4] as number;
  const end = headerSize(descriptor);
  switch (descriptor >> 6) {
    case 0:
      return ((descriptor >> 5) & 1) === 1 ? frame.readUInt8(end - 1) : undefined;
    case 1:
      return frame.readUInt16LE(end - 2) + 256;
    case 2:
      return frame.readUInt32LE(end - 4);
    default:
      return Number(frame.readBigUInt64LE(end - 8));
  }
}

/** The frames of a file, in order; skippable ones are left out. */
export async function* zstdFrames(handle: FileHandle): AsyncGenerator<ZstdFrame> {
  const { size } = await handle.stat();
  const bytes = Buffer.alloc(MAX_HEADER_BYTES);
  let start = 0;
  while (start < size) {
    const { bytesRead } = await handle.read(bytes, 0, MAX_HEADER_BYTES, start);
    const magic = bytesRead >= 8 ? bytes.readUInt32LE(0) : 0;
    if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE) {
      start += 8 + bytes.readUInt32LE(4);
      continue;
    }
    const end = magic === MAGIC ? await frameEnd(handle, start, bytes[4] as number, size) : undefined;
    yield { start, end: end ?? size, whole: end !== undefined };
    if (end === undefined) return;
    start = end;
  }
}

async function frameEnd(
  handle: FileHandle,
  start: number,
  descriptor: number,
  size: number,
): Promise<number | undefined> {
  const header = Buffer.alloc(BLOCK_HEADER_BYTES);
  let at = start + headerSize(descriptor);
  for (;;) {
    const { bytesRead } = await handle.read(header, 0, BLOCK_HEADER_BYTES, at);
    if (bytesRead < BLOCK_HEADER_BYTES) return undefined;
    const block = header.readUIntLE(0, BLOCK_HEADER_BYTES);
    const type = (block >> 1) & 3;
    if (type === RESERVED_BLOCK) return undefined;
    at += BLOCK_HEADER_BYTES + (type === RLE_BLOCK ? 1 : block >> 3);
    if ((block & 1) === 1) break;
  }
  const end = at + ((descriptor >> 2) & 1) * 4;
  return end <= size ? end : undefined;
}
