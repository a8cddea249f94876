import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sweepPage } from '../../../src/analysis/replay/page.ts';
import {
  BREAKER_PARAMETERS,
  LIMIT_PARAMETERS,
  parseSettings,
  parseSweep,
  STOP_PARAMETERS,
} from '../../../src/analysis/replay/parameters.ts';
import { checkReplay, replay, sweepReplay } from '../../../src/analysis/replay/replay.ts';
import { createManualClock, type ManualClock } from '../../../src/core/clock.ts';
import { plainInput } from '../../../src/core/plain-input.ts';
import { readBreakerOptions } from '../../../src/risk/circuit-breaker/options.ts';
import { readLimitsOptions } from '../../../src/risk/portfolio-limits/options.ts';
import { readTrailingStopsOptions } from '../../../src/risk/trailing-stop.ts';
import type { RiskTrail } from '../../../src/runtime/risk-trail.ts';
import { startRiskTrail } from '../../../src/runtime/start.ts';

const START = Date.UTC(2024, 0, 2, 14, 30);
let dir: string;
let clock: ManualClock;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'risktrail-replay-unit-'));
  clock = createManualClock(START);
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const begin = (recordInputs: 'changes' | 'all' = 'all'): Promise<RiskTrail> =>
  startRiskTrail({
    ...{ serviceName: 'test', dataDir: dir, clock, recordInputs, handleSignals: false, logLevel: 'off' },
    ...{ snapshotIntervalMs: 0, healthCheckIntervalMs: 0 },
  });

const later = (ms: number) => clock.set(clock.now() + ms);
const position = (quantity: number) => ({
  equity: 100_000,
  positions: quantity === 0 ? [] : [{ symbol: 'AAPL', quantity, price: 100 }],
});
const order = (quantity: number, orderId: string) =>
  ({ symbol: 'AAPL', side: 'buy', quantity, price: 100, referencePrice: 100, orderId }) as const;

/** Everything that the layers can be told, over two processes. */
async function liveThrough(recordInputs: 'changes' | 'all'): Promise<void> {
  for (const run of [1, 2]) {
    const trail = await begin(recordInputs);
    const broker = trail.circuitBreaker('broker', {
      failureThreshold: 3,
      windowMs: 60_000,
      cooldownMs: 30_000,
      dailyLoss: { max: 500, timeZone: 'America/New_York' },
      drawdown: { maxRatio: 0.2 },
      halfOpen: { maxProbes: 1, probeTimeoutMs: 5_000 },
    });
    const stops = trail.trailingStops({ trailingPct: 2, activationPct: 1, onTrigger: 'REDUCING' });
    const other = trail.trailingStops({ name: 'wide', trailingPct: 10, activationPct: 0 });
    const limits = trail.portfolioLimits({
      portfolioDelta: { max: 100, mode: 'cap' },
      dailyLoss: { max: 300, onBreach: 'REDUCING' },
      drawdown: { max: 0.1, onBreach: 'HALTED' },
      orderRate: { max: 3, windowMs: 10_000 },
      messageRate: { max: 20, windowMs: 10_000 },
      duplicateOrder: { windowMs: 500 },
      heat: { max: 5 },
    });
    stops.add({ id: `a${run}`, symbol: 'AAPL', side: 'long', entryPrice: 100, quantity: 10 });
    other.add({ id: `b${run}`, symbol: 'MSFT', side: 'short', entryPrice: 50, quantity: 4 });
    stops.tick('NONE', 7);
    for (const price of [100, 101.5, 103, 102, 100.9, 99, 98]) {
      later(1000);
      stops.tick('AAPL', price, { timeMs: clock.now() });
      other.bar('MSFT', { open: 50, high: 51, low: 49 - run, close: 49.5 }, { path: 'OLHC', timeMs: clock.now() });
    }
    stops.tick('AAPL', Number.NaN);
    limits.checkEntry(position(0), order(10, 'o1'));
    stops.remove(`a${run}`, 'closed');
    other.partialClose(`b${run}`, 1);
    for (const id of ['o2', 'o3', 'o4', 'o5']) {
      later(600);
      limits.checkEntry(position(60), order(60, id));
    }
    limits.checkEntry({ equity: Number.NaN, positions: [] }, order(1, 'bad'));
    limits.orderPlaced({ ...order(10, 'o6'), clientOrderId: 'c6' });
    limits.recordFill({ orderId: 'o6', quantity: 4, pnl: -200 });
    limits.recordFill({ clientOrderId: 'c6', quantity: 6, pnl: -150 });
    limits.checkEntry(position(10), order(5, 'o7'));
    limits.recordEquity(100_000);
    limits.recordEquity(88_000);
    limits.messageSent(3);
    limits.orderDone('never');
    limits.health(position(10));
    await broker.execute(async () => 1);
    const held = broker.allow();
    for (let failure = 0; failure < 3; failure++) {
      later(100);
      await broker.execute(() => Promise.reject(new Error('down'))).catch(() => {});
    }
    broker.success(held);
    await broker.execute(async () => 1).catch(() => {});
    await broker.execute(async () => 1, { reduces: true });
    broker.recordTrade({ pnl: -300, stopLoss: true });
    broker.recordTrade({ pnl: -300 });
    later(31_000);
    const probe = broker.allow();
    broker.allow();
    later(6_000);
    broker.tick();
    broker.failure(undefined, probe);
    later(31_000);
    const good = broker.allow();
    broker.success(good);
    broker.success(good);
    broker.recordEquity(1000);
    broker.recordEquity(700);
    broker.reset({ actor: 'ann', reason: 'checked' });
    broker.configure({ failureThreshold: 4 }, { actor: 'ann', reason: 'calm' });
    limits.resetPeak({ actor: 'ann', reason: 'new capital', equity: 90_000 });
    limits.configure({ dailyLoss: { max: 400 } }, { actor: 'ann', reason: 'more' });
    trail.gate.halt({ actor: 'ann', reason: 'lunch', untilMs: clock.now() + 60_000 });
    later(61_000);
    trail.gate.tick();
    trail.snapshot();
    if (run === 1) {
      broker.trip({ actor: 'ann', reason: 'over night' });
      other.flip('b1', { entryPrice: 49 });
      later(86_400_000);
      limits.tick();
    }
    later(1000);
    await trail.close();
    later(10_000);
  }
}

