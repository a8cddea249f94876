/**
 * The samples of one group within a rule's window, newest last, with the aggregates that cost nothing at each event. Beyond a
 * bound the oldest go: a count is then the bound, and an aggregate is that of the newest samples.
 */

const FIRST_CAPACITY = 16;

/** Samples by their time, oldest first; times may come out of order. */
export class SampleWindow {
  readonly #capacity: number;
  readonly #sorted: boolean;
  #times = new Float64Array(FIRST_CAPACITY);
  #values = new Float64Array(FIRST_CAPACITY);
  #start = 0;
  #length = 0;
  #sum = 0;
  #ones = 0;
  #removed = 0;
  /** Values in ascending order, where a quantile or an extreme is asked for. */
  #order = new Float64Array(0);

  /**
   * @param capacity samples that are kept
   * @param sorted whether values are kept in order, too
   */
  constructor(capacity: number, sorted: boolean) {
    this.#capacity = capacity;
    this.#sorted = sorted;
    if (sorted) this.#order = new Float64Array(FIRST_CAPACITY);
  }

  get length(): number {
    return this.#length;
  }

  /** Time of the oldest; infinity where there is none. */
  get oldest(): number {
    return this.#length === 0 ? Number.POSITIVE_INFINITY : this.#times[this.#start]!;
  }

  /** The newest value. */
  get last(): number {
    return this.#values[this.#at(this.#length - 1)]!;
  }

  get sum(): number {
    return this.#sum;
  }

  /** How many values aren't 0. */
  get ones(): number {
    return this.#ones;
  }

  get min(): number {
    return this.#order[0]!;
  }

  get max(): number {
    return this.#order[this.#length - 1]!;
  }

  /** As `quantile_cont` and Loki have it: linear between the two nearest. @param quantile 0 to 1 */
  quantile(quantile: number): number {
    const rank = quantile * (this.#length - 1);
    const below = Math.floor(rank);
    const above = Math.min(below + 1, this.#length - 1);
    const share = rank - below;
    return this.#order[below]! * (1 - share) + this.#order[above]! * share;
  }

  add(time: number, value: number): void {
    if (this.#length === this.#capacity) this.#removeOldest();
    if (this.#length === this.#times.length) this.#grow();
    // Of equal times the later arrival is the newer one.
    let at = this.#length;
    while (at > 0 && this.#times[this.#at(at - 1)]! > time) {
      const [to, from] = [this.#at(at), this.#at(at - 1)];
      this.#times[to] = this.#times[from]!;
      this.#values[to] = this.#values[from]!;
      at--;
    }
    const to = this.#at(at);
    this.#times[to] = time;
    this.#values[to] = value;
    if (this.#sorted) this.#insertOrdered(value);
    this.#length++;
    this.#sum += value;
    if (value !== 0) this.#ones++;
  }

  /** Removes what is as old as `time`, or older. */
  expire(time: number): void {
    while (this.#length > 0 && this.#times[this.#start]! <= time) this.#removeOldest();
  }

  clear(): void {
    this.#start = this.#length = this.#ones = this.#sum = this.#removed = 0;
  }

  #at(index: number): number {
    const { length } = this.#times;
    const at = this.#start + index;
    return at < length ? at : at - length;
  }

  #removeOldest(): void {
    const value = this.#values[this.#start]!;
    if (this.#sorted) this.#removeOrdered(value);
    this.#start = this.#at(1);
    this.#length--;
    if (value !== 0) this.#ones--;
    // What is added and taken away again leaves its rounding behind: the sum is made anew now and then.
    this.#removed++;
    if (this.#length === 0 || this.#removed >= this.#capacity) this.#addUp();
    else this.#sum -= value;
  }

  #addUp(): void {
    this.#removed = 0;
    this.#sum = 0;
    for (let i = 0; i < this.#length; i++) this.#sum += this.#values[this.#at(i)]!;
  }

  #grow(): void {
    const size = Math.min(this.#capacity, this.#times.length * 2);
    const times = new Float64Array(size);
    const values = new Float64Array(size);
    for (let i = 0; i < this.#length; i++) {
      times[i] = this.#times[this.#at(i)]!;
      values[i] = this.#values[this.#at(i)]!;
    }
    this.#times = times;
    this.#values = values;
    this.#start = 0;
    if (this.#sorted) {
      const order = new Float64Array(size);
      order.set(this.#order.subarray(0, this.#length));
      this.#order = order;
    }
  }

  /** Index of the first value that isn't smaller. */
  #place(value: number): number {
    let low = 0;
    let high = this.#length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#order[middle]! < value) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #insertOrdered(value: number): void {
    const at = this.#place(value);
    this.#order.copyWithin(at + 1, at, this.#length);
    this.#order[at] = value;
  }

  #removeOrdered(value: number): void {
    const at = this.#place(value);
    this.#order.copyWithin(at, at + 1, this.#length);
  }
}
