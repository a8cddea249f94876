import { describe, expect, it } from 'vitest';
import { checkOrder } from '../../../src/risk/portfolio-limits/check.ts';
import { compileLimits } from '../../../src/risk/portfolio-limits/compile.ts';
import type { LimitDecision } from '../../../src/risk/portfolio-limits/decision.ts';
import {
  LIMIT_NAMES,
  type PortfolioLimitsOptions,
  readLimitsOptions,
} from '../../../src/risk/portfolio-limits/options.ts';
import type { LimitOrder, Portfolio, Position } from '../../../src/risk/portfolio-limits/portfolio.ts';
import { MAX_UTILIZATION } from '../../../src/risk/portfolio-limits/result.ts';
import { applyLimitsChange, initialLimitsState, type LimitsChange } from '../../../src/risk/portfolio-limits/state.ts';
import type { GateAnswer } from '../../../src/risk/trading-state.ts';

const NOW = Date.UTC(2024, 0, 2, 14, 30);
const OPEN: GateAnswer = { allowed: true, state: 'ACTIVE', scope: 'global', code: 'OK' };

interface Given {
  readonly positions?: readonly Position[];
  readonly pending?: readonly LimitOrder[];
  readonly equity?: number | null;
  readonly marginUsed?: number;
  readonly changes?: readonly LimitsChange[];
  readonly gate?: 'REDUCING' | 'HALTED';
  readonly now?: number;
}

function check(limitOptions: PortfolioLimitsOptions, order: Partial<LimitOrder>, given: Given = {}): LimitDecision {
  const options = readLimitsOptions(limitOptions);
  let state = initialLimitsState(options, NOW);
  for (const change of given.changes ?? []) state = applyLimitsChange(state, change);
  const portfolio: Portfolio = {
    equity: given.equity === undefined ? 100_000 : given.equity,
    positions: given.positions ?? [],
    pending: given.pending,
    marginUsed: given.marginUsed,
  };
  const whole: LimitOrder = { symbol: 'AAPL', side: 'buy', quantity: 10, ...order };
  const step = checkOrder(
    compileLimits(options, LIMIT_NAMES),
    state,
    portfolio,
    whole,
    given.now ?? NOW,
    ({ reduces }) =>
      given.gate === undefined || reduces
        ? OPEN
        : {
            allowed: false,
            state: given.gate,
            scope: 'global',
            code: `TRADING_${given.gate}`,
            reason: 'broker is down',
          },
  );
  return step.decision;
}

const row = (decision: LimitDecision, type: string) => decision.results.find((result) => result.type === type);

describe('a limit at its boundary', () => {
  it.each([
    ['below', 89, 'allow', 'OK'],
    ['equal', 90, 'allow', 'OK'],
    ['above', 91, 'deny', 'PORTFOLIO_DELTA_EXCEEDED'],
  ])('%s the limit', (_, quantity, decision, code) => {
    const positions = [{ symbol: 'MSFT', quantity: 10 }];
    const result = check({ portfolioDelta: { max: 100 } }, { quantity }, { positions });
    expect(result).toMatchObject({ decision, code, allowed: decision === 'allow' });
    expect(row(result, 'portfolio_delta')).toMatchObject({
      current: 10,
      projected: 10 + quantity,
      max: 100,
      utilization: (10 + quantity) / 100,
    });
  });

  it('equals the limit in spite of binary rounding', () => {
    const positions = [{ symbol: 'BTC', quantity: 0.1 }];
    expect(check({ portfolioDelta: { max: 0.3 } }, { quantity: 0.2 }, { positions }).decision).toBe('allow');
  });

  it('warns from the soft threshold on and names the limit', () => {
    const limit = { portfolioDelta: { max: 100, warnAt: 0.8 } };
    expect(check(limit, { quantity: 79 }).warnings).toEqual([]);
    const near = check(limit, { quantity: 80 });
    expect(near).toMatchObject({ decision: 'allow', code: 'OK', warnings: ['PORTFOLIO_DELTA_NEAR'] });
    expect(row(near, 'portfolio_delta')).toMatchObject({ outcome: 'warn', code: 'PORTFOLIO_DELTA_NEAR' });
  });

  it('only warns in mode warn', () => {
    const result = check({ orderQuantity: { max: 5, mode: 'warn' } }, {});
    expect(result).toMatchObject({ decision: 'allow', quantity: 10, warnings: ['ORDER_QUANTITY_EXCEEDED'] });
  });

  it('gives a finite utilisation of a limit of 0', () => {
    const result = check({ positionCount: { max: 0 } }, {});
    expect(result).toMatchObject({ decision: 'deny', code: 'POSITION_COUNT_EXCEEDED' });
    expect(row(result, 'position_count')?.utilization).toBe(MAX_UTILIZATION);
    expect(row(check({ priceCollar: { max: 0 } }, {}), 'price_collar')).toMatchObject({ code: 'OK', utilization: 0 });
  });

  it('gives the largest finite number for what overflows', () => {
    const result = check({ totalExposure: { max: 1000 } }, { quantity: 1e200, price: 1e200 });
    expect(result.code).toBe('TOTAL_EXPOSURE_EXCEEDED');
    for (const one of result.results) {
      expect([one.current, one.projected, one.max, one.utilization].every(Number.isFinite)).toBe(true);
    }
  });
});

