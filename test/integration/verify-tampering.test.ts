import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { parseVerifierKeys } from '../../src/audit/proof/note.ts';
import { formatVerifyReport } from '../../src/audit/verify/report.ts';
import {
  FINDING_EXIT,
  type FindingKind,
  toReportJson,
  type VerifyOptions,
  type VerifyReport,
  verifyTrail,
} from '../../src/audit/verify/verify.ts';
import {
  journalOf,
  leafOf,
  lineOf,
  MadeKey,
  type MadeRecord,
  MadeStream,
  makeDirectory,
  makeStream,
  reseal,
  rootOf,
  segmentOf,
} from '../support/trail-maker.ts';

const KEY = new MadeKey('bot');
const OTHER_KEY = new MadeKey('bot');
const UUID = '0b5f0e52-6b2a-4b6e-9d3c-2f0f9a7d1c11';
const UUID_2 = '1c6a1f63-7c3b-4c7f-8e4d-301fab8e2d22';

const made: string[] = [];
afterEach(() => {
  for (const directory of made.splice(0)) rmSync(directory, { recursive: true });
});

/** Writes files, verifies them; the key is given. */
async function verify(
  files: Readonly<Record<string, string | Uint8Array>>,
  options: Partial<Omit<VerifyOptions, 'paths'>> & { only?: readonly string[]; anchor?: string } = {},
): Promise<VerifyReport> {
  const directory = makeDirectory(files);
  made.push(directory);
  const { only, anchor, ...rest } = options;
  const anchors = anchor === undefined ? [] : [join(makeAnchor(anchor), 'anchor')];
  const paths = only?.map((name) => join(directory, name)) ?? [directory];
  return verifyTrail({ paths, keys: parseVerifierKeys(KEY.vkey), anchors, ...rest });
}

function makeAnchor(note: string): string {
  const directory = makeDirectory({ anchor: note });
  made.push(directory);
  return directory;
}

const kinds = (report: VerifyReport): FindingKind[] =>
  report.streams.flatMap((stream) => stream.findings.map(({ kind }) => kind));
const find = (report: VerifyReport, kind: FindingKind) =>
  report.streams.flatMap((stream) => stream.findings).find((one) => one.kind === kind);

/** A journal's record, and the file and line it stands on. */
const at = (stream: MadeStream, sequence: number) => stream.records[sequence] as MadeRecord;

/** As a Collector writes it: one file, three records a line. */
function collectorOf(records: readonly MadeRecord[]): Record<string, string> {
  const lines: string[] = [];
  for (let i = 0; i < records.length; i += 3) lines.push(lineOf(...records.slice(i, i + 3)));
  return { 'collector.jsonl': lines.join('') };
}

describe('a whole trail', () => {
  it('has no finding, in a journal and in a Collector file', async () => {
    const stream = makeStream(KEY, UUID);
    for (const files of [journalOf(stream), collectorOf(stream.records)]) {
      const report = await verify(files, { strict: true });
      expect(report).toMatchObject({ ok: true, exitStatus: 0, keySource: 'given' });
      expect(report.streams).toEqual([
        {
          stream: stream.name,
          records: 40,
          firstSequence: 0,
          lastSequence: 39,
          checkpoints: 4,
          verifiedThrough: 38,
          unsignedTail: 0,
          closed: true,
          findings: [],
          findingsOmitted: 0,
        },
      ]);
    }
  });

  it('may be delivered repeatedly and out of order', async () => {
    const stream = makeStream(KEY, UUID);
    const shuffled = [...stream.records, ...stream.records.slice(5, 25)].reverse();
    const report = await verify(collectorOf(shuffled), { strict: true });
    expect(report.streams[0]).toMatchObject({ records: 40, verifiedThrough: 38, findings: [] });
  });

  it('may hold a segment twice, sealed and not', async () => {
    const stream = makeStream(KEY, UUID);
    const files: Record<string, string | Uint8Array> = journalOf(stream);
    const name = segmentOf(stream, 15);
    files[`${name}.zst`] = zstdCompressSync(files[name] as string);
    const report = await verify(files, { strict: true });
    expect(report.streams[0]).toMatchObject({ records: 40, verifiedThrough: 38, findings: [] });
  });

  it('may be sealed in several frames, and stand beside blank lines and other payloads', async () => {
    const stream = makeStream(KEY, UUID);
    const files: Record<string, string | Uint8Array> = journalOf(stream, stream.records, 20);
    const name = segmentOf(stream, 0);
    const lines = (files[name] as string).split('\n');
    files[`${name}.zst`] = Buffer.concat([
      zstdCompressSync(`${lines.slice(0, 7).join('\n')}\n\n  \n{"resourceSpans":[]}\n{}\n`),
      zstdCompressSync(lines.slice(7).join('\n')),
    ]);
    delete files[name];
    expect(await verify(files, { strict: true })).toMatchObject({ exitStatus: 0 });
  });

  it('passes over records that are no audit records', async () => {
    const stream = makeStream(KEY, UUID);
    const plain = '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"hello"}}]}]}]}\n';
    const { 'collector.jsonl': content } = collectorOf(stream.records);
    const report = await verify({ 'collector.jsonl': plain + content + plain });
    expect(report).toMatchObject({ exitStatus: 0 });
    expect(report.streams).toHaveLength(1);
  });

  it('takes its key from beside the trail where none is given, and says so', async () => {
    const stream = makeStream(KEY, UUID);
    const directory = makeDirectory(journalOf(stream));
    made.push(directory);
    for (const path of [directory, join(directory, 'streams'), join(directory, segmentOf(stream, 0))]) {
      expect((await verifyTrail({ paths: [path] })).keySource).toBe('beside the trail');
    }
    expect(formatVerifyReport(await verifyTrail({ paths: [directory] }))).toContain('not who signed it');
  });

  it('may be signed by a key that was rotated', async () => {
    const stream = makeStream(KEY, UUID);
    const files = { ...journalOf(stream), 'verifier.vkey': `${OTHER_KEY.vkey}\n${KEY.vkey}\n` };
    expect(await verify(files, { keys: [] })).toMatchObject({ exitStatus: 0, keySource: 'beside the trail' });
  });
});

