import { describe, expect, it } from 'vitest';
import { createManualClock } from '../../../src/core/clock.ts';
import { withoutNulls } from '../../../src/core/without-nulls.ts';
import {
  createPortfolioLimits,
  type LimitOrder,
  type Portfolio,
  type PortfolioLimitsOptions,
} from '../../../src/runtime/portfolio-limits.ts';
import { createFakeHost, START_MS } from '../../support/fake-host.ts';

const EMPTY: Portfolio = { equity: 100_000, positions: [] };
const buy = (more: Partial<LimitOrder> = {}): LimitOrder => ({
  symbol: 'AAPL',
  side: 'buy',
  quantity: 10,
  price: 100,
  ...more,
});

function setUp(options: PortfolioLimitsOptions, hostOptions: Parameters<typeof createFakeHost>[0] = {}) {
  const host = createFakeHost(hostOptions);
  const limits = createPortfolioLimits(host, options);
  const begin = host.events.length;
  /** Events since the set-up. */
  const since = () => host.events.slice(begin);
  return { host, limits, since, names: () => since().map((event) => event.name) };
}

describe('seed 000: portfolio limits', () => {
  it('seed 000: every check is recorded, allowed or not, in a span of its own', () => {
    const { host, limits, since } = setUp({ portfolioDelta: { max: 15 } });
    const yes = limits.checkEntry(EMPTY, buy({ orderId: 'o1', accountId: 'ACC1' }));
    const no = limits.checkEntry(EMPTY, buy({ quantity: 16 }));
    const checks = host.named('risk.portfolio_limit.check');
    expect(checks.map((event) => event.attributes['risk.decision'])).toEqual(['allow', 'deny']);
    expect([yes.recordId, no.recordId]).toEqual(checks.map((event) => event.recordId));
    expect(checks[0]?.attributes).toMatchObject({
      ...{ 'trading.symbol': 'AAPL', 'trading.side': 'buy', 'trading.quantity': 10, 'trading.order.id': 'o1' },
      ...{ 'trading.account.id': 'ACC1', 'risk.reason.code': 'OK', 'risk.limit.type': 'portfolio_delta' },
      ...{ 'risk.limit.current': 0, 'risk.limit.projected': 10, 'risk.limit.max': 15 },
      'risk.limits.type': ['trading_state', 'portfolio_delta'],
      'risk.limits.code': ['OK', 'OK'],
      'risk.limits.projected': [0, 10],
      'risk.limits.utilization': [0, 0.666667],
    });
    expect(since().every((event) => event.spans.includes('risk.check'))).toBe(true);
    expect(host.invalid).toEqual([]);
  });

  it('tells again, with each snapshot, how full the last check found the limit that bound it most', () => {
    const { host, limits } = setUp({ portfolioDelta: { max: 15 } });
    const told = () => host.takeSnapshots().find(({ name }) => name === 'risk.portfolio_limit.snapshot')!.attributes;
    expect(told()).not.toHaveProperty(['risk.limit.utilization']);
    limits.checkEntry(EMPTY, buy());
    limits.health(EMPTY);
    expect(told()).toMatchObject({
      ...{ 'risk.limit.type': 'portfolio_delta', 'risk.limit.utilization': 0.666667, 'risk.limit.max': 15 },
      ...{ 'risk.limit.current': 0, 'risk.limit.projected': 10 },
    });
    expect(host.invalid).toEqual([]);
  });

  it('seed 000: six types of rejection, each with its limit, its numbers and its reason', () => {
    const { host, limits } = setUp({
      ...{ portfolioDelta: { max: 5 }, portfolioGamma: { max: 0.1 }, portfolioVega: { max: 0.1 } },
      ...{ symbolDelta: { max: 4 }, positionPercent: { max: 0.5 }, totalExposure: { max: 900 } },
    });
    const decision = limits.checkEntry(EMPTY, buy({ gamma: 0.02, vega: 0.03 }));
    const rejections = host.named('risk.portfolio_limit.rejection');
    expect(rejections.map(({ attributes }) => [attributes['risk.limit.type'], attributes['risk.reason.code']])).toEqual(
      [
        ['portfolio_delta', 'PORTFOLIO_DELTA_EXCEEDED'],
        ['portfolio_gamma', 'PORTFOLIO_GAMMA_EXCEEDED'],
        ['portfolio_vega', 'PORTFOLIO_VEGA_EXCEEDED'],
        ['symbol_delta', 'SYMBOL_DELTA_EXCEEDED'],
        ['position_percent', 'POSITION_PERCENT_EXCEEDED'],
        ['total_exposure', 'TOTAL_EXPOSURE_EXCEEDED'],
      ],
    );
    for (const { attributes } of rejections) {
      expect(attributes['risk.limit.projected']).toBeGreaterThan(attributes['risk.limit.max']);
      expect(attributes).toMatchObject({
        'risk.cause.record_id': decision.recordId,
        'risk.cause.event': 'risk.portfolio_limit.check',
      });
    }
    expect(host.named('risk.portfolio_limit.check')[0]?.attributes['risk.reason']).toBe(decision.reason);
    expect(host.invalid).toEqual([]);
  });

  it('seed 000: portfolio health warns without an order', () => {
    const { host, limits, names } = setUp({ portfolioDelta: { max: 100, warnAt: 0.8 }, symbolDelta: { max: 100 } });
    const positions = [
      { symbol: 'AAPL', quantity: 60, price: 10 },
      { symbol: 'MSFT', quantity: 25, price: 10 },
    ];
    const health = limits.health({ equity: 100_000, positions });
    expect(health.warnings).toEqual(['PORTFOLIO_DELTA_NEAR']);
    expect(health.limits.map(({ type, current, headroom, subject }) => [type, current, headroom, subject])).toEqual([
      ['portfolio_delta', 85, 15, undefined],
      ['symbol_delta', 60, 40, 'AAPL'],
    ]);
    expect(names()).toEqual(['risk.portfolio_health', 'risk.portfolio_limit.warning']);
    expect(host.named('risk.portfolio_limit.warning')[0]?.attributes).toMatchObject({
      ...{ 'risk.limit.type': 'portfolio_delta', 'risk.limit.projected': 85 },
      'risk.cause.record_id': health.recordId,
    });
    expect(host.invalid).toEqual([]);
  });
});

