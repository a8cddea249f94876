/**
 * What alert rules cost an event: one that no rule is about, one that a rule counts, and what a trail pays for them.
 *
 *     node bench/alerting.bench.ts
 */
import { join } from 'node:path';
import { AlertEvaluator } from '../src/alerting/evaluator.ts';
import type { AlertEvent } from '../src/alerting/rule.ts';
import { ALERT_RULES } from '../src/alerting/rules.ts';
import { startRiskTrail } from '../src/index.ts';
import { breathe, inTurn, median, table, temporaryDirectory } from './support.ts';

const START_MS = 1_763_690_000_000;
const event = (name: string, attributes: Record<string, unknown>): AlertEvent => ({
  ...{ name, severityNumber: 9, service: 'bench', timeMs: START_MS, recordId: '019aa41e-9b29-7c01-ae33-26fef5febea5' },
  attributes,
});
const NO_RULE = event('market.price', { 'trading.symbol': 'AAPL', 'trading.price': 150.25 });
const ORDER = event('order.placed', { 'trading.symbol': 'AAPL', 'trading.side': 'buy' });
const CALLS = Array.from({ length: 997 }, (_, i) =>
  event('api.call', { operation: 'fetch', 'timing.duration_ms': 20 + ((i * 7919) % 500), 'trading.venue': 'x' }),
);
const evaluator = () => new AlertEvaluator(ALERT_RULES);
const [idle, orders, calls] = [evaluator(), evaluator(), evaluator()];
// Time goes on from round to round: an order each 100 ms, a call each 20 ms.
let [orderMs, callMs] = [START_MS, START_MS];
const single = await inTurn(
  {
    'matches none': (i) => void idle.observe(NO_RULE, START_MS + i / 10),
    'order.placed, one rule': () => {
      orderMs += 100;
      orders.observe({ ...ORDER, timeMs: orderMs }, orderMs);
    },
    'api.call, mean and p95 over full windows': (i) => {
      callMs += 20;
      calls.observe({ ...CALLS[i % CALLS.length]!, timeMs: callMs }, callMs);
    },
  },
  { rounds: 7, calls: 20_000, warmup: 40_000 },
);
console.log('### One event past the 23 rules\n');
console.log(
  table(
    ['event', 'µs'],
    Object.entries(single).map(([name, time]) => [name === 'matches none' ? `${name} (must be ≤ 1)` : name, time]),
  ),
);

const directory = temporaryDirectory();
const ROUNDS = 15;
const EVENTS = 5000;

/** Mean time of one event of a trail that is started for it, in microseconds. */
async function perEvent(alerts: boolean, round: number): Promise<number> {
  const trail = await startRiskTrail({
    serviceName: 'bench',
    dataDir: join(directory, `${round}-${alerts}`),
    segmentMaxBytes: 1_000_000_000,
    handleSignals: false,
    alerts,
  });
  let time = 0;
  for (let i = 0; i < 2 * EVENTS; i += 500) {
    const start = performance.now();
    for (let j = 0; j < 500; j++) {
      trail.emit('market.price', { 'trading.symbol': 'AAPL', 'trading.price': 150 + (j % 100) / 100 });
    }
    // The first half warms up.
    if (i >= EVENTS) time += performance.now() - start;
    await breathe();
  }
  await trail.close();
  return (time * 1000) / EVENTS;
}

// In turn, so that the machine's drift meets both alike.
const [without, withRules]: [number[], number[]] = [[], []];
for (let round = 0; round < ROUNDS; round++) {
  without.push(await perEvent(false, round));
  withRules.push(await perEvent(true, round));
}
console.log('\n### One recorded event that matches no rule\n');
console.log(
  table(
    ['rules', 'µs', 'ratio'],
    [
      ['off', median(without), 1],
      ['on', median(withRules), median(withRules) / median(without)],
    ],
  ),
);