describe('INVALID', () => {
  it('a record changed below a checkpoint: its checkpoints no longer fit either', async () => {
    const stream = makeStream(KEY, UUID);
    at(stream, 17).body = 'nothing happened';
    const report = await verify(journalOf(stream));
    expect(report.exitStatus).toBe(1);
    expect(kinds(report)).toEqual(['UNSIGNED_TAIL', 'INVALID', 'ROOT_MISMATCH', 'ROOT_MISMATCH', 'ROOT_MISMATCH']);
    expect(find(report, 'INVALID')).toMatchObject({ sequence: 17, line: 3 });
    expect(find(report, 'INVALID')?.file).toContain(segmentOf(stream, 15));
    expect(report.streams[0]?.verifiedThrough).toBe(8);
  });

  it('a record changed behind the last checkpoint', async () => {
    const stream = makeStream(KEY, UUID);
    stream.records.length = 35;
    at(stream, 33).attributes['trading.quantity'] = 1_000_000;
    const report = await verify(journalOf(stream));
    expect(report.exitStatus).toBe(1);
    expect(kinds(report)).toEqual(['UNSIGNED_TAIL', 'INVALID', 'NOT_CLOSED']);
  });

  it('a record that a Collector touched', async () => {
    const stream = makeStream(KEY, UUID);
    at(stream, 12).attributes['deployment.environment'] = 'prod';
    expect(kinds(await verify(collectorOf(stream.records)))).toContain('INVALID');
  });

  it('a record without canonical form holds its number, so that nothing is told missing', async () => {
    const stream = makeStream(KEY, UUID);
    const files = collectorOf(stream.records);
    const line = (files['collector.jsonl'] as string).replace('"stringValue":"record 12"', '"intValue":12');
    const report = await verify({ 'collector.jsonl': line });
    expect(kinds(report)).toEqual(['UNSIGNED_TAIL', 'INVALID', 'ROOT_MISMATCH', 'ROOT_MISMATCH', 'ROOT_MISMATCH']);
    expect(report.streams[0]?.records).toBe(40);
  });

  it('an int that JSON.parse rounds to what was hashed', async () => {
    const stream = new MadeStream(KEY, UUID);
    stream.add('order.placed', { 'trading.quantity': 2 ** 53 });
    stream.checkpoint();
    const { 'collector.jsonl': line } = collectorOf(stream.records) as { 'collector.jsonl': string };
    expect(kinds(await verify({ 'collector.jsonl': line }))).toEqual(['NOT_CLOSED']);
    const changed = line.replace('9007199254740992', '9007199254740993');
    expect(kinds(await verify({ 'collector.jsonl': changed }))).toContain('INVALID');
  });

  it('an intact copy stands in for a changed one, whichever comes first', async () => {
    const stream = makeStream(KEY, UUID);
    const changed = { ...at(stream, 17), body: 'nothing happened' };
    for (const records of [
      [changed, ...stream.records],
      [...stream.records, changed],
    ]) {
      const report = await verify(collectorOf(records));
      expect(kinds(report).sort()).toEqual(['CONFLICT', 'INVALID']);
      expect(report).toMatchObject({ exitStatus: 1, streams: [{ records: 40, verifiedThrough: 38 }] });
    }
  });

  it.each(['audit.stream', 'audit.sequence.number', 'audit.integrity.value'])('a record without %s', async (name) => {
    const stream = makeStream(KEY, UUID);
    const { [name]: _removed, ...attributes } = at(stream, 12).attributes;
    const stripped = { ...at(stream, 12), attributes };
    if (name === 'audit.integrity.value') stripped.claim = undefined;
    const report = await verify(collectorOf([...stream.records, stripped]));
    expect(report.exitStatus).toBe(1);
    expect(kinds(report)).toEqual(['INVALID']);
  });
});

