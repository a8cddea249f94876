/** Orders of any other client: which of its methods place, change or cancel one, and what their arguments mean, is told by hand. */
import { findHost, guarded, type InstrumentationHost, machineClock, record } from './host.ts';

/** An order, as a mapping reads it from arguments or from an answer. */
export interface BrokerOrder {
  readonly symbol?: string | undefined;
  readonly side?: 'buy' | 'sell' | undefined;
  readonly quantity?: number | string | undefined;
  readonly price?: number | string | undefined;
  readonly type?: string | undefined;
  readonly orderId?: string | undefined;
  readonly clientOrderId?: string | undefined;
  /** The venue's word: `rejected`, `filled`, `closed` and `canceled` mean what they say; `unknown`, that it could not tell. */
  readonly status?: string | undefined;
  /** Why it is rejected or unknown, where an answer says so without an error. */
  readonly refusal?: BrokerError | undefined;
  readonly timeInForce?: string | undefined;
  /** Quantity filled so far, and its average price. */
  readonly filled?: number | string | undefined;
  readonly averagePrice?: number | string | undefined;
  readonly reduceOnly?: boolean | undefined;
}

/** What is recorded of an error: nothing else of it is. */
export interface BrokerError {
  readonly type?: string | undefined;
  readonly code?: string | undefined;
  readonly message?: string | undefined;
}

export type AnyMethod = (...args: never[]) => unknown;

/** What one method does. */
export interface BrokerMethod<F extends AnyMethod> {
  /** `create` and `edit` take an order, `cancel` names one (or none: all), `call` is told as `api.call` alone. */
  readonly kind: 'create' | 'edit' | 'cancel' | 'call';
  /** The order that the arguments are about. */
  readonly order?: (...args: Parameters<F>) => BrokerOrder;
  /** What the answer tells of it. */
  readonly answer?: (result: Awaited<ReturnType<F>>) => BrokerOrder;
  /**
   * Whether a failure means that the venue refused, or that nobody knows. Default: an error of HTTP status 4xx (but 408) was a
   * refusal; of every other one nobody knows.
   */
  readonly failure?: (error: unknown) => 'rejected' | 'unknown';
  /** What is to be recorded of an error. Default: its name and message. */
  readonly error?: (error: unknown) => BrokerError;
}

/** The methods of a client that are told of, by name. */
export type BrokerMapping<C extends object> = {
  readonly [K in keyof C as C[K] extends AnyMethod ? K : never]?: C[K] extends AnyMethod ? BrokerMethod<C[K]> : never;
};

export interface BrokerOptions {
  /** Name of the venue, as `trading.venue`. */
  readonly venue: string;
}

type Attributes = Record<string, unknown>;

/**
 * Tells of a client's orders: the intent before the call, then what became of it. The client's methods are wrapped in place;
 * what they return or throw passes through. With `durability: 'disk'` an order's call begins once its intent is on disk, and
 * returns a promise whatever it returned before.
 * @param client any object with methods
 * @returns the client
 * @example
 * instrumentBroker(client, { venue: 'desk' }, {
 *   placeOrder: {
 *     kind: 'create',
 *     order: (order) => ({ symbol: order.ticker, side: order.side, quantity: order.shares }),
 *     answer: ({ id }) => ({ orderId: id }),
 *   },
 * });
 */
export function instrumentBroker<C extends object>(client: C, options: BrokerOptions, mapping: BrokerMapping<C>): C {
  for (const [name, method] of Object.entries(mapping) as [string, BrokerMethod<AnyMethod> | undefined][]) {
    const original = (client as Record<string, unknown>)[name];
    if (typeof original !== 'function' || method === undefined) continue;
    const wrapper = function (this: unknown, ...args: unknown[]): unknown {
      const host = findHost();
      const run = () => original.apply(this, args) as unknown;
      if (host === undefined) return run();
      return host.withContext({ venue: options.venue }, () => tellCall(host, options.venue, name, method, args, run));
    };
    Object.defineProperty(wrapper, 'name', { value: name, configurable: true });
    Object.defineProperty(client, name, { value: wrapper, writable: true, configurable: true, enumerable: false });
  }
  return client;
}

function attributesOf(order: BrokerOrder | undefined): Attributes {
  const attributes: Attributes = {
    'trading.symbol': order?.symbol,
    'trading.side': order?.side,
    'trading.quantity': order?.quantity,
    'trading.price': order?.price,
    'trading.order.type': order?.type,
    'trading.order.id': order?.orderId,
    'trading.order.client_id': order?.clientOrderId,
    'trading.order.status': order?.status,
    'trading.order.reduce_only': order?.reduceOnly,
    'trading.order.time_in_force': order?.timeInForce,
  };
  for (const name of Object.keys(attributes)) if (attributes[name] === undefined) delete attributes[name];
  return attributes;
}

/** Runs a call of a venue's client and tells of it. What `run` returns or throws passes through. */
export function tellCall(
  host: InstrumentationHost,
  venue: string,
  operation: string,
  method: BrokerMethod<AnyMethod>,
  args: readonly unknown[],
  run: () => unknown,
): unknown {
  const asked: Attributes = { 'trading.venue': venue, operation };
  guarded(host, 'broker', () => Object.assign(asked, attributesOf(method.order?.(...(args as never[])))));
  const go = (intent: string | undefined) => {
    const outcome = new BrokerOutcome(host, method, asked, intent);
    return settled(run, outcome);
  };
  if (method.kind !== 'create') return go(undefined);
  if (host.settings.durability === 'disk') {
    return host.writeAhead('order.intent' as never, asked as never, ({ recordId }) => go(recordId));
  }
  return go(record(host, { name: 'order.intent', attributes: asked } as never));
}

