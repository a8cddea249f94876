/**
 * A quick look through a trail before a tree is built: where a record stands, which signed notes there are, what retention
 * removed. Only lines that hold one of a few texts are parsed, so that this costs little more than reading the files.
 */
import { readFile } from 'node:fs/promises';
import { findTrailFiles, type LineBlock, readBlocks, type TrailFiles } from '../read/files.ts';
import { type AuditForm, auditForm } from '../record/canonical.ts';
import { type OtlpLogRecord, plainAttributes, visitRecords } from '../record/otlp.ts';
import { decodeHash, openNote, parseCheckpoint, type VerifierKey } from './note.ts';
import { leafHashBase64, rootFromHashes, subtreeCount, type TreePrefix } from './tree.ts';

/** A note that states a size and a root of a stream, its signature not yet looked at. */
export interface StatedNote {
  readonly stream: string;
  readonly size: number;
  readonly root: Uint8Array;
  readonly note: string;
}

/** The record that is looked for. */
export interface FoundRecord {
  readonly stream: string;
  readonly sequence: number;
  readonly recordId: string | undefined;
  /** The canonical text. */
  readonly text: string;
  /** Whether the record is what its hash says. */
  readonly valid: boolean;
}

/** What is looked for besides notes. */
export interface SurveyQuery {
  /** `audit.record.id` of a record. */
  readonly recordId?: string | undefined;
  /** Told of each note: those of records and those of `checkpoint` files. */
  readonly onNote: (note: StatedNote) => void;
}

/** What was found. */
export interface Survey {
  readonly files: TrailFiles;
  /** Streams of which a record was seen. Of a stream without a checkpoint, one in the middle of a file may be passed over. */
  readonly streams: ReadonlySet<string>;
  /** Records of the wanted id, of each stream and number the one that is what its hash says, else the first. */
  readonly records: readonly FoundRecord[];
  /** By stream, what retention says that it removed, unchecked but for the hashes' folding to the note's root. */
  readonly pruned: ReadonlyMap<string, readonly PrunedClaim[]>;
}

/** What is left of a prefix that retention removed. */
export interface PrunedClaim extends TreePrefix {
  readonly note: string;
}

const NEWLINE = 10;
const CHECKPOINT = '"audit.checkpoint"';
const PRUNED = '"audit.segment_pruned"';

/** The stated size and root of a note, whoever signed it; undefined where it is no checkpoint. */
export function stateOf(note: string): StatedNote | undefined {
  const checkpoint = parseCheckpoint(note.slice(0, note.lastIndexOf('\n\n') + 1));
  return checkpoint && { stream: checkpoint.origin, size: checkpoint.size, root: checkpoint.root, note };
}

/** Whether one of the keys signed a note; with no keys every note counts. */
export function isSigned(note: string, keys: readonly VerifierKey[] | undefined): boolean {
  return keys === undefined || keys.length === 0 || 'text' in openNote(note, keys);
}

/** The lines of a block that hold one of the texts, and the first one of the file. */
function* linesWith(block: LineBlock, texts: readonly Buffer[]): Generator<string> {
  const { bytes } = block;
  const next = texts.map(() => 0);
  let done = 0;
  if (block.firstLine === 1 && bytes.length > 0) {
    const end = bytes.indexOf(NEWLINE);
    done = end < 0 ? bytes.length : end + 1;
    yield bytes.toString('utf8', 0, done);
  }
  for (;;) {
    let hit = Number.POSITIVE_INFINITY;
    for (const [index, text] of texts.entries()) {
      if ((next[index] as number) < done || next[index] === 0) {
        const found = bytes.indexOf(text, done);
        next[index] = found < 0 ? Number.POSITIVE_INFINITY : found;
      }
      hit = Math.min(hit, next[index] as number);
    }
    if (hit === Number.POSITIVE_INFINITY) return;
    const start = bytes.lastIndexOf(NEWLINE, hit) + 1;
    const newline = bytes.indexOf(NEWLINE, hit);
    done = newline < 0 ? bytes.length : newline + 1;
    yield bytes.toString('utf8', start, done);
  }
}

