import { appendFileSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ReconcileOptions, reconcileTrail } from '../../src/audit/reconcile/reconcile.ts';
import { formatReconcileReport } from '../../src/audit/reconcile/report.ts';
import { reconciledThrough } from '../../src/audit/retain/reconciled-position.ts';
import { reshipRecords } from '../../src/audit/ship/reship.ts';
import { readShipperSettings } from '../../src/audit/ship/settings.ts';
import { addReconcileCommand } from '../../src/cli/commands/reconcile.ts';
import { createManualClock } from '../../src/core/clock.ts';
import { runCommand } from '../support/command.ts';
import { type FakeLoki, startFakeLoki } from '../support/fake-loki.ts';
import { openTestJournal, segmentPaths, temporaryDirectory, testEvent } from '../support/journal.ts';
import { startReceiver } from '../support/otlp-receiver.ts';
import {
  journalOf,
  lineOf,
  MadeKey,
  type MadeRecord,
  type MadeStream,
  makeDirectory,
  makeStream,
  reseal,
} from '../support/trail-maker.ts';

const KEY = new MadeKey('bot');
const ONE = '9daa6223-bff6-4d4e-8c73-7bd8062153f2';
const TWO = 'a63d8b4d-5a4c-4a44-8501-9bc29b4b1ded';
const NOW_MS = Date.parse('2025-11-21T02:00:00.000Z');

const made: string[] = [];
let loki: FakeLoki;
beforeEach(async () => {
  loki = await startFakeLoki();
});
afterEach(() => {
  loki.close();
  for (const directory of made.splice(0)) rmSync(directory, { recursive: true, force: true });
});
function directoryOf(files: Parameters<typeof makeDirectory>[0]): string {
  const directory = makeDirectory(files);
  made.push(directory);
  return directory;
}

/** A data directory: journals with their `state` folders. */
function dataDirOf(...streams: readonly (readonly [MadeStream, (readonly MadeRecord[])?])[]): string {
  const files: Record<string, string> = {};
  for (const [stream, records] of streams) {
    Object.assign(files, journalOf(stream, records), { [`streams/${stream.uuid}/state/x`]: '' });
  }
  return directoryOf(files);
}

/** A Collector's file: records grouped by threes. */
function collectorOf(records: readonly MadeRecord[]): string {
  let text = '';
  for (let at = 0; at < records.length; at += 3) text += lineOf(...records.slice(at, at + 3));
  return directoryOf({ 'audit.jsonl': text });
}

function toLoki(records: readonly MadeRecord[], service = 'bot'): void {
  for (const { attributes, time, body, claim } of records) {
    const labels: Record<string, string> = { service_name: service, audit_integrity_value: claim ?? '' };
    for (const [name, value] of Object.entries(attributes)) labels[name.replaceAll('.', '_')] = String(value);
    loki.entries.push({ timeNs: time, line: body, labels });
  }
}

const reconcile = async (directory: string, options: Partial<ReconcileOptions>) =>
  reconcileTrail({ directory, clock: createManualClock(NOW_MS), ...options });
const noteOf = (directory: string, stream: MadeStream) =>
  JSON.parse(readFileSync(join(directory, 'streams', stream.uuid, 'state/reconciled.json'), 'utf8'));
const range = (first: number, last: number) => ({ first, last });

