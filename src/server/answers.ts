/** Answers that hold as long as the trail is what it is: made once for all who ask the same, told apart by entity tags. */
import { createHash } from 'node:crypto';
import type { Clock } from '../core/clock.ts';
import { RiskTrailError } from '../core/errors.ts';

const MAX_KEPT = 500;

/** The entity tag of an answer. @param parts what it depends on: the version of the files, what was asked */
export function entityTag(...parts: readonly unknown[]): string {
  return `W/"${createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 22)}"`;
}

/** Whether an `If-None-Match` header names an entity tag (weak comparison, RFC 9110 section 13.1.2). */
export function namesTag(header: string | undefined, tag: string): boolean {
  if (header === undefined) return false;
  const bare = (one: string) => one.trim().replace(/^W\//, '');
  return header.trim() === '*' || header.split(',').some((one) => bare(one) === bare(tag));
}

interface Making {
  readonly text: Promise<string>;
  readonly stop: AbortController;
  waiting: number;
}

/** Keeps the newest answers, up to a number of bytes; those that are being made are shared. */
export class AnswerCache {
  readonly #maxBytes: number;
  readonly #kept = new Map<string, string>();
  readonly #making = new Map<string, Making>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /**
   * The answer of a tag, made where it isn't there.
   * @param make is told by its signal when nobody waits for it any longer
   * @param gone says that who asks does not wait any longer; without, an answer that was begun is made to its end
   */
  async get(tag: string, make: (stop: AbortSignal) => Promise<string>, gone?: AbortSignal): Promise<string> {
    const kept = this.#kept.get(tag);
    if (kept !== undefined) {
      this.#kept.delete(tag);
      this.#kept.set(tag, kept);
      return kept;
    }
    const making = this.#making.get(tag) ?? this.#begin(tag, make);
    making.waiting++;
    const leave = () => {
      making.waiting--;
      if (making.waiting > 0) return;
      if (this.#making.get(tag) === making) this.#making.delete(tag);
      making.stop.abort();
    };
    gone?.addEventListener('abort', leave, { once: true });
    if (gone?.aborted) leave();
    try {
      return await making.text;
    } finally {
      gone?.removeEventListener('abort', leave);
    }
  }

  #begin(tag: string, make: (stop: AbortSignal) => Promise<string>): Making {
    const stop = new AbortController();
    const making: Making = { text: make(stop.signal), stop, waiting: 0 };
    this.#making.set(tag, making);
    const end = () => {
      if (this.#making.get(tag) === making) this.#making.delete(tag);
    };
    making.text.then((text) => {
      end();
      this.#keep(tag, text);
    }, end);
    return making;
  }

  #keep(tag: string, text: string): void {
    if (text.length > this.#maxBytes / 4) return;
    this.#kept.set(tag, text);
    this.#bytes += text.length;
    for (const [other, one] of this.#kept) {
      if (this.#bytes <= this.#maxBytes && this.#kept.size <= MAX_KEPT) break;
      this.#kept.delete(other);
      this.#bytes -= one.length;
    }
  }
}

/** Bounds how many long questions are answered or wait at a time, and how long one may take. */
export class LongWork {
  readonly #max: number;
  readonly #timeoutMs: number;
  #running = 0;

  /** @param max questions that run or wait; more are refused */
  constructor(max: number, timeoutMs: number) {
    this.#max = max;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Runs a question.
   * @throws RiskTrailError SERVER_BUSY, QUESTION_TIMEOUT
   */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#max) throw new RiskTrailError('SERVER_BUSY', { waiting: this.#running });
    this.#running++;
    const running = work().finally(() => {
      this.#running--;
    });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, fail) => {
      timer = setTimeout(
        () => fail(new RiskTrailError('QUESTION_TIMEOUT', { seconds: this.#timeoutMs / 1000 })),
        this.#timeoutMs,
      );
    });
    try {
      return await Promise.race([running, late]);
    } finally {
      clearTimeout(timer);
      // Who waits no longer must not leave a rejection behind.
      running.catch(() => {});
    }
  }
}

/** Counts requests, for the metrics. */
export class RequestCounts {
  /** Upper bounds of the histogram, in seconds. */
  static readonly BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const;
  readonly byRoute = new Map<string, number>();
  readonly buckets = new Array<number>(RequestCounts.BOUNDS.length + 1).fill(0);
  seconds = 0;
  count = 0;
  readonly clock: Clock;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  add(method: string, route: string, status: number, seconds: number): void {
    const key = JSON.stringify([method, route, status]);
    this.byRoute.set(key, (this.byRoute.get(key) ?? 0) + 1);
    const at = RequestCounts.BOUNDS.findIndex((bound) => seconds <= bound);
    this.buckets[at < 0 ? RequestCounts.BOUNDS.length : at]!++;
    this.seconds += seconds;
    this.count++;
  }
}
