import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import axe from 'axe-core';
import type { Page } from 'puppeteer-core';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { openTrail } from '../../src/analysis/index.ts';
import { renderPage } from '../../src/analysis/page/index.ts';
import { runDemo } from '../../src/demo/main.ts';
import { findChromium, REQUIRED, startBrowser, type TestBrowser } from '../support/browser.ts';
import { removeTemporaryDirectories, temporaryDirectory } from '../support/temporary.ts';
import { line, put, STREAM_A, segmentPath } from '../support/trail-lines.ts';

const chromium = findChromium();
if (chromium === undefined && !REQUIRED)
  console.log('test/browser: no Chromium found, skipped (CHROMIUM_BIN names one; RISKTRAIL_REQUIRE_BROWSER=1 insists)');

/** The scripts are text: they run there, not here. */
const ask = <T>(page: Page, script: string): Promise<T> => page.evaluate(script) as Promise<T>;

interface Violation {
  readonly id: string;
  readonly impact: string;
  readonly nodes: readonly { readonly target: unknown; readonly failureSummary?: string }[];
}

describe.skipIf(chromium === undefined && !REQUIRED)('the page in a browser', { timeout: 180_000 }, () => {
  let running: TestBrowser | undefined;
  let demo = '';
  let hostile = '';

  beforeAll(async () => {
    if (chromium === undefined)
      throw new Error('RISKTRAIL_REQUIRE_BROWSER=1, but there is no Chromium: install it, or name it in CHROMIUM_BIN');
    const dir = temporaryDirectory();
    const silent = vi.spyOn(console, 'log').mockImplementation(() => {});
    await runDemo({ dir: join(dir, 'demo'), days: 330, quiet: true });
    silent.mockRestore();
    const write = async (paths: string, name: string) => {
      await using trail = openTrail(paths, { threads: 2 });
      const path = join(dir, name);
      writeFileSync(path, await renderPage(trail, { report: 'risk' }));
      return pathToFileURL(path).href;
    };
    demo = await write(join(dir, 'demo'), 'demo.html');
    const bad = `"><script>document.title='taken'</script><img src=https://example.com/x onerror="document.title='taken'">`;
    const attributes = {
      'trading.symbol': bad,
      'trading.price': 10,
      'risk.trading_state.old': 'ACTIVE',
      'risk.trading_state.new': 'HALTED',
      'risk.scope': bad,
      'risk.reason': bad,
    };
    put(
      segmentPath(join(dir, 'hostile'), STREAM_A, 0),
      ['market.price', 'market.price', 'risk.trading_state_change']
        .map((event, at) => line(at, { event, body: bad, attributes }))
        .join(''),
    );
    hostile = await write(join(dir, 'hostile'), 'hostile.html');
    running = await startBrowser(chromium);
  }, 300_000);
  afterAll(async () => {
    await running?.close();
    removeTemporaryDirectories();
  }, 60_000);

  /** Opens a page; tells everything that went wrong, and every request but the page's own. */
  async function visit(url: string, options: { dark?: boolean; width?: number; scripts?: boolean } = {}) {
    const page = await running!.browser.newPage();
    const troubles: string[] = [];
    page.on('console', (message) => troubles.push(`console: ${message.text()}`));
    page.on('pageerror', (error) => troubles.push(`error: ${String(error)}`));
    await page.setRequestInterception(true);
    page.on('request', (request) => {
      if (request.url() === url) void request.continue();
      else {
        troubles.push(`request: ${request.url()}`);
        void request.abort();
      }
    });
    // Only the test itself runs a script: the page's policy allows none.
    if (options.scripts) await page.setBypassCSP(true);
    await page.setViewport({ width: options.width ?? 1280, height: 900 });
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: options.dark ? 'dark' : 'light' }]);
    await page.goto(url, { timeout: 120_000, waitUntil: 'load' });
    return { page, troubles };
  }

  async function violations(page: Page): Promise<string[]> {
    await ask(page, `document.querySelectorAll('details').forEach((one) => { one.open = true; })`);
    await ask(page, axe.source);
    const found = await ask<Violation[]>(
      page,
      // What is within a picture is no content of its own: its name tells it.
      `axe.run({ exclude: [['svg[role=img] *']] }, { resultTypes: ['violations'] }).then((all) => all.violations)`,
    );
    return found
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(
        ({ id, nodes }) =>
          `${id}: ${nodes
            .slice(0, 3)
            .map((node) => `${JSON.stringify(node.target)} ${node.failureSummary}`)
            .join(' | ')}`,
      );
  }

  it('asks for nothing, and reports no error', async () => {
    for (const url of [demo, hostile]) {
      const { page, troubles } = await visit(url);
      expect(troubles).toEqual([]);
      expect(await page.title()).not.toBe('taken');
      expect(await ask(page, 'document.images.length + document.scripts.length')).toBe(0);
      await page.close();
    }
  });

  it.each([
    { name: 'light', options: { dark: false } },
    { name: 'dark', options: { dark: true } },
    { name: 'narrow', options: { width: 400 } },
  ])('has no serious violation of accessibility: $name', async ({ options }) => {
    const { page } = await visit(demo, { ...options, scripts: true });
    expect(await violations(page)).toEqual([]);
    await page.close();
  });

  it('fits a telephone: nothing is wider than the window, and the narrow pictures are shown', async () => {
    for (const [width, shown] of [
      [400, 'narrow'],
      [1280, 'wide'],
    ] as const) {
      const { page } = await visit(demo, { width });
      const seen = await ask<{ width: number; kinds: string[] }>(
        page,
        `({ width: document.documentElement.scrollWidth,
            kinds: [...document.querySelectorAll('figure > div')].filter((one) => one.getClientRects().length > 0).map((one) => one.className) })`,
      );
      expect(seen.width).toBeLessThanOrEqual(width);
      expect(new Set(seen.kinds)).toEqual(new Set([shown]));
      await page.close();
    }
  });

  it('names every picture, and has the same as a table', async () => {
    const { page } = await visit(demo);
    const figures = await ask<{ names: string[]; titles: string[]; drawn: number[]; rows: number }[]>(
      page,
      `[...document.querySelectorAll('figure')].map((one) => ({
        names: [...one.querySelectorAll('svg[role=img]')].map((svg) => svg.getAttribute('aria-label')),
        titles: [...one.querySelectorAll('svg[role=img] > title')].map((title) => title.textContent),
        drawn: [...one.querySelectorAll('svg[role=img]')].map((svg) => svg.querySelectorAll('path, rect').length),
        rows: one.querySelectorAll('details.data table tbody tr').length }))`,
    );
    expect(figures.map(({ titles }) => titles[0])).toEqual([
      'States over time',
      'How full the limits were',
      expect.stringContaining('SPX: the newest stops'),
      'SPX: price and stops',
      'Equity',
      'How long operations took',
    ]);
    for (const { names, titles, drawn, rows } of figures) {
      expect(names.every((name) => name.startsWith(`${titles[0]}: `) && name.length > 40)).toBe(true);
      expect([names.length, titles.length]).toEqual([2, 2]);
      expect(Math.min(...drawn)).toBeGreaterThan(2);
      expect(rows).toBeGreaterThan(0);
    }
  });

  it('can be used by keyboard alone: an incident unfolds by Enter', async () => {
    const { page } = await visit(demo);
    await page.keyboard.press('Tab');
    expect(await ask(page, 'document.activeElement.className')).toBe('skip');
    const open = () => ask(page, `document.querySelector('.incidents details').open`);
    await page.focus('.incidents summary');
    expect(await open()).toBe(false);
    await page.keyboard.press('Enter');
    expect(await open()).toBe(true);
    expect(await ask(page, `document.querySelector('.incidents details[open] .steps').getClientRects().length`)).toBe(
      1,
    );
    await page.close();
  });

  it('prints its explanations unfolded, its pictures wide, and no table of data twice', async () => {
    const { page } = await visit(demo, { dark: true });
    await page.emulateMediaType('print');
    const seen = await ask<{ why: number; data: number; paper: string }>(
      page,
      `({ why: document.querySelector('.incidents .why .steps').offsetHeight,
          data: document.querySelector('details.data').offsetHeight,
          paper: getComputedStyle(document.body).backgroundColor })`,
    );
    expect(seen.why).toBeGreaterThan(10);
    expect([seen.data, seen.paper]).toEqual([0, 'rgb(255, 255, 255)']);
    const pdf = await page.pdf({ format: 'A4', printBackground: true, timeout: 120_000 });
    expect(pdf.length).toBeGreaterThan(20_000);
    await page.close();
  });

  it('draws with the colours of the sheet, in light and in dark', async () => {
    const colors: string[][] = [];
    for (const dark of [false, true]) {
      const { page } = await visit(demo, { dark });
      const fills = `['text', 'path[fill="var(--halted)"]', 'path[fill="var(--normal)"]'].map((one) => getComputedStyle(document.querySelector('#timeline svg[role=img] ' + one)).fill)`;
      colors.push(await ask<string[]>(page, fills));
      await page.close();
    }
    for (const [at, light] of colors[0]!.entries()) {
      expect([light, colors[1]![at]]).not.toContain('rgb(0, 0, 0)');
      expect(light).not.toBe(colors[1]![at]);
    }
  });
});