describe('reconciling the journal with a Collector’s files', () => {
  it('finds whole copies whole, in any order, repeated and compressed, and notes it for retention', async () => {
    const stream = makeStream(KEY, ONE, 40);
    const directory = dataDirOf([stream]);
    const files = directoryOf({
      'b.jsonl': stream.records
        .slice(0, 25)
        .toReversed()
        .map((record) => lineOf(record))
        .join(''),
      'a.jsonl.zst': zstdCompressSync(lineOf(...stream.records.slice(20))),
      'other.jsonl': lineOf(...makeStream(new MadeKey('other'), TWO).records),
    });
    const { report, repairs } = await reconcile(directory, { files: [files] });
    expect(report).toMatchObject({ ok: true, exitStatus: 0 });
    expect(report.streams).toHaveLength(1);
    expect(report.streams[0]).toMatchObject({
      stream: stream.name,
      size: 40,
      pruned: 0,
      shippedThrough: null,
      reconciledThrough: 40,
      copies: [
        { copy: 'journal', records: 40, held: [range(0, 39)], missing: [], twice: [], differing: [] },
        { copy: 'files', records: 40, held: [range(0, 39)], missing: [], twice: [range(20, 24)], twiceRecords: 5 },
      ],
    });
    expect(repairs).toEqual([]);
    expect(noteOf(directory, stream)).toEqual({
      ...{ version: 1, stream: stream.name, sequence: 40, at: '2025-11-21T02:00:00.000Z' },
      copies: [{ copy: 'files', sequence: 40 }],
    });
    expect(formatReconcileReport(report)).toContain('WHOLE');
  });

  it('tells by ranges what a copy lacks, and what could be shipped again', async () => {
    const stream = makeStream(KEY, ONE, 40);
    const directory = dataDirOf([stream, stream.records.filter((_, index) => index !== 12)]);
    const files = collectorOf(stream.records.filter((_, index) => index < 10 || (index > 14 && index < 30)));
    const { report, repairs } = await reconcile(directory, { files: [files] });
    expect(report.exitStatus).toBe(2);
    const [journal, copy] = report.streams[0]!.copies;
    expect(journal).toMatchObject({ missing: [range(12, 12)], missingRecords: 1 });
    expect(copy).toMatchObject({ missing: [range(10, 14), range(30, 39)], missingRecords: 15 });
    expect(repairs).toEqual([
      {
        stream: stream.name,
        directory: join(directory, 'streams', ONE),
        ranges: [range(10, 11), range(13, 14), range(30, 39)],
      },
    ]);
    expect(noteOf(directory, stream)).toMatchObject({ sequence: 10 });
    expect(reconciledThrough(join(directory, 'streams', ONE), stream.name)).toBe(10);
    expect(formatReconcileReport(report)).toContain('lacks 15 (10–14, 30–39)');
  });

  it('finds records that were changed in either, with their hash or without it', async () => {
    const stream = makeStream(KEY, ONE, 40);
    const copy = structuredClone(stream.records) as MadeRecord[];
    copy[5]!.body = 'changed without its hash';
    copy[7]!.body = 'changed with its hash';
    reseal(copy[7]!);
    const journal = structuredClone(stream.records) as MadeRecord[];
    journal[20]!.body = 'changed in the journal';
    const directory = dataDirOf([stream, journal]);
    const { report } = await reconcile(directory, { files: [collectorOf(copy)] });
    expect(report.exitStatus).toBe(1);
    expect(report.streams[0]!.copies.map(({ differing }) => differing)).toEqual([
      [range(20, 20)],
      [range(5, 5), range(7, 7)],
    ]);
    expect(noteOf(directory, stream)).toMatchObject({ sequence: 5 });
    expect(formatReconcileReport(report)).toContain('DISAGREEING');
  });

  it('takes what retention removed for no loss of the journal, and reconciles from what is left on', async () => {
    const stream = makeStream(KEY, ONE, 30);
    stream.records.splice(28);
    stream.pruned(stream, 13);
    stream.checkpoint();
    const directory = dataDirOf([stream, stream.records.slice(13)]);
    const whole = await reconcile(directory, { files: [collectorOf(stream.records)] });
    expect(whole.report).toMatchObject({ exitStatus: 0, streams: [{ pruned: 13, reconciledThrough: 30 }] });
    const later = await reconcile(directory, { files: [collectorOf(stream.records.slice(13))] });
    expect(later.report).toMatchObject({ exitStatus: 2, streams: [{ reconciledThrough: 30 }] });
    // The journal can't mend that.
    expect(later.repairs).toEqual([]);
  });

  it('finds a stream that the journal has lost', async () => {
    const [one, two] = [makeStream(KEY, ONE), makeStream(KEY, TWO)];
    const { report } = await reconcile(dataDirOf([one]), { files: [collectorOf([...one.records, ...two.records])] });
    expect(report).toMatchObject({ exitStatus: 2, streams: [{ stream: one.name }, { stream: two.name }] });
    expect(report.streams[1]!.copies[0]).toMatchObject({ records: 0, missing: [range(0, 39)] });
  });

  it('doesn’t mistake what a running writer adds meanwhile for a loss of the journal', async () => {
    const stream = makeStream(KEY, ONE, 40);
    const directory = dataDirOf([stream, stream.records.slice(0, 30)]);
    const segment = join(directory, `streams/${ONE}/00000000000000000015.jsonl`);
    const rest = stream.records
      .slice(30)
      .map((record) => lineOf(record))
      .join('');
    toLoki(stream.records);
    // The journal grows while Loki is asked.
    const { push } = loki.requests;
    loki.requests.push = (...requests) => {
      if (loki.requests.length === 0) appendFileSync(segment, rest);
      return push.apply(loki.requests, requests);
    };
    const { report } = await reconcile(directory, { loki: { url: loki.url } });
    expect(report).toMatchObject({ exitStatus: 0, streams: [{ size: 40, copies: [{ records: 40, twice: [] }, {}] }] });
  });

  it('needs something to compare with, and a trail', async () => {
    const stream = makeStream(KEY, ONE);
    await expect(reconcile(dataDirOf([stream]), {})).rejects.toMatchObject({ code: 'OPTION_INVALID' });
    const files = [collectorOf(stream.records)];
    await expect(reconcile(directoryOf({}), { files })).rejects.toMatchObject({ code: 'NO_TRAIL_FILES' });
    const directory = directoryOf(journalOf(stream));
    const warnings: string[] = [];
    await reconcile(directory, { files, onWarning: (message) => void warnings.push(message) });
    expect(warnings[0]).toContain('reconciled.json was not written');
    await reconcile(directory, { files, note: false });
    expect(warnings).toHaveLength(1);
  });
});

