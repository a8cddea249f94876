/** The sentences of an alert: templates with values in them. */
import type { AlertRule, GroupValues, ValueUnit } from './rule.ts';

/** A duration as people write it. */
export function formatDuration(ms: number): string {
  const units = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['min', 60_000],
    ['s', 1000],
  ] as const;
  const unit = units.find(([, size]) => ms >= size && ms % size === 0);
  if (unit !== undefined) return `${ms / unit[1]} ${unit[0]}`;
  const nearest = units.find(([, size]) => ms >= 2 * size);
  return nearest === undefined ? `${short(ms)} ms` : `${short(ms / nearest[1])} ${nearest[0]}`;
}

const short = (value: number): string => String(Number(value.toPrecision(3)));

const STATE_WORDS: Readonly<Record<string, readonly string[]>> = {
  'risk.circuit_breaker.state.code': ['closed', 'open', 'half open', 'disabled', 'forced open'],
  'risk.trading_state.code': ['active', 'reducing', 'halted'],
};

/** A value as it stands in a sentence. */
export function formatValue(value: number, unit: ValueUnit, attribute = ''): string {
  switch (unit) {
    case 'ratio':
      return `${short(value * 100)} %`;
    case 'percent':
      return `${short(value)} %`;
    case 'ms':
      return formatDuration(value);
    case 's':
      return formatDuration(value * 1000);
    case 'bytes':
      return value >= 1e9
        ? `${short(value / 1e9)} GB`
        : value >= 1e6
          ? `${short(value / 1e6)} MB`
          : `${short(value)} B`;
    case 'state':
      return STATE_WORDS[attribute]?.[value] ?? short(value);
    case 'count':
      return String(value);
  }
}

/** The threshold of a rule; the states, where it compares with states. */
export function formatThreshold({ condition, unit }: AlertRule): string {
  return condition.is === 'in' ? condition.values.join(', ') : formatValue(condition.threshold, unit);
}

/** Names that a template may have besides those of the group's attributes. */
export const TEMPLATE_NAMES = ['value', 'threshold', 'window', 'for', 'service'] as const;

/** Replaces each `{name}` by what `read` gives. */
export function fillTemplate(template: string, read: (name: string) => string): string {
  return template.replace(/ ?\{([^}]*)\}/g, (match, name: string) => {
    const text = read(name);
    // A group without that attribute: no gap in the sentence.
    return text === '' ? '' : `${match.startsWith(' ') ? ' ' : ''}${text}`;
  });
}

/** Title and description of an alert. */
export function alertText(
  rule: AlertRule,
  {
    service,
    group,
    value,
  }: { readonly service: string; readonly group: GroupValues; readonly value: number | undefined },
): { readonly title: string; readonly message: string } {
  const attribute = 'value' in rule.measure ? rule.measure.value.attribute : '';
  const names: Readonly<Record<string, string>> = {
    value: value === undefined ? 'nothing' : formatValue(value, rule.unit, attribute),
    threshold: formatThreshold(rule),
    window: formatDuration(rule.windowMs),
    for: formatDuration(rule.forMs),
    service,
  };
  const read = (name: string) => names[name] ?? group[name] ?? '';
  return { title: fillTemplate(rule.title, read), message: fillTemplate(rule.description, read) };
}
