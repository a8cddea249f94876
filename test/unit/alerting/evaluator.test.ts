import { describe, expect, it } from 'vitest';
import { AlertEvaluator } from '../../../src/alerting/evaluator.ts';
import { AlertFold } from '../../../src/alerting/open-alerts.ts';
import { testAlertEvent, testRule } from '../../support/alerting.ts';

const of = [{ events: ['a'] }];
const count = testRule({
  id: 'many',
  measure: { kind: 'count', of },
  windowMs: 1000,
  groupBy: [{ attribute: 'symbol' }],
  condition: { is: '>=', threshold: 3 },
});
const state = testRule({
  id: 'state',
  measure: { kind: 'last', of, value: { attribute: 'v' } },
  windowMs: 1000,
  condition: { is: '>', threshold: 0 },
});
const a = (timeMs: number, attributes: Record<string, unknown> = {}) => testAlertEvent('a', timeMs, attributes);
const kinds = (transitions: readonly { kind: string; rule: { id: string } }[]) =>
  transitions.map(({ kind, rule }) => `${rule.id} ${kind}`);

describe('the memory of the evaluator', () => {
  it('holds the newest samples of a group, so that a count stands at the bound', () => {
    const evaluator = new AlertEvaluator([count], { maxSamples: 5 });
    for (let i = 0; i < 50; i++) evaluator.observe(a(100), 100);
    expect(evaluator.measures().map(({ value }) => value)).toEqual([5]);
    expect(evaluator.open()).toHaveLength(1);
  });

  it('forgets a quiet group for a new one, and never one that is raised', () => {
    const evaluator = new AlertEvaluator([count], { maxGroups: 2 });
    for (const symbol of ['x', 'x', 'x', 'y', 'z']) evaluator.observe(a(100, { symbol }), 100);
    expect(evaluator.measures().map(({ group }) => group['symbol'])).toEqual(['x', 'z']);
    for (let i = 0; i < 2; i++) evaluator.observe(a(100, { symbol: 'z' }), 100);
    evaluator.observe(a(100, { symbol: 'new' }), 100);
    expect(evaluator.open().map(({ group }) => group['symbol'])).toEqual(['x', 'z']);
    expect(evaluator.ignoredGroups).toBe(1);
  });

  it('keeps nothing of a group whose window has gone by', () => {
    const evaluator = new AlertEvaluator([count, state]);
    for (let i = 0; i < 100; i++) evaluator.observe(a(100, { symbol: `s${i}`, v: 0 }), 100);
    evaluator.advance(1099);
    expect(evaluator.measures()).toHaveLength(101);
    evaluator.advance(1100);
    expect(evaluator.measures()).toEqual([]);
    expect(evaluator.dueMs).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('time', () => {
  it('tells what is due at its own time, however late it is asked', () => {
    const evaluator = new AlertEvaluator([count]);
    for (let i = 0; i < 3; i++) evaluator.observe(a(100 + i), 100 + i);
    expect(evaluator.advance(50_000)).toMatchObject([{ kind: 'resolved', timeMs: 1100, value: 2 }]);
  });

  it('never goes back', () => {
    const evaluator = new AlertEvaluator([count]);
    evaluator.advance(10_000);
    for (let i = 0; i < 3; i++) evaluator.observe(a(9500), 5000);
    expect(evaluator.open()).toHaveLength(1);
    expect(evaluator.advance(10_500)).toMatchObject([{ kind: 'resolved', timeMs: 10_500 }]);
  });
});

describe('an alert of before a restart', () => {
  it('is not raised again, and stands for the window of its rule', () => {
    const evaluator = new AlertEvaluator([count]);
    expect(evaluator.restore('many', 'bot', { symbol: 'x' }, 'firing', 5000)).toBe(true);
    for (let i = 0; i < 3; i++) expect(evaluator.observe(a(5100, { symbol: 'x' }), 5100)).toEqual([]);
    expect(kinds(evaluator.advance(6099))).toEqual([]);
    expect(kinds(evaluator.advance(6100))).toEqual(['many resolved']);
  });

  it('is resolved at the end of the window where nothing more comes', () => {
    const evaluator = new AlertEvaluator([count]);
    evaluator.restore('many', 'bot', { symbol: 'x' }, 'firing', 5000);
    expect(evaluator.advance(60_000)).toMatchObject([{ kind: 'resolved', timeMs: 6000, value: undefined }]);
  });

  it('is resolved at once where one event tells the whole state', () => {
    const evaluator = new AlertEvaluator([state]);
    evaluator.restore('state', 'bot', {}, 'firing', 5000);
    expect(kinds(evaluator.observe(a(5001, { v: 0 }), 5001))).toEqual(['state resolved']);
  });

  it('of a rule that no longer runs is left alone', () => {
    expect(new AlertEvaluator([count]).restore('gone', 'bot', {}, 'firing', 5000)).toBe(false);
  });
});

describe('an alert that a person ended', () => {
  it('is raised again once its condition has not held in between', () => {
    const evaluator = new AlertEvaluator([state]);
    const [raised] = evaluator.observe(a(1, { v: 1 }), 1);
    expect(evaluator.close(raised!.key)).toBe(true);
    expect(evaluator.close(raised!.key)).toBe(false);
    expect(evaluator.observe(a(2, { v: 1 }), 2)).toEqual([]);
    expect(evaluator.observe(a(3, { v: 0 }), 3)).toEqual([]);
    expect(kinds(evaluator.observe(a(4, { v: 1 }), 4))).toEqual(['state raised']);
  });
});

describe('what an alert is told with', () => {
  it('are the newest ten events of the window', () => {
    const evaluator = new AlertEvaluator([{ ...count, condition: { is: '>=', threshold: 20 } }]);
    const told = Array.from({ length: 20 }, (_, i) => evaluator.observe(a(100 + i), 100 + i)).flat();
    expect(told[0]!.events).toEqual(Array.from({ length: 10 }, (_, i) => `a@${110 + i}`));
  });

  it('of a share that is too low are the events that make it so', () => {
    const measure = { kind: 'ratio', of, among: [{ events: ['a', 'b'] }], atLeast: 2 } as const;
    const evaluator = new AlertEvaluator([
      testRule({ id: 'low', measure, windowMs: 1000, condition: { is: '<', threshold: 0.9 } }),
    ]);
    evaluator.observe(a(1), 1);
    expect(evaluator.observe(testAlertEvent('b', 2), 2)).toMatchObject([{ value: 0.5, events: ['b@2'] }]);
  });
});

describe('the alerts of a trail', () => {
  it('stand as the last event says, and what ended is not acknowledged any more', () => {
    const fold = new AlertFold();
    const apply = (name: string, id: string, timeMs: number) =>
      fold.apply({
        name,
        service: 'bot',
        timeMs,
        attributes: { 'alert.id': id, 'alert.rule': 'r', 'risk.actor': 'A' },
      });
    apply('alert.raised', '1', 1);
    apply('alert.raised', '2', 2);
    apply('alert.acknowledged', '1', 3);
    apply('alert.resolved', '2', 4);
    apply('alert.acknowledged', '2', 5);
    apply('alert.dismissed', 'unknown', 6);
    expect(fold.all().map(({ id, status }) => [id, status])).toEqual([
      ['1', 'ACKNOWLEDGED'],
      ['2', 'RESOLVED'],
    ]);
    expect(fold.open()).toMatchObject([{ id: '1', actor: 'A', changedMs: 3 }]);
  });

  it('are remembered in bounds: open ones, and the newest of the ended', () => {
    const fold = new AlertFold();
    for (let i = 0; i < 5000; i++) {
      const attributes = { 'alert.id': String(i) };
      fold.apply({ name: 'alert.raised', service: 'bot', timeMs: i, attributes });
      if (i > 0) fold.apply({ name: 'alert.resolved', service: 'bot', timeMs: i, attributes });
    }
    expect(fold.all().length).toBeLessThan(2100);
    expect(fold.open().map(({ id }) => id)).toEqual(['0']);
    expect(fold.all().at(-1)!.id).toBe('4999');
  });
});