describe('ROOT_MISMATCH', () => {
  it('a record changed by somebody who made its hash right again', async () => {
    const stream = makeStream(KEY, UUID);
    at(stream, 25).body = 'nothing happened';
    reseal(at(stream, 25));
    const report = await verify(journalOf(stream));
    expect(report.exitStatus).toBe(1);
    expect(kinds(report)).toEqual(['UNSIGNED_TAIL', 'ROOT_MISMATCH', 'ROOT_MISMATCH']);
    expect(find(report, 'ROOT_MISMATCH')).toMatchObject({ sequence: 29 });
    expect(report.streams[0]?.verifiedThrough).toBe(18);
  });

  it('two records that changed places', async () => {
    const stream = makeStream(KEY, UUID);
    const [a, b] = [at(stream, 21), at(stream, 22)];
    a.attributes['audit.sequence.number'] = 22;
    b.attributes['audit.sequence.number'] = 21;
    for (const record of [a, b]) reseal(record);
    expect(kinds(await verify(collectorOf(stream.records)))).toContain('ROOT_MISMATCH');
  });

  it('a checkpoint of another stream', async () => {
    const stream = makeStream(KEY, UUID, 20);
    const other = makeStream(KEY, UUID_2, 20);
    stream.checkpoint(other.note());
    const report = await verify(journalOf(stream));
    expect(find(report, 'ROOT_MISMATCH')).toMatchObject({ sequence: 20 });
    expect(report.exitStatus).toBe(1);
  });

  it('a note of another stream, given as that of the stream before', async () => {
    const first = makeStream(KEY, UUID, 20);
    const second = makeStream(KEY, UUID_2, 20, {
      'audit.previous.stream': first.name,
      'audit.previous.checkpoint': KEY.note(`bot/${UUID_2}`, 19, Buffer.alloc(32)),
    });
    const report = await verify({ ...journalOf(first), ...journalOf(second) });
    expect(kinds(report)).toEqual(['ROOT_MISMATCH']);
    expect(report.streams[1]?.findings[0]).toMatchObject({ sequence: 0 });
  });

  it('a checkpoint of more records than stand before it', async () => {
    const stream = makeStream(KEY, UUID, 20);
    stream.checkpoint(KEY.note(stream.name, 21, Buffer.alloc(32)));
    const report = await verify(journalOf(stream));
    expect(kinds(report)).toEqual(['ROOT_MISMATCH']);
    expect(report.streams[0]?.verifiedThrough).toBe(18);
  });

  it.each(['the same size as', 'a smaller size than'])('a checkpoint of %s the one before', async (which) => {
    const stream = makeStream(KEY, UUID, 20);
    stream.checkpoint(stream.note(which === 'the same size as' ? 19 : 12));
    for (const files of [journalOf(stream), collectorOf(stream.records)]) {
      expect(kinds(await verify(files))).toEqual(['ROOT_MISMATCH']);
    }
  });
});

