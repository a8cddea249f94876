import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import type { FlatRecord } from '../../src/analysis/flat-record.ts';
import { openTrail, type Trail } from '../../src/analysis/index.ts';
import { DERIVED_VIEWS, FILE_VIEWS } from '../../src/analysis/sql/views.ts';
import { isRiskTrailError } from '../../src/core/errors.ts';
import { groupedLine, line, lines, put, START_MS, STREAM_A, STREAM_B, segmentPath } from '../support/trail-lines.ts';

const opened: Trail[] = [];
const directories: string[] = [];
afterEach(async () => {
  for (const trail of opened.splice(0)) await trail.close();
  for (const path of directories.splice(0)) rmSync(path, { recursive: true, force: true });
});

function directory(): string {
  const path = mkdtempSync(join(tmpdir(), 'risktrail-analysis-'));
  directories.push(path);
  return path;
}
function open(paths: string | readonly string[], options = {}): Trail {
  const trail = openTrail(paths, { threads: 2, ...options });
  opened.push(trail);
  return trail;
}
async function flat(trail: Trail): Promise<FlatRecord[]> {
  const records: FlatRecord[] = [];
  for await (const batch of trail.events()) records.push(...batch);
  return records;
}
const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'none',
    (error: { code?: string }) => error.code ?? String(error),
  );
const KEYS = 'SELECT stream, sequence, event, body, trace_id FROM events ORDER BY stream, sequence, body';
const keysOf = (records: readonly FlatRecord[]) =>
  records
    .map(({ stream, sequence, event, body, trace_id }) => [stream, sequence, event, body, trace_id])
    .sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : String(a[0]) > String(b[0]) ? 1 : Number(a[1]) - Number(b[1])));

