import { describe, expect, it } from 'vitest';
import {
  createTrailingStops,
  type TrailingStopDecision,
  type TrailingStopsOptions,
} from '../../../src/runtime/trailing-stops.ts';
import { createFakeHost } from '../../support/fake-host.ts';

const OPTIONS: TrailingStopsOptions = { trailingPct: 1.5, activationPct: 2 };
const LONG = { id: 'p1', symbol: 'AAPL', side: 'long', entryPrice: 100, quantity: 10 } as const;

function setUp(options: TrailingStopsOptions = OPTIONS, recordInputs: 'changes' | 'all' = 'changes') {
  const host = createFakeHost({ recordInputs });
  return { host, stops: createTrailingStops(host, options) };
}

describe('seed 000: the journey of a trailing stop is recorded', () => {
  it('add, activate after 2 %, update, trigger, remove, with entry, current, highest and stop', () => {
    const { host, stops } = setUp();
    stops.add({ ...LONG, executionId: 'exec-7' });
    for (const price of [101, 102, 104, 103, 102.3]) stops.tick('AAPL', price);
    stops.remove('p1', 'position closed');
    expect(host.names()).toEqual([
      'risk.trailing_stop.add',
      'risk.trailing_stop.peak',
      'risk.trailing_stop.activate',
      'risk.trailing_stop.update',
      'risk.trailing_stop.trigger',
      'risk.trailing_stop.remove',
    ]);
    for (const event of host.events) {
      expect(event.attributes).toMatchObject({ 'trading.execution.id': 'exec-7', 'trading.symbol': 'AAPL' });
    }
    expect(host.named('risk.trailing_stop.update')[0]!.attributes).toMatchObject({
      'risk.trailing_stop.entry_price': 100,
      'risk.trailing_stop.current_price': 104,
      'risk.trailing_stop.peak_price': 104,
      'risk.trailing_stop.previous_stop_price': 100.47,
      'risk.trailing_stop.stop_price': 102.44,
      'risk.trailing_stop.action': 'UPDATE',
    });
    expect(host.named('risk.trailing_stop.trigger')[0]!.attributes).toMatchObject({
      'risk.trailing_stop.stop_price': 102.44,
      'risk.trailing_stop.current_price': 102.3,
      'risk.trailing_stop.gap': 0.14,
    });
    expect(host.invalid).toEqual([]);
  });

  it('seed 001: each action is told to the caller with the record that holds it', () => {
    const { host, stops } = setUp();
    const added = stops.add(LONG);
    expect(added).toMatchObject({ id: 'p1', accepted: true, code: 'OK', recordId: 'rec-000001' });
    const told = [101, 101, 102, 103, 101].map((price) => stops.tick('p1', price)[0]!);
    expect(told.map((one) => one.action)).toEqual(['HOLD', 'HOLD', 'ACTIVATE', 'UPDATE', 'TRIGGER']);
    expect(told.map((one) => one.recordId)).toEqual([
      'rec-000002',
      undefined,
      'rec-000003',
      'rec-000004',
      'rec-000005',
    ]);
    expect(host.events.at(-1)!.spans).toEqual(['risk.trailing_stop tick']);
  });
});

