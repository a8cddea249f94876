/**
 * Makes proofs from a trail (docs/audit-format.md section 8): journals, a Collector's files, sealed and pruned trails. Nothing
 * leaves here that doesn't hold: each proof is checked against the signed root that it leads to.
 *
 * A trail is read twice: once quickly for what to prove and what to lead to, once for the leaves. Memory is of the order of
 * the path's length where the records are in order; records that come before their turn wait, 33 bytes each.
 */
import { RiskTrailError } from '../../core/errors.ts';
import type { VerifierKey } from './note.ts';
import { PathBuilder } from './path-builder.ts';
import { formatConsistencyProof, formatRecordProof } from './proof.ts';
import { feedLeaves } from './stream-leaves.ts';
import {
  type FoundRecord,
  isSigned,
  type PrunedClaim,
  type StatedNote,
  type Survey,
  stateOf,
  surveyTrail,
} from './survey.ts';
import { checkConsistency, checkInclusion, leafHash } from './tree.ts';

/** Which trail, and whose notes count. */
interface TrailOptions {
  /** Files and directories, searched downwards. */
  readonly paths: readonly string[];
  /** `audit.stream`, or the stream's UUID alone; needed where a number or a size may be of several streams. */
  readonly stream?: string | undefined;
  /** Only notes that one of these signed are led to. Without, signatures are left to whoever checks the proof. */
  readonly keys?: readonly VerifierKey[] | undefined;
}

/** Which record to prove. */
export interface ProveRecordOptions extends TrailOptions {
  /** `audit.record.id`, or a sequence number. */
  readonly record: string | number;
  /** Size of the checkpoint to lead to. @default that of the newest */
  readonly size?: number | undefined;
}

/** A record's proof, ready to be written. */
export interface MadeRecordProof {
  readonly stream: string;
  readonly sequence: number;
  /** `audit.record.id`: names both files. */
  readonly recordId: string | undefined;
  /** Size of the checkpoint. */
  readonly size: number;
  /** Text of the `*.tlog-proof`. */
  readonly proof: string;
  /** Canonical bytes: the content of the `*.json`. */
  readonly canonical: Buffer;
}

/** A checkpoint: by its size in the trail, the newest, or by its note. */
export type CheckpointChoice = number | 'newest' | { readonly note: string };

/** Which checkpoints to connect. */
export interface ProveConsistencyOptions extends TrailOptions {
  readonly older: CheckpointChoice;
  readonly newer: CheckpointChoice;
}

/** The proof that one checkpoint goes on from another, ready to be written. */
export interface MadeConsistencyProof {
  readonly stream: string;
  readonly oldSize: number;
  readonly newSize: number;
  /** Text of the `*.consistency-proof`. */
  readonly proof: string;
}

/** Newest notes of a stream that are kept in case that some are signed by none of the keys. */
const MAX_NEWEST = 8;

/** The notes of each stream that may be led to, newest first; of all others none is kept. */
class NoteShelf {
  readonly #streams = new Map<string, StatedNote[]>();
  readonly #compare: (a: StatedNote, b: StatedNote) => number;

  constructor(compare: (a: StatedNote, b: StatedNote) => number = (a, b) => b.size - a.size) {
    this.#compare = compare;
  }

