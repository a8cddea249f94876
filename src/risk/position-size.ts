/**
 * Position sizing by risk: the quantity at which a fill at the stop loses what may be lost, cut to the largest position
 * allowed and down to the quantity step. Amounts are in the account currency; percentages are hundredths (1 is 1 %).
 */
import { type CatalogEvent, catalogEvent } from '../catalog/events.ts';
import { describeValue } from '../core/errors.ts';
import { nearest } from '../core/options.ts';
import { difference, percentOf, product, quotientDown } from './decimal.ts';

/** What a size is calculated from. Exactly one of `equity` and `balance`, and of `riskPercent` and `riskAmount`. */
export interface PositionSizeInput {
  readonly symbol: string;
  /** Side of the position. Where given, a stop on the wrong side of entry is refused. */
  readonly side?: 'long' | 'short' | 'buy' | 'sell';
  readonly equity?: number;
  readonly balance?: number;
  /** Share of equity (or balance) to risk, in percent, above 0 and at most 100. */
  readonly riskPercent?: number;
  /** Amount to risk. */
  readonly riskAmount?: number;
  readonly entryPrice: number;
  readonly stopPrice: number;
  /** Leverage of the account. @default 1 */
  readonly leverage?: number;
  /** Largest notional allowed, in percent of equity × leverage. Without it and without `leverage` nothing is capped; with `leverage` alone it is 100. */
  readonly maxPositionPercent?: number;
  /** Quantities are whole multiples of this; rounded down. */
  readonly quantityStep?: number;
  /** A smaller quantity is no position: 0, with a code. */
  readonly minQuantity?: number;
  /** Value of one unit's price move of 1, such as 100 for an options contract. @default 1 */
  readonly multiplier?: number;
}

export type PositionSizeCode =
  | 'OK'
  | 'POSITION_SIZE_CAPPED'
  | 'POSITION_SIZE_BELOW_MINIMUM'
  | 'POSITION_SIZE_INPUT_INVALID'
  | 'POSITION_SIZE_SYMBOL_INVALID'
  | 'POSITION_SIZE_SIDE_INVALID'
  | 'POSITION_SIZE_EQUITY_INVALID'
  | 'POSITION_SIZE_RISK_INVALID'
  | 'POSITION_SIZE_ENTRY_PRICE_INVALID'
  | 'POSITION_SIZE_STOP_PRICE_INVALID'
  | 'POSITION_SIZE_STOP_DISTANCE_ZERO'
  | 'POSITION_SIZE_STOP_WRONG_SIDE'
  | 'POSITION_SIZE_LEVERAGE_INVALID'
  | 'POSITION_SIZE_MAX_POSITION_INVALID'
  | 'POSITION_SIZE_STEP_INVALID'
  | 'POSITION_SIZE_MIN_QUANTITY_INVALID'
  | 'POSITION_SIZE_MULTIPLIER_INVALID'
  | 'POSITION_SIZE_OUT_OF_RANGE'
  | 'POSITION_SIZE_FAILED';

/** A size. Where the input was bad or the size is below the minimum, `quantity` is 0 and `code` says why. */
export interface PositionSize {
  /** 0: open no position. */
  readonly quantity: number;
  /** What the risk alone would have asked for, rounded down to the step. */
  readonly requestedQuantity: number;
  /** Whether the largest position allowed cut it. */
  readonly capped: boolean;
  /** `requestedQuantity` − the quantity that the cap allows. */
  readonly cutQuantity: number;
  /** Amount that may be lost. */
  readonly riskAmount: number;
  /** Amount that a fill at the stop loses with `quantity`: at most `riskAmount`. */
  readonly stopLossAmount: number;
  /** Distance from entry to stop, as a price. */
  readonly stopDistance: number;
  /** The same, in percent of the entry price. */
  readonly stopDistancePercent: number;
  /** `quantity` × entry price × multiplier. */
  readonly notional: number;
  readonly code: PositionSizeCode;
  readonly reason?: string;
}

/** No position: what every refusal and failure comes to. */
export const NOTHING = {
  quantity: 0,
  requestedQuantity: 0,
  capped: false,
  cutQuantity: 0,
  riskAmount: 0,
  stopLossAmount: 0,
  stopDistance: 0,
  stopDistancePercent: 0,
  notional: 0,
} as const;

/**
 * Calculates a size: riskAmount ÷ (stopDistance × multiplier), at most
 * equity × leverage × maxPositionPercent ÷ 100 ÷ (entryPrice × multiplier), down to the step. Exact in decimals.
 * @returns the size and its events: `risk.position_size_capped` (where cut), then `risk.position_size_calculated`; for a
 * bad input `risk.rejection` alone
 */
