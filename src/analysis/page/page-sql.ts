/** Parts of the page’s queries, and of their answers. */
import type { SqlValue } from '../sql/duckdb.ts';
import type { SqlParameters } from '../sql/trail-database.ts';
import { msOf } from './format.ts';
import type { PeriodStretch, Scope } from './page-types.ts';
import type { Unit } from './periods.ts';

/** A row of an answer. */
export type Row = readonly SqlValue[];

export const num = (value: SqlValue | undefined): number | null =>
  value === null || value === undefined ? null : Number(value);

export const str = (value: SqlValue | undefined): string | null =>
  value === null || value === undefined ? null : String(value);

export const AT = 'time_unix_nano';

export const within = (scope: Scope): string => `${AT} BETWEEN ${scope.fromNs} AND ${scope.toNs}`;

export const periodSql = (unit: Unit, time = AT): string =>
  `epoch_ms(date_trunc('${unit}', make_timestamp(${time} // 1000))::TIMESTAMP)`;

export interface Filter {
  readonly sql: string;
  readonly parameters: SqlParameters;
}

/** The asked filters, of those that a view's rows have. */
export function filterOf(scope: Scope, names: readonly ('symbol' | 'strategy' | 'account')[]): Filter {
  const columns = { symbol: 'symbol', strategy: 'strategy_id', account: 'account_id' } as const;
  const asked = names.filter((name) => scope[name] !== undefined);
  return {
    sql: asked.map((name) => ` AND ${columns[name]} = $${name}`).join(''),
    parameters: Object.fromEntries(asked.map((name) => [name, scope[name]!])),
  };
}

/** Stretches of a wide picture: about one in three pixels. */
export const STRETCHES = 340;

/** First, lowest, highest and last of each stretch and period. @param rows SQL with the columns k, t, seq, v */
export function stretchSql(rows: string, scope: Scope, more = ''): string {
  const width = (BigInt(scope.toNs) - BigInt(scope.fromNs)) / BigInt(STRETCHES) + 1n;
  return `SELECT k, ${periodSql(scope.unit, 't')} AS period, count(*) AS n,
      arg_min(t, (t, seq)), arg_min(v, (t, seq)), arg_min(t, (v, t)), min(v),
      arg_max(t, (v, -t)), max(v), arg_max(t, (t, seq)), arg_max(v, (t, seq))${more}
    FROM (${rows}) GROUP BY k, period, (t - ${scope.fromNs}) // ${width} ORDER BY k, min(t)`;
}

export function stretchOf(row: Row): PeriodStretch {
  const [key, period, n, ...rest] = row;
  const point = (at: number) => [msOf(rest[at]), Number(rest[at + 1])] as const;
  return {
    key: String(key ?? ''),
    periodMs: Number(period),
    n: Number(n),
    first: point(0),
    low: point(2),
    high: point(4),
    last: point(6),
  };
}

export function byKey<T extends { readonly key: string }>(rows: readonly T[]): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const row of rows) {
    const group = groups.get(row.key);
    if (group === undefined) groups.set(row.key, [row]);
    else group.push(row);
  }
  return groups;
}
