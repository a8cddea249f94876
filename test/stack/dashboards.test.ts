import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dashboards } from '../../grafana/src/index.ts';
import {
  type Count,
  countingQueries,
  type Label,
  labelOf,
  SCOPES,
  type Scope,
  type Where,
} from '../../grafana/src/logql.ts';
import type { AlertEvent } from '../../src/alerting/rule.ts';
import { openTrail } from '../../src/analysis/index.ts';
import { EVENTS } from '../../src/catalog/events.ts';
import { EVENT_FAMILIES, FAMILY_LABEL, GRAVE_LABEL } from '../../src/catalog/families.ts';
import { createSystemClock } from '../../src/core/clock.ts';
import { madeHistory, otlpRequests } from '../support/alert-history.ts';
import { demoRecords, movedTo, otlpRequest } from '../support/dashboard-records.ts';
import { filledIn, readDashboards, type Target } from '../support/dashboards.ts';
import {
  type AskedCollector,
  type AskedServer,
  askCollector,
  askLoki,
  lacksServers,
} from '../support/stack-servers.ts';

const clock = createSystemClock();
const MINUTE_MS = 60_000;
const RANGE_S = 3600;
const STEP_S = 60;
/** Within this time a busy machine has everything in Loki. */
const PATIENCE_MS = 60_000;
/** Records of the demo that never arrive: the third panel of gaps has something to find. */
const LOST: ReadonlySet<number> = new Set([1000, 1001, 2500]);
const STRATEGIES = 20;
const SYMBOLS = 500;
/** As services send them. */
const BATCH = 50;
/** Lines of a Collector's file hold whole batches, which SQL takes apart in memory. */
const SQL_MEMORY_BYTES = 2 ** 31;

/** Of what neither the demo's days nor the history of alerts hold an example, one. */
function rareEvents(endMs: number): readonly AlertEvent[] {
  const common = { 'trading.symbol': 'AAPL', 'trading.account.id': 'ACC-1', 'trading.strategy.id': 'breakout' };
  const rare: readonly (readonly [string, Readonly<Record<string, unknown>>])[] = [
    [
      'audit.health',
      {
        'audit.health.backlog_records': 12,
        'audit.health.backlog_bytes': 9000,
        'audit.health.backlog_seconds': 2.5,
        'audit.health.lost_records': 0,
        'audit.health.waiting_records': 3,
        'audit.health.rejected_records': 1,
      },
    ],
    ['audit.recovered', { 'audit.recovered.records': 900, 'audit.recovered.cut_bytes': 17 }],
    [
      'risk.circuit_breaker.failure',
      {
        'risk.circuit_breaker.name': 'venue',
        'risk.circuit_breaker.failure_count': 4,
        'risk.circuit_breaker.failure_threshold': 5,
        'risk.circuit_breaker.failure_rate': 0.4,
        'risk.circuit_breaker.slow_call_rate': 0.1,
      },
    ],
    [
      'risk.circuit_breaker.not_permitted',
      { 'risk.circuit_breaker.name': 'venue', 'risk.reason.code': 'BREAKER_OPEN' },
    ],
    ['risk.portfolio_heat_warning', { 'risk.heat': 7, 'risk.heat.max': 8 }],
    ['risk.rejection', { ...common, 'risk.reason.code': 'STOP_TOO_NEAR' }],
    ['trade.take_profit_hit', { ...common, 'trading.pnl': 12.5 }],
    ['trade.stop_loss_hit', { ...common, 'trading.pnl': -8.25 }],
    ['order.cancelled', common],
    ['api.rate_limit', { operation: 'place_order', 'trading.venue': 'x', 'api.rate_limit.remaining': 0 }],
    ['api.retry_attempt', { operation: 'place_order', 'retry.count': 1 }],
    ['api.error', { operation: 'place_order', 'error.type': 'Timeout' }],
    ['performance.latency', { operation: 'size', 'timing.duration_ms': 250, 'timing.threshold_ms': 100 }],
    ['risk.kill_switch', { 'risk.actor': 'kim', 'risk.reason': 'drill', 'risk.scope': 'global' }],
    ['config.limits_changed', { 'risk.actor': 'kim', 'risk.reason': 'review' }],
  ];
  return rare.map(([name, attributes], index) => ({
    name,
    attributes,
    timeMs: endMs - (index + 1) * MINUTE_MS,
    severityNumber: 13,
    service: 'rare-bot',
    recordId: `rare-${index}`,
  }));
}

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** A label as SQL has it; '' where a record lacks it, as LogQL sees it. */
function column(label: Label): string {
  if (label === 'service_name') return 'service';
  if (label === 'event_name') return 'event';
  if (label === 'trace_id' || label === 'severity_number') return label;
  return `coalesce(attributes[${literal(label)}], '')`;
}

