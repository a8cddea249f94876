import { appendFileSync, existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Journal, JournalOptions } from '../../src/audit/journal/journal.ts';
import {
  copyAsCrashed,
  eventNames,
  openTestJournal,
  recordsByStream,
  segmentPaths,
  temporaryDirectory,
  testEvent,
} from '../support/journal.ts';
import { verifyDirectory } from '../support/verify.ts';

let root: string;
let remove: () => void;
let copies = 0;
const open: Journal[] = [];
beforeEach(() => {
  ({ path: root, remove } = temporaryDirectory());
});
afterEach(() => {
  for (const journal of open.splice(0)) journal.closeSync('test');
  remove();
});

function start(dir: string, options: Partial<JournalOptions> = {}): Journal {
  const journal = openTestJournal(dir, { checkpointIntervalMs: 1_000_000, ...options });
  open.push(journal);
  return journal;
}

/** The data directory as `kill -9` at this moment would leave it; and where `journal`'s files are in it. */
function crash(dir: string, journal: Journal): { dir: string; directory: string } {
  const copy = copyAsCrashed(dir, join(root, `crash-${copies++}`));
  return { dir: copy, directory: join(copy, 'streams', journal.streamId) };
}

async function crashedJournal(options: Partial<JournalOptions> = {}, events = 10) {
  const dir = join(root, `data-${copies++}`);
  const journal = start(dir, options);
  for (let i = 0; i < events; i++) journal.append(testEvent(i));
  await journal.checkpoint();
  for (let i = 0; i < 5; i++) journal.append(testEvent(events + i));
  return { journal, ...crash(dir, journal) };
}

