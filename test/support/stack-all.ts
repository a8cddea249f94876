/**
 * The servers of `docker-compose.yml` as processes: the same versions where they are built here, and the same files. Collector
 * and Loki always; Tempo and Grafana where `TEMPO_BIN` and `GRAFANA_BIN` name their programs, as neither can be built from a
 * package registry.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { stackBinary } from './stack-binaries.ts';
import { startCollector } from './stack-collector.ts';
import { startLoki } from './stack-loki.ts';
import { freePorts, StackProcess } from './stack-server.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const READY_TIMEOUT_MS = 120_000;
/** As `docker-compose.yml` and the defaults of the files have them. */
const USUAL_PORTS = [4318, 4317, 13133, 8888, 3100, 9096, 3200, 9095, 4328, 3000] as const;

/** What runs. */
export interface Stack extends AsyncDisposable {
  /** Base address of each server that runs. */
  readonly urls: {
    readonly otlp: string;
    readonly loki: string;
    readonly tempo?: string;
    readonly grafana?: string;
  };
  /** Holds the Collector's audit files and nothing else. */
  readonly auditDirectory: string;
  /** Why a server doesn't run, in words for a person. */
  readonly skipped: readonly string[];
  /** Resolves with the name of the first server that ends before it is told to. */
  ended(): Promise<string>;
  /** Stops them all, those first that send to others. */
  stop(): Promise<void>;
}

