import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createTradingGate, type GateChange } from '../../../src/runtime/trading-gate.ts';
import { createFakeHost, START_MS } from '../../support/fake-host.ts';

const BY = { actor: 'alice', reason: 'feed is stale' };
const breaker = { source: 'circuit_breaker:broker', actor: 'circuit_breaker', reason: 'opened' };
const limits = { source: 'portfolio_limits:daily_loss', actor: 'portfolio_limits', reason: 'loss' };

describe('trading gate', () => {
  it('lets everything pass while nobody demands anything', () => {
    const { gate, events } = createFakeHost();
    expect(gate.check({ reduces: false, symbol: 'AAPL' })).toEqual({
      allowed: true,
      state: 'ACTIVE',
      scope: 'global',
      code: 'OK',
    });
    expect(events).toEqual([]);
  });

  it('denies what adds risk and never what reduces it, under HALTED and under REDUCING', () => {
    const { gate } = createFakeHost();
    gate.halt(BY);
    expect(gate.check({ reduces: false })).toMatchObject({
      allowed: false,
      code: 'TRADING_HALTED',
      reason: 'feed is stale',
      causeRecordId: 'rec-000001',
    });
    expect(gate.check({ reduces: true })).toMatchObject({ allowed: true, state: 'HALTED', code: 'OK' });
    gate.reduce(BY);
    expect(gate.check({ reduces: false })).toMatchObject({ allowed: false, code: 'TRADING_REDUCING' });
    expect(gate.check({ reduces: true }).allowed).toBe(true);
  });

  it('takes only true for "reduces": a JavaScript caller who leaves it out adds risk', () => {
    const { gate } = createFakeHost();
    gate.halt(BY);
    expect(gate.check({} as never).allowed).toBe(false);
    expect(gate.check({ reduces: 'yes' } as never).allowed).toBe(false);
    expect(gate.check(undefined as never).allowed).toBe(false);
  });

  it('holds the strictest of all sources until each has withdrawn', () => {
    const { gate, names } = createFakeHost();
    gate.demand({ ...breaker, state: 'HALTED' });
    gate.demand({ ...limits, state: 'REDUCING' });
    expect(gate.state()).toBe('HALTED');
    gate.demand({ ...breaker, state: 'ACTIVE' });
    expect(gate.state()).toBe('REDUCING');
    gate.demand({ ...limits, state: 'ACTIVE' });
    expect(gate.state()).toBe('ACTIVE');
    expect(names()).toEqual([
      'risk.trading_state_change',
      'risk.trading_state_demand',
      'risk.trading_state_change',
      'risk.trading_state_change',
    ]);
  });

  it('resume withdraws what was demanded by hand and nothing else', () => {
    const { gate } = createFakeHost();
    gate.demand({ ...breaker, state: 'HALTED' });
    gate.halt(BY);
    gate.resume({ actor: 'bob', reason: 'feed is back' });
    expect(gate.state()).toBe('HALTED');
  });

  it('asks global and every scope of the question, and takes the strictest', () => {
    const { gate } = createFakeHost();
    gate.halt({ ...BY, scope: 'symbol:AAPL' });
    gate.reduce({ ...BY, scope: 'account:ACC1' });
    gate.reduce({ ...BY, scope: 'strategy:mom:1' });
    gate.halt({ ...BY, scope: 'venue:nyse' });
    expect(gate.state()).toBe('ACTIVE');
    expect(gate.check({ reduces: false, symbol: 'MSFT', accountId: 'ACC2' }).allowed).toBe(true);
    expect(gate.check({ reduces: false, symbol: 'AAPL', accountId: 'ACC1' })).toMatchObject({
      state: 'HALTED',
      scope: 'symbol:AAPL',
    });
    expect(gate.check({ reduces: false, accountId: 'ACC1' }).code).toBe('TRADING_REDUCING');
    expect(gate.check({ reduces: false, strategyId: 'mom:1' }).code).toBe('TRADING_REDUCING');
    expect(gate.check({ reduces: false, venue: 'nyse' }).code).toBe('TRADING_HALTED');
    expect(gate.snapshot().scopes).toEqual({
      'symbol:AAPL': 'HALTED',
      'account:ACC1': 'REDUCING',
      'strategy:mom:1': 'REDUCING',
      'venue:nyse': 'HALTED',
    });
  });

  it('records each change with old, new, scope, actor, reason and the event that caused it', () => {
    const { gate, events, invalid } = createFakeHost();
    gate.demand({
      ...{ ...breaker, state: 'HALTED', scope: 'venue:nyse', reasonCode: 'CIRCUIT_BREAKER_OPEN' },
      ...{ causeRecordId: 'rec-cause', causeEvent: 'risk.circuit_breaker.state_change', untilMs: START_MS + 1000 },
    });
    expect(events[0]).toMatchObject({
      name: 'risk.trading_state_change',
      attributes: {
        'risk.trading_state.old': 'ACTIVE',
        'risk.trading_state.new': 'HALTED',
        'risk.trading_state.code': 2,
        'risk.trading_state.source': 'circuit_breaker:broker',
        'risk.scope': 'venue:nyse',
        'risk.actor': 'circuit_breaker',
        'risk.reason': 'opened',
        'risk.reason.code': 'CIRCUIT_BREAKER_OPEN',
        'risk.cause.record_id': 'rec-cause',
        'risk.cause.event': 'risk.circuit_breaker.state_change',
        'risk.until': '2024-01-02T14:30:01.000Z',
      },
    });
    gate.demand({ ...breaker, state: 'HALTED', scope: 'venue:nyse', untilMs: START_MS + 2000 });
    expect(events).toHaveLength(2);
    gate.demand({ ...breaker, state: 'HALTED', scope: 'venue:nyse', untilMs: START_MS + 2000 });
    expect(events).toHaveLength(2);
    expect(invalid).toEqual([]);
  });

  it('ends a timed demand at its time, when asked or ticked, and says so', () => {
    const { gate, clock, events } = createFakeHost();
    gate.halt({ ...BY, untilMs: START_MS + 1000 });
    clock.advance(999);
    expect(gate.state()).toBe('HALTED');
    clock.advance(1);
    expect(gate.check({ reduces: false }).allowed).toBe(true);
    expect(events[1]?.attributes).toMatchObject({
      'risk.trading_state.new': 'ACTIVE',
      'risk.actor': 'clock',
      'risk.reason.code': 'TRADING_DEMAND_EXPIRED',
      'risk.cause.record_id': 'rec-000001',
    });
    clock.set(START_MS);
    expect(gate.state()).toBe('ACTIVE');
  });

  it('halts even when actor, reason, scope or time are unusable, and refuses to resume without a name', () => {
    const { gate, named } = createFakeHost();
    gate.halt({ scope: 7, untilMs: Number.NaN } as never);
    expect(gate.state()).toBe('HALTED');
    expect(named('risk.trading_state_invalid_input')).toHaveLength(3);
    expect(named('risk.trading_state_change')[0]?.attributes['risk.actor']).toBe('unnamed');
    gate.resume({ actor: '', reason: 'x' });
    gate.resume(undefined as never);
    gate.resume({ actor: 'bob', reason: 'ok', scope: 3 } as never);
    expect(gate.state()).toBe('HALTED');
    expect(named('risk.trading_state_invalid_input')).toHaveLength(6);
    gate.halt(undefined as never);
    gate.resume({ actor: 'bob', reason: 'ok' });
    expect(gate.state()).toBe('ACTIVE');
  });

  it('ignores and records an unusable demand', () => {
    const { gate, names } = createFakeHost();
    for (const bad of [null, {}, { ...breaker, state: 'halt' }, { ...breaker, state: 'HALTED', untilMs: Number.NaN }]) {
      gate.demand(bad as never);
    }
    expect(gate.state()).toBe('ACTIVE');
    expect(names()).toEqual(Array(4).fill('risk.trading_state_invalid_input'));
  });

  it('tells listeners of each change; one that throws harms nobody', () => {
    const { gate, reports } = createFakeHost();
    const seen: GateChange[] = [];
    gate.onChange(() => {
      throw new Error('listener');
    });
    const subscription = gate.onChange((change) => seen.push(change));
    gate.halt(BY);
    subscription.dispose();
    gate.resume(BY);
    expect(seen).toMatchObject([
      { old: 'ACTIVE', new: 'HALTED', scope: 'global', recordId: 'rec-000001', actor: 'alice' },
    ]);
    expect(reports).toHaveLength(2);
  });

  it('decides the same when recording throws', () => {
    const host = createFakeHost();
    host.breakEmit(true);
    host.gate.halt(BY);
    expect(host.gate.check({ reduces: false }).allowed).toBe(false);
    expect(host.reports).toHaveLength(1);
  });

  it('asks layers for what their time has brought before it answers, and bears one that throws', () => {
    const { gate, reports } = createFakeHost();
    gate.demand({ ...breaker, state: 'HALTED' });
    gate.beforeAnswer(() => {
      throw new Error('layer');
    });
    gate.beforeAnswer(() => gate.demand({ ...breaker, state: 'ACTIVE' }));
    expect(gate.state()).toBe('ACTIVE');
    expect(reports).toHaveLength(1);
  });

  it('tells the state of each scope beside that of the whole service', () => {
    const host = createFakeHost();
    host.gate.reduce(BY);
    host.gate.halt({ ...BY, scope: 'symbol:AAPL' });
    const told = () => host.takeSnapshots().map(({ name, attributes }) => [name, attributes['risk.scope']]);
    expect(told()).toEqual([
      ['risk.trading_state_snapshot', undefined],
      ['risk.trading_state_scope_snapshot', 'symbol:AAPL'],
    ]);
    expect(host.takeSnapshots()[1]!.attributes).toMatchObject({
      'risk.trading_state.new': 'HALTED',
      'risk.trading_state.code': 2,
    });
    host.gate.resume({ ...BY, scope: 'symbol:AAPL' });
    expect(told()).toEqual([['risk.trading_state_snapshot', undefined]]);
    expect(host.invalid).toEqual([]);
  });

  it('goes on from a snapshot', () => {
    const first = createFakeHost();
    first.gate.halt({ ...BY, scope: 'symbol:AAPL', untilMs: START_MS + 1000 });
    const [snapshot] = first.takeSnapshots();
    const next = createFakeHost();
    const gate = createTradingGate(next, snapshot?.attributes['risk.snapshot']);
    expect(gate.state('symbol:AAPL')).toBe('HALTED');
    next.clock.advance(1000);
    expect(gate.state('symbol:AAPL')).toBe('ACTIVE');
  });
});

