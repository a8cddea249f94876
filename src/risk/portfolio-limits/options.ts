/** Options of the portfolio limits: which limits there are, how each is written, and their checks. */
import {
  type Check,
  type CheckMap,
  integer,
  nested,
  number,
  object,
  oneOf,
  positive,
  ratio,
  readOptions,
  record,
  string,
} from '../../core/options.ts';
import { isTimeZone } from '../circuit-breaker/schedule.ts';

/** What happens to an order that goes beyond a limit: refused, cut to what the limit allows, or let through with a warning. */
export type LimitMode = 'deny' | 'cap' | 'warn';

/** What a breach of the daily loss or drawdown limit demands of the trading gate. */
export type BreachAction = 'REDUCING' | 'HALTED' | 'none';

interface Soft {
  /** Share of `max` from which a warning is given, 0 to 1. Without it there is none. */
  readonly warnAt?: number;
}

/** A limit that can only refuse: a smaller order would not help. */
export interface PlainLimit extends Soft {
  /** Largest value allowed; a value equal to it passes. */
  readonly max: number;
  /** @default 'deny' */
  readonly mode?: 'deny' | 'warn';
}

/** A limit that a smaller order can keep. */
export interface SizeLimit extends Soft {
  /** Largest value allowed; a value equal to it passes. */
  readonly max: number;
  /** @default 'deny' */
  readonly mode?: LimitMode;
}

export interface SymbolLimit extends SizeLimit {
  /** `max` for single symbols. */
  readonly perSymbol?: Readonly<Record<string, number>>;
}

export interface GroupLimit extends SizeLimit {
  /** Symbol → group. Symbols that are not in it take the group from the order or position; without any they are free. */
  readonly groups?: Readonly<Record<string, string>>;
  /** `max` for single groups. */
  readonly perGroup?: Readonly<Record<string, number>>;
}

export interface ExposureLimit extends Soft {
  /** Largest gross exposure, in the account's currency. */
  readonly max?: number;
  /** Largest gross exposure in percent of equity. */
  readonly maxPercent?: number;
  readonly mode?: LimitMode;
}

export interface CollarLimit extends PlainLimit {
  /** `max` for single symbols. */
  readonly perSymbol?: Readonly<Record<string, number>>;
}

export interface MarginLimit extends SizeLimit {
  /** Margin per unit of notional where neither order nor position says. @default 1 */
  readonly rate?: number;
}

export interface DailyLossLimit extends PlainLimit {
  /** IANA name. @default 'UTC' */
  readonly timeZone?: string;
  /** Time of day in that zone at which the day starts, `HH:MM`. @default '00:00' */
  readonly resetTime?: string;
  /** @default 'REDUCING' */
  readonly onBreach?: BreachAction;
}

export interface DrawdownLimit extends PlainLimit {
  /** @default 'REDUCING' */
  readonly onBreach?: BreachAction;
}

export interface RateLimit extends PlainLimit {
  /** Length of the rolling window. @default 1000 */
  readonly windowMs?: number;
}

export interface DuplicateLimit {
  /** How long an order is remembered. @default 1000 */
  readonly windowMs?: number;
  /** @default 'deny' */
  readonly mode?: 'deny' | 'warn';
}

