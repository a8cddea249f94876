/** Turns options into the list of limits that apply, ready to be asked. */
import type { ExposureNeeds } from './exposure.ts';
import { type Evaluator, KINDS, type LimitType, type Maker } from './kinds.ts';
import type { LimitMode, PortfolioLimitsOptions } from './options.ts';

/** One limit, ready to be asked. */
export interface CompiledLimit {
  readonly type: LimitType;
  readonly mode: LimitMode;
  readonly max: number;
  /** NaN where there is no warning before `max`. */
  readonly warnAt: number;
  readonly exceededCode: string;
  readonly nearCode: string;
  readonly evaluate: Evaluator;
  /** Which sum over the portfolio `health` shows for it. */
  readonly name: keyof PortfolioLimitsOptions;
}

/** A set of limits, ready to be asked. Never changes: a check holds on to the one that it began with. */
export interface CompiledLimits {
  readonly options: Readonly<PortfolioLimitsOptions>;
  readonly list: readonly CompiledLimit[];
  readonly needs: ExposureNeeds;
  /** Whether any limit needs the order's price. */
  readonly priced: boolean;
  /** Whether any limit needs sums over the portfolio. */
  readonly summed: boolean;
}

const EXCEEDED_CODES: Partial<Record<LimitType, string>> = {
  duplicate_order: 'ORDER_DUPLICATE',
  repeated_order: 'ORDER_REPEATED',
};

const VALUED = new Set<LimitType>([
  ...([
    'position_percent',
    'sector_percent',
    'correlated_percent',
    'total_exposure',
    'total_exposure_percent',
  ] as const),
  ...(['leverage', 'margin'] as const),
]);
const GREEK = new Set<LimitType>(['portfolio_delta', 'portfolio_gamma', 'portfolio_vega', 'symbol_delta']);

/** Turns checked options into the list of limits that apply. */
export function compileLimits(
  options: Readonly<PortfolioLimitsOptions>,
  names: readonly (keyof PortfolioLimitsOptions)[],
): CompiledLimits {
  const list: CompiledLimit[] = [];
  const found: { groups: ExposureNeeds['groups'] } = { groups: [] };
  for (const name of names) {
    const limit = options[name] as { max?: number; warnAt?: number; mode?: LimitMode } | undefined;
    if (limit === undefined) continue;
    const make = KINDS[name] as Maker<typeof name> | undefined;
    for (const made of make?.(limit as never, found) ?? []) {
      const upper = made.type.toUpperCase();
      list.push({
        name,
        type: made.type,
        mode: limit.mode ?? 'deny',
        max: made.max ?? limit.max ?? 0,
        warnAt: limit.warnAt ?? Number.NaN,
        exceededCode: EXCEEDED_CODES[made.type] ?? `${upper}_EXCEEDED`,
        nearCode: `${upper}_NEAR`,
        evaluate: made.evaluate,
      });
    }
  }
  const value = list.some((limit) => VALUED.has(limit.type));
  const greeks = list.some((limit) => GREEK.has(limit.type));
  return {
    options,
    list,
    needs: {
      value,
      greeks,
      groups: found.groups,
      marginRate: options.margin?.rate ?? 1,
      maxPriceAgeMs: options.maxPriceAgeMs ?? Number.POSITIVE_INFINITY,
      denyMissingGreeks: options.missingGreeks === 'deny',
    },
    priced: value || options.orderNotional !== undefined || options.maxPriceAgeMs !== undefined,
    summed: value || greeks || options.positionCount !== undefined,
  };
}
