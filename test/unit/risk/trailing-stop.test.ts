import { describe, expect, it } from 'vitest';
import {
  type AddStopInput,
  addStop,
  barStop,
  flipStop,
  partialCloseStop,
  readTrailingStopsOptions,
  type TrailingStop,
  type TrailingStopsOptions,
  tickStop,
} from '../../../src/risk/trailing-stop.ts';

const NOW = Date.UTC(2024, 0, 2, 15);

function begin(options: TrailingStopsOptions, input: Partial<AddStopInput> = {}): TrailingStop {
  const { settings, name } = readTrailingStopsOptions(options);
  const change = addStop(settings, name, { id: 'p1', symbol: 'AAPL', side: 'long', entryPrice: 100, ...input });
  if (change.stop === undefined) throw new Error(`${change.code}: ${change.reason}`);
  return change.stop;
}

/** Feeds prices and returns what each brought about, and the stop after them. */
function feed(stop: TrailingStop, ...prices: number[]) {
  let current = stop;
  const steps = prices.map((price) => {
    const step = tickStop(current, price, {}, NOW);
    current = step.stop;
    return step;
  });
  return { stop: current, actions: steps.map((one) => one.decision.action), last: steps.at(-1)!, steps };
}

describe('what other systems document', () => {
  it('freqtrade: 2 % from 100; at 102 the stop is 99.96, at 103.5 it is 101.43', () => {
    const at102 = feed(begin({ trailingPct: 2, activationPct: 0 }), 102);
    expect(at102.last.decision).toMatchObject({ action: 'UPDATE', stopPrice: 99.96, peakPrice: 102 });
    const later = feed(at102.stop, 101, 103.5, 102);
    expect(later.actions).toEqual(['HOLD', 'UPDATE', 'HOLD']);
    expect(later.stop.stopPrice).toBe(101.43);
    expect(feed(later.stop, 101.43).actions).toEqual(['TRIGGER']);
  });

  it('LEAN: long 5 % from 100, through; 95 holds, 94.99 fires', () => {
    const stop = begin({ trailingPct: 5, activationPct: 0, fires: 'through' });
    expect(stop.stopPrice).toBe(95);
    const fired = feed(stop, 95, 94.99);
    expect(fired.actions).toEqual(['HOLD', 'TRIGGER']);
    expect(fired.last.decision).toMatchObject({ stopPrice: 95, price: 94.99, gap: 0.01, trigger: 'trailing' });
  });

  it('LEAN: short 10 % from a low of 50, through; 55 holds, 55.01 fires', () => {
    const stop = begin({ trailingPct: 10, activationPct: 0, fires: 'through' }, { side: 'short', entryPrice: 60 });
    const fired = feed(stop, 50, 55, 55.01);
    expect(fired.actions).toEqual(['UPDATE', 'HOLD', 'TRIGGER']);
    expect(fired.last.decision).toMatchObject({ stopPrice: 55, gap: 0.01 });
  });

  it('seed 000 and 001: activates after a move of 2 %, stop = highest × (1 − trailing_pct / 100)', () => {
    const start = begin({ trailingPct: 1.5 });
    const { actions, stop } = feed(start, 101, 101.99, 102, 104, 103);
    expect(actions).toEqual(['HOLD', 'HOLD', 'ACTIVATE', 'UPDATE', 'HOLD']);
    expect(stop).toMatchObject({ status: 'active', peakPrice: 104, stopPrice: 102.44 });
    expect(feed(stop, 102.44).last.decision).toMatchObject({ action: 'TRIGGER', stopPrice: 102.44, gap: 0 });
  });
});

