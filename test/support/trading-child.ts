/**
 * A service that trades without pause until it is killed, through the whole runtime: layers, context, spans, events. Each
 * event whose `emit` returned is reported as `<stream> <record id>`, a line each. Argument: data directory.
 */
import { writeSync } from 'node:fs';
import { startRiskTrail } from '../../src/index.ts';

const trail = await startRiskTrail({
  serviceName: 'desk',
  dataDir: process.argv[2]!,
  segmentMaxBytes: 50_000,
  checkpointRecords: 25,
  checkpointIntervalMs: 10,
  snapshotIntervalMs: 5,
  logLevel: 'off',
});
const breaker = trail.circuitBreaker('broker', { failureThreshold: 3, windowMs: 1000, cooldownMs: 1 });
const stops = trail.trailingStops({ trailingPct: 1 });
const limits = trail.portfolioLimits({ orderNotional: { max: 1000 } });
const say = (recordId: string | undefined) => writeSync(1, `${trail.stream} ${recordId}\n`);
/** What a decision tells of its records, whichever way its layer does. */
const sayDecision = (decision: { readonly recordId?: string | undefined }) => {
  if (decision.recordId !== undefined) say(decision.recordId);
};

let turn = 0;
async function trade(): Promise<void> {
  turn++;
  await trail.withContext({ accountId: 'A', correlationId: `turn-${process.pid}-${turn}` }, async () => {
    const quantity = 1 + (turn % 30);
    const order = { symbol: 'SPX', side: 'buy', quantity, price: 50 } as const;
    sayDecision(limits.checkEntry({ equity: 1e5, positions: [] }, order));
    const attributes = { 'trading.symbol': 'SPX', 'trading.side': 'buy', 'trading.quantity': quantity } as const;
    say(trail.emit('order.placed', attributes));
    await breaker
      .execute(() => {
        if (turn % 5 === 0) throw new Error('venue down');
      })
      .catch(() => {});
    if (stops.get('s') === undefined) stops.add({ id: 's', symbol: 'SPX', side: 'long', entryPrice: 50, quantity: 1 });
    for (const decision of stops.tick('SPX', 50 + (turn % 7))) sayDecision(decision);
    stops.remove('s', 'again');
    say(trail.emit('order.filled', { ...attributes, 'trading.price': 50 }));
  });
  setImmediate(trade);
}
await trade();
