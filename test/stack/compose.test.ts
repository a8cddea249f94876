import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ALERT_RULES } from '../../src/alerting/rules.ts';
import { createSystemClock } from '../../src/core/clock.ts';
import { otlpRequests } from '../support/alert-history.ts';
import { readDashboards } from '../support/dashboards.ts';
import { askCollector, askLoki, composeStack } from '../support/stack-servers.ts';

const clock = createSystemClock();
const PATIENCE_MS = 120_000;
const TRACE = 'c0ffee00c0ffee00c0ffee00c0ffee00';
const JSON_HEADERS = { 'content-type': 'application/json' };

/** Asks until it is so. */
async function until(what: () => Promise<boolean>): Promise<boolean> {
  for (const end = clock.monotonic() + PATIENCE_MS; clock.monotonic() < end; await sleep(500)) {
    if (await what().catch(() => false)) return true;
  }
  return false;
}

const compose = composeStack();

describe.skipIf(compose === undefined)('the servers of docker compose', () => {
  const { otlp, loki, tempo, grafana, password } = compose ?? {
    ...{ otlp: '', loki: '', tempo: '', grafana: '', password: '' },
  };
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'risktrail-compose-'));
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  const send = (path: string, body: object) =>
    fetch(`${otlp}/v1/${path}`, { method: 'POST', headers: JSON_HEADERS, body: JSON.stringify(body) });
  /** Of Grafana, as its admin. */
  const ask = async <T>(path: string): Promise<T> => {
    const authorization = `Basic ${Buffer.from(`admin:${password}`).toString('base64')}`;
    const answer = await fetch(`${grafana}${path}`, { headers: { authorization } });
    expect([path, answer.status]).toEqual([path, 200]);
    return (await answer.json()) as T;
  };

  it('are ready, and take records', async () => {
    for (const url of [`${loki}/ready`, `${tempo}/ready`, `${grafana}/api/health`]) {
      expect([url, await until(async () => (await fetch(url)).ok)]).toEqual([url, true]);
    }
    expect((await send('logs', { resourceLogs: [] })).status).toBe(200);
  });

  it('hand a record on to the audit file and to Loki, and a span to Tempo', async () => {
    const timeMs = clock.now();
    const event = { name: 'order.intent', severityNumber: 9, service: 'compose-bot', recordId: 'compose-1' };
    for (const request of otlpRequests([{ ...event, timeMs, attributes: {} }])) {
      expect((await send('logs', request)).status).toBe(200);
    }
    const nanos = `${BigInt(Math.floor(timeMs)) * 1_000_000n}`;
    const span = { traceId: TRACE, spanId: 'c0ffee00c0ffee00', name: 'order.place', kind: 1 };
    const spans = [{ ...span, startTimeUnixNano: nanos, endTimeUnixNano: nanos }];
    const resource = { attributes: [{ key: 'service.name', value: { stringValue: 'compose-bot' } }] };
    expect((await send('traces', { resourceSpans: [{ resource, scopeSpans: [{ spans }] }] })).status).toBe(200);

    const query = '{service_name="compose-bot", event_family="order"} | event_name="order.intent"';
    const inLoki = async () => {
      const answer = await fetch(`${loki}/loki/api/v1/query_range?${new URLSearchParams({ query, since: '1h' })}`);
      return ((await answer.json()) as { data: { result: readonly object[] } }).data.result.length > 0;
    };
    expect(await until(inLoki)).toBe(true);
    expect(await until(async () => (await fetch(`${tempo}/api/traces/${TRACE}`)).ok)).toBe(true);
    const collector = await askCollector(directory, await askLoki(directory));
    const files = collector.auditFiles();
    const written = readdirSync(files).map((name) => readFileSync(join(files, name), 'utf8'));
    expect(written.join('')).toContain('"compose-1"');
  }, 400_000);

  it('show every dashboard in Grafana, over data sources that answer', async () => {
    for (const uid of ['loki', 'tempo']) {
      expect(await ask(`/api/datasources/uid/${uid}/health`)).toMatchObject({ status: 'OK' });
    }
    for (const { uid, title } of readDashboards()) {
      expect(await ask(`/api/dashboards/uid/${uid}`)).toMatchObject({ dashboard: { title } });
    }
  });

  it('evaluate every alert rule without an error', async () => {
    interface Rules {
      readonly data: {
        readonly groups: readonly {
          readonly rules: readonly { readonly health: string; readonly lastError?: string }[];
        }[];
      };
    }
    const states = async () => {
      const { data } = await ask<Rules>('/api/prometheus/grafana/api/v1/rules');
      return data.groups.flatMap(({ rules }) => rules.map(({ health, lastError = '' }) => lastError || health));
    };
    const good = ALERT_RULES.map(() => 'ok');
    await until(async () => (await states()).every((state) => state === 'ok'));
    expect(await states()).toEqual(good);
  }, 180_000);
});
