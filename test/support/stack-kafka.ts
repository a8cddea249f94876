/** A real Kafka of one node, and the Collector that reads from it. */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { findStackBinary } from './stack-binaries.ts';
import { collectorConfig } from './stack-collector.ts';
import { freePorts, StackProcess } from './stack-server.ts';

const READY_TIMEOUT_MS = 120_000;
const TOOL_TIMEOUT_MS = 120_000;
const PROPERTIES = fileURLToPath(new URL('../scale/kafka/server.properties', import.meta.url));
const run = promisify(execFile);

/** A Kafka that runs, or did. */
export interface Kafka {
  /** Host and port. */
  readonly broker: string;
  readonly logFile: string;
  /** Makes a topic of three partitions that takes what `collector/kafka.yaml` sends. */
  createTopic(name: string): Promise<void>;
  /** As `kill -9`. */
  kill(): Promise<void>;
  /** Starts it again on the same ports and files. */
  start(): Promise<void>;
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Starts a Kafka with its files in `directory`. */
export async function startKafka(directory: string): Promise<Kafka> {
  const jars = findStackBinary('kafka');
  if (jars.path === undefined) throw new Error(jars.reason);
  const classes = ['-cp', join(jars.path, '*')];
  const [port, controllerPort] = (await freePorts(2)) as [number, number];
  const broker = `127.0.0.1:${port}`;
  const files = join(directory, 'kafka');
  mkdirSync(files, { recursive: true });
  const properties = join(directory, 'server.properties');
  const text = readFileSync(PROPERTIES, 'utf8')
    .replaceAll('CONTROLLER_PORT', String(controllerPort))
    .replaceAll('PORT', String(port))
    .replaceAll('DIRECTORY', files);
  writeFileSync(properties, text);
  const tool = (name: string, args: readonly string[]) =>
    run('java', [...classes, name, ...args], { timeout: TOOL_TIMEOUT_MS });
  const cluster = Buffer.from(randomUUID().replaceAll('-', ''), 'hex').toString('base64url');
  await tool('kafka.tools.StorageTool', ['format', '-t', cluster, '-c', properties]);
  const logFile = join(directory, 'kafka.log');
  const server = new StackProcess({
    program: 'java',
    args: ['-Xmx512m', ...classes, 'kafka.Kafka', properties],
    logFile,
    readyUrl: `tcp://${broker}`,
    readyTimeoutMs: READY_TIMEOUT_MS,
  });
  await server.start();
  return {
    broker,
    logFile,
    createTopic: async (name) => {
      const where = ['--bootstrap-server', broker, '--create', '--topic', name];
      const how = ['--partitions', '3', '--config', 'max.message.bytes=33554432'];
      await tool('org.apache.kafka.tools.TopicCommand', [...where, ...how]);
    },
    kill: () => server.kill(),
    start: () => server.start(),
    stop: () => server.stop(),
    [Symbol.asyncDispose]: () => server.stop(),
  };
}

/** Starts the Collector of `collector/kafka-reader.yaml`. @param env variables of that file */
export async function startKafkaReader(
  directory: string,
  env: Readonly<Record<string, string>>,
): Promise<StackProcess & AsyncDisposable> {
  const binary = findStackBinary('otelcol-kafka');
  if (binary.path === undefined) throw new Error(binary.reason);
  const [metricsPort] = (await freePorts(1)) as [number];
  const server = new StackProcess({
    program: binary.path,
    args: ['--config', `file:${collectorConfig('kafka-reader.yaml')}`],
    env: { METRICS_PORT: String(metricsPort), COLLECTOR_LOG_LEVEL: 'warn', ...env },
    logFile: join(directory, 'kafka-reader.log'),
    readyUrl: `http://127.0.0.1:${metricsPort}/metrics`,
    readyTimeoutMs: READY_TIMEOUT_MS,
  });
  await server.start();
  return Object.assign(server, { [Symbol.asyncDispose]: () => server.stop() });
}
