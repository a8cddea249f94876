/**
 * Validation of a signal before it is sized: is there a position already, do stop and targets stand on the right side of
 * entry, is the stop neither too near nor too far, is the reward worth the risk. All checks are made, not only up to the
 * first that fails. A signal that closes a position always passes.
 */
import { type CatalogEvent, catalogEvent } from '../catalog/events.ts';
import { describeValue } from '../core/errors.ts';
import { nearest } from '../core/options.ts';
import { difference, quotientDown } from './decimal.ts';
import { isPrice } from './trailing-stop/price.ts';

/** A signal as a strategy gives it. The side comes from `side`, else from `signalType`. */
export interface SignalInput {
  readonly symbol: string;
  /** `long` or `buy`, `short` or `sell`; `close` and `exit` for what closes a position. */
  readonly side?: string;
  /** The same, also as `long_entry`, `short_entry`, `long_exit`, `short_exit`; any case. */
  readonly signalType?: string;
  readonly entryPrice?: number;
  readonly stopLoss?: number;
  readonly takeProfit?: number;
  /** Several targets, each of which must stand on the right side. */
  readonly takeProfits?: readonly number[];
  readonly quantity?: number;
}

/** What a signal is held against. */
export interface SignalContext {
  /** Position in the symbol: signed quantity, or an object with one; nothing, null or 0 is flat. */
  readonly position?: number | { readonly quantity: number } | null;
  /** Lets a signal pass where there is a position (scaling in). @default false */
  readonly allowExistingPosition?: boolean;
  /** @default true */
  readonly requireStopLoss?: boolean;
  /** @default false */
  readonly requireTakeProfit?: boolean;
  /** Smallest distance from entry to stop, in percent of the entry price; equality passes. */
  readonly minStopDistancePercent?: number;
  /** Largest distance from entry to stop, in percent of the entry price; equality passes. */
  readonly maxStopDistancePercent?: number;
  /** Smallest distance to the nearest target, of the distance to the stop; equality passes. */
  readonly minRewardRisk?: number;
}

export type SignalCode =
  | 'OK'
  | 'SIGNAL_INPUT_INVALID'
  | 'SIGNAL_CONTEXT_INVALID'
  | 'SIGNAL_SYMBOL_INVALID'
  | 'SIGNAL_SIDE_INVALID'
  | 'SIGNAL_ENTRY_PRICE_INVALID'
  | 'SIGNAL_POSITION_INVALID'
  | 'SIGNAL_EXISTING_POSITION'
  | 'SIGNAL_TAKE_PROFIT_MISSING'
  | 'SIGNAL_TAKE_PROFIT_INVALID'
  | 'SIGNAL_LONG_TAKE_PROFIT_WRONG_SIDE'
  | 'SIGNAL_SHORT_TAKE_PROFIT_WRONG_SIDE'
  | 'SIGNAL_STOP_LOSS_MISSING'
  | 'SIGNAL_STOP_LOSS_INVALID'
  | 'SIGNAL_LONG_STOP_LOSS_WRONG_SIDE'
  | 'SIGNAL_SHORT_STOP_LOSS_WRONG_SIDE'
  | 'SIGNAL_STOP_DISTANCE_TOO_SMALL'
  | 'SIGNAL_STOP_DISTANCE_TOO_LARGE'
  | 'SIGNAL_REWARD_RISK_TOO_LOW'
  | 'SIGNAL_VALIDATION_FAILED';

export type SignalCheckName =
  | 'symbol'
  | 'side'
  | 'entry_price'
  | 'existing_position'
  | 'take_profit'
  | 'stop_loss'
  | 'min_stop_distance'
  | 'max_stop_distance'
  | 'reward_risk'
  | 'closes_position';

export interface SignalCheck {
  readonly check: SignalCheckName;
  readonly passed: boolean;
  readonly code: SignalCode;
  /** Why it failed. */
  readonly reason?: string;
}

