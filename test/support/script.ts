/** Small programs run as processes of their own: how they end is what is tested. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

/** For `import` in a program's text. */
export const INDEX = JSON.stringify(new URL('../../src/index.ts', import.meta.url).href);

/** Compiled code, kept between the many runs of one test file. */
const CACHE = mkdtempSync(join(tmpdir(), 'risktrail-script-cache-'));
afterAll(() => rmSync(CACHE, { recursive: true, force: true }));

export interface ScriptResult {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ScriptOptions {
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Signals to send, one each time that the program prints `ready`. */
  readonly signals?: readonly NodeJS.Signals[] | undefined;
  /** Directory from which packages are imported. @default this checkout */
  readonly cwd?: string | undefined;
}

/** Runs the text of an ES module to its end. */
export async function runScript(source: string, options: ScriptOptions = {}): Promise<ScriptResult> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
    cwd: options.cwd ?? join(import.meta.dirname, '../..'),
    env: { PATH: process.env['PATH'], NODE_COMPILE_CACHE: CACHE, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const signals = [...(options.signals ?? [])];
  let stdout = '';
  let stderr = '';
  let seen = 0;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    for (let at = stdout.indexOf('ready', seen); at >= 0; at = stdout.indexOf('ready', seen)) {
      seen = at + 5;
      const signal = signals.shift();
      if (signal !== undefined) child.kill(signal);
    }
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  return { code, signal, stdout, stderr };
}
