/** What is to be looked at when, the earliest first. */

/** Something with a time at which it is to be looked at. */
export interface Due {
  /** Epoch milliseconds; infinity: not at all. Set by {@link DueHeap.schedule} alone. */
  dueMs: number;
  /** Place in the heap; −1 where it is in none. */
  heapIndex: number;
}

/** A binary heap whose items know their places, so that a change of time costs the logarithm of their number. */
export class DueHeap<T extends Due> {
  readonly #items: T[] = [];

  /** Time of the earliest; infinity where there is none. */
  get earliest(): number {
    return this.#items.length === 0 ? Number.POSITIVE_INFINITY : this.#items[0]!.dueMs;
  }

  /** The earliest. */
  peek(): T | undefined {
    return this.#items[0];
  }

  /** Puts an item at a time; infinity takes it out. */
  schedule(item: T, dueMs: number): void {
    if (dueMs === Number.POSITIVE_INFINITY) {
      this.#remove(item);
      return;
    }
    if (item.heapIndex < 0) {
      item.heapIndex = this.#items.length;
      this.#items.push(item);
    }
    item.dueMs = dueMs;
    this.#settle(item);
  }

  #remove(item: T): void {
    item.dueMs = Number.POSITIVE_INFINITY;
    if (item.heapIndex < 0) return;
    const last = this.#items.pop()!;
    if (last !== item) {
      last.heapIndex = item.heapIndex;
      this.#items[last.heapIndex] = last;
      this.#settle(last);
    }
    item.heapIndex = -1;
  }

  #settle(item: T): void {
    let at = item.heapIndex;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#items[parent]!.dueMs <= item.dueMs) break;
      this.#swap(at, parent);
      at = parent;
    }
    for (;;) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < this.#items.length && this.#items[child]!.dueMs < this.#items[least]!.dueMs) least = child;
      }
      if (least === at) return;
      this.#swap(at, least);
      at = least;
    }
  }

  #swap(a: number, b: number): void {
    const [one, other] = [this.#items[a]!, this.#items[b]!];
    this.#items[a] = other;
    this.#items[b] = one;
    other.heapIndex = a;
    one.heapIndex = b;
  }
}
