/** One group of a rule: what was seen of it, its value, and where its alert stands. */
import type { Due } from './due-heap.ts';
import { compare, isOneOf, measuredValue, textOf } from './match.ts';
import type { AlertEvent, AlertRule, Condition, GroupValues } from './rule.ts';
import { SampleWindow } from './sample-window.ts';

/**
 * `pending`: the condition holds, not yet long enough. `silenced`: it would be raised, but for another alert. `closed`: a
 * person ended it while the condition still held: it may be raised again once the condition has not.
 */
export type SeriesState = 'quiet' | 'pending' | 'silenced' | 'firing' | 'closed';

/** How many ids of the events behind an alert are kept. */
const KEPT_IDS = 10;

const SORTED: ReadonlySet<string> = new Set(['min', 'max', 'quantile', 'rise']);

/** Whether a value is worth an alert. */
export function meetsCondition(condition: Condition, value: number): boolean {
  return condition.is === 'in' ? condition.values.includes(value) : compare(value, condition.is, condition.threshold);
}

/** The group of a rule that an event belongs to. */
export function groupOf({ groupBy }: AlertRule, event: AlertEvent): GroupValues {
  const values: Record<string, string> = {};
  for (const { attribute, or } of groupBy) values[attribute] = textOf(event.attributes, attribute) || (or ?? '');
  return values;
}

/** A key of a rule's group within a service. */
export function seriesKey(rule: string, service: string, group: GroupValues): string {
  return JSON.stringify([rule, service, ...Object.values(group)]);
}

export class Series implements Due {
  readonly rule: AlertRule;
  readonly service: string;
  readonly group: GroupValues;
  readonly key: string;
  dueMs = Number.POSITIVE_INFINITY;
  heapIndex = -1;
  state: SeriesState = 'quiet';
  /** Since when the condition holds. */
  sinceMs = 0;
  /** A restored alert stands until then whatever the value: what was seen before the restart is not known any more. */
  heldUntilMs = Number.NEGATIVE_INFINITY;
  readonly #window: SampleWindow;
  /** Newest sign of life and newest orderly end, of an absence. */
  #seenMs = Number.NEGATIVE_INFINITY;
  #endedMs = Number.NEGATIVE_INFINITY;
  #ids: { readonly id: string; readonly timeMs: number }[] = [];

  constructor(rule: AlertRule, service: string, group: GroupValues, key: string, maxSamples: number) {
    this.rule = rule;
    this.service = service;
    this.group = group;
    this.key = key;
    const { kind } = rule.measure;
    this.#window = new SampleWindow(kind === 'last' || kind === 'absence' ? 1 : maxSamples, SORTED.has(kind));
  }

  /** Takes an event that may be the rule's. @returns whether it is */
  add(event: AlertEvent, timeMs: number): boolean {
    const { measure } = this.rule;
    // One event tells the whole state: what stood before the restart no longer matters.
    if (measure.kind === 'last' || measure.kind === 'absence') this.heldUntilMs = Number.NEGATIVE_INFINITY;
    switch (measure.kind) {
      case 'absence': {
        const isSeen = isOneOf(event, measure.of);
        const isEnd = isOneOf(event, measure.endedBy);
        if (isSeen) this.#seenMs = Math.max(this.#seenMs, timeMs);
        if (isEnd) this.#endedMs = Math.max(this.#endedMs, timeMs);
        if (isSeen) this.#keepId(event, timeMs);
        return isSeen || isEnd;
      }
      case 'ratio': {
        if (!isOneOf(event, measure.among)) return false;
        const isOf = isOneOf(event, measure.of);
        this.#window.add(timeMs, isOf ? 1 : 0);
        const isLow = this.rule.condition.is === '<' || this.rule.condition.is === '<=';
        if (isOf !== isLow) this.#keepId(event, timeMs);
        return true;
      }
      case 'count':
      case 'rate':
        this.#window.add(timeMs, 1);
        this.#keepId(event, timeMs);
        return true;
      default: {
        const value = measuredValue(event.attributes, measure.value);
        if (value === undefined) return false;
        // Only the newest counts.
        if (measure.kind === 'last' && this.#window.length > 0 && this.#window.oldest > timeMs) return false;
        this.#window.add(timeMs, value);
        this.#keepId(event, timeMs);
        return true;
      }
    }
  }

  /** The measure at a time; undefined where there is none. Forgets what is older than the window. */
  value(nowMs: number): number | undefined {
    const { measure, windowMs } = this.rule;
    if (measure.kind === 'absence') {
      const { lookbackMs } = measure;
      const isGone = this.#seenMs <= nowMs - windowMs && this.#seenMs > nowMs - lookbackMs;
      return isGone && this.#endedMs < this.#seenMs ? 1 : undefined;
    }
    const window = this.#window;
    window.expire(nowMs - windowMs);
    const count = window.length;
    if (count === 0) return undefined;
    switch (measure.kind) {
      case 'count':
        return count;
      case 'rate':
        return (count * measure.perMs) / windowMs;
      case 'sum':
        return window.sum;
      case 'mean':
        return window.sum / count;
      case 'min':
        return window.min;
      case 'max':
        return window.max;
      case 'quantile':
        return window.quantile(measure.quantile);
      case 'last':
        return window.last;
      case 'rise':
        return window.last - window.min;
      case 'ratio':
        return count < measure.atLeast ? undefined : window.ones / count;
    }
  }

  /** When the value may change by time alone, or the condition has held long enough. */
  nextDueMs(nowMs: number): number {
    const { measure, windowMs, forMs } = this.rule;
    let due = this.#window.oldest + windowMs;
    if (measure.kind === 'absence') {
      const [silent, forgotten] = [this.#seenMs + windowMs, this.#seenMs + measure.lookbackMs];
      due = silent > nowMs ? silent : forgotten > nowMs ? forgotten : Number.POSITIVE_INFINITY;
    }
    if (this.state === 'pending') due = Math.min(due, this.sinceMs + forMs);
    if (this.heldUntilMs > nowMs) due = Math.min(due, this.heldUntilMs);
    return due;
  }

  /** Whether nothing of it is left to be remembered. */
  isEmpty(nowMs: number): boolean {
    if (this.state !== 'quiet') return false;
    const { measure } = this.rule;
    return measure.kind === 'absence' ? this.#seenMs <= nowMs - measure.lookbackMs : this.#window.length === 0;
  }

  /** Record ids of the newest events behind the value. */
  idsAt(nowMs: number): readonly string[] {
    const { measure, windowMs } = this.rule;
    const after = nowMs - (measure.kind === 'absence' ? measure.lookbackMs : windowMs);
    return this.#ids.filter(({ timeMs }) => timeMs > after).map(({ id }) => id);
  }

  #keepId({ recordId: id }: AlertEvent, timeMs: number): void {
    if (id === '') return;
    if (this.#ids.length === KEPT_IDS) this.#ids.shift();
    this.#ids.push({ id, timeMs });
  }
}
