import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Line, lineText } from '../../../../src/audit/ship/line.ts';
import { type ReadLimit, StreamReader } from '../../../../src/audit/ship/stream-reader.ts';
import { temporaryDirectory, testEvent } from '../../../support/journal.ts';
import { MadeStream, upTo } from '../../../support/made-stream.ts';

let directory: ReturnType<typeof temporaryDirectory>;
let problems: string[];
beforeEach(() => {
  directory = temporaryDirectory();
  problems = [];
});
afterEach(() => directory.remove());

const limitOf = (made: MadeStream, ended = false): ReadLimit => {
  const { file, bytes } = made.position();
  const [first, copy] = file.split('.');
  return { firstSequence: Number(first), copy: Number(copy) || 0, bytes, ended };
};

const readerOf = (made: MadeStream, from = 0) => new StreamReader(made.directory, from, (one) => problems.push(one));

async function numbers(reader: StreamReader, limit: ReadLimit, records = 1e6, bytes = 1e9): Promise<number[]> {
  return (await reader.read(limit, records, bytes)).map((line) => line.sequence);
}

describe('the reader of a stream', () => {
  it('goes through plain and sealed segments in order', async () => {
    const made = new MadeStream(directory.path).add(50).seal().add(50).nextSegment().add(20).seal().add(5);
    const reader = readerOf(made);
    expect(await numbers(reader, limitOf(made))).toEqual(upTo(125));
    expect(await numbers(reader, limitOf(made))).toEqual([]);
    expect(problems).toEqual([]);
    await reader.close();
  });

  it.each([0, 1, 49, 50, 51, 99, 120, 124, 125])('begins at number %i', async (from) => {
    const made = new MadeStream(directory.path).add(50).seal().add(50).nextSegment().add(25);
    const reader = readerOf(made, from);
    expect(await numbers(reader, limitOf(made))).toEqual(upTo(125).slice(from));
    await reader.close();
  });

  it('keeps to its limits of records and bytes, and takes a longer record alone', async () => {
    const made = new MadeStream(directory.path)
      .add(2)
      .add(1, () => ({ body: 'x'.repeat(3_000_000) }))
      .add(2);
    const reader = readerOf(made);
    const limit = limitOf(made);
    expect(await numbers(reader, limit, 1)).toEqual([0]);
    expect(await numbers(reader, limit, 10, 100_000)).toEqual([1]);
    expect(await numbers(reader, limit, 10, 100_000)).toEqual([2]);
    expect(await numbers(reader, limit, 10, 100_000)).toEqual([3, 4]);
    await reader.close();
  });

  it.each([
    ['plain', false],
    ['sealed', true],
  ])('keeps the bytes of %s lines until it is told that they are done with, and no longer', async (_, sealed) => {
    const made = new MadeStream(directory.path);
    const expected: string[] = [];
    for (let i = 0; i < 10; i++) {
      made.add(2_000);
      expected.push(...readFileSync(join(made.directory, made.position().file), 'utf8').trimEnd().split('\n'));
      if (sealed) made.seal();
      else made.nextSegment();
    }
    const limit = limitOf(made.add(1));
    const reader = readerOf(made);
    const blocks = new Set<ArrayBufferLike>();
    const held: Line[] = [];
    const wrong: number[] = [];
    for (let seed = 1; ; seed = (seed * 16_807) % 2_147_483_647) {
      const lines = await reader.read(limit, 1 + (seed % 700), 1e9);
      held.push(...lines);
      for (const { block } of lines) blocks.add(block.buffer);
      for (const line of held) {
        if (line.sequence < 20_000 && lineText(line) !== expected[line.sequence]) wrong.push(line.sequence);
      }
      if (lines.length === 0) break;
      // Some stay on their way while others are done with.
      if (held.length < 1_500) continue;
      held.splice(0, held.length - 400);
      reader.release(held[0]!.sequence);
    }
    expect(wrong).toEqual([]);
    expect(reader.next).toBe(20_001);
    expect(problems).toEqual([]);
    // What is done with is used again, or given back.
    const left = [...blocks].filter(({ byteLength }) => byteLength > 0);
    expect(blocks.size).toBeGreaterThan(3);
    expect(left.length).toBeLessThan(7);
    await reader.close();
  });

  it('reads no byte beyond what is on disk, and goes on when more is', async () => {
    const made = new MadeStream(directory.path).add(10);
    const durable = limitOf(made);
    made.add(10).nextSegment().add(5);
    const reader = readerOf(made);
    expect(await numbers(reader, durable)).toEqual(upTo(10));
    expect(await numbers(reader, durable)).toEqual([]);
    expect(await numbers(reader, limitOf(made))).toEqual(upTo(25).slice(10));
    await reader.close();
  });

  it('passes over what stands twice after a disk error', async () => {
    const made = new MadeStream(directory.path).add(10);
    made.sequence = 6;
    made.nextSegment().add(8);
    made.sequence = 6;
    made.nextSegment(1).add(14);
    const reader = readerOf(made);
    expect(await numbers(reader, limitOf(made))).toEqual(upTo(20));
    await reader.close();
  });

  it('is not taken in by an attribute that looks like the number', async () => {
    const map = { 'audit.sequence.number': 77 };
    const made = new MadeStream(directory.path).add(3, () => ({ attributes: { aaa: map, b: '"intValue":5' } }));
    const reader = readerOf(made);
    expect(await numbers(reader, limitOf(made))).toEqual([0, 1, 2]);
    await reader.close();
  });

  it('tells of lines that are no records and of missing numbers, and goes on', async () => {
    const made = new MadeStream(directory.path).add(2).addBytes(Buffer.from('{"resourceLogs":[]}\nrubbish\n'));
    made.sequence = 5;
    made.add(2);
    const reader = readerOf(made);
    expect(await numbers(reader, limitOf(made))).toEqual([0, 1, 5, 6]);
    expect(problems).toHaveLength(3);
    expect(problems[2]).toContain('records 2 to 4 are missing');
    await reader.close();
  });

  it('leaves a torn tail out, and takes a last record that lacks only its newline where nobody writes', async () => {
    const torn = new MadeStream(directory.path, 1).add(3).addBytes(Buffer.from('{"resourceLogs":[{"res'));
    const whole = new MadeStream(directory.path, 2).add(3);
    whole.addBytes(whole.line(testEvent(3), 3).subarray(0, -1));
    for (const [made, end] of [
      [torn, 3],
      [whole, 4],
    ] as const) {
      const reader = readerOf(made);
      expect(await numbers(reader, limitOf(made, true))).toEqual(upTo(end));
      await reader.close();
    }
  });

  it('goes on when a segment is sealed or removed under its hands', async () => {
    const made = new MadeStream(directory.path).add(10).nextSegment().add(10);
    const reader = readerOf(made);
    expect(await numbers(reader, limitOf(made), 5)).toEqual(upTo(5));
    made.seal().add(10);
    rmSync(join(made.directory, '00000000000000000000.jsonl'));
    expect(await numbers(reader, limitOf(made))).toEqual(upTo(30).slice(5));
    await reader.close();
  });

  it('tells of a broken compressed segment and goes on behind it', async () => {
    const made = new MadeStream(directory.path).add(10).seal().add(10);
    writeFileSync(join(made.directory, '00000000000000000000.jsonl.zst'), Buffer.from('28b52ffd00', 'hex'));
    const reader = readerOf(made);
    expect(await numbers(reader, limitOf(made))).toEqual(upTo(20).slice(10));
    expect(problems.join()).toMatch(/frame that cannot be read.*records 0 to 9 are missing/);
    await reader.close();
  });

  it('counts the bytes that it has not taken', async () => {
    const made = new MadeStream(directory.path).add(10).nextSegment().add(10);
    const reader = readerOf(made);
    const limit = limitOf(made);
    const all = reader.backlogBytes(limit);
    expect(all).toBeGreaterThan(2 * limit.bytes - 100);
    await numbers(reader, limit, 10);
    expect(reader.backlogBytes(limit)).toBe(limit.bytes);
    await numbers(reader, limit);
    expect(reader.backlogBytes(limit)).toBe(0);
    await reader.close();
  });
});
