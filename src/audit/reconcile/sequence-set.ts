/** Sets of sequence numbers, a bit each: ten million of them in 1.3 MB. */

/** Numbers from `first` to `last`, both included. */
export interface SequenceRange {
  readonly first: number;
  readonly last: number;
}

const PAGE_BITS = 65_536;

/** A set of safe integers ≥ 0. */
export class SequenceSet {
  readonly #pages = new Map<number, Uint8Array>();
  #size = 0;
  #highest = -1;

  /** How many numbers are in it. */
  get size(): number {
    return this.#size;
  }

  /** The largest number in it, or -1. */
  get highest(): number {
    return this.#highest;
  }

  /** @returns whether the number is new */
  add(value: number): boolean {
    const index = Math.floor(value / PAGE_BITS);
    let page = this.#pages.get(index);
    if (page === undefined) {
      page = new Uint8Array(PAGE_BITS / 8);
      this.#pages.set(index, page);
    }
    const bit = value % PAGE_BITS;
    const [at, mask] = [bit >> 3, 1 << (bit & 7)];
    if (((page[at] as number) & mask) !== 0) return false;
    page[at] = (page[at] as number) | mask;
    this.#size++;
    if (value > this.#highest) this.#highest = value;
    return true;
  }

  has(value: number): boolean {
    const bit = value % PAGE_BITS;
    const page = this.#pages.get(Math.floor(value / PAGE_BITS));
    return page !== undefined && ((page[bit >> 3] as number) & (1 << (bit & 7))) !== 0;
  }

  /** First number ≥ `from` that is in the set or, with `wanted` false, that isn't. Infinity where there is none. */
  next(from: number, wanted: boolean): number {
    for (let at = from; ; ) {
      const index = Math.floor(at / PAGE_BITS);
      const page = this.#pages.get(index);
      const end = (index + 1) * PAGE_BITS;
      if (page === undefined) {
        if (!wanted) return at;
        if (at > this.#highest) return Number.POSITIVE_INFINITY;
        at = end;
        continue;
      }
      const plain = wanted ? 0 : 0xff;
      while (at < end) {
        // Whole bytes of what isn't looked for are passed over at once.
        if (at % 8 === 0 && page[(at % PAGE_BITS) >> 3] === plain) at += 8;
        else if (this.has(at) === wanted) return at;
        else at++;
      }
      if (wanted && at > this.#highest) return Number.POSITIVE_INFINITY;
    }
  }

  /** The ranges of numbers in the set. */
  ranges(): SequenceRange[] {
    const ranges: SequenceRange[] = [];
    for (let first = this.next(0, true); first !== Number.POSITIVE_INFINITY; ) {
      const end = this.next(first, false);
      ranges.push({ first, last: end - 1 });
      first = this.next(end, true);
    }
    return ranges;
  }

  /** The ranges of numbers from `from` to below `to` that aren't in the set. */
  missing(from: number, to: number): SequenceRange[] {
    const ranges: SequenceRange[] = [];
    for (let first = this.next(from, false); first < to; ) {
      const end = Math.min(to, this.next(first, true));
      ranges.push({ first, last: end - 1 });
      first = this.next(end, false);
    }
    return ranges;
  }
}

/** How many numbers there are in ranges that don't overlap. */
export function countOf(ranges: readonly SequenceRange[]): number {
  return ranges.reduce((count, { first, last }) => count + last - first + 1, 0);
}

/** Ranges that hold each number of any of the given, in order and without overlap. */
export function unite(...lists: readonly (readonly SequenceRange[])[]): SequenceRange[] {
  const united: { first: number; last: number }[] = [];
  for (const { first, last } of lists.flat().sort((a, b) => a.first - b.first)) {
    const before = united.at(-1);
    if (before !== undefined && first <= before.last + 1) before.last = Math.max(before.last, last);
    else united.push({ first, last });
  }
  return united;
}