/** Options of `trail.portfolioLimits(options)`. Every limit is optional. */
export interface PortfolioLimitsOptions {
  /** Tells several sets of limits apart in events. @default 'default' */
  readonly name?: string;
  /**
   * Scope of the trading gate that a breach acts on: `global` or kind:id such as `account:ACC1`. `account` is that of the
   * setting `accountId`, and shares the day's result and the exposure with the other processes of the data directory.
   * @default 'global'
   */
  readonly scope?: string;
  /** Oldest market price that an order may be judged by; the order or position must then say when it was observed. */
  readonly maxPriceAgeMs?: number;
  /** A capped quantity is a multiple of it. Without it any fraction is possible. */
  readonly quantityStep?: number;
  /** What an order or position without Greeks is: the underlying itself (delta 1, gamma 0, vega 0), or refused. @default 'linear' */
  readonly missingGreeks?: 'linear' | 'deny';
  /** Net delta of the portfolio, either sign. */
  readonly portfolioDelta?: SizeLimit;
  /** Net gamma of the portfolio, either sign. */
  readonly portfolioGamma?: SizeLimit;
  /** Net vega of the portfolio, either sign. */
  readonly portfolioVega?: SizeLimit;
  /** Net delta of one symbol (by `underlying`), either sign. */
  readonly symbolDelta?: SymbolLimit;
  /** Notional of a single position in percent of equity. */
  readonly positionPercent?: SymbolLimit;
  /** Gross notional of a sector in percent of equity. */
  readonly sectorPercent?: GroupLimit;
  /** Gross notional of a group of correlated symbols in percent of equity. */
  readonly correlatedPercent?: GroupLimit;
  /** Gross notional of the portfolio. */
  readonly totalExposure?: ExposureLimit;
  /** Number of open positions. */
  readonly positionCount?: PlainLimit;
  /** Quantity that one order adds. */
  readonly orderQuantity?: SymbolLimit;
  /** Notional that one order adds. */
  readonly orderNotional?: SymbolLimit;
  /** Distance of the limit price from the market price in percent of the market price, either way. */
  readonly priceCollar?: CollarLimit;
  /** Gross notional over equity. */
  readonly leverage?: SizeLimit;
  /** Margin in percent of equity. */
  readonly margin?: MarginLimit;
  /** Realised loss since the day's start, in the account's currency. */
  readonly dailyLoss?: DailyLossLimit;
  /** Fall of equity from its peak, as a ratio of the peak: 0.1 is ten percent. */
  readonly drawdown?: DrawdownLimit;
  /** Messages (orders, and what `messageSent` is told of) within a rolling window. */
  readonly messageRate?: RateLimit;
  /** Orders within a rolling window. */
  readonly orderRate?: RateLimit;
  /** Refuses an order like one already sent within the window: same symbol, side, quantity, price and client id. */
  readonly duplicateOrder?: DuplicateLimit;
  /** Number of like orders (same symbol, side, quantity and price, any client id) within a rolling window. */
  readonly repeatedOrder?: RateLimit;
  /** Portfolio heat in percent of equity, for `health`: a warning from `max` × `warnAt`. */
  readonly heat?: Soft & { readonly max: number };
}

/** The names of the options that are limits of an order, in the order in which they are evaluated and listed. */
export const LIMIT_NAMES = [
  'portfolioDelta',
  'portfolioGamma',
  'portfolioVega',
  'symbolDelta',
  'positionPercent',
  'sectorPercent',
  'correlatedPercent',
  'totalExposure',
  'positionCount',
  'orderQuantity',
  'orderNotional',
  'priceCollar',
  'leverage',
  'margin',
  'dailyLoss',
  'drawdown',
  'messageRate',
  'orderRate',
  'duplicateOrder',
  'repeatedOrder',
] as const satisfies readonly (keyof PortfolioLimitsOptions)[];

const PLAIN_MODE = oneOf(['deny', 'warn']);
const SIZE_MODE = oneOf(['deny', 'cap', 'warn']);
const MAX = number({ min: 0 });
const maybe = <T>(check: Check<T>): Check<T> => ({ ...check, optional: true });
const maxima = maybe(record(MAX, 'an object of symbol → number ≥ 0'));
const SIZE = { max: MAX, warnAt: maybe(ratio()), mode: SIZE_MODE };
const PLAIN = { max: MAX, warnAt: maybe(ratio()), mode: PLAIN_MODE };
const SYMBOL = { ...SIZE, perSymbol: maxima };
const GROUP = {
  ...SIZE,
  groups: maybe(record(string(), 'an object of symbol → group')),
  perGroup: maxima,
};
const BREACH = oneOf(['REDUCING', 'HALTED', 'none']);
const RATE = { ...PLAIN, max: integer(0), windowMs: positive() };
const DENY = { mode: 'deny' } as const;
const SECOND = { mode: 'deny', windowMs: 1000 } as const;

