/** Remembers which records were there: delivery is at least once, and each is to be told once. */

/** Ranges of sequence numbers, ends included, by stream. JSON-serialisable. */
export type SeenRanges = Readonly<Record<string, readonly (readonly [first: number, last: number])[]>>;

/**
 * The sequence numbers seen of each stream, as ranges: a stream in order takes one range however long it is, and one out of
 * order as many as it has holes at the moment.
 */
export class SeenRecords {
  readonly #streams = new Map<string, [first: number, last: number][]>();

  /** @param ranges what {@link ranges} gave */
  constructor(ranges: SeenRanges = {}) {
    for (const [stream, of] of Object.entries(ranges)) {
      this.#streams.set(
        stream,
        of.map(([first, last]) => [first, last]),
      );
    }
  }

  /** Everything seen, as plain data. */
  ranges(): SeenRanges {
    return Object.fromEntries(this.#streams);
  }

  /** @returns whether it is new */
  add(stream: string, sequence: number): boolean {
    let ranges = this.#streams.get(stream);
    if (ranges === undefined) {
      ranges = [];
      this.#streams.set(stream, ranges);
    }
    // The first range that begins above the number.
    let low = 0;
    let high = ranges.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (ranges[middle]![0] > sequence) high = middle;
      else low = middle + 1;
    }
    const before = ranges[low - 1];
    if (before !== undefined && before[1] >= sequence) return false;
    const after = ranges[low];
    const joinsBefore = before !== undefined && before[1] === sequence - 1;
    const joinsAfter = after !== undefined && after[0] === sequence + 1;
    if (joinsBefore && joinsAfter) {
      before[1] = after[1];
      ranges.splice(low, 1);
    } else if (joinsBefore) before[1] = sequence;
    else if (joinsAfter) after[0] = sequence;
    else ranges.splice(low, 0, [sequence, sequence]);
    return true;
  }
}
