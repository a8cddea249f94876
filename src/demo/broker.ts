/**
 * The broker of the demo. It is simulated: it fills at the price it is asked for, and its outages are synthetic, drawn from
 * a seed. They come more often on days of wide range, as they do in life.
 */
import type { DailyBar } from './market.ts';

/** A repeatable stream of numbers in [0, 1): mulberry32. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export interface BrokerOrder {
  readonly id: string;
  readonly symbol: string;
  readonly side: 'buy' | 'sell';
  readonly quantity: number;
  readonly price: number;
}

/** `timeout`: no answer came, the order may have been executed. `unavailable`: refused at the door. */
export class BrokerError extends Error {
  override readonly name: 'BrokerTimeout' | 'BrokerUnavailable';
  constructor(kind: 'timeout' | 'unavailable') {
    super(kind === 'timeout' ? 'no answer within 5 s' : 'service unavailable (503)');
    this.name = kind === 'timeout' ? 'BrokerTimeout' : 'BrokerUnavailable';
  }
}

/** A time in which the broker fails every order. */
export interface Outage {
  readonly fromMs: number;
  readonly toMs: number;
}

const MINUTE_MS = 60_000;

/** Synthetic outages: a chance each day that grows with the day's range, 20 to 140 minutes from somewhere in the session. */
export function drawOutages(bars: readonly DailyBar[], seed: number, minuteMs = MINUTE_MS): readonly Outage[] {
  const random = createRandom(seed);
  const outages: Outage[] = [];
  for (const bar of bars) {
    const range = (bar.high - bar.low) / bar.open;
    const chance = Math.min(0.6, 0.002 + Math.max(0, range - 0.03) * 12);
    const [draw, start, length] = [random(), random(), random()];
    if (draw >= chance) continue;
    // Most begin near the open, when everybody trades.
    const fromMs = bar.opensAtMs + Math.floor(start ** 3 * 330) * minuteMs;
    outages.push({ fromMs, toMs: fromMs + (20 + Math.floor(length * 120)) * minuteMs });
  }
  return outages;
}

export interface SimulatedBroker {
  /** Fills at the order's price, or rejects with a {@link BrokerError} during an outage. */
  placeOrder(order: BrokerOrder): Promise<{ readonly tradeId: string }>;
  readonly outages: readonly Outage[];
}

/** @param now the clock, epoch milliseconds @param minuteMs how long a minute of the market takes on it */
export function createBroker(
  bars: readonly DailyBar[],
  seed: number,
  now: () => number,
  minuteMs = MINUTE_MS,
): SimulatedBroker {
  const outages = drawOutages(bars, seed, minuteMs);
  const random = createRandom(seed ^ 0x5eed);
  let next = 0;
  let trades = 0;
  return {
    outages,
    async placeOrder(order) {
      const at = now();
      while (next < outages.length && outages[next]!.toMs <= at) next++;
      const outage = outages[next];
      if (outage !== undefined && at >= outage.fromMs)
        throw new BrokerError(random() < 0.5 ? 'timeout' : 'unavailable');
      return { tradeId: `T${String(++trades).padStart(6, '0')}-${order.id}` };
    },
  };
}
