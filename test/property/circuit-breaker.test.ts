import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createManualClock } from '../../src/core/clock.ts';
import { type FoldedBreaker, foldBreaker } from '../../src/risk/circuit-breaker/fold.ts';
import {
  type CircuitBreaker,
  type CircuitBreakerOptions,
  createCircuitBreaker,
  type Permit,
} from '../../src/runtime/circuit-breaker.ts';
import { createFakeHost, type FakeHost, START_MS } from '../support/fake-host.ts';

const OPTIONS: readonly CircuitBreakerOptions[] = [
  { failureThreshold: 3, windowMs: 10_000, cooldownMs: 5_000 },
  { consecutiveFailures: 2, cooldownMs: 4_000, halfOpen: { maxProbes: 2, successesToClose: 2, probeTimeoutMs: 3_000 } },
  { windowCalls: 5, minimumCalls: 3, failureRate: 0.5, cooldownMs: 5_000 },
  { windowMs: 12_000, minimumCalls: 2, failureRate: 0.6, slowCallMs: 500, slowCallRate: 0.5, failureThreshold: 4 },
  { failureThreshold: 2, latched: true },
  {
    failureThreshold: 3,
    stopLossCount: { count: 2, windowMs: 20_000 },
    losingStreak: { count: 3 },
    dailyLoss: { max: 100, timeZone: 'America/New_York' },
    drawdown: { maxRatio: 0.1 },
    cooldownMs: 6_000,
  },
  {
    dailyLoss: { max: 50, timeZone: 'Europe/London', resetAt: '17:00' },
    unlockAt: { time: '09:30', timeZone: 'America/New_York' },
    onOpen: 'REDUCING',
    scope: 'account:ACC1',
  },
];

type Act =
  | { do: 'allow'; reduces: boolean }
  | { do: 'report'; index: number; ok: boolean; durationMs: number | undefined }
  | { do: 'plain'; ok: boolean }
  | { do: 'trade'; pnl: number; stopLoss: boolean }
  | { do: 'equity'; equity: number }
  | { do: 'manual'; act: 'trip' | 'forceOpen' | 'disable' | 'enable' | 'reset' }
  | { do: 'configure'; to: CircuitBreakerOptions }
  | { do: 'wait'; ms: number }
  | { do: 'setClock'; byMs: number }
  | { do: 'tick' }
  | { do: 'rubbish'; value: unknown }
  | { do: 'restart' };

const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 7, arbitrary: fc.record({ do: fc.constant('allow' as const), reduces: fc.boolean() }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('report' as const),
      index: fc.nat(8),
      ok: fc.boolean(),
      durationMs: fc.option(fc.nat(1000), { nil: undefined }),
    }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('plain' as const), ok: fc.boolean() }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('trade' as const),
      pnl: fc.integer({ min: -60, max: 30 }),
      stopLoss: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('equity' as const), equity: fc.integer({ min: 800, max: 1200 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('manual' as const),
      act: fc.constantFrom('trip', 'trip', 'forceOpen', 'disable', 'enable', 'enable', 'reset', 'reset'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('configure' as const),
      to: fc.constantFrom<CircuitBreakerOptions>(
        { cooldownMs: 2_000 },
        { losingStreak: { count: 2 } },
        { windowMs: undefined, windowCalls: 6, failureRate: 0.5, minimumCalls: 3, failureThreshold: undefined },
        { windowCalls: undefined, windowMs: 8_000, failureThreshold: 2 },
        { latched: false },
      ),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      ms: fc.oneof(fc.integer({ min: 1, max: 8_000 }), fc.constantFrom(1_000, 3_000, 5_000, 86_400_000)),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('setClock' as const), byMs: fc.integer({ min: -7_200_000, max: -1 }) }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'tick' as const }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('rubbish' as const),
      value: fc.constantFrom<unknown>(Number.NaN, Number.POSITIVE_INFINITY, undefined, null, 'x', {}, 7),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'restart' as const }) },
);

interface World {
  host: FakeHost;
  breaker: CircuitBreaker;
  permits: Permit[];
  options: CircuitBreakerOptions;
}

function begin(options: CircuitBreakerOptions, recordInputs: 'changes' | 'all' = 'changes'): World {
  const host = createFakeHost({ recordInputs });
  return { host, breaker: createCircuitBreaker(host, 'broker', options), permits: [], options };
}