describe('a set of stops', () => {
  it('a symbol means all its stops, an id one', () => {
    const { stops } = setUp();
    stops.add(LONG);
    stops.add({ ...LONG, id: 'p2', side: 'short' });
    stops.add({ ...LONG, id: 'p3', symbol: 'MSFT' });
    expect(stops.tick('AAPL', 103).map((one) => [one.id, one.action])).toEqual([
      ['p1', 'ACTIVATE'],
      ['p2', 'HOLD'],
    ]);
    expect(stops.tick('p3', 103).map((one) => one.id)).toEqual(['p3']);
    expect(stops.tick('TSLA', 103)).toEqual([]);
    expect(stops.list().map((one) => one.id)).toEqual(['p1', 'p2', 'p3']);
    expect(stops.get('nobody')).toBeUndefined();
  });

  it('an id may be its own symbol, and then still means all stops on it', () => {
    const { stops } = setUp();
    stops.add({ ...LONG, id: 'AAPL' });
    stops.add({ ...LONG, id: 'p2' });
    expect(stops.tick('AAPL', 101).map((one) => one.id)).toEqual(['AAPL', 'p2']);
    stops.tick('p2', 102);
    expect(stops.get('p2')!.status).toBe('active');
    expect(stops.get('AAPL')!.status).toBe('pending');
  });

  it('no key may mean a stop and another symbol’s stops', () => {
    const { host, stops } = setUp();
    stops.add(LONG);
    expect(stops.add({ ...LONG, id: 'AAPL', symbol: 'MSFT' })).toMatchObject({
      accepted: false,
      code: 'TRAILING_STOP_ID_AMBIGUOUS',
    });
    expect(stops.add({ ...LONG, id: 'p2', symbol: 'p1' })).toMatchObject({ code: 'TRAILING_STOP_ID_AMBIGUOUS' });
    expect(stops.list()).toHaveLength(1);
    expect(host.named('risk.trailing_stop.invalid_input')).toHaveLength(2);
  });

  it('an id is taken while its stop is at work, free once it triggered or was removed', () => {
    const { stops } = setUp();
    stops.add(LONG);
    const again = stops.add({ ...LONG, entryPrice: 50 });
    expect(again).toMatchObject({ accepted: false, code: 'TRAILING_STOP_EXISTS' });
    expect(again.stop!.entryPrice).toBe(100);
    stops.tick('p1', 103);
    stops.tick('p1', 100);
    expect(stops.get('p1')!.status).toBe('triggered');
    expect(stops.tick('p1', 90)[0]).toMatchObject({ action: 'IGNORED', code: 'TRAILING_STOP_ALREADY_TRIGGERED' });
    expect(stops.add({ ...LONG, symbol: 'MSFT', entryPrice: 50 })).toMatchObject({ accepted: true });
    expect(stops.get('p1')).toMatchObject({ status: 'pending', peakPrice: 50, symbol: 'MSFT' });
    expect(stops.tick('AAPL', 51)).toEqual([]);
    expect(stops.tick('MSFT', 51)).toHaveLength(1);
    stops.remove('p1');
    expect(stops.add(LONG).accepted).toBe(true);
  });

  it('what does not exist, and what is no key, is refused and recorded', () => {
    const { host, stops } = setUp();
    for (const change of [stops.remove('x', 'gone'), stops.flip('x', { entryPrice: 1 }), stops.partialClose('x', 1)]) {
      expect(change).toMatchObject({ accepted: false, code: 'TRAILING_STOP_UNKNOWN' });
    }
    expect(stops.add(undefined as never).code).toBe('TRAILING_STOP_ID_INVALID');
    expect(stops.tick(undefined as never, 5)).toEqual([]);
    expect(stops.bar(7 as never, {} as never, undefined as never)).toEqual([]);
    expect(host.named('risk.trailing_stop.invalid_input')).toHaveLength(6);
    expect(host.invalid).toEqual([]);
  });

  it('partial close, flip, bar and snapshot are recorded as they happen', () => {
    const { host, stops } = setUp();
    stops.add(LONG);
    stops.partialClose('p1', 4);
    stops.flip('p1', { entryPrice: 100, quantity: 6 });
    const [decision] = stops.bar('AAPL', { open: 99, high: 99.5, low: 97, close: 99 }, { path: 'OLHC', timeMs: 5 });
    expect(decision).toMatchObject({ action: 'TRIGGER', barPoint: 'high', stopPrice: 98.455 });
    stops.snapshot();
    expect(host.names()).toEqual([
      'risk.trailing_stop.add',
      'risk.trailing_stop.partial_close',
      'risk.trailing_stop.side_flip',
      'risk.trailing_stop.peak',
      'risk.trailing_stop.activate',
      'risk.trailing_stop.trigger',
      'risk.trailing_stop.snapshot',
    ]);
    expect(decision!.recordId).toBe('rec-000006');
    expect(host.invalid).toEqual([]);
  });

  it('what a caller does to a stop that it was shown changes nothing', () => {
    const { stops } = setUp({ trailingPct: 1, activationPct: 0 });
    stops.add(LONG);
    const shown = stops.get('p1') as { stopPrice: number };
    expect(() => {
      shown.stopPrice = 0;
    }).toThrow(TypeError);
    expect(stops.get('p1')!.stopPrice).toBe(99);
  });
});

