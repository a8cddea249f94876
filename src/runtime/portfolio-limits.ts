/** Portfolio limits with their state, events and spans, driving the trading gate. */
import { trace } from '@opentelemetry/api';
import { type CatalogEvent, catalogEvent, type EventAttributes } from '../catalog/events.ts';
import { describeValue, RiskTrailError } from '../core/errors.ts';
import { plainInput } from '../core/plain-input.ts';
import { withoutNulls } from '../core/without-nulls.ts';
import { breachDemand } from '../risk/portfolio-limits/breach.ts';
import { checkOrder } from '../risk/portfolio-limits/check.ts';
import { type CompiledLimits, compileLimits } from '../risk/portfolio-limits/compile.ts';
import type { LimitDecision } from '../risk/portfolio-limits/decision.ts';
import { type Building, boundMost, invalidInputEvent, setName } from '../risk/portfolio-limits/events.ts';
import { type PortfolioHealth, portfolioHealth } from '../risk/portfolio-limits/health.ts';
import { type Fill, type LimitsInput, stepLimits } from '../risk/portfolio-limits/inputs.ts';
import { LIMIT_NAMES, type PortfolioLimitsOptions, readLimitsOptions } from '../risk/portfolio-limits/options.ts';
import type { LimitOrder, Portfolio } from '../risk/portfolio-limits/portfolio.ts';
import { isBeyond } from '../risk/portfolio-limits/result.ts';
import type { InputEffect } from '../risk/portfolio-limits/run.ts';
import {
  applyLimitsChange,
  dailyLoss,
  drawdownRatio,
  initialLimitsState,
  type LimitsSnapshot,
  type LimitsState,
  limitsSnapshot,
  limitsStateOf,
} from '../risk/portfolio-limits/state.ts';
import type { GateAnswer, GateQuestion } from '../risk/trading-state.ts';
import type { LayerHost } from './layer-host.ts';
import {
  clockStepAttributes,
  NO_CHANGE,
  type RestoredAttributes,
  type RestoreTerms,
  settleConfigChange,
} from './restore-terms.ts';

export type { LimitDecision } from '../risk/portfolio-limits/decision.ts';
export type { LimitHealth, PortfolioHealth } from '../risk/portfolio-limits/health.ts';
export type { Fill } from '../risk/portfolio-limits/inputs.ts';
export type { LimitType } from '../risk/portfolio-limits/kinds.ts';
export type { PortfolioLimitsOptions } from '../risk/portfolio-limits/options.ts';
export type { Instrument, LimitOrder, Portfolio, Position } from '../risk/portfolio-limits/portfolio.ts';
export type { LimitOutcome, LimitResult } from '../risk/portfolio-limits/result.ts';
export type { LimitsSnapshot } from '../risk/portfolio-limits/state.ts';

/** Limits that change, by their options' names; null removes one, what is not named stays. */
export type LimitsUpdate = {
  readonly [N in keyof Omit<PortfolioLimitsOptions, 'name' | 'scope'>]?: PortfolioLimitsOptions[N] | null | undefined;
};

/** Who changes something, and why. */
export interface LimitsAct {
  readonly actor: string;
  readonly reason: string;
}

/** What an input came to: whether it was taken, else the code of what was wrong with it. */
export interface LimitsInputResult {
  readonly accepted: boolean;
  readonly code: string;
}

/**
 * Limits on what a portfolio may become. Nothing here throws, apart from `configure` and `resetPeak` on wrong arguments;
 * unusable input is denied or ignored under a code, and recorded.
 */
