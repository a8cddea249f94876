/** The sections that reports are made of: what each needs of the facts, and how it is calculated from them. */
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
import type { FactNeeds } from './facts.ts';
import type { ReportSection } from './types.ts';

/** A section: its needs, and its making. */
export interface SectionMaker {
  readonly needs: FactNeeds;
  make(query: RunQuery, bounds: Bounds): Promise<ReportSection>;
}

/** Bounds in nanoseconds: what was asked for, else where the records begin and end. */
export interface Bounds {
  readonly fromNs: bigint;
  readonly toNs: bigint;
}

type Row = readonly SqlValue[];
const NS_PER_DAY = 86_400_000_000_000;
const DAY = `CAST(make_timestamp(time_unix_nano // 1000) AS DATE)`;
const ORDER = 'ORDER BY time_unix_nano, stream, sequence';
const num = (value: SqlValue | undefined): number => Number(value ?? 0);
const numbers = (rows: readonly Row[]): number[] => rows.map((row) => Number(row[0]));
const days = ({ fromNs, toNs }: Bounds): number => Math.max(1, Math.ceil(Number(toNs - fromNs) / NS_PER_DAY));

async function table(query: RunQuery, name: string, title: string, sql: string): Promise<ReportSection> {
  const { columns, rows } = await query(sql);
  return { name, title, columns, rows };
}

/** The first row of a query by the names of its columns. */
async function one(query: RunQuery, sql: string): Promise<Readonly<Record<string, SqlValue>>> {
  const { columns, rows } = await query(sql);
  return Object.fromEntries(columns.map((column, at) => [column, rows[0]?.[at] ?? null]));
}

const count = (condition: string, name: string): string => `count(*) FILTER (${condition}) AS ${name}`;
const event = (name: string): string => `event = '${name}'`;
const CLOSED = `event IN ('trade.exit', 'trade.partial_exit') AND pnl IS NOT NULL`;
const RESULT = 'trading.pnl of trade.exit and trade.partial_exit';

/** Trades: what the closed ones came to. */
export const trading: SectionMaker = {
  needs: {
    columns: ['pnl', 'hold_minutes', 'quantity', 'equity', 'balance'],
    events: ['trade.', 'account.balance_query', 'risk.circuit_breaker.equity', 'risk.portfolio_health'],
  },
  async make(query) {
    const results = numbers((await query(`SELECT pnl FROM facts WHERE ${CLOSED} ${ORDER}`)).rows);
    const daily = numbers(
      (await query(`SELECT sum(pnl) FROM facts WHERE ${CLOSED} GROUP BY ${DAY} ORDER BY ${DAY}`)).rows,
    );
    const counts = await one(
      query,
      `SELECT ${[
        count(event('trade.entry'), 'entries'),
        count(event('trade.exit'), 'exits'),
        count(event('trade.partial_exit'), 'partial_exits'),
        count(event('trade.stop_loss_hit'), 'stop_losses'),
        count(event('trade.take_profit_hit'), 'take_profits'),
        count(event('trade.cancelled'), 'cancelled'),
        count(event('trade.executed'), 'executed'),
        count(event('trade.execution_failed'), 'failed'),
        `arg_min(coalesce(equity, balance), time_unix_nano) FILTER (coalesce(equity, balance) > 0) AS capital`,
      ].join(', ')} FROM facts`,
    );
    const holds = (
      await query(
        `SELECT hold_minutes, coalesce(abs(quantity), 1) FROM facts WHERE event = 'trade.exit' AND hold_minutes IS NOT NULL`,
      )
    ).rows.map(([value, weight]) => ({ value: num(value), weight: num(weight) }));
    const wins = results.filter((result) => result > 0);
    const losses = results.filter((result) => result < 0);
    const capital = counts['capital'] === null ? undefined : num(counts['capital']);
    const falls = drawdowns(results, capital);
    const n = results.length;
    const total = results.reduce((sum, result) => sum + result, 0);
    const attempts = num(counts['entries']) + num(counts['failed']);
    const extreme = (value: number, what: string): Metric =>
      n === 0 ? undefinedMetric(0, what, 'there are no results') : counted(value, what, n);
    return {
      name: 'trading',
      title: 'Trading',
      metrics: {
        total_trades: counted(num(counts['exits']), 'trade.exit'),
        entries: counted(num(counts['entries']), 'trade.entry'),
        partial_exits: counted(num(counts['partial_exits']), 'trade.partial_exit'),
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
        stop_losses_hit: counted(num(counts['stop_losses']), 'trade.stop_loss_hit'),
        take_profits_hit: counted(num(counts['take_profits']), 'trade.take_profit_hit'),
        trades_executed: counted(num(counts['executed']), 'trade.executed'),
        trades_failed: counted(num(counts['failed']), 'trade.execution_failed'),
        trades_cancelled: counted(num(counts['cancelled']), 'trade.cancelled'),
        trade_success_rate: share(
          num(counts['entries']),
          attempts,
          'trade.entry / (trade.entry + trade.execution_failed)',
        ),
      },
    };
  },
};

