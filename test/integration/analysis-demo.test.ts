import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FlatRecord } from '../../src/analysis/flat-record.ts';
import { openTrail, type Report, type SqlValue, type Trail } from '../../src/analysis/index.ts';
import { textTable } from '../../src/analysis/text-table.ts';
import { addExplainCommand } from '../../src/cli/commands/explain.ts';
import { addExportCommand } from '../../src/cli/commands/export.ts';
import { addQueryCommand } from '../../src/cli/commands/query.ts';
import { addReplayCommand } from '../../src/cli/commands/replay.ts';
import { addReportCommand } from '../../src/cli/commands/report.ts';
import { addStateCommand } from '../../src/cli/commands/state.ts';
import type { RunningServer } from '../../src/server/serve.ts';
import { ask, closeTestServers, post, startTestServer } from '../support/serve.ts';
import { type LineOptions, line, put, STREAM_B, segmentPath } from '../support/trail-lines.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const PAGE = readFileSync(join(ROOT, 'docs/questions.md'), 'utf8');

interface Question {
  readonly title: string;
  readonly command: string;
  readonly output: string;
}
const QUESTIONS: readonly Question[] = [
  ...PAGE.matchAll(/^### (.+)\n\n```sh\n([^`]+)\n```\n\n```text\n([^`]*?)\n?```$/gm),
].map(([, title, command, output]) => ({ title: title!, command: command!, output: output! }));

type Rows = (records: readonly FlatRecord[]) => readonly (readonly SqlValue[])[];
const n = (value: unknown) => Number(value);
const event = (name: string) => (one: FlatRecord) => one.event === name;
const us = (one: FlatRecord) => `${one.timestamp.slice(0, 26)}Z`;
const text = (value: unknown) => (value ?? null) as SqlValue;
const isRisk = (one: FlatRecord) => /^risk\.(circuit_breaker|trailing_stop|portfolio_limit)\./.test(one.event!);
const msOf = (one: FlatRecord) => Date.parse(`${one.timestamp.slice(0, 23)}Z`);
/** Alerts in the order in which they were raised, with where they stand and what ended them. */
const alertsOf = (records: readonly FlatRecord[]) =>
  records.filter(event('alert.raised')).map((raised) => {
    const after = records.filter((one) => one['alert.id'] === raised['alert.id'] && one !== raised);
    const ended = after.find((one) => one.event === 'alert.resolved' || one.event === 'alert.dismissed');
    const last = after.at(-1)?.event ?? 'alert.active';
    return { raised, ended, status: last.slice('alert.'.length).toUpperCase() };
  });
const isError = (one: FlatRecord) => one.severity_number >= 17;
const between = (from: string, to: string) => (one: FlatRecord) => one.timestamp >= from && one.timestamp <= to;
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
const pick =
  (test: (one: FlatRecord) => boolean, show: (one: FlatRecord) => readonly SqlValue[], limit?: number): Rows =>
  (records) =>
    records.filter(test).slice(0, limit).map(show);
const count =
  (test: (one: FlatRecord) => boolean): Rows =>
  (records) => [[records.filter(test).length]];
/** Groups, the largest first, equal ones by key (or by key alone). */
const grouped =
  (test: (one: FlatRecord) => boolean, key: (one: FlatRecord) => string, byKey = false, limit?: number): Rows =>
  (records) => {
    const counts = new Map<string, number>();
    for (const one of records.filter(test)) counts.set(key(one), (counts.get(key(one)) ?? 0) + 1);
    const order = (a: string, b: string) => (a < b ? -1 : 1);
    return [...counts].sort((a, b) => (byKey ? order(a[0], b[0]) : b[1] - a[1] || order(a[0], b[0]))).slice(0, limit);
  };
const SHORT: Readonly<Record<string, string>> = {
  'risk.position_size_calculated': 'position_size_calculated',
  'risk.position_size_capped': 'position_size_capped',
  'strategy.signal_processed': 'signal_processing',
  'system.health_check': 'health_check',
  'trade.take_profit_hit': 'take_profit_hit',
  'trade.stop_loss_hit': 'stop_loss_hit',
};
const type = (one: FlatRecord) =>
  SHORT[one.event!] ??
  one.event!.replace(/^risk\.(?=circuit_breaker|trailing_stop|portfolio_limit\.)/, '').replaceAll('.', '_');
const exit2008 = (one: FlatRecord) =>
  one.event === 'trade.exit' && one.timestamp >= '2008-01-01' && one.timestamp <= '2008-12-31T00:00:00.000000000Z';
const distinct = (records: readonly FlatRecord[], key: string) =>
  new Set(records.map((one) => one[key]).filter((one) => one !== undefined)).size;

/** Which seed asks a question, by the first question of each part of the page. */
const SEED_FROM: Readonly<Record<string, string>> = {
  'How many there are': 'seed 000',
  'Why did trading halt': 'seed 001',
  'What each log file would hold': 'seed 002',
  'How many of which event': 'seed 003',
  'Trades, win rate, result': 'seed 004',
};
let seed = '';
/** Title → `seed 00N: title`. */
const NAMED = new Map(
  QUESTIONS.map(({ title }) => {
    seed = SEED_FROM[title] ?? seed;
    return [title, `${seed}: ${title}`];
  }),
);

/** What each query must answer, by a plain loop over the events. */
const EXPECTED: Readonly<Record<string, Rows>> = {
  'How many there are': count(isRisk),
  'The first of them': pick(isRisk, (one) => [us(one), type(one), one.component], 5),
  'All state changes of circuit breakers': pick(
    event('risk.circuit_breaker.state_change'),
    (one) => [
      us(one),
      text(one['risk.circuit_breaker.state.old']),
      text(one['risk.circuit_breaker.state.new']),
      text(one['risk.circuit_breaker.failure_count']),
    ],
    5,
  ),
  'Trailing stops that fired': pick(
    event('risk.trailing_stop.trigger'),
    (one) => [
      us(one),
      text(one['trading.execution.id']),
      text(one['risk.trailing_stop.stop_price']),
      text(one['risk.trailing_stop.peak_price']),
    ],
    5,
  ),
  'Entries that the limits rejected': pick(
    event('risk.portfolio_limit.rejection'),
    (one) => [
      us(one),
      text(one['risk.limit.type']),
      text(one['risk.limit.current']),
      text(one['risk.limit.max']),
      text(one['risk.reason']),
    ],
    3,
  ),
  'Events since a point in time': count((one) => isRisk(one) && one.timestamp > '2020-04-16T20:00:00.000000000Z'),
  'How its stop got there': pick(
    (one) => one['trading.execution.id'] === 'trend-20-2020-03-13' && one.event!.startsWith('risk.trailing_stop.'),
    (one) => [
      us(one),
      type(one),
      text(one['risk.trailing_stop.current_price']),
      text(one['risk.trailing_stop.peak_price']),
      text(one['risk.trailing_stop.stop_price']),
    ],
  ),
  'How often did we hit each limit': grouped(event('risk.portfolio_limit.rejection'), (one) =>
    String(one['risk.limit.type']),
  ),
  'Which share of entries was rejected': (records) => {
    const checks = records.filter(event('risk.portfolio_limit.check'));
    const denied = checks.filter((one) => one['risk.decision'] === 'deny').length;
    return [[denied, checks.length, denied / checks.length]];
  },
  'How often does each breaker open': grouped(
    (one) => one.event === 'risk.circuit_breaker.state_change' && one['risk.circuit_breaker.state.new'] === 'OPEN',
    (one) => String(one['risk.circuit_breaker.name']),
    true,
  ),
  'In which state was each breaker before a crash': (records) => {
    const states = new Map<string, string>();
    for (const one of records) {
      if (one['risk.circuit_breaker.state.new'] !== undefined && one.timestamp <= '2020-03-13T19:30:00.000000000Z') {
        states.set(String(one['risk.circuit_breaker.name']), String(one['risk.circuit_breaker.state.new']));
      }
    }
    return [...states].sort();
  },
  'Where did the stops stand': (records) => {
    const levels = new Map<string, SqlValue>();
    for (const one of records) {
      const id = one['risk.trailing_stop.id'];
      if (
        id === undefined ||
        !one.event!.startsWith('risk.trailing_stop.') ||
        one.timestamp > '2008-10-01T00:00:00.000000000Z'
      )
        continue;
      if (/trigger$|remove$/.test(one.event!)) levels.delete(String(id));
      else levels.set(String(id), text(one['risk.trailing_stop.stop_price'] ?? levels.get(String(id))));
    }
    return [...levels].sort();
  },
  'How many failures came before that': count(
    (one) =>
      one.event === 'risk.circuit_breaker.failure' &&
      between('2020-03-13T18:23', '2020-03-13T19:23:00.000000000Z')(one),
  ),
  'Stops against take-profits': (records) => [
    [records.filter(event('trade.stop_loss_hit')).length, records.filter(event('trade.take_profit_hit')).length],
  ],
  'Which share of trades hit a breaker': (records) => {
    const hit = records.filter(
      (one) =>
        one.event === 'risk.circuit_breaker.not_permitted' ||
        (one.event === 'risk.circuit_breaker.state_change' && one['risk.circuit_breaker.state.new'] === 'OPEN'),
    );
    return [
      [distinct(hit, 'trading.execution.id') / distinct(records.filter(event('order.intent')), 'trading.execution.id')],
    ];
  },
  'How many stops came as far as their activation': (records) => [
    [
      distinct(records.filter(event('risk.trailing_stop.activate')), 'risk.trailing_stop.id') /
        distinct(records.filter(event('risk.trailing_stop.add')), 'risk.trailing_stop.id'),
    ],
  ],
  'What the entries that were denied would have moved': (records) => {
    const denied = records.filter(
      (one) => one.event === 'risk.portfolio_limit.check' && one['risk.decision'] === 'deny',
    );
    return [[denied.length, sum(denied.map((one) => n(one['trading.quantity']) * n(one['trading.price'])))]];
  },
  'How many alerts said CLOSE': count(
    (one) => one.event === 'alert.raised' && String(one['alert.title']).includes('CLOSE'),
  ),
  'Which rules raised most alerts': grouped(event('alert.raised'), (one) => String(one['alert.rule'])),
  'How long alerts took': (records) => {
    const seconds = alertsOf(records).flatMap(({ raised, ended }) =>
      ended === undefined ? [] : [msOf(ended) - msOf(raised)],
    );
    return [[seconds.length, seconds.length === 0 ? null : sum(seconds) / seconds.length / 1000]];
  },
  'The history of alerts': (records) =>
    alertsOf(records)
      .slice(0, 5)
      .map(({ raised, status }) => [
        us(raised),
        text(raised['alert.type']),
        text(raised['alert.severity']),
        status,
        text(raised['alert.title']),
        text(raised['alert.rule']),
      ]),
  'How far one limit was used, year by year': (records) => {
    const most = new Map<string, number>();
    for (const one of records.filter(event('risk.portfolio_limit.check'))) {
      const at = ((one['risk.limits.type'] ?? []) as readonly string[]).indexOf('drawdown');
      const used = ((one['risk.limits.utilization'] ?? []) as readonly number[])[at];
      const year = one.timestamp.slice(0, 4);
      if (used !== undefined) most.set(year, Math.max(most.get(year) ?? 0, used));
    }
    return [...most].sort().slice(0, 5);
  },
  'How often was each limit used by half and more': (records) => {
    const counts = new Map<string, number>();
    for (const one of records.filter(event('risk.portfolio_limit.check'))) {
      const types = (one['risk.limits.type'] ?? []) as readonly string[];
      ((one['risk.limits.utilization'] ?? []) as readonly number[]).forEach((used, at) => {
        if (used >= 0.5) counts.set(types[at]!, (counts.get(types[at]!) ?? 0) + 1);
      });
    }
    return [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  },
  'What each log file would hold': (records) => {
    const counts = new Map<string, number>();
    for (const name of records.flatMap(({ category }) => category)) counts.set(name, (counts.get(name) ?? 0) + 1);
    return [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  },
  'One account': count((one) => one['trading.account.id'] === 'DEMO-1'),
  'Operations slower than 100 ms': pick(
    (one) => n(one['timing.duration_ms']) > 100,
    (one) => [text(one['operation']), text(one['timing.duration_ms'])],
  ),
  'One correlation id, through all layers': pick(
    (one) => one['correlation.id'] === 'b18b6f0e-f4d2-90ef-3c74-911f4ac934d6',
    (one) => [one.event],
  ),
  'Breaches and enforcement of an account': grouped(
    (one) => one.category.includes('enforcement') && one['trading.account.id'] === 'DEMO-1',
    (one) => one.event!,
    true,
  ),
  'A trade through the pipeline': (records) => {
    const id = records.find(event('strategy.signal_processed'))!['correlation.id'];
    return records.filter((one) => one['correlation.id'] === id).map((one) => [one.event]);
  },
  'API calls slower than 200 ms': pick(
    (one) => one.event === 'api.call' && n(one['timing.duration_ms']) > 200,
    (one) => [text(one['operation']), text(one['timing.duration_ms']), text(one['api.endpoint'])],
  ),
  'Errors, the most frequent first': grouped(isError, (one) => one.body, false, 5),
  'How many of which event': grouped(() => true, type, false, 5),
  'All rejections of signals': pick(
    event('risk.rejection'),
    (one) => [us(one), text(one['trading.symbol']), text(one['risk.reason'])],
    2,
  ),
  'All trades that were entered': count(event('trade.entry')),
  'All trades that were executed, and that failed': (records) => [
    [records.filter(event('trade.executed')).length, records.filter(event('trade.execution_failed')).length],
  ],
  'One symbol': count((one) => one['trading.symbol'] === 'SPX'),
  'A range of time': pick(
    (one) =>
      one['trading.symbol'] === 'SPX' &&
      between('2020-03-13T19:00:00.000000000Z', '2020-03-13T19:10:00.000000000Z')(one),
    (one) => [one.event],
  ),
  'Everything about position sizes': grouped((one) => type(one).includes('position_size'), type, true),
  'What was cut from position sizes': pick(
    event('risk.position_size_capped'),
    (one) => [us(one), String(one['risk.position.requested_quantity']), String(one['trading.quantity'])],
    3,
  ),
  'Errors and rejections': grouped((one) => /error|rejection|rejected/.test(type(one)), type, true),
  'The trades of a day': pick(
    (one) => one.event === 'trade.exit' && one.timestamp.startsWith('2008-10-13'),
    (one) => [us(one), one.body],
  ),
  'Why signals were rejected': grouped(event('risk.rejection'), (one) => String(one['risk.reason.code'])),
  'How often a size was cut': count(event('risk.position_size_capped')),
  'Share of orders that were rejected': (records) => {
    const rejected = records.filter(event('order.rejected')).length;
    const placed = records.filter(event('order.placed')).length;
    return [[rejected, placed, rejected / (placed + rejected)]];
  },
  'The last ten events of orders and trades': (records) =>
    records
      .filter((one) => /^(order|trade)\./.test(one.event!))
      .slice(-10)
      .reverse()
      .map((one) => [type(one)]),
  'Around one minute': pick(
    (one) => one['trading.symbol'] === 'SPX' && one.timestamp.startsWith('2020-03-13T19:23'),
    (one) => [one.event],
  ),
  'Trades, win rate, result': (records) => {
    const results = records.filter(exit2008).map((one) => n(one['trading.pnl']));
    return [
      [results.length, results.filter((one) => one > 0).length / results.length, Math.round(sum(results) * 100) / 100],
    ];
  },
  'Sharpe ratio of daily results': (records) => {
    const days = dailySums(records.filter(exit2008));
    return [[plainSharpe(days)]];
  },
  'Errors of an hour': count(
    (one) => isError(one) && between('2020-03-13T19:00', '2020-03-13T20:00:00.000000000Z')(one),
  ),
  'Errors, hour by hour': grouped(isError, (one) => one.timestamp.slice(0, 13), false, 3),
  'Risk violations, day by day': grouped(
    (one) =>
      (one.event === 'risk.portfolio_limit.check' && one['risk.decision'] === 'deny') ||
      ['risk.limit_hit', 'risk.daily_loss_limit', 'enforcement.breach'].includes(one.event!),
    (one) => one.timestamp.slice(0, 10),
    false,
    3,
  ),
  'Health checks that were good': (records) => {
    const checks = records.filter(event('system.health_check'));
    return [[checks.filter((one) => one['system.status'] === 'healthy').length, checks.length]];
  },
  'One session': grouped((one) => one['trading.session.id'] === 'session_001', type, true),
  'Mean API latency': (records) => {
    const calls = records.filter((one) => one.event === 'api.call' || one.event === 'api.error');
    return [
      [calls.length, calls.length === 0 ? null : sum(calls.map((one) => n(one['timing.duration_ms']))) / calls.length],
    ];
  },
};

function dailySums(exits: readonly FlatRecord[]): number[] {
  const days = new Map<string, number>();
  for (const one of exits) {
    const day = one.timestamp.slice(0, 10);
    days.set(day, (days.get(day) ?? 0) + n(one['trading.pnl']));
  }
  return [...days.values()];
}
function plainSharpe(values: readonly number[]): number {
  const mean = sum(values) / values.length;
  const variance = sum(values.map((one) => (one - mean) ** 2)) / (values.length - 1);
  return (mean / Math.sqrt(variance)) * Math.sqrt(252);
}

let dir: string;
let trail: Trail;
const all: FlatRecord[] = [];
let other: Trail;
const others: FlatRecord[] = [];

const X = { 'trading.symbol': 'SPX', 'trading.account.id': 'DEMO-1', 'trading.session.id': 'session_001' } as const;
const RUN = {
  ...X,
  'trading.execution.id': 'trend-20-2020-03-13',
  'correlation.id': 'b18b6f0e-f4d2-90ef-3c74-911f4ac934d6',
};
const ALERT = { 'alert.type': 'CRITICAL', 'alert.severity': 'IMMEDIATE' } as const;
/** Event, time, attributes, and what else is said of it. */
const OTHER: readonly (readonly [string, string, NonNullable<LineOptions['attributes']>, LineOptions?])[] = [
  ['system.health_check', '2008-01-02T14:00:00.000', { 'system.status': 'healthy' }],
  ['system.health_check', '2008-01-02T15:00:00.000', { 'system.status': 'degraded' }],
  ['trade.exit', '2008-01-03T15:00:00.000', { ...RUN, 'trading.pnl': 120.5 }],
  ['trade.exit', '2008-01-04T15:00:00.000', { ...RUN, 'trading.pnl': -80.25 }],
  ['trade.exit', '2008-10-13T15:00:00.000', { ...X, 'trading.pnl': 44 }],
  ['strategy.signal_processed', '2020-03-13T18:30:00.000', RUN],
  [
    'risk.portfolio_limit.check',
    '2020-03-13T18:30:01.000',
    { ...RUN, 'risk.decision': 'allow', 'trading.quantity': 2, 'trading.price': 10 },
  ],
  [
    'risk.portfolio_limit.check',
    '2020-03-13T18:30:02.000',
    { ...X, 'risk.decision': 'deny', 'trading.quantity': 5, 'trading.price': 11 },
  ],
  [
    'risk.portfolio_limit.rejection',
    '2020-03-13T18:30:02.000',
    {
      ...X,
      'risk.limit.type': 'position_percent',
      'risk.limit.current': 3,
      'risk.limit.max': 2,
      'risk.reason': 'too much',
    },
  ],
  ['order.intent', '2020-03-13T18:30:03.000', RUN],
  ['api.call', '2020-03-13T18:30:03.250', { operation: 'place', 'timing.duration_ms': 250, 'api.endpoint': '/orders' }],
  [
    'api.call',
    '2020-03-13T18:30:03.500',
    { operation: 'positions', 'timing.duration_ms': 150, 'api.endpoint': '/positions' },
  ],
  [
    'api.error',
    '2020-03-13T18:30:04.000',
    { operation: 'place', 'timing.duration_ms': 400 },
    { severityNumber: 17, body: 'timeout' },
  ],
  ['order.placed', '2020-03-13T18:30:05.000', RUN],
  ['order.rejected', '2020-03-13T18:30:06.000', X],
  ['trade.executed', '2020-03-13T18:30:07.000', RUN],
  ['trade.execution_failed', '2020-03-13T18:30:08.000', X, { severityNumber: 17, body: 'no margin' }],
  ['trade.take_profit_hit', '2020-03-13T18:30:09.000', X],
  [
    'risk.trailing_stop.add',
    '2020-03-13T18:30:10.000',
    { ...RUN, 'risk.trailing_stop.id': 's1', 'risk.trailing_stop.entry_price': 10 },
  ],
  [
    'risk.trailing_stop.activate',
    '2020-03-13T18:31:00.000',
    {
      ...RUN,
      'risk.trailing_stop.id': 's1',
      'risk.trailing_stop.current_price': 10.3,
      'risk.trailing_stop.peak_price': 10.3,
      'risk.trailing_stop.stop_price': 10.1,
    },
  ],
  [
    'risk.trailing_stop.trigger',
    '2020-03-13T18:32:00.000',
    {
      ...RUN,
      'risk.trailing_stop.id': 's1',
      'risk.trailing_stop.current_price': 10,
      'risk.trailing_stop.peak_price': 10.3,
      'risk.trailing_stop.stop_price': 10.1,
    },
  ],
  ['risk.circuit_breaker.failure', '2020-03-13T19:22:00.000', { ...X, 'risk.circuit_breaker.name': 'broker' }],
  [
    'risk.circuit_breaker.state_change',
    '2020-03-13T19:23:00.000',
    {
      ...RUN,
      'risk.circuit_breaker.name': 'broker',
      'risk.circuit_breaker.state.old': 'CLOSED',
      'risk.circuit_breaker.state.new': 'OPEN',
      'risk.circuit_breaker.failure_count': 1,
    },
  ],
  [
    'alert.raised',
    '2020-03-13T19:23:01.000',
    { ...ALERT, 'alert.id': 'a1', 'alert.rule': 'TrailingStop', 'alert.title': 'CLOSE SPX: stop' },
  ],
  ['alert.acknowledged', '2020-03-13T19:24:00.000', { 'alert.id': 'a1', 'risk.actor': 'B' }],
  [
    'alert.raised',
    '2020-03-13T19:25:00.000',
    { ...ALERT, 'alert.id': 'a2', 'alert.rule': 'TrailingStop', 'alert.title': 'CLOSE IBM: stop' },
  ],
  [
    'alert.raised',
    '2020-03-13T19:26:00.000',
    { ...ALERT, 'alert.id': 'a3', 'alert.rule': 'StopGap', 'alert.title': 'Gap' },
  ],
  ['alert.resolved', '2020-03-13T19:33:01.000', { 'alert.id': 'a1', 'risk.actor': 'B' }],
  ['alert.dismissed', '2020-03-13T19:35:00.000', { 'alert.id': 'a3', 'risk.actor': 'B' }],
  ['enforcement.breach', '2020-03-13T19:40:00.000', { ...X, 'risk.rule.id': 'MAX_LOSS' }, { severityNumber: 13 }],
  [
    'risk.position_size_capped',
    '2020-04-17T10:00:00.000',
    { ...X, 'risk.position.requested_quantity': 5, 'trading.quantity': 3 },
  ],
  ['risk.rejection', '2020-04-17T10:00:01.000', { ...X, 'risk.reason': 'no', 'risk.reason.code': 'SIGNAL_WRONG_SIDE' }],
];

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'risktrail-analysis-demo-'));
  const { status, stderr } = spawnSync(
    process.execPath,
    [join(ROOT, 'src/cli/main.ts'), 'demo', join(dir, 'trail'), '--quiet'],
    { encoding: 'utf8' },
  );
  expect([status, stderr]).toEqual([0, stderr]);
  trail = openTrail(join(dir, 'trail'), { threads: 2 });
  for await (const batch of trail.events()) all.push(...batch);
  put(
    segmentPath(join(dir, 'other'), STREAM_B, 0),
    OTHER.map(([event, time, attributes, body], at) =>
      line(at, { ...{ event, attributes, stream: STREAM_B }, timeMs: Date.parse(`${time}Z`), ...body }),
    ).join(''),
  );
  other = openTrail(join(dir, 'other'), { threads: 2 });
  for await (const batch of other.events()) others.push(...batch);
}, 180_000);
afterAll(async () => {
  if (process.env['WRITE_QUESTIONS'] === '1') writeFileSync(join(ROOT, 'docs/questions.md'), page);
  await closeTestServers();
  await trail.close();
  await other.close();
  rmSync(dir, { recursive: true, force: true });
});

