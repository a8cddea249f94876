/** One stream under verification: which records there are, in what order they are looked at, and what becomes of it. */
import type { Checkpoint } from '../proof/note.ts';
import { HASH_BYTES } from '../proof/tree.ts';
import type { StreamFact } from './digest.ts';
import { FindingList, type StreamReport } from './findings.ts';
import { CHECKPOINT, FORMLESS, HELD, type LeafPage, LeafPages, VALID } from './leaf-pages.ts';
import { type Anchor, CheckpointQueue } from './notes.ts';
import { NeedsRetaining, type PrunedPrefix, TreeWalk } from './tree-walk.ts';
import type { VerifiedStream } from './verified-checkpoint.ts';

/** A record of a stream, as far as the verifier keeps it. */
export interface HeldRecord {
  readonly sequence: number;
  /** Recomputed leaf hash in base64; undefined where the record has no canonical form. */
  readonly leaf: string | undefined;
  /** Whether it is what the record claims. */
  readonly valid: boolean;
  readonly isCheckpoint: boolean;
  /** The note of a checkpoint record, where it is signed and about this stream. */
  readonly checkpoint: Checkpoint | undefined;
  readonly fact: StreamFact | undefined;
  /** Index of the file. */
  readonly file: number;
  readonly line: number;
}

/** A signed account of a removed prefix, and the record that gives it. */
export interface PruneClaim extends PrunedPrefix {
  readonly by: StreamCheck;
  readonly sequence: number;
}

/** How a pass goes about its streams. */
export interface PassMode {
  /** Leaves are kept until the end, so that records may come in any order. */
  readonly retains: boolean;
  readonly files: readonly string[];
  readonly freePages: LeafPage[];
  /** Told of each fact as soon as it is final. */
  learn(stream: StreamCheck, sequence: number, fact: StreamFact): void;
}

/** Records without a checkpoint after which leaves are folded all the same. */
const MAX_LAG = 1 << 18;

/** A stream. */
export class StreamCheck {
  readonly name: string;
  readonly findings = new FindingList();
  readonly #mode: PassMode;
  readonly #pages: LeafPages;
  readonly #walk: TreeWalk;
  readonly #unvisited = new CheckpointQueue();
  readonly #facts = new Map<number, StreamFact>();
  readonly #conflicts = new Set<number>();
  readonly #claims: PruneClaim[] = [];
  /** First and last number of each range that is missing, one after the other. */
  readonly #missing: number[] = [];
  /** Records below were verified before. */
  #base = 0;
  /** The note of the largest size: where nothing is wrong, it is the newest that fits. */
  #note: { readonly size: number; readonly text: string } | undefined;
  /** Every number below was looked at, or found missing. */
  #visited = 0;
  #waits = false;
  #dropped = 0;
  #records = 0;
  #lowest = Number.POSITIVE_INFINITY;
  #highest = -1;
  #highestFile = -1;
  #checkpoints = 0;
  #closedAt: number | undefined;
  #lastSize = -1;
  /** The anchor of the largest size that binds the stream. */
  #largest: Anchor | undefined;
  #namedBy: string | undefined;
  #honoured = 0;

  constructor(name: string, mode: PassMode) {
    this.name = name;
    this.#mode = mode;
    this.#pages = new LeafPages(mode.freePages);
    this.#walk = new TreeWalk(this.#pages, this.findings, (sequence) => this.locate(sequence), mode.retains);
  }

  /**
   * Goes on from what was verified before; records below its size are passed over. Before all other calls.
   * @param verified its note is signed, and its hashes fold to the note's root
   */
  resume({ size, root, hashes, note, records, firstSequence, checkpoints }: VerifiedStream): void {
    this.#base = size;
    this.#visited = size;
    this.#dropped = size;
    this.#records = records;
    this.#checkpoints = checkpoints;
    if (firstSequence !== null) this.#lowest = firstSequence;
    this.#walk.resume({ size, hashes });
    this.offerNote(size, note);
    const place = { sequence: undefined, file: undefined, line: undefined };
    this.addAnchor({ size, root, what: 'the saved checkpoint', ...place, binds: true });
  }

