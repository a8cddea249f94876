import { spawn } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSigner, publishVerifierKey } from '../../../src/audit/journal/keys.ts';
import { openNote, parseVerifierKeys } from '../../../src/audit/proof/note.ts';

let dir: string;
const warnings: string[] = [];
const warn = (message: string) => void warnings.push(message);

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'risktrail-keys-'));
  warnings.length = 0;
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function pem(type: 'ed25519' | 'x25519'): string {
  const { privateKey } = generateKeyPairSync(type as 'ed25519');
  return privateKey.export({ format: 'pem', type: 'pkcs8' }) as string;
}

describe('the signing key', () => {
  it('is made on first use, for its owner alone, and used again', () => {
    const first = openSigner(dir, 'svc', undefined, warn);
    const path = join(dir, 'signing-key.pem');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(createPrivateKey(readFileSync(path, 'utf8')).asymmetricKeyType).toBe('ed25519');
    expect(openSigner(dir, 'svc', undefined, warn).vkey).toBe(first.vkey);
    expect(readdirSync(dir)).toEqual(['signing-key.pem']);
    expect(warnings).toEqual([]);
    const opened = openNote(first.sign('hello\n'), parseVerifierKeys(first.vkey));
    expect(opened).toMatchObject({ text: 'hello\n' });
  });

  it('is the same for processes that start at once', async () => {
    const script = `
      import { openSigner } from ${JSON.stringify(new URL('../../../src/audit/journal/keys.ts', import.meta.url).href)};
      process.stdin.once('data', () => {
        console.log(openSigner(${JSON.stringify(dir)}, 'svc', undefined, () => {}).vkey);
        process.exit();
      });
      console.log('ready');`;
    const children = Array.from({ length: 4 }, () => {
      const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      let output = '';
      const ready = new Promise<void>((resolve) => {
        child.stdout.on('data', (chunk) => {
          output += chunk;
          resolve();
        });
      });
      const done = new Promise<string>((resolve) => child.on('close', () => resolve(output)));
      return { child, ready, done };
    });
    await Promise.all(children.map((one) => one.ready));
    for (const { child } of children) child.stdin.write('go\n');
    const outputs = await Promise.all(children.map((one) => one.done));
    expect(new Set(outputs).size).toBe(1);
    expect(outputs[0]).toMatch(/^ready\nsvc\+[0-9a-f]{8}\+/);
    expect(readdirSync(dir)).toEqual(['signing-key.pem']);
  });

  it('can be given as a file; a file that others may read is used, with a warning', () => {
    const path = join(dir, 'given.pem');
    writeFileSync(path, pem('ed25519'), { mode: 0o600 });
    const signer = openSigner(dir, 'svc', path, warn);
    expect(warnings).toEqual([]);
    chmodSync(path, 0o644);
    expect(openSigner(dir, 'svc', path, warn).vkey).toBe(signer.vkey);
    expect(warnings).toEqual([expect.stringContaining('mode 644')]);
    expect(readdirSync(dir)).toEqual(['given.pem']);
  });

  it('is refused with its own error where it is missing, no key or of another kind', () => {
    const path = join(dir, 'given.pem');
    const open = () => openSigner(dir, 'svc', path, warn);
    expect(open).toThrow(
      expect.objectContaining({ code: 'SIGNING_KEY_UNREADABLE', details: expect.objectContaining({ path }) }),
    );
    writeFileSync(path, 'nonsense', { mode: 0o600 });
    expect(open).toThrow(expect.objectContaining({ code: 'SIGNING_KEY_INVALID', details: { path } }));
    writeFileSync(path, pem('x25519'), { mode: 0o600 });
    expect(open).toThrow(expect.objectContaining({ code: 'SIGNING_KEY_NOT_ED25519' }));
  });
});

describe('verifier.vkey', () => {
  const lines = () => readFileSync(join(dir, 'verifier.vkey'), 'utf8').split('\n');

  it('holds the newest key first and keeps those before it', () => {
    publishVerifierKey(dir, 'a+1+x');
    publishVerifierKey(dir, 'b+2+y');
    publishVerifierKey(dir, 'b+2+y');
    expect(lines()).toEqual(['b+2+y', 'a+1+x', '']);
    publishVerifierKey(dir, 'a+1+x');
    expect(lines()).toEqual(['a+1+x', 'b+2+y', '']);
  });
});
