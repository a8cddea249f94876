/** Telemetry on exporters in memory, and what comes out of it. */
import { InMemoryLogRecordExporter, type LogRecordProcessor } from '@opentelemetry/sdk-logs';
import { InMemorySpanExporter, type ReadableSpan } from '@opentelemetry/sdk-trace';
import { startTelemetry, type Telemetry, type TelemetryOptions } from '../../../src/telemetry/providers.ts';

export interface TestTelemetry extends Telemetry {
  readonly told: string[];
  /** Flushes and gives all spans so far. */
  spans(): Promise<ReadableSpan[]>;
  readonly logs: InMemoryLogRecordExporter;
}

export const SILENT: LogRecordProcessor = {
  onEmit: () => {},
  forceFlush: async () => {},
  shutdown: async () => {},
};

/** Starts telemetry for a test. Shut it down at the end: it is global. */
export async function startForTest(options: Partial<TelemetryOptions> = {}): Promise<TestTelemetry> {
  const spanExporter = new InMemorySpanExporter();
  const logs = new InMemoryLogRecordExporter();
  const told: string[] = [];
  const telemetry = await startTelemetry({
    serviceName: 'test',
    attach: false,
    logProcessors: [SILENT],
    exporters: { logs, spans: spanExporter },
    env: {},
    report: (error, where) => told.push(`${where}: ${error instanceof Error ? error.message : String(error)}`),
    ...options,
  });
  return Object.assign(Object.create(telemetry) as Telemetry, {
    told,
    logs,
    otelLogger: telemetry.otelLogger,
    tracer: telemetry.tracer,
    resource: telemetry.resource,
    forceFlush: (ms?: number) => telemetry.forceFlush(ms),
    shutdown: (ms?: number) => telemetry.shutdown(ms),
    dropped: () => telemetry.dropped(),
    async spans() {
      await telemetry.forceFlush(5000);
      return spanExporter.getFinishedSpans();
    },
  });
}