describe('distances', () => {
  it('trails by a price', () => {
    const { stop } = feed(begin({ trailingPrice: 0.3, activationPct: 0 }, { entryPrice: 1.1 }), 1.2);
    expect(stop.stopPrice).toBe(0.9);
  });

  it('trails by ticks', () => {
    const { stop } = feed(begin({ trailingTicks: 3, tickSize: 0.1, activationPct: 0 }, { entryPrice: 10 }), 10.5);
    expect(stop.stopPrice).toBe(10.2);
  });

  it('activates by a price distance, at equality', () => {
    const stop = begin({ trailingPct: 1, activationDistance: 0.3 }, { entryPrice: 1.1 });
    expect(stop.activationPrice).toBe(1.4);
    expect(feed(stop, 1.39, 1.4).actions).toEqual(['HOLD', 'ACTIVATE']);
  });

  it('with an activation of 0 is active as it is added', () => {
    const { settings } = readTrailingStopsOptions({ trailingPct: 5, activationPct: 0 });
    const change = addStop(settings, 'default', { id: 'p1', symbol: 'AAPL', side: 'short', entryPrice: 100 });
    expect(change.stop).toMatchObject({ status: 'active', stopPrice: 105 });
    expect(change.events.map((event) => event.name)).toEqual(['risk.trailing_stop.add', 'risk.trailing_stop.activate']);
  });

  it('ratchets by the minimum step only, and counts small moves together', () => {
    const start = begin({ trailingPrice: 1, activationPct: 0, minimumStep: 0.3 });
    const { actions, stop, steps } = feed(start, 100.1, 100.2, 100.3, 100.4);
    expect(actions).toEqual(['HOLD', 'HOLD', 'UPDATE', 'HOLD']);
    expect(stop).toMatchObject({ stopPrice: 99.3, peakPrice: 100.4 });
    expect(steps[0]!.events.map((event) => event.name)).toEqual(['risk.trailing_stop.peak']);
  });

  it('a level of exactly 0 is a level: it never fires, and ratchets from there', () => {
    const start = begin({ trailingPrice: 100, activationPct: 0 });
    expect(start.stopPrice).toBe(0);
    expect(feed(start, 0.01, 99).actions).toEqual(['HOLD', 'HOLD']);
    const up = feed(start, 101);
    expect(up.actions).toEqual(['UPDATE']);
    expect(up.steps[0]!.events[0]!.attributes).toMatchObject({
      'risk.trailing_stop.previous_stop_price': 0,
      'risk.trailing_stop.stop_price': 1,
    });
    const whole = feed(begin({ trailingPct: 100, activationPct: 0 }), 0.01, 200);
    expect(whole.stop.stopPrice).toBe(0);
    expect(whole.steps[1]!.events.map((event) => event.name)).toEqual(['risk.trailing_stop.peak']);
  });

  it('does not fall below 0 into an early exit: a level below 0 waits until the peak lifts it', () => {
    const start = begin({ trailingPrice: 150, activationPct: 0 });
    expect(start.stopPrice).toBe(-50);
    expect(feed(start, 0.5, 160, 10).actions).toEqual(['HOLD', 'UPDATE', 'TRIGGER']);
  });
});

describe('the hard stop', () => {
  it('fires before activation, and says so', () => {
    const { actions, last } = feed(begin({ trailingPct: 2, hardStopPct: 3 }), 97.01, 96.5);
    expect(actions).toEqual(['HOLD', 'TRIGGER']);
    expect(last.decision).toMatchObject({
      code: 'TRAILING_STOP_HARD_TRIGGERED',
      trigger: 'hard',
      stopPrice: 97,
      gap: 0.5,
    });
  });

  it('the tighter of both levels fires first', () => {
    const wide = feed(begin({ trailingPct: 10, activationPct: 0, hardStopPrice: 96 }), 101);
    expect(wide.last.decision.stopPrice).toBe(96);
    expect(feed(wide.stop, 96).last.decision).toMatchObject({ trigger: 'hard', stopPrice: 96 });
    const tight = feed(wide.stop, 110);
    expect(tight.last.decision.stopPrice).toBe(99);
    expect(feed(tight.stop, 80).last.decision).toMatchObject({ trigger: 'trailing', stopPrice: 99, gap: 19 });
  });

  it('stands over a short position', () => {
    const stop = begin({ trailingPct: 2, hardStopPct: 3 }, { side: 'short' });
    expect(feed(stop, 102.99, 103).actions).toEqual(['HOLD', 'TRIGGER']);
  });

  it('on the wrong side of entry is refused', () => {
    const { settings } = readTrailingStopsOptions({ trailingPct: 2 });
    const input = { id: 'p1', symbol: 'AAPL', side: 'long', entryPrice: 100 } as const;
    expect(addStop(settings, 'default', { ...input, hardStopPrice: 100 }).code).toBe(
      'TRAILING_STOP_HARD_STOP_WRONG_SIDE',
    );
    expect(addStop(settings, 'default', { ...input, side: 'short', hardStopPrice: 99 }).code).toBe(
      'TRAILING_STOP_HARD_STOP_WRONG_SIDE',
    );
  });
});