describe('every kind of limit', () => {
  const held = (symbol: string, quantity: number, more: Partial<Position> = {}): Position => ({
    symbol,
    quantity,
    price: 100,
    ...more,
  });
  const cases: [string, PortfolioLimitsOptions, Partial<LimitOrder>, Given, string, number, number][] = [
    [
      'portfolio delta with contract multiplier, short option',
      { portfolioDelta: { max: 100 } },
      { side: 'sell', quantity: 3, delta: 0.5, multiplier: 100 },
      {},
      'portfolio_delta',
      0,
      150,
    ],
    [
      'portfolio gamma',
      { portfolioGamma: { max: 5 } },
      { quantity: 2, gamma: 0.02, multiplier: 100 },
      { positions: [held('O1', 1, { gamma: 0.03, multiplier: 100 })] },
      'portfolio_gamma',
      3,
      7,
    ],
    [
      'portfolio vega',
      { portfolioVega: { max: 10 } },
      { side: 'sell', quantity: 1, vega: 0.15, multiplier: 100 },
      {},
      'portfolio_vega',
      0,
      15,
    ],
    [
      'symbol delta by underlying',
      { symbolDelta: { max: 25 } },
      { symbol: 'AAPL240621C200', underlying: 'AAPL', quantity: 1, delta: 0.2, multiplier: 100 },
      { positions: [held('AAPL', 10), held('MSFT', 500)] },
      'symbol_delta',
      10,
      30,
    ],
    [
      'symbol delta with an override',
      { symbolDelta: { max: 1000, perSymbol: { AAPL: 15 } } },
      { quantity: 10 },
      { positions: [held('AAPL', 10)] },
      'symbol_delta',
      10,
      20,
    ],
    [
      'single position percent',
      { positionPercent: { max: 2 } },
      { quantity: 15, price: 100 },
      { positions: [held('AAPL', 10)] },
      'position_percent',
      1,
      2.5,
    ],
    [
      'sector percent by map',
      { sectorPercent: { max: 2, groups: { AAPL: 'tech', MSFT: 'tech', XOM: 'energy' } } },
      { quantity: 15, price: 100 },
      { positions: [held('MSFT', -10), held('XOM', 900)] },
      'sector_percent',
      1,
      2.5,
    ],
    [
      'correlated percent by field',
      { correlatedPercent: { max: 50, perGroup: { metals: 2 } } },
      { symbol: 'GLD', correlationGroup: 'metals', quantity: 15, price: 100 },
      { positions: [held('SLV', 10, { correlationGroup: 'metals' })] },
      'correlated_percent',
      1,
      2.5,
    ],
    [
      'total exposure',
      { totalExposure: { max: 2000 } },
      { quantity: 15, price: 100 },
      { positions: [held('MSFT', -10)] },
      'total_exposure',
      1000,
      2500,
    ],
    [
      'total exposure in percent',
      { totalExposure: { maxPercent: 2 } },
      { quantity: 15, price: 100 },
      { positions: [held('MSFT', -10)] },
      'total_exposure_percent',
      1,
      2.5,
    ],
    [
      'position count',
      { positionCount: { max: 2 } },
      {},
      { positions: [held('A', 1), held('B', -1), held('C', 0)] },
      'position_count',
      2,
      3,
    ],
    ['order quantity', { orderQuantity: { max: 5 } }, { quantity: 10 }, {}, 'order_quantity', 0, 10],
    [
      'order notional with multiplier',
      { orderNotional: { max: 5000 } },
      { quantity: 1, price: 60, multiplier: 100 },
      {},
      'order_notional',
      0,
      6000,
    ],
    ['price collar above', { priceCollar: { max: 5 } }, { price: 106, referencePrice: 100 }, {}, 'price_collar', 0, 6],
    [
      'price collar below, by the position’s price',
      { priceCollar: { max: 5 } },
      { price: 94 },
      { positions: [held('AAPL', 1)] },
      'price_collar',
      0,
      6,
    ],
    [
      'leverage',
      { leverage: { max: 2 } },
      { quantity: 1500, price: 100 },
      { positions: [held('MSFT', -1000)] },
      'leverage',
      1,
      2.5,
    ],
    [
      'margin by rates',
      { margin: { max: 20, rate: 0.1 } },
      { quantity: 1000, price: 100, marginRate: 0.2 },
      { positions: [held('MSFT', 1000)] },
      'margin',
      10,
      30,
    ],
    [
      'margin as the venue says',
      { margin: { max: 20, rate: 0.1 } },
      { quantity: 1000, price: 100 },
      { positions: [held('MSFT', 1000)], marginUsed: 15_000 },
      'margin',
      15,
      25,
    ],
    ['daily loss', { dailyLoss: { max: 500 } }, {}, { changes: [{ type: 'pnl', pnl: -501 }] }, 'daily_loss', 501, 501],
    [
      'drawdown',
      { drawdown: { max: 0.1 } },
      {},
      { equity: 80_000, changes: [{ type: 'equity', equity: 100_000 }] },
      'drawdown',
      0.2,
      0.2,
    ],
    [
      'message rate',
      { messageRate: { max: 3 } },
      {},
      { changes: [{ type: 'message_sent', atMs: NOW - 999, count: 3 }] },
      'message_rate',
      3,
      4,
    ],
  ];
  it.each(cases)('%s', (_, options, order, given, type, current, projected) => {
    const result = check(options, order, given);
    const one = row(result, type)!;
    expect(one.current).toBeCloseTo(current, 9);
    expect(one.projected).toBeCloseTo(projected, 9);
    expect(one).toMatchObject({ outcome: 'deny', code: `${type.toUpperCase()}_EXCEEDED` });
    expect(result).toMatchObject({ allowed: false, decision: 'deny', quantity: 0, code: one.code });
    expect(result.reason).toContain(type);
  });

  const sent: LimitsChange = {
    ...{ type: 'order_sent', atMs: NOW - 900, symbol: 'AAPL', side: 'buy', quantity: 10 },
    ...{ price: 100, clientOrderId: 'c1' },
  } as const;

  it('order rate: the window is open at its far end', () => {
    const options = { orderRate: { max: 1, windowMs: 900 } };
    expect(check(options, {}, { changes: [sent] }).decision).toBe('allow');
    expect(check(options, {}, { changes: [sent], now: NOW - 1 })).toMatchObject({ code: 'ORDER_RATE_EXCEEDED' });
  });

  it('duplicate order: everything must be the same, within the window', () => {
    const options = { duplicateOrder: { windowMs: 1000 } };
    const same = { price: 100, clientOrderId: 'c1' };
    const given = { changes: [sent] };
    expect(check(options, same, given)).toMatchObject({ decision: 'deny', code: 'ORDER_DUPLICATE' });
    for (const other of [
      { quantity: 11 },
      { price: 101 },
      { clientOrderId: 'c2' },
      { side: 'sell' },
      { symbol: 'X' },
    ]) {
      expect(check(options, { ...same, ...other } as Partial<LimitOrder>, given).decision).toBe('allow');
    }
    expect(check(options, same, { ...given, now: NOW + 100 }).decision).toBe('allow');
  });

  it('repeated order: the n-th like it is refused, whatever its client id', () => {
    const options = { repeatedOrder: { max: 2, windowMs: 1000 } };
    expect(check(options, { price: 100 }, { changes: [sent] }).decision).toBe('allow');
    const third = check(options, { price: 100, clientOrderId: 'c3' }, { changes: [sent, sent] });
    expect(third).toMatchObject({ decision: 'deny', code: 'ORDER_REPEATED' });
  });

  it('are all evaluated, not only up to the first that is exceeded', () => {
    const result = check(
      { portfolioDelta: { max: 1 }, orderQuantity: { max: 1 }, positionCount: { max: 5 } },
      { quantity: 10 },
    );
    expect(result.results.map(({ type, code }) => [type, code])).toEqual([
      ['trading_state', 'OK'],
      ['portfolio_delta', 'PORTFOLIO_DELTA_EXCEEDED'],
      ['position_count', 'OK'],
      ['order_quantity', 'ORDER_QUANTITY_EXCEEDED'],
    ]);
  });

  it('an instrument without group is free of the group’s limit', () => {
    expect(check({ sectorPercent: { max: 0.001 } }, { price: 100 }).decision).toBe('allow');
  });

  it('a limit that was passed before does not refuse what helps', () => {
    const positions = [held('MSFT', -150)];
    const hedge = check({ portfolioDelta: { max: 100 } }, { quantity: 30 }, { positions });
    expect(hedge).toMatchObject({ decision: 'allow', warnings: ['PORTFOLIO_DELTA_EXCEEDED'] });
    expect(row(hedge, 'portfolio_delta')).toMatchObject({ current: 150, projected: 120 });
    expect(check({ portfolioDelta: { max: 100 } }, { quantity: 251 }, { positions }).decision).toBe('deny');
    const count = check({ positionCount: { max: 1 } }, {}, { positions: [held('AAPL', 5), held('MSFT', 1)] });
    expect(count).toMatchObject({ decision: 'allow', warnings: ['POSITION_COUNT_EXCEEDED'] });
  });
});

