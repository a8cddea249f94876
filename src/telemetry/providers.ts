/**
 * OpenTelemetry's providers: our own, or beside those that already run. This is where the SDK is started and stopped.
 *
 * - **Default**: NodeSDK for traces, propagation and context, with our id generator and sampler; a logger provider of our
 *   own, without limits on a record, as the global one (also on the old `@opentelemetry/api-logs` global).
 * - **Attached**: the global tracer of whoever runs; a logger provider of our own that is nobody else's.
 * - **OTEL_SDK_DISABLED=true**: no traces, no exporters, nothing global. The log processors given here go on being fed: the
 *   audit trail is no telemetry. Trace ids still come from correlation ids.
 */
import { type Attributes, type Logger, logs, type Tracer, trace } from '@opentelemetry/api';
import { type Resource, resourceFromAttributes } from '@opentelemetry/resources';
import {
  LoggerProvider,
  type LogRecordExporter,
  type LogRecordProcessor,
  type ReadableLogRecord,
  type ReadWriteLogRecord,
} from '@opentelemetry/sdk-logs';
import type { ReadableSpan, SpanExporter, SpanProcessor } from '@opentelemetry/sdk-trace';
import type { Clock } from '../core/clock.ts';
import { RiskTrailError } from '../core/errors.ts';
import { VERSION } from '../version.ts';
import { Batcher, createLogBatchProcessor, createSpanBatchProcessor, withinTime } from './batch.ts';
import { bindContextSettings } from './context.ts';
import { batchLimits, isSdkDisabled, loadLogExporters, loadSpanExporters } from './exporters.ts';
import { registerLegacyLogs } from './legacy-logs.ts';
import { createAttachedTracer, guardLogProcessor, guardSpanProcessor } from './processors.ts';
import { RedactingLogRecordProcessor } from './redacting-processors.ts';
import { createRedactor, type Redactor } from './redaction.ts';
import { type ResourceOptions, resourceAttributes } from './resource.ts';
import { createSdk, hasTracerProvider, installContextManager, needsNodeSdk } from './sdk.ts';
import { createUnseenTracer } from './unseen-tracer.ts';

/** Instrumentation scope of everything that risktrail itself emits. */
export const SCOPE = 'risktrail';

const DEFAULT_TIMEOUT_MS = 500;

export interface TelemetryOptions extends ResourceOptions {
  /** An SDK already runs in this process: stay beside it. */
  readonly attach: boolean;
  /** Ours, in their order, in front of masking and export. */
  readonly logProcessors: readonly LogRecordProcessor[];
  /** Further log record processors: behind the masking. */
  readonly furtherLogProcessors?: readonly LogRecordProcessor[] | undefined;
  /** Further span processors. They see masked spans at their end. Not used when attached. */
  readonly spanProcessors?: readonly SpanProcessor[] | undefined;
  /** In place of those that the environment asks for. */
  readonly exporters?: {
    readonly logs?: LogRecordExporter | undefined;
    readonly spans?: SpanExporter | undefined;
  };
  /** Masks the context's attributes and what others emit. Default: the built-in rules. */
  readonly redactor?: Redactor | undefined;
  /** Time of the spans that contexts open. Default: the SDK's own. */
  readonly clock?: Clock | undefined;
  /** Standard variables. The SDK's own parts read those of the process. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Told of every failure inside; must not throw. */
  report(error: unknown, where: string): void;
}

export interface Telemetry {
  readonly otelLogger: Logger;
  readonly tracer: Tracer;
  /** Attributes of the resource, masked. */
  readonly resource: Readonly<Record<string, unknown>>;
  readonly attached: boolean;
  /** Whether telemetry leaves the process through a stock exporter. */
  readonly exporting: boolean;
  /** Resolves when what was handed in is exported or given up, after `timeoutMs` (500) at the latest. Never rejects. */
  forceFlush(timeoutMs?: number): Promise<void>;
  /** Flushes and ends; within `timeoutMs` (500) however the exporters behave. Never rejects; calls share one promise. */
  shutdown(timeoutMs?: number): Promise<void>;
  /** What full queues, failed exports and the shutdown lost, since the start. */
  dropped(): { readonly spans: number; readonly logs: number };
}

/**
 * Whether a record is telemetry, which the stock exporters may carry (and lose). Audit records carry `audit.record.id`;
 * they leave through the shipper alone.
 */
