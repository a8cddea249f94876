/** What the breaker remembers of its calls: failures with their times, a ring of outcomes, or partial sums by time. */
import type { BreakerConfig } from './options.ts';

/** Partial sums of a time window: calls from `at` (epoch ms) on. */
export interface CallBucket {
  readonly at: number;
  readonly calls: number;
  readonly failures: number;
  readonly slow: number;
}

export interface CallWindow {
  /** Times of the newest failures, at most `failureThreshold` of them; kept with `failureThreshold` and `windowMs`. */
  readonly failures: readonly number[];
  /** Outcomes of the last `windowCalls` calls, oldest first: `.` good, `f` failed, `s` slow, `b` both. */
  readonly ring: string;
  /** Kept with `windowMs` and a rate, each 1/60 of the window wide. */
  readonly buckets: readonly CallBucket[];
  /** Failures since the last success. */
  readonly consecutiveFailures: number;
}

export const EMPTY_CALLS: CallWindow = Object.freeze({
  failures: Object.freeze([]),
  ring: '',
  buckets: Object.freeze([]),
  consecutiveFailures: 0,
});

const BUCKETS_PER_WINDOW = 60;
// Letters: a long run of digits in a record could be taken for a card number, and masked.
const OUTCOMES = ['.', 'f', 's', 'b'] as const;

/** Counts one call. Returns the same object where nothing changes, so that a call that changes nothing need not be recorded. */
export function addCall(
  window: CallWindow,
  config: BreakerConfig,
  atMs: number,
  failed: boolean,
  slow: boolean,
): CallWindow {
  const consecutiveFailures = failed ? window.consecutiveFailures + 1 : 0;
  const failures =
    failed && config.failureThreshold !== null && config.windowMs !== null
      ? [...inWindow(window.failures, atMs, config.windowMs), atMs].slice(-config.failureThreshold)
      : window.failures;
  const ring =
    config.windowCalls === null
      ? window.ring
      : (window.ring + OUTCOMES[(failed ? 1 : 0) + (slow ? 2 : 0)]).slice(-config.windowCalls);
  const buckets =
    watchesRates(config) && config.windowMs !== null
      ? addToBuckets(window.buckets, config.windowMs, atMs, failed, slow)
      : window.buckets;
  if (
    consecutiveFailures === window.consecutiveFailures &&
    failures === window.failures &&
    ring === window.ring &&
    buckets === window.buckets
  )
    return window;
  return { failures, ring, buckets, consecutiveFailures };
}

export const watchesRates = (config: BreakerConfig): boolean =>
  config.failureRate !== null || config.slowCallRate !== null;

const inWindow = (times: readonly number[], nowMs: number, windowMs: number): readonly number[] =>
  times.filter((time) => time > nowMs - windowMs);

function addToBuckets(
  buckets: readonly CallBucket[],
  windowMs: number,
  atMs: number,
  failed: boolean,
  slow: boolean,
): readonly CallBucket[] {
  const width = Math.ceil(windowMs / BUCKETS_PER_WINDOW);
  const at = Math.floor(atMs / width) * width;
  const kept = buckets.filter((bucket) => bucket.at > atMs - windowMs);
  const last = kept.at(-1);
  const add = { failures: failed ? 1 : 0, slow: slow ? 1 : 0 };
  if (last === undefined || at > last.at) return [...kept, { at, calls: 1, ...add }];
  kept[kept.length - 1] = {
    at: last.at,
    calls: last.calls + 1,
    failures: last.failures + add.failures,
    slow: last.slow + add.slow,
  };
  return kept;
}

/** What the window holds at `nowMs`. Calls and rates are null where the settings do not ask for them. */
export interface CallCounts {
  /** Failures in the window; without a trigger that counts or rates them, those in a row. */
  readonly failures: number;
  readonly consecutiveFailures: number;
  readonly calls: number | null;
  readonly slow: number | null;
  /** Failures of calls, 0…1. */
  readonly failureRate: number | null;
  readonly slowCallRate: number | null;
}

export function countCalls(window: CallWindow, config: BreakerConfig, nowMs: number): CallCounts {
  const { consecutiveFailures } = window;
  if (config.windowCalls !== null) {
    let failures = 0;
    let slow = 0;
    for (const outcome of window.ring) {
      if (outcome === 'f' || outcome === 'b') failures += 1;
      if (outcome === 's' || outcome === 'b') slow += 1;
    }
    return { failures, consecutiveFailures, ...rates(window.ring.length, failures, slow) };
  }
  const windowMs = config.windowMs ?? 0;
  if (!watchesRates(config)) {
    const failures =
      config.failureThreshold === null ? consecutiveFailures : inWindow(window.failures, nowMs, windowMs).length;
    return { failures, consecutiveFailures, calls: null, slow: null, failureRate: null, slowCallRate: null };
  }
  let [calls, failures, slow] = [0, 0, 0];
  for (const bucket of window.buckets) {
    if (bucket.at <= nowMs - windowMs) continue;
    calls += bucket.calls;
    failures += bucket.failures;
    slow += bucket.slow;
  }
  // The exact times decide where both are kept.
  const exact = config.failureThreshold === null ? failures : inWindow(window.failures, nowMs, windowMs).length;
  return { ...rates(calls, failures, slow), failures: exact, consecutiveFailures };
}

const rates = (calls: number, failures: number, slow: number) => ({
  calls,
  slow,
  failureRate: calls === 0 ? null : failures / calls,
  slowCallRate: calls === 0 ? null : slow / calls,
});

/** A trigger whose threshold was reached. */
export interface Reached {
  readonly trigger: string;
  readonly value: number;
  readonly threshold: number;
}

/** The first call trigger that is reached (≥); rates count from `minimumCalls` on. */
export function reachedByCalls(counts: CallCounts, config: BreakerConfig): Reached | undefined {
  const enough = counts.calls !== null && counts.calls >= config.minimumCalls;
  const tries: readonly (readonly [string, number | null, number | null])[] = [
    ['consecutive_failures', counts.consecutiveFailures, config.consecutiveFailures],
    ['failure_count', counts.failures, config.failureThreshold],
    ['failure_rate', enough ? counts.failureRate : null, config.failureRate],
    ['slow_call_rate', enough ? counts.slowCallRate : null, config.slowCallRate],
  ];
  for (const [trigger, value, threshold] of tries) {
    if (value !== null && threshold !== null && value >= threshold) return { trigger, value, threshold };
  }
  return undefined;
}

/** Keeps the counts that a change of settings leaves meaningful: a window of another kind begins empty. */
export function adaptCalls(window: CallWindow, old: BreakerConfig, next: BreakerConfig): CallWindow {
  const sameKind = (old.windowCalls === null) === (next.windowCalls === null);
  if (!sameKind) return { ...EMPTY_CALLS, consecutiveFailures: window.consecutiveFailures };
  const keepsBuckets = watchesRates(next) && next.windowMs !== null;
  return {
    failures:
      next.failureThreshold === null || next.windowMs === null ? [] : window.failures.slice(-next.failureThreshold),
    ring: next.windowCalls === null ? '' : window.ring.slice(-next.windowCalls),
    buckets: keepsBuckets ? window.buckets : [],
    consecutiveFailures: window.consecutiveFailures,
  };
}

export function shiftCalls(window: CallWindow, deltaMs: number): CallWindow {
  return {
    ...window,
    failures: window.failures.map((time) => time + deltaMs),
    buckets: window.buckets.map((bucket) => ({ ...bucket, at: bucket.at + deltaMs })),
  };
}
