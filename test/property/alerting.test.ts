import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AlertEvaluator } from '../../src/alerting/evaluator.ts';
import type { AlertEvent, AlertRule, Condition, EventSet, Measure } from '../../src/alerting/rule.ts';
import { SampleWindow } from '../../src/alerting/sample-window.ts';
import { naiveEpisodes, naiveMeasure, testAlertEvent, testRule, told } from '../support/alerting.ts';

const UNTIL = 120;

const names = ['a', 'b', 'c'];
const selector = fc.oneof(
  fc.record({ events: fc.subarray(names, { minLength: 1 }) }),
  fc.record({ events: fc.subarray(names, { minLength: 1 }), minSeverity: fc.constant('ERROR' as const) }),
  fc.record({ minSeverity: fc.constant('ERROR' as const) }),
  fc.record({
    events: fc.subarray(names, { minLength: 1 }),
    where: fc.constantFrom(
      [{ attribute: 'kind', is: '=' as const, value: 'x' }],
      [{ attribute: 'kind', is: '!=' as const, value: 'x' }],
      [{ attribute: 'kind', is: 'in' as const, values: ['x', 'y'] }],
      [{ attribute: 'v', is: '>=' as const, value: 1 }],
    ),
  }),
);
const set: fc.Arbitrary<EventSet> = fc.array(selector, { minLength: 1, maxLength: 2 });
const value = fc.constantFrom({ attribute: 'v' }, { attribute: 'v', per: 'w' });
const measure: fc.Arbitrary<Measure> = fc.oneof(
  fc.record({ kind: fc.constant('count' as const), of: set }),
  fc.record({ kind: fc.constant('rate' as const), of: set, perMs: fc.constantFrom(1, 4) }),
  fc.record({ kind: fc.constantFrom('sum' as const, 'mean' as const, 'min' as const, 'max' as const), of: set, value }),
  fc.record({ kind: fc.constantFrom('last' as const, 'rise' as const), of: set, value }),
  fc.record({ kind: fc.constant('quantile' as const), quantile: fc.constantFrom(0, 0.5, 0.75, 1), of: set, value }),
  fc.record({ kind: fc.constant('ratio' as const), of: set, among: set, atLeast: fc.integer({ min: 1, max: 3 }) }),
  fc.record({
    kind: fc.constant('absence' as const),
    of: fc.constant([{ events: ['a'] }]),
    lookbackMs: fc.integer({ min: 45, max: 80 }),
    endedBy: fc.constant([{ events: ['c'] }]),
  }),
);
const condition: fc.Arbitrary<Condition> = fc.oneof(
  fc.record({
    is: fc.constantFrom('>' as const, '>=' as const, '<' as const, '<=' as const),
    threshold: fc.constantFrom(0, 0.5, 1, 2),
  }),
  fc.constant({ is: 'in' as const, values: [1, 2] }),
);
const rule = (id: string): fc.Arbitrary<AlertRule> =>
  fc
    .record({
      measure,
      condition,
      windowMs: fc.integer({ min: 1, max: 40 }),
      forMs: fc.constantFrom(0, 0, 1, 7),
      groupBy: fc.constantFrom([], [{ attribute: 'kind', or: 'none' }]),
      silencedBy: fc.constantFrom([], ['halt']),
    })
    .map((parts) => testRule({ id, ...parts }));
const HALT = testRule({
  id: 'halt',
  measure: { kind: 'last', of: [{ events: ['halt'] }], value: { attribute: 'v' } },
  windowMs: 50,
  condition: { is: '>=', threshold: 2 },
});
const event: fc.Arbitrary<AlertEvent> = fc
  .record({
    name: fc.constantFrom('a', 'b', 'c', 'halt', 'alert.raised', 'other'),
    timeMs: fc.integer({ min: 0, max: 100 }),
    kind: fc.constantFrom('x', 'y', undefined),
    v: fc.constantFrom(undefined, 0, 0.5, 1, '2', 3),
    w: fc.constantFrom(undefined, 0, 1, 2),
    severityNumber: fc.constantFrom(9, 17),
    service: fc.constantFrom('bot', 'bot', 'other'),
  })
  .map(({ name, timeMs, kind, v, w, severityNumber, service }) =>
    testAlertEvent(name, timeMs, { kind, v, w }, { severityNumber, service }),
  );
const history = fc.array(event, { maxLength: 60 }).map((events) => events.toSorted((a, b) => a.timeMs - b.timeMs));

function run(evaluator: AlertEvaluator, events: readonly AlertEvent[]): string[] {
  const transitions = [...events.flatMap((one) => evaluator.observe(one, one.timeMs)), ...evaluator.advance(UNTIL)];
  return transitions.map(({ kind, key, timeMs }) => told(kind, key, timeMs));
}

describe('the streaming evaluator', () => {
  it('raises and resolves what an evaluation of all events at every millisecond does', () => {
    fc.assert(
      fc.property(rule('one'), rule('two'), history, (one, two, events) => {
        const rules = [HALT, one, two].toSorted((a, b) => a.silencedBy.length - b.silencedBy.length);
        const plain = events.filter(({ name }) => name !== 'alert.raised');
        expect(run(new AlertEvaluator(rules), events).sort()).toEqual(naiveEpisodes(rules, plain, UNTIL).sort());
      }),
      { numRuns: 400 },
    );
  });

  it('measures what all events of the window give, at any time', () => {
    fc.assert(
      fc.property(rule('one'), history, fc.integer({ min: 0, max: UNTIL }), (one, events, at) => {
        const single = { ...one, groupBy: [], silencedBy: [] };
        const seen = events.filter(({ timeMs, service }) => timeMs <= at && service === 'bot');
        const evaluator = new AlertEvaluator([single]);
        for (const each of seen) evaluator.observe(each, each.timeMs);
        evaluator.advance(at);
        const relevant = seen.filter(({ name }) => name !== 'alert.raised');
        expect(evaluator.measures()[0]?.value).toEqual(naiveMeasure(single, relevant, at));
      }),
      { numRuns: 400 },
    );
  });

  it('takes events that come late as of their own time', () => {
    fc.assert(
      fc.property(rule('one'), fc.array(event, { maxLength: 40 }), (one, events) => {
        // Nothing expires in between, so only the order of arrival differs.
        const kinds = ['count', 'sum', 'max', 'min', 'mean', 'quantile', 'ratio'];
        fc.pre(kinds.includes(one.measure.kind));
        const wide = { ...one, windowMs: 1000, groupBy: [], silencedBy: [] };
        const evaluator = new AlertEvaluator([wide]);
        const own = events.filter(({ service, name }) => service === 'bot' && name !== 'alert.raised');
        for (const each of own) evaluator.observe(each, 100);
        expect(evaluator.measures()[0]?.value).toEqual(naiveMeasure(wide, own, 100));
      }),
    );
  });
});

describe('a window of samples', () => {
  it('keeps the newest, however many come', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -8, max: 8 }), { maxLength: 300 }), (values) => {
        const window = new SampleWindow(50, true);
        for (const [time, one] of values.entries()) window.add(time, one / 4);
        const kept = values.slice(-50).map((one) => one / 4);
        const sorted = kept.toSorted((a, b) => a - b);
        expect(window.length).toBe(kept.length);
        if (kept.length === 0) return;
        expect([window.sum, window.min, window.max, window.last]).toEqual([
          kept.reduce((a, b) => a + b, 0),
          sorted[0],
          sorted.at(-1),
          kept.at(-1),
        ]);
        expect(window.ones).toBe(kept.filter((one) => one !== 0).length);
      }),
    );
  });
});
