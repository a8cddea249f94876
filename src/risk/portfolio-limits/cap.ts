/** The largest quantity that limits in mode `cap` allow. */
import type { Measure } from './kinds.ts';
import type { OrderParts } from './portfolio.ts';
import { isBeyond } from './result.ts';

/**
 * The largest part of an order's adding quantity that keeps every limit, as steps allow. Measures are linear in the
 * quantity, so each limit's room is a division; rounding is then settled by the very comparison that a check makes.
 * @param caps the limits that the whole order would exceed
 * @param step the order's quantity, reducing part included, is a multiple of it; without it any fraction is possible
 * @returns 0 ≤ quantity < adding
 */
export function cappedAdding(caps: readonly Measure[], parts: OrderParts, step: number | undefined): number {
  const keeps = (adding: number) => caps.every((m) => !isBeyond(m.base + m.slope * adding, m.max));
  let room = parts.adding;
  for (const m of caps) room = Math.min(room, (m.max - m.base) / m.slope);
  if (!(room > 0) || !keeps(0)) return 0;
  if (step === undefined) {
    // Each try gives up a few units in the last place.
    for (let tries = 0; tries < 8 && !keeps(room); tries += 1) room *= 1 - 2 ** -50;
    return keeps(room) && room < parts.adding ? room : 0;
  }
  const { reducing } = parts;
  const addingOf = (steps: number) => multiple(steps, step) - reducing;
  let steps = Math.floor((reducing + room) / step);
  // The division is off by a step at most; a step too small for the numbers' precision must not keep us here.
  for (let tries = 0; tries < 4 && addingOf(steps) > 0 && !keeps(addingOf(steps)); tries += 1) steps -= 1;
  for (let tries = 0; tries < 4 && addingOf(steps + 1) < parts.adding && keeps(addingOf(steps + 1)); tries += 1)
    steps += 1;
  const adding = addingOf(steps);
  return adding > 0 && keeps(adding) ? adding : 0;
}

/** `steps` × `step` as a person would write it: 3 × 0.1 is 0.3. */
const multiple = (steps: number, step: number): number => Number((steps * step).toPrecision(15));
