/**
 * ccxt: one record per unified call, whatever the nesting. The seam is `afterConstruct` of the base class (before ccxt 4,
 * `initRestRateLimiter`), which runs in the constructor of every exchange, of Pro ones and of the program's own subclasses,
 * in the ESM and the CommonJS copy alike: `createOrder` itself is overridden by most exchanges, so that a patch of the base
 * class alone would see few of them.
 * At the first object of a class, the methods of its prototypes are wrapped, each prototype once.
 */
import { findHost, guarded, type InstrumentationHost, machineClock, type OrderCheck, startingHost } from '../host.ts';
import { beginCall, type CallScope, type CcxtCall, scopes } from './call.ts';
import { failureOf } from './errors.ts';
import { rateLimitOf } from './rate-limit.ts';
import {
  changesOf,
  createOutcome,
  fillBook,
  intentsOf,
  type Outcome,
  outcomeOf,
  rateLimited,
  retried,
  venueOf,
} from './records.ts';
import { type CallKind, isUnifiedName, kindOf } from './signatures.ts';

type Method = (this: object, ...args: unknown[]) => unknown;
type Prototype = Record<string, unknown>;

/** The base class, and what of it is wrapped. */
interface BaseClass {
  readonly prototype: Prototype;
}

/** What a program has as `ccxt`: the module's namespace, its default export, or the base class's own module. */
export interface CcxtModule {
  readonly BaseExchange?: unknown;
  readonly Exchange?: unknown;
  readonly default?: unknown;
}

const PATCHED = Symbol.for('risktrail.ccxt.patched');
/** Methods of the base class that its constructor calls last, the first that there is. */
const SEAMS = ['afterConstruct', 'initRestRateLimiter'] as const;
/** Original → wrapped, for the aliases in snake case that each object's constructor makes before it is seen. */
const wrapped = new WeakMap<Method, Method>();

/**
 * Wraps the exchanges of a copy of ccxt: for bundles, which no hook sees. Objects that exist already stay as they are: call it
 * before the first is made. Again does nothing.
 * @returns the module that was given
 * @example
 * import ccxt from 'ccxt';
 * import { instrumentCcxt } from 'risktrail/instrumentation';
 * instrumentCcxt(ccxt);
 */
export function instrumentCcxt<T extends CcxtModule>(ccxt: T): T {
  const base = baseOf(ccxt);
  if (base === undefined || Object.hasOwn(base.prototype, PATCHED)) return ccxt;
  const { prototype } = base;
  Object.defineProperty(prototype, PATCHED, { value: true });
  patch(prototype, SEAMS.find((name) => Object.hasOwn(prototype, name))!, afterConstruct);
  patch(prototype, 'throttle', throttle);
  patch(prototype, 'fetch2', fetch2);
  patch(prototype, 'fetch', fetch);
  // The newer ones read the headers in a method of its own: what it has read need not be read again.
  if (typeof prototype['getResponseHeaders'] === 'function') patch(prototype, 'getResponseHeaders', getResponseHeaders);
  else patch(prototype, 'handleRestResponse', handleRestResponse);
  patch(prototype, 'loadMarkets', loadMarkets);
  return ccxt;
}

function baseOf(ccxt: CcxtModule): BaseClass | undefined {
  for (const found of [ccxt.BaseExchange, ccxt.Exchange]) {
    // Up to the class that has the seam itself.
    for (let at: unknown = found; typeof at === 'function'; at = Object.getPrototypeOf(at)) {
      const { prototype } = at as unknown as Partial<BaseClass>;
      if (prototype !== undefined && SEAMS.some((name) => Object.hasOwn(prototype, name))) return { prototype };
    }
  }
  const { default: inner } = ccxt;
  return typeof inner === 'object' && inner !== null && inner !== ccxt ? baseOf(inner as CcxtModule) : undefined;
}

