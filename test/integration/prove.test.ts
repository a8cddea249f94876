import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { zstdCompressSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { parseVerifierKeys } from '../../src/audit/proof/note.ts';
import { checkConsistencyProof, checkRecordProof } from '../../src/audit/proof/proof.ts';
import { proveConsistency, proveRecord } from '../../src/audit/proof/prove.ts';
import { addCheckProofCommand } from '../../src/cli/commands/check-proof.ts';
import { addProveCommand } from '../../src/cli/commands/prove.ts';
import { runCommand } from '../support/command.ts';
import { journalOf, lineOf, MadeKey, type MadeStream, makeDirectory, makeStream } from '../support/trail-maker.ts';

const vectors = (name: string) => fileURLToPath(new URL(`../vectors/${name}`, import.meta.url));
const KEY = new MadeKey('bot');
const KEYS = parseVerifierKeys(KEY.vkey);
const ONE = '9daa6223-bff6-4d4e-8c73-7bd8062153f2';
const TWO = 'a63d8b4d-5a4c-4a44-8501-9bc29b4b1ded';

const made: string[] = [];
afterEach(() => {
  for (const directory of made.splice(0)) rmSync(directory, { recursive: true, force: true });
});
function directoryOf(files: Parameters<typeof makeDirectory>[0]): string {
  const directory = makeDirectory(files);
  made.push(directory);
  return directory;
}

/** Proves every record of a trail that can be, and checks each proof. */
async function proveAll(paths: readonly string[], numbers: readonly number[]): Promise<void> {
  for (const record of numbers) {
    const { proof, canonical, sequence } = await proveRecord({ paths, record, keys: KEYS });
    expect(sequence).toBe(record);
    expect(checkRecordProof(proof, canonical, KEYS)).toMatchObject({ ok: true, index: record });
  }
}

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);
const code = (promise: Promise<unknown>) =>
  promise.then(
    () => 'proven',
    (error) => `${error.code}: ${error.message}`,
  );

