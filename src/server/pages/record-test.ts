/** A filter as pages use it: the exact test of a record, and two quick ones that spare decoding a journal's line. */

import { type FilterOptions, namePattern, parseFilter, type RecordFilter } from '../../analysis/filter.ts';
import { nanosOf } from '../../analysis/report/report.ts';
import { parseBound } from '../../analysis/time-bound.ts';
import { type EventTable, SEVERITY_NUMBERS } from '../../catalog/define.ts';
import { EVENTS } from '../../catalog/events.ts';
import type { Clock } from '../../core/clock.ts';
import { describeValue, RiskTrailError } from '../../core/errors.ts';

/** What a record must meet. */
export interface RecordTest {
  readonly filter: RecordFilter;
  /** By the event's name and severity number alone: false where a line can't match. */
  readonly head: ((event: string, severity: number) => boolean) | undefined;
  /** Text that every line that matches holds. */
  readonly needle: Buffer | undefined;
  /** Bounds in nanoseconds. */
  readonly since: bigint | undefined;
  readonly until: bigint | undefined;
}

const ERROR_NUMBER = SEVERITY_NUMBERS.ERROR;
/** Text that JSON writes as it is. */
const PLAIN = /^[\w .:/+@-]{1,200}$/;

/**
 * Reads the filters of a request.
 * @throws RiskTrailError OPTION_INVALID
 */
export function readRecordTest(options: FilterOptions, clock: Clock): RecordTest {
  const filter = parseFilter(options, clock);
  const since = options.since === undefined ? undefined : boundOf('since', options.since, 'from', clock);
  const until = options.until === undefined ? undefined : boundOf('until', options.until, 'to', clock);
  if (since !== undefined && until !== undefined && since > until) {
    const expected = `a time not before since (${options.since})`;
    throw new RiskTrailError('OPTION_INVALID', { field: 'until', expected, received: describeValue(options.until) });
  }
  return { filter, head: headTest(options), needle: needleOf(options), since, until };
}

function boundOf(field: string, text: string, side: 'from' | 'to', clock: Clock): bigint {
  return BigInt(nanosOf(parseBound(field, text, side, clock)));
}

/** Text of the one filter that is the most telling. */
function needleOf(options: FilterOptions): Buffer | undefined {
  // A correlation id may stand as the trace id alone, so it is none.
  const { execution, session, symbol, strategy, account } = options;
  for (const text of [execution, session, symbol, strategy, account]) {
    if (text !== undefined && PLAIN.test(text)) return Buffer.from(`"${text}"`);
  }
  return options.trace !== undefined ? Buffer.from(`"${options.trace.toLowerCase()}`) : undefined;
}

function headTest({ event, category, severity }: FilterOptions): RecordTest['head'] {
  const names = event?.length ? event.map(namePattern) : undefined;
  const least = severity === undefined ? undefined : leastOf(severity);
  if (names === undefined && least === undefined && !category?.length) return undefined;
  const answers = new Map<string, boolean>();
  const ofName = (name: string): boolean => {
    let answer = answers.get(name);
    if (answer === undefined) {
      answer = names === undefined || names.some((test) => test(name));
      if (answers.size < 10_000) answers.set(name, answer);
    }
    return answer;
  };
  return (name, number) =>
    ofName(name) && (least === undefined || number >= least) && (!category?.length || mayBeOf(name, number, category));
}

const leastOf = (severity: string): number => {
  const upper = severity.toUpperCase();
  const known = upper === 'WARNING' ? 'WARN' : upper === 'CRITICAL' ? 'FATAL' : upper;
  return SEVERITY_NUMBERS[known as keyof typeof SEVERITY_NUMBERS] ?? 0;
};

/** A service's own event says its category in an attribute: only the whole record tells. */
function mayBeOf(name: string, severity: number, categories: readonly string[]): boolean {
  if (severity >= ERROR_NUMBER && categories.includes('error')) return true;
  const definition = Object.hasOwn(EVENTS, name) ? (EVENTS as EventTable)[name] : undefined;
  return definition === undefined || definition.category.some((one) => categories.includes(one));
}

/** The test of one record's id. */
export function recordIdTest(id: string): RecordTest {
  return {
    filter: (record) => record.record_id === id,
    head: undefined,
    needle: PLAIN.test(id) ? Buffer.from(`"${id}"`) : undefined,
    since: undefined,
    until: undefined,
  };
}
