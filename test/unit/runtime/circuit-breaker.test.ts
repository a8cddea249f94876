import { describe, expect, it, vi } from 'vitest';
import {
  type BreakerChange,
  type CircuitBreakerOptions,
  createCircuitBreaker,
} from '../../../src/runtime/circuit-breaker.ts';
import { createFakeHost, START_MS } from '../../support/fake-host.ts';

const ALICE = { actor: 'alice', reason: 'checked the venue' };

function make(options: CircuitBreakerOptions = {}, recordInputs: 'changes' | 'all' = 'changes') {
  const host = createFakeHost({ recordInputs });
  const breaker = createCircuitBreaker(host, 'broker', options);
  host.events.length = 0;
  return { host, breaker, clock: host.clock };
}

const repeat = (times: number, fn: () => void) => {
  for (let time = 0; time < times; time += 1) fn();
};

describe('circuit breaker: what the four systems record', () => {
  it('seed 000: CLOSED → OPEN → HALF_OPEN → CLOSED, each failure, the success in half-open, each change with its window', () => {
    const { host, breaker, clock } = make({ failureThreshold: 3, windowMs: 60_000, cooldownMs: 30_000 });
    repeat(3, () => breaker.failure(new TypeError('connection reset')));
    clock.advance(30_000);
    const permit = breaker.allow();
    breaker.success(permit);
    expect(host.names()).toEqual([
      'risk.circuit_breaker.failure',
      'risk.circuit_breaker.failure',
      'risk.circuit_breaker.failure',
      'risk.circuit_breaker.state_change',
      'risk.trading_state_change',
      'risk.circuit_breaker.state_change',
      'risk.circuit_breaker.probe',
      'risk.trading_state_change',
      'risk.circuit_breaker.success',
      'risk.circuit_breaker.state_change',
    ]);
    const changes = host.named('risk.circuit_breaker.state_change').map(({ attributes }) => attributes);
    expect(
      changes.map((one) => [one['risk.circuit_breaker.state.old'], one['risk.circuit_breaker.state.new']]),
    ).toEqual([
      ['CLOSED', 'OPEN'],
      ['OPEN', 'HALF_OPEN'],
      ['HALF_OPEN', 'CLOSED'],
    ]);
    expect(changes[0]).toMatchObject({
      'risk.circuit_breaker.name': 'broker',
      'risk.circuit_breaker.failure_count': 3,
      'risk.circuit_breaker.failure_threshold': 3,
      'risk.circuit_breaker.trigger': 'failure_count',
      'risk.circuit_breaker.trigger_value': 3,
      'risk.circuit_breaker.trigger_threshold': 3,
      'risk.circuit_breaker.state.code': 1,
      'risk.circuit_breaker.epoch': 1,
      'risk.circuit_breaker.open_until': '2024-01-02T14:30:30.000Z',
      'risk.reason': 'failure_count 3 reached 3',
    });
    expect(
      host.named('risk.circuit_breaker.failure').map((one) => one.attributes['risk.circuit_breaker.failure_count']),
    ).toEqual([1, 2, 3]);
    expect(host.named('risk.circuit_breaker.failure')[0]?.attributes).toMatchObject({
      'error.type': 'TypeError',
      'error.message': 'connection reset',
    });
    expect(host.named('risk.circuit_breaker.success')).toHaveLength(1);
    expect(host.invalid).toEqual([]);
  });

  it('seed 000: a manual reset by an administrator closes it and names the person and the reason', () => {
    const { host, breaker } = make({ failureThreshold: 1 });
    breaker.failure();
    expect(breaker.reset(ALICE)).toEqual({ accepted: true, code: 'OK', state: 'CLOSED' });
    expect(host.named('risk.circuit_breaker.manual_reset')[0]?.attributes).toMatchObject({
      'risk.actor': 'alice',
      'risk.reason': 'checked the venue',
      operation: 'reset',
    });
    expect(host.gate.state()).toBe('ACTIVE');
    expect(host.named('risk.trading_state_change').at(-1)?.attributes['risk.actor']).toBe('alice');
  });

  it('seed 001: "why did trading halt at 10:30?" leads from the halt to the failure that brought it', () => {
    const { host, breaker, clock } = make({ failureThreshold: 2 });
    clock.set(Date.UTC(2024, 0, 2, 15, 30));
    breaker.failure();
    breaker.failure(new Error('502'));
    const byId = new Map(host.events.map((event) => [event.recordId, event]));
    const halt = host.named('risk.trading_state_change')[0];
    const change = byId.get(halt?.attributes['risk.cause.record_id']);
    const failure = byId.get(change?.attributes['risk.cause.record_id']);
    expect(change?.name).toBe('risk.circuit_breaker.state_change');
    expect(halt?.attributes['risk.cause.event']).toBe(change?.name);
    expect(failure?.name).toBe('risk.circuit_breaker.failure');
    expect(failure?.attributes['error.message']).toBe('502');
    expect(change?.attributes['risk.cause.event']).toBe(failure?.name);
  });

  it('seed 001: a restart keeps an open breaker open for what remains of its wait, and its recent failures', () => {
    const first = make({ failureThreshold: 2, cooldownMs: 30_000 });
    first.breaker.failure();
    first.breaker.failure();
    first.clock.advance(10_000);
    const snapshot = JSON.parse(JSON.stringify(first.breaker.snapshot()));
    first.clock.advance(15_000);
    const host = createFakeHost({ clock: first.clock });
    const breaker = createCircuitBreaker(host, 'broker', { failureThreshold: 2, cooldownMs: 30_000 }, snapshot);
    expect(host.named('risk.circuit_breaker.restored')[0]?.attributes).toMatchObject({
      'risk.circuit_breaker.state.new': 'OPEN',
      'risk.circuit_breaker.open_until': '2024-01-02T14:30:30.000Z',
      'risk.restored.age_ms': 15_000,
    });
    expect(host.gate.state()).toBe('HALTED');
    host.clock.advance(4_999);
    expect(breaker.state).toBe('OPEN');
    host.clock.advance(1);
    expect(breaker.state).toBe('HALF_OPEN');

    const closed = make({ failureThreshold: 2, windowMs: 10_000 });
    closed.breaker.failure();
    const next = createCircuitBreaker(
      createFakeHost({ clock: closed.clock }),
      'broker',
      { failureThreshold: 2, windowMs: 10_000 },
      closed.breaker.snapshot(),
    );
    next.failure();
    expect(next.state).toBe('OPEN');
  });

  it('a restart onto a clock that was set back does not lengthen the wait, and half-open begins with no probe under way', () => {
    const first = make({ failureThreshold: 1, cooldownMs: 30_000 });
    first.breaker.failure();
    first.clock.advance(20_000);
    const open = first.breaker.snapshot();
    const back = createFakeHost({ startMs: START_MS - 3_600_000 });
    const restored = createCircuitBreaker(back, 'broker', { failureThreshold: 1 }, open);
    back.clock.advance(9_999);
    expect(restored.state).toBe('OPEN');
    back.clock.advance(1);
    expect(restored.state).toBe('HALF_OPEN');
    restored.allow();
    expect(restored.allow().permitted).toBe(false);
    const again = createCircuitBreaker(createFakeHost({ clock: back.clock }), 'broker', {}, restored.snapshot());
    expect(again.state).toBe('HALF_OPEN');
    expect(again.allow().code).toBe('CIRCUIT_BREAKER_PROBE');
  });
});

