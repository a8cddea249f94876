/**
 * One of several processes that trade one account. It does what it is told on standard input, a JSON array `[act, …arguments]`
 * a line, and answers each with a JSON line; what it sees of the others it reports by itself.
 * Arguments: data directory, options of `startRiskTrail` as JSON.
 */
import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { startRiskTrail } from '../../src/index.ts';

const [dataDir, more] = process.argv.slice(2) as [string, string | undefined];
const trail = await startRiskTrail({
  serviceName: 'desk',
  dataDir,
  accountId: 'ACC1',
  logLevel: 'off',
  healthCheckIntervalMs: 0,
  ...JSON.parse(more ?? '{}'),
});
const breaker = trail.circuitBreaker('broker', { failureThreshold: 2, cooldownMs: 600_000, scope: 'account' });
const limits = trail.portfolioLimits({ scope: 'account', dailyLoss: { max: 1000 }, symbolDelta: { max: 25 } });
const BY = { actor: 'ann', reason: 'test' };
const SCOPE = 'account:ACC1';

function tell(what: object): void {
  writeSync(1, `${JSON.stringify({ ...what, atMs: performance.timeOrigin + performance.now() })}\n`);
}

breaker.onStateChange(({ new: state, actor }) => tell({ type: 'breaker', state, actor }));
trail.gate.onChange(({ scope, new: state, source }) => tell({ type: 'gate', scope, state, source }));

const order = (quantity: number, side: 'buy' | 'sell' = 'buy') =>
  ({ symbol: 'AAPL', side, quantity, price: 100, referencePrice: 100 }) as const;

// biome-ignore lint/suspicious/noExplicitAny: arguments of the acts below
const ACTS: Readonly<Record<string, (...args: any[]) => unknown>> = {
  trip: () => {
    breaker.failure(new Error('down'));
    breaker.failure(new Error('down'));
  },
  reset: () => breaker.reset(BY),
  forceOpen: () => breaker.forceOpen(BY),
  halt: () => trail.gate.halt({ ...BY, scope: SCOPE }),
  resume: () => trail.gate.resume({ ...BY, scope: SCOPE }),
  pnl: (pnl: number) => limits.recordPnl(pnl),
  place: (id: string, quantity: number) => limits.orderPlaced({ ...order(quantity), clientOrderId: id }),
  fill: (id: string, quantity: number, side?: 'buy' | 'sell') =>
    limits.recordFill({ clientOrderId: id, symbol: 'AAPL', side: side ?? 'buy', quantity, price: 100 }),
  check: (quantity: number, held = 0, side?: 'buy' | 'sell') => {
    const positions = held === 0 ? [] : [{ symbol: 'AAPL', quantity: held, price: 100 }];
    const { allowed, code, results } = limits.checkEntry({ equity: 100_000, positions }, order(quantity, side));
    return { allowed, code, projected: results.find((one) => one.type === 'symbol_delta')?.projected };
  },
  look: () => ({
    state: breaker.state,
    pnl: limits.snapshot().day.pnl,
    gate: trail.gate.check({ reduces: false }),
    exits: trail.gate.check({ reduces: true }).allowed,
    failures: trail.health().failures,
  }),
  /** Positions as a check is given them beside the caller's own. */
  others: async () => {
    const exchange = { fetchPositions: async () => [] };
    const { differences } = await trail.reconcile(exchange);
    return differences.map(({ symbol, expected }) => `${symbol} ${expected}`);
  },
  close: () => trail.close(),
};

tell({ type: 'ready', stream: trail.stream });
for await (const line of createInterface({ input: process.stdin })) {
  const [act, ...args] = JSON.parse(line) as [string, ...unknown[]];
  const result = await ACTS[act]!(...args);
  tell({ type: 'done', act, result: result ?? null });
  if (act === 'close') break;
}
