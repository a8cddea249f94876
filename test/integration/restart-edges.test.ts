import { describe, expect, it } from 'vitest';
import { createManualClock, type ManualClock } from '../../src/core/clock.ts';
import type { CircuitBreakerOptions, PortfolioLimitsOptions, RiskTrail, RiskTrailOptions } from '../../src/index.ts';
import { readTrail, startTestTrail, temporaryDirectory } from '../support/trail.ts';

// Each edge of a restart that is known to have bitten somebody, by its name. What kill -9 leaves is in restore-kill.test.ts.

const START = Date.UTC(2024, 0, 2, 14, 30);
const BY = { actor: 'ann', reason: 'test' };

/** A service that can be started again: on the same clock unless told otherwise. */
function service(options: RiskTrailOptions = {}) {
  const dataDir = temporaryDirectory();
  const clock = createManualClock(START);
  return {
    clock,
    dataDir,
    start: (on: ManualClock = clock, more: RiskTrailOptions = {}) =>
      startTestTrail({ dataDir, clock: on, ...options, ...more }),
  };
}

const SETTINGS = { failureThreshold: 2, cooldownMs: 30_000, onOpen: 'none' } as const;
const breakerOf = (trail: RiskTrail, more: CircuitBreakerOptions = {}) =>
  trail.circuitBreaker('broker', { ...SETTINGS, ...more });

/** A breaker that was opened, and its trail closed. */
async function opened(more: CircuitBreakerOptions = {}, options: RiskTrailOptions = {}) {
  const one = service(options);
  const trail = await one.start();
  // Long after it was made: the wait does not count from then.
  one.clock.advance(600_000);
  const breaker = breakerOf(trail, more);
  breaker.failure();
  breaker.failure();
  expect(breaker.state).toBe('OPEN');
  return { ...one, trail, breaker };
}

