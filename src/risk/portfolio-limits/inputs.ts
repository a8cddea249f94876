/** Everything but checks that changes what the limits remember, pure: profit, equity, orders on their way, days, settings. */
import { type CatalogEvent, catalogEvent } from '../../catalog/events.ts';
import type { GateDemand } from '../trading-state.ts';
import { type Building, invalidInputEvent, setName, setOrder } from './events.ts';
import type { CompiledLimits } from './kinds.ts';
import type { PortfolioLimitsOptions } from './options.ts';
import { detailProblem, type LimitOrder, orderProblem } from './portfolio.ts';
import { isBeyond, utilizationOf } from './result.ts';
import {
  applyLimitsChange,
  type BreachableLimit,
  dailyLoss,
  drawdownRatio,
  isSameOrder,
  type LimitsChange,
  type LimitsState,
  nextReset,
  type PendingOrder,
  pendingId,
} from './state.ts';

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

/** One event, and what the trading gate is to be told with it as the cause. */
export interface InputEffect {
  readonly event: CatalogEvent;
  readonly demand?: Omit<GateDemand, 'causeRecordId' | 'causeEvent'>;
}

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
  const run = new Run(limits, state, now);
  run.startDay();
  const problem = apply(run, input, recordAll);
  run.settleBreaches();
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
        attributes['risk.daily_loss'] = dailyLoss(run.state);
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
      if (!Number.isSafeInteger(count) || count < 1)
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
      attributes['risk.daily_loss'] = dailyLoss(run.state);
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

/** One input on its way through: the state so far, and the events. */
class Run {
  limits: CompiledLimits;
  state: LimitsState;
  readonly now: number;
  readonly effects: InputEffect[] = [];
  /** Equity that came with the input, by which drawdown is judged. */
  equity: number | undefined;

  constructor(limits: CompiledLimits, state: LimitsState, now: number) {
    this.limits = limits;
    this.state = state;
    this.now = now;
  }

  update(
    change: LimitsChange,
    recordAlways: boolean,
    describe: (attributes: Building<'risk.portfolio_limit.update'>) => void,
  ): void {
    const before = this.state;
    this.state = applyLimitsChange(before, change);
    if (this.state === before && !recordAlways) return;
    const attributes: Building<'risk.portfolio_limit.update'> = {
      operation: change.type,
      'risk.limit.change': change as unknown as Record<string, unknown>,
    };
    describe(attributes);
    setName(attributes, this.limits.options);
    this.effects.push({ event: catalogEvent('risk.portfolio_limit.update', attributes) });
  }

  invalid(code: string, order: Partial<LimitOrder> | undefined, operation: string): string {
    this.effects.push({ event: invalidInputEvent(this.limits, code, order, operation) });
    return code;
  }

  startDay(): void {
    if (this.now < this.state.day.resetMs) return;
    const resetMs = nextReset(this.limits.options, this.now);
    this.update({ type: 'day_started', resetMs }, false, (attributes) => {
      attributes['risk.until'] = new Date(resetMs).toISOString();
      attributes['risk.daily_loss'] = 0;
    });
  }

  configure(input: Extract<LimitsInput, { type: 'configured' }>): void {
    const old = this.limits.options;
    const config = input.limits.options;
    const resetMs = nextReset(config, this.now);
    this.limits = input.limits;
    this.state = applyLimitsChange(this.state, { type: 'configured', config, resetMs });
    const attributes: Building<'config.limits_changed'> = {
      'risk.actor': input.actor,
      'risk.reason': input.reason,
      'risk.config.old': old as Record<string, unknown>,
      'risk.config.new': config as Record<string, unknown>,
      'risk.limit.change': { type: 'configured', resetMs },
    };
    setName(attributes, config);
    this.effects.push({ event: catalogEvent('config.limits_changed', attributes) });
  }

  /** Records what began or ended to be beyond its limit, and tells the gate. */
  settleBreaches(): void {
    this.#settleDailyLoss();
    this.#settleDrawdown();
  }