describe('BAD_SIGNATURE', () => {
  it.each([
    ['without a note', ''],
    ['with a malformed note', 'nonsense'],
    ['with a note that no key given signed', OTHER_KEY.note(`bot/${UUID}`, 12, Buffer.alloc(32))],
    ['with a note that is no checkpoint', KEY.note(`bot/${UUID}`, 12, Buffer.alloc(31))],
    ['with a false signature', KEY.note(`bot/${UUID}`, 12, Buffer.alloc(32)).replace('\n12\n', '\n13\n')],
  ])('a checkpoint record %s', async (_, note) => {
    const stream = new MadeStream(KEY, UUID);
    stream.addMany(12);
    stream.checkpoint(note);
    const report = await verify(journalOf(stream));
    expect(report.exitStatus).toBe(1);
    expect(find(report, 'BAD_SIGNATURE')).toMatchObject({ sequence: 12, line: 13 });
    expect(report.streams[0]).toMatchObject({ verifiedThrough: null, unsignedTail: 12, checkpoints: 1 });
  });

  it('a trail signed by somebody else', async () => {
    const stream = makeStream(OTHER_KEY, UUID);
    const report = await verify(journalOf(stream));
    expect(report.exitStatus).toBe(1);
    expect(kinds(report).filter((kind) => kind === 'BAD_SIGNATURE')).toHaveLength(4);
  });

  it('an anchor that no key given signed', async () => {
    const stream = makeStream(KEY, UUID);
    const report = await verify(journalOf(stream), { anchor: OTHER_KEY.note(stream.name, 39, Buffer.alloc(32)) });
    expect(kinds(report)).toEqual(['BAD_SIGNATURE']);
    expect(find(report, 'BAD_SIGNATURE')?.file).toContain('anchor');
  });

  it("a later stream's note of this one", async () => {
    const first = makeStream(KEY, UUID);
    const second = makeStream(KEY, UUID_2, 20, {
      'audit.previous.stream': first.name,
      'audit.previous.checkpoint': OTHER_KEY.note(first.name, 39, Buffer.alloc(32)),
    });
    const report = await verify({ ...journalOf(first), ...journalOf(second) });
    expect(kinds(report)).toEqual(['BAD_SIGNATURE']);
    expect(report.streams[1]?.findings[0]).toMatchObject({ sequence: 0, line: 1 });
  });
});

describe('CONFLICT', () => {
  it('two records of one number, both with right hashes', async () => {
    const stream = makeStream(KEY, UUID);
    const second = { ...at(stream, 17), body: 'another story' };
    reseal(second);
    const report = await verify(collectorOf([...stream.records, second, second]));
    expect(report.exitStatus).toBe(1);
    expect(kinds(report)).toEqual(['CONFLICT']);
    expect(find(report, 'CONFLICT')).toMatchObject({ sequence: 17, line: 14 });
  });

  it('in a journal as well', async () => {
    const stream = makeStream(KEY, UUID);
    const second = { ...at(stream, 17), body: 'another story' };
    reseal(second);
    expect(kinds(await verify(journalOf(stream, [...stream.records, second])))).toEqual(['CONFLICT']);
  });
});

describe('FORK', () => {
  const forked = () => {
    const stream = makeStream(KEY, UUID);
    const leaves = stream.records.map(leafOf);
    leaves[3] = Buffer.alloc(32);
    return { stream, note: (size: number) => KEY.note(stream.name, size, rootOf(leaves.slice(0, size))) };
  };

  it.each([39, 25])('an anchor that the records refute at size %i', async (size) => {
    const { stream, note } = forked();
    for (const files of [journalOf(stream), collectorOf(stream.records)]) {
      const report = await verify(files, { anchor: note(size) });
      expect(report.exitStatus).toBe(1);
      expect(kinds(report).sort()).toEqual(['FORK', 'ROOT_MISMATCH']);
    }
  });

  it('a checkpoint record that the records refute while a later one fits', async () => {
    const stream = new MadeStream(KEY, UUID);
    stream.addMany(10);
    stream.checkpoint(KEY.note(stream.name, 10, Buffer.alloc(32, 1)));
    stream.addMany(5);
    stream.close();
    const report = await verify(journalOf(stream));
    expect(kinds(report)).toEqual(['ROOT_MISMATCH', 'FORK']);
    expect(find(report, 'FORK')).toMatchObject({ sequence: 10 });
  });

  it('a second note of the newest size that fits, told after a larger one was refuted', async () => {
    const stream = new MadeStream(KEY, UUID);
    stream.addMany(10);
    stream.checkpoint();
    stream.addMany(10);
    stream.checkpoint(KEY.note(stream.name, 20, Buffer.alloc(32, 1)));
    const second = makeStream(KEY, UUID_2, 20, {
      'audit.previous.stream': stream.name,
      'audit.previous.checkpoint': KEY.note(stream.name, 10, Buffer.alloc(32, 2)),
    });
    const report = await verify({ ...journalOf(stream), ...journalOf(second) });
    expect(
      kinds(report)
        .filter((kind) => FINDING_EXIT[kind] === 1)
        .sort(),
    ).toEqual(['FORK', 'ROOT_MISMATCH', 'ROOT_MISMATCH']);
  });

  it('two notes of one size beyond a gap', async () => {
    const { stream, note } = forked();
    stream.records.splice(5, 1);
    const report = await verify(journalOf(stream), { anchor: note(39) });
    expect(kinds(report)).toContain('FORK');
    expect(kinds(report)).not.toContain('ROOT_MISMATCH');
  });

  it("a later stream's note of this one", async () => {
    const { stream, note } = forked();
    for (const size of [39, 25]) {
      const second = makeStream(KEY, UUID_2, 20, {
        'audit.previous.stream': stream.name,
        'audit.previous.checkpoint': note(size),
      });
      const report = await verify({ ...journalOf(stream), ...journalOf(second) });
      expect(kinds(report).sort()).toEqual(['FORK', 'ROOT_MISMATCH']);
      expect(report.streams[0]?.findings[0]?.file).toContain(UUID_2);
    }
  });
});

