/** The parts of OpenTelemetry that are global: NodeSDK with our ids, sampler and processors, and the context manager. */
import { context, createContextKey, ProxyTracerProvider, propagation, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import type { Resource } from '@opentelemetry/resources';
import type { SpanProcessor } from '@opentelemetry/sdk-trace';
import { createIdGenerator } from './correlation.ts';
import { wantsMetrics } from './exporters.ts';
import { createContextSpanProcessor, guardSpanProcessor } from './processors.ts';
import { RedactingSpanProcessor } from './redacting-processors.ts';
import type { Redactor } from './redaction.ts';
import { createAuditSampler, createParentTracker } from './sampling.ts';

/** Whether something else has registered a tracer provider. */
export function hasTracerProvider(): boolean {
  const provider = trace.getTracerProvider();
  if (!(provider instanceof ProxyTracerProvider)) return true;
  return provider.getDelegate().constructor.name !== 'NoopTracerProvider';
}

const PROBE = createContextKey('risktrail probe');

/** Whether contexts are carried: by what they do, since the interface has no way to ask. */
function hasContextManager(): boolean {
  return context.with(ROOT_CONTEXT.setValue(PROBE, true), () => context.active().getValue(PROBE) === true);
}

/** Installs one that follows asynchronous work, where there is none. */
export function installContextManager(): void {
  if (hasContextManager()) return;
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
}

/** What was started besides logs. */
export interface Sdk {
  start(): void;
  shutdown(): Promise<void>;
}

/** NodeSDK, but for logs: theirs would cut records by the limits of the environment. */
export async function createSdk(
  spanProcessors: readonly SpanProcessor[],
  resource: Resource,
  redactor: Redactor,
  env: Readonly<Record<string, string | undefined>>,
  report: (error: unknown, where: string) => void,
): Promise<Sdk> {
  const { NodeSDK } = await import('@opentelemetry/sdk-node');
  // Where nobody is given the spans (no exporter, no processor of the service's), they need no attributes and no masking.
  const seen = spanProcessors.length > 0;
  const processors: SpanProcessor[] = [
    createParentTracker(),
    ...(seen ? [createContextSpanProcessor(), new RedactingSpanProcessor(redactor), ...spanProcessors] : []),
  ];
  const sdk = new NodeSDK({
    resource,
    autoDetectResources: false,
    sampler: createAuditSampler(env, report),
    idGenerator: createIdGenerator(),
    spanProcessors: processors.map((processor) => guardSpanProcessor(processor, report)),
    ...(wantsMetrics(env) ? {} : { metricReaders: [] }),
    // Whoever came first stays; `null` is NodeSDK's word for "none", which its type leaves out for the manager.
    ...(hasContextManager() ? { contextManager: null as never } : {}),
    ...(propagation.fields().length > 0 ? { textMapPropagator: null } : {}),
  });
  return {
    start() {
      // NodeSDK always makes a logger provider, unless this variable says otherwise while it starts.
      const before = process.env['OTEL_LOGS_EXPORTER'];
      process.env['OTEL_LOGS_EXPORTER'] = 'none';
      try {
        sdk.start();
      } finally {
        if (before === undefined) delete process.env['OTEL_LOGS_EXPORTER'];
        else process.env['OTEL_LOGS_EXPORTER'] = before;
      }
    },
    shutdown: () => sdk.shutdown(),
  };
}
