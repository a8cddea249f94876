import { execFile, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { generatedFiles } from '../../scripts/generate-client.ts';
import { openTrail, type Trail } from '../../src/analysis/index.ts';
import { queryTrail } from '../../src/analysis/trail-query.ts';
import { RiskTrailApiError, RiskTrailClient } from '../../src/server/client.ts';
import type { RunningServer } from '../../src/server/serve.ts';
import { openTestJournal, testEvent } from '../support/journal.ts';
import { ask, closeTestServers, post, startTestServer } from '../support/serve.ts';
import { removeTemporaryDirectories, temporaryDirectory } from '../support/temporary.ts';

// A busy machine takes its time for the reports of twenty years.
vi.setConfig({ testTimeout: 240_000 });

const ROOT = resolve(import.meta.dirname, '../..');
const PAGE = readFileSync(join(ROOT, 'docs/api.md'), 'utf8');
const EXAMPLES = [...PAGE.matchAll(/^```sh\n(curl [\s\S]*?)\n```$/gm)].map(([, command]) => command!);

let demo: string;
let server: RunningServer;
let trail: Trail;
let client: RiskTrailClient;
let recordId: string;
let vkey: string;
let checkpointSize: number;

beforeAll(async () => {
  demo = join(temporaryDirectory(), 'demo');
  const made = spawnSync(process.execPath, [join(ROOT, 'src/cli/main.ts'), 'demo', demo, '--quiet'], {
    encoding: 'utf8',
  });
  if (made.status !== 0) throw new Error(made.stderr);
  const journal = openTestJournal(demo, { serviceName: 'risktrail-demo' });
  for (const [id, type] of [
    ['a1', 'CRITICAL'],
    ['a2', 'INFO'],
  ] as const) {
    const attributes = {
      'alert.id': id,
      'alert.type': type,
      'alert.severity': 'HIGH',
      'alert.title': `CLOSE ${id}`,
      'alert.rule': 'drill',
    };
    journal.append(testEvent(0, { eventName: 'alert.raised', body: `${type}: CLOSE ${id}`, attributes }));
  }
  await journal.close('shutdown');
  server = await startTestServer(demo);
  trail = openTrail(demo);
  client = new RiskTrailClient({ baseUrl: server.url });
  recordId = (await client.listEvents({ event: ['trade.exit'], limit: 1 })).records[0]!.record_id!;
  vkey = (await client.listKeys()).keys[0]!.vkey;
  const { streams } = await client.getStatus();
  checkpointSize = (streams[0] as unknown as { checkpoint: { size: number } }).checkpoint.size;
}, 240_000);
afterAll(async () => {
  await trail?.close();
  await closeTestServers();
  removeTemporaryDirectories();
});

interface Operation {
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema: object }>> }>
  >;
}

/** The operation of the document that a request is of. */
function operationOf(method: string, path: string): Operation {
  const paths = server.document()['paths'] as Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  const found = Object.entries(paths)
    .filter(([pattern]) => new RegExp(`^${pattern.replace(/\{\w+\}/g, '[^/]+')}$`).test(path))
    .sort(([a], [b]) => a.split('{').length - b.split('{').length)[0];
  const operation = found?.[1][method];
  if (operation === undefined) throw new Error(`the document has no ${method} ${path}`);
  return operation;
}

/** What the document's schema says of an answer. */
function shapeErrors(schema: object, answer: unknown): unknown {
  const ajv = new Ajv2020({ strict: false });
  const { components } = server.document() as { components: object };
  const validate = ajv.compile({ ...schema, components });
  return validate(answer) ? null : validate.errors;
}

