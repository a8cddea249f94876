/**
 * How long a service takes to be where it was after kill -9: `startRiskTrail`, which verifies and folds the tail, and the making
 * of its layers. Each run is a process of its own; the modules are loaded before. With a full open segment of 10 MB, alone and
 * behind 10 million sealed records.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { segmentName } from '../src/audit/journal/segment-files.ts';
import { startRiskTrail } from '../src/index.ts';
import { makeSealedTrail, RECORDS_A_SEGMENT, SERVICE, STREAM_ID, sealedSize } from './sealed-trail.ts';
import { median, quantile } from './support.ts';

const OPEN_BYTES = 9_800_000;
const SEALED_RECORDS = 10_000_000;
const RUNS = 9;
const STOPS = 100;
const ORDERS = 200;

type Trail = Awaited<ReturnType<typeof startRiskTrail>>;

/** The layers of a service of some size. */
function makeLayers(trail: Trail) {
  const breakers = Array.from({ length: 10 }, (_, index) =>
    trail.circuitBreaker(`venue-${index}`, { failureThreshold: 5, cooldownMs: 3_600_000, onOpen: 'none' }),
  );
  const stops = trail.trailingStops({ activationPct: 1, trailingPct: 1 });
  const limits = trail.portfolioLimits({ dailyLoss: { max: 1_000_000 }, orderRate: { max: 100, windowMs: 60_000 } });
  return { breakers, stops, limits };
}

const begin = (dataDir: string, restore: boolean) =>
  startRiskTrail({ serviceName: SERVICE, dataDir, restore, logLevel: 'off', stallBudgetMs: 0 });

/** A busy service, killed when its open segment is nearly full. */
async function live(dataDir: string, segment: string): Promise<void> {
  const trail = await begin(dataDir, false);
  const { breakers, stops, limits } = makeLayers(trail);
  for (let failure = 0; failure < 5; failure++) breakers[0]!.failure(new Error('timeout'));
  for (let index = 0; index < STOPS; index++) {
    stops.add({ id: `p${index}`, symbol: `S${index}`, side: 'long', entryPrice: 100, quantity: 10 });
  }
  for (let index = 0; index < ORDERS; index++) {
    trail.emit('order.intent', {
      ...{ 'trading.symbol': `S${index}`, 'trading.side': 'buy', 'trading.quantity': 5 },
      'trading.order.client_id': `c${index}`,
    });
  }
  for (let tick = 0; statSync(segment).size < OPEN_BYTES; tick++) {
    for (let index = 0; index < STOPS; index++) stops.tick(`S${index}`, 102 + tick / 100);
    limits.recordPnl(-1);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await trail.flush();
  process.kill(process.pid, 'SIGKILL');
}

async function measure(dataDir: string): Promise<void> {
  // OpenTelemetry's SDK, which the start would load.
  await import('@opentelemetry/sdk-node');
  const start = performance.now();
  const startCpu = process.threadCpuUsage();
  const trail = await begin(dataDir, true);
  const started = performance.now();
  const { breakers, stops } = makeLayers(trail);
  const took = performance.now() - start;
  const { user, system } = process.threadCpuUsage(startCpu);
  const { restored } = trail;
  if (restored?.outcome !== 'restored' || breakers[0]!.state !== 'OPEN' || stops.list().length !== STOPS) {
    throw new Error(`not where it was: ${JSON.stringify(restored)}`);
  }
  console.log(
    JSON.stringify({ took, startTook: started - start, cpu: (user + system) / 1000, records: restored.records }),
  );
  process.exit(0);
}

function spawn(...args: string[]) {
  return spawnSync(process.execPath, [import.meta.filename, ...args], {
    encoding: 'utf8',
    env: {
      PATH: process.env['PATH'],
      OTEL_TRACES_EXPORTER: 'none',
      OTEL_METRICS_EXPORTER: 'none',
      OTEL_LOGS_EXPORTER: 'none',
    },
  });
}

function report(name: string, dir: string, sealedRecords: number): void {
  const template = join(dir, `${name}-template`);
  const size = sealedSize(sealedRecords);
  const stream = join('streams', STREAM_ID);
  makeSealedTrail(template, sealedRecords, 100_000);
  const made = spawn('live', template, join(template, stream, segmentName(size)));
  if (made.signal !== 'SIGKILL') throw new Error(made.stderr);
  const runs: { took: number; startTook: number; cpu: number; records: number }[] = [];
  for (let run = 0; run < RUNS; run++) {
    const dataDir = join(dir, `${name}-${run}`);
    // The sealed files stay links; all that a start may write to is copied.
    spawnSync('cp', ['-rl', template, dataDir]);
    for (const part of ['state', 'checkpoint', segmentName(size)]) {
      rmSync(join(dataDir, stream, part), { recursive: true, force: true });
      cpSync(join(template, stream, part), join(dataDir, stream, part), { recursive: true });
    }
    // The copying's own writes would otherwise wait for the first fsync of the start.
    spawnSync('sync', ['-f', dataDir]);
    const child = spawn('start', dataDir);
    if (child.status !== 0) throw new Error(child.stderr);
    runs.push(JSON.parse(child.stdout));
    rmSync(dataDir, { recursive: true });
  }
  const took = runs.map((one) => one.took);
  const starts = runs.map((one) => one.startTook);
  console.log(
    `${name.padEnd(8)} median ${median(took).toFixed(0)} ms (${quantile(took, 0).toFixed(0)} to ${quantile(took, 1).toFixed(0)}), ` +
      `of which startRiskTrail ${median(starts).toFixed(0)} ms; ${median(runs.map((one) => one.cpu)).toFixed(0)} ms on the ` +
      `processor; ${runs[0]!.records} records read back`,
  );
}

if (process.argv[2] === 'live') {
  await live(process.argv[3]!, process.argv[4]!);
} else if (process.argv[2] === 'start') {
  await measure(process.argv[3]!);
} else {
  const base = process.env['RISKTRAIL_BENCH_DIR'] ?? join(import.meta.dirname, '..');
  const dir = mkdtempSync(join(base, '.bench-restart-'));
  process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
  const size = sealedSize(SEALED_RECORDS);
  console.log(
    `from startRiskTrail to the last of 12 layers made, ${STOPS} stops and ${ORDERS} open orders among them,`,
  );
  console.log(`with a full open segment, ${RUNS} fresh processes each`);
  report('alone', dir, 0);
  report('sealed', dir, SEALED_RECORDS);
  console.log(`sealed: behind ${size} records in ${size / RECORDS_A_SEGMENT} files`);
}
