import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkOrder } from '../../src/risk/portfolio-limits/check.ts';
import { type CompiledLimits, compileLimits } from '../../src/risk/portfolio-limits/compile.ts';
import { foldLimits } from '../../src/risk/portfolio-limits/fold.ts';
import {
  LIMIT_NAMES,
  type PortfolioLimitsOptions,
  readLimitsOptions,
} from '../../src/risk/portfolio-limits/options.ts';
import type { LimitOrder, Portfolio } from '../../src/risk/portfolio-limits/portfolio.ts';
import { RecentList } from '../../src/risk/portfolio-limits/recent-list.ts';
import {
  initialLimitsState,
  type LimitsState,
  limitsSnapshot,
  limitsStateOf,
} from '../../src/risk/portfolio-limits/state.ts';
import type { GateAnswer } from '../../src/risk/trading-state.ts';
import { createPortfolioLimits } from '../../src/runtime/portfolio-limits.ts';
import { createFakeHost } from '../support/fake-host.ts';

const NOW = Date.UTC(2024, 0, 2, 14, 30);
const SYMBOLS = ['AAPL', 'MSFT', 'XOM', 'GLD'];

const amount = fc.oneof(
  fc.integer({ min: 1, max: 500 }),
  fc.integer({ min: 1, max: 50_000 }).map((n) => n / 100),
);
const signed = fc.tuple(amount, fc.boolean()).map(([n, long]) => (long ? n : -n));
const greek = fc.option(
  fc.integer({ min: -100, max: 100 }).map((n) => n / 100),
  { nil: undefined },
);
const instrument = {
  multiplier: fc.constantFrom(undefined, 1, 100),
  delta: greek,
  gamma: greek,
  vega: greek,
  sector: fc.constantFrom(undefined, 'tech', 'energy'),
  correlationGroup: fc.constantFrom(undefined, 'g1', 'g2'),
  underlying: fc.constantFrom(undefined, 'AAPL'),
};
const anOrder: fc.Arbitrary<LimitOrder> = fc.record({
  ...instrument,
  symbol: fc.constantFrom(...SYMBOLS),
  side: fc.constantFrom('buy', 'sell'),
  quantity: amount,
  price: amount,
  referencePrice: fc.option(amount, { nil: undefined }),
  orderId: fc.constantFrom(undefined, 'o1', 'o2', 'o3'),
  clientOrderId: fc.constantFrom(undefined, 'c1', 'c2'),
  reduceOnly: fc.constantFrom(undefined, false, false, true),
});
const aPortfolio: fc.Arbitrary<Portfolio> = fc.record({
  equity: fc.oneof({ weight: 6, arbitrary: fc.integer({ min: 1000, max: 1_000_000 }) }, fc.constantFrom(0, -5, null)),
  positions: fc.uniqueArray(
    fc.record({
      ...instrument,
      symbol: fc.constantFrom(...SYMBOLS),
      quantity: signed,
      price: fc.option(amount, { nil: undefined, freq: 8 }),
    }),
    { selector: (one) => one.symbol, maxLength: 4 },
  ),
  pending: fc.array(anOrder, { maxLength: 3 }),
});

const anyMode = fc.constantFrom('deny' as const, 'cap' as const, 'warn' as const);
const maximum = fc.oneof(fc.integer({ min: 0, max: 100_000 }), fc.integer({ min: 0, max: 300 }));
function options(mode: fc.Arbitrary<'deny' | 'cap' | 'warn'>): fc.Arbitrary<PortfolioLimitsOptions> {
  const size = fc.record({ max: maximum, mode, warnAt: fc.constantFrom(0.5, 1) });
  return fc.record(
    {
      ...{ portfolioDelta: size, portfolioGamma: size, portfolioVega: size, symbolDelta: size, positionPercent: size },
      ...{ sectorPercent: size, correlatedPercent: size, orderQuantity: size, orderNotional: size, leverage: size },
      margin: size,
      totalExposure: fc.record({ max: maximum, maxPercent: maximum, mode }),
      quantityStep: fc.constantFrom(1, 0.1, 0.01, 7, 100),
    },
    { requiredKeys: [] },
  );
}
const plainOptions: fc.Arbitrary<PortfolioLimitsOptions> = fc.record(
  {
    positionCount: fc.record({ max: fc.integer({ min: 0, max: 4 }) }),
    priceCollar: fc.record({ max: maximum }),
    dailyLoss: fc.record({ max: fc.integer({ min: 0, max: 300 }) }),
    drawdown: fc.record({ max: fc.constantFrom(0.05, 0.2) }),
    messageRate: fc.record({ max: fc.integer({ min: 0, max: 4 }), windowMs: fc.constantFrom(100, 1000) }),
    orderRate: fc.record({ max: fc.integer({ min: 0, max: 3 }), windowMs: fc.constantFrom(100, 1000) }),
    duplicateOrder: fc.record({ windowMs: fc.constantFrom(100, 5000) }),
    repeatedOrder: fc.record({ max: fc.integer({ min: 0, max: 2 }), windowMs: fc.constantFrom(100, 1000) }),
    maxPriceAgeMs: fc.constantFrom(1, 1000),
  },
  { requiredKeys: [] },
);

