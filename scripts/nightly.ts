/**
 * What takes too long for every change, one after the other: each step's last lines, its time, and at the end which failed.
 *
 *     npm run nightly [-- --only load,torture] [--list]
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const ROOT = join(import.meta.dirname, '..');
const STACK = ['vitest', 'run', '--config', 'test/stack/vitest.config.ts'];
const SHOWN_LINES = 25;

interface Step {
  readonly what: string;
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

const STEPS: Readonly<Record<string, Step>> = {
  stack: { what: 'real Collector and Loki', command: ['npx', ...STACK] },
  load: {
    what: 'ten minutes of 10,000 records a second through the Collector',
    command: ['npx', ...STACK, 'test/stack/load.test.ts'],
    env: { RISKTRAIL_LOAD_SECONDS: '600' },
  },
  scale: {
    what: 'Spark, and Kafka killed in mid-run',
    command: ['npx', 'vitest', 'run', '--config', 'test/scale/vitest.config.ts'],
  },
  torture: {
    what: 'a thousand kills over ten million records',
    command: ['node', 'scripts/torture.ts', '--kills', '1000', '--records', '10000000'],
  },
  api: { what: 'the REST server against its OpenAPI document', command: ['sh', 'scripts/nightly-api.sh', '100'] },
  dashboards: {
    what: "every dashboard query over a week's events",
    command: ['node', 'scripts/measure-dashboards.ts'],
  },
};

const { values } = parseArgs({ options: { only: { type: 'string' }, list: { type: 'boolean' } } });

const unknown = (values.only?.split(',') ?? []).filter((name) => !Object.hasOwn(STEPS, name));
if (unknown.length > 0) {
  console.error(`--only: no step ${unknown.join(', ')}; there are ${Object.keys(STEPS).join(', ')}`);
  process.exit(2);
}
if (values.list) {
  for (const [name, { what }] of Object.entries(STEPS)) console.log(`${name.padEnd(12)}${what}`);
  process.exit();
}

/** Runs a step in a group of its own, which ends with this process; @returns its exit status and what it printed last. */
async function run({ command, env }: Step): Promise<{ status: number; tail: string }> {
  const [program = '', ...args] = command;
  const options = { cwd: ROOT, env: { ...process.env, ...env }, detached: true } as const;
  const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  const stop = () => {
    try {
      process.kill(-child.pid!, 'SIGTERM');
    } catch {
      // It has ended.
    }
  };
  process.once('exit', stop);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-20_000);
    });
  }
  const [status] = (await once(child, 'close')) as [number | null];
  process.off('exit', stop);
  return { status: status ?? 1, tail: output.trimEnd().split('\n').slice(-SHOWN_LINES).join('\n') };
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(1));
const failed: string[] = [];
for (const [name, step] of Object.entries(STEPS)) {
  if (values.only !== undefined && !values.only.split(',').includes(name)) continue;
  console.log(`\n== ${name}: ${step.what}`);
  const began = performance.now();
  const { status, tail } = await run(step);
  console.log(tail);
  const minutes = ((performance.now() - began) / 60_000).toFixed(1);
  console.log(`== ${name}: ${status === 0 ? 'passed' : `failed with status ${status}`} after ${minutes} min`);
  if (status !== 0) failed.push(name);
}
if (failed.length > 0) {
  console.error(`\nfailed: ${failed.join(', ')}`);
  process.exitCode = 1;
}
