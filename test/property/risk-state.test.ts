import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CatalogEvent } from '../../src/catalog/events.ts';
import { limitsSnapshot } from '../../src/risk/portfolio-limits/state.ts';
import type { RecordedEvent } from '../../src/risk/recorded-event.ts';
import {
  breakerKey,
  checkSnapshots,
  foldRiskState,
  limitsKey,
  type RiskState,
  RiskStateFold,
  snapshotLayer,
  stopsKey,
} from '../../src/risk/risk-state.ts';
import type { Upcaster } from '../../src/risk/upcast.ts';
import { type CircuitBreaker, createCircuitBreaker, type Permit } from '../../src/runtime/circuit-breaker.ts';
import { createPortfolioLimits, type PortfolioLimits } from '../../src/runtime/portfolio-limits.ts';
import { RestoredLayers } from '../../src/runtime/restored-layers.ts';
import { createTrailingStops, type TrailingStops } from '../../src/runtime/trailing-stops.ts';
import { createFakeHost, type FakeHost, START_MS } from '../support/fake-host.ts';

const BREAKERS = {
  broker: { failureThreshold: 2, windowMs: 10_000, cooldownMs: 5_000, halfOpen: { maxProbes: 2, successesToClose: 2 } },
  book: { dailyLoss: { max: 100, timeZone: 'America/New_York' }, losingStreak: { count: 3 }, scope: 'account:A' },
} as const;
const LIMITS = {
  orderRate: { max: 3, windowMs: 1_000 },
  orderNotional: { max: 1_000 },
  drawdown: { max: 0.1 },
  dailyLoss: { max: 100, timeZone: 'Europe/London', resetTime: '17:00' },
} as const;
const BY = { actor: 'ann', reason: 'test' };

/** One process with all layers. */
interface Process {
  readonly host: FakeHost;
  readonly breakers: Readonly<Record<keyof typeof BREAKERS, CircuitBreaker>>;
  readonly limits: PortfolioLimits;
  readonly stops: TrailingStops;
  readonly permits: Permit[];
}

/** The trail as a file: what a crash leaves is a prefix of it. */
class Trail {
  readonly events: RecordedEvent[] = [];

  /** @param old as a process of the version before would have written them */
  take(host: FakeHost, old = false): void {
    for (const { name, recordId, attributes, atMs } of host.events.splice(0)) {
      const written = old && name === 'risk.trailing_stop.add' ? ofVersion1(attributes) : attributes;
      this.events.push({ name, recordId, attributes: written, timeMs: atMs });
    }
  }
}

/** The beginning of a stop as it was written before its context stood by itself. */
function ofVersion1(attributes: RecordedEvent['attributes']): RecordedEvent['attributes'] {
  const { 'risk.trailing_stop.context': _, 'risk.schema.version': __, ...rest } = attributes;
  return rest;
}

let processes = 0;

const own = (name: CatalogEvent['name'], attributes: object): CatalogEvent => ({ name, attributes }) as CatalogEvent;

/** Begins a process as `startRiskTrail` does, on what the events so far come to. */
function begin(clock: FakeHost['clock'], state: RiskState | undefined): Process {
  processes += 1;
  const host = createFakeHost({ clock, recordPrefix: `p${processes}`, tradingState: state?.tradingState });
  const records = host.emit.bind(host);
  if (state !== undefined) records(own('risk.state_restored', { 'risk.restored.outcome': 'restored' }));
  records(own('system.start', { 'system.config': {} }));
  const restored = state === undefined ? undefined : new RestoredLayers(state, () => clock.now());
  if (restored !== undefined) {
    const layers = restored.snapshots();
    const { demands } = state!.tradingState;
    const attributes = {
      'risk.trading_state.new': 'ACTIVE',
      'risk.trading_state.code': 0,
      'risk.snapshot': { demands },
    };
    records(own('risk.trading_state_snapshot', { ...attributes, 'risk.layers': ['some'] }));
    for (const event of layers) records(event);
  }
  const breaker = (name: keyof typeof BREAKERS) =>
    createCircuitBreaker(host, name, BREAKERS[name], restored?.breaker(name)?.snapshot);
  const breakers = { broker: breaker('broker'), book: breaker('book') };
  const stops = createTrailingStops(host, { trailingPct: 1, activationPct: 1 }, restored?.stops('default'));
  const limits = createPortfolioLimits(host, LIMITS, restored?.limits('default')?.snapshot);
  return { host, breakers, limits, stops, permits: [] };
}