describe('circuit breaker: windows and rates', () => {
  it('counts failures of a time window: one that is as old as the window is out', () => {
    const { breaker, clock } = make({ failureThreshold: 3, windowMs: 10_000 });
    breaker.failure();
    breaker.failure();
    clock.advance(10_000);
    breaker.failure();
    expect(breaker.state).toBe('CLOSED');
    const other = make({ failureThreshold: 3, windowMs: 10_000 });
    repeat(2, () => other.breaker.failure());
    other.clock.advance(9_999);
    other.breaker.failure();
    expect(other.breaker.state).toBe('OPEN');
  });

  it('counts failures in a row only', () => {
    const { breaker } = make({ consecutiveFailures: 3 });
    breaker.failure();
    breaker.failure();
    breaker.success();
    breaker.failure();
    breaker.failure();
    expect(breaker.state).toBe('CLOSED');
    breaker.failure();
    expect(breaker.state).toBe('OPEN');
  });

  it('resilience4j: a count window of 10 at a rate of 0.5 opens at the fifth failure of ten, not before the minimum', () => {
    const { breaker, host } = make({ windowCalls: 10, minimumCalls: 10, failureRate: 0.5 });
    repeat(5, () => breaker.failure());
    repeat(4, () => breaker.success());
    expect(breaker.state).toBe('CLOSED');
    breaker.success();
    expect(breaker.state).toBe('OPEN');
    expect(host.named('risk.circuit_breaker.state_change')[0]?.attributes).toMatchObject({
      'risk.circuit_breaker.trigger': 'failure_rate',
      'risk.circuit_breaker.call_count': 10,
      'risk.circuit_breaker.failure_rate': 0.5,
    });
  });

  it('resilience4j: only the last calls of a count window matter', () => {
    const { breaker } = make({ windowCalls: 4, minimumCalls: 4, failureRate: 0.75 });
    breaker.failure();
    breaker.failure();
    repeat(4, () => breaker.success());
    breaker.failure();
    breaker.failure();
    expect(breaker.state).toBe('CLOSED');
    breaker.failure();
    expect(breaker.state).toBe('OPEN');
  });

  it('resilience4j: slow calls count whether they fail or not, and a call of exactly the limit is slow', () => {
    const { breaker, host } = make({ windowMs: 60_000, minimumCalls: 4, slowCallMs: 1_000, slowCallRate: 0.5 });
    breaker.success(undefined, { durationMs: 999 });
    breaker.success(undefined, { durationMs: 1_000 });
    breaker.success(undefined, { durationMs: 10 });
    expect(breaker.state).toBe('CLOSED');
    breaker.failure({ type: 'timeout', durationMs: 2_000 });
    expect(breaker.state).toBe('OPEN');
    expect(host.named('risk.circuit_breaker.state_change')[0]?.attributes).toMatchObject({
      'risk.circuit_breaker.trigger': 'slow_call_rate',
      'risk.circuit_breaker.slow_call_count': 2,
    });
  });

  it('takes the time since the permit as the duration', () => {
    const { breaker, clock } = make({ windowCalls: 1, minimumCalls: 1, slowCallMs: 500, slowCallRate: 1 });
    const permit = breaker.allow();
    clock.advance(500);
    breaker.success(permit);
    expect(breaker.state).toBe('OPEN');
  });

  it('records a success only where it changes what replay needs, or all of them when told to', () => {
    const quiet = make({ failureThreshold: 3 });
    repeat(3, () => quiet.breaker.success());
    expect(quiet.host.events).toEqual([]);
    quiet.breaker.failure();
    quiet.breaker.success();
    quiet.breaker.success();
    expect(quiet.host.named('risk.circuit_breaker.success')).toHaveLength(1);
    const all = make({ failureThreshold: 3 }, 'all');
    repeat(3, () => all.breaker.success());
    expect(all.host.named('risk.circuit_breaker.success')).toHaveLength(3);
  });
});

