import { expect, it } from 'vitest';
import { Calm } from '../../../src/audit/journal/calm.ts';

/** How long after its last stall a slow time that began at `start`, with quick writes since, may end. */
function needed(calm: Calm, start: number): number {
  calm.begin(start);
  calm.wasQuick();
  let after = 0;
  while (!calm.isReached(start + after)) after += 100;
  calm.end(start + after);
  return after;
}

it('each slow time soon after another takes twice the calm, up to a minute; one much later the usual one', () => {
  const calm = new Calm(1000);
  let now = 50_000;
  const taken: number[] = [];
  for (let i = 0; i < 8; i++) {
    taken.push(needed(calm, now));
    now += taken.at(-1)! * 2;
  }
  expect(taken).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
  expect(needed(calm, now + 700_000)).toBe(1000);
});

it('a stall begins the calm anew, and only a quick write after it can end it', () => {
  const calm = new Calm(1000);
  calm.begin(0);
  expect(calm.isReached(5000)).toBe(false);
  calm.wasQuick();
  expect(calm.isReached(999)).toBe(false);
  calm.stalled(2000);
  expect(calm.isReached(10_000)).toBe(false);
  calm.wasQuick();
  expect([calm.isReached(2999), calm.isReached(3000)]).toEqual([false, true]);
});
