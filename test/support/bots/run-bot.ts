/** Runs a program under the flag, as a process of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';

export const REGISTER = new URL('../../../src/register.ts', import.meta.url).href;
export const REGISTER_REQUIRE = fileURLToPath(new URL('../../../src/register-require.ts', import.meta.url));

const CACHE = mkdtempSync(join(tmpdir(), 'risktrail-bot-cache-'));
afterAll(() => rmSync(CACHE, { recursive: true, force: true }));

export interface BotOptions {
  /** Flags of Node. @default `--import` of the entry */
  readonly flags?: readonly string[] | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly dataDir: string;
  readonly cwd?: string | undefined;
  /** Told of what the program prints, with the running process. */
  readonly onOutput?: (text: string, kill: (signal: NodeJS.Signals) => void) => void;
  /** Given the way to signal the process, once it runs. */
  readonly onStart?: (kill: (signal: NodeJS.Signals) => void) => void;
}

export interface BotResult {
  readonly code: number | null;
  readonly signal: string | null;
  readonly out: string;
  readonly err: string;
}

/** @param script path, or `-e` and a text among the arguments */
export async function runBot(script: string, args: readonly string[], options: BotOptions): Promise<BotResult> {
  const flags = options.flags ?? ['--import', REGISTER];
  const child = spawn(process.execPath, [...flags, script, ...args], {
    cwd: options.cwd ?? import.meta.dirname,
    env: {
      PATH: process.env['PATH'],
      NODE_COMPILE_CACHE: CACHE,
      OTEL_SERVICE_NAME: 'bot',
      RISKTRAIL_DATA_DIR: options.dataDir,
      ...options.env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  options.onStart?.((signal) => child.kill(signal));
  let [out, err] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
    options.onOutput?.(text, (signal) => child.kill(signal));
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text;
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  return { code, signal, out, err };
}
