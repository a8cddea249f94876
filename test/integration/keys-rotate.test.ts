import { generateKeyPairSync } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { describeKeys, rotateKeys } from '../../src/audit/journal/rotate-keys.ts';
import { makeHandover, parseHandover, trustHandovers } from '../../src/audit/proof/handover.ts';
import { createSigner, openNote, parseVerifierKeys } from '../../src/audit/proof/note.ts';
import { handoversBeside } from '../../src/audit/proof/read-handovers.ts';
import { verifyTrail } from '../../src/audit/verify/verify.ts';
import { addCheckProofCommand } from '../../src/cli/commands/check-proof.ts';
import { addKeysCommand } from '../../src/cli/commands/keys.ts';
import { addProveCommand } from '../../src/cli/commands/prove.ts';
import { createManualClock } from '../../src/core/clock.ts';
import { runCommand } from '../support/command.ts';
import { openTestJournal, recordsByStream, temporaryDirectory, testEvent } from '../support/journal.ts';

const signerOf = (name: string) => createSigner(name, generateKeyPairSync('ed25519').privateKey);
const TIME = '2026-11-21T12:00:00.000Z';

let directory: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => directory.remove());

/** A process's life: some records, an orderly end. */
async function live(options: Parameters<typeof openTestJournal>[1] = {}): Promise<string> {
  const journal = openTestJournal(directory.path, options);
  for (let i = 0; i < 5; i++) journal.append(testEvent(i));
  await journal.close('shutdown');
  return journal.stream;
}

const rotate = (options: Partial<Parameters<typeof rotateKeys>[0]> = {}) =>
  rotateKeys({
    dataDir: directory.path,
    clock: createManualClock(Date.parse(TIME)),
    onWarning: (message) => {
      throw new Error(message);
    },
    ...options,
  });

describe('a hand-over statement', () => {
  it('is a signed note that opens with either key, and names both', () => {
    const [old, now] = [signerOf('bot'), signerOf('bot')];
    const text = makeHandover(old, now, TIME);
    for (const { vkey } of [old, now])
      expect(openNote(text, parseVerifierKeys(vkey))).toMatchObject({
        text: text.slice(0, text.lastIndexOf('\n\n') + 1),
      });
    expect(parseHandover(text)).toMatchObject({ oldKey: { vkey: old.vkey }, newKey: { vkey: now.vkey }, time: TIME });
  });

  it('is trusted from a trusted key on, through any number of them, in any order', () => {
    const keys = Array.from({ length: 4 }, () => signerOf('bot'));
    const statements = [2, 0, 1].map((at) => makeHandover(keys[at]!, keys[at + 1]!, TIME));
    const trustedFrom = (at: number) =>
      trustHandovers(parseVerifierKeys(keys[at]!.vkey), statements).map(({ vkey }) => vkey);
    expect(trustedFrom(0)).toEqual(keys.map(({ vkey }) => vkey));
    expect(trustedFrom(2)).toEqual(keys.slice(2).map(({ vkey }) => vkey));
    expect(trustHandovers(parseVerifierKeys(signerOf('bot').vkey), statements)).toHaveLength(1);
  });

  it('is none where a byte was changed, a signature is missing or false, or the keys are of two names', () => {
    const [old, now, thief] = [signerOf('bot'), signerOf('bot'), signerOf('bot')];
    const text = makeHandover(old, now, TIME);
    const end = text.lastIndexOf('\n\n') + 2;
    const [byOld, byNew] = text.slice(end).trimEnd().split('\n');
    const body = text.slice(0, end);
    expect(parseHandover(`${body}${byOld}\n${byNew}\n`)).toBeDefined();
    for (const one of [
      `${body}${byOld}\n`,
      `${body}${byNew}\n`,
      text.replace('12:00', '13:00'),
      text.replace(now.vkey, thief.vkey),
      text.replace(old.vkey, thief.vkey),
      text.replace('@v1', '@v2'),
      `${text}x`,
      '',
    ]) {
      expect(parseHandover(one)).toBeUndefined();
    }
    // Whoever signs for both still can't speak for a key that he doesn't hold.
    const forged = makeHandover(thief, signerOf('bot'), TIME).replace(thief.vkey, old.vkey);
    expect(trustHandovers(parseVerifierKeys(old.vkey), [forged])).toHaveLength(1);
    expect(() => makeHandover(old, signerOf('other'), TIME)).toThrow('two names');
    expect(() => makeHandover(old, old, TIME)).toThrow('the same');
  });
});