describe('after an unclean end', () => {
  it('the same stream goes on at the next number and says so first', async () => {
    const { journal, dir } = await crashedJournal();
    const next = start(dir);
    expect(next.stream).toBe(journal.stream);
    // Opened, 10 events, a checkpoint, 5 events.
    expect(next.recovered).toEqual({ records: 17, cutBytes: 0 });
    expect(next.append(testEvent(1)).sequence).toBe(18);
    await next.close('test');
    const records = (await recordsByStream(dir)).get(next.stream)!;
    expect(eventNames(records).slice(16)).toEqual([
      'risk.circuit_breaker.state_change',
      'audit.recovered',
      'risk.circuit_breaker.state_change',
      'audit.stream_closed',
      'audit.checkpoint',
    ]);
    expect(records[17]!.attributes).toMatchObject({ 'audit.recovered.records': 17, 'audit.recovered.cut_bytes': 0 });
    expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });

  it.each([1, 100, 500])('a torn last line of %i bytes is cut and counted', async (bytes) => {
    const { dir, directory } = await crashedJournal();
    const path = segmentPaths({ directory }).at(-1)!;
    appendFileSync(path, readFileSync(path).subarray(0, bytes));
    const next = start(dir);
    expect(next.recovered).toEqual({ records: 17, cutBytes: bytes });
    await next.close('test');
    expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });

  it('a last record that lacks only its newline stands', async () => {
    const { dir, directory } = await crashedJournal();
    const path = segmentPaths({ directory }).at(-1)!;
    truncateSync(path, readFileSync(path).length - 1);
    const next = start(dir);
    expect(next.recovered).toEqual({ records: 17, cutBytes: 0 });
    await next.close('test');
    expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });

  it('a segment that was begun and not written to is used', async () => {
    const { dir, directory } = await crashedJournal();
    writeFileSync(join(directory, '00000000000000000017.jsonl'), '');
    const next = start(dir);
    expect(next.recovered).toEqual({ records: 17, cutBytes: 0 });
    await next.close('test');
    expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });

  it('segments before the newest signed one need not be read, and are where the stored place does not fit', async () => {
    const { dir, directory } = await crashedJournal({ segmentMaxBytes: 3000 }, 50);
    const stored = join(directory, 'state', 'frontier.json');
    expect(existsSync(stored)).toBe(true);
    const unread = copyAsCrashed(dir, join(root, 'unread'));
    const place = JSON.parse(readFileSync(stored, 'utf8'));
    expect(place.size).toBeGreaterThan(20);
    // Bytes of the same length in a sealed file: only a start that reads it can tell.
    const old = segmentPaths({ directory })[1]!;
    const text = readFileSync(old, 'utf8').replace('"broker"', '"BROKER"');
    writeFileSync(old, text);
    expect(start(dir).recovered).toBeDefined();
    const other = join(unread, 'streams', directory.split('/').at(-1)!);
    rmSync(join(other, 'state', 'frontier.json'));
    const next = start(unread);
    expect(next.recovered).toBeDefined();
    await next.close('test');
    expect(await verifyDirectory(unread, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });

  it('of several dead streams the newest goes on and the others are closed as abandoned', async () => {
    const dir = join(root, 'data');
    const journals = [start(dir), start(dir), start(dir)];
    for (const journal of journals) journal.append(testEvent(0));
    expect(new Set(journals.map((one) => one.stream)).size).toBe(3);
    const crashed = crash(dir, journals[0]!);
    const next = start(crashed.dir);
    expect(next.stream).toBe(journals[2]!.stream);
    await next.close('test');
    const streams = await recordsByStream(crashed.dir);
    for (const { stream } of journals.slice(0, 2)) {
      const records = streams.get(stream)!;
      expect(eventNames(records).slice(-3)).toEqual(['audit.recovered', 'audit.stream_closed', 'audit.checkpoint']);
      expect(records.at(-2)!.attributes['audit.closed.reason']).toBe('abandoned');
    }
    expect(await verifyDirectory(crashed.dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });

  it('a stream whose writer lives is left alone', async () => {
    const dir = join(root, 'data');
    const living = start(dir);
    const other = start(dir);
    expect(other.stream).not.toBe(living.stream);
    expect(other.recovered).toBeUndefined();
    expect(living.append(testEvent(0)).sequence).toBe(1);
  });

  it('a closed stream that lacks its last checkpoint gets it, and is not gone on with', async () => {
    const dir = join(root, 'data');
    const journal = start(dir);
    journal.append(testEvent(0));
    await journal.close('test');
    const { dir: copy, directory } = crash(dir, journal);
    const path = segmentPaths({ directory })[0]!;
    const lines = readFileSync(path, 'utf8').split('\n');
    writeFileSync(path, `${lines.slice(0, 3).join('\n')}\n`);
    rmSync(join(directory, 'checkpoint'));
    const next = start(copy);
    expect(next.stream).not.toBe(journal.stream);
    await next.close('test');
    expect(eventNames((await recordsByStream(copy)).get(journal.stream)).slice(-2)).toEqual([
      'audit.stream_closed',
      'audit.checkpoint',
    ]);
    expect(await verifyDirectory(copy, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });
});

describe('a damaged stream is left as it is, reported once, and named by a new one', () => {
  async function expectNewStream(dir: string, damaged: Journal, directory: string, reason: RegExp) {
    const before = segmentPaths({ directory }).map((path) => readFileSync(path, 'utf8'));
    const errors: string[] = [];
    const onError = (error: unknown, what: string) => void errors.push(`${what}: ${(error as Error).message}`);
    const next = start(dir, { onError });
    expect(next.stream).not.toBe(damaged.stream);
    expect(next.recovered).toBeUndefined();
    expect(errors).toEqual([expect.stringMatching(reason)]);
    expect(errors[0]).toContain(damaged.stream);
    await next.close('test');
    expect(segmentPaths({ directory }).map((path) => readFileSync(path, 'utf8'))).toEqual(before);
    const opened = (await recordsByStream(dir)).get(next.stream)![0]!;
    expect(opened.attributes['audit.previous.stream']).toBe(damaged.stream);
    await start(dir, { onError }).close('test');
    expect(errors).toHaveLength(1);
  }

  it('where bytes changed in the middle', async () => {
    const { journal, dir, directory } = await crashedJournal();
    const path = segmentPaths({ directory })[0]!;
    writeFileSync(path, readFileSync(path, 'utf8').replace('"broker"', '"BROKER"'));
    await expectNewStream(dir, journal, directory, /record 1 was changed/);
  });

  it('where a line in the middle is no record', async () => {
    const { journal, dir, directory } = await crashedJournal();
    const path = segmentPaths({ directory })[0]!;
    const lines = readFileSync(path, 'utf8').split('\n');
    writeFileSync(path, lines.with(3, lines[3]!.slice(0, 100)).join('\n'));
    await expectNewStream(dir, journal, directory, /no record/);
  });

  it('where a number is missing', async () => {
    const { journal, dir, directory } = await crashedJournal();
    const path = segmentPaths({ directory })[0]!;
    const lines = readFileSync(path, 'utf8').split('\n');
    writeFileSync(path, lines.toSpliced(3, 1).join('\n'));
    await expectNewStream(dir, journal, directory, /record 3 is missing/);
  });

  it('where records below a signed size are gone', async () => {
    const { journal, dir, directory } = await crashedJournal();
    const path = segmentPaths({ directory })[0]!;
    const lines = readFileSync(path, 'utf8').split('\n');
    writeFileSync(path, `${lines.slice(0, 8).join('\n')}\n`);
    await expectNewStream(dir, journal, directory, /below a signed size of 11 are missing/);
    expect((await verifyDirectory(dir)).findings).toContain('TRUNCATED');
  });

  it('where the records are whole but not those that were signed', async () => {
    const { journal, dir, directory } = await crashedJournal();
    // Another history of the same stream: its first records are another run's.
    const path = segmentPaths({ directory })[0]!;
    const note = readFileSync(join(directory, 'checkpoint'), 'utf8');
    writeFileSync(join(directory, 'checkpoint'), note.replace(/\n11\n.{4}/, '\n11\nAAAA'));
    expect(readFileSync(path, 'utf8')).toContain(note.split('\n')[2]!);
    await expectNewStream(dir, journal, directory, /not those that were signed/);
  });
});
