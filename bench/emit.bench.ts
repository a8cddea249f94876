/**
 * What one audit `emit` costs, against the sum of its parts and against pino, all in one run.
 *
 *     node --expose-gc bench/emit.bench.ts
 */

import { hash } from 'node:crypto';
import { openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { LoggerProvider, type LogRecordProcessor } from '@opentelemetry/sdk-logs';
import pino from 'pino';
import { RecordEncoder } from '../src/audit/record/encode.ts';
import { startRiskTrail } from '../src/index.ts';
import { breathe, inTurn, PagesAtHand, quantile, table, temporaryDirectory } from './support.ts';

const directory = temporaryDirectory();
const trail = await startRiskTrail({
  serviceName: 'bench',
  dataDir: join(directory, 'trail'),
  segmentMaxBytes: 1_000_000_000,
  handleSignals: false,
  // Snapshots of the state are a cost of their own: no order of this benchmark ever ends.
  snapshotIntervalMs: 0,
});

const attributes = (i: number) => ({
  'trading.symbol': 'BTC/USDT',
  'trading.side': 'buy' as const,
  'trading.quantity': 0.25,
  'trading.price': 61_234.5 + (i % 100) / 100,
  'trading.order.id': `order-${i}`,
  'trading.order.type': 'limit',
  'trading.account.id': 'ACC123',
  'trading.strategy.id': 'momentum-1',
});

// The parts, each alone.
const nothing: LogRecordProcessor = { onEmit: () => {}, forceFlush: async () => {}, shutdown: async () => {} };
const bare = new LoggerProvider({ processors: [nothing] }).getLogger('bench');
const encoder = new RecordEncoder({
  stream: 'bench/00000000-0000-4000-8000-000000000000',
  resource: { 'service.name': 'bench' },
  scope: { name: 'risktrail', version: '0.0.0' },
});
const BODY = 'Trade entry: buy 0.25 BTC/USDT at 61234.5';
const TIME = '1763690000000000000';
const input = (i: number) => ({
  eventName: 'trade.entry',
  severityNumber: 9,
  severityText: 'INFO',
  body: BODY,
  timeUnixNano: TIME,
  attributes: attributes(i),
});
const encoded = encoder.encode(input(0), 0);
const { canonical } = encoded;
const line = Buffer.from(encoded.line.subarray(0, encoded.lineBytes));
const raw = openSync(join(directory, 'raw.jsonl'), 'a');
const node = Buffer.alloc(65, 1);
const log = pino(pino.destination({ dest: join(directory, 'pino.log'), sync: true }));

// For the 120 MB that a round of each writes: see PagesAtHand.
const pages = new PagesAtHand(directory, 1_000_000_000);
const times = await inTurn(
  {
    emit: (i) => trail.emit('trade.entry', attributes(i)),
    order: (i) => trail.emit('order.placed', attributes(i)),
    otel: (i) => bare.emit({ eventName: 'trade.entry', severityNumber: 9, body: BODY, attributes: attributes(i) }),
    encode: (i) => encoder.encode(input(i), i),
    leafHash: () => hash('sha256', `\0${canonical}`, 'base64'),
    nodeHash: () => hash('sha256', node, 'binary'),
    write: () => writeSync(raw, line, 0, line.length),
    pino: (i) => log.info(attributes(i), BODY),
    // Nothing of its own: what the others take of the memory is given back here.
    pages: (i) => void (i % 100 === 0 && pages.give(4 * 100 * line.length)),
  },
  { rounds: 41, calls: 2000, warmup: 30_000 },
);
pages.end();
// The encoder hashes the leaf itself: what is left is the building of the line.
const building = times.encode! - times.leafHash!;
const parts = times.otel! + building + times.leafHash! + times.nodeHash! + times.write!;

console.log(`### One audit \`emit\` of 8 attributes (line of ${line.length} bytes)\n`);
console.log(
  table(
    ['what', 'µs, median of 41 rounds'],
    [
      ['OpenTelemetry emit to a processor that does nothing', times.otel!],
      ['building canonical text and line', building],
      ['SHA-256 of the leaf', times.leafHash!],
      ['SHA-256 of a tree node', times.nodeHash!],
      ['writeSync', times.write!],
      ['**sum of the parts**', parts],
      ['**trail.emit**', times.emit!],
      ['pino, sync file destination, same fields', times.pino!],
      ['ratio emit / parts (must be ≤ 1.25)', times.emit! / parts],
      ['ratio emit / pino (must be ≤ 1.60)', times.emit! / times.pino!],
      ['the same of an order, which is kept as open besides', times.order!],
      ['ratio order / pino', times.order! / times.pino!],
    ],
  ),
);

// Latency of single calls while checkpoints are made beside them, at the defaults of 1,000 records or 1 s.
const CALLS = 200_000;
const single = new Float64Array(CALLS);
for (let i = 0; i < CALLS; i++) {
  const start = performance.now();
  trail.emit('order.placed', attributes(i));
  single[i] = (performance.now() - start) * 1000;
  if (i % 50 === 0) await breathe();
}
console.log(
  `\n### Single calls with checkpoints beside them (${CALLS} calls, ${trail.health().journal!.checkpoints} checkpoints)\n`,
);
console.log(
  table(
    ['quantile', 'µs'],
    [
      ['50 %', quantile(single, 0.5)],
      ['99 %', quantile(single, 0.99)],
      ['99.9 % (must be ≤ 1,000)', quantile(single, 0.999)],
      ['99.99 %', quantile(single, 0.9999)],
      ['maximum', quantile(single, 1)],
    ],
  ),
);

await trail.close();
