import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PositionSizeInput } from '../../../src/risk/position-size.ts';
import { sizePosition } from '../../../src/risk/position-size.ts';
import { createPositionSizing } from '../../../src/runtime/position-size.ts';
import { createFakeHost } from '../../support/fake-host.ts';

const input = { symbol: 'BTC/USDT', equity: 10_000, riskPercent: 1, entryPrice: 100, stopPrice: 98 } as const;
const size = (over: object = {}) => sizePosition({ ...input, ...over } as PositionSizeInput).size;

describe('position sizing', () => {
  it('asks for the quantity that loses the risk amount at the stop', () => {
    expect(size()).toEqual({
      quantity: 50,
      requestedQuantity: 50,
      capped: false,
      cutQuantity: 0,
      riskAmount: 100,
      stopLossAmount: 100,
      stopDistance: 2,
      stopDistancePercent: 2,
      notional: 5000,
      code: 'OK',
    });
  });

  it('takes a risk amount, a balance, a short side and a multiplier', () => {
    const { equity, riskPercent, ...rest } = input;
    const short = {
      ...rest,
      balance: equity,
      riskAmount: 250,
      side: 'short',
      stopPrice: 102.5,
      multiplier: 100,
    } as const;
    expect(riskPercent).toBe(1);
    expect(sizePosition(short).size).toMatchObject({ quantity: 1, stopLossAmount: 250, notional: 10_000 });
  });

  it('rounds down to the step, exactly', () => {
    expect(size({ riskAmount: 0.3, riskPercent: undefined, stopPrice: 99.9, quantityStep: 1 }).quantity).toBe(3);
    expect(size({ stopPrice: 97, quantityStep: 0.1 })).toMatchObject({ quantity: 33.3, stopLossAmount: 99.9 });
  });

  it('caps at the share of equity × leverage, and at 100 % where only leverage is given', () => {
    expect(size({ leverage: 10, maxPositionPercent: 2 })).toMatchObject({
      quantity: 20,
      requestedQuantity: 50,
      capped: true,
      cutQuantity: 30,
      stopLossAmount: 40,
      code: 'POSITION_SIZE_CAPPED',
    });
    expect(size({ leverage: 1, stopPrice: 99.9 })).toMatchObject({
      quantity: 100,
      requestedQuantity: 1000,
      capped: true,
    });
    expect(size({ stopPrice: 99.9 })).toMatchObject({ quantity: 1000, capped: false });
  });

  it('at the cap exactly nothing is cut', () => {
    expect(size({ leverage: 1, maxPositionPercent: 50 })).toMatchObject({ quantity: 50, capped: false, code: 'OK' });
  });

  it('below the minimum, or below one step, there is no position', () => {
    expect(size({ minQuantity: 50 })).toMatchObject({ quantity: 50, code: 'OK' });
    expect(size({ minQuantity: 50.5 })).toMatchObject({
      quantity: 0,
      notional: 0,
      code: 'POSITION_SIZE_BELOW_MINIMUM',
    });
    expect(size({ quantityStep: 51 })).toMatchObject({ quantity: 0, code: 'POSITION_SIZE_BELOW_MINIMUM' });
  });

  it.each([
    [{ equity: 0 }, 'POSITION_SIZE_EQUITY_INVALID'],
    [{ equity: -1 }, 'POSITION_SIZE_EQUITY_INVALID'],
    [{ equity: undefined }, 'POSITION_SIZE_EQUITY_INVALID'],
    [{ balance: 5 }, 'POSITION_SIZE_EQUITY_INVALID'],
    [{ riskPercent: 0 }, 'POSITION_SIZE_RISK_INVALID'],
    [{ riskPercent: 101 }, 'POSITION_SIZE_RISK_INVALID'],
    [{ riskPercent: undefined }, 'POSITION_SIZE_RISK_INVALID'],
    [{ riskAmount: 5 }, 'POSITION_SIZE_RISK_INVALID'],
    [{ entryPrice: Number.NaN }, 'POSITION_SIZE_ENTRY_PRICE_INVALID'],
    [{ entryPrice: '100' }, 'POSITION_SIZE_ENTRY_PRICE_INVALID'],
    [{ stopPrice: undefined }, 'POSITION_SIZE_STOP_PRICE_INVALID'],
    [{ stopPrice: Number.POSITIVE_INFINITY }, 'POSITION_SIZE_STOP_PRICE_INVALID'],
    [{ stopPrice: 100 }, 'POSITION_SIZE_STOP_DISTANCE_ZERO'],
    [{ side: 'short' }, 'POSITION_SIZE_STOP_WRONG_SIDE'],
    [{ side: 'buy', stopPrice: 101 }, 'POSITION_SIZE_STOP_WRONG_SIDE'],
    [{ side: 'up' }, 'POSITION_SIZE_SIDE_INVALID'],
    [{ symbol: '' }, 'POSITION_SIZE_SYMBOL_INVALID'],
    [{ leverage: 0 }, 'POSITION_SIZE_LEVERAGE_INVALID'],
    [{ maxPositionPercent: Number.NaN }, 'POSITION_SIZE_MAX_POSITION_INVALID'],
    [{ quantityStep: 0 }, 'POSITION_SIZE_STEP_INVALID'],
    [{ minQuantity: -1 }, 'POSITION_SIZE_MIN_QUANTITY_INVALID'],
    [{ multiplier: 0 }, 'POSITION_SIZE_MULTIPLIER_INVALID'],
    [{ maxPositonPercent: 5 }, 'POSITION_SIZE_INPUT_INVALID'],
    [{ equity: 1e308, riskPercent: 100, stopPrice: 99.999, multiplier: 1e-300 }, 'POSITION_SIZE_OUT_OF_RANGE'],
  ])('%j gives quantity 0 with %s, and is recorded', (over, code) => {
    const host = createFakeHost();
    const result = createPositionSizing(host).sizePosition({ ...input, ...over } as PositionSizeInput);
    expect(result).toMatchObject({ quantity: 0, code, recordId: 'rec-000001' });
    expect(host.names()).toEqual(['risk.rejection']);
    expect(host.events[0]!.attributes).toMatchObject({ 'risk.reason.code': code, 'risk.component': 'position_sizing' });
    expect(host.invalid).toEqual([]);
  });

  it('never risks more than the risk amount, nor holds more than the cap', () => {
    const cents = (min: number, max: number) => fc.integer({ min, max }).map((value) => value / 100);
    fc.assert(
      fc.property(cents(100, 1e9), cents(1, 100), cents(100, 1e7), cents(1, 99), cents(1, 10_000), (...values) => {
        const [equity, riskPercent, entryPrice, distance, maxPositionPercent] = values;
        const stopPrice = (Math.round(entryPrice * 100) - Math.round(distance * 100)) / 100;
        fc.pre(stopPrice > 0);
        const sized = size({ equity, riskPercent, entryPrice, stopPrice, maxPositionPercent, quantityStep: 0.001 });
        expect(sized.stopLossAmount).toBeLessThanOrEqual(sized.riskAmount);
        expect(sized.notional).toBeLessThanOrEqual((equity * maxPositionPercent) / 100 + 1e-6);
        expect(sized.quantity).toBeLessThanOrEqual(sized.requestedQuantity);
      }),
      { seed: 20_240_102 },
    );
  });
});

