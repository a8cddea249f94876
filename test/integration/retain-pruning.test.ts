import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Journal } from '../../src/audit/journal/journal.ts';
import type { AuditRecord } from '../../src/audit/read/reader.ts';
import { RetainWorker } from '../../src/audit/retain/retain-worker.ts';
import { createManualClock, type ManualClock } from '../../src/core/clock.ts';
import { copyAsCrashed, openTestJournal, recordsByStream, temporaryDirectory, testEvent } from '../support/journal.ts';
import { appendMany, type RetainParts, retainParts, segmentNames } from '../support/retain-parts.ts';
import { verifyDirectory } from '../support/verify.ts';

const SMALL = { segmentMaxBytes: 20_000, checkpointIntervalMs: 3_600_000 };
const DAY_MS = 86_400_000;
const START_MS = Date.UTC(2026, 0, 1);

const prunedRecords = (records: readonly AuditRecord[] | undefined) =>
  (records ?? []).filter((record) => record.eventName === 'audit.segment_pruned');

describe('retention', () => {
  let dir: string;
  let clock: ManualClock;
  const cleanups: (() => void)[] = [];
  beforeEach(() => {
    const temporary = temporaryDirectory();
    dir = temporary.path;
    cleanups.push(temporary.remove);
    clock = createManualClock(START_MS);
  });
  afterEach(() => {
    for (const one of cleanups.splice(0)) one();
  });

  const open = (more = {}): Journal => openTestJournal(dir, { ...SMALL, clock, ...more });
  const parts = (journal: Journal, more = {}): RetainParts => retainParts(dir, journal, more, undefined, clock);
  /** Events of a day, with a checkpoint behind every ten. */
  const trade = async (journal: Journal, count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      journal.append(testEvent(i, { timeUnixNano: `${clock.now()}000000` }));
      if (i % 10 === 9) await journal.checkpoint();
    }
    await journal.checkpoint();
  };
  const expectSound = async (findings: string[], path = dir): Promise<void> => {
    const found = await verifyDirectory(path);
    // The record of a segment that was closed may follow the last checkpoint of a running stream.
    const open = findings.includes('NOT_CLOSED');
    const kinds = new Set(found.findings.filter((kind) => !open || kind !== 'UNSIGNED_TAIL'));
    expect({ ...found, findings: [...kinds] }).toEqual({ exitCode: 0, findings });
  };

  it('keeps everything where nothing was chosen', async () => {
    const journal = open();
    await trade(journal, 100);
    const names = segmentNames(journal.directory);
    clock.advance(10_000 * DAY_MS);
    const { retention } = parts(journal);
    expect((await retention.run()).removedSegments).toBe(0);
    expect(await retention.reclaim()).toBe(0);
    expect(segmentNames(journal.directory)).toEqual(names);
    await journal.close('shutdown');
  });

  it('by age removes what is older, the account first; the trail says PRUNED and later checkpoints still fit', async () => {
    const journal = open();
    await trade(journal, 100);
    const old = segmentNames(journal.directory);
    clock.advance(5 * DAY_MS);
    await trade(journal, 100);
    const { retention, seal, errors } = parts(journal, { policy: { days: 2 } });
    await seal();
    const result = await retention.run();
    // The last file of the first five days also holds records of the sixth.
    expect(result).toMatchObject({ removedSegments: old.length - 1, removedStreams: 0, refusedStreams: 0 });
    expect(segmentNames(journal.directory)[0]!.startsWith(old.at(-1)!.slice(0, 20))).toBe(true);
    await trade(journal, 50);
    await journal.close('shutdown');
    await expectSound(['PRUNED']);
    const records = (await recordsByStream(dir)).get(journal.stream)!;
    const [account] = prunedRecords(records);
    const size = account!.attributes['audit.pruned.tree_size'] as number;
    expect(size).toBeGreaterThanOrEqual(records[0]!.sequence!);
    expect(account!.attributes['audit.pruned.checkpoint']).toContain(`\n${size}\n`);
    expect(errors).toEqual([]);
  });

  it('never removes what is younger than the floor, however little room was chosen', async () => {
    const journal = open();
    await trade(journal, 100);
    const { retention } = parts(journal, { policy: { days: 2, maxBytes: 1, maxSegments: 1 } });
    expect((await retention.run()).removedSegments).toBe(0);
    clock.advance(2 * DAY_MS + 1);
    expect((await retention.run()).removedSegments).toBeGreaterThan(3);
    await journal.close('shutdown');
    await expectSound(['PRUNED']);
  });

  it.each([
    ['count', { maxSegments: 3 }],
    ['bytes', { maxBytes: 65_000 }],
  ])('by %s removes the oldest until the rest fits, again and again, plain and sealed', async (_, policy) => {
    const journal = open();
    const { retention, seal } = parts(journal, { policy });
    let removed = 0;
    for (let round = 0; round < 4; round++) {
      await trade(journal, 60);
      if (round % 2 === 1) await seal();
      removed += (await retention.run()).removedSegments;
      expect(segmentNames(journal.directory).length).toBeLessThanOrEqual(12);
      await expectSound(removed === 0 ? ['NOT_CLOSED'] : ['PRUNED', 'NOT_CLOSED']);
    }
    expect(removed).toBeGreaterThan(4);
    await journal.close('shutdown');
    await expectSound(['PRUNED']);
  });

  it('where the trail is shipped removes only what a reconciled copy holds', async () => {
    const journal = open();
    await trade(journal, 100);
    const { retention } = parts(journal, { policy: { maxSegments: 1 }, shipping: true });
    const names = segmentNames(journal.directory);
    expect(await retention.run()).toMatchObject({ removedSegments: 0, heldForCopy: names.length - 1 });
    const third = Number(names[2]!.slice(0, 20));
    const state = { version: 1, stream: journal.stream, sequence: third, at: 'now', copies: [] };
    writeFileSync(join(journal.directory, 'state', 'reconciled.json'), JSON.stringify(state));
    expect(await retention.run()).toMatchObject({ removedSegments: 2, heldForCopy: names.length - 3 });
    expect(segmentNames(journal.directory)).toEqual(names.slice(2));
    await journal.close('shutdown');
    await expectSound(['PRUNED']);
  });

  it('removes nothing that no checkpoint covers', async () => {
    const journal = open();
    appendMany(journal, 100);
    const { retention } = parts(journal, { policy: { maxSegments: 1 } });
    const count = segmentNames(journal.directory).length;
    expect(await retention.run()).toMatchObject({ removedSegments: 0, heldForCheckpoint: count - 1 });
    await journal.close('shutdown');
    await expectSound([]);
  });

  it('removes closed streams whole: what they said of others, and others of them, stays verifiable', async () => {
    const streams: Journal[] = [];
    for (let i = 0; i < 3; i++) {
      const journal = open();
      streams.push(journal);
      await trade(journal, 40);
      await parts(journal).sealer.sealEnded();
      await journal.close('shutdown');
      clock.advance(DAY_MS);
    }
    const [first, second, third] = streams as [Journal, Journal, Journal];
    const fourth = open();
    await trade(fourth, 100);
    const { retention, errors } = parts(fourth, { policy: { days: 2 } });
    expect(await retention.run()).toMatchObject({ removedStreams: 1 });
    expect(existsSync(first.directory)).toBe(false);
    await expectSound(['PRUNED', 'NOT_CLOSED']);
    clock.advance(DAY_MS);
    expect(await retention.run()).toMatchObject({ removedStreams: 1 });
    expect([second, third].map((one) => existsSync(one.directory))).toEqual([false, true]);
    await expectSound(['PRUNED', 'NOT_CLOSED']);
    // Now the account of these two goes itself, with the beginning of the stream that gives it.
    await trade(fourth, 100);
    clock.advance(3 * DAY_MS);
    await trade(fourth, 40);
    expect(await retention.run()).toMatchObject({ removedStreams: 1, refusedStreams: 0 });
    await fourth.close('shutdown');
    await expectSound(['PRUNED']);
    const records = (await recordsByStream(dir)).get(fourth.stream)!;
    expect(records[0]!.sequence).toBeGreaterThan(100);
    const told = prunedRecords(records).map((record) => record.attributes['audit.pruned.stream']);
    expect(told[0]).toBe(fourth.stream);
    expect(told.toSorted()).toEqual(
      streams
        .map((one) => one.stream)
        .concat(fourth.stream)
        .toSorted(),
    );
    expect(prunedRecords(records)[0]!.attributes['audit.previous.stream']).toBe(third.stream);
    expect(errors).toEqual([]);
  });

  it('keeps what a receiver refused of a stream that goes', async () => {
    const first = open();
    await trade(first, 20);
    await first.close('shutdown');
    mkdirSync(join(first.directory, 'rejected'));
    writeFileSync(join(first.directory, 'rejected', 'one.json'), '{}');
    clock.advance(DAY_MS);
    const second = open();
    const { retention } = parts(second, { policy: { days: 0.5 } });
    expect(await retention.run()).toMatchObject({ removedSegments: 2, removedStreams: 0 });
    expect(readdirSync(first.directory).sort()).toEqual(['rejected', 'state']);
    expect(await retention.run()).toMatchObject({ removedSegments: 0 });
    await second.close('shutdown');
    await expectSound(['PRUNED']);
  });

  it.each([
    ['changed', (text: string) => text.replace('150.25', '151.25')],
    ['missing', (text: string) => text.split('\n').toSpliced(2, 1).join('\n')],
    ['no record', (text: string) => text.replace('{', 'x')],
  ])('leaves a stream alone where a record is %s: that is evidence', async (_, change) => {
    const journal = open();
    await trade(journal, 100);
    const { retention, seal, errors } = parts(journal, { policy: { maxSegments: 1 } });
    await seal();
    const names = segmentNames(journal.directory);
    const path = join(journal.directory, names[1]!);
    writeFileSync(path, zstdCompressSync(change(zstdDecompressSync(readFileSync(path)).toString())));
    expect(await retention.run()).toMatchObject({ removedSegments: 0, refusedStreams: 1 });
    expect(segmentNames(journal.directory)).toEqual(names);
    expect(errors).toHaveLength(1);
    await journal.close('shutdown');
  });

  it('an unclean end behind a pruning goes on in the same stream, with its state folder and without', async () => {
    const journal = open();
    await trade(journal, 100);
    const { retention, seal } = parts(journal, { policy: { maxSegments: 2 } });
    await seal();
    expect((await retention.run()).removedSegments).toBeGreaterThan(2);
    await trade(journal, 5);
    for (const lost of [[], ['frontier.json'], ['frontier.json', 'pruned.json', 'sealed.json']]) {
      const temporary = temporaryDirectory();
      cleanups.push(temporary.remove);
      const copy = copyAsCrashed(dir, temporary.path);
      for (const name of lost) rmSync(join(copy, 'streams', journal.streamId, 'state', name), { force: true });
      const again = openTestJournal(copy, { ...SMALL, clock });
      expect(again.recovered).toEqual({ records: journal.stats().records, cutBytes: 0 });
      // And retention goes on from there.
      await trade(again, 60);
      const result = await retainParts(copy, again, { policy: { maxSegments: 2 } }, undefined, clock).retention.run();
      expect(result).toMatchObject({ refusedStreams: 0 });
      expect(result.removedSegments).toBeGreaterThan(1);
      await again.close('shutdown');
      await expectSound(['PRUNED'], copy);
    }
    await journal.close('shutdown');
  });

  it('finishes a removal that was cut short, without a further record', async () => {
    const journal = open();
    await trade(journal, 100);
    const { retention } = parts(journal, { policy: { maxSegments: 2 } });
    const temporary = temporaryDirectory();
    cleanups.push(temporary.remove);
    const before = copyAsCrashed(dir, temporary.path);
    await retention.run();
    const names = segmentNames(journal.directory);
    // As if only the oldest had gone.
    const stream = join(before, 'streams', journal.streamId);
    const removed = segmentNames(stream).filter((name) => !names.includes(name));
    for (const name of removed.slice(1)) writeFileSync(join(journal.directory, name), readFileSync(join(stream, name)));
    expect((await retention.run()).removedSegments).toBe(removed.length - 1);
    expect(segmentNames(journal.directory)).toEqual(names);
    await journal.close('shutdown');
    await expectSound(['PRUNED']);
    expect(prunedRecords((await recordsByStream(dir)).get(journal.stream))).toHaveLength(1);
  });

  it('reads what is to go in a thread of its own, and refuses there as here', async () => {
    const journal = open();
    await trade(journal, 100);
    const onError = (error: unknown) => expect(error).toBeUndefined();
    const runner = new RetainWorker({ clock, onError });
    const { retention, seal, errors } = retainParts(dir, journal, { policy: { maxSegments: 4 } }, runner, clock);
    await seal();
    expect((await retention.run()).removedSegments).toBeGreaterThan(1);
    expect(errors).toEqual([]);
    const missing = {
      kind: 'look',
      stream: journal.stream,
      directory: join(dir, 'no'),
      live: true,
      shipping: false,
    } as const;
    expect(await runner.run(missing).catch((error) => error.code)).toBe('ENOENT');
    await runner.stop();
    await journal.close('shutdown');
    await expectSound(['PRUNED']);
  });

  it('calls that come together share one run', async () => {
    const journal = open();
    await trade(journal, 60);
    const { retention } = parts(journal, { policy: { maxSegments: 2 } });
    const [one, two] = await Promise.all([retention.run(), retention.run()]);
    expect(one).toBe(two);
    await journal.close('shutdown');
    expect(prunedRecords((await recordsByStream(dir)).get(journal.stream))).toHaveLength(1);
  });

  it('makes room by sealing first, then by what the policy says', async () => {
    const journal = open();
    await trade(journal, 100);
    const { retention, sealer } = parts(journal, { policy: { maxSegments: 4 } });
    sealer.checkpointed(journal.stats().lastCheckpoint!.size);
    expect(await retention.reclaim()).toBeGreaterThan(60_000);
    expect(segmentNames(journal.directory)).toHaveLength(4);
    expect(await retention.reclaim()).toBe(0);
    await journal.close('shutdown');
    await expectSound(['PRUNED']);
  });
});
