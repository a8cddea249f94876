import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openNote, parseCheckpoint, parseVerifierKeys } from '../../src/audit/proof/note.ts';
import { createManualClock } from '../../src/core/clock.ts';
import {
  eventNames,
  openTestJournal,
  recordsByStream,
  segmentPaths,
  temporaryDirectory,
  testEvent,
} from '../support/journal.ts';
import { verifyDirectory } from '../support/verify.ts';

let dir: string;
let remove: () => void;
beforeEach(() => {
  ({ path: dir, remove } = temporaryDirectory());
});
afterEach(() => remove());

/** The checkpoint in a stream's file, its signature checked. */
function checkpointFile(directory: string) {
  const keys = parseVerifierKeys(readFileSync(join(dir, 'verifier.vkey'), 'utf8'));
  const opened = openNote(readFileSync(join(directory, 'checkpoint'), 'utf8'), keys);
  return 'text' in opened ? parseCheckpoint(opened.text) : opened.error;
}

describe('a journal', () => {
  it('records events and closes so that the last checkpoint covers everything', async () => {
    const journal = openTestJournal(dir);
    expect(journal.recovered).toBeUndefined();
    const results = [0, 1, 2].map((index) => journal.append(testEvent(index)));
    expect(results.map((one) => one.sequence)).toEqual([1, 2, 3]);
    await journal.close('test');
    const records = (await recordsByStream(dir)).get(journal.stream)!;
    expect(eventNames(records)).toEqual([
      'audit.stream_opened',
      ...Array(3).fill('risk.circuit_breaker.state_change'),
      'audit.stream_closed',
      'audit.checkpoint',
    ]);
    expect(records[1]!.recordId).toBe(results[0]!.recordId);
    expect(records[0]!.attributes).toMatchObject({
      'audit.format.version': 1,
      'audit.verifier.key': journal.vkey,
      'audit.config.digest': expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
    });
    expect(checkpointFile(journal.directory)).toMatchObject({ origin: journal.stream, size: 5 });
    expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });

  it('holds a record in the file when `append` returns', () => {
    const journal = openTestJournal(dir);
    const { recordId } = journal.append(testEvent(1));
    expect(readFileSync(segmentPaths(journal)[0]!, 'utf8')).toContain(recordId);
    journal.closeSync('test');
  });

  it('closes at once where there is no time to wait, with a checkpoint under way', async () => {
    const journal = openTestJournal(dir);
    for (let i = 0; i < 10; i++) journal.append(testEvent(i));
    const underWay = journal.checkpoint();
    journal.closeSync('exit');
    await underWay;
    expect(checkpointFile(journal.directory)).toMatchObject({ size: 12 });
    expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });

  it('shares one promise between calls of close, and takes no record behind it', async () => {
    const errors: unknown[] = [];
    const journal = openTestJournal(dir, { onError: (error) => errors.push(error) });
    const first = journal.close('a');
    expect(journal.close('b')).toBe(first);
    await first;
    journal.closeSync('c');
    expect(journal.append(testEvent(1))).toEqual({ recordId: '', sequence: undefined, state: 'lost' });
    expect(journal.append(testEvent(2)).sequence).toBeUndefined();
    expect(errors).toHaveLength(1);
    expect(journal.stats()).toMatchObject({ lostRecords: 2, records: 3, uncheckpointed: 0 });
    await journal.sync();
    expect(eventNames((await recordsByStream(dir)).get(journal.stream))).toHaveLength(3);
  });

  it('takes records while it is closing', async () => {
    const journal = openTestJournal(dir);
    journal.append(testEvent(0));
    journal.requestCheckpoint();
    const closed = journal.close('a');
    expect(journal.append(testEvent(1)).sequence).toBeDefined();
    await closed;
    expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });

  it('never goes on with a closed stream; the next one names it and its last checkpoint', async () => {
    const first = openTestJournal(dir);
    await first.close('test');
    const second = openTestJournal(dir);
    await second.close('test');
    const third = openTestJournal(dir);
    await third.close('test');
    const streams = await recordsByStream(dir);
    expect(streams.size).toBe(3);
    for (const [previous, next] of [
      [first, second],
      [second, third],
    ] as const) {
      expect(streams.get(next.stream)![0]!.attributes).toMatchObject({
        'audit.previous.stream': previous.stream,
        'audit.previous.checkpoint': readFileSync(join(previous.directory, 'checkpoint'), 'utf8'),
      });
    }
    expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });

  it('keeps apart the services that share a directory', async () => {
    const bot = openTestJournal(dir);
    await bot.close('test');
    const other = openTestJournal(dir, { serviceName: 'other bot/ü' });
    await other.close('test');
    expect(other.stream).toMatch(/^other_bot__\/[0-9a-f-]{36}$/);
    const opened = (await recordsByStream(dir)).get(other.stream)![0]!;
    expect(opened.attributes).not.toHaveProperty('audit.previous.stream');
    expect(readFileSync(join(dir, 'verifier.vkey'), 'utf8')).toBe(`${other.vkey}\n${bot.vkey}\n`);
    expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });

  it('makes its files for their owner alone', () => {
    const journal = openTestJournal(dir);
    journal.closeSync('test');
    const mode = (path: string) => statSync(path).mode & 0o777;
    expect(mode(journal.directory)).toBe(0o700);
    expect(mode(segmentPaths(journal)[0]!)).toBe(0o600);
    expect(mode(join(journal.directory, 'checkpoint'))).toBe(0o600);
  });

  it('never lets time run backwards within a stream, not even over a restart', async () => {
    const clock = createManualClock(1_700_000_000_000);
    const journal = openTestJournal(dir, { clock });
    journal.append(testEvent(0, { timeUnixNano: '1800000000000000000' }));
    journal.append(testEvent(1, { timeUnixNano: '1750000000000000000' }));
    journal.append(testEvent(2, { timeUnixNano: 'nonsense' }));
    journal.append(testEvent(3, { timeUnixNano: '1800000000000000001' }));
    await journal.close('test');
    const records = (await recordsByStream(dir)).get(journal.stream)!;
    expect(records.slice(1, 6).map((record) => record.time.slice(-2))).toEqual(['00', '00', '00', '01', '01']);
  });

  it('tells of each record that it wrote, and survives listeners that throw or emit themselves', async () => {
    const told: string[] = [];
    const errors: string[] = [];
    const journal = openTestJournal(dir, {
      onError: (_, what) => void errors.push(what),
      onAppended({ eventName, sequence, bytes }) {
        expect(bytes).toBeGreaterThan(100);
        told.push(`${sequence} ${eventName}`);
        if (eventName === 'order.placed') journal.append(testEvent(0, { eventName: 'order.echo' }));
        if (eventName === 'order.bad') throw new Error('listener');
      },
    });
    journal.append(testEvent(0, { eventName: 'order.placed' }));
    journal.append(testEvent(0, { eventName: 'order.bad' }));
    const getter = {
      get x() {
        journal.append(testEvent(0, { eventName: 'order.nested' }));
        return 1;
      },
    };
    journal.append(testEvent(0, { eventName: 'order.getter', attributes: getter }));
    expect(told.slice(1)).toEqual([
      '1 order.placed',
      '2 order.echo',
      '3 order.bad',
      '4 order.getter',
      '5 order.nested',
    ]);
    expect(errors).toEqual(['listener']);
    await journal.close('test');
    expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });
});