describe('inputs', () => {
  it('a price that changes nothing is recorded under recordInputs all alone, with its stamp', () => {
    const quiet = setUp();
    quiet.stops.add(LONG);
    quiet.stops.tick('AAPL', 100, { timeMs: 5, sequence: 1 });
    expect(quiet.host.names()).toEqual(['risk.trailing_stop.add']);
    expect(quiet.host.spans).toHaveLength(1);

    const { host, stops } = setUp(OPTIONS, 'all');
    stops.add(LONG);
    stops.tick('AAPL', 100, { timeMs: 5, sequence: 1, feed: 'ws' });
    stops.tick('p1', 99);
    stops.bar('p1', { open: 99, high: 99, low: 98, close: 98 }, { path: 'OHLC' });
    expect(host.names()).toEqual(['risk.trailing_stop.add', 'market.price', 'market.price', 'market.candle_closed']);
    expect(host.events[1]!.attributes).toEqual({
      'trading.symbol': 'AAPL',
      'trading.price': 100,
      'trading.price.time': '1970-01-01T00:00:00.005Z',
      'trading.price.sequence': 1,
      'trading.price.feed': 'ws',
      'risk.trailing_stop.manager': 'default',
    });
    expect(host.events[2]!.attributes['risk.trailing_stop.id']).toBe('p1');
    expect(host.events[3]!.attributes['risk.trailing_stop.bar_path']).toBe('OHLC');
    expect(host.invalid).toEqual([]);
  });

  it('a bad price reaches every stop that it was meant for, and none changes', () => {
    const { host, stops } = setUp();
    stops.add(LONG);
    stops.add({ ...LONG, id: 'p2' });
    const before = JSON.stringify(stops.list());
    const decisions = stops.tick('AAPL', Number.NaN);
    expect(decisions.map((one) => [one.action, one.recordId])).toEqual([
      ['IGNORED', 'rec-000003'],
      ['IGNORED', 'rec-000004'],
    ]);
    expect(JSON.stringify(stops.list())).toBe(before);
    expect(host.invalid).toEqual([]);
  });

  it('a stop added with bad numbers is refused with a code', () => {
    const { host, stops } = setUp();
    expect(stops.add({ ...LONG, entryPrice: 0 })).toMatchObject({
      accepted: false,
      code: 'TRAILING_STOP_ENTRY_PRICE_INVALID',
      recordId: 'rec-000001',
    });
    expect(stops.list()).toEqual([]);
    expect(host.invalid).toEqual([]);
  });
});

describe('the gate', () => {
  it('is left alone by default', () => {
    const { host, stops } = setUp({ trailingPct: 1, activationPct: 0 });
    stops.add(LONG);
    stops.tick('AAPL', 90);
    expect(host.gate.state('symbol:AAPL')).toBe('ACTIVE');
  });

  it('with REDUCING, a trigger lets only what reduces risk pass for the symbol, until the stop is gone or added again', () => {
    const { host, stops } = setUp({ trailingPct: 1, activationPct: 0, onTrigger: 'REDUCING' });
    stops.add(LONG);
    stops.tick('AAPL', 90);
    expect(host.gate.state('symbol:AAPL')).toBe('REDUCING');
    expect(host.gate.check({ reduces: false, symbol: 'AAPL' }).allowed).toBe(false);
    expect(host.gate.check({ reduces: true, symbol: 'AAPL' }).allowed).toBe(true);
    expect(host.gate.check({ reduces: false, symbol: 'MSFT' }).allowed).toBe(true);
    const change = host.named('risk.trading_state_change')[0]!;
    const trigger = host.named('risk.trailing_stop.trigger')[0]!;
    expect(change.attributes).toMatchObject({
      'risk.cause.record_id': trigger.recordId,
      'risk.cause.event': 'risk.trailing_stop.trigger',
      'risk.scope': 'symbol:AAPL',
    });
    stops.partialClose('p1', 4);
    expect(host.gate.state('symbol:AAPL')).toBe('REDUCING');
    stops.partialClose('p1', 6);
    expect(host.gate.state('symbol:AAPL')).toBe('ACTIVE');
    for (const end of [() => stops.remove('p1'), () => stops.add(LONG), () => stops.flip('p1', { entryPrice: 90 })]) {
      stops.add(LONG);
      stops.tick('p1', 90);
      expect(host.gate.state('symbol:AAPL')).toBe('REDUCING');
      end();
      expect(host.gate.state('symbol:AAPL')).toBe('ACTIVE');
      stops.remove('p1');
    }
    expect(host.invalid).toEqual([]);
  });
});