describe('the proof of a record', () => {
  it('is that of another implementation, byte for byte, from a journal and from a Collector’s files', async () => {
    const id = '019aa420-6a38-7da3-89a4-0dbd13a3177f';
    for (const trail of ['trail', 'trail-collector']) {
      const { proof, canonical } = await proveRecord({ paths: [vectors(trail)], record: id, size: 299 });
      expect(proof).toBe(readFileSync(vectors(`proof/${id}.tlog-proof`), 'utf8'));
      expect(canonical).toEqual(readFileSync(vectors(`proof/${id}.json`)));
    }
  });

  it('is made of every record that a checkpoint covers, by number', async () => {
    const stream = makeStream(KEY, ONE, 40);
    await proveAll([directoryOf(journalOf(stream))], numbers(0, 39));
  });

  it('is made from sealed segments, whole or with their plain form beside them', async () => {
    const stream = makeStream(KEY, ONE, 40);
    const files: Record<string, string | Uint8Array> = { ...journalOf(stream) };
    const [first, second] = Object.keys(files).filter((name) => name.endsWith('.jsonl')) as [string, string];
    files[`${first}.zst`] = zstdCompressSync(files[first] as string);
    delete files[first];
    files[`${second}.zst`] = zstdCompressSync(files[second] as string);
    await proveAll([directoryOf(files)], [0, 3, 14, 15, 29, 38]);
  });

  it('is made from a file of one stream backwards, with every line twice', async () => {
    const stream = makeStream(KEY, ONE, 40);
    const backwards = stream.records.toReversed();
    const text = backwards.map((record) => lineOf(record).repeat(2)).join('');
    await proveAll([directoryOf({ 'collector.jsonl': text })], [0, 1, 20, 38]);
  });

  it('is made of what retention left', async () => {
    const stream = makeStream(KEY, ONE, 30);
    stream.records.splice(28);
    stream.pruned(stream, 13);
    stream.checkpoint();
    const directory = directoryOf(journalOf(stream, stream.records.slice(13)));
    await proveAll([directory], numbers(13, stream.records.length - 1));
    expect(await code(proveRecord({ paths: [directory], record: 5 }))).toContain(
      'PROOF_IMPOSSIBLE: no proof can be made: retention',
    );
    await expect(proveRecord({ paths: [vectors('trail-pruned')], record: 130 })).resolves.toMatchObject({
      sequence: 130,
    });
    await expect(
      proveRecord({ paths: [vectors('trail-chain')], record: 70, stream: 'a63d8b4d-5a4c-4a44-8501-9bc29b4b1ded' }),
    ).resolves.toMatchObject({ sequence: 70 });
  });

  it('cannot be made of a record that no checkpoint covers yet, and says which size to wait for', async () => {
    const stream = makeStream(KEY, ONE, 40);
    stream.addMany(5);
    const directory = directoryOf(journalOf(stream));
    const wait =
      'RECORD_NOT_COVERED: record 43 of bot/9daa6223-bff6-4d4e-8c73-7bd8062153f2 is not covered by a checkpoint yet: the newest is of size 39';
    expect(await code(proveRecord({ paths: [directory], record: 43 }))).toBe(wait);
    const id = stream.records[43]?.attributes['audit.record.id'] as string;
    expect(await code(proveRecord({ paths: [directory], record: id }))).toBe(wait);
    const error = await proveRecord({ paths: [directory], record: 43 }).catch((thrown) => thrown);
    expect(error.details).toMatchObject({ size: 44 });
    expect(await code(proveRecord({ paths: [directory], record: 45 }))).toContain('RECORD_NOT_FOUND');
    expect(await code(proveRecord({ paths: [directory], record: 'nobody' }))).toContain('RECORD_NOT_FOUND');
  });

  it('leads to the nearest checkpoint where something behind it is missing or changed', async () => {
    const stream = makeStream(KEY, ONE, 40);
    const directory = directoryOf(
      journalOf(
        stream,
        stream.records.filter((_, index) => index !== 25),
      ),
    );
    expect(await proveRecord({ paths: [directory], record: 3 })).toMatchObject({ size: 9 });
    expect(await code(proveRecord({ paths: [directory], record: 27 }))).toContain('record 25 of bot/');
    expect(await code(proveRecord({ paths: [directory], record: 25 }))).toContain('record 25 of bot/');
  });

  it('is made of an untouched record of a trail in which others were changed, and not of those', async () => {
    const stream = makeStream(KEY, ONE, 40);
    (stream.records[12] as { body: string }).body = 'something else';
    const directory = directoryOf(journalOf(stream));
    await proveAll([directory], [0, 11, 13, 30]);
    expect(await code(proveRecord({ paths: [directory], record: 12 }))).toContain('is not what its hash says');
  });

  it('asks which stream is meant, and leads to notes of the given keys only', async () => {
    const [one, two] = [makeStream(KEY, ONE), makeStream(KEY, TWO)];
    const directory = directoryOf({ ...journalOf(one), ...journalOf(two) });
    expect(await code(proveRecord({ paths: [directory], record: 7 }))).toContain(
      `STREAM_AMBIGUOUS: record 7 may be of several streams: bot/${ONE}, bot/${TWO}`,
    );
    await expect(proveRecord({ paths: [directory], record: 7, stream: TWO })).resolves.toMatchObject({
      stream: `bot/${TWO}`,
    });
    await expect(proveRecord({ paths: [directory], record: 7, stream: `bot/${ONE}` })).resolves.toMatchObject({
      stream: `bot/${ONE}`,
    });
    const others = parseVerifierKeys(new MadeKey('bot').vkey);
    expect(await code(proveRecord({ paths: [directory], record: 7, stream: ONE, keys: others }))).toContain(
      'CHECKPOINT_NOT_FOUND: there is no signed checkpoint of these keys',
    );
    expect(await code(proveRecord({ paths: [directory], record: 7, stream: ONE, size: 8 }))).toContain(
      'CHECKPOINT_NOT_FOUND',
    );
  });
});

describe('the proof of consistency', () => {
  it('is that of another implementation, byte for byte', async () => {
    for (const trail of ['trail', 'trail-collector']) {
      const { proof } = await proveConsistency({ paths: [vectors(trail)], older: 75, newer: 299 });
      expect(proof).toBe(readFileSync(vectors('proof/75-299.consistency-proof'), 'utf8'));
    }
  });

  it('connects every two checkpoints of a stream', async () => {
    const stream = makeStream(KEY, ONE, 60);
    const paths = [directoryOf(journalOf(stream))];
    const sizes = [9, 19, 29, 39, 49, 59];
    for (const older of sizes) {
      for (const newer of sizes.filter((size) => size >= older)) {
        const { proof } = await proveConsistency({ paths, older, newer, keys: KEYS });
        expect(checkConsistencyProof(proof, KEYS)).toMatchObject({
          ok: true,
          older: { size: older },
          newer: { size: newer },
        });
      }
    }
  });

  it('connects a note kept elsewhere with the newest one, also where retention removed what lies below', async () => {
    const stream = makeStream(KEY, ONE, 30);
    stream.records.splice(28);
    stream.pruned(stream, 13);
    stream.checkpoint();
    const paths = [directoryOf(journalOf(stream, stream.records.slice(13)))];
    const kept = { note: stream.note(17) };
    const { proof, oldSize, newSize } = await proveConsistency({ paths, older: kept, newer: 'newest', keys: KEYS });
    expect({ oldSize, newSize }).toEqual({ oldSize: 17, newSize: 29 });
    expect(checkConsistencyProof(proof, KEYS)).toMatchObject({ ok: true });
    expect(await code(proveConsistency({ paths, older: { note: stream.note(7) }, newer: 'newest' }))).toContain(
      'retention removed',
    );
  });

  it('is refused for another history, other streams, swapped sizes and sizes that were never signed', async () => {
    const stream = makeStream(KEY, ONE, 40);
    const [paths, other] = [[directoryOf(journalOf(stream))], makeStream(KEY, TWO, 40)];
    const forked = makeStream(KEY, ONE, 40);
    (forked.records[4] as { claim: string; body: string }).body = 'another';
    const refusal = (older: Parameters<typeof proveConsistency>[0]['older'], newer: typeof older = 'newest') =>
      code(proveConsistency({ paths, older, newer, keys: KEYS }));
    expect(await refusal({ note: forked.note(19) })).toContain("don't lead");
    expect(await refusal({ note: other.note(19) }, { note: stream.note(39) })).toContain('two streams');
    expect(await refusal(29, 19)).toContain('the older checkpoint is of size 29');
    expect(await refusal(20)).toContain('CHECKPOINT_NOT_FOUND: there is no signed checkpoint of size 20');
    expect(await refusal({ note: new MadeKey('bot').note(stream.name, 19, Buffer.alloc(32)) })).toContain(
      'in the note given',
    );
  });
});

