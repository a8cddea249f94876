import { describe, expect, it } from 'vitest';
import { OrderMarket } from '../../../src/runtime/order-market.ts';

const SPOT = 'BTC/USDT';
const LINEAR = 'BTC/USDT:USDT';
const INVERSE = 'BTC/USD:BTC';

describe('what is known of an account without asking', () => {
  it('positions of the settings and of fills; a result where the mean price is known', () => {
    const market = new OrderMarket({});
    expect(market.positionsKnown).toBe(true);
    expect(market.filled({ symbol: SPOT, side: 'buy', quantity: 1, price: 100 })).toBeUndefined();
    expect(market.filled({ symbol: SPOT, side: 'buy', quantity: 1, price: 110 })).toBeUndefined();
    expect(market.filled({ symbol: SPOT, side: 'sell', quantity: 0.5, price: 120 })).toBe(7.5);
    expect(market.positions()).toMatchObject([{ symbol: SPOT, quantity: 1.5 }]);
    // Turned round: 1.5 are closed at a loss, 1 is short at the new price.
    expect(market.filled({ symbol: SPOT, side: 'sell', quantity: 2.5, price: 100 })).toBe(-7.5);
    expect(market.filled({ symbol: SPOT, side: 'buy', quantity: 1, price: 90 })).toBe(10);
    expect(market.positions()).toEqual([]);
    expect(market.resultUnknown).toBe(false);
  });

  it('says that a result is unknown where nobody knows what was paid, or a contract is settled in its own coin', () => {
    const held = new OrderMarket({ [SPOT]: 2 });
    expect(held.filled({ symbol: SPOT, side: 'sell', quantity: 1, price: 100 })).toBeUndefined();
    expect(held.resultUnknown).toBe(true);
    const before = new OrderMarket(undefined);
    expect(before.positionsKnown).toBe(false);
    before.filled({ symbol: SPOT, side: 'sell', quantity: 1, price: 100 });
    expect(before.resultUnknown).toBe(true);
    const inverse = new OrderMarket({});
    inverse.filled({ symbol: INVERSE, side: 'buy', quantity: 1, price: 100 });
    expect(inverse.filled({ symbol: INVERSE, side: 'sell', quantity: 1, price: 110 })).toBeUndefined();
    expect(inverse.resultUnknown).toBe(true);
  });

  it('a whole list of positions replaces what was known, one of some symbols only those', () => {
    const market = new OrderMarket(undefined);
    const position = { symbol: LINEAR, contracts: 3, side: 'short', entryPrice: 100, contractSize: 0.1, markPrice: 99 };
    market.saw('fetchPositions', [[LINEAR]], [position], 5);
    expect(market.positionsKnown).toBe(false);
    market.saw('fetchPositions', [], [position], 5);
    expect(market.positionsKnown).toBe(true);
    expect(market.positions()).toEqual([{ symbol: LINEAR, quantity: -3, multiplier: 0.1, price: 99, priceTimeMs: 5 }]);
    expect(market.filled({ symbol: LINEAR, side: 'buy', quantity: 1, price: 90 })).toBe(1);
    market.saw('fetchPositions', [], [], 6);
    expect(market.positions()).toEqual([]);
  });

  it('prices of tickers and candles, the newest counts; balances by currency; what is no number counts for nothing', () => {
    const market = new OrderMarket(undefined);
    market.saw('fetchTickers', [], { a: { symbol: SPOT, last: 100 }, b: { symbol: LINEAR, bid: 9, ask: 11 } }, 1);
    expect(market.priceOf(LINEAR)).toEqual({ price: 10, priceTimeMs: 1 });
    market.saw(
      'fetchOHLCV',
      [SPOT, '1h'],
      [
        [0, 1, 1, 1, 1, 1],
        [1, 1, 1, 1, 101, 1],
      ],
      2,
    );
    market.saw('fetchTickerWs', [SPOT], { symbol: SPOT, last: Number.NaN }, 3);
    expect(market.priceOf(SPOT)).toEqual({ price: 101, priceTimeMs: 2 });
    market.saw('fetchBalance', [], { total: { USD: '1000.5', BTC: null } }, 4);
    expect([market.balanceOf('USD'), market.balanceOf('BTC')]).toEqual([1000.5, undefined]);
    market.saw('fetchOHLCV', [SPOT], null, 5);
    market.saw('fetchPositions', [], null, 5);
    expect(market.positionsKnown).toBe(false);
  });
});