describe('AFTER_CLOSE', () => {
  it('a record after the end of its stream', async () => {
    const stream = makeStream(KEY, UUID);
    stream.add();
    stream.checkpoint();
    for (const files of [journalOf(stream), collectorOf([...stream.records].reverse())]) {
      const report = await verify(files);
      expect(report.exitStatus).toBe(1);
      expect(kinds(report)).toEqual(['AFTER_CLOSE']);
      expect(find(report, 'AFTER_CLOSE')).toMatchObject({ sequence: 40 });
    }
  });

  it('a record right behind the end', async () => {
    const stream = makeStream(KEY, UUID);
    stream.records.pop();
    stream.add();
    expect(find(await verify(journalOf(stream)), 'AFTER_CLOSE')).toMatchObject({ sequence: 39 });
  });
});

describe('GAP', () => {
  it('records removed: one finding a range, and no checkpoint behind is held against the records', async () => {
    const stream = makeStream(KEY, UUID);
    const left = stream.records.filter((_, sequence) => sequence !== 12 && (sequence < 20 || sequence > 22));
    const report = await verify(journalOf(stream, left));
    expect(report.exitStatus).toBe(2);
    expect(report.streams[0]).toMatchObject({ records: 36, verifiedThrough: 8, unsignedTail: 23, closed: true });
    expect(kinds(report)).toEqual(['UNSIGNED_TAIL', 'GAP', 'GAP']);
    expect(report.streams[0]?.findings[2]).toMatchObject({ sequence: 20, detail: 'records 20 to 22 (3) missing' });
  });

  it('the beginning removed', async () => {
    const stream = makeStream(KEY, UUID);
    const report = await verify(journalOf(stream, stream.records.slice(15)));
    expect(report.exitStatus).toBe(2);
    expect(kinds(report)).toEqual(['GAP', 'UNSIGNED_TAIL']);
    expect(report.streams[0]).toMatchObject({ firstSequence: 15, verifiedThrough: null });
  });
});

describe('TRUNCATED', () => {
  const cut = () => {
    const stream = makeStream(KEY, UUID);
    return { stream, files: journalOf(stream, stream.records.slice(0, 20)), note: stream.note(39) };
  };

  it('against an anchor', async () => {
    const { files, note } = cut();
    expect(await verify(files)).toMatchObject({ exitStatus: 0 });
    const report = await verify(files, { anchor: note });
    expect(report.exitStatus).toBe(2);
    expect(find(report, 'TRUNCATED')).toMatchObject({ sequence: 20, line: null });
  });

  it("against the file 'checkpoint' of the stream", async () => {
    const { files, note } = cut();
    const report = await verify({ ...files, [`streams/${UUID}/checkpoint`]: note });
    expect(report.exitStatus).toBe(2);
    expect(kinds(report)).toEqual(['TRUNCATED', 'NOT_CLOSED']);
  });

  it('against a later stream', async () => {
    const { stream, files, note } = cut();
    const second = makeStream(KEY, UUID_2, 20, {
      'audit.previous.stream': stream.name,
      'audit.previous.checkpoint': note,
    });
    const report = await verify({ ...files, ...journalOf(second) });
    expect(report.exitStatus).toBe(2);
    expect(report.streams[0]?.findings.map(({ kind }) => kind)).toEqual(['TRUNCATED', 'NOT_CLOSED']);
  });

  it('but not where only what no note covers is gone', async () => {
    const stream = makeStream(KEY, UUID);
    const report = await verify(journalOf(stream, stream.records.slice(0, 39)), { anchor: stream.note(39) });
    expect(report).toMatchObject({ exitStatus: 0, streams: [{ verifiedThrough: 38, findings: [] }] });
  });
});

describe('MISSING_STREAM', () => {
  const chain = () => {
    const first = makeStream(KEY, UUID);
    const second = makeStream(KEY, UUID_2, 20, { 'audit.previous.stream': first.name });
    return { first, files: journalOf(second), segment: segmentOf(second, 0) };
  };

  it('a stream that a later one names', async () => {
    const { first, files } = chain();
    const report = await verify(files);
    expect(report.exitStatus).toBe(2);
    expect(report.streams[0]).toMatchObject({ stream: first.name, records: 0, lastSequence: null, closed: false });
    expect(kinds(report)).toEqual(['MISSING_STREAM']);
  });

  it('a stream that an anchor names, instead of TRUNCATED', async () => {
    const { first, files } = chain();
    const report = await verify(files, { anchor: first.note(39) });
    expect(report.exitStatus).toBe(2);
    expect(kinds(report)).toEqual(['MISSING_STREAM']);
  });

  it('is told only where files were given', async () => {
    const { files, segment } = chain();
    const report = await verify(files, { only: [segment] });
    expect(report.exitStatus).toBe(0);
    expect(kinds(report)).toContain('MISSING_STREAM');
  });
});

