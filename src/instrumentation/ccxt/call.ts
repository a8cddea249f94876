/** One unified call under way: what it waited for, what it sent, and what the venue said of its rate limit. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { machineClock } from '../host.ts';

/** Filled in while the call runs. */
export interface CcxtCall {
  readonly exchange: object;
  /** The method that the program called. */
  readonly operation: string;
  readonly startMs: number;
  /** Time in ccxt's own queue, which keeps to the venue's rate limit. */
  throttleMs: number;
  /** Time of all attempts, pauses between them included. */
  attemptsMs: number;
  /** Time of the HTTP requests alone. */
  httpMs: number;
  attempts: number;
  /** Attempts that were made again. */
  retries: number;
  /** A request that may change something was begun. */
  sent: boolean;
  /** One of those failed without an answer that tells what became of it. */
  uncertain: boolean;
  status: number | undefined;
  remaining: number | undefined;
  limit: number | undefined;
  used: number | undefined;
  retryAfterMs: number | undefined;
}

/** Where in a call the code is. */
export interface CallScope {
  readonly call: CcxtCall;
  /** Within `loadMarkets`: nothing that is sent there is an order. */
  readonly loading: boolean;
  /** The request that is under way, with its attempts so far. */
  readonly request: { attempts: number; readonly isPublicRead: boolean } | undefined;
}

export const scopes = new AsyncLocalStorage<CallScope>();

/** Within a reconciliation of orders, which tells of the fills that its reads show. */
export const readingOrders = new AsyncLocalStorage<true>();

export function beginCall(exchange: object, operation: string): CcxtCall {
  return {
    exchange,
    operation,
    startMs: machineClock.monotonic(),
    ...{
      throttleMs: 0,
      attemptsMs: 0,
      httpMs: 0,
      attempts: 0,
      retries: 0,
      sent: false,
      uncertain: false,
      status: undefined,
    },
    ...{ remaining: undefined, limit: undefined, used: undefined, retryAfterMs: undefined },
  };
}

/** Milliseconds to three places: more is noise. */
const rounded = (ms: number) => Math.round(ms * 1000) / 1000;

/** How long it took, in its three parts; parts that were not seen are left out. */
export function durations(call: CcxtCall) {
  return {
    'timing.duration_ms': rounded(machineClock.monotonic() - call.startMs),
    ...(call.attempts === 0
      ? {}
      : {
          'api.throttle_wait_ms': rounded(call.throttleMs),
          'api.attempts_ms': rounded(call.attemptsMs),
          'api.http_ms': rounded(call.httpMs),
        }),
    ...(call.retries > 0 ? { 'retry.count': call.retries } : {}),
  };
}

/** What the venue said of its rate limit. */
export function rateLimitAttributes(call: CcxtCall) {
  return {
    ...(call.remaining === undefined ? {} : { 'api.rate_limit.remaining': call.remaining }),
    ...(call.limit === undefined ? {} : { 'api.rate_limit.limit': call.limit }),
    ...(call.used === undefined ? {} : { 'api.rate_limit.used': call.used }),
  };
}

/** HTTP status of the newest answer. */
export const statusAttributes = (call: CcxtCall) =>
  call.status === undefined ? {} : { 'http.response.status_code': call.status };
