/**
 * Metrics to a Collector over HTTP, as NodeSDK sets them up from the standard variables, without NodeSDK: that loads every
 * exporter there is. Other ways (gRPC, Prometheus, the console) are left to it.
 * https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#periodic-exporting-metricreader
 */
import { metrics } from '@opentelemetry/api';
import type { Resource } from '@opentelemetry/resources';
import type { PushMetricExporter, ResourceMetrics } from '@opentelemetry/sdk-metrics';
import { wantsMetrics } from './exporters.ts';
import { LazyExporter, withVariablesOf } from './lazy-exporter.ts';

type Env = Readonly<Record<string, string | undefined>>;
type Report = (error: unknown, where: string) => void;

const INTERVAL_MS = 60_000;
const TIMEOUT_MS = 30_000;

const variable = (env: Env, name: string): string => env[name]?.trim() ?? '';

const protocolOf = (env: Env): string =>
  variable(env, 'OTEL_EXPORTER_OTLP_METRICS_PROTOCOL') ||
  variable(env, 'OTEL_EXPORTER_OTLP_PROTOCOL') ||
  'http/protobuf';

/** Whether metrics are asked for in a way that only NodeSDK has. */
export function needsNodeSdkForMetrics(env: Env): boolean {
  if (!wantsMetrics(env)) return false;
  const exporter = variable(env, 'OTEL_METRICS_EXPORTER');
  const temporality = variable(env, 'OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE').toLowerCase();
  return (
    (exporter !== '' && exporter !== 'otlp') ||
    !['http/json', 'http/protobuf'].includes(protocolOf(env)) ||
    (temporality !== '' && temporality !== 'cumulative')
  );
}

/** What was started. */
export interface Metrics {
  start(): void;
  shutdown(): Promise<void>;
}

/** Exports what libraries and risktrail measure, where the environment asks for it over HTTP; nothing otherwise. */
export async function createMetrics(resource: Resource, env: Env, report: Report): Promise<Metrics | undefined> {
  if (!wantsMetrics(env) || needsNodeSdkForMetrics(env)) return undefined;
  const { MeterProvider, PeriodicExportingMetricReader } = await import('@opentelemetry/sdk-metrics');
  const intervalMs = milliseconds(env, 'OTEL_METRIC_EXPORT_INTERVAL', INTERVAL_MS, report);
  const timeoutMs = Math.min(intervalMs, milliseconds(env, 'OTEL_METRIC_EXPORT_TIMEOUT', TIMEOUT_MS, report));
  const make = withVariablesOf(env, (Exporter: new () => PushMetricExporter) => new Exporter());
  const exporter = new LazyExporter<ResourceMetrics>(async () => make(await loadExporter(env)));
  const reader = new PeriodicExportingMetricReader({
    exporter,
    exportIntervalMillis: intervalMs,
    exportTimeoutMillis: timeoutMs,
  });
  const provider = new MeterProvider({ resource, readers: [reader] });
  let registered = false;
  return {
    start() {
      registered = metrics.setGlobalMeterProvider(provider);
    },
    async shutdown() {
      if (registered && metrics.getMeterProvider() === provider) metrics.disable();
      await provider.shutdown();
    },
  };
}

async function loadExporter(env: Env): Promise<new () => PushMetricExporter> {
  const module =
    protocolOf(env) === 'http/json'
      ? await import('@opentelemetry/exporter-metrics-otlp-http')
      : await import('@opentelemetry/exporter-metrics-otlp-proto');
  return module.OTLPMetricExporter;
}

function milliseconds(env: Env, name: string, fallback: number, report: Report): number {
  const text = variable(env, name);
  if (text === '') return fallback;
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  report(new Error(`${name}: expected a number > 0, got "${text}"; ${fallback} is used`), 'exporters');
  return fallback;
}
