/** Headless Chromium for tests: found, started with a directory of its own, and always ended. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import puppeteer, { type Browser } from 'puppeteer-core';
import { testVariable } from './test-variables.ts';

const PLACES = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
];

/** Where Chromium is; undefined where there is none. */
export function findChromium(): string | undefined {
  const given = process.env['CHROMIUM_BIN'];
  if (given !== undefined && given !== '') return given;
  return PLACES.find((path) => existsSync(path));
}

/** Whether tests in it may be skipped: not where the environment says that it must be there. */
export const REQUIRED = testVariable('RISKTRAIL_REQUIRE_BROWSER') === '1';

/** A running browser. */
export interface TestBrowser {
  readonly browser: Browser;
  close(): Promise<void>;
}

/** Starts it. Everything has long time limits: the machine may be busy. */
export async function startBrowser(executablePath: string): Promise<TestBrowser> {
  const userDataDir = mkdtempSync(join(tmpdir(), 'risktrail-browser-'));
  const browser = await puppeteer.launch({
    executablePath,
    userDataDir,
    headless: true,
    timeout: 120_000,
    protocolTimeout: 180_000,
    args: [
      '--no-sandbox',
      '--disable-background-networking',
      '--disable-dev-shm-usage',
      '--disable-gpu',
      '--no-first-run',
    ],
  });
  return {
    browser,
    async close() {
      const child = browser.process();
      await Promise.race([
        browser.close().catch(() => {}),
        new Promise((resolve) => setTimeout(resolve, 10_000).unref()),
      ]);
      if (child !== null && child.exitCode === null) child.kill('SIGKILL');
      rmSync(userDataDir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
