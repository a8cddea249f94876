/** What the activation of trailing stops was worth: the recorded stops again over the recorded prices, with other values. */

import { pendingStop } from '../../risk/trailing-stop/stop.ts';
import {
  readTrailingStopsOptions,
  type TrailingStop,
  type TrailingStopSettings,
  tickStop,
} from '../../risk/trailing-stop.ts';
import type { RunQuery } from '../sql/trail-database.ts';
import type { SectionMaker } from './sections.ts';
import type { ReportSection } from './types.ts';

/** Activations that are tried besides the recorded ones, in percent of the entry price. */
const TRIED = [0, 1, 2, 3, 5] as const;

interface Price {
  readonly at: number;
  readonly price: number;
}

interface Recorded {
  readonly stop: TrailingStop;
  readonly at: number;
  readonly exit: number | undefined;
  readonly quantity: number;
}

/** Prices by symbol: those that were recorded as inputs, and those that moved a stop. */
async function prices(query: RunQuery): Promise<ReadonlyMap<string, readonly Price[]>> {
  const { rows } = await query(
    `SELECT symbol, time_unix_nano // 1000000, coalesce(price, current_price) AS seen FROM facts
     WHERE (event = 'market.price' OR event IN ('risk.trailing_stop.peak', 'risk.trailing_stop.activate', 'risk.trailing_stop.update', 'risk.trailing_stop.trigger'))
       AND symbol IS NOT NULL AND seen > 0 ORDER BY symbol, time_unix_nano, stream, sequence`,
  );
  const bySymbol = new Map<string, Price[]>();
  for (const [symbol, at, price] of rows) {
    const list = bySymbol.get(String(symbol)) ?? [];
    const last = list.at(-1);
    // One price moves several stops, an event each.
    if (last?.at !== Number(at) || last.price !== Number(price)) list.push({ at: Number(at), price: Number(price) });
    bySymbol.set(String(symbol), list);
  }
  return bySymbol;
}

async function recorded(query: RunQuery): Promise<readonly Recorded[]> {
  const { rows } = await query(
    `SELECT a.symbol, a.stop_side, a.entry_price, a.config, a.at, t.price, a.stop_quantity FROM
       (SELECT stream, stop_id, symbol, stop_side, stop_entry AS entry_price, config, time_unix_nano // 1000000 AS at, stop_quantity, sequence
        FROM facts WHERE event = 'risk.trailing_stop.add' AND config IS NOT NULL AND stop_entry > 0 AND symbol IS NOT NULL) a
     LEFT JOIN (SELECT stream, stop_id, arg_min(current_price, sequence) AS price FROM facts WHERE event = 'risk.trailing_stop.trigger' GROUP BY ALL) t
       ON a.stream = t.stream AND a.stop_id = t.stop_id ORDER BY a.at, a.stream, a.sequence`,
  );
  const stops: Recorded[] = [];
  for (const [symbol, side, entry, config, at, exit, quantity] of rows) {
    const settings = settingsOf(String(config));
    if (settings === undefined || (side !== 'long' && side !== 'short')) continue;
    const stop = pendingStop({
      id: 'replayed',
      symbol: String(symbol),
      manager: '',
      side,
      entryPrice: Number(entry),
      settings,
    });
    stops.push({
      stop,
      at: Number(at),
      exit: exit === null ? undefined : Number(exit),
      quantity: Number(quantity ?? 1),
    });
  }
  return stops;
}

/** Settings as they were recorded; undefined where they are none that a stop would take. */
function settingsOf(config: string): TrailingStopSettings | undefined {
  try {
    const given = JSON.parse(config) as TrailingStopSettings;
    readTrailingStopsOptions({ ...given });
    return given;
  } catch {
    return undefined;
  }
}

/** Price at which the stop fires; undefined where it doesn't until the prices end. */
function replay(stop: TrailingStop, at: number, seen: readonly Price[]): number | undefined {
  let low = 0;
  let high = seen.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (seen[middle]!.at < at) low = middle + 1;
    else high = middle;
  }
  let current = stop;
  for (let index = low; index < seen.length; index++) {
    const { price } = seen[index]!;
    const step = tickStop(current, price, {}, seen[index]!.at);
    if (step.decision.action === 'TRIGGER') return price;
    current = step.stop;
  }
  return undefined;
}

/** The stops replayed with each activation, and how far the replay with their own is what was recorded. */
export const activation: SectionMaker = {
  needs: {
    columns: ['symbol', 'price', 'current_price', 'stop_id', 'stop_side', 'stop_entry', 'stop_quantity', 'config'],
    events: [
      'market.price',
      'risk.trailing_stop.add',
      'risk.trailing_stop.peak',
      'risk.trailing_stop.activate',
      'risk.trailing_stop.update',
      'risk.trailing_stop.trigger',
    ],
  },
  async make({ query }): Promise<ReportSection> {
    const seen = await prices(query);
    const stops = await recorded(query);
    const rows = (['as recorded', ...TRIED] as const).map((tried) => {
      let fired = 0;
      let same = 0;
      let result = 0;
      let percent = 0;
      for (const { stop, at, exit, quantity } of stops) {
        const { activationDistance: _, ...settings } = stop.settings;
        const asked =
          tried === 'as recorded' ? stop : pendingStop({ ...stop, settings: { ...settings, activationPct: tried } });
        const price = replay(asked, at, seen.get(stop.symbol) ?? []);
        if (price === exit) same++;
        if (price === undefined) continue;
        fired++;
        const gain = stop.side === 'long' ? price - stop.entryPrice : stop.entryPrice - price;
        result += gain * quantity;
        percent += (gain / stop.entryPrice) * 100;
      }
      return [tried, stops.length, fired, same, fired === 0 ? null : percent / fired, fired === 0 ? null : result];
    });
    return {
      name: 'activation',
      title: 'Trailing stops replayed with another activation, over the recorded prices (results of those that fired)',
      columns: ['activation_pct', 'stops', 'fired', 'same_exit_as_recorded', 'mean_result_pct', 'total_result'],
      rows,
    };
  },
};
