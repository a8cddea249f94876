/** What came of a check: for the caller, and for the events that tell of it. */
import type { GateAnswer } from '../trading-state.ts';
import type { CompiledLimits } from './compile.ts';
import type { LimitOrder, OrderParts } from './portfolio.ts';
import type { LimitResult } from './result.ts';

/** What may be done with an order. */
export interface LimitDecision {
  /** Whether anything may be sent: `allow` or `cap`. Send `quantity`, never more. */
  readonly allowed: boolean;
  readonly decision: 'allow' | 'cap' | 'deny';
  /** Quantity that may be sent; 0 where denied. */
  readonly quantity: number;
  /** `OK`, or the code of the limit that bound. */
  readonly code: string;
  /** The same in words. */
  readonly reason: string;
  /** Every limit, whether it bound or not. */
  readonly results: readonly LimitResult[];
  /** Codes of the limits that are near, or past without binding. */
  readonly warnings: readonly string[];
  /** Limits that lacked an input, as `type:CODE`. */
  readonly unevaluated: readonly string[];
  /** Record id of the check in the audit trail. */
  readonly recordId: string | undefined;
}

/** A decision with everything that its events need. */
export interface Judgement {
  readonly limits: CompiledLimits;
  readonly order: LimitOrder;
  readonly parts: OrderParts;
  readonly now: number;
  readonly gate: GateAnswer | undefined;
  readonly decision: LimitDecision;
  /** The limit that bound; of an order that passed, the one that is used most. */
  readonly binding: LimitResult | undefined;
}
