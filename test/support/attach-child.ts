/**
 * Attaches to what runs already, works a little, and prints what everybody saw. Run as a process of its own, since providers
 * are global: `attach-child.ts <node-sdk | tracer-provider | dropping | nobody>`.
 */
import { context, logs, trace } from '@opentelemetry/api';
import { InMemoryLogRecordExporter, SimpleLogRecordProcessor } from '@opentelemetry/sdk-logs';
import { NodeSDK } from '@opentelemetry/sdk-node';
import { AlwaysOffSampler, InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { activeContextAttributes, runWithContext } from '../../src/telemetry/context.ts';
import { startTelemetry } from '../../src/telemetry/providers.ts';
import { isSampled, markAudit } from '../../src/telemetry/sampling.ts';

const mode = process.argv[2];
const foreignSpans = new InMemorySpanExporter();
const foreignLogs = new InMemoryLogRecordExporter();
const spanProcessors = [new SimpleSpanProcessor({ exporter: foreignSpans })];

if (mode === 'node-sdk') {
  new NodeSDK({
    spanProcessors,
    logRecordProcessors: [new SimpleLogRecordProcessor({ exporter: foreignLogs })],
    metricReaders: [],
    autoDetectResources: false,
  }).start();
} else if (mode === 'tracer-provider') {
  trace.setGlobalTracerProvider(new TracerProvider({ spanProcessors }));
} else if (mode === 'dropping') {
  trace.setGlobalTracerProvider(new TracerProvider({ spanProcessors, sampler: new AlwaysOffSampler() }));
}

const ours: unknown[] = [];
const told: string[] = [];
const telemetry = await startTelemetry({
  serviceName: 'attached',
  attach: true,
  env: process.env,
  logProcessors: [
    {
      onEmit: (record) => void ours.push([record.body, record.spanContext?.traceId]),
      forceFlush: async () => {},
      shutdown: async () => {},
    },
  ],
  report: (error, where) => told.push(`${where}: ${String(error)}`),
});

const result = await runWithContext(
  telemetry.tracer,
  { correlationId: '9f1c2d3e-4a5b-4c6d-8e7f-001122334455', accountId: 'A' },
  async () => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    telemetry.otelLogger.emit({ body: 'ours' });
    logs.getLogger('app').emit({ body: 'theirs' });
    telemetry.tracer.startSpan('our span', { attributes: { password: 'x' } }).end();
    trace.getTracer('app').startSpan('their span').end();
    return {
      account: activeContextAttributes()['trading.account.id'],
      marked: markAudit(context.active()),
      sampled: isSampled(context.active()),
    };
  },
);
await telemetry.shutdown();
const globalLogs = logs.getLoggerProvider();
process.stdout.write(
  JSON.stringify({
    ...result,
    told,
    ours,
    attached: telemetry.attached,
    exporting: telemetry.exporting,
    legacy: Symbol.for('io.opentelemetry.js.api.logs') in globalThis,
    globalLogs: globalLogs.constructor.name,
    foreignLogs: foreignLogs.getFinishedLogRecords().map((record) => record.body),
    foreignSpans: foreignSpans.getFinishedSpans().map((span) => ({
      name: span.name,
      traceId: span.spanContext().traceId,
      remoteParent: span.parentSpanContext?.isRemote === true,
      attributes: span.attributes,
    })),
  }),
);