describe('circuit breaker', () => {
  it('restart while open: the remaining wait counts from when it opened, not from when it was made again', async () => {
    const { clock, trail, start } = await opened();
    clock.advance(20_000);
    await trail.close();
    const again = breakerOf(await start());
    expect(again.state).toBe('OPEN');
    clock.advance(9_999);
    expect(again.allow().permitted).toBe(false);
    clock.advance(1);
    expect(again.allow().code).toBe('CIRCUIT_BREAKER_PROBE');
  });

  it('restart while open, again and again: the wait gets no longer by it', async () => {
    const { clock, trail, start } = await opened();
    let last = trail;
    for (let restart = 0; restart < 4; restart++) {
      clock.advance(5_000);
      await last.close();
      last = await start();
      expect(breakerOf(last).state).toBe('OPEN');
    }
    await last.close();
    clock.advance(10_000);
    expect(breakerOf(await start()).state).toBe('HALF_OPEN');
  });

  it('restart while half-open: the probe in flight is gone, and one probe is let through', async () => {
    const { clock, trail, breaker, start } = await opened();
    clock.advance(30_000);
    expect(breaker.allow().probe).toBe(1);
    await trail.close();
    const again = breakerOf(await start());
    expect(again.state).toBe('HALF_OPEN');
    expect(again.allow().permitted).toBe(true);
    expect(again.allow().code).toBe('CIRCUIT_BREAKER_PROBES_TAKEN');
  });

  it('wall clock set back over the restart: the wait is no longer than it was, and the step is recorded', async () => {
    const { clock, trail, dataDir, start } = await opened();
    clock.advance(20_000);
    await trail.close();
    const back = createManualClock(clock.now() - 3_600_000);
    const again = breakerOf(await start(back));
    back.advance(10_000);
    expect(again.state).toBe('HALF_OPEN');
    const restored = (await readTrail(dataDir)).find((one) => one.event === 'risk.circuit_breaker.restored');
    expect(restored?.['risk.restored.clock_step_ms']).toBe(-3_600_000);
  });

  it('wall clock set forward over the restart: it counts as time that went by', async () => {
    const { clock, trail, start } = await opened();
    await trail.close();
    expect(breakerOf(await start(createManualClock(clock.now() + 3_600_000))).state).toBe('HALF_OPEN');
  });

  it('a late result from an earlier epoch: a permit of before the restart decides nothing', async () => {
    const { clock, trail, breaker, start } = await opened();
    clock.advance(30_000);
    const probe = breaker.allow();
    await trail.close();
    const again = breakerOf(await start());
    expect(again.success(probe)).toMatchObject({ accepted: false, code: 'CIRCUIT_BREAKER_RESULT_LATE' });
    expect(again.state).toBe('HALF_OPEN');
    expect(again.failure(new Error('down'), probe)).toMatchObject({ accepted: false });
    expect(again.state).toBe('HALF_OPEN');
  });

  it('a hung probe: one of before the restart does not open it again, one of after does when its time is up', async () => {
    const { clock, trail, breaker, start } = await opened({ halfOpen: { probeTimeoutMs: 2_000 } });
    clock.advance(30_000);
    breaker.allow();
    await trail.close();
    clock.advance(60_000);
    const again = breakerOf(await start(), { halfOpen: { probeTimeoutMs: 2_000 } });
    expect(again.state).toBe('HALF_OPEN');
    expect(again.allow().permitted).toBe(true);
    clock.advance(2_000);
    expect(again.state).toBe('OPEN');
  });

  it('a duplicate callback: the second result of one permit counts for nothing, the restored counts stay', async () => {
    const one = service();
    const first = await one.start();
    breakerOf(first, { failureThreshold: 3 }).failure();
    await first.close();
    const again = breakerOf(await one.start(), { failureThreshold: 3 });
    const permit = again.allow();
    again.failure(new Error('down'), permit);
    expect(again.failure(new Error('down'), permit).code).toBe('CIRCUIT_BREAKER_RESULT_DUPLICATE');
    expect([again.state, again.snapshot().state.calls.failures.length]).toEqual(['CLOSED', 2]);
  });

  it('equality at the threshold: failures of before and after the restart make it up, and the window lets old ones go', async () => {
    const one = service();
    const first = await one.start();
    breakerOf(first, { windowMs: 10_000 }).failure();
    await first.close();
    one.clock.advance(9_999);
    const second = await one.start();
    const again = breakerOf(second, { windowMs: 10_000 });
    again.failure();
    expect(again.state).toBe('OPEN');
    await second.close();

    const other = service();
    const before = await other.start();
    breakerOf(before, { windowMs: 10_000 }).failure();
    await before.close();
    other.clock.advance(10_000);
    const later = breakerOf(await other.start(), { windowMs: 10_000 });
    later.failure();
    expect(later.state).toBe('CLOSED');
  });

  it('a listener that throws on the restored breaker is reported, and the state goes on', async () => {
    const { clock, trail, start } = await opened();
    await trail.close();
    const second = await start();
    const again = breakerOf(second);
    again.onStateChange(() => {
      throw new Error('listener');
    });
    clock.advance(30_000);
    expect(again.state).toBe('HALF_OPEN');
    expect(second.health().failures.last?.where).toContain('listener');
    await second.close();
    expect(breakerOf(await start()).state).toBe('HALF_OPEN');
  });

  it('configuration changed over a restored snapshot: a shorter wait holds for the next opening, and what differs is named', async () => {
    const { clock, trail, dataDir, start } = await opened();
    await trail.close();
    const again = breakerOf(await start(), { cooldownMs: 5_000, failureThreshold: 1 });
    expect(again.state).toBe('OPEN');
    clock.advance(30_000);
    expect(again.allow().permitted).toBe(true);
    const restored = (await readTrail(dataDir)).find((one) => one.event === 'risk.circuit_breaker.restored');
    expect(restored).toMatchObject({
      'risk.restored.differs': ['failureThreshold: 2 → 1', 'cooldownMs: 30000 → 5000'],
      'risk.restored.config': 'apply',
    });
  });

  it.each([
    ['latched', (b: ReturnType<typeof breakerOf>) => b.trip(BY), { latched: true }, 'OPEN'],
    ['forced open', (b: ReturnType<typeof breakerOf>) => b.forceOpen(BY), {}, 'FORCED_OPEN'],
    ['disabled', (b: ReturnType<typeof breakerOf>) => b.disable(BY), {}, 'DISABLED'],
  ] as const)(
    'restart while %s: it stays so however long it takes, until a person acts',
    async (_, act, more, state) => {
      const one = service();
      const first = await one.start();
      act(breakerOf(first, more));
      await first.close();
      one.clock.advance(365 * 86_400_000);
      const again = breakerOf(await one.start(), more);
      expect(again.state).toBe(state);
      again.reset(BY);
      expect(again.state).toBe('CLOSED');
    },
  );
});