  /** Tells of the facts of records that were verified before. */
  resumeFacts(facts: readonly (readonly [number, StreamFact])[]): void {
    for (const [sequence, fact] of facts) {
      this.#facts.set(sequence, fact);
      if (!this.#mode.retains) this.#mode.learn(this, sequence, fact);
    }
  }

  /** Records that were verified before and are not there any more. */
  miss(first: number, last: number): void {
    this.#missing.push(first, last);
  }

  /** A signed note about the first `size` records, which may turn out to be the newest that fits. */
  offerNote(size: number, text: string): void {
    if (size >= (this.#note?.size ?? 0)) this.#note = { size, text };
  }

  /**
   * What a later verification can go on from, where a note fits: to be asked when all was read and nothing is wrong.
   * @returns undefined where no note fits, or records are missing behind it
   */
  verified(): VerifiedStream | undefined {
    const fit = this.#walk.fit;
    const note = this.#note;
    if (fit === undefined || fit.size !== note?.size || (this.#missing.at(-1) ?? -1) >= fit.size) return undefined;
    const above = Math.max(0, this.#highest + 1 - fit.size);
    return {
      stream: this.name,
      ...fit,
      note: note.text,
      records: this.#records - above,
      firstSequence: this.#lowest < fit.size ? this.#lowest : null,
      checkpoints: this.#checkpoints - (above - this.#walk.tail),
      facts: [...this.#facts].filter(([sequence]) => sequence < fit.size),
      segments: [],
    };
  }

  /** Index of the file that holds the highest number; -1 where nothing is held. */
  get highestFile(): number {
    return this.#highestFile;
  }

  /** Whether a record is in the tree below a note that fits. */
  covers(sequence: number): boolean {
    return this.#walk.covers(sequence);
  }

  /** Where a record stands, as long as it is kept. */
  locate(sequence: number): { file?: string; line?: number } {
    const page = this.#pages.find(sequence);
    const index = LeafPages.index(sequence);
    if (page === undefined || ((page.flags[index] as number) & HELD) === 0) return {};
    return { file: this.#mode.files[page.files[index] as number] as string, line: page.lines[index] as number };
  }

  /**
   * Takes a record.
   * @throws NeedsRetaining where the number was seen and its leaf may be folded
   */
  hold(record: HeldRecord): void {
    const { sequence } = record;
    if (sequence < this.#base) {
      if (sequence > this.#highest) {
        this.#highest = sequence;
        this.#highestFile = record.file;
      }
      return;
    }
    if (!this.#mode.retains && sequence < this.#visited) throw new NeedsRetaining();
    const page = this.#pages.page(sequence);
    const index = LeafPages.index(sequence);
    if (((page.flags[index] as number) & HELD) !== 0) {
      if (!this.#mode.retains) throw new NeedsRetaining();
      this.#holdAgain(record, page, index);
      return;
    }
    this.#count(sequence, record.file);
    this.#place(record, page, index);
    const { checkpoint } = record;
    if (checkpoint !== undefined) this.#unvisited.push(sequence, checkpoint.size, checkpoint.root);
    if (this.#mode.retains) return;
    if (record.fact !== undefined) this.#mode.learn(this, sequence, record.fact);
    if (!this.#waits || sequence === this.#visited) this.#advance(false);
  }

  /**
   * Takes a valid record that says nothing more than that it is there: {@link hold} without an object for it.
   * @param leaves leaf hashes, of which the record's is the `at`th
   * @throws NeedsRetaining
   */
  holdPlain(sequence: number, leaves: Uint8Array, at: number, file: number, line: number): void {
    // Whatever is out of the ordinary goes the long way.
    const page = sequence < this.#visited ? undefined : this.#pages.page(sequence);
    const index = LeafPages.index(sequence);
    if (page === undefined || (page.flags[index] as number) !== 0) {
      const bytes = leaves.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES);
      const leaf = Buffer.from(bytes.buffer, bytes.byteOffset, HASH_BYTES).toString('base64');
      const nothing = { isCheckpoint: false, checkpoint: undefined, fact: undefined };
      this.hold({ sequence, leaf, valid: true, ...nothing, file, line });
      return;
    }
    this.#count(sequence, file);
    const target = page.leaves;
    let to = index * HASH_BYTES;
    const end = (at + 1) * HASH_BYTES;
    for (let from = at * HASH_BYTES; from < end; from++) target[to++] = leaves[from] as number;
    page.files[index] = file;
    page.lines[index] = line;
    page.flags[index] = HELD | VALID;
    if (!this.#mode.retains && (!this.#waits || sequence === this.#visited)) this.#advance(false);
  }

  /** A number that wasn't held before. */
  #count(sequence: number, file: number): void {
    this.#records++;
    if (sequence < this.#lowest) this.#lowest = sequence;
    if (sequence > this.#highest) {
      this.#highest = sequence;
      this.#highestFile = file;
    }
  }

  /** Puts a record in its place: it stands for its number. */
  #place(record: HeldRecord, page: LeafPage, index: number): void {
    const { sequence, leaf, valid, isCheckpoint, fact } = record;
    const at = index * HASH_BYTES;
    if (leaf === undefined) page.leaves.fill(0, at, at + HASH_BYTES);
    else page.leaves.write(leaf, at, HASH_BYTES, 'base64');
    page.files[index] = record.file;
    page.lines[index] = record.line;
    page.flags[index] =
      HELD | (valid ? VALID : 0) | (isCheckpoint ? CHECKPOINT : 0) | (leaf === undefined ? FORMLESS : 0);
    if (isCheckpoint) this.#checkpoints++;
    if (fact !== undefined) this.#facts.set(sequence, fact);
  }

  /** Of two records with one number the one whose claim is right stands, else the first. */
  #holdAgain(record: HeldRecord, page: LeafPage, index: number): void {
    const { sequence, leaf, valid, checkpoint } = record;
    const flags = page.flags[index] as number;
    const at = index * HASH_BYTES;
    const stands = (flags & FORMLESS) !== 0 ? undefined : page.leaves.toString('base64', at, at + HASH_BYTES);
    if (leaf === stands) {
      if (valid) page.flags[index] = flags | VALID;
      return;
    }
    const place = { sequence, file: this.#mode.files[record.file] as string, line: record.line };
    if (leaf !== undefined && stands !== undefined && !this.#conflicts.has(sequence)) {
      this.#conflicts.add(sequence);
      this.findings.add('CONFLICT', `two different records have the number ${sequence}`, place);
    }
    if (checkpoint !== undefined) {
      this.addAnchor({ ...checkpoint, what: 'a second checkpoint record', ...place, binds: false });
    }
    if (!valid || (flags & VALID) !== 0) return;
    if ((flags & CHECKPOINT) !== 0) this.#checkpoints--;
    this.#facts.delete(sequence);
    this.#place(record, page, index);
  }

  /** The stream is closed by the record of this number. */
  closedBy(sequence: number): void {
    this.#closedAt = Math.min(this.#closedAt ?? sequence, sequence);
  }

  /** Another stream, or an anchor, says that this one was there. */
  namedBy(what: string): void {
    this.#namedBy ??= what;
  }

  /** A signed note about this stream. */
  addAnchor(anchor: Anchor): void {
    if (anchor.binds) {
      this.namedBy(anchor.what);
      if (anchor.size > (this.#largest?.size ?? -1)) this.#largest = anchor;
    }
    this.#walk.addAnchor(anchor);
  }

  /** A signed account of what pruning removed of this stream. */
  addClaim(claim: PruneClaim): void {
    this.namedBy(`stream ${claim.by.name}`);
    this.#claims.push(claim);
    this.#claims.sort((a, b) => a.size - b.size);
    if (this.#waits) this.#advance(false);
  }

  /** Tells of the facts that retained records hold, now that it is settled which record stands for each number. */
  tellFacts(): void {
    for (const [sequence, fact] of this.#facts) this.#mode.learn(this, sequence, fact);
  }

  /** All records were read: looks at those that are left, and compares the last notes. */
  visitRest(): void {
    this.#advance(true);
    this.#walk.walk(Math.max(this.#visited, this.#walk.start));
    this.#walk.drain();
  }

  /** Looks at the records in the order of their numbers, as far as there is no hole that might still be filled. */
  #advance(final: boolean): void {
    if (this.#waits || final) this.#unvisited.sort();
    this.#waits = false;
    while (this.#visited <= this.#highest) {
      const page = this.#pages.find(this.#visited);
      const index = LeafPages.index(this.#visited);
      if (page !== undefined && ((page.flags[index] as number) & HELD) !== 0) {
        this.#visit(this.#visited, page.flags[index] as number);
        continue;
      }
      const next = this.#pages.nextHeld(this.#visited) as number;
      const claim = this.#claims.find((one) => one.size >= next);
      if (claim === undefined && !final) {
        this.#waits = true;
        return;
      }
      this.#missing.push(this.#visited, next - 1);
      if (claim !== undefined) this.#walk.rebase(this.#visited, claim);
      else this.#walk.end(this.#visited);
      this.#visited = next;
    }
  }

  #visit(sequence: number, flags: number): void {
    const isCheckpoint = (flags & CHECKPOINT) !== 0;
    if (this.#closedAt !== undefined && sequence > this.#closedAt && !isCheckpoint) {
      const detail = `a record after the stream was closed at ${this.#closedAt}`;
      this.findings.add('AFTER_CLOSE', detail, { sequence, ...this.locate(sequence) });
    }
    if (sequence < this.#walk.start) this.#walk.passOver(isCheckpoint);
    this.#visited = sequence + 1;
    if (this.#unvisited.sequence !== sequence) {
      if (!this.#mode.retains && this.#visited - this.#walk.size > MAX_LAG) {
        this.#walk.walk(this.#visited - MAX_LAG / 2);
        this.#walk.fold(this.#visited - MAX_LAG / 2);
        this.#drop();
      }
      return;
    }
    this.#visitCheckpoint(sequence);
    if (this.#mode.retains) return;
    this.#walk.walk(this.#visited);
    this.#drop();
  }

  #visitCheckpoint(sequence: number): void {
    const { size, root } = this.#unvisited.peek() as { size: number; root: Uint8Array };
    const place = { sequence, ...this.locate(sequence) };
    if (size > sequence) {
      const detail = `the checkpoint claims ${size} records, more than its own sequence number`;
      this.findings.add('ROOT_MISMATCH', detail, place);
    } else if (size <= this.#lastSize) {
      const detail = `the checkpoint's size ${size} is not above that of the one before, ${this.#lastSize}`;
      this.findings.add('ROOT_MISMATCH', detail, place);
      const note = { what: 'the checkpoint', sequence, file: place.file, line: place.line, binds: false };
      this.#walk.addAnchor({ size, root: Buffer.from(root), ...note });
    } else {
      this.#lastSize = size;
      this.#walk.addCheckpoint(sequence, size, root);
    }
    this.#unvisited.shift();
  }

  #drop(): void {
    const below = Math.min(this.#walk.size, this.#visited);
    this.#pages.drop(this.#dropped, below);
    this.#dropped = below;
  }

  /** Which claims of pruning hold: their record must be covered by a checkpoint that fits. Needs `visitRest` of all streams. */
  honourClaims(): void {
    for (const claim of this.#claims) {
      if (claim.by.covers(claim.sequence)) this.#honoured = Math.max(this.#honoured, claim.size);
    }
  }

  /** The report, once all streams have honoured their claims. */
  report(missingIsTold: boolean): StreamReport {
    const unsignedTail = this.#walk.tail;
    // Whatever is left of a stream that was pruned through its end are checkpoints.
    const prunedThrough =
      this.#honoured > 0 && this.#honoured >= (this.#largest?.size ?? 0) && (this.#records === 0 || unsignedTail === 0);
    const closed = this.#closedAt !== undefined || (prunedThrough && this.#highest <= this.#honoured);
    this.#reportMissing();
    this.#reportEnd(prunedThrough, missingIsTold);
    if (unsignedTail > 0) {
      const from = this.#walk.coveredSize;
      const detail = `${unsignedTail} record${unsignedTail === 1 ? '' : 's'} from number ${from} on not yet covered by a checkpoint that fits`;
      this.findings.add('UNSIGNED_TAIL', detail, { sequence: from });
    }
    const held = this.#highest >= 0;
    if (!closed && held) this.findings.add('NOT_CLOSED', 'the stream has no audit.stream_closed');
    return {
      stream: this.name,
      records: held ? this.#records : 0,
      firstSequence: held ? this.#lowest : null,
      lastSequence: held ? this.#highest : null,
      checkpoints: held ? this.#checkpoints : 0,
      verifiedThrough: this.#walk.coveredSize === 0 ? null : this.#walk.coveredSize - 1,
      unsignedTail,
      closed,
      findings: this.findings.listed(),
      findingsOmitted: this.findings.omitted,
    };
  }

  #reportMissing(): void {
    const ranges = [...this.#missing];
    if (this.#highest + 1 < this.#honoured) ranges.push(this.#highest + 1, this.#honoured - 1);
    for (let i = 0; i < ranges.length; i += 2) {
      const first = ranges[i] as number;
      const last = ranges[i + 1] as number;
      const split = Math.min(last, this.#honoured - 1);
      if (first <= split)
        this.findings.add('PRUNED', `retention removed ${rangeText(first, split)}`, { sequence: first });
      const gap = Math.max(first, this.#honoured);
      if (gap <= last) this.findings.add('GAP', `${rangeText(gap, last)} missing`, { sequence: gap });
    }
  }

  #reportEnd(prunedThrough: boolean, missingIsTold: boolean): void {
    const anchor = this.#largest;
    if (this.#highest < 0) {
      if (this.#namedBy === undefined || prunedThrough) return;
      const detail = `nothing is there of this stream, which ${this.#namedBy} names`;
      this.findings.add('MISSING_STREAM', detail, {}, missingIsTold);
      return;
    }
    if (anchor === undefined || Math.max(this.#highest, this.#honoured - 1) >= anchor.size - 1) return;
    const detail = `the records end at ${this.#highest}, but ${anchor.what} is of ${anchor.size} records`;
    this.findings.add('TRUNCATED', detail, {
      sequence: this.#highest + 1,
      ...(anchor.file === undefined ? {} : { file: anchor.file }),
      ...(anchor.line === undefined ? {} : { line: anchor.line }),
    });
  }
}

function rangeText(first: number, last: number): string {
  return first === last ? `record ${first}` : `records ${first} to ${last} (${last - first + 1})`;
}
