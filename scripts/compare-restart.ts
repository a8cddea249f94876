/**
 * What a circuit breaker does after its process was killed and started again: opossum, cockatiel and risktrail, each in
 * processes of its own on a simulated clock. Prints the table of docs/restart.md.
 *
 *     node scripts/compare-restart.ts
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { BreakerCase, Library, Phase, Seen } from './compare-restart-child.ts';

const LIBRARIES: readonly Library[] = ['opossum', 'opossum saved', 'cockatiel', 'cockatiel saved', 'risktrail'];

/** When the first process begins, and when the breaker trips ten minutes later. */
const START_MS = Date.UTC(2024, 0, 2, 14, 30);
const TRIP_MS = START_MS + 600_000;
const HOUR_MS = 3_600_000;

interface Scenario {
  readonly title: string;
  readonly breaker: BreakerCase;
  /** The wall clock's readings when the process is started again, once or several times. */
  readonly restartsMs: readonly number[];
  /** What should come of it. */
  readonly right: string;
}

const SCENARIOS: readonly Scenario[] = [
  {
    title: 'open, back after 20 s of its 30 s',
    breaker: 'open',
    restartsMs: [TRIP_MS + 20_000],
    right: '10 s more, then one probe',
  },
  {
    title: 'open, started three times, 5 s apart',
    breaker: 'open',
    restartsMs: [TRIP_MS + 10_000, TRIP_MS + 15_000, TRIP_MS + 20_000],
    right: '10 s more, then one probe',
  },
  {
    title: 'open, back after 40 s',
    breaker: 'open',
    restartsMs: [TRIP_MS + 40_000],
    right: 'one probe at once',
  },
  {
    title: 'half-open, its probe in flight',
    breaker: 'half-open',
    restartsMs: [TRIP_MS + 32_000],
    right: 'one probe at once',
  },
  {
    title: 'latched, or what comes nearest',
    breaker: 'latched',
    restartsMs: [TRIP_MS + 20_000],
    right: 'no call till a person acts',
  },
  {
    title: 'open, the clock set back 1 h meanwhile',
    breaker: 'open',
    restartsMs: [TRIP_MS + 20_000 - HOUR_MS],
    right: 'no more than the 30 s',
  },
  {
    title: 'open, the clock set forward 1 h meanwhile',
    breaker: 'open',
    restartsMs: [TRIP_MS + 20_000 + HOUR_MS],
    right: 'one probe (it looks like an hour that went by)',
  },
];

const require = createRequire(import.meta.url);
const versionOf = (name: string): string => {
  // Neither package exports its package.json.
  const main = require.resolve(name);
  const root = main.slice(0, main.lastIndexOf(`node_modules/${name}/`) + `node_modules/${name}/`.length);
  return (require(join(dirname(`${root}x`), 'package.json')) as { version: string }).version;
};

/** @returns the process's one line; it is killed once it has said it */
async function run(library: Library, phase: Phase, breaker: BreakerCase, directory: string, ms: number) {
  const script = join(import.meta.dirname, 'compare-restart-child.ts');
  const child = spawn(process.execPath, [script, library, phase, breaker, directory, String(ms)], {
    env: { PATH: process.env['PATH'], OTEL_SDK_DISABLED: 'false', OTEL_TRACES_EXPORTER: 'none' },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const ended = once(child, 'exit');
  let line = '';
  let errors = '';
  child.stderr.on('data', (chunk) => {
    errors += chunk;
  });
  for await (const chunk of child.stdout) {
    line += chunk;
    if (line.endsWith('\n')) child.kill('SIGKILL');
  }
  await ended;
  if (line === '') throw new Error(`${library}, ${breaker}, ${phase}: ${errors}`);
  return JSON.parse(line);
}

async function cell(library: Library, { breaker, restartsMs }: Scenario): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'risktrail-compare-'));
  try {
    await run(library, 'before', breaker, directory, START_MS);
    const last = restartsMs.length - 1;
    for (const ms of restartsMs.slice(0, last)) await run(library, 'between', breaker, directory, ms);
    return textOf((await run(library, 'after', breaker, directory, restartsMs[last]!)) as Seen);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function textOf({ state, waitSeconds, letThrough }: Seen): string {
  if (waitSeconds === null) return `${state}: no call in a day`;
  const calls = letThrough === 3 ? 'every call' : letThrough === 1 ? 'one call' : `${letThrough} of 3 calls`;
  return `${state}: ${calls} ${waitSeconds === 0 ? 'at once' : `after ${waitSeconds} s`}`;
}

/** The table, in Markdown. */
export async function compareRestarts(): Promise<string> {
  const title = (name: string) => `${name} ${versionOf(name)}`;
  const head = [
    ...['before the kill', 'right', title('opossum'), 'with its `toJSON()` kept'],
    ...[title('cockatiel'), 'with its `toJSON()` kept', 'risktrail'],
  ];
  const rows: string[][] = [];
  for (const scenario of SCENARIOS) {
    const cells = await Promise.all(LIBRARIES.map((library) => cell(library, scenario)));
    rows.push([scenario.title, scenario.right, ...cells]);
  }
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return `${[line(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(line)].join('\n')}\n`;
}

if (process.argv[1] === import.meta.filename) process.stdout.write(await compareRestarts());