/** What a record says that retention removed. */
function claimOf(record: OtlpLogRecord): { stream: string; claim: PrunedClaim } | undefined {
  const attributes = plainAttributes(record.attributes);
  const note = attributes['audit.pruned.checkpoint'];
  const hashes = attributes['audit.pruned.hashes'];
  const stated = typeof note === 'string' ? stateOf(note) : undefined;
  if (stated === undefined || !Array.isArray(hashes) || stated.stream !== attributes['audit.pruned.stream']) return;
  const decoded = hashes.map((hash) => (typeof hash === 'string' ? decodeHash(hash) : undefined));
  if (decoded.includes(undefined) || decoded.length !== subtreeCount(stated.size)) return;
  if (Buffer.compare(rootFromHashes(decoded as Buffer[]), stated.root) !== 0) return;
  return { stream: stated.stream, claim: { size: stated.size, hashes: decoded as Buffer[], note: stated.note } };
}

class Surveyor {
  readonly streams = new Set<string>();
  readonly pruned = new Map<string, PrunedClaim[]>();
  readonly records = new Map<string, FoundRecord>();
  readonly #query: SurveyQuery;

  constructor(query: SurveyQuery) {
    this.#query = query;
  }

  look(record: OtlpLogRecord): void {
    const form = auditForm(record);
    if (form?.stream === undefined || form.sequence === undefined) return;
    this.streams.add(form.stream);
    if (record.eventName === 'audit.checkpoint') {
      const note = plainAttributes(record.attributes)['audit.checkpoint'];
      this.tellNote(typeof note === 'string' ? note : '');
    } else if (record.eventName === 'audit.segment_pruned') {
      const found = claimOf(record);
      if (found !== undefined) this.#addClaim(found.stream, found.claim);
    }
    if (this.#query.recordId !== undefined) this.#compare(record, form, this.#query.recordId);
  }

  tellNote(note: string): void {
    const stated = stateOf(note);
    if (stated !== undefined) this.#query.onNote(stated);
  }

  #addClaim(stream: string, claim: PrunedClaim): void {
    this.tellNote(claim.note);
    const known = this.pruned.get(stream) ?? [];
    if (known.some((one) => one.note === claim.note)) return;
    this.pruned.set(stream, [...known, claim]);
  }

  #compare(record: OtlpLogRecord, form: AuditForm, recordId: string): void {
    if (form.text === undefined || plainAttributes(record.attributes)['audit.record.id'] !== recordId) return;
    const found = foundRecord(record, form);
    if (found === undefined) return;
    const place = `${found.stream} ${found.sequence}`;
    if (this.records.get(place)?.valid !== true) this.records.set(place, found);
  }
}

/** A record with its canonical text; undefined where it has none, or no place. */
export function foundRecord(record: OtlpLogRecord, form: AuditForm): FoundRecord | undefined {
  const { stream, sequence, text, claim } = form;
  if (stream === undefined || sequence === undefined || text === undefined) return undefined;
  const recordId = plainAttributes(record.attributes)['audit.record.id'];
  return {
    stream,
    sequence,
    recordId: typeof recordId === 'string' ? recordId : undefined,
    text,
    valid: leafHashBase64(text) === claim,
  };
}

/**
 * Looks through a trail's files once.
 * @throws RiskTrailError PATH_NOT_FOUND, FILE_UNREADABLE
 */
export async function surveyTrail(paths: readonly string[], query: SurveyQuery): Promise<Survey> {
  const surveyor = new Surveyor(query);
  // Notes before records: what a note covers is on disk by then.
  const { checkpoints } = await findTrailFiles(paths);
  const kept = await Promise.all(checkpoints.map((path) => readFile(path, 'utf8').catch(() => '')));
  const files = await findTrailFiles(paths);
  const texts = [CHECKPOINT, PRUNED, ...(query.recordId === undefined ? [] : [query.recordId])].map((text) =>
    Buffer.from(text),
  );
  const look = (record: OtlpLogRecord) => surveyor.look(record);
  for (const path of files.records) {
    for await (const block of readBlocks(path)) {
      if (block.broken) continue;
      for (const line of linesWith(block, texts)) visitRecords(line.trimEnd(), look);
    }
  }
  for (const note of kept) surveyor.tellNote(note);
  return {
    files,
    streams: surveyor.streams,
    records: [...surveyor.records.values()],
    pruned: surveyor.pruned,
  };
}
