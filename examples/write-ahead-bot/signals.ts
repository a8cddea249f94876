/** The bot's market: prices and signals that follow from their number alone, and the limits that the bot keeps. */

/** Largest position, either way, and largest realised loss of a day. */
export const LIMITS = { position: 12, dailyLoss: 40 } as const;

/** What the bot is to do at one moment. */
export interface Signal {
  readonly signal: number;
  readonly side: 'buy' | 'sell';
  readonly quantity: number;
  readonly price: number;
}

/** A number from 0 to below 1 that follows from `seed` (mulberry32). */
export function chance(seed: number): number {
  let value = (seed + 0x6d2b79f5) | 0;
  value = Math.imul(value ^ (value >>> 15), value | 1);
  value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
  return ((value ^ (value >>> 14)) >>> 0) / 4_294_967_296;
}

/** The signal of a number. */
export function signalOf(signal: number): Signal {
  return {
    signal,
    side: chance(signal * 3 + 1) < 0.5 ? 'buy' : 'sell',
    quantity: 1 + Math.floor(chance(signal * 3 + 2) * 6),
    price: Math.round((100 + 4 * Math.sin(signal / 9) + 2 * chance(signal * 3 + 3)) * 100) / 100,
  };
}
