/**
 * What one process adds to the state that all processes of an account share: the whole of it in each `risk.account_state`
 * record, so that the newest record of a stream says all, however often it is read and whatever came before it.
 */
import { withoutNulls } from '../core/without-nulls.ts';
import type { Instrument } from '../risk/portfolio-limits/portfolio.ts';
import type { PendingOrder } from '../risk/portfolio-limits/state.ts';
import { isTradingState, type TradingState } from '../risk/trading-state.ts';

/** Name of the event that holds an {@link AccountState}. */
export const ACCOUNT_EVENT = 'risk.account_state';

/** What fills of one stream came to in one symbol. */
export interface AccountPosition extends Instrument {
  readonly symbol: string;
  /** Signed sum of the fills: long positive. */
  readonly quantity: number;
  /** Of the newest fill that had one. */
  readonly price?: number | undefined;
}

/** One set of limits. */
export interface AccountLimits {
  /** The set's name. */
  readonly set: string;
  /** When the day ends that `pnl` is of, epoch milliseconds. */
  readonly resetMs: number;
  /** Profit (+) or loss (−) of that day that this stream was told of. */
  readonly pnl: number;
  readonly positions: readonly AccountPosition[];
  readonly pending: readonly PendingOrder[];
}

/** The newest change of a breaker that this process itself brought about. */
export interface AccountBreaker {
  readonly name: string;
  readonly status: 'CLOSED' | 'OPEN' | 'HALF_OPEN' | 'DISABLED' | 'FORCED_OPEN';
  /** Epoch milliseconds. */
  readonly atMs: number;
  /** When OPEN ends; absent where it is latched, and in every other state. */
  readonly openUntilMs?: number | undefined;
  /** A person did it. */
  readonly manual: boolean;
  readonly reason: string;
  /** Its `risk.circuit_breaker.state_change` record. */
  readonly recordId?: string | undefined;
}

/** A demand on the gate, of the account's scope. */
export interface AccountDemand {
  readonly source: string;
  readonly state: TradingState;
  readonly actor: string;
  readonly reason: string;
  readonly reasonCode?: string | undefined;
  readonly untilMs?: number | undefined;
  /** Record that put it in force. */
  readonly recordId?: string | undefined;
}

/** What a person demanded last of the account's scope, ACTIVE where that was withdrawn. */
export interface AccountManual extends Omit<AccountDemand, 'source'> {
  /** Epoch milliseconds. */
  readonly atMs: number;
}

/** What one process adds. */
export interface AccountState {
  readonly version: 1;
  readonly limits: readonly AccountLimits[];
  readonly breakers: readonly AccountBreaker[];
  readonly demands: readonly AccountDemand[];
  readonly manual?: AccountManual | undefined;
  /** Streams of ended processes whose orders on their way, breakers and demands this process went on with. */
  readonly takesOver: readonly string[];
}

type Json = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isText = (value: unknown): value is string => typeof value === 'string';
const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);
const listOf = <T>(value: unknown, is: (one: Json) => boolean): readonly T[] =>
  Array.isArray(value) ? (value.filter((one) => isObject(one) && is(one)) as unknown as readonly T[]) : [];
const isSigned = (one: Json): boolean =>
  isText(one['symbol']) && isNumber(one['quantity']) && (one['price'] === undefined || isNumber(one['price']));
const isDemand = (one: Json): boolean => isTradingState(one['state']) && isText(one['actor']) && isText(one['reason']);
const isPending = (one: Json): boolean =>
  isText(one['symbol']) &&
  (one['side'] === 'buy' || one['side'] === 'sell') &&
  isNumber(one['quantity']) &&
  one['quantity'] > 0;

/** The state that a record holds; what is unusable in it is left out. Undefined where it is none. */
export function readAccountState(value: unknown): AccountState | undefined {
  if (!isObject(value) || value['version'] !== 1) return undefined;
  const manual = value['manual'];
  const limits = listOf<AccountLimits>(
    value['limits'],
    (one) => isText(one['set']) && isNumber(one['resetMs']) && isNumber(one['pnl']),
  );
  return {
    version: 1,
    limits: limits.map((one) => ({
      ...one,
      positions: listOf(one.positions, isSigned),
      pending: listOf(one.pending, isPending),
    })),
    breakers: listOf(value['breakers'], (one) => isText(one['name']) && isText(one['status']) && isNumber(one['atMs'])),
    demands: listOf(value['demands'], (one) => isText(one['source']) && isDemand(one)),
    ...(isObject(manual) && isDemand(manual) && isNumber(manual['atMs'])
      ? { manual: manual as unknown as AccountManual }
      : {}),
    takesOver: Array.isArray(value['takesOver']) ? value['takesOver'].filter(isText) : [],
  };
}

/** The state as an attribute's value. */
export const accountStateValue = (state: AccountState): Record<string, unknown> =>
  withoutNulls(JSON.parse(JSON.stringify(state)) as object) as Record<string, unknown>;
