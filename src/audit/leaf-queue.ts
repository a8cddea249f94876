/**
 * Leaves that wait for their place in the tree. A record's own hash is needed when it is written; the tree's inner nodes
 * only when a root is signed. So `append` keeps the leaf, and the nodes are hashed when the frontier is asked for.
 */
import { type Frontier, HASH_BYTES } from './tree.ts';

/** With more than these waiting (a long burst without a turn of the event loop), each new leaf settles two old ones. */
const MOST_LEAVES = 65_536;
/** Settled leaves are let go of by so many at a time. */
const FORGET_LEAVES = 8192;

export class LeafQueue {
  readonly #frontier: Frontier;
  readonly #scratch = Buffer.alloc(HASH_BYTES);
  #leaves: string[] = [];
  /** How many of `#leaves` are in the tree. */
  #settled = 0;

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

  /** Takes one leaf hash in padded base64. */
  append(integrity: string): void {
    this.#leaves.push(integrity);
    if (this.#leaves.length - this.#settled > MOST_LEAVES) this.settle(2);
  }

  /** Hashes up to `most` waiting leaves into the tree. */
  settle(most: number): void {
    const until = Math.min(this.#leaves.length, this.#settled + most);
    for (let at = this.#settled; at < until; at++) {
      this.#scratch.write(this.#leaves[at]!, 'base64');
      this.#frontier.append(this.#scratch);
    }
    this.#settled = until;
    if (until === this.#leaves.length) this.#leaves = [];
    else if (until >= FORGET_LEAVES) this.#leaves.splice(0, until);
    else return;
    this.#settled = 0;
  }

  /** The tree with every leaf in it. */
  frontier(): Frontier {
    this.settle(Number.POSITIVE_INFINITY);
    return this.#frontier;
  }
}
