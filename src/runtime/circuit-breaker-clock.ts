/** The breaker's time: the wall clock in whole milliseconds, which never goes back, and tells when it was stepped. */
import type { Clock } from '../core/clock.ts';

/** Up to this difference between wall and monotonic clock, one reading to the next, the wall clock is simply followed. */
const FOLLOWED_MS = 1000;

export interface BreakerClock {
  /** `steppedMs`: by how much the wall clock was stepped (set, not run) since the last reading; 0 nearly always. */
  read(): { readonly now: number; readonly steppedMs: number };
  /** The time of the last reading. */
  last(): number;
}

/**
 * A machine that slept is a step too: its monotonic clock stood still, so waits that were running go on where they were.
 * Steps of up to a second are followed; backwards, time then stands still for that long.
 */
export function createBreakerClock(clock: Clock): BreakerClock {
  let wall = clock.now();
  let mono = clock.monotonic();
  let last = Math.floor(wall);
  return {
    read() {
      const wallNow = clock.now();
      const monoNow = clock.monotonic();
      const elapsed = monoNow - mono;
      const stepped = wallNow - wall - elapsed;
      [wall, mono] = [wallNow, monoNow];
      const now = Math.floor(wallNow);
      if (Math.abs(stepped) > FOLLOWED_MS) {
        // Against the time that was told last, which may be ahead of the wall clock: it stood still for a smaller step back.
        const steppedMs = Math.round(now - last - elapsed);
        last = now;
        return { now, steppedMs };
      }
      last = Math.max(last, now);
      return { now: last, steppedMs: 0 };
    },
    last: () => last,
  };
}
