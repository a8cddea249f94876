/**
 * The stock exporters, as the standard variables ask for them; none otherwise: a service without a Collector is not made to
 * call `localhost:4318`. Loaded only when asked for.
 * https://opentelemetry.io/docs/specs/otel/protocol/exporter/
 */
import type { LogRecordExporter } from '@opentelemetry/sdk-logs';
import type { SpanExporter } from '@opentelemetry/sdk-trace';
import { type BatchLimits, DEFAULT_BATCH_LIMITS } from './batch.ts';
import { type Exporter, LazyExporter, withVariablesOf } from './lazy-exporter.ts';

type Env = Readonly<Record<string, string | undefined>>;
type Report = (error: unknown, where: string) => void;
type Signal = 'LOGS' | 'TRACES';

const variable = (env: Env, name: string): string => env[name]?.trim() ?? '';

/** Whether the variable says true, as the specification has it. */
export const isSdkDisabled = (env: Env): boolean => variable(env, 'OTEL_SDK_DISABLED').toLowerCase() === 'true';

/** The exporters that a signal asks for: `otlp`, `console`, or none. */
function wanted(env: Env, signal: Signal, report: Report): readonly ('otlp' | 'console')[] {
  const names = variable(env, `OTEL_${signal}_EXPORTER`)
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '');
  if (names.includes('none')) return [];
  if (names.length === 0) {
    const asked =
      variable(env, 'OTEL_EXPORTER_OTLP_ENDPOINT') || variable(env, `OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`);
    return asked === '' ? [] : ['otlp'];
  }
  return [...new Set(names)].filter((name): name is 'otlp' | 'console' => {
    if (name === 'otlp' || name === 'console') return true;
    report(new Error(`OTEL_${signal}_EXPORTER: "${name}" is not supported; otlp, console and none are`), 'exporters');
    return false;
  });
}

/** Whether metrics are to be exported: only where the environment asks for it. */
export function wantsMetrics(env: Env): boolean {
  const names = variable(env, 'OTEL_METRICS_EXPORTER');
  if (names !== '') return names !== 'none';
  return (
    variable(env, 'OTEL_EXPORTER_OTLP_ENDPOINT') !== '' || variable(env, 'OTEL_EXPORTER_OTLP_METRICS_ENDPOINT') !== ''
  );
}

/**
 * The package that speaks the protocol asked for. JSON over HTTP is ours and needs nothing more; the others come with
 * `@opentelemetry/sdk-node` and are taken where they are found.
 */
function packageFor(env: Env, signal: Signal, report: Report): string {
  const kind = signal === 'LOGS' ? 'logs' : 'trace';
  const protocol =
    variable(env, `OTEL_EXPORTER_OTLP_${signal}_PROTOCOL`) || variable(env, 'OTEL_EXPORTER_OTLP_PROTOCOL');
  switch (protocol) {
    case '':
    case 'http/json':
      return `@opentelemetry/exporter-${kind}-otlp-http`;
    case 'http/protobuf':
      return `@opentelemetry/exporter-${kind}-otlp-proto`;
    case 'grpc':
      return `@opentelemetry/exporter-${kind}-otlp-grpc`;
    default:
      report(new Error(`OTEL_EXPORTER_OTLP_PROTOCOL: "${protocol}" is unknown, http/json is used`), 'exporters');
      return `@opentelemetry/exporter-${kind}-otlp-http`;
  }
}

async function load<T>(env: Env, signal: Signal, report: Report): Promise<T[]> {
  const exporters: T[] = [];
  for (const kind of wanted(env, signal, report)) {
    try {
      exporters.push((await (kind === 'console' ? loadConsole(signal) : loadOtlp(env, signal, report))) as T);
    } catch (error) {
      report(error, `${kind} exporter of ${signal.toLowerCase()}`);
    }
  }
  return exporters;
}

async function loadConsole(signal: Signal): Promise<unknown> {
  if (signal === 'LOGS') return new (await import('@opentelemetry/sdk-logs')).ConsoleLogRecordExporter();
  return new (await import('@opentelemetry/sdk-trace')).ConsoleSpanExporter();
}

/** Certificates are read when the exporter is made, and later perhaps by a process that may not any more. */
const hasFiles = (env: Env): boolean =>
  Object.keys(env).some(
    (name) => /^OTEL_EXPORTER_OTLP_.*(?:CERTIFICATE|CLIENT_KEY)$/.test(name) && variable(env, name),
  );

async function loadOtlp(env: Env, signal: Signal, report: Report): Promise<unknown> {
  const name = packageFor(env, signal, report);
  const load = async () => {
    const module: { OTLPLogExporter?: new () => unknown; OTLPTraceExporter?: new () => unknown } =
      name === '@opentelemetry/exporter-logs-otlp-http'
        ? await import('@opentelemetry/exporter-logs-otlp-http')
        : name === '@opentelemetry/exporter-trace-otlp-http'
          ? await import('@opentelemetry/exporter-trace-otlp-http')
          : await import(name);
    const Exporter = signal === 'LOGS' ? module.OTLPLogExporter : module.OTLPTraceExporter;
    if (Exporter === undefined) throw new Error(`${name} has no exporter of ${signal.toLowerCase()}`);
    return Exporter;
  };
  // A package that may not be there is loaded at once, so that the start tells.
  if (!name.endsWith('-otlp-http') || hasFiles(env)) return new (await load())();
  const make = withVariablesOf(env, (Exporter: new () => unknown) => new Exporter() as Exporter<unknown>);
  return new LazyExporter<unknown>(async () => make(await load()));
}

/** Exporters of log records. They read their own `OTEL_EXPORTER_OTLP_*` variables from the process. */
export const loadLogExporters = (env: Env, report: Report): Promise<LogRecordExporter[]> => load(env, 'LOGS', report);

/** Exporters of spans. */
export const loadSpanExporters = (env: Env, report: Report): Promise<SpanExporter[]> => load(env, 'TRACES', report);

/** `OTEL_BSP_*` or `OTEL_BLRP_*`, with the specification's defaults (spans wait for 5 s, log records for 1 s). */
export function batchLimits(env: Env, prefix: 'OTEL_BSP' | 'OTEL_BLRP', report: Report): BatchLimits {
  const read = (name: string, fallback: number) => {
    const text = variable(env, `${prefix}_${name}`);
    if (text === '') return fallback;
    const value = Number(text);
    if (Number.isInteger(value) && value > 0) return value;
    report(new Error(`${prefix}_${name}: expected an integer > 0, got "${text}"; ${fallback} is used`), 'exporters');
    return fallback;
  };
  const maxQueueSize = read('MAX_QUEUE_SIZE', DEFAULT_BATCH_LIMITS.maxQueueSize);
  return {
    maxQueueSize,
    maxBatchSize: Math.min(maxQueueSize, read('MAX_EXPORT_BATCH_SIZE', DEFAULT_BATCH_LIMITS.maxBatchSize)),
    delayMs: read('SCHEDULE_DELAY', prefix === 'OTEL_BSP' ? 5000 : DEFAULT_BATCH_LIMITS.delayMs),
    timeoutMs: read('EXPORT_TIMEOUT', DEFAULT_BATCH_LIMITS.timeoutMs),
  };
}