describe('SQL reads what the plain reader reads', () => {
  it('of plain and sealed segments of several streams', async () => {
    const dir = directory();
    put(segmentPath(dir, STREAM_A, 0), lines(0, 20));
    put(
      `${segmentPath(dir, STREAM_A, 20)}.zst`,
      Buffer.concat([zstdCompressSync(lines(20, 30)), zstdCompressSync(lines(30, 40))]),
    );
    put(
      segmentPath(dir, STREAM_B, 0),
      lines(0, 5, { stream: STREAM_B, event: 'trade.exit', traceId: '0AF7651916CD43DD8448EB211C80319C' }),
    );
    const trail = open(dir);
    const { rows } = await trail.sql(KEYS);
    expect(rows).toHaveLength(45);
    expect(rows).toEqual(keysOf(await flat(trail)));
    expect((await trail.sql('SELECT count(*) FROM trades')).rows).toEqual([[5]]);
  });

  it('of a Collector: many records a line, repeated, regrouped, beside the journal that they came from', async () => {
    const dir = directory();
    put(segmentPath(dir, STREAM_A, 0), lines(0, 10));
    put(
      join(dir, 'collector.jsonl'),
      groupedLine([[3], [1], [1], [12, { event: 'trade.exit' }]]) +
        groupedLine([[12, { event: 'trade.exit' }], [11]]) +
        groupedLine([[11]]),
    );
    const trail = open(dir);
    const { rows } = await trail.sql(KEYS);
    expect(rows.map((row) => row[1])).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12]);
    expect(rows).toEqual(keysOf(await flat(trail)));
    expect((await trail.sql('SELECT count(*) FROM trades')).rows).toEqual([[1]]);
    expect((await trail.sql('SELECT count(*) FROM orders')).rows).toEqual([[11]]);
    expect((await trail.report.audit()).records).toBe(12);
  });

  it('of a Collector that puts more records into a line than memory holds, and what it adds meanwhile', async () => {
    const dir = directory();
    const path = join(dir, 'logs.jsonl');
    const batch = (first: number, count: number) =>
      groupedLine(
        Array.from({ length: count }, (_, at) => [
          first + at,
          {
            event: at % 2 === 0 ? 'trade.exit' : 'order.placed',
            attributes: { 'trading.pnl': 1, note: 'x'.repeat(600) },
          },
        ]),
      );
    const torn = batch(0, 1000).slice(0, -20);
    put(path, `${batch(0, 4000)}${line(4000)}${batch(2000, 4000)}${batch(6000, 18_000)}${torn}`);
    const trail = open(dir);
    const count = async () => (await trail.sql('SELECT count(*), max(sequence) FROM events')).rows[0];
    expect(await count()).toEqual([24_000, 23_999]);
    expect((await trail.sql('SELECT sum(pnl) FROM trades')).rows).toEqual([[12_000]]);
    expect((await trail.report.audit()).records).toBe(24_000);
    put(path, `${batch(0, 4000)}${batch(4000, 2)}`);
    expect(await count()).toEqual([4002, 4001]);
  });

  it('of copies of a segment', async () => {
    const dir = directory();
    put(segmentPath(dir, STREAM_A, 0), lines(0, 10) + line(9));
    put(join(dir, 'backup', '00000000000000000000.jsonl'), lines(0, 10));
    const trail = open(dir);
    expect((await trail.sql('SELECT count(*) FROM events')).rows).toEqual([[10]]);
    expect((await trail.sql('SELECT count(*) FROM orders')).rows).toEqual([[10]]);
    expect((await trail.report.audit()).records).toBe(10);
  });

  it('of records re-encoded: ints as text, value before key, keys within maps that look like attributes', async () => {
    const dir = directory();
    const record = {
      attributes: [
        {
          key: 'a.map',
          value: {
            kvlistValue: {
              values: [
                { key: 'audit.stream', value: { stringValue: 'forged/x' } },
                { key: 'trading.pnl', value: { doubleValue: 9 } },
              ],
            },
          },
        },
        { value: { intValue: '7' }, key: 'audit.sequence.number' },
        { value: { stringValue: STREAM_A }, key: 'audit.stream' },
        { key: 'empty', value: {} },
        { key: 'trading.pnl', value: { intValue: '-5' } },
        { key: 'trading.symbol', value: { stringValue: 'A"B\\\u00e9' } },
        {
          key: 'metadata',
          value: { kvlistValue: { values: [{ key: 'deep', value: { arrayValue: { values: [{ intValue: '1' }] } } }] } },
        },
      ],
      eventName: 'trade.exit',
      timeUnixNano: 1584367200123456789n.toString(),
      body: { stringValue: 'x' },
    };
    put(join(dir, 'c.jsonl'), `${JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords: [record] }] }] })}\n`);
    const trail = open(dir);
    const { rows } = await trail.sql(
      'SELECT stream, sequence, pnl, symbol, metadata, time_unix_nano, timestamp FROM trades',
    );
    expect(rows).toEqual([
      [STREAM_A, 7, -5, 'A"B\\é', '{"deep":[1]}', '1584367200123456789', '2020-03-16T14:00:00.123456Z'],
    ]);
    const [attributes] = (await trail.sql('SELECT attributes FROM events')).rows[0]!;
    expect(attributes).toMatchObject({ 'trading.pnl': '-5', metadata: '{"deep":[1]}' });
  });

  it('past what is torn: a last line, lines that are none, a cut frame', async () => {
    const dir = directory();
    put(segmentPath(dir, STREAM_A, 0), `${lines(0, 3)}garbage\n\n{"other":1}\n${lines(3, 5)}{"resourceLogs":[{"res`);
    put(
      join(dir, 'b.jsonl.zst'),
      Buffer.concat([zstdCompressSync(lines(5, 8)), zstdCompressSync(lines(8, 12))]).subarray(0, -30),
    );
    const trail = open(dir);
    const { rows } = await trail.sql('SELECT sequence FROM events ORDER BY 1');
    expect(rows.slice(0, 8)).toEqual([0, 1, 2, 3, 4, 5, 6, 7].map((one) => [one]));
  });

  it('and the log records that are no audit records', async () => {
    const dir = directory();
    put(
      join(dir, 'c.jsonl'),
      line(undefined, { event: '', body: 'hello' }) + line(undefined, { event: '', body: 'hello' }),
    );
    const trail = open(dir);
    expect((await trail.sql('SELECT body, service, event FROM events')).rows).toEqual([
      ['hello', 'bot', null],
      ['hello', 'bot', null],
    ]);
  });

  it('member for member: category, component, severity, event type', async () => {
    const dir = directory();
    const events = [
      'order.placed',
      'risk.trailing_stop.add',
      'api.error',
      'own.thing',
      'trade.stop_loss_hit',
      'risk.own',
    ];
    put(
      segmentPath(dir, STREAM_A, 0),
      events.map((event, at) => line(at, { event, severityNumber: at === 2 ? 17 : 9 })).join(''),
    );
    const trail = open(dir);
    const { rows } = await trail.sql(
      'SELECT category, component, severity, service, severity_number FROM events ORDER BY sequence',
    );
    expect(rows).toEqual(
      (await flat(trail)).map((one) => [one.category, one.component, one.severity, one.service, one.severity_number]),
    );
    const types = (await trail.sql('SELECT event_type FROM events ORDER BY sequence')).rows.map(([type]) => type);
    expect(types).toEqual(['order_placed', 'trailing_stop_add', 'api_error', 'own_thing', 'stop_loss_hit', 'risk_own']);
  });
});

