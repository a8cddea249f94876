import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  createSigner,
  formatCheckpoint,
  formatVerifierKey,
  openNote,
  parseCheckpoint,
  parseVerifierKeys,
  type VerifierKey,
} from '../../../src/audit/proof/note.ts';
import { leafHash } from '../../../src/audit/proof/tree.ts';

const keyPair = () => generateKeyPairSync('ed25519').privateKey;
const keyOf = (vkey: string) => parseVerifierKeys(vkey)[0] as VerifierKey;
const bot = createSigner('bot', keyPair());
const other = createSigner('other', keyPair());
const text = formatCheckpoint({ origin: 'bot/stream', size: 42, root: leafHash('root') });
const signatureOf = (note: string) => note.slice(note.indexOf('\n\n') + 2);

// The example of golang.org/x/mod/sumdb/note, whose keys are public.
const PETER = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
const PETER_NOTE =
  "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

describe('signed notes', () => {
  it('open with the key that signed them', () => {
    const opened = openNote(bot.sign(text), [keyOf(bot.vkey)]);
    expect(opened).toMatchObject({ text, signer: { name: 'bot', keyHash: bot.keyHash, vkey: bot.vkey } });
  });

  it('open where the Go implementation made them', () => {
    expect(openNote(PETER_NOTE, [keyOf(PETER)])).toMatchObject({ signer: { name: 'PeterNeumann' } });
    const vkey = readFileSync(new URL('../../vectors/trail/verifier.vkey', import.meta.url), 'utf8');
    const stream = '../../vectors/trail/streams/9daa6223-bff6-4d4e-8c73-7bd8062153f2/checkpoint';
    const note = readFileSync(new URL(stream, import.meta.url), 'utf8');
    const opened = openNote(note, parseVerifierKeys(vkey));
    expect('text' in opened && parseCheckpoint(opened.text)).toMatchObject({
      origin: 'rtcheck-bot/9daa6223-bff6-4d4e-8c73-7bd8062153f2',
      size: 299,
    });
  });

  it('pass over signatures by unknown keys, but need one by a known key', () => {
    const both = bot.sign(text) + signatureOf(other.sign(text));
    expect(openNote(both, [keyOf(other.vkey)])).toMatchObject({ signer: { name: 'other' } });
    expect(openNote(both, [keyOf(PETER)])).toEqual({ error: 'unknown signer' });
    expect(openNote(both, [])).toEqual({ error: 'unknown signer' });
  });

  it('count one signature of a key, the first', () => {
    const second = signatureOf(bot.sign('something else\n'));
    expect(openNote(bot.sign(text) + second, [keyOf(bot.vkey)])).toMatchObject({ signer: { name: 'bot' } });
    expect(openNote(`${text}\n${second}${signatureOf(bot.sign(text))}`, [keyOf(bot.vkey)])).toEqual({
      error: 'false signature',
    });
  });

  it('do not open once a byte of the text or of a known signature changed', () => {
    const key = keyOf(bot.vkey);
    const note = bot.sign(text);
    expect(openNote(note.replace('\n42\n', '\n43\n'), [key])).toEqual({ error: 'false signature' });
    const foreign = signatureOf(bot.sign('something else\n'));
    expect(openNote(`${text}\n${foreign}`, [key])).toEqual({ error: 'false signature' });
    expect(openNote(other.sign(text) + foreign, [key, keyOf(other.vkey)])).toEqual({ error: 'false signature' });
  });

  it.each([
    ['nothing', ''],
    ['no signature block', text],
    ['an empty signature block', `${text}\n`],
    ['no newline at the end', bot.sign(text).slice(0, -1)],
    ['a hyphen for the dash', bot.sign(text).replace('\u2014', '-')],
    ['a control character', bot.sign('a\tb\n')],
    ['a carriage return', bot.sign(text).replaceAll('\n', '\r\n')],
    ['a signature without padding', bot.sign(text).replace(/=+\n$/, '\n')],
    ['a signature of four bytes', `${text}\n\u2014 bot AAAAAA==\n`],
    ['a key name with a plus sign', bot.sign(text).replace('\u2014 bot', '\u2014 b+t')],
    ['a line that is no signature', `${bot.sign(text)}more\n`],
    ['101 signatures', bot.sign(text) + signatureOf(bot.sign(text)).repeat(100)],
  ])('are malformed with %s', (_, note) => {
    expect(openNote(note, [keyOf(bot.vkey)])).toEqual({ error: 'malformed' });
  });
});

describe('verifier keys', () => {
  it('are written and read back, newest first, blank lines and repeats aside', () => {
    const keys = parseVerifierKeys(`${bot.vkey}\n\n${other.vkey}\n${bot.vkey}\n`);
    expect(keys.map((key) => key.vkey)).toEqual([bot.vkey, other.vkey]);
    expect(keys[0] && formatVerifierKey('bot', keys[0].publicKey)).toBe(bot.vkey);
    expect(parseVerifierKeys(PETER)[0]?.vkey).toBe(PETER);
  });

  it.each([
    ['no key', 'nonsense'],
    ['another name', PETER.replace('Peter', 'Paul')],
    ['a short hash', PETER.replace('c74f20a3', 'c74f20a')],
    ['another algorithm', PETER.replace('+AR', '+AB')],
    ['a key cut short', PETER.slice(0, -4)],
    ['white space in the name', PETER.replace('Peter', 'Peter ')],
  ])('are refused with %s, naming the line', (_, line) => {
    expect(() => parseVerifierKeys(`${bot.vkey}\n${line}\n`)).toThrow(
      expect.objectContaining({ code: 'VERIFIER_KEY_INVALID', details: { line: 2 } }),
    );
  });

  it('are made of Ed25519 keys alone', () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const refused = expect.objectContaining({ code: 'SIGNING_KEY_NOT_ED25519' });
    expect(() => createSigner('bot', privateKey)).toThrow(refused);
    expect(() => formatVerifierKey('bot', createPublicKey(privateKey))).toThrow(refused);
    expect(() => createSigner('my bot', keyPair())).toThrow(expect.objectContaining({ code: 'KEY_NAME_INVALID' }));
  });
});

describe('checkpoints', () => {
  it('are three lines: origin, size, base64 root', () => {
    expect(text).toBe(`bot/stream\n42\n${leafHash('root').toString('base64')}\n`);
    expect(parseCheckpoint(text)).toEqual({ origin: 'bot/stream', size: 42, root: leafHash('root') });
    expect(parseCheckpoint(`${text}an extension\n`)).toMatchObject({ size: 42 });
  });

  const root = leafHash('root').toString('base64');
  it.each([
    ['a leading zero', `o\n042\n${root}\n`],
    ['a sign', `o\n+42\n${root}\n`],
    ['a size past 2^53-1', `o\n9007199254740992\n${root}\n`],
    ['an empty origin', `\n42\n${root}\n`],
    ['a short root', 'o\n42\nAAAA\n'],
    ['loose bits in the root', `o\n42\n${root.slice(0, -2)}${root.at(-2) === 'F' ? 'H' : 'F'}=\n`],
    ['two lines', 'o\n42\n'],
    ['no last newline', `o\n42\n${root}`],
    ['an empty extension', `o\n42\n${root}\n\n`],
  ])('are none with %s', (_, wrong) => {
    expect(parseCheckpoint(wrong)).toBeUndefined();
  });
});
