import { DiagLogLevel, diag, logs, trace } from '@opentelemetry/api';
import { ExportResultCode } from '@opentelemetry/core';
import type { LogRecordExporter, LogRecordProcessor, ReadWriteLogRecord } from '@opentelemetry/sdk-logs';
import type { SpanExporter } from '@opentelemetry/sdk-trace';
import { afterEach, describe, expect, it } from 'vitest';
import { isRiskTrailError } from '../../../src/core/errors.ts';
import { activeContextAttributes, runWithContext } from '../../../src/telemetry/context.ts';
import { traceIdOf } from '../../../src/telemetry/correlation.ts';
import { isTelemetryRecord, startTelemetry } from '../../../src/telemetry/providers.ts';
import { SILENT, startForTest, type TestTelemetry } from './support.ts';

const LEGACY = Symbol.for('io.opentelemetry.js.api.logs');
const globals = globalThis as unknown as Record<symbol, unknown>;

let telemetry: TestTelemetry;
afterEach(async () => {
  await telemetry?.shutdown();
  delete globals[LEGACY];
});

/** A processor that keeps what it gets. */
function collector(): LogRecordProcessor & { records: ReadWriteLogRecord[] } {
  const records: ReadWriteLogRecord[] = [];
  return { ...SILENT, records, onEmit: (record) => void records.push(record) };
}

const bodies = (records: readonly { body?: unknown }[]) => records.map((record) => record.body);

describe('log records', () => {
  it('of the global API reach our processors first, then masked the exporter', async () => {
    const ours = collector();
    telemetry = await startForTest({ logProcessors: [ours] });
    logs.getLogger('lib').emit({ body: 'password=x', attributes: { 'url.full': 'https://x.com/?signature=ab' } });
    await telemetry.forceFlush(5000);
    expect(ours.records).toHaveLength(1);
    const [exported] = telemetry.logs.getFinishedLogRecords();
    expect(exported?.body).toBe('password=***MASKED***');
    expect(exported?.attributes['url.full']).toBe('https://x.com/?signature=***MASKED***');
    expect(exported?.resource.attributes['service.name']).toBe('test');
  });

  it('reach further processors masked, audit events of others too', async () => {
    const ours: LogRecordProcessor = {
      ...SILENT,
      onEmit: (record) => void record.setAttribute('audit.record.id', 'x'),
    };
    const further = collector();
    telemetry = await startForTest({ logProcessors: [ours], furtherLogProcessors: [further] });
    logs.getLogger('lib').emit({ eventName: 'order.placed', attributes: { token: 'x', 'trading.order.id': '1' } });
    expect(further.records[0]?.attributes).toMatchObject({ token: '***MASKED***', 'trading.order.id': '1' });
  });

  it('of class audit never go through a stock exporter', async () => {
    telemetry = await startForTest();
    telemetry.otelLogger.emit({ body: 'audit', attributes: { 'audit.record.id': 'x' } });
    telemetry.otelLogger.emit({ body: 'telemetry' });
    await telemetry.forceFlush(5000);
    expect(bodies(telemetry.logs.getFinishedLogRecords())).toEqual(['telemetry']);
    expect(isTelemetryRecord({ attributes: {} })).toBe(true);
    expect(isTelemetryRecord({ attributes: { 'audit.record.id': 'x' } })).toBe(false);
    expect(telemetry.dropped()).toEqual({ spans: 0, logs: 0 });
  });

  it('are not cut by the limits of the environment', async () => {
    const ours = collector();
    process.env['OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT'] = '2';
    process.env['OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT'] = '3';
    try {
      telemetry = await startForTest({ logProcessors: [ours] });
      const attributes = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`a${i}`, 'x'.repeat(5000)]));
      telemetry.otelLogger.emit({ attributes });
      expect(ours.records[0]?.attributes).toEqual(attributes);
    } finally {
      delete process.env['OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT'];
      delete process.env['OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT'];
    }
  });

  it('a throwing processor reaches neither the caller nor the processors behind it', async () => {
    const ours = collector();
    const bad: LogRecordProcessor = {
      onEmit: () => {
        throw new Error('boom');
      },
      forceFlush: () => Promise.reject(new Error('flush')),
      shutdown: () => {
        throw new Error('end');
      },
    };
    telemetry = await startForTest({
      logProcessors: [bad, ours],
      spanProcessors: [{ ...bad, onStart: bad.onEmit, onEnd: bad.onEmit } as never],
    });
    telemetry.otelLogger.emit({ body: 'x' });
    telemetry.tracer.startSpan('x').end();
    expect(bodies(ours.records)).toEqual(['x']);
    await telemetry.forceFlush(5000);
    await telemetry.shutdown();
    expect(telemetry.told).toContain('Object.onEmit: boom');
    expect(telemetry.told).toContain('Object.onStart: boom');
    expect(telemetry.told).toContain('Object.onEnd: boom');
    expect(telemetry.told).toContain('Object.forceFlush: flush');
    expect(telemetry.told).toContain('Object.shutdown: end');
  });
});

