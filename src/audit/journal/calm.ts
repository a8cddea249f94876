/** Tells when a disk that was slow has been quick for long enough. Times are of one monotonic clock, in milliseconds. */

/** A slow time that follows another one within so many times its calm takes twice the calm. */
const RELAPSE_CALMS = 10;
const MAX_CALM_MS = 60_000;

export class Calm {
  readonly #usualMs: number;
  /** What this slow time takes. */
  #neededMs: number;
  #lastStallMs = 0;
  /** Whether the newest write was quick. */
  #quick = false;
  #endedMs = Number.NEGATIVE_INFINITY;

  /** @param usualMs so long must writes have been quick */
  constructor(usualMs: number) {
    this.#usualMs = usualMs;
    this.#neededMs = usualMs;
  }

  /** A slow time begins, with a write that stalled. */
  begin(nowMs: number): void {
    const relapse = nowMs - this.#endedMs < this.#neededMs * RELAPSE_CALMS;
    this.#neededMs = relapse ? Math.min(this.#neededMs * 2, MAX_CALM_MS) : this.#usualMs;
    this.stalled(nowMs);
  }

  /** A write of the slow time stalled. */
  stalled(nowMs: number): void {
    this.#quick = false;
    this.#lastStallMs = nowMs;
  }

  /** A write of the slow time was quick. */
  wasQuick(): void {
    this.#quick = true;
  }

  /** Whether the slow time may end. */
  isReached(nowMs: number): boolean {
    return this.#quick && nowMs - this.#lastStallMs >= this.#neededMs;
  }

  /** The slow time has ended. */
  end(nowMs: number): void {
    this.#endedMs = nowMs;
  }
}