describe('capping', () => {
  it('gives the largest quantity that all capped limits allow', () => {
    const result = check(
      { orderNotional: { max: 450, mode: 'cap' }, portfolioDelta: { max: 8, mode: 'cap' }, orderQuantity: { max: 50 } },
      { price: 100 },
    );
    expect(result).toMatchObject({ decision: 'cap', allowed: true, quantity: 4.5, code: 'ORDER_NOTIONAL_EXCEEDED' });
  });

  it('keeps to the quantity step, of the order before that of the options', () => {
    const limit: PortfolioLimitsOptions = { orderNotional: { max: 450, mode: 'cap' }, quantityStep: 1 };
    expect(check(limit, { price: 100 }).quantity).toBe(4);
    expect(check(limit, { price: 100, quantityStep: 0.1 }).quantity).toBe(4.5);
    expect(check({ portfolioDelta: { max: 0.3, mode: 'cap' }, quantityStep: 0.1 }, {}).quantity).toBe(0.3);
  });

  it('denies where nothing is left', () => {
    const limit: PortfolioLimitsOptions = { portfolioDelta: { max: 10, mode: 'cap' }, quantityStep: 1 };
    const full = check(limit, {}, { positions: [{ symbol: 'MSFT', quantity: 9.5 }] });
    expect(full).toMatchObject({ decision: 'deny', allowed: false, quantity: 0, code: 'PORTFOLIO_DELTA_EXCEEDED' });
  });

  it('does not help against a limit in mode deny', () => {
    const result = check({ orderQuantity: { max: 5, mode: 'cap' }, portfolioDelta: { max: 7 } }, {});
    expect(result).toMatchObject({ decision: 'deny', code: 'PORTFOLIO_DELTA_EXCEEDED' });
  });
});