describe('circuit breaker: open and half-open', () => {
  const opened = (options: CircuitBreakerOptions = {}) => {
    const made = make({ failureThreshold: 1, cooldownMs: 5_000, ...options });
    made.breaker.failure();
    made.host.events.length = 0;
    return made;
  };

  it('refuses calls, says until when, and records each refusal with its cause', () => {
    const { breaker, host } = opened();
    expect(breaker.allow()).toMatchObject({
      permitted: false,
      code: 'CIRCUIT_BREAKER_OPEN',
      openUntil: START_MS + 5_000,
    });
    expect(host.events[0]).toMatchObject({
      name: 'risk.circuit_breaker.not_permitted',
      attributes: {
        'risk.reason.code': 'CIRCUIT_BREAKER_OPEN',
        'risk.cause.event': 'risk.circuit_breaker.state_change',
      },
    });
  });

  it('lets exits pass in every state and records them as such', () => {
    const { breaker, host } = opened();
    expect(breaker.allow({ reduces: true })).toMatchObject({ permitted: true, code: 'CIRCUIT_BREAKER_REDUCES' });
    breaker.forceOpen(ALICE);
    const permit = breaker.allow({ reduces: true });
    expect(permit.permitted).toBe(true);
    expect(host.named('risk.circuit_breaker.exit_permitted')).toHaveLength(2);
    expect(breaker.failure(new Error('x'), permit).code).toBe('CIRCUIT_BREAKER_NOT_COUNTED');
    expect(host.named('risk.circuit_breaker.failure')[0]?.attributes['risk.circuit_breaker.counted']).toBe(false);
  });

  it('lets so many probes through at a time, closes after so many successes, opens again at one failure', () => {
    const { breaker, clock } = opened({ halfOpen: { maxProbes: 2, successesToClose: 3 } });
    clock.advance(5_000);
    const [a, b, c] = [breaker.allow(), breaker.allow(), breaker.allow()];
    expect([a.code, b.code, c.code]).toEqual([
      'CIRCUIT_BREAKER_PROBE',
      'CIRCUIT_BREAKER_PROBE',
      'CIRCUIT_BREAKER_PROBES_TAKEN',
    ]);
    breaker.success(a);
    breaker.success(b);
    expect(breaker.state).toBe('HALF_OPEN');
    breaker.success(breaker.allow());
    expect(breaker.state).toBe('CLOSED');

    const other = opened({ halfOpen: { maxProbes: 2, successesToClose: 3 } });
    other.clock.advance(5_000);
    other.breaker.success(other.breaker.allow());
    other.breaker.failure(new Error('still down'), other.breaker.allow());
    expect(other.breaker.state).toBe('OPEN');
    expect(other.breaker.allow().openUntil).toBe(START_MS + 10_000);
  });

  it('a result without a permit closes nothing while no probe is under way: it is of a call from before', () => {
    const { breaker, clock, host } = opened();
    clock.advance(5_000);
    expect(breaker.state).toBe('HALF_OPEN');
    expect(breaker.success()).toMatchObject({ accepted: false, code: 'CIRCUIT_BREAKER_RESULT_LATE' });
    expect(breaker.failure(new Error('slow answer')).accepted).toBe(false);
    expect(breaker.state).toBe('HALF_OPEN');
    expect(host.named('risk.circuit_breaker.late_result')).toHaveLength(2);
    breaker.allow();
    expect(breaker.success()).toMatchObject({ accepted: true, state: 'CLOSED' });
  });

  it('a hung probe times out, counts as a failure at the moment it was due, and its late answer is ignored', () => {
    const { breaker, clock, host } = opened({ halfOpen: { probeTimeoutMs: 2_000 } });
    clock.advance(5_000);
    const probe = breaker.allow();
    clock.advance(3_000);
    expect(breaker.state).toBe('OPEN');
    expect(host.named('risk.circuit_breaker.failure')[0]?.attributes).toMatchObject({
      'risk.circuit_breaker.result': 'timeout',
      'risk.circuit_breaker.at': new Date(START_MS + 7_000).toISOString(),
    });
    expect(breaker.allow().openUntil).toBe(START_MS + 12_000);
    expect(breaker.success(probe)).toMatchObject({
      accepted: false,
      code: 'CIRCUIT_BREAKER_RESULT_LATE',
      state: 'OPEN',
    });
    expect(host.named('risk.circuit_breaker.late_result')[0]?.attributes['risk.circuit_breaker.result']).toBe(
      'success',
    );
  });

  it('ignores and records a result of an earlier epoch and the second result of one permit', () => {
    const { breaker, host } = make({ failureThreshold: 3 });
    const twice = breaker.allow();
    breaker.failure(new Error('x'), twice);
    expect(breaker.failure(new Error('x'), twice).code).toBe('CIRCUIT_BREAKER_RESULT_DUPLICATE');
    expect(breaker.snapshot().state.calls.failures).toHaveLength(1);
    const early = breaker.allow();
    breaker.trip(ALICE);
    breaker.reset(ALICE);
    expect(breaker.failure(new Error('x'), early).code).toBe('CIRCUIT_BREAKER_RESULT_LATE');
    expect(breaker.snapshot().state.calls.consecutiveFailures).toBe(0);
    expect(host.named('risk.circuit_breaker.late_result')).toHaveLength(2);
    expect(breaker.failure(new Error('x'), { permitted: true } as never).code).toBe('CIRCUIT_BREAKER_PERMIT_INVALID');
  });

  it('latched, it stays open until a named person resets it', () => {
    const { breaker, clock, host } = opened({ latched: true });
    clock.advance(365 * 86_400_000);
    expect(breaker.allow()).not.toHaveProperty('openUntil');
    expect(breaker.state).toBe('OPEN');
    expect(breaker.reset({ actor: ' ', reason: 'x' })).toMatchObject({
      accepted: false,
      code: 'CIRCUIT_BREAKER_ACTOR_MISSING',
    });
    expect(breaker.reset({ actor: 'alice' } as never).code).toBe('CIRCUIT_BREAKER_REASON_MISSING');
    expect(breaker.reset(undefined as never).code).toBe('CIRCUIT_BREAKER_ACTOR_MISSING');
    expect(host.named('risk.circuit_breaker.invalid_input')).toHaveLength(3);
    expect(breaker.state).toBe('OPEN');
    expect(breaker.enable(ALICE).state).toBe('CLOSED');
  });

  it('the gate knows that a cool-down is over when it is asked, without anybody asking the breaker', () => {
    const { clock, host } = opened({ scope: 'venue:nyse' });
    expect(host.gate.check({ reduces: false, venue: 'nyse' }).code).toBe('TRADING_HALTED');
    expect(host.gate.check({ reduces: false, venue: 'lse' }).allowed).toBe(true);
    clock.advance(5_000);
    expect(host.gate.check({ reduces: false, venue: 'nyse' }).allowed).toBe(true);
    expect(host.names()).toEqual(['risk.circuit_breaker.state_change', 'risk.trading_state_change']);
  });

  it('demands what onOpen says', () => {
    expect(opened({ onOpen: 'REDUCING' }).host.gate.state()).toBe('REDUCING');
    expect(opened({ onOpen: 'none' }).host.gate.state()).toBe('ACTIVE');
  });
});