type Act = (process: Process) => unknown;
const name = fc.constantFrom('broker' as const, 'book' as const);
const price = fc.integer({ min: 9_000, max: 11_000 }).map((cents) => cents / 100);
const id = fc.constantFrom('a', 'b', 'c');
const flat = { equity: 1_000, positions: [] };
const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 4,
    arbitrary: name.map(
      (of): Act =>
        ({ breakers }) =>
          breakers[of].failure(new Error('down')),
    ),
  },
  {
    weight: 2,
    arbitrary: name.map(
      (of): Act =>
        ({ breakers }) =>
          breakers[of].success(),
    ),
  },
  {
    weight: 3,
    arbitrary: fc.boolean().map(
      (reduces): Act =>
        ({ breakers, permits }) => {
          const permit = breakers.broker.allow({ reduces });
          if (permit.permitted) permits.push(permit);
        },
    ),
  },
  {
    weight: 3,
    arbitrary: fc.boolean().map(
      (good): Act =>
        ({ breakers, permits }) => {
          const permit = permits.pop();
          if (permit !== undefined) good ? breakers.broker.success(permit) : breakers.broker.failure(undefined, permit);
        },
    ),
  },
  {
    weight: 3,
    arbitrary: fc.integer({ min: -60, max: 30 }).map(
      (pnl): Act =>
        ({ breakers }) =>
          breakers.book.recordTrade({ pnl }),
    ),
  },
  fc.tuple(name, fc.constantFrom('trip', 'forceOpen', 'disable', 'enable', 'reset')).map(
    ([of, what]): Act =>
      ({ breakers }) =>
        breakers[of][what as 'trip'](BY),
  ),
  {
    weight: 3,
    arbitrary: fc.tuple(id, price, fc.constantFrom('long' as const, 'short' as const), fc.boolean()).map(
      ([one, entryPrice, side, has]): Act =>
        ({ stops }) =>
          stops.add({ id: one, symbol: 'AAPL', side, entryPrice, quantity: 10, ...(has ? { strategyId: 's1' } : {}) }),
    ),
  },
  {
    weight: 6,
    arbitrary: price.map(
      (at): Act =>
        ({ stops }) =>
          stops.tick('AAPL', at),
    ),
  },
  id.map(
    (one): Act =>
      ({ stops }) =>
        stops.partialClose(one, 4),
  ),
  id.map(
    (one): Act =>
      ({ stops }) =>
        stops.remove(one),
  ),
  {
    weight: 3,
    arbitrary: fc.integer({ min: -80, max: 50 }).map(
      (pnl): Act =>
        ({ limits }) =>
          limits.recordPnl(pnl),
    ),
  },
  fc.integer({ min: 850, max: 1_100 }).map(
    (equity): Act =>
      ({ limits }) =>
        limits.recordEquity(equity),
  ),
  {
    weight: 2,
    arbitrary: fc.integer({ min: 1, max: 20 }).map(
      (quantity): Act =>
        ({ limits }) =>
          limits.checkEntry(flat, { symbol: 'AAPL', side: 'buy', quantity, price: 100, referencePrice: 100 }),
    ),
  },
  fc.constantFrom('o1', 'o2').map(
    (orderId): Act =>
      ({ limits }) =>
        limits.orderPlaced({ symbol: 'AAPL', side: 'buy', quantity: 2, orderId, price: 100 }),
  ),
  fc.constantFrom('o1', 'o2').map(
    (orderId): Act =>
      ({ limits }) =>
        limits.recordFill({ orderId, quantity: 1, pnl: -5 }),
  ),
  fc
    .tuple(
      fc.constantFrom('halt' as const, 'reduce' as const, 'resume' as const),
      fc.constantFrom('global', 'symbol:AAPL'),
    )
    .map(
      ([what, scope]): Act =>
        ({ host }) =>
          host.gate[what]({ ...BY, scope, ...(what === 'reduce' ? { untilMs: host.clock.now() + 2_000 } : {}) }),
    ),
  {
    weight: 4,
    arbitrary: fc.constantFrom(0.457, 1, 900, 3_000.001, 5_000, 40_000_000).map(
      (ms): Act =>
        ({ host }) =>
          host.clock.advance(ms),
    ),
  },
  fc.constant<Act>(({ host }) => host.gate.tick()),
  fc.constant<Act>(({ host }) => host.takeSnapshots()),
);

