/**
 * A service in which an OpenTelemetry SDK runs already, and a trail is attached to it. Providers are global, so it is a
 * process of its own. Prints what everybody saw. Arguments: data directory, `keeping` or `dropping` for the SDK's sampler.
 */
import { context, logs, propagation, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { InMemoryLogRecordExporter, SimpleLogRecordProcessor } from '@opentelemetry/sdk-logs';
import { NodeSDK } from '@opentelemetry/sdk-node';
import { AlwaysOffSampler, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace';
import { startRiskTrail } from '../../src/index.ts';

const [dataDir, sampling] = process.argv.slice(2);
const spans = new InMemorySpanExporter();
const lines = new InMemoryLogRecordExporter();
new NodeSDK({
  spanProcessors: [new SimpleSpanProcessor({ exporter: spans })],
  logRecordProcessors: [new SimpleLogRecordProcessor({ exporter: lines })],
  metricReaders: [],
  autoDetectResources: false,
  ...(sampling === 'dropping' ? { sampler: new AlwaysOffSampler() } : {}),
}).start();
const foreignLogs = logs.getLoggerProvider();

const refused = await startRiskTrail({ serviceName: 'attached', dataDir: dataDir! }).then(
  () => 'started',
  (error) => error.code,
);
const trail = await startRiskTrail({
  serviceName: 'attached',
  dataDir: dataDir!,
  attach: true,
  logLevel: 'off',
  // With and without somebody behind us who sees the records.
  logProcessors:
    sampling === 'dropping' ? [] : [{ onEmit: () => {}, forceFlush: async () => {}, shutdown: async () => {} }],
});
const order = { 'trading.symbol': 'SPX', 'trading.side': 'buy', 'trading.quantity': 1 } as const;

trail.withContext({ correlationId: '9f1c2d3e-4a5b-4c6d-8e7f-001122334455', accountId: 'A' }, () => {
  trail.emit('order.placed', order);
  const limits = trail.portfolioLimits({ orderNotional: { max: 10 } });
  limits.checkEntry({ equity: 1000, positions: [] }, { symbol: 'SPX', side: 'buy', quantity: 1, price: 50 });
});
const caller = trace.getTracer('app').startActiveSpan('handle request', (span) => {
  trail.emit('order.filled', { ...order, 'trading.price': 50 });
  trail.withContext({ correlationId: 'request-7' }, () => trail.emit('order.cancelled', order));
  logs.getLogger('app').emit({ body: 'a line of theirs' });
  span.end();
  return span.spanContext();
});
const inbound = propagation.extract(ROOT_CONTEXT, {
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
});
context.with(inbound, () => trail.emit('trade.entry', { ...order, 'trading.price': 50 }));
await trail.close();
const failures = trail.health().failures;

trace.getTracer('app').startSpan('after close').end();
logs.getLogger('app').emit({ body: 'a line after close' });
process.stdout.write(
  JSON.stringify({
    refused,
    failures,
    caller,
    sameLogs: logs.getLoggerProvider() === foreignLogs,
    legacy: Symbol.for('io.opentelemetry.js.api.logs') in globalThis,
    spans: spans.getFinishedSpans().map((span) => ({ name: span.name, traceId: span.spanContext().traceId })),
    lines: lines.getFinishedLogRecords().map((record) => record.body),
  }),
);