  add(note: StatedNote): void {
    const notes = this.#streams.get(note.stream) ?? [];
    const last = notes.at(-1);
    if (notes.length === MAX_NEWEST && last !== undefined && this.#compare(last, note) <= 0) return;
    if (notes.some((one) => one.note === note.note)) return;
    notes.push(note);
    notes.sort(this.#compare).splice(MAX_NEWEST);
    this.#streams.set(note.stream, notes);
  }

  of(stream: string): readonly StatedNote[] {
    return this.#streams.get(stream) ?? [];
  }

  get streams(): string[] {
    return [...this.#streams.keys()];
  }
}

/** Whether a stream is the one that was asked for. */
function isAskedFor(stream: string, asked: string | undefined): boolean {
  return asked === undefined || stream === asked || stream.endsWith(`/${asked}`);
}

/** The one of the streams, told apart by the option `stream`. */
function onlyStream(streams: Iterable<string>, what: string): string | undefined {
  const [first, second, ...more] = new Set(streams);
  if (second !== undefined) {
    const names = [first, second, ...more].toSorted().join(', ');
    throw new RiskTrailError('STREAM_AMBIGUOUS', { what, streams: names });
  }
  return first;
}

const impossible = (reason: string) => new RiskTrailError('PROOF_IMPOSSIBLE', { reason });

/** What retention left of a stream's beginning, no longer than `atMost`. */
function prefixOf(survey: Survey, stream: string, atMost: number, options: TrailOptions): PrunedClaim | undefined {
  const claims = (survey.pruned.get(stream) ?? []).filter(
    (claim) => claim.size <= atMost && isSigned(claim.note, options.keys),
  );
  return claims.sort((a, b) => b.size - a.size)[0];
}

/** Why leaves are wanting, in words. */
function missingLeaf(survey: Survey, stream: string, next: number, size: number): RiskTrailError {
  const pruned = Math.max(0, ...(survey.pruned.get(stream) ?? []).map((claim) => claim.size));
  if (next < pruned) {
    return impossible(
      `retention removed the records of ${stream} below ${pruned}, and what is left begins behind them`,
    );
  }
  return impossible(`record ${next} of ${stream} is missing, below the checkpoint of size ${size}`);
}

/** Where the record stands; with its content where the look through the trail came upon it. */
interface Target {
  readonly stream: string;
  readonly sequence: number;
  readonly record: FoundRecord | undefined;
}

function findTarget(survey: Survey, shelf: NoteShelf, options: ProveRecordOptions): Target {
  const { record, stream: asked } = options;
  if (typeof record === 'number') {
    const streams = [...survey.streams, ...shelf.streams].filter((stream) => isAskedFor(stream, asked));
    const stream = onlyStream(streams, `record ${record}`);
    if (stream === undefined) throw new RiskTrailError('RECORD_NOT_FOUND', { record });
    return { stream, sequence: record, record: undefined };
  }
  const found = survey.records.filter(({ stream }) => isAskedFor(stream, asked));
  onlyStream(
    found.map(({ stream }) => stream),
    `record ${record}`,
  );
  const best = found.find(({ valid }) => valid) ?? found[0];
  if (best === undefined) throw new RiskTrailError('RECORD_NOT_FOUND', { record });
  return { stream: best.stream, sequence: best.sequence, record: best };
}

/** Leads one record to one checkpoint. */
async function leadTo(
  target: Target,
  note: StatedNote,
  survey: Survey,
  options: ProveRecordOptions,
): Promise<MadeRecordProof> {
  const { stream, sequence } = target;
  const { size, root } = note;
  const builder = PathBuilder.inclusion(sequence, size, prefixOf(survey, stream, sequence, options));
  const wanted = target.record === undefined ? sequence : undefined;
  const record = (await feedLeaves(survey.files.records, stream, builder, wanted)) ?? target.record;
  if (record === undefined && builder.done) throw new RiskTrailError('RECORD_NOT_FOUND', { record: sequence });
  if (record === undefined || !builder.done) throw missingLeaf(survey, stream, builder.next, size);
  if (!record.valid) throw impossible(`record ${sequence} of ${stream} is not what its hash says`);
  const path = builder.path();
  if (!checkInclusion({ index: sequence, size, leaf: leafHash(record.text), root, proof: path })) {
    throw impossible(`the records of ${stream} don't have the root of its checkpoint of size ${size}`);
  }
  return {
    stream,
    sequence,
    recordId: record.recordId,
    size,
    proof: formatRecordProof({ index: sequence, path, note: note.note }),
    canonical: Buffer.from(record.text),
  };
}

/** The record isn't below any checkpoint: says so, or that it isn't there. */
async function notCovered(target: Target, newest: number | undefined, survey: Survey): Promise<RiskTrailError> {
  const { stream, sequence } = target;
  const nothing = { next: Number.POSITIVE_INFINITY, done: true, append: () => {} };
  const record = target.record ?? (await feedLeaves(survey.files.records, stream, nothing, sequence));
  if (record === undefined) return new RiskTrailError('RECORD_NOT_FOUND', { record: sequence });
  return new RiskTrailError('RECORD_NOT_COVERED', {
    sequence,
    stream,
    newest: newest === undefined ? 'there is none' : `the newest is of size ${newest}`,
    size: sequence + 1,
  });
}

/**
 * Proves that one record is in a stream that a signed checkpoint stands for.
 * @example
 * const { proof, canonical } = await proveRecord({ paths: ['risktrail-data'], record: '019aa420-6a38-7da3-89a4-0dbd13a3177f' });
 * @throws RiskTrailError RECORD_NOT_FOUND, STREAM_AMBIGUOUS, RECORD_NOT_COVERED, CHECKPOINT_NOT_FOUND, PROOF_IMPOSSIBLE,
 *   PATH_NOT_FOUND, FILE_UNREADABLE
 */
export async function proveRecord(options: ProveRecordOptions): Promise<MadeRecordProof> {
  const shelf = new NoteShelf();
  const survey = await surveyTrail(options.paths, {
    recordId: typeof options.record === 'string' ? options.record : undefined,
    onNote: (note) => void ((options.size ?? note.size) === note.size && shelf.add(note)),
  });
  const target = findTarget(survey, shelf, options);
  const { stream, sequence } = target;
  const signed = shelf.of(stream).filter(({ note }) => isSigned(note, options.keys));
  const newest = signed.find(({ size }) => size > sequence);
  if (newest === undefined) {
    if (options.size !== undefined && options.size > sequence) {
      throw new RiskTrailError('CHECKPOINT_NOT_FOUND', { what: `of size ${options.size} in ${stream}` });
    }
    if (shelf.of(stream).some(({ size }) => size > sequence)) {
      throw new RiskTrailError('CHECKPOINT_NOT_FOUND', {
        what: `of these keys that covers record ${sequence} of ${stream}`,
      });
    }
    throw await notCovered(target, options.size ?? signed[0]?.size, survey);
  }
  try {
    return await leadTo(target, newest, survey, options);
  } catch (error) {
    // What is missing or was changed may lie behind the first checkpoint that covers the record.
    const nearest = options.size === undefined ? await nearestNote(target, options) : undefined;
    if (nearest === undefined || nearest.size >= newest.size) throw error;
    return await leadTo(target, nearest, survey, options);
  }
}

/** The signed note of the smallest size that covers a record. */
async function nearestNote({ stream, sequence }: Target, options: TrailOptions): Promise<StatedNote | undefined> {
  const shelf = new NoteShelf((a, b) => a.size - b.size);
  await surveyTrail(options.paths, {
    onNote: (note) => void (note.stream === stream && note.size > sequence && shelf.add(note)),
  });
  return shelf.of(stream).find(({ note }) => isSigned(note, options.keys));
}

/** In words. */
function choiceText(choice: CheckpointChoice): string {
  return typeof choice === 'number' ? `of size ${choice}` : choice === 'newest' ? 'at all' : 'in the note given';
}

/** A note that was given by itself. */
function givenNote(choice: CheckpointChoice, options: TrailOptions): StatedNote | undefined {
  if (typeof choice !== 'object') return undefined;
  const stated = stateOf(choice.note);
  if (stated === undefined || !isSigned(choice.note, options.keys)) {
    throw new RiskTrailError('CHECKPOINT_NOT_FOUND', { what: choiceText(choice) });
  }
  return stated;
}

/**
 * Proves that a newer checkpoint of a stream goes on from an older one: nothing below the older was changed or removed.
 * @example
 * await proveConsistency({ paths: ['risktrail-data'], older: { note: lastYears }, newer: 'newest' });
 * @throws RiskTrailError CHECKPOINT_NOT_FOUND, STREAM_AMBIGUOUS, PROOF_IMPOSSIBLE, PATH_NOT_FOUND, FILE_UNREADABLE
 */
export async function proveConsistency(options: ProveConsistencyOptions): Promise<MadeConsistencyProof> {
  const given = [givenNote(options.older, options), givenNote(options.newer, options)] as const;
  const named = new Set(given.flatMap((note) => (note === undefined ? [] : [note.stream])));
  if (named.size > 1) throw impossible(`the notes are of two streams, ${[...named].join(' and ')}`);
  const shelves = [new NoteShelf(), new NoteShelf()] as const;
  const choices = [options.older, options.newer] as const;
  const survey = await surveyTrail(options.paths, {
    onNote(note) {
      if (!isAskedFor(note.stream, options.stream) || (named.size > 0 && !named.has(note.stream))) return;
      for (const [index, choice] of choices.entries()) {
        if (choice === 'newest' || choice === note.size) (shelves[index] as NoteShelf).add(note);
      }
    },
  });
  const find = (index: 0 | 1, stream: string): StatedNote | undefined =>
    given[index] ?? shelves[index].of(stream).find(({ note }) => isSigned(note, options.keys));
  const streams = new Set([...named, ...shelves.flatMap((shelf) => shelf.streams)]);
  const whole = [...streams].filter((stream) => find(0, stream) !== undefined && find(1, stream) !== undefined);
  const stream = onlyStream(whole, 'the checkpoints');
  if (stream === undefined) {
    const absent = [...streams].some((one) => find(0, one) !== undefined) ? options.newer : options.older;
    throw new RiskTrailError('CHECKPOINT_NOT_FOUND', { what: choiceText(absent) });
  }
  return connect(find(0, stream) as StatedNote, find(1, stream) as StatedNote, survey, options);
}

async function connect(
  older: StatedNote,
  newer: StatedNote,
  survey: Survey,
  options: TrailOptions,
): Promise<MadeConsistencyProof> {
  const { stream } = older;
  const [oldSize, newSize] = [older.size, newer.size];
  if (oldSize > newSize) throw impossible(`the older checkpoint is of size ${oldSize}, the newer of ${newSize}`);
  let hashes: Buffer[] = [];
  if (oldSize > 0 && oldSize < newSize) {
    const builder = PathBuilder.consistency(oldSize, newSize, prefixOf(survey, stream, oldSize, options));
    await feedLeaves(survey.files.records, stream, builder);
    if (!builder.done) throw missingLeaf(survey, stream, builder.next, newSize);
    hashes = builder.path();
  }
  if (!checkConsistency({ oldSize, newSize, oldRoot: older.root, newRoot: newer.root, proof: hashes })) {
    throw impossible(
      `the records of ${stream} don't lead from its checkpoint of size ${oldSize} to that of size ${newSize}`,
    );
  }
  const proof = formatConsistencyProof({ oldSize, newSize, hashes, oldNote: older.note, newNote: newer.note });
  return { stream, oldSize, newSize, proof };
}
