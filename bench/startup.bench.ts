/**
 * What the flag costs at the start, against a bare `node -e 0`, and what loading ccxt costs with and without it; and how long a
 * process with a dead Collector takes to end. Of the built package (`npm run build`), and of the sources, whose types Node has to
 * strip. In turns, each run a process and a data directory of its own. Medians; with a busy machine the processor's time, which
 * is that of all threads, says more than the clock's.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { median } from './support.ts';

const ROUNDS = Number(process.env['STARTUP_ROUNDS'] ?? 15);
const DIST = process.env['STARTUP_DIST'] ?? join(import.meta.dirname, '../dist');
const ROOT = join(import.meta.dirname, '..');
const register = pathToFileURL(join(DIST, 'register.js')).href;
if (!existsSync(join(DIST, 'register.js'))) throw new Error('npm run build comes first');

const FLAG = ['--import', register];
const SOURCES = ['--import', pathToFileURL(join(ROOT, 'src/register.ts')).href];
/** Records are shipped by a thread of their own; logs, spans and metrics are exported; nobody answers. */
const DEAD = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9', RISKTRAIL_ALERTS: 'true' };
const CCXT = `await import('ccxt')`;
const EMPTY = '0';

interface Subject {
  readonly flags: readonly string[];
  readonly source: string;
  readonly env?: Readonly<Record<string, string>>;
}

const SUBJECTS: Readonly<Record<string, Subject>> = {
  'bare node -e 0': { flags: [], source: EMPTY },
  'with the flag': { flags: FLAG, source: EMPTY },
  'everything on, dead Collector': { flags: FLAG, source: EMPTY, env: DEAD },
  'with the flag, from the sources': { flags: SOURCES, source: EMPTY },
  'import ccxt': { flags: [], source: CCXT },
  'import ccxt with the flag': { flags: FLAG, source: CCXT },
};

/** Milliseconds of the clock and of the processor. */
function run({ flags, source, env }: Subject): { readonly wallMs: number; readonly cpuMs: number } {
  const dataDir = mkdtempSync(join(tmpdir(), 'risktrail-startup-'));
  const beganMs = performance.now();
  const usage = `process.on('exit', () => { const { user, system } = process.cpuUsage(); require('node:fs').writeSync(1, String((user + system) / 1000)); });`;
  const { status, stderr, stdout } = spawnSync(
    process.execPath,
    [
      ...flags,
      '--input-type=module',
      '-e',
      `import { createRequire } from 'node:module'; const require = createRequire('/'); ${usage} ${source}`,
    ],
    {
      cwd: ROOT,
      env: { PATH: process.env['PATH'], OTEL_SERVICE_NAME: 'bench', RISKTRAIL_DATA_DIR: dataDir, ...env },
      encoding: 'utf8',
    },
  );
  const wallMs = performance.now() - beganMs;
  rmSync(dataDir, { recursive: true, force: true });
  if (status !== 0) throw new Error(stderr);
  return { wallMs, cpuMs: Number(stdout) };
}

const results = new Map<string, { readonly wallMs: number; readonly cpuMs: number }[]>();
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, subject] of Object.entries(SUBJECTS)) {
    const result = run(subject);
    // The first round fills the machine's caches.
    if (round > 0) results.set(name, [...(results.get(name) ?? []), result]);
  }
}
const figures = Object.fromEntries(
  [...results].map(([name, list]) => [
    name,
    { wallMs: median(list.map(({ wallMs }) => wallMs)), cpuMs: median(list.map(({ cpuMs }) => cpuMs)) },
  ]),
);
const of = (name: string) => figures[name]!;
for (const [name, { wallMs, cpuMs }] of Object.entries(figures)) {
  console.log(`${name.padEnd(32)} ${wallMs.toFixed(0).padStart(6)} ms   processor ${cpuMs.toFixed(0).padStart(6)} ms`);
}
const bare = of('bare node -e 0');
const flag = of('with the flag');
const extra = of('import ccxt with the flag').wallMs - flag.wallMs;
const plain = of('import ccxt').wallMs - bare.wallMs;
for (const name of ['with the flag', 'everything on, dead Collector', 'with the flag, from the sources']) {
  const { wallMs, cpuMs } = of(name);
  console.log(
    `${name}: ${(wallMs / bare.wallMs).toFixed(1)} × bare; processor ${(cpuMs / bare.cpuMs).toFixed(1)} × (aim 8)`,
  );
}
console.log(`loading ccxt: ${(extra / plain).toFixed(2)} × without (aim 1.15)`);
console.log(
  `a dead Collector adds ${(of('everything on, dead Collector').wallMs - flag.wallMs).toFixed(0)} ms to start and end (aim 600)`,
);
