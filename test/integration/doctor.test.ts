import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { checkDirectory, checkNode, checkSigningKey } from '../../src/analysis/doctor/machine.ts';
import { addDoctorCommand } from '../../src/cli/commands/doctor.ts';
import { startRiskTrail } from '../../src/index.ts';
import { runCommand } from '../support/command.ts';

let directory: string;
const servers: Server[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'risktrail-doctor-'));
});
afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections();
  rmSync(directory, { recursive: true, force: true });
});

/** A server that answers each path with a status and a body; what it was sent is kept. */
async function serve(answers: Readonly<Record<string, readonly [number, unknown]>>) {
  const bodies: string[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      bodies.push(body);
      const [status, answer] = answers[request.url!.split('?')[0]!] ?? [404, 'not found'];
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(typeof answer === 'string' ? answer : JSON.stringify(answer));
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, bodies };
}

interface Line {
  readonly name: string;
  readonly status: string;
  readonly found: string;
  readonly fix?: string;
}

async function doctor(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  const { status, out } = await runCommand(addDoctorCommand, ['doctor', ...args, '--json']);
  vi.unstubAllEnvs();
  const { checks } = JSON.parse(out) as { checks: Line[] };
  return { status, checks, of: (name: string) => checks.find((check) => check.name === name) };
}

describe('risktrail doctor', () => {
  it('finds a sound trail well', async () => {
    const trail = await startRiskTrail({ serviceName: 'bot', dataDir: directory, handleSignals: false });
    await trail.close();
    const { status, checks } = await doctor([directory]);
    expect(checks.filter((check) => check.status !== 'ok')).toEqual([]);
    expect(status).toBe(0);
    expect(checks.map(({ name }) => name)).toEqual([
      ...['Node', 'Data directory', 'Owner', 'Disk', 'Signing key', 'Clock', 'Writers', 'Last checkpoint', 'Backlog'],
      'OTLP endpoint',
    ]);
  });

  it('warns of what is not there yet', async () => {
    const { status, of } = await doctor([join(directory, 'later')]);
    expect(status).toBe(2);
    expect(of('Data directory')).toMatchObject({ status: 'warn' });
    expect(of('Signing key')).toMatchObject({ status: 'warn' });
  });

  it('fails for a file in the directory’s place', () => {
    const file = join(directory, 'file');
    writeFileSync(file, '');
    expect(checkDirectory(file, undefined)).toMatchObject([{ status: 'fail' }]);
  });

  it('tells of a Node that is too old', () => {
    expect(checkNode('20.19.0')).toMatchObject({ status: 'fail', fix: 'install Node 22.15 or newer' });
    expect(checkNode('22.15.0').status).toBe('ok');
    expect(checkNode('24.1.0').status).toBe('ok');
  });

  it('warns of a signing key that others may read, and fails for one that is none', async () => {
    const trail = await startRiskTrail({ serviceName: 'bot', dataDir: directory, handleSignals: false });
    await trail.close();
    const key = join(directory, 'signing-key.pem');
    chmodSync(key, 0o644);
    expect(checkSigningKey(directory, undefined)).toMatchObject({ status: 'warn', fix: `chmod 600 ${key}` });
    const broken = join(directory, 'broken.pem');
    writeFileSync(broken, 'no key', { mode: 0o600 });
    expect(checkSigningKey(directory, broken)).toMatchObject({ status: 'fail' });
  });

  it('sends the endpoint one record of its own, and tells what came back', async () => {
    const good = await serve({ '/v1/logs': [200, {}] });
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: good.url };
    expect((await doctor([directory], env)).of('OTLP endpoint')).toMatchObject({ status: 'ok' });
    expect(good.bodies).toHaveLength(1);
    expect(good.bodies[0]).toContain('risktrail.doctor');
    expect(good.bodies[0]).not.toContain('audit.');
    const closed = await serve({ '/v1/logs': [401, 'who are you?'] });
    const refused = (await doctor([directory], { OTEL_EXPORTER_OTLP_ENDPOINT: closed.url })).of('OTLP endpoint');
    expect(refused).toMatchObject({ status: 'fail' });
    expect(refused?.found).toContain('401');
    const nowhere = await doctor([directory], { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' });
    expect([nowhere.status, nowhere.of('OTLP endpoint')?.found]).toEqual([1, expect.stringContaining('ECONNREFUSED')]);
  });

  it('asks Loki, Tempo and Grafana', async () => {
    const loki = await serve({ '/ready': [200, 'ready'], '/loki/api/v1/labels': [200, { data: ['service_name'] }] });
    const tempo = await serve({ '/ready': [503, 'starting'] });
    const grafana = await serve({
      '/api/health': [200, { version: '13.1.0' }],
      '/api/datasources/uid/loki/health': [200, { status: 'OK' }],
      '/api/datasources/uid/tempo/health': [500, { status: 'ERROR', message: 'no route' }],
      '/api/search': [200, [{ uid: 'a' }, { uid: 'b' }]],
      '/api/prometheus/grafana/api/v1/rules': [
        200,
        { data: { groups: [{ rules: [{ name: 'halted', health: 'error', lastError: 'parse error' }] }] } },
      ],
    });
    const { status, of } = await doctor([
      directory,
      '--loki',
      loki.url,
      '--tempo',
      `${tempo.url}/`,
      '--grafana',
      grafana.url,
    ]);
    expect(status).toBe(1);
    expect(of('Loki')).toMatchObject({ status: 'ok' });
    expect(of('Tempo')).toMatchObject({ status: 'fail', found: expect.stringContaining('starting') });
    expect(of('Grafana')).toMatchObject({ status: 'ok', found: expect.stringContaining('13.1.0') });
    expect(of('Data source loki')).toMatchObject({ status: 'ok' });
    expect(of('Data source tempo')).toMatchObject({ status: 'fail' });
    expect(of('Dashboards')).toMatchObject({ status: 'ok', found: '2 are there' });
    expect(of('Alert rules')).toMatchObject({ status: 'fail', found: expect.stringContaining('parse error') });
  });

  it('prints a line for each, with what to do under those that need it', async () => {
    const { out } = await runCommand(addDoctorCommand, ['doctor', join(directory, 'later')]);
    expect(out).toMatch(/^ok {4}Node {14}\d/m);
    expect(out).toMatch(/^warn {2}Data directory {4}.* does not exist yet\n {24}→ nothing: the first start makes it$/m);
  });
});
