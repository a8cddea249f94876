/**
 * A Collector and a Loki for tests that need no more than their addresses: processes of their own, or the servers of
 * `docker-compose.yml`, which `npm run test:stack -- --compose` has started before.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findStackBinary } from './stack-binaries.ts';
import { startCollector } from './stack-collector.ts';
import { startLoki } from './stack-loki.ts';
import { testVariable } from './test-variables.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** The servers of `docker-compose.yml` that tests ask: service, and the port within its container. */
export const COMPOSE_SERVERS = {
  otlp: ['collector', 4318],
  loki: ['loki', 3100],
  tempo: ['tempo', 3200],
  grafana: ['grafana', 3000],
} as const satisfies Readonly<Record<string, readonly [service: string, port: number]>>;
/** Where its Collector has the audit files. */
export const COMPOSE_AUDIT_FILES = 'collector:/var/lib/otelcol/audit';

/** A project of docker compose that runs: base addresses, and the password of Grafana's admin. */
export type ComposeStack = Readonly<Record<keyof typeof COMPOSE_SERVERS | 'project' | 'password', string>>;

/** The project that the tests were given; undefined where they start servers of their own. */
export function composeStack(): ComposeStack | undefined {
  const given = testVariable('RISKTRAIL_STACK_COMPOSE');
  return given === undefined ? undefined : (JSON.parse(given) as ComposeStack);
}

/** A server that a test may ask and let go. */
export interface AskedServer extends AsyncDisposable {
  readonly endpoint: string;
  stop(): Promise<void>;
}

/** A Collector, with what it wrote. */
export interface AskedCollector extends AskedServer {
  /** A directory with the audit files as they are now, and nothing else. */
  auditFiles(): string;
}

/** Whether neither docker compose nor a program is there to ask. */
export const lacksServers = (...names: readonly ('otelcol' | 'loki')[]): boolean =>
  composeStack() === undefined && names.some((name) => findStackBinary(name).path === undefined);

const running = (endpoint: string): AskedServer => {
  // Whoever started the project stops it.
  const stop = () => Promise.resolve();
  return { endpoint, stop, [Symbol.asyncDispose]: stop };
};

/**
 * A Loki.
 * @param env variables of `grafana/loki.yaml`, for a process of its own alone
 */
export async function askLoki(directory: string, env: Readonly<Record<string, string>> = {}): Promise<AskedServer> {
  const compose = composeStack();
  return compose === undefined ? startLoki(directory, env) : running(compose.loki);
}

/** A Collector in front of that Loki. */
export async function askCollector(directory: string, loki: AskedServer): Promise<AskedCollector> {
  const compose = composeStack();
  if (compose === undefined) {
    const env = { LOKI_ENDPOINT: `${loki.endpoint}/otlp`, QUEUE_BYTES: '500000000' };
    const collector = await startCollector(directory, { env });
    return {
      endpoint: collector.endpoint,
      auditFiles: () => collector.auditDirectory,
      stop: () => collector.stop(),
      [Symbol.asyncDispose]: () => collector.stop(),
    };
  }
  let copies = 0;
  return {
    ...running(compose.otlp),
    auditFiles() {
      const copy = join(directory, `audit-${copies++}`);
      mkdirSync(copy, { recursive: true });
      const args = ['compose', '--project-name', compose.project, 'cp', `${COMPOSE_AUDIT_FILES}/.`, copy];
      execFileSync('docker', args, { cwd: ROOT, stdio: 'pipe' });
      return copy;
    },
  };
}
