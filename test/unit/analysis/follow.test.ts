import { appendFileSync, mkdtempSync, renameSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FlatRecord } from '../../../src/analysis/flat-record.ts';
import { type FollowOptions, followTrail } from '../../../src/analysis/follow.ts';
import { line, lines, put, START_MS, STREAM_A, STREAM_B, segmentPath } from '../../support/trail-lines.ts';

let dir: string;
let stop: AbortController;
let following: AsyncGenerator<readonly FlatRecord[]>;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'risktrail-follow-'));
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  await following.return(undefined);
  rmSync(dir, { recursive: true, force: true });
});

function follow(options: FollowOptions = {}, paths: readonly string[] = [dir]): void {
  following = followTrail(paths, { pollMs: 20, signal: stop.signal, ...options });
}

/** The sequence numbers of the next records, waited for until there are so many. */
async function next(count: number): Promise<(number | null)[]> {
  const records: FlatRecord[] = [];
  while (records.length < count) {
    const { done, value } = await following.next();
    if (done) throw new Error(`ended after ${records.length} of ${count}`);
    records.push(...value);
  }
  return records.map((record) => record.sequence);
}

describe('following a trail', () => {
  it('begins with the last records that are there, from as many segments as it takes', async () => {
    put(segmentPath(dir, STREAM_A, 0), lines(0, 10));
    put(segmentPath(dir, STREAM_A, 10), lines(10, 12));
    follow({ last: 5 });
    expect(await next(5)).toEqual([7, 8, 9, 10, 11]);
  });

  it('takes the last by time over all streams, and only matching ones', async () => {
    put(segmentPath(dir, STREAM_A, 0), lines(0, 100));
    put(segmentPath(dir, STREAM_B, 0), lines(200, 202, { stream: STREAM_B, timeMs: START_MS + 98_500 }));
    follow({ last: 3, filter: (record) => record.sequence! % 2 === 0 });
    expect(await next(3)).toEqual([96, 98, 200]);
  });

  it('then tells what is appended, a line when it is whole', async () => {
    const path = segmentPath(dir, STREAM_A, 0);
    const half = line(3);
    put(path, lines(0, 2) + line(2).slice(0, 50));
    follow({ last: 1 });
    expect(await next(1)).toEqual([1]);
    appendFileSync(path, line(2).slice(50) + half.slice(0, 30));
    expect(await next(1)).toEqual([2]);
    appendFileSync(path, half.slice(30) + line(4));
    expect(await next(2)).toEqual([3, 4]);
  });

  it('goes on with new segments and new streams', async () => {
    put(segmentPath(dir, STREAM_A, 0), lines(0, 1));
    follow();
    expect(await next(1)).toEqual([0]);
    put(segmentPath(dir, STREAM_A, 1), lines(1, 3));
    expect(await next(2)).toEqual([1, 2]);
    put(segmentPath(dir, STREAM_B, 0), lines(50, 52, { stream: STREAM_B }));
    expect(await next(2)).toEqual([50, 51]);
  });

  it('waits for the first file of an empty directory', async () => {
    follow();
    const first = next(1);
    put(segmentPath(dir, STREAM_A, 0), line(0));
    expect(await first).toEqual([0]);
  });

  it('does not repeat what was sealed, and misses nothing that was written just before', async () => {
    const path = segmentPath(dir, STREAM_A, 0);
    put(path, lines(0, 3));
    follow({ last: 1 });
    expect(await next(1)).toEqual([2]);
    put(`${path}.zst`, zstdCompressSync(Buffer.from(lines(0, 5))));
    rmSync(path);
    expect(await next(2)).toEqual([3, 4]);
    put(segmentPath(dir, STREAM_A, 5), line(5));
    expect(await next(1)).toEqual([5]);
  });

  it('reads on in a file that was rotated away, and from the beginning of the one that takes its name', async () => {
    const path = join(dir, 'audit.jsonl');
    const plain = line(undefined, { event: 'api.call' });
    put(path, plain + line(0));
    follow();
    expect(await next(2)).toEqual([null, 0]);
    appendFileSync(path, line(1));
    renameSync(path, join(dir, 'audit-2020.jsonl'));
    put(path, line(2));
    expect(await next(2)).toEqual([1, 2]);
  });

  it('goes on where a recovery cut the file', async () => {
    const path = segmentPath(dir, STREAM_A, 0);
    put(path, lines(0, 3));
    follow({ last: 1 });
    expect(await next(1)).toEqual([2]);
    truncateSync(path, Buffer.byteLength(lines(0, 2)));
    appendFileSync(path, line(7, { body: 'a longer text than that of the line which stood here before the cut' }));
    expect(await next(1)).toEqual([7]);
  });

  it('tells each record once when a Collector repeats it', async () => {
    const path = join(dir, 'audit.jsonl');
    put(path, lines(0, 3));
    follow({ last: 1 });
    expect(await next(1)).toEqual([2]);
    appendFileSync(path, line(2) + line(1) + line(3) + line(3));
    expect(await next(1)).toEqual([3]);
    appendFileSync(path, line(0) + line(4));
    expect(await next(1)).toEqual([4]);
  });

  it('misses and repeats nothing under a writer that goes on all the time', async () => {
    const path = segmentPath(dir, STREAM_A, 0);
    put(path, lines(0, 1));
    follow({ last: 1 });
    const numbers = await next(1);
    let written = 1;
    while (numbers.length < 500) {
      if (written < 500) {
        const text = lines(written, Math.min(500, written + 37));
        // In pieces that end anywhere.
        const cut = Math.floor(text.length / 3);
        for (const piece of [text.slice(0, cut), text.slice(cut)]) {
          appendFileSync(written < 250 ? path : segmentPathOf(written), piece);
        }
        written = Math.min(500, written + 37);
      }
      numbers.push(...(await next(1)));
    }
    expect(numbers).toEqual(Array.from({ length: 500 }, (_, index) => index));
  });

  it('ends at the signal', async () => {
    put(segmentPath(dir, STREAM_A, 0), lines(0, 1));
    follow();
    expect(await next(1)).toEqual([0]);
    const end = following.next();
    stop.abort();
    expect((await end).done).toBe(true);
  });

  it('says that a path is not there', async () => {
    follow({}, [join(dir, 'none')]);
    await expect(following.next()).rejects.toMatchObject({ code: 'PATH_NOT_FOUND' });
  });
});

function segmentPathOf(written: number): string {
  return segmentPath(dir, STREAM_A, written < 400 ? 250 : 400);
}
