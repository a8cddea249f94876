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
  /** The request that is under way, with its attempts so far; one beside it, or within it, has a scope of its own. */
  request: { attempts: number; readonly isPublicRead: boolean } | undefined;
}

export const scopes = new AsyncLocalStorage<CallScope>();

/** Within a reconciliation of orders, which tells of the fills that its reads show. */
export const readingOrders = new AsyncLocalStorage<true>();

export function beginCall(exchange: object, operation: string): CcxtCall {
  return {
    exchange,
    operation,
    startMs: machineClock.monotonic(),
    throttleMs: 0,
    attemptsMs: 0,
    httpMs: 0,
    attempts: 0,
    retries: 0,
    sent: false,
    uncertain: false,
    status: undefined,
    remaining: undefined,
    limit: undefined,
    used: undefined,
    retryAfterMs: undefined,
  };
}

/** Milliseconds to three places: more is noise. */
const rounded = (ms: number) => Math.round(ms * 1000) / 1000;

type Attributes = Record<string, unknown>;

/** How long it took, in its three parts; parts that were not seen are left out. @returns `to`, with these */
export function putDurations(to: Attributes, call: CcxtCall): Attributes {
  to['timing.duration_ms'] = rounded(machineClock.monotonic() - call.startMs);
  if (call.attempts > 0) {
    to['api.throttle_wait_ms'] = rounded(call.throttleMs);
    to['api.attempts_ms'] = rounded(call.attemptsMs);
    to['api.http_ms'] = rounded(call.httpMs);
  }
  if (call.retries > 0) to['retry.count'] = call.retries;
  return to;
}

/** What the venue said of its rate limit. @returns `to`, with these */
export function putRateLimit(to: Attributes, call: CcxtCall): Attributes {
  if (call.remaining !== undefined) to['api.rate_limit.remaining'] = call.remaining;
  if (call.limit !== undefined) to['api.rate_limit.limit'] = call.limit;
  if (call.used !== undefined) to['api.rate_limit.used'] = call.used;
  return to;
}

export const durations = (call: CcxtCall): Attributes => putDurations({}, call);

export const rateLimitAttributes = (call: CcxtCall): Attributes => putRateLimit({}, call);

/** HTTP status of the newest answer. */
export const statusAttributes = (call: CcxtCall) =>
  call.status === undefined ? {} : { 'http.response.status_code': call.status };
