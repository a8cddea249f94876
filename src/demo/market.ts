/**
 * The market of the demo: the daily prices of the S&P 500 from 2000-01-03 to 2020-04-17, as they were (vega-datasets,
 * BSD-3-Clause, see NOTICE). The path of prices within a day is not in the data: it is derived, open → the extreme nearer
 * to the open → the other extreme → close, and so declared synthetic.
 */
import { readFileSync } from 'node:fs';
import { RiskTrailError } from '../core/errors.ts';

/** One trading day. Prices in index points. */
export interface DailyBar {
  /** `2008-10-10` */
  readonly date: string;
  readonly open: number;
  readonly high: number;
  readonly low: number;
  readonly close: number;
  readonly volume: number;
  /** 09:30 and 16:00 in New York, epoch milliseconds. */
  readonly opensAtMs: number;
  readonly closesAtMs: number;
}

const DATA = new URL('./data/sp500-2000.csv', import.meta.url);
const ZONE = new Intl.DateTimeFormat('en-US', { timeZone: 'America/New_York', timeZoneName: 'longOffset' });

/** Epoch milliseconds of midnight in New York at the start of a day. */
function midnight(date: string): number {
  const noon = Date.parse(`${date}T12:00:00Z`);
  const offset = ZONE.formatToParts(noon).find((part) => part.type === 'timeZoneName')?.value ?? 'GMT-05:00';
  const hours = Number(offset.slice(3, 6));
  return Date.parse(`${date}T00:00:00Z`) - hours * 3_600_000;
}

/** All 5,105 days, oldest first. @throws RiskTrailError DEMO_DATA_MISSING */
export function loadMarket(): readonly DailyBar[] {
  let text: string;
  try {
    text = readFileSync(DATA, 'utf8');
  } catch (error) {
    throw new RiskTrailError('DEMO_DATA_MISSING', { path: DATA.pathname }, error);
  }
  return text
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => {
      const [date = '', open, high, low, close, , volume] = line.split(',');
      const start = midnight(date);
      return {
        date,
        open: Number(open),
        high: Number(high),
        low: Number(low),
        close: Number(close),
        volume: Number(volume),
        opensAtMs: start + 9.5 * 3_600_000,
        closesAtMs: start + 16 * 3_600_000,
      };
    });
}

/** The declared path of prices within the day: the extreme nearer to the open comes first. */
export function pathOf(bar: DailyBar): 'OHLC' | 'OLHC' {
  return bar.high - bar.open <= bar.open - bar.low ? 'OHLC' : 'OLHC';
}
