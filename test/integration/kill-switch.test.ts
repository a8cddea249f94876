import { describe, expect, it } from 'vitest';
import type { FlatRecord } from '../../src/analysis/flat-record.ts';
import { readBack, readTrail, startTestTrail } from '../support/trail.ts';
import { killExchange } from '../support/venues/kill-exchange.ts';
import { startKillVenue } from '../support/venues/kill-venue.ts';

const WHO = { actor: 'A. Trader', reason: 'wrong prices' } as const;
const FAST = { timeoutMs: 200, backoffMs: 10 } as const;
const ORDER = { 'trading.symbol': 'BTC/USDT', 'trading.side': 'buy', 'trading.quantity': 1 } as const;

/** Action, order or position, outcome of each event of the kill switch. */
function told(records: readonly FlatRecord[]): string[] {
  return records
    .filter(({ event }) => event === 'risk.kill_switch')
    .map((its) =>
      [its['risk.action'], its['trading.order.id'] ?? its['trading.symbol'], its['risk.outcome']]
        .filter(Boolean)
        .join(' '),
    );
}

const created = (calls: readonly string[]) => calls.filter((one) => one.startsWith('createOrder'));

describe('trail.killSwitch', () => {
  it('halts before it asks the venue, cancels every open order, and says that nothing is left', async () => {
    const trail = await startTestTrail();
    trail.emit('order.placed', { ...ORDER, 'trading.order.id': 'a' });
    const venue = await startKillVenue({ open: ['a', 'b'] });
    const killing = trail.killSwitch({ exchange: killExchange(venue.url), ...WHO, ...FAST });
    expect(trail.gate.state()).toBe('HALTED');
    expect(venue.calls).toEqual([]);
    const report = await killing;
    expect(report).toMatchObject({
      venue: 'loopback',
      complete: true,
      left: { orders: [], positions: {} },
      failures: [],
    });
    expect(report.orders.map(({ orderId, outcome }) => `${orderId} ${outcome}`)).toEqual([
      'a succeeded',
      'b succeeded',
    ]);
    expect(trail.openOrders()).toEqual([]);
    const records = await readBack(trail);
    expect(told(records).sort()).toEqual(['cancel a succeeded', 'cancel b succeeded', 'halt', 'report succeeded']);
    const [first] = records.filter(({ event }) => event === 'risk.kill_switch');
    const change = records.find(({ event }) => event === 'risk.trading_state_change');
    expect(change?.['risk.cause.record_id']).toBe(first?.['record_id']);
  });

  it('settles a cancel whose answer was lost by what the venue lists, and does not cancel it again', async () => {
    const trail = await startTestTrail();
    const venue = await startKillVenue({ open: ['a', 'b'], script: { 'cancelOrder a': ['lost'] } });
    const report = await trail.killSwitch({ exchange: killExchange(venue.url), ...WHO, ...FAST });
    expect(report.complete).toBe(true);
    expect(venue.calls.filter((one) => one === 'cancelOrder a')).toHaveLength(1);
    expect(told(await readBack(trail))).toEqual([
      ...['halt', 'cancel b succeeded', 'cancel a unknown', 'cancel a succeeded', 'report succeeded'],
    ]);
  });

  it('tries again what failed or was never done, a bounded number of times, and reports what is left', async () => {
    const trail = await startTestTrail();
    const venue = await startKillVenue({
      open: ['a', 'b', 'c'],
      script: { 'cancelOrder a': ['500', 'dropped', 'ok'], 'cancelOrder b': ['refused'], 'cancelOrder c': ['missing'] },
    });
    const exchange = killExchange(venue.url);
    const report = await trail.killSwitch({ exchange, ...WHO, ...FAST, attempts: 4 });
    expect(report.complete).toBe(false);
    expect(report.left.orders).toEqual(['b', 'c']);
    expect(report.orders.find(({ orderId }) => orderId === 'a')).toMatchObject({ outcome: 'succeeded', attempts: 3 });
    expect(report.orders.find(({ orderId }) => orderId === 'b')).toMatchObject({
      ...{ outcome: 'failed', attempts: 4, error: 'refused' },
    });
    expect(told(await readBack(trail)).at(-1)).toBe('report failed');
  });

  it('does not believe a first list that lacks an order of the trail', async () => {
    const trail = await startTestTrail();
    trail.emit('order.placed', { ...ORDER, 'trading.order.id': 'a' });
    const venue = await startKillVenue({ open: ['a'] });
    const exchange = killExchange(venue.url);
    const list = exchange.fetchOpenOrders!;
    let lists = 0;
    exchange.fetchOpenOrders = async (symbol) => (lists++ === 0 ? [] : list(symbol));
    const report = await trail.killSwitch({ exchange, ...WHO, ...FAST });
    expect(report.complete).toBe(true);
    expect(venue.orders[0]?.status).toBe('canceled');
  });

  it('finds an order that reaches the venue only while others are cancelled', async () => {
    const trail = await startTestTrail();
    const venue = await startKillVenue({ open: ['a'] });
    const exchange = killExchange(venue.url);
    const cancel = exchange.cancelOrder!;
    exchange.cancelOrder = (id, symbol) => {
      if (id === 'a') venue.orders.push({ ...venue.orders[0]!, id: 'late', status: 'open' });
      return cancel(id, symbol);
    };
    const report = await trail.killSwitch({ exchange, ...WHO, ...FAST });
    expect(report.complete).toBe(true);
    expect(report.orders.map(({ orderId }) => orderId)).toEqual(['a', 'late']);
  });

  it('says that it knows nothing where the venue cannot be asked, and cancels what the trail knows', async () => {
    const trail = await startTestTrail();
    trail.emit('order.placed', { ...ORDER, 'trading.order.id': 'a' });
    const venue = await startKillVenue({ open: ['a'], script: { fetchOpenOrders: ['500'] } });
    const report = await trail.killSwitch({ exchange: killExchange(venue.url), ...WHO, ...FAST, attempts: 2 });
    expect(report).toMatchObject({ complete: false, failures: [{ operation: 'fetchOpenOrders' }] });
    expect(venue.calls).toContain('cancelOrder a');
    expect(venue.orders[0]?.status).toBe('canceled');
    expect(told(await readBack(trail)).at(-1)).toBe('report unknown');
  });

  it('never rejects, halts whatever it is given, and takes venue errors for records', async () => {
    const trail = await startTestTrail();
    const report = await trail.killSwitch(undefined as never);
    expect(report.complete).toBe(false);
    expect(trail.gate.state()).toBe('HALTED');
    const exchange = {
      get fetchOpenOrders(): never {
        throw new Error('hostile');
      },
    };
    await expect(trail.killSwitch({ exchange, ...WHO })).resolves.toMatchObject({ complete: false });
  });

  it('flattens by reducing orders with an intent before each', async () => {
    const trail = await startTestTrail();
    const venue = await startKillVenue({ open: ['a'], positions: { 'BTC/USDT': 2, 'ETH/USDT': -3 } });
    const exchange = killExchange(venue.url);
    const report = await trail.killSwitch({ exchange, ...WHO, ...FAST, flatten: true });
    expect(report.complete).toBe(true);
    expect(venue.positions).toEqual({ 'BTC/USDT': 0, 'ETH/USDT': 0 });
    expect(report.positions.map(({ symbol, quantity, outcome }) => [symbol, quantity, outcome])).toEqual([
      ['BTC/USDT', 2, 'succeeded'],
      ['ETH/USDT', -3, 'succeeded'],
    ]);
    const records = await readBack(trail);
    const intents = records.filter(({ event }) => event === 'order.intent');
    expect(
      intents.map((one) => [one['trading.side'], one['trading.quantity'], one['trading.order.reduce_only']]),
    ).toEqual([
      ['sell', 2, true],
      ['buy', 3, true],
    ]);
  });

  it('never sends a closing order twice that was executed without an answer', async () => {
    const trail = await startTestTrail();
    const venue = await startKillVenue({ positions: { 'BTC/USDT': 2 }, script: { createOrder: ['lost'] } });
    const exchange = killExchange(venue.url);
    const report = await trail.killSwitch({ exchange, ...WHO, ...FAST, flatten: true });
    expect(report.complete).toBe(true);
    expect(created(venue.calls)).toHaveLength(1);
    expect(venue.positions).toEqual({ 'BTC/USDT': 0 });
  });

  it('sends a closing order that never arrived again under the same client id', async () => {
    const trail = await startTestTrail();
    const venue = await startKillVenue({ positions: { 'BTC/USDT': 2 }, script: { createOrder: ['dropped', 'ok'] } });
    const report = await trail.killSwitch({ exchange: killExchange(venue.url), ...WHO, ...FAST, flatten: true });
    expect(report.complete).toBe(true);
    expect(created(venue.calls)).toHaveLength(2);
    expect(report.positions[0]?.clientOrderIds).toHaveLength(1);
    expect(venue.orders.map(({ clientOrderId }) => clientOrderId)).toEqual(report.positions[0]?.clientOrderIds);
  });

  it('sends no second closing order while the venue’s positions lag behind its fills, or it cannot say', async () => {
    for (const without of [[], ['fetchClosedOrders']]) {
      const trail = await startTestTrail();
      const venue = await startKillVenue({ positions: { 'BTC/USDT': 2 } });
      const exchange = killExchange(venue.url, without);
      exchange.fetchPositions = async () => [{ symbol: 'BTC/USDT', contracts: 2, side: 'long' }];
      const report = await trail.killSwitch({ exchange, ...WHO, ...FAST, flatten: true, attempts: 3 });
      expect(report).toMatchObject({ complete: false, left: { positions: { 'BTC/USDT': 2 } } });
      expect(created(venue.calls)).toHaveLength(1);
      await trail.close();
    }
  });
});