describe('with the parameters as they were', () => {
  it.each(['all', 'changes'] as const)(
    'every decision comes out the same over two processes: %s',
    async (recordInputs) => {
      await liveThrough(recordInputs);
      const answer = await checkReplay(dir);
      expect(answer.differences).toEqual([]);
      expect(answer).toMatchObject({ ok: true, record_inputs: recordInputs });
      // A portfolio of which nothing could be written down, in each process; of every check where none is.
      expect(answer.taken_over).toBe(recordInputs === 'all' ? 2 : 16);
      for (const layer of ['breaker:broker', 'stops:default', 'stops:wide', 'limits:default', 'gate']) {
        expect(answer.layers[layer]).toBeGreaterThan(5);
      }
    },
    30_000,
  );
});

describe('with other parameters', () => {
  it('an exit that passes because it reduces passes under any threshold; a call that was refused has no outcome', async () => {
    const trail = await begin();
    const broker = trail.circuitBreaker('broker', { failureThreshold: 2, windowMs: 60_000, cooldownMs: 10_000 });
    const call = (ok: boolean, reduces = false) =>
      broker.execute(() => (ok ? Promise.resolve() : Promise.reject(new Error('x'))), { reduces }).catch(() => {});
    await call(false);
    await call(true, true);
    await call(false);
    await call(true);
    await trail.close();
    const stricter = await replay(dir, { set: { 'breaker.broker.failureThreshold': 1 } });
    expect(
      stricter.rows.filter(({ kind }) => kind === 'call').map((row) => [row.recorded, row.replayed, row.known]),
    ).toEqual([['let through', 'refused: CIRCUIT_BREAKER_OPEN', 'exact']]);
    expect(stricter.replayed).toMatchObject({ halts: 1, calls_refused: 2 });
    const looser = await replay(dir, { set: { 'breaker.broker.failureThreshold': 3 } });
    expect(looser.rows.find(({ kind }) => kind === 'call')).toMatchObject({
      recorded: 'refused',
      replayed: 'let through',
      known: 'unknown',
    });
    expect(looser.replayed).toMatchObject({ halts: 0, calls_refused: 0 });
    expect(looser.unknown).toBe(1);
  });

  it('a wider stop goes on behind its removal, at prices that came while no stop stood', async () => {
    const trail = await begin();
    const stops = trail.trailingStops({ trailingPct: 1, activationPct: 0 });
    stops.add({ id: 'p', symbol: 'AAPL', side: 'long', entryPrice: 100, quantity: 10 });
    for (const price of [110, 108]) stops.tick('AAPL', price);
    stops.remove('p', 'closed');
    for (const price of [120, 112]) {
      later(1000);
      stops.tick('AAPL', price);
    }
    await trail.close();
    const { rows, recorded, replayed } = await replay(dir, { set: { 'stops.trailingPct': 5 } });
    expect([recorded.result, replayed.result]).toEqual([80, 120]);
    expect(rows).toMatchObject([
      { kind: 'stop', subject: 'p', known: 'exact', recorded_result: 80, replayed_result: 120 },
    ]);
    const wide = await replay(dir, { set: { 'stops.trailingPct': 50 } });
    expect(wide.replayed).toMatchObject({ positions_open: 1, positions_closed: 0, result: 0 });
  });

  it('where only changes were recorded, what comes out otherwise is a bound, and the answer says so', async () => {
    const trail = await begin('changes');
    const stops = trail.trailingStops({ trailingPct: 5, activationPct: 0 });
    const limits = trail.portfolioLimits({ portfolioDelta: { max: 100 } });
    stops.add({ id: 'p', symbol: 'AAPL', side: 'long', entryPrice: 100, quantity: 10 });
    for (const price of [110, 106, 104]) stops.tick('AAPL', price);
    limits.checkEntry(position(0), order(60, 'o1'));
    limits.checkEntry(position(60), order(60, 'o2'));
    await trail.close();
    const { rows, notes, record_inputs } = await replay(dir, {
      set: { 'stops.trailingPct': 1, 'limits.portfolioDelta.max': 50 },
    });
    expect(record_inputs).toBe('changes');
    expect(notes[0]).toContain('a bound');
    // 106 would have fired it; it moved nothing then and is not in the trail.
    expect(rows.map(({ kind, replayed, known }) => [kind, replayed.replace(/fired .* at/, 'fired at'), known])).toEqual(
      [['order', 'denied: PORTFOLIO_DELTA_EXCEEDED', 'bound']],
    );
    const looser = await replay(dir, { set: { 'limits.portfolioDelta.max': 200 } });
    expect(looser.rows).toMatchObject([
      { kind: 'order', replayed: 'allowed', known: 'unknown', why: 'the fill never happened' },
    ]);
  });

  it('a stop that drives the gate denies under its changed level what it did not deny then', async () => {
    const trail = await begin();
    const stops = trail.trailingStops({ trailingPct: 5, activationPct: 0, onTrigger: 'REDUCING' });
    const limits = trail.portfolioLimits({ portfolioDelta: { max: 1000 } });
    stops.add({ id: 'p', symbol: 'AAPL', side: 'long', entryPrice: 100, quantity: 10 });
    for (const price of [110, 108]) stops.tick('AAPL', price);
    limits.checkEntry(position(10), order(5, 'o1'));
    for (const price of [104, 103]) stops.tick('AAPL', price);
    await trail.close();
    const { rows } = await replay(dir, { set: { 'stops.trailingPct': 1 } });
    expect(rows.find(({ kind }) => kind === 'order')).toMatchObject({
      recorded: 'allowed',
      replayed: 'denied: TRADING_REDUCING',
    });
  });

  it('a limit, a trigger or a hard stop can be taken away', async () => {
    const trail = await begin();
    const stops = trail.trailingStops({ trailingPct: 5, activationPct: 50, hardStopPct: 2 });
    const limits = trail.portfolioLimits({ portfolioDelta: { max: 5 } });
    stops.add({ id: 'p', symbol: 'AAPL', side: 'long', entryPrice: 100, quantity: 10 });
    stops.tick('AAPL', 97);
    limits.checkEntry(position(0), order(10, 'o1'));
    await trail.close();
    const { replayed } = await replay(dir, { set: ['stops.hardStopPct=none', 'limits.portfolioDelta=none'] });
    expect(replayed).toMatchObject({ stops_fired: 0, positions_open: 1, orders_denied: 0 });
  });

  it('a trail without a risk layer, and a sweep over too much, are refused', async () => {
    const trail = await begin();
    trail.circuitBreaker('broker');
    await trail.close();
    await expect(replay(dir, { set: {}, to: '2020-01-01' })).rejects.toMatchObject({ code: 'REPLAY_NOTHING' });
    await expect(sweepReplay(dir, { sweep: ['a=1,2', 'b=1,2', 'c=1,2'] })).rejects.toMatchObject({
      code: 'OPTION_INVALID',
    });
    await expect(replay(dir, { set: { 'breaker.broker.coolDownMs': 1 } })).rejects.toMatchObject({
      code: 'REPLAY_PARAMETER_UNKNOWN',
      message: expect.stringContaining('(did you mean "breaker.broker.cooldownMs"?)'),
    });
  });
});

