import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { FlatRecord } from '../../src/analysis/flat-record.ts';
import { openTrail, type Trail } from '../../src/analysis/index.ts';
import { type PageOptions, renderPage } from '../../src/analysis/page/index.ts';
import { runDemo } from '../../src/demo/main.ts';
import { removeTemporaryDirectories, temporaryDirectory } from '../support/temporary.ts';
import { line, put, STREAM_A, segmentPath } from '../support/trail-lines.ts';

/** Cells of a table of the page: exact numbers where a cell has one, epoch ms where it has a time, else the text. */
function cells(page: string, name: string): (string | number)[][] {
  const start = page.indexOf(`<table data-table="${name}">`);
  expect(start, `a table ${name}`).toBeGreaterThan(0);
  const body = /<tbody>([\s\S]*?)<\/tbody>/.exec(page.slice(start))![1]!;
  return [...body.matchAll(/<tr>([\s\S]*?)<\/tr>/g)].map(([, row]) =>
    [...row!.matchAll(/<t[hd][^>]*>([\s\S]*?)<\/t[hd]>/g)].map(([, cell]) => {
      const exact = /^<data value="([^"]*)">/.exec(cell!);
      if (exact !== null) return Number(exact[1]);
      const time = /^<time datetime="([^"]*)">/.exec(cell!);
      return time === null ? cell!.replaceAll(/<[^>]*>/g, '') : Date.parse(time[1]!);
    }),
  );
}
const figure = (page: string, key: string): number =>
  Number(new RegExp(`data-figure="${key}"[\\s\\S]*?<data value="([^"]*)">`).exec(page)![1]);
const n = (value: unknown) => Number(value);

let demo: Trail;
let records: FlatRecord[] = [];
let page = '';
beforeAll(async () => {
  const silent = vi.spyOn(console, 'log').mockImplementation(() => {});
  const dir = temporaryDirectory();
  await runDemo({ dir, days: 500, quiet: true });
  silent.mockRestore();
  demo = openTrail(dir, { threads: 2 });
  for await (const batch of demo.events()) records.push(...batch);
  page = await renderPage(demo);
}, 180_000);
afterAll(async () => {
  records = [];
  await demo?.close();
  removeTemporaryDirectories();
});

