/** One pass over the files of a trail. */
import { dirname } from 'node:path';
import { type Checkpoint, decodeHash, openNote, parseCheckpoint, type VerifierKey } from '../proof/note.ts';
import { leafHashBase64, rootFromHashes, subtreeCount } from '../proof/tree.ts';
import { type LineSink, readBlocks, scanBlock, type TornLine } from '../read/files.ts';
import { type AuditForm, auditForm } from '../record/canonical.ts';
import { type OtlpLogRecord, type PlainAttributes, plainAttributes, visitRecords } from '../record/otlp.ts';
import type { StreamReport } from './findings.ts';
import type { LeafPage } from './leaf-pages.ts';
import { type PassMode, StreamCheck, type StreamFact } from './stream-check.ts';

/** A note from outside the records, and where it was read. */
export interface AnchorFile {
  readonly path: string;
  readonly note: string;
}

/** What is known of a file once it was read. */
interface FileState {
  readonly directory: string;
  /** The one stream of its records, "" where there are several. */
  stream: string | undefined;
  /** The stream of its last record. */
  last: string | undefined;
}

/** Why a note counts for nothing, in words. */
const NOTE_ERRORS = {
  malformed: 'is no signed note',
  'unknown signer': 'is signed by none of the keys',
  'false signature': 'bears a false signature',
} as const;

