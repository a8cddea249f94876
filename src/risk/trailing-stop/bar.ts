/** Bars: four prices whose order within the bar the caller declares. */
import { isPrice } from './price.ts';

/** Order in which the prices of a bar are taken: open, high, low, close, or open, low, high, close. */
export type BarPath = 'OHLC' | 'OLHC';

export type BarPoint = 'open' | 'high' | 'low' | 'close';

export type Bar = { readonly [P in BarPoint]: number };

const OHLC: readonly BarPoint[] = ['open', 'high', 'low', 'close'];
const OLHC: readonly BarPoint[] = ['open', 'low', 'high', 'close'];

export const isBarPath = (value: unknown): value is BarPath => value === 'OHLC' || value === 'OLHC';

/** The points of a bar in the order of its path. */
export const pointsOf = (path: BarPath): readonly BarPoint[] => (path === 'OHLC' ? OHLC : OLHC);

/** The first field that is no price, or that is not outermost where it should be; undefined where the bar is good. */
export function wrongBarField(bar: Bar): BarPoint | undefined {
  if (typeof bar !== 'object' || bar === null) return 'open';
  for (const point of OHLC) if (!isPrice(bar[point])) return point;
  if (bar.high < Math.max(bar.open, bar.close)) return 'high';
  if (bar.low > Math.min(bar.open, bar.close)) return 'low';
  return undefined;
}
