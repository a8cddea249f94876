/** DuckDB: an optional package, loaded when the first query is asked, and its values as plain ones. */
import type { DuckDBInstance, DuckDBValue } from '@duckdb/node-api';
import { RiskTrailError } from '../../core/errors.ts';

/** The package, as its dynamic import gives it. */
export type DuckDbModule = typeof import('@duckdb/node-api');

/** A cell of a result: what JSON has. */
export type SqlValue = string | number | boolean | null | readonly SqlValue[] | { readonly [key: string]: SqlValue };

/**
 * Loads the package.
 * @throws RiskTrailError DUCKDB_MISSING
 */
export async function loadDuckDb(): Promise<DuckDbModule> {
  try {
    return await import('@duckdb/node-api');
  } catch (error) {
    const { message } = error as Error;
    throw new RiskTrailError('DUCKDB_MISSING', { reason: message.split('\n', 1)[0]! }, error);
  }
}

/** A database in memory that neither reads extensions nor settings of this machine. */
export function createInstance(
  { DuckDBInstance: Instance }: DuckDbModule,
  settings: Readonly<Record<string, string>>,
): Promise<DuckDBInstance> {
  return Instance.create(':memory:', {
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    ...settings,
  });
}

/** Integers that a double holds exactly are numbers, others decimal text, as the trail has them. */
function fromBigInt(value: bigint): number | string {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : String(value);
}

/** `2020-03-16 14:30:00.5` → `2020-03-16T14:30:00.500000Z`: six digits, so that sorting as text is sorting by time. */
function isoOf(text: string): string {
  const match = /^(\d{4,}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d+))?/.exec(text);
  return match === null ? text : `${match[1]}T${match[2]}.${(match[3] ?? '').padEnd(6, '0')}Z`;
}

interface Holder {
  readonly items?: readonly DuckDBValue[];
  readonly entries?: unknown;
}

/** A value of DuckDB as a plain one. Times are ISO 8601 in UTC, decimals and intervals text. */
export function plainCell(value: DuckDBValue): SqlValue {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (typeof value === 'bigint') return fromBigInt(value);
  const name = value.constructor.name;
  const { items, entries } = value as Holder;
  if (name === 'DuckDBListValue' || name === 'DuckDBArrayValue') return (items ?? []).map((item) => plainCell(item));
  if (name === 'DuckDBMapValue') {
    const pairs = entries as readonly { key: DuckDBValue; value: DuckDBValue }[];
    return Object.fromEntries(pairs.map((pair) => [String(plainCell(pair.key)), plainCell(pair.value)]));
  }
  if (name === 'DuckDBStructValue') {
    const members = entries as Readonly<Record<string, DuckDBValue>>;
    return Object.fromEntries(Object.entries(members).map(([key, member]) => [key, plainCell(member)]));
  }
  return name.startsWith('DuckDBTimestamp') ? isoOf(String(value)) : String(value);
}