describe('keys rotate', () => {
  it('makes the next stream be signed by the new key, which names the one before; the old key is enough to verify both', async () => {
    const first = await live();
    const oldVkey = readFileSync(join(directory.path, 'verifier.vkey'), 'utf8').trim();
    const oldPem = readFileSync(join(directory.path, 'signing-key.pem'), 'utf8');
    const { handovers, keyFile } = await rotate();
    expect(handovers).toMatchObject([{ oldVkey, path: join(directory.path, 'keys/handover-1.txt') }]);
    expect(statSync(keyFile).mode & 0o777).toBe(0o600);
    expect(readFileSync(keyFile, 'utf8')).not.toBe(oldPem);
    const newVkey = handovers[0]!.newVkey;
    const second = await live();
    expect(readFileSync(join(directory.path, 'verifier.vkey'), 'utf8')).toBe(`${newVkey}\n${oldVkey}\n`);
    const opened = (await recordsByStream(directory.path)).get(second)![0]!;
    expect(opened.attributes).toMatchObject({ 'audit.verifier.key': newVkey, 'audit.previous.stream': first });
    const previous = opened.attributes['audit.previous.checkpoint'] as string;
    expect(openNote(previous, parseVerifierKeys(oldVkey))).toMatchObject({ signer: { vkey: oldVkey } });

    const old = parseVerifierKeys(oldVkey);
    const statements = await handoversBeside([directory.path], [join(directory.path, 'verifier.vkey')]);
    expect(
      (await verifyTrail({ paths: [directory.path], keys: trustHandovers(old, statements), strict: true })).exitStatus,
    ).toBe(0);
    expect((await verifyTrail({ paths: [directory.path] })).exitStatus).toBe(0);
    // The verifier finds the statements by itself.
    expect((await verifyTrail({ paths: [directory.path], keys: old, strict: true })).exitStatus).toBe(0);
    rmSync(join(directory.path, 'keys'), { recursive: true });
    expect((await verifyTrail({ paths: [directory.path], keys: old })).exitStatus).toBe(1);
  });

  it('goes on from rotation to rotation, for every service that shares the directory', async () => {
    await live();
    await live({ serviceName: 'other' });
    await rotate();
    const { handovers } = await rotate();
    expect(readdirSync(join(directory.path, 'keys')).sort()).toEqual([1, 2, 3, 4].map((n) => `handover-${n}.txt`));
    const { keys, handovers: told } = await describeKeys(directory.path);
    expect(keys).toHaveLength(6);
    expect(
      keys
        .filter(({ signs }) => signs)
        .map(({ vkey }) => vkey)
        .sort(),
    ).toEqual(handovers.map(({ newVkey }) => newVkey).sort());
    expect(told.every(({ newVkey, time }) => newVkey !== undefined && time === TIME)).toBe(true);
    await live();
    await live({ serviceName: 'other' });
    expect((await verifyTrail({ paths: [directory.path], strict: true })).exitStatus).toBe(0);
  });

  it('takes keys that lie elsewhere, and makes the new one there', async () => {
    const [oldFile, newFile] = [join(directory.path, 'old.pem'), join(directory.path, 'new.pem')];
    writeFileSync(oldFile, generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }), {
      mode: 0o600,
    });
    await live({ signingKeyFile: oldFile });
    await expect(rotate()).rejects.toMatchObject({ code: 'SIGNING_KEY_UNREADABLE' });
    await expect(rotate({ keyFile: oldFile })).rejects.toMatchObject({ code: 'HANDOVER_IMPOSSIBLE' });
    expect((await rotate({ keyFile: oldFile, newKeyFile: newFile })).keyFile).toBe(newFile);
    expect(existsSync(join(directory.path, 'signing-key.pem'))).toBe(false);
    await live({ signingKeyFile: newFile });
    expect((await verifyTrail({ paths: [directory.path], strict: true })).exitStatus).toBe(0);
  });

  it('lets proofs be made and checked with the old key and the statement', async () => {
    await live();
    const oldVkey = readFileSync(join(directory.path, 'verifier.vkey'), 'utf8').trim();
    const { handovers } = await rotate();
    const stream = await live();
    const proof = join(directory.path, 'x.tlog-proof');
    const prove = ['prove', '--record', '3', '--stream', stream, '--vkey', oldVkey, '-o', proof, directory.path];
    expect(await runCommand(addProveCommand, prove)).toMatchObject({ status: 0 });
    const check = ['check-proof', proof, '--vkey', oldVkey];
    expect(await runCommand(addCheckProofCommand, check)).toMatchObject({ status: 1 });
    const trusted = await runCommand(addCheckProofCommand, [...check, '--handover', handovers[0]!.path]);
    expect(trusted).toMatchObject({ status: 0, out: expect.stringContaining(handovers[0]!.newVkey) });
  });

  it('changes nothing where it is refused', async () => {
    await expect(rotate()).rejects.toMatchObject({ code: 'HANDOVER_IMPOSSIBLE' });
    await live();
    writeFileSync(join(directory.path, 'verifier.vkey'), `${signerOf('bot').vkey}\n`);
    await expect(rotate()).rejects.toThrow('the old key is none of those');
    expect(existsSync(join(directory.path, 'keys'))).toBe(false);
  });

  it('is a command, as is showing the keys', async () => {
    await live();
    const keys = (...args: string[]) => runCommand(addKeysCommand, ['keys', ...args]);
    const rotated = JSON.parse((await keys('rotate', directory.path, '--json')).out);
    expect(rotated.handovers).toHaveLength(1);
    const shown = await keys('show', directory.path);
    expect(shown).toMatchObject({ status: 0, err: '' });
    expect(shown.out).toContain(`${rotated.handovers[0].newVkey}  (signs)\n${rotated.handovers[0].oldVkey}\n`);
    writeFileSync(join(directory.path, 'keys/handover-2.txt'), 'nothing');
    expect(await keys('show', directory.path)).toMatchObject({ status: 1 });
    rmSync(join(directory.path, 'keys'), { recursive: true });
    expect((await keys('rotate', directory.path)).out).toContain('hands over to');
  });
});