/** Live state as the fold gives it. */
const live = ({ breakers, limits, stops }: Process) => ({
  breakers: Object.fromEntries(
    Object.entries(breakers).map(([key, breaker]) => {
      const { config, state } = breaker.snapshot();
      return [key, { config, state }];
    }),
  ),
  limits: JSON.parse(JSON.stringify(limits.snapshot())),
  stops: stops.list().map(({ cursor: _, ...stop }) => stop),
});

const folded = (state: RiskState) => ({
  breakers: Object.fromEntries(
    Array.from(state.breakers, ([key, { config, state: one }]) => [key, { config, state: one }]),
  ),
  limits: JSON.parse(JSON.stringify(limitsSnapshot(state.limits.get('default')!.state))),
  stops: (state.stops.get('default')?.stops ?? []).map(({ cursor: _, ...stop }) => stop),
});

/** What happens, with a process that is killed and goes on now and then, in this version or the one before. */
const history = fc.array(fc.oneof({ weight: 12, arbitrary: act }, fc.record({ cut: fc.nat(), old: fc.boolean() })), {
  maxLength: 60,
  size: 'max',
});

/** Where a round of snapshots begins that holds every layer which had anything to say. */
function wholeRounds(events: readonly RecordedEvent[]): number[] {
  const fold = new RiskStateFold();
  const rounds: number[] = [];
  events.forEach((event, index) => {
    fold.apply(event);
    if (event.name !== 'risk.trading_state_snapshot') return;
    const { breakers, limits, stops } = fold.state();
    const after = events.slice(index + 1);
    const end = after.findIndex((one) => !/[._]snapshot$/.test(one.name) || one.name === event.name);
    const held = new Set(after.slice(0, end < 0 ? undefined : end).map((one) => snapshotLayer(one)));
    const layers = [
      ...Array.from(breakers.keys(), breakerKey),
      ...Array.from(limits.keys(), limitsKey),
      ...Array.from(stops.keys(), stopsKey),
    ];
    if (layers.length > 0 && layers.every((one) => held.has(one))) rounds.push(index);
  });
  return rounds;
}

