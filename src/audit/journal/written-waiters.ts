/** Those who wait for records to be written. */

interface Waiter {
  readonly sequence: number;
  resolve(): void;
  reject(error: unknown): void;
}

export class WrittenWaiters {
  #waiters: Waiter[] = [];

  get isEmpty(): boolean {
    return this.#waiters.length === 0;
  }

  /** Resolves once the records below `sequence` are written; rejects with what went wrong. */
  add(sequence: number): Promise<void> {
    return new Promise((resolve, reject) => void this.#waiters.push({ sequence, resolve, reject }));
  }

  /** The records below `written` are written. */
  settle(written: number): void {
    const settled = this.#waiters.filter((waiter) => waiter.sequence <= written);
    if (settled.length === 0) return;
    this.#waiters = this.#waiters.filter((waiter) => waiter.sequence > written);
    for (const waiter of settled) waiter.resolve();
  }

  /** Nobody need wait any longer. */
  fail(error: unknown): void {
    const failed = this.#waiters;
    this.#waiters = [];
    for (const waiter of failed) waiter.reject(error);
  }
}
