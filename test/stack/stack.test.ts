import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findStackBinary } from '../support/stack-binaries.ts';

const SCRIPT = join(import.meta.dirname, '../../scripts/stack.ts');
const DEADLINE_MS = 90_000;
const LINE = '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"eventName":"a","body":{"stringValue":"b"}}]}]}]}';
const SERVERS = [findStackBinary('otelcol'), findStackBinary('loki')];

let directory: string;
let running: ChildProcess[];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'risktrail-stack-'));
  running = [];
});
afterEach(async () => {
  for (const child of running) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
});

interface Started {
  readonly child: ChildProcess;
  output(): string;
  /** The variables that it printed. */
  variables(): Record<string, string>;
}

function run(env: Record<string, string> = {}): Started {
  const { TEMPO_BIN: _, GRAFANA_BIN: __, RISKTRAIL_REQUIRE_STACK: ___, ...rest } = process.env;
  const child = spawn(process.execPath, [SCRIPT, '--dir', join(directory, 'stack')], {
    env: { ...rest, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.push(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  return {
    child,
    output: () => output,
    variables: () =>
      Object.fromEntries([...output.matchAll(/^export (\w+)=(.*)$/gm)].map(([, name, url]) => [name, url])),
  };
}

async function until(what: () => boolean | Promise<boolean>, state: () => string): Promise<void> {
  for (const end = performance.now() + DEADLINE_MS; !(await what()); await sleep(50)) {
    if (performance.now() > end) throw new Error(`not within ${DEADLINE_MS} ms:\n${state()}`);
  }
}

async function ready(started: Started): Promise<void> {
  const ended = () => started.child.exitCode !== null;
  await until(() => ended() || started.output().includes('# ready'), started.output);
  if (ended()) throw new Error(started.output());
}

async function end(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.exitCode;
}

const answers = (url: string): Promise<boolean> =>
  fetch(url, { signal: AbortSignal.timeout(1000) }).then(
    () => true,
    () => false,
  );

describe.skipIf(SERVERS.some(({ path }) => path === undefined))('npm run stack', () => {
  it('starts Collector and Loki, says what is passed over, and stops all on a signal', async () => {
    const started = run();
    await ready(started);
    expect(started.output()).toContain('Tempo is passed over: TEMPO_BIN');
    expect(started.output()).toContain('Grafana is passed over: GRAFANA_BIN');
    const { OTEL_EXPORTER_OTLP_ENDPOINT: otlp, LOKI_URL: loki } = started.variables();
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(`${otlp}/v1/logs`, { method: 'POST', headers, body: LINE });
    expect(answer.status).toBe(200);
    expect(readFileSync(join(directory, 'stack/collector/audit.jsonl'), 'utf8')).toContain('"eventName":"a"');
    const rules = await (await fetch(`${loki}/prometheus/api/v1/rules`)).text();
    expect(rules).toContain('"type":"alerting"');
    started.child.kill('SIGINT');
    expect(await end(started.child)).toBe(0);
    expect([await answers(otlp!), await answers(`${loki}/ready`)]).toEqual([false, false]);
  });

  it('leaves no server behind when it is killed', async () => {
    const started = run();
    await ready(started);
    const { OTEL_EXPORTER_OTLP_ENDPOINT: otlp, LOKI_URL: loki } = started.variables();
    started.child.kill('SIGKILL');
    await end(started.child);
    await until(async () => !(await answers(otlp!)) && !(await answers(`${loki}/ready`)), started.output);
  });

  it('gives Tempo and Grafana, where they are named, the files of grafana/ and their addresses', async () => {
    // Stands in for both programs: writes down what it was given, and says that it is ready.
    const program = join(directory, 'program');
    writeFileSync(
      program,
      `#!${process.execPath}
const { createServer } = require('node:http');
const { writeFileSync } = require('node:fs');
const { env, argv } = process;
const grafana = argv[2] === 'server';
const file = grafana ? 'grafana' : 'tempo';
writeFileSync('${directory}/' + file + '.json', JSON.stringify({ args: argv.slice(2), env }));
createServer((_, answer) => answer.end()).listen(Number(grafana ? env.GF_SERVER_HTTP_PORT : env.TEMPO_PORT), '127.0.0.1');
`,
    );
    chmodSync(program, 0o755);
    const started = run({ TEMPO_BIN: program, GRAFANA_BIN: program, RISKTRAIL_REQUIRE_STACK: '1' });
    await ready(started);
    const { LOKI_URL, TEMPO_URL, GRAFANA_URL } = started.variables();
    const given = (name: string) =>
      JSON.parse(readFileSync(join(directory, `${name}.json`), 'utf8')) as {
        readonly args: readonly string[];
        readonly env: Readonly<Record<string, string>>;
      };
    const tempo = given('tempo');
    expect(tempo.args[0]).toMatch(/^-config\.file=.*grafana\/tempo\.yaml$/);
    expect(TEMPO_URL).toBe(`http://127.0.0.1:${tempo.env['TEMPO_PORT']}`);
    const grafana = given('grafana');
    expect(grafana.env).toMatchObject({ LOKI_URL, TEMPO_URL, GF_SERVER_HTTP_ADDR: '127.0.0.1' });
    expect(grafana.env['GF_AUTH_ANONYMOUS_ORG_ROLE']).toBe('Viewer');
    expect(GRAFANA_URL).toBe(`http://127.0.0.1:${grafana.env['GF_SERVER_HTTP_PORT']}`);
    const provisioning = grafana.env['GF_PATHS_PROVISIONING']!;
    const dashboards = /path: (.*)/.exec(readFileSync(join(provisioning, 'dashboards/risktrail.yaml'), 'utf8'))?.[1];
    expect(dashboards).toBe(join(import.meta.dirname, '../../grafana/dashboards'));
    expect(existsSync(join(provisioning, 'datasources/risktrail.yaml'))).toBe(true);
    started.child.kill('SIGTERM');
    expect(await end(started.child)).toBe(0);
    expect(await answers(`${TEMPO_URL}/ready`)).toBe(false);
  });

  it('fails where servers are required and not named', async () => {
    const started = run({ RISKTRAIL_REQUIRE_STACK: '1' });
    expect(await end(started.child)).toBe(1);
    await until(() => started.output().includes('RISKTRAIL_REQUIRE_STACK'), started.output);
  });

  it('ends with an error, and with all servers, where one of them ends by itself', async () => {
    const program = join(directory, 'short-lived');
    writeFileSync(
      program,
      `#!${process.execPath}
require('node:http').createServer((request, answer) => {
  answer.end();
  if (request.url === '/end') process.exit(3);
}).listen(Number(process.env.TEMPO_PORT), '127.0.0.1');
`,
    );
    chmodSync(program, 0o755);
    const started = run({ TEMPO_BIN: program });
    await ready(started);
    const { LOKI_URL, TEMPO_URL } = started.variables();
    await answers(`${TEMPO_URL}/end`);
    expect(await end(started.child)).toBe(1);
    expect(started.output()).toContain('Tempo ended by itself');
    expect(await answers(`${LOKI_URL}/ready`)).toBe(false);
  });
});