describe('TORN and TORN_TAIL', () => {
  it('a line that is no JSON object, with file and line', async () => {
    for (const line of ['{"resourceLogs":[', '[]', 'null', '"x"', '{"resourceLogs":{}}', '\0\0\0', '{"a":"\\ud800"}']) {
      const stream = makeStream(KEY, UUID);
      const files = journalOf(stream);
      const name = segmentOf(stream, 15);
      files[name] = `${line}\n${files[name]}`;
      const report = await verify(files);
      expect(report.exitStatus).toBe(2);
      expect(report.streams[0]).toMatchObject({ stream: stream.name, findings: [{ kind: 'TORN', line: 1 }] });
      expect(find(report, 'TORN')?.file).toContain(name);
    }
  });

  it('bytes that are no UTF-8', async () => {
    const stream = makeStream(KEY, UUID);
    const { 'collector.jsonl': content } = collectorOf(stream.records);
    const bytes = Buffer.from(content as string);
    bytes[bytes.indexOf('record 17')] = 0xff;
    const report = await verify({ 'collector.jsonl': bytes });
    expect(find(report, 'TORN')).toMatchObject({ line: 6 });
    expect(find(report, 'GAP')).toMatchObject({ sequence: 15 });
  });

  it('a record cut off within the trail', async () => {
    const stream = makeStream(KEY, UUID);
    const files = journalOf(stream);
    const name = segmentOf(stream, 15);
    files[name] = (files[name] as string).slice(0, -20);
    const report = await verify(files);
    expect(report.exitStatus).toBe(2);
    expect(kinds(report)).toEqual(['UNSIGNED_TAIL', 'GAP', 'TORN']);
  });

  it('a broken frame', async () => {
    const stream = makeStream(KEY, UUID);
    const files: Record<string, string | Uint8Array> = journalOf(stream);
    const name = segmentOf(stream, 15);
    const frames = [zstdCompressSync(files[name] as string), zstdCompressSync('{}\n')];
    delete files[name];
    for (const broken of [
      Buffer.concat(frames).subarray(0, -3),
      Buffer.concat([frames[0] as Buffer, Buffer.from('no frame')]),
    ]) {
      const report = await verify({ ...files, [`${name}.zst`]: broken });
      expect(report.exitStatus).toBe(2);
      expect(report.streams[0]?.findings).toMatchObject([{ kind: 'TORN', line: 16 }]);
    }
  });

  it('a last line that is being written', async () => {
    const stream = makeStream(KEY, UUID);
    const files = journalOf(stream, stream.records.slice(0, 20));
    const name = segmentOf(stream, 15);
    files[name] += lineOf(at(stream, 20)).slice(0, 200);
    const report = await verify(files);
    expect(report.exitStatus).toBe(0);
    expect(kinds(report)).toEqual(['TORN_TAIL', 'NOT_CLOSED']);
    expect(find(report, 'TORN_TAIL')).toMatchObject({ line: 6 });
    expect(await verify(files, { strict: true })).toMatchObject({ exitStatus: 2, ok: false });
  });

  it('the first line of a new segment that is being written', async () => {
    const stream = makeStream(KEY, UUID);
    const files = journalOf(stream, stream.records.slice(0, 30));
    files[segmentOf(stream, 30)] = lineOf(at(stream, 30)).slice(0, 200);
    const report = await verify(files);
    expect(report.exitStatus).toBe(0);
    expect(find(report, 'TORN_TAIL')).toMatchObject({ line: 1 });
    expect(report.streams).toHaveLength(1);
  });

  it('a whole last record without its newline is a record', async () => {
    const stream = makeStream(KEY, UUID);
    const files = journalOf(stream);
    const name = segmentOf(stream, 30);
    files[name] = (files[name] as string).slice(0, -1);
    expect(await verify(files, { strict: true })).toMatchObject({ exitStatus: 0, streams: [{ records: 40 }] });
  });
});

