import { randomBytes } from 'node:crypto';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { constants, zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sealedBlocks } from '../../../../src/audit/ship/sealed-segment.ts';
import { BufferPool } from '../../../../src/core/buffer-pool.ts';
import { temporaryDirectory } from '../../../support/journal.ts';

let directory: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => directory.remove());

const text = (bytes: number) => Buffer.from(`${randomBytes(bytes / 2 - 1).toString('hex')}x\n`);

/** @param bytes of the file */
function write(...bytes: Buffer[]): string {
  const path = join(directory.path, '00000000000000000000.jsonl.zst');
  writeFileSync(path, Buffer.concat(bytes));
  return path;
}

async function read(path: string): Promise<{ bytes: Buffer; blocks: number; broken: boolean }> {
  const pool = new BufferPool();
  const parts: Buffer[] = [];
  let broken = false;
  for await (const block of sealedBlocks(path, pool)) {
    parts.push(Buffer.from(block.bytes));
    broken ||= block.broken;
    block.free();
  }
  return { bytes: Buffer.concat(parts), blocks: parts.length, broken };
}

describe('the lines of a sealed segment', () => {
  // The header says the size of the content in one, two, four or eight bytes.
  it.each([10, 254, 256, 65_790, 65_792, 3_000_000])('are one block of %i bytes', async (size) => {
    const content = text(size);
    expect(await read(write(zstdCompressSync(content)))).toEqual({ bytes: content, blocks: 1, broken: false });
  });

  it('are freed when they are done with, and not before', async () => {
    const content = text(1_000_000);
    for await (const { bytes, free } of sealedBlocks(write(zstdCompressSync(content)), new BufferPool())) {
      expect(bytes.equals(content)).toBe(true);
      expect(bytes.buffer.byteLength).toBeGreaterThan(0);
      free();
      expect(bytes.buffer.byteLength).toBe(0);
    }
  });

  it('are read in pieces where the file holds several frames', async () => {
    const [one, two] = [text(300_000), text(500_000)];
    const { bytes, broken } = await read(write(zstdCompressSync(one), zstdCompressSync(two)));
    expect(bytes.equals(Buffer.concat([one, two]))).toBe(true);
    expect(broken).toBe(false);
  });

  it('are read in pieces where there are more than 16 MB of them', async () => {
    const content = Buffer.alloc(17_000_000, 'a line of some length\n');
    const { bytes, blocks } = await read(write(zstdCompressSync(content)));
    expect(bytes.equals(content)).toBe(true);
    expect(blocks).toBeGreaterThan(10);
  });

  it('are read in pieces where the frame does not say how many there are', async () => {
    const content = text(500_000);
    const params = { [constants.ZSTD_c_contentSizeFlag]: 0 };
    expect((await read(write(zstdCompressSync(content, { params })))).bytes.equals(content)).toBe(true);
  });

  it('are read as far as they go where the file is cut off', async () => {
    const lines = Buffer.concat(Array.from({ length: 100 }, () => text(20_000)));
    const path = write(zstdCompressSync(lines));
    truncateSync(path, 700_000);
    const { bytes, broken } = await read(path);
    expect(broken).toBe(true);
    expect(bytes.length).toBeGreaterThan(500_000);
    expect(lines.subarray(0, bytes.length).equals(bytes)).toBe(true);
  });

  it.each([
    ['nothing', Buffer.alloc(0), false],
    ['no frame', Buffer.from('{"resourceLogs":[]}\n'), true],
    ['a header alone', zstdCompressSync(Buffer.alloc(1_000)).subarray(0, 9), true],
  ])('are none of a file that holds %s', async (_, content, broken) => {
    expect(await read(write(content))).toMatchObject({ bytes: Buffer.alloc(0), broken });
  });

  it('are not read beyond what the header says', async () => {
    const sealed = zstdCompressSync(text(300_000));
    // Four bytes behind magic number and descriptor, as a single segment has them.
    expect(sealed.readUInt32LE(5)).toBe(300_000);
    sealed.writeUInt32LE(299_000, 5);
    expect((await read(write(sealed))).broken).toBe(true);
  });

  it('are none of a file that is gone', async () => {
    expect(await read(join(directory.path, '00000000000000000000.jsonl.zst'))).toMatchObject({ blocks: 0 });
  });
});
