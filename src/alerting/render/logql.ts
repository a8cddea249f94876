/**
 * Rules as LogQL over records that came by OTLP: the attributes of a record are structured metadata, with `_` for dots, and
 * the name of the event is `event_name`.
 */
import { SEVERITY_NUMBERS } from '../../catalog/define.ts';
import { eventFamily, FAMILY_LABEL, familiesOf, GRAVE_FROM, GRAVE_LABEL, GRAVE_VALUE } from '../../catalog/families.ts';
import { ALERT_FAMILY } from '../match.ts';
import type { AlertRule, EventSelector, EventSet, EventValue, Predicate } from '../rule.ts';

/** How rules are rendered. */
export interface LogqlOptions {
  /** Streams that are looked at; each query adds the families of its events. @default `{service_name=~".+"}` */
  readonly streams?: string;
}

export const DEFAULT_STREAMS = '{service_name=~".+"}';
/** The label of the service. */
export const SERVICE_LABEL = 'service_name';

/** An attribute's name as Loki has it. */
export const labelOf = (attribute: string): string => attribute.replace(/[^A-Za-z0-9_]/g, '_');

const quoted = (text: string): string => JSON.stringify(text);
/** A text as a regular expression; classes, as they need no backslash that a string would have to double. */
const pattern = (text: string): string =>
  text.replace(/[\\^$.*+?()[\]{}|]/g, (char) => ('\\^[]'.includes(char) ? `\\${char}` : `[${char}]`));

/** A duration as LogQL and Prometheus write it. */
export function durationText(ms: number): string {
  if (ms === 0) return '0s';
  for (const [unit, size] of [
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
  ] as const) {
    if (ms % size === 0) return `${ms / size}${unit}`;
  }
  return `${Math.round(ms)}ms`;
}

function anyOf(label: string, values: readonly string[]): string {
  if (values.length === 1) return `${label}=${quoted(values[0]!)}`;
  return `${label}=~${quoted(values.map(pattern).join('|'))}`;
}

function predicateText(predicate: Predicate): string {
  const label = labelOf(predicate.attribute);
  switch (predicate.is) {
    case '=':
      return `${label}=${quoted(String(predicate.value))}`;
    case '!=':
      return `${label}!=${quoted(String(predicate.value))}`;
    case 'in':
      return anyOf(label, predicate.values);
    default:
      return `${label} ${predicate.is} ${predicate.value}`;
  }
}

function selectorParts({ events, minSeverity, where }: EventSelector): string[] {
  return [
    ...(events === undefined
      ? ['event_name!=""', `event_name!~${quoted(`${pattern(ALERT_FAMILY)}.*`)}`]
      : [anyOf('event_name', events)]),
    ...(minSeverity === undefined ? [] : [`severity_number >= ${SEVERITY_NUMBERS[minSeverity]}`]),
    ...(where ?? []).map(predicateText),
  ];
}

/** A set as a label filter. */
function filterText(set: EventSet): string {
  if (set.length === 1) return selectorParts(set[0]!).join(' and ');
  return set.map((selector) => `(${selectorParts(selector).join(' and ')})`).join(' or ');
}

/** The streams among some that may hold a set's events. */
function streamsOf(streams: string, set: EventSet): string {
  const names = set.map(({ events }) => events);
  const family = names.every((events) => events !== undefined)
    ? anyOf(FAMILY_LABEL, familiesOf(names.flat()))
    : `${FAMILY_LABEL}!=${quoted(eventFamily(ALERT_FAMILY))}`;
  const isGrave = set.every(
    ({ minSeverity }) => minSeverity !== undefined && SEVERITY_NUMBERS[minSeverity] >= GRAVE_FROM,
  );
  const grave = isGrave ? `, ${GRAVE_LABEL}=${quoted(GRAVE_VALUE)}` : '';
  return streams.replace(/\}$/, `, ${family}${grave}}`);
}

class Renderer {
  readonly #rule: AlertRule;
  readonly #streams: string;
  readonly #by: string;

  constructor(rule: AlertRule, { streams = DEFAULT_STREAMS }: LogqlOptions) {
    this.#rule = rule;
    this.#streams = streams;
    this.#by = [SERVICE_LABEL, ...rule.groupBy.map(({ attribute }) => labelOf(attribute))].join(', ');
  }

  /** Log query of a set's events, groups completed. */
  #logs(...sets: readonly EventSet[]): string {
    const filters = sets.map((set) => ` | ${filterText(set)}`).join('');
    // Of several sets, which all must hold, the first is the widest.
    const streams = streamsOf(this.#streams, sets[0]!);
    const defaults = this.#rule.groupBy
      .filter(({ or }) => or !== undefined)
      .map(({ attribute, or }) => {
        const label = labelOf(attribute);
        return ` | label_format ${label}=\`{{ if .${label} }}{{ .${label} }}{{ else }}${or}{{ end }}\``;
      })
      .join('');
    return `${streams}${filters}${defaults}`;
  }

