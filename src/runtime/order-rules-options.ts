/** Rules of the settings that stand in front of every order of ccxt: their options and checks. */
import { type Check, list, nested, number, object, oneOf, positive, record, string } from '../core/options.ts';
import { type CircuitBreakerOptions, readBreakerOptions } from '../risk/circuit-breaker/options.ts';
import { type PortfolioLimitsOptions, readLimitsOptions } from '../risk/portfolio-limits/options.ts';

/** One rule. Every rule that an order fits is asked; each must let it pass. */
export interface OrderRule {
  /** Names its limits and its breaker in events, as `rule:NAME`; no two rules have the same. @default 'orders' */
  readonly name?: string | undefined;
  /** `observe` records what it would have done and changes nothing; `enforce` refuses. @default 'observe' */
  readonly mode?: 'observe' | 'enforce' | undefined;
  /** Exchanges by their ccxt ids. @default all */
  readonly exchanges?: readonly string[] | undefined;
  /** Symbols. @default all */
  readonly symbols?: readonly string[] | undefined;
  /** As `trail.portfolioLimits` takes them, but for `name`. @default none: the trading gate alone */
  readonly limits?: Omit<PortfolioLimitsOptions, 'name'> | undefined;
  /** As `trail.circuitBreaker` takes it; `onOpen` is `none` unless given. @default none */
  readonly breaker?: CircuitBreakerOptions | undefined;
  /** Equity of the account. @default what the program's own `fetchBalance` shows of `equityCurrency` */
  readonly equity?: number | undefined;
  /** Currency of the balance that is the equity. @default none: the equity is not known */
  readonly equityCurrency?: string | undefined;
  /** Signed positions by symbol at the start; what is missing is flat. @default what the program's own `fetchPositions` shows */
  readonly positions?: Readonly<Record<string, number>> | undefined;
  /** What becomes of an order under `enforce` where a limit can't be computed. @default 'deny' */
  readonly onUnknown?: 'deny' | 'pass' | undefined;
}

/** A rule with every default that is a plain value. */
export interface ReadOrderRule extends OrderRule {
  readonly name: string;
  readonly mode: 'observe' | 'enforce';
  readonly onUnknown: 'deny' | 'pass';
}

const optional = <T>(check: Check<T>): Check<T> => ({ ...check, optional: true });

/** Checked as the layer itself checks it, and kept as it was given. */
const options = <T extends object>(what: string, read: (field: string, value: object) => unknown): Check<T> => ({
  ...object<T>(what),
  read(value, field) {
    read(field, value as object);
    return value as T;
  },
});

const RULE: Check<OrderRule> = nested<OrderRule>(
  {
    name: string(),
    mode: oneOf(['observe', 'enforce']),
    exchanges: optional(list(string())),
    symbols: optional(list(string())),
    limits: optional(
      options<Omit<PortfolioLimitsOptions, 'name'>>('an object of limits', (field, value) =>
        readLimitsOptions(value as PortfolioLimitsOptions, field),
      ),
    ),
    breaker: optional(options<CircuitBreakerOptions>('an object of breaker settings', readBreakerOptions)),
    equity: optional(positive()),
    equityCurrency: optional(string()),
    positions: optional(record(number(), 'finite quantities by symbol')),
    onUnknown: oneOf(['deny', 'pass']),
  },
  { name: 'orders', mode: 'observe', onUnknown: 'deny' },
);

const RULES = list(RULE);

/** A list of rules, no two of one name. */
export const ORDER_RULES_CHECK: Check<readonly OrderRule[]> = {
  expected: 'a list of rules { name, mode, exchanges, symbols, limits, breaker, … }, each of another name',
  accepts: (value): value is readonly OrderRule[] =>
    Array.isArray(value) && new Set(value.map((one) => one?.name ?? 'orders')).size === value.length,
  read: (value, field) => RULES.read!(value, field),
};
