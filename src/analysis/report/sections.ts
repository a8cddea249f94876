/** The sections that reports are made of: what each needs of the facts, and how it is calculated from them. */

import { SEVERITY_NUMBERS } from '../../catalog/define.ts';
import {
  counted,
  drawdowns,
  expectancy,
  expectancyRatio,
  type Metric,
  mean,
  profitFactor,
  quantile,
  share,
  sharpeRatio,
  undefinedMetric,
  weightedMean,
  winRate,
} from '../metrics.ts';
import type { SqlValue } from '../sql/duckdb.ts';
import type { RunQuery } from '../sql/trail-database.ts';
import type { EventCounts } from './event-counts.ts';
import { ENFORCED, type FactNeeds } from './facts.ts';
import type { ReportSection } from './types.ts';

/** What a section is made from. Rows of `facts` may be of events that no section needs: each query names its own. */
export interface Facts extends Bounds {
  readonly query: RunQuery;
  readonly counts: EventCounts;
}

/** A section: its needs, and its making. */
export interface SectionMaker {
  readonly needs: FactNeeds;
  make(facts: Facts): Promise<ReportSection>;
}

/** Bounds in nanoseconds: what was asked for, else where the records begin and end. */
export interface Bounds {
  readonly fromNs: bigint;
  readonly toNs: bigint;
}

type Row = readonly SqlValue[];
const NS_PER_DAY = 86_400_000_000_000;
const DAY = `time_unix_nano // ${NS_PER_DAY}`;
/** Where a record stands among all: what makes an answer the same however the rows come. */
const PLACE = '(time_unix_nano, stream, sequence)';
const ORDER = 'ORDER BY time_unix_nano, stream, sequence';
const num = (value: SqlValue | undefined): number => Number(value ?? 0);
const numbers = (rows: readonly Row[]): number[] => rows.map((row) => Number(row[0]));
const days = ({ fromNs, toNs }: Bounds): number => Math.max(1, Math.ceil(Number(toNs - fromNs) / NS_PER_DAY));

async function table({ query }: Facts, name: string, title: string, sql: string): Promise<ReportSection> {
  const { columns, rows } = await query(sql);
  return { name, title, columns, rows };
}

/** The first row of a query by the names of its columns. */
async function one(query: RunQuery, sql: string): Promise<Readonly<Record<string, SqlValue>>> {
  const { columns, rows } = await query(sql);
  return Object.fromEntries(columns.map((column, at) => [column, rows[0]?.[at] ?? null]));
}

const count = (counts: EventCounts, name: string): Metric => counted(counts.of(name), name);
const countIf = (condition: string, name: string): string => `count(*) FILTER (${condition}) AS ${name}`;
const event = (name: string): string => `event = '${name}'`;
const CLOSES = ['trade.exit', 'trade.partial_exit'] as const;
const CLOSED = `event IN (${CLOSES.map((name) => `'${name}'`).join(', ')}) AND pnl IS NOT NULL`;
const RESULT = 'trading.pnl of trade.exit and trade.partial_exit';

