/** Rules as they are to run: those that risktrail comes with, one's own, and what a file of settings changes of them. */
import { SEVERITY_NUMBERS } from '../catalog/define.ts';
import { describeValue, RiskTrailError } from '../core/errors.ts';
import { boolean, type Check, integer, list, nearest, number, oneOf, readOptions, string } from '../core/options.ts';
import { ALERT_FAMILY } from './match.ts';
import type { AlertRule, AlertSeverity, AlertType, EventSelector, EventSet, Measure, Predicate } from './rule.ts';
import { ALERT_RULES } from './rules.ts';

const TYPES = ['INFO', 'WARNING', 'CRITICAL'] as const satisfies readonly AlertType[];
const SEVERITIES = ['IMMEDIATE', 'HIGH', 'NORMAL', 'LOW'] as const satisfies readonly AlertSeverity[];
const UNITS = ['count', 'ratio', 'percent', 'ms', 's', 'bytes', 'state'] as const;
const KINDS = ['count', 'rate', 'sum', 'mean', 'min', 'max', 'quantile', 'last', 'rise', 'ratio', 'absence'] as const;
const COMPARISONS = ['>', '>=', '<', '<='] as const;
const NAME = /^[a-z][a-z0-9_]*$/;
const SLUG = /^[a-z0-9]+(-[a-z0-9]+)*$/;

/** What may be set of one rule. */
export interface RuleSettings {
  /** @default true */
  readonly enabled?: boolean;
  readonly threshold?: number;
  readonly windowMs?: number;
  readonly forMs?: number;
  /** Of a ratio: events that it needs at least. */
  readonly atLeast?: number;
  readonly type?: AlertType;
  readonly severity?: AlertSeverity;
}

const LONGEST_MS = 31 * 86_400_000;

const SETTING_CHECKS = {
  enabled: boolean(),
  threshold: number(),
  windowMs: integer(1000, LONGEST_MS),
  forMs: integer(0, LONGEST_MS),
  atLeast: integer(1),
  type: oneOf(TYPES),
  severity: oneOf(SEVERITIES),
};
const SETTING_KEYS = Object.keys(SETTING_CHECKS) as (keyof RuleSettings)[];

function invalid(field: string, expected: string, received: unknown): RiskTrailError {
  return new RiskTrailError('OPTION_INVALID', { field, expected, received: describeValue(received) });
}

/**
 * Applies what a file sets.
 * @param given what the file holds, unchecked
 * @param source name of the file, for messages
 * @throws RiskTrailError OPTION_INVALID, OPTION_UNKNOWN: the wrong key, with the nearest right one
 */
export function applySettings(rules: readonly AlertRule[], given: unknown, source: string): readonly AlertRule[] {
  const isMap: Check<Readonly<Record<string, unknown>>> = {
    expected: 'an object: rule → settings',
    accepts: (value): value is Readonly<Record<string, unknown>> =>
      typeof value === 'object' && value !== null && !Array.isArray(value),
  };
  const file = readOptions<{ rules: Readonly<Record<string, unknown>> }>(source, given ?? {}, { rules: isMap }, {}, [
    'rules',
  ]);
  const settings = new Map<string, RuleSettings>();
  for (const [id, of] of Object.entries(file.rules ?? {})) {
    const field = `${source}.rules.${id}`;
    const rule = rules.find((one) => one.id === id);
    if (rule === undefined) {
      throw new RiskTrailError('OPTION_UNKNOWN', {
        field,
        hint: nearest(
          id,
          rules.map((one) => one.id),
        ),
      });
    }
    const read = readOptions<RuleSettings>(field, of ?? {}, SETTING_CHECKS as never, {}, SETTING_KEYS);
    if (read.threshold !== undefined && rule.condition.is === 'in') {
      throw invalid(`${field}.threshold`, `nothing: ${id} compares with fixed states`, read.threshold);
    }
    if (read.atLeast !== undefined && rule.measure.kind !== 'ratio') {
      throw invalid(`${field}.atLeast`, `nothing: ${id} is no ratio`, read.atLeast);
    }
    settings.set(id, read);
  }
  return rules
    .filter(({ id }) => settings.get(id)?.enabled !== false)
    .map((rule) => checkRule(changed(rule, settings.get(rule.id)), `${source}.rules.${rule.id}`));
}

