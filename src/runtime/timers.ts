/** What a trail does every so often: it keeps no process alive, belongs to no request, and never throws. */
import { context, ROOT_CONTEXT } from '@opentelemetry/api';

export class Timers {
  readonly #report: (error: unknown, where: string) => void;
  readonly #timers: NodeJS.Timeout[] = [];

  /** @param report is told of what was thrown */
  constructor(report: (error: unknown, where: string) => void) {
    this.#report = report;
  }

  /** @param intervalMs 0: never */
  every(intervalMs: number, act: () => void): void {
    if (intervalMs === 0) return;
    // Outside of any request's context, which the timer would otherwise keep and put on its events.
    context.with(ROOT_CONTEXT, () => {
      const timer = setInterval(() => {
        try {
          act();
        } catch (error) {
          this.#report(error, 'timer');
        }
      }, intervalMs);
      timer.unref();
      this.#timers.push(timer);
    });
  }

  /** Ends them all. */
  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }
}
