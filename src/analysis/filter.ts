/** Which records somebody asks for: the filters of `risktrail events` and `risktrail tail`, as one test of a flat record. */
import type { PlainValue } from '../audit/record/otlp.ts';
import { ATTRIBUTES } from '../catalog/attributes.ts';
import { type AttributeDefinition, CATEGORIES, SEVERITY_NUMBERS, type Severity } from '../catalog/define.ts';
import type { Clock } from '../core/clock.ts';
import { describeValue, RiskTrailError } from '../core/errors.ts';
import { nearest } from '../core/options.ts';
import { type FlatRecord, MEMBER_OF_ATTRIBUTE } from './flat-record.ts';
import { parseBound } from './time-bound.ts';

/** What may be asked for; a record must meet all of it. Of a list, one entry is enough. Texts are as they stand on the command line. */
export interface FilterOptions {
  /** Event names; `*` stands for any text: `risk.trailing_stop.*`. */
  readonly event?: readonly string[] | undefined;
  /** Categories of the catalogue; `error` is every record of ERROR and above. */
  readonly category?: readonly string[] | undefined;
  /** From this time on: `2020-03-16`, `2020-03-16T14:30:00Z`, or back from now: `15m`, `24h`, `7d`. Times without zone are UTC. */
  readonly since?: string | undefined;
  /** Up to and including this time; a bare date counts to the end of that day. */
  readonly until?: string | undefined;
  readonly symbol?: string | undefined;
  readonly account?: string | undefined;
  readonly strategy?: string | undefined;
  readonly session?: string | undefined;
  readonly execution?: string | undefined;
  readonly correlation?: string | undefined;
  /** Trace id, or how it begins (8 characters and more). */
  readonly trace?: string | undefined;
  /** Lowest severity: TRACE, DEBUG, INFO, WARN, ERROR, FATAL. */
  readonly severity?: string | undefined;
  /** Shortest `timing.duration_ms`, in milliseconds. */
  readonly minDuration?: string | number | undefined;
  /** Conditions on any attribute or member: `key=value`, `!=`, `>`, `>=`, `<`, `<=`, `~` (contains). */
  readonly where?: readonly string[] | undefined;
}

/** Whether a record is asked for. */
export type RecordFilter = (record: FlatRecord) => boolean;

/** Option → attribute whose value it must equal. */
const EXACT = {
  account: 'trading.account.id',
  strategy: 'trading.strategy.id',
  session: 'trading.session.id',
  execution: 'trading.execution.id',
} as const;

/**
 * Reads the filters.
 * @param clock from whose wall time `24h` counts back
 * @throws RiskTrailError OPTION_INVALID: what can't be understood, named as on the command line
 */
export function parseFilter(options: FilterOptions, clock: Clock): RecordFilter {
  const tests: RecordFilter[] = [];
  if (options.event?.length) tests.push(eventFilter(options.event));
  if (options.category?.length) tests.push(categoryFilter(options.category));
  if (options.since !== undefined) {
    const since = parseBound('--since', options.since, 'from', clock);
    tests.push((record) => record.timestamp >= since);
  }
  if (options.until !== undefined) {
    const until = parseBound('--until', options.until, 'to', clock);
    tests.push((record) => record.timestamp <= until);
  }
  if (options.severity !== undefined) tests.push(severityFilter(options.severity));
  const { symbol, correlation, trace } = options;
  if (symbol !== undefined) {
    tests.push((record) => record['trading.symbol'] === symbol || holds(record['trading.symbols'], symbol));
  }
  for (const [option, attribute] of Object.entries(EXACT)) {
    const wanted = options[option as keyof typeof EXACT];
    if (wanted !== undefined) tests.push((record) => record[attribute] === wanted);
  }
  if (correlation !== undefined) {
    // The trace id of a UUID is the UUID without its dashes: finds records whose writer left the attribute out.
    const traceId = correlation.replaceAll('-', '').toLowerCase();
    tests.push((record) => record['correlation.id'] === correlation || record.trace_id === traceId);
  }
  if (trace !== undefined) {
    const begin = trace.toLowerCase();
    if (!/^[0-9a-f]{8,32}$/.test(begin)) throw invalid('--trace', '8 to 32 hexadecimal digits', trace);
    tests.push((record) => record.trace_id?.startsWith(begin) === true);
  }
  if (options.minDuration !== undefined) {
    const least = Number(options.minDuration);
    if (options.minDuration === '' || !(least >= 0)) {
      throw invalid('--min-duration', 'milliseconds, a number ≥ 0', options.minDuration);
    }
    tests.push((record) => Number(record['timing.duration_ms'] ?? Number.NaN) >= least);
  }
  for (const condition of options.where ?? []) tests.push(parseCondition(condition));
  return (record) => tests.every((test) => test(record));
}

/**
 * Texts of which a journal's line holds one if its record can match; undefined where nothing tells so.
 * Ids alone: they stand in a line as they are, whatever wrote it.
 */
export function textsOf({ correlation }: FilterOptions): readonly string[] | undefined {
  if (correlation === undefined || !/^[\w.:-]{8,}$/.test(correlation)) return undefined;
  const traceId = correlation.replaceAll('-', '').toLowerCase();
  return /^[0-9a-f]{32}$/.test(traceId) && traceId !== correlation ? [correlation, traceId] : [correlation];
}

function invalid(field: string, expected: string, received: unknown): RiskTrailError {
  return new RiskTrailError('OPTION_INVALID', { field, expected, received: describeValue(received) });
}

