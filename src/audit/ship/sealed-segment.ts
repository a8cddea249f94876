/**
 * The lines of a sealed segment, decompressed at once by the thread that asks for them. Read in pieces, as readers do elsewhere, they
 * are made by threads of the trading code's priority, and leave megabytes behind that V8 looks for with four more.
 */
import { open } from 'node:fs/promises';
import { zstdDecompressSync } from 'node:zlib';
import type { BufferPool } from '../../core/buffer-pool.ts';
import { isBrokenContent } from '../journal/segment-content.ts';
import { readBlocks } from '../read/files.ts';
import { contentBytesOf } from '../read/zstd-frames.ts';

/** Whole lines; the last may lack its newline. */
export interface SealedBlock {
  readonly bytes: Buffer;
  /** In an empty block: here a frame could not be read. */
  readonly broken: boolean;
  /** To be called when nobody looks at the bytes any more. */
  readonly free: () => void;
}

/** A larger segment is read in pieces. A setting says how large they become. */
const MAX_BYTES = 1 << 24;
/** Buffers of this size are never parts of others. */
const OWN_MEMORY_BYTES = 1 << 16;

/** The blocks of a sealed file; none where it is gone. @throws RiskTrailError FILE_UNREADABLE, or the system's error */
export async function* sealedBlocks(path: string, pool: BufferPool): AsyncGenerator<SealedBlock> {
  const whole = await readWhole(path, pool);
  if (whole !== undefined) {
    // At once, and not when the collector comes to it.
    yield { bytes: whole, broken: false, free: () => void (whole.buffer as ArrayBuffer).transfer(0) };
    return;
  }
  for await (const { bytes, broken } of readBlocks(path)) {
    // The block is used again for the next one.
    const copy = pool.take(bytes.length).subarray(0, bytes.length);
    bytes.copy(copy);
    yield { bytes: copy, broken, free: () => pool.give(copy) };
  }
}

/** What the file holds, in memory of its own, where it is one good frame of a known and moderate size. */
async function readWhole(path: string, pool: BufferPool): Promise<Buffer | undefined> {
  const compressed = await readCompressed(path, pool);
  if (compressed === undefined) return undefined;
  try {
    const size = contentBytesOf(compressed);
    if (size === undefined || size === 0 || size > MAX_BYTES) return undefined;
    // With room for one byte more it comes in one piece; a small one would be part of memory that Node shares out.
    const options = { chunkSize: Math.max(size + 1, OWN_MEMORY_BYTES), maxOutputLength: size, info: true } as const;
    const { buffer, engine } = zstdDecompressSync(compressed, options) as unknown as {
      readonly buffer: Buffer;
      readonly engine: { readonly bytesWritten: number };
    };
    // Behind the frame stands another one, or something else.
    return engine.bytesWritten === compressed.length ? buffer : undefined;
  } catch (error) {
    // As far as it goes it is read in pieces.
    if (!isBrokenContent(error)) throw error;
    return undefined;
  } finally {
    pool.give(compressed);
  }
}

async function readCompressed(path: string, pool: BufferPool): Promise<Buffer | undefined> {
  const handle = await open(path).catch((error) => {
    // Removed since it was listed, or not to be read: who reads in pieces says so.
    if ((error as NodeJS.ErrnoException).code !== undefined) return undefined;
    throw error;
  });
  if (handle === undefined) return undefined;
  try {
    const { size } = await handle.stat();
    if (size > MAX_BYTES) return undefined;
    const bytes = pool.take(size).subarray(0, size);
    const { bytesRead } = await handle.read(bytes, 0, size, 0);
    if (bytesRead === size) return bytes;
    pool.give(bytes);
    return undefined;
  } finally {
    await handle.close();
  }
}