const FILL = `SELECT f.side, f.price, i.price AS reference, f.quantity FROM
  (SELECT order_id, side, price, quantity FROM facts WHERE event = 'order.filled' AND order_id IS NOT NULL AND price > 0) f
  JOIN (SELECT order_id, arg_min(price, time_unix_nano) AS price FROM facts WHERE event = 'order.intent' AND price > 0 GROUP BY order_id) i
  ON f.order_id = i.order_id WHERE i.price > 0`;
const BPS = (price: string, reference: string, side: string) =>
  `(CASE WHEN ${side} = 'buy' THEN ${price} - ${reference} ELSE ${reference} - ${price} END) / ${reference} * 10000`;

/** Orders: what became of them. */
export const orders: SectionMaker = {
  needs: { columns: ['order_id', 'side', 'price', 'quantity', 'stop_loss'], events: ['order.', 'trade.stop_loss_hit'] },
  async make(query) {
    const names = ['intent', 'placed', 'edited', 'filled', 'rejected', 'cancelled', 'outcome_unknown'];
    const counts = await one(
      query,
      `SELECT ${names.map((name) => count(event(`order.${name}`), name)).join(', ')} FROM facts`,
    );
    const slippage = await one(
      query,
      `SELECT sum(${BPS('price', 'reference', 'side')} * abs(quantity)) / NULLIF(sum(abs(quantity)), 0) AS value, count(*) AS n FROM (${FILL})`,
    );
    const stops = await one(
      query,
      `SELECT sum(${BPS('price', 'stop_loss', 'side')} * abs(quantity)) / NULLIF(sum(abs(quantity)), 0) AS value, count(*) AS n
       FROM facts WHERE event = 'trade.stop_loss_hit' AND price > 0 AND stop_loss > 0 AND side IS NOT NULL`,
    );
    const weighted = (row: Readonly<Record<string, SqlValue>>, convention: string) =>
      row['value'] === null
        ? undefinedMetric(0, convention, 'there are no fills with both prices')
        : counted(num(row['value']), convention, num(row['n']), 'bp');
    const metrics: Record<string, Metric> = {};
    for (const name of names) metrics[`orders_${name}`] = counted(num(counts[name]), `order.${name}`);
    const placed = num(counts['placed']);
    const rejected = num(counts['rejected']);
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

const API = `event IN ('api.call', 'api.error')`;

/** The service: errors, health, API. */
export const system: SectionMaker = {
  needs: {
    columns: ['duration_ms', 'system_status', 'lost_records'],
    events: ['api.', 'system.', 'audit.degraded', 'audit.recovered', 'performance.latency'],
    everything: true,
  },
  async make(query, bounds) {
    const counts = await one(
      query,
      `SELECT count(*) AS events, ${[
        count('severity_number >= 17', 'errors'),
        count('severity_number BETWEEN 13 AND 16', 'warnings'),
        count(event('system.start'), 'starts'),
        count(event('system.stop'), 'stops'),
        count(event('system.error'), 'system_errors'),
        count(event('system.health_check'), 'checks'),
        count(`event = 'system.health_check' AND system_status = 'healthy'`, 'healthy'),
        count(event('api.call'), 'calls'),
        count(event('api.error'), 'api_errors'),
        count(event('api.rate_limit'), 'rate_limits'),
        count(event('api.retry_attempt'), 'retries'),
        count(event('performance.latency'), 'slow'),
        count(event('audit.recovered'), 'crashes'),
        `sum(lost_records) FILTER (event = 'audit.degraded') AS lost`,
      ].join(', ')} FROM facts`,
    );
    const latencies = numbers(
      (await query(`SELECT duration_ms FROM facts WHERE ${API} AND duration_ms IS NOT NULL`)).rows,
    );
    const errors = num(counts['errors']);
    return {
      name: 'system',
      title: 'System',
      metrics: {
        total_events: counted(num(counts['events']), 'records'),
        total_errors: counted(errors, 'records of severity ERROR and above'),
        total_warnings: counted(num(counts['warnings']), 'records of severity WARN'),
        errors_per_day: counted(errors / days(bounds), `errors / days of the range (${days(bounds)})`, errors),
        system_starts: counted(num(counts['starts']), 'system.start'),
        system_stops: counted(num(counts['stops']), 'system.stop'),
        unclean_ends: counted(num(counts['crashes']), 'audit.recovered'),
        lost_records: counted(num(counts['lost']), 'audit.degraded.lost_records'),
        health_checks: counted(num(counts['checks']), 'system.health_check'),
        system_uptime: share(num(counts['healthy']), num(counts['checks']), 'healthy / all system.health_check'),
        api_calls: counted(num(counts['calls']) + num(counts['api_errors']), 'api.call + api.error'),
        api_errors: counted(num(counts['api_errors']), 'api.error'),
        api_error_rate: share(
          num(counts['api_errors']),
          num(counts['calls']) + num(counts['api_errors']),
          'api.error / (api.call + api.error)',
        ),
        avg_api_latency: mean(latencies, 'mean timing.duration_ms of api.call and api.error', 'ms'),
        p95_api_latency: quantile(latencies, 0.95, 'ms'),
        rate_limits: counted(num(counts['rate_limits']), 'api.rate_limit'),
        retries: counted(num(counts['retries']), 'api.retry_attempt'),
        slow_operations: counted(num(counts['slow']), 'performance.latency'),
      },
    };
  },
};

const VIOLATIONS = `event IN ('risk.limit_hit', 'risk.daily_loss_limit', 'enforcement.breach') OR (event = 'risk.portfolio_limit.check' AND decision = 'deny')`;

/** The risk layers in numbers. */
export const risk: SectionMaker = {
  needs: {
    columns: ['decision', 'gap', 'stop_price', 'new_state', 'new_trading'],
    events: [
      'risk.portfolio_limit.check',
      'risk.circuit_breaker.state_change',
      'risk.trading_state_change',
      'risk.trailing_stop.trigger',
    ],
    counted: ['risk.', 'enforcement.'],
  },
  async make(query, bounds) {
    const counts = await one(
      query,
      `SELECT ${[
        count(event('risk.portfolio_limit.check'), 'checks'),
        count(`event = 'risk.portfolio_limit.check' AND decision = 'deny'`, 'denied'),
        count(`event = 'risk.portfolio_limit.check' AND decision = 'cap'`, 'capped'),
        count(event('risk.portfolio_limit.rejection'), 'rejections'),
        count(event('risk.portfolio_limit.warning'), 'warnings'),
        count(event('risk.limit_hit'), 'limit_hits'),
        count(event('risk.daily_loss_limit'), 'daily_loss'),
        count(event('risk.portfolio_heat_warning'), 'heat'),
        count(event('risk.validation'), 'validations'),
        count(event('risk.rejection'), 'signal_rejections'),
        count(event('risk.position_size_calculated'), 'sized'),
        count(event('risk.position_size_capped'), 'size_capped'),
        count(event('risk.kill_switch'), 'kill_switch'),
        count(event('enforcement.breach'), 'breaches'),
        count(event('enforcement.action'), 'actions'),
        count(`event = 'risk.circuit_breaker.state_change' AND new_state IN ('OPEN', 'FORCED_OPEN')`, 'openings'),
        count(event('risk.circuit_breaker.failure'), 'failures'),
        count(event('risk.circuit_breaker.not_permitted'), 'refused'),
        count(`event = 'risk.trading_state_change' AND new_trading = 'HALTED'`, 'halts'),
        count(event('risk.trailing_stop.add'), 'stops_added'),
        count(event('risk.trailing_stop.activate'), 'stops_activated'),
        count(event('risk.trailing_stop.update'), 'stop_updates'),
        count(event('risk.trailing_stop.trigger'), 'stops_triggered'),
        count(VIOLATIONS, 'violations'),
        `avg(gap / stop_price * 10000) FILTER (event = 'risk.trailing_stop.trigger' AND stop_price > 0) AS gap_bps`,
        count(`event = 'risk.trailing_stop.trigger' AND gap IS NOT NULL AND stop_price > 0`, 'gaps'),
      ].join(', ')} FROM facts`,
    );
    const of = (name: string) => num(counts[name]);
    const gap = 'mean of risk.trailing_stop.gap / stop_price';
    return {
      name: 'risk',
      title: 'Risk',
      metrics: {
        risk_violations: counted(
          of('violations'),
          'denied checks, risk.limit_hit, risk.daily_loss_limit, enforcement.breach',
        ),
        violations_per_day: counted(
          of('violations') / days(bounds),
          `violations / days of the range (${days(bounds)})`,
          of('violations'),
        ),
        limit_checks: counted(of('checks'), 'risk.portfolio_limit.check'),
        entries_rejected: counted(of('denied'), 'checks with risk.decision deny'),
        entry_rejection_rate: share(of('denied'), of('checks'), 'denied / all risk.portfolio_limit.check'),
        entries_capped: counted(of('capped'), 'checks with risk.decision cap'),
        limits_that_denied: counted(of('rejections'), 'risk.portfolio_limit.rejection'),
        limit_warnings: counted(of('warnings'), 'risk.portfolio_limit.warning'),
        limit_hits: counted(of('limit_hits'), 'risk.limit_hit'),
        daily_loss_limits: counted(of('daily_loss'), 'risk.daily_loss_limit'),
        heat_warnings: counted(of('heat'), 'risk.portfolio_heat_warning'),
        signals_validated: counted(of('validations'), 'risk.validation'),
        signals_rejected: counted(of('signal_rejections'), 'risk.rejection'),
        position_sizes_calculated: counted(of('sized'), 'risk.position_size_calculated'),
        position_sizes_capped: counted(of('size_capped'), 'risk.position_size_capped'),
        breaker_openings: counted(of('openings'), 'state_change to OPEN or FORCED_OPEN'),
        breaker_failures: counted(of('failures'), 'risk.circuit_breaker.failure'),
        breaker_refusals: counted(of('refused'), 'risk.circuit_breaker.not_permitted'),
        trading_halts: counted(of('halts'), 'trading_state_change to HALTED'),
        kill_switch_used: counted(of('kill_switch'), 'risk.kill_switch'),
        rule_breaches: counted(of('breaches'), 'enforcement.breach'),
        enforcement_actions: counted(of('actions'), 'enforcement.action'),
        stops_added: counted(of('stops_added'), 'risk.trailing_stop.add'),
        stops_activated: counted(of('stops_activated'), 'risk.trailing_stop.activate'),
        stop_updates: counted(of('stop_updates'), 'risk.trailing_stop.update'),
        stops_triggered: counted(of('stops_triggered'), 'risk.trailing_stop.trigger'),
        stop_gap:
          of('gaps') === 0 ? undefinedMetric(0, gap, 'no stop fired') : counted(of('gap_bps'), gap, of('gaps'), 'bp'),
      },
    };
  },
};

/** Which limit denied how often, and by which code. */
export const rejections: SectionMaker = {
  needs: { columns: ['limit_type', 'reason_code'], events: ['risk.portfolio_limit.rejection', 'risk.rejection'] },
  make: (query) =>
    table(
      query,
      'rejections',
      'Rejections',
      `SELECT coalesce(limit_type, '-') AS limit_type, coalesce(reason_code, '-') AS reason_code, count(*) AS n
       FROM facts WHERE event IN ('risk.portfolio_limit.rejection', 'risk.rejection') GROUP BY ALL ORDER BY n DESC, 1, 2`,
    ),
};

/** Instruments, each by itself. */
export const symbols: SectionMaker = {
  needs: {
    columns: ['symbol', 'pnl', 'quantity', 'price'],
    events: ['trade.', 'order.placed', 'order.rejected', 'order.filled'],
  },
  make: (query) =>
    table(
      query,
      'symbols',
      'Symbols',
      `SELECT symbol, ${count(event('trade.exit'), 'trades')},
         count(*) FILTER (${CLOSED} AND pnl > 0) AS wins, count(*) FILTER (${CLOSED} AND pnl < 0) AS losses,
         count(*) FILTER (${CLOSED} AND pnl > 0) / NULLIF(count(*) FILTER (${CLOSED}), 0) AS win_rate,
         sum(pnl ORDER BY time_unix_nano, sequence) FILTER (${CLOSED}) AS total_pnl, avg(pnl ORDER BY time_unix_nano, sequence) FILTER (${CLOSED}) AS average_pnl,
         max(pnl) FILTER (${CLOSED}) AS best, min(pnl) FILTER (${CLOSED}) AS worst,
         sum(abs(quantity * price) ORDER BY time_unix_nano, sequence) FILTER (event = 'order.filled') AS turnover,
         ${count(event('order.placed'), 'orders')}, ${count(event('order.rejected'), 'rejected')}
       FROM facts WHERE symbol IS NOT NULL AND (starts_with(event, 'trade.') OR starts_with(event, 'order.')) GROUP BY symbol ORDER BY total_pnl DESC NULLS LAST, symbol`,
    ),
};

/** Errors by what they say. */
export const errors: SectionMaker = {
  needs: { columns: ['error_type'], events: [], errors: true },
  make: (query) =>
    table(
      query,
      'errors',
      'Errors, the most frequent first',
      `SELECT event, coalesce(error_type, '-') AS error_type, body AS message, count(*) AS n,
         strftime(make_timestamp(min(time_unix_nano) // 1000), '%Y-%m-%dT%H:%M:%SZ') AS first,
         strftime(make_timestamp(max(time_unix_nano) // 1000), '%Y-%m-%dT%H:%M:%SZ') AS last
       FROM facts WHERE severity_number >= 17 GROUP BY ALL ORDER BY n DESC, message, event, error_type LIMIT 100`,
    ),
};

/** The errors in numbers. */
export const errorSummary: SectionMaker = {
  needs: { columns: ['error_type'], events: [], errors: true },
  async make(query, bounds) {
    const counts = await one(
      query,
      `SELECT count(*) AS total, count(DISTINCT body) AS messages, count(DISTINCT error_type) AS types, max(n) AS busiest FROM
       (SELECT *, count(*) OVER (PARTITION BY time_unix_nano // 3600000000000) AS n FROM facts WHERE severity_number >= 17)`,
    );
    const total = num(counts['total']);
    const hours = Math.max(1, Math.ceil(Number(bounds.toNs - bounds.fromNs) / 3.6e12));
    return {
      name: 'error_summary',
      title: 'Error summary',
      metrics: {
        total_errors: counted(total, 'records of severity ERROR and above'),
        error_messages: counted(num(counts['messages']), 'different sentences', total),
        error_types: counted(num(counts['types']), 'different error.type', total),
        errors_per_hour: counted(total / hours, `errors / hours of the range (${hours})`, total),
        errors_in_busiest_hour: counted(num(counts['busiest']), 'most errors in one hour (UTC)', total),
      },
    };
  },
};

/** Alerts: how many, how soon over. */
export const alerts: SectionMaker = {
  needs: { columns: ['alert_id', 'alert_title'], events: ['alert.'] },
  async make(query) {
    const counts = await one(
      query,
      `SELECT ${['raised', 'acknowledged', 'resolved', 'dismissed'].map((name) => count(event(`alert.${name}`), name)).join(', ')},
         ${count(`event = 'alert.raised' AND contains(upper(alert_title), 'CLOSE')`, 'close')} FROM facts`,
    );
    const seconds = numbers(
      (
        await query(
          `SELECT (min(time_unix_nano) FILTER (event IN ('alert.resolved', 'alert.dismissed')) - min(time_unix_nano) FILTER (event = 'alert.raised')) / 1e9 AS s
           FROM facts WHERE alert_id IS NOT NULL GROUP BY alert_id HAVING s IS NOT NULL ORDER BY s`,
        )
      ).rows,
    );
    return {
      name: 'alerts',
      title: 'Alerts',
      metrics: {
        raised: counted(num(counts['raised']), 'alert.raised'),
        acknowledged: counted(num(counts['acknowledged']), 'alert.acknowledged'),
        resolved: counted(num(counts['resolved']), 'alert.resolved'),
        dismissed: counted(num(counts['dismissed']), 'alert.dismissed'),
        close_alerts: counted(num(counts['close']), 'alert.raised whose title has CLOSE'),
        mean_resolution: mean(seconds, 'alert.raised to the first alert.resolved or alert.dismissed', 's'),
        p95_resolution: quantile(seconds, 0.95, 's'),
      },
    };
  },
};

/** Which rules raised alerts. */
export const alertRules: SectionMaker = {
  needs: { columns: ['alert_type', 'alert_severity', 'alert_rule'], events: ['alert.'] },
  make: (query) =>
    table(
      query,
      'alert_rules',
      'Rules that raised alerts, the most frequent first',
      `SELECT coalesce(alert_rule, '-') AS rule, coalesce(alert_type, '-') AS type, coalesce(alert_severity, '-') AS severity, count(*) AS n
       FROM facts WHERE event = 'alert.raised' GROUP BY ALL ORDER BY n DESC, 1, 2, 3`,
    ),
};

/** Durations by operation. */
export const performance: SectionMaker = {
  needs: { columns: ['operation', 'duration_ms', 'slow'], events: [], durations: true },
  make: (query) =>
    table(
      query,
      'operations',
      'Durations by operation, in milliseconds',
      `SELECT event, coalesce(operation, '-') AS operation, count(*) AS n, avg(duration_ms) AS mean_ms,
         quantile_cont(duration_ms, 0.5) AS p50_ms, quantile_cont(duration_ms, 0.95) AS p95_ms,
         quantile_cont(duration_ms, 0.99) AS p99_ms, max(duration_ms) AS max_ms, count(*) FILTER (slow OR event = 'performance.latency') AS slow
       FROM facts WHERE duration_ms IS NOT NULL GROUP BY ALL ORDER BY p95_ms DESC, event, operation`,
    ),
};

/** How many of which event. */
export const eventCounts: SectionMaker = {
  needs: { columns: [], events: [], everything: true },
  make: (query) =>
    table(
      query,
      'events',
      'Events',
      `SELECT coalesce(event, '(log line)') AS event, count(*) AS n, ${count('severity_number >= 17', 'errors')} FROM facts GROUP BY 1 ORDER BY n DESC, 1`,
    ),
};

/** Streams of the trail. */
export const streams: SectionMaker = {
  needs: { columns: ['lost_records'], events: ['audit.'], everything: true, streams: true },
  make: (query) =>
    table(
      query,
      'streams',
      'Streams',
      `SELECT coalesce(stream, '(no audit records)') AS stream, count(*) AS records, min(sequence) AS first_sequence, max(sequence) AS last_sequence,
         CASE WHEN stream IS NULL THEN NULL ELSE max(sequence) - min(sequence) + 1 - count(DISTINCT sequence) END AS missing,
         ${count(event('audit.checkpoint'), 'checkpoints')}, ${count(event('audit.recovered'), 'recovered')},
         coalesce(sum(lost_records), 0)::BIGINT AS lost_records, count(*) FILTER (event = 'audit.stream_closed') > 0 AS closed
       FROM facts GROUP BY stream ORDER BY 1`,
    ),
};