/** How many checkpoints a trail has depends on how fast it was written. */
const withoutCheckpoints = (text: string): string =>
  text.replace(/^(audit +)\d+$/m, '$1n').replace(/^(system,total_events,)\d+,\d+,/m, '$1n,n,');

/** With WRITE_QUESTIONS=1 the page is written anew with what is printed now; else both must be equal. */
let page = PAGE;
function told(title: string, expected: string, actual: string): void {
  if (process.env['WRITE_QUESTIONS'] !== '1') expect(withoutCheckpoints(actual)).toBe(withoutCheckpoints(expected));
  const block = (output: string) => `\n\`\`\`\n\n\`\`\`text\n${output}\n\`\`\`\n`;
  const from = page.indexOf(`\n### ${title}\n`);
  const next = page.indexOf('\n### ', from + 1);
  const to = next < 0 ? page.length : next + 1;
  page = page.slice(0, from) + page.slice(from, to).replace(block(expected), () => block(actual)) + page.slice(to);
}

/** Numbers of a sum depend on its order in the last digits. */
function close(actual: readonly (readonly SqlValue[])[], expected: readonly (readonly SqlValue[])[]): void {
  const rounded = (rows: readonly (readonly SqlValue[])[]) =>
    rows.map((row) => row.map((cell) => (typeof cell === 'number' ? Number(cell.toPrecision(11)) : cell)));
  expect(rounded(actual)).toEqual(rounded(expected));
}

