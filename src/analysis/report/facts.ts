/** The table `facts` of a report: one pass over the trail, one row a record, and of it the columns that the report needs. */
import type { AttributeName } from '../../catalog/attributes.ts';
import { eventSql, literal, textOf, typedSql } from '../sql/columns.ts';
import type { FactPass } from '../sql/fact-tables.ts';
import { OF_LINE, sparselyDecodedSql, textOfBodySql } from '../sql/views.ts';

/** Column of `facts` → attribute. Rows of other events have NULL there. */
export const FACT_COLUMNS = {
  symbol: 'trading.symbol',
  execution_id: 'trading.execution.id',
  order_id: 'trading.order.id',
  side: 'trading.side',
  quantity: 'trading.quantity',
  price: 'trading.price',
  pnl: 'trading.pnl',
  stop_loss: 'trading.stop_loss',
  hold_minutes: 'trading.hold_time_minutes',
  equity: 'trading.equity',
  balance: 'trading.balance',
  close: 'trading.close',
  decision: 'risk.decision',
  rule_mode: 'risk.rule.mode',
  reason_code: 'risk.reason.code',
  scope: 'risk.scope',
  limit_type: 'risk.limit.type',
  breaker: 'risk.circuit_breaker.name',
  old_state: 'risk.circuit_breaker.state.old',
  new_state: 'risk.circuit_breaker.state.new',
  effective_at: 'risk.circuit_breaker.at',
  old_trading: 'risk.trading_state.old',
  new_trading: 'risk.trading_state.new',
  stop_price: 'risk.trailing_stop.stop_price',
  current_price: 'risk.trailing_stop.current_price',
  stop_id: 'risk.trailing_stop.id',
  stop_side: 'risk.trailing_stop.side',
  stop_entry: 'risk.trailing_stop.entry_price',
  stop_quantity: 'risk.trailing_stop.quantity',
  config: 'risk.trailing_stop.config',
  gap: 'risk.trailing_stop.gap',
  operation: 'operation',
  duration_ms: 'timing.duration_ms',
  slow: 'timing.threshold_exceeded',
  error_type: 'error.type',
  system_status: 'system.status',
  alert_id: 'alert.id',
  alert_type: 'alert.type',
  alert_severity: 'alert.severity',
  alert_rule: 'alert.rule',
  alert_title: 'alert.title',
  lost_records: 'audit.degraded.lost_records',
} as const satisfies Readonly<Record<string, AttributeName>>;
export type FactColumn = keyof typeof FACT_COLUMNS;

/** Condition on `facts`: nothing that an order rule decided which only observes, and changed nothing by it. */
export const ENFORCED = "rule_mode IS DISTINCT FROM 'observe'";

/** What a section needs of the facts. */
export interface FactNeeds {
  readonly columns: readonly FactColumn[];
  /** Events whose columns are wanted: names, or beginnings of names that end in a dot. */
  readonly events: readonly string[];
  /** Events of which a row is wanted, to be counted, but no column. */
  readonly counted?: readonly string[];
  /** Whether stream and number of every record are wanted. */
  readonly streams?: boolean;
  /** Whether a row is wanted of every record, not of those events alone. */
  readonly everything?: boolean;
  /** Whether records of severity ERROR and above are wanted, too. */
  readonly errors?: boolean;
  /** Whether records with a duration are wanted, too. */
  readonly durations?: boolean;
}

/** Bounds of the pass. */
export interface FactBounds {
  /** Nanoseconds since the epoch, inclusive, decimal. */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly symbol?: string | undefined;
  readonly strategy?: string | undefined;
  readonly account?: string | undefined;
}

const mayHold = (text: string) => `contains(json, ${literal(text)})`;
/** The last time that 64 bits hold. */
const LAST_NANOS = 2n ** 63n - 1n;
const ERROR = 'severity_number >= 17';
/** Of a record's text: it has a duration. */
const TIMED = `contains(r, '"timing.duration_ms"')`;
/** Of a line's text: 17 to 24, as a number or as text. */
const ERROR_LINE = `regexp_matches(json, '"severityNumber":\\s*"?(1[7-9]|2[0-4])')`;

