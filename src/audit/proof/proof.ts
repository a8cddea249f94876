/**
 * Proofs that leave the machine (docs/audit-format.md section 8): that one record is in a stream, as a C2SP tlog-proof
 * (https://c2sp.org/tlog-proof), and that one checkpoint of a stream goes on from another.
 */
import { hash } from 'node:crypto';
import { type Checkpoint, decodeHash, openNote, parseCheckpoint, type VerifierKey } from './note.ts';
import { checkConsistency, checkInclusion, consistencyProof, inclusionProof, type TreePrefix } from './tree.ts';

const RECORD_HEADER = 'c2sp.org/tlog-proof@v1';
const CONSISTENCY_HEADER = 'risktrail/consistency-proof@v1';
const RECORD_SUFFIX = '.tlog-proof';
const COUNT = /^(?:0|[1-9]\d{0,15})$/;

/** A record's audit path and the signed note it leads to. */
export interface RecordProof {
  /** The record's sequence number. */
  readonly index: number;
  /** Siblings, lowest first. */
  readonly path: readonly Uint8Array[];
  /** The signed checkpoint. */
  readonly note: string;
}

/** What shows that the newer of two checkpoints of a stream goes on from the older. */
export interface ConsistencyProof {
  readonly oldSize: number;
  readonly newSize: number;
  readonly hashes: readonly Uint8Array[];
  readonly oldNote: string;
  readonly newNote: string;
}

/** A proof that holds, with what it proves, or why it doesn't. */
export type ProofResult<T> = ({ readonly ok: true } & T) | { readonly ok: false; readonly reason: string };

const lines = (hashes: readonly Uint8Array[]) =>
  hashes.map((one) => `${Buffer.from(one).toString('base64')}\n`).join('');

function decodeHashes(texts: readonly string[]): Buffer[] | undefined {
  const hashes = texts.map(decodeHash);
  return hashes.includes(undefined) ? undefined : (hashes as Buffer[]);
}

function countOf(line: string | undefined, name: string): number | undefined {
  if (line === undefined || !line.startsWith(`${name} `)) return undefined;
  const digits = line.slice(name.length + 1);
  const count = Number(digits);
  return COUNT.test(digits) && Number.isSafeInteger(count) ? count : undefined;
}

/** The text of a `*.tlog-proof`. */
export function formatRecordProof({ index, path, note }: RecordProof): string {
  return `${RECORD_HEADER}\nindex ${index}\n${lines(path)}\n${note}`;
}

/** Path of the file beside a `*.tlog-proof` that holds the record's canonical bytes. */
export function recordFileOf(proofFile: string): string {
  return `${proofFile.endsWith(RECORD_SUFFIX) ? proofFile.slice(0, -RECORD_SUFFIX.length) : proofFile}.json`;
}

/** Reads a `*.tlog-proof`; undefined where it is none. Its optional `extra` line is passed over. */
export function parseRecordProof(text: string): RecordProof | undefined {
  const split = text.indexOf('\n\n');
  if (split < 0) return undefined;
  const [header, ...rest] = text.slice(0, split).split('\n');
  if (header !== RECORD_HEADER) return undefined;
  if (rest[0]?.startsWith('extra ')) rest.shift();
  const index = countOf(rest.shift(), 'index');
  const path = decodeHashes(rest);
  return index === undefined || path === undefined ? undefined : { index, path, note: text.slice(split + 2) };
}

/**
 * Makes the proof of one record.
 * @param index the record's sequence number
 * @param note a signed checkpoint of the stream, of a size above `index`
 * @param leafAt leaf hash by sequence number, for the leaves below the checkpoint's size
 * @param prefix what pruning left of the leaves that are gone
 * @throws RangeError where `note` is no checkpoint, is not above `index`, or the record was pruned
 */
export function makeRecordProof(
  index: number,
  note: string,
  leafAt: (index: number) => Uint8Array,
  prefix?: TreePrefix,
): RecordProof {
  return { index, path: inclusionProof(index, sizeOf(note), leafAt, prefix), note };
}

/** The size that a signed note states, whoever signed it. */
function sizeOf(note: string): number {
  const checkpoint = parseCheckpoint(note.slice(0, note.lastIndexOf('\n\n') + 1));
  if (checkpoint === undefined) throw new RangeError('the note is no checkpoint');
  return checkpoint.size;
}

function openCheckpoint(
  note: string,
  keys: readonly VerifierKey[],
): { checkpoint: Checkpoint; signer: VerifierKey } | string {
  const opened = openNote(note, keys);
  if ('error' in opened) {
    return opened.error === 'malformed' ? 'the checkpoint is no signed note' : `the checkpoint has a ${opened.error}`;
  }
  const checkpoint = parseCheckpoint(opened.text);
  return checkpoint === undefined ? 'the signed note is no checkpoint' : { checkpoint, signer: opened.signer };
}

/**
 * Checks that a record is in the stream that a signed checkpoint stands for.
 * @param proof the text of the `*.tlog-proof`
 * @param canonical the canonical bytes: the content of the `*.json` beside it
 */