describe('the questions of the page: each query against a plain loop over the events', () => {
  const queries = QUESTIONS.filter(({ command }) => command.startsWith('risktrail query '));

  it('are those that are tried here', () => {
    expect(queries.map(({ title }) => title)).toEqual(Object.keys(EXPECTED));
    expect(QUESTIONS.length).toBe([...PAGE.matchAll(/^### /gm)].length);
  });

  it.each(queries.map((one) => [NAMED.get(one.title)!, one] as const))('%s', async (_, { title, command, output }) => {
    const sql = /^risktrail query "([^"]+)"$/.exec(command)![1]!;
    const { columns, rows } = await trail.sql(sql);
    close(rows, EXPECTED[title]!(all));
    told(title, output, textTable(columns, rows).trimEnd());
  });

  it.each(queries.map((one) => [NAMED.get(one.title)!, one] as const))(
    '%s, of a trail that has what the demo’s has not',
    async (_, { title, command }) => {
      const { rows } = await other.sql(/"([^"]+)"$/.exec(command)![1]!);
      close(rows, EXPECTED[title]!(others));
    },
  );
});

const COMMANDS = [
  addQueryCommand,
  addReportCommand,
  addExplainCommand,
  addExportCommand,
  addStateCommand,
  addReplayCommand,
];

