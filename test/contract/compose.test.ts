import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { stackVersion } from '../support/stack-binaries.ts';
import { COMPOSE_AUDIT_FILES, COMPOSE_SERVERS } from '../support/stack-servers.ts';

const ROOT = join(import.meta.dirname, '../..');

interface Service {
  readonly image: string;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly mem_limit?: string;
  readonly restart: string;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly depends_on?: unknown;
}

const compose = parse(readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8'), { merge: true }) as {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
};
const services = Object.entries(compose.services);

/** Settings of a YAML file that are `${env:NAME:-default}` or `${NAME:-default}`. */
function variablesOf(path: string): Set<string> {
  const text = readFileSync(join(ROOT, path), 'utf8').replaceAll(/^\s*#.*$/gm, '');
  return new Set([...text.matchAll(/\$\{(?:env:)?([A-Z_]+)(?::-[^}]*)?\}/g)].map(([, name]) => name!));
}

describe('docker-compose.yml', () => {
  it('pins every image to a version', () => {
    for (const [name, { image }] of services)
      expect([name, image]).toEqual([name, expect.stringMatching(/:\d+\.\d+\.\d+$/)]);
  });

  it('runs the versions that the tests run', () => {
    const { collector, loki } = compose.services;
    expect(collector!.image).toBe(`otel/opentelemetry-collector-contrib:${stackVersion('otelcol')}`);
    expect(loki!.image).toBe(`grafana/loki:${stackVersion('loki')}`);
  });

  it('opens no port beyond the loopback interface', () => {
    for (const port of services.flatMap(([, { ports }]) => ports ?? [])) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
  });

  it('gives the tests that ask it every address and the audit files', () => {
    for (const [service, port] of Object.values(COMPOSE_SERVERS)) {
      expect([service, compose.services[service]?.ports]).toEqual([
        service,
        expect.arrayContaining([`127.0.0.1:${port}:${port}`]),
      ]);
    }
    const [service = '', path] = COMPOSE_AUDIT_FILES.split(':');
    expect(compose.services[service]!.volumes).toContain(`audit:${path}`);
  });

  it('limits the memory of every service that stays, and starts it again', () => {
    for (const [name, { mem_limit: limit, restart }] of services) {
      if (restart === 'no') continue;
      expect([name, limit, restart]).toEqual([name, expect.stringMatching(/^\d+[mg]$/), 'unless-stopped']);
    }
  });

  it('asks every server how it is, those without a shell from outside', () => {
    const asked = services.flatMap(([, { healthcheck }]) =>
      healthcheck === undefined ? [] : [healthcheck.test.at(-1)],
    );
    expect(asked).toEqual([
      'http://collector:13133/',
      'http://loki:3100/ready',
      'http://tempo:3200/ready',
      'http://localhost:3000/api/health',
    ]);
  });

  it('mounts files that are there, and volumes that it declares', () => {
    for (const volume of services.flatMap(([, { volumes }]) => volumes ?? [])) {
      const [source = ''] = volume.replace(/\$\{\w+:-(\w+)\}/, '$1').split(':');
      if (source.startsWith('./')) expect([volume, existsSync(join(ROOT, source))]).toEqual([volume, true]);
      else expect(Object.keys(compose.volumes)).toContain(source);
    }
  });

  it('sets only variables that the mounted files know', () => {
    const own = new Set(['GOMEMLIMIT']);
    for (const [service, file] of [
      ['collector', 'collector/collector.yaml'],
      ['loki', 'grafana/loki.yaml'],
      ['tempo', 'grafana/tempo.yaml'],
    ] as const) {
      const known = variablesOf(file);
      for (const name of Object.keys(compose.services[service]!.environment ?? {})) {
        if (!own.has(name)) expect([service, [...known]]).toEqual([service, expect.arrayContaining([name])]);
      }
    }
  });

  it('lets nobody change Grafana without a password, and nothing be downloaded at its start', () => {
    const { environment = {} } = compose.services['grafana']!;
    expect(environment['GF_AUTH_ANONYMOUS_ORG_ROLE']).toBe('Viewer');
    expect(environment['GF_SECURITY_ADMIN_PASSWORD']).toMatch(/^\$\{GRAFANA_ADMIN_PASSWORD:\?/);
    expect(Object.keys(environment).filter((name) => name.startsWith('GF_INSTALL_PLUGINS'))).toEqual([]);
    expect(environment['GF_PLUGINS_PREINSTALL_DISABLED']).toBe('true');
  });
});

describe('the files of collector/ and grafana/', () => {
  it.each([
    'collector/collector.yaml',
    'collector/agent.yaml',
    'collector/gateway.yaml',
    'collector/kafka.yaml',
    'collector/kafka-reader.yaml',
    'grafana/loki.yaml',
    'grafana/tempo.yaml',
  ])('%s: tells every variable that it takes, and takes each that it tells', (path) => {
    const text = readFileSync(join(ROOT, path), 'utf8');
    const told = new Set(
      [...text.matchAll(/^# {3}([A-Z][A-Z_]+)( \/ _([A-Z]+))?/gm)].flatMap(([, name, , other]) =>
        other === undefined ? [name!] : [name!, name!.replace(/[A-Z]+$/, other)],
      ),
    );
    expect([...told].sort()).toEqual([...variablesOf(path)].sort());
  });

  it.each(['collector.yaml', 'gateway.yaml'])('%s: nothing stands between receiver and audit file', (name) => {
    const config = parse(readFileSync(join(ROOT, 'collector', name), 'utf8')) as {
      readonly exporters: Readonly<Record<string, { readonly sending_queue?: unknown; readonly rotation: object }>>;
      readonly service: { readonly pipelines: Readonly<Record<string, { readonly processors?: unknown }>> };
    };
    expect(config.service.pipelines['logs/audit']).toEqual({ receivers: ['otlp'], exporters: ['file/audit'] });
    expect(config.exporters['file/audit']).not.toHaveProperty('sending_queue');
    expect(config.exporters['file/audit']!.rotation).toMatchObject({ max_backups: 0 });
  });
});