describe('parameters', () => {
  /** `a.b` = 1 as `{ a: { b: 1 } }`. */
  const nest = (path: string) => path.split('.').reduceRight<unknown>((value, part) => ({ [part]: value }), 1);

  it.each([
    ['breaker', BREAKER_PARAMETERS, (options: unknown) => readBreakerOptions('x', options)],
    ['stops', STOP_PARAMETERS, (options: unknown) => readTrailingStopsOptions(options)],
    ['limits', LIMIT_PARAMETERS, (options: unknown) => readLimitsOptions(options as object)],
  ] as const)('%s: each that is listed is an option', (_, names, read) => {
    for (const name of names) {
      let code = '';
      try {
        read(nest(name));
      } catch (error) {
        code = (error as { code: string }).code;
      }
      expect([name, code]).not.toEqual([name, 'OPTION_UNKNOWN']);
    }
    expect(() => read({ noSuchThing: 1 })).toThrow('noSuchThing');
  });

  it('values are numbers, truths, nothing or text', () => {
    expect(parseSettings(['a=1.5', 'b=true', 'c=none', 'd=America/New_York'])).toEqual({
      a: 1.5,
      b: true,
      c: null,
      d: 'America/New_York',
    });
  });

  it('ranges hold both ends and are as a person writes them', () => {
    expect(parseSweep('stops.activationPct=1..4/0.5').values).toEqual([1, 1.5, 2, 2.5, 3, 3.5, 4]);
    expect(parseSweep('x=0..0.3/0.1').values).toEqual([0, 0.1, 0.2, 0.3]);
    expect(parseSweep('x=touch,through').values).toEqual(['touch', 'through']);
  });
});

