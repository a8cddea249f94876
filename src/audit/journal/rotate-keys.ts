/**
 * Hands the signing of a data directory over to a new key. Order: write the hand-over statement, signed by both keys → put
 * the new public key in front of `verifier.vkey` → replace the private key. Whoever starts in between finds either key
 * published before it signs; a step that is never reached leaves a statement for a key that signs nothing, which harms nobody.
 *
 * A writer that runs keeps the key it started with. Its stream ends with it, and the next start opens a stream of the new
 * key, whose first record names the stream before and that one's last checkpoint, signed by the old key.
 */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Clock } from '../../core/clock.ts';
import { RiskTrailError } from '../../core/errors.ts';
import { makeHandover, parseHandover } from '../proof/handover.ts';
import { createSigner, formatVerifierKey, parseVerifierKeys, type Signer, type VerifierKey } from '../proof/note.ts';
import { handoverFile, KEYS_DIRECTORY, readHandovers } from '../proof/read-handovers.ts';
import { createFileSync, makeDirectorySync, PRIVATE_FILE_MODE, replaceFileSync } from './durable-file.ts';
import { newKeyPem, publishVerifierKey, readSigningKey, SIGNING_KEY_FILE, VERIFIER_KEY_FILE } from './keys.ts';

const PUBLIC_FILE_MODE = 0o644;

/** How to hand over. */
export interface RotateOptions {
  readonly dataDir: string;
  /** The old private key. @default the data directory's own, which is replaced */
  readonly keyFile?: string | undefined;
  /** The new private key, made where it is missing. @default one that takes the place of the data directory's own */
  readonly newKeyFile?: string | undefined;
  readonly clock: Clock;
  /** Told of a key file that others may read. */
  readonly onWarning: (message: string) => void;
}

/** What was done. */
export interface RotateResult {
  /** One for each service that signs by the key. */
  readonly handovers: readonly { readonly oldVkey: string; readonly newVkey: string; readonly path: string }[];
  /** Where the new private key is. */
  readonly keyFile: string;
}

/** The keys of a data directory, as they are now. */
export interface KeysReport {
  /** Newest first. */
  readonly keys: readonly {
    readonly vkey: string;
    /** Whether the data directory's own private key belongs to it. */
    readonly signs: boolean;
  }[];
  readonly handovers: readonly {
    readonly path: string;
    /** Undefined where the file is no statement that both keys signed. */
    readonly oldVkey: string | undefined;
    readonly newVkey: string | undefined;
    readonly time: string | undefined;
  }[];
}

const refused = (reason: string) => new RiskTrailError('HANDOVER_IMPOSSIBLE', { reason });

function readVerifierKeyFile(dataDir: string): VerifierKey[] {
  const path = join(dataDir, VERIFIER_KEY_FILE);
  try {
    return parseVerifierKeys(readFileSync(path, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      throw refused(`${path} is missing: no trail was written here`);
    throw error;
  }
}

/** The keys' holder by name, where the private key belongs to them. */
function belongs(key: VerifierKey, privateKey: KeyObject): boolean {
  return formatVerifierKey(key.name, createPublicKey(privateKey)) === key.vkey;
}

function newKeyOf(options: RotateOptions): { pem: string; key: KeyObject; path: string; own: boolean } {
  const { dataDir, newKeyFile, onWarning } = options;
  if (newKeyFile === undefined) {
    const pem = newKeyPem();
    return { pem, key: createPrivateKey(pem), path: join(dataDir, SIGNING_KEY_FILE), own: true };
  }
  const path = resolve(newKeyFile);
  if (!existsSync(path)) createFileSync(path, newKeyPem(), PRIVATE_FILE_MODE);
  return { pem: '', key: readSigningKey(path, onWarning), path, own: false };
}

/**
 * Hands over to a new key, for every service that signs by the old one in this directory.
 * @throws RiskTrailError HANDOVER_IMPOSSIBLE, SIGNING_KEY_UNREADABLE, SIGNING_KEY_INVALID, SIGNING_KEY_NOT_ED25519,
 *   VERIFIER_KEY_INVALID; the system's error where a file can't be written
 */
export async function rotateKeys(options: RotateOptions): Promise<RotateResult> {
  const dataDir = resolve(options.dataDir);
  const { keyFile, newKeyFile, clock, onWarning } = options;
  if (keyFile !== undefined && newKeyFile === undefined) {
    throw refused('the old key lies elsewhere, so it must be said where the new one goes');
  }
  const published = readVerifierKeyFile(dataDir);
  const oldKey = readSigningKey(keyFile ?? join(dataDir, SIGNING_KEY_FILE), onWarning);
  const names = published.filter((key) => belongs(key, oldKey)).map((key) => key.name);
  if (names.length === 0) throw refused(`the old key is none of those in ${join(dataDir, VERIFIER_KEY_FILE)}`);
  const next = newKeyOf({ ...options, dataDir });
  const time = new Date(clock.now()).toISOString();
  const pairs = names.map((name): [Signer, Signer] => [createSigner(name, oldKey), createSigner(name, next.key)]);
  const statements = pairs.map(([old, now]) => ({ old, now, text: makeHandover(old, now, time) }));

  makeDirectorySync(join(dataDir, KEYS_DIRECTORY));
  let number = ((await readHandovers(dataDir)).at(-1)?.number ?? 0) + 1;
  const handovers: RotateResult['handovers'][number][] = [];
  for (const { old, now, text } of statements) {
    while (!createFileSync(handoverFile(dataDir, number), text, PUBLIC_FILE_MODE)) number++;
    handovers.push({ oldVkey: old.vkey, newVkey: now.vkey, path: handoverFile(dataDir, number) });
  }
  for (const { newVkey } of handovers) publishVerifierKey(dataDir, newVkey);
  if (next.own) replaceFileSync(next.path, next.pem, PRIVATE_FILE_MODE);
  return { handovers, keyFile: next.path };
}

/**
 * The keys of a data directory and the statements by which they follow one another.
 * @throws RiskTrailError HANDOVER_IMPOSSIBLE where no trail was written there, VERIFIER_KEY_INVALID
 */
export async function describeKeys(dataDir: string): Promise<KeysReport> {
  const own = join(dataDir, SIGNING_KEY_FILE);
  const privateKey = existsSync(own) ? readSigningKey(own, () => {}) : undefined;
  const keys = readVerifierKeyFile(dataDir).map((key) => ({
    vkey: key.vkey,
    signs: privateKey !== undefined && belongs(key, privateKey),
  }));
  const handovers = (await readHandovers(dataDir)).map(({ path, text }) => {
    const handover = parseHandover(text);
    return { path, oldVkey: handover?.oldKey.vkey, newVkey: handover?.newKey.vkey, time: handover?.time };
  });
  return { keys, handovers };
}
