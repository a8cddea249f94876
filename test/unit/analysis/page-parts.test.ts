import { describe, expect, it } from 'vitest';
import { narrowed, type Point, pointsOf, type Stretch } from '../../../src/analysis/page/downsample.ts';
import { durationText, numberText, percentText } from '../../../src/analysis/page/format.ts';
import { cut, escapeHtml, html } from '../../../src/analysis/page/html.ts';

import { periodsOf, periodText, unitOf } from '../../../src/analysis/page/periods.ts';
import { ticksOf } from '../../../src/analysis/page/ticks.ts';
import { segmentsOf, standingOf, timeIn } from '../../../src/analysis/page/timeline.ts';

const DAY = 86_400_000;

/** A walk whose extremes stand anywhere. */
function walk(count: number): Point[] {
  let value = 100;
  let seed = 7;
  return Array.from({ length: count }, (_, at) => {
    seed = (seed * 16_807) % 2_147_483_647;
    value += seed / 2_147_483_647 - 0.5;
    return [at * 1000, value] as const;
  });
}
const each = (points: readonly Point[]): Stretch[] =>
  points.map((point) => ({ first: point, low: point, high: point, last: point, n: 1 }));

describe('fewer points for the same picture', () => {
  const points = walk(5000);
  const few = narrowed(each(points), 40);

  it('leave at most as many stretches as asked', () => {
    expect(few.length).toBeLessThanOrEqual(40);
    expect(few.length).toBeGreaterThan(30);
    expect(few.reduce((sum, { n }) => sum + n, 0)).toBe(5000);
  });

  it('keep first, last and both extremes of the whole and of every stretch', () => {
    const kept = pointsOf(few);
    const byValue = points.toSorted((a, b) => a[1] - b[1]);
    for (const point of [points[0], points.at(-1), byValue[0], byValue.at(-1)]) expect(kept).toContainEqual(point);
    let from = 0;
    for (const { n, low, high, first, last } of few) {
      const own = points.slice(from, from + n);
      from += n;
      expect([low[1], high[1]]).toEqual([Math.min(...own.map(([, v]) => v)), Math.max(...own.map(([, v]) => v))]);
      expect([first, last]).toEqual([own[0], own.at(-1)]);
    }
  });

  it('stay in the order of time, each once', () => {
    const times = pointsOf(few).map(([ms]) => ms);
    expect(times).toEqual([...new Set(times)].sort((a, b) => a - b));
  });

  it('are left alone where there are few already, and where all are of one moment', () => {
    expect(narrowed(each(points.slice(0, 5)), 10)).toHaveLength(5);
    const same: Point[] = Array.from({ length: 20 }, (_, at) => [0, at]);
    expect(pointsOf(narrowed(each(same), 3))).toEqual([
      [0, 0],
      [0, 19],
    ]);
  });
});

describe('states over time', () => {
  const changes = [
    { ms: 100, state: 'OPEN', old: 'CLOSED' },
    { ms: 200, state: 'HALF_OPEN', old: 'OPEN' },
    { ms: 250, state: 'CLOSED', old: 'HALF_OPEN' },
  ];

  it('fill the range without gaps, from what the first change says was before', () => {
    expect(segmentsOf(changes, 0, 400)).toEqual([
      { state: 'CLOSED', fromMs: 0, toMs: 100 },
      { state: 'OPEN', fromMs: 100, toMs: 200 },
      { state: 'HALF_OPEN', fromMs: 200, toMs: 250 },
      { state: 'CLOSED', fromMs: 250, toMs: 400 },
    ]);
  });

  it('begin before the range and are cut to it', () => {
    expect(segmentsOf(changes, 150, 220)).toEqual([
      { state: 'OPEN', fromMs: 150, toMs: 200 },
      { state: 'HALF_OPEN', fromMs: 200, toMs: 220 },
    ]);
  });

  it('leave out what nobody knows, and join what stays the same', () => {
    const told = [
      { ms: 100, state: 'CLOSED', old: null },
      { ms: 200, state: 'CLOSED', old: null },
    ];
    expect(segmentsOf(told, 0, 300)).toEqual([{ state: 'CLOSED', fromMs: 100, toMs: 300 }]);
    expect(segmentsOf([], 0, 300)).toEqual([]);
  });

  it('are never of negative length where a clock was set back', () => {
    const back = [
      { ms: 100, state: 'OPEN', old: 'CLOSED' },
      { ms: 50, state: 'CLOSED', old: 'OPEN' },
    ];
    expect(segmentsOf(back, 0, 200)).toEqual([{ state: 'CLOSED', fromMs: 0, toMs: 200 }]);
  });

  it('add up by how grave they are', () => {
    expect(timeIn(segmentsOf(changes, 0, 400))).toEqual({ normal: 250, caution: 50, halted: 100, off: 0, unknown: 0 });
    expect(['HALTED', 'FORCED_OPEN', 'REDUCING', 'DISABLED', 'what?'].map(standingOf)).toEqual([
      'halted',
      'halted',
      'caution',
      'off',
      'unknown',
    ]);
  });
});

