/**
 * Rules as SQL over the view `events` of a trail: the measure of each group at one time, and whether it meets the condition.
 */
import { SEVERITY_NUMBERS } from '../../catalog/define.ts';
import { ALERT_FAMILY } from '../match.ts';
import type { AlertRule, Condition, EventSelector, EventSet, EventValue, Predicate } from '../rule.ts';

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;
const name = (text: string): string => `"${text.replaceAll('"', '""')}"`;
const raw = (attribute: string): string => `attributes[${literal(attribute)}]`;
const text = (attribute: string): string => `coalesce(${raw(attribute)}, '')`;
const number = (attribute: string): string => `TRY_CAST(${raw(attribute)} AS DOUBLE)`;

function predicateSql(predicate: Predicate): string {
  const { attribute } = predicate;
  switch (predicate.is) {
    case '=':
      return `${text(attribute)} = ${literal(String(predicate.value))}`;
    case '!=':
      return `${text(attribute)} <> ${literal(String(predicate.value))}`;
    case 'in':
      return `${text(attribute)} IN (${predicate.values.map(literal).join(', ')})`;
    default:
      return `coalesce(${number(attribute)} ${predicate.is} ${predicate.value}, false)`;
  }
}

function selectorSql({ events, minSeverity, where }: EventSelector): string {
  const parts = [
    events === undefined
      ? `(event IS NOT NULL AND NOT starts_with(event, ${literal(ALERT_FAMILY)}))`
      : `event IN (${events.map(literal).join(', ')})`,
    ...(minSeverity === undefined ? [] : [`severity_number >= ${SEVERITY_NUMBERS[minSeverity]}`]),
    ...(where ?? []).map(predicateSql),
  ];
  return parts.join(' AND ');
}

/** Condition on a record. */
function setSql(set: EventSet): string {
  return set.map((selector) => `(${selectorSql(selector)})`).join(' OR ');
}

function valueSql({ attribute, per }: EventValue): string {
  return per === undefined ? number(attribute) : `${number(attribute)} / NULLIF(${number(per)}, 0)`;
}

const nanos = (ms: number): string => `${BigInt(Math.round(ms * 1000)) * 1000n}`;
const NEWEST = '(time_unix_nano, coalesce(sequence, 0))';

/**
 * SQL that measures every group at a time.
 * @returns SELECT of `service`, each attribute of the group, and `value`; its parameter `$at` is the time, nanoseconds since
 * the epoch as text
 */
export function measureSql({ measure, groupBy, windowMs }: AlertRule): string {
  const groups = groupBy.map(({ attribute, or }) => {
    const value = or === undefined ? text(attribute) : `coalesce(NULLIF(${raw(attribute)}, ''), ${literal(or)})`;
    return `${value} AS ${name(attribute)}`;
  });
  const keys = ['service', ...groups].join(', ');
  const at = 'CAST($at AS BIGINT)';
  const within = (ms: number) => `time_unix_nano > ${at} - ${nanos(ms)} AND time_unix_nano <= ${at}`;
  const from = (set: EventSet, ms = windowMs) => `FROM events WHERE ${within(ms)} AND (${setSql(set)})`;
  switch (measure.kind) {
    case 'count':
      return `SELECT ${keys}, count(*)::DOUBLE AS value ${from(measure.of)} GROUP BY ALL`;
    case 'rate':
      return `SELECT ${keys}, count(*) * ${measure.perMs}::DOUBLE / ${windowMs} AS value ${from(measure.of)} GROUP BY ALL`;
    case 'ratio':
      return (
        `SELECT ${keys}, (count(*) FILTER (WHERE ${setSql(measure.of)}))::DOUBLE / count(*) AS value ` +
        `${from(measure.among)} GROUP BY ALL HAVING count(*) >= ${measure.atLeast}`
      );
    case 'absence': {
      const { lookbackMs, of, endedBy } = measure;
      const ended = endedBy.length === 0 ? 'NULL' : `max(time_unix_nano) FILTER (WHERE ${setSql(endedBy)})`;
      const names = ['service', ...groupBy.map(({ attribute }) => name(attribute))].join(', ');
      return (
        `SELECT ${names}, 1::DOUBLE AS value FROM (SELECT ${keys}, ` +
        `max(time_unix_nano) FILTER (WHERE ${setSql(of)}) AS seen_, ${ended} AS ended_ ` +
        `${from([...of, ...endedBy], lookbackMs)} GROUP BY ALL) ` +
        `WHERE seen_ <= ${at} - ${nanos(windowMs)} AND coalesce(ended_ < seen_, true)`
      );
    }
    default: {
      const aggregate = {
        sum: 'sum(value_)',
        mean: 'avg(value_)',
        min: 'min(value_)',
        max: 'max(value_)',
        last: `arg_max(value_, ${NEWEST})`,
        rise: `arg_max(value_, ${NEWEST}) - min(value_)`,
        quantile: measure.kind === 'quantile' ? `quantile_cont(value_, ${measure.quantile})` : '',
      }[measure.kind];
      const names = ['service', ...groupBy.map(({ attribute }) => name(attribute))].join(', ');
      return (
        `SELECT ${names}, ${aggregate} AS value FROM (SELECT ${keys}, time_unix_nano, sequence, ` +
        `${valueSql(measure.value)} AS value_ ${from(measure.of)}) WHERE isfinite(value_) GROUP BY ALL`
      );
    }
  }
}

function conditionSql(condition: Condition): string {
  return condition.is === 'in'
    ? `value IN (${condition.values.join(', ')})`
    : `value ${condition.is} ${condition.threshold}`;
}

/** SQL of the groups that meet the condition at `$at`. How long they have met it is for the evaluator to say. */
export function ruleSql(rule: AlertRule): string {
  return `SELECT * FROM (${measureSql(rule)}) WHERE ${conditionSql(rule.condition)}`;
}
