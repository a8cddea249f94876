/**
 * Time, injected. This is the only file that reads the machine's clocks: everything else takes a {@link Clock},
 * so that a backtest runs the same code on simulated time.
 */

/** Seconds and nanoseconds since the Unix epoch: OpenTelemetry's HrTime. */
export type HrTime = [seconds: number, nanoseconds: number];

/** A source of time. Both readings are plain numbers because risk layers calculate with them. */
export interface Clock {
  /** Wall clock: milliseconds since the Unix epoch, with microseconds in the fraction where the source has them. */
  now(): number;
  /** Monotonic clock: milliseconds since an arbitrary start. For durations only; never set back. */
  monotonic(): number;
}

/** A wall clock that is further than this from our extrapolation was stepped (by NTP or by hand): follow it. */
const STEP_MS = 2;

/**
 * The machine's clocks. `Date.now()` has whole milliseconds, so the reading between two of them is extrapolated with the
 * monotonic clock; when the two part by more than {@link STEP_MS} the wall clock was stepped and becomes the new anchor.
 */
export function createSystemClock(): Clock {
  let anchorWall = Date.now();
  let anchorMono = performance.now();
  return {
    now() {
      const wall = Date.now();
      const estimate = anchorWall + (performance.now() - anchorMono);
      const drift = estimate - wall;
      if (drift >= -STEP_MS && drift <= STEP_MS + 1) return estimate;
      anchorWall = wall;
      anchorMono = performance.now();
      return wall;
    },
    monotonic: () => performance.now(),
  };
}

/** A clock that stands still until it is told to move. For tests, backtests and the demo. */
export interface ManualClock extends Clock {
  /** Moves both clocks on by `ms` milliseconds (≥ 0). */
  advance(ms: number): void;
  /** Sets the wall clock; the monotonic clock moves on by the difference where that is positive, and never back. */
  set(epochMs: number): void;
}

/** @param startMs first wall-clock reading, in milliseconds since the epoch */
export function createManualClock(startMs: number): ManualClock {
  let wall = startMs;
  let mono = 0;
  return {
    now: () => wall,
    monotonic: () => mono,
    advance(ms) {
      wall += ms;
      mono += ms;
    },
    set(epochMs) {
      if (epochMs > wall) mono += epochMs - wall;
      wall = epochMs;
    },
  };
}

/** Epoch milliseconds → HrTime, cut to whole microseconds (a double holds no more at today's dates), never rounded up. */
export function toHrTime(epochMs: number): HrTime {
  const seconds = Math.floor(epochMs / 1000);
  return [seconds, Math.floor((epochMs - seconds * 1000) * 1000 + 1e-6) * 1000];
}

/** HrTime → nanoseconds since the epoch as a decimal string, the form that the audit format hashes. */
export function hrTimeToNanos(time: HrTime): string {
  if (time[0] === 0) return String(time[1]);
  // A leading 1 that is cut off again pads the nanoseconds to nine digits.
  return time[0] + String(1_000_000_000 + time[1]).slice(1);
}
