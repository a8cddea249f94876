/** Clients whose every request goes through one method of a base class: what a request is, its verb and address say. */
import { type AnyMethod, type BrokerMethod, tellCall } from '../broker.ts';
import { findHost } from '../host.ts';

/** What a request does; undefined where it is no order's. */
export type RequestKind = 'create' | 'edit' | 'cancel';

export interface RestClient {
  readonly venue: string;
  readonly kindOf: (verb: string, endpoint: string) => RequestKind | undefined;
  /** By the parameters of the request, and its answer. */
  readonly method: Pick<BrokerMethod<AnyMethod>, 'failure' | 'error'> & {
    readonly order: NonNullable<BrokerMethod<(params: Readonly<Record<string, unknown>>) => unknown>['order']>;
    readonly answer: NonNullable<BrokerMethod<AnyMethod>['answer']>;
  };
}

type Call = (this: object, verb: unknown, endpoint: unknown, params: unknown, ...rest: unknown[]) => unknown;

const PATCHED = Symbol.for('risktrail.rest.patched');

/** Wraps `_call` of the class, once. @param found the class, or a module that has it as its default export */
export function instrumentRestClient(found: unknown, client: RestClient): void {
  const base = classOf(found);
  const original = base?.prototype['_call'];
  if (base === undefined || typeof original !== 'function' || Object.hasOwn(base.prototype, PATCHED)) return;
  Object.defineProperty(base.prototype, PATCHED, { value: true });
  const wrapper: Call = function _call(verb, endpoint, params, ...rest) {
    return tellRequest(client, verb, endpoint, params, () =>
      (original as Call).call(this, verb, endpoint, params, ...rest),
    );
  };
  Object.defineProperty(base.prototype, '_call', { value: wrapper, writable: true, configurable: true });
}

/** Runs one request and tells of it. What `run` returns or throws passes through. */
export function tellRequest(
  client: RestClient,
  verb: unknown,
  endpoint: unknown,
  params: unknown,
  run: () => unknown,
): unknown {
  const host = findHost();
  if (host === undefined) return run();
  const [name, address] = [String(verb), String(endpoint).replace(/^\/+/, '')];
  const kind = client.kindOf(name, address);
  const { method } = client;
  const told =
    kind === undefined ? { kind: 'call' as const, error: method.error, failure: method.failure } : { kind, ...method };
  const args = [typeof params === 'object' && params !== null ? params : {}];
  return host.withContext({ venue: client.venue }, () =>
    tellCall(host, client.venue, `${name} ${address}`, told as BrokerMethod<AnyMethod>, args, run),
  );
}

/** The class that has `_call` itself: clients inherit it. */
function classOf(found: unknown): { readonly prototype: Record<string, unknown> } | undefined {
  const first = typeof found === 'function' ? found : (found as { default?: unknown } | null)?.default;
  for (let at: unknown = first; typeof at === 'function'; at = Object.getPrototypeOf(at)) {
    const { prototype } = at as unknown as { prototype?: Record<string, unknown> };
    if (prototype !== undefined && Object.hasOwn(prototype, '_call')) return { prototype };
  }
  return undefined;
}