function patch(prototype: Prototype, name: string, make: (original: Method) => Method): void {
  const original = prototype[name];
  if (typeof original !== 'function') return;
  replace(prototype, name, original as Method, make(original as Method));
}

function replace(prototype: Prototype, name: string, original: Method, wrapper: Method): void {
  Object.defineProperty(wrapper, 'name', { value: original.name, configurable: true });
  Object.defineProperty(wrapper, 'length', { value: original.length, configurable: true });
  const before = Object.getOwnPropertyDescriptor(prototype, name);
  Object.defineProperty(prototype, name, { ...before, value: wrapper });
  wrapped.set(original, wrapper);
}

const afterConstruct = (original: Method): Method =>
  function (this: object, ...args) {
    const result = original.apply(this, args);
    guarded(findHost(), 'ccxt', () => wrapPrototypes(this));
    return result;
  };

const seen = new WeakSet<object>();

function wrapPrototypes(exchange: object): void {
  let anew = false;
  for (
    let at = Object.getPrototypeOf(exchange);
    at !== null && at !== Object.prototype;
    at = Object.getPrototypeOf(at)
  ) {
    if (seen.has(at)) continue;
    seen.add(at);
    anew = true;
    wrapMethods(at, exchange);
  }
  // The constructor has copied the methods under names in snake case already.
  if (!anew) return;
  for (const name of Object.keys(exchange)) {
    const value = (exchange as Prototype)[name];
    const wrapper = typeof value === 'function' ? wrapped.get(value as Method) : undefined;
    if (wrapper !== undefined) (exchange as Prototype)[name] = wrapper;
  }
}

const isAsync = (value: Method) => value.constructor.name === 'AsyncFunction';

function wrapMethods(prototype: Prototype, exchange: object): void {
  const owner = (prototype['constructor'] as { name?: string } | undefined)?.name;
  // A subclass of the program's own may have methods of its own that place several orders: those orders are what counts.
  const ofLibrary =
    owner === venueOf(exchange) || owner === 'Exchange' || owner === 'BaseExchange' || owner?.endsWith('Rest') === true;
  for (const name of Object.getOwnPropertyNames(prototype)) {
    const kind = kindOf(name);
    if (kind === undefined) continue;
    const { value } = Object.getOwnPropertyDescriptor(prototype, name) ?? {};
    if (typeof value !== 'function') continue;
    if (isUnifiedName(name) || (ofLibrary && isAsync(value))) {
      replace(prototype, name, value, unified(name, kind, value));
    }
  }
}

/** A unified call. Within another one of the same exchange it is a part of that one. */
function unified(name: string, kind: CallKind, original: Method): Method {
  return function (this: object, ...args) {
    if (scopes.getStore()?.call.exchange === this) return original.apply(this, args);
    const host = findHost();
    if (host !== undefined) return recorded(host, this, name, kind, original, args);
    const starting = startingHost();
    if (starting === undefined) return original.apply(this, args);
    return starting.then(() => {
      const started = findHost();
      return started === undefined ? original.apply(this, args) : recorded(started, this, name, kind, original, args);
    });
  };
}

function recorded(
  host: InstrumentationHost,
  exchange: object,
  name: string,
  kind: CallKind,
  original: Method,
  args: unknown[],
): unknown {
  const call = beginCall(exchange, name);
  const run = () => scopes.run({ call, loading: false, request: undefined }, () => original.apply(exchange, args));
  // A stream is waited on for long, and each of its answers is another piece of work.
  if (kind === 'watch') return ended(host, outcomeOf(host, call, kind, args), run);
  const symbol = kind === 'create' ? args[0] : undefined;
  const context = { venue: venueOf(exchange), ...(typeof symbol === 'string' ? { symbol } : {}) };
  return host.withContext(context, () => {
    if (kind === 'create') return created(host, call, args, run);
    if (kind === 'edit') return edited(host, call, args, run);
    return ended(host, shown(host, call, kind, args), run);
  });
}

