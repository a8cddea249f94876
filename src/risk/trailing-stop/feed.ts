/** The order of prices: which is new, which is repeated, which is late. */
import type { FeedCursor } from './stop.ts';

/** When and where a price was observed; says which prices are repeated or late. */
export interface PriceStamp {
  /** Milliseconds since the epoch. An earlier one than before is out of order; an equal one with an equal price a duplicate. */
  readonly timeMs?: number;
  /** Number of the price within its feed, a safe integer ≥ 0. Where given, it decides; the time then only tells a restarted feed. */
  readonly sequence?: number;
  /** Connection that `sequence` counts within; a new name begins a new count. */
  readonly feed?: string;
}

/** Codes of prices that are not taken for their stamp. */
export type FeedCode =
  | 'TRAILING_STOP_SEQUENCE_INVALID'
  | 'TRAILING_STOP_TIME_INVALID'
  | 'TRAILING_STOP_FEED_INVALID'
  | 'TRAILING_STOP_DUPLICATE'
  | 'TRAILING_STOP_OUT_OF_ORDER';

/** Why a price is not taken. */
export interface FeedRefusal {
  readonly code: FeedCode;
  readonly field: 'sequence' | 'timeMs' | 'feed';
  readonly value: unknown;
  readonly reason: string;
}

/** A time that is further ahead of our clock than this orders nothing: one wrong stamp must not silence a stop. */
const MAX_LEAD_MS = 60_000;

/**
 * The cursor after the price, or why the price is not taken.
 * @param price absent for a bar
 * @param now milliseconds since the epoch
 */
export function placeInFeed(
  cursor: FeedCursor | undefined,
  stamp: PriceStamp,
  price: number | undefined,
  now: number,
): { readonly cursor: FeedCursor | undefined } | FeedRefusal {
  const { sequence, feed } = stamp;
  if (sequence === undefined && stamp.timeMs === undefined) return { cursor };
  const wrong = wrongStamp(stamp);
  if (wrong !== undefined) return wrong;
  const timeMs = stamp.timeMs === undefined || stamp.timeMs > now + MAX_LEAD_MS ? undefined : Math.trunc(stamp.timeMs);
  if (cursor !== undefined) {
    const order = compare(cursor, sequence, feed, timeMs, price);
    const about = sequence === undefined ? timeOf(stamp) : ({ field: 'sequence', value: sequence } as const);
    if (order === 'same') return { code: 'TRAILING_STOP_DUPLICATE', ...about, reason: 'this price was taken before' };
    if (order === 'earlier') {
      return { code: 'TRAILING_STOP_OUT_OF_ORDER', ...about, reason: 'a later price was taken before' };
    }
  }
  const counted = sequence === undefined ? { sequence: cursor?.sequence, feed: cursor?.feed } : { sequence, feed };
  const time = timeMs ?? cursor?.timeMs;
  return {
    cursor: Object.freeze({
      ...(counted.sequence === undefined ? {} : { sequence: counted.sequence }),
      ...(counted.feed === undefined ? {} : { feed: counted.feed }),
      ...(time === undefined ? {} : { timeMs: time }),
      ...(price === undefined ? {} : { price }),
    }),
  };
}

const timeOf = (stamp: PriceStamp) => ({ field: 'timeMs', value: stamp.timeMs }) as const;

/** The range of ECMAScript's dates. */
const isTime = (value: unknown): boolean => typeof value === 'number' && Math.abs(value) <= 8.64e15;

function wrongStamp(stamp: PriceStamp): FeedRefusal | undefined {
  const { sequence, timeMs, feed } = stamp;
  if (sequence !== undefined && !(Number.isSafeInteger(sequence) && sequence >= 0)) {
    const reason = 'the sequence is no safe integer ≥ 0';
    return { code: 'TRAILING_STOP_SEQUENCE_INVALID', field: 'sequence', value: sequence, reason };
  }
  if (timeMs !== undefined && !isTime(timeMs)) {
    const reason = 'the time is no date in milliseconds';
    return { code: 'TRAILING_STOP_TIME_INVALID', ...timeOf(stamp), reason };
  }
  if (feed !== undefined && typeof feed !== 'string') {
    return { code: 'TRAILING_STOP_FEED_INVALID', field: 'feed', value: feed, reason: 'the feed is no string' };
  }
  return undefined;
}

function compare(
  cursor: FeedCursor,
  sequence: number | undefined,
  feed: string | undefined,
  timeMs: number | undefined,
  price: number | undefined,
): 'same' | 'earlier' | 'later' {
  if (sequence !== undefined && cursor.sequence !== undefined && feed === cursor.feed) {
    if (sequence > cursor.sequence) return 'later';
    if (sequence === cursor.sequence) return 'same';
    // A venue that reconnects may count from the beginning: a lower number with a later time is a new count.
    const restarted = timeMs !== undefined && cursor.timeMs !== undefined && timeMs > cursor.timeMs;
    return restarted ? 'later' : 'earlier';
  }
  if (timeMs === undefined || cursor.timeMs === undefined || timeMs > cursor.timeMs) return 'later';
  if (timeMs < cursor.timeMs) return 'earlier';
  // Several trades share a millisecond: only an equal price, which could change nothing anyhow, is a repetition.
  return price === cursor.price ? 'same' : 'later';
}