describe('seed 001: portfolio limits survive a restart', () => {
  it('seed 001: the loss of the day, the breach and the pending orders are there again, and trading is still reduced', () => {
    const { limits } = setUp({ dailyLoss: { max: 500 }, portfolioDelta: { max: 100 } });
    limits.orderPlaced(buy({ orderId: 'o1', quantity: 60 }));
    limits.recordPnl(-501);
    const snapshot = JSON.parse(JSON.stringify(limits.snapshot()));

    const host = createFakeHost({ startMs: START_MS + 5 * 60_000 });
    const again = createPortfolioLimits(host, { dailyLoss: { max: 500 }, portfolioDelta: { max: 100 } }, snapshot);
    expect(host.gate.state()).toBe('REDUCING');
    const { results } = again.checkEntry(EMPTY, buy());
    expect(results.find((one) => one.type === 'daily_loss')).toMatchObject({ current: 501, outcome: 'deny' });
    expect(results.find((one) => one.type === 'portfolio_delta')).toMatchObject({ current: 60, projected: 70 });
    expect(host.named('risk.daily_loss_limit')).toEqual([]);
  });

  it('seed 001: how often a limit was hit and how many entries were refused can be counted', () => {
    const { host, limits } = setUp({ portfolioDelta: { max: 15 } });
    for (const quantity of [10, 15, 16, 20]) limits.checkEntry(EMPTY, buy({ quantity }));
    const checks = host.named('risk.portfolio_limit.check');
    expect(checks.filter((event) => event.attributes['risk.decision'] === 'deny')).toHaveLength(2);
    expect(checks).toHaveLength(4);
    expect(host.named('risk.portfolio_limit.rejection')).toHaveLength(2);
  });
});