function changed(rule: AlertRule, settings: RuleSettings | undefined): AlertRule {
  if (settings === undefined) return rule;
  const { enabled, threshold, atLeast, ...plain } = settings;
  const { condition, measure } = rule;
  return {
    ...rule,
    ...plain,
    ...(threshold === undefined || condition.is === 'in' ? {} : { condition: { ...condition, threshold } }),
    ...(atLeast === undefined || measure.kind !== 'ratio' ? {} : { measure: { ...measure, atLeast } }),
  };
}

/**
 * Rules that are to run.
 * @param own one's own, beside those of risktrail; one of the same id stands in its place
 * @throws RiskTrailError OPTION_INVALID: a rule that can't run, with the field
 */
export function readRules(own: readonly AlertRule[] = []): readonly AlertRule[] {
  const checked = list<AlertRule>({
    expected: 'a rule',
    accepts: (value): value is AlertRule => typeof value === 'object' && value !== null,
    read: (value, field) => checkRule(value as AlertRule, field),
  }).read!(own, 'alerts.rules');
  const ids = new Set(checked.map(({ id }) => id));
  if (ids.size < checked.length) throw invalid('alerts.rules', 'rules of different ids', [...ids].join(', '));
  const rules = [...ALERT_RULES.filter(({ id }) => !ids.has(id)), ...checked];
  for (const { id, silencedBy } of rules) {
    for (const other of silencedBy) {
      const silencer = rules.find((rule) => rule.id === other);
      if (silencer === undefined || silencer.silencedBy.length > 0) {
        throw invalid(`alerts.rules.${id}.silencedBy`, 'ids of rules that no rule silences', other);
      }
    }
  }
  return rules;
}

const RULE_CHECKS = {
  id: string(),
  title: string(),
  description: string(),
  type: oneOf(TYPES),
  severity: oneOf(SEVERITIES),
  measure: objectOf<Measure>('a measure'),
  windowMs: integer(1000, LONGEST_MS),
  groupBy: list(objectOf('{ attribute }')),
  condition: objectOf('{ is, threshold }'),
  forMs: integer(0, LONGEST_MS),
  unit: oneOf(UNITS),
  topic: string(),
  silencedBy: list(string()),
  runbook: string(),
  dashboard: string(),
};

function objectOf<T extends object>(expected: string): Check<T> {
  return { expected, accepts: (value): value is T => typeof value === 'object' && value !== null };
}

/** A rule that can run. @throws RiskTrailError OPTION_INVALID, OPTION_UNKNOWN */
function checkRule(rule: AlertRule, field: string): AlertRule {
  const read = readOptions<AlertRule>(field, rule, RULE_CHECKS as never, {});
  if (!NAME.test(read.id)) throw invalid(`${field}.id`, 'a name in snake_case', read.id);
  for (const key of ['runbook', 'dashboard', 'topic'] as const) {
    if (!SLUG.test(read[key])) throw invalid(`${field}.${key}`, 'a name in kebab-case', read[key]);
  }
  const { condition, measure } = read;
  if (condition.is === 'in') {
    if (!Array.isArray(condition.values) || !condition.values.every((value) => Number.isFinite(value))) {
      throw invalid(`${field}.condition.values`, 'a list of numbers', condition.values);
    }
  } else {
    if (!COMPARISONS.includes(condition.is)) {
      throw invalid(`${field}.condition.is`, `one of ${COMPARISONS.join(' ')} in`, (condition as { is: unknown }).is);
    }
    if (!Number.isFinite(condition.threshold)) {
      throw invalid(`${field}.condition.threshold`, 'a finite number', condition.threshold);
    }
  }
  checkMeasure(measure, read.windowMs, `${field}.measure`);
  for (const [index, { attribute }] of read.groupBy.entries()) {
    if (typeof attribute !== 'string' || attribute === '') {
      throw invalid(`${field}.groupBy[${index}].attribute`, 'an attribute’s name', attribute);
    }
  }
  return read;
}

