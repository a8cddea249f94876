import { describe, expect, it } from 'vitest';
import { createUuidV7 } from '../../../src/core/uuid.ts';

const V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe('record ids', () => {
  it('are UUIDv7s of their millisecond, all different and in the order of their making', () => {
    const next = createUuidV7();
    const start = Date.UTC(2024, 0, 2);
    const ids = Array.from({ length: 20_000 }, (_, i) => next(start + Math.floor(i / 100)));
    expect(ids.every((id) => V7.test(id))).toBe(true);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.toSorted()).toEqual(ids);
    expect(Number.parseInt(ids[0]!.slice(0, 13).replace('-', ''), 16)).toBe(start);
  });

  it('go on in order through more ids than a millisecond holds, and when the clock goes back', () => {
    const next = createUuidV7();
    const ids = Array.from({ length: 10_000 }, () => next(1_000_000));
    ids.push(next(999_000), next(Number.NaN), next(1e20), next(-5));
    expect(ids.every((id) => V7.test(id))).toBe(true);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.toSorted()).toEqual(ids);
  });

  it('of two generators differ in the same millisecond', () => {
    const [one, other] = [createUuidV7(), createUuidV7()];
    const ids = Array.from({ length: 1000 }, () => [one(5), other(5)]).flat();
    expect(new Set(ids).size).toBe(ids.length);
  });
});
