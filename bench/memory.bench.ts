/**
 * Memory over a million audit emits, in a process that does nothing else.
 *
 *     node bench/memory.bench.ts
 */
import { join } from 'node:path';
import { startRiskTrail } from '../src/index.ts';
import { breathe, median, table, temporaryDirectory } from './support.ts';

const trail = await startRiskTrail({
  serviceName: 'bench',
  dataDir: join(temporaryDirectory(), 'trail'),
  handleSignals: false,
});
const emit = (i: number) =>
  trail.emit('order.placed', {
    'trading.symbol': 'BTC/USDT',
    'trading.side': 'buy',
    'trading.quantity': 0.25,
    'trading.price': 61_234.5 + (i % 100) / 100,
    'trading.order.id': `order-${i}`,
    'trading.order.type': 'limit',
    'trading.account.id': 'ACC123',
    'trading.strategy.id': 'momentum-1',
  });
const megabytes = () => process.memoryUsage().rss / 1e6;

const rows: [string, number][] = [['started', megabytes()]];
// The code is compiled, V8's young generation has its size, and segments are being sealed before idle is read.
const WARMUP = 200_000;
for (let i = 0; i < WARMUP; i++) {
  emit(i);
  if (i % 100 === 0) await breathe();
  if (i === 50_000) rows.push(['after 50,000 emits', megabytes()]);
}
const idle = megabytes();
rows.push(['idle, after 200,000 emits', idle]);
const above: number[] = [];
for (let i = 0; i < 1_000_000; i++) {
  emit(i);
  if (i % 100 === 0) await breathe();
  if (i % 10_000 === 0) above.push(megabytes() - idle);
  if (i === 499_999) rows.push(['after 500,000 more', megabytes()]);
}
rows.push(
  ['after 1,000,000 more', megabytes()],
  ['above idle, median of 100 looks (must be ≤ 50)', median(above)],
  ['above idle, highest of them', Math.max(...above)],
);
await trail.close();

console.log('### Resident memory over 1,000,000 emits\n');
console.log(table(['when', 'MB'], rows));