describe('every view', () => {
  it('can be read, and has the columns that it names', async () => {
    const dir = directory();
    put(segmentPath(dir, STREAM_A, 0), lines(0, 2));
    const trail = open(dir);
    for (const { name, columns } of FILE_VIEWS) {
      const result = await trail.sql(`SELECT * FROM ${name}`);
      expect(result.columns).toEqual(columns.map((column) => column.name));
    }
    for (const { name } of DERIVED_VIEWS) expect((await trail.sql(`SELECT * FROM ${name}`)).rows).toEqual([]);
  });

  it('alerts: folds the events of an alert to where it stands', async () => {
    const dir = directory();
    const alert = (sequence: number, event: string, id: string, more = {}) =>
      line(sequence, { event: `alert.${event}`, attributes: { 'alert.id': id, ...more } });
    put(
      segmentPath(dir, STREAM_A, 0),
      alert(0, 'raised', 'a', {
        'alert.type': 'CRITICAL',
        'alert.severity': 'IMMEDIATE',
        'alert.title': 'CLOSE AAPL',
        'alert.rule': 'TrailingStop',
      }) +
        alert(1, 'raised', 'b', { 'alert.type': 'INFO', 'alert.severity': 'LOW', 'alert.title': 'x' }) +
        alert(2, 'acknowledged', 'a', { 'risk.actor': 'kim' }) +
        alert(10, 'resolved', 'a', { 'risk.actor': 'lee' }),
    );
    const trail = open(dir);
    const { rows } = await trail.sql(
      'SELECT alert_id, type, status, title, rule, acknowledged_by, resolved_by, resolution_seconds FROM alerts ORDER BY alert_id',
    );
    expect(rows).toEqual([
      ['a', 'CRITICAL', 'RESOLVED', 'CLOSE AAPL', 'TrailingStop', 'kim', 'lee', 10],
      ['b', 'INFO', 'ACTIVE', 'x', null, null, null, null],
    ]);
    const { sections } = await trail.report.alerts();
    expect(sections[0]!.metrics).toMatchObject({
      raised: { value: 2 },
      close_alerts: { value: 1 },
      mean_resolution: { value: 10, n: 1 },
    });
  });
});

