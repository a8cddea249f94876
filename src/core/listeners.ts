/** Listeners whose throw goes to a handler, never to whoever caused the event. */

/** Stops listening; calling it again does nothing. */
export interface Subscription {
  dispose(): void;
}

/** A list of listeners of one kind of event. */
export class Listeners<T> {
  readonly #listeners = new Set<(event: T) => void>();
  readonly #onError: (error: unknown) => void;

  /** @param onError told of each listener's throw; must not throw itself */
  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  add(listener: (event: T) => void): Subscription {
    // A wrapper of its own, so that the same function added twice is called twice and removed one at a time.
    const entry = (event: T) => listener(event);
    this.#listeners.add(entry);
    return { dispose: () => void this.#listeners.delete(entry) };
  }

  emit(event: T): void {
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch (error) {
        this.#onError(error);
      }
    }
  }
}