  #settleDailyLoss(): void {
    const { day } = this.state;
    const limit = this.limits.options.dailyLoss;
    const loss = dailyLoss(this.state);
    const isOver = limit !== undefined && isBeyond(loss, limit.max);
    // A breach holds until the day ends, whatever is won back; only other limits or a new day end it before.
    if (day.breached && (limit === undefined || !isOver) && this.#wasConfigured()) {
      this.#end('daily_loss', 'the limits were changed');
    }
    if (limit === undefined || !isOver || day.breached) return;
    this.state = applyLimitsChange(this.state, { type: 'breached', limit: 'daily_loss', on: true });
    const attributes: Building<'risk.daily_loss_limit'> = {
      'risk.daily_loss': loss,
      'risk.daily_loss.max': limit.max,
      'risk.reason.code': 'DAILY_LOSS_EXCEEDED',
      'risk.until': new Date(day.resetMs).toISOString(),
      'risk.limit.change': { type: 'breached', limit: 'daily_loss', on: true },
    };
    if (this.equity !== undefined) attributes['trading.equity'] = this.equity;
    setName(attributes, this.limits.options);
    const event = catalogEvent('risk.daily_loss_limit', attributes);
    const reason = `daily loss of ${loss} is beyond ${limit.max}`;
    this.#breach('daily_loss', event, limit.onBreach ?? 'REDUCING', reason, day.resetMs);
  }

  #settleDrawdown(): void {
    const limit = this.limits.options.drawdown;
    const { drawdownBreached, peakEquity } = this.state;
    if (drawdownBreached && limit === undefined) this.#end('drawdown', 'the limit was removed');
    // Without a peak there is no drawdown, whatever the equity.
    const equity = this.equity ?? (peakEquity === null ? 0 : undefined);
    if (limit === undefined || equity === undefined) return;
    const ratio = drawdownRatio(this.state, equity);
    const isOver = isBeyond(ratio, limit.max);
    if (drawdownBreached && !isOver) this.#end('drawdown', `drawdown is back at ${ratio}, at most ${limit.max}`);
    if (drawdownBreached || !isOver) return;
    this.state = applyLimitsChange(this.state, { type: 'breached', limit: 'drawdown', on: true });
    const attributes: Building<'risk.limit_hit'> = {
      'risk.limit.type': 'drawdown',
      'risk.limit.current': ratio,
      'risk.limit.max': limit.max,
      'risk.limit.utilization': utilizationOf(ratio, limit.max),
      'risk.drawdown_ratio': ratio,
      'risk.reason.code': 'DRAWDOWN_EXCEEDED',
      'trading.equity': equity,
      'risk.limit.change': { type: 'breached', limit: 'drawdown', on: true },
    };
    setName(attributes, this.limits.options);
    const event = catalogEvent('risk.limit_hit', attributes);
    this.#breach('drawdown', event, limit.onBreach ?? 'REDUCING', `drawdown of ${ratio} is beyond ${limit.max}`);
  }

  #breach(
    limit: BreachableLimit,
    event: CatalogEvent,
    onBreach: 'REDUCING' | 'HALTED' | 'none',
    reason: string,
    untilMs?: number,
  ): void {
    if (onBreach === 'none') this.effects.push({ event });
    else {
      const demand = breachDemand(this.limits.options, limit, onBreach, reason);
      this.effects.push({ event, demand: untilMs === undefined ? demand : { ...demand, untilMs } });
    }
  }

  #end(limit: BreachableLimit, reason: string): void {
    this.update({ type: 'breached', limit, on: false }, true, (attributes) => {
      attributes['risk.reason'] = reason;
    });
    const last = this.effects.pop()!;
    this.effects.push({ ...last, demand: breachDemand(this.limits.options, limit, 'ACTIVE', reason) });
  }

  #wasConfigured(): boolean {
    return this.effects.some(({ event }) => event.name === 'config.limits_changed');
  }
}

/** What a breach demands of the trading gate. */
export function breachDemand(
  options: PortfolioLimitsOptions,
  limit: BreachableLimit,
  state: GateDemand['state'],
  reason: string,
): Omit<GateDemand, 'causeRecordId' | 'causeEvent'> {
  const set = options.name === undefined || options.name === 'default' ? '' : `${options.name}:`;
  return {
    source: `portfolio_limits:${set}${limit}`,
    state,
    scope: options.scope ?? 'global',
    actor: 'portfolio_limits',
    reason,
    reasonCode: state === 'ACTIVE' ? `${limit.toUpperCase()}_RECOVERED` : `${limit.toUpperCase()}_EXCEEDED`,
  };
}
