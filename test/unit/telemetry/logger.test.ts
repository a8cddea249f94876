import type { Logger } from '@opentelemetry/api';
import { trace } from '@opentelemetry/api';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createManualClock } from '../../../src/core/clock.ts';
import { runWithContext } from '../../../src/telemetry/context.ts';
import { createLogger, type LoggerOptions } from '../../../src/telemetry/logger.ts';
import { createRedactor } from '../../../src/telemetry/redaction.ts';
import { startForTest, type TestTelemetry } from './support.ts';

const clock = createManualClock(Date.UTC(2026, 0, 5, 10, 30, 45, 123));
let telemetry: TestTelemetry;
let lines: string[];
beforeAll(async () => {
  telemetry = await startForTest();
});
beforeEach(() => {
  lines = [];
  telemetry.logs.reset();
});
afterAll(() => telemetry.shutdown());

const logger = (options: Partial<LoggerOptions> = {}) =>
  createLogger({
    category: 'enforcement',
    otelLogger: telemetry.otelLogger,
    clock,
    redactor: createRedactor(),
    consoleLevel: 'info',
    otlpLevel: 'debug',
    write: (line) => lines.push(line),
    pretty: false,
    ...options,
  });

async function records() {
  await telemetry.forceFlush(5000);
  return telemetry.logs.getFinishedLogRecords();
}

describe('seed 002: structured logging with context', () => {
  it('seed 002: context info is injected into every line and record, with the trace', async () => {
    let traceId = '';
    runWithContext(telemetry.tracer, { accountId: 'ACC123', ruleId: 'MAX_LOSS', correlationId: 'c-1' }, () => {
      traceId = trace.getActiveSpan()!.spanContext().traceId;
      logger().warn('Rule breach', { current: -500 });
    });
    const line = JSON.parse(lines[0]!);
    expect(line).toEqual({
      timestamp: '2026-01-05T10:30:45.123Z',
      level: 'WARN',
      logger: 'enforcement',
      message: 'Rule breach',
      context: { 'trading.account.id': 'ACC123', 'risk.rule.id': 'MAX_LOSS', 'correlation.id': 'c-1' },
      attributes: { current: -500 },
      trace_id: traceId,
      span_id: expect.stringMatching(/^[0-9a-f]{16}$/),
    });
    const [record] = await records();
    expect(record).toMatchObject({
      body: 'Rule breach',
      severityNumber: 13,
      severityText: 'WARN',
      attributes: {
        'event.category': 'enforcement',
        'trading.account.id': 'ACC123',
        'risk.rule.id': 'MAX_LOSS',
        'correlation.id': 'c-1',
        current: -500,
      },
    });
    expect(record?.spanContext?.traceId).toBe(traceId);
    expect(record?.hrTime).toEqual([Date.UTC(2026, 0, 5, 10, 30, 45) / 1000, 123_000_000]);
  });

  it('seed 002: secrets are masked in message and attributes', async () => {
    logger().info('login password=x', {
      headers: { Authorization: 'Bearer abc' },
      'trading.order.id': '4111111111111111',
    });
    const text = lines[0]! + JSON.stringify((await records())[0]?.attributes);
    expect(text).not.toContain('Bearer abc');
    expect(JSON.parse(lines[0]!)).toMatchObject({
      message: 'login password=***MASKED***',
      attributes: { headers: { Authorization: '***MASKED***' }, 'trading.order.id': '4111111111111111' },
    });
  });
});

describe('levels', () => {
  it('of console and OTLP are set apart', async () => {
    const log = logger({ consoleLevel: 'error', otlpLevel: 'info' });
    for (const level of ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const) log[level](level);
    expect(lines.map((line) => JSON.parse(line).level)).toEqual(['ERROR', 'FATAL']);
    expect((await records()).map((record) => record.severityNumber)).toEqual([9, 13, 17, 21]);
    expect([log.isEnabled('debug'), log.isEnabled('info')]).toEqual([false, true]);
  });

  it('can be switched off', async () => {
    logger({ consoleLevel: 'off', otlpLevel: 'off' }).fatal('x');
    expect(lines).toEqual([]);
    expect(await records()).toEqual([]);
  });
});

describe('errors', () => {
  it('become exception attributes, in place of the message or beside it', async () => {
    const error = Object.assign(new TypeError('no price for bob@example.com'), { code: 'E_PRICE' });
    logger().error(error);
    logger().error('entry failed', error, { 'trading.symbol': 'AAPL' });
    logger().fatal('plain', { a: 1 });
    const [first, second, third] = lines.map((line) => JSON.parse(line));
    expect(first.message).toBe('no price for ***MASKED***');
    expect(first.attributes).toMatchObject({
      'exception.type': 'TypeError',
      'exception.message': 'no price for ***MASKED***',
      'error.code': 'E_PRICE',
    });
    expect(first.attributes['exception.stacktrace']).toContain('logger.test.ts');
    expect(second.message).toBe('entry failed');
    expect(second.attributes).toMatchObject({ 'exception.type': 'TypeError', 'trading.symbol': 'AAPL' });
    expect(third.attributes).toEqual({ a: 1 });
  });
});

describe('a child', () => {
  it('adds its attributes, and its parent does not', () => {
    const parent = logger();
    const child = parent.child({ loop: 'main', token: 'x' }).child({ step: 2 });
    child.info('a', { step: 3 });
    parent.info('b');
    expect(JSON.parse(lines[0]!).attributes).toEqual({ loop: 'main', token: '***MASKED***', step: 3 });
    expect(JSON.parse(lines[1]!)).not.toHaveProperty('attributes');
  });
});

describe('lines for people', () => {
  it('are short, and can not be forged by control characters', () => {
    logger({ pretty: true }).warn('a\nb\u001b[2J', { x: 'y z' });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are what is looked for
    const plain = lines[0]!.replace(/\u001b\[\d+m/g, '');
    expect(plain).toBe('10:30:45.123 WARN  enforcement  a\\x0ab\\x1b[2J  x=y z\n');
  });
});

describe('a logger', () => {
  it('never throws', () => {
    const told: string[] = [];
    const broken = logger({
      otelLogger: {
        emit: () => {
          throw new Error('otel');
        },
        enabled: () => true,
      } as unknown as Logger,
      write: () => {
        throw new Error('pipe');
      },
      report: (error) => told.push(String(error)),
    });
    broken.info('x');
    expect(told).toEqual(['Error: otel', 'Error: pipe']);
    const circular: Record<string, unknown> = { big: 5n, when: new Date(0) };
    circular['self'] = circular;
    const hostile = {
      toString: () => {
        throw new Error('no');
      },
    };
    for (const message of [circular, undefined, null, 5n, Symbol('s'), hostile, () => 1])
      logger().info(message, circular);
    expect(lines).toHaveLength(7);
    expect(() =>
      logger()
        .child(null as never)
        .error(null, null as never),
    ).not.toThrow();
  });
});
