import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { plainAttributes } from '../../../src/audit/record/otlp.ts';
import { isListed } from '../../../src/instrumentation/http.ts';
import { runBot } from '../../support/bots/run-bot.ts';
import { startReceiver } from '../../support/otlp-receiver.ts';
import { folderWith, isMissing, type Majors, NOT_INSTALLED } from '../../support/previous-majors.ts';
import { readTrail, temporaryDirectory } from '../../support/trail.ts';

const require = createRequire(import.meta.url);
const TRACE = '0af7651916cd43dd8448eb211c80319c';
const UUID = '3f2504e0-4f89-41d3-9a0c-0305e82c3301';

/** A service of Express that calls another host, and answers with what that one was told. */
const SERVICE = `
import http from 'node:http';
import express from ${JSON.stringify(require.resolve('express'))};
const emit = (symbol) => globalThis[Symbol.for('risktrail.current')].emit('strategy.signal', { 'trading.symbol': symbol });
const echo = http.createServer((request, answer) => answer.end(String(request.headers.traceparent)));
await new Promise((done) => echo.listen(0, '127.0.0.1', done));
const app = express();
app.get('/orders/:id', async (request, answer) => {
  await new Promise(setImmediate);
  emit(request.params.id);
  const port = echo.address().port;
  const told = await (await fetch('http://127.0.0.1:' + port)).text();
  const other = await new Promise((done) => http.get({ host: 'localhost', port, family: 4 }, (one) => one.setEncoding('utf8').on('data', done)));
  answer.json({ told, other });
});
const server = app.listen(0, '127.0.0.1', async () => {
  const url = 'http://127.0.0.1:' + server.address().port;
  const ask = async (id, headers) => (await fetch(url + '/orders/' + id + '?signature=abcdef0123456789', { headers })).json();
  const first = await ask('A', { traceparent: '00-${TRACE}-b7ad6b7169203331-01' });
  await ask('B', { 'x-correlation-id': '${UUID}' });
  await ask('C', { 'x-request-id': 'req-77' });
  console.log(JSON.stringify(first));
  server.close(); echo.close();
});
`;

describe('requests of HTTP', () => {
  it('give their correlation to what they do, and pass it on to listed hosts alone', async () => {
    const receiver = await startReceiver();
    onTestFinished(() => receiver.close());
    const cwd = temporaryDirectory();
    writeFileSync(join(cwd, 'app.mjs'), SERVICE);
    const dataDir = join(cwd, 'data');
    const env = {
      RISKTRAIL_PROPAGATE_TO: '127.0.0.1',
      RISKTRAIL_INSTRUMENTATIONS: 'http',
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_METRICS_EXPORTER: 'none',
      OTEL_TRACES_EXPORTER: 'none',
    };
    const { code, out, err } = await runBot(join(cwd, 'app.mjs'), [], { dataDir, cwd, env });
    expect({ code, err }).toEqual({ code: 0, err: '' });

    const signals = (await readTrail(dataDir)).filter(({ event }) => event === 'strategy.signal');
    expect(signals.map((one) => [one['trading.symbol'], one['correlation.id']])).toEqual([
      ['A', undefined],
      ['B', UUID],
      ['C', 'req-77'],
    ]);
    expect(signals[0]?.trace_id).toBe(TRACE);
    expect(signals[1]?.trace_id).toBe(UUID.replaceAll('-', ''));

    const answer = JSON.parse(out) as { told: string; other: string };
    expect(answer.told).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-0[01]$`));
    expect(answer.other).toBe('undefined');

    const calls = receiver.requests
      .flatMap(({ records }) => records)
      .map(({ attributes }) => plainAttributes(attributes))
      .filter((one) => one['api.endpoint'] === '/orders/:id');
    expect(calls).toHaveLength(3);
    expect(calls[0]).toMatchObject({
      operation: 'GET /orders/:id',
      'http.response.status_code': 200,
      'url.path': '/orders/A',
    });
    expect(calls[0]!['timing.duration_ms']).toBeGreaterThanOrEqual(0);
    expect(receiver.requests.map(({ body }) => body.toString('latin1')).join('')).not.toContain('abcdef0123456789');
  });

  it.for<[framework: 'express' | 'fastify', majors: Majors, kind: 'mjs' | 'cjs', secure: boolean]>([
    ['express', 'current', 'mjs', false],
    ['express', 'current', 'cjs', true],
    ['express', 'previous', 'cjs', false],
    ['fastify', 'current', 'mjs', true],
    ['fastify', 'current', 'cjs', false],
    ['fastify', 'previous', 'cjs', true],
  ])(
    'of %s (%s version, %s, HTTPS: %s) are calls with their route, status and duration',
    async ([framework, majors, kind, secure], { skip }) => {
      skip(isMissing(majors), NOT_INSTALLED);
      const receiver = await startReceiver();
      onTestFinished(() => receiver.close());
      const files = [`routes.${kind}`, 'routes-steps.cjs'].map((file) =>
        join(import.meta.dirname, '../../support/bots', file),
      );
      const folder = folderWith(majors, files, [framework]);
      const tls = ['server.key', 'server.pem'].map((name) => join(import.meta.dirname, '../../fixtures/tls', name));
      const { code, err } = await runBot(join(folder, `routes.${kind}`), [framework, ...(secure ? tls : [])], {
        dataDir: temporaryDirectory(),
        env: {
          OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
          OTEL_METRICS_EXPORTER: 'none',
          OTEL_TRACES_EXPORTER: 'none',
        },
      });
      expect({ code, err }).toEqual({ code: 0, err: '' });
      const calls = receiver.requests
        .flatMap(({ records }) => records)
        .map(({ attributes }) => plainAttributes(attributes))
        .filter((one) => one['api.endpoint'] !== undefined);
      const told = calls.map((one) => [
        one['correlation.id'],
        one['operation'],
        one['url.path'],
        one['http.response.status_code'],
      ]);
      expect(told).toEqual([
        ['req-1', 'GET /v1/orders/:id', '/v1/orders/A', 200],
        ['req-2', 'GET /v1/broken/:id', '/v1/broken/B', 500],
        ['req-3', 'GET /v1/none', '/v1/none', 404],
      ]);
      expect(calls.every((one) => Number(one['timing.duration_ms']) >= 0)).toBe(true);
    },
  );

  it.each<[string, boolean]>([
    ['api.desk.example', true],
    ['risk.internal', true],
    ['desk.example', false],
    ['api.kraken.com', false],
    ['evil-risk.internal', false],
  ])('%s is on the list: %s', (host, listed) => {
    expect(isListed(host, ['*.desk.example', 'Risk.internal'])).toBe(listed);
  });
});
