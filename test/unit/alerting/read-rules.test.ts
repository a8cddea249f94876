import { describe, expect, it } from 'vitest';
import { applySettings, readRules } from '../../../src/alerting/read-rules.ts';
import { ALERT_RULES } from '../../../src/alerting/rules.ts';
import { alertText, formatDuration, formatValue } from '../../../src/alerting/text.ts';
import { testRule } from '../../support/alerting.ts';

const own = testRule({
  id: 'own',
  windowMs: 60_000,
  measure: { kind: 'count', of: [{ events: ['acme.rebalanced'] }] },
});
const message = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    return (error as Error).message;
  }
  return 'nothing was thrown';
};
const apply = (rules: unknown) => applySettings(ALERT_RULES, { rules }, 'alerts.yaml');

describe('a file of alert settings', () => {
  it('changes thresholds, windows and severities, and switches rules off', () => {
    const rules = apply({
      errors_per_hour: { threshold: 20, windowMs: 120_000, severity: 'LOW', type: 'INFO', forMs: 5000 },
      rejection_rate: { atLeast: 50 },
      stop_triggered: { enabled: false },
    });
    expect(rules).toHaveLength(ALERT_RULES.length - 1);
    expect(rules.find(({ id }) => id === 'errors_per_hour')).toMatchObject({
      ...{ windowMs: 120_000, severity: 'LOW', type: 'INFO', forMs: 5000 },
      condition: { is: '>', threshold: 20 },
    });
    expect(rules.find(({ id }) => id === 'rejection_rate')).toMatchObject({ measure: { atLeast: 50 } });
    expect(rules.find(({ id }) => id === 'limit_near')).toEqual(ALERT_RULES.find(({ id }) => id === 'limit_near'));
    expect(applySettings(ALERT_RULES, {}, 'alerts.yaml')).toEqual(ALERT_RULES);
  });

  it('that is wrong is refused with the field and the nearest right one', () => {
    expect(message(() => apply({ errors_per_hours: {} }))).toBe(
      'alerts.yaml.rules.errors_per_hours: unknown option (did you mean "errors_per_hour"?)',
    );
    expect(message(() => apply({ errors_per_hour: { treshold: 3 } }))).toBe(
      'alerts.yaml.rules.errors_per_hour.treshold: unknown option (did you mean "threshold"?)',
    );
    expect(message(() => apply({ errors_per_hour: { threshold: 'ten' } }))).toBe(
      'alerts.yaml.rules.errors_per_hour.threshold: expected a finite number, got "ten"',
    );
    expect(message(() => apply({ breaker_open_long: { threshold: 1 } }))).toContain('breaker_open_long.threshold');
    expect(message(() => apply({ errors_per_hour: { atLeast: 1 } }))).toContain('is no ratio');
    expect(message(() => apply({ no_heartbeat: { windowMs: 2_000_000_000 } }))).toContain('lookbackMs');
    expect(message(() => applySettings(ALERT_RULES, { rule: {} }, 'a.json'))).toBe(
      'a.json.rule: unknown option (did you mean "rules"?)',
    );
    expect(message(() => applySettings(ALERT_RULES, [], 'a.json'))).toContain('a.json');
  });
});

describe('rules of one’s own', () => {
  it('stand beside the others, or in the place of one', () => {
    expect(readRules([own]).at(-1)).toEqual(own);
    const replaced = readRules([{ ...own, id: 'stop_gap' }]);
    expect(replaced).toHaveLength(ALERT_RULES.length);
    expect(replaced.filter(({ id }) => id === 'stop_gap')).toEqual([{ ...own, id: 'stop_gap' }]);
  });

  it.each([
    ['an id that is no name', { id: 'Own Rule' }, 'alerts.rules[0].id'],
    ['no selector', { measure: { kind: 'count', of: [] } }, 'alerts.rules[0].measure.of'],
    [
      'a condition that there is not',
      { measure: { kind: 'count', of: [{ events: ['a'], where: [{ attribute: 'x', is: '~', value: 1 }] }] } },
      'alerts.rules[0].measure.of[0].where[0].is',
    ],
    ['another kind', { measure: { kind: 'counts', of: [{ events: ['a'] }] } }, 'alerts.rules[0].measure.kind'],
    ['no attribute', { measure: { kind: 'max', of: [{ events: ['a'] }] } }, 'alerts.rules[0].measure.value.attribute'],
    ['alerts that raise alerts', { measure: { kind: 'count', of: [{ events: ['alert.raised'] }] } }, 'alerts raise no'],
    ['a silencer that there is not', { silencedBy: ['halts'] }, 'alerts.rules.own.silencedBy'],
    ['a silencer that is silenced', { silencedBy: ['limit_near'] }, 'alerts.rules.own.silencedBy'],
    ['a comparison that there is not', { condition: { is: '=', threshold: 1 } }, 'alerts.rules[0].condition.is'],
    ['a window of no time', { windowMs: 0 }, 'alerts.rules[0].windowMs'],
    [
      'a quantile of 95',
      { measure: { kind: 'quantile', quantile: 95, of: [{ events: ['a'] }], value: { attribute: 'v' } } },
      'quantile',
    ],
  ])('are refused with %s', (_, wrong, field) => {
    expect(message(() => readRules([{ ...own, ...(wrong as object) }]))).toContain(field);
  });

  it('of one id are refused', () => {
    expect(message(() => readRules([own, own]))).toContain('different ids');
  });
});

describe('the sentences of an alert', () => {
  it('have values, units and the attributes of the group', () => {
    const rule = ALERT_RULES.find(({ id }) => id === 'limit_near')!;
    const text = alertText(rule, { service: 'bot', group: { 'risk.limit.type': 'daily_loss' }, value: 0.9312 });
    expect(text.title).toBe('Limit daily_loss is used to 93.1 %');
    expect(text.message).toBe('Limit daily_loss of bot was used to 93.1 % within 5 min; 90 % is the line.');
  });

  it('leave no gap where a group lacks its attribute', () => {
    const rule = ALERT_RULES.find(({ id }) => id === 'api_latency_p95')!;
    const text = alertText(rule, { service: 'bot', group: { 'trading.venue': '' }, value: 1500 });
    expect(text.message).toBe('The 95th percentile of API calls of bot was 1500 ms within 5 min; 1 s is the line.');
  });

  it('write durations and amounts as people do', () => {
    expect([0, 999, 1000, 90_000, 600_000, 7_200_000, 86_400_000].map(formatDuration)).toEqual([
      ...['0 ms', '999 ms', '1 s', '90 s', '10 min', '2 h', '1 d'],
    ]);
    expect(formatValue(5e8, 'bytes')).toBe('500 MB');
    expect(formatValue(2, 'state', 'risk.trading_state.code')).toBe('halted');
  });
});
