import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { countOf, SequenceSet, unite } from '../../src/audit/reconcile/sequence-set.ts';

const numbers = fc.array(
  fc.oneof(
    fc.integer({ min: 0, max: 40 }),
    fc.integer({ min: 65_500, max: 65_580 }),
    fc.integer({ min: 0, max: 500_000 }),
  ),
);

const rangesOf = (values: readonly number[]) => {
  const ranges: { first: number; last: number }[] = [];
  for (const value of values.toSorted((a, b) => a - b)) {
    const before = ranges.at(-1);
    if (before !== undefined && value <= before.last + 1) before.last = value;
    else ranges.push({ first: value, last: value });
  }
  return ranges;
};

describe('a set of sequence numbers', () => {
  it('holds what was added, and tells its ranges', () => {
    fc.assert(
      fc.property(numbers, (values) => {
        const [set, model] = [new SequenceSet(), new Set<number>()];
        for (const value of values) {
          expect(set.add(value)).toBe(!model.has(value));
          model.add(value);
        }
        expect(set.size).toBe(model.size);
        expect(set.highest).toBe(Math.max(-1, ...values));
        expect(values.every((value) => set.has(value))).toBe(true);
        expect(set.ranges()).toEqual(rangesOf([...model]));
      }),
    );
  });

  it('tells what is missing between two numbers: with what is held, everything once', () => {
    fc.assert(
      fc.property(numbers, fc.nat(70_000), fc.nat(70_000), (values, from, length) => {
        const set = new SequenceSet();
        for (const value of values) set.add(value);
        const to = from + length;
        const missing = set.missing(from, to);
        const held = new Set(values.filter((value) => value >= from && value < to));
        expect(countOf(missing) + held.size).toBe(length);
        for (const { first, last } of missing) {
          expect(first >= from && last < to && first <= last).toBe(true);
          expect([...held].some((value) => value >= first && value <= last)).toBe(false);
        }
      }),
    );
  });

  it('unites ranges', () => {
    fc.assert(
      fc.property(fc.array(fc.array(fc.nat(60))), (lists) => {
        expect(unite(...lists.map((list) => rangesOf(list)))).toEqual(rangesOf(lists.flat()));
      }),
    );
    expect(new SequenceSet().ranges()).toEqual([]);
    expect(new SequenceSet().missing(3, 5)).toEqual([{ first: 3, last: 4 }]);
  });
});