describe('observation changes no decision', () => {
  it('a listener is told once, after the record; its throw is reported, the next is told', () => {
    const { host, stops } = setUp({ trailingPct: 1, activationPct: 0 });
    const told: TrailingStopDecision[] = [];
    stops.onTrigger(() => {
      throw new Error('listener');
    });
    const subscription = stops.onTrigger((decision) => told.push(decision));
    stops.add(LONG);
    const decisions = stops.tick('AAPL', 90);
    stops.tick('AAPL', 80);
    expect(told).toEqual(decisions);
    expect(told[0]!.recordId).toBe(host.named('risk.trailing_stop.trigger')[0]!.recordId);
    expect(host.reports.map((one) => one.where)).toEqual(['trailingStops.onTrigger']);
    subscription.dispose();
    stops.add(LONG);
    stops.tick('AAPL', 90);
    expect(told).toHaveLength(1);
  });

  it('a stamp that throws is reported; the price is ignored with a code, and nothing changes', () => {
    const { host, stops } = setUp({ trailingPct: 1, activationPct: 0 });
    stops.add(LONG);
    const before = stops.get('p1');
    const hostile = {
      get sequence(): number {
        throw new Error('no stamp');
      },
    };
    expect(stops.tick('AAPL', 90, hostile)).toMatchObject([{ action: 'IGNORED', code: 'TRAILING_STOP_FAILED' }]);
    expect(stops.get('p1')).toBe(before);
    expect(host.reports.map((one) => one.where)).toEqual(['trailingStops.tick']);
  });

  it('a listener may remove the stop and add it again', () => {
    const { stops } = setUp({ trailingPct: 1, activationPct: 0 });
    stops.onTrigger(({ id }) => {
      stops.remove(id);
      stops.add({ ...LONG, entryPrice: 90 });
    });
    stops.add(LONG);
    stops.tick('AAPL', 90);
    expect(stops.get('p1')).toMatchObject({ status: 'active', stopPrice: 89.1 });
  });

  it('decisions and state are the same though every emit throws', () => {
    const good = setUp({ trailingPct: 1, activationPct: 0 });
    const bad = setUp({ trailingPct: 1, activationPct: 0 });
    bad.host.breakEmit(true);
    const run = ({ stops }: typeof good) => {
      stops.add(LONG);
      const actions = [101, 102, Number.NaN, 90].flatMap((price) => stops.tick('AAPL', price)).map((one) => one.action);
      stops.snapshot();
      return { actions, state: stops.list() };
    };
    expect(run(bad)).toEqual(run(good));
    expect(bad.host.reports.length).toBeGreaterThan(0);
  });
});

describe('restart', () => {
  it('stops go on from what was written down, say so, and leave a snapshot in the new trail', () => {
    const { stops } = setUp({ trailingPct: 1, activationPct: 0, onTrigger: 'REDUCING' });
    stops.add(LONG);
    stops.add({ ...LONG, id: 'p2', symbol: 'MSFT' });
    stops.tick('AAPL', 110);
    stops.tick('MSFT', 90);
    const state = JSON.parse(JSON.stringify(stops.snapshot()));

    const host = createFakeHost();
    const again = createTrailingStops(
      host,
      { trailingPct: 9, onTrigger: 'REDUCING' },
      { state, recordId: 'rec-9', ageMs: 300_000 },
    );
    expect(again.list()).toEqual(stops.list());
    expect(host.names().filter((name) => name.startsWith('risk.trailing_stop'))).toEqual([
      'risk.trailing_stop.restored',
      'risk.trailing_stop.restored',
      'risk.trailing_stop.snapshot',
    ]);
    expect(host.events[0]!.attributes).toMatchObject({
      'risk.trailing_stop.stop_price': 108.9,
      'risk.restored.record_id': 'rec-9',
      'risk.restored.age_ms': 300_000,
    });
    expect(host.gate.state('symbol:MSFT')).toBe('REDUCING');
    expect(host.gate.state('symbol:AAPL')).toBe('ACTIVE');
    expect(host.invalid).toEqual([]);
    // The price is beyond the stop by now.
    expect(again.tick('AAPL', 100)[0]).toMatchObject({ action: 'TRIGGER', stopPrice: 108.9, gap: 8.9 });
  });

  it('a set takes its own stops only, and passes over what cannot be read', () => {
    const { stops } = setUp({ ...OPTIONS, name: 'swing' });
    stops.add(LONG);
    const state = { stops: [...stops.snapshot().stops, { id: 'broken' }, null] } as never;
    const other = createFakeHost();
    expect(createTrailingStops(other, OPTIONS, { state }).list()).toEqual([]);
    const same = createFakeHost();
    expect(createTrailingStops(same, { ...OPTIONS, name: 'swing' }, { state }).list()).toHaveLength(1);
    expect(same.named('risk.trailing_stop.invalid_input')).toHaveLength(2);
    expect(same.invalid).toEqual([]);
    expect(createTrailingStops(same, OPTIONS, { state: undefined as never }).list()).toEqual([]);
  });

  it('the periodic snapshot holds the whole state, and none is taken of nothing', () => {
    const { host, stops } = setUp();
    const own = () => host.takeSnapshots().filter((event) => event.name === 'risk.trailing_stop.snapshot');
    expect(own()).toEqual([]);
    stops.add(LONG);
    const [snapshot] = own();
    expect(snapshot!.attributes['risk.snapshot']).toEqual({ stops: JSON.parse(JSON.stringify(stops.list())) });
    expect(host.invalid).toEqual([]);
  });

  it('wrong options throw as the set is made', () => {
    const host = createFakeHost();
    expect(() => createTrailingStops(host, { trailingPct: 'wide' } as never)).toThrow(
      'trailingStops.trailingPct: expected a finite number > 0 ≤ 100, got "wide"',
    );
    expect(() => createTrailingStops(host, undefined)).toThrow('one of trailingPct, trailingPrice and trailingTicks');
  });
});
