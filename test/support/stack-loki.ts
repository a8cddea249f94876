/** A real Loki with `grafana/loki.yaml`, which takes OTLP/HTTP at `<endpoint>/otlp`. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findStackBinary } from './stack-binaries.ts';
import { freePorts, type ProcessUsage, StackProcess } from './stack-server.ts';

const READY_TIMEOUT_MS = 60_000;
const LOKI_CONFIG = fileURLToPath(new URL('../../grafana/loki.yaml', import.meta.url));

/** A Loki that runs, or did. */
export interface Loki {
  /** Base address of its HTTP API. */
  readonly endpoint: string;
  /** What it printed. */
  readonly logFile: string;
  /** What the process that runs has used. */
  usage(): ProcessUsage;
  /** As `kill -9`. */
  kill(): Promise<void>;
  /** Starts it again on the same ports and files. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Settles when it ends, by itself or not. */
  ended(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Starts a Loki with its files in `directory`.
 * @param env variables of `grafana/loki.yaml`
 * @param ports for HTTP and gRPC; free ones where there are none
 */
export async function startLoki(
  directory: string,
  env: Readonly<Record<string, string>> = {},
  ports?: readonly number[],
): Promise<Loki> {
  const binary = findStackBinary('loki');
  if (binary.path === undefined) throw new Error(binary.reason);
  const files = join(directory, 'loki');
  mkdirSync(files, { recursive: true });
  const rules = join(directory, 'loki-rules');
  mkdirSync(join(rules, 'fake'), { recursive: true });
  const [httpPort, grpcPort] = (ports ?? (await freePorts(2))) as [number, number];
  const logFile = join(directory, 'loki.log');
  const endpoint = `http://127.0.0.1:${httpPort}`;
  const server = new StackProcess({
    program: binary.path,
    // Its parts find each other by looking every few seconds.
    args: [
      `-config.file=${LOKI_CONFIG}`,
      '-config.expand-env=true',
      '-frontend.scheduler-dns-lookup-period=200ms',
      '-querier.dns-lookup-period=200ms',
    ],
    env: {
      LOKI_DIRECTORY: files,
      LOKI_PORT: String(httpPort),
      LOKI_GRPC_PORT: String(grpcPort),
      LOKI_RULES_DIRECTORY: rules,
      ...env,
    },
    logFile,
    readyUrl: `${endpoint}/ready`,
    readyTimeoutMs: READY_TIMEOUT_MS,
  });
  await server.start();
  return {
    endpoint,
    logFile,
    usage: () => server.usage(),
    kill: () => server.kill(),
    start: () => server.start(),
    stop: () => server.stop(),
    ended: () => server.ended(),
    [Symbol.asyncDispose]: () => server.stop(),
  };
}
