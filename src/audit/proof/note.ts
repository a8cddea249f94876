/**
 * Signed notes and checkpoints, as C2SP defines them: https://c2sp.org/signed-note, https://c2sp.org/tlog-checkpoint.
 * A note opens here exactly where `golang.org/x/mod/sumdb/note` opens it, given the same keys.
 */
import { createPublicKey, hash, type KeyObject, sign as signBytes, verify as verifyBytes } from 'node:crypto';
import { RiskTrailError } from '../../core/errors.ts';
import { HASH_BYTES } from './tree.ts';

/** What a checkpoint states: the root hash of the first `size` leaves of the log named `origin`. */
export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  readonly root: Uint8Array;
}

/** A public key that may have signed notes. */
export interface VerifierKey {
  readonly name: string;
  /** The four bytes in front of each signature, as a big-endian unsigned integer. */
  readonly keyHash: number;
  /** The key as text: `<name>+<hash in hex>+<base64>`. */
  readonly vkey: string;
  readonly publicKey: KeyObject;
}

/** Signs notes with one key. */
export interface Signer {
  readonly name: string;
  readonly keyHash: number;
  /** The public key as text. */
  readonly vkey: string;
  /** The whole signed note: `text`, which must end in a newline, an empty line, the signature line. */
  sign(text: string): string;
}

/**
 * Why a note didn't open: it is no signed note, none of the keys is among its signers, or a signature that names one of the
 * keys is false.
 */
export type NoteError = 'malformed' | 'unknown signer' | 'false signature';

/** A note's text with one of the keys that signed it, or why it didn't open. */
export type OpenedNote = { readonly text: string; readonly signer: VerifierKey } | { readonly error: NoteError };

const ALGORITHM_ED25519 = 1;
const KEY_HASH_BYTES = 4;
const MAX_SIGNATURES = 100;
const SIGNATURE_PREFIX = '\u2014 ';
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const SIZE = /^(?:0|[1-9][0-9]{0,15})$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what a note must not hold
const CONTROL = /[\x00-\x09\x0b-\x1f]/;

/** Bytes of standard padded base64, or undefined where `text` is none. Bits beyond the last byte are not looked at. */
export function decodeBase64(text: string): Buffer | undefined {
  return BASE64.test(text) ? Buffer.from(text, 'base64') : undefined;
}

/** The 32 bytes of a hash in standard padded base64, or undefined where `text` is not exactly that. */
export function decodeHash(text: string): Buffer | undefined {
  const bytes = decodeBase64(text);
  return bytes?.length === HASH_BYTES && bytes.toString('base64') === text ? bytes : undefined;
}

/** The text of a checkpoint, before it is signed: origin, size and base64 root, a line each. */
export function formatCheckpoint(checkpoint: Checkpoint): string {
  return `${checkpoint.origin}\n${checkpoint.size}\n${Buffer.from(checkpoint.root).toString('base64')}\n`;
}

/**
 * Reads a checkpoint from the text of an opened note; `undefined` where it is none. Extension lines, which the format
 * allows after the first three, are passed over; sizes above 2^53-1 are refused.
 */
export function parseCheckpoint(text: string): Checkpoint | undefined {
  if (!text.endsWith('\n')) return undefined;
  const [origin, size, root, ...extensions] = text.slice(0, -1).split('\n');
  if (origin === undefined || size === undefined || root === undefined) return undefined;
  if (origin === '' || !SIZE.test(size) || extensions.includes('')) return undefined;
  const bytes = decodeHash(root);
  const count = Number(size);
  return bytes === undefined || !Number.isSafeInteger(count) ? undefined : { origin, size: count, root: bytes };
}

/** Names of keys hold no white space, no plus sign, and no half of a surrogate pair. */
function isKeyName(name: string): boolean {
  return name !== '' && !/[\s\u0085+]/u.test(name) && name.isWellFormed();
}

/** First four bytes of SHA-256(name ‖ "\n" ‖ 0x01 ‖ public key). */
function keyHashOf(name: string, key: Uint8Array): number {
  return hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), key]), 'buffer').readUInt32BE(0);
}

/** Algorithm byte and raw public key. */
function keyBytes(publicKey: KeyObject): Buffer {
  if (publicKey.asymmetricKeyType !== 'ed25519') {
    throw new RiskTrailError('SIGNING_KEY_NOT_ED25519', { type: publicKey.asymmetricKeyType ?? publicKey.type });
  }
  const raw = Buffer.from(publicKey.export({ format: 'jwk' }).x as string, 'base64url');
  return Buffer.concat([Buffer.of(ALGORITHM_ED25519), raw]);
}

function verifierKey(name: string, bytes: Uint8Array, publicKey: KeyObject): VerifierKey {
  const keyHash = keyHashOf(name, bytes);
  const vkey = `${name}+${keyHash.toString(16).padStart(8, '0')}+${Buffer.from(bytes).toString('base64')}`;
  return { name, keyHash, vkey, publicKey };
}

