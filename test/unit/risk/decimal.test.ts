import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { changedByPercent, difference, percentOf, product, quotientDown, sum } from '../../../src/risk/decimal.ts';

describe('arithmetic on the decimals that people write', () => {
  it('gives the number that the reader would type where binary floating point misses it', () => {
    expect(0.1 + 0.2).not.toBe(0.3);
    expect(sum(0.1, 0.2)).toBe(0.3);
    expect(99.96 - 99.5).not.toBe(0.46);
    expect(difference(99.96, 99.5)).toBe(0.46);
    expect(3 * 0.1).not.toBe(0.3);
    expect(product(3, 0.1)).toBe(0.3);
    expect(1.1 * (1 - 0.1)).not.toBe(0.99 * 1);
    expect(changedByPercent(1.1, -10)).toBe(0.99);
    expect(percentOf(10_000, 0.07)).toBe(7);
  });

  it('reads exponents and negative numbers', () => {
    expect(sum(1e21, 1)).toBe(1e21);
    expect(product(1e-7, 3)).toBe(3e-7);
    expect(difference(1.5e-7, 1e-7)).toBe(5e-8);
    expect(changedByPercent(0.00000123, 2)).toBe(0.0000012546);
    expect(difference(1, 2.5)).toBe(-1.5);
    expect(sum(-0, 0)).toBe(0);
  });

  it('cuts a quotient down to the step without losing a whole one', () => {
    expect(Math.floor(0.3 / 0.1)).toBe(2);
    expect(quotientDown([0.3], [1], 0.1)).toBe(0.3);
    expect(quotientDown([0.3], [0.1], 1)).toBe(3);
    expect(quotientDown([100], [3], 0.01)).toBe(33.33);
    expect(quotientDown([100], [3])).toBe(33.3333333333333);
    expect(quotientDown([2], [3])).toBe(0.666666666666666);
    expect(quotientDown([1e-9], [3])).toBe(3.33333333333333e-10);
    expect(quotientDown([1e20], [3])).toBe(33_333_333_333_333_300_000);
  });

  it('agrees with whole-number arithmetic on cents', () => {
    const cents = fc.integer({ min: -1_000_000_000, max: 1_000_000_000 });
    fc.assert(
      fc.property(cents, cents, (a, b) => {
        expect(sum(a / 100, b / 100)).toBe((a + b) / 100 + 0);
        expect(difference(a / 100, b / 100)).toBe((a - b) / 100 + 0);
      }),
      { seed: 20_240_102 },
    );
  });

  it('never rounds a quotient up, and misses at most one step', () => {
    const whole = fc.integer({ min: 1, max: 1_000_000 });
    fc.assert(
      fc.property(whole, whole, whole, (over, under, step) => {
        const cut = quotientDown([over], [under], step / 1000);
        const steps = Math.round((cut * 1000) / step);
        expect(BigInt(steps) * BigInt(step) * BigInt(under) <= BigInt(over) * 1000n).toBe(true);
        expect(BigInt(steps + 1) * BigInt(step) * BigInt(under) > BigInt(over) * 1000n).toBe(true);
      }),
      { seed: 20_240_102 },
    );
  });
});
