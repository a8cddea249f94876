/** Asynchronous pieces of work, one at a time. */
export class TaskQueue {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs `work` once everything given before has ended. @returns what it returns */
  run<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => {});
    return result;
  }
}