/** Runs a command of the page in this process, and gives its output. */
async function run(command: string): Promise<string> {
  const [own, ...pipes] = command.split(' | ');
  const args = [...own!.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)]
    .map((match) => match[1] ?? match[2] ?? match[3]!)
    .slice(1);
  const program = new Command().exitOverride();
  for (const add of COMMANDS) add(program, () => {});
  const parts: string[] = [];
  const { stdout, stderr, env } = process;
  const [out, err, before] = [stdout.write, stderr.write, env['RISKTRAIL_DATA_DIR']];
  env['RISKTRAIL_DATA_DIR'] = join(dir, 'trail');
  stdout.write = ((chunk: string) => Boolean(parts.push(chunk))) as typeof stdout.write;
  stderr.write = (() => true) as typeof stderr.write;
  try {
    await program.parseAsync(args, { from: 'user' });
  } finally {
    stdout.write = out;
    stderr.write = err;
    if (before === undefined) delete env['RISKTRAIL_DATA_DIR'];
    else env['RISKTRAIL_DATA_DIR'] = before;
  }
  let lines = parts.join('').replaceAll('\r', '').trimEnd().split('\n');
  for (const pipe of pipes) {
    const [, name, argument] = /^(wc -l|head -n|tail -n|grep -E|grep)(?: '?([^']+)'?)?$/.exec(pipe)!;
    if (name === 'wc -l') lines = [String(lines.length)];
    else if (name === 'head -n') lines = lines.slice(0, Number(argument));
    else if (name === 'tail -n') lines = lines.slice(Number(argument) - 1);
    else lines = lines.filter((one) => new RegExp(argument!).test(one));
  }
  return lines.join('\n').trimEnd();
}

