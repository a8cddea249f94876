import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { context, type Tracer, trace } from '@opentelemetry/api';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createManualClock } from '../../../src/core/clock.ts';
import { createTimedDecorator, createTiming, type Timing } from '../../../src/telemetry/timing.ts';
import { startForTest, type TestTelemetry } from './support.ts';

const clock = createManualClock(Date.UTC(2026, 0, 5, 14, 30));
let telemetry: TestTelemetry;
let timing: Timing;
let emitted: { name: string; attributes: Record<string, unknown>; spanId: string | undefined }[];
const told: string[] = [];

beforeAll(async () => {
  telemetry = await startForTest();
  timing = createTiming({
    tracer: telemetry.tracer,
    clock,
    emit: (name, attributes) =>
      emitted.push({ name, attributes: { ...attributes }, spanId: trace.getActiveSpan()?.spanContext().spanId }),
    defaultThresholdMs: 200,
    report: (error) => told.push(String(error)),
  });
});
beforeEach(() => {
  emitted = [];
  told.length = 0;
});
afterAll(() => telemetry.shutdown());

const spanOf = async (name: string) => (await telemetry.spans()).findLast((span) => span.name === name);

describe('seed 002: performance timing three ways', () => {
  it('seed 002: around a call, with a threshold of its own', async () => {
    const result = timing.timed(
      'fetch_positions',
      () => {
        clock.advance(152.5);
        return 'positions';
      },
      { thresholdMs: 100, attributes: { 'trading.venue': 'X' } },
    );
    expect(result).toBe('positions');
    const span = await spanOf('fetch_positions');
    expect(span?.attributes).toEqual({
      operation: 'fetch_positions',
      'trading.venue': 'X',
      'timing.duration_ms': 152.5,
      'timing.threshold_ms': 100,
      'timing.threshold_exceeded': true,
    });
    expect(span?.duration).toEqual([0, 152_500_000]);
    expect(emitted).toEqual([
      {
        name: 'performance.latency',
        attributes: {
          operation: 'fetch_positions',
          'timing.duration_ms': 152.5,
          'timing.threshold_ms': 100,
          'timing.threshold_exceeded': true,
        },
        spanId: span?.spanContext().spanId,
      },
    ]);
  });

  it('seed 002: by hand, with a timer', async () => {
    const timer = timing.startTimer('operation');
    clock.advance(199);
    expect(timer.stop({ 'retry.count': 1 })).toBe(199);
    clock.advance(50);
    expect(timer.stop()).toBe(199);
    expect((await spanOf('operation'))?.attributes).toMatchObject({
      'timing.duration_ms': 199,
      'timing.threshold_exceeded': false,
      'retry.count': 1,
    });
    expect(emitted).toEqual([]);
  });

  it('seed 002: on a method, by a standard decorator that tsc compiles', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'risktrail-decorator-'));
    try {
      const compiled = spawnSync(
        process.execPath,
        [
          join(import.meta.dirname, '../../../node_modules/typescript/bin/tsc'),
          join(import.meta.dirname, '../../fixtures/timed-decorator.ts'),
          ...[
            '--ignoreConfig',
            '--outDir',
            directory,
            '--target',
            'es2022',
            '--module',
            'nodenext',
            '--strict',
            '--skipLibCheck',
          ],
        ],
        { encoding: 'utf8' },
      );
      expect(compiled.stdout + compiled.stderr).toBe('');
      writeFileSync(join(directory, 'package.json'), '{"type":"module"}');
      const module = (await import(pathToFileURL(join(directory, 'timed-decorator.js')).href)) as {
        defineBroker(
          decorator: ReturnType<typeof createTimedDecorator>,
          pass: (ms: number) => void,
        ): (new (
          name: string,
        ) => {
          fetchPositions(count: number): string;
          placeOrder(): Promise<string>;
          fail(): never;
        }) & { connect(): number };
      };
      let running = false;
      const Broker = module.defineBroker(
        createTimedDecorator(() => (running ? timing : undefined)),
        clock.advance,
      );
      const broker = new Broker('ib');
      expect(broker.fetchPositions(1)).toBe('ib:1');
      expect(emitted).toEqual([]);
      running = true;
      expect(broker.fetchPositions(2)).toBe('ib:2');
      await expect(broker.placeOrder()).resolves.toBe('ib');
      expect(() => broker.fail()).toThrow('broker down');
      expect(Broker.connect()).toBe(7);
      expect(emitted.map(({ attributes }) => [attributes['operation'], attributes['timing.duration_ms']])).toEqual([
        ['Broker.fetchPositions', 250],
        ['place_order', 80],
      ]);
      expect(await spanOf('Broker.connect')).toBeDefined();
      expect((await spanOf('Broker.fail'))?.status.message).toBe('broker down');
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

describe('timed work', () => {
  it('that is asynchronous is timed to its end, in its own context', async () => {
    const outer = context.active();
    const value = {};
    const work = timing.timed('async', async () => {
      const within = trace.getActiveSpan();
      await null;
      clock.advance(500);
      expect(trace.getActiveSpan()).toBe(within);
      return value;
    });
    expect(context.active()).toBe(outer);
    await expect(work).resolves.toBe(value);
    expect(emitted[0]?.attributes['timing.duration_ms']).toBe(500);
  });

  it('passes throws and rejections through, and records them on the span', async () => {
    const error = new RangeError('too far');
    expect(() =>
      timing.timed('throws', () => {
        throw error;
      }),
    ).toThrow(error);
    await expect(timing.timed('rejects', () => Promise.reject(error))).rejects.toBe(error);
    for (const name of ['throws', 'rejects']) {
      const span = await spanOf(name);
      expect(span?.attributes['error.type']).toBe('RangeError');
      expect(span?.status).toEqual({ code: 2, message: 'too far' });
      expect(span?.events[0]?.name).toBe('exception');
    }
  });

  it('is measured by the monotonic clock: a wall clock set back does not matter', () => {
    timing.timed('step', () => {
      clock.advance(300);
      clock.set(clock.now() - 3_600_000);
    });
    expect(emitted[0]?.attributes['timing.duration_ms']).toBe(300);
    clock.set(clock.now() + 3_600_000);
  });

  it('is never slow without a threshold', () => {
    const own = createTiming({
      tracer: telemetry.tracer,
      clock,
      emit: () => emitted.push(null as never),
      report: () => {},
    });
    own.timed('endless', () => clock.advance(1e9));
    expect(emitted).toEqual([]);
  });

  it('runs once and unharmed where tracer, emit and options fail', () => {
    const broken = createTiming({
      tracer: {
        startSpan: () => {
          throw new Error('tracer');
        },
      } as unknown as Tracer,
      clock,
      emit: () => {
        throw new Error('emit');
      },
      defaultThresholdMs: 0,
      report: (error) => told.push(String(error)),
    });
    let runs = 0;
    expect(broken.timed('x', () => ++runs)).toBe(1);
    expect(told).toEqual(['Error: tracer', 'Error: emit']);
    told.length = 0;
    expect(timing.timed(undefined as never, () => 5, { thresholdMs: 'soon' as never })).toBe(5);
    expect(told).toEqual(['TypeError: thresholdMs: expected a number ≥ 0, got soon']);
  });
});