describe('seed 004: risk management', () => {
  it('seed 004: a position above two percent of the portfolio is refused with what was asked and what is allowed', () => {
    const { host, limits } = setUp({ positionPercent: { max: 2 } });
    expect(limits.checkEntry(EMPTY, buy({ quantity: 20 }))).toMatchObject({ allowed: true });
    expect(limits.checkEntry(EMPTY, buy({ quantity: 21 }))).toMatchObject({
      ...{ allowed: false, code: 'POSITION_PERCENT_EXCEEDED' },
      reason: 'position_percent of AAPL would be 2.1, at most 2 is allowed',
    });
    expect(host.named('risk.portfolio_limit.rejection')[0]?.attributes).toMatchObject({
      ...{ 'risk.limit.type': 'position_percent', 'risk.limit.projected': 2.1, 'risk.limit.max': 2 },
    });
  });

  it('seed 004: the daily loss limit reduces trading until the day ends, once per breach', () => {
    const { host, limits, names } = setUp({
      dailyLoss: { max: 1000, timeZone: 'America/New_York', resetTime: '17:00' },
    });
    limits.recordPnl(-600);
    limits.recordPnl(-400);
    expect(host.named('risk.daily_loss_limit')).toEqual([]);
    limits.recordPnl(-0.5);
    limits.recordPnl(-100);
    limits.recordPnl(500);
    const [breach, ...more] = host.named('risk.daily_loss_limit');
    expect(more).toEqual([]);
    expect(breach?.attributes).toMatchObject({
      ...{ 'risk.daily_loss': 1000.5, 'risk.daily_loss.max': 1000, 'risk.until': '2024-01-02T22:00:00.000Z' },
    });
    const change = host.named('risk.trading_state_change')[0]!;
    expect(change.attributes).toMatchObject({
      ...{ 'risk.trading_state.old': 'ACTIVE', 'risk.trading_state.new': 'REDUCING', 'risk.actor': 'portfolio_limits' },
      ...{ 'risk.cause.record_id': breach?.recordId, 'risk.cause.event': 'risk.daily_loss_limit' },
      ...{ 'risk.trading_state.source': 'portfolio_limits:daily_loss', 'risk.until': '2024-01-02T22:00:00.000Z' },
    });

    const denied = limits.checkEntry(EMPTY, buy());
    expect(denied).toMatchObject({ decision: 'deny', code: 'TRADING_REDUCING' });
    const [rejection] = host.named('risk.portfolio_limit.rejection');
    expect(rejection?.attributes['risk.cause.record_id']).toBe(change.recordId);
    const exit = limits.checkEntry({ ...EMPTY, positions: [{ symbol: 'AAPL', quantity: 10 }] }, buy({ side: 'sell' }));
    expect(exit).toMatchObject({ decision: 'allow', quantity: 10 });

    host.clock.set(Date.UTC(2024, 0, 2, 22));
    expect(limits.checkEntry(EMPTY, buy())).toMatchObject({ decision: 'allow' });
    expect(limits.snapshot().day).toEqual({ resetMs: Date.UTC(2024, 0, 3, 22), pnl: 0, breached: false });
    limits.recordPnl(-1001);
    expect(host.named('risk.daily_loss_limit')).toHaveLength(2);
    expect(names().filter((name) => name === 'risk.portfolio_limit.update')).toHaveLength(7);
    expect(host.invalid).toEqual([]);
  });

  it('drawdown counts the equity that checks are given: it needs no second call', () => {
    const { host, limits, names } = setUp({ drawdown: { max: 0.1 } });
    expect(limits.checkEntry({ ...EMPTY, equity: 100_000 }, buy()).allowed).toBe(true);
    expect(limits.checkEntry({ ...EMPTY, equity: 90_000 }, buy()).allowed).toBe(true);
    expect(limits.checkEntry({ ...EMPTY, equity: 89_999 }, buy()).allowed).toBe(false);
    expect(host.gate.state()).toBe('REDUCING');
    expect(host.named('risk.limit_hit')).toHaveLength(1);
    const exit = buy({ side: 'sell' });
    expect(limits.checkEntry({ equity: 1, positions: [{ symbol: 'AAPL', quantity: 10 }] }, exit).allowed).toBe(true);
    expect(limits.checkEntry({ ...EMPTY, equity: 90_000 }, buy()).allowed).toBe(true);
    expect(host.gate.state()).toBe('ACTIVE');
    // What moves neither the peak nor the breach leaves no event of its own.
    expect(names().filter((name) => name === 'risk.portfolio_limit.update')).toHaveLength(2);
  });

  it('seed 004: a limit that is hit outside an order: drawdown, recorded once and driving the gate', () => {
    const { host, limits } = setUp({ drawdown: { max: 0.1, onBreach: 'HALTED' } });
    for (const equity of [90_000, 100_000, 90_000, 89_999, 88_000]) limits.recordEquity(equity);
    const [hit, ...more] = host.named('risk.limit_hit');
    expect(more).toEqual([]);
    expect(hit?.attributes).toMatchObject({
      ...{ 'risk.limit.type': 'drawdown', 'risk.limit.max': 0.1, 'trading.equity': 89_999 },
    });
    expect(host.gate.state()).toBe('HALTED');
    limits.recordEquity(95_000);
    expect(host.gate.state()).toBe('ACTIVE');
    limits.recordEquity(50_000);
    expect(host.named('risk.limit_hit')).toHaveLength(2);
    limits.resetPeak({ actor: 'ann', reason: 'reviewed', equity: 50_000 });
    expect(host.gate.state()).toBe('ACTIVE');
    expect(limits.checkEntry({ ...EMPTY, equity: 50_000 }, buy()).decision).toBe('allow');
    expect(host.invalid).toEqual([]);
  });

  it('seed 004: portfolio heat, with a warning past its level', () => {
    const { host, limits } = setUp({ heat: { max: 6, warnAt: 0.5 } });
    const positions = [
      { symbol: 'AAPL', quantity: 100, price: 150, stopPrice: 145 },
      { symbol: 'TSLA', quantity: -10, price: 200, stopPrice: 210 },
      { symbol: 'BOND', quantity: 2, price: 1000, multiplier: 1 },
    ];
    const health = limits.health({ equity: 100_000, positions });
    expect(health).toMatchObject({ openRisk: 2600, positionCount: 3, code: 'OK', warnings: [] });
    expect(health.heat).toBeCloseTo(2.6, 12);
    expect(host.named('risk.portfolio_heat_warning')).toEqual([]);
    expect(limits.health({ equity: 60_000, positions }).warnings).toEqual(['PORTFOLIO_HEAT_NEAR']);
    expect(limits.health({ equity: 40_000, positions }).warnings).toEqual(['PORTFOLIO_HEAT_EXCEEDED']);
    expect(host.named('risk.portfolio_heat_warning').map(({ attributes }) => attributes['risk.heat.max'])).toEqual([
      6, 6,
    ]);
    for (const [portfolio, code] of [
      [{ equity: 0, positions }, 'EQUITY_NOT_POSITIVE'],
      [{ positions }, 'EQUITY_MISSING'],
      [{ equity: 1, positions: [{ symbol: 'A', quantity: 1 }] }, 'PRICE_MISSING'],
      [{ equity: Number.NaN, positions }, 'EQUITY_INVALID'],
    ] as const) {
      expect(limits.health(portfolio)).toMatchObject({ heat: undefined, code });
    }
    expect(host.invalid).toEqual([]);
  });
});

