/**
 * Pages of a trail: the records that match, from a place on, forwards or backwards, each once, in one order whatever files they
 * lie in. A page costs what it shows, and is bounded in time: a filter that matches little yields a page with fewer records
 * than asked for, and a cursor that goes on behind what was searched.
 */
import { setImmediate as breathe } from 'node:timers/promises';
import type { Clock } from '../../core/clock.ts';
import type { Found } from './loaded-piece.ts';
import { comparePlaces, HIGHEST_TIE, LOWEST_TIE, type Order, type Place } from './place.ts';
import type { RecordTest } from './record-test.ts';
import { NO_END, type Piece, type TrailPieces, type TrailView } from './trail-pieces.ts';

/** What is asked for. */
export interface PageRequest {
  readonly test: RecordTest;
  readonly order: Order;
  /** Most records. */
  readonly limit: number;
  /** Records behind this place, in the order's direction. */
  readonly from?: Place | undefined;
  /** Searching ends after so long, in milliseconds. @default 2000 */
  readonly budgetMs?: number | undefined;
}

/** A page. */
export interface Page {
  readonly records: readonly Found[];
  /** From where to go on; undefined where nothing is left. */
  readonly next: Place | undefined;
  /** False where the search was ended by its bound in time: what follows may still match. */
  readonly complete: boolean;
}

const DEFAULT_BUDGET_MS = 2000;
/** A page may not be larger, in bytes of its records' text; one record is always in it. */
const MAX_PAGE_BYTES = 16_000_000;

interface Active {
  readonly piece: Piece;
  readonly scan: Generator<Found, void, undefined>;
  head: Found;
}

/** Reads pages of one trail. */
export class TrailPages {
  readonly #pieces: TrailPieces;
  readonly #clock: Clock;

  constructor(pieces: TrailPieces, clock: Clock) {
    this.#pieces = pieces;
    this.#clock = clock;
  }

  /**
   * Reads one page.
   * @throws RiskTrailError PATH_NOT_FOUND, FILE_UNREADABLE, NO_TRAIL_FILES
   */
  async read(request: PageRequest, view?: Omit<TrailView, 'version'>): Promise<Page> {
    const { order, limit, test } = request;
    const ascending = order === 'asc';
    const from = startOf(request);
    // The next to open stands last.
    const { forwards, backwards } = view ?? (await this.#pieces.view());
    const pending = (ascending ? forwards : backwards).filter((piece) => mayHold(piece, request, from));
    const deadline = this.#clock.monotonic() + (request.budgetMs ?? DEFAULT_BUDGET_MS);
    const active: Active[] = [];
    const records: Found[] = [];
    let last: Place | undefined;
    let bytes = 0;
    for (;;) {
      let first = firstOf(active, ascending);
      while (pending.length > 0) {
        const next = pending.at(-1)!;
        const edge = ascending ? next.min : next.max;
        if (first !== undefined && (ascending ? edge > first.head.time : edge < first.head.time)) break;
        if (edge !== NO_END && this.#clock.monotonic() > deadline) {
          const place = { time: edge, tie: ascending ? LOWEST_TIE : HIGHEST_TIE };
          return { records, next: place, complete: false };
        }
        pending.pop();
        const loaded = await this.#pieces.load(next);
        const scan = loaded.scan(order, from, test);
        const { value, done } = scan.next();
        if (done !== true && value !== undefined) active.push({ piece: next, scan, head: value });
        else await breathe();
        first = firstOf(active, ascending);
      }
      if (first === undefined) return { records, next: undefined, complete: true };
      const { head } = first;
      if (
        ascending
          ? test.until !== undefined && head.time > test.until
          : test.since !== undefined && head.time < test.since
      ) {
        return { records, next: undefined, complete: true };
      }
      // The same record from a second file comes next to the first.
      if (last === undefined || comparePlaces(last, head) !== 0) {
        if (records.length === limit || (records.length > 0 && bytes > MAX_PAGE_BYTES)) {
          return { records, next: records.at(-1), complete: true };
        }
        records.push(head);
        bytes += head.flat.body.length + 2000;
        last = head;
      }
      const { value, done } = first.scan.next();
      if (done === true || value === undefined) active.splice(active.indexOf(first), 1);
      else first.head = value;
    }
  }
}

/** The later of the cursor and the filter's bound. */
function startOf({ order, from, test }: PageRequest): Place | undefined {
  const bound =
    order === 'asc'
      ? test.since === undefined
        ? undefined
        : { time: test.since, tie: LOWEST_TIE }
      : test.until === undefined
        ? undefined
        : { time: test.until, tie: HIGHEST_TIE };
  if (from === undefined || bound === undefined) return from ?? bound;
  const compared = comparePlaces(from, bound);
  return (order === 'asc' ? compared > 0 : compared < 0) ? from : bound;
}

function mayHold(piece: Piece, { order, test }: PageRequest, from: Place | undefined): boolean {
  if (test.since !== undefined && piece.max < test.since) return false;
  if (test.until !== undefined && piece.min > test.until) return false;
  if (from === undefined) return true;
  return order === 'asc' ? piece.max >= from.time : piece.min <= from.time;
}

function firstOf(active: readonly Active[], ascending: boolean): Active | undefined {
  let first: Active | undefined;
  for (const one of active) {
    if (first === undefined) first = one;
    else {
      const compared = comparePlaces(one.head, first.head);
      if (ascending ? compared < 0 : compared > 0) first = one;
    }
  }
  return first;
}