/** The pass that gathers what some sections need. */
export function factPass(needs: readonly FactNeeds[], bounds: FactBounds): FactPass {
  const columns = [...new Set(needs.flatMap((one) => one.columns))];
  const events = [...new Set(needs.flatMap((one) => one.events))];
  const counted = [...new Set(needs.flatMap((one) => one.counted ?? []))];
  const everything = needs.some((one) => one.everything);
  const errors = needs.some((one) => one.errors);
  const durations = needs.some((one) => one.durations);
  const byAttribute = [
    ...(bounds.symbol === undefined
      ? []
      : [
          `(${textOf('trading.symbol')} = ${literal(bounds.symbol)} OR list_contains(${typedSql('trading.symbols')}, ${literal(bounds.symbol)}))`,
        ]),
    ...(bounds.strategy === undefined ? [] : [`${textOf('trading.strategy.id')} = ${literal(bounds.strategy)}`]),
    ...(bounds.account === undefined ? [] : [`${textOf('trading.account.id')} = ${literal(bounds.account)}`]),
  ];
  const looked = [
    ...(events.length === 0 ? [] : [eventSql(events)]),
    ...(errors ? [ERROR] : []),
    ...(durations ? [TIMED] : []),
  ];
  const rowEvents = [...events, ...counted];
  const rowsOf = [
    ...(rowEvents.length === 0 ? [] : [eventSql(rowEvents)]),
    ...looked.slice(events.length === 0 ? 0 : 1),
  ];
  const all = byAttribute.length > 0 || needs.some((one) => one.streams);
  const times =
    bounds.from === undefined && bounds.to === undefined
      ? []
      : [`time_unix_nano BETWEEN ${bounds.from ?? 0} AND ${bounds.to ?? LAST_NANOS}`];
  const where = [...(everything ? [] : [`(${rowsOf.join(' OR ') || 'false'})`]), ...times];
  const lines = [
    ...[...events, ...counted].map((event) => mayHold(event.endsWith('.') ? `"${event}` : `"${event}"`)),
    ...(errors ? [ERROR_LINE] : []),
    ...(durations ? [mayHold('"timing.duration_ms"')] : []),
  ].join(' OR ');
  const texts = columns.map((name) => textOf(FACT_COLUMNS[name]));
  const cachedRows = inCache(everything ? [] : [`(${rowsOf.join(' OR ') || 'false'})`]);
  return {
    // One list of the wanted texts, and none for most records: thirty columns of nothing would cost more than the rest.
    pass: ({ records, place, key, whole }) =>
      `SELECT event, time_unix_nano, severity_number, sequence, stream, ${key} AS record_key, odd,
         ${errors ? `CASE WHEN ${ERROR} THEN ${textOfBodySql(place)} END` : 'NULL'} AS body,
         ${texts.length === 0 ? 'NULL' : `CASE WHEN wanted THEN [${texts.join(', ')}] END`} AS texts
       FROM (${sparselyDecodedSql({
         records,
         place,
         wanted: whole || all ? 'true' : looked.join(' OR ') || 'false',
         where: where.join(' AND ') || 'true',
       })})
       ${byAttribute.length === 0 ? '' : ` WHERE odd OR (${byAttribute.join(' AND ')})`}`,
    columns: columns.map((name, at) => `${typedSql(FACT_COLUMNS[name], `texts[${at + 1}]`)} AS ${name}`),
    lines: everything ? undefined : lines,
    cached: {
      columns: `event, time_unix_nano, severity_number, sequence, stream, ${errors ? 'body' : 'NULL AS body'}${columns.map((name) => `, ${name}`).join('')}`,
      where: [...cachedRows, ...times, ...byCachedAttribute(bounds)].join(' AND ') || 'true',
      counted: byAttribute.length > 0 ? undefined : countedSql(cachedRows, bounds),
    },
  };
}

/** Conditions on a record's text as conditions on the cache's columns. */
const inCache = (conditions: readonly string[]): string[] =>
  conditions.map((condition) => condition.replaceAll(TIMED, 'timed'));

function byCachedAttribute({ symbol, strategy, account }: FactBounds): string[] {
  return [
    ...(symbol === undefined
      ? []
      : [`(symbol = ${literal(symbol)} OR coalesce(list_contains(symbols, ${literal(symbol)}), false))`]),
    ...(strategy === undefined ? [] : [`strategy_id = ${literal(strategy)}`]),
    ...(account === undefined ? [] : [`account_id = ${literal(account)}`]),
  ];
}

const DAY_NANOS = 86_400_000_000_000n;
/** Day of a record since the epoch; one for all times before it. */
export const DAY_SQL = `CASE WHEN time_unix_nano < 0 THEN -1 ELSE time_unix_nano // ${DAY_NANOS} END`;

/** Condition on a row that counts a day's records; undefined where the bounds are within days. */
function countedSql(rows: readonly string[], { from, to }: FactBounds): string | undefined {
  if (from !== undefined && (BigInt(from) < 0n || BigInt(from) % DAY_NANOS !== 0n)) return undefined;
  if (to !== undefined && (BigInt(to) < 0n || (BigInt(to) + 1n) % DAY_NANOS !== 0n)) return undefined;
  const days =
    from === undefined && to === undefined
      ? []
      : [`day BETWEEN ${BigInt(from ?? 0) / DAY_NANOS} AND ${BigInt(to ?? LAST_NANOS) / DAY_NANOS}`];
  return [...rows, ...days].join(' AND ') || 'true';
}

/** What the cache holds of a segment, a row a record: every column that some report may ask for. Texts `r` are its lines. */
export function cacheSql(lines: string): string {
  const typed = (Object.entries(FACT_COLUMNS) as [FactColumn, AttributeName][]).map(
    ([name, attribute]) => `, ${typedSql(attribute)} AS ${name}`,
  );
  return `SELECT event, time_unix_nano, severity_number, sequence, stream, hash(r) AS record_key, odd,
      CASE WHEN ${ERROR} THEN ${textOfBodySql(OF_LINE)} END AS body, ${TIMED} AS timed,
      ${textOf('trading.strategy.id')} AS strategy_id, ${textOf('trading.account.id')} AS account_id,
      ${typedSql('trading.symbols')} AS symbols${typed.join('')}
    FROM (${sparselyDecodedSql({ records: `SELECT json AS r FROM (${lines})`, place: OF_LINE, wanted: 'true', where: 'true' })})`;
}
