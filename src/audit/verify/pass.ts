/** One pass over the files of a trail. */
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import { type Checkpoint, decodeHash, openNote, parseCheckpoint, type VerifierKey } from '../proof/note.ts';
import { rootFromHashes, subtreeCount } from '../proof/tree.ts';
import { readBlocks, type TornLine } from '../read/files.ts';
import { type BlockDigest, BlockDigester, type SpecialRecord, type StreamFact } from './digest.ts';
import { DigestPool } from './digest-pool.ts';
import type { StreamReport } from './findings.ts';
import type { LeafPage } from './leaf-pages.ts';
import { ProgressCount, type VerifyProgress } from './progress-count.ts';
import { type PassMode, StreamCheck } from './stream-check.ts';
import type { VerifiedStream } from './verified-checkpoint.ts';

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

/** Where a record stands. */
interface Place {
  readonly sequence?: number;
  readonly file: string;
  readonly line: number;
}

/** A record of this stream was read from the file. */
function noteStream(state: FileState, name: string): void {
  if (state.last === name) return;
  state.stream = state.stream === undefined || state.stream === name ? name : '';
  state.last = name;
}

/** How a pass reads. */
export interface PassOptions {
  readonly files: readonly string[];
  readonly keys: readonly VerifierKey[];
  /** Leaves are kept until the end, so that records may come in any order. */
  readonly retains: boolean;
  /** Threads that digest; undefined leaves it to the size of the trail. */
  readonly threads: number | undefined;
  /** Streams that were verified up to a checkpoint before. */
  readonly verified: readonly VerifiedStream[];
  readonly onProgress: ((progress: VerifyProgress) => void) | undefined;
}

/** So much is digested by the main thread before others are started for a longer trail. */
const ALONE_BYTES = 24_000_000;
/** More threads than that wait for the one that puts the results together. */
const MAX_THREADS = 4;

/** A block on its way. */
interface Pending {
  readonly file: number;
  readonly firstLine: number;
  readonly digest: Promise<BlockDigest>;
}

/** The reading of all files, once. */
export class Pass implements PassMode {
  readonly retains: boolean;
  readonly files: readonly string[];
  readonly freePages: LeafPage[] = [];
  readonly #keys: readonly VerifierKey[];
  readonly #threads: number | undefined;
  readonly #onProgress: PassOptions['onProgress'];
  readonly #streams = new Map<string, StreamCheck>();
  readonly #states: FileState[];
  readonly #torn: { file: number; line: number; kind: TornLine['kind'] }[] = [];
  readonly #badAnchors: { path: string; origin: string; why: string }[] = [];
  #auditRecords = 0;

  constructor({ files, keys, retains, threads, verified, onProgress }: PassOptions) {
    this.files = files;
    this.#keys = keys;
    this.retains = retains;
    this.#threads = threads;
    this.#onProgress = onProgress;
    this.#states = files.map((path) => ({ directory: dirname(path), stream: undefined, last: undefined }));
    for (const one of verified) this.#stream(one.stream).resume(one);
    for (const one of verified) this.#stream(one.stream).resumeFacts(one.facts);
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

  /** Records that were verified before are not there any more. */
  miss(stream: string, first: number, last: number): void {
    this.#stream(stream).miss(first, last);
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
    const stream = this.#stream(checkpoint.origin);
    stream.offerNote(checkpoint.size, note);
    stream.addAnchor({
      ...checkpoint,
      what: 'the anchor',
      sequence: undefined,
      file: path,
      line: undefined,
      binds: true,
    });
  }

  /**
   * Reads all files. Their blocks are digested side by side, and taken in the order in which they stand.
   * @throws ThreadsLost where a thread died
   * @throws NeedsRetaining
   */
  async read(): Promise<void> {
    const alone = new BlockDigester();
    const pending: Pending[] = [];
    const progress = this.#onProgress === undefined ? undefined : await ProgressCount.of(this.files, this.#onProgress);
    let pool: DigestPool | undefined;
    let bytes = 0;
    const take = async () => {
      const { file, firstLine, digest } = pending.shift() as Pending;
      this.#take(await digest, file, firstLine);
    };
    try {
      for (const [file, path] of this.files.entries()) {
        for await (const block of readBlocks(path)) {
          if (block.broken) {
            while (pending.length > 0) await take();
            this.#torn.push({ file, line: block.firstLine, kind: 'frame' });
            continue;
          }
          pool ??= this.#poolAfter(bytes);
          bytes += block.bytes.length;
          if (pool === undefined) {
            this.#take(alone.digest(block), file, block.firstLine);
          } else {
            while (pending.length >= pool.capacity) await take();
            const digest = pool.digest(block);
            // It is waited for in its turn; where the pass ends before, nobody does.
            digest.catch(() => {});
            pending.push({ file, firstLine: block.firstLine, digest });
          }
          progress?.add(file, block.bytes.length, this.#auditRecords);
        }
        progress?.end(file, this.#auditRecords);
      }
      while (pending.length > 0) await take();
    } finally {
      pool?.close();
    }
  }

  /** The threads, once so much was read that they are worth starting. */
  #poolAfter(bytes: number): DigestPool | undefined {
    if (this.#threads === 0 || (this.#threads === undefined && bytes < ALONE_BYTES)) return undefined;
    return new DigestPool(this.#threads ?? Math.min(availableParallelism(), MAX_THREADS));
  }

  /** Takes the records of a block. */
  #take(digest: BlockDigest, file: number, firstLine: number): void {
    const { count, sequences, lines, streamAt, leaves, streams, specials } = digest;
    const state = this.#states[file] as FileState;
    this.#auditRecords += count;
    let next = 0;
    let at = -1;
    let stream: StreamCheck | undefined;
    for (let i = 0; ; i++) {
      for (let one = specials[next]; one?.after === i; one = specials[++next]) {
        this.#takeSpecial(one, file, firstLine + one.line);
      }
      if (i === count) break;
      if (at !== streamAt[i]) {
        at = streamAt[i] as number;
        stream = this.#stream(streams[at] as string);
      }
      noteStream(state, (stream as StreamCheck).name);
      (stream as StreamCheck).holdPlain(sequences[i] as number, leaves, i, file, firstLine + (lines[i] as number));
    }
    for (const { line, kind } of digest.torn) this.#torn.push({ file, line: firstLine + line, kind });
  }

  #takeSpecial(record: SpecialRecord, file: number, line: number): void {
    this.#auditRecords++;
    const { sequence, leaf, defect, isCheckpoint, note, fact } = record;
    const stream = this.#stream(record.stream ?? '');
    noteStream(this.#states[file] as FileState, stream.name);
    const path = this.files[file] as string;
    const place = sequence === undefined ? { file: path, line } : { sequence, file: path, line };
    if (defect !== undefined) stream.findings.add('INVALID', defect, place);
    if (record.stream === undefined || sequence === undefined) return;
    const checkpoint = isCheckpoint ? this.#checkpointOf(stream, note, place) : undefined;
    if (checkpoint !== undefined) stream.offerNote(checkpoint.size, note as string);
    stream.hold({ sequence, leaf, valid: defect === undefined, isCheckpoint, checkpoint, fact, file, line });
  }

  /** What a checkpoint record's note says, where it is signed and about the record's stream. */
  #checkpointOf(stream: StreamCheck, note: string | undefined, place: Place): Checkpoint | undefined {
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
    // The files are in the order in which they were written.
    return !this.#states.slice(file + 1).some(({ directory }) => directory === state.directory);
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