/** What came of the validation: the code and reason of the first check that failed, in the order of the checks. */
export interface SignalValidationResult {
  readonly allowed: boolean;
  readonly code: SignalCode;
  readonly reason: string;
  /** Every check that was made. One that lacks an input (a distance without a stop) is not made. */
  readonly checks: readonly SignalCheck[];
  readonly stopDistance?: number;
  readonly stopDistancePercent?: number;
  /** Distance to the nearest target, of the distance to the stop. */
  readonly rewardRiskRatio?: number;
}

const CONTEXT_NAMES: readonly string[] = [
  'position',
  'allowExistingPosition',
  'requireStopLoss',
  'requireTakeProfit',
  'minStopDistancePercent',
  'maxStopDistancePercent',
  'minRewardRisk',
] satisfies readonly (keyof SignalContext)[];

/** What is wrong with the rules, in words. */
function wrongContext(rules: SignalContext): string | undefined {
  if (typeof rules !== 'object' || rules === null) return 'the context is no object';
  // A misspelt rule would be a rule that nobody enforces.
  const unknown = Object.keys(rules).find((name) => !CONTEXT_NAMES.includes(name));
  if (unknown !== undefined) return `there is no rule ${unknown}${nearest(unknown, CONTEXT_NAMES)}`;
  for (const name of ['allowExistingPosition', 'requireStopLoss', 'requireTakeProfit'] as const) {
    if (rules[name] !== undefined && typeof rules[name] !== 'boolean') return `${name} is neither true nor false`;
  }
  for (const name of ['minStopDistancePercent', 'maxStopDistancePercent', 'minRewardRisk'] as const) {
    const value = rules[name];
    if (value !== undefined && !(Number.isFinite(value) && value >= 0)) return `${name} is no finite number ≥ 0`;
  }
  return undefined;
}

/** Validates a signal. The event is `risk.validation` where it passes, else `risk.rejection`. */
export function validateSignal(
  signal: SignalInput,
  against: SignalContext = {},
): { readonly result: SignalValidationResult; readonly events: readonly CatalogEvent[] } {
  const checks = new Checks();
  const given = typeof signal === 'object' && signal !== null ? signal : ({} as SignalInput);
  const measured = runChecks(checks, given, against);
  const failed = checks.list.find((one) => !one.passed);
  const result: SignalValidationResult = {
    allowed: failed === undefined,
    code: failed?.code ?? 'OK',
    reason: failed?.reason ?? 'all checks passed',
    checks: checks.list,
    ...measured,
  };
  return { result, events: [eventOf(given, result)] };
}

class Checks {
  readonly list: SignalCheck[] = [];

  /** @returns whether it passed */
  add(check: SignalCheckName, passed: boolean, code: SignalCode, reason: string): boolean {
    this.list.push(passed ? { check, passed, code: 'OK' } : { check, passed, code, reason });
    return passed;
  }
}

type Measured = Pick<SignalValidationResult, 'stopDistance' | 'stopDistancePercent' | 'rewardRiskRatio'>;

function runChecks(checks: Checks, signal: SignalInput, against: SignalContext): Measured {
  const { symbol, entryPrice } = signal;
  const meaning = meaningOf(signal);
  if (meaning === 'close') {
    checks.add('closes_position', true, 'OK', '');
    return {};
  }
  const wrong = wrongContext(against);
  if (wrong !== undefined) {
    checks.add('existing_position', false, 'SIGNAL_CONTEXT_INVALID', wrong);
    return {};
  }
  checks.add('symbol', typeof symbol === 'string' && symbol !== '', 'SIGNAL_SYMBOL_INVALID', 'no symbol');
  const known = checks.add('side', meaning !== undefined, 'SIGNAL_SIDE_INVALID', 'the side is neither long nor short');
  const priced = checks.add(
    'entry_price',
    isPrice(entryPrice),
    'SIGNAL_ENTRY_PRICE_INVALID',
    `the entry price ${describeValue(entryPrice)} is no finite number above 0`,
  );
  checkPosition(checks, against);
  if (!known || !priced) return {};
  const targets = checkTakeProfits(checks, signal, meaning!, entryPrice!, against);
  const stopped = checkStopLoss(checks, signal, meaning!, entryPrice!, against);
  return stopped ? checkDistances(checks, entryPrice!, signal.stopLoss!, targets, against) : {};
}