/** Trades: what the closed ones came to. */
export const trading: SectionMaker = {
  needs: {
    columns: ['pnl', 'hold_minutes', 'quantity', 'equity', 'balance'],
    events: ['trade.', 'account.balance_query', 'risk.circuit_breaker.equity', 'risk.portfolio_health'],
  },
  async make({ query, counts }) {
    const closed = (
      await query(`SELECT pnl, ${DAY} FROM facts WHERE ${counts.where(...CLOSES)} AND pnl IS NOT NULL ${ORDER}`)
    ).rows;
    const results = numbers(closed);
    const byDay = new Map<SqlValue, number>();
    for (const [pnl, day] of closed) byDay.set(day!, (byDay.get(day!) ?? 0) + Number(pnl));
    const daily = [...byDay.values()];
    const { capital: recorded } = await one(
      query,
      `SELECT arg_min(coalesce(equity, balance), ${PLACE}) AS capital FROM facts WHERE ${counts.where('trade.', 'account.balance_query', 'risk.circuit_breaker.equity', 'risk.portfolio_health')} AND coalesce(equity, balance) > 0`,
    );
    const holds = (
      await query(
        `SELECT hold_minutes, coalesce(abs(quantity), 1) FROM facts WHERE ${counts.where('trade.exit')} AND hold_minutes IS NOT NULL ${ORDER}`,
      )
    ).rows.map(([value, weight]) => ({ value: num(value), weight: num(weight) }));
    const wins = results.filter((result) => result > 0);
    const losses = results.filter((result) => result < 0);
    const capital = recorded === null ? undefined : num(recorded);
    const falls = drawdowns(results, capital);
    const n = results.length;
    const total = results.reduce((sum, result) => sum + result, 0);
    const attempts = counts.of('trade.entry') + counts.of('trade.execution_failed');
    const extreme = (value: number, what: string): Metric =>
      n === 0 ? undefinedMetric(0, what, 'there are no results') : counted(value, what, n);
    return {
      name: 'trading',
      title: 'Trading',
      metrics: {
        total_trades: count(counts, 'trade.exit'),
        entries: count(counts, 'trade.entry'),
        partial_exits: count(counts, 'trade.partial_exit'),
        winning_trades: counted(wins.length, 'results above 0', n),
        losing_trades: counted(losses.length, 'results below 0', n),
        win_rate: winRate(results),
        total_pnl:
          n === 0
            ? undefinedMetric(0, `sum of ${RESULT}`, 'no trade was closed')
            : counted(total, `sum of ${RESULT}`, n),
        average_win: mean(wins, 'mean of the results above 0'),
        average_loss: mean(losses, 'mean of the results below 0'),
        largest_win: extreme(
          Math.max(0, ...(wins.length > 0 ? [wins.reduce((a, b) => Math.max(a, b))] : [])),
          'largest result, at least 0',
        ),
        largest_loss: extreme(
          Math.min(0, ...(losses.length > 0 ? [losses.reduce((a, b) => Math.min(a, b))] : [])),
          'smallest result, at most 0',
        ),
        profit_factor: profitFactor(results),
        expectancy: expectancy(results),
        expectancy_ratio: expectancyRatio(results),
        sharpe_ratio: sharpeRatio(
          daily,
          'the daily sums of results (UTC days with a result; capital taken as constant)',
        ),
        max_drawdown: falls.absolute,
        max_drawdown_of_peak: falls.absoluteRatio,
        max_relative_drawdown: falls.relative,
        average_hold_minutes: weightedMean(
          holds,
          'trading.hold_time_minutes of trade.exit, weighted by quantity',
          'min',
        ),
        stop_losses_hit: count(counts, 'trade.stop_loss_hit'),
        take_profits_hit: count(counts, 'trade.take_profit_hit'),
        trades_executed: count(counts, 'trade.executed'),
        trades_failed: count(counts, 'trade.execution_failed'),
        trades_cancelled: count(counts, 'trade.cancelled'),
        trade_success_rate: share(
          counts.of('trade.entry'),
          attempts,
          'trade.entry / (trade.entry + trade.execution_failed)',
        ),
      },
    };
  },
};

const BPS = (price: string, reference: string) =>
  `(CASE WHEN side = 'buy' THEN ${price} - ${reference} ELSE ${reference} - ${price} END) / ${reference} * 10000`;
/** Mean of `bps` weighted by quantity. Doubles are added up by size: the sum is the same however the rows come. */
const weightedSql = (source: string): string =>
  `SELECT sum(part ORDER BY part) / NULLIF(sum(weight ORDER BY weight), 0) AS value, count(*) AS n
   FROM (SELECT bps * abs(quantity) AS part, abs(quantity) AS weight FROM (${source}))`;
const fillsSql = (counts: EventCounts): string => `SELECT ${BPS('f.price', 'i.price')} AS bps, f.quantity FROM
  (SELECT order_id, side, price, quantity FROM facts WHERE ${counts.where('order.filled')} AND order_id IS NOT NULL AND price > 0) f
  JOIN (SELECT order_id, arg_min(price, ${PLACE}) AS price FROM facts WHERE ${counts.where('order.intent')} AND price > 0 GROUP BY order_id) i
  ON f.order_id = i.order_id WHERE i.price > 0`;
const stoppedSql = (counts: EventCounts): string => `SELECT ${BPS('price', 'stop_loss')} AS bps, quantity FROM facts
  WHERE ${counts.where('trade.stop_loss_hit')} AND price > 0 AND stop_loss > 0 AND side IS NOT NULL`;