const BY = { actor: 'alice', reason: 'test' };
const anything = (value: unknown) => value as never;

function perform(world: World, one: Act): void {
  const { host, breaker, permits } = world;
  switch (one.do) {
    case 'allow': {
      const permit = breaker.allow({ reduces: one.reduces });
      if (permit.permitted) permits.push(permit);
      return;
    }
    case 'report': {
      const permit = permits.length === 0 ? undefined : permits[one.index % permits.length];
      if (one.ok) breaker.success(permit, { durationMs: one.durationMs });
      else breaker.failure(new Error('down'), permit);
      return;
    }
    case 'plain':
      if (one.ok) breaker.success();
      else breaker.failure({ type: 'timeout', durationMs: 700 });
      return;
    case 'trade':
      breaker.recordTrade(one);
      return;
    case 'equity':
      breaker.recordEquity(one.equity);
      return;
    case 'manual':
      breaker[one.act](BY);
      return;
    case 'configure':
      breaker.configure(one.to, BY);
      return;
    case 'wait':
      host.clock.advance(one.ms);
      return;
    case 'setClock':
      host.clock.set(host.clock.now() + one.byMs);
      return;
    case 'tick':
      breaker.tick();
      return;
    case 'rubbish':
      breaker.recordTrade(anything({ pnl: one.value }));
      breaker.recordTrade(anything(one.value));
      breaker.recordEquity(anything(typeof one.value === 'number' && Number.isFinite(one.value) ? 'x' : one.value));
      breaker.success(anything(one.value === undefined ? 'x' : one.value));
      breaker.trip(anything(one.value));
      breaker.configure(anything({ failureThreshold: 'x' }), BY);
      return;
    case 'restart': {
      // The next process: same trail, its own gate; JSON as the trail keeps it.
      const snapshot = JSON.parse(JSON.stringify(breaker.snapshot()));
      const next = createFakeHost({ recordInputs: host.recordInputs, clock: host.clock });
      const before = host.events.splice(0);
      next.events.push(...before);
      const inForce = world.breaker.snapshot().config;
      world.host = next;
      world.breaker = createCircuitBreaker(next, 'broker', world.options, snapshot);
      expect(next.invalid).toEqual([]);
      if (JSON.stringify(world.breaker.snapshot().config) === JSON.stringify(inForce))
        expect(world.breaker.snapshot().state.status).toBe(snapshot.state.status);
      return;
    }
  }
}

const history = fc.record({
  options: fc.constantFrom(...OPTIONS),
  acts: fc.array(act, { maxLength: 90, size: 'max' }),
});

