/** The risk layers of a replay: what the running service does around the pure steps, without clocks, spans or journal. */
import type { CatalogEvent } from '../../catalog/events.ts';
import { encodeConfig, encodeState } from '../../risk/circuit-breaker/codec.ts';
import type { BreakerDecision, BreakerInput } from '../../risk/circuit-breaker/input.ts';
import type { BreakerConfig } from '../../risk/circuit-breaker/options.ts';
import { adaptState, type BreakerState, resumeState, shiftState } from '../../risk/circuit-breaker/state.ts';
import { isDue, stepBreaker } from '../../risk/circuit-breaker/step.ts';
import { breachDemand } from '../../risk/portfolio-limits/breach.ts';
import { type CheckStep, checkOrder } from '../../risk/portfolio-limits/check.ts';
import { type CompiledLimits, compileLimits } from '../../risk/portfolio-limits/compile.ts';
import { portfolioHealth } from '../../risk/portfolio-limits/health.ts';
import { type LimitsInput, stepLimits } from '../../risk/portfolio-limits/inputs.ts';
import { LIMIT_NAMES, type PortfolioLimitsOptions } from '../../risk/portfolio-limits/options.ts';
import type { LimitOrder, Portfolio } from '../../risk/portfolio-limits/portfolio.ts';
import { isBeyond } from '../../risk/portfolio-limits/result.ts';
import type { InputEffect } from '../../risk/portfolio-limits/run.ts';
import { applyLimitsChange, drawdownRatio, type LimitsState } from '../../risk/portfolio-limits/state.ts';
import {
  answerGate,
  effectiveState,
  type GateAnswer,
  type GateDemand,
  type GateQuestion,
  INITIAL_TRADING_STATE,
  stepTradingState,
  type TradingState,
  type TradingStateChange,
  type TradingStateInput,
  type TradingStateState,
  withDemandRecord,
} from '../../risk/trading-state.ts';
import { breakerLayer, GATE, type LayerKey, limitsLayer } from './steps.ts';

/** Takes what a layer records; gives the record's id. */
export type Emit = (layer: LayerKey, event: CatalogEvent) => string;

/** The trading gate of a replay. */
export class ReplayGate {
  readonly #emit: Emit;
  readonly #onChange: (change: TradingStateChange) => void;
  /** What is due by time in the layers that drive the gate comes before any answer. */
  readonly #before: (now: number) => void;
  state: TradingStateState = INITIAL_TRADING_STATE;

  constructor(emit: Emit, onChange: (change: TradingStateChange) => void, before: (now: number) => void) {
    this.#emit = emit;
    this.#onChange = onChange;
    this.#before = before;
  }

  demand(demand: GateDemand, now: number): void {
    this.#apply({ type: 'demand', demand }, now);
  }

  tick(now: number): void {
    this.#apply({ type: 'tick' }, now);
  }

  check(question: GateQuestion, now: number): GateAnswer {
    this.#settle(now);
    return answerGate(this.state, question);
  }

  effective(scope: string, now: number): TradingState {
    this.#settle(now);
    return effectiveState(this.state, scope);
  }

  #settle(now: number): void {
    this.#before(now);
    if (this.state.demands.some((one) => one.untilMs !== undefined)) this.tick(now);
  }

  #apply(input: TradingStateInput, now: number): void {
    const step = stepTradingState(this.state, input, now);
    this.state = step.state;
    for (const { event, source, scope, change } of step.effects) {
      this.state = withDemandRecord(this.state, source, scope, this.#emit(GATE, event));
      if (change !== undefined) this.#onChange(change);
    }
  }
}

const CHANGE = 'risk.circuit_breaker.state_change';

/** A permit as the replay gave it. */
interface ReplayPermit {
  readonly epoch: number;
  readonly permitted: boolean;
  readonly probe: number | undefined;
  readonly bypassed: boolean;
}

/** One circuit breaker of a replay. */
export class ReplayBreaker {
  readonly name: string;
  readonly #emit: Emit;
  readonly #gate: ReplayGate;
  readonly #recordInputs: 'changes' | 'all';
  config: BreakerConfig;
  state: BreakerState;
  #causeId: string | undefined;
  #last = Number.NEGATIVE_INFINITY;
  /** By the number of the call. */
  readonly permits = new Map<number, ReplayPermit>();
  /** The process that it is in has not made it yet. */
  stale = false;
  restoring: { readonly clockStepMs: number } | undefined;