export function sizePosition(input: PositionSizeInput): {
  readonly size: PositionSize;
  readonly events: readonly CatalogEvent[];
} {
  const wrong = findWrong(input);
  if (wrong !== undefined) return refuse(input, wrong);

  const { entryPrice, stopPrice, multiplier = 1, leverage, quantityStep, minQuantity } = input;
  const equity = (input.equity ?? input.balance)!;
  const riskAmount = input.riskAmount ?? percentOf(equity, input.riskPercent!);
  const stopDistance = Math.abs(difference(entryPrice, stopPrice));
  const requestedQuantity = quotientDown([riskAmount], [stopDistance, multiplier], quantityStep);
  if (!Number.isFinite(requestedQuantity)) return refuse(input, OUT_OF_RANGE);
  const maxPercent = input.maxPositionPercent ?? (leverage === undefined ? undefined : 100);
  const allowed =
    maxPercent === undefined
      ? requestedQuantity
      : quotientDown([equity, leverage ?? 1, maxPercent], [100, entryPrice, multiplier], quantityStep);
  const capped = allowed < requestedQuantity;
  const sized = capped ? allowed : requestedQuantity;
  const tooSmall = sized === 0 || sized < (minQuantity ?? 0);
  const quantity = tooSmall ? 0 : sized;
  const size: PositionSize = {
    quantity,
    requestedQuantity,
    capped,
    cutQuantity: capped ? difference(requestedQuantity, allowed) : 0,
    riskAmount,
    stopLossAmount: product(quantity, stopDistance, multiplier),
    stopDistance,
    stopDistancePercent: quotientDown([stopDistance, 100], [entryPrice]),
    notional: product(quantity, entryPrice, multiplier),
    code: tooSmall ? 'POSITION_SIZE_BELOW_MINIMUM' : capped ? 'POSITION_SIZE_CAPPED' : 'OK',
    ...(tooSmall
      ? { reason: `${sized} is below the smallest quantity, ${minQuantity ?? quantityStep ?? 'above 0'}` }
      : {}),
  };
  if (!Object.values(size).every((value) => typeof value !== 'number' || Number.isFinite(value))) {
    return refuse(input, OUT_OF_RANGE);
  }
  const events = [calculatedEvent(input, size)];
  if (capped) events.unshift(cappedEvent(input, size, allowed, maxPercent!));
  return { size, events };
}

interface Wrong {
  readonly code: PositionSizeCode;
  readonly field: keyof PositionSizeInput | 'input';
  readonly reason: string;
}

const OUT_OF_RANGE: Wrong = {
  code: 'POSITION_SIZE_OUT_OF_RANGE',
  field: 'riskAmount',
  reason: 'the result is past what a number can hold',
};

const isPositive = (value: unknown): value is number =>
  typeof value === 'number' && value > 0 && Number.isFinite(value);
const SIDES = { long: 'buy', buy: 'buy', short: 'sell', sell: 'sell' } as const;

const INPUT_NAMES: readonly string[] = [
  'symbol',
  'side',
  'equity',
  'balance',
  'riskPercent',
  'riskAmount',
  'entryPrice',
  'stopPrice',
  'leverage',
  'maxPositionPercent',
  'quantityStep',
  'minQuantity',
  'multiplier',
] satisfies readonly (keyof PositionSizeInput)[];

function findWrong(input: PositionSizeInput): Wrong | undefined {
  if (typeof input !== 'object' || input === null) {
    return { code: 'POSITION_SIZE_INPUT_INVALID', field: 'input', reason: 'the input is no object' };
  }
  // A misspelt cap would be a cap that nobody enforces.
  const unknown = Object.keys(input).find((name) => !INPUT_NAMES.includes(name));
  if (unknown !== undefined) {
    const reason = `there is no input ${unknown}${nearest(unknown, INPUT_NAMES)}`;
    return { code: 'POSITION_SIZE_INPUT_INVALID', field: 'input', reason };
  }
  if (typeof input.symbol !== 'string' || input.symbol === '') {
    return { code: 'POSITION_SIZE_SYMBOL_INVALID', field: 'symbol', reason: 'the symbol is no non-empty string' };
  }
  if (input.side !== undefined && !Object.hasOwn(SIDES, input.side)) {
    return { code: 'POSITION_SIZE_SIDE_INVALID', field: 'side', reason: 'the side is none of long, short, buy, sell' };
  }
  return wrongAmount(input) ?? wrongPrice(input) ?? wrongLimit(input);
}

function wrongAmount(input: PositionSizeInput): Wrong | undefined {
  const money = input.balance === undefined ? 'equity' : 'balance';
  if ((input.equity === undefined) === (input.balance === undefined) || !isPositive(input[money])) {
    const reason = 'exactly one of equity and balance must be a finite number above 0';
    return { code: 'POSITION_SIZE_EQUITY_INVALID', field: money, reason };
  }
  const risk = input.riskAmount === undefined ? 'riskPercent' : 'riskAmount';
  const one = (input.riskAmount === undefined) !== (input.riskPercent === undefined);
  if (!one || !isPositive(input[risk]) || (risk === 'riskPercent' && input.riskPercent! > 100)) {
    const reason = 'exactly one of riskPercent (at most 100) and riskAmount must be a finite number above 0';
    return { code: 'POSITION_SIZE_RISK_INVALID', field: risk, reason };
  }
  return undefined;
}

