/** The parts of OpenTelemetry that are global: NodeSDK with our ids, sampler and processors, and the context manager. */
import { context, createContextKey, ProxyTracerProvider, propagation, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from '@opentelemetry/core';
import type { Resource } from '@opentelemetry/resources';
import { type SpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { createIdGenerator } from './correlation.ts';
import { wantsMetrics } from './exporters.ts';
import { createMetrics, needsNodeSdkForMetrics } from './metrics.ts';
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

type Env = Readonly<Record<string, string | undefined>>;

const PROPAGATORS = { tracecontext: W3CTraceContextPropagator, baggage: W3CBaggagePropagator } as const;
const DEFAULT_PROPAGATORS = 'tracecontext,baggage';

/** The propagators that the variable names; undefined where one is none of the two that every service has. */
function namedPropagators(env: Env): readonly (keyof typeof PROPAGATORS)[] | undefined {
  const names = (env['OTEL_PROPAGATORS']?.trim() || DEFAULT_PROPAGATORS).split(',').map((name) => name.trim());
  return names.every((name) => Object.hasOwn(PROPAGATORS, name)) ? (names as (keyof typeof PROPAGATORS)[]) : undefined;
}

/** What only NodeSDK reads from the environment. Loading it takes longer than all the rest of a start. */
export const needsNodeSdk = (env: Env): boolean =>
  needsNodeSdkForMetrics(env) ||
  namedPropagators(env) === undefined ||
  Object.keys(env).some(
    (name) =>
      /^OTEL_(?:LOG_LEVEL$|(?:SPAN|EVENT|LINK|ATTRIBUTE)_.*_LIMIT$|NODE_EXPERIMENTAL_)/.test(name) && env[name]?.trim(),
  );

/** Traces, metrics, context and propagation as NodeSDK starts them, where nothing asks for more. */
async function createLightSdk(
  spanProcessors: readonly SpanProcessor[],
  resource: Resource,
  env: Env,
  report: (error: unknown, where: string) => void,
): Promise<Sdk> {
  const metrics = await createMetrics(resource, env, report);
  const provider = new TracerProvider({
    resource,
    sampler: createAuditSampler(env, report),
    idGenerator: createIdGenerator(),
    spanProcessors: [...spanProcessors],
  });
  return {
    start() {
      installContextManager();
      if (propagation.fields().length === 0) {
        const propagators = (namedPropagators(env) ?? []).map((name) => new PROPAGATORS[name]());
        propagation.setGlobalPropagator(new CompositePropagator({ propagators }));
      }
      trace.setGlobalTracerProvider(provider);
      metrics?.start();
    },
    async shutdown() {
      await Promise.all([provider.shutdown(), metrics?.shutdown()]);
    },
  };
}

/** NodeSDK, but for logs: theirs would cut records by the limits of the environment. */
export async function createSdk(
  spanProcessors: readonly SpanProcessor[],
  resource: Resource,
  redactor: Redactor,
  env: Env,
  report: (error: unknown, where: string) => void,
): Promise<Sdk> {
  // Where nobody is given the spans (no exporter, no processor of the service's), they need no attributes and no masking.
  const seen = spanProcessors.length > 0;
  const processors: SpanProcessor[] = [
    createParentTracker(),
    ...(seen ? [createContextSpanProcessor(), new RedactingSpanProcessor(redactor), ...spanProcessors] : []),
  ];
  const guardedProcessors = processors.map((processor) => guardSpanProcessor(processor, report));
  if (!needsNodeSdk(env)) return createLightSdk(guardedProcessors, resource, env, report);
  const { NodeSDK } = await import('@opentelemetry/sdk-node');
  const sdk = new NodeSDK({
    resource,
    autoDetectResources: false,
    sampler: createAuditSampler(env, report),
    idGenerator: createIdGenerator(),
    spanProcessors: guardedProcessors,
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