/** How the servers are started. */
export interface StackOptions {
  /** Takes their files and what they print. */
  readonly directory: string;
  /** Ports that everybody knows instead of free ones. */
  readonly usualPorts?: boolean;
  /** A server that is not at hand is an error. */
  readonly required?: boolean;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** A program that a variable names; without the variable there is none. */
function named(env: NonNullable<StackOptions['env']>, variable: string): string | undefined {
  const path = env[variable];
  if (path === undefined || path === '') return undefined;
  if (!existsSync(path)) throw new Error(`${variable} names ${path}, which does not exist`);
  return path;
}

/** What `docker-compose.yml` sets for Grafana itself, and not for the container around it. */
function grafanaSettings(): Record<string, string> {
  const text = readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8');
  const compose = parse(text, { merge: true }) as {
    readonly services: { readonly grafana: { readonly environment: Readonly<Record<string, string>> } };
  };
  const settings = Object.entries(compose.services.grafana.environment);
  return Object.fromEntries(settings.filter(([name, value]) => name.startsWith('GF_') && !value.includes('$')));
}

/** Grafana reads dashboards from where the container has them: its own copy of the files says where they are here. */
function copyProvisioning(directory: string): string {
  const copy = join(directory, 'grafana-provisioning');
  cpSync(join(ROOT, 'grafana/provisioning'), copy, { recursive: true });
  const dashboards = join(copy, 'dashboards');
  for (const name of readdirSync(dashboards)) {
    const text = readFileSync(join(dashboards, name), 'utf8');
    writeFileSync(join(dashboards, name), text.replaceAll('/etc/grafana/dashboards', join(ROOT, 'grafana/dashboards')));
  }
  return copy;
}

/**
 * Finds or builds the servers, starts them and waits until each is ready. Where one doesn't start, those that run are stopped.
 * @throws Error where a server that is needed is not at hand, or ends, or is not ready in time
 */
export async function startStack({
  directory,
  usualPorts = false,
  required = false,
  env = process.env,
}: StackOptions): Promise<Stack> {
  for (const server of ['otelcol', 'loki'] as const) {
    const found = await stackBinary(server);
    if (found.path === undefined) throw new Error(found.reason);
  }
  const programs = { Tempo: named(env, 'TEMPO_BIN'), Grafana: named(env, 'GRAFANA_BIN') };
  const lacking = Object.entries(programs).flatMap(([name, path]) => (path === undefined ? [name] : []));
  const skipped = lacking.map((name) => `${name} is passed over: ${name.toUpperCase()}_BIN names no program`);
  if (required && skipped.length > 0) throw new Error(`${skipped.join('; ')}, and RISKTRAIL_REQUIRE_STACK is 1`);

  mkdirSync(directory, { recursive: true });
  const ports = usualPorts ? [...USUAL_PORTS] : await freePorts(USUAL_PORTS.length);
  const [tempoPort, tempoGrpcPort, tempoOtlpPort, grafanaPort] = ports.slice(6) as [number, number, number, number];
  const running: { name: string; stop(): Promise<void>; ended(): Promise<void> }[] = [];
  let stopping: Promise<void> | undefined;
  const stopAll = async () => {
    for (const { stop } of running.toReversed()) await stop();
  };
  const stop = () => (stopping ??= stopAll());
  const keep = <S extends { stop(): Promise<void>; ended(): Promise<void> }>(name: string, server: S): S => {
    running.push({ name, stop: () => server.stop(), ended: () => server.ended() });
    return server;
  };
  const start = async (name: string, url: string, program: string, args: string[], settings: NodeJS.ProcessEnv) => {
    const logFile = join(directory, `${name.toLowerCase()}.log`);
    const readyTimeoutMs = READY_TIMEOUT_MS;
    const server = new StackProcess({ program, args, env: settings, logFile, readyUrl: url, readyTimeoutMs });
    await server.start();
    keep(name, server);
  };

  const tempo = `http://127.0.0.1:${tempoPort}`;
  const grafana = `http://127.0.0.1:${grafanaPort}`;
  try {
    // As in compose Grafana evaluates the alert rules; where there is none Loki does, of a folder for each tenant.
    const rules = join(directory, 'loki-rules');
    const own = join(rules, 'fake');
    mkdirSync(own, { recursive: true });
    if (programs.Grafana === undefined) cpSync(join(ROOT, 'grafana/alerting'), own, { recursive: true });
    const loki = keep('Loki', await startLoki(directory, { LOKI_RULES_DIRECTORY: rules }, ports.slice(4, 6)));
    if (programs.Tempo !== undefined) {
      const config = join(ROOT, 'grafana/tempo.yaml');
      await start('Tempo', `${tempo}/ready`, programs.Tempo, [`-config.file=${config}`, '-config.expand-env=true'], {
        TEMPO_DIRECTORY: join(directory, 'tempo'),
        TEMPO_PORT: String(tempoPort),
        TEMPO_GRPC_PORT: String(tempoGrpcPort),
        TEMPO_OTLP_ENDPOINT: `127.0.0.1:${tempoOtlpPort}`,
      });
    }
    const collectorEnv = {
      LOKI_ENDPOINT: `${loki.endpoint}/otlp`,
      TEMPO_ENDPOINT: `http://127.0.0.1:${tempoOtlpPort}`,
      QUEUE_BYTES: '1000000000',
    };
    const collector = keep(
      'Collector',
      await startCollector(directory, { env: collectorEnv, ports: ports.slice(0, 4) }),
    );
    if (programs.Grafana !== undefined) {
      const home = env['GRAFANA_HOME'] || dirname(dirname(programs.Grafana));
      await start('Grafana', `${grafana}/api/health`, programs.Grafana, ['server', '--homepath', home], {
        ...grafanaSettings(),
        GF_SERVER_HTTP_ADDR: '127.0.0.1',
        GF_SERVER_HTTP_PORT: String(grafanaPort),
        GF_PATHS_DATA: join(directory, 'grafana'),
        GF_PATHS_LOGS: join(directory, 'grafana-logs'),
        GF_PATHS_PROVISIONING: copyProvisioning(directory),
        GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH: join(ROOT, 'grafana/dashboards/safe-to-trade.json'),
        LOKI_URL: loki.endpoint,
        TEMPO_URL: tempo,
      });
    }
    return {
      urls: {
        otlp: collector.endpoint,
        loki: loki.endpoint,
        ...(programs.Tempo !== undefined && { tempo }),
        ...(programs.Grafana !== undefined && { grafana }),
      },
      auditDirectory: collector.auditDirectory,
      skipped,
      ended: () => Promise.race(running.map(({ name, ended }) => ended().then(() => name))),
      stop,
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