describe('checkpoints', () => {
  const sizes = async (stream: string) =>
    (await recordsByStream(dir))
      .get(stream)!
      .filter((record) => record.eventName === 'audit.checkpoint')
      .map((record) => Number(String(record.attributes['audit.checkpoint']).split('\n')[1]));

  it('are due after so many records', async () => {
    const journal = openTestJournal(dir, { checkpointRecords: 10, checkpointIntervalMs: 1_000_000 });
    for (let i = 0; i < 8; i++) journal.append(testEvent(i));
    expect(journal.stats()).toMatchObject({ checkpoints: 0, uncheckpointed: 9 });
    journal.append(testEvent(9));
    // The tenth record began one; this call waits for it and finds nothing more to do, or covers the rest.
    expect(await journal.checkpoint()).toMatchObject({ size: 10 });
    expect(journal.stats()).toMatchObject({ uncheckpointed: 0, checkpoints: 1 });
    await journal.close('test');
  });

  it('are due so long after the first record that none covers', async () => {
    const journal = openTestJournal(dir, { checkpointIntervalMs: 5 });
    journal.append(testEvent(0));
    await expect.poll(() => journal.stats().lastCheckpoint?.size).toBe(2);
    journal.append(testEvent(1));
    await expect.poll(() => journal.stats().lastCheckpoint?.size).toBe(4);
    await journal.close('test');
    expect(await sizes(journal.stream)).toEqual([2, 4, 6]);
  });

  it('are not made while nothing but checkpoints is uncovered', async () => {
    const journal = openTestJournal(dir);
    journal.append(testEvent(0));
    const first = await journal.checkpoint();
    expect(first).toMatchObject({ size: 2 });
    expect(await journal.checkpoint()).toBe(first);
    expect(await journal.checkpoint()).toBe(first);
    expect(journal.stats().records).toBe(3);
    await journal.close('test');
  });

  it('cover what was appended before the request, also when one is under way', async () => {
    const journal = openTestJournal(dir);
    journal.requestCheckpoint();
    journal.append(testEvent(0));
    const size = journal.stats().records;
    const second = journal.checkpoint();
    journal.append(testEvent(1));
    expect((await second)!.size).toBeGreaterThanOrEqual(size);
    await journal.close('test');
    expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });

  it('go on over segments that are closed meanwhile, without a gap and each above the one before', async () => {
    const journal = openTestJournal(dir, { segmentMaxBytes: 4000, checkpointRecords: 7 });
    let underWay: Promise<unknown> = Promise.resolve();
    for (let i = 0; i < 300; i++) {
      journal.append(testEvent(i));
      // Twenty records, so several segments, come while one checkpoint is being made.
      if (i % 20 === 0) {
        await underWay;
        underWay = journal.checkpoint();
      }
    }
    await journal.close('test');
    expect(segmentPaths(journal).length).toBeGreaterThan(50);
    const found = await sizes(journal.stream);
    // Every second one finds its records covered: the one before it was made when they stood already.
    expect(found.length).toBeGreaterThan(6);
    expect(found).toEqual([...new Set(found)].toSorted((a, b) => a - b));
    const records = (await recordsByStream(dir)).get(journal.stream)!;
    const sealed = records.filter((record) => record.eventName === 'audit.segment_sealed');
    expect(sealed).toHaveLength(segmentPaths(journal).length - 1);
    let next = 0;
    for (const { attributes } of sealed) {
      expect(attributes['audit.segment.first_sequence']).toBe(next);
      next = Number(attributes['audit.segment.last_sequence']) + 1;
    }
    expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });
});
