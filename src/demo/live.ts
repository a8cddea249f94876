/**
 * `risktrail demo --live`: the same book and the same prices with today's timestamps, as fast as is asked for, sent to a
 * Collector: dashboards have something to show.
 */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createSystemClock } from '../core/clock.ts';
import type { RiskTrail } from '../runtime/risk-trail.ts';
import { startRiskTrail } from '../runtime/start.ts';
import { type Pace, TrendBook } from './book.ts';
import { createBroker, createRandom, type SimulatedBroker } from './broker.ts';
import { type DailyBar, loadMarket } from './market.ts';

export interface LiveOptions {
  /** Directory of the trail. @default a new one under the system's temporary directory */
  readonly dir?: string | undefined;
  /** Seed of the broker's outages. @default 15 */
  readonly seed?: number | undefined;
  /** Trading days in a minute. @default 20 */
  readonly speed?: number | undefined;
  /** Only so many days. @default twenty years of them: four hours at the default speed */
  readonly days?: number | undefined;
  /** First day of the market to play, as `2008-09-01`. @default 2007-01-03: the crisis is near */
  readonly from?: string | undefined;
  /** Not a word. */
  readonly quiet?: boolean | undefined;
}

const DEFAULT_SEED = 15;
const DEFAULT_SPEED = 20;
const DEFAULT_FROM = '2007-01-03';
const MINUTE_MS = 60_000;
/** How long a call of the simulated broker takes, and how much longer at worst. */
const FASTEST_MS = 2;
const SLOWER_MS = 80;
const REAL_DAY_MS = 86_400_000;
/** From one opening to the next: the session's 390 minutes and a short night. */
const MINUTES_A_DAY = 400;
const SESSION_MINUTES = 390;
/** The broker's limit for a day grows with the market days in it, as losses do: by the square root. */
const dailyLossShare = (dayMs: number): number => Math.sqrt(REAL_DAY_MS / dayMs);
/** A dashboard's last minutes are never without a state of everything. */
const SNAPSHOT_MS = 15_000;

/**
 * Plays until its days are over or the process is told to end.
 * @returns exit status 0
 * @throws RiskTrailError DEMO_DATA_MISSING, and what `startRiskTrail` throws
 */
export async function runLiveDemo(options: LiveOptions = {}): Promise<number> {
  const { seed = DEFAULT_SEED, speed = DEFAULT_SPEED, from = DEFAULT_FROM, quiet = false } = options;
  const dataDir = options.dir ?? mkdtempSync(join(tmpdir(), 'risktrail-live-'));
  const clock = createSystemClock();
  const dayMs = MINUTE_MS / speed;
  const market = loadMarket();
  const first = Math.max(
    0,
    market.findIndex(({ date }) => date >= from),
  );
  const days = options.days ?? Number.POSITIVE_INFINITY;
  const trail = await startRiskTrail({
    serviceName: 'risktrail-demo',
    environment: 'demo',
    dataDir,
    snapshotIntervalMs: SNAPSHOT_MS,
    healthCheckIntervalMs: SNAPSHOT_MS,
  });
  if (!quiet) {
    console.log(`Playing ${speed} trading days of the S&P 500 a minute from ${from} on; the trail is in ${dataDir}.`);
    console.log('Ctrl-C ends it.');
  }
  const end = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => end.abort());
  const startMs = clock.now();
  const bars = (count: number): readonly DailyBar[] =>
    Array.from({ length: Math.min(count, market.length) }, (_, day) => {
      const opensAtMs = startMs + day * dayMs;
      const bar = market[(first + day) % market.length]!;
      return { ...bar, opensAtMs, closesAtMs: opensAtMs + (SESSION_MINUTES / MINUTES_A_DAY) * dayMs };
    });
  await play(trail, bars(days), {
    seed,
    now: () => clock.now(),
    pace: {
      minuteMs: dayMs / MINUTES_A_DAY,
      dayMs,
      dailyLossShare: dailyLossShare(dayMs),
      pass: async (untilMs) => {
        const waitMs = untilMs - clock.now();
        if (waitMs > 0) await sleep(waitMs, undefined, { signal: end.signal });
      },
    },
    clock,
  }).catch((error: unknown) => {
    if (!end.signal.aborted) throw error;
  });
  await trail.close('demo finished');
  return 0;
}

interface Terms {
  readonly seed: number;
  readonly clock: ReturnType<typeof createSystemClock>;
  readonly pace: Pace;
  now(): number;
}

async function play(trail: RiskTrail, bars: readonly DailyBar[], { seed, clock, pace, now }: Terms): Promise<void> {
  const broker = withLatency(trail, clock, createBroker(bars, seed, now, pace.minuteMs), createRandom(seed));
  const book = new TrendBook(trail, clock, broker, pace);
  for (const bar of bars) await book.trade(bar);
}

/** The simulated broker answers after a while, and each of its calls is recorded with the time that it took. */
function withLatency(
  trail: RiskTrail,
  clock: ReturnType<typeof createSystemClock>,
  broker: SimulatedBroker,
  random: () => number,
): SimulatedBroker {
  return {
    outages: broker.outages,
    async placeOrder(order) {
      const start = clock.monotonic();
      await sleep(FASTEST_MS + SLOWER_MS * random() ** 4);
      try {
        return await broker.placeOrder(order);
      } finally {
        trail.emit('api.call', {
          operation: 'place_order',
          'trading.venue': 'demo',
          'timing.duration_ms': Math.round((clock.monotonic() - start) * 1000) / 1000,
        });
      }
    },
  };
}
