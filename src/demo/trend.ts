/** The trend-following rule of the demo: a close beyond all closes of the last N days says which way to go. */

export interface TrendSignal {
  readonly side: 'long' | 'short';
  /** Average true range of the last 20 days, in points: what the stop's distance is measured in. */
  readonly range: number;
}

const RANGE_DAYS = 20;

/**
 * @param closes closing prices up to and including today, oldest first
 * @param ranges (high − low) of the same days
 * @param days N
 * @returns nothing while the trend is not new or there are too few days
 */
export function trendSignal(
  closes: readonly number[],
  ranges: readonly number[],
  days: number,
): TrendSignal | undefined {
  const today = closes.length - 1;
  if (today < Math.max(days, RANGE_DAYS)) return undefined;
  const close = closes[today]!;
  let highest = Number.NEGATIVE_INFINITY;
  let lowest = Number.POSITIVE_INFINITY;
  for (let day = today - days; day < today; day++) {
    highest = Math.max(highest, closes[day]!);
    lowest = Math.min(lowest, closes[day]!);
  }
  if (close <= highest && close >= lowest) return undefined;
  let sum = 0;
  for (let day = today - RANGE_DAYS + 1; day <= today; day++) sum += ranges[day]!;
  return { side: close > highest ? 'long' : 'short', range: sum / RANGE_DAYS };
}
