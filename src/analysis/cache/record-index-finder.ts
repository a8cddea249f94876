/** Answers what explanations ask, from the index of a trail's files and the lines that it names. */

import { viewOf } from '../../core/bytes.ts';
import {
  type CheckedRecord,
  checkedRecords,
  type FirstRecords,
  type IdQuestion,
  isRefused,
  matches,
  onceInOrder,
  type RecordFinder,
  type StateChange,
} from '../explain-records.ts';
import { type FlatRecord, nanosToIso } from '../flat-record.ts';
import { type FileIdentity, isSameFile, isSealed, type LineReader } from './record-index-file.ts';
import { hashOf, ID_KIND, type IdKind, idHash, inLine } from './record-index-hash.ts';
import { type IndexPart, MARK, STATE } from './record-index-part.ts';

/** A file with what is known of it. */
export interface IndexedFile {
  readonly path: string;
  readonly identity: FileIdentity;
  readonly parts: readonly IndexPart[];
  /** Its last line, where no newline ends it. */
  readonly tail: readonly IndexPart[];
}

/** Raised where a file is not what was indexed: it is to be indexed anew, and asked again. */
export class StaleIndex extends Error {
  readonly path: string;

  constructor(path: string) {
    super(`${path} is not what was indexed`);
    this.path = path;
  }
}

/** A record that is known by its figures. */
interface Mark {
  readonly file: IndexedFile;
  readonly part: IndexPart;
  readonly at: number;
}

const NANO_DIGITS = 9;
const FAMILY = {
  failure: { mark: MARK.failure, event: 'risk.circuit_breaker.failure' },
  tradeResult: { mark: MARK.tradeResult, event: 'risk.circuit_breaker.trade_result' },
} as const;
const STATE_CHANGE = 'risk.trading_state_change';

/** As `nanosToIso` takes it apart. */
function timeOf(timestamp: string): { readonly seconds: number; readonly nanos: number } {
  return { seconds: Date.parse(`${timestamp.slice(0, 19)}Z`) / 1000, nanos: Number(timestamp.slice(20, 29)) };
}

const isoOf = (seconds: number, nanos: number): string =>
  nanosToIso(`${seconds}${String(nanos).padStart(NANO_DIGITS, '0')}`);

const keyOf = ({ part: { marks }, at }: Mark): number => marks.key[at]!;
const sequenceOf = ({ part: { marks }, at }: Mark): number | null =>
  Number.isNaN(marks.sequence[at]!) ? null : marks.sequence[at]!;
const timestampOf = ({ part: { marks }, at }: Mark): string => isoOf(marks.seconds[at]!, marks.nanos[at]!);

/** By time, then by number. */
function compare(a: Mark, b: Mark): number {
  const one = a.part.marks;
  const other = b.part.marks;
  return (
    one.seconds[a.at]! - other.seconds[b.at]! ||
    one.nanos[a.at]! - other.nanos[b.at]! ||
    (sequenceOf(a) ?? 0) - (sequenceOf(b) ?? 0)
  );
}

/** Whether a record stands behind (above 0) or in front of a point of a stream. */
function compareWith({ part: { marks }, at }: Mark, point: FlatRecord): number {
  const { seconds, nanos } = timeOf(point.timestamp);
  const sequence = marks.sequence[at]!;
  return (
    marks.seconds[at]! - seconds ||
    marks.nanos[at]! - nanos ||
    (Number.isNaN(sequence) ? 0 : sequence) - (point.sequence ?? 0)
  );
}

/** Whether lines of a file are still where they were indexed: it is the same, or has grown behind them. */
const fits =
  ({ path, identity }: IndexedFile) =>
  (now: FileIdentity): boolean =>
    isSameFile(identity, now) || (!isSealed(path) && now.ino === identity.ino && now.size > identity.size);

/** Finds records through an index. What it has read it keeps: it is made for one explanation, or several at once. */
export class IndexFinder implements RecordFinder {
  readonly #files: readonly IndexedFile[];
  readonly #reader: LineReader;
  /** Records of the lines that were read, by file and place. */
  readonly #read = new Map<IndexedFile, Map<number, readonly CheckedRecord[]>>();
  readonly #marks = new Map<StateChange, Mark>();
  #changes: readonly StateChange[] | undefined;

  constructor(files: readonly IndexedFile[], reader: LineReader) {
    this.#files = files;
    this.#reader = reader;
  }

  async find(question: IdQuestion): Promise<readonly CheckedRecord[]> {
    const asked = idsOf(question);
    const found: CheckedRecord[] = [];
    for (const file of this.#files) {
      const offsets = new Set<number>();
      for (const part of [...file.parts, ...file.tail])
        for (const hash of asked) for (const offset of part.find(hash)) offsets.add(offset);
      if (offsets.size === 0) continue;
      const lines = await this.#lines(file, offsets);
      for (const offset of [...offsets].sort((a, b) => a - b)) found.push(...lines.get(offset)!);
    }
    return onceInOrder(found, (one) => matches(question, one));
  }