  constructor(
    name: string,
    from: { readonly config: BreakerConfig; readonly state: BreakerState; readonly cause: string | undefined },
    recordInputs: 'changes' | 'all',
    gate: ReplayGate,
    emit: Emit,
  ) {
    this.name = name;
    this.config = from.config;
    this.state = from.state;
    this.#causeId = from.cause;
    this.#recordInputs = recordInputs;
    this.#gate = gate;
    this.#emit = emit;
  }

  /** Made in a process. */
  begin(now: number): void {
    this.#drive(undefined, now);
  }

  adopt(config: BreakerConfig, state: BreakerState, cause: string | undefined): void {
    this.config = config;
    this.state = state;
    this.#causeId = cause;
  }

  /** Other settings hold from here on. */
  resumeWith(config: BreakerConfig): void {
    this.state = adaptState(this.state, this.config, config);
    this.config = config;
  }

  /** Goes on in a new process from where the replay has brought it. */
  resume(config: BreakerConfig, clockStepMs: number): void {
    const adapted = adaptState(resumeState(this.state), this.config, config);
    this.config = config;
    this.state = clockStepMs < 0 ? shiftState(adapted, clockStepMs) : adapted;
    this.permits.clear();
    this.#last = Number.NEGATIVE_INFINITY;
  }

