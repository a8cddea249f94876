/** What each copy of one stream holds, in some ten bytes a record: bits for its number, eight bytes of its leaf hash. */
import { SequenceSet } from './sequence-set.ts';

const PAGE_RECORDS = 4096;
/** Of a hash, as many bytes are compared as make a second record of the same beginning out of anybody's reach. */
const MARK_BYTES = 8;

/** What one copy of a stream holds. */
export class CopyLedger {
  readonly held = new SequenceSet();
  readonly twice = new SequenceSet();
  /** Numbers whose record isn't what its hash says, or has another hash than the first copy that holds it. */
  readonly differing = new SequenceSet();
}

/** One stream. */
export class StreamLedger {
  readonly stream: string;
  readonly copies: readonly CopyLedger[];
  /** The stream's folder, where the journal holds any of it. */
  directory: string | undefined;
  /** `service.name` of its records. */
  service: string | undefined;
  /** Records below were removed by retention, as the journal says. */
  pruned = 0;
  /** Whether the journal holds its orderly end. */
  closed = false;
  /** Times of the journal's earliest and latest record, epoch milliseconds. */
  firstMs = Number.POSITIVE_INFINITY;
  lastMs = Number.NEGATIVE_INFINITY;
  readonly #known = new SequenceSet();
  readonly #marks = new Map<number, Buffer>();

  constructor(stream: string, copies: number) {
    this.stream = stream;
    this.copies = Array.from({ length: copies }, () => new CopyLedger());
  }

  /** One more than the highest number that any copy holds. */
  get size(): number {
    return this.#known.highest + 1;
  }

  /**
   * Takes a record of a copy.
   * @param claim the leaf hash that the record bears; undefined where it bears none
   * @param valid whether it is what its hash says, as far as that can be told
   * @param again whether a number that was seen before is only read a second time
   */
  add(copy: number, sequence: number, claim: Uint8Array | undefined, valid: boolean, again = false): void {
    const ledger = this.copies[copy] as CopyLedger;
    if (!ledger.held.add(sequence) && !again) ledger.twice.add(sequence);
    if (!valid || claim === undefined || !this.#fits(sequence, claim)) ledger.differing.add(sequence);
  }

  /** Whether a hash is the one known of this number; the first one becomes known. */
  #fits(sequence: number, claim: Uint8Array): boolean {
    const index = Math.floor(sequence / PAGE_RECORDS);
    let page = this.#marks.get(index);
    if (page === undefined) {
      page = Buffer.alloc(PAGE_RECORDS * MARK_BYTES);
      this.#marks.set(index, page);
    }
    const at = (sequence % PAGE_RECORDS) * MARK_BYTES;
    if (this.#known.add(sequence)) {
      for (let i = 0; i < MARK_BYTES; i++) page[at + i] = claim[i] as number;
      return true;
    }
    for (let i = 0; i < MARK_BYTES; i++) if (page[at + i] !== claim[i]) return false;
    return true;
  }

  /** First number from `from` on that a copy doesn't hold as the others do. */
  wholeThrough(copy: number, from: number): number {
    const { held, differing } = this.copies[copy] as CopyLedger;
    return Math.min(held.next(from, false), differing.next(from, true));
  }
}
