import { describe, expect, it } from 'vitest';
import type { Answer } from '../../../../src/audit/ship/answer.ts';
import { upTo } from '../../../support/made-stream.ts';
import {
  ACCEPTED,
  numbered,
  outage,
  REFUSED,
  SILENT,
  TOO_LARGE,
  watchedDelivery,
} from '../../../support/ship-delivery.ts';

const { signal } = new AbortController();
const PARTIAL: Answer = { kind: 'partial', rejected: 1, told: '200: 1 rejected' };
const has = (numbers: readonly number[], ...wanted: number[]) => wanted.some((one) => numbers.includes(one));

describe('the delivery of a batch', () => {
  it('is one request where all is well', async () => {
    const { delivery, requests } = watchedDelivery(() => ACCEPTED);
    expect(await delivery.deliver(numbered(upTo(9)), signal)).toEqual({ kind: 'done', refused: [] });
    expect(requests).toEqual([upTo(9)]);
  });

  it('waits out an outage, each time up to twice as long, with full jitter up to a bound', async () => {
    const { delivery, requests, pauses } = watchedDelivery((_, index) => (index < 8 ? outage() : ACCEPTED));
    await delivery.deliver(numbered([1]), signal);
    expect(requests).toHaveLength(9);
    expect(pauses).toEqual([500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]);
  });

  it('comes again at once after a success: the next outage begins with a short pause', async () => {
    const answers = [outage(), outage(), ACCEPTED, outage(), ACCEPTED];
    const { delivery, pauses } = watchedDelivery((_, index) => answers[index]!);
    await delivery.deliver(numbered([1]), signal);
    await delivery.deliver(numbered([2]), signal);
    expect(pauses).toEqual([500, 1_000, 500]);
  });

  it('waits no shorter than it was asked to, and a little longer', async () => {
    const { delivery, pauses } = watchedDelivery((_, index) => (index === 0 ? outage(7_000) : ACCEPTED));
    await delivery.deliver(numbered([1]), signal);
    expect(pauses).toEqual([7_500]);
  });

  it('gives each body back once it is decided, and not before', async () => {
    const answers = [outage(), outage(), REFUSED, ACCEPTED, TOO_LARGE, ACCEPTED];
    const { delivery, reused } = watchedDelivery((_, index) => {
      expect(reused).toEqual([[], [], [], [[1, 2]], [[1, 2], [1]], [[1, 2], [1], [2]]][index]);
      return answers[index]!;
    });
    await delivery.deliver(numbered([1, 2]), signal);
    await delivery.deliver(numbered([3]), signal);
    expect(reused).toEqual([[1, 2], [1], [2], [3]]);
  });

  it.each([
    ['no answer', SILENT],
    ['an answer before it was read', { ...outage(), early: true }],
  ])('gives no body back of which an attempt ended with %s', async (_, first) => {
    const { delivery, reused, accepted } = watchedDelivery((_numbers, index) => (index === 0 ? first : ACCEPTED));
    await delivery.deliver(numbered([1, 2]), signal);
    await delivery.deliver(numbered([3]), signal);
    expect(accepted).toEqual([1, 2, 3]);
    expect(reused).toEqual([[3]]);
  });

  it('gives no body back that was refused or accepted before it was read', async () => {
    const early = [{ ...TOO_LARGE, early: true }, { ...ACCEPTED, early: true }, ACCEPTED];
    const { delivery, reused } = watchedDelivery((_, index) => early[index]!);
    await delivery.deliver(numbered([1, 2]), signal);
    expect(reused).toEqual([[2]]);
  });

  it('halves what is too large until it fits', async () => {
    const { delivery, requests, accepted } = watchedDelivery((n) => (n.length > 2 ? TOO_LARGE : ACCEPTED));
    expect(await delivery.deliver(numbered(upTo(8)), signal)).toEqual({ kind: 'done', refused: [] });
    expect(accepted).toEqual(upTo(8));
    expect(requests.map((one) => one.length)).toEqual([8, 4, 2, 2, 4, 2, 2]);
  });

  it('halves what gets no answer at all, since it may be too large for the way', async () => {
    const { delivery, accepted } = watchedDelivery((n) => (n.length > 2 ? SILENT : ACCEPTED));
    expect(await delivery.deliver(numbered(upTo(8)), signal)).toEqual({ kind: 'done', refused: [] });
    expect(accepted).toEqual(upTo(8));
  });

  it('finds the records that are refused', async () => {
    const { delivery, accepted, requests } = watchedDelivery((n) => (has(n, 3, 700) ? REFUSED : ACCEPTED));
    const result = await delivery.deliver(numbered(upTo(1_000)), signal);
    expect(result).toMatchObject({ kind: 'done', refused: [{ line: { sequence: 3 } }, { line: { sequence: 700 } }] });
    expect(accepted).toEqual(upTo(1_000).filter((one) => one !== 3 && one !== 700));
    expect(requests.length).toBeLessThan(45);
  });

  it('finds them by partial success, too', async () => {
    const { delivery } = watchedDelivery((n) => (!has(n, 5) ? ACCEPTED : n.length > 1 ? PARTIAL : REFUSED));
    const result = await delivery.deliver(numbered(upTo(10)), signal);
    expect(result).toMatchObject({ kind: 'done', refused: [{ line: { sequence: 5 }, answer: '400' }] });
  });

  it('takes a lone record that is too large for a refused one', async () => {
    const { delivery } = watchedDelivery((n) => (has(n, 1) ? TOO_LARGE : ACCEPTED));
    const result = await delivery.deliver(numbered([0, 1, 2]), signal);
    expect(result).toMatchObject({ kind: 'done', refused: [{ line: { sequence: 1 }, answer: '413' }] });
  });

  it('refuses nothing where everything is refused', async () => {
    const { delivery } = watchedDelivery(() => REFUSED);
    expect(await delivery.deliver(numbered(upTo(4)), signal)).toEqual({ kind: 'all-refused', told: '400' });
    expect(await delivery.deliver(numbered([0]), signal)).toEqual({ kind: 'all-refused', told: '400' });
  });

  it('looks once for refused records in vain, then asks by one record at a time, and looks again when one gets through', async () => {
    let sick = true;
    const { delivery, requests } = watchedDelivery((n) => (sick || has(n, 2) ? REFUSED : ACCEPTED));
    await delivery.deliver(numbered(upTo(64)), signal);
    expect(requests.splice(0).length).toBe(127);
    await delivery.deliver(numbered(upTo(64)), signal);
    await delivery.deliver(numbered(upTo(64)), signal);
    expect(requests.splice(0)).toEqual([upTo(64), [0], upTo(64), [1]]);
    sick = false;
    // The record that is asked by is the bad one.
    expect(await delivery.deliver(numbered(upTo(64)), signal)).toMatchObject({ kind: 'all-refused' });
    expect(await delivery.deliver(numbered(upTo(64)), signal)).toMatchObject({
      kind: 'done',
      refused: [{ line: { sequence: 2 } }],
    });
  });

  it('asks by a record that was accepted before whether a refusal is of everything', async () => {
    let sick = false;
    const { delivery, requests } = watchedDelivery(() => (sick ? REFUSED : ACCEPTED));
    await delivery.deliver(numbered(upTo(10)), signal);
    sick = true;
    requests.length = 0;
    expect(await delivery.deliver(numbered([10, 11, 12]), signal)).toMatchObject({ kind: 'all-refused' });
    expect(requests).toHaveLength(2);
  });

  it('takes a record that cannot be encoded for a refused one', async () => {
    const { delivery, accepted } = watchedDelivery(() => ACCEPTED);
    const lines = numbered([0, 1, 2]);
    Object.defineProperty(lines[1], 'sequence', {
      get() {
        throw new Error('garbled');
      },
    });
    const result = await delivery.deliver(lines, signal);
    expect(result).toMatchObject({ kind: 'done', refused: [{ answer: 'cannot be encoded: garbled' }] });
    expect(accepted).toEqual([0, 2]);
  });

  it('ends when it is stopped', async () => {
    const stop = new AbortController();
    const { delivery } = watchedDelivery((_, index) => {
      if (index === 2) stop.abort(new Error('stopped here'));
      return outage();
    });
    await expect(delivery.deliver(numbered([1]), stop.signal)).rejects.toThrow('stopped here');
  });
});
