/** A real Collector, with the files of `collector/` as they are: what is the test's own goes by environment. */
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findStackBinary } from './stack-binaries.ts';
import { freePorts, type ProcessUsage, StackProcess } from './stack-server.ts';

const READY_TIMEOUT_MS = 30_000;
/** Nobody listens there. */
const NOWHERE = 'http://127.0.0.1:1';
const CONFIGS = fileURLToPath(new URL('../../collector', import.meta.url));

/** Path of one of the product's Collector files. */
export const collectorConfig = (name: string): string => join(CONFIGS, name);

/** A Collector that runs, or did. */
export interface Collector {
  /** Base address for OTLP/HTTP: what `OTEL_EXPORTER_OTLP_ENDPOINT` takes. */
  readonly endpoint: string;
  readonly port: number;
  /** Host and port for OTLP/gRPC. */
  readonly grpcAddress: string;
  /** What it printed. */
  readonly logFile: string;
  /** A figure of its own, summed over its labels; 0 where it has none. */
  metric(name: string): Promise<number>;
  /** What the process that runs has used. */
  usage(): ProcessUsage;
  /** Settles when it ends, by itself or not. */
  ended(): Promise<void>;
  /** Holds the audit files and nothing else. */
  readonly auditDirectory: string;
  /** The audit files, oldest first. */
  auditFiles(): string[];
  /** As `kill -9`. */
  kill(): Promise<void>;
  /** Starts it again on the same ports and files. */
  start(): Promise<void>;
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface CollectorOptions {
  /** File of `collector/`. */
  readonly config?: string;
  /** Variables of that file. */
  readonly env?: Readonly<Record<string, string>>;
  /** Tells apart those that share a directory. */
  readonly name?: string;
  /** For OTLP/HTTP, OTLP/gRPC, health and metrics. @default free ones */
  readonly ports?: readonly number[];
}

/**
 * Starts a Collector with its files in `directory`. Unless `env` says otherwise nobody answers for Loki and Tempo, and little
 * waits for them: the audit way has nothing to do with either.
 */
export async function startCollector(
  directory: string,
  { config = 'collector.yaml', env = {}, name = 'collector', ports }: CollectorOptions = {},
): Promise<Collector> {
  const binary = findStackBinary('otelcol');
  if (binary.path === undefined) throw new Error(binary.reason);
  const auditDirectory = join(directory, name);
  mkdirSync(auditDirectory, { recursive: true });
  const [otlpPort, grpcPort, healthPort, metricsPort] = (ports ?? (await freePorts(4))) as [
    number,
    number,
    number,
    number,
  ];
  const logFile = join(directory, `${name}.log`);
  const server = new StackProcess({
    program: binary.path,
    args: ['--config', `file:${collectorConfig(config)}`],
    env: {
      OTLP_HTTP_ENDPOINT: `127.0.0.1:${otlpPort}`,
      OTLP_GRPC_ENDPOINT: `127.0.0.1:${grpcPort}`,
      HEALTH_ENDPOINT: `127.0.0.1:${healthPort}`,
      METRICS_PORT: String(metricsPort),
      AUDIT_FILE: join(auditDirectory, 'audit.jsonl'),
      QUEUE_DIRECTORY: join(directory, `${name}-queue`),
      QUEUE_BYTES: '1000000',
      LOKI_ENDPOINT: `${NOWHERE}/otlp`,
      TEMPO_ENDPOINT: NOWHERE,
      COLLECTOR_LOG_LEVEL: 'warn',
      ...env,
    },
    logFile,
    readyUrl: `http://127.0.0.1:${healthPort}/`,
    readyTimeoutMs: READY_TIMEOUT_MS,
  });
  await server.start();
  return {
    endpoint: `http://127.0.0.1:${otlpPort}`,
    port: otlpPort,
    grpcAddress: `127.0.0.1:${grpcPort}`,
    logFile,
    metric: async (metric) => {
      const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
      const lines = text.split('\n').filter((line) => line.startsWith(`${metric}{`) || line.startsWith(`${metric} `));
      return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
    },
    usage: () => server.usage(),
    ended: () => server.ended(),
    auditDirectory,
    auditFiles: () => {
      const names = readdirSync(auditDirectory).filter((name) => name.endsWith('.jsonl'));
      // The one that is written has no time in its name.
      const current = names.filter((name) => name === 'audit.jsonl');
      const rotated = names.filter((name) => name !== 'audit.jsonl').sort();
      return [...rotated, ...current].map((name) => join(auditDirectory, name));
    },
    kill: () => server.kill(),
    start: () => server.start(),
    stop: () => server.stop(),
    [Symbol.asyncDispose]: () => server.stop(),
  };
}