describe('the questions of the page: each other command prints what the page says', () => {
  const commands = QUESTIONS.filter(({ command }, at) => at === 0 || !command.startsWith('risktrail query '));

  it.each(commands.map((one) => [NAMED.get(one.title)!, one] as const))('%s', async (_, { title, command, output }) => {
    told(title, output, await run(command));
  });
});

describe('the endpoints of the page', { timeout: 180_000 }, () => {
  let server: RunningServer;
  beforeAll(async () => {
    server = await startTestServer(join(dir, 'trail'));
  });
  const ROWS = [...PAGE.matchAll(/^\| `(GET|POST) (\S+)` \| (.+) \| `(risktrail .+)` \|$/gm)].map(
    ([, method, path, parameters, command]) => ({
      method: method!,
      path: path!,
      parameters: [...parameters!.matchAll(/`(\w+)`/g)].map(([, name]) => name!),
      command: command!,
    }),
  );

  it('are all that dashboards call, with their parameters', () => {
    const { paths } = JSON.parse(readFileSync(join(ROOT, 'schema/openapi.json'), 'utf8'));
    const named = Object.keys(paths).filter((path) => path.startsWith('/audit/'));
    expect(ROWS.map(({ path }) => path).toSorted()).toEqual(named.toSorted());
    for (const { method, path, parameters } of ROWS) {
      const operation = paths[path][method.toLowerCase()];
      const body = operation.requestBody?.content['application/json'].schema.properties ?? {};
      const known = [...(operation.parameters ?? []).map(({ name }: { name: string }) => name), ...Object.keys(body)];
      expect([path, parameters]).toEqual([path, known]);
    }
  });

  it.each(ROWS.map((one) => [`seed 004: ${one.method} ${one.path}`, one] as const))(
    '%s answers what its command does',
    async (_, { method, path, parameters, command }) => {
      const option = (...names: readonly string[]) =>
        names.flatMap((name) => [...command.matchAll(new RegExp(`--${name} (\\S+)`, 'g'))].map(([, value]) => value!));
      const [from] = option('from', 'since');
      const [to] = option('to', 'until');
      if (method === 'POST') {
        const asked = { output_file: 'x.csv', start_date: from, end_date: to, event_types: option('event') };
        const { text: csv, headers } = await post(server, path, asked);
        expect(headers.get('content-disposition')).toContain('x.csv');
        expect(csv.replaceAll('\r', '').trimEnd()).toBe(await run(command));
        return;
      }
      const values = parameters.includes('date') ? { date: from! } : { start_date: from!, end_date: to! };
      const { json } = await ask(server, `${path}?${new URLSearchParams(values)}`);
      const report = JSON.parse(await run(`${command} --json`)) as Report;
      expect(json.records).toBe(report.records);
      let told = 0;
      for (const { name, metrics } of report.sections) {
        const values = Object.entries(metrics ?? {}).map(([key, { value }]) => [key, value] as const);
        const answered = parameters.includes('date') ? json[name] : json;
        for (const [key, value] of values) {
          if (answered[key] === undefined) continue;
          expect([key, answered[key]]).toEqual([key, value]);
          told++;
        }
      }
      const [symbols] = report.sections.filter(({ name }) => name === 'symbols');
      if (path.endsWith('symbol_performance')) {
        expect(Object.keys(json.symbols)).toEqual(symbols!.rows!.map(([symbol]) => symbol));
        expect(Object.values(json.symbols)[0]).toMatchObject({ trades: symbols!.rows![0]![1] });
      } else expect(told).toBeGreaterThan(4);
    },
  );

  it('and SQL are asked by HTTP as well', async () => {
    for (const { command } of QUESTIONS.slice(0, 3)) {
      const sql = /^risktrail query "([^"]+)"$/.exec(command)![1]!;
      const { json } = await post(server, '/v1/query', { sql });
      const { columns, rows } = await trail.sql(sql);
      expect([json.columns, json.rows]).toEqual([columns, rows]);
    }
  });
});