describe('the old api-logs global', () => {
  type Getter = (version: number) => { getLogger(name: string): { emit(record: unknown): void } };

  it('gives our provider to libraries that are built on it', async () => {
    const ours = collector();
    telemetry = await startForTest({ logProcessors: [ours] });
    const getter = globals[LEGACY] as Getter;
    getter(1)
      .getLogger('old-lib')
      .emit({ body: 'hello', severityNumber: 9, attributes: { a: 1 } });
    getter(2).getLogger('newer').emit({ body: 'other interface' });
    expect(bodies(ours.records)).toEqual(['hello']);
    expect(ours.records[0]?.instrumentationScope.name).toBe('old-lib');
    await telemetry.shutdown();
    expect(globals[LEGACY]).toBeUndefined();
  });

  it('is left to whoever is there already, and that is told', async () => {
    const other = () => 'other';
    globals[LEGACY] = other;
    telemetry = await startForTest();
    expect(telemetry.told).toEqual(['logs: another provider is registered on the @opentelemetry/api-logs global']);
    await telemetry.shutdown();
    expect(globals[LEGACY]).toBe(other);
  });
});

describe('losses', () => {
  const failing = { code: ExportResultCode.FAILED, error: new Error('collector down') };

  it('of failed exports and full queues are counted, each record once', async () => {
    const arrived: unknown[] = [];
    let calls = 0;
    const exporter: LogRecordExporter = {
      export(records, done) {
        if (++calls === 2) return done(failing);
        arrived.push(...records);
        done({ code: ExportResultCode.SUCCESS });
      },
      forceFlush: async () => {},
      shutdown: async () => {},
    };
    telemetry = await startForTest({
      exporters: { logs: exporter },
      env: { OTEL_BLRP_MAX_QUEUE_SIZE: '100', OTEL_BLRP_MAX_EXPORT_BATCH_SIZE: '10', OTEL_TRACES_EXPORTER: 'none' },
    });
    for (let i = 0; i < 1000; i++) telemetry.otelLogger.emit({ body: i });
    await telemetry.forceFlush(5000);
    expect(telemetry.dropped().logs).toBe(910);
    expect(arrived).toHaveLength(90);
    expect(telemetry.told).toEqual([
      'log records queue: the queue of 100 log records is full',
      'log records exporter: collector down',
    ]);
  });

  it('of an exporter that throws are counted', async () => {
    const spans: SpanExporter = {
      export: () => {
        throw new Error('thrown');
      },
      shutdown: () => Promise.reject(new Error('late')),
    };
    telemetry = await startForTest({ exporters: { spans } });
    telemetry.tracer.startSpan('a').end();
    telemetry.tracer.startSpan('b').end();
    await telemetry.forceFlush(5000);
    expect(telemetry.dropped().spans).toBe(2);
    await telemetry.shutdown();
    expect(telemetry.told).toContain('spans exporter: thrown');
  });

  it('a hung exporter blocks neither work nor the end, and what it holds is counted', async () => {
    const hung = {
      export: () => {},
      forceFlush: () => new Promise<void>(() => {}),
      shutdown: () => new Promise<void>(() => {}),
    };
    telemetry = await startForTest({
      exporters: { logs: hung, spans: hung },
      env: { OTEL_BLRP_MAX_EXPORT_BATCH_SIZE: '2', OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '2' },
    });
    for (let i = 0; i < 5; i++) {
      telemetry.otelLogger.emit({ body: i });
      telemetry.tracer.startSpan('x').end();
    }
    await telemetry.forceFlush(20);
    await telemetry.shutdown(20);
    expect(telemetry.dropped()).toEqual({ spans: 5, logs: 5 });
    telemetry.otelLogger.emit({ body: 'late' });
  });

  it('records in memory exporters count as arrived', async () => {
    telemetry = await startForTest();
    for (let i = 0; i < 600; i++) telemetry.otelLogger.emit({ body: i });
    await telemetry.forceFlush(5000);
    expect(telemetry.logs.getFinishedLogRecords()).toHaveLength(600);
    expect(telemetry.dropped()).toEqual({ spans: 0, logs: 0 });
  });
});