describe('what reduces risk', () => {
  const long: Position[] = [{ symbol: 'AAPL', quantity: 100, price: 100 }];
  const strict: PortfolioLimitsOptions = {
    ...{ portfolioDelta: { max: 0 }, orderQuantity: { max: 0 }, positionCount: { max: 0 }, orderNotional: { max: 0 } },
    ...{ priceCollar: { max: 0 }, dailyLoss: { max: 0 }, leverage: { max: 0 }, maxPriceAgeMs: 1 },
  };

  it.each([
    ['a part of the position', { side: 'sell', quantity: 40 }, long],
    ['the whole position', { side: 'sell', quantity: 100 }, long],
    ['a short position', { side: 'buy', quantity: 5 }, [{ symbol: 'AAPL', quantity: -5 }]],
    ['a reduce-only order, whatever is held', { side: 'sell', quantity: 500, reduceOnly: true }, []],
  ] as const)('passes in every state and past every limit: %s', (_, order, positions) => {
    const result = check(strict, order, {
      ...{ positions, gate: 'HALTED', equity: -1, changes: [{ type: 'pnl', pnl: -1e9 }] },
    });
    expect(result).toMatchObject({ decision: 'allow', quantity: order.quantity, code: 'OK' });
    expect(result.results.some((one) => one.outcome === 'deny' || one.outcome === 'cap')).toBe(false);
  });

  it('passes with an unusable price, an unusable equity and unusable other positions', () => {
    const positions = [...long, { symbol: 'MSFT', quantity: Number.NaN }];
    const exit = { side: 'sell', quantity: 100, price: Number.NaN } as const;
    expect(check(strict, exit, { positions, equity: Number.NaN })).toMatchObject({ decision: 'allow', quantity: 100 });
  });

  it.each(['REDUCING', 'HALTED'] as const)(
    '%s: an order from flat is denied, a flip capped to its closing part',
    (gate) => {
      const denied = check({}, {}, { gate });
      expect(denied).toMatchObject({ decision: 'deny', code: `TRADING_${gate}`, quantity: 0 });
      expect(denied.reason).toContain('broker is down');
      expect(check({}, { side: 'sell', quantity: 250 }, { gate, positions: long })).toMatchObject({
        ...{ decision: 'cap', allowed: true, quantity: 100, code: `TRADING_${gate}` },
      });
    },
  );

  it('of a flip, only the adding part is held against the limits', () => {
    const options = { orderQuantity: { max: 60 }, portfolioDelta: { max: 60 } };
    expect(check(options, { side: 'sell', quantity: 160 }, { positions: long }).decision).toBe('allow');
    expect(check(options, { side: 'sell', quantity: 161 }, { positions: long })).toMatchObject({
      ...{ decision: 'cap', quantity: 100 },
    });
    const capped: PortfolioLimitsOptions = { portfolioDelta: { max: 60, mode: 'cap' }, quantityStep: 7 };
    expect(check(capped, { side: 'sell', quantity: 161 }, { positions: long }).quantity).toBe(154);
  });
});

