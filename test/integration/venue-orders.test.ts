import ccxt from 'ccxt';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { FlatRecord } from '../../src/analysis/flat-record.ts';
import type { RiskTrailOptions } from '../../src/index.ts';
import { instrumentCcxt } from '../../src/instrumentation/index.ts';
import { readBack, startTestTrail, temporaryDirectory } from '../support/trail.ts';
import { ordersExchange } from '../support/venues/kill-exchange.ts';
import { type HeldOrder, type KillVenueState, startKillVenue } from '../support/venues/kill-venue.ts';
import { KRAKEN } from '../support/venues/kraken.ts';
import { startVenue } from '../support/venues/venue-server.ts';

const ORDER = {
  'trading.symbol': 'BTC/USDT',
  'trading.side': 'buy',
  'trading.quantity': 1,
  'trading.price': 100,
  'trading.venue': 'loopback',
} as const;
/** The intents of these tests were written a moment ago. */
const SETTLED = { settleMs: 0, timeoutMs: 20_000 } as const;

const held = (order: Partial<HeldOrder>): HeldOrder => ({
  ...{ id: 'v1', symbol: 'BTC/USDT', side: 'buy', amount: 1, filled: 0, status: 'open' },
  ...order,
});

/** A process that was killed between the send and the answer left these; the next one starts. */
async function afterCrash(clientIds: readonly (string | undefined)[], options: RiskTrailOptions = {}) {
  const dataDir = temporaryDirectory();
  const before = await startTestTrail({ dataDir });
  for (const id of clientIds)
    before.emit('order.intent', { ...ORDER, ...(id === undefined ? {} : { 'trading.order.client_id': id }) });
  await before.close();
  return startTestTrail({ dataDir, ...options });
}

const lines = (records: readonly FlatRecord[]) =>
  records
    .filter(({ event }) => event?.startsWith('order.') || event?.startsWith('risk.reconciliation.'))
    .map((its) => [its.event, its['trading.order.id'], its['risk.reason.code']].filter(Boolean).join(' '));

const asked = (venue: KillVenueState, operation: string) => venue.calls.filter((one) => one.startsWith(operation));

