/** Runs `restart-child.ts` in a process, takes what it reports, and kills it with -9. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

// biome-ignore lint/suspicious/noExplicitAny: what a child reports
export type Report = any;

/** @param end `kill` with -9 once it has reported, or let it `close` in order */
export async function runRestartChild(
  dataDir: string,
  act: string,
  options: object = {},
  end: 'kill' | 'close' = 'kill',
): Promise<Report> {
  const script = join(import.meta.dirname, 'restart-child.ts');
  const child = spawn(process.execPath, [script, dataDir, act, JSON.stringify(options), end], {
    env: {
      PATH: process.env['PATH'],
      RISKTRAIL_STALL_BUDGET_MS: '0',
      OTEL_TRACES_EXPORTER: 'none',
      OTEL_METRICS_EXPORTER: 'none',
      OTEL_LOGS_EXPORTER: 'none',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit');
  let output = '';
  let errors = '';
  child.stderr.on('data', (chunk) => {
    errors += chunk;
  });
  for await (const chunk of child.stdout) {
    output += chunk;
    if (end === 'kill' && output.endsWith('\n')) child.kill('SIGKILL');
  }
  await exited;
  if (output === '') throw new Error(`the child reported nothing: ${errors}`);
  return JSON.parse(output);
}
