/**
 * Walks one stream's tree upwards and compares every signed note with the root at its size. The tree lags behind the records
 * read: a checkpoint may be of a size below its own sequence number, so leaves are folded only as far as the notes reach.
 */
import { Frontier, HASH_BYTES } from '../proof/tree.ts';
import type { FindingList } from './findings.ts';
import { CHECKPOINT, HELD, LeafPages } from './leaf-pages.ts';
import { type Anchor, CheckpointQueue } from './notes.ts';

/**
 * Raised where a pass that folds leaves as it goes needs one that is folded already: the pass starts again and retains them.
 */
export class NeedsRetaining extends Error {}

/** A prefix that pruning removed, as a signed note proves it. */
export interface PrunedPrefix {
  readonly size: number;
  readonly hashes: readonly Uint8Array[];
}

/** A note being compared, wherever it stands. */
type Note = Pick<Anchor, 'size' | 'root' | 'what' | 'sequence' | 'file' | 'line'>;

/** Refuted notes that are kept in case that a larger one fits. */
const MAX_REFUTED = 100;

/** Where a record stands, by its number. */
export type Locate = (sequence: number) => { file?: string; line?: number };

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** The tree of one stream, and the notes about it. */
export class TreeWalk {
  readonly #pages: LeafPages;
  readonly #findings: FindingList;
  readonly #locate: Locate;
  readonly #retains: boolean;
  #tree = new Frontier();
  /** Records below were not read into the tree: pruning removed them. */
  #start = 0;
  /** False from a hole on that nothing excuses. */
  #open = true;
  readonly #ready = new CheckpointQueue();
  #anchors: Anchor[] = [];
  #newest: { size: number; root: Buffer; hashes: readonly Buffer[] } | undefined;
  /** Ranges of numbers whose leaves a note that fits covers. */
  readonly #covered: { start: number; end: number }[] = [];
  #refuted: Note[] = [];
  #refutedMore = 0;
  #rootsSize = -1;
  readonly #roots = new Set<string>();
  /** Records other than checkpoints from the newest fitting note's size on, as far as the tree went. */
  #sinceFit = 0;

  constructor(pages: LeafPages, findings: FindingList, locate: Locate, retains: boolean) {
    this.#pages = pages;
    this.#findings = findings;
    this.#locate = locate;
    this.#retains = retains;
  }

  /** Leaves in the tree. */
  get size(): number {
    return this.#tree.size;
  }

  /** Number of the first record that the tree holds by itself. */
  get start(): number {
    return this.#start;
  }

  /** Size of the newest note that fits; 0 where none does. */
  get coveredSize(): number {
    return this.#newest?.size ?? 0;
  }

  /** The newest note that fits, with the hashes of the perfect subtrees of its records. */
  get fit(): { readonly size: number; readonly root: Buffer; readonly hashes: readonly Buffer[] } | undefined {
    return this.#newest;
  }

  /** Goes on from records that were verified before. */
  resume({ size, hashes }: PrunedPrefix): void {
    this.#tree = Frontier.from(size, hashes);
    this.#start = size;
    this.#covered.push({ start: 0, end: size });
  }

  /** Records other than checkpoints that no fitting note covers, once all are in the tree or the pages. */
  get tail(): number {
    return this.#sinceFit + this.#pages.countOthers(this.#tree.size, Number.POSITIVE_INFINITY);
  }

  /** Whether a record is in the tree below a note that fits. */
  covers(sequence: number): boolean {
    return this.#covered.some((range) => sequence >= range.start && sequence < range.end);
  }

  /** A checkpoint record, in the order of sequence numbers, its size above that of the one before. */
  addCheckpoint(sequence: number, size: number, root: Uint8Array): void {
    this.#ready.push(sequence, size, root);
  }