  changes(): readonly StateChange[] {
    this.#changes ??= this.#select(MARK.stateChange, () => true).map((mark) => {
      const { marks } = mark.part;
      const state = marks.state[mark.at]!;
      const change: StateChange = {
        timestamp: timestampOf(mark),
        sequence: sequenceOf(mark),
        stream: marks.stream[mark.at]! || null,
        scope: marks.name[mark.at]! || null,
        state: state === STATE.active ? 'ACTIVE' : state === STATE.halted ? 'HALTED' : null,
      };
      this.#marks.set(change, mark);
      return change;
    });
    return this.#changes;
  }

  read(change: StateChange): Promise<CheckedRecord> {
    return this.#readMark(this.#marks.get(change)!, (one) => one.event === STATE_CHANGE);
  }

  key(text: string | null | undefined): number | null {
    return hashOf(text) || null;
  }

  lastBefore(
    kind: keyof typeof FAMILY,
    change: FlatRecord,
    breaker: string,
    most: number,
  ): Promise<readonly CheckedRecord[]> {
    const { mark: family, event } = FAMILY[kind];
    const stream = hashOf(change.stream);
    const name = hashOf(breaker);
    const found = this.#select(family, (mark) => {
      const { marks } = mark.part;
      return (
        marks.name[mark.at] === name &&
        marks.stream[mark.at] === stream &&
        (sequenceOf(mark) ?? 0) < (change.sequence ?? 0)
      );
    });
    return this.#readMarks(most > 0 ? found.slice(-most) : [], (one) => one.event === event);
  }

  citing(recordId: string, most: number): Promise<FirstRecords> {
    const cause = hashOf(recordId);
    const found = this.#select(MARK.cites, ({ part, at }) => part.marks.cause[at] === cause);
    return this.#first(found, most, (one) => String(one['risk.cause.record_id']) === recordId);
  }

  refused(after: FlatRecord, before: FlatRecord | undefined, most: number): Promise<FirstRecords> {
    const stream = hashOf(after.stream);
    const found = this.#select(
      MARK.refused,
      (mark) =>
        mark.part.marks.stream[mark.at] === stream &&
        compareWith(mark, after) > 0 &&
        (before === undefined || compareWith(mark, before) < 0),
    );
    return this.#first(found, most, isRefused);
  }

  lastTime(): string | undefined {
    let last: IndexPart | undefined;
    for (const { parts, tail } of this.#files) {
      for (const part of [...parts, ...tail]) {
        const later =
          last === undefined ||
          part.lastSeconds > last.lastSeconds ||
          (part.lastSeconds === last.lastSeconds && part.lastNanos > last.lastNanos);
        if (later) last = part;
      }
    }
    return last === undefined || last.lastSeconds === 0 ? undefined : isoOf(last.lastSeconds, last.lastNanos);
  }

  /** Marks of a family, in order, each record once. */
  #select(family: number, keep: (mark: Mark) => boolean): readonly Mark[] {
    const found = new Map<number, Mark>();
    for (const file of this.#files) {
      for (const part of [...file.parts, ...file.tail]) {
        const { kinds } = part.marks;
        for (let at = 0; at < kinds.length; at++) {
          if ((kinds[at]! & family) === 0) continue;
          const mark = { file, part, at };
          if (keep(mark) && !found.has(keyOf(mark))) found.set(keyOf(mark), mark);
        }
      }
    }
    return [...found.values()].sort(compare);
  }

  async #first(found: readonly Mark[], most: number, keep: (record: FlatRecord) => boolean): Promise<FirstRecords> {
    return { first: await this.#readMarks(found.slice(0, most), keep), count: found.length };
  }

  async #readMarks(marks: readonly Mark[], keep: (record: FlatRecord) => boolean): Promise<readonly CheckedRecord[]> {
    const read: CheckedRecord[] = [];
    for (const mark of marks) read.push(await this.#readMark(mark, keep));
    return read;
  }

  /** The record itself: it must say what the index says of it. */
  async #readMark(mark: Mark, keep: (record: FlatRecord) => boolean): Promise<CheckedRecord> {
    const { marks, from } = mark.part;
    const offset = from + marks.offset[mark.at]!;
    const [timestamp, sequence] = [timestampOf(mark), sequenceOf(mark)];
    const record = (await this.#lines(mark.file, new Set([offset])))
      .get(offset)!
      .find(
        ({ flat }) =>
          flat.timestamp === timestamp &&
          flat.sequence === sequence &&
          hashOf(flat.stream) === marks.stream[mark.at] &&
          keep(flat),
      );
    if (record === undefined) throw new StaleIndex(mark.file.path);
    return record;
  }

  async #lines(
    file: IndexedFile,
    offsets: ReadonlySet<number>,
  ): Promise<ReadonlyMap<number, readonly CheckedRecord[]>> {
    const known = this.#read.get(file) ?? new Map<number, readonly CheckedRecord[]>();
    this.#read.set(file, known);
    const missing = [...offsets].filter((offset) => !known.has(offset)).sort((a, b) => a - b);
    if (missing.length === 0) return known;
    const lines = await this.#reader.lines(file.path, missing, fits(file));
    if (lines === undefined || lines.length < missing.length) throw new StaleIndex(file.path);
    for (const [at, line] of lines.entries()) known.set(missing[at]!, checkedRecords(line.toString('utf8')));
    return known;
  }
}

function idsOf(question: IdQuestion): readonly number[] {
  const hash = (kind: IdKind, text: string) => {
    const bytes = inLine(text);
    return idHash(kind, viewOf(bytes), 0, bytes.length);
  };
  if ('recordId' in question) return [hash(ID_KIND.record, question.recordId)];
  if ('order' in question) return [hash(ID_KIND.order, question.order)];
  if ('position' in question) return [hash(ID_KIND.position, question.position)];
  return question.traces.map((trace) => hash(ID_KIND.trace, trace));
}
