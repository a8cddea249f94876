import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OpenOrderBook } from '../../src/risk/open-order-book.ts';
import {
  foldOpenOrders,
  MAX_OPEN_ORDERS,
  NO_ORDERS,
  type OpenOrders,
  type OrderEvent,
} from '../../src/risk/open-orders.ts';

const id = fc.option(fc.constantFrom('a', 'b', 'c', 'd'), { nil: undefined });
const attributes = fc.record(
  {
    'trading.order.id': id,
    'trading.order.client_id': id,
    'risk.cause.record_id': fc.option(fc.nat(30).map(String), { nil: undefined }),
    'trading.order.ids': fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 2 }),
    'trading.symbol': fc.constantFrom('AAPL', 'MSFT'),
    'trading.quantity': fc.constantFrom(1, 2),
    'trading.order.status': fc.constantFrom('open', 'cancelled'),
  },
  { requiredKeys: ['trading.quantity'] },
);
const name = fc.constantFrom(
  'order.intent',
  'order.placed',
  'order.filled',
  'order.edited',
  'order.cancelled',
  'order.rejected',
  'order.outcome_unknown',
  'trade.entry',
);
const events = fc.array(fc.record({ name, attributes }), { maxLength: 40 });

describe('the book of open orders', () => {
  it('holds what the fold of the same events comes to, in the same order', () => {
    fc.assert(
      fc.property(events, fc.nat(10), (all, cut) => {
        let folded: OpenOrders = NO_ORDERS;
        let book = new OpenOrderBook(folded);
        for (const [i, one] of all.entries()) {
          const event: OrderEvent = { ...one, recordId: String(i), timeMs: i };
          // A restart goes on from the list.
          if (i === cut) book = new OpenOrderBook(folded);
          folded = foldOpenOrders(folded, event);
          book.apply(event);
          expect(book.list()).toEqual(folded);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('forgets the oldest where no end is ever recorded, as the fold does', () => {
    let folded: OpenOrders = NO_ORDERS;
    const book = new OpenOrderBook(folded);
    for (let i = 0; i < MAX_OPEN_ORDERS + 5; i++) {
      const event = { name: 'order.placed', recordId: `r${i}`, timeMs: i, attributes: { 'trading.order.id': `o${i}` } };
      folded = foldOpenOrders(folded, event);
      book.apply(event);
    }
    expect(book.list()).toEqual(folded);
    expect(book.size).toBe(MAX_OPEN_ORDERS);
    expect(book.list()[0]?.orderId).toBe('o5');
  });
});
