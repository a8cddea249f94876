/**
 * Leaves that wait for their place in the tree. A record's own hash is needed when it is written; the tree's inner nodes
 * only when a root is signed. So `append` keeps the leaf, and the nodes are hashed when the frontier is asked for.
 */
import { type Frontier, HASH_BYTES } from '../proof/tree.ts';

/** A leaf as it stands in a line: padded base64. Bytes, so that a million of them leave nothing for the garbage collector. */
const LEAF_BYTES = 44;
const FIRST_LEAVES = 2048;
/** With more than these waiting (a long burst without a turn of the event loop), each new leaf settles two old ones. */
const MOST_LEAVES = 65_536;

export class LeafQueue {
  readonly #frontier: Frontier;
  readonly #scratch = Buffer.alloc(HASH_BYTES);
  #leaves = Buffer.allocUnsafeSlow(FIRST_LEAVES * LEAF_BYTES);
  /** Bytes of `#leaves` that are in the tree, and that are filled. */
  #settled = 0;
  #filled = 0;

  constructor(frontier: Frontier) {
    this.#frontier = frontier;
  }

  /** How many leaves are in the tree. */
  get settledSize(): number {
    return this.#frontier.size;
  }

  /** A copy of the tree without the leaves that wait. */
  settledFrontier(): Frontier {
    return this.#frontier.clone();
  }

  /**
   * Takes the leaf hash that stands in `line` at `at`, in padded base64.
   * @param written how many leaves may be in the tree by now: those of records that are written
   */
  append(line: Buffer, at: number, written: number): void {
    if (this.#filled === this.#leaves.length) this.#makeRoom();
    line.copy(this.#leaves, this.#filled, at, at + LEAF_BYTES);
    this.#filled += LEAF_BYTES;
    if (this.#filled - this.#settled > MOST_LEAVES * LEAF_BYTES) this.settle(2, written);
  }

  /** Hashes up to `most` waiting leaves into the tree, which holds `size` of them at most afterwards. */
  settle(most: number, size: number): void {
    const leaves = Math.min(most, size - this.#frontier.size);
    const until = Math.min(this.#filled, this.#settled + leaves * LEAF_BYTES);
    for (let at = this.#settled; at < until; at += LEAF_BYTES) {
      this.#scratch.write(this.#leaves.toString('latin1', at, at + LEAF_BYTES), 'base64');
      this.#frontier.append(this.#scratch);
    }
    this.#settled = Math.max(this.#settled, until);
    if (this.#settled === this.#filled) {
      this.#settled = 0;
      this.#filled = 0;
    }
  }

  /** The tree with its first `size` leaves, or more where more are in it already. */
  frontier(size: number): Frontier {
    this.settle(Number.POSITIVE_INFINITY, size);
    return this.#frontier;
  }

  #makeRoom(): void {
    const rest = this.#leaves.subarray(this.#settled, this.#filled);
    // Twice what waits: half of it is free afterwards, whatever was settled.
    const next = Buffer.allocUnsafeSlow(Math.max(FIRST_LEAVES * LEAF_BYTES, rest.length * 2));
    next.set(rest);
    this.#leaves = next;
    this.#filled = rest.length;
    this.#settled = 0;
  }
}
