/** Everything but checks that changes what the limits remember, pure: profit, equity, orders on their way, days, settings. */
import { settleBreaches } from './breach.ts';
import type { CompiledLimits } from './compile.ts';
import { setOrder } from './events.ts';
import { detailProblem, type LimitOrder, orderProblem } from './portfolio.ts';
import { readable } from './result.ts';
import { type InputEffect, Run } from './run.ts';
import { dailyLoss, drawdownRatio, isSameOrder, type LimitsState, type PendingOrder, pendingId } from './state.ts';

/** A fill of an order. */
export interface Fill {
  /** Of the order, as it was placed; without it no pending order shrinks. */
  readonly orderId?: string | null | undefined;
  readonly clientOrderId?: string | null | undefined;
  readonly symbol?: string | null | undefined;
  readonly side?: 'buy' | 'sell' | null | undefined;
  /** Filled by this fill, > 0. */
  readonly quantity: number;
  readonly price?: number | null | undefined;
  /** Profit (+) or loss (−) that it realised. */
  readonly pnl?: number | null | undefined;
}

/** What the limits are told. */
export type LimitsInput =
  | { readonly type: 'pnl'; readonly pnl: number }
  | { readonly type: 'equity'; readonly equity: number }
  | { readonly type: 'fill'; readonly fill: Fill }
  | { readonly type: 'order_placed'; readonly order: LimitOrder }
  | { readonly type: 'order_done'; readonly orderId: string }
  | { readonly type: 'message_sent'; readonly count: number }
  | { readonly type: 'peak_reset'; readonly equity: number | null; readonly actor: string; readonly reason: string }
  | {
      readonly type: 'configured';
      readonly limits: CompiledLimits;
      readonly actor: string;
      readonly reason: string;
    }
  | { readonly type: 'tick' };

export interface InputStep {
  readonly state: LimitsState;
  readonly effects: readonly InputEffect[];
  /** Whether the input was usable; `''`, or the code of what was wrong. */
  readonly problem: string;
}

/**
 * Applies one input. Unusable input leaves the state as it was and gives an `invalid_input` event. A loss or drawdown that
 * goes beyond its limit gives one event per breach, with what it demands of the trading gate.
 * @param recordAll whether inputs that change nothing give an event too
 * @param now epoch milliseconds
 */
export function stepLimits(
  limits: CompiledLimits,
  state: LimitsState,
  input: LimitsInput,
  now: number,
  recordAll: boolean,
): InputStep {
  const run = new Run(limits, state, now, recordAll);
  run.startDay();
  const problem = apply(run, input, recordAll);
  settleBreaches(run);
  return { state: run.state, effects: run.effects, problem };
}