/** Orders: what became of them. */
export const orders: SectionMaker = {
  needs: { columns: ['order_id', 'side', 'price', 'quantity', 'stop_loss'], events: ['order.', 'trade.stop_loss_hit'] },
  async make({ query, counts }) {
    const names = ['intent', 'placed', 'edited', 'filled', 'rejected', 'cancelled', 'outcome_unknown'];
    const slippage = await one(query, weightedSql(fillsSql(counts)));
    const stops = await one(query, weightedSql(stoppedSql(counts)));
    const weighted = (row: Readonly<Record<string, SqlValue>>, convention: string) =>
      row['value'] === null
        ? undefinedMetric(0, convention, 'there are no fills with both prices')
        : counted(num(row['value']), convention, num(row['n']), 'bp');
    const metrics: Record<string, Metric> = {};
    for (const name of names) metrics[`orders_${name}`] = count(counts, `order.${name}`);
    const placed = counts.of('order.placed');
    const rejected = counts.of('order.rejected');
    metrics['rejection_rate'] = share(rejected, placed + rejected, 'order.rejected / (order.placed + order.rejected)');
    metrics['slippage_against_decision'] = weighted(
      slippage,
      'order.filled against the price of order.intent, weighted by quantity; above 0 is worse',
    );
    metrics['slippage_against_stop'] = weighted(
      stops,
      'trade.stop_loss_hit against trading.stop_loss, weighted by quantity; above 0 is worse',
    );
    return { name: 'orders', title: 'Orders', metrics };
  },
};

/** The service: errors, health, API. */
export const system: SectionMaker = {
  needs: {
    columns: ['duration_ms', 'system_status', 'lost_records'],
    events: ['api.', 'system.', 'audit.degraded', 'audit.recovered', 'performance.latency'],
    everything: true,
  },
  async make({ query, counts, ...bounds }) {
    const { healthy, lost } = await one(
      query,
      `SELECT ${countIf(`event = 'system.health_check' AND system_status = 'healthy'`, 'healthy')},
         sum(lost_records) FILTER (event = 'audit.degraded') AS lost
       FROM facts WHERE ${counts.where('system.health_check', 'audit.degraded')}`,
    );
    const { errors } = counts;
    const warnings = counts.ofSeverity(SEVERITY_NUMBERS.WARN, SEVERITY_NUMBERS.ERROR - 1);
    const checks = counts.of('system.health_check');
    const apiErrors = counts.of('api.error');
    const apiCalls = counts.of('api.call') + apiErrors;
    const latencies = numbers(
      (
        await query(
          `SELECT duration_ms FROM facts WHERE ${counts.where('api.call', 'api.error')} AND duration_ms IS NOT NULL ORDER BY duration_ms`,
        )
      ).rows,
    );
    return {
      name: 'system',
      title: 'System',
      metrics: {
        total_events: counted(counts.total, 'records'),
        total_errors: counted(errors, 'records of severity ERROR and above'),
        total_warnings: counted(warnings, 'records of severity WARN'),
        errors_per_day: counted(errors / days(bounds), `errors / days of the range (${days(bounds)})`, errors),
        system_starts: count(counts, 'system.start'),
        system_stops: count(counts, 'system.stop'),
        unclean_ends: count(counts, 'audit.recovered'),
        lost_records: counted(num(lost), 'audit.degraded.lost_records'),
        health_checks: count(counts, 'system.health_check'),
        system_uptime: share(num(healthy), checks, 'healthy / all system.health_check'),
        api_calls: counted(apiCalls, 'api.call + api.error'),
        api_errors: count(counts, 'api.error'),
        api_error_rate: share(apiErrors, apiCalls, 'api.error / (api.call + api.error)'),
        avg_api_latency: mean(latencies, 'mean timing.duration_ms of api.call and api.error', 'ms'),
        p95_api_latency: quantile(latencies, 0.95, 'ms'),
        rate_limits: count(counts, 'api.rate_limit'),
        retries: count(counts, 'api.retry_attempt'),
        slow_operations: count(counts, 'performance.latency'),
      },
    };
  },
};

