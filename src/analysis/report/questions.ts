/** Questions that file-based logs leave open: stops against take-profits, what breakers and limits were worth. */
import { counted, type Metric, mean, share, undefinedMetric } from '../metrics.ts';
import type { RunQuery } from '../sql/trail-database.ts';
import { ENFORCED } from './facts.ts';
import type { Bounds, SectionMaker } from './sections.ts';
import type { ReportSection } from './types.ts';

const OPEN = ['OPEN', 'FORCED_OPEN', 'HALF_OPEN'];
const NS_PER_MS = 1_000_000;

interface Change {
  readonly at: number;
  readonly state: string;
}

/** Each breaker's (or scope's) changes, in order. */
async function changes(
  query: RunQuery,
  key: string,
  state: string,
  old: string,
  events: string,
): Promise<Map<string, Change[]>> {
  const { rows } = await query(
    `SELECT stream || '|' || ${key}, CAST(time_unix_nano // ${NS_PER_MS} AS BIGINT), ${state}, ${old},
       epoch_ms(TRY_CAST(effective_at AS TIMESTAMPTZ)) FROM facts
     WHERE ${events} AND ${key} IS NOT NULL AND ${state} IS NOT NULL ORDER BY time_unix_nano, stream, sequence`,
  );
  const byKey = new Map<string, Change[]>();
  for (const [name, recorded, to, from, effective] of rows) {
    const list = byKey.get(String(name)) ?? [];
    // What time alone brings about took effect when it was due, which may be before it was noticed.
    const at = effective === null ? Number(recorded) : Math.min(Number(recorded), Number(effective));
    if (list.length === 0 && from !== null) list.push({ at: Number.NEGATIVE_INFINITY, state: String(from) });
    list.push({ at: Math.max(at, list.at(-1)?.at ?? at), state: String(to) });
    byKey.set(String(name), list);
  }
  return byKey;
}

/** Time in the given states, and how long each stay that ended took, both in milliseconds. */
function stays(
  list: readonly Change[],
  isIn: (state: string) => boolean,
  { fromNs, toNs }: Bounds,
): { total: number; ended: number[] } {
  const from = Number(fromNs) / NS_PER_MS;
  const to = Number(toNs) / NS_PER_MS;
  let total = 0;
  let since: number | undefined;
  const ended: number[] = [];
  for (const { at, state } of list) {
    if (isIn(state)) since ??= Math.max(at, from);
    else if (since !== undefined) {
      total += at - since;
      ended.push(at - since);
      since = undefined;
    }
  }
  if (since !== undefined) total += Math.max(0, to - since);
  return { total, ended };
}

/** Share of the time that a breaker was closed, and how long its openings took. */
export const breakers: SectionMaker = {
  needs: {
    columns: ['breaker', 'old_state', 'new_state', 'effective_at'],
    events: ['risk.circuit_breaker.state_change', 'risk.circuit_breaker.snapshot'],
  },
  async make({ query, ...bounds }): Promise<ReportSection> {
    const byBreaker = await changes(
      query,
      'breaker',
      'new_state',
      'old_state',
      "event = 'risk.circuit_breaker.state_change'",
    );
    const known = await query(
      `SELECT DISTINCT stream || '|' || breaker FROM facts
       WHERE event IN ('risk.circuit_breaker.state_change', 'risk.circuit_breaker.snapshot') AND breaker IS NOT NULL ORDER BY 1`,
    );
    const wholeMs = Number(bounds.toNs - bounds.fromNs) / NS_PER_MS;
    const rows = known.rows.map(([key]) => {
      const list = byBreaker.get(String(key)) ?? [];
      const { total, ended } = stays(list, (state) => OPEN.includes(state), bounds);
      const openings = list.filter(({ state }, at) => state !== 'HALF_OPEN' && OPEN.includes(state) && at > 0).length;
      return [
        String(key).slice(String(key).indexOf('|') + 1),
        openings,
        Math.round(total / 1000),
        wholeMs > 0 ? 1 - total / wholeMs : null,
        ended.length === 0 ? null : Math.round(ended.reduce((a, b) => a + b, 0) / ended.length / 1000),
        ended.length,
      ];
    });
    return {
      name: 'breakers',
      title: 'Circuit breakers',
      columns: ['breaker', 'openings', 'open_s', 'uptime', 'mean_time_to_recover_s', 'recoveries'],
      rows,
    };
  },
};

