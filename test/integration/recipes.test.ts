import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FlatRecord } from '../../src/analysis/flat-record.ts';
import { queryTrail } from '../../src/analysis/trail-query.ts';
import { line, put, START_MS, STREAM_A, segmentPath } from '../support/trail-lines.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const PAGE = readFileSync(join(ROOT, 'docs/recipes.md'), 'utf8');
const HAS_JQ = spawnSync('jq', ['--version']).status === 0;

/** Heading → commands, of every recipe of the page. */
const RECIPES = new Map(
  [...PAGE.matchAll(/^### (.+)\n\n```sh\n([^`]+)```$/gm)].map((match) => [match[1]!, match[2]!.trimEnd()]),
);

type Attributes = Readonly<Record<string, string | number | boolean>>;
const BTC = { 'trading.symbol': 'BTCUSDT' };
const TRADE = {
  ...BTC,
  'trading.account.id': 'ACC123',
  'trading.session.id': 'session_001',
  'correlation.id': 'abc-123',
};

/** Event, minutes after the start, attributes, body, severity. */
const TRAIL: readonly (readonly [
  event: string,
  minute: number,
  attributes: Attributes,
  body?: string,
  severity?: number,
])[] = [
  ['system.start', 0, {}],
  ['strategy.signal_processed', 1, TRADE],
  ['risk.validation', 2, { ...TRADE, 'risk.decision': 'allow' }],
  ['risk.position_size_capped', 2, { ...TRADE, 'trading.quantity': 3, 'risk.position.requested_quantity': 5 }],
  ['risk.position_size_calculated', 3, { ...TRADE, 'trading.quantity': 3 }],
  ['order.placed', 3, { ...TRADE, 'trading.side': 'buy' }],
  ['order.placed', 4, { ...TRADE, 'trading.side': 'sell' }],
  ['order.placed', 4, { 'trading.symbol': 'ETHUSDT', 'trading.side': 'sell' }],
  ['trade.entry', 4, { ...TRADE, 'trading.side': 'buy', 'trading.quantity': '3.50', 'trading.price': 91234.5 }],
  ['trade.executed', 5, TRADE, 'Trade executed: BTCUSDT'],
  ['trade.exit', 9, { ...TRADE, 'trading.quantity': 3, 'trading.price': 91300, 'trading.pnl': 196.5 }],
  ['risk.rejection', 11, { ...BTC, 'risk.reason': 'stop on the wrong side', 'risk.reason.code': 'STOP_WRONG_SIDE' }],
  ['order.rejected', 12, BTC, 'Order rejected: BTCUSDT', 13],
  [
    'enforcement.breach',
    13,
    { 'trading.account.id': 'ACC123', 'risk.rule.id': 'MAX_LOSS' },
    'Rule MAX_LOSS broken',
    13,
  ],
  [
    'enforcement.breach',
    13,
    { 'trading.account.id': 'ACC999', 'risk.rule.id': 'MAX_LOSS' },
    'Rule MAX_LOSS broken',
    13,
  ],
  [
    'risk.circuit_breaker.state_change',
    14,
    {
      'risk.circuit_breaker.state.old': 'CLOSED',
      'risk.circuit_breaker.state.new': 'OPEN',
      'risk.circuit_breaker.failure_count': 5,
    },
  ],
  [
    'risk.trailing_stop.trigger',
    15,
    { 'trading.execution.id': 'x1', 'risk.trailing_stop.stop_price': 101.43, 'risk.trailing_stop.peak_price': 103.5 },
  ],
  [
    'risk.portfolio_limit.rejection',
    16,
    {
      'risk.limit.type': 'portfolio_delta',
      'risk.limit.projected': 120,
      'risk.limit.max': 100,
      'risk.limit.utilization': 1.2,
      'risk.reason.code': 'DELTA_EXCEEDED',
    },
  ],
  ['risk.limit_hit', 16, { 'risk.limit.type': 'symbol_delta', 'risk.limit.utilization': 0.5 }],
  ['performance.latency', 17, { operation: 'fetch_positions', 'timing.duration_ms': 250 }],
  ['performance.latency', 18, { operation: 'risk_check', 'timing.duration_ms': 150 }],
  ['api.error', 19, { operation: 'place_order' }, 'API error: place_order', 17],
  ['api.error', 20, { operation: 'place_order' }, 'API error: place_order', 17],
  ['system.error', 21, {}, 'Error in reconcile', 17],
  // A later day.
  ['trade.executed', 24 * 60, TRADE, 'Trade executed: a day later'],
];

type Lines = (records: readonly FlatRecord[]) => readonly string[];
const json = JSON.stringify;
const where = (test: (record: FlatRecord) => unknown, show: (record: FlatRecord) => unknown): Lines => {
  return (records) => records.filter(test).map((record) => String(show(record)));
};
const body = (record: FlatRecord) => record.body;
const event = (record: FlatRecord) => record.event;
const is =
  (...names: string[]) =>
  (record: FlatRecord) =>
    names.includes(record.event ?? '');
const counted = (records: readonly FlatRecord[], of: (record: FlatRecord) => unknown) => {
  const counts = new Map<string, number>();
  for (const record of records) counts.set(String(of(record)), (counts.get(String(of(record))) ?? 0) + 1);
  return [...counts].map(([name, count]) => `${count} ${name}`);
};

/** What each recipe must print of all records, said a second time without jq. */
const EXPECTED: Readonly<Record<string, Lines>> = {
  'Everything, readable': (records) => records.flatMap((record) => json(record, undefined, 2).split('\n')),
  'How many of which event': (records) => counted(records.toSorted(byEvent), event),
  'The last ten events, newest first': (records) =>
    records
      .toReversed()
      .slice(0, 10)
      .map((record) => json([record.timestamp, record.body])),
  'The last 24 hours': where((record) => record.timestamp > '2021', body),
  'A range of time': where(
    ({ timestamp }) => timestamp >= '2020-03-16T14:00:00.000000000Z' && timestamp <= '2020-03-16T14:10:00.000000000Z',
    (record) => record.timestamp,
  ),
  'Around one minute, by the text of the timestamp': where(
    (record) => record.timestamp.startsWith('2020-03-16T14:05'),
    body,
  ),
  'Without jq: any text': (records) => [
    String(records.filter((record) => record['trading.symbol'] === 'BTCUSDT').length),
  ],
  'One account': where((record) => record['trading.account.id'] === 'ACC123', body),
  'One account, in jq': where((record) => record['trading.account.id'] === 'ACC123', body),
  'One symbol': where((record) => record['trading.symbol'] === 'BTCUSDT', event),
  'One session': where((record) => record['trading.session.id'] === 'session_001', event),
  'One correlation id, through all layers': where((record) => record['correlation.id'] === 'abc-123', event),
  'From one event to everything that belongs to it': where((record) => record['correlation.id'] === 'abc-123', event),
  'Breaches and enforcement of an account': where(
    (record) => record.category.includes('enforcement') && record['trading.account.id'] === 'ACC123',
    (record) => json({ rule: record['risk.rule.id'], what: record.body }),
  ),
  'State changes of circuit breakers': where(is('risk.circuit_breaker.state_change'), (record) =>
    [record.timestamp, 'CLOSED', 'OPEN', 5].join('\t'),
  ),
  'Trailing stops that fired': where(is('risk.trailing_stop.trigger'), () => json(['x1', 101.43, 103.5])),
  'Orders that the limits denied': where(is('risk.portfolio_limit.rejection'), () =>
    json(['portfolio_delta', 120, 100, 'DELTA_EXCEEDED']),
  ),
  'Why signals were rejected': where(is('risk.rejection'), ({ timestamp }) =>
    json({ timestamp, symbol: 'BTCUSDT', reason: 'stop on the wrong side' }),
  ),
  'Everything about position sizes': where((record) => record.event?.includes('position_size'), event),
  'What was cut from position sizes': where(is('risk.position_size_capped'), () => json({ asked: 5, given: 3 })),
  'How often a size was cut': (records) => [String(records.filter(is('risk.position_size_capped')).length)],
  'Limits more than nine tenths used': where(
    (record) => Number(record['risk.limit.utilization'] ?? 0) > 0.9,
    (record) => json([record['risk.limit.type'], record['risk.limit.utilization']]),
  ),
  'The trades of a day': where(
    (record) => record.event === 'trade.executed' && record.timestamp.startsWith('2020-03-16'),
    body,
  ),
  'Share of orders that were rejected': (records) => {
    const orders = records.filter(is('order.placed', 'order.rejected'));
    return [String(orders.filter(is('order.rejected')).length / orders.length)];
  },
  'Trades for a spreadsheet': where(is('trade.entry', 'trade.exit'), (record) =>
    [
      json(record.timestamp),
      json(record.event),
      '"BTCUSDT"',
      json(record['trading.quantity']),
      record['trading.price'],
      record['trading.pnl'] ?? '',
    ].join(','),
  ),
  'Errors and rejections': where((record) => /error|reject/.test(record.event ?? ''), body),
  'Errors, the most frequent first': (records) =>
    counted(
      records.filter((record) => record.category.includes('error')),
      body,
    )
      .sort()
      .reverse(),
  'Slow operations': where(
    (record) => Number(record['timing.duration_ms'] ?? 0) > 100,
    (record) => record['operation'],
  ),
  'Slow API calls': where(
    (record) => record.event === 'performance.latency' && Number(record['timing.duration_ms']) >= 200,
    (record) => json({ operation: record['operation'], duration_ms: 250 }),
  ),
};

const byEvent = (a: FlatRecord, b: FlatRecord) =>
  String(a.event) < String(b.event) ? -1 : a.event === b.event ? 0 : 1;

let dir: string;
const all: FlatRecord[] = [];
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'risktrail-recipes-'));
  const text = TRAIL.map(
    ([name, minute, attributes, sentence = `${name} at ${minute}`, severityNumber = 9], sequence) =>
      line(sequence, { event: name, timeMs: START_MS + minute * 60_000, attributes, body: sentence, severityNumber }),
  );
  text.push(
    line(TRAIL.length, { event: 'system.health_check', timeMs: Date.now() - 3_600_000, body: 'Health: an hour ago' }),
  );
  put(segmentPath(dir, STREAM_A, 0), text.join(''));
  for await (const batch of queryTrail([dir])) all.push(...batch);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function shell(command: string): Promise<readonly string[]> {
  const script = `risktrail() { '${process.execPath}' '${join(ROOT, 'src/cli/main.ts')}' "$@"; }\nset -o pipefail\n${command}`;
  const env = {
    PATH: process.env['PATH'],
    RISKTRAIL_DATA_DIR: dir,
    NODE_COMPILE_CACHE: join(dir, 'cache'),
    LC_ALL: 'C',
  };
  const { stdout } = await promisify(execFile)('bash', ['-c', script], { env });
  return stdout.trimEnd().split('\n');
}

