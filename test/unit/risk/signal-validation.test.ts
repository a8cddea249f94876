import { describe, expect, it } from 'vitest';
import { type SignalContext, type SignalInput, validateSignal } from '../../../src/risk/signal-validation.ts';
import { createSignalValidation } from '../../../src/runtime/signal-validation.ts';
import { createFakeHost } from '../../support/fake-host.ts';

const LONG = { symbol: 'BTCUSDT', signalType: 'long_entry', entryPrice: 50_000, stopLoss: 49_000, takeProfit: 52_000 };
const SHORT = { ...LONG, signalType: 'short_entry', stopLoss: 51_000, takeProfit: 48_000 };

const validate = (signal: object, against?: object) =>
  validateSignal(signal as SignalInput, against as SignalContext | undefined).result;
const failed = (signal: object, against?: object) =>
  validate(signal, against)
    .checks.filter((one) => !one.passed)
    .map((one) => one.code);

describe('seed 003: the risk manager’s validation', () => {
  const cases: [string, object, object, string][] = [
    ['an existing position', LONG, { position: 0.5 }, 'SIGNAL_EXISTING_POSITION'],
    ['LONG take profit at entry', { ...LONG, takeProfit: 50_000 }, {}, 'SIGNAL_LONG_TAKE_PROFIT_WRONG_SIDE'],
    ['LONG stop loss above entry', { ...LONG, stopLoss: 50_001 }, {}, 'SIGNAL_LONG_STOP_LOSS_WRONG_SIDE'],
    ['SHORT take profit above entry', { ...SHORT, takeProfit: 50_001 }, {}, 'SIGNAL_SHORT_TAKE_PROFIT_WRONG_SIDE'],
    ['SHORT stop loss at entry', { ...SHORT, stopLoss: 50_000 }, {}, 'SIGNAL_SHORT_STOP_LOSS_WRONG_SIDE'],
  ];
  it.each(cases)('%s is rejected, with one event', (_, signal, against, code) => {
    const host = createFakeHost();
    const verdict = createSignalValidation(host).validateSignal(signal as SignalInput, against);
    expect(verdict).toMatchObject({ allowed: false, code, recordId: 'rec-000001' });
    expect(host.names()).toEqual(['risk.rejection']);
    expect(host.events[0]!.attributes).toMatchObject({
      'trading.symbol': 'BTCUSDT',
      'trading.entry_price': 50_000,
      'risk.decision': 'deny',
      'risk.reason.code': code,
    });
    expect(host.invalid).toEqual([]);
  });

  it.each([LONG, SHORT])('a good signal passes, with one event', (signal) => {
    const host = createFakeHost();
    const verdict = createSignalValidation(host).validateSignal(signal, { position: 0 });
    expect(verdict).toMatchObject({ allowed: true, code: 'OK', stopDistancePercent: 2, rewardRiskRatio: 2 });
    expect(host.names()).toEqual(['risk.validation']);
    expect(host.events[0]!.attributes).toMatchObject({
      'trading.signal.type': signal.signalType,
      'trading.side': signal === LONG ? 'buy' : 'sell',
      'trading.take_profit': signal.takeProfit,
      'trading.stop_loss': signal.stopLoss,
      'risk.decision': 'allow',
      'risk.checks': [
        'symbol:OK',
        'side:OK',
        'entry_price:OK',
        'existing_position:OK',
        'take_profit:OK',
        'stop_loss:OK',
      ],
    });
    expect(host.invalid).toEqual([]);
    expect(host.spans.map((span) => span.name)).toEqual(['risk.signal_validation']);
  });
});