function apply(run: Run, input: LimitsInput, recordAll: boolean): string {
  switch (input.type) {
    case 'tick':
      return '';
    case 'pnl': {
      if (!isFiniteNumber(input.pnl)) return run.invalid('PNL_INVALID', undefined, 'pnl');
      run.update({ type: 'pnl', pnl: input.pnl }, recordAll, (attributes) => {
        attributes['trading.pnl'] = input.pnl;
        attributes['risk.daily_loss'] = readable(dailyLoss(run.state));
      });
      return '';
    }
    case 'equity': {
      const { equity } = input;
      if (!isFiniteNumber(equity)) return run.invalid('EQUITY_INVALID', undefined, 'equity');
      run.equity = equity;
      run.update({ type: 'equity', equity }, recordAll, (attributes) => {
        attributes['trading.equity'] = equity;
        attributes['risk.drawdown_ratio'] = drawdownRatio(run.state, equity);
      });
      return '';
    }
    case 'fill':
      return applyFill(run, input.fill, recordAll);
    case 'order_placed': {
      const { order } = input;
      const problem =
        orderProblem(order) || detailProblem(order) || (pendingId(order) === undefined ? 'ORDER_ID_MISSING' : '');
      if (problem !== '') return run.invalid(problem, order, 'order_placed');
      const pending = pendingOf(order);
      // One order under one key, whichever of its ids was known first.
      const known = keyOf(run.state, order);
      if (known !== undefined && known !== pendingId(pending)) {
        run.update({ type: 'order_done', orderId: known }, recordAll, (attributes) => setOrder(attributes, order));
      }
      run.update({ type: 'order_placed', order: pending }, recordAll, (attributes) => setOrder(attributes, order));
      return '';
    }
    case 'order_done': {
      const { orderId } = input;
      if (typeof orderId !== 'string' || orderId === '')
        return run.invalid('ORDER_ID_INVALID', undefined, 'order_done');
      const key = keyOf(run.state, { orderId, clientOrderId: orderId }) ?? orderId;
      run.update({ type: 'order_done', orderId: key }, recordAll, (attributes) => {
        attributes['trading.order.id'] = orderId;
      });
      return '';
    }
    case 'message_sent': {
      const { count } = input;
      if (!Number.isSafeInteger(count) || count < 1 || count > 1_000_000)
        return run.invalid('MESSAGE_COUNT_INVALID', undefined, 'message_sent');
      if (run.limits.options.messageRate === undefined && !recordAll) return '';
      run.update({ type: 'message_sent', atMs: run.now, count }, recordAll, () => {});
      return '';
    }
    case 'peak_reset': {
      if (input.equity !== null && !isFiniteNumber(input.equity)) {
        return run.invalid('EQUITY_INVALID', undefined, 'peak_reset');
      }
      if (input.equity !== null) run.equity = input.equity;
      run.update({ type: 'peak_reset', equity: input.equity }, true, (attributes) => {
        attributes['risk.actor'] = input.actor;
        attributes['risk.reason'] = input.reason;
        if (input.equity !== null) attributes['trading.equity'] = input.equity;
      });
      return '';
    }
    case 'configured': {
      run.configure(input);
      return '';
    }
  }
}

function applyFill(run: Run, fill: Fill, recordAll: boolean): string {
  if (typeof fill !== 'object' || fill === null) return run.invalid('FILL_INVALID', undefined, 'fill');
  // What is recorded of it is checked field by field.
  const order = fill as Partial<LimitOrder>;
  const pnl = fill.pnl ?? 0;
  if (!isFiniteNumber(fill.quantity) || fill.quantity <= 0) return run.invalid('QUANTITY_INVALID', order, 'fill');
  if (!isFiniteNumber(pnl)) return run.invalid('PNL_INVALID', order, 'fill');
  const key = keyOf(run.state, fill);
  run.update({ type: 'fill', orderId: key ?? null, quantity: fill.quantity, pnl }, recordAll, (attributes) => {
    setOrder(attributes, order);
    if (pnl !== 0) {
      attributes['trading.pnl'] = pnl;
      attributes['risk.daily_loss'] = readable(dailyLoss(run.state));
    }
  });
  return '';
}

const isFiniteNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);

/** Key of the pending order that has one of these ids. */
function keyOf(state: LimitsState, ids: Pick<LimitOrder, 'orderId' | 'clientOrderId'>): string | undefined {
  for (const key in state.pending) if (isSameOrder(state.pending[key]!, ids)) return key;
  return undefined;
}

const PENDING_FIELDS = [
  ...(['symbol', 'side', 'quantity', 'price', 'referencePrice', 'orderId', 'clientOrderId', 'reduceOnly'] as const),
  ...(['multiplier', 'delta', 'gamma', 'vega', 'underlying', 'sector', 'correlationGroup', 'marginRate'] as const),
] as const satisfies readonly (keyof PendingOrder)[];

/** What is kept of a pending order: no absent fields, so that it is the same when it was read from the trail. */
function pendingOf(order: LimitOrder): PendingOrder {
  const pending: Record<string, unknown> = {};
  for (const field of PENDING_FIELDS) if (order[field] != null) pending[field] = order[field];
  return pending as unknown as PendingOrder;
}