describe('periods and ticks', () => {
  const scope = (from: string, to: string) => {
    const [fromMs, toMs] = [Date.parse(from), Date.parse(to)] as const;
    const base = { fromNs: '', toNs: '', symbol: undefined, strategy: undefined, account: undefined };
    return { ...base, fromMs, toMs, unit: unitOf(toMs - fromMs) };
  };

  it('are of the calendar and cover the range', () => {
    const years = scope('2000-02-01T12:00:00Z', '2020-04-17T20:00:00Z');
    expect(years.unit).toBe('quarter');
    const names = periodsOf(years).map((ms) => periodText(ms, years.unit));
    expect([names[0], names.at(-1), names.length]).toEqual(['2000 Q1', '2020 Q2', 82]);
    const day = scope('2020-03-16T14:30:00Z', '2020-03-16T20:00:00Z');
    expect(day.unit).toBe('hour');
    expect(periodsOf(day).map((ms) => periodText(ms, day.unit))).toEqual([
      '03-16 14:00',
      '03-16 15:00',
      '03-16 16:00',
      '03-16 17:00',
      '03-16 18:00',
      '03-16 19:00',
      '03-16 20:00',
    ]);
    const months = scope('2019-01-02T00:00:00Z', '2020-01-02T00:00:00Z');
    expect(months.unit).toBe('week');
    expect(periodsOf(months).every((ms) => new Date(ms).getUTCDay() === 1)).toBe(true);
  });

  it('mark round times, never too many', () => {
    expect(ticksOf(Date.UTC(2000, 1, 1), Date.UTC(2020, 3, 17), 11).map(({ text }) => text)).toEqual([
      '2002',
      '2004',
      '2006',
      '2008',
      '2010',
      '2012',
      '2014',
      '2016',
      '2018',
      '2020',
    ]);
    expect(ticksOf(Date.UTC(2020, 2, 16, 14, 30), Date.UTC(2020, 2, 16, 20), 6).map(({ text }) => text)).toEqual([
      '15:00',
      '16:00',
      '17:00',
      '18:00',
      '19:00',
      '20:00',
    ]);
    for (const span of [1, 1000, 60_000, DAY, 40 * DAY, 400 * DAY, 9000 * DAY]) {
      expect(
        ticksOf(Date.UTC(2001, 4, 5, 6, 7, 8), Date.UTC(2001, 4, 5, 6, 7, 8) + span, 8).length,
      ).toBeLessThanOrEqual(9);
    }
  });
});

describe('text of the page', () => {
  it('is the same in every language of the machine', () => {
    expect([1_234_567.891, -0.000123, 12, 0, -1234, 0.1 + 0.2].map(numberText)).toEqual([
      '1,234,567.89',
      '−0.000123',
      '12',
      '0',
      '−1,234',
      '0.3',
    ]);
    expect([0.0336283, 1, 0.999, 12.5].map(percentText)).toEqual(['3.36 %', '100 %', '99.9 %', '1,250 %']);
    expect([0.4, 999, 4200, 37 * 60_000, 100 * 60_000, 2 * DAY + 4 * 3_600_000].map(durationText)).toEqual([
      '0.4 ms',
      '999 ms',
      '4.2 s',
      '37 min',
      '1 h 40 min',
      '2 d 4 h',
    ]);
  });

  it('escapes whatever is put in, and shows what hides', () => {
    const hostile = `</script><img src=x onerror=alert(1)>'"&\u0000\u202e`;
    expect(html`<p title="${hostile}">${hostile}</p>`.text).toBe(
      '<p title="&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;&#39;&quot;&amp;\ufffd\ufffd">&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;&#39;&quot;&amp;\ufffd\ufffd</p>',
    );
    expect(escapeHtml('a\nb\tc')).toBe('a b c');
    expect(html`${[html`<b>1</b>`, '<', null, 2]}`.text).toBe('<b>1</b>&lt;2');
    expect(cut('😀😀😀', 2)).toBe('😀…');
  });
});