const MEANINGS: Readonly<Record<string, 'long' | 'short' | 'close'>> = {
  long: 'long',
  buy: 'long',
  long_entry: 'long',
  entry_long: 'long',
  short: 'short',
  sell: 'short',
  short_entry: 'short',
  entry_short: 'short',
  close: 'close',
  exit: 'close',
  long_exit: 'close',
  short_exit: 'close',
  exit_long: 'close',
  exit_short: 'close',
  close_long: 'close',
  close_short: 'close',
};

function meaningOf({ side, signalType }: SignalInput): 'long' | 'short' | 'close' | undefined {
  const meanings = [side, signalType].flatMap((word) => {
    if (typeof word !== 'string') return [];
    const key = word.toLowerCase();
    return Object.hasOwn(MEANINGS, key) ? [MEANINGS[key]!] : [];
  });
  // "sell" beside "long_exit" closes a long; "buy" beside "short_entry" is a contradiction.
  if (meanings.includes('close')) return 'close';
  return meanings.every((one) => one === meanings[0]) ? meanings[0] : undefined;
}

function checkPosition(checks: Checks, against: SignalContext): void {
  const { position } = against;
  const quantity: unknown = typeof position === 'object' && position !== null ? position.quantity : (position ?? 0);
  if (typeof quantity !== 'number' || !Number.isFinite(quantity)) {
    const reason = `the position ${describeValue(quantity)} is no finite number`;
    checks.add('existing_position', false, 'SIGNAL_POSITION_INVALID', reason);
    return;
  }
  const passed = quantity === 0 || against.allowExistingPosition === true;
  checks.add('existing_position', passed, 'SIGNAL_EXISTING_POSITION', `there is a position of ${quantity} already`);
}

/** @returns the targets where there are some and all are good */
function checkTakeProfits(
  checks: Checks,
  signal: SignalInput,
  side: 'long' | 'short',
  entryPrice: number,
  against: SignalContext,
): readonly number[] {
  const { takeProfit, takeProfits } = signal;
  const several: unknown = takeProfits ?? [];
  const targets = [...(takeProfit === undefined ? [] : [takeProfit]), ...(Array.isArray(several) ? several : [NaN])];
  if (targets.length === 0) {
    if (against.requireTakeProfit) checks.add('take_profit', false, 'SIGNAL_TAKE_PROFIT_MISSING', 'no take profit');
    return [];
  }
  const bad = targets.find((target) => !isPrice(target));
  if (bad !== undefined || targets.includes(undefined)) {
    const reason = `the take profit ${describeValue(bad)} is no finite number above 0`;
    checks.add('take_profit', false, 'SIGNAL_TAKE_PROFIT_INVALID', reason);
    return [];
  }
  const astray = targets.find((target) => (side === 'long' ? target <= entryPrice : target >= entryPrice));
  const code = side === 'long' ? 'SIGNAL_LONG_TAKE_PROFIT_WRONG_SIDE' : 'SIGNAL_SHORT_TAKE_PROFIT_WRONG_SIDE';
  const reason = `the take profit ${astray} of a ${side} signal is not ${side === 'long' ? 'above' : 'below'} its entry ${entryPrice}`;
  return checks.add('take_profit', astray === undefined, code, reason) ? targets : [];
}

function checkStopLoss(
  checks: Checks,
  signal: SignalInput,
  side: 'long' | 'short',
  entryPrice: number,
  against: SignalContext,
): boolean {
  const { stopLoss } = signal;
  if (stopLoss === undefined) {
    if (against.requireStopLoss !== false) checks.add('stop_loss', false, 'SIGNAL_STOP_LOSS_MISSING', 'no stop loss');
    return false;
  }
  if (!isPrice(stopLoss)) {
    const reason = `the stop loss ${describeValue(stopLoss)} is no finite number above 0`;
    return checks.add('stop_loss', false, 'SIGNAL_STOP_LOSS_INVALID', reason);
  }
  const code = side === 'long' ? 'SIGNAL_LONG_STOP_LOSS_WRONG_SIDE' : 'SIGNAL_SHORT_STOP_LOSS_WRONG_SIDE';
  const reason = `the stop loss ${stopLoss} of a ${side} signal is not ${side === 'long' ? 'below' : 'above'} its entry ${entryPrice}`;
  return checks.add('stop_loss', side === 'long' ? stopLoss < entryPrice : stopLoss > entryPrice, code, reason);
}