describe('trail.armKillSwitch', () => {
  it('acts once when the gate is halted by whomever, where it is told to', async () => {
    const trail = await startTestTrail();
    const venue = await startKillVenue({ open: ['a'] });
    trail.armKillSwitch({ exchange: killExchange(venue.url), onHalted: true, ...FAST });
    trail.gate.reduce({ ...WHO });
    trail.gate.demand({ source: 'portfolio_limits', state: 'HALTED', ...WHO });
    await expect.poll(() => venue.orders[0]?.status, { timeout: 30_000 }).toBe('canceled');
    await expect.poll(() => venue.calls.filter((one) => one === 'fetchOpenOrders').length, { timeout: 30_000 }).toBe(2);
    const actions = told(await readBack(trail)).filter((one) => !one.startsWith('report'));
    expect(actions).toEqual(['cancel a succeeded']);
  });

  it('closes positions, too, where it is told to, and reports what a partial failure leaves', async () => {
    const trail = await startTestTrail();
    const venue = await startKillVenue({
      ...{ open: ['a'], positions: { 'BTC/USDT': 2, 'ETH/USDT': -1 } },
      script: { 'cancelOrder a': ['lost'], 'createOrder ETH/USDT': ['refused'] },
    });
    trail.armKillSwitch({ exchange: killExchange(venue.url), onHalted: true, flatten: true, attempts: 2, ...FAST });
    trail.gate.demand({ source: 'portfolio_limits', state: 'HALTED', ...WHO });
    const reported = async () => told(await readTrail(trail.dataDir)).some((one) => one.startsWith('report'));
    await expect.poll(reported, { timeout: 30_000 }).toBe(true);
    expect(venue.positions).toMatchObject({ 'BTC/USDT': 0, 'ETH/USDT': -1 });
    const actions = told(await readBack(trail));
    expect(actions).toEqual(expect.arrayContaining(['cancel a unknown', 'flatten m1 succeeded']));
    expect(actions.filter((one) => one === 'flatten ETH/USDT failed')).toHaveLength(2);
    expect(actions.at(-1)).toBe('report failed');
  });

  it('refuses wrong options with the name of the field', async () => {
    const trail = await startTestTrail();
    expect(() => trail.armKillSwitch({ exchange: {}, deadMansSwitchMs: 5 })).toThrow(/deadMansSwitchMs/);
    expect(() => trail.armKillSwitch({ exchange: {}, onHalt: true } as never)).toThrow(/onHalted/);
  });

  it('arms the venue’s own switch, renews it, tells of changes alone, and disarms it at an orderly close', async () => {
    const trail = await startTestTrail();
    const venue = await startKillVenue({ script: { 'cancelAllOrdersAfter 1000': ['ok', 'ok', '500', 'ok'] } });
    trail.armKillSwitch({ exchange: killExchange(venue.url), deadMansSwitchMs: 1000 });
    await expect.poll(() => venue.calls.length, { timeout: 30_000 }).toBeGreaterThan(4);
    const records = await readBack(trail);
    const acts = records
      .filter(({ event }) => event === 'risk.dead_mans_switch')
      .map((its) => `${its['risk.action']} ${its['risk.outcome']}`);
    expect(acts).toEqual(['arm succeeded', 'renew unknown', 'renew succeeded', 'disarm succeeded']);
    expect(venue.calls.at(-1)).toBe('cancelAllOrdersAfter 0');
  });

  it('a renewal without an answer holds up nothing, and is told as unknown', async () => {
    const trail = await startTestTrail();
    const venue = await startKillVenue({ script: { 'cancelAllOrdersAfter 1000': ['dropped', 'dropped', 'ok'] } });
    trail.armKillSwitch({ exchange: killExchange(venue.url), deadMansSwitchMs: 1000 });
    await expect.poll(() => venue.calls.length, { timeout: 30_000 }).toBeGreaterThan(3);
    const acts = (await readBack(trail))
      .filter(({ event }) => event === 'risk.dead_mans_switch')
      .map((its) => `${its['risk.action']} ${its['risk.outcome']}`);
    expect(acts).toEqual(['arm unknown', 'renew succeeded', 'disarm succeeded']);
  });

  it('says so where the exchange has no such switch', async () => {
    const trail = await startTestTrail();
    trail.armKillSwitch({ exchange: { id: 'plain' }, deadMansSwitchMs: 60_000 });
    const records = await readBack(trail);
    const its = records.find(({ event }) => event === 'risk.dead_mans_switch');
    expect(its).toMatchObject({ 'risk.outcome': 'failed', 'trading.venue': 'plain' });
  });
});