const EXPOSURE_CHECKS: CheckMap<ExposureLimit> = {
  max: maybe(MAX),
  maxPercent: maybe(MAX),
  warnAt: maybe(ratio()),
  mode: SIZE_MODE,
};
const TOTAL_EXPOSURE: Check<ExposureLimit> = {
  ...object<ExposureLimit>('an object with max, maxPercent or both'),
  accepts: (value): value is ExposureLimit =>
    typeof value === 'object' &&
    value !== null &&
    ((value as ExposureLimit).max !== undefined || (value as ExposureLimit).maxPercent !== undefined),
  read: (value, field) => readOptions(field, value, EXPOSURE_CHECKS, DENY),
};
const TIME_ZONE: Check<string> = {
  expected: 'a time zone such as America/New_York',
  accepts: (value): value is string => isTimeZone(value),
};
const TIME_OF_DAY: Check<string> = {
  expected: 'a time of day such as 17:00',
  accepts: (value): value is string => typeof value === 'string' && /^([01]\d|2[0-3]):[0-5]\d$/.test(value),
};

const size = () => maybe(nested<SizeLimit>(SIZE, DENY));
const symbol = () => maybe(nested<SymbolLimit>(SYMBOL, DENY));
const group = () => maybe(nested<GroupLimit>(GROUP, DENY));
const rate = () => maybe(nested<RateLimit>(RATE, SECOND));

const CHECKS: CheckMap<PortfolioLimitsOptions> = {
  name: string(),
  scope: string(),
  maxPriceAgeMs: maybe(positive()),
  quantityStep: maybe(positive()),
  missingGreeks: oneOf(['linear', 'deny']),
  portfolioDelta: size(),
  portfolioGamma: size(),
  portfolioVega: size(),
  symbolDelta: symbol(),
  positionPercent: symbol(),
  sectorPercent: group(),
  correlatedPercent: group(),
  totalExposure: maybe(TOTAL_EXPOSURE),
  positionCount: maybe(nested<PlainLimit>({ ...PLAIN, max: integer(0) }, DENY)),
  orderQuantity: symbol(),
  orderNotional: symbol(),
  priceCollar: maybe(nested<CollarLimit>({ ...PLAIN, perSymbol: maxima }, DENY)),
  leverage: size(),
  margin: maybe(nested<MarginLimit>({ ...SIZE, rate: number({ min: 0 }) }, { mode: 'deny', rate: 1 })),
  dailyLoss: maybe(
    nested<DailyLossLimit>(
      { ...PLAIN, timeZone: TIME_ZONE, resetTime: TIME_OF_DAY, onBreach: BREACH },
      { mode: 'deny', timeZone: 'UTC', resetTime: '00:00', onBreach: 'REDUCING' },
    ),
  ),
  drawdown: maybe(
    nested<DrawdownLimit>({ ...PLAIN, max: ratio(), onBreach: BREACH }, { mode: 'deny', onBreach: 'REDUCING' }),
  ),
  messageRate: rate(),
  orderRate: rate(),
  duplicateOrder: maybe(nested<DuplicateLimit>({ windowMs: positive(), mode: PLAIN_MODE }, SECOND)),
  repeatedOrder: rate(),
  heat: maybe(nested<Soft & { readonly max: number }>({ max: MAX, warnAt: ratio() }, { warnAt: 0.8 })),
};

/** What an absent option is. */
export const DEFAULT_PORTFOLIO_LIMITS = Object.freeze({
  name: 'default',
  scope: 'global',
  missingGreeks: 'linear',
} as const);

/**
 * Checks options and fills in defaults.
 * @param owner path in front of each field's name
 * @returns a frozen copy
 * @throws RiskTrailError OPTION_INVALID, OPTION_UNKNOWN
 */
export function readLimitsOptions(
  options: PortfolioLimitsOptions | undefined,
  owner = 'portfolioLimits',
): Readonly<PortfolioLimitsOptions> {
  return readOptions<PortfolioLimitsOptions>(owner, options, CHECKS, DEFAULT_PORTFOLIO_LIMITS);
}
