/** Series over time: prices, stops and equity. */
import type { SqlValue } from '../sql/duckdb.ts';
import type { SqlParameters } from '../sql/trail-database.ts';
import { msOf } from './format.ts';
import { AT, byKey, filterOf, num, STRETCHES, str, stretchOf, stretchSql, within } from './page-sql.ts';
import type { CloseUp, EquityCurve, PageSource, Scope, StopLife } from './page-types.ts';
import { unitOf } from './periods.ts';

const MAX_STOPS = 1500;
/** Place of a value in time. */
const PLACE = `${AT} AS t, sequence AS seq`;

const finite = (rows: string, more = ''): string => `SELECT * FROM (${rows}) WHERE isfinite(v)${more}`;

export async function readPrices(source: PageSource, scope: Scope) {
  const { sql, parameters } = filterOf(scope, ['symbol']);
  const rows = `SELECT symbol AS k, ${PLACE},
      TRY_CAST(coalesce(attributes['trading.price'], attributes['trading.close']) AS DOUBLE) AS v
    FROM events WHERE event IN ('market.price', 'market.candle_closed') AND symbol IS NOT NULL AND ${within(scope)}${sql}`;
  const result = await source.sql(stretchSql(finite(rows), scope), parameters);
  return byKey(result.rows.map(stretchOf));
}

type StopEvent = 'add' | 'activate' | 'update' | 'trigger' | 'remove';

/** Condition on the view `stops`: one of these events. */
const isOf = (...names: readonly StopEvent[]): string =>
  `event IN (${names.map((name) => `'risk.trailing_stop.${name}'`).join(', ')})`;
/** Time of the first of these events. */
const firstOf = (...names: readonly StopEvent[]): string => `min(${AT}) FILTER (${isOf(...names)})`;
/** A column, at the first event of a kind. */
const atFirst = (column: string, name: StopEvent): string => `arg_min(${column}, ${AT}) FILTER (${isOf(name)})`;
const lastOf = (column: string): string => `arg_max(${column}, (${AT}, sequence))`;
const ofStops = (...names: readonly StopEvent[]): string =>
  `FROM stops WHERE ${isOf(...names)} AND stop_id IS NOT NULL`;

export async function readStops(source: PageSource, scope: Scope): Promise<{ stops: StopLife[]; leftOut: number }> {
  const { sql, parameters } = filterOf(scope, ['symbol', 'strategy', 'account']);
  // Ticks move a stop outside of any strategy's context: which stops are meant is what their `add` says.
  const asked = sql === '' ? '' : ` AND stop_id IN (SELECT stop_id FROM stops WHERE ${isOf('add')}${sql})`;
  const lives = await source.sql(
    `SELECT any_value(symbol), stop_id, any_value(side), stream,
      ${firstOf('add')}, any_value(entry_price), any_value(hard_stop_price) FILTER (${isOf('add')}),
      ${firstOf('activate')}, ${atFirst('stop_price', 'activate')}, ${firstOf('trigger')}, ${atFirst('current_price', 'trigger')},
      ${lastOf('stop_price')} FILTER (stop_price IS NOT NULL), ${atFirst('gap', 'trigger')}, ${atFirst('"trigger"', 'trigger')},
      ${firstOf('trigger', 'remove')}, min(${AT}) AS seen, count(*) OVER () AS stops
    ${ofStops('add', 'activate', 'trigger', 'remove', 'update')} AND ${within(scope)}${asked}
    GROUP BY stop_id, stream ORDER BY seen DESC, stop_id LIMIT ${MAX_STOPS}`,
    parameters,
  );
  const width = (BigInt(scope.toNs) - BigInt(scope.fromNs)) / BigInt(STRETCHES) + 1n;
  // Levels of stops that are left out are of no use.
  const seen = lives.rows.at(-1)?.[15] ?? scope.fromNs;
  const levels = await source.sql(
    `SELECT stop_id || '|' || stream, min(${AT}), ${lastOf('stop_price')} ${ofStops('activate', 'update')} AND stop_price IS NOT NULL
       AND ${within(scope)} AND ${AT} >= ${seen}${asked} GROUP BY stop_id, stream, (${AT} - ${scope.fromNs}) // ${width}, event ORDER BY 1, 2`,
    parameters,
  );
  const levelsOf = byKey(
    levels.rows.map(([key, at, level]) => ({ key: String(key), at: msOf(at), level: Number(level) })),
  );
  const ms = (value: SqlValue | undefined) => (value === null || value === undefined ? null : msOf(value));
  const stops = lives.rows.map((row): StopLife => {
    const of = levelsOf.get(`${row[1]}|${row[3]}`) ?? [];
    return {
      symbol: str(row[0]) ?? '',
      stop: String(row[1]),
      side: str(row[2]),
      addedMs: ms(row[4]),
      entryPrice: num(row[5]),
      hardStop: num(row[6]),
      activatedMs: ms(row[7]),
      activatedAt: num(row[8]),
      firedMs: ms(row[9]),
      firedAt: num(row[10]),
      level: num(row[11]),
      gap: num(row[12]),
      trigger: str(row[13]),
      endedMs: ms(row[14]),
      levels: of.map(({ at, level }) => [at, level] as const),
    };
  });
  const total = Number(lives.rows[0]?.[16] ?? 0);
  return { stops: stops.reverse(), leftOut: total - stops.length };
}