  /** What time alone has brought about. */
  tick(now: number): void {
    const { status, openUntilMs, probes } = this.state;
    const isTimed = status === 'OPEN' ? openUntilMs !== null : status === 'HALF_OPEN' && probes.length > 0;
    if (isTimed && isDue(this.state, Math.max(now, this.#last))) this.step({ type: 'tick' }, now);
  }

  allow(reduces: boolean, call: number | undefined, now: number): BreakerDecision {
    const decision = this.step({ type: 'allow', reduces, call }, now);
    if (call !== undefined) {
      this.permits.set(call, {
        epoch: this.state.epoch,
        permitted: decision.permitted,
        probe: decision.probe,
        bypassed: decision.code === 'CIRCUIT_BREAKER_REDUCES',
      });
    }
    return decision;
  }

  step(input: BreakerInput, given: number): BreakerDecision {
    const now = input.type === 'clock_step' ? given : Math.max(given, this.#last);
    this.#last = now;
    const context = { name: this.name, config: this.config, recordInputs: this.#recordInputs };
    const { state, decision, events } = stepBreaker(context, this.state, input, now);
    const before = this.config;
    this.state = state;
    let change: Extract<CatalogEvent, { name: typeof CHANGE }> | undefined;
    for (const event of events) {
      const recordId = this.#emit(breakerLayer(this.name), event);
      if (event.name !== CHANGE) continue;
      this.#causeId = recordId;
      change = event;
    }
    if (change !== undefined) this.#drive(change.attributes, now);
    if (input.type === 'configure' && decision.permitted) {
      this.config = input.config;
      if (before.scope !== input.config.scope || before.onOpen !== input.config.onOpen) {
        if (before.scope !== input.config.scope) this.#demand('ACTIVE', before.scope, input.actor, input.reason, now);
        this.#drive(undefined, now);
      }
    }
    return decision;
  }

  /** As a snapshot writes it. */
  plain(): { readonly config: object; readonly state: object } {
    return { config: encodeConfig(this.config), state: encodeState(this.state) };
  }

  #drive(
    change: { readonly 'risk.actor'?: string | undefined; readonly 'risk.reason'?: string | undefined } | undefined,
    now: number,
  ): void {
    const { status } = this.state;
    const { onOpen, scope } = this.config;
    const isOpen = status === 'OPEN' || status === 'FORCED_OPEN';
    const actor = change?.['risk.actor'] ?? `circuit_breaker:${this.name}`;
    const why = change === undefined ? '' : `: ${change['risk.reason'] ?? ''}`;
    const reason = `circuit breaker ${this.name} is ${status}${why}`;
    this.#demand(isOpen && onOpen !== 'none' ? onOpen : 'ACTIVE', scope, actor, reason, now);
  }

  #demand(state: TradingState, scope: string, actor: string, reason: string, now: number): void {
    this.#gate.demand(
      {
        ...{ source: `circuit_breaker:${this.name}`, state, scope, actor, reason },
        reasonCode: `CIRCUIT_BREAKER_${this.state.status}`,
        ...(this.#causeId === undefined ? {} : { causeRecordId: this.#causeId, causeEvent: CHANGE }),
      },
      now,
    );
  }
}

/** One set of limits of a replay. */
export class ReplayLimits {
  readonly set: string;
  readonly #emit: Emit;
  readonly #gate: ReplayGate;
  readonly #recordAll: boolean;
  #limits: CompiledLimits;
  state: LimitsState;
  stale = false;
  restoring = false;

  constructor(set: string, state: LimitsState, recordAll: boolean, gate: ReplayGate, emit: Emit) {
    this.set = set;
    this.state = state;
    this.#limits = compileLimits(state.config, LIMIT_NAMES);
    this.#recordAll = recordAll;
    this.#gate = gate;
    this.#emit = emit;
  }

  get options(): Readonly<PortfolioLimitsOptions> {
    return this.#limits.options;
  }

  /** Takes a state over as it is. */
  adopt(state: LimitsState): void {
    this.state = state;
    this.#limits = compileLimits(state.config, LIMIT_NAMES);
  }

  /** After a restart: a breach that still holds is told again where the gate does not know of it. */
  demandAgain(now: number): void {
    const { options } = this.#limits;
    const { day, drawdownBreached } = this.state;
    const scope = options.scope ?? 'global';
    const breaches = [
      ...(day.breached ? [['daily_loss', options.dailyLoss?.onBreach, day.resetMs] as const] : []),
      ...(drawdownBreached ? [['drawdown', options.drawdown?.onBreach, undefined] as const] : []),
    ];
    for (const [limit, onBreach, untilMs] of breaches) {
      if (onBreach === undefined || onBreach === 'none') continue;
      const holds = this.#gate.effective(scope, now);
      if (holds === onBreach || holds === 'HALTED') continue;
      const demand = breachDemand(options, limit, onBreach, 'the breach from before the restart still holds');
      this.#gate.demand(untilMs === undefined ? demand : { ...demand, untilMs }, now);
    }
  }

  /** The drawdown is over, by an equity that is not known. */
  recover(reason: string, recordId: string, now: number): void {
    if (!this.state.drawdownBreached) return;
    this.state = applyLimitsChange(this.state, { type: 'breached', limit: 'drawdown', on: false });
    const demand = breachDemand(this.#limits.options, 'drawdown', 'ACTIVE', reason);
    this.#gate.demand({ ...demand, causeEvent: 'risk.portfolio_limit.update', causeRecordId: recordId }, now);
  }

  input(input: Exclude<LimitsInput, { type: 'configured' }>, now: number): void {
    this.#run(input, now);
  }

  configure(config: Readonly<PortfolioLimitsOptions>, actor: string, reason: string, now: number): void {
    const limits = compileLimits(config, LIMIT_NAMES);
    this.#run({ type: 'configured', limits, actor, reason }, now);
    this.#limits = limits;
  }

  /** Begins a new day where one is due. */
  tick(now: number): void {
    if (now >= this.state.day.resetMs) this.#run({ type: 'tick' }, now);
  }

  check(portfolio: Portfolio, order: LimitOrder, now: number): CheckStep {
    this.tick(now);
    this.#takeEquity(portfolio.equity, now);
    const step = checkOrder(this.#limits, this.state, portfolio, order, now, (question) =>
      this.#gate.check(question, now),
    );
    this.state = step.state;
    for (const event of step.events) this.#emit(limitsLayer(this.set), event);
    return step;
  }

  health(portfolio: Portfolio, now: number): void {
    this.tick(now);
    const { events } = portfolioHealth(this.#limits, this.state, portfolio, now);
    for (const event of events) this.#emit(limitsLayer(this.set), event);
  }

  #takeEquity(equity: number | null | undefined, now: number): void {
    const { drawdown } = this.#limits.options;
    if (drawdown === undefined || typeof equity !== 'number') return;
    const { peakEquity, drawdownBreached } = this.state;
    const isPeak = peakEquity === null || equity > peakEquity;
    const isOver = isBeyond(drawdownRatio(this.state, equity), drawdown.max);
    if (isPeak || isOver !== drawdownBreached) this.#run({ type: 'equity', equity }, now);
  }

  #run(input: LimitsInput, now: number): void {
    const step = stepLimits(this.#limits, this.state, input, now, this.#recordAll);
    this.state = step.state;
    for (const effect of step.effects) this.#apply(effect, now);
  }

  #apply({ event, demand }: InputEffect, now: number): void {
    const recordId = this.#emit(limitsLayer(this.set), event);
    if (demand !== undefined) this.#gate.demand({ ...demand, causeEvent: event.name, causeRecordId: recordId }, now);
  }
}
