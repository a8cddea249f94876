/** `bybit-api`: every REST request goes through `BaseRestClient._call`. https://bybit-exchange.github.io/docs/v5/order/create-order */
import type { BrokerOrder } from '../broker.ts';
import { amountOf, answerOf, describe, given, isTrue, sideOf, textOf, unanswered } from './axios-errors.ts';
import { instrumentRestClient, type RequestKind } from './rest-call.ts';

const KINDS: Readonly<Record<string, RequestKind>> = {
  'v5/order/create': 'create',
  'v5/order/amend': 'edit',
  'v5/order/cancel': 'cancel',
  'v5/order/cancel-all': 'cancel',
};

type Fields = Readonly<Record<string, unknown>>;

const order = (params: Fields): BrokerOrder =>
  given({
    symbol: textOf(params['symbol']),
    side: sideOf(params['side']),
    quantity: amountOf(params['qty']),
    price: amountOf(params['price']),
    type: textOf(params['orderType'])?.toLowerCase(),
    orderId: textOf(params['orderId']),
    clientOrderId: textOf(params['orderLinkId']),
    timeInForce: textOf(params['timeInForce']),
    ...(params['reduceOnly'] === undefined ? {} : { reduceOnly: isTrue(params['reduceOnly']) }),
  });

/** Server time-out, and server error: it may have been done. https://bybit-exchange.github.io/docs/v5/error */
const UNKNOWN: readonly number[] = [10000, 10016];

/** Refusals come as answers, with the status of a success. */
function answer(result: unknown): BrokerOrder {
  const { retCode, retMsg, result: from } = (result ?? {}) as { retCode?: unknown; retMsg?: unknown; result?: Fields };
  const code = Number(retCode);
  if (code !== 0) {
    const refusal = { type: 'ApiError', code: String(retCode), message: textOf(retMsg) };
    return { status: UNKNOWN.includes(code) || !Number.isFinite(code) ? 'unknown' : 'rejected', refusal };
  }
  return given({ orderId: textOf(from?.['orderId']), clientOrderId: textOf(from?.['orderLinkId']) });
}

function failure(error: unknown): 'rejected' | 'unknown' {
  const thrown = answerOf(error);
  if (thrown === undefined) return unanswered(error);
  // By `throwExceptions` a refusal is thrown as it came.
  const { retCode } = thrown as { retCode?: unknown };
  if (typeof retCode === 'number') return UNKNOWN.includes(retCode) ? 'unknown' : 'rejected';
  const status = Number(thrown.code);
  return status >= 400 && status < 500 && status !== 408 ? 'rejected' : 'unknown';
}

/** Records the requests of a copy of `bybit-api`: for bundles, which no hook sees. @param found a client's class of it */
export function instrumentBybit<T>(found: T): T {
  const kindOf = (verb: string, endpoint: string) => (verb === 'POST' ? KINDS[endpoint] : undefined);
  instrumentRestClient(found, { venue: 'bybit', kindOf, method: { order, answer, failure, error: describe } });
  return found;
}
