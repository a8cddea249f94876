/**
 * Audit paths and consistency proofs from one pass over a stream's leaves, in memory of the order of log n: 10 million leaves
 * need some fifty hashes.
 *
 * Both proofs are the siblings of one node on its way to the root (RFC 9162 sections 2.1.3.1 and 2.1.4.1). Those to the left
 * are the perfect subtrees that a frontier holds where the node begins. Those to the right follow one another without a gap,
 * each twice as large or more as the one before: one frontier after the other takes them.
 */
import { Frontier, HASH_BYTES, type TreePrefix } from './tree.ts';

/** The siblings of one node, gathered as the leaves go by. */
export class PathBuilder {
  readonly #size: number;
  /** Leaves below are to the left of the node, or in it. */
  readonly #rightFrom: number;
  readonly #level: number;
  readonly #node: number;
  /** Left siblings by level. */
  readonly #left = new Map<number, Uint8Array>();
  readonly #right = new Map<number, Uint8Array>();
  readonly #ownRoot: boolean;
  #own: Uint8Array | undefined;
  #frontier: Frontier;
  /** How many leaves `#frontier` stands for once the left is done, and the level and end of the range that it gathers. */
  #at: number;
  #rangeLevel = -1;
  #rangeEnd: number;

  private constructor(rightFrom: number, level: number, size: number, ownRoot: boolean, start: TreePrefix | undefined) {
    this.#rightFrom = rightFrom;
    this.#level = level;
    this.#node = rightFrom / 2 ** level - 1;
    this.#size = size;
    this.#ownRoot = ownRoot;
    this.#frontier = start === undefined ? new Frontier() : Frontier.from(start.size, start.hashes);
    this.#at = this.#frontier.size;
    this.#rangeEnd = level === 0 && !ownRoot ? rightFrom - 1 : rightFrom;
    if (this.#at === this.#rangeEnd) this.#endLeft();
  }

  /**
   * The audit path of one leaf.
   * @param start what pruning left of the leaves that are gone: their number must not be above `index`
   * @throws RangeError where the index is not below the size, or is below the start
   */
  static inclusion(index: number, size: number, start?: TreePrefix): PathBuilder {
    if (!(index >= 0 && index < size && index >= (start?.size ?? 0))) {
      throw new RangeError(`no audit path for leaf ${index} of ${size}`);
    }
    return new PathBuilder(index + 1, 0, size, false, start);
  }

  /**
   * The consistency proof between two sizes.
   * @param start what pruning left of the leaves that are gone: their number must not be above `oldSize`
   * @throws RangeError where the sizes are not 0 < old ≤ new, or the old one is below the start
   */
  static consistency(oldSize: number, newSize: number, start?: TreePrefix): PathBuilder {
    if (!(oldSize > 0 && oldSize <= newSize && oldSize >= (start?.size ?? 0))) {
      throw new RangeError(`no consistency proof from size ${oldSize} to ${newSize}`);
    }
    let level = 0;
    while ((oldSize / 2 ** level) % 2 === 0) level++;
    return new PathBuilder(oldSize, level, newSize, true, start);
  }

  /** Number of the leaf that comes next; the size once all were taken. */
  get next(): number {
    return this.#at;
  }

  /** Whether all leaves were taken. */
  get done(): boolean {
    return this.#at >= this.#size;
  }

  /** Takes the leaf {@link next}; what comes after the last is not looked at. */
  append(leaf: Uint8Array): void {
    if (this.done) return;
    const index = this.#at++;
    // The proven leaf itself is no part of its path.
    if (!this.#ownRoot && index === this.#rightFrom - 1) {
      this.#nextRange();
      return;
    }
    this.#frontier.append(leaf);
    if (this.#at < this.#rangeEnd && this.#at < this.#size) return;
    if (this.#rangeLevel < 0) this.#endLeft();
    else this.#endRange();
  }

  /** All to the left is known. */
  #endLeft(): void {
    const hashes = this.#frontier.hashes();
    let level = 0;
    for (let rest = this.#frontier.size; rest > 0; rest = Math.floor(rest / 2)) {
      if (rest % 2 === 1) this.#left.set(level, hashes.pop() as Uint8Array);
      level++;
    }
    if (!this.#ownRoot) return;
    this.#own = this.#left.get(this.#level) as Uint8Array;
    this.#left.delete(this.#level);
    this.#nextRange();
  }

  #endRange(): void {
    this.#right.set(this.#rangeLevel, this.#frontier.root());
    this.#nextRange();
  }

  /** Begins the next sibling to the right: at the next level at which the node's ancestor is a left child. */
  #nextRange(): void {
    this.#frontier = new Frontier();
    let level = this.#rangeLevel < 0 ? this.#level : this.#rangeLevel + 1;
    while (Math.floor(this.#node / 2 ** (level - this.#level)) % 2 === 1) level++;
    this.#rangeLevel = level;
    this.#rangeEnd = this.#at + 2 ** level;
  }

  /**
   * The proof, lowest sibling first, as RFC 6962 orders it.
   * @throws RangeError where leaves are still to come
   */
  path(): Buffer[] {
    if (!this.done) throw new RangeError(`leaf ${this.#at} of ${this.#size} was not taken`);
    if (this.#ownRoot && this.#rightFrom === this.#size) return [];
    const path: Uint8Array[] = [];
    // The old tree's own root needs no telling.
    if (this.#own !== undefined && this.#left.size > 0) path.push(this.#own);
    const levels = [...this.#left.keys(), ...this.#right.keys()].sort((a, b) => a - b);
    for (const level of levels) path.push((this.#left.get(level) ?? this.#right.get(level)) as Uint8Array);
    return path.map((hash) => Buffer.from(hash.subarray(0, HASH_BYTES)));
  }
}