function compile(given: PortfolioLimitsOptions): { limits: CompiledLimits; state: LimitsState } {
  const checked = readLimitsOptions(given);
  return { limits: compileLimits(checked, LIMIT_NAMES), state: initialLimitsState(checked, NOW) };
}
const gateIn =
  (state: GateAnswer['state']) =>
  (question: { reduces: boolean }): GateAnswer =>
    state === 'ACTIVE' || question.reduces
      ? { allowed: true, state, scope: 'global', code: 'OK' }
      : { allowed: false, state, scope: 'global', code: `TRADING_${state}` };
const plain = (state: LimitsState) => JSON.parse(JSON.stringify(limitsSnapshot(state)));

describe('portfolio limits, whatever the limits, the portfolio and the order', () => {
  it('what only reduces a position passes, whatever the gate, the limits and the prices', () => {
    const badNumber = fc.constantFrom(undefined, Number.NaN, -1, 0, Number.POSITIVE_INFINITY);
    const gate = fc.constantFrom('ACTIVE' as const, 'REDUCING' as const, 'HALTED' as const);
    fc.assert(
      fc.property(
        options(anyMode),
        plainOptions,
        aPortfolio,
        signed,
        badNumber,
        gate,
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        (...[sizes, plains, portfolio, held, price, gateState, share]) => {
          const { limits, state } = compile({ ...sizes, ...plains });
          const positions = portfolio.positions.filter((one) => one.symbol !== 'AAPL');
          const quantity = share === 1 ? Math.abs(held) : Math.abs(held) * share;
          const side = held > 0 ? 'sell' : 'buy';
          const step = checkOrder(
            ...([
              limits,
              state,
              { ...portfolio, positions: [{ symbol: 'AAPL', quantity: held }, ...positions] },
            ] as const),
            ...([{ symbol: 'AAPL', side, quantity, price } as LimitOrder, NOW, gateIn(gateState)] as const),
          );
          expect(step.decision).toMatchObject({ allowed: true, decision: 'allow', quantity });
        },
      ),
    );
  });

  it('a denied order leaves the state as it was, and every check lists all limits with finite numbers', () => {
    fc.assert(
      fc.property(
        options(anyMode),
        plainOptions,
        aPortfolio,
        fc.array(anOrder, { maxLength: 8 }),
        (...[sizes, plains, portfolio, orders]) => {
          const { limits, state: first } = compile({ ...sizes, ...plains });
          const types = ['trading_state', ...(limits.priced ? ['price'] : []), ...limits.list.map((one) => one.type)];
          let state = first;
          for (const order of orders) {
            const before = plain(state);
            const step = checkOrder(limits, state, portfolio, order, NOW, gateIn('ACTIVE'));
            const { decision } = step;
            expect(decision.results.map((one) => one.type)).toEqual(types);
            for (const { current, projected, max, utilization } of decision.results) {
              expect([current, projected, max, utilization].every(Number.isFinite)).toBe(true);
            }
            if (!decision.allowed) expect(step.state).toBe(state);
            // Nor does any check change an older state that somebody still holds.
            expect(plain(state)).toEqual(before);
            expect(decision.allowed).toBe(decision.quantity > 0);
            expect(decision.quantity).toBeLessThanOrEqual(order.quantity);
            expect(decision.decision === 'allow').toBe(decision.quantity === order.quantity);
            state = step.state;
          }
        },
      ),
    );
  });

  it('a capped quantity satisfies all limits, and one step more does not', () => {
    let capped = 0;
    fc.assert(
      fc.property(options(fc.constantFrom('cap' as const)), aPortfolio, anOrder, (given, portfolio, order) => {
        const { limits, state } = compile(given);
        const ask = (quantity: number) =>
          checkOrder(limits, state, portfolio, { ...order, quantity }, NOW, gateIn('ACTIVE')).decision;
        const decision = ask(order.quantity);
        if (decision.decision === 'allow') return;
        if (decision.quantity > 0) {
          capped += 1;
          expect(ask(decision.quantity).decision).toBe('allow');
        }
        const step = given.quantityStep;
        const more =
          step === undefined
            ? decision.quantity * (1 + 1e-9) + 1e-9
            : Number(((Math.floor(decision.quantity / step + 1e-9) + 1) * step).toPrecision(15));
        if (more < order.quantity) expect(ask(more).decision).not.toBe('allow');
      }),
      { numRuns: 3000 },
    );
    expect(capped).toBeGreaterThan(100);
  });

  it('more of an order is never allowed where less is not', () => {
    fc.assert(
      fc.property(
        options(fc.constantFrom('deny' as const)),
        aPortfolio,
        anOrder,
        fc.double({ min: 0.01, max: 0.99, noNaN: true }),
        (...[given, portfolio, order, share]) => {
          const { limits, state } = compile(given);
          const ask = (quantity: number) =>
            checkOrder(limits, state, portfolio, { ...order, quantity }, NOW, gateIn('ACTIVE')).decision.decision;
          if (ask(order.quantity) === 'allow') expect(ask(order.quantity * share)).toBe('allow');
        },
      ),
    );
  });
});

