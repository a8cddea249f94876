import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openTrail, type Report, type Trail } from '../../src/analysis/index.ts';
import { addReportCommand } from '../../src/cli/commands/report.ts';
import { runCommand } from '../support/command.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { groupedLine, line, lines, put, START_MS, STREAM_A, STREAM_B, segmentPath } from '../support/trail-lines.ts';

const RANGE = { from: '2020-01-01', to: '2020-12-31' };
const CHILD = join(import.meta.dirname, '../support/cache-child.ts');

/** A trail of a few events of every kind that reports look into, three segments of one stream and one of another. */
function makeTrail(): string {
  const dir = temporaryDirectory();
  const mixed = (from: number, to: number, stream = STREAM_A): string => {
    let text = '';
    for (let at = from; at < to; at++) {
      const options = { stream, timeMs: START_MS + at * 60_000 };
      const symbol = { 'trading.symbol': at % 2 === 0 ? 'SPX' : 'AAPL' };
      if (at % 4 === 0)
        text += line(at, { ...options, event: 'market.price', attributes: { ...symbol, 'trading.price': 100 + at } });
      else if (at % 4 === 1)
        text += line(at, {
          ...options,
          event: 'trade.exit',
          attributes: { ...symbol, 'trading.pnl': at - 20, 'trading.strategy.id': 'trend' },
        });
      else if (at % 4 === 2)
        text += line(at, {
          ...options,
          event: 'order.rejected',
          severityNumber: 17,
          body: `Order ${at} rejected`,
          attributes: symbol,
        });
      else
        text += line(at, {
          ...options,
          event: 'api.call',
          attributes: { operation: 'place', 'timing.duration_ms': at },
        });
    }
    return text;
  };
  put(segmentPath(dir, STREAM_A, 0), mixed(0, 20));
  put(segmentPath(dir, STREAM_A, 20), mixed(20, 40));
  put(segmentPath(dir, STREAM_A, 40), mixed(40, 50));
  put(segmentPath(dir, STREAM_B, 0), mixed(0, 10, STREAM_B));
  return dir;
}

const parquetIn = (cache: string): string[] =>
  existsSync(cache)
    ? readdirSync(cache, { recursive: true, encoding: 'utf8' })
        .filter((name) => /jsonl\..*\.parquet$/.test(name))
        .sort()
    : [];

async function reports(trail: Trail): Promise<Report[]> {
  const made: Report[] = [];
  for (const name of ['daily', 'trading', 'system', 'risk', 'symbol', 'errors', 'performance', 'audit'] as const)
    made.push(await trail.report[name](RANGE));
  made.push(await trail.report.trading({ ...RANGE, symbol: 'SPX' }));
  made.push(await trail.report.daily({ ...RANGE, strategy: 'trend' }));
  made.push(await trail.report.daily({ from: '2020-03-16T14:10', to: '2020-03-16T14:30' }));
  return made;
}

async function plain(dir: string): Promise<Report[]> {
  await using trail = openTrail(dir, { threads: 2 });
  return reports(trail);
}

async function audited(trail: Trail): Promise<unknown> {
  const { records, sections } = await trail.report.audit(RANGE);
  return { records, sections };
}