/** The questions, one metric each. */
export const questions: SectionMaker = {
  needs: {
    columns: [
      'symbol',
      'side',
      'price',
      'quantity',
      'decision',
      'rule_mode',
      'execution_id',
      'close',
      'new_state',
      'old_trading',
      'new_trading',
      'effective_at',
      'scope',
    ],
    events: [
      'trade.entry',
      'risk.portfolio_limit.check',
      'market.price',
      'market.candle_closed',
      'order.intent',
      'order.filled',
      'risk.circuit_breaker.not_permitted',
      'risk.circuit_breaker.state_change',
      'risk.trading_state_change',
    ],
    counted: ['trade.', 'risk.trailing_stop.trigger'],
  },
  async make({ query, counts, ...bounds }): Promise<ReportSection> {
    const stops = counts.of('trade.stop_loss_hit');
    const profits = counts.of('trade.take_profit_hit');
    const { rows } = await query(
      `SELECT count(DISTINCT execution_id) FILTER (event IN ('order.intent', 'trade.entry')),
         count(DISTINCT execution_id) FILTER ((event = 'risk.circuit_breaker.not_permitted' AND ${ENFORCED}) OR (event = 'risk.circuit_breaker.state_change' AND new_state = 'OPEN'))
       FROM facts WHERE ${counts.where('order.intent', 'trade.entry', 'risk.circuit_breaker.not_permitted', 'risk.circuit_breaker.state_change')}`,
    );
    const [executions, hit] = rows[0]!.map(Number) as [number, number];
    const halts = await changes(query, 'scope', 'new_trading', 'old_trading', "event = 'risk.trading_state_change'");
    const ended = [...halts.values()].flatMap((list) => stays(list, (state) => state === 'HALTED', bounds).ended);
    return {
      name: 'questions',
      title: 'What else is asked',
      metrics: {
        stops_to_take_profits:
          profits === 0
            ? undefinedMetric(stops, 'trade.stop_loss_hit / trade.take_profit_hit', 'no take-profit was hit')
            : counted(stops / profits, 'trade.stop_loss_hit / trade.take_profit_hit', stops + profits),
        exits_by_stop: share(
          stops,
          stops + profits,
          'trade.stop_loss_hit / (trade.stop_loss_hit + trade.take_profit_hit)',
        ),
        trailing_stops_fired: counted(counts.of('risk.trailing_stop.trigger'), 'risk.trailing_stop.trigger'),
        trades_that_hit_a_breaker: share(
          hit,
          executions,
          'executions in which a breaker opened or refused a call / executions with an order.intent or trade.entry',
        ),
        ...(await denied(query)),
        mean_time_to_resume: mean(
          ended.map((ms) => ms / 1000),
          'time from a scope’s change to HALTED until it left that state',
          's',
        ),
      },
    };
  },
};

/** What denied orders would have come to at the last price of their day. */
async function denied(query: RunQuery): Promise<Readonly<Record<string, Metric>>> {
  const convention =
    'denied checks priced from the order’s price to the last recorded price of its symbol that day (UTC); below 0 is a loss that was avoided';
  const { rows } = await query(
    `WITH prices AS (SELECT symbol, time_unix_nano // 86400000000000 AS day, arg_max(coalesce(price, close), (time_unix_nano, sequence)) AS last
       FROM facts WHERE event IN ('market.price', 'market.candle_closed', 'order.filled') AND coalesce(price, close) > 0 AND symbol IS NOT NULL GROUP BY ALL),
     denied AS (SELECT *, time_unix_nano // 86400000000000 AS day FROM facts WHERE event = 'risk.portfolio_limit.check' AND decision = 'deny' AND ${ENFORCED})
     SELECT count(*), count(pnl), sum(pnl ORDER BY pnl), min(pnl), sum(pnl ORDER BY pnl) FILTER (pnl < 0), count(*) FILTER (pnl < 0) FROM
       (SELECT (CASE WHEN side = 'buy' THEN last - price ELSE price - last END) * abs(quantity) AS pnl
        FROM denied LEFT JOIN prices USING (symbol, day))`,
  );
  const [all, priced, total, worst, losses, bad] = rows[0]!;
  const n = Number(priced);
  const because = Number(all) === 0 ? 'no order was denied' : 'there is no later price of that day';
  const value = (one: unknown, what: string) =>
    n === 0
      ? undefinedMetric(0, `${what}: ${convention}`, because)
      : counted(Number(one ?? 0), `${what}: ${convention}`, n);
  return {
    denied_orders: counted(Number(all), 'risk.portfolio_limit.check with risk.decision deny'),
    denied_orders_result: value(total, 'sum'),
    losses_avoided: value(losses, 'sum of the losses'),
    losing_orders_denied: value(bad, 'how many'),
    worst_order_denied: value(worst, 'smallest'),
  };
}