describe('portfolio limits in a trail', () => {
  it('counts only what passed: a denied order uses up no rate and is no duplicate', () => {
    const { host, limits } = setUp({
      ...{ orderRate: { max: 2, windowMs: 1000 }, duplicateOrder: { windowMs: 500 }, orderQuantity: { max: 50 } },
    });
    const codes = (order: LimitOrder) => limits.checkEntry(EMPTY, order).code;
    expect(codes(buy({ quantity: 51 }))).toBe('ORDER_QUANTITY_EXCEEDED');
    expect(codes(buy())).toBe('OK');
    expect(codes(buy())).toBe('ORDER_DUPLICATE');
    expect(codes(buy({ clientOrderId: 'c2' }))).toBe('OK');
    expect(codes(buy({ clientOrderId: 'c3' }))).toBe('ORDER_RATE_EXCEEDED');
    host.clock.advance(1000);
    expect(codes(buy())).toBe('OK');
    expect(limits.snapshot().orderTimes).toEqual([START_MS + 1000]);
  });

  it('counts messages that were sent beside orders', () => {
    const { limits } = setUp({ messageRate: { max: 3, windowMs: 1000 } });
    expect(limits.messageSent(2)).toEqual({ accepted: true, code: 'OK' });
    expect(limits.checkEntry(EMPTY, buy()).code).toBe('OK');
    expect(limits.checkEntry(EMPTY, buy()).code).toBe('MESSAGE_RATE_EXCEEDED');
    expect(limits.messageSent(Number.NaN)).toEqual({ accepted: false, code: 'MESSAGE_COUNT_INVALID' });
  });

  it('an order is exposure from when it is placed until it is filled or done', () => {
    const { limits } = setUp({ portfolioDelta: { max: 100 } });
    const current = () => limits.checkEntry(EMPTY, buy({ symbol: 'MSFT', quantity: 1 })).results[1]?.current;
    limits.orderPlaced(buy({ clientOrderId: 'c1', quantity: 60 }));
    limits.orderPlaced(buy({ clientOrderId: 'c1', orderId: 'o1', quantity: 60 }));
    limits.orderPlaced(buy({ orderId: 'o2', quantity: 5 }));
    expect(current()).toBe(65);
    limits.recordFill({ orderId: 'o1', quantity: 20 });
    expect(current()).toBe(45);
    limits.recordFill({ clientOrderId: 'c1', quantity: 40, pnl: -3 });
    expect(current()).toBe(5);
    limits.orderDone('o2');
    expect(current()).toBe(0);
    expect(limits.snapshot().day.pnl).toBe(-3);
  });

  it('changes limits for the checks that follow, and records old and new', () => {
    const { host, limits } = setUp({ portfolioDelta: { max: 100 }, orderQuantity: { max: 50 } });
    limits.configure({ portfolioDelta: { max: 5 }, orderQuantity: null }, { actor: 'ann', reason: 'volatile day' });
    const decision = limits.checkEntry(EMPTY, buy({ quantity: 60 }));
    expect(decision.results.map((one) => one.type)).toEqual(['trading_state', 'portfolio_delta']);
    expect(decision.code).toBe('PORTFOLIO_DELTA_EXCEEDED');
    const [change] = host.named('config.limits_changed');
    expect(change?.attributes).toMatchObject({
      ...{ 'risk.actor': 'ann', 'risk.reason': 'volatile day' },
      'risk.config.old': { portfolioDelta: { max: 100 }, orderQuantity: { max: 50 } },
      'risk.config.new': { portfolioDelta: { max: 5 } },
    });
    expect(change?.attributes['risk.config.new']).not.toHaveProperty('orderQuantity');
  });

  it('refuses wrong settings while it runs, and keeps the old', () => {
    const { host, limits, names } = setUp({ portfolioDelta: { max: 100 } });
    const act = { actor: 'ann', reason: 'test' };
    expect(() => limits.configure({ portfolioDelta: { max: -1 } }, act)).toThrow('configure.portfolioDelta.max');
    expect(() => limits.configure({}, { actor: '', reason: 'x' })).toThrow('configure.actor');
    expect(() => limits.configure({ scope: 'account:A' } as never, act)).toThrow('configure.scope');
    expect(() => limits.resetPeak({ actor: 'ann' } as never)).toThrow('resetPeak.reason');
    expect(names()).toEqual([]);
    expect(limits.snapshot().config.portfolioDelta).toEqual({ max: 100, mode: 'deny' });
    expect(host.reports).toEqual([]);
  });

  it('other limits end or begin a breach of the daily loss', () => {
    const { host, limits } = setUp({ dailyLoss: { max: 100 } });
    const act = { actor: 'ann', reason: 'test' };
    limits.recordPnl(-150);
    expect(host.gate.state()).toBe('REDUCING');
    limits.configure({ dailyLoss: { max: 200 } }, act);
    expect(host.gate.state()).toBe('ACTIVE');
    limits.configure({ dailyLoss: { max: 100, onBreach: 'none' } }, act);
    expect(host.named('risk.daily_loss_limit')).toHaveLength(2);
    expect(host.gate.state()).toBe('ACTIVE');
    expect(host.invalid).toEqual([]);
  });

  it('a check holds on to one set of limits, though a listener changes them meanwhile', () => {
    const { host, limits } = setUp({ portfolioDelta: { max: 5 }, orderQuantity: { max: 5 } });
    const check = host.gate.check;
    host.gate.check = (question) => {
      limits.configure({ portfolioDelta: { max: 500 }, orderQuantity: null }, { actor: 'ann', reason: 'race' });
      return check.call(host.gate, question);
    };
    const decision = limits.checkEntry(EMPTY, buy());
    expect(decision.results.map(({ type, max }) => [type, max])).toEqual([
      ['trading_state', 0],
      ['portfolio_delta', 5],
      ['order_quantity', 5],
    ]);
    expect(limits.snapshot().config).toMatchObject({ portfolioDelta: { max: 500 } });
  });

  it('what a listener tells the limits during a check is not lost', () => {
    const { host, limits } = setUp({ dailyLoss: { max: 1000 }, orderRate: { max: 5 } });
    host.gate.reduce({ actor: 'ann', reason: 'lunch', untilMs: START_MS + 10 });
    host.gate.onChange(() => limits.recordPnl(-7));
    host.clock.advance(10);
    expect(limits.checkEntry(EMPTY, buy()).decision).toBe('allow');
    expect(limits.snapshot()).toMatchObject({ day: { pnl: -7 }, orderTimes: [START_MS + 10] });
  });

  it('acts on the scope it is given, under its own name', () => {
    const { host, limits } = setUp({ name: 'acc1', scope: 'account:ACC1', dailyLoss: { max: 1 } });
    limits.recordPnl(-2);
    expect(host.gate.state()).toBe('ACTIVE');
    expect(host.gate.state('account:ACC1')).toBe('REDUCING');
    expect(host.named('risk.trading_state_change')[0]?.attributes['risk.trading_state.source']).toBe(
      'portfolio_limits:acc1:daily_loss',
    );
    expect(host.named('risk.daily_loss_limit')[0]?.attributes['risk.limit.set']).toBe('acc1');
    expect(limits.checkEntry(EMPTY, buy({ accountId: 'ACC2' })).code).toBe('DAILY_LOSS_EXCEEDED');
  });

  it.each(['changes', 'all'] as const)('recordInputs %s: inputs that change nothing', (recordInputs) => {
    const { limits, names } = setUp({ drawdown: { max: 0.5 } }, { recordInputs });
    limits.recordEquity(100);
    limits.recordEquity(99);
    limits.recordPnl(0);
    limits.orderDone('unknown');
    expect(names()).toHaveLength(recordInputs === 'all' ? 4 : 1);
  });

  it('unusable input is ignored, recorded and told', () => {
    const { host, limits, names } = setUp({ dailyLoss: { max: 10 } });
    const before = limits.snapshot();
    const answers = [
      limits.recordPnl(Number.NaN),
      limits.recordPnl('5' as never),
      limits.recordEquity(Number.POSITIVE_INFINITY),
      limits.orderPlaced(buy()),
      limits.orderPlaced(buy({ orderId: 'o1', quantity: -1 })),
      limits.orderPlaced(null as never),
      limits.orderDone(undefined as never),
      limits.recordFill({ quantity: 0 }),
      limits.recordFill(undefined as never),
      limits.recordFill({ quantity: 1, pnl: Number.NaN }),
    ];
    expect(answers.map(({ code }) => code)).toEqual([
      ...['PNL_INVALID', 'PNL_INVALID', 'EQUITY_INVALID', 'ORDER_ID_MISSING', 'QUANTITY_INVALID', 'ORDER_INVALID'],
      ...['ORDER_ID_INVALID', 'QUANTITY_INVALID', 'FILL_INVALID', 'PNL_INVALID'],
    ]);
    expect(answers.some(({ accepted }) => accepted)).toBe(false);
    expect(limits.snapshot()).toEqual(before);
    expect(new Set(names())).toEqual(new Set(['risk.portfolio_limit.invalid_input']));
    expect(names()).toHaveLength(10);
    expect(host.invalid).toEqual([]);
  });

  it('keeps to finite numbers, however large the losses', () => {
    const { host, limits } = setUp({ dailyLoss: { max: 10 }, drawdown: { max: 0.1 } });
    for (let count = 0; count < 3; count += 1) limits.recordPnl(-Number.MAX_VALUE);
    limits.recordEquity(1e-300);
    limits.recordEquity(-Number.MAX_VALUE);
    limits.checkEntry({ equity: -Number.MAX_VALUE, positions: [] }, buy());
    expect(limits.snapshot().day.pnl).toBe(-Number.MAX_VALUE);
    expect(host.named('risk.limit_hit')[0]?.attributes['risk.drawdown_ratio']).toBe(Number.MAX_VALUE);
    expect(host.invalid).toEqual([]);
  });

  it('decides and drives the gate though nothing can be recorded', () => {
    const { host, limits } = setUp({ dailyLoss: { max: 10 }, portfolioDelta: { max: 15 } });
    host.breakEmit(true);
    expect(limits.checkEntry(EMPTY, buy())).toMatchObject({ decision: 'allow', recordId: undefined });
    expect(limits.checkEntry(EMPTY, buy({ quantity: 16 })).code).toBe('PORTFOLIO_DELTA_EXCEEDED');
    expect(limits.recordPnl(-11)).toEqual({ accepted: true, code: 'OK' });
    expect(host.gate.state()).toBe('REDUCING');
    expect(host.reports.length).toBeGreaterThan(0);
  });

  it('denies an order that cannot even be read, and throws nothing', () => {
    const { host, limits, names } = setUp({ portfolioDelta: { max: 15 } });
    const order = {
      get symbol(): string {
        throw new Error('no symbol');
      },
    } as LimitOrder;
    expect(limits.checkEntry(EMPTY, order)).toMatchObject({ allowed: false, code: 'CHECK_FAILED', quantity: 0 });
    expect(names()).toEqual(['risk.portfolio_limit.invalid_input']);
    expect(host.reports).toHaveLength(1);
    for (const bad of [undefined, null, 5, 'AAPL', []]) {
      expect(limits.checkEntry(EMPTY, bad as never)).toMatchObject({ decision: 'deny' });
      expect(limits.health(bad as never).heat).toBeUndefined();
    }
    expect(host.invalid).toEqual([]);
  });

  it('gives its snapshot as an event when it is made and when it is asked', () => {
    const { host, limits } = setUp({ portfolioDelta: { max: 15 } });
    expect(host.names()).toEqual(['risk.portfolio_limit.snapshot']);
    limits.orderPlaced(buy({ orderId: 'o1' }));
    const taken = host.takeSnapshots().find((event) => event.name === 'risk.portfolio_limit.snapshot');
    // The trail has no null: what isn't known is absent.
    expect(taken?.attributes['risk.snapshot']).toEqual(withoutNulls(limits.snapshot()));
    expect(taken?.attributes['risk.snapshot']).not.toHaveProperty('peakEquity');
    expect(taken?.attributes['risk.snapshot'].pending.o1).toMatchObject({ symbol: 'AAPL', quantity: 10 });
  });

  it('starts afresh from a snapshot that is none, and says so', () => {
    const host = createFakeHost({ clock: createManualClock(START_MS) });
    const limits = createPortfolioLimits(host, { portfolioDelta: { max: 1 } }, { version: 2 } as never);
    expect(limits.snapshot().pending).toEqual({});
    expect(host.reports).toHaveLength(1);
  });

  it('starts a new day at the time of day in its zone, across daylight saving', () => {
    const host = createFakeHost({ startMs: Date.UTC(2024, 2, 9, 23) });
    const limits = createPortfolioLimits(host, {
      dailyLoss: { max: 10, timeZone: 'America/New_York', resetTime: '17:00' },
    });
    expect(limits.snapshot().day.resetMs).toBe(Date.UTC(2024, 2, 10, 21));
    host.clock.set(Date.UTC(2024, 2, 10, 21));
    limits.tick();
    expect(host.named('risk.portfolio_limit.update')[0]?.attributes).toMatchObject({
      ...{ operation: 'day_started', 'risk.until': '2024-03-11T21:00:00.000Z' },
    });
  });
});