describe('the trail of portfolio limits', () => {
  type Act = (limits: ReturnType<typeof createPortfolioLimits>, host: ReturnType<typeof createFakeHost>) => unknown;
  const money = fc.integer({ min: -200, max: 100 });
  const act: fc.Arbitrary<Act> = fc.oneof(
    fc.tuple(aPortfolio, anOrder).map(
      ([portfolio, order]): Act =>
        (limits) =>
          limits.checkEntry(portfolio, order),
    ),
    anOrder.map(
      (order): Act =>
        (limits) =>
          limits.checkEntry({ equity: 1e6, positions: [] }, order),
    ),
    fc.oneof(money, fc.constant(Number.NaN)).map(
      (pnl): Act =>
        (limits) =>
          limits.recordPnl(pnl),
    ),
    fc.integer({ min: 500, max: 1500 }).map(
      (equity): Act =>
        (limits) =>
          limits.recordEquity(equity),
    ),
    anOrder.map(
      (order): Act =>
        (limits) =>
          limits.orderPlaced(order),
    ),
    fc.constantFrom('o1', 'o2', 'c1', 'none').map(
      (id): Act =>
        (limits) =>
          limits.orderDone(id),
    ),
    fc.record({ orderId: fc.constantFrom('o1', 'c2', undefined), quantity: amount, pnl: fc.option(money) }).map(
      (fill): Act =>
        (limits) =>
          limits.recordFill(fill),
    ),
    fc.integer({ min: 1, max: 3 }).map(
      (count): Act =>
        (limits) =>
          limits.messageSent(count),
    ),
    fc.integer({ min: 0, max: 90_000_000 }).map(
      (ms): Act =>
        (_, host) =>
          host.clock.advance(ms),
    ),
    fc.integer({ min: 0, max: 300 }).map(
      (ms): Act =>
        (_, host) =>
          host.clock.advance(ms),
    ),
    fc.constant<Act>((limits) => limits.tick()),
    fc.constant<Act>((_, host) => host.takeSnapshots()),
    plainOptions.map(
      (update): Act =>
        (limits) =>
          limits.configure(update, { actor: 'ann', reason: 'test' }),
    ),
    fc.constantFrom(undefined, 1000).map(
      (equity): Act =>
        (limits) =>
          limits.resetPeak({ actor: 'ann', reason: 'test', ...(equity ? { equity } : {}) }),
    ),
  );

  it('rebuilds the live state at every point, and goes on from it after a restart', () => {
    fc.assert(
      fc.property(
        plainOptions,
        options(anyMode),
        fc.array(act, { maxLength: 40 }),
        fc.constantFrom('changes' as const, 'all' as const),
        (plains, sizes, acts, recordInputs) => {
          const host = createFakeHost({ recordInputs });
          let limits = createPortfolioLimits(host, { ...plains, ...sizes });
          let folded: LimitsState | undefined;
          let read = 0;
          for (const [index, one] of acts.entries()) {
            one(limits, host);
            while (read < host.events.length) folded = foldLimits(folded, host.events[read++]!);
            expect(folded).toBeDefined();
            expect(plain(folded!)).toEqual(JSON.parse(JSON.stringify(limits.snapshot())));
            const back = limitsStateOf(JSON.parse(JSON.stringify(limits.snapshot())));
            expect(plain(back!)).toEqual(JSON.parse(JSON.stringify(limits.snapshot())));
            if (index % 10 === 9) {
              const again = createPortfolioLimits(host, limits.snapshot().config, limits.snapshot());
              limits = again;
            }
          }
          expect(host.invalid).toEqual([]);
          expect(host.reports).toEqual([]);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('a recent list', () => {
  it('shows what an array would, and older versions never change', () => {
    const step = fc.oneof(
      fc.record({ type: fc.constant('with' as const), value: fc.integer({ min: 0, max: 99 }) }),
      fc.record({ type: fc.constant('drop' as const), below: fc.integer({ min: 0, max: 99 }) }),
      fc.record({ type: fc.constant('newest' as const), count: fc.integer({ min: 0, max: 20 }) }),
      fc.record({ type: fc.constant('back' as const), to: fc.nat() }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const versions: [RecentList<number>, number[]][] = [[RecentList.of<number>([]), []]];
        for (const one of steps) {
          const [list, array] = versions.at(-1)!;
          if (one.type === 'with') versions.push([list.with(one.value), [...array, one.value]]);
          else if (one.type === 'back') versions.push(versions[one.to % versions.length]!);
          else if (one.type === 'newest') {
            versions.push([list.newest(one.count), one.count === 0 ? [] : array.slice(-one.count)]);
          } else {
            const kept = array.findIndex((value) => value >= one.below);
            versions.push([list.dropWhile((value) => value < one.below), kept < 0 ? [] : array.slice(kept)]);
          }
        }
        for (const [list, array] of versions) {
          expect(list.toJSON()).toEqual(array);
          expect(list.size).toBe(array.length);
          expect(list.at(0)).toBe(array[0]);
          expect(list.at(array.length)).toBeUndefined();
        }
      }),
    );
  });
});