describe('reconciling the journal with Loki', () => {
  it('pages through it, whatever falls on a page’s border', async () => {
    const stream = makeStream(KEY, ONE, 60);
    // Times in groups: some pages end within one, one group is larger than a page.
    stream.records.forEach((record, index) => {
      const group = index < 20 ? Math.floor(index / 3) : index < 35 ? 7 : index;
      record.time = `${1_763_690_000_000_000_000n + BigInt(group) * 1_000_000n}`;
      reseal(record);
    });
    const directory = dataDirOf([stream]);
    toLoki(stream.records);
    toLoki(makeStream(KEY, TWO).records);
    for (const limit of [1, 2, 4, 5, 7, 59, 60, 61, 5000]) {
      const { report } = await reconcile(directory, { loki: { url: `${loki.url}/`, limit } });
      expect(report, `pages of ${limit}`).toMatchObject({
        exitStatus: 0,
        streams: [{ copies: [{}, { records: 60, twice: [] }] }],
      });
    }
    expect(existsSync(join(directory, 'streams', ONE, 'state/reconciled.json'))).toBe(false);
  });

  it('tells what it lacks, has twice and has otherwise', async () => {
    const stream = makeStream(KEY, ONE, 40);
    const directory = dataDirOf([stream]);
    const records = structuredClone(stream.records) as MadeRecord[];
    records[9]!.claim = records[8]!.claim;
    toLoki([...records.slice(0, 20), ...records.slice(25), records[3]!]);
    const { report, repairs } = await reconcile(directory, { loki: { url: loki.url } });
    expect(report.exitStatus).toBe(1);
    expect(report.streams[0]!.copies[1]).toMatchObject({
      ...{ copy: 'loki', missing: [range(20, 24)], twice: [range(3, 3)], differing: [range(9, 9)] },
    });
    expect(repairs[0]!.ranges).toEqual([range(20, 24)]);
  });

  it('asks day by day, by the service’s own name, with the given headers and user', async () => {
    const stream = makeStream(new MadeKey('my_bot'), ONE, 40);
    const DAY_NS = 86_400_000_000_000n;
    stream.records.forEach((record, index) => {
      record.time = `${1_763_690_000_000_000_000n + (BigInt(index) * DAY_NS) / 10n}`;
      reseal(record);
    });
    const files = Object.entries(journalOf(stream)).map(([name, text]) => [
      name,
      text.replaceAll(
        '{"scopeLogs"',
        '{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"my bot"}}]},"scopeLogs"',
      ),
    ]);
    toLoki(stream.records, 'my bot');
    loki.failures.push(503, 0, 429);
    const { report } = await reconcile(directoryOf(Object.fromEntries(files)), {
      loki: { url: loki.url.replace('//', '//me:secret@'), headers: { 'X-Scope-OrgID': 'desk' }, retryMs: 1 },
    });
    expect(report).toMatchObject({ exitStatus: 0, streams: [{ copies: [{}, { records: 40 }] }] });
    expect(loki.requests.length).toBe(3 + 4);
    expect(loki.requests.at(-1)!.headers).toMatchObject({
      'x-scope-orgid': 'desk',
      authorization: `Basic ${Buffer.from('me:secret').toString('base64')}`,
    });
    for (const { query } of loki.requests) {
      expect(BigInt(query.get('end')!) - BigInt(query.get('start')!)).toBeLessThanOrEqual(DAY_NS);
    }
  });

  it('is asked for a stream that the journal has lost, from when that was begun', async () => {
    const [one, lost] = [makeStream(KEY, ONE), makeStream(KEY, '019aa41e-8000-7c01-ae33-26fef5febea5')];
    const files = [collectorOf([...one.records, ...lost.records])];
    toLoki([...one.records, ...lost.records]);
    const { report } = await reconcile(dataDirOf([one]), { files, loki: { url: loki.url } });
    const copies = report.streams.find(({ stream }) => stream === lost.name)?.copies;
    expect(copies?.map(({ copy, records }) => [copy, records])).toEqual([
      ['journal', 0],
      ['files', 40],
      ['loki', 40],
    ]);
  });

  it('says why it can’t be read', async () => {
    const directory = dataDirOf([makeStream(KEY, ONE)]);
    loki.maxEntries = 1000;
    await expect(reconcile(directory, { loki: { url: loki.url } })).rejects.toThrow('max entries limit');
    loki.failures.push(500, 500, 500, 500, 500);
    await expect(reconcile(directory, { loki: { url: loki.url, limit: 10, retryMs: 1 } })).rejects.toMatchObject({
      code: 'LOKI_UNREADABLE',
      message: expect.stringContaining('HTTP 500: not now'),
    });
  });
});