describe('the environment', () => {
  it('asks for exporters, or none are there', async () => {
    telemetry = await startForTest({ exporters: {} });
    expect(telemetry.exporting).toBe(false);
    await telemetry.shutdown();
    telemetry = await startForTest({ exporters: {}, env: { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' } });
    expect(telemetry.exporting).toBe(true);
    await telemetry.shutdown(50);
    const none = { OTEL_TRACES_EXPORTER: 'none', OTEL_LOGS_EXPORTER: 'none', OTEL_METRICS_EXPORTER: 'none' };
    telemetry = await startForTest({
      exporters: {},
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9', ...none },
    });
    expect(telemetry.exporting).toBe(false);
    await telemetry.shutdown();
    telemetry = await startForTest({ exporters: {}, env: { OTEL_LOGS_EXPORTER: 'zipkin' } });
    expect(telemetry.exporting).toBe(false);
    expect(telemetry.told[0]).toContain('"zipkin" is not supported');
  });

  it.each(['http/json', 'http/protobuf', 'grpc'])('loads the exporters of %s', async (protocol) => {
    telemetry = await startForTest({
      exporters: {},
      env: {
        OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9',
        OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
        OTEL_METRICS_EXPORTER: 'none',
      },
    });
    expect(telemetry.exporting).toBe(true);
    expect(telemetry.told).toEqual([]);
    await telemetry.shutdown(50);
  });

  it('OTEL_SDK_DISABLED: nothing global, nothing exported; the processors given are fed, trace ids come all the same', async () => {
    const ours = collector();
    telemetry = await startForTest({ logProcessors: [ours], env: { OTEL_SDK_DISABLED: 'True' } });
    logs.getLogger('lib').emit({ body: 'elsewhere' });
    runWithContext(telemetry.tracer, { correlationId: 'c-1' }, () => {
      telemetry.otelLogger.emit({ body: 'audit' });
      expect(activeContextAttributes()['correlation.id']).toBe('c-1');
    });
    expect(bodies(ours.records)).toEqual(['audit']);
    expect(ours.records[0]?.spanContext).toMatchObject({ traceId: traceIdOf('c-1'), traceFlags: 0 });
    expect(await telemetry.spans()).toEqual([]);
    expect(telemetry.exporting).toBe(false);
    expect(globals[LEGACY]).toBeUndefined();
  });

  it('gives the resource; options win, secrets are masked', async () => {
    telemetry = await startForTest({
      serviceVersion: '1.2',
      environment: 'prod',
      resourceAttributes: { 'team.name': 'risk' },
      env: { OTEL_RESOURCE_ATTRIBUTES: 'service.name=other,region=eu%20west,api_key=abc' },
    });
    expect(telemetry.resource).toMatchObject({
      'service.name': 'test',
      'service.version': '1.2',
      'deployment.environment.name': 'prod',
      'team.name': 'risk',
      region: 'eu west',
      api_key: '***MASKED***',
    });
    telemetry.tracer.startSpan('x').end();
    expect((await telemetry.spans())[0]?.resource.attributes).toEqual(telemetry.resource);
  });

  it('is as it was after the start', async () => {
    const before = process.env['OTEL_LOGS_EXPORTER'];
    telemetry = await startForTest();
    expect(process.env['OTEL_LOGS_EXPORTER']).toBe(before);
  });
});

describe('start and end', () => {
  it('says nothing to diag when it starts and ends alone, and again', async () => {
    const said: string[] = [];
    const say = (message: string) => void said.push(message);
    diag.setLogger(
      { error: say, warn: say, info: () => {}, debug: () => {}, verbose: () => {} },
      { logLevel: DiagLogLevel.WARN },
    );
    try {
      for (let round = 0; round < 2; round++) {
        telemetry = await startForTest();
        trace.getTracer('lib').startSpan('x').end();
        expect(await telemetry.spans()).toHaveLength(1);
        await telemetry.shutdown();
      }
      expect(said).toEqual([]);
      expect(telemetry.told).toEqual([]);
    } finally {
      diag.disable();
    }
  });

  it('refuses to start beside a running SDK unless it is told to attach', async () => {
    telemetry = await startForTest();
    const second = startTelemetry({ serviceName: 'b', attach: false, logProcessors: [], env: {}, report: () => {} });
    const error = await second.catch((reason: unknown) => reason);
    expect(isRiskTrailError(error, 'OPTION_INVALID')).toBe(true);
    expect(String(error)).toContain('attach');
  });

  it('calls of shutdown share one promise', async () => {
    telemetry = await startForTest();
    const { shutdown } = telemetry;
    expect(shutdown()).toBe(shutdown());
    await shutdown();
  });
});

describe('spans', () => {
  it('are masked when they end: attributes, events, links, name and status', async () => {
    telemetry = await startForTest();
    const span = telemetry.tracer.startSpan('GET /x?signature=ab', {
      links: [
        { context: { traceId: '1'.repeat(32), spanId: '2'.repeat(16), traceFlags: 1 }, attributes: { token: 'x' } },
      ],
    });
    span.setAttributes({
      'url.full': 'https://api.x.com/order?symbol=A&signature=ab',
      'url.query': 'sign=ab&symbol=A',
      'http.target': '/order?apiKey=ab',
      'db.query.text': "update users set password = 'x'",
      'trading.order.id': '4111111111111111',
      'trading.quantity': 5,
    });
    span.recordException(new Error('Bearer abcd1234'));
    span.setStatus({ code: 2, message: 'mail bob@example.com' });
    span.end();
    const [ended] = await telemetry.spans();
    const M = '***MASKED***';
    expect(ended?.name).toBe(`GET /x?signature=${M}`);
    expect(ended?.attributes).toEqual({
      'url.full': `https://api.x.com/order?symbol=A&signature=${M}`,
      'url.query': `sign=${M}&symbol=A`,
      'http.target': `/order?apiKey=${M}`,
      'db.query.text': `update users set password = '${M}'`,
      'trading.order.id': '4111111111111111',
      'trading.quantity': 5,
    });
    expect(ended?.events[0]?.attributes?.['exception.message']).toBe(`Bearer ${M}`);
    expect(ended?.links[0]?.attributes?.['token']).toBe(M);
    expect(ended?.status.message).toBe(`mail ${M}`);
  });
});
