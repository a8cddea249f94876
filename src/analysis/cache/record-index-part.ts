/**
 * What is known of a range of a file's lines without reading them: where ids stand, and some figures of the records that
 * explanations count and choose from. All of it lies in one piece of memory, which goes from thread to thread and to disk
 * as it is.
 */
import { endianness } from 'node:os';

/** Families of records that explanations choose from; a record may be of several. */
export const MARK = { stateChange: 1, failure: 2, tradeResult: 4, refused: 8, cites: 16 } as const;

/** What a change of trading state leads to; 0 where it says something else, or nothing. */
export const STATE = { active: 1, halted: 2 } as const;

/** Figures of one record. Hashes are 0 where there is no text. */
export interface MarkValues {
  /** Where its line begins, from the beginning of the range. */
  offset: number;
  /** Bits of {@link MARK}. */
  kinds: number;
  /** One of {@link STATE}. */
  state: number;
  /** Time since the epoch. */
  seconds: number;
  nanos: number;
  /** NaN where it has none. */
  sequence: number;
  stream: number;
  /** Hash of the scope of a change of state, of the breaker's name of another. */
  name: number;
  /** Hash of the id of the record that it names as its cause. */
  cause: number;
  /** Hash of what makes a record the same as another. */
  key: number;
}

const HEADER = ['from', 'to', 'ids', 'marks', 'lastSeconds', 'lastNanos'] as const;
const DOUBLES = ['seconds', 'sequence', 'stream', 'name', 'cause', 'key'] as const;
const INTS = ['offset', 'nanos'] as const;
const BYTES = ['kinds', 'state'] as const;

const ALIGNMENT = 8;
const HEADER_BYTES = HEADER.length * 8;
const MARK_BYTES = DOUBLES.length * 8 + INTS.length * 4 + BYTES.length;
/** Which half of a pair is the lower one of its 64 bits: pairs are sorted as such. */
const LOW = endianness() === 'LE' ? 0 : 1;
const HIGH = 1 - LOW;

/** Marks, a column each. */
export type Marks = { readonly [Column in (typeof DOUBLES)[number]]: Float64Array } & {
  readonly [Column in (typeof INTS)[number]]: Uint32Array;
} & { readonly [Column in (typeof BYTES)[number]]: Uint8Array };

/** Collects what a part holds. */
export class PartDraft {
  /** Where the range begins in the file, in bytes. */
  readonly from: number;
  readonly marks: MarkValues[] = [];
  /** Time of the latest record, since the epoch. */
  lastSeconds = 0;
  lastNanos = 0;
  ids = 0;
  #pairs = new Uint32Array(1 << 12);

  constructor(from: number) {
    this.from = from;
  }

  /** Notes an id. @param offset where its line begins, from the beginning of the range */
  add(hash: number, offset: number): void {
    if (this.ids * 2 === this.#pairs.length) {
      const more = new Uint32Array(this.#pairs.length * 2);
      more.set(this.#pairs);
      this.#pairs = more;
    }
    this.#pairs[this.ids * 2 + LOW] = offset;
    this.#pairs[this.ids * 2 + HIGH] = hash;
    this.ids++;
  }

  /** @param to where the range ends */
  pack(to: number): ArrayBuffer {
    const { ids, marks } = this;
    const size = HEADER_BYTES + ids * 8 + marks.length * MARK_BYTES;
    const buffer = new ArrayBuffer(Math.ceil(size / ALIGNMENT) * ALIGNMENT);
    const { from, lastSeconds, lastNanos } = this;
    new Float64Array(buffer, 0, HEADER.length).set([from, to, ids, marks.length, lastSeconds, lastNanos]);
    new Uint32Array(buffer, HEADER_BYTES, ids * 2).set(this.#pairs.subarray(0, ids * 2));
    new BigUint64Array(buffer, HEADER_BYTES, ids).sort();
    const columns = columnsOf(buffer, ids, marks.length);
    for (const column of [...DOUBLES, ...INTS, ...BYTES])
      for (const [at, mark] of marks.entries()) columns[column][at] = mark[column];
    return buffer;
  }
}

function columnsOf(buffer: ArrayBuffer, ids: number, marks: number): Marks {
  let at = HEADER_BYTES + ids * 8;
  const columns: Record<string, Float64Array | Uint32Array | Uint8Array> = {};
  for (const column of DOUBLES) {
    columns[column] = new Float64Array(buffer, at, marks);
    at += marks * 8;
  }
  for (const column of INTS) {
    columns[column] = new Uint32Array(buffer, at, marks);
    at += marks * 4;
  }
  for (const column of BYTES) {
    columns[column] = new Uint8Array(buffer, at, marks);
    at += marks;
  }
  return columns as unknown as Marks;
}

/** A range of a file's lines. */
export class IndexPart {
  /** As {@link PartDraft.pack} made it. */
  readonly buffer: ArrayBuffer;
  /** Where the range begins and ends in the file, in bytes. */
  readonly from: number;
  readonly to: number;
  readonly lastSeconds: number;
  readonly lastNanos: number;
  readonly marks: Marks;
  readonly #pairs: Uint32Array;

  /** @throws RangeError where it is none */
  constructor(buffer: ArrayBuffer) {
    const [from, to, ids, marks, lastSeconds, lastNanos] = new Float64Array(buffer, 0, HEADER.length);
    this.buffer = buffer;
    this.from = from!;
    this.to = to!;
    this.lastSeconds = lastSeconds!;
    this.lastNanos = lastNanos!;
    this.#pairs = new Uint32Array(buffer, HEADER_BYTES, ids! * 2);
    this.marks = columnsOf(buffer, ids!, marks!);
  }

  /** How many records have marks. */
  get markCount(): number {
    return this.marks.kinds.length;
  }

  /** Where the lines begin that may hold an id, in the order of the file, from its beginning. */
  find(hash: number): number[] {
    const pairs = this.#pairs;
    let low = 0;
    let high = pairs.length / 2;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (pairs[middle * 2 + HIGH]! < hash) low = middle + 1;
      else high = middle;
    }
    const found: number[] = [];
    for (; low * 2 < pairs.length && pairs[low * 2 + HIGH] === hash; low++) {
      const offset = this.from + pairs[low * 2 + LOW]!;
      if (found.at(-1) !== offset) found.push(offset);
    }
    return found;
  }
}