function checkMeasure(measure: Measure, windowMs: number, field: string): void {
  if (!KINDS.includes(measure.kind)) {
    throw invalid(`${field}.kind`, `one of ${KINDS.join(', ')}`, (measure as { kind: unknown }).kind);
  }
  checkSet(measure.of, `${field}.of`);
  if ('value' in measure || !['count', 'rate', 'ratio', 'absence'].includes(measure.kind)) {
    const attribute = (measure as { value?: { attribute?: unknown } }).value?.attribute;
    if (typeof attribute !== 'string' || attribute === '') {
      throw invalid(`${field}.value.attribute`, 'an attribute’s name', attribute);
    }
  }
  if (measure.kind === 'quantile' && !(measure.quantile >= 0 && measure.quantile <= 1)) {
    throw invalid(`${field}.quantile`, 'a number from 0 to 1', measure.quantile);
  }
  if (measure.kind === 'rate' && !(measure.perMs > 0)) throw invalid(`${field}.perMs`, 'a number > 0', measure.perMs);
  if (measure.kind === 'ratio') {
    checkSet(measure.among, `${field}.among`);
    if (!Number.isInteger(measure.atLeast) || measure.atLeast < 1) {
      throw invalid(`${field}.atLeast`, 'an integer ≥ 1', measure.atLeast);
    }
  }
  if (measure.kind === 'absence') {
    if (!Array.isArray(measure.endedBy)) throw invalid(`${field}.endedBy`, 'a list of selectors', measure.endedBy);
    if (measure.endedBy.length > 0) checkSet(measure.endedBy, `${field}.endedBy`);
    if (!(measure.lookbackMs > windowMs)) {
      throw invalid(`${field}.lookbackMs`, `a number > ${windowMs}, the window`, measure.lookbackMs);
    }
  }
}

function checkSet(set: EventSet, field: string): void {
  if (!Array.isArray(set) || set.length === 0) throw invalid(field, 'a list of selectors', set);
  for (const [index, { events, minSeverity, where }] of (set as EventSet).entries()) {
    const at = `${field}[${index}]`;
    if (events !== undefined && (!Array.isArray(events) || events.length === 0)) {
      throw invalid(`${at}.events`, 'a list of names', events);
    }
    for (const name of events ?? []) {
      if (typeof name !== 'string' || name.startsWith(ALERT_FAMILY)) {
        throw invalid(`${at}.events`, 'names of events, but none of alert.*: alerts raise no alerts', name);
      }
    }
    checkPredicates(where, `${at}.where`);
    if (minSeverity !== undefined && !Object.hasOwn(SEVERITY_NUMBERS, minSeverity)) {
      throw invalid(`${at}.minSeverity`, `one of ${Object.keys(SEVERITY_NUMBERS).join(', ')}`, minSeverity);
    }
  }
}

function checkPredicates(where: EventSelector['where'], field: string): void {
  if (where === undefined) return;
  if (!Array.isArray(where)) throw invalid(field, 'a list of conditions', where);
  for (const [index, predicate] of (where as readonly Predicate[]).entries()) {
    const at = `${field}[${index}]`;
    if (typeof predicate?.attribute !== 'string' || predicate.attribute === '') {
      throw invalid(`${at}.attribute`, 'an attribute’s name', predicate?.attribute);
    }
    const { is } = predicate;
    if (is === 'in') {
      if (!Array.isArray(predicate.values)) throw invalid(`${at}.values`, 'a list of texts', predicate.values);
    } else if (is === '=' || is === '!=') {
      if (predicate.value === undefined) throw invalid(`${at}.value`, 'a value', predicate.value);
    } else if (!COMPARISONS.includes(is)) throw invalid(`${at}.is`, `one of = != in ${COMPARISONS.join(' ')}`, is);
    else if (!Number.isFinite(predicate.value)) throw invalid(`${at}.value`, 'a finite number', predicate.value);
  }
}