describe('a trigger', () => {
  it('through a gap records level, observed price and what lies between', () => {
    const active = feed(begin({ trailingPct: 2, activationPct: 0 }), 102).stop;
    const { last } = feed(active, 90);
    expect(last.events.map((event) => event.name)).toEqual(['risk.trailing_stop.trigger']);
    expect(last.events[0]!.attributes).toMatchObject({
      'risk.trailing_stop.stop_price': 99.96,
      'risk.trailing_stop.current_price': 90,
      'risk.trailing_stop.gap': 9.96,
      'risk.trailing_stop.peak_price': 102,
      'risk.trailing_stop.trigger': 'trailing',
    });
  });

  it('comes once: later prices, bad ones too, change and record nothing', () => {
    const fired = feed(begin({ trailingPct: 2, activationPct: 0 }), 90).stop;
    for (const price of [80, 300, Number.NaN]) {
      const step = tickStop(fired, price, {}, NOW);
      expect(step.decision).toMatchObject({ action: 'IGNORED', code: 'TRAILING_STOP_ALREADY_TRIGGERED' });
      expect(step.stop).toBe(fired);
      expect(step.events).toEqual([]);
    }
  });
});

describe('bars', () => {
  const active = () => begin({ trailingPrice: 5, activationPct: 0 });

  it('takes high before low or low before high, as declared', () => {
    const bar = { open: 100, high: 110, low: 104, close: 108 };
    const inside = { ...bar, low: 97, high: 103, close: 102 };
    expect(barStop(active(), inside, 'OHLC', {}, NOW).decision).toMatchObject({
      action: 'TRIGGER',
      stopPrice: 98,
      price: 97,
      barPoint: 'low',
    });
    const other = barStop(active(), inside, 'OLHC', {}, NOW);
    expect(other.decision).toMatchObject({ action: 'UPDATE', stopPrice: 98 });
    expect(other.stop.status).toBe('active');
  });

  it('that opens beyond the level says so', () => {
    const { decision } = barStop(active(), { open: 90, high: 120, low: 89, close: 100 }, 'OHLC', {}, NOW);
    expect(decision).toMatchObject({ action: 'TRIGGER', barPoint: 'open', price: 90, gap: 5 });
  });

  it('does exactly what its four prices do', () => {
    const bar = { open: 101, high: 108, low: 104, close: 107 };
    // low above open is no bar
    expect(barStop(active(), bar, 'OHLC', {}, NOW).decision.code).toBe('TRAILING_STOP_BAR_INVALID');
    const good = { open: 105, high: 108, low: 104, close: 107 };
    const byBar = barStop(active(), good, 'OHLC', {}, NOW);
    expect(byBar.stop).toEqual(feed(active(), 105, 108, 104, 107).stop);
    expect(byBar.events.map((event) => event.name)).toEqual(['risk.trailing_stop.update', 'risk.trailing_stop.update']);
  });

  it('without a path, with a price missing or not outermost, is refused', () => {
    const bar = { open: 100, high: 101, low: 99, close: 100 };
    const refused = (value: unknown, path: unknown) =>
      barStop(active(), value as never, path as never, {}, NOW).decision;
    expect(refused(bar, undefined).code).toBe('TRAILING_STOP_BAR_PATH_INVALID');
    expect(refused(bar, 'OHCL').code).toBe('TRAILING_STOP_BAR_PATH_INVALID');
    for (const wrong of [null, {}, { ...bar, low: Number.NaN }, { ...bar, high: 99.5 }, { ...bar, low: 100.5 }]) {
      expect(refused(wrong, 'OHLC')).toMatchObject({ action: 'IGNORED', code: 'TRAILING_STOP_BAR_INVALID' });
    }
  });

  it('that comes twice is taken once, though its prices would fire the level that it brought about', () => {
    const bar = { open: 100, high: 110, low: 107, close: 109 };
    const whole = { ...bar, low: 100 };
    const first = barStop(begin({ trailingPct: 1 }), { ...whole, low: 99.5 }, 'OLHC', { timeMs: NOW }, NOW);
    expect(first.stop).toMatchObject({ status: 'active', stopPrice: 108.9 });
    const again = barStop(first.stop, { ...whole, low: 99.5 }, 'OLHC', { timeMs: NOW }, NOW);
    expect(again.decision.code).toBe('TRAILING_STOP_DUPLICATE');
    expect(again.stop).toBe(first.stop);
  });
});