function checkDistances(
  checks: Checks,
  entryPrice: number,
  stopLoss: number,
  targets: readonly number[],
  against: SignalContext,
): Measured {
  const { minStopDistancePercent: min, maxStopDistancePercent: max, minRewardRisk } = against;
  const stopDistance = Math.abs(difference(entryPrice, stopLoss));
  const percent = quotientDown([stopDistance, 100], [entryPrice]);
  if (min !== undefined) {
    const reason = `the stop is ${percent} % from entry, less than ${min} %`;
    checks.add('min_stop_distance', percent >= min, 'SIGNAL_STOP_DISTANCE_TOO_SMALL', reason);
  }
  if (max !== undefined) {
    const reason = `the stop is ${percent} % from entry, more than ${max} %`;
    checks.add('max_stop_distance', percent <= max, 'SIGNAL_STOP_DISTANCE_TOO_LARGE', reason);
  }
  const measured = { stopDistance, stopDistancePercent: percent };
  if (targets.length === 0) return measured;
  const reward = Math.min(...targets.map((target) => Math.abs(difference(target, entryPrice))));
  const rewardRiskRatio = quotientDown([reward], [stopDistance]);
  if (minRewardRisk !== undefined) {
    const reason = `the nearest target is ${rewardRiskRatio} times as far as the stop, less than ${minRewardRisk}`;
    checks.add('reward_risk', rewardRiskRatio >= minRewardRisk, 'SIGNAL_REWARD_RISK_TOO_LOW', reason);
  }
  return { ...measured, rewardRiskRatio };
}

function eventOf(signal: SignalInput, result: SignalValidationResult): CatalogEvent {
  const { symbol, signalType, side, entryPrice, stopLoss, quantity } = signal;
  const takeProfit = signal.takeProfit ?? (Array.isArray(signal.takeProfits) ? signal.takeProfits[0] : undefined);
  const meaning = meaningOf(signal);
  const type = typeof signalType === 'string' ? signalType : side;
  const attributes = {
    'risk.checks': result.checks.map((one) => `${one.check}:${one.code}`),
    ...(typeof type === 'string' ? { 'trading.signal.type': type } : {}),
    ...(meaning === 'long' ? { 'trading.side': 'buy' as const } : {}),
    ...(meaning === 'short' ? { 'trading.side': 'sell' as const } : {}),
    ...(Number.isFinite(entryPrice) ? { 'trading.entry_price': entryPrice } : {}),
    ...(Number.isFinite(takeProfit) ? { 'trading.take_profit': takeProfit } : {}),
    ...(Number.isFinite(stopLoss) ? { 'trading.stop_loss': stopLoss } : {}),
    ...(Number.isFinite(quantity) ? { 'trading.quantity': quantity } : {}),
    ...(result.stopDistance === undefined ? {} : { 'risk.stop_distance': result.stopDistance }),
    ...(result.stopDistancePercent === undefined ? {} : { 'risk.stop_distance_percent': result.stopDistancePercent }),
    ...(result.rewardRiskRatio === undefined ? {} : { 'risk.reward_risk_ratio': result.rewardRiskRatio }),
    'risk.reason.code': result.code,
  };
  const named = typeof symbol === 'string' ? { 'trading.symbol': symbol } : {};
  return result.allowed
    ? catalogEvent('risk.validation', { ...attributes, 'trading.symbol': '', ...named, 'risk.decision': 'allow' })
    : catalogEvent('risk.rejection', {
        ...attributes,
        ...named,
        'risk.reason': result.reason,
        'risk.decision': 'deny',
      });
}