/** The risk layers in numbers. */
export const risk: SectionMaker = {
  needs: {
    columns: ['decision', 'rule_mode', 'gap', 'stop_price', 'new_state', 'new_trading'],
    events: [
      'risk.portfolio_limit.check',
      'risk.portfolio_limit.rejection',
      'risk.circuit_breaker.not_permitted',
      'risk.circuit_breaker.state_change',
      'risk.trading_state_change',
      'risk.trailing_stop.trigger',
    ],
    counted: ['risk.', 'enforcement.'],
  },
  async make({ query, counts, ...bounds }) {
    const rows = await one(
      query,
      `SELECT ${[
        countIf(`event = 'risk.portfolio_limit.check' AND ${ENFORCED}`, 'checks'),
        countIf(`event = 'risk.portfolio_limit.check' AND decision = 'deny' AND ${ENFORCED}`, 'denied'),
        countIf(`event = 'risk.portfolio_limit.check' AND decision = 'cap' AND ${ENFORCED}`, 'capped'),
        countIf(`event = 'risk.portfolio_limit.rejection' AND ${ENFORCED}`, 'rejections'),
        countIf(`event = 'risk.circuit_breaker.not_permitted' AND ${ENFORCED}`, 'refusals'),
        countIf(`event = 'risk.circuit_breaker.state_change' AND new_state IN ('OPEN', 'FORCED_OPEN')`, 'openings'),
        countIf(`event = 'risk.trading_state_change' AND new_trading = 'HALTED'`, 'halts'),
      ].join(
        ', ',
      )} FROM facts WHERE ${counts.where('risk.portfolio_limit.check', 'risk.portfolio_limit.rejection', 'risk.circuit_breaker.not_permitted', 'risk.circuit_breaker.state_change', 'risk.trading_state_change')}`,
    );
    const gaps = await one(
      query,
      `SELECT count(bps) AS n, sum(bps ORDER BY bps) / NULLIF(count(bps), 0) AS mean FROM
       (SELECT gap / stop_price * 10000 AS bps FROM facts WHERE ${counts.where('risk.trailing_stop.trigger')} AND stop_price > 0)`,
    );
    const of = (name: string) => num(rows[name]);
    const checks = of('checks');
    const violations =
      of('denied') + counts.of('risk.limit_hit') + counts.of('risk.daily_loss_limit') + counts.of('enforcement.breach');
    const gap = 'mean of risk.trailing_stop.gap / stop_price';
    return {
      name: 'risk',
      title: 'Risk',
      metrics: {
        risk_violations: counted(
          violations,
          'denied checks, risk.limit_hit, risk.daily_loss_limit, enforcement.breach',
        ),
        violations_per_day: counted(
          violations / days(bounds),
          `violations / days of the range (${days(bounds)})`,
          violations,
        ),
        limit_checks: counted(checks, 'risk.portfolio_limit.check'),
        entries_rejected: counted(of('denied'), 'checks with risk.decision deny'),
        entry_rejection_rate: share(of('denied'), checks, 'denied / all risk.portfolio_limit.check'),
        entries_capped: counted(of('capped'), 'checks with risk.decision cap'),
        limits_that_denied: counted(of('rejections'), 'risk.portfolio_limit.rejection'),
        limit_warnings: count(counts, 'risk.portfolio_limit.warning'),
        limit_hits: count(counts, 'risk.limit_hit'),
        daily_loss_limits: count(counts, 'risk.daily_loss_limit'),
        heat_warnings: count(counts, 'risk.portfolio_heat_warning'),
        signals_validated: count(counts, 'risk.validation'),
        signals_rejected: count(counts, 'risk.rejection'),
        position_sizes_calculated: count(counts, 'risk.position_size_calculated'),
        position_sizes_capped: count(counts, 'risk.position_size_capped'),
        breaker_openings: counted(of('openings'), 'state_change to OPEN or FORCED_OPEN'),
        breaker_failures: count(counts, 'risk.circuit_breaker.failure'),
        breaker_refusals: counted(of('refusals'), 'risk.circuit_breaker.not_permitted'),
        trading_halts: counted(of('halts'), 'trading_state_change to HALTED'),
        kill_switch_used: count(counts, 'risk.kill_switch'),
        rule_breaches: count(counts, 'enforcement.breach'),
        enforcement_actions: count(counts, 'enforcement.action'),
        stops_added: count(counts, 'risk.trailing_stop.add'),
        stops_activated: count(counts, 'risk.trailing_stop.activate'),
        stop_updates: count(counts, 'risk.trailing_stop.update'),
        stops_triggered: count(counts, 'risk.trailing_stop.trigger'),
        stop_gap:
          num(gaps['n']) === 0
            ? undefinedMetric(0, gap, 'no stop fired')
            : counted(num(gaps['mean']), gap, num(gaps['n']), 'bp'),
      },
    };
  },
};

