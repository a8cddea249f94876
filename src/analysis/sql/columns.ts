/** The columns of the SQL views: which there are, and the expressions that take them out of a record. */
import { ATTRIBUTES, type AttributeName, COMMON_ATTRIBUTES } from '../../catalog/attributes.ts';
import { type AttributeTable, CATEGORIES, type EventDefinition, SEVERITY_NUMBERS } from '../../catalog/define.ts';
import { EVENTS } from '../../catalog/events.ts';

/** A column of a view. */
export interface Column {
  readonly name: string;
  /** SQL over the columns of the decoded record: see `decodedSql`. */
  readonly sql: string;
  readonly brief: string;
}

/** A string as an SQL literal. */
export const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;
/** A list of strings as an SQL literal. */
const list = (texts: readonly string[]): string => `[${texts.map(literal).join(', ')}]`;
/** A name as SQL takes it, whatever its characters. */
export const quoted = (name: string): string =>
  /^[a-z][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;

/** The text of an attribute's value; NULL where the record has none. */
export const textOf = (attribute: string): string => `v[list_position(k, ${literal(attribute)})]`;
/** NaN and the infinities are no values to calculate with. */
const numberSql = (text: string): string => `finite(TRY_CAST(${text} AS DOUBLE))`;

/**
 * Condition: the event is one of these, or begins with one that ends in a dot. It names the event once: DuckDB moves a
 * condition to where the record is decoded, and decodes for each mention.
 */
export function eventSql(events: readonly string[]): string {
  const parts = events.map((event) => `${event.replaceAll('.', '\\.')}${event.endsWith('.') ? '' : '$'}`);
  return `regexp_matches(event, ${literal(`^(${parts.join('|')})`)})`;
}

/** Event type as the tables of older systems name it, where it isn't the name with underscores for dots. */
const EVENT_TYPES: Readonly<Record<string, string>> = {
  'risk.position_size_calculated': 'position_size_calculated',
  'risk.position_size_capped': 'position_size_capped',
  'risk.daily_loss_limit': 'daily_loss_limit',
  'risk.portfolio_heat_warning': 'portfolio_heat_warning',
  'strategy.signal_processed': 'signal_processing',
  'strategy.symbol_scan': 'symbol_scan',
  'strategy.entry_signal': 'entry_signal',
  'strategy.exit_signal': 'exit_signal',
  'trade.stop_loss_hit': 'stop_loss_hit',
  'trade.take_profit_hit': 'take_profit_hit',
  'position.adjusted': 'position_adjusted',
  'account.balance_query': 'balance_query',
  'config.leverage_set': 'leverage_set',
  'config.margin_type_set': 'margin_type_set',
  'api.retry_attempt': 'retry_attempt',
  'api.rate_limit': 'rate_limit',
  'system.health_check': 'health_check',
  'system.market_status': 'market_status',
  'performance.latency': 'latency_measurement',
};
/** Families whose events those systems name without the first part. */
const WITHOUT_RISK = /^risk\.(circuit_breaker|trailing_stop|portfolio_limit)\./;

const definitions: readonly (readonly [string, EventDefinition])[] = Object.entries(EVENTS);
const mapSql = (entries: readonly (readonly [string, string])[]): string =>
  `MAP {${entries.map(([key, value]) => `${literal(key)}: ${value}`).join(', ')}}`;

const FAMILY = "split_part(event, '.', 1)";
/** As `toFlatRecord` tells them: of the catalogue, else by the event's own word or its family. */
const CATEGORY_SQL = `CASE WHEN own_category IS NULL THEN
    CASE WHEN severity_number >= ${SEVERITY_NUMBERS.ERROR} THEN ['error'] ELSE []::VARCHAR[] END
  WHEN severity_number >= ${SEVERITY_NUMBERS.ERROR} AND NOT list_contains(own_category, 'error')
    THEN list_append(own_category, 'error') ELSE own_category END`;
const OWN_CATEGORY = `coalesce(
    ${mapSql(definitions.map(([event, { category }]) => [event, list(category)] as const))}[coalesce(event, '')],
    list_filter(string_split(coalesce(${textOf('event.category')}, ${FAMILY}), ','),
      lambda one: list_contains(${list(CATEGORIES)}, one)))`;
const COMPONENT_SQL = `coalesce(
    ${mapSql(definitions.map(([event, { component }]) => [event, literal(component)] as const))}[coalesce(event, '')],
    ${textOf('risk.component')}, NULLIF(${FAMILY}, ''))`;
const SEVERITY_SQL = `CASE WHEN severity_number BETWEEN 1 AND 24
  THEN ${list(Object.keys(SEVERITY_NUMBERS))}[(severity_number - 1) // 4 + 1] ELSE '' END`;
const EVENT_TYPE_SQL = `coalesce(
    ${mapSql(Object.entries(EVENT_TYPES).map(([event, type]) => [event, literal(type)] as const))}[coalesce(event, '')],
    replace(regexp_replace(event, ${literal(WITHOUT_RISK.source)}, '\\1_'), '.', '_'))`;
/** The type of an event as Spark tells it, over the columns of a lake. */
export const SPARK_EVENT_TYPE = `CASE event ${Object.entries(EVENT_TYPES)
  .map(([event, type]) => `WHEN ${literal(event)} THEN ${literal(type)}`)
  .join(
    ' ',
  )} ELSE replace(regexp_replace(event, ${literal(WITHOUT_RISK.source.replaceAll('\\.', '[.]'))}, '$1_'), '.', '_') END`;
/** Lists and maps as plain JSON, all else as its text. */
const TEXTS_SQL = `list_transform(json_extract(r, '$.attributes[*].value'), lambda one:
    CASE WHEN starts_with(one, '{"arrayValue"') OR starts_with(one, '{"kvlistValue"') THEN plain_json(one)
      ELSE json_extract_string(one, '$.*')[1] END)`;
/** Keys told twice make no map; the first of each stands. */
const ATTRIBUTES_SQL = `CASE WHEN len(list_distinct(k)) = len(v) THEN map(k, ${TEXTS_SQL})
  ELSE map(list_distinct(k), list_transform(list_distinct(k), lambda key: v[list_position(k, key)])) END`;

/** What every view begins with. */
export const ENVELOPE: readonly Column[] = [
  {
    name: 'timestamp',
    sql: 'make_timestamp(time_unix_nano // 1000)',
    brief: 'When, UTC, to the microsecond (TIMESTAMP).',
  },
  { name: 'event', sql: 'event', brief: 'Name of the event, as in events.md.' },
  { name: 'event_type', sql: EVENT_TYPE_SQL, brief: 'The same in the older form: `trailing_stop_add`.' },
  { name: 'severity', sql: SEVERITY_SQL, brief: 'TRACE, DEBUG, INFO, WARN, ERROR or FATAL.' },
  { name: 'body', sql: 'body', brief: 'The sentence.' },
];

/** What every view ends with. */
export const TRAILER: readonly Column[] = [
  { name: 'correlation_id', sql: textOf('correlation.id'), brief: 'Correlation id.' },
  { name: 'trace_id', sql: 'trace_id', brief: 'Trace id, lower-case hex.' },
  { name: 'span_id', sql: 'span_id', brief: 'Span id, lower-case hex.' },
  { name: 'record_id', sql: 'record_id', brief: 'Id of the record.' },
  { name: 'stream', sql: 'stream', brief: 'Stream of the record.' },
  { name: 'sequence', sql: 'sequence', brief: 'Number of the record within its stream.' },
  {
    name: 'time_unix_nano',
    sql: 'time_unix_nano',
    brief: 'When, in nanoseconds since 1970: exact, and what to sort by.',
  },
];

/** What `events` has besides: everything else of a record. */
export const REST: readonly Column[] = [
  { name: 'severity_number', sql: 'severity_number', brief: 'OpenTelemetry’s severity number.' },
  {
    name: 'category',
    sql: `list_transform([${OWN_CATEGORY}], lambda own_category: ${CATEGORY_SQL})[1]`,
    brief: 'Categories (a list); `error` for ERROR and above.',
  },
  { name: 'component', sql: COMPONENT_SQL, brief: 'What emitted it.' },
  { name: 'service', sql: "coalesce(NULLIF(split_part(stream, '/', 1), ''), service)", brief: 'Service.' },
  { name: 'integrity', sql: textOf('audit.integrity.value'), brief: 'Claimed leaf hash, base64.' },
  {
    name: 'attributes',
    sql: ATTRIBUTES_SQL,
    brief: "Every attribute as text by its full name: `attributes['trading.price']`; exact decimals.",
  },
];

const PREFIXES = ['trading.', 'risk.trailing_stop.', 'risk.circuit_breaker.', 'risk.', 'timing.'] as const;

/** Where the rule gives a name that says too little, or that tables elsewhere have under another. */
const NAMES: Readonly<Record<string, string>> = {
  'risk.circuit_breaker.state.old': 'old_state',
  'risk.circuit_breaker.state.new': 'new_state',
  'risk.trailing_stop.id': 'stop_id',
};

/** `trading.order.id` → `order_id`, `risk.trailing_stop.stop_price` → `stop_price`, `error.type` → `error_type`. */
function shortName(attribute: string): string {
  if (Object.hasOwn(NAMES, attribute)) return NAMES[attribute]!;
  const prefix = PREFIXES.find((one) => attribute.startsWith(one)) ?? '';
  return attribute.slice(prefix.length).replaceAll('.', '_');
}

/** An attribute's value in the type that the catalogue gives it. @param text SQL of its text */
export function typedSql(attribute: AttributeName, text: string = textOf(attribute)): string {
  switch ((ATTRIBUTES as AttributeTable)[attribute]!.type) {
    case 'string':
      return text;
    case 'decimal':
    case 'number':
      return numberSql(text);
    case 'int':
      return `TRY_CAST(${text} AS BIGINT)`;
    case 'boolean':
      return `TRY_CAST(${text} AS BOOLEAN)`;
    case 'strings':
      return `json_extract_string(${text}, '$.values[*].*')`;
    case 'numbers':
      return `list_transform(json_extract_string(${text}, '$.values[*].*'), lambda one: ${numberSql('one')})`;
    case 'map':
      return `plain_json(${text})`;
  }
}

const CONTEXT: readonly AttributeName[] = [
  'trading.symbol',
  'trading.account.id',
  'trading.strategy.id',
  'trading.execution.id',
  'trading.session.id',
];
/** Stands in the trailer already. */
const ELSEWHERE: ReadonlySet<string> = new Set(['correlation.id']);

/** A typed column for each of the attributes; a short name that is taken gives way to the full one. */
export function attributeColumns(attributes: Iterable<AttributeName>, taken: readonly Column[]): readonly Column[] {
  const names = new Set(taken.map(({ name }) => name));
  const columns: Column[] = [];
  for (const attribute of attributes) {
    if (ELSEWHERE.has(attribute)) continue;
    const short = shortName(attribute);
    const name = names.has(short) ? attribute.replaceAll('.', '_') : short;
    if (names.has(name)) continue;
    names.add(name);
    columns.push({ name, sql: typedSql(attribute), brief: ATTRIBUTES[attribute].brief });
  }
  return columns;
}

/** The attributes of the catalogue's events of these names: the context first, their own, then what every event takes. */
export function attributesOf(isOf: (event: string) => boolean): readonly AttributeName[] {
  const own = new Set<AttributeName>();
  for (const [event, definition] of definitions) {
    if (!isOf(event)) continue;
    for (const name of [...definition.required, ...definition.optional]) own.add(name as AttributeName);
  }
  return [...new Set([...CONTEXT, ...own, ...COMMON_ATTRIBUTES])];
}

/** The context and what every event takes. */
export const COMMON: readonly AttributeName[] = [...new Set([...CONTEXT, ...COMMON_ATTRIBUTES])];
