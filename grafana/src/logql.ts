/**
 * LogQL over records that came through the Collector: a record's attributes are structured metadata with `_` for dots, and
 * the name of its event is `event_name`. Events and attributes are named as the catalogue names them, and checked by it.
 */
import type { AttributeName } from '../../src/catalog/attributes.ts';
import type { EventName } from '../../src/catalog/events.ts';
import { FAMILY_LABEL, familiesOf, GRAVE_FROM, GRAVE_LABEL, GRAVE_VALUE } from '../../src/catalog/families.ts';

/** Variables of a dashboard that narrow down what it shows, and the attribute that each is compared with. */
export const SCOPES = {
  account: 'trading.account.id',
  strategy: 'trading.strategy.id',
  breaker: 'risk.circuit_breaker.name',
  symbol: 'trading.symbol',
} as const satisfies Readonly<Record<string, AttributeName>>;
export type Scope = keyof typeof SCOPES;

/** What Loki keeps of a record besides its attributes. */
const OWN_LABELS = ['service_name', 'event_name', 'trace_id', 'span_id', 'severity_number', 'severity_text'] as const;
export type Label = AttributeName | (typeof OWN_LABELS)[number];

/** A condition on a record: of several values one, or a number compared. */
export interface Where {
  readonly attribute: Label;
  readonly is: 'in' | 'not' | '>=' | '>';
  readonly values: readonly (string | number)[];
}

/** Records that a query is about. */
export interface Selection {
  /** All kinds where there are none. */
  readonly events?: readonly EventName[];
  readonly where?: readonly Where[];
  /** Variables that hold for it: those that its events can carry. */
  readonly scopes?: readonly Scope[];
}

/** What a query counts: the tests ask the trail's SQL the same. */
export interface Count extends Selection {
  /** Attributes that tell its series apart. */
  readonly by: readonly Label[];
}

/** The dashboard's whole time range. */
export const RANGE = '$__range';
/** From one point of a chart to the next. */
export const STEP = '$__interval';
/** How far back the state of now is looked for: the alert rules look as far. */
export const STATE_WINDOW = '24h';

const COUNTS = new Map<string, Count>();
/** Every query that counts over the whole range, by its text. */
export const countingQueries = (): ReadonlyMap<string, Count> => COUNTS;

/** An attribute's name as Loki has it. */
export const labelOf = (name: string): string => name.replaceAll('.', '_');

/** Texts as a regular expression; a class needs no backslash, which a string would have to double. */
const anyOf = (texts: readonly (string | number)[]): string =>
  texts.map((text) => String(text).replaceAll('.', '[.]')).join('|');

function matching(label: string, values: readonly (string | number)[], not = false): string {
  if (values.length === 1) return `${label}${not ? '!=' : '='}"${values[0]}"`;
  return `${label}${not ? '!~' : '=~'}"${anyOf(values)}"`;
}

function condition({ attribute, is, values }: Where): string {
  const label = labelOf(attribute);
  if (is === 'in' || is === 'not') return matching(label, values, is === 'not');
  return `${label} ${is} ${values[0]}`;
}

export const isIn = (attribute: Label, ...values: readonly (string | number)[]): Where => {
  return { attribute, is: 'in', values };
};
export const isSet = (attribute: Label): Where => ({ attribute, is: 'not', values: [''] });
export const isAtLeast = (attribute: Label, value: number): Where => ({ attribute, is: '>=', values: [value] });

/** The streams that may hold such records: those of the events' families, and of grave records where no other is asked for. */
function streams({ events = [], where = [] }: Selection): string {
  const grave = where.some(
    ({ attribute, is, values }) => attribute === 'severity_number' && is === '>=' && Number(values[0]) >= GRAVE_FROM,
  );
  const labels = [
    'service_name=~"$service"',
    ...(events.length === 0 ? [] : [matching(FAMILY_LABEL, familiesOf(events))]),
    ...(grave ? [`${GRAVE_LABEL}="${GRAVE_VALUE}"`] : []),
  ];
  return `{${labels.join(', ')}}`;
}

/** Checks that a limit decided: the gate's own refusals have no share of anything. */
export const NO_GATE: Where = { attribute: 'risk.limit.type', is: 'not', values: ['trading_state'] };