describe('seed 003: the sizing of the risk manager', () => {
  it('records balance, entry, stop, leverage, risk amount, stop distance in percent and quantity', () => {
    const host = createFakeHost();
    const result = createPositionSizing(host).sizePosition({
      symbol: 'BTCUSDT',
      side: 'long',
      balance: 10_000,
      riskPercent: 1,
      entryPrice: 50_000,
      stopPrice: 49_000,
      leverage: 5,
      maxPositionPercent: 20,
      quantityStep: 0.001,
    });
    expect(result).toMatchObject({ quantity: 0.1, capped: false, recordId: 'rec-000001' });
    expect(host.names()).toEqual(['risk.position_size_calculated']);
    expect(host.events[0]!.attributes).toMatchObject({
      'trading.balance': 10_000,
      'trading.entry_price': 50_000,
      'trading.stop_loss': 49_000,
      'trading.leverage': 5,
      'risk.amount': 100,
      'risk.stop_distance_percent': 2,
      'trading.quantity': 0.1,
    });
    expect(host.invalid).toEqual([]);
    expect(host.spans.map((span) => span.name)).toEqual(['risk.position_size']);
  });

  it('a capped size is told as capped first, with what was asked and cut, then as calculated', () => {
    const host = createFakeHost();
    const result = createPositionSizing(host).sizePosition({
      symbol: 'BTCUSDT',
      balance: 10_000,
      riskPercent: 1,
      entryPrice: 50_000,
      stopPrice: 49_900,
      leverage: 5,
      maxPositionPercent: 20,
      quantityStep: 0.001,
    });
    expect(host.names()).toEqual(['risk.position_size_capped', 'risk.position_size_calculated']);
    expect(host.events[0]!.attributes).toMatchObject({
      'risk.position.requested_quantity': 1,
      'trading.quantity': 0.2,
      'risk.position.cut_quantity': 0.8,
      'risk.position.max_percent': 20,
      'trading.leverage': 5,
      'trading.balance': 10_000,
    });
    expect(host.events[1]!.attributes['trading.quantity']).toBe(0.2);
    expect(result.recordId).toBe('rec-000002');
    expect(host.invalid).toEqual([]);
  });
});

describe('seed 004: risk percent and a largest position of 2 %', () => {
  it('cuts a position to 2 % of the portfolio', () => {
    const sized = size({ equity: 100_000, entryPrice: 150.25, stopPrice: 145, maxPositionPercent: 2, quantityStep: 1 });
    expect(sized).toMatchObject({ requestedQuantity: 190, quantity: 13, capped: true, cutQuantity: 177 });
    expect(sized.notional).toBeLessThanOrEqual(2000);
  });
});

describe('observation changes no size', () => {
  it('the size comes back though recording it fails', () => {
    const host = createFakeHost();
    host.breakEmit(true);
    expect(createPositionSizing(host).sizePosition(input)).toMatchObject({ quantity: 50, code: 'OK' });
    expect(host.reports).toHaveLength(1);
  });

  it('nothing at all as input is refused, not thrown', () => {
    const host = createFakeHost();
    for (const nothing of [undefined, null, 5, 'x'])
      expect(createPositionSizing(host).sizePosition(nothing as never)).toMatchObject({
        quantity: 0,
        code: 'POSITION_SIZE_INPUT_INVALID',
      });
    expect(host.reports).toEqual([]);
    expect(host.invalid).toEqual([]);
  });
});
