/**
 * `binance`: every REST request goes through `BaseRestClient._call`.
 * https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints
 */
import type { BrokerOrder } from '../broker.ts';
import { amountOf, answerOf, describe, given, isTrue, sideOf, textOf, unanswered } from './axios-errors.ts';
import { instrumentRestClient, type RequestKind } from './rest-call.ts';

/** Spot, margin, USD-M, COIN-M, portfolio margin. */
const ORDER = /^(?:api\/v3|sapi\/v1\/margin|[fd]api\/v1|papi\/v1\/(?:um|cm|margin))\/(?:sor\/)?order$/;
const REPLACE = /^api\/v3\/order\/cancelReplace$/;
const ALL =
  /^(?:api\/v3\/openOrders|sapi\/v1\/margin\/openOrders|[fd]api\/v1\/allOpenOrders|papi\/v1\/(?:um|cm|margin)\/allOpenOrders)$/;

function kindOf(verb: string, endpoint: string): RequestKind | undefined {
  if (verb === 'POST' && (ORDER.test(endpoint) || REPLACE.test(endpoint))) return 'create';
  if (verb === 'PUT' && ORDER.test(endpoint)) return 'edit';
  return verb === 'DELETE' && (ORDER.test(endpoint) || ALL.test(endpoint)) ? 'cancel' : undefined;
}

type Fields = Readonly<Record<string, unknown>>;

const order = (params: Fields): BrokerOrder =>
  given({
    symbol: textOf(params['symbol']),
    side: sideOf(params['side']),
    quantity: amountOf(params['quantity']),
    price: amountOf(params['price']),
    type: textOf(params['type'])?.toLowerCase(),
    orderId: textOf(params['orderId']),
    clientOrderId: textOf(params['newClientOrderId'] ?? params['origClientOrderId']),
    timeInForce: textOf(params['timeInForce']),
    ...(params['reduceOnly'] === undefined ? {} : { reduceOnly: isTrue(params['reduceOnly']) }),
  });

function answer(result: unknown): BrokerOrder {
  // All orders of a symbol are a list, or a bare confirmation.
  if (typeof result !== 'object' || result === null || Array.isArray(result)) return {};
  const from = ((result as Fields)['newOrderResponse'] ?? result) as Fields;
  const filled = Number(from['executedQty']);
  const cost = Number(from['cummulativeQuoteQty']);
  const average =
    Number(from['avgPrice']) > 0 ? amountOf(from['avgPrice']) : cost > 0 && filled > 0 ? cost / filled : undefined;
  return given({
    orderId: textOf(from['orderId']),
    clientOrderId: textOf(from['origClientOrderId'] ?? from['clientOrderId']),
    status: textOf(from['status'])?.toLowerCase(),
    ...(filled > 0 ? { filled: amountOf(from['executedQty']), averagePrice: average } : {}),
  });
}

/** UNKNOWN, DISCONNECTED, UNEXPECTED_RESP, TIMEOUT: "execution status unknown". */
const UNKNOWN: readonly number[] = [-1000, -1001, -1006, -1007];

function failure(error: unknown): 'rejected' | 'unknown' {
  const thrown = answerOf(error);
  if (thrown === undefined) return unanswered(error);
  const code = Number(thrown.code);
  if (code < 0) return UNKNOWN.includes(code) ? 'unknown' : 'rejected';
  // Too many requests: a proxy before the venue may say so, without a code of the venue.
  if (code === 429 || code === 418 || 'retry-after' in Object(thrown.headers)) return 'rejected';
  return code >= 400 && code < 500 && code !== 408 ? 'rejected' : 'unknown';
}

/** Records the requests of a copy of `binance`: for bundles, which no hook sees. @param found a client's class of it */
export function instrumentBinance<T>(found: T): T {
  instrumentRestClient(found, { venue: 'binance', kindOf, method: { order, answer, failure, error: describe } });
  return found;
}
