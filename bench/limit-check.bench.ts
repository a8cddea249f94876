/**
 * What one check of an order against ten limits costs, span and event included.
 *
 *     node bench/limit-check.bench.ts
 */
import { openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { startRiskTrail } from '../src/index.ts';
import { breathe, PagesAtHand, quantile, table, temporaryDirectory, Yardstick } from './support.ts';

const directory = temporaryDirectory();
const trail = await startRiskTrail({
  serviceName: 'bench',
  dataDir: join(directory, 'trail'),
  segmentMaxBytes: 1_000_000_000,
  handleSignals: false,
});
const limits = trail.portfolioLimits({
  portfolioDelta: { max: 10_000, warnAt: 0.9 },
  symbolDelta: { max: 5000 },
  positionPercent: { max: 40 },
  sectorPercent: { max: 60, groups: { AAPL: 'tech', MSFT: 'tech', XOM: 'energy' } },
  totalExposure: { maxPercent: 150 },
  positionCount: { max: 20 },
  orderQuantity: { max: 1000 },
  orderNotional: { max: 200_000 },
  leverage: { max: 2 },
  dailyLoss: { max: 50_000 },
});
// The prices move from check to check, as they do.
const portfolio = (i: number) => ({
  equity: 1_000_000 + (i % 97),
  positions: [
    { symbol: 'AAPL', quantity: 500, price: 150.25 + (i % 13) / 100 },
    { symbol: 'MSFT', quantity: 300, price: 310.5 + (i % 7) / 100 },
    { symbol: 'XOM', quantity: -400, price: 105.75 },
  ],
});
const check = (i: number) =>
  limits.checkEntry(portfolio(i), { symbol: 'AAPL', side: 'buy', quantity: 10 + (i % 5), price: 150.25 });

const WARMUP = 30_000;
const CALLS = 100_000;
/** Calls between two turns of the event loop. */
const TURN = 50;
const LINE_BYTES = 3600;

const yardstick = new Yardstick();

/** Times of single calls, in microseconds, and the reading of the yardstick before each turn and behind the last. */
interface Run {
  readonly times: Float64Array;
  readonly readings: readonly number[];
}

async function run(calls: number, call: (i: number) => void, pages?: PagesAtHand): Promise<Run> {
  const times = new Float64Array(calls);
  const readings = [yardstick.read()];
  for (let i = 0; i < calls; i++) {
    const start = performance.now();
    call(i);
    times[i] = (performance.now() - start) * 1000;
    if ((i + 1) % TURN > 0) continue;
    readings.push(yardstick.read());
    await breathe();
    pages?.give(TURN * LINE_BYTES);
  }
  return { times, readings };
}

await run(WARMUP, check);
const pages = new PagesAtHand(directory, 2 * CALLS * LINE_BYTES);
// In turn with plain writes of as many bytes: what the system alone takes.
const plain = openSync(join(directory, 'plain'), 'a');
const line = Buffer.alloc(LINE_BYTES, 'x');
const write = () => writeSync(plain, line);
const checks = await run(CALLS, check, pages);
const writes = await run(CALLS, write, pages);
pages.end();
const asGiven = await run(CALLS, check);

const isClear = yardstick.clear();
/** The calls of the turns in which the processor was ours. */
function undisturbed({ times, readings }: Run): Float64Array {
  return times.filter((_, i) => {
    const turn = Math.floor(i / TURN);
    return isClear(readings[turn]!) && isClear(readings[turn + 1]!);
  });
}
const clear = undisturbed(checks);
const columns = [clear, undisturbed(writes), checks.times, asGiven.times];
const QUANTILES = [
  ['50 % (must be ≤ 15)', 0.5],
  ['99 %', 0.99],
  ['99.9 % (must be ≤ 300)', 0.999],
  ['maximum', 1],
] as const;
const share = Math.round((clear.length / CALLS) * 100);
console.log(`### One check of an order against ten limits, span and event included (${CALLS} calls)\n`);
console.log(`The processor was ours alone in ${share} % of the turns.\n`);
console.log(
  table(
    [
      'µs',
      'a check, the processor ours',
      `a plain write of ${LINE_BYTES} bytes, the same`,
      'a check, all turns',
      'all turns, pages as the host gives them',
    ],
    QUANTILES.map(([name, part]) => [name, ...columns.map((times) => quantile(times, part))]),
  ),
);
await trail.close();
