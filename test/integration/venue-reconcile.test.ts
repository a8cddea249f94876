import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { VenueExchange } from '../../src/index.ts';
import { readBack, startTestTrail } from '../support/trail.ts';

interface Held {
  positions?: unknown;
  orders?: unknown;
  balance?: unknown;
}

/** A venue on this machine, asked as ccxt asks one. What it does not hold it answers with an error. */
async function loopbackVenue(held: Held): Promise<VenueExchange> {
  const server = createServer((request, response) => {
    const value = held[(request.url ?? '').slice(1).split('?')[0] as keyof Held];
    response.writeHead(value === undefined ? 503 : 200).end(JSON.stringify(value ?? null));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const ask = async <T>(what: string): Promise<T> => {
    const response = await fetch(`http://127.0.0.1:${port}/${what}`, { headers: { connection: 'close' } });
    if (!response.ok) throw new Error(`the venue answered ${response.status}`);
    return (await response.json()) as T;
  };
  return {
    id: 'loopback',
    has: { fetchPositions: true, fetchOpenOrders: true, fetchBalance: true },
    fetchPositions: () => ask('positions'),
    fetchOpenOrders: (symbol) => ask(symbol === undefined ? 'orders' : `orders?symbol=${symbol}`),
    fetchBalance: () => ask('balance'),
  };
}

const ORDER = { 'trading.symbol': 'AAPL', 'trading.side': 'buy', 'trading.quantity': 10 } as const;

describe('trail.reconcile', () => {
  it('records each difference of positions and open orders, and halts where that is asked for', async () => {
    const trail = await startTestTrail();
    trail.emit('order.placed', { ...ORDER, 'trading.order.id': 'v1', 'trading.order.client_id': 'c1' });
    trail.emit('order.placed', { ...ORDER, 'trading.order.id': 'v2' });
    trail.emit('order.intent', { ...ORDER, 'trading.order.client_id': 'c3' });
    trail.emit('order.placed', { ...ORDER, 'trading.order.id': 'v4' });
    const venue = await loopbackVenue({
      positions: [
        { symbol: 'AAPL', contracts: 7, side: 'long' },
        { symbol: 'TSLA', contracts: 3, side: 'short' },
        { symbol: 'MSFT', contracts: 5, side: 'long' },
      ],
      orders: [
        { id: 'v1', clientOrderId: 'c1', symbol: 'AAPL', amount: 10, filled: 0, remaining: 10 },
        { id: 'v4', symbol: 'AAPL', amount: 10, filled: 6 },
        { id: 'v9', symbol: 'TSLA', amount: 2, remaining: 2 },
      ],
      balance: { total: { USD: 1000, BTC: 0 } },
    });
    const report = await trail.reconcile(venue, { positions: { AAPL: 10, MSFT: 5, GOOG: -1 }, onDifference: 'halt' });
    expect(report).toMatchObject({ complete: true, compared: ['positions', 'orders'], failures: [] });
    expect(report.differences.map(({ recordId, ...one }) => one)).toEqual([
      { kind: 'position_quantity', symbol: 'AAPL', expected: 10, found: 7 },
      { kind: 'position_missing', symbol: 'GOOG', expected: -1, found: 0 },
      { kind: 'position_unknown', symbol: 'TSLA', expected: 0, found: -3 },
      { kind: 'order_missing', symbol: 'AAPL', orderId: 'v2', expected: 10, status: 'placed' },
      { kind: 'order_missing', symbol: 'AAPL', clientOrderId: 'c3', expected: 10, status: 'intent' },
      { kind: 'order_quantity', symbol: 'AAPL', orderId: 'v4', expected: 10, found: 4, status: 'placed' },
      { kind: 'order_unknown', symbol: 'TSLA', orderId: 'v9', found: 2 },
    ]);
    expect(trail.gate.check({ reduces: false })).toMatchObject({ allowed: false, state: 'HALTED' });
    expect(trail.gate.check({ reduces: true }).allowed).toBe(true);
    trail.gate.resume({ actor: 'ann', reason: 'looked at each' });
    expect(trail.gate.check({ reduces: false }).allowed).toBe(true);

    const records = await readBack(trail);
    const told = records.filter((one) => one.event === 'risk.reconciliation.difference');
    expect(told.map((one) => one.record_id)).toEqual(report.differences.map((one) => one.recordId));
    const halt = records.find(
      (one) => one['risk.trading_state.new'] === 'HALTED' && one.event?.endsWith('state_change'),
    );
    expect(halt).toMatchObject({ 'risk.cause.record_id': told[0]?.record_id, 'risk.reason.code': 'VENUE_DIFFERS' });
    expect(records.find((one) => one.event === 'account.balance_query')).toMatchObject({
      'trading.balance': 1000,
      'trading.currency': 'USD',
    });
  });

  it('a venue that agrees lifts the halt of an earlier difference', async () => {
    const trail = await startTestTrail();
    const held: Held = { positions: [{ symbol: 'AAPL', contracts: 1, side: 'long' }], orders: [], balance: {} };
    const venue = await loopbackVenue(held);
    await trail.reconcile(venue, { positions: {}, onDifference: 'halt' });
    expect(trail.gate.state()).toBe('HALTED');
    held.positions = [];
    expect((await trail.reconcile(venue, { positions: {}, onDifference: 'halt' })).differences).toEqual([]);
    expect(trail.gate.state()).toBe('ACTIVE');
  });

  it('what the exchange throws is recorded and never thrown, and halts only where that is asked for', async () => {
    const trail = await startTestTrail();
    const venue = await loopbackVenue({ orders: [] });
    const report = await trail.reconcile(venue, { positions: {}, onDifference: 'halt' });
    expect(report.complete).toBe(false);
    expect(report.failures.map((one) => one.operation).sort()).toEqual(['fetchBalance', 'fetchPositions']);
    expect(trail.gate.state()).toBe('ACTIVE');
    await trail.reconcile(venue, { positions: {}, onError: 'halt' });
    expect(trail.gate.state()).toBe('HALTED');
    const never: VenueExchange = { fetchOpenOrders: () => new Promise(() => {}) };
    expect((await trail.reconcile(never, { timeoutMs: 5 })).failures).toEqual([
      { operation: 'fetchOpenOrders', message: 'no answer within 5 ms' },
    ]);
    expect((await trail.reconcile(undefined as never)).complete).toBe(false);
    expect((await trail.reconcile(venue, { positions: { AAPL: Number.NaN } })).complete).toBe(false);
    const records = await readBack(trail);
    const failed = records.filter((one) => one.event === 'risk.reconciliation.failed');
    expect(failed[0]).toMatchObject({ 'error.message': expect.stringContaining('503'), 'trading.venue': 'loopback' });
  });

  it('asks symbol by symbol where symbols are given, and compares no positions that nothing is known of', async () => {
    const trail = await startTestTrail();
    const asked: unknown[] = [];
    const venue: VenueExchange = {
      fetchPositions: async (symbols) => {
        asked.push(symbols);
        return [{ symbol: 'AAPL', contracts: 1, side: 'long' }];
      },
      fetchOpenOrders: async (symbol) => {
        asked.push(symbol);
        return [];
      },
    };
    const report = await trail.reconcile(venue, { symbols: ['AAPL', 'MSFT'] });
    expect(asked).toEqual([['AAPL', 'MSFT'], 'AAPL', 'MSFT']);
    expect(report).toMatchObject({ complete: true, compared: ['orders'], differences: [] });
  });
});
