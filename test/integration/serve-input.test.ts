import { appendFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { entityTag, LongWork, namesTag } from '../../src/server/answers.ts';
import { readCursor, writeCursor } from '../../src/server/pages/place.ts';
import { eventOfType } from '../../src/server/routes/audit-routes.ts';
import { downloadName } from '../../src/server/routes/export-routes.ts';
import type { RunningServer } from '../../src/server/serve.ts';
import { openTestJournal, testEvent } from '../support/journal.ts';
import { ask, closeTestServers, post, startTestServer } from '../support/serve.ts';
import { removeTemporaryDirectories, temporaryDirectory } from '../support/temporary.ts';
import { line, lines, put, STREAM_A, segmentPath } from '../support/trail-lines.ts';

afterAll(async () => {
  await closeTestServers();
  removeTemporaryDirectories();
});

describe('a request that is wrong', () => {
  let server: RunningServer;
  beforeAll(async () => {
    const dir = temporaryDirectory();
    put(segmentPath(dir, STREAM_A, 0), lines(0, 5));
    server = await startTestServer(dir);
  });

  it.each([
    ['/v1/events?since=yesterday', 400, /^since: expected a date .* got "yesterday"$/],
    ['/v1/events?since=2020-02-31', 400, /^since: expected .* got "2020-02-31"$/],
    [
      '/v1/events?since=2020-03-02&until=2020-03-01',
      400,
      /^until: expected a time not before since \(2020-03-02\), got "2020-03-01"$/,
    ],
    ['/v1/events?sinze=2020', 400, /^sinze: unknown parameter \(did you mean "since"\?\)$/],
    ['/v1/events?limit=1001', 400, /^limit: must be <= 1000$/],
    ['/v1/events?limit=ten', 400, /^limit: must be integer$/],
    ['/v1/events?order=up', 400, /^order: must be .*: asc, desc$/],
    ['/v1/events?category=rsk', 400, /^category\.0: must be .*: risk, order/],
    ['/v1/events?severity=LOUD', 400, /^severity: expected one of TRACE, /],
    ['/v1/events?trace=xyz', 400, /^trace: must match pattern/],
    ['/v1/events?min_duration=-1', 400, /^min_duration: must be >= 0$/],
    ['/v1/events?where=a', 400, /^where: expected /],
    ['/v1/events?where=trading.quantty%3E3', 400, /^where: .*did you mean "trading.quantity"/],
    ['/v1/events?cursor=AAAA', 400, /^cursor: expected a cursor as an earlier page gave it/],
    ['/v1/events?cursor=%21', 400, /^cursor: must match pattern/],
    ['/v1/events/nothing', 404, /no audit record "nothing"/],
    ['/v1/reports/dialy', 400, /^name: must be .*: daily, trading/],
    ['/v1/reports/daily?from=2020-13-01', 400, /^from: expected /],
    ['/v1/reports/trading?from=2020-02-01&to=2020-01-01', 400, /^to: expected a time not before from/],
    ['/audit/daily_report?date=15.1.2024', 400, /^date: must match pattern/],
    ['/audit/daily_report?date=2024-02-30', 400, /^date: expected /],
    [
      '/audit/trading_metrics?start_date=2024-02-01&end_date=2024-01-01',
      400,
      /^end_date: expected a time not before start_date/,
    ],
    ['/audit/trading_metrics?from=2024-02-01', 400, /^from: unknown parameter/],
    ['/v1/explain', 400, /^explain: expected one of at, event, order, position, got nothing$/],
    ['/v1/explain?event=a&order=b', 400, /got event and order$/],
    ['/v1/explain?event=nothing', 404, /no record nothing/],
    ['/v1/state?at=noon', 400, /^at: expected /],
    ['/v1/state?layer=moon', 400, /^layer\.0: must be .*: trading_state/],
    ['/v1/state/diff', 400, /^from: expected a value, got nothing$/],
    ['/v1/state/diff?from=2020-03-02&to=2020-03-01', 400, /^to: expected a time not before from/],
    ['/v1/prove/nothing', 404, /no audit record nothing/],
    ['/v1/export/pdf', 400, /^format: must be .*: csv/],
    ['/v1/catalogue/order.plcaed', 404, /did you mean "order.placed"/],
    ['/v1/tail?last=1001', 400, /^last: must be <= 1000$/],
    ['/v1/alerts?status=OPEN', 400, /^status: must be .*: ACTIVE/],
    ['/v1/nothing', 404, /nothing at "\/v1\/nothing"/],
    ['/../../etc/passwd', 404, /nothing at/],
    ['/docs/static/..%2f..%2f..%2fpackage.json', 404, /./],
    ['/v1/catalogue/..%2f..%2fpackage', 404, /has no event/],
    ['/v1/events/%00', 404, /no audit record/],
    ['/v1/events/%zz', 400, /./],
  ])('%s is %s', async (path, status, detail) => {
    const answer = await ask(server, path);
    expect([path, answer.status, answer.headers.get('content-type')]).toEqual([
      path,
      status,
      'application/problem+json; charset=utf-8',
    ]);
    expect(answer.json).toMatchObject({
      status,
      type: expect.stringMatching(/^urn:risktrail:problem:[a-z-]+$/),
      title: expect.any(String),
      code: expect.any(String),
    });
    expect(answer.json.detail).toMatch(detail);
    expect(answer.text).not.toMatch(/node_modules|\.ts:|\n {4}at /);
  });

  it('says which methods there are', async () => {
    const { status, headers, json } = await ask(server, '/v1/events', { method: 'DELETE' });
    expect([status, headers.get('allow'), json.code]).toEqual([405, 'GET, HEAD', 'METHOD_NOT_ALLOWED']);
  });

  it('is told of its body: no JSON, another type, too large, misspelt', async () => {
    const send = (body: string, type = 'application/json') =>
      ask(server, '/v1/query', { method: 'POST', body, headers: { 'content-type': type } });
    expect((await send('{')).json).toMatchObject({ status: 400 });
    expect((await send('<a/>', 'text/xml')).json).toMatchObject({ status: 415, code: 'MEDIA_TYPE_UNSUPPORTED' });
    expect((await send(JSON.stringify({ sql: 'x'.repeat(100_000) }))).json).toMatchObject({
      status: 413,
      code: 'REQUEST_TOO_LARGE',
    });
    expect((await send('{}')).json).toMatchObject({ status: 400, detail: 'sql: expected a value, got nothing' });
    expect((await send('{"sql": "SELECT 1", "limt": 3}')).json).toMatchObject({
      status: 400,
      detail: 'limt: unknown parameter (did you mean "limit"?)',
    });
    expect((await send('[]')).json).toMatchObject({ status: 400, code: 'OPTION_INVALID' });
    // Other than those of an address, values of a body have a type.
    const typed: readonly (readonly [object, string])[] = [
      [{ output_file: false }, 'output_file: expected a value of type string, got false'],
      [{ start_date: 20200301 }, 'start_date: expected a value of type string, got 20200301'],
      [{ event_types: 'trade_exit' }, 'event_types: expected a list, got "trade_exit"'],
      [{ event_types: ['trade_exit', 7] }, 'event_types.1: expected a value of type string, got 7'],
    ];
    for (const [body, detail] of typed) {
      expect((await post(server, '/audit/export_logs', body)).json).toMatchObject({ status: 400, detail });
    }
    expect((await send('{"sql": "SELECT 1", "limit": "3"}')).json).toMatchObject({
      status: 400,
      detail: 'limit: expected a value of type number, got "3"',
    });
    expect((await post(server, '/audit/export_logs', { event_types: ['nothing'] })).json).toMatchObject({
      status: 400,
      code: 'OPTION_INVALID',
    });
  });

  it('that is no HTTP is answered as a problem, too', async () => {
    const { hostname, port } = new URL(server.url);
    const text = await new Promise<string>((resolve, reject) => {
      let got = '';
      const socket = connect(Number(port), hostname, () => socket.write('HELLO\r\n\r\n'));
      socket.on('data', (chunk) => {
        got += chunk;
      });
      socket.on('close', () => resolve(got)).on('error', reject);
    });
    expect(text).toMatch(/^HTTP\/1\.1 400 Bad Request\r\nContent-Type: application\/problem\+json/);
    expect(JSON.parse(text.split('\r\n\r\n')[1]!)).toMatchObject({ status: 400, code: 'REQUEST_UNREADABLE' });
  });
});

describe('a trail', () => {
  const QUESTIONS = [
    '/v1/events',
    '/v1/reports/daily',
    '/v1/state',
    '/v1/explain?at=2020-03-16',
    '/audit/trading_metrics',
    '/v1/verify',
    '/v1/alerts',
  ];

  it('that is empty is told to be, by every question, and never as zero', async () => {
    const dir = temporaryDirectory();
    const server = await startTestServer(dir);
    for (const path of QUESTIONS) {
      const { status, json } = await ask(server, path);
      expect([path, status, json.code]).toEqual([
        path,
        404,
        expect.stringMatching(/^(NO_TRAIL_FILES|NOTHING_TO_VERIFY)$/),
      ]);
      expect(json.detail).not.toContain(dir);
    }
    expect((await ask(server, '/health')).status).toBe(200);
    expect((await ask(server, '/metrics')).text).not.toContain('risktrail_trading_state');
    mkdirSync(join(dir, 'streams'));
    put(segmentPath(dir, STREAM_A, 0), line(0));
    expect((await ask(server, '/v1/events')).json.records).toHaveLength(1);
  });

  it('that went away is told to be', async () => {
    const dir = temporaryDirectory();
    put(segmentPath(dir, STREAM_A, 0), line(0));
    const server = await startTestServer(dir);
    expect((await ask(server, '/v1/events')).status).toBe(200);
    rmSync(join(dir, 'streams'), { recursive: true });
    const { status, json } = await ask(server, '/v1/events');
    expect([status, json.code, json.detail]).toEqual([
      503,
      'PATH_NOT_FOUND',
      'the data directory: no such file or directory',
    ]);
  });

  it('without a record in the range says so, and why values are null', async () => {
    const dir = temporaryDirectory();
    put(segmentPath(dir, STREAM_A, 0), lines(0, 5));
    const server = await startTestServer(dir);
    const { json } = await ask(server, '/audit/trading_metrics?start_date=1999-01-01&end_date=1999-12-31');
    expect([json.records, json.warning, json.win_rate, json.undefined.win_rate]).toEqual([
      0,
      'no record of the trail is within what was asked for',
      null,
      expect.stringMatching(/no/),
    ]);
  });

  it('with findings warns in every answer that stands on it; an intact one does not', async () => {
    const dir = temporaryDirectory();
    const journal = openTestJournal(dir);
    for (let n = 0; n < 5; n++) journal.append(testEvent(n));
    await journal.close('shutdown');
    const server = await startTestServer(dir);
    expect((await ask(server, '/v1/events')).json.warning).toBe('the records were not verified yet');
    expect((await ask(server, '/v1/verify')).json.ok).toBe(true);
    expect((await ask(server, '/v1/events')).json.warning).toBeNull();
    const path = segmentPath(dir, journal.stream, 0);
    writeFileSync(path, readFileSync(path, 'utf8').replace('"doubleValue":150.25', '"doubleValue":150.26'));
    const report = await ask(server, '/v1/verify');
    expect([report.status, report.json.ok]).toEqual([200, false]);
    for (const asked of [
      '/v1/events',
      '/v1/reports/trading',
      '/v1/state',
      '/audit/risk_metrics',
      '/v1/explain?at=2023-11-14',
    ]) {
      const { status, json } = await ask(server, asked);
      expect([asked, status, json.warning]).toEqual([
        asked,
        200,
        expect.stringMatching(/verification found .*INVALID/),
      ]);
    }
    const health = (await ask(server, '/health')).json;
    expect([health.status, health.integrity.status]).toEqual(['degraded', 'findings']);
    expect((await ask(server, '/metrics')).text).toContain('risktrail_trail_integrity{status="findings"} 1');
  });

  it('that is being written is answered as far as its lines are whole', async () => {
    const dir = temporaryDirectory();
    const path = segmentPath(dir, STREAM_A, 0);
    put(path, lines(0, 3));
    appendFileSync(path, line(3).slice(0, 100));
    const server = await startTestServer(dir);
    expect((await ask(server, '/v1/events')).json.records).toHaveLength(3);
    expect((await ask(server, '/v1/reports/audit')).json.records).toBe(3);
    expect((await post(server, '/v1/query', { sql: 'SELECT count(*) FROM events' })).json.rows).toEqual([[3]]);
    expect((await ask(server, '/v1/export/jsonl')).text.trim().split('\n')).toHaveLength(3);
  });
});

describe('long questions', () => {
  it('are refused when too many wait, and let go when they take too long', async () => {
    const long = new LongWork(1, 20);
    let end: (() => void) | undefined;
    const first = long.run(() => new Promise<void>((resolve) => (end = resolve)));
    await expect(long.run(async () => {})).rejects.toMatchObject({ code: 'SERVER_BUSY' });
    await expect(first).rejects.toMatchObject({ code: 'QUESTION_TIMEOUT' });
    // It still runs: its place is taken until it ends.
    await expect(long.run(async () => {})).rejects.toMatchObject({ code: 'SERVER_BUSY' });
    end!();
    await new Promise((resolve) => setImmediate(resolve));
    await expect(long.run(async () => 1)).resolves.toBe(1);
  });

  it('in SQL end at their time', async () => {
    const dir = temporaryDirectory();
    put(segmentPath(dir, STREAM_A, 0), lines(0, 5));
    const server = await startTestServer(dir, { limits: { queryTimeoutMs: 300 } });
    const { status, json } = await post(server, '/v1/query', {
      sql: 'SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range * b.range % 7 = 3',
    });
    expect([status, json.code]).toEqual([422, 'SQL_TIMEOUT']);
  });
});

describe('the parts', () => {
  it('know entity tags', () => {
    const tag = entityTag('a', 1);
    expect(tag).toMatch(/^W\/"[\w-]{22}"$/);
    expect([
      namesTag(tag, tag),
      namesTag(tag.slice(2), tag),
      namesTag(`"x", ${tag}`, tag),
      namesTag('*', tag),
      namesTag('"x"', tag),
      namesTag(undefined, tag),
    ]).toEqual([true, true, true, true, false, false]);
  });

  it('read no cursor but that of the same question', () => {
    const place = { time: 1_700_000_000_123_456_789n, tie: 'bot/x#0000000000000001' };
    const cursor = writeCursor({ ...place, order: 'asc', question: 'q' });
    expect(readCursor(cursor, 'asc', 'q')).toEqual(place);
    for (const wrong of [
      () => readCursor(cursor, 'desc', 'q'),
      () => readCursor(cursor, 'asc', 'r'),
      () => readCursor(cursor.slice(1), 'asc', 'q'),
      () => readCursor(Buffer.from('[1,0,"q","x",""]').toString('base64url'), 'asc', 'q'),
    ]) {
      expect(wrong).toThrow(/^cursor: expected/);
    }
  });

  it('make harmless names of downloads', () => {
    expect(
      ['../../etc/passwd', 'C:\\x\\y.csv', '.hidden', 'a"b\r\nx: y', '', '..', 'logs 2024.csv'].map(downloadName),
    ).toEqual(['passwd', 'y.csv', 'hidden', 'a_b__x_ y', 'export', 'export', 'logs 2024.csv']);
  });

  it('seed 004: know every type of event in its older form', () => {
    const types =
      'TRADE_ENTRY TRADE_EXIT TRADE_PARTIAL_EXIT STOP_LOSS_HIT TAKE_PROFIT_HIT TRADE_CANCELLED POSITION_ADJUSTED SYSTEM_START SYSTEM_STOP SYSTEM_ERROR HEALTH_CHECK MARKET_STATUS RISK_LIMIT_HIT POSITION_SIZE_CALCULATED DAILY_LOSS_LIMIT PORTFOLIO_HEAT_WARNING STRATEGY_SIGNAL SYMBOL_SCAN ENTRY_SIGNAL EXIT_SIGNAL API_CALL API_ERROR RATE_LIMIT PERFORMANCE_METRIC LATENCY_MEASUREMENT';
    expect(types.split(' ').map(eventOfType)).toEqual([
      'trade.entry',
      'trade.exit',
      'trade.partial_exit',
      'trade.stop_loss_hit',
      'trade.take_profit_hit',
      'trade.cancelled',
      'position.adjusted',
      'system.start',
      'system.stop',
      'system.error',
      'system.health_check',
      'system.market_status',
      'risk.limit_hit',
      'risk.position_size_calculated',
      'risk.daily_loss_limit',
      'risk.portfolio_heat_warning',
      'strategy.signal',
      'strategy.symbol_scan',
      'strategy.entry_signal',
      'strategy.exit_signal',
      'api.call',
      'api.error',
      'api.rate_limit',
      'performance.metric',
      'performance.latency',
    ]);
  });
});