describe('circuit breaker: trading triggers', () => {
  const trades = (...pnls: number[]) => pnls.map((pnl) => ({ pnl }));

  it('opens at so many stop losses in a window', () => {
    const { breaker, clock, host } = make({ stopLossCount: { count: 2, windowMs: 60_000 } });
    breaker.recordTrade({ pnl: -1, stopLoss: true });
    clock.advance(60_000);
    breaker.recordTrade({ pnl: -1, stopLoss: true });
    breaker.recordTrade({ pnl: -1 });
    expect(breaker.state).toBe('CLOSED');
    breaker.recordTrade({ pnl: -1, stopLoss: true });
    expect(breaker.state).toBe('OPEN');
    expect(host.named('risk.circuit_breaker.trade_result')).toHaveLength(3);
    expect(host.invalid).toEqual([]);
  });

  it('opens at a losing streak, which a win ends and a flat trade does not', () => {
    const { breaker } = make({ losingStreak: { count: 3 } });
    for (const trade of trades(-1, -1, 5, -1, 0, -1)) breaker.recordTrade(trade);
    expect(breaker.state).toBe('CLOSED');
    breaker.recordTrade({ pnl: -0.01 });
    expect(breaker.state).toBe('OPEN');
  });

  it('opens when the loss of the day reaches its limit, decimal fractions and all; a new day begins at nothing', () => {
    const { breaker, clock } = make({ dailyLoss: { max: 0.8, timeZone: 'America/New_York' }, cooldownMs: 1_000 });
    for (const trade of trades(-0.7)) breaker.recordTrade(trade);
    clock.set(Date.UTC(2024, 0, 3, 5));
    breaker.recordTrade({ pnl: -0.7 });
    expect(breaker.state).toBe('CLOSED');
    breaker.recordTrade({ pnl: -0.1 });
    expect(breaker.state).toBe('OPEN');
    clock.advance(1_000);
    expect(breaker.state).toBe('CLOSED');
    breaker.recordTrade({ pnl: -0.1 });
    expect(breaker.state).toBe('OPEN');
  });

  it('opens at a drawdown from the peak, and measures from a new peak once it is unlocked', () => {
    const { breaker, clock, host } = make({ drawdown: { maxRatio: 0.1 }, cooldownMs: 1_000 });
    for (const equity of [100, 120, 108.01]) breaker.recordEquity(equity);
    expect(breaker.state).toBe('CLOSED');
    breaker.recordEquity(108);
    expect(host.named('risk.circuit_breaker.state_change')[0]?.attributes).toMatchObject({
      'risk.circuit_breaker.trigger': 'drawdown',
      'risk.circuit_breaker.trigger_threshold': 0.1,
    });
    clock.advance(1_000);
    breaker.recordEquity(108);
    expect(breaker.state).toBe('CLOSED');
    breaker.recordEquity(97);
    expect(breaker.state).toBe('OPEN');
    const broke = make({ drawdown: { maxRatio: 1 } });
    broke.breaker.recordEquity(0);
    expect(broke.breaker.state).toBe('OPEN');
  });

  it('unlocks at a time of day in a zone, on the days of both clock changes', () => {
    for (const [closedAt, opensAt] of [
      ['2024-03-09T20:00:00Z', '2024-03-10T13:30:00Z'],
      ['2024-11-02T19:00:00Z', '2024-11-03T14:30:00Z'],
    ] as const) {
      const { breaker, clock, host } = make({
        losingStreak: { count: 1 },
        unlockAt: { time: '09:30', timeZone: 'America/New_York' },
      });
      clock.set(Date.parse(closedAt));
      breaker.recordTrade({ pnl: -1 });
      clock.set(Date.parse(opensAt) - 1);
      expect(breaker.state).toBe('OPEN');
      clock.advance(1);
      expect(breaker.state).toBe('CLOSED');
      expect(host.named('risk.circuit_breaker.state_change').at(-1)?.attributes['risk.circuit_breaker.trigger']).toBe(
        'time_of_day',
      );
    }
  });

  it('a time of day to unlock stays where it is when the wall clock is stepped; failures still use the cool-down', () => {
    const { breaker, clock } = make({
      ...{ losingStreak: { count: 1 }, failureThreshold: 1, cooldownMs: 1_000 },
      unlockAt: { time: '10:00', timeZone: 'America/New_York' },
    });
    breaker.failure();
    clock.advance(1_000);
    expect(breaker.state).toBe('HALF_OPEN');
    breaker.recordTrade({ pnl: -1 });
    clock.set(clock.now() - 600_000);
    clock.set(Date.UTC(2024, 0, 2, 15) - 1);
    expect(breaker.state).toBe('OPEN');
    clock.advance(1);
    // The failure before it was never cleared by a probe, so it is half-open that the unlock leads to.
    expect(breaker.state).toBe('HALF_OPEN');
  });

  it('a trading trigger reached by exits while it is open lengthens the opening, once', () => {
    const { breaker, clock, host } = make({
      ...{ failureThreshold: 1, cooldownMs: 1_000, dailyLoss: { max: 100 } },
      unlockAt: { time: '09:30', timeZone: 'America/New_York' },
    });
    breaker.failure();
    breaker.recordTrade({ pnl: -150 });
    breaker.recordTrade({ pnl: -10 });
    clock.advance(1_000);
    expect(breaker.state).toBe('OPEN');
    expect(breaker.allow().openUntil).toBe(Date.UTC(2024, 0, 3, 14, 30));
    expect(host.named('risk.circuit_breaker.state_change')).toHaveLength(2);
    expect(host.named('risk.trading_state_change')).toHaveLength(1);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, undefined, '5', null])(
    'ignores and records an unusable value: %s',
    (bad) => {
      const { breaker, host } = make({ losingStreak: { count: 1 }, drawdown: { maxRatio: 0.1 } });
      const before = breaker.snapshot().state;
      expect(breaker.recordTrade({ pnl: bad } as never)).toMatchObject({
        accepted: false,
        code: 'CIRCUIT_BREAKER_TRADE_INVALID',
      });
      expect(breaker.recordEquity(bad as never)).toMatchObject({
        accepted: false,
        code: 'CIRCUIT_BREAKER_EQUITY_INVALID',
      });
      expect(breaker.recordTrade({ pnl: -1, stopLoss: 'yes' } as never).accepted).toBe(false);
      expect(breaker.success(undefined, { durationMs: -1 }).code).toBe('CIRCUIT_BREAKER_DURATION_INVALID');
      expect(breaker.snapshot().state).toEqual(before);
      expect(host.names()).toEqual(Array(4).fill('risk.circuit_breaker.invalid_input'));
      expect(host.invalid).toEqual([]);
    },
  );
});

