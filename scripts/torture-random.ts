/** Random numbers from a seed, so that two runs of one seed choose alike. */

/** Draws numbers. */
export interface Random {
  /** From 0 up to, but not including, 1. */
  next(): number;
  /** True so often. */
  chance(probability: number): boolean;
  /** Times between events that know nothing of each other, of this mean; never more than five times as much. */
  wait(mean: number): number;
}

/** Mulberry32, by Tommy Ettinger: https://gist.github.com/tommyettinger/46a874533244883189143505d203312c */
export function createRandom(seed: number): Random {
  let state = seed | 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    next,
    chance: (probability) => next() < probability,
    wait: (mean) => Math.min(-Math.log(1 - next()), 5) * mean,
  };
}