describe('trailing stop', () => {
  const stopsOf = (trail: RiskTrail) => trail.trailingStops({ activationPct: 2, trailingPct: 1 });
  const long = { id: 'p1', symbol: 'AAPL', side: 'long', entryPrice: 100, quantity: 10 } as const;

  async function leave(act: (stops: ReturnType<typeof stopsOf>) => void) {
    const one = service();
    const first = await one.start();
    act(stopsOf(first));
    await first.close();
    return { ...one, stops: stopsOf(await one.start()) };
  }

  it.each([
    ['long', { ...long }, 110, 108.9, 90, 18.9],
    ['short', { ...long, side: 'short' }, 90, 90.9, 95, 4.1],
  ] as const)(
    'restore with the price already beyond the stop, %s: fires at the first tick, told with the gap',
    async (...row) => {
      const [, input, best, level, price, gap] = row;
      const { stops } = await leave((one) => {
        one.add(input);
        one.tick('AAPL', best);
      });
      expect(stops.tick('AAPL', price)).toMatchObject([{ action: 'TRIGGER', stopPrice: level, price, gap }]);
      expect(stops.tick('AAPL', price)).toMatchObject([{ action: 'IGNORED' }]);
    },
  );

  it('gap through the stop: what was told of it before the restart stands, and it fires no second time', async () => {
    const { stops, dataDir } = await leave((one) => {
      one.add(long);
      one.tick('AAPL', 110);
      expect(one.tick('AAPL', 80)).toMatchObject([{ action: 'TRIGGER', stopPrice: 108.9, gap: 28.9 }]);
    });
    expect(stops.tick('AAPL', 70)).toMatchObject([{ action: 'IGNORED' }]);
    const fired = (await readTrail(dataDir)).filter(({ event }) => event === 'risk.trailing_stop.trigger');
    expect(fired).toHaveLength(1);
  });

  it.each([
    ['OHLC', true],
    ['OLHC', false],
  ] as const)('high and low within one bar, path %s: it decides for a restored stop, too', async (path, fires) => {
    const { stops } = await leave((one) => {
      one.add(long);
      one.tick('AAPL', 110);
    });
    // The high lifts the stop to 110.88: the low fires it where it comes after.
    const actions = stops.bar('AAPL', { open: 110, high: 112, low: 110, close: 111 }, { path });
    expect(actions.some(({ action }) => action === 'TRIGGER')).toBe(fires);
  });

  it('zero entry price: it is refused, and a restart finds nothing of it', async () => {
    const { stops } = await leave((one) => {
      expect(one.add({ ...long, entryPrice: 0 })).toMatchObject({ accepted: false });
    });
    expect(stops.list()).toEqual([]);
    expect(stops.add(long)).toMatchObject({ accepted: true });
  });

  it('a trigger level of exactly 0 is a level after a restart, too', async () => {
    const one = service();
    const first = await one.start();
    const wide = (trail: RiskTrail) => trail.trailingStops({ activationPct: 0, trailingPrice: 100 });
    wide(first).add(long);
    await first.close();
    const stops = wide(await one.start());
    expect(stops.get('p1')).toMatchObject({ status: 'active', stopPrice: 0 });
    expect(stops.tick('AAPL', 0.01)[0]?.action).not.toBe('TRIGGER');
  });

  it('NaN, ∞ and prices of 0 or less as the first price after a restart change nothing', async () => {
    const { stops } = await leave((one) => {
      one.add(long);
      one.tick('AAPL', 110);
    });
    const before = stops.list();
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, 0, -1]) {
      expect(stops.tick('AAPL', bad)).toMatchObject([{ action: 'IGNORED' }]);
    }
    expect(stops.list()).toEqual(before);
  });

  it('duplicate and out-of-order ticks: a price of before the restart, delivered again, is known', async () => {
    const { stops } = await leave((one) => {
      one.add(long);
      one.tick('AAPL', 110, { sequence: 7, timeMs: START });
    });
    expect(stops.tick('AAPL', 90, { sequence: 7, timeMs: START })).toMatchObject([{ action: 'IGNORED' }]);
    expect(stops.tick('AAPL', 90, { sequence: 6, timeMs: START - 1 })).toMatchObject([{ action: 'IGNORED' }]);
    expect(stops.tick('AAPL', 90, { sequence: 8, timeMs: START + 1 })).toMatchObject([{ action: 'TRIGGER' }]);
  });

  it('partial close: the size that is left stands, and can be closed to its end', async () => {
    const { stops } = await leave((one) => {
      one.add(long);
      one.partialClose('p1', 4);
    });
    expect(stops.get('p1')?.quantity).toBe(6);
    expect(stops.partialClose('p1', 7).code).toBe('TRAILING_STOP_QUANTITY_EXCEEDED');
    expect(stops.partialClose('p1', 6)).toMatchObject({ accepted: true });
    expect(stops.list()).toEqual([]);
  });

  it('side flip: the other side stands after a restart, with levels of its own', async () => {
    const { stops } = await leave((one) => {
      one.add(long);
      one.tick('AAPL', 110);
      one.flip('p1', { entryPrice: 108, quantity: 5 });
      one.tick('AAPL', 100);
    });
    expect(stops.get('p1')).toMatchObject({
      side: 'short',
      entryPrice: 108,
      quantity: 5,
      peakPrice: 100,
      stopPrice: 101,
    });
  });

  it('re-entry after a trigger: a stop that fired before the restart fires no more, and its id is free', async () => {
    const { stops } = await leave((one) => {
      one.add(long);
      one.tick('AAPL', 110);
      one.tick('AAPL', 105);
    });
    expect(stops.get('p1')?.status).toBe('triggered');
    expect(stops.tick('AAPL', 50)).toMatchObject([{ action: 'IGNORED' }]);
    expect(stops.add({ ...long, entryPrice: 50 })).toMatchObject({ accepted: true, stop: { status: 'pending' } });
  });
});