/** The intents of all orders, then the call. */
async function created(
  host: InstrumentationHost,
  call: CcxtCall,
  args: readonly unknown[],
  run: () => unknown,
): Promise<unknown> {
  let before: ReturnType<typeof intentsOf> = [];
  const intents: (string | undefined)[] = [];
  guarded(host, 'ccxt intent', () => {
    before = intentsOf(call.exchange, call.operation, args);
    fillBook(call.exchange);
    host.knowExchange?.(call.exchange);
  });
  const check = host.checkOrders?.(call.exchange, before);
  if (check?.refusal !== undefined) throw check.refusal;
  guarded(host, 'ccxt intent', () => {
    for (const one of before.slice(0, -1)) intents.push(host.emit('order.intent' as never, one as never));
  });
  const last = before.at(-1);
  const outcome = () => watched(createOutcome(host, call, before, intents), check);
  if (last === undefined) return ended(host, outcome(), run);
  return host.writeAhead('order.intent' as never, last as never, ({ recordId }) => {
    intents.push(recordId);
    return ended(host, outcome(), run);
  });
}

/** Changes of orders: rules stand in front of them, too. */
async function edited(
  host: InstrumentationHost,
  call: CcxtCall,
  args: readonly unknown[],
  run: () => unknown,
): Promise<unknown> {
  let check: OrderCheck | undefined;
  guarded(host, 'ccxt edit', () => {
    check = host.checkOrders?.(call.exchange, changesOf(call.exchange, call.operation, args), 'edit');
  });
  if (check?.refusal !== undefined) throw check.refusal;
  return ended(host, watched(outcomeOf(host, call, 'edit', args), check), run);
}

/** How the end of a call is told; what a read shows is told to the rules, too. */
function shown(
  host: InstrumentationHost,
  call: CcxtCall,
  kind: Exclude<CallKind, 'create'>,
  args: readonly unknown[],
): Outcome {
  const outcome = outcomeOf(host, call, kind, args);
  if (host.sawRead === undefined || (kind !== 'read' && kind !== 'other')) return outcome;
  return {
    done(result) {
      host.sawRead?.(call.exchange, call.operation, args, result);
      outcome.done(result);
    },
    failed: (error) => outcome.failed(error),
  };
}

/** Tells the rules that let the orders pass what came of them. */
function watched(outcome: Outcome, check: OrderCheck | undefined): Outcome {
  if (check?.done === undefined) return outcome;
  return {
    done(result) {
      check.done?.(false, undefined);
      outcome.done(result);
    },
    failed(error) {
      check.done?.(true, error);
      outcome.failed(error);
    },
  };
}

async function ended(host: InstrumentationHost, outcome: Outcome, run: () => unknown): Promise<unknown> {
  let result: unknown;
  try {
    result = await run();
  } catch (error) {
    guarded(host, 'ccxt outcome', () => outcome.failed(error));
    throw error;
  }
  guarded(host, 'ccxt outcome', () => outcome.done(result));
  return result;
}

const loadMarkets = (original: Method): Method =>
  function (this: object, ...args) {
    const scope = scopes.getStore();
    // Where they are loaded nothing is sent.
    const isLoaded = !args[0] && (this as { markets?: unknown }).markets != null;
    if (scope === undefined || isLoaded) return original.apply(this, args);
    return scopes.run({ ...scope, loading: true }, () => original.apply(this, args));
  };

const throttle = (original: Method): Method =>
  function (this: object, ...args) {
    const scope = scopes.getStore();
    const result = original.apply(this, args);
    if (scope === undefined || scope.call.exchange !== this) return result;
    const beganMs = machineClock.monotonic();
    return Promise.resolve(result).finally(() => {
      scope.call.throttleMs += machineClock.monotonic() - beganMs;
    });
  };