describe('circuit breaker: people', () => {
  it('disabled, everything passes and nothing is counted; enabled, it is closed with nothing counted', () => {
    const { breaker, host } = make({ failureThreshold: 2 });
    breaker.failure();
    breaker.disable(ALICE);
    repeat(5, () => breaker.failure());
    expect(breaker.allow()).toMatchObject({ permitted: true, code: 'OK' });
    expect(breaker.trip(ALICE).code).toBe('CIRCUIT_BREAKER_ALREADY_DISABLED');
    breaker.enable(ALICE);
    breaker.failure();
    expect(breaker.state).toBe('CLOSED');
    expect(
      host.named('risk.circuit_breaker.failure').map((one) => one.attributes['risk.circuit_breaker.counted']),
    ).toEqual([true, ...Array(5).fill(false), true]);
  });

  it('forced open, no time ends it', () => {
    const { breaker, clock, host } = make();
    breaker.forceOpen(ALICE);
    clock.advance(365 * 86_400_000);
    expect(breaker.allow().code).toBe('CIRCUIT_BREAKER_FORCED_OPEN');
    expect(host.gate.state()).toBe('HALTED');
    breaker.reset(ALICE);
    expect(breaker.allow().permitted).toBe(true);
  });

  it('tripped by hand it opens, its events naming who and why, the gate’s change too', () => {
    const { breaker, host } = make({ cooldownMs: 1_000 });
    breaker.trip(ALICE);
    expect(host.names()).toEqual([
      'risk.circuit_breaker.manual_trip',
      'risk.circuit_breaker.state_change',
      'risk.trading_state_change',
    ]);
    for (const event of host.events) expect(event.attributes['risk.actor']).toBe('alice');
    expect(host.events[1]?.attributes['risk.cause.record_id']).toBe(host.events[0]?.recordId);
  });

  it('new settings keep the state and are recorded with who changed them; unusable ones change nothing', () => {
    const { breaker, host } = make({ failureThreshold: 5, windowMs: 60_000 });
    repeat(2, () => breaker.failure());
    expect(breaker.configure({ failureThreshold: 3 }, ALICE).accepted).toBe(true);
    const changed = host.named('risk.circuit_breaker.config_changed')[0]?.attributes;
    expect(changed?.['risk.config.old'].failureThreshold).toBe(5);
    expect(changed?.['risk.config.new']).toMatchObject({ failureThreshold: 3, windowMs: 60_000 });
    expect(changed?.['risk.actor']).toBe('alice');
    expect(breaker.configure({ failureThreshold: 0 }, ALICE).code).toBe('OPTION_INVALID');
    expect(breaker.configure({ failureTreshold: 1 } as never, ALICE).code).toBe('OPTION_UNKNOWN');
    expect(breaker.configure({ failureThreshold: 1 }, {} as never).code).toBe('CIRCUIT_BREAKER_ACTOR_MISSING');
    expect(breaker.state).toBe('CLOSED');
    breaker.failure();
    expect(breaker.state).toBe('OPEN');
    breaker.configure({ scope: 'venue:nyse', onOpen: 'REDUCING' }, ALICE);
    expect(host.gate.snapshot().scopes).toEqual({ 'venue:nyse': 'REDUCING' });
  });

  it('tells listeners of every change; one that throws is reported and harms nobody', () => {
    const { breaker, host } = make({ failureThreshold: 1 });
    const seen: BreakerChange[] = [];
    breaker.onStateChange(() => {
      throw new Error('listener');
    });
    const subscription = breaker.onStateChange((change) => seen.push(change));
    breaker.failure();
    subscription.dispose();
    breaker.reset(ALICE);
    expect(seen).toMatchObject([
      {
        name: 'broker',
        old: 'CLOSED',
        new: 'OPEN',
        epoch: 1,
        triggers: ['failure_count'],
        openUntilMs: START_MS + 30_000,
      },
    ]);
    expect(seen[0]?.recordId).toBe(host.named('risk.circuit_breaker.state_change')[0]?.recordId);
    expect(host.reports).toHaveLength(2);
  });

  it('a listener that resets it leaves breaker, gate and trail in step', () => {
    const { breaker, host } = make({ failureThreshold: 1 });
    breaker.onStateChange((change) => {
      if (change.new === 'OPEN') breaker.reset(ALICE);
    });
    host.gate.onChange((change) => {
      if (change.new === 'HALTED') breaker.reset(ALICE);
    });
    breaker.failure();
    expect(breaker.state).toBe('CLOSED');
    expect(host.gate.state()).toBe('ACTIVE');
  });
});