describe('portfolio limits', () => {
  const LIMITS = {
    dailyLoss: { max: 1_000, timeZone: 'America/New_York', resetTime: '17:00' },
    orderRate: { max: 3, windowMs: 60_000 },
  } as const;
  const order = { symbol: 'AAPL', side: 'buy', quantity: 10, price: 100, referencePrice: 100 } as const;
  const flat = { equity: 10_000, positions: [] };

  it('daily loss: what is used stands till its reset time in its zone, across the restart', async () => {
    const one = service();
    const first = await one.start();
    first.portfolioLimits({ dailyLoss: LIMITS.dailyLoss }).recordPnl(-600);
    await first.close();
    const second = await one.start();
    const limits = second.portfolioLimits({ dailyLoss: LIMITS.dailyLoss });
    limits.recordPnl(-400.01);
    expect(second.gate.state()).toBe('REDUCING');
    await second.close();
    // Five o'clock in New York.
    one.clock.set(Date.UTC(2024, 0, 2, 22) - 1);
    const third = await one.start();
    third.portfolioLimits({ dailyLoss: LIMITS.dailyLoss });
    expect(third.gate.state()).toBe('REDUCING');
    one.clock.advance(1);
    third.gate.tick();
    expect(third.gate.state()).toBe('ACTIVE');
  });

  it('pending orders are counted once, by a restart neither lost nor doubled', async () => {
    const one = service();
    const settings = { totalExposure: { max: 3_000 } };
    const first = await one.start();
    first
      .portfolioLimits(settings)
      .orderPlaced({ symbol: 'AAPL', side: 'buy', quantity: 20, orderId: 'o1', price: 100 });
    await first.close();
    const limits = (await one.start()).portfolioLimits(settings);
    expect(limits.checkEntry(flat, order).code).toBe('OK');
    expect(limits.checkEntry(flat, { ...order, quantity: 11 }).allowed).toBe(false);
    limits.recordFill({ orderId: 'o1', quantity: 20, pnl: 0 });
    expect(limits.checkEntry(flat, { ...order, quantity: 30 }).allowed).toBe(true);
  });

  it('message and order rates: what was sent before the restart counts within its window', async () => {
    const one = service();
    const settings = { orderRate: LIMITS.orderRate };
    const first = await one.start();
    const before = first.portfolioLimits(settings);
    for (let sent = 0; sent < 2; sent++) expect(before.checkEntry(flat, order).allowed).toBe(true);
    await first.close();
    one.clock.advance(10_000);
    const limits = (await one.start()).portfolioLimits(settings);
    expect(limits.checkEntry(flat, order).allowed).toBe(true);
    expect(limits.checkEntry(flat, order).allowed).toBe(false);
    one.clock.advance(50_000);
    expect(limits.checkEntry(flat, order).allowed).toBe(true);
  });

  it('limits changed in flight stand after a restart under onConfigChange keep', async () => {
    const one = service({ onConfigChange: 'keep' });
    const first = await one.start();
    first.portfolioLimits({ orderNotional: { max: 500 } }).configure({ orderNotional: { max: 2_000 } }, BY);
    await first.close();
    const limits = (await one.start()).portfolioLimits({ orderNotional: { max: 500 } });
    expect(limits.checkEntry(flat, order).allowed).toBe(true);
  });

  it('an order from flat under REDUCING is denied after a restart, an exit passes', async () => {
    const one = service();
    const first = await one.start();
    first.gate.reduce(BY);
    await first.close();
    const second = await one.start();
    const limits = second.portfolioLimits({ orderNotional: { max: 5_000 } });
    expect(limits.checkEntry(flat, order).code).toBe('TRADING_REDUCING');
    const held = { equity: 10_000, positions: [{ symbol: 'AAPL', quantity: 10, price: 100 }] };
    expect(limits.checkEntry(held, { ...order, side: 'sell' }).allowed).toBe(true);
  });

  const held = (quantity: number) => ({ equity: 10_000, positions: [{ symbol: 'AAPL', quantity, price: 100 }] });

  /** Limits of a service that was started again, with an order on its way from before. */
  async function restored(settings: PortfolioLimitsOptions) {
    const one = service();
    const first = await one.start();
    first
      .portfolioLimits(settings)
      .orderPlaced({ symbol: 'AAPL', side: 'buy', quantity: 20, orderId: 'o1', price: 100 });
    await first.close();
    one.clock.advance(10_000);
    return { ...one, limits: (await one.start()).portfolioLimits(settings) };
  }

  it('an order that flips through zero: after a restart its closing part passes, the rest is held against the limits', async () => {
    const { limits } = await restored({ orderQuantity: { max: 5 } });
    const flip = limits.checkEntry(held(10), { ...order, side: 'sell', quantity: 30 });
    expect(flip).toMatchObject({ decision: 'cap', quantity: 10, code: 'ORDER_QUANTITY_EXCEEDED' });
    expect(limits.checkEntry(held(10), { ...order, side: 'sell', quantity: 15 })).toMatchObject({ decision: 'allow' });
  });

  it('reduce-only passes a limit that orders of before the restart have used up', async () => {
    const { limits } = await restored({ totalExposure: { max: 2_000 } });
    expect(limits.checkEntry(flat, order).code).toBe('TOTAL_EXPOSURE_EXCEEDED');
    expect(limits.checkEntry(flat, { ...order, reduceOnly: true })).toMatchObject({ allowed: true, quantity: 10 });
  });

  it('stale or missing price: denied under its own code, also where a price of before the restart was good', async () => {
    const { limits, clock } = await restored({ orderNotional: { max: 5_000 }, maxPriceAgeMs: 5_000 });
    const { price: _, referencePrice: __, ...unpriced } = order;
    expect(limits.checkEntry(flat, unpriced).code).toBe('PRICE_MISSING');
    expect(limits.checkEntry(flat, { ...order, priceTimeMs: START }).code).toBe('PRICE_STALE');
    expect(limits.checkEntry(flat, { ...order, priceTimeMs: clock.now() - 5_000 }).code).toBe('OK');
  });

  it('zero or negative equity: nothing is a share of it, whatever was used before the restart', async () => {
    const { limits } = await restored({ positionPercent: { max: 50 } });
    for (const equity of [0, -1]) {
      expect(limits.checkEntry({ ...flat, equity }, order).code).toBe('EQUITY_NOT_POSITIVE');
      expect(limits.checkEntry({ ...held(10), equity }, { ...order, side: 'sell' }).allowed).toBe(true);
    }
  });

  it('equality at the limit: what was used before the restart and what comes may come to it, not beyond', async () => {
    const { limits } = await restored({ totalExposure: { max: 3_000 } });
    expect(limits.checkEntry(flat, { ...order, quantity: 10.01 }).code).toBe('TOTAL_EXPOSURE_EXCEEDED');
    expect(limits.checkEntry(flat, order).code).toBe('OK');
  });
});
