/** How many records there are of which event: what most of a report's numbers are. */
import { SEVERITY_NUMBERS } from '../../catalog/define.ts';
import { literal } from '../sql/columns.ts';
import type { EventCount } from '../sql/fact-tables.ts';

/** The records of a report, counted. */
export class EventCounts {
  readonly #counts: readonly EventCount[];
  readonly #byEvent = new Map<string | null, number>();

  constructor(counts: readonly EventCount[]) {
    this.#counts = counts;
    for (const { event, n } of counts) this.#byEvent.set(event, (this.#byEvent.get(event) ?? 0) + n);
  }

  /** How many of an event. */
  of(event: string): number {
    return this.#byEvent.get(event) ?? 0;
  }

  /** How many whose severity number is within these bounds, both included. */
  ofSeverity(from: number, to: number): number {
    return this.#sum(({ severity }) => severity >= from && severity <= to);
  }

  /**
   * Condition on `facts`: the event is one of these, or begins with one that ends in a dot. It names those that there are: for
   * no event no row is read, and of rows that are sorted by event only a part.
   */
  where(...names: readonly string[]): string {
    const events = [...this.#byEvent.keys()].filter(
      (event) => event !== null && names.some((name) => (name.endsWith('.') ? event.startsWith(name) : event === name)),
    );
    if (events.length === 0) return 'false';
    return events.length === 1
      ? `event = ${literal(events[0]!)}`
      : `event IN (${events.map((one) => literal(one!)).join(', ')})`;
  }

  /** Condition on `facts`: the severity is ERROR or above. */
  get whereError(): string {
    return this.errors === 0 ? 'false' : `severity_number >= ${SEVERITY_NUMBERS.ERROR}`;
  }

  get errors(): number {
    return this.ofSeverity(SEVERITY_NUMBERS.ERROR, Number.POSITIVE_INFINITY);
  }

  get total(): number {
    return this.#sum(() => true);
  }

  /** Times of the first and the last, in nanoseconds since the epoch; undefined where there is none. */
  get bounds(): { readonly first: bigint; readonly last: bigint } | undefined {
    let bounds: { first: bigint; last: bigint } | undefined;
    for (const { first, last } of this.#counts) {
      bounds ??= { first, last };
      if (first < bounds.first) bounds.first = first;
      if (last > bounds.last) bounds.last = last;
    }
    return bounds;
  }

  /** Each event, the most frequent first; what has no name is a line of a log. */
  get rows(): readonly (readonly [event: string, n: number, errors: number])[] {
    const rows = new Map<string, [string, number, number]>();
    for (const { event, severity, n } of this.#counts) {
      const row = rows.get(event ?? '(log line)') ?? [event ?? '(log line)', 0, 0];
      row[1] += n;
      if (severity >= SEVERITY_NUMBERS.ERROR) row[2] += n;
      rows.set(row[0], row);
    }
    return [...rows.values()].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  }

  #sum(isOf: (count: EventCount) => boolean): number {
    return this.#counts.filter(isOf).reduce((sum, { n }) => sum + n, 0);
  }
}