/** Each account's values, one by one. */
const VALUES = `SELECT coalesce(account_id, '') AS k, ${PLACE}, stream`;
const SO_FAR = 'OVER (PARTITION BY k ORDER BY t, stream, seq ROWS UNBOUNDED PRECEDING)';

/** Where equity is told, the best source first. */
const EQUITY = [
  { view: 'events', event: 'account.balance_query', value: `TRY_CAST(attributes['trading.equity'] AS DOUBLE)` },
  { view: 'limits', event: 'risk.portfolio_limit.update', value: 'equity' },
  { view: 'breakers', event: 'risk.circuit_breaker.equity', value: 'equity' },
  { view: 'limits', event: 'risk.portfolio_health', value: 'equity' },
] as const;

export async function readEquity(source: PageSource, scope: Scope, counts: ReadonlyMap<string, number>) {
  const { sql, parameters } = filterOf(scope, ['account']);
  // An account's equity tells nothing of one symbol or strategy: their results do.
  const whole = scope.symbol === undefined && scope.strategy === undefined;
  for (const { view, event, value } of whole ? EQUITY : []) {
    if ((counts.get(event) ?? 0) === 0) continue;
    const rows = `${VALUES}, ${value} AS v FROM ${view} WHERE event = '${event}' AND ${within(scope)}${sql}`;
    const falling = `SELECT *, 1 - v / max(v) ${SO_FAR} AS fall FROM (${finite(rows, ' AND v > 0')})`;
    const curves = await curvesOf(source, scope, falling, parameters, 'equity', event);
    if (curves.length > 0) return curves;
  }
  const asked = filterOf(scope, ['symbol', 'strategy', 'account']);
  const results = `${VALUES}, pnl
    FROM trades WHERE event IN ('trade.exit', 'trade.partial_exit') AND pnl IS NOT NULL AND ${within(scope)}${asked.sql}`;
  const rows = `SELECT *, sum(pnl) ${SO_FAR} AS v FROM (${results})`;
  const falling = `SELECT *, greatest(0, max(v) ${SO_FAR}) - v AS fall FROM (${rows})`;
  return curvesOf(source, scope, falling, asked.parameters, 'results', 'trade.exit');
}

async function curvesOf(
  source: PageSource,
  scope: Scope,
  rows: string,
  parameters: SqlParameters,
  kind: EquityCurve['kind'],
  event: string,
): Promise<EquityCurve[]> {
  const { rows: found } = await source.sql(stretchSql(rows, scope, ', max(fall), arg_max(t, (fall, -t))'), parameters);
  const groups = byKey(found.map((row) => ({ ...stretchOf(row), fall: Number(row[11]), fallMs: msOf(row[12]) })));
  return [...groups].map(([account, stretches]) => ({
    account,
    kind,
    event,
    n: stretches.reduce((sum, { n }) => sum + n, 0),
    stretches,
    falls: stretches.map(({ fall, fallMs, periodMs }) => ({ ms: fallMs, value: fall, periodMs })),
  }));
}

/** More stops than this are too many for one picture; so many are drawn larger. */
const MANY_STOPS = 24;

const CLOSE_STOPS = 8;

export async function readCloseUp(
  source: PageSource,
  scope: Scope,
  symbol: string | undefined,
  stops: readonly StopLife[],
): Promise<CloseUp | undefined> {
  const own = stops.filter((stop) => stop.symbol === symbol);
  const from = own.slice(-CLOSE_STOPS).flatMap(({ addedMs }) => (addedMs === null ? [] : [addedMs]));
  if (symbol === undefined || own.length <= MANY_STOPS || from.length === 0) return undefined;
  const fromMs = Math.max(scope.fromMs, Math.floor(Math.min(...from)));
  if (fromMs >= scope.toMs) return undefined;
  const close = {
    ...scope,
    symbol,
    fromMs,
    fromNs: String(BigInt(fromMs) * 1_000_000n),
    unit: unitOf(scope.toMs - fromMs),
  };
  const prices = await readPrices(source, close);
  const { stops: drawn } = await readStops(source, close);
  return { scope: close, symbol, stretches: prices.get(symbol) ?? [], stops: drawn };
}
