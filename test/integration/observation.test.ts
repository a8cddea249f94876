import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, readdirSync, readlinkSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { context, DiagLogLevel, diag, logs, propagation, trace } from '@opentelemetry/api';
import type { LogRecordProcessor } from '@opentelemetry/sdk-logs';
import { SimpleSpanProcessor, type SpanProcessor } from '@opentelemetry/sdk-trace';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { createManualClock, type RiskTrail, type RiskTrailOptions } from '../../src/index.ts';
import { runSession, type SessionHooks } from '../support/decisions.ts';
import { readTrail, startTestTrail, temporaryDirectory } from '../support/trail.ts';
import { verifyDirectory } from '../support/verify.ts';

// biome-ignore lint/suspicious/noExplicitAny: what a JavaScript caller can do
type Untyped = any;

const START = Date.UTC(2024, 0, 2, 14, 30);
const boom = (): never => {
  throw new Error('boom');
};
const reject = () => Promise.reject(new Error('boom'));

let told: string[];
beforeEach(() => {
  told = [];
  const tell = (text: string) => void told.push(text);
  const logger = { error: tell, warn: tell, info: tell, debug: tell, verbose: tell };
  diag.setLogger(logger, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
});
afterEach(() => diag.disable());

interface Outcome {
  readonly decisions: readonly unknown[];
  readonly health: ReturnType<RiskTrail['health']>;
  /** Names of the events, the trail's own left out. */
  readonly events: readonly string[];
  readonly exitCode: number;
}

interface Trouble {
  readonly options?: RiskTrailOptions;
  readonly hooks?: SessionHooks | ((trail: RiskTrail) => SessionHooks);
  /** Done to the running trail before the session. */
  readonly prepare?: (trail: RiskTrail) => void;
}

/** The session without any trouble. */
let calm: Outcome;

/** A session in trouble. Nothing in it may throw. */
async function run(trouble: Trouble = {}): Promise<Outcome> {
  calm ??= await runOnce({});
  return runOnce(trouble);
}

async function runOnce({ options, hooks, prepare }: Trouble): Promise<Outcome> {
  const clock = createManualClock(START);
  const trail = await startTestTrail({ clock, ...options });
  prepare?.(trail);
  const decisions = await runSession(trail, clock, typeof hooks === 'function' ? hooks(trail) : hooks);
  await trail.flush();
  await trail.close();
  const health = trail.health();
  const records = await readTrail(trail.dataDir).catch(() => []);
  const { exitCode } = await verifyDirectory(trail.dataDir).catch(() => ({ exitCode: -1 }));
  const events = records.map((record) => record.event ?? '').filter((name) => !name.startsWith('audit.'));
  return { decisions, health, events, exitCode };
}

/** The failures were counted where they happened, and told. */
function expectReported(outcome: Outcome, ...where: readonly (string | RegExp)[]): void {
  const places = Object.keys(outcome.health.failures.byWhere);
  for (const place of where) {
    expect(places).toContainEqual(expect.stringMatching(place));
    expect(told).toContainEqual(
      expect.stringMatching(new RegExp(`^risktrail: ${typeof place === 'string' ? place : place.source}`)),
    );
  }
  expect(outcome.health.failures.count).toBeGreaterThanOrEqual(where.length);
}

const badLogs: LogRecordProcessor = { onEmit: boom, enabled: boom, forceFlush: reject, shutdown: reject };
const badSpans: SpanProcessor = { onStart: boom, onEnding: boom, onEnd: boom, forceFlush: reject, shutdown: reject };

describe('what goes wrong in observing changes no decision and no record', () => {
  it('in calm, nothing is reported', async () => {
    expect((await run()).decisions).toEqual(calm.decisions);
    expect(calm.health.failures).toEqual({ count: 0, warnings: 0, byWhere: {} });
    expect(calm.exitCode).toBe(0);
    expect(calm.decisions.length).toBeGreaterThan(20);
  });

  it('a log record processor that throws', async () => {
    const outcome = await run({ options: { logProcessors: [badLogs] } });
    expect(outcome).toMatchObject({ decisions: calm.decisions, events: calm.events, exitCode: 0 });
    expectReported(outcome, 'Object.onEmit', 'Object.forceFlush', 'Object.shutdown');
  });

  it('a log record processor that emits again, once for every record', async () => {
    let trail: RiskTrail | undefined;
    let depth = 0;
    const echo: LogRecordProcessor = {
      onEmit(record) {
        if (depth > 0 || record.eventName === 'system.stop') return;
        depth++;
        trail?.emit('system.error', { operation: `echo of ${record.eventName}` });
        depth--;
      },
      enabled() {
        if (depth === 0 && trail !== undefined) {
          depth++;
          trail.emit('system.error', { operation: 'enabled' });
          depth--;
        }
        return true;
      },
      forceFlush: async () => {},
      shutdown: async () => {},
    };
    const outcome = await run({
      options: { logProcessors: [echo] },
      prepare: (started) => {
        trail = started;
      },
    });
    expect(outcome).toMatchObject({ decisions: calm.decisions, exitCode: 0 });
    expect(outcome.events.filter((name) => name !== 'system.error')).toEqual(calm.events);
    expect(outcome.health.failures.count).toBe(0);
  });

  it('a span processor that throws', async () => {
    const outcome = await run({ options: { spanProcessors: [badSpans] } });
    expect(outcome).toMatchObject({ decisions: calm.decisions, events: calm.events, exitCode: 0 });
    expectReported(outcome, 'Object.onStart', 'Object.onEnding', 'Object.onEnd', 'Object.forceFlush');
  });

  it('an exporter of the program’s own that throws', async () => {
    const exporter = { export: boom, shutdown: reject, forceFlush: reject };
    const outcome = await run({ options: { spanProcessors: [new SimpleSpanProcessor({ exporter })] } });
    expect(outcome).toMatchObject({ decisions: calm.decisions, events: calm.events, exitCode: 0 });
    expectReported(outcome, /SimpleSpanProcessor\.\w+/);
  });

  it('a receiver that refuses everything', async () => {
    const server = createServer((_, response) => response.writeHead(400).end());
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    onTestFinished(() => void delete process.env['OTEL_EXPORTER_OTLP_ENDPOINT']);
    const outcome = await run();
    expect(outcome).toMatchObject({ decisions: calm.decisions, events: calm.events, exitCode: 0 });
    expectReported(outcome, 'log records exporter', 'spans exporter');
    expect(outcome.health.dropped.logs).toBeGreaterThan(0);
    expect(outcome.health.dropped.spans).toBeGreaterThan(0);
  });

  it('a masking pattern that begins to throw after the start', async () => {
    let bad = false;
    class Hostile extends RegExp {
      override [Symbol.replace](...args: [string, Untyped]): string {
        return bad ? boom() : super[Symbol.replace](...args);
      }
      override exec(text: string): RegExpExecArray | null {
        return bad ? boom() : super.exec(text);
      }
    }
    const pattern = new Hostile('venue', 'g');
    const outcome = await run({
      options: { redactPatterns: [pattern] },
      prepare: () => {
        bad = true;
      },
    });
    expect(outcome).toMatchObject({ decisions: calm.decisions, events: calm.events, exitCode: 0 });
  });

  it('listeners that throw', async () => {
    const outcome = await run({
      prepare: (trail) => {
        trail.gate.onChange(boom);
        trail.gate.beforeAnswer(boom);
        const { circuitBreaker, trailingStops } = {
          circuitBreaker: trail.circuitBreaker,
          trailingStops: trail.trailingStops,
        };
        trail.circuitBreaker = (...args) => {
          const breaker = circuitBreaker.apply(trail, args);
          breaker.onStateChange(boom);
          return breaker;
        };
        trail.trailingStops = (...args) => {
          const stops = trailingStops.apply(trail, args);
          stops.onTrigger?.(boom);
          return stops;
        };
      },
    });
    expect(outcome).toMatchObject({ decisions: calm.decisions, events: calm.events, exitCode: 0 });
    expectReported(outcome, 'trading gate listener', 'trading gate', 'circuit breaker broker listener');
  });

  const hostile = new Proxy({}, { get: boom, ownKeys: boom, has: boom, getOwnPropertyDescriptor: boom });
  const getter = Object.defineProperty({ strategyId: 's' }, 'accountId', { get: boom, enumerable: true });
  it.each<[string, unknown, (string | RegExp)?]>([
    ['a string', 'account', 'withContext'],
    ['a list', [1, 2], 'withContext'],
    ['fields of wrong types', { accountId: {}, strategyId: Symbol('s'), metadata: 'm' }, 'withContext'],
    ['an unknown field', { acountId: 'A' }, 'withContext'],
    ['a getter that throws', getter, 'withContext'],
    ['a proxy that throws', hostile, 'withContext'],
    ['metadata that refers to itself', { metadata: Object.assign([{}], {}) }, 'withContext'],
    ['a number for an id', { accountId: 7, correlationId: 12n }],
  ])('context: %s', async (_, given, where) => {
    const outcome = await run({ hooks: { context: given } });
    expect(outcome).toMatchObject({ decisions: calm.decisions, events: calm.events, exitCode: 0 });
    if (where !== undefined) expectReported(outcome, where);
    else expect(outcome.health.failures.count).toBe(0);
  });

  it('a diag logger that throws, also while something else fails', async () => {
    const logger = { error: boom, warn: boom, info: boom, debug: boom, verbose: boom };
    diag.setLogger(logger, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
    const outcome = await run({ options: { logProcessors: [badLogs], spanProcessors: [badSpans] } });
    expect(outcome).toMatchObject({ decisions: calm.decisions, events: calm.events, exitCode: 0 });
    expect(outcome.health.failures.byWhere['Object.onEmit']).toBeGreaterThan(20);
  });

  it('globals that the program switched off', async () => {
    const outcome = await run({
      hooks: {
        meanwhile: (step) => {
          if (step === 2) logs.disable();
          if (step === 4) trace.disable();
          if (step === 6) propagation.disable();
        },
      },
    });
    expect(outcome).toMatchObject({ decisions: calm.decisions, events: calm.events, exitCode: 0 });
  });

  it('providers that the program shut down', async () => {
    const ends: unknown[] = [];
    const outcome = await run({
      prepare: () => {
        const provider = trace.getTracerProvider() as Untyped;
        ends.push((provider.getDelegate?.() ?? provider).shutdown(), (logs.getLoggerProvider() as Untyped).shutdown());
      },
    });
    await Promise.all(ends);
    expect(ends).toHaveLength(2);
    expect(outcome).toMatchObject({ decisions: calm.decisions, events: calm.events, exitCode: 0 });
  });

  it('a context manager that was taken away', async () => {
    const outcome = await run({ prepare: () => context.disable() });
    expect(outcome).toMatchObject({ decisions: calm.decisions, events: calm.events, exitCode: 0 });
  });

  it('the SDK switched off by its own variable', async () => {
    process.env['OTEL_SDK_DISABLED'] = 'true';
    onTestFinished(() => void delete process.env['OTEL_SDK_DISABLED']);
    const outcome = await run();
    expect(outcome).toMatchObject({ decisions: calm.decisions, events: calm.events, exitCode: 0 });
  });

  it('risktrail itself switched off', async () => {
    const outcome = await run({ options: { disabled: true } });
    expect(outcome.decisions).toEqual(calm.decisions);
    expect(outcome.events).toEqual([]);
  });
});

const DESCRIPTORS = '/proc/self/fd';
const hasDescriptors = process.platform === 'linux';

/** Closes the files of a trail's stream behind its back. */
function closeSegments(trail: RiskTrail): number {
  let closed = 0;
  for (const name of readdirSync(DESCRIPTORS)) {
    let target = '';
    try {
      target = readlinkSync(join(DESCRIPTORS, name));
    } catch {
      // The descriptor that read the directory.
    }
    if (!target.startsWith(trail.dataDir) || !target.endsWith('.jsonl')) continue;
    closeSync(Number(name));
    closed++;
  }
  return closed;
}

describe('a journal in trouble changes no decision', () => {
  it.runIf(hasDescriptors)(
    'its file was closed under it: what was in the way waits, and goes to a new file',
    async () => {
      const outcome = await run({
        hooks: (trail) => ({
          meanwhile: (step) => {
            if (step === 5) expect(closeSegments(trail)).toBe(1);
          },
        }),
      });
      expect(outcome).toMatchObject({ decisions: calm.decisions, exitCode: 0 });
      expectReported(outcome, 'journal append');
      expect(outcome.health.journal).toMatchObject({ lostRecords: 0, degraded: false });
      expect(outcome.events).toEqual(calm.events);
    },
  );

  it('its directory was removed under it', async () => {
    const outcome = await run({
      hooks: (trail) => ({
        meanwhile: (step) => {
          if (step === 5) rmSync(trail.dataDir, { recursive: true });
        },
      }),
    });
    expect(outcome.decisions).toEqual(calm.decisions);
    expectReported(outcome, /journal \w+/);
  });

  it('its directory was removed under it, and every record needs a new file', async () => {
    const outcome = await run({
      options: { segmentMaxBytes: 1024 },
      hooks: (trail) => ({
        meanwhile: (step) => {
          if (step === 5) rmSync(trail.dataDir, { recursive: true });
        },
      }),
    });
    expect(outcome.decisions).toEqual(calm.decisions);
    expectReported(outcome, 'journal new segment');
  });
});

const mounted = join('/tmp', `risktrail-observation-${process.pid}`);
mkdirSync(mounted, { recursive: true });
const mount = () => spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', mounted]).status === 0;
const unmount = () => void spawnSync('umount', ['-l', mounted]);
const canMount = mount();
if (canMount) unmount();
rmSync(mounted, { recursive: true });

/** A file system of one megabyte, removed when the test is over. */
function smallDisk(): { readonly dataDir: string; fill(): void; free(): void } {
  mkdirSync(mounted, { recursive: true });
  expect(mount()).toBe(true);
  onTestFinished(() => {
    unmount();
    rmSync(mounted, { recursive: true, force: true });
  });
  const filler = join(mounted, 'filler');
  return {
    dataDir: join(mounted, 'data'),
    fill() {
      const { bavail, bsize } = statfsSync(mounted);
      writeFileSync(filler, Buffer.alloc(bavail * bsize));
    },
    free: () => rmSync(filler),
  };
}

const ORDER = { 'trading.symbol': 'SPX', 'trading.side': 'buy', 'trading.quantity': 1 } as const;

/** Emits until the journal can't write: what is left of the last page takes some more. */
function emitUntilFailing(trail: RiskTrail): void {
  for (let i = 0; trail.health().journal?.mode !== 'failing'; i++) {
    expect(i).toBeLessThan(100);
    trail.emit('order.placed', ORDER);
  }
}

describe.runIf(canMount)('a full disk (needs mount as root)', () => {
  it('changes no decision, and the gap is told in the trail once there is room', async () => {
    const disk = smallDisk();
    const outcome = await run({
      // Room for some of what has to wait.
      options: { dataDir: disk.dataDir, waitBufferBytes: 8000 },
      hooks: (trail) => ({
        meanwhile: (step) => {
          if (step === 5) disk.fill();
          if (step === 5) emitUntilFailing(trail);
          if (step === 20) disk.free();
        },
      }),
    });
    expect(outcome).toMatchObject({ decisions: calm.decisions, exitCode: 0 });
    expectReported(outcome, 'journal append');
    expect(outcome.health.status).not.toBe('healthy');
    expect(outcome.health.journal?.lostRecords).toBeGreaterThan(10);
    const degraded = (await readTrail(disk.dataDir)).find((record) => record.event === 'audit.degraded');
    expect(degraded).toMatchObject({
      'audit.degraded.reason': 'ENOSPC',
      'audit.degraded.lost_records': outcome.health.journal?.lostRecords,
    });
  });

  it.each([
    ['continue', 'ACTIVE', true],
    ['reduce-only', 'REDUCING', false],
    ['halt', 'HALTED', false],
  ] as const)('auditFailure %s: the gate follows the outage and its end', async (auditFailure, state, passes) => {
    const disk = smallDisk();
    const trail = await startTestTrail({ dataDir: disk.dataDir, auditFailure, clock: createManualClock(START) });
    const changes: string[] = [];
    trail.gate.onChange((change) => void changes.push(`${change.old} → ${change.new}`));
    trail.emit('order.placed', ORDER);
    expect(trail.gate.state()).toBe('ACTIVE');
    disk.fill();
    emitUntilFailing(trail);
    expect(trail.gate.state()).toBe(state);
    expect(trail.gate.check({ reduces: false }).allowed).toBe(passes);
    expect(trail.gate.check({ reduces: true }).allowed).toBe(true);
    const limits = trail.portfolioLimits({ positionCount: { max: 9 } });
    const portfolio = { equity: 1e6, positions: [{ symbol: 'SPX', quantity: 5, price: 10 }] };
    const order = { symbol: 'SPX', quantity: 1, price: 10 };
    expect(limits.checkEntry(portfolio, { ...order, side: 'buy' }).allowed).toBe(passes);
    expect(limits.checkEntry(portfolio, { ...order, side: 'sell' }).allowed).toBe(true);
    disk.free();
    await expect
      .poll(() => trail.emit('order.placed', ORDER) && trail.gate.state(), { timeout: 20_000 })
      .toBe('ACTIVE');
    expect(limits.checkEntry(portfolio, { ...order, side: 'buy' }).allowed).toBe(true);
    expect(changes).toEqual(passes ? [] : [`ACTIVE → ${state}`, `${state} → ACTIVE`]);
    await trail.close();
    const records = await readTrail(disk.dataDir);
    const events = records.map((record) => record.event);
    expect(events).toContain('audit.degraded');
    // Both changes waited or were written; the end of the outage stands behind the record of it.
    const told = records.filter((record) => record.event === 'risk.trading_state_change');
    expect(told.map((record) => record['risk.reason.code'])).toEqual(
      passes ? [] : ['AUDIT_JOURNAL_FAILED', 'AUDIT_JOURNAL_RECOVERED'],
    );
    if (!passes) expect(events.indexOf('audit.degraded')).toBeLessThan(events.lastIndexOf('risk.trading_state_change'));
    expect((await verifyDirectory(disk.dataDir, { strict: true })).exitCode).toBe(0);
  });

  it('the end of an outage is followed in an idle service, too', async () => {
    const disk = smallDisk();
    const trail = await startTestTrail({ dataDir: disk.dataDir, auditFailure: 'halt', checkpointIntervalMs: 10 });
    disk.fill();
    emitUntilFailing(trail);
    expect(trail.gate.state()).toBe('HALTED');
    disk.free();
    await expect.poll(() => trail.gate.state(), { timeout: 20_000 }).toBe('ACTIVE');
  });
});

describe('garbage for every method', () => {
  const hostile = new Proxy(() => {}, { get: boom, ownKeys: boom, has: boom, apply: boom, getPrototypeOf: boom });
  const textless = Object.create(null) as object;
  const hostileObject = new Proxy({}, { get: boom, ownKeys: boom, has: boom, getPrototypeOf: boom });
  const GARBAGE: readonly unknown[] = [
    undefined,
    null,
    0,
    Number.NaN,
    -1n,
    '',
    'text',
    true,
    Symbol('s'),
    [],
    [null],
    {},
    textless,
    hostile,
    hostileObject,
    () => {},
    new Date(Number.NaN),
    {
      symbol: 'SPX',
      get quantity() {
        return boom();
      },
    },
    { symbol: textless, side: textless, price: textless, context: textless, severity: textless, timeMs: textless },
  ];

  it('never throws, and the trail stays whole', async () => {
    const trail = (await startTestTrail({ clock: createManualClock(START) })) as Untyped;
    const breaker = trail.circuitBreaker('b', { failureThreshold: 3 });
    const stops = trail.trailingStops({ trailingPct: 2 });
    const limits = trail.portfolioLimits({ positionCount: { max: 2 }, orderNotional: { max: 100 } });
    const timer = () => trail.startTimer('t');
    const logger = trail.logger('l');
    const calls: Record<string, (a: unknown, b: unknown) => unknown> = {
      emit: (a, b) => trail.emit(a, b),
      'emit attributes': (a, b) => trail.emit('order.placed', a, b),
      'emit options': (a) => trail.emit('order.placed', ORDER, a),
      withContext: (a) => trail.withContext(a, () => 1),
      timed: (a, b) => trail.timed(a, () => 1, b),
      startTimer: (a, b) => trail.startTimer(a, b).stop(),
      stop: (a) => timer().stop(a),
      logger: (a, b) => logger.info(a, b),
      error: (a, b) => logger.error(a, b),
      child: (a) => logger.child(a).warn('x'),
      'new logger': (a) => trail.logger(a).info('x'),
      sizePosition: (a) => trail.sizePosition(a),
      validateSignal: (a, b) => trail.validateSignal(a, b),
      checkEntry: (a, b) => limits.checkEntry(a, b),
      recordFill: (a) => limits.recordFill(a),
      recordEquity: (a) => limits.recordEquity(a),
      health: (a) => limits.health(a),
      add: (a) => stops.add(a),
      tick: (a, b) => stops.tick(a, b),
      bar: (a, b) => stops.bar(a, b),
      remove: (a, b) => stops.remove(a, b),
      get: (a) => stops.get(a),
      allow: (a) => breaker.allow(a),
      success: (a, b) => breaker.success(a, b),
      failure: (a, b) => breaker.failure(a, b),
      recordTrade: (a) => breaker.recordTrade(a),
      trip: (a) => breaker.trip(a),
      reset: (a) => breaker.reset(a),
      configure: (a, b) => breaker.configure(a, b),
      demand: (a) => trail.gate.demand(a),
      check: (a) => trail.gate.check(a),
      halt: (a) => trail.gate.halt(a),
      resume: (a) => trail.gate.resume(a),
      'gate state': (a) => trail.gate.state(a),
      snapshot: () => trail.snapshot(),
      'trail health': () => trail.health(),
    };
    const thrown: string[] = [];
    for (const [name, call] of Object.entries(calls)) {
      for (const [i, a] of GARBAGE.entries()) {
        for (const b of [undefined, GARBAGE[(i * 7 + 3) % GARBAGE.length], hostile]) {
          try {
            call(a, b);
          } catch (error) {
            thrown.push(`${name}(#${i}): ${String(error).slice(0, 80)} ${(error as Error).stack?.split('\n')[2]}`);
          }
        }
      }
    }
    expect([...new Set(thrown)]).toEqual([]);
    // What passes through is the caller's own, whatever it is.
    for (const value of GARBAGE) {
      expect(trail.withContext({}, () => value)).toBe(value);
      expect(trail.timed('t', () => value)).toBe(value);
    }
    await trail.close();
    expect(await verifyDirectory(trail.dataDir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });

  it('a temporary directory is made for nothing where the options are wrong', async () => {
    const dataDir = temporaryDirectory();
    await expect(startTestTrail({ dataDir, auditFailure: 'stop' } as Untyped)).rejects.toMatchObject({
      code: 'OPTION_INVALID',
    });
    expect(readdirSync(dataDir)).toEqual([]);
  });
});
