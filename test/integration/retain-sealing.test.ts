import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { listStreams } from '../../src/audit/journal/streams.ts';
import { createRetainThread, RetainWorker } from '../../src/audit/retain/retain-worker.ts';
import { createSystemClock } from '../../src/core/clock.ts';
import { copyAsCrashed, eventNames, openTestJournal, recordsByStream, temporaryDirectory } from '../support/journal.ts';
import { appendMany, retainParts, segmentNames } from '../support/retain-parts.ts';
import { verifyDirectory } from '../support/verify.ts';

const SMALL = { segmentMaxBytes: 20_000, checkpointIntervalMs: 3_600_000 };

describe('sealing', () => {
  let dir: string;
  let remove: () => void;
  const more: (() => void)[] = [];
  beforeEach(() => {
    ({ path: dir, remove } = temporaryDirectory());
  });
  afterEach(() => {
    for (const one of [remove, ...more.splice(0)]) one();
  });
  const crashed = (): string => {
    const { path, remove: gone } = temporaryDirectory();
    more.push(gone);
    return copyAsCrashed(dir, path);
  };

  it('compresses every closed segment that a checkpoint covers, and only those; every record is still read', async () => {
    const journal = openTestJournal(dir, SMALL);
    const { seal, sealer, errors } = retainParts(dir, journal);
    appendMany(journal, 100);
    const before = await recordsByStream(dir);
    expect(await sealer.sealLive()).toBe(0);
    expect(await seal()).toBeGreaterThan(20_000);
    const names = segmentNames(journal.directory);
    expect(names.filter((name) => name.endsWith('.zst')).length).toBeGreaterThan(3);
    expect(names.filter((name) => !name.endsWith('.zst'))).toEqual([names.at(-1)]);
    const after = await recordsByStream(dir);
    const ids = (records: typeof after) => records.get(journal.stream)!.map((record) => record.recordId);
    expect(ids(after).slice(0, ids(before).length)).toEqual(ids(before));
    await journal.close('shutdown');
    expect(await verifyDirectory(dir)).toEqual({ exitCode: 0, findings: [] });
    expect(errors).toEqual([]);
  });

  it('writes one frame with a checksum, of at most 125 bytes a record', async () => {
    const journal = openTestJournal(dir, { checkpointIntervalMs: 3_600_000, segmentMaxBytes: 1_000_000 });
    const { seal } = retainParts(dir, journal);
    appendMany(journal, 3_000);
    await seal();
    const path = join(journal.directory, segmentNames(journal.directory)[0]!);
    const bytes = readFileSync(path);
    const text = zstdDecompressSync(bytes).toString();
    expect(bytes[4]! & 4).toBe(4);
    expect(bytes.length / text.trimEnd().split('\n').length).toBeLessThan(125);
    await journal.close('shutdown');
  });

  it('runs in a thread of its own; after a death of that it waits a while and goes on in a new one', async () => {
    const journal = openTestJournal(dir, SMALL);
    const told: string[] = [];
    let now = 0;
    const clock = { ...createSystemClock(), monotonic: () => now };
    const dying = () =>
      new Worker("require('worker_threads').parentPort.on('message', () => process.exit(7))", { eval: true });
    const threads = [dying, createRetainThread];
    const onError = (error: unknown) => told.push((error as Error).message);
    const runner = new RetainWorker({ clock, onError, createWorker: () => threads.shift()!() });
    const { seal, sealer, errors } = retainParts(dir, journal, {}, runner, clock);
    appendMany(journal, 60);
    expect(await seal()).toBe(0);
    expect(told).toEqual(['the thread ended with status 7']);
    expect(await runner.run({ kind: 'seal', directory: dir, stream: '', below: 0 }).catch(String)).toContain(
      'a moment ago',
    );
    expect(await sealer.sealLive()).toBe(0);
    expect(errors).toEqual([`sealing of stream ${journal.stream}: the thread ended with status 7`]);
    now += 60_000;
    expect(await sealer.sealLive()).toBeGreaterThan(0);
    await runner.stop();
    expect(threads).toEqual([]);
    await journal.close('shutdown');
    expect((await verifyDirectory(dir)).exitCode).toBe(0);
  });

  it('of streams that ended is done at the next start; the newest of them is still named as the previous one', async () => {
    const first = openTestJournal(dir, SMALL);
    appendMany(first, 60);
    await first.close('shutdown');
    const second = openTestJournal(dir, SMALL);
    const { sealer, errors } = retainParts(dir, second);
    expect(await sealer.sealEnded()).toBeGreaterThan(0);
    expect(segmentNames(first.directory).every((name) => name.endsWith('.zst'))).toBe(true);
    await second.close('shutdown');
    const third = openTestJournal(dir, SMALL);
    await retainParts(dir, third).sealer.sealEnded();
    await third.close('shutdown');
    const records = await recordsByStream(dir);
    expect(records.get(second.stream)![0]!.attributes['audit.previous.stream']).toBe(first.stream);
    expect(records.get(third.stream)![0]!.attributes['audit.previous.stream']).toBe(second.stream);
    expect(listStreams(dir, 'bot').map((entry) => entry.status)).toEqual(['closed', 'closed', 'closed']);
    // Without the sealer's note the files themselves say it.
    rmSync(join(first.directory, 'state', 'sealed.json'));
    expect(listStreams(dir, 'bot').map((entry) => entry.status)).toEqual(['closed', 'closed', 'closed']);
    expect(await verifyDirectory(dir)).toEqual({ exitCode: 0, findings: [] });
    expect(errors).toEqual([]);
  });

  it('leaves streams alone that another process writes', async () => {
    const other = openTestJournal(dir, SMALL);
    appendMany(other, 60);
    const mine = openTestJournal(dir, SMALL);
    expect(mine.stream).not.toBe(other.stream);
    expect(await retainParts(dir, mine).sealer.sealEnded()).toBe(0);
    expect(segmentNames(other.directory).some((name) => name.endsWith('.zst'))).toBe(false);
    await other.close('shutdown');
    await mine.close('shutdown');
  });

  it('goes on where a dead process left both forms, a temporary file, or a sealed one that does not read back', async () => {
    const journal = openTestJournal(dir, SMALL);
    const { seal, sealer, errors } = retainParts(dir, journal);
    appendMany(journal, 100);
    const [one, two, three] = segmentNames(journal.directory).map((name) => join(journal.directory, name));
    writeFileSync(`${one}.zst`, zstdCompressSync(readFileSync(one!)));
    writeFileSync(`${two}.zst`, zstdCompressSync(readFileSync(three!)));
    writeFileSync(`${three}.zst.tmp`, 'half');
    await seal();
    expect(existsSync(one!)).toBe(false);
    expect(errors).toEqual([
      `sealing of a segment: ${two}: the compressed file does not read back as the plain one; it was removed`,
    ]);
    expect([existsSync(two!), existsSync(`${two}.zst`)]).toEqual([true, false]);
    expect(existsSync(three!)).toBe(false);
    expect(readdirSync(journal.directory).some((name) => name.endsWith('.tmp'))).toBe(false);
    expect(sealer.stats().failures).toBe(1);
    await journal.close('shutdown');
    expect((await verifyDirectory(dir)).exitCode).toBe(0);
  });

  it('an unclean end goes on in the same stream, its sealed segments unopened', async () => {
    const journal = openTestJournal(dir, SMALL);
    const { seal } = retainParts(dir, journal);
    appendMany(journal, 100);
    await seal();
    appendMany(journal, 5, 100);
    const copy = crashed();
    const stream = join(copy, 'streams', journal.streamId);
    const sealed = segmentNames(stream).filter((name) => name.endsWith('.zst'));
    // Same length, other content: had it been read, the stream would be damaged.
    for (const name of sealed) writeFileSync(join(stream, name), Buffer.alloc(statSync(join(stream, name)).size));
    const again = openTestJournal(copy, SMALL);
    expect(again.stream).toBe(journal.stream);
    expect(again.recovered).toEqual({ records: journal.stats().records, cutBytes: 0 });
    again.closeSync('shutdown');
    await journal.close('shutdown');
  });

  it.each(['frontier.json', 'sealed.json'])(
    'an unclean end without state/%s: the sealed segments are read',
    async (name) => {
      const journal = openTestJournal(dir, SMALL);
      const { seal } = retainParts(dir, journal);
      appendMany(journal, 100);
      await seal();
      const copy = crashed();
      rmSync(join(copy, 'streams', journal.streamId, 'state', name));
      const again = openTestJournal(copy, SMALL);
      expect(again.recovered).toEqual({ records: journal.stats().records, cutBytes: 0 });
      await again.close('shutdown');
      const { exitCode, findings } = await verifyDirectory(copy);
      expect([exitCode, findings]).toEqual([0, []]);
      expect(eventNames((await recordsByStream(copy)).get(journal.stream))).toContain('audit.recovered');
      await journal.close('shutdown');
    },
  );

  it.each([
    ['shorter', (bytes: Buffer) => bytes.subarray(0, bytes.length - 9)],
    ['changed and of another length', (bytes: Buffer) => zstdCompressSync(zstdDecompressSync(bytes).subarray(1))],
  ])('a sealed segment that is %s makes the stream a damaged one, which is not gone on with', async (_, change) => {
    const journal = openTestJournal(dir, SMALL);
    const { seal } = retainParts(dir, journal);
    appendMany(journal, 100);
    await seal();
    const copy = crashed();
    const path = join(copy, 'streams', journal.streamId, segmentNames(journal.directory)[1]!);
    writeFileSync(path, change(readFileSync(path)));
    const told: string[] = [];
    const again = openTestJournal(copy, { ...SMALL, onError: (error) => told.push((error as Error).message) });
    expect(again.stream).not.toBe(journal.stream);
    expect(told).toHaveLength(1);
    again.closeSync('shutdown');
    await journal.close('shutdown');
  });
});