describe('the command reconcile', () => {
  const run = (...args: string[]) => runCommand(addReconcileCommand, ['reconcile', ...args]);

  it('prints what is missing, ships it again, and then finds all copies whole', async () => {
    const directory = temporaryDirectory();
    made.push(directory.path);
    const journal = openTestJournal(directory.path, { segmentMaxBytes: 20_000 });
    for (let i = 0; i < 60; i++) journal.append(testEvent(i));
    await journal.close('shutdown');
    const lines = segmentPaths(journal).flatMap((path) => readFileSync(path, 'utf8').trimEnd().split('\n'));
    const held = lines.filter((_, index) => index !== 7 && (index < 20 || index > 45));
    const copy = directoryOf({ 'audit.jsonl': `${held.join('\n')}\n` });

    const first = await run(directory.path, '--file', copy);
    expect(first).toMatchObject({ status: 2, err: '' });
    expect(first.out).toContain("Collector's files  holds");
    expect(first.out).toContain('lacks 27 (7, 20–45)');

    const receiver = await startReceiver();
    try {
      const args = ['--repair', '--endpoint', `${receiver.url}/v1/logs`];
      const repaired = await run(directory.path, '--file', copy, '--json', ...args);
      expect(repaired.status).toBe(2);
      expect(JSON.parse(repaired.out).repaired).toEqual([
        { stream: journal.stream, wanted: 27, sent: 27, refused: 0, failure: null },
      ]);
      const wanted = [7, ...Array.from({ length: 26 }, (_, index) => 20 + index)];
      expect(receiver.accepted).toEqual(wanted);
      for (const { body } of receiver.requests) appendFileSync(join(copy, 'audit.jsonl'), `${body}\n`);
      const last = await run(directory.path, '--file', copy, ...args);
      expect(last).toMatchObject({ status: 0 });
      expect(last.out).toContain('nothing that shipping again could mend');
    } finally {
      await receiver.close();
    }
  });

  it('of a stream that is being written ships again only what a checkpoint covers', async () => {
    const directory = temporaryDirectory();
    made.push(directory.path);
    const journal = openTestJournal(directory.path, { checkpointIntervalMs: 1_000_000 });
    for (let i = 0; i < 10; i++) journal.append(testEvent(i));
    const { size } = (await journal.checkpoint())!;
    for (let i = 0; i < 10; i++) journal.append(testEvent(i));
    const receiver = await startReceiver();
    try {
      const settings = readShipperSettings({}, `${receiver.url}/v1/logs`)!;
      expect(await reshipRecords(journal.directory, [range(3, 15)], settings)).toEqual({
        ...{ sent: size - 3, refused: 0, failure: undefined },
      });
      expect(receiver.accepted).toEqual(Array.from({ length: size - 3 }, (_, index) => 3 + index));
      const stop = new AbortController();
      receiver.reply = (_, index) => {
        if (index === 2) stop.abort();
        return { status: 503 };
      };
      const failed = await reshipRecords(journal.directory, [range(0, 2)], { ...settings, backOffMs: 1 }, stop);
      expect(failed).toEqual({ sent: 0, refused: 0, failure: expect.stringContaining('503') });
    } finally {
      await receiver.close();
      await journal.close('shutdown');
    }
  });

  it('refuses wrong usage', async () => {
    const directory = dataDirOf([makeStream(KEY, ONE)]);
    const code = (...args: string[]) =>
      run(directory, ...args).then(
        () => 'none',
        (error) => error.code,
      );
    expect(await code()).toBe('OPTION_INVALID');
    expect(await code('--loki', 'nowhere')).toBe('OPTION_INVALID');
    expect(await code('--loki', loki.url, '--loki-header', 'no header')).toBe('OPTION_INVALID');
    expect(await code('--file', join(directory, 'none'))).toBe('PATH_NOT_FOUND');
  });
});