describe('the reports against a second, plain implementation', () => {
  const metricsOf = (report: Report, section: string) => {
    const { metrics } = report.sections.find(({ name }) => name === section)!;
    return Object.fromEntries(Object.entries(metrics!).map(([name, { value }]) => [name, value]));
  };
  const near = (actual: Record<string, number | null>, expected: Record<string, number | null>) => {
    for (const [name, value] of Object.entries(expected)) {
      if (value === null) expect([name, actual[name]]).toEqual([name, null]);
      else expect([name, Math.abs(actual[name]! - value) <= 1e-9 * Math.max(1, Math.abs(value))]).toEqual([name, true]);
    }
  };

  it.each([
    [undefined, undefined],
    ['2008-01-01', '2009-06-30'],
  ])('trading from %s to %s', async (from, to) => {
    const inside = all.filter(
      (one) => (from === undefined || one.timestamp >= from) && (to === undefined || one.timestamp <= `${to}T99`),
    );
    const exits = inside.filter(
      (one) => /^trade\.(exit|partial_exit)$/.test(one.event!) && one['trading.pnl'] !== undefined,
    );
    const results = exits.map((one) => n(one['trading.pnl']));
    const wins = results.filter((one) => one > 0);
    const losses = results.filter((one) => one < 0);
    let level = 0;
    let peak = 0;
    let fall = 0;
    for (const result of results) {
      level += result;
      peak = Math.max(peak, level);
      fall = Math.max(fall, peak - level);
    }
    const holds = inside.filter((one) => one.event === 'trade.exit');
    const weight = sum(holds.map((one) => Math.abs(n(one['trading.quantity']))));
    const report = await trail.report.trading({ from, to });
    near(metricsOf(report, 'trading'), {
      total_trades: exits.length,
      winning_trades: wins.length,
      losing_trades: losses.length,
      win_rate: wins.length / results.length,
      total_pnl: sum(results),
      average_win: sum(wins) / wins.length,
      average_loss: sum(losses) / losses.length,
      profit_factor: sum(wins) / -sum(losses),
      expectancy: sum(results) / results.length,
      sharpe_ratio: plainSharpe(dailySums(exits)),
      max_drawdown: fall,
      largest_loss: Math.min(...results),
      average_hold_minutes:
        sum(holds.map((one) => n(one['trading.hold_time_minutes']) * Math.abs(n(one['trading.quantity'])))) / weight,
      stop_losses_hit: inside.filter(event('trade.stop_loss_hit')).length,
    });
    const placed = inside.filter(event('order.placed')).length;
    const rejected = inside.filter(event('order.rejected')).length;
    near(metricsOf(report, 'orders'), {
      orders_placed: placed,
      orders_rejected: rejected,
      rejection_rate: rejected / (placed + rejected),
    });
    expect(await trail.tradingMetrics(from, to)).toEqual(report.sections[0]!.metrics);
  });

  it('system, errors and events', async () => {
    const report = await trail.report.system();
    near(metricsOf(report, 'system'), {
      total_events: all.length,
      total_errors: all.filter(isError).length,
      total_warnings: all.filter((one) => one.severity === 'WARN').length,
      system_starts: 1,
      retries: all.filter(event('api.retry_attempt')).length,
      avg_api_latency: null,
    });
    const audit = await trail.report.audit();
    const [streams, events] = audit.sections;
    expect(streams!.rows![0]!.slice(1, 5)).toEqual([all.length, 0, all.length - 1, 0]);
    expect(events!.rows!.map(([name, times]) => [name, times])).toEqual(
      grouped(
        () => true,
        (one) => one.event!,
      )(all),
    );
    const errors = await trail.report.errors();
    expect(sum(errors.sections[1]!.rows!.map((row) => n(row[3])))).toBe(all.filter(isError).length);
  });

  it('risk: checks, breakers, denied orders priced to the end of their day', async () => {
    const report = await trail.report.risk();
    const checks = all.filter(event('risk.portfolio_limit.check'));
    const denied = checks.filter((one) => one['risk.decision'] === 'deny');
    near(metricsOf(report, 'risk'), {
      limit_checks: checks.length,
      entries_rejected: denied.length,
      entry_rejection_rate: denied.length / checks.length,
      stops_triggered: all.filter(event('risk.trailing_stop.trigger')).length,
      trading_halts: all.filter(
        (one) => one['risk.trading_state.new'] === 'HALTED' && one.event === 'risk.trading_state_change',
      ).length,
    });
    const last = new Map<string, number>();
    for (const one of all) {
      if (!['market.price', 'market.candle_closed', 'order.filled'].includes(one.event!)) continue;
      last.set(one.timestamp.slice(0, 10), n(one['trading.price'] ?? one['trading.close']));
    }
    const results = denied.map((one) => {
      const move = last.get(one.timestamp.slice(0, 10))! - n(one['trading.price']);
      return (one['trading.side'] === 'buy' ? move : -move) * n(one['trading.quantity']);
    });
    near(metricsOf(report, 'questions'), {
      denied_orders: denied.length,
      denied_orders_result: sum(results),
      losses_avoided: sum(results.filter((one) => one < 0)),
      worst_order_denied: Math.min(...results),
    });
    let open = 0;
    let since: number | undefined;
    for (const one of all.filter(
      (record) =>
        record.event === 'risk.circuit_breaker.state_change' && record['risk.circuit_breaker.name'] === 'book',
    )) {
      const at = Date.parse(String(one['risk.circuit_breaker.at']));
      if (one['risk.circuit_breaker.state.new'] !== 'CLOSED') since ??= at;
      else if (since !== undefined) {
        open += at - since;
        since = undefined;
      }
    }
    const end = Date.parse(`${all.at(-1)!.timestamp.slice(0, 23)}Z`);
    if (since !== undefined) open += end - since;
    const whole = end - Date.parse(`${report.first!.slice(0, 23)}Z`);
    const [, , , uptime] = report.sections
      .find(({ name }) => name === 'breakers')!
      .rows!.find(([name]) => name === 'book')!;
    expect(n(uptime)).toBeCloseTo(1 - open / whole, 6);
  });

  it('risk: stops replayed with their own settings exit where they did; other activations change that', async () => {
    const { sections } = await trail.report.risk();
    const rows = sections.find(({ name }) => name === 'activation')!.rows!;
    const added = all.filter(event('risk.trailing_stop.add')).length;
    const fired = all.filter(event('risk.trailing_stop.trigger')).length;
    expect(rows[0]!.slice(0, 4)).toEqual(['as recorded', added, fired, added]);
    // The demo's stops activate at 2 %.
    expect(rows.find(([tried]) => tried === 2)!.slice(1)).toEqual(rows[0]!.slice(1));
    expect(rows.find(([tried]) => tried === 0)![3]).not.toBe(added);
  });

  it('filters by symbol, strategy and account', async () => {
    const { sections } = await trail.report.trading({ strategy: 'trend-50', symbol: 'SPX', account: 'DEMO-1' });
    const expected = all.filter((one) => one.event === 'trade.exit' && one['trading.strategy.id'] === 'trend-50');
    expect(sections[0]!.metrics!['total_trades']!.value).toBe(expected.length);
    const nobody = await trail.report.trading({ strategy: 'nobody' });
    expect([nobody.records, nobody.sections[0]!.metrics!['total_pnl']!.value]).toEqual([0, null]);
  });

  it('daily: of the last day unless it is told another; verified when asked', async () => {
    const last = await trail.report.daily();
    expect([last.from, last.integrity.status]).toEqual([
      `${all.at(-1)!.timestamp.slice(0, 10)}T00:00:00.000000000Z`,
      'unverified',
    ]);
    const day = await trail.report.daily({ from: '2008-10-13', verify: true });
    expect(day.records).toBe(all.filter((one) => one.timestamp.startsWith('2008-10-13')).length);
    expect(day.integrity.status).toBe('verified');
  });

  it('refuses a range that ends before it begins', async () => {
    await expect(trail.report.trading({ from: '2020-01-02', to: '2020-01-01' })).rejects.toMatchObject({
      code: 'OPTION_INVALID',
    });
    await expect(trail.report.trading({ from: 'soon' })).rejects.toMatchObject({ code: 'OPTION_INVALID' });
  });
});