/** Which limit denied how often, and by which code. */
export const rejections: SectionMaker = {
  needs: {
    columns: ['limit_type', 'reason_code', 'rule_mode'],
    events: ['risk.portfolio_limit.rejection', 'risk.rejection'],
  },
  make: (facts) =>
    table(
      facts,
      'rejections',
      'Rejections',
      `SELECT coalesce(limit_type, '-') AS limit_type, coalesce(reason_code, '-') AS reason_code, count(*) AS n
       FROM facts WHERE ${facts.counts.where('risk.portfolio_limit.rejection', 'risk.rejection')} AND ${ENFORCED} GROUP BY ALL ORDER BY n DESC, 1, 2`,
    ),
};

/** Instruments, each by itself. */
export const symbols: SectionMaker = {
  needs: {
    columns: ['symbol', 'pnl', 'quantity', 'price'],
    events: ['trade.', 'order.placed', 'order.rejected', 'order.filled'],
  },
  make: (facts) =>
    table(
      facts,
      'symbols',
      'Symbols',
      `SELECT symbol, ${countIf(event('trade.exit'), 'trades')},
         count(*) FILTER (${CLOSED} AND pnl > 0) AS wins, count(*) FILTER (${CLOSED} AND pnl < 0) AS losses,
         count(*) FILTER (${CLOSED} AND pnl > 0) / NULLIF(count(*) FILTER (${CLOSED}), 0) AS win_rate,
         sum(pnl ORDER BY time_unix_nano, stream, sequence) FILTER (${CLOSED}) AS total_pnl, total_pnl / NULLIF(count(*) FILTER (${CLOSED}), 0) AS average_pnl,
         max(pnl) FILTER (${CLOSED}) AS best, min(pnl) FILTER (${CLOSED}) AS worst,
         sum(abs(quantity * price) ORDER BY time_unix_nano, stream, sequence) FILTER (event = 'order.filled') AS turnover,
         ${countIf(event('order.placed'), 'orders')}, ${countIf(event('order.rejected'), 'rejected')}
       FROM facts WHERE symbol IS NOT NULL AND ${facts.counts.where('trade.', 'order.')} GROUP BY symbol ORDER BY total_pnl DESC NULLS LAST, symbol`,
    ),
};

/** Errors by what they say. */
export const errors: SectionMaker = {
  needs: { columns: ['error_type'], events: [], errors: true },
  make: (facts) =>
    table(
      facts,
      'errors',
      'Errors, the most frequent first',
      `SELECT event, coalesce(error_type, '-') AS error_type, body AS message, count(*) AS n,
         strftime(make_timestamp(min(time_unix_nano) // 1000), '%Y-%m-%dT%H:%M:%SZ') AS first,
         strftime(make_timestamp(max(time_unix_nano) // 1000), '%Y-%m-%dT%H:%M:%SZ') AS last
       FROM facts WHERE ${facts.counts.whereError} GROUP BY ALL ORDER BY n DESC, message, event, error_type LIMIT 100`,
    ),
};

/** The errors in numbers. */
export const errorSummary: SectionMaker = {
  needs: { columns: ['error_type'], events: [], errors: true },
  async make({ query, counts, ...bounds }) {
    const found = await one(
      query,
      `SELECT count(*) AS total, count(DISTINCT body) AS messages, count(DISTINCT error_type) AS types, max(n) AS busiest FROM
       (SELECT *, count(*) OVER (PARTITION BY time_unix_nano // 3600000000000) AS n FROM facts WHERE ${counts.whereError})`,
    );
    const total = num(found['total']);
    const hours = Math.max(1, Math.ceil(Number(bounds.toNs - bounds.fromNs) / 3.6e12));
    return {
      name: 'error_summary',
      title: 'Error summary',
      metrics: {
        total_errors: counted(total, 'records of severity ERROR and above'),
        error_messages: counted(num(found['messages']), 'different sentences', total),
        error_types: counted(num(found['types']), 'different error.type', total),
        errors_per_hour: counted(total / hours, `errors / hours of the range (${hours})`, total),
        errors_in_busiest_hour: counted(num(found['busiest']), 'most errors in one hour (UTC)', total),
      },
    };
  },
};

