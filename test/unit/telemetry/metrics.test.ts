import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { metrics } from '@opentelemetry/api';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { afterEach, describe, expect, it } from 'vitest';
import { createMetrics, needsNodeSdkForMetrics } from '../../../src/telemetry/metrics.ts';

const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' };
const resource = resourceFromAttributes({ 'service.name': 'app' });
afterEach(() => metrics.disable());

describe('metrics', () => {
  it.each([
    ['none are asked for', {}, false],
    ['an endpoint is there', ENDPOINT, false],
    ['JSON is asked for', { ...ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' }, false],
    ['they are switched off', { ...ENDPOINT, OTEL_METRICS_EXPORTER: 'none' }, false],
    ['gRPC is asked for', { ...ENDPOINT, OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: 'grpc' }, true],
    ['Prometheus is asked for', { OTEL_METRICS_EXPORTER: 'prometheus' }, true],
    ['two are asked for', { OTEL_METRICS_EXPORTER: 'otlp,console' }, true],
    ['differences are asked for', { ...ENDPOINT, OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: 'delta' }, true],
  ])('where %s, need of NodeSDK: %#', (_, env, needed) => {
    expect(needsNodeSdkForMetrics(env)).toBe(needed);
  });

  it.each([{}, { OTEL_METRICS_EXPORTER: 'prometheus' }])('are left alone with %j', async (env) => {
    expect(await createMetrics(resource, env, () => {})).toBe(undefined);
  });

  it.each(['http/json', 'http/protobuf'])(
    'reach a Collector by %s, and are nobody’s after the end',
    async (protocol) => {
      const bodies: string[] = [];
      const server = createServer((request, response) => {
        let body = '';
        request.setEncoding('latin1').on('data', (text: string) => {
          body += text;
        });
        request.on('end', () => {
          bodies.push(`${request.url} ${request.headers['content-type']} ${request.headers['x-key']} ${body}`);
          response.writeHead(200).end();
        });
      }).listen(0, '127.0.0.1');
      await once(server, 'listening');
      const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const env = {
        OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
        OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
        OTEL_EXPORTER_OTLP_HEADERS: 'x-key=kept',
        OTEL_METRIC_EXPORT_INTERVAL: 'often',
      };
      const reports: string[] = [];
      const running = await createMetrics(resource, env, (error) => reports.push(String(error)));
      running?.start();
      metrics.getMeter('test').createCounter('orders.sent').add(3);
      await running?.shutdown();
      server.close();
      expect(reports).toEqual([
        'Error: OTEL_METRIC_EXPORT_INTERVAL: expected a number > 0, got "often"; 60000 is used',
      ]);
      const type = protocol === 'http/json' ? 'application/json' : 'application/x-protobuf';
      expect(bodies).toHaveLength(1);
      expect(bodies[0]).toMatch(new RegExp(`^/v1/metrics ${type} kept .*orders.sent`, 's'));
      expect(metrics.getMeterProvider().constructor.name).toMatch(/^Noop/);
    },
  );
});