export function checkRecordProof(
  proof: string,
  canonical: Uint8Array,
  keys: readonly VerifierKey[],
): ProofResult<{ readonly checkpoint: Checkpoint; readonly signer: VerifierKey; readonly index: number }> {
  const parsed = parseRecordProof(proof);
  if (parsed === undefined) return { ok: false, reason: 'the file is no tlog-proof' };
  const opened = openCheckpoint(parsed.note, keys);
  if (typeof opened === 'string') return { ok: false, reason: opened };
  const { checkpoint, signer } = opened;
  const { index, path } = parsed;
  const leaf = hash('sha256', Buffer.concat([Buffer.of(0), canonical]), 'buffer');
  if (!checkInclusion({ index, size: checkpoint.size, leaf, root: checkpoint.root, proof: path })) {
    return { ok: false, reason: `the record is not leaf ${index} below the checkpoint of size ${checkpoint.size}` };
  }
  const place = placeOf(canonical);
  if (place?.stream !== checkpoint.origin || place.sequence !== index) {
    return { ok: false, reason: 'the record bears another stream or number than the proof' };
  }
  return { ok: true, checkpoint, signer, index };
}

/** Stream and number that canonical bytes state. */
function placeOf(canonical: Uint8Array): { stream: unknown; sequence: unknown } | undefined {
  try {
    const { attributes } = JSON.parse(Buffer.from(canonical).toString()) as { attributes: Record<string, unknown> };
    return { stream: attributes['audit.stream'], sequence: attributes['audit.sequence.number'] };
  } catch {
    return undefined;
  }
}

/** The text of a `*.consistency-proof`. */
export function formatConsistencyProof(proof: ConsistencyProof): string {
  const { oldSize, newSize, hashes, oldNote, newNote } = proof;
  return `${CONSISTENCY_HEADER}\nold ${oldSize}\nnew ${newSize}\n${lines(hashes)}\n${oldNote}--\n${newNote}`;
}

/** Reads a `*.consistency-proof`; undefined where it is none. */
export function parseConsistencyProof(text: string): ConsistencyProof | undefined {
  const split = text.indexOf('\n\n');
  const [header, oldLine, newLine, ...rest] = text.slice(0, Math.max(split, 0)).split('\n');
  const oldSize = countOf(oldLine, 'old');
  const newSize = countOf(newLine, 'new');
  const hashes = decodeHashes(rest);
  const notes = text.slice(split + 2).split('\n--\n');
  const [oldNote, newNote] = notes;
  if (header !== CONSISTENCY_HEADER || oldSize === undefined || newSize === undefined || hashes === undefined) {
    return undefined;
  }
  if (notes.length !== 2 || oldNote === undefined || newNote === undefined) return undefined;
  return { oldSize, newSize, hashes, oldNote: `${oldNote}\n`, newNote };
}

/**
 * Makes the proof that one checkpoint goes on from another.
 * @param leafAt leaf hash by sequence number, for the leaves below the newer checkpoint's size
 * @param prefix what pruning left of the leaves that are gone
 * @throws RangeError where a note is no checkpoint, or the older is of a larger size or reaches into what was pruned
 */
export function makeConsistencyProof(
  oldNote: string,
  newNote: string,
  leafAt: (index: number) => Uint8Array,
  prefix?: TreePrefix,
): ConsistencyProof {
  const oldSize = sizeOf(oldNote);
  const newSize = sizeOf(newNote);
  return { oldSize, newSize, hashes: consistencyProof(oldSize, newSize, leafAt, prefix), oldNote, newNote };
}

/** Checks that both notes of a consistency proof are signed, of one stream, and that the newer goes on from the older. */
export function checkConsistencyProof(
  text: string,
  keys: readonly VerifierKey[],
): ProofResult<{ readonly older: Checkpoint; readonly newer: Checkpoint }> {
  const parsed = parseConsistencyProof(text);
  if (parsed === undefined) return { ok: false, reason: 'the file is no consistency proof' };
  const older = openCheckpoint(parsed.oldNote, keys);
  if (typeof older === 'string') return { ok: false, reason: `old note: ${older}` };
  const newer = openCheckpoint(parsed.newNote, keys);
  if (typeof newer === 'string') return { ok: false, reason: `new note: ${newer}` };
  const [a, b] = [older.checkpoint, newer.checkpoint];
  if (a.origin !== b.origin) return { ok: false, reason: `the notes are of two streams, ${a.origin} and ${b.origin}` };
  if (a.size !== parsed.oldSize || b.size !== parsed.newSize) {
    return { ok: false, reason: 'the notes are of other sizes than the proof' };
  }
  const { hashes: proof } = parsed;
  const claim = { oldSize: a.size, newSize: b.size, oldRoot: a.root, newRoot: b.root, proof };
  if (!checkConsistency(claim)) {
    return { ok: false, reason: `the checkpoint of size ${b.size} does not go on from that of size ${a.size}` };
  }
  return { ok: true, older: a, newer: b };
}
