/** Where a record stands in the order in which pages hand records out: by time, then by stream and number. */
import { createHash } from 'node:crypto';
import type { AuditRecord } from '../../audit/read/reader.ts';
import { RiskTrailError } from '../../core/errors.ts';

/** The two directions of pages: `asc` is the oldest first. */
export const ORDERS = ['asc', 'desc'] as const;
export type Order = (typeof ORDERS)[number];

/** A place in the order. */
export interface Place {
  /** Nanoseconds since the epoch. */
  readonly time: bigint;
  /** What tells records of one time apart: stream and number, of other records where they lie. */
  readonly tie: string;
}

/** A bound below every record of its time. */
export const LOWEST_TIE = '';
/** A bound above every record of its time. */
export const HIGHEST_TIE = '\uffff';
const NUMBER_DIGITS = 16;

/** @returns below 0 where `a` comes first in ascending order */
export function comparePlaces(a: Place, b: Place): number {
  if (a.time !== b.time) return a.time < b.time ? -1 : 1;
  return a.tie < b.tie ? -1 : a.tie > b.tie ? 1 : 0;
}

/**
 * The place of a record.
 * @param where what tells a record that is no audit record from others of its time
 */
export function placeOf(record: AuditRecord, where: string): Place {
  const { stream, sequence } = record;
  const tie =
    stream !== undefined && sequence !== undefined
      ? `${stream}#${String(sequence).padStart(NUMBER_DIGITS, '0')}`
      : `~${where}`;
  return { time: /^\d{1,20}$/.test(record.time) ? BigInt(record.time) : 0n, tie };
}

/** What a cursor holds. */
interface CursorContent extends Place {
  readonly order: Order;
  /** What was asked for: a cursor goes on with that question alone. */
  readonly question: string;
}

/** A short name of what was asked for. */
export function questionOf(asked: unknown): string {
  return createHash('sha256').update(JSON.stringify(asked)).digest('base64url').slice(0, 12);
}

/** A place as the opaque text that clients give back. */
export function writeCursor({ time, tie, order, question }: CursorContent): string {
  return Buffer.from(JSON.stringify([1, order === 'asc' ? 0 : 1, question, String(time), tie])).toString('base64url');
}

/**
 * Reads a cursor.
 * @param question what is asked now: must be what the cursor was made for
 * @throws RiskTrailError OPTION_INVALID
 */
export function readCursor(text: string, order: Order, question: string): Place {
  const invalid = (expected: string) => {
    const received = text.length > 24 ? `${JSON.stringify(text.slice(0, 21))}…` : JSON.stringify(text);
    return new RiskTrailError('OPTION_INVALID', { field: 'cursor', expected, received });
  };
  let content: unknown;
  try {
    content = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
  } catch {
    content = undefined;
  }
  const [version, direction, asked, time, tie] = Array.isArray(content) ? content : [];
  const isWhole =
    version === 1 && typeof tie === 'string' && typeof time === 'string' && /^\d{1,20}$/.test(time) && content !== null;
  if (!isWhole) throw invalid('a cursor as an earlier page gave it');
  if (asked !== question || direction !== (order === 'asc' ? 0 : 1)) {
    throw invalid('the cursor of an earlier page of the same filters and order');
  }
  return { time: BigInt(time), tie };
}