/** What a method that returned no promise gives is its end; a promise is waited for beside its caller. */
function settled(run: () => unknown, outcome: BrokerOutcome): unknown {
  let result: unknown;
  try {
    result = run();
  } catch (error) {
    outcome.failed(error);
    throw error;
  }
  if (!(result instanceof Promise)) {
    outcome.done(result);
    return result;
  }
  return result.then(
    (value) => {
      outcome.done(value);
      return value;
    },
    (error) => {
      outcome.failed(error);
      throw error;
    },
  );
}

class BrokerOutcome {
  readonly #host: InstrumentationHost;
  readonly #method: BrokerMethod<AnyMethod>;
  readonly #asked: Attributes;
  readonly #intent: string | undefined;
  readonly #beganMs = machineClock.monotonic();

  constructor(
    host: InstrumentationHost,
    method: BrokerMethod<AnyMethod>,
    asked: Attributes,
    intent: string | undefined,
  ) {
    this.#host = host;
    this.#method = method;
    this.#asked = asked;
    this.#intent = intent;
  }

  done(result: unknown): void {
    guarded(this.#host, 'broker', () => {
      const answer = this.#method.answer?.(result as never);
      const attributes = { ...this.#asked, ...attributesOf(answer), ...this.#measured() };
      if (answer?.refusal !== undefined) {
        this.#failed(answer.status === 'unknown', attributes, errorOf(answer.refusal));
        return;
      }
      if (this.#method.kind === 'create') this.#created(answer, attributes);
      else if (this.#method.kind === 'edit') this.#tell('order.edited', attributes);
      else if (this.#method.kind === 'cancel') this.#tell('order.cancelled', attributes);
      this.#called({});
    });
  }

  #created(answer: BrokerOrder | undefined, attributes: Attributes): void {
    if (answer?.status === 'rejected') {
      this.#tell('order.rejected', attributes);
      return;
    }
    this.#tell('order.placed', attributes);
    if (answer?.filled === undefined || !(Number(answer.filled) > 0)) return;
    const { 'timing.duration_ms': _duration, 'risk.cause.record_id': _intent, ...about } = attributes;
    this.#tell('order.filled', {
      ...about,
      'trading.quantity': answer.filled,
      'trading.order.filled_quantity': answer.filled,
      ...(answer.averagePrice === undefined ? {} : { 'trading.price': answer.averagePrice }),
    });
  }

  failed(error: unknown): void {
    guarded(this.#host, 'broker', () => {
      const about = errorOf(
        this.#method.error?.(error) ?? {
          type: error instanceof Error ? error.name : typeof error,
          message: error instanceof Error ? error.message : String(error),
        },
      );
      const unknown = (this.#method.failure?.(error) ?? failureOf(error)) === 'unknown';
      this.#failed(unknown, { ...this.#asked, ...this.#measured() }, about);
    });
  }

  #failed(unknown: boolean, attributes: Attributes, about: Attributes): void {
    const { kind } = this.#method;
    if (kind !== 'call' && unknown) this.#tell('order.outcome_unknown', { ...attributes, ...about });
    else if (kind === 'create') this.#tell('order.rejected', { ...attributes, ...about });
    else {
      const { operation, 'trading.venue': venue, 'trading.order.id': id, 'trading.symbol': symbol } = this.#asked;
      this.#tell('api.error', {
        ...{ operation, 'trading.venue': venue, ...this.#measured(), ...about },
        ...(id === undefined ? {} : { 'trading.order.id': id }),
        ...(symbol === undefined ? {} : { 'trading.symbol': symbol }),
      });
    }
    this.#called(about);
  }

  #measured(): Attributes {
    return {
      'timing.duration_ms': Math.round((machineClock.monotonic() - this.#beganMs) * 1000) / 1000,
      ...(this.#intent === undefined ? {} : { 'risk.cause.record_id': this.#intent }),
    };
  }

  #called(more: Attributes): void {
    const { operation, 'trading.venue': venue } = this.#asked;
    const { 'risk.cause.record_id': _intent, ...duration } = this.#measured();
    this.#tell('api.call', { operation, 'trading.venue': venue, ...duration, ...more });
  }

  #tell(name: string, attributes: Attributes): void {
    record(this.#host, { name, attributes } as never);
  }
}

function errorOf({ type, code, message }: BrokerError): Attributes {
  return {
    ...(type === undefined ? {} : { 'error.type': type }),
    ...(code === undefined ? {} : { 'error.code': code }),
    ...(message === undefined ? {} : { 'error.message': message }),
  };
}

/** A venue that answered with a client's error has refused; what it never answered may have been executed. */
function failureOf(error: unknown): 'rejected' | 'unknown' {
  const from = (error ?? {}) as { status?: unknown; statusCode?: unknown; response?: { status?: unknown } };
  const status = Number(from.status ?? from.statusCode ?? from.response?.status);
  return status >= 400 && status < 500 && status !== 408 ? 'rejected' : 'unknown';
}