/** Alerts: how many, how soon over. */
export const alerts: SectionMaker = {
  needs: { columns: ['alert_id', 'alert_title'], events: ['alert.'] },
  async make({ query, counts }) {
    const { close } = await one(
      query,
      `SELECT count(*) AS close FROM facts WHERE ${counts.where('alert.raised')} AND contains(upper(alert_title), 'CLOSE')`,
    );
    const seconds = numbers(
      (
        await query(
          `SELECT (min(time_unix_nano) FILTER (event IN ('alert.resolved', 'alert.dismissed')) - min(time_unix_nano) FILTER (event = 'alert.raised')) / 1e9 AS s
           FROM facts WHERE ${counts.where('alert.')} AND alert_id IS NOT NULL GROUP BY alert_id HAVING s IS NOT NULL ORDER BY s`,
        )
      ).rows,
    );
    return {
      name: 'alerts',
      title: 'Alerts',
      metrics: {
        raised: count(counts, 'alert.raised'),
        acknowledged: count(counts, 'alert.acknowledged'),
        resolved: count(counts, 'alert.resolved'),
        dismissed: count(counts, 'alert.dismissed'),
        close_alerts: counted(num(close), 'alert.raised whose title has CLOSE'),
        mean_resolution: mean(seconds, 'alert.raised to the first alert.resolved or alert.dismissed', 's'),
        p95_resolution: quantile(seconds, 0.95, 's'),
      },
    };
  },
};

/** Which rules raised alerts. */
export const alertRules: SectionMaker = {
  needs: { columns: ['alert_type', 'alert_severity', 'alert_rule'], events: ['alert.'] },
  make: (facts) =>
    table(
      facts,
      'alert_rules',
      'Rules that raised alerts, the most frequent first',
      `SELECT coalesce(alert_rule, '-') AS rule, coalesce(alert_type, '-') AS type, coalesce(alert_severity, '-') AS severity, count(*) AS n
       FROM facts WHERE ${facts.counts.where('alert.raised')} GROUP BY ALL ORDER BY n DESC, 1, 2, 3`,
    ),
};

/** Durations by operation. */
export const performance: SectionMaker = {
  needs: { columns: ['operation', 'duration_ms', 'slow'], events: [], durations: true },
  make: (facts) =>
    table(
      facts,
      'operations',
      'Durations by operation, in milliseconds',
      `SELECT event, coalesce(operation, '-') AS operation, count(*) AS n, sum(duration_ms ORDER BY duration_ms) / count(*) AS mean_ms,
         quantile_cont(duration_ms, 0.5) AS p50_ms, quantile_cont(duration_ms, 0.95) AS p95_ms,
         quantile_cont(duration_ms, 0.99) AS p99_ms, max(duration_ms) AS max_ms, count(*) FILTER (slow OR event = 'performance.latency') AS slow
       FROM facts WHERE duration_ms IS NOT NULL GROUP BY ALL ORDER BY p95_ms DESC, event, operation`,
    ),
};

/** How many of which event. */
export const eventCounts: SectionMaker = {
  needs: { columns: [], events: [], everything: true },
  make: async ({ counts }) => ({
    name: 'events',
    title: 'Events',
    columns: ['event', 'n', 'errors'],
    rows: counts.rows,
  }),
};

/** Streams of the trail. */
export const streams: SectionMaker = {
  needs: { columns: ['lost_records'], events: ['audit.'], everything: true, streams: true },
  make: (facts) =>
    table(
      facts,
      'streams',
      'Streams',
      `SELECT coalesce(stream, '(no audit records)') AS stream, count(*) AS records, min(sequence) AS first_sequence, max(sequence) AS last_sequence,
         CASE WHEN stream IS NULL THEN NULL ELSE max(sequence) - min(sequence) + 1 - count(DISTINCT sequence) END AS missing,
         ${countIf(event('audit.checkpoint'), 'checkpoints')}, ${countIf(event('audit.recovered'), 'recovered')},
         coalesce(sum(lost_records), 0)::BIGINT AS lost_records, count(*) FILTER (event = 'audit.stream_closed') > 0 AS closed
       FROM facts GROUP BY stream ORDER BY 1`,
    ),
};
