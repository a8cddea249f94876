/**
 * The SQL views over a trail's files. DuckDB reads the lines itself; a view of one family passes over every line that can't
 * hold an event of it before it is decoded, and takes out of a record only what a query asks for.
 */
import type { AttributeName } from '../../catalog/attributes.ts';
import {
  attributeColumns,
  attributesOf,
  COMMON,
  type Column,
  ENVELOPE,
  eventSql,
  literal,
  quoted,
  REST,
  TRAILER,
  textOf,
  typedSql,
} from './columns.ts';

/** A view as it is described and made. */
export interface ViewDefinition {
  readonly name: string;
  readonly brief: string;
  readonly columns: readonly Column[];
  /** Which lines may hold such an event, as a condition on `json`; none where any may. */
  readonly lines?: string;
  /** Which records are such events, as a condition on the decoded record. */
  readonly records?: string;
}

const hasText = (text: string): string => `contains(json, ${literal(text)})`;

function family(
  name: string,
  brief: string,
  prefixes: readonly string[],
  events: readonly string[] = [],
): ViewDefinition {
  const isOf = (event: string) => prefixes.some((prefix) => event.startsWith(prefix)) || events.includes(event);
  const taken = [...ENVELOPE, ...TRAILER];
  return {
    name,
    brief,
    columns: [...ENVELOPE, ...attributeColumns(attributesOf(isOf), taken), ...TRAILER],
    // A name is never escaped in JSON: it stands in the line as it is.
    lines: [...prefixes.map((prefix) => hasText(`"${prefix}`)), ...events.map((event) => hasText(`"${event}"`))].join(
      ' OR ',
    ),
    records: eventSql([...prefixes, ...events]),
  };
}

const RISK_PREFIXES = ['risk.circuit_breaker.', 'risk.trailing_stop.', 'risk.portfolio_limit.'] as const;
const number = (attribute: AttributeName): string => typedSql(attribute);
/** What an order rule denies that only observes was sent all the same. */
const DENIED = `((${textOf('risk.decision')} = 'deny' OR event = 'risk.portfolio_limit.rejection') AND coalesce(${textOf('risk.rule.mode')}, '') <> 'observe')`;

const RISK_EVENTS: ViewDefinition = {
  name: 'risk_events',
  brief: 'The three risk layers under the columns that a `risk_events` table has elsewhere.',
  columns: [
    { name: 'event_id', sql: 'record_id', brief: 'Id of the record.' },
    ENVELOPE.find(({ name }) => name === 'event_type')!,
    REST.find(({ name }) => name === 'component')!,
    ENVELOPE.find(({ name }) => name === 'timestamp')!,
    { name: 'execution_id', sql: textOf('trading.execution.id'), brief: 'Execution of a strategy.' },
    { name: 'old_state', sql: textOf('risk.circuit_breaker.state.old'), brief: 'CLOSED, OPEN, HALF_OPEN …' },
    { name: 'new_state', sql: textOf('risk.circuit_breaker.state.new'), brief: 'CLOSED, OPEN, HALF_OPEN …' },
    { name: 'failure_count', sql: number('risk.circuit_breaker.failure_count'), brief: 'Failures in the window.' },
    { name: 'entry_premium', sql: number('risk.trailing_stop.entry_price'), brief: 'Entry price.' },
    { name: 'current_premium', sql: number('risk.trailing_stop.current_price'), brief: 'Observed price.' },
    {
      name: 'highest_premium',
      sql: number('risk.trailing_stop.peak_price'),
      brief: 'Best price since entry (for short: the lowest).',
    },
    { name: 'stop_premium', sql: number('risk.trailing_stop.stop_price'), brief: 'Stop level.' },
    { name: 'action', sql: textOf('risk.trailing_stop.action'), brief: 'HOLD, ACTIVATE, UPDATE or TRIGGER.' },
    { name: 'limit_type', sql: textOf('risk.limit.type'), brief: 'Limit.' },
    { name: 'current_value', sql: number('risk.limit.current'), brief: 'Value before the order.' },
    { name: 'limit_value', sql: number('risk.limit.max'), brief: 'Limit’s value.' },
    {
      name: 'allowed',
      sql: `CASE WHEN ${DENIED} THEN false WHEN ${textOf('risk.decision')} IN ('allow', 'cap', 'deny') THEN true END`,
      brief: 'Whether the order was let through, whole or cut.',
    },
    {
      name: 'rejection_reason',
      sql: `CASE WHEN ${DENIED} THEN coalesce(${textOf('risk.reason')}, ${textOf('risk.reason.code')}) END`,
      brief: 'Why not.',
    },
    { name: 'metadata', sql: `plain_json(${textOf('metadata')})`, brief: 'The caller’s own keys, as JSON text.' },
    { name: 'event', sql: 'event', brief: 'Name of the event, as in events.md.' },
    { name: 'name', sql: textOf('risk.circuit_breaker.name'), brief: 'Circuit breaker.' },
    { name: 'projected_value', sql: number('risk.limit.projected'), brief: 'Value if the order were filled.' },
    { name: 'reason_code', sql: textOf('risk.reason.code'), brief: 'Why, as CATEGORY_CONDITION.' },
    { name: 'symbol', sql: textOf('trading.symbol'), brief: 'Instrument.' },
    { name: 'account_id', sql: textOf('trading.account.id'), brief: 'Account.' },
    { name: 'strategy_id', sql: textOf('trading.strategy.id'), brief: 'Strategy.' },
    ...TRAILER,
  ],
  lines: RISK_PREFIXES.map((prefix) => hasText(`"${prefix}`)).join(' OR '),
  records: eventSql(RISK_PREFIXES),
};

