/**
 * A journal line as the shipper sees it: bytes between a head, which neighbours share, and a tail, which all do. Requests are
 * spliced from these bytes; a line is never parsed for it.
 */
import { auditForm } from '../record/canonical.ts';
import { visitRecords } from '../record/otlp.ts';

/** One line in a block of the journal. */
export interface Line {
  /** The block. It holds these bytes until the reader is told that the record is done with. */
  readonly block: Buffer;
  readonly start: number;
  /** Where the newline stands. */
  readonly end: number;
  /** `audit.sequence.number`. */
  readonly sequence: number;
  /** What stands in front of the record: `{"resourceLogs":[{…"logRecords":[`. One object for all lines that share it. */
  readonly head: Buffer;
}

/** What every payload begins with. */
export const PAYLOAD_START = Buffer.from('{"resourceLogs":[');
/** What stands behind the records of a line. */
export const LINE_TAIL = Buffer.from(']}]}]}');

const RECORDS_START = Buffer.from('"logRecords":[');
const SEQUENCE = Buffer.from('"audit.sequence.number","value":{"intValue":');
const TIME = Buffer.from('{"timeUnixNano":"');
const ZERO = 48;
const NINE = 57;

const startsWith = (block: Buffer, at: number, end: number, text: Buffer): boolean =>
  at + text.length <= end && block.compare(text, 0, text.length, at, at + text.length) === 0;

/** Finds the parts of lines. Remembers the last head, since it is nearly always the next one's, too. */
export class LineParser {
  #head: Buffer | undefined;

  /**
   * @param expected the number that the record has unless something is wrong with the journal
   * @returns undefined where the line is no record of an audit stream
   */
  parse(block: Buffer, start: number, end: number, expected: number): Line | undefined {
    const head = this.#headOf(block, start, end);
    if (head === undefined) return undefined;
    const from = start + head.length;
    const sequence = numberAt(block, from, end) === expected ? expected : readSequence(block, start, end);
    return sequence === undefined ? undefined : { block, start, end, sequence, head };
  }

  /** The parts of any line of one payload; its number is -1. */
  split(block: Buffer, start: number, end: number): Line | undefined {
    const head = this.#headOf(block, start, end);
    return head === undefined ? undefined : { block, start, end, sequence: -1, head };
  }

  #headOf(block: Buffer, start: number, end: number): Buffer | undefined {
    if (!startsWith(block, end - LINE_TAIL.length, end, LINE_TAIL)) return undefined;
    if (this.#head !== undefined && startsWith(block, start, end, this.#head)) return this.#head;
    // The bytes can't be part of a string: their quotes would be escaped.
    const at = block.indexOf(RECORDS_START, start);
    if (at < 0 || at >= end || !startsWith(block, start, end, PAYLOAD_START)) return undefined;
    this.#head = Buffer.from(block.subarray(start, at + RECORDS_START.length));
    return this.#head;
  }
}

/** The first number in the line that looks like the record's own; -1 where there is none. */
function numberAt(block: Buffer, start: number, end: number): number {
  const at = block.indexOf(SEQUENCE, start);
  if (at < 0 || at >= end) return -1;
  let value = -1;
  for (let i = at + SEQUENCE.length; i < end; i++) {
    const digit = block[i]!;
    if (digit < ZERO || digit > NINE) break;
    value = (value < 0 ? 0 : value * 10) + digit - ZERO;
  }
  return value;
}

/** The number as a reader of the format finds it. Only where the quick look finds another than the expected one. */
function readSequence(block: Buffer, start: number, end: number): number | undefined {
  let sequence: number | undefined;
  let records = 0;
  visitRecords(block.toString('utf8', start, end), (record) => {
    records++;
    sequence = auditForm(record)?.sequence;
  });
  return records === 1 ? sequence : undefined;
}

/** The line's text. */
export const lineText = ({ block, start, end }: Line): string => block.toString('utf8', start, end);

/** The record's text, without what stands around it. */
export const recordText = ({ block, start, end, head }: Line): string =>
  block.toString('utf8', start + head.length, end - LINE_TAIL.length);

/** The record's time in milliseconds since the epoch, or undefined. */
export function lineTimeMs({ block, start, end, head }: Line): number | undefined {
  const at = start + head.length;
  if (!startsWith(block, at, end, TIME)) return undefined;
  const nanos = Number.parseInt(block.toString('latin1', at + TIME.length, Math.min(end, at + TIME.length + 20)), 10);
  return Number.isNaN(nanos) ? undefined : nanos / 1e6;
}
