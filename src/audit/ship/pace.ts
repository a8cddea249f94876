/** Holds a thread to a share of a processor, so that the threads of the trading code find one free when they need it. */
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

/** Shorter pauses are not worth a timer: they are made up for by the next one. */
const MIN_PAUSE_MS = 1;
/** A machine that slept was not at work. */
const MAX_PAUSE_MS = 1_000;

/** What a pace goes by, for tests. */
export interface PaceParts {
  /** How long the thread's event loop was at work, and not, since it began, in milliseconds. */
  readonly utilization: () => { readonly active: number; readonly idle: number };
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

const THREAD: PaceParts = {
  utilization: () => performance.eventLoopUtilization(),
  sleep: (ms, signal) => sleep(ms, undefined, { signal }),
};

/** A pace of the thread that made it. */
export class Pace {
  readonly #share: number;
  readonly #parts: PaceParts;
  #since: { readonly active: number; readonly idle: number };

  /** @param share of the time in which the thread's event loop may be at work, above 0 and at most 1 */
  constructor(share: number, parts = THREAD) {
    this.#share = share;
    this.#parts = parts;
    this.#since = parts.utilization();
  }

  /** Waits until the work since the last pause was no more than its share of the time. @throws the signal's reason */
  async pause(signal: AbortSignal): Promise<void> {
    const now = this.#parts.utilization();
    const active = now.active - this.#since.active;
    const idle = now.idle - this.#since.idle;
    const pauseMs = active / this.#share - active - idle;
    if (pauseMs > 0 && pauseMs < MIN_PAUSE_MS) return;
    if (pauseMs > 0) await this.#parts.sleep(Math.min(pauseMs, MAX_PAUSE_MS), signal);
    this.#since = this.#parts.utilization();
  }
}
