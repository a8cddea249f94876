/** What a check says of each limit, and of the order. */

import type { CompiledLimit } from './compile.ts';
import type { LimitType, Measure } from './kinds.ts';
import type { LimitMode } from './options.ts';

/**
 * - `ok`: within the limit
 * - `warn`: past the soft threshold; or past the limit, by mode `warn` or because the order does not make it worse
 * - `cap`, `deny`: past the limit
 * - `unevaluated`: its input is missing, and the check on that input has denied or the order only reduces risk
 */
export type LimitOutcome = 'ok' | 'warn' | 'cap' | 'deny' | 'unevaluated';

/** One limit's part in a check. All numbers are finite. */
export interface LimitResult {
  readonly type: LimitType;
  readonly mode: LimitMode;
  readonly outcome: LimitOutcome;
  /** `OK`, `…_NEAR`, `…_EXCEEDED`, or the code of the input that is missing. */
  readonly code: string;
  /** Value before the order. */
  readonly current: number;
  /** Value if the whole order were filled. */
  readonly projected: number;
  readonly max: number;
  /** Projected value as a share of `max`, at most {@link MAX_UTILIZATION}. */
  readonly utilization: number;
  /** Symbol or group that it is about. */
  readonly subject?: string | undefined;
}

/** Utilisation of a limit of 0 by anything above 0, and the largest that is given: attributes hold finite numbers only. */
export const MAX_UTILIZATION = 1_000_000;

/**
 * Rounding of sums and shares, as a share of the limit: so much above it still equals it (0.1 + 0.2 keeps a limit of 0.3).
 */
export const EQUALITY_TOLERANCE = 1e-12;

/** Whether a value is past a limit. Equality passes; a value that is no number does not. */
export const isBeyond = (value: number, max: number): boolean => !(value <= max + max * EQUALITY_TOLERANCE);

/** Projected value as a share of the limit, to six decimals where it is below a thousand: nobody reads more. */
export function utilizationOf(value: number, max: number): number {
  if (value === 0) return 0;
  const share = Math.min(value / max, MAX_UTILIZATION);
  return share < 1000 ? Math.round(share * 1e6) / 1e6 : share;
}

/** A number as attributes can hold it: what overflowed is the largest there is. */
export const finite = (value: number): number =>
  Number.isFinite(value) ? value : value === Number.NEGATIVE_INFINITY ? -Number.MAX_VALUE : Number.MAX_VALUE;

/** A sum or quotient without the noise of its last bits: twelve digits. */
export const readable = (value: number): number => Number(value.toPrecision(12));

/** Codes whose denial the check on prices has spoken already. */
const isPriceCode = (code: string): boolean => code === 'PRICE_MISSING' || code === 'PRICE_STALE';

/** Judges what an evaluator found, for an order that adds `adding`. */
export function judge(limit: CompiledLimit, m: Measure, adding: number): LimitResult {
  const { type, mode } = limit;
  if (m.code !== '') {
    const outcome = adding === 0 || isPriceCode(m.code) ? 'unevaluated' : mode === 'warn' ? 'warn' : 'deny';
    const { code, max, subject } = m;
    return { type, mode, outcome, code, current: 0, projected: 0, max, utilization: 0, subject };
  }
  const reached = m.base + m.slope * adding;
  const projected = finite(Math.abs(reached));
  let outcome: LimitOutcome = 'ok';
  let code = 'OK';
  if (isBeyond(projected, m.max) || Number.isNaN(reached)) {
    outcome = adding > 0 && m.worsens && isBeyond(reached, m.max) ? mode : 'warn';
    code = limit.exceededCode;
  } else if (projected >= m.max * limit.warnAt && projected > 0) {
    outcome = 'warn';
    code = limit.nearCode;
  }
  return {
    type,
    mode,
    outcome,
    code,
    current: finite(m.current),
    projected,
    max: m.max,
    utilization: utilizationOf(projected, m.max),
    subject: m.subject,
  };
}
