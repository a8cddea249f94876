import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { foldTrailingStops, type TrailingStop, type TrailingStopsState } from '../../src/risk/trailing-stop.ts';
import {
  createTrailingStops,
  type TrailingStops,
  type TrailingStopsOptions,
} from '../../src/runtime/trailing-stops.ts';
import { createFakeHost, type FakeHost } from '../support/fake-host.ts';

const cents = (min: number, max: number) => fc.integer({ min, max }).map((value) => value / 100);
/** The same cases in every run of the suite. */
const RUNS = { seed: 20_240_102, numRuns: 150 };

/** Wide, and close enough together that small moves are met too. */
const price = fc.oneof(cents(5000, 15_000), cents(9800, 10_200));
const side = fc.constantFrom('long' as const, 'short' as const);

const options: fc.Arbitrary<TrailingStopsOptions> = fc
  .record({
    trail: fc.oneof(
      cents(10, 2000).map((trailingPct) => ({ trailingPct })),
      cents(10, 2000).map((trailingPrice) => ({ trailingPrice })),
      fc.integer({ min: 1, max: 500 }).map((trailingTicks) => ({ trailingTicks, tickSize: 0.05 })),
    ),
    activation: fc.oneof(
      fc.constant({}),
      cents(0, 500).map((activationPct) => ({ activationPct })),
      cents(0, 500).map((activationDistance) => ({ activationDistance })),
    ),
    hard: fc.oneof(
      fc.constant({}),
      cents(50, 4000).map((hardStopPct) => ({ hardStopPct })),
    ),
    minimumStep: fc.constantFrom(0, 0.25),
    fires: fc.constantFrom('touch' as const, 'through' as const),
  })
  .map(({ trail, activation, hard, ...rest }) => ({ ...trail, ...activation, ...hard, ...rest }));

type Command = (stops: TrailingStops) => void;
const id = fc.constantFrom('a', 'b', 'c');
const key = fc.constantFrom('a', 'b', 'c', 'AAPL', 'MSFT', 'nothing');
const anyPrice = fc.oneof({ weight: 12, arbitrary: price }, fc.constantFrom(Number.NaN, 0, -1, Infinity));
const stamp = fc.oneof(
  fc.constant({}),
  fc.record({ timeMs: fc.integer({ min: 1000, max: 1020 }) }),
  fc.record({ sequence: fc.integer({ min: 0, max: 40 }), feed: fc.constantFrom('x', 'y') }),
);
const bar = fc.tuple(price, price, price, price).map((four) => {
  const [low, open, close, high] = [...four].sort((a, b) => a - b) as [number, number, number, number];
  return { open, high, low, close };
});
const add = fc
  .record({
    id,
    symbol: fc.constantFrom('AAPL', 'MSFT'),
    side,
    entryPrice: anyPrice,
    quantity: fc.integer({ min: 1, max: 9 }),
  })
  .map(
    (input): Command =>
      (stops) =>
        void stops.add(input),
  );
const tick = fc.tuple(key, anyPrice, stamp).map(
  ([to, at, when]): Command =>
    (stops) =>
      void stops.tick(to, at, when),
);
const barOf = fc.tuple(key, bar, fc.constantFrom('OHLC' as const, 'OLHC' as const), stamp).map(
  ([to, four, path, when]): Command =>
    (stops) =>
      void stops.bar(to, four, { ...when, path }),
);
const partial = fc.tuple(id, fc.integer({ min: 0, max: 5 })).map(
  ([of, q]): Command =>
    (stops) =>
      void stops.partialClose(of, q),
);
const flip = fc.tuple(id, anyPrice, fc.integer({ min: 1, max: 9 })).map(
  ([of, entryPrice, quantity]): Command =>
    (stops) =>
      void stops.flip(of, { entryPrice, quantity }),
);
const remove = id.map(
  (of): Command =>
    (stops) =>
      void stops.remove(of, 'closed'),
);
const snapshot = fc.constant<Command>((stops) => void stops.snapshot());
const commands = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: add },
    { weight: 12, arbitrary: tick },
    { weight: 3, arbitrary: barOf },
    partial,
    flip,
    remove,
    snapshot,
  ),
  { maxLength: 60 },
);

const stateOf = (stops: TrailingStops): TrailingStopsState => JSON.parse(JSON.stringify({ stops: stops.list() }));
const withoutCursor = ({ stops }: TrailingStopsState) => stops.map(({ cursor: _, ...rest }) => rest);
const restart = (host: FakeHost, given: TrailingStopsOptions, state: TrailingStopsState) =>
  createTrailingStops(host, given, { state });

