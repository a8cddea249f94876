/** `@alpacahq/alpaca-trade-api` 4: orders go through `OrdersApi`, whatever convenience is used. https://docs.alpaca.markets/reference/postorder */
import { type BrokerMapping, type BrokerOrder, instrumentBroker } from '../broker.ts';
import { amountOf, describe, given, sideOf, textOf } from './axios-errors.ts';

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
    price: amountOf(from['limitPrice']),
    type: textOf(from['type']),
    clientOrderId: textOf(from['clientOrderId']),
    timeInForce: textOf(from['timeInForce']),
  });
}

function answer(result: unknown): BrokerOrder {
  const from = (result ?? {}) as Fields;
  return given({
    orderId: textOf(from['id']),
    clientOrderId: textOf(from['clientOrderId']),
    status: textOf(from['status']),
    ...(Number(from['filledQty']) > 0
      ? { filled: amountOf(from['filledQty']), averagePrice: amountOf(from['filledAvgPrice']) }
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

/**
 * Records the orders of a copy of `@alpacahq/alpaca-trade-api`: for bundles, which no hook sees.
 * @param alpaca what the package exports
 * @returns what was given
 */
export function instrumentAlpaca<T>(alpaca: T): T {
  const found = (alpaca ?? {}) as { OrdersApi?: unknown; trading?: { OrdersApi?: unknown } };
  const api = (found.OrdersApi ?? found.trading?.OrdersApi) as { readonly prototype?: OrdersApi } | undefined;
  const prototype = api?.prototype;
  if (prototype === undefined || Object.hasOwn(prototype, PATCHED)) return alpaca;
  Object.defineProperty(prototype, PATCHED, { value: true });
  instrumentBroker(prototype, { venue: 'alpaca' }, MAPPING);
  return alpaca;
}