const EVENTS_VIEW: ViewDefinition = {
  name: 'events',
  brief: 'Every record, with the context that all events share; any attribute is in `attributes`.',
  columns: [...ENVELOPE, ...attributeColumns(COMMON, [...ENVELOPE, ...REST, ...TRAILER]), ...REST, ...TRAILER],
};

const OPERATIONS: ViewDefinition = {
  ...family('operations', 'Calls, durations and the service itself: what names an operation or took a time.', [
    'api.',
    'system.',
    'performance.',
  ]),
  lines: [...['"api.', '"system.', '"performance.', '"operation"', '"timing.duration_ms"'].map(hasText)].join(' OR '),
  records: [eventSql(['api.', 'system.', 'performance.']), `list_has_any(k, ['operation', 'timing.duration_ms'])`].join(
    ' OR ',
  ),
};

/** The views that are read from the files; `alerts` and `limit_results` stand on them. */
export const FILE_VIEWS: readonly ViewDefinition[] = [
  EVENTS_VIEW,
  RISK_EVENTS,
  family('alert_events', 'What was done about alerts, an event a row.', ['alert.']),
  family('orders', 'Orders, an event a row.', ['order.']),
  family('trades', 'Trades, an event a row.', ['trade.']),
  family('stops', 'Trailing stops, an event a row.', ['risk.trailing_stop.']),
  family('breakers', 'Circuit breakers, an event a row.', ['risk.circuit_breaker.']),
  family(
    'limits',
    'Portfolio limits, an event a row; each limit of a check is a row of `limit_results`.',
    ['risk.portfolio_limit.'],
    ['risk.limit_hit', 'risk.daily_loss_limit', 'risk.portfolio_heat_warning', 'risk.portfolio_health'],
  ),
  OPERATIONS,
];

const ALERTS_SQL = `SELECT alert_id,
  arg_min(alert_type, time_unix_nano) FILTER (alert_type IS NOT NULL) AS type,
  arg_min(alert_severity, time_unix_nano) FILTER (alert_severity IS NOT NULL) AS severity,
  arg_max(status, (time_unix_nano, sequence)) AS status,
  arg_min(alert_title, time_unix_nano) FILTER (alert_title IS NOT NULL) AS title,
  arg_min(alert_message, time_unix_nano) FILTER (alert_message IS NOT NULL) AS message,
  arg_min(alert_rule, time_unix_nano) FILTER (alert_rule IS NOT NULL) AS rule,
  arg_min(symbol, time_unix_nano) FILTER (symbol IS NOT NULL) AS symbol,
  arg_min(strategy_id, time_unix_nano) FILTER (strategy_id IS NOT NULL) AS strategy_id,
  arg_min(metadata, time_unix_nano) FILTER (metadata IS NOT NULL) AS metadata,
  min(timestamp) FILTER (event = 'alert.raised') AS created_at,
  min(timestamp) FILTER (event = 'alert.acknowledged') AS acknowledged_at,
  arg_max(actor, time_unix_nano) FILTER (event = 'alert.acknowledged') AS acknowledged_by,
  max(timestamp) FILTER (event IN ('alert.resolved', 'alert.dismissed')) AS resolved_at,
  arg_max(actor, time_unix_nano) FILTER (event IN ('alert.resolved', 'alert.dismissed')) AS resolved_by,
  (max(time_unix_nano) FILTER (event IN ('alert.resolved', 'alert.dismissed'))
    - min(time_unix_nano) FILTER (event = 'alert.raised')) / 1e9 AS resolution_seconds
FROM (SELECT *, CASE event WHEN 'alert.raised' THEN 'ACTIVE' WHEN 'alert.acknowledged' THEN 'ACKNOWLEDGED'
    WHEN 'alert.resolved' THEN 'RESOLVED' ELSE 'DISMISSED' END AS status FROM alert_events WHERE alert_id IS NOT NULL
    AND event IN ('alert.raised', 'alert.acknowledged', 'alert.resolved', 'alert.dismissed'))
GROUP BY alert_id`;