describe('trailing stops hold in all cases', () => {
  it('a stop never loosens, and fires exactly when its level is reached', () => {
    fc.assert(
      fc.property(options, side, price, fc.array(price, { maxLength: 60 }), (given, of, entryPrice, prices) => {
        const stops = createTrailingStops(createFakeHost(), given);
        const added = stops.add({ id: 'a', symbol: 'AAPL', side: of, entryPrice });
        fc.pre(added.accepted);
        const tighter = (one: number, other: number) => (of === 'long' ? one >= other : one <= other);
        let before: TrailingStop = stops.get('a')!;
        for (const at of prices) {
          const levels = [before.stopPrice, before.hardStopPrice].filter((level) => level !== undefined);
          const reached = levels.some((level) => (given.fires === 'touch' && at === level) || !tighter(at, level));
          const [decision] = stops.tick('a', at);
          const after = stops.get('a')!;
          expect(decision!.action === 'TRIGGER').toBe(before.status !== 'triggered' && reached);
          if (before.stopPrice !== undefined) expect(tighter(after.stopPrice!, before.stopPrice)).toBe(true);
          expect(tighter(after.peakPrice, before.peakPrice)).toBe(true);
          if (decision!.action === 'TRIGGER') expect(decision!.gap).toBeGreaterThanOrEqual(0);
          if (before.status === 'triggered') expect(after).toBe(before);
          before = after;
        }
      }),
      RUNS,
    );
  });

  it('long and short are mirror images', () => {
    const distances = fc.record({
      trailingPrice: cents(10, 2000),
      activationDistance: cents(0, 500),
      minimumStep: fc.constantFrom(0, 0.25),
      fires: fc.constantFrom('touch' as const, 'through' as const),
    });
    const mirrored = (value: number) => (20_000 - Math.round(value * 100)) / 100;
    fc.assert(
      fc.property(distances, price, fc.array(price, { maxLength: 60 }), (given, entryPrice, prices) => {
        const long = createTrailingStops(createFakeHost(), given);
        const short = createTrailingStops(createFakeHost(), given);
        long.add({ id: 'a', symbol: 'AAPL', side: 'long', entryPrice });
        short.add({ id: 'a', symbol: 'AAPL', side: 'short', entryPrice: mirrored(entryPrice) });
        for (const at of prices) {
          const [one] = long.tick('a', at);
          const [other] = short.tick('a', mirrored(at));
          expect(other!.action).toBe(one!.action);
          expect(other!.gap).toBe(one!.gap);
          expect(other!.peakPrice).toBe(mirrored(one!.peakPrice));
          expect(other!.stopPrice).toBe(one!.stopPrice === undefined ? undefined : mirrored(one!.stopPrice));
        }
      }),
      RUNS,
    );
  });

  it('any interleaving with restarts gives the same state', () => {
    fc.assert(
      fc.property(
        options,
        commands,
        fc.array(fc.boolean(), { minLength: 60, maxLength: 60 }),
        (given, list, restarts) => {
          const steady = createTrailingStops(createFakeHost(), given);
          let restarted = createTrailingStops(createFakeHost(), given);
          list.forEach((command, index) => {
            command(steady);
            if (restarts[index]) restarted = restart(createFakeHost(), given, stateOf(restarted));
            command(restarted);
            expect(stateOf(restarted)).toEqual(stateOf(steady));
          });
        },
      ),
      RUNS,
    );
  });

  it('the fold of the events of changes equals the live state, at every point', () => {
    fc.assert(
      fc.property(options, commands, (given, list) => {
        const host = createFakeHost();
        const stops = createTrailingStops(host, given);
        for (const command of list) {
          command(stops);
          expect(withoutCursor(foldTrailingStops(host.events))).toEqual(withoutCursor(stateOf(stops)));
        }
        expect(host.invalid).toEqual([]);
        expect(host.reports).toEqual([]);
      }),
      RUNS,
    );
  });

  it('a restart from the fold goes on as if nothing had happened, though unrecorded prices come again', () => {
    const walk = fc.array(price, { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(options, side, price, walk, fc.nat(), (given, of, entryPrice, prices, at) => {
        const host = createFakeHost();
        const stops = createTrailingStops(host, given);
        stops.add({ id: 'a', symbol: 'AAPL', side: of, entryPrice });
        prices.forEach((one, sequence) => void stops.tick('a', one, { sequence }));

        const crashAfter = at % prices.length;
        const firstHost = createFakeHost();
        const first = createTrailingStops(firstHost, given);
        first.add({ id: 'a', symbol: 'AAPL', side: of, entryPrice });
        prices.slice(0, crashAfter + 1).forEach((one, sequence) => void first.tick('a', one, { sequence }));
        const second = restart(createFakeHost(), given, foldTrailingStops(firstHost.events));
        // The feed sends everything once more from the beginning.
        prices.forEach((one, sequence) => void second.tick('a', one, { sequence }));
        expect(withoutCursor(stateOf(second))).toEqual(withoutCursor(stateOf(stops)));
      }),
      RUNS,
    );
  });

  it('events of another kind, and such that do not fit, leave the fold as it was', () => {
    const junk = fc.record({
      name: fc.constantFrom(
        'market.price',
        ...['add', 'activate', 'update', 'peak', 'trigger', 'partial_close', 'side_flip', 'snapshot', 'restored'].map(
          (kind) => `risk.trailing_stop.${kind}`,
        ),
      ),
      attributes: fc.dictionary(
        fc.constantFrom(
          'risk.trailing_stop.id',
          'risk.trailing_stop.config',
          'risk.trailing_stop.entry_price',
          'risk.trailing_stop.quantity',
          'risk.snapshot',
        ),
        fc.oneof(fc.constant('a'), fc.constant(null), fc.constant({ stops: [null, {}] }), fc.double()),
      ),
    });
    fc.assert(
      fc.property(fc.array(junk), (events) => {
        expect(foldTrailingStops(events)).toEqual({ stops: [] });
      }),
      RUNS,
    );
  });
});