describe('bad and repeated prices', () => {
  const active = () => begin({ trailingPct: 2, activationPct: 0 });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, -0, -1, undefined, null, '101', {}])(
    'the price %s is recorded and ignored, the state as it was',
    (price) => {
      const stop = active();
      const step = tickStop(stop, price as number, { timeMs: NOW, sequence: 5 }, NOW);
      expect(step.stop).toBe(stop);
      expect(step.decision).toMatchObject({ action: 'IGNORED', code: 'TRAILING_STOP_PRICE_INVALID' });
      expect(step.events.map((event) => event.name)).toEqual(['risk.trailing_stop.invalid_input']);
      expect(step.events[0]!.attributes).toMatchObject({
        'risk.trailing_stop.id': 'p1',
        'risk.trailing_stop.field': 'price',
        'risk.reason.code': 'TRAILING_STOP_PRICE_INVALID',
      });
    },
  );

  const refusal = (stop: TrailingStop, price: number, stamp: object) => {
    const step = tickStop(stop, price, stamp, NOW);
    expect(step.stop).toBe(stop);
    expect(step.decision.action).toBe('IGNORED');
    expect(step.events).toHaveLength(1);
    return step.decision.code;
  };

  it('a sequence seen before is a duplicate, a lower one out of order, whatever the price', () => {
    const { stop } = tickStop(active(), 101, { sequence: 7 }, NOW);
    expect(refusal(stop, 50, { sequence: 7 })).toBe('TRAILING_STOP_DUPLICATE');
    expect(refusal(stop, 50, { sequence: 6 })).toBe('TRAILING_STOP_OUT_OF_ORDER');
    expect(tickStop(stop, 50, { sequence: 8 }, NOW).decision.action).toBe('TRIGGER');
  });

  it('a feed that begins to count anew is followed: under a new name, or with a later time', () => {
    const { stop } = tickStop(active(), 101, { sequence: 7_000, timeMs: NOW - 1000, feed: 'a' }, NOW);
    expect(tickStop(stop, 50, { sequence: 1, feed: 'b' }, NOW).decision.action).toBe('TRIGGER');
    expect(tickStop(stop, 50, { sequence: 1, feed: 'a', timeMs: NOW }, NOW).decision.action).toBe('TRIGGER');
    expect(refusal(stop, 50, { sequence: 1, feed: 'a', timeMs: NOW - 1000 })).toBe('TRAILING_STOP_OUT_OF_ORDER');
  });

  it('an earlier time is out of order; an equal time with an equal price a duplicate', () => {
    const { stop } = tickStop(active(), 101, { timeMs: NOW - 10 }, NOW);
    expect(refusal(stop, 50, { timeMs: NOW - 11 })).toBe('TRAILING_STOP_OUT_OF_ORDER');
    expect(refusal(stop, 101, { timeMs: NOW - 10 })).toBe('TRAILING_STOP_DUPLICATE');
  });

  it('another price in the same millisecond is a price: it may be the one that fires', () => {
    const { stop } = tickStop(active(), 101, { timeMs: NOW - 10 }, NOW);
    expect(tickStop(stop, 90, { timeMs: NOW - 10 }, NOW).decision.action).toBe('TRIGGER');
  });

  it('one time far in the future does not silence the stop', () => {
    const { stop, decision } = tickStop(active(), 101, { timeMs: NOW + 86_400_000 }, NOW);
    expect(decision.action).toBe('UPDATE');
    expect(tickStop(stop, 90, { timeMs: NOW + 1 }, NOW + 1).decision.action).toBe('TRIGGER');
  });

  it('a stamp that is no stamp is refused', () => {
    const stop = active();
    expect(refusal(stop, 50, { sequence: -1 })).toBe('TRAILING_STOP_SEQUENCE_INVALID');
    expect(refusal(stop, 50, { sequence: 1.5 })).toBe('TRAILING_STOP_SEQUENCE_INVALID');
    expect(refusal(stop, 50, { timeMs: Number.NaN })).toBe('TRAILING_STOP_TIME_INVALID');
    expect(refusal(stop, 50, { timeMs: '5' })).toBe('TRAILING_STOP_TIME_INVALID');
    expect(refusal(stop, 50, { sequence: 1, feed: 5 })).toBe('TRAILING_STOP_FEED_INVALID');
  });
});

