/** The events of breakers that other libraries keep: the catalogue's own, so that the same dashboards show them. */
import { context, ROOT_CONTEXT } from '@opentelemetry/api';
import { FOREIGN_BREAKER } from '../../risk/risk-state.ts';
import { findHost, guarded, record } from '../host.ts';

export type BreakerState = 'CLOSED' | 'OPEN' | 'HALF_OPEN' | 'FORCED_OPEN';

const CODES: Readonly<Record<BreakerState, number>> = { CLOSED: 0, OPEN: 1, HALF_OPEN: 2, FORCED_OPEN: 4 };

/** What of a failed call is told. */
export interface CallFailure {
  readonly error: unknown;
  readonly durationMs?: number | undefined;
  readonly timeout?: boolean | undefined;
}

function failureAttributes({ error, durationMs }: CallFailure) {
  const isError = error instanceof Error;
  return {
    ...(error === undefined ? {} : { 'error.type': isError ? error.name : typeof error }),
    ...(isError ? { 'error.message': error.message } : {}),
    ...(typeof durationMs === 'number' && Number.isFinite(durationMs) ? { 'timing.duration_ms': durationMs } : {}),
  };
}

/** Tells of one breaker. No method throws; without a running trail nothing is told. */
export class BreakerRecorder {
  readonly #name: string;
  readonly #library: string;
  #state: BreakerState;
  #failures = 0;

  /**
   * @param name the breaker's own, unique within the library as far as the program has made it so
   * @param state as it is when the recorder begins
   */
  constructor(library: string, name: string, state: BreakerState) {
    this.#library = library;
    this.#name = name;
    this.#state = state;
  }

  get state(): BreakerState {
    return this.#state;
  }

  /** @param alone it came from a timer: the work of whoever opened the breaker has no part in it */
  changed(state: BreakerState, alone = false): void {
    const before = this.#state;
    if (before === state) return;
    this.#state = state;
    const failures = this.#failures;
    if (state === 'CLOSED') this.#failures = 0;
    const tell = () =>
      this.#tell('risk.circuit_breaker.state_change', {
        'risk.circuit_breaker.state.old': before,
        'risk.circuit_breaker.state.new': state,
        'risk.circuit_breaker.state.code': CODES[state],
        ...(state === 'OPEN' ? { 'risk.circuit_breaker.failure_count': failures } : {}),
      });
    if (alone) context.with(ROOT_CONTEXT, tell);
    else tell();
  }

  failed(failure: CallFailure): void {
    this.#failures++;
    this.#tell('risk.circuit_breaker.failure', {
      'risk.circuit_breaker.failure_count': this.#failures,
      'risk.circuit_breaker.result': failure.timeout === true ? 'timeout' : 'failure',
      ...failureAttributes(failure),
    });
  }

  /** Told while half-open alone: that a closed breaker's calls succeed is no news. */
  succeeded(durationMs?: number): void {
    if (this.#state !== 'HALF_OPEN') {
      this.#failures = 0;
      return;
    }
    this.#tell('risk.circuit_breaker.success', {
      'risk.circuit_breaker.result': 'success',
      ...failureAttributes({ error: undefined, durationMs }),
    });
  }

  refused(code: string): void {
    this.#tell('risk.circuit_breaker.not_permitted', { 'risk.reason.code': code });
  }

  #tell(name: string, attributes: Readonly<Record<string, unknown>>): void {
    const host = findHost();
    if (host === undefined) return;
    guarded(host, `${this.#library} breaker`, () => {
      record(host, {
        name,
        attributes: {
          'risk.circuit_breaker.name': this.#name,
          'risk.component': `${FOREIGN_BREAKER}${this.#library}`,
          ...attributes,
        },
      } as never);
    });
  }
}