  /** A note from elsewhere, in any order. */
  addAnchor(anchor: Anchor): void {
    let at = this.#anchors.length;
    while (at > 0 && (this.#anchors[at - 1] as Anchor).size > anchor.size) at--;
    this.#anchors.splice(at, 0, anchor);
  }

  /** A record below the tree's start was read: it stands there still, though it was to be pruned. */
  passOver(checkpoint: boolean): void {
    if (!checkpoint) this.#sinceFit++;
  }

  /**
   * Compares the notes of sizes up to `limit`, in the order of their sizes; all leaves from the tree's size up to `limit`
   * must be in the pages.
   */
  walk(limit: number): void {
    for (;;) {
      const note = this.#take(this.#open ? limit : -1);
      if (note === undefined) return;
      this.#compare(note);
    }
  }

  /** Folds the leaves below `size` although no note asks for it. */
  fold(size: number): void {
    if (this.#open) this.#grow(size);
  }

  /** From `hole` on leaves are missing. Root checks end there. */
  end(hole: number): void {
    this.walk(hole);
    this.#open = false;
  }

  /** Leaves are missing from `hole` on, and pruning accounts for them: root checks go on from the prefix's size. */
  rebase(hole: number, prefix: PrunedPrefix): void {
    this.walk(hole);
    this.#sinceFit += this.#pages.countOthers(this.#tree.size, hole);
    this.#tree = Frontier.from(prefix.size, prefix.hashes);
    this.#start = prefix.size;
    this.#open = true;
  }

  /** Notes of sizes that the tree never reaches can only be held against each other. */
  drain(): void {
    for (;;) {
      const note = this.#take(Number.POSITIVE_INFINITY);
      if (note === undefined) return;
      this.#differs(note);
    }
  }

  #take(limit: number): Note | undefined {
    const record = this.#ready.peek();
    const anchor = this.#anchors[0];
    if (anchor !== undefined && anchor.size <= (record?.size ?? Number.POSITIVE_INFINITY)) {
      if (anchor.size > limit) return undefined;
      this.#anchors.shift();
      return anchor;
    }
    if (record === undefined || record.size > limit) return undefined;
    this.#ready.shift();
    const { sequence, size, root } = record;
    return { sequence, size, root, what: 'the checkpoint', file: undefined, line: undefined };
  }

  #compare(note: Note): void {
    if (note.size < this.#tree.size) {
      if (note.size === this.#newest?.size) {
        if (!same(note.root, this.#newest.root)) this.#refute(note, true);
      } else if (note.size < this.#start || this.#retains) {
        // Nothing is left of the leaves that it stands on.
      } else {
        throw new NeedsRetaining();
      }
      return;
    }
    this.#grow(note.size);
    const root = this.#tree.root();
    const differs = this.#differs(note);
    if (same(root, note.root)) this.#fit(note.size, root);
    else this.#refute(note, differs);
  }

  /** Whether another note of the same size has another root; told where this one wasn't seen before. */
  #differs(note: Note): boolean {
    if (note.size !== this.#rootsSize) {
      this.#rootsSize = note.size;
      this.#roots.clear();
    }
    const root = Buffer.from(note.root).toString('base64');
    if (this.#roots.has(root)) return false;
    this.#roots.add(root);
    if (this.#roots.size === 1) return false;
    this.#findings.add('FORK', `two signed notes of size ${note.size} have two roots`, this.#placeOf(note));
    return true;
  }

  #fit(size: number, root: Buffer): void {
    for (const note of this.#refuted) {
      // Of one size with another root: that was told already.
      if (note.size < size) this.#fork(note, size);
    }
    this.#findings.omit('FORK', this.#refutedMore);
    this.#refuted = [];
    this.#refutedMore = 0;
    this.#newest = { size, root, hashes: this.#tree.hashes() };
    this.#sinceFit = 0;
    const latest = this.#covered.at(-1);
    if (latest?.start === this.#start) latest.end = size;
    else this.#covered.push({ start: this.#start, end: size });
  }

  #fork(note: Note, size: number): void {
    const detail = `${note.what} of size ${note.size} is signed and doesn't fit the records, while one of size ${size} does`;
    this.#findings.add('FORK', detail, this.#placeOf(note));
  }

  #refute(note: Note, forkTold: boolean): void {
    const detail = `${note.what} of size ${note.size} is signed, but its root is not that of the records`;
    this.#findings.add('ROOT_MISMATCH', detail, this.#placeOf(note));
    if (note.size < this.#tree.size && note.size === this.#newest?.size) {
      this.#findings.add('FORK', `two signed notes of size ${note.size} have two roots`, this.#placeOf(note));
      return;
    }
    if (forkTold) return;
    if (this.#refuted.length < MAX_REFUTED) this.#refuted.push({ ...note, root: Buffer.from(note.root) });
    else this.#refutedMore++;
  }

  #placeOf(note: Note): { sequence?: number; file?: string; line?: number } {
    const { sequence, file, line } = note;
    return {
      ...(sequence === undefined ? {} : { sequence, ...(file === undefined ? this.#locate(sequence) : {}) }),
      ...(file === undefined ? {} : { file }),
      ...(line === undefined ? {} : { line }),
    };
  }

  #grow(size: number): void {
    const tree = this.#tree;
    let at = tree.size;
    while (at < size) {
      const page = this.#pages.page(at);
      const end = Math.min(size, page.start + page.flags.length);
      for (; at < end; at++) {
        const index = LeafPages.index(at);
        tree.append(page.leaves.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES));
        if (((page.flags[index] as number) & (HELD | CHECKPOINT)) === HELD) this.#sinceFit++;
      }
    }
  }
}
