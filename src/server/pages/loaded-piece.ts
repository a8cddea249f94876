/** The lines of a piece in memory: finds a place in them, and hands out the records that match from there on. */

import { type FlatRecord, toFlatRecord } from '../../analysis/flat-record.ts';
import { type AuditRecord, toAuditRecord } from '../../audit/read/reader.ts';
import { plainAttributes, visitRecords } from '../../audit/record/otlp.ts';
import { comparePlaces, type Order, type Place, placeOf } from './place.ts';
import type { RecordTest } from './record-test.ts';

/** A record that was found, with its place. */
export interface Found extends Place {
  readonly flat: FlatRecord;
}

/** A piece whose lines are in memory. */
export interface LoadedPiece {
  readonly bytes: Buffer;
  /** Where the piece ended in its file when it was read. */
  readonly end: number;
  /** Times of the first and last record; undefined where there is none. */
  range(): { readonly min: bigint; readonly max: bigint } | undefined;
  /** The records that match, from behind a place on (or from the piece's edge), in one direction. */
  scan(order: Order, from: Place | undefined, test: RecordTest): Generator<Found, void, undefined>;
}

const NEWLINE = 10;
const QUOTE = 34;
const TIME = Buffer.from('"timeUnixNano":"');
const EVENT = Buffer.from('"eventName":"');
const SEVERITY = Buffer.from('"severityNumber":');

/** Whether a place lies behind another one in a direction. */
function isBehind(place: Place, from: Place | undefined, order: Order): boolean {
  if (from === undefined) return true;
  const compared = comparePlaces(place, from);
  return order === 'asc' ? compared > 0 : compared < 0;
}

/** The time of a journal's line, 0 where it has none. */
export function timeOfLine(bytes: Buffer, start: number, end: number): bigint {
  const at = bytes.indexOf(TIME, start);
  if (at < 0 || at >= end) return 0n;
  const from = at + TIME.length;
  const digits = bytes.toString('latin1', from, Math.min(end, from + 20));
  const quote = digits.indexOf('"');
  const text = quote < 0 ? digits : digits.slice(0, quote);
  return /^\d+$/.test(text) ? BigInt(text) : 0n;
}

/** Name and severity of a journal's line, which stand in front of its attributes. */
function headOfLine(bytes: Buffer, start: number, end: number): { event: string; severity: number } {
  const severityAt = bytes.indexOf(SEVERITY, start);
  let severity = 0;
  for (let at = severityAt + SEVERITY.length; severityAt >= 0 && at < end; at++) {
    const digit = bytes[at]! - 48;
    if (digit < 0 || digit > 9) break;
    severity = severity * 10 + digit;
  }
  const eventAt = bytes.indexOf(EVENT, start);
  if (eventAt < 0 || eventAt >= end) return { event: '', severity: severityAt < end ? severity : 0 };
  const from = eventAt + EVENT.length;
  const quote = bytes.indexOf(QUOTE, from);
  return { event: bytes.toString('latin1', from, quote), severity: severityAt >= 0 && severityAt < end ? severity : 0 };
}

/** A journal's lines: a record each, in the order of time. */
export class SegmentLines implements LoadedPiece {
  readonly bytes: Buffer;
  readonly end: number;

  constructor(bytes: Buffer, end: number) {
    this.bytes = bytes;
    this.end = end;
  }

  range() {
    const { bytes } = this;
    if (bytes.length === 0) return undefined;
    return { min: timeOfLine(bytes, 0, bytes.indexOf(NEWLINE)), max: this.#timeAt(this.#startOf(bytes.length - 1)) };
  }

  /** Start of the line that holds a byte. */
  #startOf(at: number): number {
    return at <= 0 ? 0 : this.bytes.lastIndexOf(NEWLINE, at - 1) + 1;
  }

