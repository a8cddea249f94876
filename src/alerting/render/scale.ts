/** Rules in another time: for tests that can't wait for an hour. */
import type { AlertRule } from '../rule.ts';

/** A rule whose durations are all multiplied. */
export function scaleRule(rule: AlertRule, factor: number, leastMs = 1000): AlertRule {
  const scaled = (ms: number) => (ms === 0 ? 0 : Math.max(leastMs, Math.round(ms * factor)));
  const { measure } = rule;
  return {
    ...rule,
    windowMs: scaled(rule.windowMs),
    forMs: scaled(rule.forMs),
    measure:
      measure.kind === 'absence'
        ? { ...measure, lookbackMs: Math.max(scaled(measure.lookbackMs), 2 * scaled(rule.windowMs)) }
        : measure,
  };
}