describe('adding', () => {
  const { settings } = readTrailingStopsOptions({ trailingPct: 2 });
  const add = (input: object) =>
    addStop(settings, 'default', { id: 'p1', symbol: 'AAPL', side: 'long', entryPrice: 100, ...input } as AddStopInput);

  it.each([
    [{ id: '' }, 'TRAILING_STOP_ID_INVALID'],
    [{ id: 5 }, 'TRAILING_STOP_ID_INVALID'],
    [{ symbol: undefined }, 'TRAILING_STOP_SYMBOL_INVALID'],
    [{ side: 'buy' }, 'TRAILING_STOP_SIDE_INVALID'],
    [{ entryPrice: 0 }, 'TRAILING_STOP_ENTRY_PRICE_INVALID'],
    [{ entryPrice: -5 }, 'TRAILING_STOP_ENTRY_PRICE_INVALID'],
    [{ entryPrice: Number.NaN }, 'TRAILING_STOP_ENTRY_PRICE_INVALID'],
    [{ entryPrice: '100' }, 'TRAILING_STOP_ENTRY_PRICE_INVALID'],
    [{ quantity: 0 }, 'TRAILING_STOP_QUANTITY_INVALID'],
    [{ quantity: Number.POSITIVE_INFINITY }, 'TRAILING_STOP_QUANTITY_INVALID'],
    [{ accountId: 7 }, 'TRAILING_STOP_CONTEXT_INVALID'],
    [{ trailingPct: -1 }, 'TRAILING_STOP_OPTION_INVALID'],
    [{ trailingPct: 1, trailingPrice: 1 }, 'TRAILING_STOP_OPTION_INVALID'],
    [{ trailingTicks: 3 }, 'TRAILING_STOP_OPTION_INVALID'],
    [{ trailngPct: 1 }, 'TRAILING_STOP_OPTION_INVALID'],
    [{ side: 'short', activationDistance: 100 }, 'TRAILING_STOP_ACTIVATION_UNREACHABLE'],
  ])('%j is refused with %s and recorded', (input, code) => {
    const change = add(input);
    expect(change).toMatchObject({ accepted: false, code });
    expect(change.stop).toBeUndefined();
    expect(change.events.map((event) => event.name)).toEqual(['risk.trailing_stop.invalid_input']);
    expect(change.events[0]!.attributes['risk.reason.code']).toBe(code);
  });

  it('takes settings of its own in place of those of the set, whatever the unit', () => {
    expect(add({ trailingPrice: 3, activationDistance: 0 }).stop).toMatchObject({ stopPrice: 97 });
    expect(add({ trailingPrice: 3 }).stop!.settings).toEqual({
      trailingPrice: 3,
      activationPct: 2,
      fires: 'touch',
      minimumStep: 0,
    });
  });
});

