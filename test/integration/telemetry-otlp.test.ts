import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { trace } from '@opentelemetry/api';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { runWithContext } from '../../src/telemetry/context.ts';
import { startTelemetry, type Telemetry } from '../../src/telemetry/providers.ts';
import { startTestTrail } from '../support/trail.ts';

let server: Server | undefined;
let telemetry: Telemetry;
afterEach(async () => {
  delete process.env['OTEL_EXPORTER_OTLP_ENDPOINT'];
  server?.closeAllConnections();
  await new Promise((resolve) => (server === undefined ? resolve(undefined) : server.close(resolve)));
  server = undefined;
});

/** A receiver that answers with one status, and what it received. */
async function receive(status: number): Promise<{ path: string; body: string }[]> {
  const received: { path: string; body: string }[] = [];
  server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      received.push({ path: request.url ?? '', body });
      response.writeHead(status, { 'content-type': 'application/json' }).end('{}');
    });
  });
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  // The exporters read the process's own.
  process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return received;
}

async function start(status: number): Promise<{ path: string; body: string }[]> {
  const received = await receive(status);
  telemetry = await startTelemetry({
    serviceName: 'otlp-test',
    attach: false,
    logProcessors: [{ onEmit: () => {}, forceFlush: async () => {}, shutdown: async () => {} }],
    env: { ...process.env, OTEL_METRICS_EXPORTER: 'none' },
    report: () => {},
  });
  return received;
}

function work(): void {
  runWithContext(telemetry.tracer, { accountId: 'ACC1', correlationId: 'c-1' }, () => {
    telemetry.otelLogger.emit({ body: 'plain line password=hunter2' });
    telemetry.otelLogger.emit({ body: 'audit line', attributes: { 'audit.record.id': 'x' } });
    trace
      .getTracer('http')
      .startSpan('GET', { attributes: { 'url.full': 'https://x.com/?signature=beef' } })
      .end();
  });
}

describe('the stock OTLP exporters', () => {
  afterEach(() => telemetry.shutdown());

  it('carry masked spans and telemetry lines, and no audit record', async () => {
    const received = await start(200);
    work();
    await telemetry.forceFlush(10_000);
    expect(received.map(({ path }) => path).sort()).toEqual(['/v1/logs', '/v1/traces']);
    const all = received.map(({ body }) => body).join('');
    expect(all).toContain('plain line password=***MASKED***');
    expect(all).toContain('ACC1');
    expect(all).not.toMatch(/hunter2|beef|audit line/);
    expect(telemetry.dropped()).toEqual({ spans: 0, logs: 0 });
  });

  it('that are refused are counted as dropped', async () => {
    await start(400);
    work();
    await telemetry.forceFlush(10_000);
    expect(telemetry.dropped()).toEqual({ spans: 2, logs: 1 });
  });
});

describe('a telemetry event of a trail', () => {
  it('leaves by the stock exporter', async () => {
    const received = await receive(200);
    const trail = await startTestTrail();
    trail.emit('api.call', { operation: 'createOrder' });
    const bodies = () => received.map(({ body }) => body).join('');
    await vi.waitFor(() => expect(bodies()).toContain('API call: createOrder'), { timeout: 30_000 });
    expect(trail.health().emitted).toMatchObject({ telemetry: 1, failed: 0 });
  });

  it('is counted where nobody is given it', async () => {
    const trail = await startTestTrail();
    trail.emit('api.call', { operation: 'createOrder' });
    expect(trail.health().emitted).toMatchObject({ telemetry: 1, failed: 0 });
  });

  it('is given to a further processor, as audit events are', async () => {
    const seen: unknown[] = [];
    const processor = {
      onEmit: (record: { eventName?: string | undefined; body?: unknown }) => {
        if (record.eventName === 'api.call' || record.eventName === 'order.placed') seen.push(record.body);
      },
      forceFlush: async () => {},
      shutdown: async () => {},
    };
    const trail = await startTestTrail({ logProcessors: [processor] });
    trail.emit('api.call', { operation: 'createOrder' });
    trail.emit('order.placed', { 'trading.symbol': 'AAPL', 'trading.side': 'buy' });
    expect(seen).toEqual(['API call: createOrder', expect.stringContaining('AAPL')]);
  });
});
