/**
 * One process of `compare-restart.ts`: a circuit breaker of one library, before or after a restart, on a simulated clock.
 * Arguments: library, phase, the state, a directory, the time. Before, it brings the breaker into the state, says so and stands
 * still until it is killed; between, it only makes the breaker, until it is killed as well. After, it makes calls and says which
 * were let through.
 */
import { existsSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { mock } from 'node:test';

/** How the breaker stands when its process ends. */
export type BreakerCase = 'open' | 'half-open' | 'latched';
/** `… saved`: what the library's `toJSON()` gave when the process ended was kept, and is given back to it. */
export type Library = 'opossum' | 'opossum saved' | 'cockatiel' | 'cockatiel saved' | 'risktrail';

export type Phase = 'before' | 'between' | 'after';

/** What the process after the restart saw. */
export interface Seen {
  /** As the library names it. */
  readonly state: string;
  /** Seconds till the first call was let through; null: none within a day. */
  readonly waitSeconds: number | null;
  /** Of three calls at once, then. */
  readonly letThrough: number;
}

/** From the first call to the trip. */
const HEALTHY_MS = 600_000;
const WAIT_MS = 30_000;
const DAY_SECONDS = 86_400;

interface Subject {
  state(): string;
  /** Begins a call whose end never comes. */
  call(): void;
  fail(): Promise<unknown>;
  latch(): void;
  advance(ms: number): void;
  save(): void;
}

const [library, phase, what, directory, time] = process.argv.slice(2) as [Library, Phase, BreakerCase, string, string];
const file = join(directory, 'state.json');
let started = 0;
let fails = false;

function act(): Promise<never> {
  started++;
  return fails ? Promise.reject(new Error('down')) : new Promise(() => {});
}

const settled = () => new Promise((resolve) => setImmediate(resolve));
// biome-ignore lint/suspicious/noExplicitAny: the state as another library keeps it
const saved = (): any =>
  library.endsWith('saved') && existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
const ignore = () => {};

function simulateTime(): void {
  mock.timers.enable({ apis: ['Date', 'setTimeout', 'setInterval'], now: Number(time) });
}

function opossum(): Subject {
  simulateTime();
  const CircuitBreaker = createRequire(import.meta.url)('opossum');
  const options = { resetTimeout: WAIT_MS, timeout: false, errorThresholdPercentage: 50, volumeThreshold: 2 };
  const breaker = new CircuitBreaker(act, { ...options, ...(saved() ?? {}) });
  return {
    state: () =>
      breaker.isShutdown ? 'shut down' : breaker.opened ? 'open' : breaker.halfOpen ? 'half-open' : 'closed',
    call: () => void breaker.fire().catch(ignore),
    fail: () => breaker.fire().catch(ignore),
    // It knows no latch; this is what stays until somebody makes another breaker.
    latch: () => breaker.shutdown(),
    advance: (ms) => mock.timers.tick(ms),
    save: () => writeFileSync(file, JSON.stringify(breaker.toJSON())),
  };
}

async function cockatiel(): Promise<Subject> {
  simulateTime();
  const { CircuitState, ConsecutiveBreaker, circuitBreaker, handleAll } = await import('cockatiel');
  const breaker = circuitBreaker(handleAll, {
    halfOpenAfter: WAIT_MS,
    breaker: new ConsecutiveBreaker(2),
    initialState: saved(),
  });
  const NAMES = {
    [CircuitState.Closed]: 'closed',
    [CircuitState.Open]: 'open',
    [CircuitState.HalfOpen]: 'half-open',
    [CircuitState.Isolated]: 'isolated',
  };
  return {
    state: () => NAMES[breaker.state],
    call: () => void breaker.execute(act).catch(ignore),
    fail: () => breaker.execute(act).catch(ignore),
    latch: () => void breaker.isolate(),
    advance: (ms) => mock.timers.tick(ms),
    save: () => writeFileSync(file, JSON.stringify(breaker.toJSON())),
  };
}

async function risktrail(): Promise<Subject> {
  const { createManualClock } = await import('../src/core/clock.ts');
  const { startRiskTrail } = await import('../src/index.ts');
  const clock = createManualClock(Number(time));
  const trail = await startRiskTrail({
    ...{ serviceName: 'desk', dataDir: join(directory, 'trail'), clock, logLevel: 'off', stallBudgetMs: 0 },
    ...{ healthCheckIntervalMs: 0, snapshotIntervalMs: 0, verifyAfterStartMs: 0 },
  });
  const latched = what === 'latched';
  const breaker = trail.circuitBreaker('broker', { failureThreshold: 2, cooldownMs: WAIT_MS, latched });
  return {
    state: () => breaker.state.toLowerCase().replace('_', '-'),
    call: () => {
      if (breaker.allow().permitted) void act();
    },
    fail: () => {
      const permit = breaker.allow();
      if (permit.permitted) breaker.failure(new Error('down'), permit);
      return Promise.resolve();
    },
    // A latched breaker is one that trips as any other, and stays.
    latch: () => {
      for (let failure = 0; failure < 2; failure++) breaker.failure(new Error('down'));
    },
    advance: (ms) => {
      clock.advance(ms);
      breaker.tick();
    },
    save: ignore,
  };
}

async function before(subject: Subject): Promise<void> {
  subject.advance(HEALTHY_MS);
  if (what === 'latched') {
    subject.latch();
  } else {
    fails = true;
    for (let call = 0; call < 2; call++) await subject.fail();
    fails = false;
  }
  await settled();
  if (what === 'half-open') {
    // A little more than the wait: the probe that is let through is in flight when the process dies.
    subject.advance(WAIT_MS + 1);
    await settled();
    subject.call();
    await settled();
  }
}

function standStill(subject: Subject): void {
  subject.save();
  writeSync(1, `${JSON.stringify({ state: subject.state() })}\n`);
  // Until it is killed.
  process.stdin.resume();
}

async function after(subject: Subject): Promise<Seen> {
  const state = subject.state();
  started = 0;
  for (let seconds = 0; seconds <= DAY_SECONDS; seconds++) {
    subject.call();
    await settled();
    if (started > 0) {
      subject.call();
      subject.call();
      await settled();
      return { state, waitSeconds: seconds, letThrough: started };
    }
    subject.advance(1000);
    if (what === 'latched') {
      // An hour at a time.
      subject.advance(3_599_000);
      seconds += 3599;
    }
  }
  return { state, waitSeconds: null, letThrough: 0 };
}

const subject = await (library === 'risktrail' ? risktrail() : library.startsWith('opossum') ? opossum() : cockatiel());
if (phase !== 'after') {
  if (phase === 'before') await before(subject);
  standStill(subject);
} else {
  writeSync(1, `${JSON.stringify(await after(subject))}\n`);
  process.exit(0);
}
