/**
 * `@alpacahq/alpaca-trade-api`: in 4 orders go through `OrdersApi`, whatever convenience is used; in 3 every request goes
 * through `sendRequest` of the client. https://docs.alpaca.markets/reference/postorder
 */
import { type BrokerMapping, type BrokerOrder, instrumentBroker } from '../broker.ts';
import { amountOf, answerOf, describe, given, sideOf, textOf, unanswered } from './axios-errors.ts';
import { type RequestKind, type RestClient, tellRequest } from './rest-call.ts';

type Fields = Readonly<Record<string, unknown>>;
type Method = (parameters: Fields) => Promise<unknown>;

interface OrdersApi {
  postOrder: Method;
  patchOrderByOrderId: Method;
  deleteOrderByOrderID: Method;
  deleteAllOrders: Method;
}

const PATCHED = Symbol.for('risktrail.alpaca.patched');

function order(from: Fields = {}): BrokerOrder {
  return given({
    symbol: textOf(from['symbol']),
    side: sideOf(from['side']),
    quantity: amountOf(from['qty'] ?? from['notional']),
    price: amountOf(from['limitPrice'] ?? from['limit_price']),
    type: textOf(from['type']),
    orderId: textOf(from['orderId']),
    clientOrderId: textOf(from['clientOrderId'] ?? from['client_order_id']),
    timeInForce: textOf(from['timeInForce'] ?? from['time_in_force']),
  });
}

function answer(result: unknown): BrokerOrder {
  const from = (result ?? {}) as Fields;
  const filled = from['filledQty'] ?? from['filled_qty'];
  return given({
    orderId: textOf(from['id']),
    clientOrderId: textOf(from['clientOrderId'] ?? from['client_order_id']),
    status: textOf(from['status']),
    ...(Number(filled) > 0
      ? { filled: amountOf(filled), averagePrice: amountOf(from['filledAvgPrice'] ?? from['filled_avg_price']) }
      : {}),
  });
}

/** An answer that is no success is an error with its status; one without was never answered. */
function failure(error: unknown): 'rejected' | 'unknown' {
  const { status, cause, name } = (error ?? {}) as { status?: unknown; cause?: unknown; name?: unknown };
  if (typeof status === 'number') return status >= 400 && status < 500 && status !== 408 ? 'rejected' : 'unknown';
  if (name === 'RequiredError') return 'rejected';
  for (let at: unknown = cause; typeof at === 'object' && at !== null; at = (at as { cause?: unknown }).cause) {
    if ((at as { code?: unknown }).code === 'ECONNREFUSED') return 'rejected';
  }
  return 'unknown';
}

const told = { failure, error: describe };

const MAPPING: BrokerMapping<OrdersApi> = {
  postOrder: { kind: 'create', order: (given) => order(given['postOrderRequest'] as Fields), answer, ...told },
  patchOrderByOrderId: {
    kind: 'edit',
    order: (given) => ({ ...order(given['patchOrderRequest'] as Fields), orderId: textOf(given['orderId']) }),
    // An edited order is a new one, of an id of its own.
    answer: () => ({}),
    ...told,
  },
  deleteOrderByOrderID: { kind: 'cancel', order: (given) => ({ orderId: textOf(given['orderId']) }), ...told },
  deleteAllOrders: { kind: 'cancel', ...told },
};

type SendRequest = (this: object, endpoint: unknown, query: unknown, body: unknown, verb: unknown) => unknown;

const ORDERS = /^orders(?:\/([^/]+))?$/;
const VERBS: Readonly<Record<string, RequestKind>> = { PATCH: 'edit', DELETE: 'cancel' };

/** By what axios throws: a client's error is a refusal. */
function refused(error: unknown): 'rejected' | 'unknown' {
  const { status } = (error as { response?: { status?: unknown } } | null)?.response ?? {};
  if (typeof status === 'number') return status >= 400 && status < 500 && status !== 408 ? 'rejected' : 'unknown';
  return answerOf(error) === undefined ? unanswered(error) : 'unknown';
}

const REST: RestClient = {
  venue: 'alpaca',
  kindOf(verb, endpoint) {
    const [path, id] = ORDERS.exec(endpoint) ?? [];
    if (path === undefined) return undefined;
    return verb === 'POST' && id === undefined ? 'create' : VERBS[verb];
  },
  method: {
    order,
    // An edited order is a new one, of an id of its own.
    answer: (result) => (typeof (result as Fields | null)?.['replaces'] === 'string' ? {} : answer(result)),
    failure: refused,
    error: describe,
  },
};

function instrumentClient(prototype: Record<string, unknown>): void {
  const original = prototype['sendRequest'] as SendRequest;
  const wrapper: SendRequest = function sendRequest(endpoint, query, body, verb) {
    const id = ORDERS.exec(String(endpoint).replace(/^\/+/, ''))?.[1];
    const params = { ...(body as object | null), ...(id === undefined ? {} : { orderId: id }) };
    return tellRequest(REST, verb ?? 'GET', endpoint, params, () => original.call(this, endpoint, query, body, verb));
  };
  Object.defineProperty(prototype, 'sendRequest', { value: wrapper, writable: true, configurable: true });
}

/**
 * Records the orders of a copy of `@alpacahq/alpaca-trade-api`: for bundles, which no hook sees.
 * @param alpaca what the package exports
 * @returns what was given
 */
export function instrumentAlpaca<T>(alpaca: T): T {
  const found = (alpaca ?? {}) as { OrdersApi?: unknown; trading?: { OrdersApi?: unknown }; default?: unknown };
  const api = found.OrdersApi ?? found.trading?.OrdersApi;
  const client = [found, found.default].find((one) => typeof one === 'function' && 'sendRequest' in one.prototype);
  const { prototype } = (api ?? client ?? {}) as { readonly prototype?: object };
  if (prototype === undefined || Object.hasOwn(prototype, PATCHED)) return alpaca;
  Object.defineProperty(prototype, PATCHED, { value: true });
  if (api === undefined) instrumentClient(prototype as Record<string, unknown>);
  else instrumentBroker(prototype as OrdersApi, { venue: 'alpaca' }, MAPPING);
  return alpaca;
}