describe('circuit breaker, under any history', () => {
  it('folding its events gives the live state at every point', () => {
    fc.assert(
      fc.property(history, fc.constantFrom('changes' as const, 'all' as const), ({ options, acts }, recordInputs) => {
        const world = begin(options, recordInputs);
        let folded: FoldedBreaker | undefined;
        let read = 0;
        for (const one of acts) {
          perform(world, one);
          const { config, state } = world.breaker.snapshot();
          for (const event of world.host.events.slice(read)) {
            if (event.name.startsWith('risk.circuit_breaker.')) folded = foldBreaker(folded, event);
          }
          read = world.host.events.length;
          expect(folded).toEqual({ config, state });
        }
        expect(world.host.invalid).toEqual([]);
        expect(world.host.coerced).toEqual([]);
        expect(world.host.reports).toEqual([]);
      }),
      { numRuns: 400 },
    );
  });

  it('never lets a call pass while open, always lets an exit pass, and never more probes than allowed', () => {
    fc.assert(
      fc.property(history, ({ options, acts }) => {
        const world = begin(options);
        for (const one of acts) {
          perform(world, one);
          const { breaker } = world;
          const before = breaker.state;
          const inFlight = breaker.snapshot().state.probes.length;
          const permit = breaker.allow();
          if (before === 'OPEN' || before === 'FORCED_OPEN') expect(permit.permitted).toBe(false);
          if (before === 'CLOSED' || before === 'DISABLED') expect(permit.permitted).toBe(true);
          if (before === 'HALF_OPEN') expect(permit.permitted).toBe(inFlight < breaker.snapshot().config.maxProbes);
          if (permit.permitted) world.permits.push(permit);
          expect(breaker.allow({ reduces: true }).permitted).toBe(true);
        }
      }),
      { numRuns: 150 },
    );
  });

  it('keeps its invariants and drives the gate as its state demands', () => {
    fc.assert(
      fc.property(history, ({ options, acts }) => {
        const world = begin(options);
        let epoch = 0;
        for (const one of acts) {
          perform(world, one);
          const { breaker, host } = world;
          const { state, config, savedAtMs } = breaker.snapshot();
          expect(state.epoch).toBeGreaterThanOrEqual(epoch);
          epoch = state.epoch;
          if (state.status !== 'OPEN') expect(state.openUntilMs).toBeNull();
          if (state.status !== 'HALF_OPEN') expect(state.probes).toEqual([]);
          if (state.openUntilMs !== null && !state.untilIsFixed)
            expect(state.openUntilMs - savedAtMs).toBeLessThanOrEqual(30_000);
          const isOpen = state.status === 'OPEN' || state.status === 'FORCED_OPEN';
          expect(host.gate.state(config.scope)).toBe(isOpen ? config.onOpen : 'ACTIVE');
        }
      }),
      { numRuns: 150 },
    );
  });

  it('comes to the same state however often it was ticked in between', () => {
    fc.assert(
      fc.property(history, fc.array(fc.nat(10_000), { minLength: 1, maxLength: 5 }), ({ options, acts }, slices) => {
        const plain = begin(options);
        const ticked = begin(options);
        for (const one of acts) {
          // Steps of up to a second are followed, and what is followed depends on when the clock was read.
          if (one.do === 'setClock' && one.byMs >= -1_000) continue;
          // A step before a restart that nobody saw cannot be told from a wait.
          if (one.do === 'restart') for (const { breaker } of [plain, ticked]) breaker.tick();
          perform(plain, one);
          if (one.do === 'wait') {
            let left = one.ms;
            for (const slice of slices) {
              const ms = Math.min(slice, left);
              ticked.host.clock.advance(ms);
              ticked.breaker.tick();
              left -= ms;
            }
            ticked.host.clock.advance(left);
          } else perform(ticked, one);
        }
        plain.breaker.tick();
        ticked.breaker.tick();
        expect(ticked.breaker.snapshot().state).toEqual(plain.breaker.snapshot().state);
      }),
      { numRuns: 150 },
    );
  });

  it('the wrapper never throws, decides the same, and reports it, when every emit throws', () => {
    fc.assert(
      fc.property(history, ({ options, acts }) => {
        const sound = begin(options);
        const broken = begin(options);
        broken.host.breakEmit(true);
        const withoutRestarts = acts.filter((one) => one.do !== 'restart');
        for (const one of withoutRestarts) {
          perform(sound, one);
          perform(broken, one);
          expect(broken.breaker.snapshot().state).toEqual(sound.breaker.snapshot().state);
          expect(broken.host.gate.state()).toBe(sound.host.gate.state());
        }
        // The snapshot at its construction stands, nothing after it.
        expect(broken.host.events).toHaveLength(1);
        expect(broken.host.reports.length > 0).toBe(sound.host.events.length > 1);
      }),
      { numRuns: 60 },
    );
  });

  it('a clock set back neither ends an opening early nor lengthens it', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1_001, max: 86_400_000 }),
        fc.integer({ min: 1, max: 4_999 }),
        fc.boolean(),
        (backMs, waitedMs, forward) => {
          const clock = createManualClock(START_MS);
          let offset = 0;
          const stepped = { ...clock, now: () => clock.now() + offset };
          const host = createFakeHost({ clock: stepped });
          const breaker = createCircuitBreaker(host, 'broker', { failureThreshold: 1, cooldownMs: 5_000 });
          breaker.failure();
          clock.advance(waitedMs);
          offset = forward ? backMs : -backMs;
          expect(breaker.allow().permitted).toBe(false);
          clock.advance(5_000 - waitedMs - 1);
          expect(breaker.state).toBe('OPEN');
          clock.advance(1);
          expect(breaker.state).toBe('HALF_OPEN');
        },
      ),
      { numRuns: 100 },
    );
  });
});