const LIMIT_RESULTS_SQL = `SELECT timestamp, event, decision, symbol, side, quantity, order_id, account_id, strategy_id,
  execution_id, UNNEST(limits_type) AS type, UNNEST(limits_current) AS current, UNNEST(limits_projected) AS projected,
  UNNEST(limits_max) AS max, UNNEST(limits_utilization) AS utilization, UNNEST(limits_code) AS code,
  trace_id, record_id, stream, sequence, time_unix_nano FROM limits WHERE len(limits_type) > 0`;

/** Views that stand on others. */
export const DERIVED_VIEWS: readonly { readonly name: string; readonly brief: string; readonly sql: string }[] = [
  { name: 'alerts', brief: 'Alerts, a row each, as they stand at the end of the trail.', sql: ALERTS_SQL },
  {
    name: 'limit_results',
    brief: 'Each limit of each check (and of each health record), a row each.',
    sql: LIMIT_RESULTS_SQL,
  },
];

/** Names of all views. */
export const VIEW_NAMES: readonly string[] = [...FILE_VIEWS, ...DERIVED_VIEWS].map(({ name }) => name);

/** Helpers that the columns use. `finite`: NaN and the infinities as NULL. */
export const MACROS: readonly string[] = [
  'CREATE MACRO finite(x) AS CASE WHEN isfinite(x) THEN x END',
  "CREATE MACRO hex_id(x) AS CASE WHEN regexp_full_match(x, '0*') THEN NULL ELSE lower(x) END",
];

/** The lines of the files that may hold what is looked for. */
export function linesSql(files: readonly string[], maxLineBytes: number, condition?: string): string {
  const where = condition === undefined ? '' : ` AND (${condition})`;
  return `SELECT json FROM read_ndjson_objects([${files.map(literal).join(', ')}], ignore_errors = true, maximum_object_size = ${maxLineBytes}) WHERE json IS NOT NULL${where}`;
}

/** Where a record stands in the text `r`: a record by itself, or the only one of its line. */
export const ITSELF = '$';
export const OF_LINE = '$.resourceLogs[0].scopeLogs[0].logRecords[0]';

const HEADER = ['.eventName', '.timeUnixNano', '.severityNumber', '.body.stringValue', '.traceId', '.spanId'];
/** What a line has where it holds another record. */
const SECOND = ['$.resourceLogs[1]', '$.resourceLogs[0].scopeLogs[1]', '$.resourceLogs[0].scopeLogs[0].logRecords[1]'];

/** The log records of lines as JSON text `r`, with the service of the resource where a line has one only. */
export function recordsSql(lines: string): string {
  return `SELECT unnest(json_extract(json, '$.resourceLogs[*].scopeLogs[*].logRecords[*]')) AS r,
    CASE WHEN json_array_length(json, '$.resourceLogs') = 1 THEN regexp_extract(json, '"key":\\s*"service\\.name",\\s*"value":\\s*\\{\\s*"stringValue":\\s*"([^"\\\\]*)"', 1) END AS service
    FROM (${lines})`;
}

const textsSql = (place: string): string => `CASE WHEN len(k) = len(values_) THEN values_
        ELSE list_transform(json_extract(r, '${place}.attributes[*]'), lambda one: json_extract_string(one, '$.value.*')[1]) END`;
const headSql = `NULLIF(h[1], '') AS event, coalesce(TRY_CAST(h[2] AS BIGINT), 0) AS time_unix_nano,
      coalesce(TRY_CAST(h[3] AS INTEGER), 0) AS severity_number`;
const bodySql = (text: string, place: string): string =>
  `coalesce(${text}, CASE WHEN contains(r, '"body"') THEN plain_json(json_extract(r, '${place}.body')) END, '')`;