/** One request of the exchange's API with its attempts; outside of a unified call it is a call of its own. */
const fetch2 = (original: Method): Method =>
  function (this: object, ...args) {
    const [path, , method] = args;
    const scope = scopes.getStore();
    if (scope !== undefined && scope.call.exchange === this) return attempted(scope, this, original, args);
    const host = findHost();
    if (host === undefined) return original.apply(this, args);
    const call = beginCall(this, `${String(method ?? 'GET')} ${String(path)}`);
    const own: CallScope = { call, loading: false, request: undefined };
    return host.withContext({ venue: venueOf(this) }, () =>
      ended(host, outcomeOf(host, call, 'other', []), () =>
        scopes.run(own, () => attempted(own, this, original, args)),
      ),
    );
  };

async function attempted(scope: CallScope, exchange: object, original: Method, args: unknown[]): Promise<unknown> {
  const { call } = scope;
  const request = { attempts: 0, isPublicRead: isPublicRead(args[1], args[2]) };
  const throttledMs = call.throttleMs;
  const isAlone = scope.request === undefined;
  const beganMs = machineClock.monotonic();
  try {
    if (!isAlone) return await scopes.run({ ...scope, request }, () => original.apply(exchange, args));
    scope.request = request;
    return await original.apply(exchange, args);
  } finally {
    if (isAlone) scope.request = undefined;
    call.attemptsMs += machineClock.monotonic() - beganMs - (call.throttleMs - throttledMs);
  }
}

/** `api` is a name such as `private`, or a path of names such as `['v1', 'public']`. */
function isPublicRead(api: unknown, method: unknown): boolean {
  const name = Array.isArray(api) ? api.join('.') : String(api);
  return String(method ?? 'GET') === 'GET' && /public/i.test(name);
}

/** One attempt: one HTTP request. */
const fetch = (original: Method): Method =>
  function (this: object, ...args) {
    const scope = scopes.getStore();
    if (scope === undefined || scope.call.exchange !== this) return original.apply(this, args);
    return attempt(scope, () => original.apply(this, args));
  };

async function attempt(scope: CallScope, send: () => unknown): Promise<unknown> {
  const { call, request, loading } = scope;
  const host = findHost();
  call.attempts++;
  if (request !== undefined && request.attempts++ > 0) {
    call.retries++;
    if (host !== undefined) retried(host, call, request.attempts - 1);
  }
  const changes = !loading && request?.isPublicRead !== true;
  if (changes) call.sent = true;
  call.status = undefined;
  call.retryAfterMs = undefined;
  const beganMs = machineClock.monotonic();
  try {
    return await send();
  } catch (error) {
    if (changes && failureOf(error, call.status) === 'unknown') call.uncertain = true;
    if (host !== undefined) rateLimited(host, call, error);
    throw error;
  } finally {
    call.httpMs += machineClock.monotonic() - beganMs;
  }
}

type Response = { readonly status?: unknown; readonly headers?: unknown } | undefined;

/** Its arguments are of this answer alone, where `last_response_headers` may be another call's. */
const handleRestResponse = (original: Method): Method =>
  function (this: object, ...args) {
    const response = args[0] as Response;
    noteAnswer(this, response, response?.headers);
    return original.apply(this, args);
  };

const getResponseHeaders = (original: Method): Method =>
  function (this: object, ...args) {
    const headers = original.apply(this, args);
    noteAnswer(this, args[0] as Response, headers);
    return headers;
  };

function noteAnswer(exchange: object, response: Response, headers: unknown): void {
  const scope = scopes.getStore();
  if (scope === undefined || scope.call.exchange !== exchange) return;
  guarded(findHost(), 'ccxt response', () => {
    const { call } = scope;
    const { remaining, limit, used, retryAfterMs } = rateLimitOf(headers);
    if (typeof response?.status === 'number') call.status = response.status;
    call.remaining = remaining ?? call.remaining;
    call.limit = limit ?? call.limit;
    call.used = used ?? call.used;
    call.retryAfterMs = retryAfterMs;
  });
}
