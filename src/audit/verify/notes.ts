/** Signed notes of one stream, while they wait to be compared with the tree. */
import { HASH_BYTES } from '../proof/tree.ts';

/** A signed note about a stream that stands outside its run of checkpoint records. */
export interface Anchor {
  readonly size: number;
  readonly root: Uint8Array;
  /** In words: "the anchor file", "the checkpoint record". */
  readonly what: string;
  readonly sequence: number | undefined;
  readonly file: string | undefined;
  readonly line: number | undefined;
  /** Whether the stream must hold the records below `size`: true of anchors, false of notes in the stream itself. */
  readonly binds: boolean;
}

const ENTRY = 64;

/** Checkpoint records, 48 bytes each, first in first out. A service that seldom trades has one per record. */
export class CheckpointQueue {
  #sequences = new Float64Array(ENTRY);
  #sizes = new Float64Array(ENTRY);
  #roots = new Uint8Array(ENTRY * HASH_BYTES);
  #head = 0;
  #end = 0;

  push(sequence: number, size: number, root: Uint8Array): void {
    if (this.#head === this.#end) {
      this.#head = 0;
      this.#end = 0;
    }
    if (this.#end === this.#sizes.length) this.#grow();
    this.#sequences[this.#end] = sequence;
    this.#sizes[this.#end] = size;
    this.#roots.set(root, this.#end * HASH_BYTES);
    this.#end++;
  }

  #grow(): void {
    const length = this.#sizes.length * 2;
    const sequences = new Float64Array(length);
    const sizes = new Float64Array(length);
    const roots = new Uint8Array(length * HASH_BYTES);
    sequences.set(this.#sequences);
    sizes.set(this.#sizes);
    roots.set(this.#roots);
    this.#sequences = sequences;
    this.#sizes = sizes;
    this.#roots = roots;
  }

  /** Puts the entries in the order of their records. */
  sort(): void {
    const order = Array.from({ length: this.#end - this.#head }, (_, index) => this.#head + index);
    const sequences = this.#sequences;
    if (order.every((at, place) => place === 0 || (sequences[at - 1] as number) <= (sequences[at] as number))) return;
    order.sort((a, b) => (sequences[a] as number) - (sequences[b] as number));
    const [sizes, roots] = [this.#sizes, this.#roots];
    this.#sequences = sequences.slice();
    this.#sizes = sizes.slice();
    this.#roots = roots.slice();
    for (const [place, at] of order.entries()) {
      const to = this.#head + place;
      this.#sequences[to] = sequences[at] as number;
      this.#sizes[to] = sizes[at] as number;
      this.#roots.set(roots.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES), to * HASH_BYTES);
    }
  }

  /** The first entry, without taking it. */
  peek(): { sequence: number; size: number; root: Uint8Array } | undefined {
    const at = this.#head;
    if (at === this.#end) return undefined;
    return {
      sequence: this.#sequences[at] as number,
      size: this.#sizes[at] as number,
      root: this.#roots.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES),
    };
  }

  /** Number of the record of the first entry, or Infinity. */
  get sequence(): number {
    return this.#head === this.#end ? Number.POSITIVE_INFINITY : (this.#sequences[this.#head] as number);
  }

  /** Takes the first entry away. */
  shift(): void {
    this.#head++;
  }
}
