/**
 * What a verification leaves behind so that the next one need not begin at the beginning: for each stream the newest checkpoint
 * that fits, as its signed note, and the hashes of the perfect subtrees of the records below it. The hashes fold to the root that
 * was signed, so neither can be changed without the key. What else stands there, counts and what records below said of streams,
 * is as good as the place where the file is kept: keep it where the service can't write, as an anchor.
 *
 *     { "type": "risktrail/verified-checkpoint", "version": 1, "streams": [ {
 *         "stream":        "<service>/<stream UUID>",
 *         "note":          the signed note, of size N,
 *         "hashes":        base64 of the perfect subtrees of the first N leaves, largest first,
 *         "records":       how many records below N were held,
 *         "firstSequence": the lowest number held, or null,
 *         "checkpoints":   how many checkpoint records below N,
 *         "facts":         [ { "sequence", "closed", "previous", "pruned" } ] what records below N say of their stream or others,
 *         "segments":      first numbers of the journal's files below N: they must still be there, or be pruned
 *     } ] }
 */
import { readFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { RiskTrailError } from '../../core/errors.ts';
import { replaceFile } from '../journal/durable-file.ts';
import { decodeHash, openNote, parseCheckpoint, type VerifierKey } from '../proof/note.ts';
import { rootFromHashes, subtreeCount } from '../proof/tree.ts';
import { segmentOf } from '../read/files.ts';
import type { StreamFact } from './digest.ts';

/** A stream's beginning that was verified. */
export interface VerifiedStream {
  /** `audit.stream` */
  readonly stream: string;
  /** Records covered. */
  readonly size: number;
  readonly root: Uint8Array;
  /** Perfect subtrees of these records, largest first. */
  readonly hashes: readonly Uint8Array[];
  readonly note: string;
  /** Records below `size` that were held. */
  readonly records: number;
  readonly firstSequence: number | null;
  /** Checkpoint records below `size`. */
  readonly checkpoints: number;
  /** By number of the record. */
  readonly facts: readonly (readonly [number, StreamFact])[];
  /** First numbers of the segments that begin below `size`. */
  readonly segments: readonly number[];
}

const TYPE = 'risktrail/verified-checkpoint';
/** It holds nothing secret. */
const FILE_MODE = 0o644;

type Json = { readonly [name: string]: unknown };
const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** The text of a file of verified checkpoints. */
export function formatVerified(streams: readonly VerifiedStream[]): string {
  const entries = streams.map(({ stream, note, hashes, records, firstSequence, checkpoints, facts, segments }) => ({
    stream,
    note,
    hashes: hashes.map((hash) => Buffer.from(hash).toString('base64')),
    records,
    firstSequence,
    checkpoints,
    facts: facts.map(([sequence, fact]) => ({ sequence, ...fact })),
    segments,
  }));
  return `${JSON.stringify({ type: TYPE, version: 1, streams: entries }, undefined, 1)}\n`;
}

/** Writes the file: afterwards it holds either what it held before or all of this. */
export async function saveVerified(path: string, streams: readonly VerifiedStream[]): Promise<void> {
  try {
    await replaceFile(path, formatVerified(streams), FILE_MODE);
  } catch (error) {
    throw new RiskTrailError('FILE_UNWRITABLE', { path, reason: (error as Error).message }, error);
  }
}

/**
 * Reads a file of verified checkpoints.
 * @param keys one of them must have signed each note
 * @throws RiskTrailError PATH_NOT_FOUND, FILE_UNREADABLE, VERIFIED_CHECKPOINT_INVALID
 */
export async function readVerified(path: string, keys: readonly VerifierKey[]): Promise<VerifiedStream[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new RiskTrailError('PATH_NOT_FOUND', { path }, error);
    throw new RiskTrailError('FILE_UNREADABLE', { path, reason: message }, error);
  }
  const refuse = (reason: string): never => {
    throw new RiskTrailError('VERIFIED_CHECKPOINT_INVALID', { path, reason });
  };
  let file: unknown;
  try {
    file = JSON.parse(text);
  } catch {
    return refuse('it is no JSON');
  }
  if (!isObject(file) || file['type'] !== TYPE || file['version'] !== 1 || !Array.isArray(file['streams'])) {
    return refuse('it was not written by verify --save-checkpoint');
  }
  const streams = (file['streams'] as unknown[]).map((entry) => {
    const stream = streamOf(entry, keys);
    return typeof stream === 'string' ? refuse(stream) : stream;
  });
  if (new Set(streams.map(({ stream }) => stream)).size < streams.length) refuse('a stream stands twice');
  return streams;
}

