/** A real Loki, which takes OTLP/HTTP at `<endpoint>/otlp`. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findStackBinary } from './stack-binaries.ts';
import { freePorts, StackProcess } from './stack-server.ts';

const READY_TIMEOUT_MS = 60_000;

/** A Loki that runs, or did. */
export interface Loki {
  /** Base address of its HTTP API. */
  readonly endpoint: string;
  /** What it printed. */
  readonly logFile: string;
  /** As `kill -9`. */
  kill(): Promise<void>;
  /** Starts it again on the same ports and files. */
  start(): Promise<void>;
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** One process with files, without tenants; it is ready at once, as there is no other that it could wait for. */
function configuration(directory: string, httpPort: number, grpcPort: number): unknown {
  return {
    auth_enabled: false,
    analytics: { reporting_enabled: false },
    server: {
      http_listen_address: '127.0.0.1',
      http_listen_port: httpPort,
      grpc_listen_address: '127.0.0.1',
      grpc_listen_port: grpcPort,
      log_level: 'warn',
    },
    common: {
      instance_addr: '127.0.0.1',
      path_prefix: directory,
      replication_factor: 1,
      ring: { kvstore: { store: 'inmemory' } },
      storage: {
        filesystem: { chunks_directory: join(directory, 'chunks'), rules_directory: join(directory, 'rules') },
      },
    },
    ingester: { lifecycler: { min_ready_duration: '0s', final_sleep: '0s' } },
    schema_config: {
      configs: [
        {
          from: '2024-01-01',
          store: 'tsdb',
          object_store: 'filesystem',
          schema: 'v13',
          index: { prefix: 'index_', period: '24h' },
        },
      ],
    },
    limits_config: {
      allow_structured_metadata: true,
      // A trail that is sent again may be older than a week.
      reject_old_samples: false,
      ingestion_rate_mb: 64,
      ingestion_burst_size_mb: 64,
      per_stream_rate_limit: '64MB',
      per_stream_rate_limit_burst: '64MB',
    },
  };
}

/** Starts a Loki with its files in `directory`. */
export async function startLoki(directory: string): Promise<Loki> {
  const binary = findStackBinary('loki');
  if (binary.path === undefined) throw new Error(binary.reason);
  const files = join(directory, 'loki');
  mkdirSync(files, { recursive: true });
  const [httpPort, grpcPort] = (await freePorts(2)) as [number, number];
  const configFile = join(directory, 'loki.json');
  // JSON is YAML.
  writeFileSync(configFile, JSON.stringify(configuration(files, httpPort, grpcPort)));
  const logFile = join(directory, 'loki.log');
  const endpoint = `http://127.0.0.1:${httpPort}`;
  const server = new StackProcess({
    program: binary.path,
    // Its parts find each other by looking every few seconds.
    args: [
      `-config.file=${configFile}`,
      '-frontend.scheduler-dns-lookup-period=200ms',
      '-querier.dns-lookup-period=200ms',
    ],
    logFile,
    readyUrl: `${endpoint}/ready`,
    readyTimeoutMs: READY_TIMEOUT_MS,
  });
  await server.start();
  return {
    endpoint,
    logFile,
    kill: () => server.kill(),
    start: () => server.start(),
    stop: () => server.stop(),
    [Symbol.asyncDispose]: () => server.stop(),
  };
}