function holds(value: PlainValue | undefined, wanted: string): boolean {
  return Array.isArray(value) && value.includes(wanted);
}

/** A pattern of an event's name, `*` standing for any text, as a test of names. */
export function namePattern(pattern: string): (name: string) => boolean {
  if (!pattern.includes('*')) return (name) => name === pattern;
  const source = pattern
    .split('*')
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('.*');
  const expression = new RegExp(`^${source}$`, 's');
  return (name) => expression.test(name);
}

function eventFilter(patterns: readonly string[]): RecordFilter {
  const tests = patterns.map(namePattern);
  // A trail has few names and many records.
  const answers = new Map<string, boolean>();
  return ({ event }) => {
    if (event === null) return false;
    let answer = answers.get(event);
    if (answer === undefined) {
      answer = tests.some((test) => test(event));
      if (answers.size < 10_000) answers.set(event, answer);
    }
    return answer;
  };
}

function categoryFilter(categories: readonly string[]): RecordFilter {
  for (const category of categories) {
    if (!CATEGORIES.some((known) => known === category)) {
      throw invalid('--category', `one of ${CATEGORIES.join(', ')}${nearest(category, CATEGORIES)}`, category);
    }
  }
  return (record) => record.category.some((category) => categories.includes(category));
}

function severityFilter(name: string): RecordFilter {
  const names = Object.keys(SEVERITY_NUMBERS);
  const upper = name.toUpperCase();
  // WARNING and CRITICAL are what other loggers call them.
  const known = upper === 'WARNING' ? 'WARN' : upper === 'CRITICAL' ? 'FATAL' : upper;
  if (!names.includes(known)) throw invalid('--severity', `one of ${names.join(', ')}${nearest(name, names)}`, name);
  const least = SEVERITY_NUMBERS[known as Severity];
  return (record) => record.severity_number >= least;
}

type Operator = '=' | '!=' | '>' | '>=' | '<' | '<=' | '~';
const CONDITION = /^([^=!<>~\s]+)\s*(!=|>=|<=|=|>|<|~)(.*)$/s;
const NUMERIC = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** The attribute or member that a `--where` is about. */
export const conditionKey = (condition: string): string => CONDITION.exec(condition)?.[1] ?? condition;

/** One `--where`: a record must have the attribute and its value must compare as asked; of a list, one item is enough. */
function parseCondition(condition: string): RecordFilter {
  const match = CONDITION.exec(condition);
  if (match === null) {
    throw invalid('--where', 'key=value with an attribute’s full name and =, !=, >, >=, <, <= or ~', condition);
  }
  const [, key, operator, wanted] = match as unknown as [string, string, Operator, string];
  const definition: AttributeDefinition | undefined = Object.hasOwn(ATTRIBUTES, key)
    ? ATTRIBUTES[key as keyof typeof ATTRIBUTES]
    : undefined;
  const compare = comparison(operator, wanted, definition?.type === 'decimal');
  return (record) => {
    const value = valueAt(record, key);
    if (value === undefined || value === null) return false;
    if (!Array.isArray(value)) return compare(value);
    return operator === '!=' ? value.every(compare) : value.some(compare);
  };
}

function comparison(operator: Operator, wanted: string, isDecimal: boolean): (value: PlainValue) => boolean {
  const wantedNumber = NUMERIC.test(wanted) ? Number(wanted) : undefined;
  const equals = (value: PlainValue) => {
    if (typeof value === 'number') return value === wantedNumber;
    if (textOf(value) === wanted) return true;
    // "100.50" and 100.5 are one quantity; "007" and "7" are two ids.
    return isDecimal && wantedNumber !== undefined && typeof value === 'string' && Number(value) === wantedNumber;
  };
  switch (operator) {
    case '=':
      return equals;
    case '!=':
      return (value) => !equals(value);
    case '~':
      return (value) => textOf(value).includes(wanted);
  }
  const holdsFor: Readonly<Record<string, (order: number) => boolean>> = {
    '>': (order) => order > 0,
    '>=': (order) => order >= 0,
    '<': (order) => order < 0,
    '<=': (order) => order <= 0,
  };
  const test = holdsFor[operator]!;
  return (value) => {
    const isNumber = typeof value === 'number' || (typeof value === 'string' && NUMERIC.test(value));
    if (isNumber) return wantedNumber !== undefined && test(Number(value) - wantedNumber);
    // Text sorts as text: times and names. A number is never above or below a word.
    if (typeof value !== 'string' || wantedNumber !== undefined) return false;
    return test(value < wanted ? -1 : value > wanted ? 1 : 0);
  };
}

function textOf(value: PlainValue): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** The value of a member or attribute, or within a map by dotted path: `metadata.order.tag`. */
export function valueAt(record: FlatRecord, key: string): PlainValue | undefined {
  const name = MEMBER_OF_ATTRIBUTE[key] ?? key;
  if (Object.hasOwn(record, name)) return record[name];
  for (let dot = key.lastIndexOf('.'); dot > 0; dot = key.lastIndexOf('.', dot - 1)) {
    const map = key.slice(0, dot);
    if (Object.hasOwn(record, map)) return within(record[map], key.slice(dot + 1));
  }
  return undefined;
}

function within(value: PlainValue | undefined, path: string): PlainValue | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const map = value as { readonly [key: string]: PlainValue };
  if (Object.hasOwn(map, path)) return map[path];
  const dot = path.indexOf('.');
  return dot > 0 && Object.hasOwn(map, path.slice(0, dot))
    ? within(map[path.slice(0, dot)], path.slice(dot + 1))
    : undefined;
}