describe('pending orders', () => {
  const options = { portfolioDelta: { max: 100 }, positionCount: { max: 2 }, totalExposure: { max: 10_000 } };
  const pending = (more: Partial<LimitOrder> = {}): LimitOrder => ({
    ...{ symbol: 'AAPL', side: 'buy', quantity: 60, price: 100, orderId: 'o1', ...more },
  });
  const placed = (order: LimitOrder): LimitsChange => ({ type: 'order_placed', order });

  it('count as exposure', () => {
    const result = check(options, { symbol: 'MSFT', quantity: 50, price: 100 }, { pending: [pending()] });
    expect(row(result, 'portfolio_delta')).toMatchObject({ current: 60, projected: 110, outcome: 'deny' });
    expect(row(result, 'total_exposure')).toMatchObject({ current: 6000, projected: 11_000 });
    expect(row(result, 'position_count')).toMatchObject({ current: 1, projected: 2 });
  });

  it.each([
    ['in the portfolio and tracked', { pending: [pending()], changes: [placed(pending())] }],
    ['twice in the portfolio', { pending: [pending(), pending()] }],
    [
      'tracked under the client id, in the portfolio under both',
      {
        changes: [placed(pending({ orderId: undefined, clientOrderId: 'c1' }))],
        pending: [pending({ clientOrderId: 'c1' })],
      },
    ],
  ] as [string, Given][])('count once: %s', (_, given) => {
    const result = check(options, { symbol: 'MSFT', quantity: 40, price: 100 }, given);
    expect(row(result, 'portfolio_delta')).toMatchObject({ current: 60, projected: 100 });
    expect(row(result, 'position_count')).toMatchObject({ current: 1, projected: 2 });
  });

  it('an order that is checked again does not count against itself', () => {
    const again = { quantity: 90, price: 100, orderId: 'o1' };
    const result = check(options, again, { pending: [pending()], changes: [placed(pending())] });
    expect(row(result, 'portfolio_delta')).toMatchObject({ current: 0, projected: 90 });
  });

  it('that reduce, or weigh on the other side, do not make room', () => {
    const positions = [{ symbol: 'AAPL', quantity: 60, price: 100 }];
    const exit = pending({ side: 'sell', quantity: 60 });
    const result = check(options, { symbol: 'MSFT', quantity: 50, price: 100 }, { positions, pending: [exit] });
    expect(row(result, 'portfolio_delta')).toMatchObject({ current: 60, projected: 110 });
    const short = pending({ symbol: 'XOM', side: 'sell', quantity: 30 });
    expect(row(check(options, { quantity: 10, price: 1 }, { pending: [short] }), 'portfolio_delta')).toMatchObject({
      ...{ current: 0, projected: 10 },
    });
    const both = check(options, { side: 'sell', quantity: 80, price: 1 }, { pending: [short] });
    expect(row(both, 'portfolio_delta')).toMatchObject({ current: 30, projected: 110, outcome: 'deny' });
  });
});