const IDENTITY = `${textOf('audit.stream')} AS stream, TRY_CAST(${textOf('audit.sequence.number')} AS BIGINT) AS sequence,
      ${textOf('audit.record.id')} AS record_id`;
const keysSql = (place: string): string => `json_extract_string(r, '${place}.attributes[*].key')`;
const valuesSql = (place: string): string => `json_extract_string(r, '${place}.attributes[*].value.*')`;

/**
 * The fields of a record as a list. DuckDB moves conditions down to where their columns are made, and makes the column anew
 * for each; it moves none below an UNNEST.
 */
const headerSql = (paths: readonly string[]): string =>
  `unnest([json_extract_string(r, [${paths.map(literal).join(', ')}])])`;

/** The fields of a record that stands by itself. */
const HEADER_ITSELF = HEADER.map((path) => `${ITSELF}${path}`);

/** Records decoded: their fields, and the names `k` and texts `v` of their attributes. */
export function decodedSql(records: string): string {
  return `SELECT service, ${headSql}, ${bodySql('h[4]', ITSELF)} AS body,
      hex_id(h[5]) AS trace_id, hex_id(h[6]) AS span_id, k, r, ${textsSql(ITSELF)} AS v, ${IDENTITY}
    FROM (SELECT r, service, h, ${keysSql(ITSELF)} AS k, ${valuesSql(ITSELF)} AS values_ FROM
      (SELECT r, service, ${headerSql(HEADER_ITSELF)} AS h FROM (${records})))`;
}

/** What a pass looks for. */
export interface SparsePass {
  /** SQL of the texts `r`. */
  readonly records: string;
  /** Where in `r` the record stands. */
  readonly place: typeof ITSELF | typeof OF_LINE;
  /** Condition on `event`, `severity_number` and `r`: those whose attributes, stream, number and id are decoded; of others they are NULL. */
  readonly wanted: string;
  /** Condition on those and `time_unix_nano`. */
  readonly where: string;
}

/**
 * Records decoded for a pass that looks at many and into few. Where a line is taken for one record, `odd` tells the lines
 * that are not: their records must be taken out of them.
 */
export function sparselyDecodedSql({ records, place, wanted, where }: SparsePass): string {
  const paths = [...HEADER.slice(0, 3).map((path) => `${place}${path}`), ...(place === OF_LINE ? SECOND : [])];
  const odd = place === OF_LINE ? 'h[2] IS NULL OR h[4] IS NOT NULL OR h[5] IS NOT NULL OR h[6] IS NOT NULL' : 'false';
  return `SELECT *, ${textsSql(place)} AS v, ${IDENTITY} FROM
    (SELECT *, CASE WHEN wanted THEN ${keysSql(place)} ELSE [] END AS k, CASE WHEN wanted THEN ${valuesSql(place)} ELSE [] END AS values_ FROM
      (SELECT *, coalesce(${wanted}, false) AS wanted FROM
        (SELECT r, ${headSql}, ${odd} AS odd FROM
          (SELECT r, ${headerSql(paths)} AS h FROM (${records}))) WHERE odd OR (${where})))`;
}

/** A record's sentence, from its text `r`. */
export const textOfBodySql = (place: string): string =>
  bodySql(`json_extract_string(r, '${place}.body.stringValue')`, place);

/** What tells records apart: stream and number, else the id; NULL where a record has neither. */
const RECORD_KEY = "coalesce(stream || '#' || sequence, record_id)";

/** The same as a number. */
export const RECORD_HASH = `CASE WHEN ${RECORD_KEY} IS NOT NULL THEN hash(${RECORD_KEY}) END`;

/** A view as SQL. @param once whether records may be there more than once and must be told apart */
export function viewSql(view: ViewDefinition, files: readonly string[], maxLineBytes: number, once: boolean): string {
  const where = view.records === undefined ? '' : ` WHERE ${view.records}`;
  const decoded = `SELECT * FROM (${decodedSql(recordsSql(linesSql(files, maxLineBytes, view.lines)))})${where}`;
  const columns = view.columns.map(({ name, sql }) => `${sql} AS ${quoted(name)}`).join(',\n    ');
  if (!once) return `SELECT ${columns} FROM (${decoded})`;
  return `SELECT * EXCLUDE (record_key_, copy_) FROM (SELECT ${columns}, ${RECORD_KEY} AS record_key_,
    row_number() OVER (PARTITION BY ${RECORD_KEY}) AS copy_ FROM (${decoded})) WHERE copy_ = 1 OR record_key_ IS NULL`;
}