describe('circuit breaker: execute', () => {
  it('returns what the function returns, sync or async, and rethrows the very error', async () => {
    const { breaker, host } = make({ failureThreshold: 2 });
    expect(await breaker.execute(() => 7)).toBe(7);
    expect(await breaker.execute(async () => 'x')).toBe('x');
    const error = new Error('down');
    await expect(
      breaker.execute(() => {
        throw error;
      }),
    ).rejects.toBe(error);
    await expect(breaker.execute(() => Promise.reject(error))).rejects.toBe(error);
    expect(breaker.state).toBe('OPEN');
    expect(host.spans.map((span) => span.name)).toEqual(Array(4).fill('risk.circuit_breaker.execute'));
  });

  it('rejects without running the function while open, and runs exits', async () => {
    const { breaker } = make();
    breaker.trip(ALICE);
    const fn = vi.fn(() => 'sold');
    await expect(breaker.execute(fn)).rejects.toMatchObject({
      name: 'RiskTrailError',
      code: 'CIRCUIT_BREAKER_REFUSED',
    });
    expect(fn).not.toHaveBeenCalled();
    expect(await breaker.execute(fn, { reduces: true })).toBe('sold');
  });

  it('counts only what isFailure calls a failure; a predicate that throws is reported and the error counts', async () => {
    const { breaker, host } = make({
      consecutiveFailures: 2,
      isFailure: (error) => {
        if (error === 'bug') throw new Error('predicate');
        return error !== 'insufficient funds';
      },
    });
    const fail = (error: unknown) => breaker.execute(() => Promise.reject(error)).catch(() => {});
    await fail('down');
    await fail('insufficient funds');
    await fail('down');
    expect(breaker.state).toBe('CLOSED');
    await fail('bug');
    expect(breaker.state).toBe('OPEN');
    expect(host.reports).toHaveLength(1);
  });

  it('a call that its caller aborted counts neither way and frees its probe', async () => {
    const { breaker, clock, host } = make({ failureThreshold: 1, cooldownMs: 1_000 });
    breaker.failure();
    clock.advance(1_000);
    const controller = new AbortController();
    const call = breaker.execute(
      ({ signal }) =>
        new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason), { once: true })),
      { signal: controller.signal },
    );
    expect(breaker.allow().code).toBe('CIRCUIT_BREAKER_PROBES_TAKEN');
    controller.abort(new Error('cancelled'));
    await expect(call).rejects.toThrow('cancelled');
    expect(breaker.state).toBe('HALF_OPEN');
    expect(breaker.allow().code).toBe('CIRCUIT_BREAKER_PROBE');
    expect(host.named('risk.circuit_breaker.probe_released')).toHaveLength(1);
    const fn = vi.fn();
    await expect(breaker.execute(fn, { signal: controller.signal })).rejects.toThrow('cancelled');
    expect(fn).not.toHaveBeenCalled();
  });

  it('refuses what is no function, by rejecting', async () => {
    const { breaker } = make();
    await expect(breaker.execute(5 as never)).rejects.toMatchObject({ code: 'OPTION_INVALID' });
  });
});