function wrongPrice(input: PositionSizeInput): Wrong | undefined {
  const { entryPrice, stopPrice, side } = input;
  if (!isPositive(entryPrice)) {
    const reason = 'the entry price is no finite number above 0';
    return { code: 'POSITION_SIZE_ENTRY_PRICE_INVALID', field: 'entryPrice', reason };
  }
  if (!isPositive(stopPrice)) {
    const reason = 'the stop price is no finite number above 0';
    return { code: 'POSITION_SIZE_STOP_PRICE_INVALID', field: 'stopPrice', reason };
  }
  if (stopPrice === entryPrice) {
    const reason = 'the stop stands at the entry price: any quantity would fit';
    return { code: 'POSITION_SIZE_STOP_DISTANCE_ZERO', field: 'stopPrice', reason };
  }
  if (side !== undefined && (SIDES[side] === 'buy') !== stopPrice < entryPrice) {
    const reason = `the stop of a ${side} position stands ${SIDES[side] === 'buy' ? 'below' : 'above'} its entry price`;
    return { code: 'POSITION_SIZE_STOP_WRONG_SIDE', field: 'stopPrice', reason };
  }
  return undefined;
}

const LIMITS = {
  leverage: 'POSITION_SIZE_LEVERAGE_INVALID',
  maxPositionPercent: 'POSITION_SIZE_MAX_POSITION_INVALID',
  quantityStep: 'POSITION_SIZE_STEP_INVALID',
  minQuantity: 'POSITION_SIZE_MIN_QUANTITY_INVALID',
  multiplier: 'POSITION_SIZE_MULTIPLIER_INVALID',
} as const;

function wrongLimit(input: PositionSizeInput): Wrong | undefined {
  for (const [name, code] of Object.entries(LIMITS)) {
    const field = name as keyof typeof LIMITS;
    if (input[field] !== undefined && !isPositive(input[field])) {
      return { code, field, reason: `${field} is no finite number above 0` };
    }
  }
  return undefined;
}

function refuse(input: PositionSizeInput, wrong: Wrong): ReturnType<typeof sizePosition> {
  const { symbol, side } = input ?? {};
  const value: unknown = wrong.field === 'input' ? input : input[wrong.field];
  const event = catalogEvent('risk.rejection', {
    'risk.component': 'position_sizing',
    'risk.decision': 'deny',
    'risk.reason.code': wrong.code,
    'risk.reason': wrong.reason,
    ...(typeof symbol === 'string' ? { 'trading.symbol': symbol } : {}),
    ...(side !== undefined && Object.hasOwn(SIDES, side) ? { 'trading.side': SIDES[side] } : {}),
    metadata: { field: wrong.field, value: describeValue(value) },
  });
  return { size: { ...NOTHING, code: wrong.code, reason: wrong.reason }, events: [event] };
}

function accountOf(input: PositionSizeInput) {
  return {
    'trading.symbol': input.symbol,
    ...(input.side === undefined ? {} : { 'trading.side': SIDES[input.side] }),
    ...(input.equity === undefined ? {} : { 'trading.equity': input.equity }),
    ...(input.balance === undefined ? {} : { 'trading.balance': input.balance }),
    ...(input.leverage === undefined ? {} : { 'trading.leverage': input.leverage }),
    'trading.entry_price': input.entryPrice,
  };
}

const cappedEvent = (input: PositionSizeInput, size: PositionSize, allowed: number, maxPercent: number): CatalogEvent =>
  catalogEvent('risk.position_size_capped', {
    ...accountOf(input),
    'trading.quantity': allowed,
    'risk.decision': 'cap',
    'risk.reason.code': 'POSITION_SIZE_CAPPED',
    'risk.position.requested_quantity': size.requestedQuantity,
    'risk.position.cut_quantity': size.cutQuantity,
    'risk.position.max_percent': maxPercent,
  });

const calculatedEvent = (input: PositionSizeInput, size: PositionSize): CatalogEvent =>
  catalogEvent('risk.position_size_calculated', {
    ...accountOf(input),
    'trading.quantity': size.quantity,
    'trading.stop_loss': input.stopPrice,
    'trading.notional': size.notional,
    'risk.decision': size.quantity === 0 ? 'deny' : size.capped ? 'cap' : 'allow',
    'risk.reason.code': size.code,
    ...(size.reason === undefined ? {} : { 'risk.reason': size.reason }),
    'risk.amount': size.riskAmount,
    'risk.stop_loss_amount': size.stopLossAmount,
    ...(input.riskPercent === undefined ? {} : { 'risk.percent': input.riskPercent }),
    'risk.stop_distance': size.stopDistance,
    'risk.stop_distance_percent': size.stopDistancePercent,
    'risk.position.requested_quantity': size.requestedQuantity,
  });
