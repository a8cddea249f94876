/**
 * What one check of an order against ten limits costs, span and event included.
 *
 *     node bench/limit-check.bench.ts
 */
import { openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { startRiskTrail } from '../src/index.ts';
import { breathe, PagesAtHand, quantile, table, temporaryDirectory } from './support.ts';

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

async function run(calls: number, call: (i: number) => void, pages?: PagesAtHand): Promise<Float64Array> {
  const single = new Float64Array(calls);
  for (let i = 0; i < calls; i++) {
    if (i % TURN === 0) {
      await breathe();
      pages?.give(TURN * LINE_BYTES);
    }
    const start = performance.now();
    call(i);
    single[i] = (performance.now() - start) * 1000;
  }
  return single;
}

await run(WARMUP, check);
const pages = new PagesAtHand(directory, 2 * CALLS * LINE_BYTES);
// In turn with plain writes of as many bytes: what the system alone takes.
const plain = openSync(join(directory, 'plain'), 'a');
const line = Buffer.alloc(LINE_BYTES, 'x');
const write = () => writeSync(plain, line);
const single = await run(CALLS, check, pages);
const writes = await run(CALLS, write, pages);
pages.end();
const asGiven = await run(CALLS, check);
const writesAsGiven = await run(CALLS, write);

const QUANTILES = [
  ['10 %', 0.1],
  ['50 % (must be ≤ 15)', 0.5],
  ['99 %', 0.99],
  ['99.9 % (must be ≤ 300)', 0.999],
  ['maximum', 1],
] as const;
console.log(`### One check of an order against ten limits, span and event included (${CALLS} calls)\n`);
console.log(
  table(
    [
      'µs',
      'a check',
      `a plain write of ${LINE_BYTES} bytes`,
      'a check, pages as the host gives them',
      'a plain write so',
    ],
    QUANTILES.map(([name, share]) => [
      name,
      ...[single, writes, asGiven, writesAsGiven].map((times) => quantile(times, share)),
    ]),
  ),
);
await trail.close();
