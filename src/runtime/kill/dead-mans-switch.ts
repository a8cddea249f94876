/** The venue's own cancel-all-after: renewed while this process is well, so that the venue cancels when it isn't. */
import { context, ROOT_CONTEXT } from '@opentelemetry/api';
import { catalogEvent } from '../../catalog/events.ts';
import type { KillExchange } from './kill-types.ts';
import { callVenue } from './venue-calls.ts';
import type { KillHost } from './venue-kill.ts';

/** The venue is told so many times within its time: two renewals may be lost. */
const RENEWALS = 3;
/** The end of a process waits for the venue so long; after it the venue's own time runs out. */
const DISARM_MS = 2000;

type Act = 'arm' | 'renew' | 'disarm';

export class DeadMansSwitch {
  readonly #host: Pick<KillHost, 'emit'>;
  readonly #exchange: KillExchange;
  readonly #timeoutMs: number;
  #timer: NodeJS.Timeout | undefined;
  /** Outcome of the newest renewal that was told: each change is told, and not each renewal. */
  #told: string | undefined;
  #asking: Promise<void> | undefined;
  #armed = false;
  #ended = false;

  /** @param timeoutMs of the venue */
  constructor(host: Pick<KillHost, 'emit'>, exchange: KillExchange, timeoutMs: number) {
    this.#host = host;
    this.#exchange = exchange;
    this.#timeoutMs = Math.ceil(timeoutMs);
  }

  /** Arms, and renews from then on. An exchange that can't is told of once. */
  start(): void {
    const has = this.#exchange.has as Readonly<Record<string, unknown>> | undefined;
    if (typeof this.#exchange.cancelAllOrdersAfter !== 'function' || has?.['cancelAllOrdersAfter'] === false) {
      this.#ended = true;
      this.#tell('arm', 'failed', 'the exchange has no cancelAllOrdersAfter');
      return;
    }
    context.with(ROOT_CONTEXT, () => {
      void this.#renew('arm');
      this.#timer = setInterval(() => void this.#renew('renew'), this.#timeoutMs / RENEWALS);
      this.#timer.unref();
    });
  }

  /** Ends the renewals and disarms the venue. Never rejects. */
  async disarm(): Promise<void> {
    if (this.#ended) return;
    this.abandon();
    // A renewal that comes to the venue after the end of it would arm it again.
    await this.#asking;
    if (!this.#armed) return;
    const answer = await callVenue(() => this.#exchange.cancelAllOrdersAfter?.(0), DISARM_MS);
    this.#tell('disarm', answer.outcome, answer.outcome === 'succeeded' ? undefined : answer.message);
  }

  /** Ends the renewals: the venue cancels when its time is over. */
  abandon(): void {
    this.#ended = true;
    clearInterval(this.#timer);
  }

  #renew(act: Act): Promise<void> {
    if (this.#ended) return Promise.resolve();
    this.#asking ??= this.#ask(act).finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #ask(act: Act): Promise<void> {
    // A renewal without an answer must not hold up the next one.
    const limit = Math.min(this.#timeoutMs / RENEWALS, DISARM_MS);
    const answer = await callVenue(() => this.#exchange.cancelAllOrdersAfter?.(this.#timeoutMs), limit);
    // One that had no answer may have armed it.
    if (answer.outcome !== 'failed') this.#armed = true;
    if (this.#ended || this.#told === answer.outcome) return;
    this.#told = answer.outcome;
    this.#tell(act, answer.outcome, answer.outcome === 'succeeded' ? undefined : answer.message);
  }

  #tell(act: Act, outcome: 'succeeded' | 'failed' | 'unknown', message: string | undefined): void {
    const { id } = this.#exchange;
    this.#host.emit(
      catalogEvent('risk.dead_mans_switch', {
        'risk.action': act,
        'risk.outcome': outcome,
        ...(act === 'disarm' ? {} : { 'risk.dead_mans_switch.timeout_ms': this.#timeoutMs }),
        ...(typeof id === 'string' ? { 'trading.venue': id } : {}),
        ...(message === undefined ? {} : { 'error.message': message }),
      }),
    );
  }
}