describe('the cache of reports', () => {
  it('changes no report: made, used, and beside segments that are written', async () => {
    const dir = makeTrail();
    const expected = await plain(dir);
    await using trail = openTrail(dir, { threads: 2, cache: true });
    expect(await reports(trail)).toEqual(expected);
    expect(parquetIn(join(dir, 'cache'))).toHaveLength(2);
    await using again = openTrail(dir, { threads: 2, cache: true });
    expect(await reports(again)).toEqual(expected);
    put(segmentPath(dir, STREAM_A, 50), lines(50, 60));
    await using uncached = openTrail(dir);
    expect(await audited(again)).toEqual(await audited(uncached));
    expect(parquetIn(join(dir, 'cache'))).toHaveLength(3);
  });

  it('holds a stream’s last segment once the stream is closed', async () => {
    const dir = makeTrail();
    put(segmentPath(dir, STREAM_B, 10), line(10, { stream: STREAM_B, event: 'audit.stream_closed' }));
    await using trail = openTrail(dir, { cache: true });
    await trail.report.audit();
    expect(parquetIn(join(dir, 'cache'))).toHaveLength(4);
  });

  it('is not believed where a segment, a cached file or an entry was changed', async () => {
    const dir = makeTrail();
    const cache = join(dir, 'cache');
    const records = async () => {
      await using trail = openTrail(dir, { cache });
      return (await trail.report.trading(RANGE)).sections[0]!.metrics!['total_pnl']!.value;
    };
    const before = await records();
    const segment = segmentPath(dir, STREAM_A, 0);
    const { atime, mtime } = statSync(segment);
    // Of the same size and time, so that only its content tells.
    writeFileSync(segment, readFileSync(segment, 'utf8').replace('"doubleValue":-19', '"doubleValue":-18'));
    utimesSync(segment, atime, mtime);
    expect(await records()).toBe(Number(before) + 1);
    const [table] = parquetIn(cache);
    const path = join(cache, table!);
    const bytes = readFileSync(path);
    bytes.fill(0, bytes.length >> 2, bytes.length >> 1);
    writeFileSync(path, bytes);
    expect(await records()).toBe(Number(before) + 1);
    for (const name of readdirSync(cache, { recursive: true, encoding: 'utf8' }))
      if (name.endsWith('.json')) writeFileSync(join(cache, name), '{"parquet":{"name":"../../evil.parquet"}}');
    expect(await records()).toBe(Number(before) + 1);
  });

  it('forgets segments that were pruned, and what another version made', async () => {
    const dir = makeTrail();
    const cache = join(dir, 'cache');
    await using trail = openTrail(dir, { cache });
    await trail.report.audit();
    put(join(cache, 'v0-0123456789ab/left.parquet'), 'of another version');
    rmSync(segmentPath(dir, STREAM_A, 0));
    expect((await trail.report.audit(RANGE)).records).toBe(40);
    put(segmentPath(dir, STREAM_A, 50), lines(50, 51));
    expect((await trail.report.audit(RANGE)).records).toBe(41);
    expect(parquetIn(cache).map((name) => name.split('/').at(-1)!.slice(0, 20))).toEqual([
      '00000000000000000020',
      '00000000000000000040',
    ]);
    expect(existsSync(join(cache, 'v0-0123456789ab'))).toBe(false);
  });

  it('tells copies apart, and leaves segments alone whose lines are not one record each', async () => {
    const dir = makeTrail();
    cpSync(join(dir, 'streams', STREAM_A.split('/')[1]!), join(dir, 'copy'), { recursive: true });
    put(
      segmentPath(dir, STREAM_B, 10),
      groupedLine([
        [10, { stream: STREAM_B }],
        [11, { stream: STREAM_B }],
      ]),
    );
    put(segmentPath(dir, STREAM_B, 12), line(12, { stream: STREAM_B }));
    await using uncached = openTrail(dir);
    await using trail = openTrail(dir, { cache: true });
    expect((await trail.report.audit(RANGE)).records).toBe(63);
    expect(await audited(trail)).toEqual(await audited(uncached));
  });

  it('merges what is many files', async () => {
    const dir = temporaryDirectory();
    for (let first = 0; first < 200; first += 10) put(segmentPath(dir, STREAM_A, first), lines(first, first + 10));
    await using trail = openTrail(dir, { cache: true });
    expect((await trail.report.audit()).records).toBe(200);
    const version = join(dir, 'cache', readdirSync(join(dir, 'cache'))[0]!);
    const merged = readdirSync(version).find((name) => name.startsWith('merged.') && name.endsWith('.parquet'))!;
    expect((await trail.report.audit()).records).toBe(200);
    writeFileSync(join(version, merged), 'not Parquet');
    expect((await trail.report.audit()).records).toBe(200);
    rmSync(segmentPath(dir, STREAM_A, 0));
    expect((await trail.report.audit()).records).toBe(190);
  });

  it('counts by the day what is of whole days, and record by record what is not', async () => {
    const dir = temporaryDirectory();
    const day = 86_400_000;
    const at = [-2.5, -1, -0.2, 0, 0.4, 1, 1.9, 2, 3.3].map((days) => Date.UTC(2020, 2, 16) + days * day);
    for (const [index, timeMs] of at.entries())
      put(
        segmentPath(dir, STREAM_A, index),
        line(index, { timeMs, event: index % 3 === 0 ? 'trade.exit' : 'order.placed' }),
      );
    await using trail = openTrail(dir, { cache: true });
    await using uncached = openTrail(dir);
    const ranges = [
      {},
      { from: '2020-03-15' },
      { to: '2020-03-16' },
      { from: '2020-03-15', to: '2020-03-17' },
      { from: '2020-03-15T12:00', to: '2020-03-17' },
      { from: '2020-03-15', to: '2020-03-17T11:00' },
      { from: '2020-03-16T00:00:00.000000001Z' },
      { from: '1960-01-01', to: '2020-03-16' },
    ];
    for (const range of ranges) {
      for (const name of ['audit', 'system', 'trading', 'errors'] as const)
        expect([name, range, await trail.report[name](range)]).toEqual([
          name,
          range,
          await uncached.report[name](range),
        ]);
    }
    expect((await trail.report.audit({ from: '2020-03-16', to: '2020-03-16' })).records).toBe(2);
  });

  it('holds the last segment of a writer that left long ago, until it goes on', async () => {
    const dir = makeTrail();
    const cache = join(dir, 'cache');
    const left = segmentPath(dir, STREAM_B, 0);
    utimesSync(left, START_MS / 1000, START_MS / 1000);
    await using trail = openTrail(dir, { cache });
    expect((await trail.report.audit()).records).toBe(60);
    expect(parquetIn(cache)).toHaveLength(3);
    writeFileSync(left, lines(10, 12, { stream: STREAM_B }), { flag: 'a' });
    expect((await trail.report.audit()).records).toBe(62);
    await using again = openTrail(dir, { cache });
    expect((await again.report.audit()).records).toBe(62);
  });

  it('holds a copy of a stream in a folder of the same name once, and tells it from one that only looks so', async () => {
    const dir = makeTrail();
    const name = STREAM_A.split('/')[1]!;
    cpSync(join(dir, 'streams', name), join(dir, 'other', name), { recursive: true });
    put(join(dir, 'more', name, '00000000000000000000.jsonl'), lines(100, 120));
    put(join(dir, 'more', name, '00000000000000000020.jsonl'), lines(120, 121));
    await using uncached = openTrail(dir);
    const expected = await audited(uncached);
    for (const _ of [1, 2, 3]) {
      await using trail = openTrail(dir, { cache: true });
      expect(await audited(trail)).toEqual(expected);
    }
    expect(parquetIn(join(dir, 'cache'))).toHaveLength(5);
  });

  it('forgets what nothing tells of any more, once nobody can be about to', async () => {
    const dir = makeTrail();
    const cache = join(dir, 'cache');
    const made = async (nowMs: number) => {
      const clock = { now: () => nowMs, monotonic: () => nowMs };
      await using trail = openTrail(dir, { cache, clock });
      await trail.report.audit(RANGE);
      return readdirSync(cache, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.parquet'))
        .length;
    };
    const now = Date.now();
    expect(await made(now)).toBe(4);
    rmSync(segmentPath(dir, STREAM_A, 0));
    put(segmentPath(dir, STREAM_A, 50), lines(50, 60));
    put(segmentPath(dir, STREAM_A, 60), lines(60, 61));
    const before = await made(now);
    put(segmentPath(dir, STREAM_A, 61), lines(61, 62));
    const after = await made(now + 2 * 3_600_000);
    // Three and six segments’ tables, the merged table with its counts, and, the first time, those that it took the place of.
    expect([before, after]).toEqual([7, 8]);
  });

  it('is what the command uses that is told to', async () => {
    const dir = makeTrail();
    const args = ['report', 'daily', dir, '--from', '2020-03-16', '--json'];
    const plainly = await runCommand(addReportCommand, args);
    const cached = await runCommand(addReportCommand, [...args, '--cache']);
    expect(cached).toEqual(plainly);
    expect(parquetIn(join(dir, 'cache'))).toHaveLength(2);
    const elsewhere = join(temporaryDirectory(), 'own');
    expect(await runCommand(addReportCommand, [...args, '--cache', elsewhere])).toEqual(plainly);
    expect(parquetIn(elsewhere)).toHaveLength(2);
  });

  it('is not used by a report that is verified', async () => {
    const dir = makeTrail();
    await using trail = openTrail(dir, { cache: true });
    await trail.report.audit({ verify: true });
    expect(existsSync(join(dir, 'cache'))).toBe(false);
  });

  it('is built by several processes at once, and outlives one that is killed', async () => {
    const dir = makeTrail();
    const cache = join(dir, 'cache');
    const build = () => spawn(process.execPath, [CHILD, dir, cache], { stdio: ['ignore', 'pipe', 'inherit'] });
    const killed = build();
    await once(killed.stdout, 'data');
    killed.kill('SIGKILL');
    await once(killed, 'exit');
    const outputs = await Promise.all(
      [build(), build()].map(async (child) => {
        let text = '';
        child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        await once(child, 'close');
        return text;
      }),
    );
    expect(outputs).toEqual(Array.from({ length: 2 }, () => 'building\n60\n'));
    await using trail = openTrail(dir, { cache });
    await using uncached = openTrail(dir);
    expect(await audited(trail)).toEqual(await audited(uncached));
  });

  it('needs a directory of its own where the trail is not one', () => {
    expect(() => openTrail(['one', 'other'], { cache: true })).toThrow(/cache: expected the path of a directory/);
  });
});