  #timeAt(start: number): bigint {
    return timeOfLine(this.bytes, start, this.bytes.indexOf(NEWLINE, start));
  }

  /** Start of the first line whose time is that or later (or, `behind`, later). */
  #bound(time: bigint, behind: boolean): number {
    let low = 0;
    let high = this.bytes.length;
    while (low < high) {
      const start = this.#startOf((low + high) >> 1);
      const at = this.#timeAt(start);
      if (at > time || (!behind && at === time)) high = start;
      else low = this.bytes.indexOf(NEWLINE, start) + 1;
    }
    return low;
  }

  *scan(order: Order, from: Place | undefined, test: RecordTest): Generator<Found, void, undefined> {
    const { bytes } = this;
    if (order === 'asc') {
      let start = from === undefined ? 0 : this.#bound(from.time, false);
      while (start < bytes.length) {
        start = this.#nextHit(start, test.needle);
        if (start < 0) return;
        const end = bytes.indexOf(NEWLINE, start);
        const found = this.#read(start, end, test);
        if (found !== undefined && isBehind(found, from, order)) yield found;
        start = end + 1;
      }
      return;
    }
    let end = from === undefined ? bytes.length : this.#bound(from.time, true);
    while (end > 0) {
      let start = this.#startOf(end - 1);
      if (test.needle !== undefined) {
        const hit = bytes.lastIndexOf(test.needle, end - 1);
        if (hit < 0) return;
        start = this.#startOf(hit);
        end = bytes.indexOf(NEWLINE, start) + 1;
      }
      const found = this.#read(start, end - 1, test);
      if (found !== undefined && isBehind(found, from, order)) yield found;
      end = start;
    }
  }

  /** Start of the next line that can match, at or behind `start`; -1 where there is none. */
  #nextHit(start: number, needle: Buffer | undefined): number {
    if (needle === undefined) return start;
    const hit = this.bytes.indexOf(needle, start);
    return hit < 0 ? -1 : this.#startOf(hit);
  }

  #read(start: number, end: number, test: RecordTest): Found | undefined {
    if (test.head !== undefined) {
      const { event, severity } = headOfLine(this.bytes, start, end);
      if (!test.head(event, severity)) return undefined;
    }
    let found: Found | undefined;
    visitRecords(this.bytes.toString('utf8', start, end), (source, resource) => {
      const record = toAuditRecord(source, plainAttributes(resource), '', 0);
      const flat = toFlatRecord(record);
      if (test.filter(flat)) found = { ...placeOf(record, ''), flat };
    });
    return found;
  }
}

/** Lines of any file: several records a line, in any order. They are sorted by their places when they are first asked for. */
export class LooseLines implements LoadedPiece {
  readonly bytes: Buffer;
  readonly end: number;
  readonly #where: string;
  #entries:
    | readonly { readonly place: Place; readonly start: number; readonly end: number; readonly index: number }[]
    | undefined;

  constructor(bytes: Buffer, end: number, where: string) {
    this.bytes = bytes;
    this.end = end;
    this.#where = where;
  }

  range() {
    const entries = this.#sorted();
    const [first] = entries;
    const last = entries.at(-1);
    return first === undefined || last === undefined ? undefined : { min: first.place.time, max: last.place.time };
  }

  #sorted() {
    if (this.#entries !== undefined) return this.#entries;
    const entries: { place: Place; start: number; end: number; index: number }[] = [];
    const { bytes } = this;
    for (let start = 0; start < bytes.length; ) {
      const end = bytes.indexOf(NEWLINE, start);
      let index = 0;
      this.#visit(start, end, (record) => {
        const place = placeOf(
          record,
          `${this.#where}:${String(start).padStart(10, '0')}:${String(index).padStart(6, '0')}`,
        );
        entries.push({ place, start, end, index: index++ });
      });
      start = end + 1;
    }
    this.#entries = entries.sort((a, b) => comparePlaces(a.place, b.place));
    return this.#entries;
  }

  #visit(start: number, end: number, visit: (record: AuditRecord) => void): void {
    visitRecords(this.bytes.toString('utf8', start, end), (source, resource) =>
      visit(toAuditRecord(source, plainAttributes(resource), '', 0)),
    );
  }

  *scan(order: Order, from: Place | undefined, test: RecordTest): Generator<Found, void, undefined> {
    const sorted = this.#sorted();
    for (const entry of order === 'asc' ? sorted : sorted.toReversed()) {
      if (!isBehind(entry.place, from, order)) continue;
      let index = 0;
      let flat: FlatRecord | undefined;
      this.#visit(entry.start, entry.end, (record) => {
        if (index++ === entry.index) flat = toFlatRecord(record);
      });
      if (flat !== undefined && test.filter(flat)) yield { ...entry.place, flat };
    }
  }
}