function condition({ attribute, is, values }: Where): string {
  const list = values.map((value) => literal(String(value))).join(', ');
  if (is === 'in') return `${column(attribute)} IN (${list})`;
  if (is === 'not') return `${column(attribute)} NOT IN (${list})`;
  return `${column(attribute)} ${is} ${values[0]}`;
}

/** The same count, asked of the trail. */
function countSql(
  { events = [], where = [], scopes = [], by }: Count,
  chosen: Readonly<Record<string, string>>,
): string {
  const filters = [
    'time_unix_nano > CAST($from AS BIGINT) AND time_unix_nano <= CAST($to AS BIGINT)',
    ...(events.length === 0 ? [] : [`event IN (${events.map(literal).join(', ')})`]),
    ...where.map(condition),
    ...scopes
      .filter((scope) => chosen[scope] !== undefined)
      .map((scope) => `${column(SCOPES[scope])} = ${literal(chosen[scope]!)}`),
  ];
  const keys = by.map(column);
  const { service } = chosen;
  const groups = service === undefined ? keys : [...keys, 'service'];
  const grouped = groups.length === 0 ? '' : ` GROUP BY ${groups.join(', ')}`;
  const own = service === undefined ? '' : ` HAVING any_value(service) = ${literal(service)}`;
  return `SELECT ${['count(*)', ...keys].join(', ')} FROM events WHERE ${filters.join(' AND ')}${grouped}${own}`;
}