describe('kill switch', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('halts before it cancels, and records every outcome with the switch as its cause', async () => {
    const { gate, events, invalid } = createFakeHost();
    const statesAtCancel: string[] = [];
    const outcomes = await gate.killSwitch({
      actor: 'alice',
      reason: 'runaway',
      orders: ['o1', 'o2', 'o3'],
      cancel: async (orderId) => {
        statesAtCancel.push(gate.state());
        if (orderId === 'o2') throw new RangeError('unknown order');
      },
    });
    expect(statesAtCancel).toEqual(['HALTED', 'HALTED', 'HALTED']);
    expect(outcomes).toEqual([
      { orderId: 'o1', outcome: 'succeeded' },
      { orderId: 'o2', outcome: 'failed', error: 'unknown order' },
      { orderId: 'o3', outcome: 'succeeded' },
    ]);
    expect(events.map((event) => [event.name, event.attributes['risk.outcome']])).toEqual([
      ['risk.kill_switch', undefined],
      ['risk.trading_state_change', undefined],
      ['risk.kill_switch', 'succeeded'],
      ['risk.kill_switch', 'failed'],
      ['risk.kill_switch', 'succeeded'],
    ]);
    expect(events[1]?.attributes).toMatchObject({
      'risk.cause.record_id': 'rec-000001',
      'risk.cause.event': 'risk.kill_switch',
      'risk.actor': 'alice',
    });
    expect(events[3]?.attributes).toMatchObject({
      'trading.order.id': 'o2',
      'error.type': 'RangeError',
      'error.message': 'unknown order',
      'risk.cause.record_id': 'rec-000001',
    });
    expect(invalid).toEqual([]);
  });

  it('calls a cancel that does not answer unknown, and records the answer that comes later', async () => {
    const { gate, named } = createFakeHost();
    let answer = () => {};
    const cancelling = gate.killSwitch({
      ...{ actor: 'alice', reason: 'runaway', orders: ['o1'], timeoutMs: 500 },
      cancel: () => new Promise<void>((resolve) => (answer = resolve)),
    });
    await vi.advanceTimersByTimeAsync(500);
    expect(await cancelling).toMatchObject([{ orderId: 'o1', outcome: 'unknown' }]);
    answer();
    await vi.advanceTimersByTimeAsync(0);
    expect(named('risk.kill_switch').map((event) => event.attributes['risk.outcome'])).toEqual([
      undefined,
      'unknown',
      'succeeded',
    ]);
  });

  it('cancels the orders of a Set, and a single id', async () => {
    const { gate } = createFakeHost();
    const cancel = async () => {};
    const act = { actor: 'alice', reason: 'runaway', cancel };
    expect(await gate.killSwitch({ ...act, orders: new Set(['o1', 'o2']) as never })).toHaveLength(2);
    expect(await gate.killSwitch({ ...act, orders: 'o1' as never })).toMatchObject([{ orderId: 'o1' }]);
    expect(await gate.killSwitch({ ...act, orders: 5 as never })).toEqual([]);
  });

  it('waits for ever where it is told to', async () => {
    const { gate, named } = createFakeHost();
    let answer = () => {};
    const cancelling = gate.killSwitch({
      ...{ actor: 'alice', reason: 'runaway', orders: ['o1'], timeoutMs: Number.POSITIVE_INFINITY },
      cancel: () => new Promise<void>((resolve) => (answer = resolve)),
    });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(named('risk.kill_switch')).toHaveLength(1);
    answer();
    expect(await cancelling).toMatchObject([{ orderId: 'o1', outcome: 'succeeded' }]);
  });

  it('halts whatever it is given, and never rejects', async () => {
    const { gate, named } = createFakeHost();
    expect(await gate.killSwitch(undefined as never)).toEqual([]);
    expect(gate.state()).toBe('HALTED');
    expect(await gate.killSwitch({ actor: 'a', reason: 'r', orders: ['o1'] })).toMatchObject([{ outcome: 'unknown' }]);
    const cancel = (() => {
      throw Object.create(null);
    }) as never;
    expect(await gate.killSwitch({ actor: 'a', reason: 'r', orders: ['o1'], cancel })).toMatchObject([
      { outcome: 'failed' },
    ]);
    expect(named('risk.kill_switch')).toHaveLength(5);
  });
});