/** `uniq -c` pads its counts. */
const unpadded = (lines: readonly string[]) => lines.map((one) => one.replace(/^ +(\d+) /, '$1 '));

describe('the recipes of the page', () => {
  it('are those that are tried here', () => {
    expect(Object.keys(EXPECTED)).toEqual([...RECIPES.keys()]);
  });

  describe.concurrent.each([...RECIPES])('%s', (title, command) => {
    const needsJq = /\|\s*jq\b/.test(command);

    it.skipIf(needsJq && !HAS_JQ)('prints what it says', async () => {
      const expected = EXPECTED[title]!(all);
      expect(expected.length).toBeGreaterThan(0);
      const lines = await shell(command);
      expect(needsJq && title === 'Everything, readable' ? lines : unpadded(lines)).toEqual(expected);
    });

    it.runIf(needsJq && !HAS_JQ)('lets through to jq what it needs', async () => {
      const asked = command.split('\n').at(-1)!.split('|')[0]!.replace('"$id"', 'abc-123');
      const records = (await shell(asked)).map((one) => JSON.parse(one) as FlatRecord);
      const lines = title.startsWith('The last ten')
        ? records.map(({ timestamp, body: what }) => json([timestamp, what]))
        : EXPECTED[title]!(records);
      expect(lines).toEqual(EXPECTED[title]!(all));
    });
  });
});