describe('the connection', () => {
  const small = () => {
    const dir = directory();
    put(segmentPath(dir, STREAM_A, 0), lines(0, 10));
    return dir;
  };

  it('reads nothing but the trail, and writes nothing', async () => {
    const dir = small();
    const file = segmentPath(dir, STREAM_A, 0);
    const before = readFileSync(file);
    const trail = open(dir);
    for (const sql of [
      "SELECT * FROM read_text('/etc/passwd')",
      `SELECT * FROM read_text('${join(dir, '..')}/*')`,
      "SELECT * FROM read_csv('http://localhost:1/x')",
      "SELECT * FROM glob('/etc/*')",
      `COPY (SELECT 1) TO '${file}' (USE_TMP_FILE false)`,
      `COPY (SELECT 1) TO '${file}.new'`,
      'CREATE TABLE x (i INT)',
      'DROP VIEW events',
      "SET memory_limit = '10GB'",
      'SET lock_configuration = false',
      "ATTACH '/tmp/x.db'",
      'INSTALL httpfs',
      'SELECT 1; SELECT 2',
      '',
      'PRAGMA enable_profiling',
    ]) {
      const code = await codeOf(trail.sql(sql));
      expect([sql, ['SQL_INVALID', 'SQL_NOT_READ_ONLY', 'FILE_UNREADABLE'].includes(code)]).toEqual([sql, true]);
    }
    expect(readFileSync(file)).toEqual(before);
    expect(readdirSync(join(file, '..'))).toHaveLength(1);
    expect((await trail.sql('SELECT count(*) FROM events')).rows).toEqual([[10]]);
  });

  it('says in one line what is wrong, with the nearest right name', async () => {
    const trail = open(small());
    const message = (sql: string) =>
      trail.sql(sql).then(
        () => '',
        (error: Error) => error.message,
      );
    expect(await message('SELECT * FROM tradez')).toContain('did you mean "trades"');
    expect(await message('SELECT symbl FROM trades')).toContain('"symbl" not found');
    for (const sql of ['selec 1', 'SELECT * FROM nothing', 'SELECT nothing FROM events']) {
      expect(await message(sql)).toMatch(/^the query cannot be run: [^\n]+$/);
    }
  });

  it('stops a query that takes too long', async () => {
    const trail = open(small(), { timeoutMs: 3000 });
    const code = await codeOf(
      trail.sql('SELECT count(*) FROM range(100000000) a, range(100000) b WHERE a.range % 7 = b.range % 11'),
    );
    expect(code).toBe('SQL_TIMEOUT');
    expect((await trail.sql('SELECT count(*) FROM orders')).rows).toEqual([[10]]);
  });

  it('says in one line that a query needs more memory than it may take, and answers the next', async () => {
    const trail = open(small(), { memoryBytes: 64 * 2 ** 20 });
    const error = await trail.sql('SELECT list(range) FROM range(100000000)').catch((one: unknown) => one);
    expect(error).toMatchObject({
      code: 'SQL_MEMORY',
      message: expect.stringMatching(/^the query needs more than the 64 MiB of memory that it may take[^\n]*$/),
    });
    expect((await trail.sql('SELECT count(*) FROM orders')).rows).toEqual([[10]]);
  });

  it('takes values for places', async () => {
    const trail = open(small());
    expect((await trail.sql('SELECT count(*) FROM events WHERE sequence >= $least', { least: 7 })).rows).toEqual([[3]]);
  });

  it('runs questions that are asked at once', async () => {
    const trail = open(small());
    const answers = await Promise.all(
      [1, 2, 3].map((least) => trail.sql(`SELECT count(*) FROM events WHERE sequence >= ${least}`)),
    );
    expect(answers.map(({ rows }) => rows[0]![0])).toEqual([9, 8, 7]);
  });
});

