/**
 * Finds slots by their keys, for a fixed number of slots that are filled and emptied all the time: nothing is allocated
 * after it was made, so that it leaves nothing to the garbage collector.
 */

/** So many of a key's last characters are hashed: where ids differ. */
const HASHED = 12;
const NONE = -1;

export class SlotIndex {
  readonly #mask: number;
  /** The first slot of each chain. */
  readonly #heads: Int32Array;
  /** The slot behind each one in its chain. */
  readonly #next: Int32Array;
  readonly #keys: (string | undefined)[];

  /** @param slots how many there are: numbers from 0 */
  constructor(slots: number) {
    const chains = 2 ** Math.ceil(Math.log2(slots * 2));
    this.#mask = chains - 1;
    this.#heads = new Int32Array(chains).fill(NONE);
    this.#next = new Int32Array(slots).fill(NONE);
    this.#keys = new Array(slots).fill(undefined);
  }

  /** Puts a slot that is not in the index under a key. Several may have the same. */
  add(slot: number, key: string): void {
    const chain = hash(key) & this.#mask;
    this.#next[slot] = this.#heads[chain]!;
    this.#heads[chain] = slot;
    this.#keys[slot] = key;
  }

  /** Takes a slot out. One that is not in the index is none. */
  remove(slot: number): void {
    const key = this.#keys[slot];
    if (key === undefined) return;
    this.#keys[slot] = undefined;
    const chain = hash(key) & this.#mask;
    const next = this.#next;
    let at = this.#heads[chain]!;
    if (at === slot) {
      this.#heads[chain] = next[slot]!;
      return;
    }
    while (next[at] !== slot) at = next[at]!;
    next[at] = next[slot]!;
  }

  /** Adds every slot of a key to `found`. */
  find(key: unknown, found: Set<number> | undefined): Set<number> | undefined {
    if (typeof key !== 'string') return found;
    let slots = found;
    for (let slot = this.#heads[hash(key) & this.#mask]!; slot !== NONE; slot = this.#next[slot]!) {
      if (this.#keys[slot] === key) {
        slots ??= new Set();
        slots.add(slot);
      }
    }
    return slots;
  }
}

/** FNV-1a of the last characters. */
function hash(key: string): number {
  let value = 0x811c9dc5;
  for (let i = Math.max(0, key.length - HASHED); i < key.length; i++) {
    value = Math.imul(value ^ key.charCodeAt(i), 0x01000193);
  }
  return (value ^ (value >>> 15)) >>> 0;
}