describe('trail.reconcileOrders', () => {
  it('an order that was executed and never answered: placed and filled, with its intent as the cause', async () => {
    const trail = await afterCrash(['c1']);
    const venue = await startKillVenue({});
    venue.orders.push(held({ clientOrderId: 'c1', status: 'closed', filled: 1, average: 99.5 }));
    const report = await trail.reconcileOrders(ordersExchange(venue.url), SETTLED);
    expect(report).toMatchObject({
      ...{ complete: true, failures: [] },
      orders: [{ orderId: 'v1', clientOrderId: 'c1', before: 'intent', outcome: 'filled', filled: 1 }],
    });
    expect(trail.openOrders()).toEqual([]);
    const records = await readBack(trail);
    expect(lines(records)).toEqual([
      ...['order.intent', 'order.placed v1', 'order.filled v1', 'risk.reconciliation.orders'],
    ]);
    const [intent, placed, filled, result] = records.filter(({ event }) => /^order|reconciliation/.test(event ?? ''));
    for (const one of [placed, filled]) expect(one?.['risk.cause.record_id']).toBe(intent?.record_id);
    expect(filled).toMatchObject({ 'trading.quantity': 1, 'trading.price': 99.5, 'trading.order.status': 'closed' });
    expect(result).toMatchObject({
      ...{ record_id: report.recordId, 'trading.venue': 'loopback', 'risk.reconciliation.complete': true },
      ...{ 'risk.reconciliation.asked': 1, 'risk.reconciliation.unknown': 0 },
    });
  });

  it('an order that never arrived: rejected under its own code, once it can no longer be on its way', async () => {
    const trail = await afterCrash(['c1']);
    const venue = await startKillVenue({});
    const exchange = ordersExchange(venue.url);
    expect((await trail.reconcileOrders(exchange)).orders).toMatchObject([
      { outcome: 'unknown', code: 'ORDER_TOO_YOUNG' },
    ]);
    expect(trail.openOrders()).toMatchObject([{ clientOrderId: 'c1', status: 'unknown' }]);
    expect((await trail.reconcileOrders(exchange, SETTLED)).orders).toMatchObject([{ outcome: 'never_arrived' }]);
    expect(trail.openOrders()).toEqual([]);
    expect(lines(await readBack(trail))).toEqual([
      ...['order.intent', 'order.outcome_unknown ORDER_TOO_YOUNG', 'risk.reconciliation.orders'],
      ...['order.rejected ORDER_NEVER_ARRIVED', 'risk.reconciliation.orders'],
    ]);
  });

  it('a partially filled order: what is new of it is recorded, the rest stays open, or is cancelled', async () => {
    const trail = await afterCrash(['c1']);
    const venue = await startKillVenue({});
    const exchange = ordersExchange(venue.url);
    const order = held({ clientOrderId: 'c1', filled: 0.25, average: 100 });
    venue.orders.push(order);
    expect((await trail.reconcileOrders(exchange, SETTLED)).orders).toMatchObject([{ outcome: 'open', filled: 0.25 }]);
    expect(trail.openOrders()).toMatchObject([{ orderId: 'v1', status: 'placed', filled: 0.25 }]);
    order.filled = 0.75;
    await trail.reconcileOrders(exchange, SETTLED);
    await trail.reconcileOrders(exchange, SETTLED);
    order.status = 'canceled';
    expect((await trail.reconcileOrders(exchange, SETTLED)).orders).toMatchObject([{ outcome: 'cancelled' }]);
    expect(trail.openOrders()).toEqual([]);
    const records = await readBack(trail);
    expect(lines(records).filter((one) => one.startsWith('order.'))).toEqual([
      ...['order.intent', 'order.placed v1', 'order.filled v1', 'order.filled v1', 'order.cancelled v1'],
    ]);
    const fills = records.filter(({ event }) => event === 'order.filled');
    expect(fills.map((one) => one['trading.quantity'])).toEqual([0.25, 0.5]);
  });

  it('a venue that is down: nothing is concluded, it is recorded, and the venue is not asked for ever', async () => {
    const trail = await afterCrash(['c1', 'c2', 'c3']);
    const venue = await startKillVenue({
      script: { fetchOrder: ['500'], fetchOpenOrders: ['500'], fetchClosedOrders: ['500'] },
    });
    const report = await trail.reconcileOrders(ordersExchange(venue.url), SETTLED);
    expect(report.complete).toBe(false);
    expect(report.orders.map(({ outcome, code }) => `${outcome} ${code}`)).toEqual(
      Array(3).fill('unknown VENUE_NOT_ASKED'),
    );
    expect(venue.calls).toHaveLength(2);
    expect(trail.openOrders()).toHaveLength(3);
    expect(lines(await readBack(trail)).slice(3)).toEqual([
      ...Array(3).fill('order.outcome_unknown VENUE_NOT_ASKED'),
      ...['risk.reconciliation.failed', 'risk.reconciliation.failed', 'risk.reconciliation.orders'],
    ]);
  });

  it('a venue that cannot be asked by the own id: its lists answer; without whole lists nothing is concluded', async () => {
    const trail = await afterCrash(['c1', 'c2']);
    // It passes over what it doesn't know, and answers with another order.
    const venue = await startKillVenue({ script: { fetchOrder: ['missing'] } });
    venue.orders.push(held({ clientOrderId: 'c1', filled: 0 }));
    const blind = ordersExchange(venue.url, ['fetchClosedOrders']);
    expect((await trail.reconcileOrders(blind, SETTLED)).orders).toMatchObject([
      { clientOrderId: 'c1', outcome: 'open' },
      { clientOrderId: 'c2', outcome: 'unknown', code: 'VENUE_CANNOT_TELL' },
    ]);
    const paged = await trail.reconcileOrders(ordersExchange(venue.url), { ...SETTLED, pageSize: 1 });
    expect(paged.orders).toMatchObject([{ outcome: 'open' }, { outcome: 'unknown', code: 'VENUE_CANNOT_TELL' }]);
    const whole = await trail.reconcileOrders(ordersExchange(venue.url), SETTLED);
    expect(whole.orders).toMatchObject([{ outcome: 'open' }, { outcome: 'never_arrived' }]);
  });

  it('an answer about another order is none', async () => {
    const trail = await afterCrash(['c1']);
    const venue = await startKillVenue({});
    venue.orders.push(held({ id: 'other', clientOrderId: 'x', status: 'closed', filled: 1 }));
    const exchange = { ...ordersExchange(venue.url), fetchOrder: async () => venue.orders[0]! };
    expect((await trail.reconcileOrders(exchange, SETTLED)).orders).toMatchObject([{ outcome: 'never_arrived' }]);
  });

  it('an intent without an id: orders that it may be are named, and taken for no outcome', async () => {
    const trail = await afterCrash([undefined]);
    const venue = await startKillVenue({});
    venue.orders.push(held({ id: 'v7' }), held({ id: 'v8', side: 'sell' }));
    const exchange = ordersExchange(venue.url);
    expect((await trail.reconcileOrders(exchange, SETTLED)).orders).toMatchObject([
      { outcome: 'unknown', code: 'ORDER_AMBIGUOUS', candidates: ['v7'] },
    ]);
    expect(asked(venue, 'fetchOrder')).toEqual([]);
    venue.orders.splice(0);
    expect((await trail.reconcileOrders(exchange, SETTLED)).orders).toMatchObject([{ outcome: 'never_arrived' }]);
  });

  it('an order that no list has any more: its trades tell that it was filled, else it stays unknown', async () => {
    const trail = await startTestTrail();
    for (const id of ['v1', 'v2']) trail.emit('order.placed', { ...ORDER, 'trading.order.id': id });
    const venue = await startKillVenue({ script: { fetchOrder: ['missing'] } });
    venue.trades.push({ order: 'v1', amount: 0.5, price: 100 }, { order: 'v1', amount: 0.5, price: 102 });
    venue.trades.push({ order: 'v2', amount: 0.5, price: 100 });
    const report = await trail.reconcileOrders(ordersExchange(venue.url), SETTLED);
    expect(report.orders).toMatchObject([
      { orderId: 'v1', outcome: 'filled', filled: 1 },
      { orderId: 'v2', outcome: 'unknown', code: 'ORDER_NOT_LISTED' },
    ]);
    expect(asked(venue, 'fetchMyTrades')).toHaveLength(1);
    const records = await readBack(trail);
    expect(records.find(({ event }) => event === 'order.filled')).toMatchObject({ 'trading.price': 101 });
  });

  it('orders of another venue are left alone, and it never rejects', async () => {
    const trail = await startTestTrail();
    trail.emit('order.placed', { ...ORDER, 'trading.order.id': 'v1', 'trading.venue': 'elsewhere' });
    const venue = await startKillVenue({});
    expect((await trail.reconcileOrders(ordersExchange(venue.url), SETTLED)).orders).toEqual([]);
    expect(trail.openOrders()).toHaveLength(1);
    const wrong = await trail.reconcileOrders({}, { settle: 1 } as never);
    expect(wrong).toMatchObject({ complete: false, failures: [{ operation: 'reconcileOrders' }] });
    expect(wrong.failures[0]?.message).toContain('settleMs');
    expect((await trail.reconcileOrders(undefined as never)).complete).toBe(false);
  });

  it('an instrumented exchange of ccxt: what its reads show is told once', async () => {
    instrumentCcxt(ccxt);
    const venue = await startVenue(KRAKEN, ['success']);
    onTestFinished(() => venue.close());
    const exchange = new ccxt.kraken({ apiKey: 'a', secret: 'c2VjcmV0', enableRateLimit: false });
    exchange.urls['api'] = { public: venue.url, private: venue.url };
    const trail = await startTestTrail();
    const id = 'OKRAKN-00000-000001';
    trail.emit('order.outcome_unknown', {
      ...ORDER,
      ...{ 'trading.symbol': 'BTC/USD', 'trading.quantity': 0.5, 'trading.venue': 'kraken', 'trading.order.id': id },
    });
    const { orders } = await trail.reconcileOrders(exchange, SETTLED);
    expect(orders).toMatchObject([{ orderId: id, outcome: 'filled', filled: 0.5 }]);
    await exchange.fetchOrder(id, 'BTC/USD');
    expect(lines(await readBack(trail))).toEqual([
      ...[`order.outcome_unknown ${id}`, `order.placed ${id}`, `order.filled ${id}`, 'risk.reconciliation.orders'],
    ]);
  });

  it('ccxt and Kraken’s own format: executed without an answer, found by its client id in the list of open orders', async () => {
    instrumentCcxt(ccxt);
    const standing = {
      ...{
        refid: null,
        userref: null,
        cl_ord_id: 'c1',
        status: 'open',
        opentm: 1_750_000_000.1,
        starttm: 0,
        expiretm: 0,
      },
      descr: { pair: 'XBTUSD', type: 'buy', ordertype: 'limit', price: '61000.0', price2: '0', leverage: 'none' },
      ...{ vol: '0.5', vol_exec: '0.2', cost: '12200', fee: '0', price: '61000', stopprice: '0', limitprice: '0' },
      ...{ misc: '', oflags: 'fciq' },
    };
    const venue = await startVenue(
      {
        ...KRAKEN,
        other(request) {
          const { path } = request;
          if (path === '/0/private/QueryOrders') return { json: { error: ['EOrder:Unknown order'] } };
          if (path === '/0/private/OpenOrders')
            return { json: { error: [], result: { open: { 'OABC-1-1': standing } } } };
          if (path === '/0/private/ClosedOrders') return { json: { error: [], result: { closed: {}, count: 0 } } };
          return KRAKEN.other(request);
        },
      },
      ['timeout'],
    );
    onTestFinished(() => venue.close());
    const keys = { apiKey: 'a', secret: 'c2VjcmV0', enableRateLimit: false };
    const exchange = new ccxt.kraken({ ...keys, timeout: 20_000 });
    exchange.urls['api'] = { public: venue.url, private: venue.url };
    const trail = await startTestTrail();
    await exchange.loadMarkets();
    // The orders alone are to run out of time.
    exchange.timeout = 500;
    for (const id of ['c1', 'c2']) {
      const sent = exchange.createOrder('BTC/USD', 'limit', 'buy', 0.5, 61_000, { clientOrderId: id });
      await expect(sent).rejects.toThrow(ccxt.RequestTimeout);
    }
    expect(trail.openOrders()).toMatchObject([{ status: 'unknown' }, { status: 'unknown' }]);
    exchange.timeout = 20_000;
    const { orders, complete } = await trail.reconcileOrders(exchange, SETTLED);
    expect(orders).toMatchObject([
      { orderId: 'OABC-1-1', clientOrderId: 'c1', outcome: 'open', filled: 0.2 },
      { clientOrderId: 'c2', outcome: 'never_arrived' },
    ]);
    expect(complete).toBe(true);
    expect(trail.openOrders()).toMatchObject([{ orderId: 'OABC-1-1', venue: 'kraken', filled: 0.2, status: 'placed' }]);
    const fills = (await readBack(trail)).filter(({ event }) => event === 'order.filled');
    expect(fills).toMatchObject([{ 'trading.quantity': 0.2, 'trading.price': 61_000 }]);
  });
});
