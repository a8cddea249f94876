/** The SQL views for Apache Spark over a lake: the same names and columns as DuckDB's, from the same definitions. */
import { type Column, SPARK_EVENT_TYPE } from '../sql/columns.ts';
import { DERIVED_VIEWS, FILE_VIEWS, type ViewDefinition } from '../sql/views.ts';

const DIRECT = new Set([
  'event',
  'severity',
  'body',
  'trace_id',
  'span_id',
  'record_id',
  'stream',
  'sequence',
  'time_unix_nano',
  'severity_number',
  'category',
  'component',
  'service',
  'integrity',
  'attributes',
]);
const quoted = (name: string): string => (/^[a-z][a-z0-9_]*$/.test(name) ? name : `\`${name}\``);

/** An expression over attributes, out of DuckDB's words into Spark's. Only the forms that the views use are known. */
function translated(sql: string): string {
  return sql
    .replaceAll(/v\[list_position\(k, ('[^']*')\)\]/g, 'attributes[$1]')
    .replaceAll(
      /list_transform\(json_extract_string\((attributes\['[^']*'\]), '\$\.values\[\*\]\.\*'\), lambda one: finite\(TRY_CAST\(one AS DOUBLE\)\)\)/g,
      "from_json($1, 'array<double>')",
    )
    .replaceAll(
      /json_extract_string\((attributes\['[^']*'\]), '\$\.values\[\*\]\.\*'\)/g,
      "from_json($1, 'array<string>')",
    )
    .replaceAll(
      /finite\(TRY_CAST\((attributes\['[^']*'\]) AS DOUBLE\)\)/g,
      "nullif(nullif(nullif(try_cast($1 AS DOUBLE), double('NaN')), double('Infinity')), double('-Infinity'))",
    )
    .replaceAll(/plain_json\((attributes\['[^']*'\])\)/g, '$1')
    .replaceAll('TRY_CAST', 'try_cast')
    .replaceAll(
      /regexp_matches\(event, ('[^']*')\)/g,
      (_, pattern: string) => `event RLIKE ${pattern.replaceAll('\\.', '[.]')}`,
    )
    .replaceAll(/list_has_any\(k, \[([^\]]*)\]\)/g, (_, keys: string) =>
      keys
        .split(', ')
        .map((key) => `map_contains_key(attributes, ${key})`)
        .join(' OR '),
    )
    .replaceAll(/arg_(min|max)\(/g, '$1_by(')
    .replaceAll(/FILTER \(/g, 'FILTER (WHERE ');
}

function columnSql({ name, sql }: Column): string {
  if (name === 'timestamp') return 'timestamp_utc';
  if (name === 'event_type') return SPARK_EVENT_TYPE;
  if (name === 'integrity') return name;
  return DIRECT.has(name) && !sql.startsWith('v[') ? name : translated(sql);
}

function viewOf({ name, columns, records }: ViewDefinition): string {
  const list = columns.map((column) => {
    const sql = columnSql(column);
    return sql === quoted(column.name) ? sql : `${sql} AS ${quoted(column.name)}`;
  });
  const where = records === undefined ? '' : `\nWHERE ${translated(records)}`;
  return `CREATE OR REPLACE TEMPORARY VIEW ${name} AS\nSELECT ${list.join(',\n  ')}\nFROM lake${where}\n`;
}

const LIMIT_RESULTS = `SELECT timestamp, event, decision, symbol, side, quantity, order_id, account_id, strategy_id,
  execution_id, one.limits_type AS type, one.limits_current AS current, one.limits_projected AS projected,
  one.limits_max AS max, one.limits_utilization AS utilization, one.limits_code AS code,
  trace_id, record_id, stream, sequence, time_unix_nano FROM limits
  LATERAL VIEW explode(arrays_zip(limits_type, limits_current, limits_projected, limits_max, limits_utilization, limits_code)) AS one`;

/** File of `sql/spark` → its text. Each makes one view over the table `lake`. */
export function sparkViews(): Readonly<Record<string, string>> {
  const views: Record<string, string> = {};
  for (const view of FILE_VIEWS) views[`${view.name}.sql`] = `-- ${view.brief}\n${viewOf(view)}`;
  for (const { name, brief, sql } of DERIVED_VIEWS) {
    const text = name === 'limit_results' ? LIMIT_RESULTS : translated(sql);
    views[`${name}.sql`] = `-- ${brief}\nCREATE OR REPLACE TEMPORARY VIEW ${name} AS\n${text}\n`;
  }
  return views;
}
