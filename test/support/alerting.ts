/** Alert rules evaluated the plain way: every event is kept, and looked at again at every millisecond. */
import type { AlertEvent, AlertRule, GroupValues, Predicate } from '../../src/alerting/rule.ts';

/** A rule with everything but what a test is about. */
export function testRule(rule: Partial<AlertRule> & Pick<AlertRule, 'id' | 'measure'>): AlertRule {
  return {
    title: `${rule.id} {value}`,
    description: `{value} against {threshold} in {window}`,
    type: 'WARNING',
    severity: 'NORMAL',
    windowMs: 10,
    groupBy: [],
    condition: { is: '>', threshold: 1 },
    forMs: 0,
    unit: 'count',
    topic: 'tests',
    silencedBy: [],
    runbook: 'test',
    dashboard: 'test',
    ...rule,
  };
}

export function testAlertEvent(
  name: string,
  timeMs: number,
  attributes: Record<string, unknown> = {},
  more: Partial<AlertEvent> = {},
): AlertEvent {
  return { name, timeMs, attributes, severityNumber: 9, service: 'bot', recordId: `${name}@${timeMs}`, ...more };
}

interface NaiveState {
  state: 'quiet' | 'pending' | 'silenced' | 'firing';
  since: number;
}

const text = (value: unknown) => (value === undefined ? '' : String(value));

function fits(event: AlertEvent, predicate: Predicate): boolean {
  const value = event.attributes[predicate.attribute];
  switch (predicate.is) {
    case '=':
      return text(value) === String(predicate.value);
    case '!=':
      return text(value) !== String(predicate.value);
    case 'in':
      return predicate.values.some((one) => one === text(value));
    case '>':
      return Number(value) > predicate.value;
    case '>=':
      return Number(value) >= predicate.value;
    case '<':
      return Number(value) < predicate.value;
    case '<=':
      return Number(value) <= predicate.value;
  }
}

const isIn = (event: AlertEvent, set: AlertRule['measure']['of']): boolean =>
  set.some(
    ({ events, minSeverity, where }) =>
      (events === undefined || events.includes(event.name)) &&
      (minSeverity === undefined || event.severityNumber >= { ERROR: 17, WARN: 13 }[minSeverity as 'ERROR']) &&
      (where ?? []).every((predicate) => fits(event, predicate)),
  );

/** The measure of one group, from all events there were. */
export function naiveMeasure(
  { measure, windowMs }: AlertRule,
  events: readonly AlertEvent[],
  now: number,
): number | undefined {
  const within = (ms: number) => events.filter(({ timeMs }) => timeMs > now - ms && timeMs <= now);
  const recent = within(windowMs);
  if (measure.kind === 'absence') {
    const seen = within(measure.lookbackMs).filter((event) => isIn(event, measure.of));
    if (seen.length === 0 || recent.some((event) => isIn(event, measure.of))) return undefined;
    const last = Math.max(...seen.map(({ timeMs }) => timeMs));
    return events.some((event) => isIn(event, measure.endedBy) && event.timeMs >= last) ? undefined : 1;
  }
  if (measure.kind === 'ratio') {
    const all = recent.filter((event) => isIn(event, measure.among));
    if (all.length < measure.atLeast) return undefined;
    return all.filter((event) => isIn(event, measure.of)).length / all.length;
  }
  const matching = recent.filter((event) => isIn(event, measure.of));
  if (measure.kind === 'count') return matching.length || undefined;
  if (measure.kind === 'rate') return matching.length === 0 ? undefined : (matching.length * measure.perMs) / windowMs;
  const { attribute, per } = measure.value;
  const values = matching
    .toSorted((a, b) => a.timeMs - b.timeMs)
    .map(({ attributes }) => Number(attributes[attribute]) / (per === undefined ? 1 : Number(attributes[per])))
    .filter((value) => Number.isFinite(value));
  if (values.length === 0) return undefined;
  const sum = values.reduce((a, b) => a + b, 0);
  const sorted = values.toSorted((a, b) => a - b);
  switch (measure.kind) {
    case 'sum':
      return sum;
    case 'mean':
      return sum / values.length;
    case 'min':
      return sorted[0];
    case 'max':
      return sorted.at(-1);
    case 'last':
      return values.at(-1);
    case 'rise':
      return values.at(-1)! - sorted[0]!;
    case 'quantile': {
      const rank = measure.quantile * (values.length - 1);
      const [low, high] = [sorted[Math.floor(rank)]!, sorted[Math.ceil(rank)]!];
      return low + (high - low) * (rank - Math.floor(rank));
    }
  }
}

/** What came of a rule's group, as text. */
export const told = (kind: string, key: string, timeMs: number): string => `${timeMs} ${kind} ${key}`;

/** Every alert that is raised and resolved, millisecond by millisecond. Rules that silence stand before those they silence. */
export function naiveEpisodes(rules: readonly AlertRule[], events: readonly AlertEvent[], until: number): string[] {
  const out: string[] = [];
  const states = new Map<string, NaiveState>();
  const groups = new Map<string, { rule: AlertRule; service: string; group: GroupValues; events: AlertEvent[] }>();
  const holds = (rule: AlertRule, value: number | undefined) => {
    if (value === undefined) return false;
    const { condition } = rule;
    if (condition.is === 'in') return condition.values.includes(value);
    const { is, threshold } = condition;
    return is === '>'
      ? value > threshold
      : is === '<'
        ? value < threshold
        : is === '>='
          ? value >= threshold
          : value <= threshold;
  };
  const evaluate = (now: number) => {
    for (const rule of rules) {
      for (const [key, group] of groups) {
        if (group.rule !== rule) continue;
        const state = states.get(key) ?? { state: 'quiet', since: 0 };
        states.set(key, state);
        if (!holds(rule, naiveMeasure(rule, group.events, now))) {
          if (state.state === 'firing') out.push(told('resolved', key, now));
          state.state = 'quiet';
          continue;
        }
        if (state.state === 'quiet') Object.assign(state, { state: 'pending', since: now });
        if (state.state === 'firing' || now < state.since + rule.forMs) continue;
        const isSilenced = [...groups].some(
          ([other, { rule: silencer, service }]) =>
            rule.silencedBy.includes(silencer.id) && service === group.service && states.get(other)?.state === 'firing',
        );
        if (!isSilenced) out.push(told('raised', key, now));
        state.state = isSilenced ? 'silenced' : 'firing';
      }
    }
  };
  for (let now = 0; now <= until; now++) {
    evaluate(now);
    for (const event of events.filter(({ timeMs }) => timeMs === now)) {
      for (const rule of rules) {
        const { measure } = rule;
        const sets = [
          ...(measure.kind === 'ratio' ? measure.among : measure.of),
          ...(measure.kind === 'absence' ? measure.endedBy : []),
        ];
        if (!isIn(event, sets)) continue;
        const group = Object.fromEntries(
          rule.groupBy.map(({ attribute, or }) => [attribute, text(event.attributes[attribute]) || (or ?? '')]),
        );
        const key = JSON.stringify([rule.id, event.service, ...Object.values(group)]);
        const known = groups.get(key) ?? { rule, service: event.service, group, events: [] };
        known.events.push(event);
        groups.set(key, known);
      }
      evaluate(now);
    }
  }
  return out;
}