describe('checks', () => {
  it('are all made, and the first that failed gives the code', () => {
    const signal = { ...LONG, takeProfit: 49_000, stopLoss: 51_000 };
    expect(failed(signal, { position: { quantity: -1 } })).toEqual([
      'SIGNAL_EXISTING_POSITION',
      'SIGNAL_LONG_TAKE_PROFIT_WRONG_SIDE',
      'SIGNAL_LONG_STOP_LOSS_WRONG_SIDE',
    ]);
    expect(validate(signal, { position: -1 }).code).toBe('SIGNAL_EXISTING_POSITION');
  });

  it('let a position pass where it is allowed, and flat in all its forms', () => {
    expect(validate(LONG, { position: 3, allowExistingPosition: true }).allowed).toBe(true);
    for (const position of [undefined, null, 0, { quantity: 0 }])
      expect(validate(LONG, { position }).allowed).toBe(true);
    for (const position of [Number.NaN, '3', {}, { quantity: Number.POSITIVE_INFINITY }]) {
      expect(failed(LONG, { position })).toEqual(['SIGNAL_POSITION_INVALID']);
    }
  });

  it('hold stop distances against their bounds; equality passes', () => {
    expect(failed(LONG, { minStopDistancePercent: 2, maxStopDistancePercent: 2 })).toEqual([]);
    expect(failed(LONG, { minStopDistancePercent: 2.01 })).toEqual(['SIGNAL_STOP_DISTANCE_TOO_SMALL']);
    expect(failed(LONG, { maxStopDistancePercent: 1.99 })).toEqual(['SIGNAL_STOP_DISTANCE_TOO_LARGE']);
    expect(failed({ ...LONG, entryPrice: 1.1, stopLoss: 1.0, takeProfit: 1.3 }, { minRewardRisk: 2 })).toEqual([]);
  });

  it('measure the reward by the nearest target, and every target must be on the right side', () => {
    const several = { ...LONG, takeProfit: undefined, takeProfits: [53_000, 51_000] };
    expect(validate(several).rewardRiskRatio).toBe(1);
    expect(failed(several, { minRewardRisk: 1 })).toEqual([]);
    expect(failed(several, { minRewardRisk: 1.01 })).toEqual(['SIGNAL_REWARD_RISK_TOO_LOW']);
    expect(failed({ ...several, takeProfits: [53_000, 49_999] })).toEqual(['SIGNAL_LONG_TAKE_PROFIT_WRONG_SIDE']);
  });

  it('ask for a stop by default, and for a target on request', () => {
    const bare = { symbol: 'A', side: 'buy', entryPrice: 10 };
    expect(failed(bare)).toEqual(['SIGNAL_STOP_LOSS_MISSING']);
    expect(failed(bare, { requireStopLoss: false })).toEqual([]);
    expect(failed(bare, { requireStopLoss: false, requireTakeProfit: true })).toEqual(['SIGNAL_TAKE_PROFIT_MISSING']);
  });

  it.each([
    [{ entryPrice: Number.NaN }, 'SIGNAL_ENTRY_PRICE_INVALID'],
    [{ entryPrice: 0 }, 'SIGNAL_ENTRY_PRICE_INVALID'],
    [{ entryPrice: undefined }, 'SIGNAL_ENTRY_PRICE_INVALID'],
    [{ stopLoss: -1 }, 'SIGNAL_STOP_LOSS_INVALID'],
    [{ stopLoss: '49000' }, 'SIGNAL_STOP_LOSS_INVALID'],
    [{ takeProfit: Number.POSITIVE_INFINITY }, 'SIGNAL_TAKE_PROFIT_INVALID'],
    [{ takeProfits: [51_000, undefined] }, 'SIGNAL_TAKE_PROFIT_INVALID'],
    [{ takeProfits: 51_000 }, 'SIGNAL_TAKE_PROFIT_INVALID'],
    [{ symbol: '' }, 'SIGNAL_SYMBOL_INVALID'],
    [{ signalType: 'sideways' }, 'SIGNAL_SIDE_INVALID'],
    [{ side: 'sell' }, 'SIGNAL_SIDE_INVALID'],
  ])('deny a bad input: %j → %s', (over, code) => {
    const host = createFakeHost();
    const verdict = createSignalValidation(host).validateSignal({ ...LONG, ...over } as SignalInput);
    expect(verdict).toMatchObject({ allowed: false, code });
    expect(host.names()).toEqual(['risk.rejection']);
    expect(host.invalid).toEqual([]);
  });

  it.each([{ minStopDistancPercent: 1 }, { minRewardRisk: Number.NaN }, { requireStopLoss: 'no' }, null, 5])(
    'deny under a context that could not be enforced: %j',
    (against) => {
      expect(validate(LONG, against as object)).toMatchObject({ allowed: false, code: 'SIGNAL_CONTEXT_INVALID' });
    },
  );

  it('always pass what closes a position', () => {
    for (const signal of [
      { side: 'close' },
      { signalType: 'LONG_EXIT', side: 'sell', symbol: 'A' },
      { signalType: 'exit' },
    ]) {
      expect(validate(signal, { position: 5 })).toMatchObject({ allowed: true, code: 'OK' });
    }
  });

  it('stand though recording fails, and nothing at all is denied, not thrown', () => {
    const host = createFakeHost();
    for (const nothing of [undefined, null, 5]) {
      expect(createSignalValidation(host).validateSignal(nothing as never).allowed).toBe(false);
    }
    expect(host.invalid).toEqual([]);
    host.breakEmit(true);
    expect(createSignalValidation(host).validateSignal(LONG).allowed).toBe(true);
    expect(host.reports).toHaveLength(1);
  });
});
