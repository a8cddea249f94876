import { describe, expect, it } from 'vitest';
import type { RiskTrail } from '../../src/index.ts';
import { eventNames, readBack, startTestTrail } from '../support/trail.ts';

const SIGNAL = {
  symbol: 'BTCUSDT',
  signalType: 'long_entry',
  entryPrice: 50_000,
  stopLoss: 49_000,
  takeProfit: 53_000,
};

/** What a bot does with a signal, through the public API. */
async function process(trail: RiskTrail, position: number, maxPositionPercent: number): Promise<void> {
  const { symbol, entryPrice, stopLoss, takeProfit } = SIGNAL;
  await trail.withContext({ accountId: 'ACC1', strategyId: 'trend', symbol }, async () => {
    trail.emit('strategy.signal_processed', {
      'trading.symbol': symbol,
      'trading.interval': '5m',
      'trading.close': 50_010,
      'trading.signal.type': SIGNAL.signalType,
      'trading.entry_price': entryPrice,
      'trading.stop_loss': stopLoss,
      'trading.take_profit': takeProfit,
    });
    if (!trail.validateSignal(SIGNAL, { position }).allowed) return;
    const size = trail.sizePosition({
      symbol,
      balance: 10_000,
      riskPercent: 1,
      entryPrice,
      stopPrice: stopLoss,
      leverage: 1,
      maxPositionPercent,
      quantityStep: 0.001,
    });
    const order = { 'trading.symbol': symbol, 'trading.quantity': size.quantity } as const;
    trail.emit('order.placed', {
      ...order,
      'trading.side': 'buy',
      'trading.order.role': 'entry',
      'trading.order.id': '1',
    });
    trail.emit('order.placed', {
      ...order,
      'trading.side': 'sell',
      'trading.order.role': 'take_profit',
      'trading.order.type': 'TAKE_PROFIT_MARKET',
      'trading.order.stop_price': takeProfit,
      'trading.order.close_position': true,
      'trading.order.id': '2',
    });
    trail.emit('order.placed', {
      ...order,
      'trading.side': 'sell',
      'trading.order.role': 'stop_loss',
      'trading.order.stop_price': stopLoss,
      'trading.order.id': '3',
    });
    trail.emit('trade.executed', { ...order, 'trading.entry_price': entryPrice, 'trading.take_profit_count': 1 });
  });
}

describe('the flows of a trading bot leave exactly their events in their order', () => {
  it('seed 003: normal trading flow', async () => {
    const trail = await startTestTrail();
    await process(trail, 0, 100);
    const records = await readBack(trail);
    expect(eventNames(records)).toEqual([
      'strategy.signal_processed',
      'risk.validation',
      'risk.position_size_calculated',
      'order.placed',
      'order.placed',
      'order.placed',
      'trade.executed',
    ]);
    const orders = records.filter((record) => record.event === 'order.placed');
    expect(orders.map((order) => order['trading.order.role'])).toEqual(['entry', 'take_profit', 'stop_loss']);
    const calculated = records.find((record) => record.event === 'risk.position_size_calculated');
    expect(calculated).toMatchObject({
      'trading.balance': 10_000,
      'trading.leverage': 1,
      'risk.amount': 100,
      'risk.stop_distance_percent': 2,
      'trading.quantity': 0.1,
    });
    // One flow, one trace, one correlation id.
    const flow = records.filter((record) => eventNames([record]).length === 1);
    expect(new Set(flow.map((record) => record.trace_id)).size).toBe(1);
    expect(new Set(flow.map((record) => record['correlation.id'])).size).toBe(1);
  });

  it('seed 003: rejected trade flow', async () => {
    const trail = await startTestTrail();
    await process(trail, 0.5, 100);
    const records = await readBack(trail);
    expect(eventNames(records)).toEqual(['strategy.signal_processed', 'risk.rejection']);
    expect(records.find((record) => record.event === 'risk.rejection')).toMatchObject({
      'trading.symbol': 'BTCUSDT',
      'risk.reason.code': 'SIGNAL_EXISTING_POSITION',
    });
  });

  it('seed 003: position size capping flow', async () => {
    const trail = await startTestTrail();
    await process(trail, 0, 20);
    const records = await readBack(trail);
    expect(eventNames(records)).toEqual([
      'strategy.signal_processed',
      'risk.validation',
      'risk.position_size_capped',
      'risk.position_size_calculated',
      'order.placed',
      'order.placed',
      'order.placed',
      'trade.executed',
    ]);
    expect(records.find((record) => record.event === 'risk.position_size_capped')).toMatchObject({
      'risk.position.requested_quantity': 0.1,
      'trading.quantity': 0.04,
      'risk.position.max_percent': 20,
    });
  });
});