describe('the risk state of all layers, under any history', () => {
  it('folding the events gives the live state at every point, through crashes at any record, restarts and changes of version', () => {
    fc.assert(
      fc.property(history, fc.boolean(), (steps, oldFirst) => {
        const clock = createFakeHost({ startMs: START_MS }).clock;
        const trail = new Trail();
        let process = begin(clock, undefined);
        let old = oldFirst;
        const compare = () => {
          // Asking brings about what is due, which is recorded.
          const now = live(process);
          const asked = process.host.gate.snapshot().demands;
          trail.take(process.host, old);
          const state = foldRiskState(trail.events);
          expect(folded(state)).toEqual(now);
          expect(state.tradingState.demands).toEqual(asked);
        };
        compare();
        for (const step of steps) {
          if (typeof step === 'function') step(process);
          else {
            // kill -9: any number of the newest records is not there.
            trail.take(process.host, old);
            old = step.old;
            const first = trail.events.findLastIndex((one) => one.name === 'system.start') + 1;
            trail.events.splice(Math.max(first, trail.events.length - (step.cut % 8)));
            const fold = new RiskStateFold();
            for (const event of trail.events) fold.apply(event);
            process = begin(clock, fold.state());
          }
          compare();
          expect(process.host.invalid).toEqual([]);
          expect(process.host.reports).toEqual([]);
        }
        expect(checkSnapshots(trail.events)).toEqual([]);
      }),
      { numRuns: 150 },
    );
  });

  it('folding from any whole round of snapshots on gives the live state, and no snapshot disagrees, through restarts too', () => {
    let rounds = 0;
    fc.assert(
      fc.property(history, (steps) => {
        const clock = createFakeHost({ startMs: START_MS }).clock;
        const trail = new Trail();
        let process = begin(clock, undefined);
        for (const step of steps) {
          if (typeof step === 'function') step(process);
          else {
            process.host.takeSnapshots();
            trail.take(process.host);
            const first = trail.events.findLastIndex((one) => one.name === 'system.start') + 1;
            trail.events.splice(Math.max(first, trail.events.length - (step.cut % 8)));
            process = begin(clock, foldRiskState(trail.events));
          }
        }
        const now = live(process);
        const asked = process.host.gate.snapshot().demands;
        trail.take(process.host);
        for (const from of wholeRounds(trail.events)) {
          rounds += 1;
          const fold = new RiskStateFold();
          for (const event of trail.events.slice(from)) fold.apply(event);
          expect(folded(fold.state())).toEqual(now);
          expect(fold.state().tradingState.demands).toEqual(asked);
          expect(fold.findings).toEqual([]);
        }
      }),
      { numRuns: 200 },
    );
    expect(rounds).toBeGreaterThan(100);
  });

  it('folding from a round of snapshots on gives what folding everything gives', () => {
    fc.assert(
      fc.property(fc.array(act, { minLength: 1, maxLength: 50, size: 'max' }), fc.nat(), (acts, at) => {
        const clock = createFakeHost({ startMs: START_MS }).clock;
        const trail = new Trail();
        const process = begin(clock, undefined);
        let from = 0;
        acts.forEach((one, index) => {
          one(process);
          trail.take(process.host);
          if (index === at % acts.length) {
            from = trail.events.length;
            process.host.takeSnapshots();
            trail.take(process.host);
          }
        });
        const whole = foldRiskState(trail.events);
        const tail = foldRiskState(trail.events.slice(from));
        expect(folded(tail)).toEqual(folded(whole));
        expect(tail.tradingState).toEqual(whole.tradingState);
      }),
      { numRuns: 100 },
    );
  });

  it('a snapshot that says something else is a finding, and the fold wins', () => {
    const clock = createFakeHost({ startMs: START_MS }).clock;
    const trail = new Trail();
    const process = begin(clock, undefined);
    process.breakers.broker.failure();
    process.stops.add({ id: 'a', symbol: 'AAPL', side: 'long', entryPrice: 100 });
    process.limits.recordPnl(-10);
    process.host.gate.halt(BY);
    process.host.takeSnapshots();
    trail.take(process.host);
    expect(checkSnapshots(trail.events)).toEqual([]);

    const forged = JSON.parse(JSON.stringify(trail.events)) as RecordedEvent[];
    // biome-ignore lint/suspicious/noExplicitAny: any layer's snapshot
    const snapshot = (event: string): any => forged.findLast((one) => one.name === event)!.attributes['risk.snapshot'];
    snapshot('risk.circuit_breaker.snapshot').state.epoch = 7;
    snapshot('risk.portfolio_limit.snapshot').day.pnl = 0;
    snapshot('risk.trailing_stop.snapshot').stops[0].peakPrice = 500;
    snapshot('risk.trading_state_snapshot').demands.pop();
    const findings = checkSnapshots(forged);
    expect(findings.map(({ layer, differences }) => [layer, differences[0]!.path])).toEqual([
      ['trading_state', ''],
      ['circuit_breaker:book', 'state.epoch'],
      ['trailing_stops:default', 'stops.a.peakPrice'],
      ['portfolio_limits:default', 'day.pnl'],
    ]);
    expect(findings[3]!.differences[0]).toMatchObject({ folded: '-10', snapshot: '0' });
    expect(folded(foldRiskState(forged))).toEqual(folded(foldRiskState(trail.events)));
  });

  it('what a breaker of another library does is no state of the breaker of ours that has its name', () => {
    const clock = createFakeHost({ startMs: START_MS }).clock;
    const trail = new Trail();
    const process = begin(clock, undefined);
    process.host.takeSnapshots();
    trail.take(process.host);
    const before = folded(foldRiskState(trail.events)).breakers;
    const foreign: RecordedEvent = {
      ...trail.events.at(-1)!,
      name: 'risk.circuit_breaker.state_change',
      recordId: '01900000-0000-7000-8000-000000000001',
      attributes: {
        'risk.component': 'circuit_breaker:opossum',
        'risk.circuit_breaker.name': 'broker',
        'risk.circuit_breaker.state.old': 'CLOSED',
        'risk.circuit_breaker.state.new': 'OPEN',
        'risk.circuit_breaker.state.code': 1,
      },
    };
    expect(folded(foldRiskState([...trail.events, foreign])).breakers).toEqual(before);
  });

  it('a snapshot of before orders said their venue does not disagree with the events that do', () => {
    const attributes = {
      'trading.symbol': 'AAPL',
      'trading.side': 'buy',
      'trading.quantity': 1,
      'trading.venue': 'paper',
    };
    const intent = { name: 'order.intent', recordId: 'r1', timeMs: START_MS, attributes };
    const [{ venue, ...order } = expect.fail('no order')] = foldRiskState([intent]).openOrders;
    expect(venue).toBe('paper');
    const snapshot = (orders: readonly object[]) => ({
      ...{ name: 'risk.open_orders_snapshot', recordId: 'r2', timeMs: START_MS },
      attributes: { 'risk.snapshot': { orders } },
    });
    // The first one of a process is what its events go on from; the next is compared.
    const events = [intent, snapshot([order]), snapshot([order])];
    expect(checkSnapshots(events)).toEqual([]);
    expect(foldRiskState(events).openOrders).toEqual([{ ...order, venue }]);
    expect(checkSnapshots([...events, snapshot([{ ...order, venue: 'other' }])])).toHaveLength(1);
  });

  it('a process that does not say that it goes on began with nothing', () => {
    const clock = createFakeHost({ startMs: START_MS }).clock;
    const trail = new Trail();
    const first = begin(clock, undefined);
    first.breakers.broker.trip(BY);
    first.host.gate.halt(BY);
    trail.take(first.host);
    const start: RecordedEvent = { name: 'system.start', recordId: 'x', timeMs: START_MS, attributes: {} };
    const state = foldRiskState([...trail.events, start]);
    expect([state.breakers.size, state.limits.size, state.stops.size, state.tradingState.demands]).toEqual([
      0,
      0,
      0,
      [],
    ]);
  });
});