describe('the page docs/api.md', () => {
  it('has an example for every operation of the document', () => {
    const paths = server.document()['paths'] as Readonly<Record<string, object>>;
    const asked = EXAMPLES.map((command) => new URL(/http:\/\/127\.0\.0\.1:7117([^'" ]*)/.exec(command)![0]).pathname);
    const missing = Object.keys(paths).filter(
      (pattern) => !asked.some((path) => new RegExp(`^${pattern.replace(/\{\w+\}/g, '[^/]+')}$`).test(path)),
    );
    expect(missing).toEqual([]);
  });

  it.each(EXAMPLES)('%s', async (command) => {
    const cwd = temporaryDirectory();
    const isTail = command.includes('/v1/tail');
    const asked = command
      .replaceAll('http://127.0.0.1:7117', server.url)
      .replace('curl ', `curl -s -w '\\n%{http_code} %{content_type} %{url}' `)
      // Until the last three are there; on a busy machine that may take longer than a second.
      .replace('--max-time 1', '--max-time 3');
    const { stdout } = await promisify(execFile)('sh', ['-c', `${asked}${isTail ? ' || true' : ''}`], {
      cwd,
      env: {
        ...{ PATH: process.env['PATH'], RECORD_ID: recordId, ALERT_ID: 'a1', OTHER_ALERT_ID: 'a2', VKEY: vkey },
        CHECKPOINT_SIZE: String(checkpointSize),
      },
      maxBuffer: 2 ** 26,
    });
    const [, printed, status, type, url] = /^([\s\S]*)\n(\d+) (.*) (http\S+)$/.exec(stdout)!;
    expect([command, status]).toEqual([command, '200']);
    const method = / -d /.test(command) && !/ --get /.test(command) ? 'post' : 'get';
    const { content } = operationOf(method, new URL(url!).pathname).responses['200']!;
    const mediaType = type!.split(';')[0]!;
    expect(Object.keys(content!)).toContain(mediaType);
    const file = / -o (\S+)/.exec(command)?.[1];
    const text = file === undefined ? printed! : readFileSync(join(cwd, file), 'utf8');
    expect(text.length).toBeGreaterThan(20);
    if (mediaType === 'application/json') expect(shapeErrors(content![mediaType]!.schema, JSON.parse(text))).toBeNull();
    if (mediaType === 'text/csv') expect(text).toMatch(/^timestamp,event,[^\r\n]+\r\n\d{4}-/);
    if (isTail) expect(text.match(/^event: record$/gm)).toHaveLength(3);
  });
});

describe('the OpenAPI document and the client', () => {
  it('are what the code makes', async () => {
    for (const [path, content] of await generatedFiles()) {
      expect(readFileSync(join(ROOT, path), 'utf8') === content, `${path}: run node scripts/generate-client.ts`).toBe(
        true,
      );
    }
  });

  it('are served as the package has them', async () => {
    const { json } = await ask(server, '/openapi.json');
    expect(json.openapi).toBe('3.1.0');
    expect(json).toEqual(JSON.parse(readFileSync(join(ROOT, 'schema/openapi.json'), 'utf8')));
  });

  it('reach every kind of answer', async () => {
    const { records, page } = await client.listEvents({ event: ['trade.exit'], limit: 2, order: 'asc' });
    expect([records.map(({ event }) => event), page.more]).toEqual([['trade.exit', 'trade.exit'], true]);
    const next = await client.listEvents({ event: ['trade.exit'], limit: 2, order: 'asc', cursor: page.next! });
    expect(next.records[0]!.timestamp >= records[1]!.timestamp).toBe(true);
    expect((await client.getEvent({ record_id: recordId })).record.record_id).toBe(recordId);
    expect((await client.query({ sql: 'SELECT 1 AS one' })).rows).toEqual([[1]]);
    expect(await client.getMetrics()).toContain('risktrail_trading_state{');
    const file = await client.exportRecords({ format: 'jsonl', event: ['risk.trading_state_change'] });
    expect((await file.text()).trim().split('\n').length).toBeGreaterThan(10);
    const stop = new AbortController();
    const tailed: unknown[] = [];
    for await (const { record } of client.tail({ last: 2, event: ['trade.exit'] }, { signal: stop.signal })) {
      tailed.push(record.record_id);
      if (tailed.length === 2) break;
    }
    stop.abort();
    expect(tailed.at(-1)).toBe(recordId);
    const failed = client.getReport({ name: 'daily', from: 'yesterday' });
    await expect(failed).rejects.toThrow(RiskTrailApiError);
    await expect(failed).rejects.toMatchObject({ status: 400, problem: { code: 'OPTION_INVALID' } });
  });
});

describe('the answers', () => {
  it('of the older endpoints are the values of the reports', async () => {
    const range = { start_date: '2020-01-01', end_date: '2020-03-31' };
    const asked = { from: range.start_date, to: range.end_date };
    const values = (metrics: Readonly<Record<string, { readonly value: number | null }>> | undefined) =>
      Object.fromEntries(Object.entries(metrics!).map(([name, { value }]) => [name, value]));
    const trading = await trail.report.trading(asked);
    const told = await client.auditTradingMetrics(range);
    expect(told).toMatchObject({
      ...values(trading.sections[0]!.metrics),
      records: trading.records,
      start_date: trading.from,
    });
    expect(told['total_trades']).toBe(21);
    for (const [name, because] of Object.entries(told.undefined))
      expect([name, told[name], because.length > 5]).toEqual([name, null, true]);
    const daily = await trail.report.daily({ from: '2020-03-16' });
    const day = await client.auditDailyReport({ date: '2020-03-16' });
    expect([day['date'], day.records, day['trading']]).toEqual([
      '2020-03-16',
      daily.records,
      values(daily.sections[0]!.metrics),
    ]);
    const { symbols } = (await client.auditSymbolPerformance(range)) as unknown as {
      symbols: Record<string, { trades: number }>;
    };
    expect([Object.keys(symbols), symbols['SPX']!.trades]).toEqual([['SPX'], 21]);
  });

  it('of export_logs are the records of these types and days, under a harmless name', async () => {
    const body = {
      output_file: '../../etc/cron.d/my "logs".csv',
      start_date: '2020-03-01',
      end_date: '2020-03-31',
      event_types: ['trade_entry', 'TRADE_EXIT'],
    };
    const { status, headers, text } = await post(server, '/audit/export_logs', body);
    expect([status, headers.get('content-disposition')]).toEqual([200, 'attachment; filename="my _logs_.csv"']);
    let expected = 0;
    for await (const batch of queryTrail([demo])) {
      expected += batch.filter(
        ({ event, timestamp }) =>
          (event === 'trade.entry' || event === 'trade.exit') && timestamp.startsWith('2020-03'),
      ).length;
    }
    expect(text.trim().split('\r\n')).toHaveLength(expected + 1);
    const wrong = await post(server, '/audit/export_logs', { event_types: ['trade_entri'] });
    expect([wrong.status, wrong.json.detail]).toEqual([400, expect.stringContaining('did you mean "trade_entry"')]);
  });

  it('of explain, state and reports are those of the library', async () => {
    const explained = await trail.explain({ at: '2008-10-13T18:00:00Z', verify: false });
    expect(await client.explain({ at: '2008-10-13T18:00:00Z', verify: false })).toMatchObject({
      answer: explained.answer,
      steps: JSON.parse(JSON.stringify(explained.steps)),
    });
    const { streams } = await client.getState({ at: '2008-10-13T18:00:00Z', layer: ['trading_state'] });
    expect(streams).toMatchObject([{ trading_state: { global: 'HALTED' } }]);
    expect(streams[0]).not.toHaveProperty('circuit_breakers');
    const diff = await client.getStateDiff({
      from: '2008-10-13T17:00:00Z',
      to: '2008-10-13T18:00:00Z',
      layer: ['trading_state', 'circuit_breaker'],
    });
    expect(diff.streams[0]!.differences).toContainEqual({
      path: 'trading_state.global',
      before: 'ACTIVE',
      after: 'HALTED',
    });
    expect(diff.streams[0]!.differences).toContainEqual({
      path: 'circuit_breakers.book.status',
      before: 'CLOSED',
      after: 'OPEN',
    });
  });

  it('of verify, prove and the page stand on the trail', async () => {
    expect((await client.verify()).ok).toBe(true);
    const { warning } = await client.listEvents({ limit: 1 });
    expect(warning).toBeNull();
    const proof = await client.proveRecord({ record: recordId });
    expect([
      proof.record_id,
      proof.proof.startsWith('c2sp.org/tlog-proof@v1'),
      JSON.parse(proof.record).attributes['audit.record.id'],
    ]).toEqual([recordId, true, recordId]);
    const page = await ask(server, '/reports/daily?from=2020-03-16');
    expect([
      page.status,
      page.headers.get('content-type'),
      /<script|https?:\/\/(?!www\.w3\.org)/.test(page.text),
    ]).toEqual([200, 'text/html; charset=utf-8', false]);
    expect(page.headers.get('content-security-policy')).toMatch(/^default-src 'none'; style-src 'unsafe-inline'/);
  });

  it('never tell this machine’s paths', async () => {
    for (const path of [
      '/v1/status',
      '/v1/verify',
      '/v1/prove/nothing',
      '/metrics',
      '/v1/reports/audit',
      '/v1/events/nothing',
      '/v1/doctor',
      '/v1/keys',
      '/v1/replay/check?from=2200-01-01',
      '/v1/verify?strict=true',
    ]) {
      expect([path, (await ask(server, path)).text.includes(demo)]).toEqual([path, false]);
    }
  });
});

describe('alerts', () => {
  it('are listed as they stand, page by page; what ended or is unknown can’t be acted on', async () => {
    await client.dismissAlert({ alert_id: 'a2', reason: 'x', actor: 'A. Trader' }).catch(() => {});
    const { alerts, page } = await client.listAlerts({ limit: 1 });
    const rest = await client.listAlerts({ limit: 1, cursor: page.next! });
    expect([alerts, rest.alerts].flat().map((one) => one['alert_id'])).toEqual(['a2', 'a1']);
    expect(rest.page.next).toBeNull();
    expect(alerts[0]).toMatchObject({ status: 'DISMISSED', resolved_by: 'A. Trader' });
    expect((await client.listAlerts({ status: 'DISMISSED' })).alerts).toHaveLength(1);
    const again = client.acknowledgeAlert({ alert_id: 'a2', reason: 'x', actor: 'A. Trader' });
    await expect(again).rejects.toMatchObject({ status: 409, problem: { code: 'ALERT_NOT_OPEN' } });
    const unknown = client.resolveAlert({ alert_id: 'a3', reason: 'x', actor: 'A. Trader' });
    await expect(unknown).rejects.toMatchObject({ status: 404, problem: { code: 'ALERT_UNKNOWN' } });
    const nobody = client.resolveAlert({ alert_id: 'a1', reason: 'x' });
    await expect(nobody).rejects.toMatchObject({ status: 400, problem: { code: 'OPTION_INVALID' } });
  });
});

describe('SQL', () => {
  it('keeps its order under the bound of rows, and says when there are more', async () => {
    const all = await client.query({ sql: 'SELECT sequence FROM trades ORDER BY sequence DESC -- the end' });
    const some = await client.query({ sql: 'SELECT sequence FROM trades ORDER BY sequence DESC;', limit: 10 });
    expect([all.rows.length, all.truncated, some.truncated]).toEqual([1000, true, true]);
    expect(some.rows).toEqual(all.rows.slice(0, 10));
    expect(all.rows).toEqual(all.rows.toSorted((a, b) => Number(b[0]) - Number(a[0])));
    expect((await client.query({ sql: 'DESCRIBE trades' })).rows.length).toBeGreaterThan(20);
    expect((await client.query({ sql: 'SELECT $one AS a', parameters: { one: 'x' } })).rows).toEqual([['x']]);
  });

  it.each([
    ['DROP VIEW events', 'SQL_NOT_READ_ONLY'],
    ["COPY (SELECT 1) TO '/tmp/x.csv'", undefined],
    ['INSERT INTO events VALUES (1)', undefined],
    ["SELECT * FROM read_csv('/etc/passwd')", 'SQL_INVALID'],
    ["SELECT * FROM read_text('/etc/passwd')", 'SQL_INVALID'],
    ["SELECT * FROM 'https://example.com/x.parquet'", 'SQL_INVALID'],
    ["SET memory_limit = '100GB'", 'SQL_NOT_READ_ONLY'],
    ['SELECT 1; SELECT 2', undefined],
    ['SELECT nothing FROM trades', 'SQL_INVALID'],
    ['SELECT * FROM trads', 'SQL_INVALID'],
    ['SELECT', 'SQL_INVALID'],
    ['', 'OPTION_INVALID'],
  ])('refuses %s', async (sql, code) => {
    const { status, json } = await post(server, '/v1/query', { sql });
    expect([sql, status]).toEqual([sql, 400]);
    expect(json.code).toMatch(code ?? /^SQL_/);
    expect(json.detail).not.toMatch(/\n|\bat .*:\d+/);
  });
});