export interface PortfolioLimits {
  /**
   * Checks an order against every limit and the trading gate. Send at most `quantity` of the decision. What only reduces a
   * position always passes; of an order that turns a position round, at least the part that closes it.
   * Each check that passes counts as one order and one message for the rates, and is remembered for the limits on like orders.
   * @example
   * const { allowed, quantity, reason } = limits.checkEntry(portfolio, { symbol: 'AAPL', side: 'buy', quantity: 100, price: 150.25 });
   */
  checkEntry(portfolio: Portfolio, order: LimitOrder): LimitDecision;
  /** Heat, and what the portfolio uses of every limit, without an order. */
  health(portfolio: Portfolio): PortfolioHealth;
  /** A fill: takes its quantity off the pending order, and adds what it realised to the day's profit or loss. */
  recordFill(fill: Fill): LimitsInputResult;
  /** Realised profit (+) or loss (−), in the account's currency. */
  recordPnl(pnl: number): LimitsInputResult;
  /** Equity of the account, for drawdown; what a check is given as the portfolio's equity counts alike. */
  recordEquity(equity: number): LimitsInputResult;
  /** An order is on its way: it counts as exposure until it is done. It needs an `orderId` or `clientOrderId`. */
  orderPlaced(order: LimitOrder): LimitsInputResult;
  /** An order is filled, cancelled or rejected. @param orderId either of its ids */
  orderDone(orderId: string): LimitsInputResult;
  /** Messages that were sent beside orders, such as cancels and edits, for the message rate. @param count default 1 */
  messageSent(count?: number): LimitsInputResult;
  /**
   * Changes limits for every check that begins after it, and records old and new.
   * @throws RiskTrailError OPTION_INVALID, OPTION_UNKNOWN; nothing is changed then
   */
  configure(update: LimitsUpdate, act: LimitsAct): void;
  /**
   * Counts drawdown from here on: ends a breach of the drawdown limit by a person's decision.
   * @param equity the new peak; without it the next equity that is recorded
   * @throws RiskTrailError OPTION_INVALID where actor or reason is missing
   */
  resetPeak(act: LimitsAct & { readonly equity?: number }): LimitsInputResult;
  /** Begins a new day where one is due. */
  tick(): void;
  /** What the limits remember, as plain data. */
  snapshot(): LimitsSnapshot;
}

/**
 * @param options see {@link PortfolioLimitsOptions}
 * @param restored a snapshot to go on from after a restart; one that is none is reported and left
 * @param terms how it goes on; by default with the options given now
 * @throws RiskTrailError OPTION_INVALID, OPTION_UNKNOWN, RESTORE_CONFIG_CHANGED
 */
export function createPortfolioLimits(
  host: LayerHost,
  options: PortfolioLimitsOptions,
  restored?: LimitsSnapshot,
  terms: LimitsRestoreTerms = {},
): PortfolioLimits {
  return new InstrumentedLimits(host, readLimitsOptions(options), restored, terms);
}

/** How limits go on, and what is told of where from. */
export interface LimitsRestoreTerms extends RestoreTerms {
  /** Record that the snapshot comes from. */
  readonly recordId?: string | undefined;
  /** Time of the last record before the restart, epoch milliseconds. */
  readonly lastMs?: number | undefined;
}

const WHERE = 'portfolio limits';

class InstrumentedLimits implements PortfolioLimits {
  readonly #host: LayerHost;
  #limits: CompiledLimits;
  #state: LimitsState;
  /** Attributes of the last check's event. */
  #checked: Partial<EventAttributes<'risk.portfolio_limit.check'>> = {};