describe('partial close and flip', () => {
  it('takes quantity away and keeps the levels; the last part removes the stop', () => {
    const { stop } = feed(begin({ trailingPct: 2, activationPct: 0 }, { quantity: 0.3 }), 110);
    const part = partialCloseStop(stop, 0.1);
    expect(part.stop).toMatchObject({ quantity: 0.2, stopPrice: 107.8, peakPrice: 110 });
    const rest = partialCloseStop(part.stop!, 0.2);
    expect(rest.stop).toBeUndefined();
    expect(rest.events.map((event) => event.name)).toEqual([
      'risk.trailing_stop.partial_close',
      'risk.trailing_stop.remove',
    ]);
  });

  it('refuses more than there is, nothing, and what it does not know', () => {
    const stop = begin({ trailingPct: 2 }, { quantity: 10 });
    expect(partialCloseStop(stop, 10.1).code).toBe('TRAILING_STOP_QUANTITY_EXCEEDED');
    expect(partialCloseStop(stop, 0).code).toBe('TRAILING_STOP_QUANTITY_INVALID');
    expect(partialCloseStop(stop, Number.NaN).code).toBe('TRAILING_STOP_QUANTITY_INVALID');
    expect(partialCloseStop(begin({ trailingPct: 2 }), 1).code).toBe('TRAILING_STOP_QUANTITY_UNKNOWN');
  });

  it('begins anew on the other side', () => {
    const { stop } = feed(begin({ trailingPct: 2, hardStopPct: 5 }, { quantity: 10 }), 110);
    const { stop: flipped, events } = flipStop(stop, { entryPrice: 108, quantity: 4 });
    expect(flipped).toMatchObject({
      side: 'short',
      status: 'pending',
      peakPrice: 108,
      hardStopPrice: 113.4,
      quantity: 4,
    });
    expect(flipped!.stopPrice).toBeUndefined();
    expect(events[0]!.attributes).toMatchObject({
      'risk.trailing_stop.previous_stop_price': 107.8,
      'risk.trailing_stop.previous_quantity': 10,
    });
    expect(feed(flipped!, 105.84, 109).actions).toEqual(['ACTIVATE', 'TRIGGER']);
  });

  it('refuses a flip to the same side, without a price, or that leaves a hard stop on the wrong side', () => {
    const stop = begin({ trailingPct: 2, hardStopPrice: 95 });
    expect(flipStop(stop, { entryPrice: 100, side: 'long' }).code).toBe('TRAILING_STOP_SAME_SIDE');
    expect(flipStop(stop, undefined as never).code).toBe('TRAILING_STOP_ENTRY_PRICE_INVALID');
    expect(flipStop(stop, { entryPrice: 100 }).code).toBe('TRAILING_STOP_HARD_STOP_WRONG_SIDE');
    expect(flipStop(stop, { entryPrice: 100, hardStopPrice: 105 }).stop).toMatchObject({ hardStopPrice: 105 });
  });
});

describe('options', () => {
  const failure = (options: object) => {
    try {
      readTrailingStopsOptions(options);
    } catch (error) {
      return `${(error as { code: string }).code} ${(error as Error).message}`;
    }
    return 'accepted';
  };

  it('names the field, what was expected and what came', () => {
    expect(failure({ trailingPct: 0 })).toBe(
      'OPTION_INVALID trailingStops.trailingPct: expected a finite number > 0 ≤ 100, got 0',
    );
    expect(failure({})).toContain('trailingStops.trailingPct: expected one of trailingPct, trailingPrice');
    expect(failure({ trailingTicks: 5 })).toContain('trailingStops.tickSize');
    expect(failure({ trailingPct: 1, trailingPrice: 2 })).toContain('absent beside trailingPct');
    expect(failure({ trailingPct: 1, activationPct: 1, activationDistance: 2 })).toContain(
      'absent beside activationPct',
    );
    expect(failure({ trailingPct: 1, fires: 'cross' })).toContain("one of 'touch', 'through'");
    expect(failure({ trailingPct: 1, activatonPct: 1 })).toContain('did you mean "activationPct"?');
    expect(failure({ trailingPct: 1 })).toBe('accepted');
  });
});