describe('missing and unusable input', () => {
  const options: PortfolioLimitsOptions = { portfolioDelta: { max: 100 }, totalExposure: { max: 10_000 } };

  it('denies a missing price under its own code, once, and names what could not be judged', () => {
    const result = check(options, {});
    expect(result).toMatchObject({ decision: 'deny', code: 'PRICE_MISSING' });
    expect(result.results.filter((one) => one.outcome === 'deny').map((one) => one.type)).toEqual(['price']);
    expect(result.unevaluated).toEqual(['price:PRICE_MISSING', 'total_exposure:PRICE_MISSING']);
    expect(row(result, 'portfolio_delta')?.code).toBe('OK');
  });

  it('takes a market order’s price from the position, and needs none where no limit does', () => {
    expect(check(options, {}, { positions: [{ symbol: 'AAPL', quantity: 1, price: 100 }] }).decision).toBe('allow');
    expect(check({ portfolioDelta: { max: 100 } }, {}).decision).toBe('allow');
  });

  it('denies for another position’s missing price', () => {
    const positions = [{ symbol: 'MSFT', quantity: 1 }];
    expect(check(options, { price: 100 }, { positions })).toMatchObject({ decision: 'deny', code: 'PRICE_MISSING' });
  });

  it.each([
    ['fresh', NOW - 5000, 'OK'],
    ['stale', NOW - 5001, 'PRICE_STALE'],
    ['of unknown time', undefined, 'PRICE_TIME_MISSING'],
  ])('a price that is %s', (_, priceTimeMs, code) => {
    expect(check({ maxPriceAgeMs: 5000 }, { price: 100, priceTimeMs }).code).toBe(code);
  });

  it('denies for another position’s stale price', () => {
    const positions = [{ symbol: 'MSFT', quantity: 1, price: 5, priceTimeMs: NOW - 5001 }];
    const order = { price: 100, priceTimeMs: NOW };
    expect(check({ ...options, maxPriceAgeMs: 5000 }, order, { positions })).toMatchObject({ code: 'PRICE_STALE' });
  });

  it.each([
    [0, 'EQUITY_NOT_POSITIVE'],
    [-5, 'EQUITY_NOT_POSITIVE'],
    [null, 'EQUITY_MISSING'],
  ])('shares of an equity of %s deny under %s', (equity, code) => {
    for (const limit of [
      { positionPercent: { max: 50 } },
      { leverage: { max: 5 } },
      { margin: { max: 50 } },
      { totalExposure: { maxPercent: 50 } },
    ]) {
      expect(check(limit, { price: 1 }, { equity })).toMatchObject({ decision: 'deny', code });
    }
    expect(check(options, { price: 1 }, { equity }).decision).toBe('allow');
  });

  it('a price far from an unknown market is refused', () => {
    expect(check({ priceCollar: { max: 5 } }, { price: 100 })).toMatchObject({ code: 'REFERENCE_PRICE_MISSING' });
  });

  it('missing Greeks are those of the underlying, or refused', () => {
    expect(check({ portfolioVega: { max: 1 } }, {}).decision).toBe('allow');
    expect(check({ portfolioVega: { max: 1 }, missingGreeks: 'deny' }, {})).toMatchObject({ code: 'GREEKS_MISSING' });
  });

  const bad: [string, unknown, string][] = [
    ['quantity', 0, 'QUANTITY_INVALID'],
    ['quantity', Number.NaN, 'QUANTITY_INVALID'],
    ['quantity', Number.POSITIVE_INFINITY, 'QUANTITY_INVALID'],
    ['quantity', '5', 'QUANTITY_INVALID'],
    ['price', -1, 'PRICE_INVALID'],
    ['price', Number.NaN, 'PRICE_INVALID'],
    ['referencePrice', 0, 'REFERENCE_PRICE_INVALID'],
    ['side', 'long', 'SIDE_INVALID'],
    ['symbol', undefined, 'SYMBOL_INVALID'],
    ['delta', Number.NaN, 'GREEKS_INVALID'],
    ['multiplier', 0, 'MULTIPLIER_INVALID'],
    ['orderId', 5, 'ORDER_ID_INVALID'],
    ['priceTimeMs', 'now', 'PRICE_TIME_INVALID'],
  ];
  it.each(bad)('an order whose %s is %s is denied, with every limit in the list', (field, value, code) => {
    const result = check(options, { price: 100, [field]: value });
    expect(result).toMatchObject({ allowed: false, decision: 'deny', quantity: 0, code });
    expect(result.results.map((one) => one.type)).toEqual([
      'trading_state',
      'price',
      'portfolio_delta',
      'total_exposure',
    ]);
  });

  it('an unusable portfolio denies what adds', () => {
    const limits = compileLimits(readLimitsOptions({}), LIMIT_NAMES);
    const state = initialLimitsState(readLimitsOptions({}), NOW);
    const order: LimitOrder = { symbol: 'AAPL', side: 'buy', quantity: 1 };
    for (const portfolio of [undefined, null, 5, {}, { positions: [null] }, { positions: [{ symbol: 'A' }] }]) {
      const step = checkOrder(limits, state, portfolio as never, order, NOW, () => OPEN);
      expect(step.decision.decision).toBe('deny');
      expect(step.state).toBe(state);
      expect(step.events.map((event) => event.name)).toEqual([
        'risk.portfolio_limit.invalid_input',
        'risk.portfolio_limit.check',
      ]);
    }
  });
});

