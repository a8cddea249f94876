/** What a reconciliation of orders tells by itself: the reads that it makes tell no fills, and what it told is not told again. */
import { readingOrders } from './call.ts';
import { fillBook } from './records.ts';

/** Runs reads whose fills are told by the caller. */
export function withoutFills<T>(read: () => T): T {
  return readingOrders.run(true, read);
}

const INSTRUMENTED = Symbol.for('risktrail.ccxt.patched');

/** So much of an order was told: what reads and streams of the exchange show from here on is more than that. */
export function reconciledOrder(exchange: object, orderId: string, filled: number, ended: boolean): void {
  if (INSTRUMENTED in exchange) fillBook(exchange).told(orderId, filled, ended);
}