describe('what is written and read', () => {
  it('an input is recorded as plain data, or not at all', () => {
    expect(plainInput({ a: 1, b: null, c: [{ d: undefined, e: 'x' }] })).toEqual({ a: 1, c: [{ e: 'x' }] });
    for (const bad of [{ a: Number.NaN }, { a: () => 1 }, { a: [null] }, { a: 1n }])
      expect(plainInput(bad)).toBeUndefined();
  });

  it('what comes from a trail or a command line is text on the page', async () => {
    const figures = {
      ...{
        halts: 0,
        reductions: 0,
        halted_minutes: 0,
        stops_fired: 0,
        orders_denied: 0,
        orders_cut: 0,
        calls_refused: 0,
      },
      ...{ positions_closed: 0, positions_open: 0, result: 0 },
    };
    const page = sweepPage({
      axes: [{ parameter: 'breaker.<b>.scope', values: ['<script>alert(1)</script>'] }],
      fixed: { 'a&b': '"' },
      recorded: figures,
      rows: [
        {
          ...figures,
          ...{ parameters: { 'breaker.<b>.scope': '<script>alert(1)</script>' }, differences: 0, unknown: 0 },
          first_difference: null,
        },
      ],
      ...{ record_inputs: 'all', from: '', to: '', notes: ['<i>'] },
    });
    expect(page).not.toMatch(/<script|<i>|<b>|a&b/);
  });
});