describe('options', () => {
  it.each([
    [{ portfolioDelta: { max: -1 } }, 'portfolioLimits.portfolioDelta.max: expected a finite number ≥ 0, got -1'],
    [{ portfolioDelta: {} }, 'portfolioLimits.portfolioDelta.max'],
    [{ portfolioDelta: { max: 1, warnAt: 80 } }, 'portfolioLimits.portfolioDelta.warnAt'],
    [{ positionCount: { max: 1, mode: 'cap' } }, "portfolioLimits.positionCount.mode: expected one of 'deny', 'warn'"],
    [{ totalExposure: {} }, 'portfolioLimits.totalExposure: expected an object with max, maxPercent or both'],
    [{ dailyLoss: { max: 1, timeZone: 'Mars' } }, 'portfolioLimits.dailyLoss.timeZone'],
    [{ dailyLoss: { max: 1, resetTime: '24:00' } }, 'portfolioLimits.dailyLoss.resetTime'],
    [{ drawdown: { max: 20 } }, 'portfolioLimits.drawdown.max'],
    [{ orderRate: { max: 1.5 } }, 'portfolioLimits.orderRate.max'],
    [{ symbolDelta: { max: 1, perSymbol: { A: Number.NaN } } }, 'portfolioLimits.symbolDelta.perSymbol.A'],
    [{ portfolioDelat: { max: 1 } }, 'did you mean "portfolioDelta"'],
  ])('%j is refused by name', (options, message) => {
    expect(() => readLimitsOptions(options as PortfolioLimitsOptions)).toThrow(message);
  });
});
