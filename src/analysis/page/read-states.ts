/** States, limits and durations. */
import { msOf } from './format.ts';
import { AT, filterOf, num, periodSql, type Row, str, within } from './page-sql.ts';
import type { HeatCell, Latency, LimitTotal, PageSource, Scope, StateLane } from './page-types.ts';
import type { StateAt } from './timeline.ts';

/** Classes of durations to a factor of ten. */
export const LATENCY_CLASSES = 5;

export async function readLanes(source: PageSource, scope: Scope): Promise<StateLane[]> {
  const upTo = `${AT} <= ${scope.toNs}`;
  const trading = await source.sql(
    `SELECT coalesce(scope, 'global'), ${AT}, attributes['risk.trading_state.new'], attributes['risk.trading_state.old'], NULL, stream
     FROM events WHERE event IN ('risk.trading_state_change', 'risk.trading_state_snapshot') AND attributes['risk.trading_state.new'] IS NOT NULL AND ${upTo}
     ORDER BY stream, ${AT}, sequence`,
  );
  const breakers = await source.sql(
    `SELECT name, ${AT}, new_state, old_state, epoch_ms(TRY_CAST("at" AS TIMESTAMPTZ)), stream FROM breakers
     WHERE name IS NOT NULL AND new_state IS NOT NULL AND ${upTo} ORDER BY stream, ${AT}, sequence`,
  );
  return [...lanesOf('trading', trading.rows), ...lanesOf('breaker', breakers.rows)];
}

/**
 * One lane a name: a service that was restarted goes on in another stream. Where streams of one name overlap in time, as those
 * of several processes do, each has a lane of its own.
 */
function lanesOf(kind: StateLane['kind'], rows: readonly Row[]): StateLane[] {
  const names = new Map<string, Map<string, StateAt[]>>();
  for (const [name, at, state, old, effective, stream] of rows) {
    const streams = names.get(String(name)) ?? new Map<string, StateAt[]>();
    names.set(String(name), streams);
    const changes = streams.get(String(stream)) ?? [];
    streams.set(String(stream), changes);
    // What time alone brings about took effect when it was due, which may be before it was noticed.
    const recorded = msOf(at);
    const ms = effective === null || effective === undefined ? recorded : Math.min(recorded, Number(effective));
    changes.push({ ms, state: String(state), old: str(old) });
  }
  return [...names].flatMap(([name, streams]) => {
    const lists = [...streams].sort(([, a], [, b]) => a[0]!.ms - b[0]!.ms);
    const overlap = lists.some(([, list], at) => at > 0 && list[0]!.ms < lists[at - 1]![1].at(-1)!.ms);
    if (!overlap) return [{ kind, name, changes: lists.flatMap(([, list]) => list) }];
    return lists.map(([stream, changes]) => ({ kind, name: `${name} (${stream.slice(-8)})`, changes }));
  });
}

export async function readHeat(source: PageSource, scope: Scope): Promise<{ heat: HeatCell[]; limits: LimitTotal[] }> {
  const { sql, parameters } = filterOf(scope, ['symbol', 'strategy', 'account']);
  const rows = `FROM limit_results WHERE type IS NOT NULL AND ${within(scope)}${sql}`;
  const cells = await source.sql(
    `SELECT type, ${periodSql(scope.unit)} AS period, max(utilization), count(*), arg_max(${AT}, (utilization, -${AT})),
      count(*) FILTER (utilization >= 0.8) ${rows} GROUP BY type, period ORDER BY 1, 2`,
    parameters,
  );
  const denied = await source.sql(
    `SELECT limit_type, ${periodSql(scope.unit)} AS period, count(*) FROM limits
     WHERE event = 'risk.portfolio_limit.rejection' AND limit_type IS NOT NULL AND rule_mode IS DISTINCT FROM 'observe' AND ${within(scope)}${sql} GROUP BY ALL ORDER BY 1, 2`,
    parameters,
  );
  const cellOf = new Map<string, HeatCell>();
  for (const [limit, period, utilization] of cells.rows) {
    cellOf.set(`${limit}|${period}`, {
      limit: String(limit),
      periodMs: Number(period),
      utilization: num(utilization),
      denied: 0,
    });
  }
  const deniedBy = new Map<string, number>();
  for (const [limit, period, n] of denied.rows) {
    const key = `${limit}|${period}`;
    const cell = cellOf.get(key) ?? { limit: String(limit), periodMs: Number(period), utilization: null, denied: 0 };
    cellOf.set(key, { ...cell, denied: Number(n) });
    deniedBy.set(String(limit), (deniedBy.get(String(limit)) ?? 0) + Number(n));
  }
  const limits = new Map<string, LimitTotal>();
  const total = (limit: string): LimitTotal =>
    limits.get(limit) ?? {
      limit,
      results: 0,
      highest: null,
      highestMs: null,
      warm: 0,
      denied: deniedBy.get(limit) ?? 0,
    };
  for (const [name, , highest, results, at, warm] of cells.rows) {
    const limit = String(name);
    const before = total(limit);
    const higher = highest !== null && Number(highest) > (before.highest ?? Number.NEGATIVE_INFINITY);
    limits.set(limit, {
      ...before,
      results: before.results + Number(results),
      warm: before.warm + Number(warm),
      ...(higher ? { highest: Number(highest), highestMs: msOf(at) } : {}),
    });
  }
  for (const limit of deniedBy.keys()) limits.set(limit, total(limit));
  return { heat: [...cellOf.values()], limits: [...limits.values()] };
}

const QUANTILES = [0.5, 0.95, 0.99].map((q) => `quantile_cont(duration_ms, ${q})`).join(', ');

export async function readLatency(source: PageSource, scope: Scope): Promise<Latency> {
  const { sql, parameters } = filterOf(scope, ['symbol', 'strategy', 'account']);
  const { rows } = await source.sql(
    `WITH d AS MATERIALIZED (SELECT event, operation, duration_ms FROM events WHERE duration_ms >= 0 AND ${within(scope)}${sql})
     SELECT 'all', NULL, NULL, NULL, count(*), ${QUANTILES}, max(duration_ms) FROM d
     UNION ALL (SELECT 'operation', NULL, event, operation, count(*), ${QUANTILES}, max(duration_ms) FROM d GROUP BY event, operation)
     UNION ALL (SELECT 'class', CASE WHEN duration_ms > 0 THEN floor(log10(duration_ms) * ${LATENCY_CLASSES} + 1e-9) END AS class, NULL, NULL, count(*), NULL, NULL, NULL, NULL FROM d GROUP BY class)`,
    parameters,
  );
  const of = (kind: string) => rows.filter(([name]) => name === kind);
  const spread = (row: Row) => ({
    n: Number(row[4]),
    p50: Number(row[5]),
    p95: Number(row[6]),
    p99: Number(row[7]),
    max: Number(row[8]),
  });
  const [all] = of('all');
  return {
    classes: of('class')
      .map((row) => ({ at: num(row[1]), n: Number(row[4]) }))
      .sort((a, b) => (a.at ?? Number.NEGATIVE_INFINITY) - (b.at ?? Number.NEGATIVE_INFINITY)),
    operations: of('operation')
      .map((row) => ({ event: str(row[2]) ?? '(log line)', operation: str(row[3]), ...spread(row) }))
      .sort((a, b) => b.n - a.n || (`${a.event} ${a.operation}` < `${b.event} ${b.operation}` ? -1 : 1)),
    all: all === undefined || Number(all[4]) === 0 ? undefined : spread(all),
  };
}