describe('circuit breaker: snapshots', () => {
  it('begins the trail with its settings and state, and gives both whenever asked', () => {
    const host = createFakeHost();
    createCircuitBreaker(host, 'broker', { failureThreshold: 4 });
    expect(host.names()).toEqual(['risk.circuit_breaker.snapshot']);
    expect(host.events[0]?.attributes['risk.snapshot']).toMatchObject({
      version: 1,
      config: { failureThreshold: 4 },
      state: { status: 'CLOSED' },
    });
    expect(host.takeSnapshots().map((event) => event.name)).toContain('risk.circuit_breaker.snapshot');
    expect(host.invalid).toEqual([]);
  });

  it('goes on from a recorded snapshot event as from the live state', () => {
    const { breaker, host, clock } = make({ windowCalls: 5, failureRate: 0.8, dailyLoss: { max: 100 } });
    breaker.failure();
    breaker.success();
    breaker.recordTrade({ pnl: -60 });
    const recorded = host.takeSnapshots().find((event) => event.name === 'risk.circuit_breaker.snapshot');
    const next = createFakeHost({ clock });
    const restored = createCircuitBreaker(
      next,
      'broker',
      { windowCalls: 5, failureRate: 0.8, dailyLoss: { max: 100 } },
      { ...recorded?.attributes['risk.snapshot'], recordId: recorded?.recordId },
    );
    expect(restored.snapshot().state).toEqual({ ...breaker.snapshot().state, epoch: 1 });
    expect(next.named('risk.circuit_breaker.restored')[0]?.attributes['risk.restored.record_id']).toBe(
      recorded?.recordId,
    );
    restored.recordTrade({ pnl: -40 });
    expect(restored.state).toBe('OPEN');
    expect([...host.coerced, ...next.coerced, ...next.invalid]).toEqual([]);
  });
});