/**
 * A public key as a line of `verifier.vkey`, without the newline.
 * @throws RiskTrailError SIGNING_KEY_NOT_ED25519, KEY_NAME_INVALID
 */
export function formatVerifierKey(name: string, publicKey: KeyObject): string {
  if (!isKeyName(name)) throw new RiskTrailError('KEY_NAME_INVALID', { name });
  return verifierKey(name, keyBytes(publicKey), publicKey).vkey;
}

/** Reads one verifier key; `undefined` where it is none, or its hash is not that of its name and key. */
export function parseVerifierKey(text: string): VerifierKey | undefined {
  const [name, keyHash, ...rest] = text.split('+');
  // Base64 may hold plus signs of its own.
  const bytes = decodeBase64(rest.join('+'));
  if (name === undefined || keyHash === undefined || bytes === undefined || !isKeyName(name)) return undefined;
  if (!/^[0-9a-fA-F]{8}$/.test(keyHash) || Number.parseInt(keyHash, 16) !== keyHashOf(name, bytes)) return undefined;
  if (bytes.length !== 1 + HASH_BYTES || bytes[0] !== ALGORITHM_ED25519) return undefined;
  const x = bytes.subarray(1).toString('base64url');
  return verifierKey(name, bytes, createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' }));
}

/**
 * Reads verifier keys, one a line; blank lines are passed over, a repeated key counts once.
 * @throws RiskTrailError VERIFIER_KEY_INVALID with the number of the line
 */
export function parseVerifierKeys(text: string): VerifierKey[] {
  const keys = new Map<string, VerifierKey>();
  for (const [index, line] of text.split('\n').entries()) {
    const trimmed = line.trim();
    if (trimmed === '') continue;
    const key = parseVerifierKey(trimmed);
    if (key === undefined) throw new RiskTrailError('VERIFIER_KEY_INVALID', { line: index + 1 });
    keys.set(key.vkey, key);
  }
  return [...keys.values()];
}

/**
 * A signer of notes.
 * @param name key name, by which a verifier finds the key: the service's name in `audit.stream`
 * @param privateKey an Ed25519 private key
 * @throws RiskTrailError SIGNING_KEY_NOT_ED25519, KEY_NAME_INVALID
 */
export function createSigner(name: string, privateKey: KeyObject): Signer {
  const vkey = formatVerifierKey(name, createPublicKey(privateKey));
  const { keyHash } = parseVerifierKey(vkey) as VerifierKey;
  const prefix = Buffer.alloc(KEY_HASH_BYTES);
  prefix.writeUInt32BE(keyHash);
  return {
    name,
    keyHash,
    vkey,
    sign(text) {
      const signature = Buffer.concat([prefix, signBytes(null, Buffer.from(text), privateKey)]);
      return `${text}\n${SIGNATURE_PREFIX}${name} ${signature.toString('base64')}\n`;
    },
  };
}

/** One signature line of a note, or undefined where it is none. */
function parseSignature(line: string): { name: string; keyHash: number; signature: Buffer } | undefined {
  if (!line.startsWith(SIGNATURE_PREFIX)) return undefined;
  const rest = line.slice(SIGNATURE_PREFIX.length);
  const space = rest.indexOf(' ');
  const name = rest.slice(0, Math.max(space, 0));
  const bytes = decodeBase64(rest.slice(space + 1));
  if (!isKeyName(name) || bytes === undefined || bytes.length <= KEY_HASH_BYTES) return undefined;
  return { name, keyHash: bytes.readUInt32BE(0), signature: bytes.subarray(KEY_HASH_BYTES) };
}

/**
 * Opens a signed note: at least one of the keys must have signed it, no signature that names one of them may be false, and
 * signatures by other keys are passed over.
 */
export function openNote(note: string, keys: readonly VerifierKey[]): OpenedNote {
  const split = note.lastIndexOf('\n\n');
  if (split < 0 || !note.endsWith('\n') || split + 2 >= note.length) return { error: 'malformed' };
  if (CONTROL.test(note) || !note.isWellFormed()) return { error: 'malformed' };
  const text = note.slice(0, split + 1);
  const lines = note.slice(split + 2, -1).split('\n');
  if (lines.length > MAX_SIGNATURES) return { error: 'malformed' };
  const signatures = lines.map(parseSignature);
  if (signatures.includes(undefined)) return { error: 'malformed' };

  let signer: VerifierKey | undefined;
  const seen = new Set<VerifierKey>();
  for (const one of signatures as NonNullable<ReturnType<typeof parseSignature>>[]) {
    const key = keys.find((candidate) => candidate.keyHash === one.keyHash && candidate.name === one.name);
    if (key === undefined || seen.has(key)) continue;
    seen.add(key);
    if (!verifyBytes(null, Buffer.from(text), key.publicKey, one.signature)) return { error: 'false signature' };
    signer ??= key;
  }
  return signer === undefined ? { error: 'unknown signer' } : { text, signer };
}