interface Vector {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

describe.skipIf(lacksServers('otelcol', 'loki'))('the dashboards over a real Collector and a real Loki', () => {
  let directory: string;
  let loki: AskedServer;
  let collector: AskedCollector;
  let endMs: number;
  let sent = 0;

  async function send(request: object): Promise<void> {
    const answer = await fetch(`${collector.endpoint}/v1/logs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(request),
    });
    expect([answer.status, await answer.text()]).toEqual([200, '{"partialSuccess":{}}']);
  }

  async function ask<T>(query: string, instant: boolean): Promise<readonly T[]> {
    const nanos = (ms: number) => `${BigInt(Math.round(ms)) * 1_000_000n}`;
    const parameters = instant
      ? { query, time: nanos(endMs) }
      : { query, start: nanos(endMs - RANGE_S * 1000), end: nanos(endMs), step: `${STEP_S}s`, limit: '500' };
    const path = instant ? 'query' : 'query_range';
    const answer = await fetch(`${loki.endpoint}/loki/api/v1/${path}?${new URLSearchParams(parameters)}`);
    const text = await answer.text();
    expect([query, answer.status, answer.ok ? '' : text]).toEqual([query, 200, '']);
    const { status, data } = JSON.parse(text) as { status: string; data: { result: readonly T[] } };
    expect(status).toBe('success');
    return data.result;
  }

  async function allInLoki(): Promise<void> {
    const all = `sum(count_over_time({service_name=~".+"} [${RANGE_S}s]))`;
    const deadlineMs = clock.now() + PATIENCE_MS;
    let held = 0;
    while (held < sent && clock.now() < deadlineMs) {
      held = Number((await ask<Vector>(all, true))[0]?.value[1] ?? 0);
      if (held < sent) await sleep(200);
    }
    expect(held).toBe(sent);
  }

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'risktrail-dashboards-'));
    // What is older than some hours is in its memory, too: it has just begun.
    loki = await askLoki(directory, { LOKI_QUERY_INGESTERS_WITHIN: '168h' });
    collector = await askCollector(directory, loki);
    endMs = Math.floor(clock.now()) - 10_000;
    const demo = movedTo(await demoRecords(join(directory, 'demo'), 250), endMs, 50 * MINUTE_MS);
    const arrived = demo.filter((_, index) => !LOST.has(index));
    for (let from = 0; from < arrived.length; from += BATCH) {
      await send(otlpRequest('risktrail-demo', arrived.slice(from, from + BATCH)));
    }
    const made = [...madeHistory(endMs - MINUTE_MS, 7, 1500, 49 * MINUTE_MS), ...rareEvents(endMs)];
    for (let from = 0; from < made.length; from += BATCH) {
      for (const request of otlpRequests(made.slice(from, from + BATCH))) await send(request);
    }
    sent = arrived.length + made.length;
    await allInLoki();
  }, 180_000);
  afterAll(async () => {
    await collector?.stop();
    await loki?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  it('every panel’s query succeeds and has something to show', async () => {
    const targets = readDashboards().flatMap((dashboard) =>
      dashboard.panels.flatMap(({ title, targets: own = [] }) =>
        own
          .filter(({ datasource }) => datasource.uid === 'loki')
          .map((target): readonly [string, Target] => {
            return [`${dashboard.file}: ${title} ${target.refId}`, target];
          }),
      ),
    );
    expect(targets.length).toBeGreaterThan(70);
    const [halt] = await ask<{ stream: Record<string, string> }>(
      '{service_name="risktrail-demo"} | event_name="risk.trading_state_change" | correlation_id!=""',
      false,
    );
    const empty: string[] = [];
    for (const [name, { expr = '', queryType }] of targets) {
      const query = filledIn(expr, RANGE_S, STEP_S, { id: halt!.stream['correlation_id']! });
      if ((await ask(query, queryType === 'instant')).length === 0) empty.push(name);
      // A chart's query is also asked for its last value, a figure's over time: by Explore, and by whoever edits the panel.
      if (query.startsWith('{')) continue;
      await ask(query, queryType !== 'instant');
    }
    expect(empty).toEqual([]);
  }, 120_000);

  it('annotations and the variable of services find what they are about', async () => {
    for (const { annotations } of readDashboards()) {
      for (const { name, expr } of annotations.list) {
        const found = await ask(filledIn(expr, RANGE_S, STEP_S), false);
        expect([name, found.length > 0]).toEqual([name, true]);
      }
    }
    const answer = await fetch(`${loki.endpoint}/loki/api/v1/label/service_name/values`);
    const { data } = (await answer.json()) as { data: readonly string[] };
    expect(data).toEqual(expect.arrayContaining(['bot', 'rare-bot', 'risktrail-demo']));
  });

  it.each([
    { what: 'everything', chosen: {} },
    { what: 'one service', chosen: { service: 'risktrail-demo' } },
    { what: 'one strategy', chosen: { strategy: 'trend-20' } },
    { what: 'one symbol and account', chosen: { symbol: 'SPX', account: 'DEMO-1' } },
    { what: 'one breaker', chosen: { breaker: 'book' } },
  ] as const)(
    'counts are what SQL counts in the audit file: $what',
    async ({ chosen }) => {
      expect(dashboards().size).toBeGreaterThan(0);
      await using trail = openTrail(collector.auditFiles(), { memoryBytes: SQL_MEMORY_BYTES });
      const parameters = {
        from: `${BigInt(endMs - RANGE_S * 1000) * 1_000_000n}`,
        to: `${BigInt(endMs) * 1_000_000n}`,
      };
      let counted = 0;
      const narrowing = Object.keys(chosen).filter((name): name is Scope => name !== 'service');
      for (const [query, count] of countingQueries()) {
        // What a choice does not narrow down is counted with the first.
        if (narrowing.some((scope) => !count.scopes?.includes(scope))) continue;
        if (narrowing.length === 0 && 'service' in chosen && count.scopes !== undefined) continue;
        const byLoki = (await ask<Vector>(filledIn(query, RANGE_S, STEP_S, chosen), true)).map(({ metric, value }) =>
          [Number(value[1]), ...count.by.map((label) => metric[labelOf(label)] ?? '')].join(' '),
        );
        const { rows } = await trail.sql(countSql(count, chosen), parameters);
        const bySql = rows.map((row) => row.map(String).join(' ')).filter((line) => line !== '0');
        expect({ query, rows: byLoki.sort() }).toEqual({ query, rows: bySql.sort() });
        counted += byLoki.length;
      }
      expect(countingQueries().size).toBeGreaterThan(20);
      expect(counted).toBeGreaterThan(2);
    },
    120_000,
  );

  it('shares are quotients of counts', async () => {
    const panel = readDashboards()
      .flatMap(({ panels }) => panels)
      .find(({ title }) => title === 'What share was rejected?')!;
    const shares = await ask<Vector>(filledIn(panel.targets![0]!.expr!, RANGE_S, STEP_S), true);
    expect(shares.length).toBeGreaterThan(1);
    for (const { metric, value } of shares) {
      const count = async (events: string) => {
        const records = `{service_name="${metric['service_name']}"} | event_name=~"${events}"`;
        return Number((await ask<Vector>(`sum(count_over_time(${records} [${RANGE_S}s]))`, true))[0]?.value[1] ?? 0);
      };
      expect(Number(value[1])).toBeCloseTo(
        (await count('order.rejected')) / (await count('order.(placed|rejected)')),
        12,
      );
    }
  });

  it('records that never arrived are counted as missing', async () => {
    const panel = readDashboards()
      .flatMap(({ panels }) => panels)
      .find(({ title }) => title.startsWith('Which numbers are missing'))!;
    const found = await ask<Vector>(filledIn(panel.targets![0]!.expr!, RANGE_S, STEP_S), true);
    expect(found.map(({ value }) => Number(value[1]))).toEqual([LOST.size]);
  });

  it('keeps to fewer than 50 streams with 20 strategies and 500 symbols', async () => {
    // Every strategy trades every symbol, and every event of the catalogue comes, grave and not.
    const names = Object.keys(EVENTS);
    const busy = Array.from({ length: STRATEGIES * SYMBOLS }, (_, index): AlertEvent => {
      const attributes = {
        'trading.symbol': `SYM${index % SYMBOLS}`,
        'trading.strategy.id': `strategy-${Math.floor(index / SYMBOLS)}`,
        'trading.side': 'buy',
        'trading.quantity': 1,
      };
      const timeMs = endMs - 40 * MINUTE_MS + index;
      return {
        name: names[index % names.length]!,
        timeMs,
        severityNumber: index % (2 * names.length) < names.length ? 9 : 13,
        service: 'busy-bot',
        recordId: `busy-${index}`,
        attributes,
      };
    });
    for (let from = 0; from < busy.length; from += 1000) {
      for (const request of otlpRequests(busy.slice(from, from + 1000))) await send(request);
    }
    sent += busy.length;
    await allInLoki();
    const start = `${BigInt(endMs - RANGE_S * 1000) * 1_000_000n}`;
    const parameters = new URLSearchParams({ 'match[]': '{service_name="busy-bot"}', start });
    const answer = await fetch(`${loki.endpoint}/loki/api/v1/series?${parameters}`);
    const { data } = (await answer.json()) as { data: readonly Readonly<Record<string, string>>[] };
    expect(new Set(data.flatMap((labels) => Object.keys(labels)))).toEqual(
      new Set(['service_name', FAMILY_LABEL, GRAVE_LABEL]),
    );
    expect(data.length).toBe(2 * EVENT_FAMILIES.length);
    expect(data.length).toBeLessThan(50);
  });
});
