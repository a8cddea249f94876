import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Answer } from '../../src/audit/ship/answer.ts';
import { upTo } from '../support/made-stream.ts';
import { ACCEPTED, numbered, outage, REFUSED, SILENT, TOO_LARGE, watchedDelivery } from '../support/ship-delivery.ts';

const { signal } = new AbortController();

/** A receiver with moods: for a while it answers anything, then it settles on refusing the bad records only. */
const moods = fc.array(fc.constantFrom('outage', 'silent', 'refused', 'too-large', 'accepted', 'partial'), {
  maxLength: 60,
});

function answerIn(mood: string | undefined, numbers: readonly number[], bad: ReadonlySet<number>): Answer {
  const rejected = numbers.filter((one) => bad.has(one)).length;
  switch (mood) {
    case 'outage':
      return outage(5);
    case 'silent':
      return SILENT;
    case 'refused':
      return REFUSED;
    case 'too-large':
      return TOO_LARGE;
    case 'partial':
      if (rejected > 0 && rejected < numbers.length) return { kind: 'partial', rejected, told: 'some' };
  }
  return rejected > 0 ? REFUSED : ACCEPTED;
}

describe('for any sequence of answers', () => {
  it('every record is accepted or set aside at least once, and none is set aside that was never refused alone', async () => {
    await fc.assert(
      fc.asyncProperty(
        moods,
        fc.integer({ min: 2, max: 40 }),
        fc.uniqueArray(fc.nat(39), { maxLength: 5 }),
        fc.integer({ min: 1, max: 15 }),
        async (sequenceOfMoods, count, badNumbers, batchSize) => {
          // Number 0 is good, and in each batch one is: a receiver that refuses all of it is another case.
          const bad = new Set(badNumbers.filter((one) => one % batchSize !== 0));
          const refusedAlone = new Set<number>();
          const { delivery, accepted } = watchedDelivery((numbers, index) => {
            const answer = answerIn(sequenceOfMoods[index], numbers, bad);
            if (numbers.length === 1 && (answer.kind === 'refused' || answer.kind === 'too-large')) {
              refusedAlone.add(numbers[0]!);
            }
            return answer;
          });
          const decided: number[] = [];
          const aside = new Set<number>();
          let rounds = 0;
          for (let from = 0; from < count; ) {
            const batch = upTo(count).slice(from, from + batchSize);
            const known = accepted.length;
            const result = await delivery.deliver(numbered(batch), signal);
            expect(++rounds).toBeLessThan(500);
            if (result.kind === 'all-refused') continue;
            const refused = result.refused.map(({ line }) => line.sequence);
            // In order, and only beside others of the batch that were accepted.
            expect(refused).toEqual(refused.toSorted((a, b) => a - b));
            const acceptedNow = accepted.slice(known).filter((one) => batch.includes(one));
            if (refused.length > 0) expect(acceptedNow.some((one) => !refused.includes(one))).toBe(true);
            for (const one of refused) aside.add(one);
            decided.push(...batch);
            from += batch.length;
          }
          expect(decided).toEqual(upTo(count));
          for (const one of decided) expect(accepted.includes(one) || aside.has(one)).toBe(true);
          for (const one of aside) expect(refusedAlone.has(one)).toBe(true);
          for (const one of bad) if (one < count) expect(aside.has(one)).toBe(true);
          // What is accepted the first time comes in the order of the stream.
          const first = [...new Set(accepted)];
          expect(first).toEqual(first.toSorted((a, b) => a - b));
        },
      ),
      { numRuns: 500 },
    );
  });

  it('nothing is ever set aside by a receiver that refuses everything', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 4 }), async (count, rounds) => {
        const { delivery } = watchedDelivery((_, index) => (index % 3 === 0 ? TOO_LARGE : REFUSED));
        for (let i = 0; i < rounds; i++) {
          expect(await delivery.deliver(numbered(upTo(count)), signal)).toMatchObject({ kind: 'all-refused' });
        }
      }),
    );
  });
});
