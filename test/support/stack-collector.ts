/** A real Collector, which writes what it receives by OTLP/HTTP to files. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findStackBinary } from './stack-binaries.ts';
import { freePorts, StackProcess } from './stack-server.ts';

const READY_TIMEOUT_MS = 30_000;
const ROTATION_MEGABYTES = 100;

/** A Collector that runs, or did. */
export interface Collector {
  /** Base address for OTLP/HTTP: what `OTEL_EXPORTER_OTLP_ENDPOINT` takes. */
  readonly endpoint: string;
  readonly port: number;
  /** What it printed. */
  readonly logFile: string;
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

/**
 * The file exporter stands alone in its pipeline, without queue or batch: the receiver answers only after the write. With
 * `rotation` the exporter hands every write to the operating system; without, it keeps some in memory that a kill loses.
 */
function configuration(otlpPort: number, healthPort: number, auditFile: string): string {
  return JSON.stringify({
    extensions: { health_check: { endpoint: `127.0.0.1:${healthPort}` } },
    receivers: { otlp: { protocols: { http: { endpoint: `127.0.0.1:${otlpPort}` } } } },
    exporters: { 'file/audit': { path: auditFile, rotation: { max_megabytes: ROTATION_MEGABYTES, max_backups: 0 } } },
    service: {
      extensions: ['health_check'],
      pipelines: { 'logs/audit': { receivers: ['otlp'], exporters: ['file/audit'] } },
      telemetry: { metrics: { level: 'none' }, logs: { level: 'warn' } },
    },
  });
}

/** Starts a Collector with its files in `directory`. */
export async function startCollector(directory: string): Promise<Collector> {
  const binary = findStackBinary('otelcol');
  if (binary.path === undefined) throw new Error(binary.reason);
  const auditDirectory = join(directory, 'collector');
  mkdirSync(auditDirectory, { recursive: true });
  const [otlpPort, healthPort] = (await freePorts(2)) as [number, number];
  const configFile = join(directory, 'collector.json');
  writeFileSync(configFile, configuration(otlpPort, healthPort, join(auditDirectory, 'audit.jsonl')));
  const logFile = join(directory, 'collector.log');
  const server = new StackProcess({
    program: binary.path,
    // JSON is YAML.
    args: ['--config', `file:${configFile}`],
    logFile,
    readyUrl: `http://127.0.0.1:${healthPort}/`,
    readyTimeoutMs: READY_TIMEOUT_MS,
  });
  await server.start();
  return {
    endpoint: `http://127.0.0.1:${otlpPort}`,
    port: otlpPort,
    logFile,
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