describe('a trail that changes', () => {
  it('is seen anew by each question: written, sealed, pruned', async () => {
    const dir = directory();
    const first = segmentPath(dir, STREAM_A, 0);
    put(first, lines(0, 10));
    const trail = open(dir);
    const count = async () => (await trail.sql('SELECT count(*), min(sequence) FROM events')).rows[0];
    expect(await count()).toEqual([10, 0]);
    put(segmentPath(dir, STREAM_A, 10), lines(10, 15));
    expect(await count()).toEqual([15, 0]);
    put(`${first}.zst`, zstdCompressSync(readFileSync(first)));
    expect(await count()).toEqual([15, 0]);
    rmSync(first);
    expect(await count()).toEqual([15, 0]);
    rmSync(`${first}.zst`);
    expect(await count()).toEqual([5, 10]);
    truncateSync(segmentPath(dir, STREAM_A, 10), 700);
    expect((await count())![0]).toBeLessThan(5);
  });

  it('without files, or without the path, is told in one line', async () => {
    const dir = directory();
    expect(await codeOf(open(dir).sql('SELECT 1'))).toBe('NO_TRAIL_FILES');
    expect(await codeOf(open(join(dir, 'nowhere')).sql('SELECT 1'))).toBe('PATH_NOT_FOUND');
    put(join(dir, 'empty.jsonl'), '');
    const trail = open(dir);
    expect((await trail.sql('SELECT count(*) FROM events')).rows).toEqual([[0]]);
    const report = await trail.report.daily();
    expect([report.records, report.first]).toEqual([0, null]);
    expect(report.sections[0]!.metrics!['total_pnl']).toMatchObject({
      value: null,
      undefinedBecause: 'no trade was closed',
    });
  });

  it('whose directory is renamed is told as missing', async () => {
    const dir = directory();
    put(segmentPath(dir, STREAM_A, 0), lines(0, 10));
    const trail = open(dir);
    await trail.sql('SELECT count(*) FROM orders');
    renameSync(dir, `${dir}-gone`);
    directories.push(`${dir}-gone`);
    const error = await trail.sql('SELECT count(*) FROM orders').catch((one: unknown) => one);
    expect(isRiskTrailError(error, 'PATH_NOT_FOUND')).toBe(true);
  });
});

describe('an export', () => {
  const trail = () => {
    const dir = directory();
    put(
      segmentPath(dir, STREAM_A, 0),
      line(0, {
        event: 'trade.exit',
        body: '=HYPERLINK("x")',
        attributes: { 'trading.price': '100.10', 'trading.pnl': -5.5, 'risk.reason': 'a "b",\nc' },
      }) +
        line(1, { event: 'trade.entry', timeMs: START_MS + 1 }) +
        line(2, { event: 'order.placed' }),
    );
    return open(dir);
  };

  it('as CSV quotes as RFC 4180 says, defuses formulas, and keeps exact texts', async () => {
    const parts: string[] = [];
    const count = await trail().export('csv', (text) => void parts.push(text), { event: ['trade.*'] });
    const text = parts.join('');
    expect(count).toBe(2);
    expect(text.split('\r\n')[0]).toMatch(/^timestamp,event,category,.*,risk\.reason,trading\.pnl,trading\.price$/);
    expect(text).toContain(`"'=HYPERLINK(""x"")"`);
    expect(text).toContain('"a ""b"",\nc",-5.5,100.10\r\n');
    expect(text).toContain('2020-03-16T14:00:00.000000000Z');
  });

  it('as Parquet holds every record with exact texts and typed numbers', async () => {
    const one = trail();
    const path = join(directory(), 'out.parquet');
    expect(await one.export('parquet', path)).toBe(3);
    const { createInstance, loadDuckDb, plainCell } = await import('../../src/analysis/sql/duckdb.ts');
    const instance = await createInstance(await loadDuckDb(), {});
    const connection = await instance.connect();
    const reader = await connection.runAndReadAll(
      `SELECT "timestamp", timestamp_utc, event, "trading.price", sequence, category FROM '${path}' ORDER BY sequence`,
    );
    const rows = reader.getRows().map((row) => row.map(plainCell));
    connection.closeSync();
    instance.closeSync();
    expect(rows[0]).toEqual([
      '2020-03-16T14:00:00.000000000Z',
      '2020-03-16T14:00:00.000000Z',
      'trade.exit',
      '100.10',
      0,
      ['trade'],
    ]);
    expect(rows).toHaveLength(3);
  });

  it('as JSON lines is the flat shape, into a file too, and touches no file when the filter is wrong', async () => {
    const one = trail();
    const path = join(directory(), 'out.jsonl');
    expect(await one.export('jsonl', path)).toBe(3);
    const read = readFileSync(path, 'utf8')
      .trimEnd()
      .split('\n')
      .map((text) => JSON.parse(text) as FlatRecord);
    expect(read).toEqual(await flat(one));
    expect(await codeOf(one.export('csv', path, { since: 'yesterday' }))).toBe('OPTION_INVALID');
    expect(readFileSync(path, 'utf8')).not.toBe('');
    expect(await codeOf(one.export('csv', join(path, 'below')))).toBe('FILE_UNREADABLE');
  });
});
