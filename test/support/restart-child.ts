/**
 * A service that sets its layers up, does what the first argument says, reports what it decides as one JSON line, and then
 * stands still until it is killed. Arguments: data directory, act, options of `startRiskTrail` as JSON.
 */
import { writeSync } from 'node:fs';
import { createManualClock } from '../../src/core/clock.ts';
import { startRiskTrail } from '../../src/index.ts';

const [dataDir, act, more] = process.argv.slice(2) as [string, string, string];
const { startMs, ...options } = JSON.parse(more ?? '{}');
const clock = startMs === undefined ? undefined : createManualClock(startMs);
const trail = await startRiskTrail({
  serviceName: 'desk',
  dataDir,
  logLevel: 'off',
  healthCheckIntervalMs: 0,
  snapshotIntervalMs: 0,
  ...(clock === undefined ? {} : { clock }),
  ...options,
});
const breaker = trail.circuitBreaker('broker', { failureThreshold: 2, cooldownMs: 60_000 });
const latch = trail.circuitBreaker('latch', { failureThreshold: 1, latched: true, onOpen: 'none' });
const stops = trail.trailingStops({ activationPct: 2, trailingPct: 1 });
const limits = trail.portfolioLimits({ dailyLoss: { max: 1000, timeZone: 'America/New_York', resetTime: '17:00' } });
const BY = { actor: 'ann', reason: 'test' };
const flat = { equity: 100_000, positions: [] };
const order = { symbol: 'AAPL', side: 'buy', quantity: 1, price: 100, referencePrice: 100 } as const;

const ACTS: Readonly<Record<string, () => unknown>> = {
  nothing: () => {},
  open: () => {
    breaker.failure(new Error('down'));
    breaker.failure(new Error('down'));
  },
  latch: () => latch.failure(),
  halfOpen: () => {
    ACTS['open']!();
    clock!.advance(60_001);
    return breaker.allow();
  },
  stops: () => {
    stops.add({ id: 'p1', symbol: 'AAPL', side: 'long', entryPrice: 100, quantity: 10 });
    stops.add({ id: 'p2', symbol: 'MSFT', side: 'short', entryPrice: 100 });
    stops.tick('AAPL', 103);
    stops.tick('AAPL', 110);
    stops.tick('MSFT', 97);
  },
  loss: () => limits.recordPnl(-1200),
  halt: () => trail.gate.halt(BY),
  orders: () => {
    trail.emit('order.intent', { ...ORDER, 'trading.order.client_id': 'c1' });
    trail.emit('order.intent', { ...ORDER, 'trading.order.client_id': 'c2' });
    trail.emit('order.placed', { ...ORDER, 'trading.order.client_id': 'c2', 'trading.order.id': 'v2' });
    trail.emit('order.intent', { ...ORDER, 'trading.order.client_id': 'c3' });
    trail.emit('order.filled', { ...ORDER, 'trading.price': 100, 'trading.order.client_id': 'c3' });
  },
  gap: () => stops.tick('AAPL', 90),
  probe: () => breaker.allow(),
  many: () => {
    for (let i = 0; i < 12_000; i++) trail.emit('trade.entry', { ...ORDER, 'trading.price': 100 });
  },
};
const ORDER = { 'trading.symbol': 'AAPL', 'trading.side': 'buy', 'trading.quantity': 5 } as const;

let answer: unknown;
for (const one of act.split('+')) answer = ACTS[one]!();
await trail.flush();
const { state } = breaker.snapshot();
writeSync(
  1,
  `${JSON.stringify({
    stream: trail.stream,
    restored: trail.restored ?? null,
    gate: trail.gate.state(),
    breaker: state,
    latch: latch.snapshot().state.status,
    stops: stops.list(),
    allowed: limits.checkEntry(flat, order).code,
    exit: limits.checkEntry(
      { equity: 1, positions: [{ symbol: 'AAPL', quantity: 1, price: 100 }] },
      { ...order, side: 'sell' },
    ).allowed,
    day: limits.snapshot().day,
    orders: trail.openOrders(),
    answer: answer ?? null,
    health: trail.health().status,
    failures: trail.health().failures,
  })}\n`,
);
if (process.argv[5] === 'close') await trail.close();
else setInterval(() => {}, 1000);