describe('UNSIGNED_TAIL and NOT_CLOSED', () => {
  it('are told of a running stream, and say 2 with strict alone', async () => {
    const stream = makeStream(KEY, UUID);
    const files = journalOf(stream, stream.records.slice(0, 25));
    const report = await verify(files);
    expect(report).toMatchObject({ ok: true, exitStatus: 0 });
    // The note of the checkpoint at 19 covers 0 to 18; that record is no part of the tail.
    expect(report.streams[0]).toMatchObject({ verifiedThrough: 18, unsignedTail: 5, closed: false });
    expect(kinds(report)).toEqual(['UNSIGNED_TAIL', 'NOT_CLOSED']);
    expect(find(report, 'UNSIGNED_TAIL')).toMatchObject({ sequence: 19 });
    expect(await verify(files, { strict: true })).toMatchObject({ exitStatus: 2 });
  });

  it('a checkpoint may lag behind the records', async () => {
    const stream = new MadeStream(KEY, UUID);
    stream.addMany(10);
    const note = stream.note(7);
    stream.addMany(5);
    stream.checkpoint(note);
    const report = await verify(journalOf(stream));
    expect(report.streams[0]).toMatchObject({ verifiedThrough: 6, unsignedTail: 8 });
    expect(report.exitStatus).toBe(0);
  });
});

describe('PRUNED', () => {
  /** A stream of 40 or more records that accounts for the removal of its first `size`. */
  const pruned = (size: number) => {
    const stream = new MadeStream(KEY, UUID);
    stream.addMany(30);
    stream.checkpoint(stream.note(size));
    stream.addMany(5);
    stream.pruned(stream, size);
    stream.addMany(5);
    return stream;
  };

  it('a prefix that a signed and covered record accounts for', async () => {
    const stream = pruned(13);
    stream.close();
    for (const left of [stream.records.slice(13), stream.records.slice(10), stream.records]) {
      for (const files of [journalOf(stream, left), collectorOf([...left].reverse())]) {
        const report = await verify(files, { strict: true });
        expect(report.exitStatus).toBe(0);
        expect(report.streams[0]).toMatchObject({ verifiedThrough: 42, unsignedTail: 0 });
        expect(kinds(report)).toEqual(left === stream.records ? [] : ['PRUNED']);
      }
    }
  });

  it('counts as a gap where no fitting checkpoint covers the record, but roots are checked on', async () => {
    const stream = pruned(13);
    const report = await verify(journalOf(stream, stream.records.slice(13)));
    expect(report.exitStatus).toBe(2);
    expect(kinds(report)).toContain('GAP');
    expect(kinds(report)).not.toContain('PRUNED');
    // The checkpoint at 30, of size 13, is the pruning's own; one that lies further on would show what is changed.
    expect(report.streams[0]).toMatchObject({ verifiedThrough: 12 });
  });

  it('leaves all that is held unsigned where no checkpoint fits', async () => {
    const stream = new MadeStream(KEY, UUID);
    stream.addMany(20);
    stream.pruned(stream, 13);
    stream.addMany(5);
    for (const [left, unsignedTail] of [
      [stream.records.slice(10), 16],
      [[...stream.records.slice(0, 4), ...stream.records.slice(10)], 20],
    ] as const) {
      const report = await verify(journalOf(stream, left));
      expect(report.streams[0]).toMatchObject({ verifiedThrough: null, unsignedTail });
    }
  });

  it('shows what is changed behind it', async () => {
    const stream = pruned(13);
    stream.close();
    at(stream, 20).body = 'nothing happened';
    reseal(at(stream, 20));
    const report = await verify(journalOf(stream, stream.records.slice(13)));
    expect(report.exitStatus).toBe(1);
    expect(kinds(report)).toEqual(['GAP', 'UNSIGNED_TAIL', 'ROOT_MISMATCH']);
  });

  it.each([
    ['whose note no key given signed', (s: MadeStream) => OTHER_KEY.note(s.name, 13, Buffer.alloc(32))],
    ['whose hashes do not fold to the root', (s: MadeStream) => KEY.note(s.name, 13, Buffer.alloc(32))],
  ])('is not honoured by a record %s', async (_, note) => {
    const stream = new MadeStream(KEY, UUID);
    stream.addMany(20);
    stream.pruned(stream, 13, note(stream));
    stream.close();
    const report = await verify(journalOf(stream, stream.records.slice(13)));
    expect(report.exitStatus).toBe(2);
    expect(find(report, 'GAP')).toMatchObject({ sequence: 0 });
    expect(report.streams[0]?.verifiedThrough).toBeNull();
  });

  it('does not excuse what is missing from its size on', async () => {
    const stream = pruned(13);
    stream.close();
    const report = await verify(journalOf(stream, stream.records.slice(20)));
    expect(report.exitStatus).toBe(2);
    expect(find(report, 'GAP')).toMatchObject({ sequence: 0 });
  });

  it('a whole older stream, pruned through its end, is closed and not missing', async () => {
    const first = makeStream(KEY, UUID);
    const second = makeStream(KEY, UUID_2, 20, {
      'audit.previous.stream': first.name,
      'audit.previous.checkpoint': first.note(39),
    });
    second.records.length = 18;
    second.pruned(first, 39);
    second.close();
    for (const rest of [{}, journalOf(first, first.records.slice(39))]) {
      const report = await verify({ ...rest, ...journalOf(second) }, { strict: true });
      expect(report.exitStatus).toBe(0);
      expect(report.streams[0]).toMatchObject({ stream: first.name, closed: true });
      expect(report.streams[0]?.findings).toMatchObject([{ kind: 'PRUNED', sequence: 0 }]);
    }
  });

  it('an older stream of which more was there than the pruning accounts for is missing', async () => {
    const first = makeStream(KEY, UUID);
    const second = makeStream(KEY, UUID_2, 20, {
      'audit.previous.stream': first.name,
      'audit.previous.checkpoint': first.note(39),
    });
    second.records.length = 18;
    second.pruned(first, 19);
    second.close();
    const report = await verify(journalOf(second));
    expect(report.exitStatus).toBe(2);
    expect(report.streams[0]?.findings.map(({ kind }) => kind)).toContain('MISSING_STREAM');
  });
});