export function isTelemetryRecord(record: { readonly attributes: Attributes }): boolean {
  return record.attributes['audit.record.id'] === undefined;
}

type Report = TelemetryOptions['report'];
type Env = TelemetryOptions['env'];

interface Pipeline {
  readonly logBatchers: readonly Batcher<ReadableLogRecord>[];
  readonly spanBatchers: readonly Batcher<ReadableSpan>[];
}

async function createPipeline(options: TelemetryOptions, env: Env, disabled: boolean): Promise<Pipeline> {
  const { report, attach, exporters } = options;
  if (disabled) return { logBatchers: [], spanBatchers: [] };
  const [logExporters, spanExporters] = await Promise.all([
    exporters?.logs === undefined ? loadLogExporters(env, report) : [exporters.logs],
    // Spans of a foreign provider are its own to export.
    attach ? [] : exporters?.spans === undefined ? loadSpanExporters(env, report) : [exporters.spans],
  ]);
  const logLimits = batchLimits(env, 'OTEL_BLRP', report);
  const spanLimits = batchLimits(env, 'OTEL_BSP', report);
  return {
    logBatchers: logExporters.map((exporter) => new Batcher(exporter, logLimits, 'log records', report)),
    spanBatchers: spanExporters.map((exporter) => new Batcher(exporter, spanLimits, 'spans', report)),
  };
}

function createLoggerProvider(
  options: TelemetryOptions,
  resource: Resource,
  pipeline: Pipeline,
  redactor: Redactor,
): LoggerProvider {
  const behind = [
    ...(options.furtherLogProcessors ?? []),
    ...pipeline.logBatchers.map((batcher) => createLogBatchProcessor(batcher, isTelemetryRecord)),
  ];
  // Audit records of our own are masked already, before they were hashed; of what others emitted only our copy is.
  const isUnmasked = (record: ReadWriteLogRecord) =>
    record.instrumentationScope.name !== SCOPE || isTelemetryRecord(record);
  const masking = behind.length === 0 ? [] : [new RedactingLogRecordProcessor(redactor, isUnmasked)];
  const processors = [...options.logProcessors, ...masking, ...behind];
  return new LoggerProvider({
    resource,
    // OTEL_LOGRECORD_* limits would cut what is to be proven.
    logRecordLimits: {
      attributeCountLimit: Number.POSITIVE_INFINITY,
      attributeValueLengthLimit: Number.POSITIVE_INFINITY,
    },
    processors: processors.map((processor) => guardLogProcessor(processor, options.report)),
  });
}

/** Registers our logger provider on both globals. @returns what takes it back */
function registerLogs(provider: LoggerProvider, report: Report): () => void {
  const registered = logs.setGlobalLoggerProvider(provider);
  if (!registered) report(new Error('another logger provider is registered globally; its records stay there'), 'logs');
  const unregisterLegacy = registerLegacyLogs(provider);
  if (unregisterLegacy === undefined)
    report(new Error('another provider is registered on the @opentelemetry/api-logs global'), 'logs');
  return () => {
    if (registered && logs.getLoggerProvider() === provider) logs.disable();
    unregisterLegacy?.();
  };
}

/**
 * Starts telemetry.
 * @throws RiskTrailError OPTION_INVALID (`attach`): without `attach`, where an SDK already runs in this process
 */