describe('the commands prove and check-proof', () => {
  const trail = (stream: MadeStream = makeStream(KEY, ONE, 40)) => directoryOf(journalOf(stream));
  const prove = (...args: string[]) => runCommand(addProveCommand, ['prove', ...args]);
  const check = (...args: string[]) => runCommand(addCheckProofCommand, ['check-proof', ...args]);
  const failure = (promise: Promise<unknown>) =>
    promise.then(
      () => 'none',
      (error) => error.code,
    );

  it('write two files beside each other, which need the key and nothing else', async () => {
    const directory = trail();
    const away = directoryOf({});
    const file = join(away, 'evidence.tlog-proof');
    expect(await prove('--record', '12', directory, '-o', file)).toMatchObject({ status: 0, err: '' });
    rmSync(directory, { recursive: true });
    const good = await check(file, '--vkey', KEY.vkey);
    expect(good).toMatchObject({ status: 0, err: '' });
    expect(good.out).toContain('GOOD');
    const told = JSON.parse((await check(file, '--vkey', KEY.vkey, '--json')).out);
    expect(told).toMatchObject({ ok: true, sequence: 12, size: 39, record: { event: 'order.placed' } });

    const record = join(away, 'evidence.json');
    writeFileSync(record, readFileSync(record, 'utf8').replace('record 12', 'record 13'));
    expect(await check(file, '--vkey', KEY.vkey)).toMatchObject({ status: 1, out: expect.stringContaining('BAD') });
    expect(await check(file, '--vkey', new MadeKey('bot').vkey)).toMatchObject({ status: 1 });
    rmSync(record);
    expect(await failure(check(file, '--vkey', KEY.vkey))).toBe('PATH_NOT_FOUND');
    writeFileSync(file, 'no proof');
    expect(await failure(check(file, '--vkey', KEY.vkey))).toBe('PROOF_UNREADABLE');
  });

  it('name the files by the record’s id in a directory', async () => {
    const stream = makeStream(KEY, ONE, 40);
    const [directory, away] = [trail(stream), directoryOf({ 'bot.vkey': `${KEY.vkey}\n` })];
    const id = stream.records[5]?.attributes['audit.record.id'] as string;
    const { out } = await prove('--record', id, directory, '-o', away, '--json');
    expect(JSON.parse(out)).toMatchObject({ sequence: 5, recordId: id, proof: join(away, `${id}.tlog-proof`) });
    expect(await check(join(away, `${id}.tlog-proof`), '--vkey', join(away, 'bot.vkey'))).toMatchObject({ status: 0 });
  });

  it('prove consistency by sizes and by a file', async () => {
    const stream = makeStream(KEY, ONE, 40);
    const [directory, away] = [trail(stream), directoryOf({ checkpoint: stream.note(19) })];
    for (const old of ['19', join(away, 'checkpoint')]) {
      const file = join(away, 'x.consistency-proof');
      expect(await prove('--consistency', old, 'newest', directory, '-o', file)).toMatchObject({ status: 0 });
      expect(await check(file, '--vkey', KEY.vkey)).toMatchObject({
        status: 0,
        out: expect.stringContaining('from that of size 19'),
      });
    }
  });

  it('refuse wrong usage', async () => {
    for (const args of [
      [],
      ['--record', '1', '--consistency'],
      ['--consistency', '19'],
      ['--record', '1', '--size', '0'],
    ]) {
      await expect(prove(...args)).rejects.toMatchObject({
        name: expect.stringMatching(/CommanderError|InvalidArgumentError/),
      });
    }
    await expect(check('x.tlog-proof')).rejects.toMatchObject({ code: 'commander.missingMandatoryOptionValue' });
    const away = directoryOf({});
    expect(await failure(prove('--record', '1', trail(), '-o', join(away, 'not/there/x.tlog-proof')))).toBe(
      'FILE_UNWRITABLE',
    );
  });
});