  /** Events without the number are left out: an absent label would count as 0. */
  #numbers(set: EventSet, { attribute, per }: EventValue): string {
    const label = labelOf(attribute);
    if (per === undefined) return `${this.#logs(set)} | ${label}!="" | unwrap ${label} | __error__=""`;
    const divisor = labelOf(per);
    const quotient = `{{ divf .${label} .${divisor} }}`;
    return `${this.#logs(set)} | ${label}!="" | ${divisor} != 0 | label_format alert_value=\`${quotient}\` | unwrap alert_value | __error__=""`;
  }

  #over(aggregate: string, query: string, ms: number): string {
    return `${aggregate}(${query} [${durationText(ms)}]) by (${this.#by})`;
  }

  #count(ms: number, ...sets: readonly EventSet[]): string {
    return `sum by (${this.#by}) (count_over_time(${this.#logs(...sets)} [${durationText(ms)}]))`;
  }

  /** Time of the newest event, milliseconds since the epoch. */
  #newest(set: EventSet, ms: number): string {
    const time = '{{ __timestamp__ | unixEpochMillis }}';
    const query = `${this.#logs(set)} | label_format alert_time=\`${time}\` | unwrap alert_time | __error__=""`;
    return this.#over('max_over_time', query, ms);
  }

  measure(): string {
    const { measure, windowMs } = this.#rule;
    switch (measure.kind) {
      case 'count':
        return this.#count(windowMs, measure.of);
      case 'rate':
        return `${this.#count(windowMs, measure.of)} * ${measure.perMs / windowMs}`;
      case 'ratio': {
        const all = this.#count(windowMs, measure.among);
        // What counts nothing has no series there.
        return `(${this.#count(windowMs, measure.among, measure.of)} or ${all} * 0) / (${all} >= ${measure.atLeast})`;
      }
      case 'absence': {
        const { of, endedBy, lookbackMs } = measure;
        const seen = this.#newest(of, lookbackMs);
        const gone = `${seen} unless on (${this.#by}) ${this.#count(windowMs, of)}`;
        const ended =
          endedBy.length === 0 ? '' : ` unless on (${this.#by}) (${this.#newest(endedBy, lookbackMs)} >= ${seen})`;
        return `(${gone}${ended}) * 0 + 1`;
      }
      case 'sum':
        return `sum by (${this.#by}) (sum_over_time(${this.#numbers(measure.of, measure.value)} [${durationText(windowMs)}]))`;
      case 'mean':
        return this.#over('avg_over_time', this.#numbers(measure.of, measure.value), windowMs);
      case 'min':
      case 'max':
      case 'last':
        return this.#over(`${measure.kind}_over_time`, this.#numbers(measure.of, measure.value), windowMs);
      case 'quantile': {
        const query = this.#numbers(measure.of, measure.value);
        return `quantile_over_time(${measure.quantile}, ${query} [${durationText(windowMs)}]) by (${this.#by})`;
      }
      case 'rise': {
        const query = this.#numbers(measure.of, measure.value);
        return `${this.#over('last_over_time', query, windowMs)} - ${this.#over('min_over_time', query, windowMs)}`;
      }
    }
  }
}

/** LogQL that measures every group, as an instant query; each series has the labels of the group. */
export function measureLogql(rule: AlertRule, options: LogqlOptions = {}): string {
  return new Renderer(rule, options).measure();
}

function conditionLogql(rule: AlertRule, options: LogqlOptions): string {
  const measure = measureLogql(rule, options);
  const { condition } = rule;
  if (condition.is !== 'in') return `(${measure}) ${condition.is} ${condition.threshold}`;
  return condition.values.map((value) => `(${measure}) == ${value}`).join(' or ');
}

/**
 * LogQL of the groups that meet the condition, but for those that another rule silences at that time.
 * @param rules all rules, for those that silence
 */
export function ruleLogql(rule: AlertRule, rules: readonly AlertRule[], options: LogqlOptions = {}): string {
  return silenced(conditionLogql(rule, options), rule, rules, options);
}

/** LogQL of the measure, but for groups that another rule silences. */
export function shownLogql(rule: AlertRule, rules: readonly AlertRule[], options: LogqlOptions = {}): string {
  const query = rule.condition.is === 'in' ? conditionLogql(rule, options) : measureLogql(rule, options);
  return silenced(query, rule, rules, options);
}

function silenced(query: string, rule: AlertRule, rules: readonly AlertRule[], options: LogqlOptions): string {
  const silencers = rules.filter(({ id }) => rule.silencedBy.includes(id));
  return silencers.reduce(
    (text, silencer) => `(${text}) unless on (${SERVICE_LABEL}) (${conditionLogql(silencer, options)})`,
    query,
  );
}
