/**
 * What a verifier keeps of the records whose leaves are not yet folded into the tree: 41 bytes each, in pages, so that a
 * journal in order needs a few pages and a Collector's file in any order needs no object per record.
 */
import { HASH_BYTES } from '../proof/tree.ts';

const PAGE_RECORDS = 512;
const MAX_FREE = 64;

/** A number is held. */
export const HELD = 1;
/** The record's claimed hash is right. */
export const VALID = 2;
/** The record is a checkpoint. */
export const CHECKPOINT = 4;
/** The record has no canonical form, hence no leaf; the tree holds zeros in its place. */
export const FORMLESS = 8;

/** The records whose numbers are `start` to `start + 511`. */
export class LeafPage {
  start = 0;
  readonly leaves: Buffer = Buffer.alloc(PAGE_RECORDS * HASH_BYTES);
  readonly files = new Uint32Array(PAGE_RECORDS);
  readonly lines = new Uint32Array(PAGE_RECORDS);
  readonly flags = new Uint8Array(PAGE_RECORDS);
}

/** Pages by sequence number. */
export class LeafPages {
  readonly #pages = new Map<number, LeafPage>();
  #latest: LeafPage | undefined;
  readonly #free: LeafPage[];

  /** @param free pages that are done with, shared among the streams of a pass */
  constructor(free: LeafPage[]) {
    this.#free = free;
  }

  /** Where `sequence` stands in its page. */
  static index(sequence: number): number {
    return sequence % PAGE_RECORDS;
  }

  /** The page of a number, made where it is missing. */
  page(sequence: number): LeafPage {
    const start = sequence - (sequence % PAGE_RECORDS);
    if (this.#latest?.start === start) return this.#latest;
    let page = this.#pages.get(start);
    if (page === undefined) {
      page = this.#free.pop() ?? new LeafPage();
      page.start = start;
      page.flags.fill(0);
      this.#pages.set(start, page);
    }
    this.#latest = page;
    return page;
  }

  /** The page of a number, if it has one. */
  find(sequence: number): LeafPage | undefined {
    const start = sequence - (sequence % PAGE_RECORDS);
    return this.#latest?.start === start ? this.#latest : this.#pages.get(start);
  }

  /** First number ≥ `from` that is held, or undefined. */
  nextHeld(from: number): number | undefined {
    const first = from - (from % PAGE_RECORDS);
    // Most holes end in the page at hand or the next: only wider ones are worth sorting for.
    const near = [first, first + PAGE_RECORDS].filter((start) => this.#pages.has(start));
    for (const start of near) {
      const found = this.#heldIn(start, Math.max(start, from));
      if (found !== undefined) return found;
    }
    const far = [...this.#pages.keys()].filter((start) => start > first + PAGE_RECORDS).sort((a, b) => a - b);
    for (const start of far) {
      const found = this.#heldIn(start, start);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #heldIn(start: number, from: number): number | undefined {
    const { flags } = this.#pages.get(start) as LeafPage;
    for (let index = from - start; index < PAGE_RECORDS; index++) {
      if (((flags[index] as number) & HELD) !== 0) return start + index;
    }
    return undefined;
  }

  /** How many records other than checkpoints are held of the numbers from `from` to below `to`. */
  countOthers(from: number, to: number): number {
    let count = 0;
    for (const { start, flags } of this.#pages.values()) {
      const end = Math.min(PAGE_RECORDS, to - start);
      for (let index = Math.max(0, from - start); index < end; index++) {
        if (((flags[index] as number) & (HELD | CHECKPOINT)) === HELD) count++;
      }
    }
    return count;
  }

  /** Lets go of the pages that hold numbers from `from` on and only numbers below `below`. */
  drop(from: number, below: number): void {
    for (let start = from - (from % PAGE_RECORDS); start + PAGE_RECORDS <= below; start += PAGE_RECORDS) {
      const page = this.#pages.get(start);
      if (page === undefined) continue;
      this.#pages.delete(start);
      if (this.#latest === page) this.#latest = undefined;
      if (this.#free.length < MAX_FREE) this.#free.push(page);
    }
  }
}