describe('the report', () => {
  it('lists at most 100 findings of a kind, and counts the rest', async () => {
    const stream = makeStream(KEY, UUID, 200);
    for (const record of stream.records) record.body += '!';
    const report = await verify(journalOf(stream));
    const [one] = report.streams;
    expect(one?.findings.filter(({ kind }) => kind === 'INVALID')).toHaveLength(100);
    expect(one?.findings.filter(({ kind }) => kind === 'ROOT_MISMATCH')).toHaveLength(20);
    expect(one?.findingsOmitted).toBe(100);
    expect(report.exitStatus).toBe(1);
  });

  it('prints as JSON of the documented shape', async () => {
    const stream = makeStream(KEY, UUID);
    stream.records.splice(12, 1);
    const shape = JSON.parse(JSON.stringify(toReportJson(await verify(journalOf(stream)))));
    expect(Object.keys(shape)).toEqual(['ok', 'keySource', 'streams']);
    expect(Object.keys(shape.streams[0])).toEqual([
      'stream',
      'records',
      'firstSequence',
      'lastSequence',
      'checkpoints',
      'verifiedThrough',
      'unsignedTail',
      'closed',
      'findings',
      'findingsOmitted',
    ]);
    for (const finding of shape.streams[0].findings) {
      expect(Object.keys(finding)).toEqual(['kind', 'sequence', 'file', 'line', 'detail']);
      expect(Object.keys(FINDING_EXIT)).toContain(finding.kind);
    }
  });

  it('reads as words, with the verdict last', async () => {
    const stream = makeStream(KEY, UUID);
    const last = async (files: Record<string, string>, strict = false) =>
      formatVerifyReport(await verify(files, { strict }))
        .trimEnd()
        .split('\n')
        .at(-1);
    expect(await last(journalOf(stream))).toMatch(/^PASSED/);
    expect(await last(journalOf(stream, stream.records.slice(0, 20)), true)).toMatch(/^INCOMPLETE/);
    expect(await last(journalOf(stream, stream.records.slice(5)))).toMatch(/^INCOMPLETE/);
    at(stream, 3).body = 'x\u001b[31m';
    expect(await last(journalOf(stream))).toMatch(/^FAILED/);
  });
});

describe('nothing to verify', () => {
  const code = (expected: string) => expect.objectContaining({ code: expected });

  it('is an error with its own code', async () => {
    const stream = makeStream(KEY, UUID);
    await expect(verify({ 'notes.txt': 'x' })).rejects.toThrow(code('NOTHING_TO_VERIFY'));
    await expect(verify({ 'a.jsonl': '{}\n' })).rejects.toThrow(code('NOTHING_TO_VERIFY'));
    await expect(verify(collectorOf(stream.records), { keys: [] })).rejects.toThrow(code('VERIFIER_KEY_MISSING'));
    await expect(verify({ ...journalOf(stream), 'verifier.vkey': 'no key' }, { keys: [] })).rejects.toThrow(
      code('VERIFIER_KEY_INVALID'),
    );
    await expect(verifyTrail({ paths: [join(makeAnchor(''), 'nowhere')] })).rejects.toThrow(code('PATH_NOT_FOUND'));
    await expect(verify(journalOf(stream), { anchors: ['/nowhere/anchor'] })).rejects.toThrow(code('PATH_NOT_FOUND'));
  });
});
