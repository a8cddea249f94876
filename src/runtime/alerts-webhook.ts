/** Sends alerts to an address over HTTP: in the background, in order, tried again for a while, never in anybody's way. */
import { setTimeout as wait } from 'node:timers/promises';
import type { Check } from '../core/options.ts';
import { integer, nested, record, string } from '../core/options.ts';
import type { AlertNotice } from './alerts-types.ts';

/** Where alerts are posted. */
export interface WebhookOptions {
  /** An http(s) address. */
  readonly url: string;
  /** Headers of the request, such as `authorization`. @default none */
  readonly headers?: Readonly<Record<string, string>>;
  /** Longest time of one attempt. @default 5_000 */
  readonly timeoutMs?: number;
  /** Attempts for one notice. @default 4 */
  readonly attempts?: number;
}

/** Deliveries since the start. */
export interface DeliveryStats {
  readonly sent: number;
  /** Given up after the last attempt, or pushed out of a full queue. */
  readonly failed: number;
  readonly waiting: number;
}

const URL_CHECK: Check<string> = {
  expected: 'an http or https address',
  accepts: (value): value is string => typeof value === 'string' && /^https?:\/\//i.test(value) && URL.canParse(value),
};

/** Checks the options of a webhook. */
export const WEBHOOK_CHECK: Check<WebhookOptions> = nested<WebhookOptions>(
  {
    url: URL_CHECK,
    headers: record(string(), 'an object of headers'),
    timeoutMs: integer(1, 600_000),
    attempts: integer(1, 20),
  },
  { headers: {}, timeoutMs: 5000, attempts: 4 },
);

const QUEUE = 100;
const FIRST_PAUSE_MS = 500;

/** What a webhook is told besides its options. */
export interface WebhookHost {
  /** Told of each delivery that was given up. Must not throw. */
  onFailed(notice: AlertNotice, error: unknown): void;
  /** Told of an attempt that will be made again. Must not throw. */
  onRetry(error: unknown): void;
}

/** An answer that another attempt would not change. */
class FinalAnswer extends Error {}

export class Webhook {
  readonly #options: Required<WebhookOptions>;
  readonly #host: WebhookHost;
  readonly #queue: AlertNotice[] = [];
  readonly #ended = new AbortController();
  #sending: Promise<void> | undefined;
  #sent = 0;
  #failed = 0;

  /** @param options as {@link WEBHOOK_CHECK} gives them */
  constructor(options: WebhookOptions, host: WebhookHost) {
    this.#options = options as Required<WebhookOptions>;
    this.#host = host;
  }

  /** Sends when those before are through. Returns at once. */
  send(notice: AlertNotice): void {
    if (this.#ended.signal.aborted) return;
    if (this.#queue.length === QUEUE) this.#giveUp(this.#queue.shift()!, new Error(`${QUEUE} notices wait already`));
    this.#queue.push(notice);
    this.#sending ??= this.#work();
  }

  stats(): DeliveryStats {
    return { sent: this.#sent, failed: this.#failed, waiting: this.#queue.length };
  }

  /** Waits for what is on its way, at most so long; then nothing is sent any more. Never rejects. */
  async stop(withinMs: number): Promise<void> {
    if (this.#sending !== undefined) {
      await Promise.race([this.#sending, wait(withinMs, undefined, { ref: false }).catch(() => {})]);
    }
    this.#ended.abort();
    for (const notice of this.#queue.splice(0)) this.#giveUp(notice, new Error('the trail was closed'));
  }

  async #work(): Promise<void> {
    // Not within whatever the alert came from.
    await Promise.resolve();
    while (this.#queue.length > 0 && !this.#ended.signal.aborted) {
      const notice = this.#queue[0]!;
      let error: unknown;
      try {
        await this.#deliver(notice);
      } catch (failure) {
        error = failure ?? new Error('unknown');
      }
      // A full queue or the end may have taken it away meanwhile.
      if (this.#queue[0] !== notice) continue;
      this.#queue.shift();
      if (error === undefined) this.#sent++;
      else this.#giveUp(notice, error);
    }
    this.#sending = undefined;
  }

  async #deliver(notice: AlertNotice): Promise<void> {
    const { attempts } = this.#options;
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#post(JSON.stringify(notice));
        return;
      } catch (error) {
        if (error instanceof FinalAnswer || attempt >= attempts) throw error;
        this.#host.onRetry(error);
      }
      await wait(FIRST_PAUSE_MS * 2 ** (attempt - 1), undefined, { ref: false, signal: this.#ended.signal });
    }
  }

  async #post(body: string): Promise<void> {
    const { url, headers, timeoutMs } = this.#options;
    const answer = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body,
      redirect: 'error',
      signal: AbortSignal.any([AbortSignal.timeout(timeoutMs), this.#ended.signal]),
    });
    await answer.body?.cancel();
    if (answer.ok) return;
    const failure = `the webhook answered ${answer.status}`;
    const isPassing = answer.status >= 500 || answer.status === 429 || answer.status === 408;
    throw isPassing ? new Error(failure) : new FinalAnswer(failure);
  }

  #giveUp(notice: AlertNotice, error: unknown): void {
    this.#failed++;
    this.#host.onFailed(notice, error);
  }
}
