/**
 * Finds in whole lines what an index holds. Lines as a journal writes them are walked through byte by byte, without making
 * objects; whatever looks unusual there is decoded like any other line, so that both ways find the same.
 *
 * Every block ends with a newline and no loop here goes on behind one.
 */
import { isUtf8 } from 'node:buffer';
import { CODES, lineText, stands } from '../../audit/read/line-text.ts';
import { toAuditRecord } from '../../audit/read/reader.ts';
import { visitRecords } from '../../audit/record/otlp.ts';
import { noteRecord, noteWalked } from './record-index-note.ts';
import { PartDraft } from './record-index-part.ts';
import { RecordWalker } from './record-index-walk.ts';

const { CLOSE_LIST, COMMA, NEWLINE } = CODES;

const RECORDS = '"logRecords":[';
const TAIL_TEXT = ']}]}]}';
const TAIL = lineText(`${TAIL_TEXT}\n`);
/** An offset is of 32 bits. */
const MAX_RANGE = 2 ** 31;

/** The beginning that the lines of a file have in common, up to their records; undefined where a line has no such. */
function headOf(line: string): Buffer | undefined {
  const end = line.indexOf(RECORDS) + RECORDS.length;
  if (end < RECORDS.length || !line.endsWith(TAIL_TEXT)) return undefined;
  const head = line.slice(0, end);
  // What parses to a lone record in that place for one value does so for every value.
  const found: unknown[] = [];
  const whole = visitRecords(`${head}{"eventName":"?"}${TAIL_TEXT}`, (record) => void found.push(record.eventName));
  return whole && found.length === 1 && found[0] === '?' ? Buffer.from(head) : undefined;
}

/** Looks through the lines of a file, in their order. */
export class RecordScanner {
  readonly #parts: ArrayBuffer[] = [];
  #draft: PartDraft;
  #at: number;
  #head: Buffer | undefined;
  readonly #walker = new RecordWalker();

  /** @param from where in the file the lines begin, in bytes */
  constructor(from = 0) {
    this.#at = from;
    this.#draft = new PartDraft(from);
  }

  /** Where the next line begins in the file. */
  get position(): number {
    return this.#at;
  }

  /** Takes whole lines, the last one ended by a newline. */
  lines(bytes: Buffer): void {
    if (this.#at + bytes.length - this.#draft.from > MAX_RANGE) this.#next();
    this.#walker.begin(bytes);
    const valid = isUtf8(bytes);
    const base = this.#at - this.#draft.from;
    for (let start = 0; start < bytes.length; ) {
      const head = this.#head;
      let end = -1;
      if (valid && head !== undefined && bytes.compare(head, 0, head.length, start, start + head.length) === 0) {
        const { ids, marks } = this.#draft;
        const held = marks.length;
        end = this.#line(start + head.length, base + start);
        if (end < 0) {
          this.#draft.ids = ids;
          marks.length = held;
        }
      }
      if (end < 0) {
        end = bytes.indexOf(NEWLINE, start) + 1;
        this.#decode(bytes.subarray(start, end - 1), base + start, valid);
      }
      start = end;
    }
    this.#at += bytes.length;
  }

  /** Takes a last line that no newline ends, as far as it is one. */
  tail(bytes: Buffer): void {
    this.#decode(bytes, this.#at - this.#draft.from, false);
    this.#at += bytes.length;
  }

  /** What was found so far; the next line begins a part of its own. */
  take(): ArrayBuffer[] {
    if (this.#at > this.#draft.from) this.#next();
    return this.#parts.splice(0);
  }

  #next(): void {
    this.#parts.push(this.#draft.pack(this.#at));
    this.#draft = new PartDraft(this.#at);
  }

  /** Decodes a line. */
  #decode(bytes: Buffer, offset: number, valid: boolean): void {
    if (bytes.length === 0 || !(valid || isUtf8(bytes))) return;
    const line = bytes.toString('utf8');
    let count = 0;
    const read = visitRecords(line, (source) => {
      count++;
      noteRecord(this.#draft, toAuditRecord(source, {}, '', 0), offset);
    });
    if (read && count > 0) this.#head = headOf(line) ?? this.#head;
  }

  /** Walks through the records of a line. @returns the index behind its newline; -1 where it must be decoded */
  #line(at: number, offset: number): number {
    const { bytes, view } = this.#walker;
    let i = at;
    for (;;) {
      i = this.#walker.record(i);
      if (i < 0 || !noteWalked(this.#draft, this.#walker, offset)) return -1;
      if (bytes[i] === CLOSE_LIST) break;
      if (bytes[i] !== COMMA) return -1;
      i++;
    }
    return stands(view, i, TAIL) ? i + TAIL.length : -1;
  }
}