const textAt = (attributes: PlainAttributes, name: string): string | undefined => {
  const value = attributes[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
};

/** What a record of our own family says beyond being there; undefined where it says nothing. */
function factOf(event: string, attributes: PlainAttributes): StreamFact | undefined {
  const closed = event === 'audit.stream_closed';
  const previous = textAt(attributes, 'audit.previous.stream');
  const pruned = event === 'audit.segment_pruned' ? textAt(attributes, 'audit.pruned.stream') : undefined;
  if (!closed && previous === undefined && pruned === undefined) return undefined;
  return {
    closed,
    previous:
      previous === undefined ? undefined : { stream: previous, note: textAt(attributes, 'audit.previous.checkpoint') },
    pruned:
      pruned === undefined
        ? undefined
        : {
            stream: pruned,
            size: attributes['audit.pruned.tree_size'],
            hashes: attributes['audit.pruned.hashes'],
            note: attributes['audit.pruned.checkpoint'],
          },
  };
}

/** The form of a line's record by its place, with its ints as they were written. */
function exactForm(line: string, index: number): AuditForm | undefined {
  const records: OtlpLogRecord[] = [];
  visitRecords(line, (record) => records.push(record), true);
  return auditForm(records[index] as OtlpLogRecord);
}

/** The reading of all files, once. */
export class Pass implements PassMode {
  readonly retains: boolean;
  readonly files: readonly string[];
  readonly freePages: LeafPage[] = [];
  readonly #keys: readonly VerifierKey[];
  readonly #streams = new Map<string, StreamCheck>();
  readonly #states: FileState[];
  readonly #torn: { file: number; line: number; kind: TornLine['kind'] }[] = [];
  readonly #badAnchors: { path: string; origin: string; why: string }[] = [];
  #auditRecords = 0;

  constructor(files: readonly string[], keys: readonly VerifierKey[], retains: boolean) {
    this.files = files;
    this.#keys = keys;
    this.retains = retains;
    this.#states = files.map((path) => ({ directory: dirname(path), stream: undefined, last: undefined }));
  }

  /** Audit records read, whole or not. */
  get auditRecords(): number {
    return this.#auditRecords;
  }

  #stream(name: string): StreamCheck {
    let stream = this.#streams.get(name);
    if (stream === undefined) {
      stream = new StreamCheck(name, this);
      this.#streams.set(name, stream);
    }
    return stream;
  }

  /** Takes a note from outside. */
  addAnchor({ path, note }: AnchorFile): void {
    const opened = openNote(note, this.#keys);
    const checkpoint = 'text' in opened ? parseCheckpoint(opened.text) : undefined;
    if (checkpoint === undefined) {
      const why = NOTE_ERRORS['error' in opened ? opened.error : 'malformed'];
      this.#badAnchors.push({ path, origin: note.slice(0, note.indexOf('\n')), why });
      return;
    }
    this.#stream(checkpoint.origin).addAnchor({
      ...checkpoint,
      what: 'the anchor',
      sequence: undefined,
      file: path,
      line: undefined,
      binds: true,
    });
  }

  /** Reads all files. */
  async read(): Promise<void> {
    let file = 0;
    let number = 0;
    let line = '';
    let index = 0;
    const visit = (record: OtlpLogRecord) => {
      let form = auditForm(record);
      if (form?.rounded) form = exactForm(line, index);
      index++;
      if (form !== undefined) this.#record(record, form, file, number);
    };
    const sink: LineSink = {
      line(text, at) {
        line = text;
        number = at;
        index = 0;
        return visitRecords(text, visit);
      },
      torn: (line, kind) => void this.#torn.push({ file, line, kind }),
    };
    for (const [index, path] of this.files.entries()) {
      file = index;
      for await (const block of readBlocks(path)) scanBlock(block, sink);
    }
  }

  #record(record: OtlpLogRecord, form: AuditForm, file: number, line: number): void {
    this.#auditRecords++;
    const name = form.stream ?? '';
    const stream = this.#stream(name);
    const state = this.#states[file] as FileState;
    if (state.last !== name) {
      state.stream = state.stream === undefined || state.stream === name ? name : '';
      state.last = name;
    }
    const leaf = form.text === undefined ? undefined : leafHashBase64(form.text);
    const valid = form.defect === undefined && leaf === form.claim;
    if (!valid) {
      const detail = form.defect ?? 'the record is not what its hash says';
      stream.findings.add('INVALID', detail, this.#placeOf(form, file, line));
    }
    const { sequence } = form;
    if (form.stream === undefined || sequence === undefined) return;
    const event = record.eventName;
    const own =
      typeof event === 'string' && event.startsWith('audit.') ? plainAttributes(record.attributes) : undefined;
    const isCheckpoint = event === 'audit.checkpoint';
    stream.hold({
      sequence,
      leaf,
      valid,
      isCheckpoint,
      checkpoint: isCheckpoint ? this.#checkpointOf(stream, own as PlainAttributes, form, file, line) : undefined,
      fact: own === undefined ? undefined : factOf(event as string, own),
      file,
      line,
    });
  }

  #placeOf(form: AuditForm, file: number, line: number): { sequence?: number; file: string; line: number } {
    const place = { file: this.files[file] as string, line };
    return form.sequence === undefined ? place : { sequence: form.sequence, ...place };
  }

  /** The note of a checkpoint record, where it is signed and about the record's stream. */
  #checkpointOf(
    stream: StreamCheck,
    attributes: PlainAttributes,
    form: AuditForm,
    file: number,
    line: number,
  ): Checkpoint | undefined {
    const note = textAt(attributes, 'audit.checkpoint');
    const place = this.#placeOf(form, file, line);
    if (note === undefined) {
      stream.findings.add('BAD_SIGNATURE', 'the checkpoint record has no note', place);
      return undefined;
    }
    const opened = openNote(note, this.#keys);
    const checkpoint = 'text' in opened ? parseCheckpoint(opened.text) : undefined;
    if (checkpoint === undefined) {
      const why = NOTE_ERRORS['error' in opened ? opened.error : 'malformed'];
      stream.findings.add('BAD_SIGNATURE', `the checkpoint's note ${why}`, place);
      return undefined;
    }
    if (checkpoint.origin !== stream.name) {
      stream.findings.add('ROOT_MISMATCH', `the checkpoint is of another stream, ${checkpoint.origin}`, place);
      return undefined;
    }
    return checkpoint;
  }

  learn(stream: StreamCheck, sequence: number, fact: StreamFact): void {
    if (fact.closed) stream.closedBy(sequence);
    if (fact.previous !== undefined) this.#learnPrevious(stream, sequence, fact.previous);
    if (fact.pruned !== undefined) this.#learnPruned(stream, sequence, fact.pruned);
  }

  #learnPrevious(stream: StreamCheck, sequence: number, previous: NonNullable<StreamFact['previous']>): void {
    const what = `stream ${stream.name}`;
    this.#stream(previous.stream).namedBy(what);
    if (previous.note === undefined) return;
    const opened = openNote(previous.note, this.#keys);
    const checkpoint = 'text' in opened ? parseCheckpoint(opened.text) : undefined;
    if (checkpoint === undefined) {
      const why = NOTE_ERRORS['error' in opened ? opened.error : 'malformed'];
      const detail = `the checkpoint that the record gives of ${previous.stream} ${why}`;
      stream.findings.add('BAD_SIGNATURE', detail, { sequence, ...stream.locate(sequence) });
      return;
    }
    if (checkpoint.origin !== previous.stream) {
      const detail = `the checkpoint that the record gives of ${previous.stream} is of another stream`;
      stream.findings.add('ROOT_MISMATCH', detail, { sequence, ...stream.locate(sequence) });
      return;
    }
    this.#stream(checkpoint.origin).addAnchor({
      ...checkpoint,
      what: `the checkpoint in stream ${stream.name}`,
      sequence: undefined,
      file: undefined,
      line: undefined,
      ...stream.locate(sequence),
      binds: true,
    });
  }

  /** Takes an account of pruning where its note is signed and its hashes fold to the note's root. */
  #learnPruned(stream: StreamCheck, sequence: number, pruned: NonNullable<StreamFact['pruned']>): void {
    const { size, hashes, note } = pruned;
    if (typeof size !== 'number' || !Array.isArray(hashes) || typeof note !== 'string') return;
    const opened = openNote(note, this.#keys);
    const checkpoint = 'text' in opened ? parseCheckpoint(opened.text) : undefined;
    if (checkpoint?.origin !== pruned.stream || checkpoint.size !== size || size === 0) return;
    const decoded = hashes.map((hash) => (typeof hash === 'string' ? decodeHash(hash) : undefined));
    if (decoded.includes(undefined) || decoded.length !== subtreeCount(size)) return;
    if (Buffer.compare(rootFromHashes(decoded as Buffer[]), checkpoint.root) !== 0) return;
    this.#stream(pruned.stream).addClaim({ size, hashes: decoded as Buffer[], by: stream, sequence });
  }

  /**
   * All was read: compares what is left, and reports.
   * @param missingIsTold streams that are not there don't touch the exit status
   */
  finish(missingIsTold: boolean): { report: StreamReport; stream: StreamCheck }[] {
    if (this.retains) for (const stream of [...this.#streams.values()]) stream.tellFacts();
    this.#reportTorn();
    for (const { path, origin, why } of this.#badAnchors) {
      // What it says is not to be believed, so it makes no entry of its own.
      const stream = this.#streams.get(origin) ?? this.#stream('');
      stream.findings.add('BAD_SIGNATURE', `the anchor ${why}`, { file: path });
    }
    const streams = [...this.#streams.values()];
    for (const stream of streams) stream.visitRest();
    for (const stream of streams) stream.honourClaims();
    return streams
      .map((stream) => ({ report: stream.report(missingIsTold), stream }))
      .filter(({ report, stream }) => report.records > 0 || report.findings.length > 0 || stream.name !== '')
      .sort((a, b) => (a.report.stream < b.report.stream ? -1 : 1));
  }

  #reportTorn(): void {
    for (const { file, line, kind } of this.#torn) {
      const path = this.files[file] as string;
      const place = { file: path, line };
      const state = this.#states[file] as FileState;
      const name =
        kind === 'tail'
          ? (state.last ?? this.#streamOfDirectory(state))
          : (state.stream ?? this.#streamOfDirectory(state));
      const stream = this.#stream(name);
      if (kind === 'tail' && this.#isNewest(stream, file)) {
        stream.findings.add('TORN_TAIL', 'the last line is being written, or cut off', place);
      } else {
        const detail =
          kind === 'frame' ? 'a compressed frame is broken or cut off' : 'the line is no JSON object in UTF-8';
        stream.findings.add('TORN', detail, place);
      }
    }
  }

  /** Whether a file is the newest one of a stream: it holds its last record, or is empty so far and the last of its folder. */
  #isNewest(stream: StreamCheck, file: number): boolean {
    const state = this.#states[file] as FileState;
    if (state.last !== undefined) return stream.highestFile === file;
    return !this.#states.some(
      (other, index) =>
        other.directory === state.directory && (this.files[index] as string) > (this.files[file] as string),
    );
  }

  /** The one stream of a file's neighbours, for a file that holds no whole record. */
  #streamOfDirectory({ directory }: FileState): string {
    const names = new Set(
      this.#states
        .filter((state) => state.directory === directory && state.stream !== undefined)
        .map(({ stream }) => stream),
    );
    const [name] = names;
    return names.size === 1 ? (name as string) : '';
  }
}
