/**
 * What one check of an order against ten limits costs, span and event included.
 *
 *     node bench/limit-check.bench.ts
 */
import { join } from 'node:path';
import { startRiskTrail } from '../src/index.ts';
import { breathe, quantile, table, temporaryDirectory } from './support.ts';

const trail = await startRiskTrail({
  serviceName: 'bench',
  dataDir: join(temporaryDirectory(), 'trail'),
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
for (let i = 0; i < WARMUP; i++) {
  check(i);
  if (i % 50 === 0) await breathe();
}
const single = new Float64Array(CALLS);
for (let i = 0; i < CALLS; i++) {
  const start = performance.now();
  check(i);
  single[i] = (performance.now() - start) * 1000;
  if (i % 50 === 0) await breathe();
}
console.log(`### One check of an order against ten limits, span and event included (${CALLS} calls)\n`);
console.log(
  table(
    ['quantile', 'µs'],
    [
      ['50 % (must be ≤ 15)', quantile(single, 0.5)],
      ['99 %', quantile(single, 0.99)],
      ['99.9 % (must be ≤ 300)', quantile(single, 0.999)],
      ['maximum', quantile(single, 1)],
    ],
  ),
);
await trail.close();