describe('events of other versions', () => {
  const stop = 'risk.trailing_stop.add';
  const settings = { fires: 'touch', minimumStep: 0, trailingPct: 1, activationPct: 0 };
  const added = (attributes: object): RecordedEvent => ({
    name: stop,
    recordId: 'r1',
    timeMs: START_MS,
    attributes: {
      ...{ 'risk.trailing_stop.id': 'a', 'risk.trailing_stop.side': 'long', 'trading.symbol': 'AAPL' },
      ...{ 'risk.trailing_stop.manager': 'default', 'risk.trailing_stop.config': settings },
      ...attributes,
    },
  });
  /** As if the entry price had had another name once, in cents. */
  const upcaster: Upcaster = {
    event: stop,
    from: 1,
    upcast: ({ 'risk.trailing_stop.entry_cents': cents, ...rest }) => ({
      ...rest,
      'risk.trailing_stop.entry_price': (cents as number) / 100,
    }),
  };
  const entryOf = (event: RecordedEvent) =>
    foldRiskState([event], [upcaster]).stops.get('default')?.stops[0]?.entryPrice;

  it('older ones are brought to the form of today, step by step', () => {
    expect(entryOf(added({ 'risk.trailing_stop.entry_cents': 10_150 }))).toBe(101.5);
    expect(entryOf(added({ 'risk.trailing_stop.entry_price': 99, 'risk.schema.version': 2 }))).toBe(99);
  });

  it('newer ones are left out and counted: such a state is not to be trusted', () => {
    const fold = new RiskStateFold([upcaster]);
    fold.apply(added({ 'risk.trailing_stop.entry_price': 99, 'risk.schema.version': 3 }));
    expect([fold.state().stops.size, fold.unreadable]).toEqual([0, 1]);
  });
});