  constructor(
    host: LayerHost,
    options: Readonly<PortfolioLimitsOptions>,
    restored: LimitsSnapshot | undefined,
    terms: LimitsRestoreTerms,
  ) {
    this.#host = host;
    this.#limits = compileLimits(options, LIMIT_NAMES);
    const state = this.#restoredState(restored);
    const change = state === undefined ? NO_CHANGE : settleConfigChange(WHERE, state.config, options, terms);
    const before = change === NO_CHANGE ? undefined : this.#limitsOf(state!);
    // What is in force at first are the limits of before; those given now take their place as any change of limits does.
    if (before !== undefined) this.#limits = before;
    this.#state =
      state === undefined ? initialLimitsState(options, this.#now()) : { ...state, config: this.#limits.options };
    this.#guard(undefined, () => {
      if (state !== undefined) host.emit(this.#restoredEvent(change.attributes, terms));
      // The first event of a set: a rebuild starts from it.
      host.emit(this.#snapshotEvent());
      host.onSnapshot(() => [this.#snapshotEvent()]);
      this.#demandAgain();
    });
    if (before !== undefined && !change.keep) {
      const limits = compileLimits(options, LIMIT_NAMES);
      const reason = 'the service was started with other limits';
      this.#input({ type: 'configured', limits, actor: 'restore', reason });
    }
    this.#input({ type: 'tick' });
  }

  checkEntry(portfolio: Portfolio, order: LimitOrder): LimitDecision {
    try {
      const symbol = typeof order?.symbol === 'string' ? order.symbol : '';
      return this.#host.span('risk.check', { 'trading.symbol': symbol }, () => this.#check(portfolio, order));
    } catch (error) {
      this.#host.report(error, WHERE);
      this.#guard(undefined, () => {
        this.#host.emit(invalidInputEvent(this.#limits, FAILED_DECISION.code, undefined, 'check'));
      });
      return FAILED_DECISION;
    }
  }

  health(portfolio: Portfolio): PortfolioHealth {
    return this.#guard(FAILED_HEALTH, () => {
      this.#startDay();
      const now = this.#now();
      const { health, events } = portfolioHealth(this.#limits, this.#state, portfolio, now);
      const input = this.#recordsAll ? this.#inputOf({ portfolio }) : undefined;
      const told = input === undefined ? {} : { ...input, 'risk.limit.at_ms': now };
      return { ...health, recordId: this.#emitFamily(events, 'risk.portfolio_health', told) };
    });
  }

  recordFill(fill: Fill): LimitsInputResult {
    return this.#input({ type: 'fill', fill });
  }

  recordPnl(pnl: number): LimitsInputResult {
    return this.#input({ type: 'pnl', pnl });
  }

  recordEquity(equity: number): LimitsInputResult {
    return this.#input({ type: 'equity', equity });
  }

  orderPlaced(order: LimitOrder): LimitsInputResult {
    return this.#input({ type: 'order_placed', order });
  }

  orderDone(orderId: string): LimitsInputResult {
    return this.#input({ type: 'order_done', orderId });
  }

  messageSent(count = 1): LimitsInputResult {
    return this.#input({ type: 'message_sent', count });
  }

  configure(update: LimitsUpdate, act: LimitsAct): void {
    const { actor, reason } = readAct('configure', act);
    const merged: Record<string, unknown> = { ...this.#limits.options };
    for (const [key, value] of Object.entries(update ?? {})) {
      if (key === 'name' || key === 'scope') {
        const expected = 'nothing, as it cannot change';
        throw new RiskTrailError('OPTION_INVALID', {
          field: `configure.${key}`,
          expected,
          received: describeValue(value),
        });
      }
      if (value === null) delete merged[key];
      else if (value !== undefined) merged[key] = value;
    }
    const limits = compileLimits(readLimitsOptions(merged, 'configure'), LIMIT_NAMES);
    this.#input({ type: 'configured', limits, actor, reason });
  }

  resetPeak(act: LimitsAct & { readonly equity?: number }): LimitsInputResult {
    const { actor, reason } = readAct('resetPeak', act);
    return this.#input({ type: 'peak_reset', equity: act.equity ?? null, actor, reason });
  }

  tick(): void {
    this.#input({ type: 'tick' });
  }

  snapshot(): LimitsSnapshot {
    return limitsSnapshot(this.#state);
  }

  #check(portfolio: Portfolio, order: LimitOrder): LimitDecision {
    this.#startDay();
    this.#takeEquity(portfolio?.equity);
    const now = this.#now();
    const before = this.#state;
    const step = checkOrder(this.#limits, before, portfolio, order, now, this.#askGate);
    // Before the events: a listener that checks again finds the state that this check left. Asking the gate can end a timed
    // demand, whose listeners may have told us something: that is kept.
    if (this.#state === before) this.#state = step.state;
    else if (step.change !== undefined) this.#state = applyLimitsChange(this.#state, step.change);
    let recordId: string | undefined;
    try {
      const input = this.#recordsAll ? this.#inputOf({ portfolio, order }) : undefined;
      recordId = this.#emitFamily(step.events, 'risk.portfolio_limit.check', input);
      trace.getActiveSpan()?.setAttribute('risk.decision', step.decision.decision);
    } catch (error) {
      this.#host.report(error, WHERE);
    }
    return recordId === undefined ? step.decision : { ...step.decision, recordId };
  }

  readonly #askGate = (question: GateQuestion): GateAnswer => this.#host.gate.check(question);

  #startDay(): void {
    if (this.#now() >= this.#state.day.resetMs) this.#input({ type: 'tick' });
  }

  #input(input: LimitsInput): LimitsInputResult {
    return this.#guard(FAILED_INPUT, () => {
      const { recordInputs } = this.#host;
      const step = stepLimits(this.#limits, this.#state, input, this.#now(), recordInputs === 'all');
      this.#state = step.state;
      if (input.type === 'configured') this.#limits = input.limits;
      for (const effect of step.effects) this.#apply(effect);
      return step.problem === '' ? ACCEPTED : { accepted: false, code: step.problem };
    });
  }

  #apply({ event, demand }: InputEffect): void {
    let recordId: string | undefined;
    try {
      recordId = this.#host.emit(event);
    } catch (error) {
      this.#host.report(error, WHERE);
    }
    if (demand === undefined) return;
    // The gate is told even where the record failed.
    this.#host.gate.demand({
      ...demand,
      causeEvent: event.name,
      ...(recordId === undefined ? {} : { causeRecordId: recordId }),
    });
  }

  get #recordsAll(): boolean {
    return this.#host.recordInputs === 'all';
  }

  /** What a decision is made from, for its event; nothing where it can't be written down as it is. */
  #inputOf(given: object): { readonly 'risk.input': Record<string, unknown> } | undefined {
    const input = this.#guard(undefined, () => plainInput(given));
    return input === undefined ? undefined : { 'risk.input': input };
  }

  /**
   * Emits a main event and what follows from it, which names it as the cause; returns the main event's record id.
   * @param further attributes of the main event
   */
  #emitFamily(events: readonly CatalogEvent[], main: CatalogEvent['name'], further?: object): string | undefined {
    let mainId: string | undefined;
    for (const given of events) {
      const event =
        further !== undefined && given.name === main
          ? ({ name: main, attributes: { ...given.attributes, ...further } } as CatalogEvent)
          : given;
      if (mainId === undefined || event.attributes['risk.cause.record_id'] !== undefined) {
        const recordId = this.#host.emit(event);
        if (event.name === main) {
          mainId = recordId;
          if (event.name === 'risk.portfolio_limit.check') this.#checked = event.attributes;
        }
      } else {
        const attributes = { ...event.attributes, 'risk.cause.record_id': mainId, 'risk.cause.event': main };
        this.#host.emit({ name: event.name, attributes } as CatalogEvent);
      }
    }
    return mainId;
  }

  /** The equity that a check is given counts for drawdown as if it had been recorded, where it changes something. */
  #takeEquity(equity: number | null | undefined): void {
    const { drawdown } = this.#limits.options;
    if (drawdown === undefined || typeof equity !== 'number' || !Number.isFinite(equity)) return;
    const { peakEquity, drawdownBreached } = this.#state;
    const isPeak = peakEquity === null || equity > peakEquity;
    const isOver = isBeyond(drawdownRatio(this.#state, equity), drawdown.max);
    if (isPeak || isOver !== drawdownBreached) this.#input({ type: 'equity', equity });
  }

  /** Whole milliseconds: what the limits remember and record of time. */
  #now(): number {
    return Math.floor(this.#host.clock.now());
  }

  #restoredState(restored: LimitsSnapshot | undefined): LimitsState | undefined {
    if (restored === undefined) return undefined;
    const state = limitsStateOf(restored);
    if (state === undefined) this.#host.report(new TypeError('not a snapshot of portfolio limits'), WHERE);
    return state;
  }

  /** The limits that were in force; undefined where they cannot be read, or hold for another scope than those given now. */
  #limitsOf({ config }: LimitsState): CompiledLimits | undefined {
    const { options } = this.#limits;
    if (config.scope !== options.scope || config.name !== options.name) return undefined;
    return this.#guard(undefined, () => compileLimits(readLimitsOptions(config, 'restored'), LIMIT_NAMES));
  }

  #restoredEvent(further: RestoredAttributes, { recordId, ageMs, lastMs }: LimitsRestoreTerms): CatalogEvent {
    const { day } = this.#state;
    const attributes: Building<'risk.portfolio_limit.restored'> = {
      ...(recordId === undefined ? {} : { 'risk.restored.record_id': recordId }),
      ...(ageMs === undefined ? {} : { 'risk.restored.age_ms': ageMs }),
      ...further,
      ...(lastMs === undefined ? {} : clockStepAttributes(this.#now(), lastMs)),
      'risk.daily_loss': dailyLoss(this.#state),
      'risk.until': new Date(day.resetMs).toISOString(),
    };
    setName(attributes, this.#limits.options);
    return catalogEvent('risk.portfolio_limit.restored', attributes);
  }

  /** After a restart: the gate must know of a breach that still holds, even where its own state was not restored. */
  #demandAgain(): void {
    const { options } = this.#limits;
    const { day, drawdownBreached } = this.#state;
    const breaches = [
      ...(day.breached ? [['daily_loss', options.dailyLoss?.onBreach, day.resetMs] as const] : []),
      ...(drawdownBreached ? [['drawdown', options.drawdown?.onBreach, undefined] as const] : []),
    ];
    for (const [limit, onBreach, untilMs] of breaches) {
      if (onBreach === undefined || onBreach === 'none') continue;
      if (this.#host.gate.state(options.scope) === onBreach || this.#host.gate.state(options.scope) === 'HALTED')
        continue;
      const demand = breachDemand(options, limit, onBreach, 'the breach from before the restart still holds');
      this.#host.gate.demand(untilMs === undefined ? demand : { ...demand, untilMs });
    }
  }

  #snapshotEvent(): CatalogEvent {
    const attributes: Building<'risk.portfolio_limit.snapshot'> = {
      'risk.snapshot': withoutNulls(limitsSnapshot(this.#state)),
      ...boundMost(this.#checked),
    };
    setName(attributes, this.#limits.options);
    return catalogEvent('risk.portfolio_limit.snapshot', attributes);
  }

  /** Runs our own code around a decision: what fails there is reported, and never thrown at trading code. */
  #guard<T>(failed: T, run: () => T): T {
    try {
      return run();
    } catch (error) {
      this.#host.report(error, WHERE);
      return failed;
    }
  }
}

const ACCEPTED: LimitsInputResult = Object.freeze({ accepted: true, code: 'OK' });
const FAILED_INPUT: LimitsInputResult = Object.freeze({ accepted: false, code: 'INPUT_UNREADABLE' });
/** The input could not even be read, such as an object whose getters throw: nothing is known of it, so nothing may be sent. */
const FAILED_DECISION: LimitDecision = Object.freeze({
  ...{ allowed: false, decision: 'deny', quantity: 0, code: 'CHECK_FAILED', reason: 'the check could not be made' },
  ...{ results: [], warnings: [], unevaluated: [], recordId: undefined },
} as const);
const FAILED_HEALTH: PortfolioHealth = Object.freeze({
  ...{ heat: undefined, openRisk: undefined, positionCount: 0, code: 'CHECK_FAILED' },
  ...{ limits: [], warnings: [], unevaluated: [], recordId: undefined },
});

function readAct(owner: string, act: LimitsAct): LimitsAct {
  for (const field of ['actor', 'reason'] as const) {
    const value: unknown = act?.[field];
    if (typeof value === 'string' && value.trim() !== '') continue;
    const expected = 'a non-empty string';
    throw new RiskTrailError('OPTION_INVALID', {
      field: `${owner}.${field}`,
      expected,
      received: describeValue(value),
    });
  }
  return act;
}