describe('an explanation', () => {
  it('of a halt: the failures, the breaker, the halt, its end, each intact', async () => {
    const { answer, steps, integrity } = await trail.explain({ at: '2020-03-13T19:23' });
    expect(answer).toMatch(/from ACTIVE to HALTED for global at 2020-03-13 19:23:00 UTC, by circuit_breaker:broker/);
    expect(steps.filter(({ event: name }) => name === 'risk.circuit_breaker.failure')).toHaveLength(5);
    expect(steps.map((step) => step.event)).toEqual(
      expect.arrayContaining(['risk.circuit_breaker.state_change', 'risk.trading_state_change']),
    );
    expect(steps.every((step) => step.integrity === 'intact')).toBe(true);
    expect(steps.map((step) => step.time)).toEqual(steps.map((step) => step.time).toSorted());
    expect(integrity).toContain('verified through record');
    const later = await trail.explain({ at: '2020-03-13T19:59:59Z' });
    expect(later.answer).toBe(answer);
  });

  it('says so when nothing halted, and names the nearest halts', async () => {
    const { answer, steps } = await trail.explain({ at: '2019-01-01' });
    expect(answer).toMatch(/^Nothing was halted at 2019-01-01 00:00:00 UTC; the nearest halts are 2018-.* and 2019-/);
    expect(steps).toHaveLength(2);
    expect((await trail.explain({ at: '1999-01-01' })).answer).toMatch(/the nearest halt is 20/);
  });

  it('of an event, an order, a position', async () => {
    const trigger = all.find(event('risk.trailing_stop.trigger'))!;
    expect((await trail.explain({ event: trigger.record_id! })).answer).toContain('Trailing stop');
    const order = await trail.explain({ order: 'D001081' });
    expect(order.answer).toContain('TRADING_HALTED');
    expect(
      order.steps.some((step) => step.event === 'risk.circuit_breaker.state_change' && step.part === 'cause'),
    ).toBe(true);
    const position = await trail.explain({ position: 'trend-20-2000-02-22' });
    expect(position.steps.map((step) => step.event)).toEqual(
      expect.arrayContaining(['trade.entry', 'risk.trailing_stop.trigger', 'trade.exit']),
    );
  });

  it('as CSV has a row for each record', async () => {
    const [heading, ...rows] = (await run('risktrail explain --position trend-20-2020-03-13 --csv')).split('\n');
    const { steps } = await trail.explain({ position: 'trend-20-2020-03-13' });
    expect(heading).toBe('time,part,event,what,record_id,stream,sequence,trace_id,integrity');
    expect(rows.map((row) => row.split(',', 2))).toEqual(steps.map(({ time, part }) => [time, part]));
  });

  it('refuses what is not there, and two questions at once', async () => {
    await expect(trail.explain({ order: 'NOPE' })).rejects.toMatchObject({ code: 'NOTHING_TO_EXPLAIN' });
    await expect(trail.explain({ event: 'NOPE' })).rejects.toMatchObject({ code: 'NOTHING_TO_EXPLAIN' });
    await expect(trail.explain({})).rejects.toMatchObject({ code: 'OPTION_INVALID' });
    await expect(trail.explain({ order: 'a', at: '24h' })).rejects.toMatchObject({ code: 'OPTION_INVALID' });
  });
});
