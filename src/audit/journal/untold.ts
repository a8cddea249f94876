/**
 * What a stream has to tell of its own writing and has had no place for yet: troubles that began or are over, what was lost
 * in them, segments that were closed. An event is given out once, as soon as it can have its place.
 */
import { type AuditInput, isNanos } from '../record/audit-input.ts';
import type { SequenceRange } from './stream-writer.ts';
import { nowNanos, type Outage, type SystemEvents } from './system-events.ts';

/** A time in which records are not written as they should be. */
interface Trouble {
  readonly reason: string;
  /** Epoch milliseconds. */
  readonly fromMs: number;
  missing: readonly SequenceRange[];
}

interface Loss {
  records: number;
  /** Decimal nanoseconds. */
  readonly from: string;
  to: string;
}

/** How the next event would be written. */
export interface TellingPlace {
  readonly mode: 'direct' | 'slow' | 'failing';
  /** Whether records may be taken again after a loss. */
  readonly hasRoom: boolean;
}

export class Untold {
  readonly #events: SystemEvents;
  readonly #now: () => number;
  #outage: Trouble | undefined;
  #slow: Trouble | undefined;
  /** That the slow time began. */
  #slowBegan = false;
  #loss: Loss | undefined;
  #sealed: SequenceRange[] = [];

  /** @param now wall time, epoch milliseconds */
  constructor(events: SystemEvents, now: () => number) {
    this.#events = events;
    this.#now = now;
  }

  /** Whether there is nothing to tell: asked at each record. */
  get isEmpty(): boolean {
    return (
      this.#outage === undefined && this.#slow === undefined && this.#loss === undefined && this.#sealed.length === 0
    );
  }

  /** Whether records were lost that nothing tells of yet: what comes now would not stand behind the telling. */
  get isLosing(): boolean {
    return this.#loss !== undefined;
  }

  /** Why writing fails or failed; undefined where all of that is told. */
  get outageReason(): string | undefined {
    return this.#outage?.reason;
  }

  /** Writing fails. @returns whether that is news */
  outageBegins(reason: string): boolean {
    if (this.#outage !== undefined) return false;
    this.#outage = { reason, fromMs: this.#now(), missing: [] };
    return true;
  }

  /** Records of files that somebody deleted. */
  addMissing(missing: readonly SequenceRange[]): void {
    if (this.#outage !== undefined) this.#outage.missing = [...this.#outage.missing, ...missing];
  }

  /** A write took `tookMs`. */
  slowBegins(tookMs: number): void {
    this.#slow ??= { reason: 'slow', fromMs: this.#now() - tookMs, missing: [] };
    this.#slowBegan = true;
  }

  /** A record found no room. @param given its time, decimal nanoseconds */
  addLoss(given: string): void {
    const time = isNanos(given) ? given : nowNanos({ now: this.#now });
    if (this.#loss === undefined) this.#loss = { records: 1, from: time, to: time };
    else {
      this.#loss.records++;
      this.#loss.to = time;
    }
  }

  addSealed(range: SequenceRange | undefined): void {
    if (range !== undefined) this.#sealed.push(range);
  }

  /** The next event to be recorded, if any; it counts as told. */
  take({ mode, hasRoom }: TellingPlace): AuditInput | undefined {
    if (mode === 'failing') return undefined;
    const durability = mode === 'direct' ? 'process' : 'memory';
    if (this.#outage !== undefined) {
      const { reason, fromMs, missing } = this.#outage;
      this.#outage = undefined;
      return this.#degraded({ reason, fromMs, durability }, missing);
    }
    if (this.#slow !== undefined && mode === 'direct') {
      const { reason, fromMs } = this.#slow;
      this.#slow = undefined;
      this.#slowBegan = false;
      return this.#degraded({ reason, fromMs, durability });
    }
    if (this.#loss !== undefined) {
      const fromMs = Number(this.#loss.from) / 1e6;
      return hasRoom ? this.#degraded({ reason: 'slow', fromMs, durability }) : undefined;
    }
    if (this.#slow !== undefined && this.#slowBegan) {
      const { reason, fromMs } = this.#slow;
      this.#slowBegan = false;
      return this.#degraded({ reason, fromMs, durability });
    }
    const sealed = this.#sealed.shift();
    return sealed && this.#events.segmentSealed(sealed.first, sealed.last);
  }

  #degraded(
    trouble: Pick<Outage, 'reason' | 'fromMs' | 'durability'>,
    missing: readonly SequenceRange[] = [],
  ): AuditInput {
    const loss = this.#loss;
    this.#loss = undefined;
    return this.#events.degraded({
      ...trouble,
      missing,
      lostRecords: countOf(missing) + (loss?.records ?? 0),
      lostFrom: loss?.from,
      lostTo: loss?.to,
    });
  }
}

/** How many numbers some ranges hold. */
export function countOf(ranges: readonly SequenceRange[]): number {
  return ranges.reduce((sum, { first, last }) => sum + last - first + 1, 0);
}