export async function startTelemetry(options: TelemetryOptions): Promise<Telemetry> {
  const { attach, env, report } = options;
  const disabled = isSdkDisabled(env);
  if (!attach && !disabled && hasTracerProvider()) {
    throw new RiskTrailError('OPTION_INVALID', {
      field: 'attach',
      expected: 'true, since an OpenTelemetry SDK already runs in this process',
      received: 'false',
    });
  }
  const redactor = options.redactor ?? createRedactor({ report });
  const attributes = redactor.deep(resourceAttributes(options, env, report), 'resource') as Attributes;
  const resource = resourceFromAttributes(attributes);
  const own = !attach && !disabled;
  // Loading NodeSDK takes most of the start; the exporters are loaded meanwhile.
  const [pipeline] = await Promise.all([
    createPipeline(options, env, disabled),
    own && needsNodeSdk(env) ? import('@opentelemetry/sdk-node') : undefined,
  ]);
  const provider = createLoggerProvider(options, resource, pipeline, redactor);
  const ends: (() => Promise<unknown>)[] = [];
  const flushes: (() => Promise<void>)[] = [];
  let unregister = () => {};
  // A sampler that the environment asks for decides on spans, and so on the flags of what leaves, also where nobody is given them.
  const isSeen =
    (options.spanProcessors ?? []).length > 0 ||
    pipeline.spanBatchers.length > 0 ||
    (env['OTEL_TRACES_SAMPLER'] ?? '').trim() !== '';
  if (own) {
    const spanProcessors = [...(options.spanProcessors ?? []), ...pipeline.spanBatchers.map(createSpanBatchProcessor)];
    for (const one of options.spanProcessors ?? []) {
      const guarded = guardSpanProcessor(one, report);
      flushes.push(() => guarded.forceFlush());
    }
    const sdk = await createSdk(spanProcessors, resource, redactor, env, report);
    sdk.start();
    const unregisterLogs = registerLogs(provider, report);
    unregister = () => {
      unregisterLogs();
      trace.disable();
    };
    ends.push(() => sdk.shutdown());
  }
  installContextManager();
  const found = trace.getTracer(SCOPE, VERSION);
  const tracer = own ? (isSeen ? found : createUnseenTracer(found)) : createAttachedTracer(found, redactor);
  bindContextSettings(tracer, { foreign: !own, redactor, clock: options.clock, report });
  ends.push(() => provider.shutdown());
  return new RunningTelemetry({
    provider,
    tracer,
    attributes,
    attached: attach,
    pipeline,
    ends,
    flushes,
    unregister,
    report,
  });
}

interface Parts {
  readonly provider: LoggerProvider;
  readonly tracer: Tracer;
  readonly attributes: Attributes;
  readonly attached: boolean;
  readonly pipeline: Pipeline;
  readonly ends: readonly (() => Promise<unknown>)[];
  /** What is flushed besides the logger provider and our own batches. None rejects. */
  readonly flushes: readonly (() => Promise<void>)[];
  readonly report: Report;
  unregister(): void;
}

class RunningTelemetry implements Telemetry {
  readonly otelLogger: Logger;
  readonly tracer: Tracer;
  readonly resource: Readonly<Record<string, unknown>>;
  readonly attached: boolean;
  readonly exporting: boolean;
  readonly #parts: Parts;
  #ending: Promise<void> | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.otelLogger = parts.provider.getLogger(SCOPE, VERSION);
    this.tracer = parts.tracer;
    this.resource = Object.freeze({ ...parts.attributes });
    this.attached = parts.attached;
    this.exporting = this.#batchers().length > 0;
  }

  #batchers(): readonly (Batcher<ReadableLogRecord> | Batcher<ReadableSpan>)[] {
    return [...this.#parts.pipeline.logBatchers, ...this.#parts.pipeline.spanBatchers];
  }

  async forceFlush(timeoutMs = DEFAULT_TIMEOUT_MS): Promise<void> {
    const work = [this.#parts.provider.forceFlush({ timeoutMillis: timeoutMs })];
    for (const batcher of this.#batchers()) work.push(batcher.flush());
    for (const flush of this.#parts.flushes) work.push(flush());
    await withinTime(Promise.allSettled(work), timeoutMs);
  }

  shutdown(timeoutMs = DEFAULT_TIMEOUT_MS): Promise<void> {
    this.#ending ??= this.#end(timeoutMs);
    return this.#ending;
  }

  async #end(timeoutMs: number): Promise<void> {
    const { ends, unregister, report } = this.#parts;
    try {
      unregister();
    } catch (error) {
      report(error, 'shutdown');
    }
    const batchers = this.#batchers().map((batcher) => batcher.shutdown(timeoutMs));
    const rest = ends.map(async (end) => {
      try {
        await end();
      } catch (error) {
        report(error, 'shutdown');
      }
    });
    await withinTime(Promise.all([...batchers, ...rest]), timeoutMs);
  }

  dropped(): { spans: number; logs: number } {
    const sum = (batchers: readonly { readonly dropped: number }[]) =>
      batchers.reduce((total, batcher) => total + batcher.dropped, 0);
    return { spans: sum(this.#parts.pipeline.spanBatchers), logs: sum(this.#parts.pipeline.logBatchers) };
  }
}