describe('the page of a trail', () => {
  it('shows the figures that SQL gives', async () => {
    const one = async (sql: string) => n((await demo.sql(sql)).rows[0]![0]);
    expect(figure(page, 'trading_halts')).toBe(
      await one(
        `SELECT count(*) FROM events WHERE event = 'risk.trading_state_change' AND attributes['risk.trading_state.new'] = 'HALTED'`,
      ),
    );
    expect(figure(page, 'breaker_openings')).toBe(
      await one(
        `SELECT count(*) FROM breakers WHERE event = 'risk.circuit_breaker.state_change' AND new_state = 'OPEN'`,
      ),
    );
    expect(figure(page, 'orders_placed')).toBe(await one(`SELECT count(*) FROM orders WHERE event = 'order.placed'`));
    expect(figure(page, 'orders_rejected')).toBe(
      await one(`SELECT count(*) FROM orders WHERE event = 'order.rejected'`),
    );
    expect(figure(page, 'stops_triggered')).toBe(
      await one(`SELECT count(*) FROM stops WHERE event = 'risk.trailing_stop.trigger'`),
    );
    expect(figure(page, 'total_pnl')).toBeCloseTo(
      await one(`SELECT sum(pnl) FROM trades WHERE event = 'trade.exit'`),
      6,
    );
    expect(figure(page, 'trading_halts')).toBeGreaterThan(0);
  });

  it('draws the recorded prices: extremes and counts of each period are those of a plain loop', () => {
    const seen = records.flatMap((one) =>
      one.event === 'market.price'
        ? [[one.timestamp, n(one['trading.price'])] as const]
        : one.event === 'market.candle_closed'
          ? [[one.timestamp, n(one['trading.close'])] as const]
          : [],
    );
    const byMonth = Map.groupBy(seen, ([time]) => time.slice(0, 7));
    const expected = [...byMonth].map(([month, prices]) => {
      const values = prices.map(([, price]) => price);
      return [month, values[0], Math.min(...values), Math.max(...values), values.at(-1), values.length];
    });
    expect(cells(page, 'prices:SPX')).toEqual(expected);
  });

  it('tells of each stop what its records say', () => {
    const fired = records.filter(({ event }) => event === 'risk.trailing_stop.trigger').reverse();
    const rows = cells(page, 'stops:SPX').filter((row) => row[6] !== '–');
    expect(rows.length).toBe(Math.min(fired.length, rows.length));
    expect(rows.length).toBeGreaterThan(10);
    for (const [stop, , , , , , at, price] of rows) {
      const record = fired.find((one) => one['risk.trailing_stop.id'] === stop)!;
      expect([at, price]).toEqual([Date.parse(record.timestamp), record['risk.trailing_stop.current_price']]);
    }
  });

  it('has the drawdown of a plain loop over the recorded equity', () => {
    const values = records.filter(
      (one) => one.event === 'risk.portfolio_limit.update' && one['trading.equity'] !== undefined,
    );
    let peak = 0;
    let deepest = 0;
    const byMonth = new Map<string, number>();
    for (const one of values) {
      const equity = n(one['trading.equity']);
      peak = Math.max(peak, equity);
      deepest = Math.max(deepest, 1 - equity / peak);
      const month = one.timestamp.slice(0, 7);
      byMonth.set(month, Math.max(byMonth.get(month) ?? 0, 1 - equity / peak));
    }
    const rows = cells(page, 'equity:');
    expect(rows.map((row) => [row[0], row[5]])).toEqual([...byMonth]);
    expect(rows.reduce((sum, row) => sum + n(row[6]), 0)).toBe(values.length);
    expect(figure(page, 'drawdown')).toBe(deepest);
  });

  it('tells limits and their heat as SQL does', async () => {
    const { rows } = await demo.sql(
      `SELECT type, count(*), max(utilization), count(*) FILTER (utilization >= 0.8) FROM limit_results GROUP BY type ORDER BY type`,
    );
    const shown = cells(page, 'limits');
    expect(shown.map((row) => [row[0], row[1], row[2], row[4]])).toEqual(rows);
    const heat = cells(page, 'heat');
    expect(Math.max(...heat.map((row) => n(row[1])).filter(Number.isFinite))).toBe(rows[0]![2]);
  });

  it('tells durations as SQL does', async () => {
    const { rows } = await demo.sql('SELECT count(*), count(DISTINCT event) FROM events WHERE duration_ms IS NOT NULL');
    const shown = cells(page, 'latency');
    expect([shown.reduce((sum, row) => sum + n(row[2]), 0), shown.length]).toEqual(rows[0]);
    expect(cells(page, 'latency-classes').reduce((sum, row) => sum + n(row[1]), 0)).toBe(rows[0]![0]);
  });

  it('unfolds every halt into its explanation, the same that explain gives', async () => {
    const halts = records.filter(
      (one) => one.event === 'risk.trading_state_change' && one['risk.trading_state.new'] !== 'ACTIVE',
    );
    expect(page.match(/<li data-incident=/g)!.length).toBeGreaterThanOrEqual(Math.min(60, halts.length));
    const last = halts.at(-1)!;
    const { answer, steps } = await demo.explain({ event: last.record_id!, verify: false });
    const start = page.indexOf(`data-incident="${last.record_id}"`);
    const told = page.slice(start, page.indexOf('</li>\n<li data-incident', start) + 1 || undefined);
    expect(told).toContain(
      answer.replaceAll('"', '&quot;').replaceAll('&', '&amp;').replaceAll('&amp;quot;', '&quot;'),
    );
    expect(told.match(/<span class="part">/g)).toHaveLength(steps.length);
    expect(told).toContain(`${steps.length} of ${steps.length} records are what was hashed`);
  });

  it('says that it is verified, and through which record', () => {
    expect(page.includes('class="banner')).toBe(false);
    expect(/data-figure="verification"[\s\S]{0,120}Verified[\s\S]{0,60}through record [\d,]+/.test(page)).toBe(true);
  });

  it('is the same twice, small, and holds neither script nor address', async () => {
    expect((await renderPage(demo)) === page).toBe(true);
    expect(Buffer.byteLength(page)).toBeLessThan(3_000_000);
    expect(
      /<script|javascript:|\son\w+=|https?:|url\((?!#)|@import|NaN|undefined(?!, because)/.exec(page)?.[0],
    ).toBeUndefined();
    expect(page.includes("default-src 'none'")).toBe(true);
  });

  it('stands behind the tables of a report, over that report’s range', async () => {
    const day = records.find((one) => one.event === 'risk.trading_state_change')!.timestamp.slice(0, 10);
    const daily = await renderPage(demo, { report: 'daily', from: day });
    const report = await demo.report.daily({ from: day });
    const { metrics } = report.sections.find(({ name }) => name === 'risk')!;
    const shown = new Map(cells(daily, 'metrics:risk').map((row) => [String(row[0]).replaceAll(' ', '_'), row[1]]));
    for (const [name, { value }] of Object.entries(metrics!)) expect(shown.get(name), name).toBe(value ?? '–');
    expect(daily.includes(`<h1>risktrail-demo: daily, ${day}</h1>`)).toBe(true);
    expect(daily.indexOf('metrics:trading')).toBeLessThan(daily.indexOf('id="incidents"'));
  });
});

const open = (paths: string, options?: PageOptions) =>
  (async () => {
    await using trail = openTrail(paths, { threads: 2 });
    return renderPage(trail, options);
  })();

describe('a page of little', () => {
  it('says what empty means', async () => {
    const dir = temporaryDirectory();
    put(segmentPath(dir, STREAM_A, 0), line(0, { event: 'system.start' }));
    const empty = await open(dir);
    for (const words of [
      'Whether trading is safe cannot be told',
      'No incident',
      'No limit was evaluated',
      'No price and no trailing stop',
      'Neither equity nor',
      'has a duration',
    ])
      expect(empty).toContain(words);
    const none = await open(dir, { from: '2031-01-01' });
    expect(none).toContain('no record within the time and filters');
    expect(none).not.toContain('<figure');
  });

  it('warns that it stands on records that were not verified', async () => {
    const dir = temporaryDirectory();
    put(segmentPath(dir, STREAM_A, 0), line(0, { event: 'system.start' }));
    expect(await open(dir, { verify: false })).toMatch(/class="banner"[\s\S]*not verified/);
  });

  it('says first of all that the verification found something', async () => {
    const dir = temporaryDirectory();
    put(segmentPath(dir, STREAM_A, 0), line(0, { event: 'system.start' }));
    const integrity = { status: 'findings', detail: 'verification found record_changed' } as const;
    expect(await open(dir, { integrity })).toMatch(
      /<main id="main"><div class="banner halted"[\s\S]*do not rely on this page[\s\S]*record_changed/,
    );
  });

  it('is written by the command, and nothing else is printed', async () => {
    const dir = temporaryDirectory();
    put(segmentPath(dir, STREAM_A, 0), line(0, { event: 'system.start' }));
    const file = join(dir, 'page.html');
    const run = (...args: string[]) =>
      spawnSync(process.execPath, ['src/cli/main.ts', 'report', 'system', dir, ...args], {
        encoding: 'utf8',
        timeout: 60_000,
      });
    const written = run('--html', file);
    expect([written.status, written.stdout]).toEqual([0, '']);
    expect(written.stderr).toContain(`wrote ${file}`);
    expect(readFileSync(file, 'utf8')).toMatch(/^<!doctype html>[\s\S]*bot: system[\s\S]*<\/html>\n$/);
    const refused = run('--html', join(dir, 'nowhere', 'page.html'));
    expect(refused.status).toBeGreaterThan(1);
    expect(refused.stderr.trim().split('\n')[0]).toContain('nowhere');
  });

  it('is bounded: of more incidents, lanes, limits and symbols than fit it says how many there are', async () => {
    const dir = temporaryDirectory();
    const many = Array.from({ length: 70 }, (_, at) => [
      line(4 * at, {
        event: 'risk.circuit_breaker.state_change',
        attributes: {
          'risk.circuit_breaker.name': `b${at}`,
          'risk.circuit_breaker.state.old': 'CLOSED',
          'risk.circuit_breaker.state.new': at === 0 ? 'OPEN' : 'DISABLED',
        },
      }),
      line(4 * at + 1, { event: 'risk.portfolio_limit.rejection', attributes: { 'risk.limit.type': `limit${at}` } }),
      line(4 * at + 2, { event: 'market.price', attributes: { 'trading.symbol': `S${at}`, 'trading.price': at + 1 } }),
      line(4 * at + 3, { event: 'risk.kill_switch' }),
    ]).flat();
    put(segmentPath(dir, STREAM_A, 0), many.join(''));
    const page = await open(dir);
    const text = page.replaceAll(/<[^>]*>/g, '');
    expect(page.match(/<li data-incident=/g)).toHaveLength(60);
    for (const words of ['and 80 more incidents', 'and 46 more lanes', 'and 38 more limits', 'and 66 more symbols'])
      expect(text.includes(words), words).toBe(true);
    // The verdict looks at all of them, drawn or not.
    expect(text).toContain('Breaker b0 is OPEN since 2020-03-16 14:00:00');
  });

  it('is of the asked symbol, strategy and account alone, and says what holds for all', async () => {
    const dir = temporaryDirectory();
    const of = (symbol: string, strategy: string, pnl: number) => ({
      event: 'trade.exit',
      attributes: {
        'trading.symbol': symbol,
        'trading.strategy.id': strategy,
        'trading.account.id': 'A',
        'trading.pnl': pnl,
      },
    });
    const state = { 'risk.trading_state.old': 'ACTIVE', 'risk.trading_state.new': 'REDUCING', 'risk.scope': 'global' };
    const lines = [
      of('X', 's', 5),
      of('X', 't', 7),
      of('Y', 's', 11),
      { event: 'risk.trading_state_change', attributes: state },
    ];
    put(segmentPath(dir, STREAM_A, 0), lines.map((one, at) => line(at, one)).join(''));
    const page = await open(dir, { symbol: 'X', strategy: 's', account: 'A' });
    expect(cells(page, 'equity:A').map((row) => row.slice(1, 5))).toEqual([[5, 5, 5, 5]]);
    expect(figure(page, 'total_pnl')).toBe(5);
    expect(page.includes('they are not filtered')).toBe(true);
    expect(page.includes('Trading (global) is REDUCING since 2020-03-16 14:00:03')).toBe(true);
    expect(cells(await open(dir), 'equity:A').at(-1)![4]).toBe(23);
  });

  it('shows hostile text as text, in pictures as in tables', async () => {
    const dir = temporaryDirectory();
    const hostile = `"><script>alert(1)</script><img src=x onerror='alert(2)'>]]>&amp;{a|b}\u202e</title></svg></style>`;
    const symbol = { 'trading.symbol': hostile, 'trading.account.id': hostile };
    const records = [
      line(0, { event: 'market.price', body: hostile, attributes: { ...symbol, 'trading.price': 10 } }),
      line(1, { event: 'market.price', body: hostile, attributes: { ...symbol, 'trading.price': 12 } }),
      line(2, {
        event: 'risk.circuit_breaker.state_change',
        body: hostile,
        attributes: {
          'risk.circuit_breaker.name': hostile,
          'risk.circuit_breaker.state.old': 'CLOSED',
          'risk.circuit_breaker.state.new': 'OPEN',
          'risk.reason': hostile,
        },
      }),
      line(3, {
        event: 'risk.trading_state_change',
        body: hostile,
        attributes: {
          'risk.scope': hostile,
          'risk.actor': hostile,
          'risk.trading_state.old': 'ACTIVE',
          'risk.trading_state.new': 'HALTED',
          'risk.reason': hostile,
        },
      }),
      line(4, {
        event: 'trade.exit',
        body: hostile,
        attributes: { ...symbol, 'trading.pnl': -5, 'timing.duration_ms': 3, operation: hostile },
      }),
      line(5, {
        event: 'risk.portfolio_limit.rejection',
        body: hostile,
        attributes: { ...symbol, 'risk.limit.type': hostile, 'risk.decision': 'deny' },
      }),
      line(6, {
        event: 'risk.trailing_stop.add',
        attributes: {
          ...symbol,
          'risk.trailing_stop.id': hostile,
          'risk.trailing_stop.side': hostile,
          'risk.trailing_stop.entry_price': 11,
        },
      }),
      line(7, {
        event: 'risk.trailing_stop.trigger',
        attributes: {
          ...symbol,
          'risk.trailing_stop.id': hostile,
          'risk.trailing_stop.current_price': 10,
          'risk.trailing_stop.stop_price': 10.5,
        },
      }),
    ];
    put(segmentPath(dir, STREAM_A, 0), records.join(''));
    for (const report of ['errors', 'risk'] as const) {
      const shown = await open(dir, { report, title: hostile });
      expect(/<script|<img|\u202e/.exec(shown)?.[0]).toBeUndefined();
      expect(shown.match(/<\/title><style>/g)).toHaveLength(1);
      expect(shown.includes('&lt;script&gt;')).toBe(true);
    }
    const page = await open(dir);
    expect(page).toContain('Trading is halted, at least in part');
  });

  it('refuses what reports refuse, and names what is wrong', async () => {
    const dir = temporaryDirectory();
    put(segmentPath(dir, STREAM_A, 0), line(0));
    await expect(open(dir, { from: '2020-13-45' })).rejects.toMatchObject({ code: 'OPTION_INVALID' });
    await expect(open(dir, { from: '2020-03-17', to: '2020-03-16' })).rejects.toMatchObject({ code: 'OPTION_INVALID' });
    await expect(open(join(dir, 'nowhere'))).rejects.toMatchObject({ code: 'PATH_NOT_FOUND' });
  });
});
