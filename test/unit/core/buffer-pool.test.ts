import { describe, expect, it } from 'vitest';
import { BufferPool } from '../../../src/core/buffer-pool.ts';

const LARGE = 1_000_000;

describe('a pool of buffers', () => {
  it('lends a buffer again once it was given back, by any part of it', () => {
    const pool = new BufferPool();
    const first = pool.take(LARGE);
    expect(first.length).toBeGreaterThanOrEqual(LARGE);
    expect(pool.take(LARGE).buffer).not.toBe(first.buffer);
    pool.give(first.subarray(10, 20));
    const again = pool.take(LARGE - 100_000);
    expect(again.buffer).toBe(first.buffer);
    expect(again.length).toBe(first.length);
  });

  it('lends no buffer to two, however often it is given back', () => {
    const pool = new BufferPool();
    const first = pool.take(LARGE);
    pool.give(first);
    pool.give(first);
    expect(pool.take(LARGE).buffer).toBe(first.buffer);
    expect(pool.take(LARGE).buffer).not.toBe(first.buffer);
  });

  it('takes no buffer that it did not lend', () => {
    const pool = new BufferPool();
    const foreign = Buffer.alloc(2 * LARGE);
    pool.give(foreign);
    expect(pool.take(LARGE).buffer).not.toBe(foreign.buffer);
  });

  it('lends one that is long enough, whatever else is there', () => {
    const pool = new BufferPool();
    const [small, large] = [pool.take(100_000), pool.take(LARGE)];
    pool.give(small);
    pool.give(large);
    expect(pool.take(LARGE).buffer).toBe(large.buffer);
    expect(pool.take(2 * LARGE).length).toBeGreaterThanOrEqual(2 * LARGE);
    expect(pool.take(100_000).buffer).toBe(small.buffer);
  });

  it.each([0, 1, 10_000, 1 << 25])('leaves one of %i bytes to the collector', (bytes) => {
    const pool = new BufferPool();
    const first = pool.take(bytes);
    expect(first).toHaveLength(bytes);
    pool.give(first);
    expect(pool.take(bytes).buffer).not.toBe(first.buffer);
  });

  it('keeps a few, however many were lent at once', () => {
    const pool = new BufferPool();
    const lent = Array.from({ length: 50 }, () => pool.take(LARGE));
    for (const one of lent) pool.give(one);
    const known = new Set(lent.map(({ buffer }) => buffer));
    const again = Array.from({ length: 50 }, () => pool.take(LARGE));
    expect(again.filter(({ buffer }) => known.has(buffer))).toHaveLength(4);
  });
});
