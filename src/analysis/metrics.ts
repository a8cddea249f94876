/**
 * Metrics of trading, each with its convention: conventions differ, so every value says which it follows, over how many
 * observations, and where there is none, why. There is never a 0 for "don't know".
 */

/** A metric: a value, or the reason why there is none. */
export interface Metric {
  readonly value: number | null;
  /** Observations that it stands on. */
  readonly n: number;
  readonly convention: string;
  readonly unit?: string;
  readonly undefinedBecause?: string;
}

const TRADING_DAYS = 252;

/** The order in which parallel sums are added up shows in a double's last digits: twelve are what is meant. */
const SIGNIFICANT = 12;

function metric(exact: number, n: number, convention: string, unit?: string): Metric {
  const value = Number.isInteger(exact) ? exact : Number(exact.toPrecision(SIGNIFICANT));
  return { value, n, convention, ...(unit === undefined ? {} : { unit }) };
}

/** A metric without a value. */
export function undefinedMetric(n: number, convention: string, because: string): Metric {
  return { value: null, n, convention, undefinedBecause: because };
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** Mean and standard deviation with n − 1. */
function spread(values: readonly number[]): { mean: number; deviation: number } {
  const mean = sum(values) / values.length;
  const squares = sum(values.map((value) => (value - mean) ** 2));
  return { mean, deviation: Math.sqrt(squares / (values.length - 1)) };
}

/** Mean of the values. */
export function mean(values: readonly number[], convention: string, unit?: string): Metric {
  if (values.length === 0) return undefinedMetric(0, convention, 'there are no observations');
  return metric(sum(values) / values.length, values.length, convention, unit);
}

/** Part of a whole, 0 to 1. */
export function share(part: number, whole: number, convention: string): Metric {
  if (whole === 0) return undefinedMetric(0, convention, 'there are no observations');
  return metric(part / whole, whole, convention, '1');
}

/** Sharpe ratio of returns (or of P&L at constant capital): mean ÷ standard deviation (n − 1) · √252, risk-free rate 0. */
export function sharpeRatio(returns: readonly number[], of = 'returns'): Metric {
  const convention = `mean / standard deviation (n − 1) · √252 of ${of}, risk-free rate 0`;
  const n = returns.length;
  if (n < 2)
    return undefinedMetric(n, convention, `it takes two observations, and there ${n === 1 ? 'is one' : 'are none'}`);
  const { mean: average, deviation } = spread(returns);
  // Equal values leave a deviation of rounding errors.
  if (deviation <= Math.abs(average) * 1e-12) return undefinedMetric(n, convention, 'all observations are equal');
  return metric((average / deviation) * Math.sqrt(TRADING_DAYS), n, convention);
}

/** Wins of all results; a result of 0 is no win. */
export function winRate(results: readonly number[]): Metric {
  return share(results.filter((one) => one > 0).length, results.length, 'results above 0 / all results');
}

/** Gross profit ÷ gross loss. */
export function profitFactor(results: readonly number[]): Metric {
  const convention = 'sum of the gains / sum of the losses';
  const gain = sum(results.filter((one) => one > 0));
  const loss = -sum(results.filter((one) => one < 0));
  if (results.length === 0) return undefinedMetric(0, convention, 'there are no results');
  if (loss === 0) return undefinedMetric(results.length, convention, 'there is no loss');
  return metric(gain / loss, results.length, convention);
}

/** Mean result of a trade. */
export function expectancy(results: readonly number[]): Metric {
  return mean(results, 'mean result');
}

/** Expectancy of one unit at risk: win rate · (average gain ÷ average loss) − loss rate. */
export function expectancyRatio(results: readonly number[]): Metric {
  const convention = '(1 + average gain / average loss) · win rate − 1';
  const n = results.length;
  const gains = results.filter((one) => one > 0);
  const losses = results.filter((one) => one < 0);
  if (n === 0) return undefinedMetric(0, convention, 'there are no results');
  if (losses.length === 0) return undefinedMetric(n, convention, 'there is no loss');
  const payoff = gains.length === 0 ? 0 : sum(gains) / gains.length / (-sum(losses) / losses.length);
  return metric((1 + payoff) * (gains.length / n) - 1, n, convention);
}

/** Worst fall in money from a peak, and the worst in relation to its peak: they may be two different falls. */
export interface Drawdowns {
  readonly absolute: Metric;
  /** Of the fall that is the worst in money, what it is of its peak. */
  readonly absoluteRatio: Metric;
  readonly relative: Metric;
}

/**
 * Drawdowns of a row of results.
 * @param start capital before the first; undefined where it isn't known, and ratios then have no value
 */
export function drawdowns(results: readonly number[], start: number | undefined): Drawdowns {
  const conventions = {
    absolute: 'largest fall of the cumulative results from their peak, in money; the start counts as a peak',
    absoluteRatio: 'that fall / its peak',
    relative: 'largest fall / its peak',
  };
  const n = results.length;
  if (n === 0) {
    const none = (convention: string) => undefinedMetric(0, convention, 'there are no results');
    return {
      absolute: none(conventions.absolute),
      absoluteRatio: none(conventions.absoluteRatio),
      relative: none(conventions.relative),
    };
  }
  let level = start ?? 0;
  let peak = level;
  let worst = 0;
  let worstPeak = level;
  let relative = 0;
  for (const result of results) {
    level += result;
    peak = Math.max(peak, level);
    const fall = peak - level;
    if (fall > worst) [worst, worstPeak] = [fall, peak];
    if (peak > 0) relative = Math.max(relative, fall / peak);
  }
  const ratio = (value: number, convention: string) =>
    start === undefined || !(start > 0)
      ? undefinedMetric(n, convention, 'no capital is known: the trail has no trading.equity or trading.balance before')
      : metric(value, n, convention, '1');
  return {
    absolute: metric(worst, n, conventions.absolute),
    absoluteRatio: ratio(worst === 0 ? 0 : worst / worstPeak, conventions.absoluteRatio),
    relative: ratio(relative, conventions.relative),
  };
}

/** Worst drawdown of compounded returns, as a ratio ≤ 0. */
export function returnsDrawdown(returns: readonly number[]): Metric {
  const convention = 'lowest value of (compounded returns / their peak) − 1; the start is a peak';
  if (returns.length === 0) return undefinedMetric(0, convention, 'there are no returns');
  let level = 1;
  let peak = 1;
  let worst = 0;
  for (const one of returns) {
    level *= 1 + one;
    peak = Math.max(peak, level);
    worst = Math.min(worst, level / peak - 1);
  }
  return metric(worst, returns.length, convention, '1');
}

/** Quantile with linear interpolation between neighbours (R-7, as DuckDB's quantile_cont). */
export function quantile(values: readonly number[], at: number, unit?: string): Metric {
  const convention = `${at * 100} % quantile, linear between neighbours`;
  if (values.length === 0) return undefinedMetric(0, convention, 'there are no observations');
  const sorted = values.toSorted((a, b) => a - b);
  const place = (sorted.length - 1) * at;
  const low = Math.floor(place);
  const below = sorted[low]!;
  return metric(below + ((sorted[low + 1] ?? below) - below) * (place - low), values.length, convention, unit);
}

/** Mean weighted by quantity. */
export function weightedMean(
  values: readonly { readonly value: number; readonly weight: number }[],
  convention: string,
  unit?: string,
): Metric {
  const weight = sum(values.map((one) => one.weight));
  if (!(weight > 0)) return undefinedMetric(values.length, convention, 'there are no observations');
  return metric(sum(values.map((one) => one.value * one.weight)) / weight, values.length, convention, unit);
}

/** Signed slippage in basis points: above 0 is worse than the reference. */
export function slippageBps(side: 'buy' | 'sell', price: number, reference: number): number {
  return ((side === 'buy' ? price - reference : reference - price) / reference) * 10_000;
}

/** A number that needs no convention but the words given. */
export function counted(value: number, convention: string, n = value, unit?: string): Metric {
  return metric(value, n, convention, unit);
}