/** An entry, or why it can't be trusted. */
function streamOf(entry: unknown, keys: readonly VerifierKey[]): VerifiedStream | string {
  if (!isObject(entry)) return 'an entry is none';
  const { stream, note, hashes, records, firstSequence, checkpoints, facts, segments } = entry;
  if (typeof stream !== 'string' || typeof note !== 'string') return 'an entry names no stream, or has no note';
  const opened = openNote(note, keys);
  if ('error' in opened) return `the note of ${stream} is not signed by the keys (${opened.error})`;
  const checkpoint = parseCheckpoint(opened.text);
  if (checkpoint?.origin !== stream || checkpoint.size === 0) return `the note of ${stream} is of something else`;
  const { size, root } = checkpoint;
  const decoded = Array.isArray(hashes)
    ? hashes.map((hash) => (typeof hash === 'string' ? decodeHash(hash) : undefined))
    : [];
  if (decoded.includes(undefined) || decoded.length !== subtreeCount(size)) return `${stream} has no subtree hashes`;
  if (Buffer.compare(rootFromHashes(decoded as Buffer[]), root) !== 0) {
    return `the subtree hashes of ${stream} do not fold to the root that was signed`;
  }
  const first = firstSequence === null || isCount(firstSequence) ? firstSequence : undefined;
  const said = Array.isArray(facts) ? facts.map(factOf) : [undefined];
  const numbers = Array.isArray(segments) ? segments : [undefined];
  if (!isCount(records) || !isCount(checkpoints) || first === undefined) return `the counts of ${stream} are none`;
  if (said.includes(undefined) || !numbers.every(isCount)) return `the facts or segments of ${stream} are none`;
  return {
    stream,
    size,
    root,
    hashes: decoded as Buffer[],
    note,
    records,
    firstSequence: first,
    checkpoints,
    facts: said as [number, StreamFact][],
    segments: numbers,
  };
}

function factOf(value: unknown): [number, StreamFact] | undefined {
  if (!isObject(value) || !isCount(value['sequence'])) return undefined;
  const { sequence, closed, previous, pruned } = value;
  const nameOf = (said: unknown) => (isObject(said) && typeof said['stream'] === 'string' ? said['stream'] : undefined);
  const before = nameOf(previous);
  const removed = nameOf(pruned);
  const { note } = (previous ?? {}) as Json;
  const { size, hashes, note: prunedNote } = (pruned ?? {}) as Json;
  return [
    sequence as number,
    {
      closed: closed === true,
      previous:
        before === undefined ? undefined : { stream: before, note: typeof note === 'string' ? note : undefined },
      pruned: removed === undefined ? undefined : { stream: removed, size, hashes, note: prunedNote },
    },
  ];
}

/** First numbers of the segments in the folder of each stream, ascending. */
function segmentsByStream(files: readonly string[]): Map<string, number[]> {
  const folders = new Map<string, number[]>();
  for (const path of files) {
    const segment = segmentOf(path);
    if (segment === undefined) continue;
    const id = basename(dirname(path));
    const numbers = folders.get(id) ?? [];
    folders.set(id, numbers);
    if (numbers.at(-1) !== segment.firstSequence) numbers.push(segment.firstSequence);
  }
  for (const numbers of folders.values()) numbers.sort((a, b) => a - b);
  return folders;
}

const idOf = (stream: string): string => stream.slice(stream.lastIndexOf('/') + 1);

/** The files that have to be read: whole segments of what was verified are told by the name of the next one. */
export function filesToRead(files: readonly string[], verified: readonly VerifiedStream[]): readonly string[] {
  const sizes = new Map(verified.map(({ stream, size }) => [idOf(stream), size]));
  const folders = segmentsByStream(files);
  return files.filter((path) => {
    const segment = segmentOf(path);
    const id = basename(dirname(path));
    const size = sizes.get(id);
    if (segment === undefined || size === undefined) return true;
    const next = folders.get(id)?.find((first) => first > segment.firstSequence);
    return next === undefined || next > size;
  });
}

/** Ranges of verified records whose segments are not there any more, where some of the stream's are. */
export function missingOf({ stream, size, segments }: VerifiedStream, files: readonly string[]): [number, number][] {
  const there = segmentsByStream(files).get(idOf(stream));
  if (there === undefined) return [];
  const missing: [number, number][] = [];
  for (const [index, first] of segments.entries()) {
    if (!there.includes(first)) missing.push([first, (segments[index + 1] ?? size) - 1]);
  }
  return missing;
}

/** Adds the names of the segments that begin below each stream's size. */
export function withSegments(verified: readonly VerifiedStream[], files: readonly string[]): VerifiedStream[] {
  const folders = segmentsByStream(files);
  return verified.map((one) => ({
    ...one,
    segments: (folders.get(idOf(one.stream)) ?? []).filter((first) => first < one.size),
  }));
}
