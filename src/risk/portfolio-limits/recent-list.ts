/**
 * An immutable list that grows at its end and is cut at its start, at a constant cost each. Versions share one array: a
 * newer version only writes behind the end of the older ones, so what an older version shows never changes.
 */
export class RecentList<T> {
  readonly #items: T[];
  readonly #from: number;
  readonly #to: number;

  private constructor(items: T[], from: number, to: number) {
    this.#items = items;
    this.#from = from;
    this.#to = to;
  }

  /** A list of these items, oldest first. */
  static of<T>(items: readonly T[]): RecentList<T> {
    return new RecentList([...items], 0, items.length);
  }

  get size(): number {
    return this.#to - this.#from;
  }

  /** The item at `index`, 0 being the oldest. */
  at(index: number): T | undefined {
    return index >= 0 && index < this.size ? this.#items[this.#from + index] : undefined;
  }

  /** The list with `item` as its newest. */
  with(item: T): RecentList<T> {
    // An array that another version has already grown is not ours to write to.
    if (this.#items.length !== this.#to) return RecentList.of(this.toJSON()).with(item);
    this.#items.push(item);
    return new RecentList(this.#items, this.#from, this.#to + 1);
  }

  /** The list without its oldest items for as long as `isOver` holds for them. */
  dropWhile(isOver: (item: T) => boolean): RecentList<T> {
    let from = this.#from;
    while (from < this.#to && isOver(this.#items[from]!)) from += 1;
    return this.#startingAt(from);
  }

  /** The newest `count` items. */
  newest(count: number): RecentList<T> {
    return this.#startingAt(Math.max(this.#from, this.#to - count));
  }

  /** The items, oldest first: a copy. */
  toJSON(): T[] {
    return this.#items.slice(this.#from, this.#to);
  }

  #startingAt(from: number): RecentList<T> {
    if (from === this.#from) return this;
    // Give the memory of what was cut back once it outweighs what is left.
    if (from > 64 && from > this.#to - from) return RecentList.of(this.#items.slice(from, this.#to));
    return new RecentList(this.#items, from, this.#to);
  }
}