/** What was enforced: order rules that only observe refuse nothing. */
export const ENFORCED: Where = { attribute: 'risk.rule.mode', is: 'not', values: ['observe'] };

/** Records as a log query. */
export function records(selection: Selection): string {
  const { events = [], where = [], scopes = [] } = selection;
  const filters = [
    ...(events.length === 0 ? [] : [matching('event_name', events)]),
    ...where.map(condition),
    ...scopes.map((scope) => `${labelOf(SCOPES[scope])}=~"$${scope}"`),
  ];
  return [streams(selection), ...filters].join(' | ');
}

const grouping = (by: readonly Label[]): string => (by.length === 0 ? '' : ` by (${by.map(labelOf).join(', ')})`);

/** How many there were in the whole range, one series for each group. */
export function count(selection: Selection, by: readonly Label[] = []): string {
  const text = countOver(selection, RANGE, by);
  COUNTS.set(text, { ...selection, by });
  return text;
}

/** How many there were from one point of a chart to the next. */
export const countByStep = (selection: Selection, by: readonly Label[] = []): string => countOver(selection, STEP, by);

/** How many there were within a time. */
export function countOver(selection: Selection, window: string, by: readonly Label[]): string {
  return `sum${grouping(by)} (count_over_time(${records(selection)} [${window}]))`;
}

/** Share of the records whose attribute is one of the values; nothing where there is nothing to be a share of. */
export function share(all: Selection, { attribute, values }: Where, window: string, by: readonly Label[]): string {
  const any = values.map((value) => `"${value}"`).join(' ');
  // Read once, where a quotient of two counts would be read three times.
  return computed('avg', all, `{{ if eq .${labelOf(attribute)} ${any} }}1{{ else }}0{{ end }}`, window, by);
}

type Over = 'last' | 'max' | 'min' | 'avg' | 'sum';

/** A number of the records over time. Records without it are left out: an absent label would count as 0. */
export function number(
  over: Over,
  selection: Selection,
  attribute: Label,
  window: string,
  by: readonly Label[] = [],
): string {
  const unwrapped = `${records({ ...selection, where: [...(selection.where ?? []), isSet(attribute)] })} | unwrap ${labelOf(attribute)} | __error__=""`;
  return over === 'sum'
    ? `sum${grouping(by)} (sum_over_time(${unwrapped} [${window}]))`
    : `${over}_over_time(${unwrapped} [${window}])${grouping(by) || ' by ()'}`;
}

export function quantile(
  q: number,
  selection: Selection,
  attribute: Label,
  window: string,
  by: readonly Label[],
): string {
  const where = [...(selection.where ?? []), isSet(attribute)];
  return `quantile_over_time(${q}, ${records({ ...selection, where })} | unwrap ${labelOf(attribute)} | __error__="" [${window}])${grouping(by)}`;
}

/** A number worked out for each record by a template of Loki's. */
export function computed(
  over: Over,
  selection: Selection,
  template: string,
  window: string,
  by: readonly Label[],
): string {
  return `${over}_over_time(${records(selection)} | label_format computed=\`${template}\` | computed!="" | unwrap computed | __error__="" [${window}])${grouping(by)}`;
}

/** When the newest came, in milliseconds since the epoch. */
export const newest = (selection: Selection, window: string, by: readonly Label[]): string =>
  computed('max', selection, '{{ __timestamp__ | unixEpochMillis }}', window, by);

/** One number of the lists that run beside `risk.limits.type`: that of the limit which a variable names. */
export function limitNumber(attribute: 'utilization' | 'projected' | 'max'): string {
  const list = labelOf(`risk.limits.${attribute}` satisfies AttributeName);
  const types = labelOf('risk.limits.type' satisfies AttributeName);
  return `{{ $n := fromJson .${list} }}{{ range $i, $t := fromJson .${types} }}{{ if eq $t "$limit" }}{{ index $n $i }}{{ end }}{{ end }}`;
}

/** Records without a scope are the whole service's. */
export const withScope = (query: string): string =>
  query.replaceAll(
    '| risk_trading_state_code',
    '| label_format risk_scope=`{{ if .risk_scope }}{{ .risk_scope }}{{ else }}global{{ end }}` | risk_trading_state_code',
  );
