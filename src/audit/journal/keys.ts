/**
 * The signing key of a data directory, and the file of verifier keys that belongs to it.
 */
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { RiskTrailError } from '../../core/errors.ts';
import { createSigner, type Signer } from '../proof/note.ts';
import { createFileSync, PRIVATE_FILE_MODE, replaceFileSync } from './durable-file.ts';

/** Name of the key that a data directory makes for itself. */
export const SIGNING_KEY_FILE = 'signing-key.pem';
/** Name of the file with the public keys, newest first. */
export const VERIFIER_KEY_FILE = 'verifier.vkey';

/** Everybody may read public keys. */
const PUBLIC_FILE_MODE = 0o644;
/** Another process may replace the file between our reading and our writing; it never takes more than a few turns. */
const MAX_TURNS = 10;

/**
 * The signer of a data directory: by the key given, else by the directory's own, which is made on first use. Of processes
 * that start at once all get the same key.
 * @param serviceName key name, as it stands in `audit.stream`
 * @param keyFile path of a PKCS#8 PEM file; its permissions are only warned about, since a secret store may mount it so
 * @param onWarning told of a key file that others may read
 * @throws RiskTrailError SIGNING_KEY_UNREADABLE, SIGNING_KEY_INVALID, SIGNING_KEY_NOT_ED25519, KEY_NAME_INVALID
 */
export function openSigner(
  dataDir: string,
  serviceName: string,
  keyFile: string | undefined,
  onWarning: (message: string) => void,
): Signer {
  const path = keyFile ?? join(dataDir, SIGNING_KEY_FILE);
  if (keyFile === undefined && !isThere(path)) createFileSync(path, newKeyPem(), PRIVATE_FILE_MODE);
  return createSigner(serviceName, readSigningKey(path, onWarning));
}

function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** A new Ed25519 key as PKCS#8 PEM. */
export function newKeyPem(): string {
  return generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }) as string;
}

/**
 * Reads a signing key.
 * @param onWarning told of a file that others may read
 * @throws RiskTrailError SIGNING_KEY_UNREADABLE, SIGNING_KEY_INVALID, SIGNING_KEY_NOT_ED25519
 */
export function readSigningKey(path: string, onWarning: (message: string) => void): KeyObject {
  let pem: string;
  let mode: number;
  try {
    pem = readFileSync(path, 'utf8');
    mode = statSync(path).mode;
  } catch (error) {
    throw new RiskTrailError('SIGNING_KEY_UNREADABLE', { path, reason: (error as Error).message }, error);
  }
  if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
    onWarning(`the signing key ${path} is open to other users (mode ${(mode & 0o777).toString(8)}); chmod 600 it`);
  }
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (error) {
    throw new RiskTrailError('SIGNING_KEY_INVALID', { path }, error);
  }
  if (key.asymmetricKeyType !== 'ed25519') {
    throw new RiskTrailError('SIGNING_KEY_NOT_ED25519', { type: key.asymmetricKeyType ?? 'unknown' });
  }
  return key;
}

/** Puts `vkey` in front of the data directory's verifier keys; earlier keys stay, for what they signed stays too. */
export function publishVerifierKey(dataDir: string, vkey: string): void {
  const path = join(dataDir, VERIFIER_KEY_FILE);
  for (let turn = 0; turn < MAX_TURNS; turn++) {
    const lines = readLines(path);
    // A service beside ours on the same directory has its own key in front: being there is enough then.
    if (lines[0] === vkey || (turn > 0 && lines.includes(vkey))) return;
    const rest = lines.filter((line) => line !== vkey);
    replaceFileSync(path, `${[vkey, ...rest].join('\n')}\n`, PUBLIC_FILE_MODE);
  }
}

function readLines(path: string): string[] {
  if (!isThere(path)) return [];
  return readFileSync(path, 'utf8')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}
