/**
 * The circuit breaker, pure: `(state, input, now) → {state, decision, events}`. What time brings about (the end of a
 * cool-down, a hung probe) happens at the moment it was due, before the input, so the state at a time does not depend on how
 * often the breaker was asked in between.
 */
import { type CatalogEvent, catalogEvent, type EventAttributes } from '../../catalog/events.ts';
import { instant, reasonOf, triggerAttributes, windowAttributes } from './events.ts';
import type { BreakerConfig } from './options.ts';
import { nextTimeOfDay } from './schedule.ts';
import {
  adaptState,
  addProbe,
  applyTransition,
  type BreakerState,
  type BreakerStatus,
  breakerStatusCode,
  clearCounts,
  endProbe,
  shiftState,
  type Transition,
} from './state.ts';
import {
  addEquity,
  addTrade,
  dailyLossOf,
  drawdownRatio,
  isTradeTrigger,
  reachedByEquity,
  reachedByTrade,
  type TradeResult,
} from './trading-triggers.ts';
import { addCall, countCalls, type Reached, reachedByCalls } from './window.ts';

export type ManualAct = 'trip' | 'force_open' | 'disable' | 'reset' | 'enable';

/** A failed call's error, as far as it is known. */
export interface FailureInfo {
  readonly type?: string | undefined;
  readonly code?: string | undefined;
  readonly message?: string | undefined;
}

/** The outcome of a call. */
export interface CallResult {
  readonly type: 'result';
  readonly failed: boolean;
  readonly durationMs?: number | undefined;
  /** Epoch of the call's permit; without a permit the result is taken as of now. */
  readonly epoch?: number | undefined;
  /** Probe id of the call's permit. */
  readonly probe?: number | undefined;
  /** The call only reduced risk and was let through without regard to the state. */
  readonly bypassed?: boolean | undefined;
  /** The permit's result came before. */
  readonly duplicate?: boolean | undefined;
  readonly error?: FailureInfo | undefined;
}

export type BreakerInput =
  | { readonly type: 'allow'; readonly reduces: boolean }
  | CallResult
  /** The call of a probe's permit was given up by its caller. */
  | { readonly type: 'release'; readonly epoch: number; readonly probe: number }
  | ({ readonly type: 'trade' } & TradeResult)
  | { readonly type: 'equity'; readonly equity: number }
  | { readonly type: 'manual'; readonly act: ManualAct; readonly actor: string; readonly reason: string }
  | { readonly type: 'configure'; readonly config: BreakerConfig; readonly actor: string; readonly reason: string }
  | { readonly type: 'tick' }
  /** The wall clock was stepped by so many milliseconds: durations hold, so every time moves along. */
  | { readonly type: 'clock_step'; readonly deltaMs: number };

export interface BreakerDecision {
  /** Of `allow`: whether the call may run. Of everything else: whether the input was used. */
  readonly permitted: boolean;
  readonly code: string;
  /** Id of the probe, where the call is one. */
  readonly probe?: number;
}

export interface BreakerStep {
  readonly state: BreakerState;
  readonly decision: BreakerDecision;
  readonly events: readonly CatalogEvent[];
}

/** What stays the same from step to step. */
export interface BreakerContext {
  readonly name: string;
  readonly config: BreakerConfig;
  readonly recordInputs: 'changes' | 'all';
}

const USED: BreakerDecision = Object.freeze({ permitted: true, code: 'OK' });
const NOTHING: readonly CatalogEvent[] = Object.freeze([]);
const MANUAL = ['manual'] as const;
const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);

/** @param now whole epoch milliseconds, not before those of earlier steps but for a `clock_step` */
export function stepBreaker(
  context: BreakerContext,
  state: BreakerState,
  input: BreakerInput,
  now: number,
): BreakerStep {
  if (input.type === 'clock_step') return new Step(context, state, now).clockStep(input.deltaMs);
  if (!isDue(state, now)) {
    // The hot path: nothing to record, nothing to change.
    if (input.type === 'tick') return { state, decision: USED, events: NOTHING };
    if (input.type === 'allow' && (state.status === 'CLOSED' || state.status === 'DISABLED'))
      return { state, decision: USED, events: NOTHING };
  }
  return new Step(context, state, now).run(input);
}

/** Whether time alone has brought a transition about. */
export function isDue(state: BreakerState, now: number): boolean {
  if (state.status === 'OPEN') return state.openUntilMs !== null && now >= state.openUntilMs;
  return state.status === 'HALF_OPEN' && state.probes.some((probe) => now >= probe.deadlineMs);
}

/** One step under way. */
class Step {
  readonly #name: { readonly 'risk.circuit_breaker.name': string };
  readonly #config: BreakerConfig;
  readonly #all: boolean;
  readonly #events: CatalogEvent[] = [];
  readonly #now: number;
  #state: BreakerState;

  constructor(context: BreakerContext, state: BreakerState, now: number) {
    this.#name = { 'risk.circuit_breaker.name': context.name };
    this.#config = context.config;
    this.#all = context.recordInputs === 'all';
    this.#state = state;
    this.#now = now;
  }

  run(input: Exclude<BreakerInput, { type: 'clock_step' }>): BreakerStep {
    this.#advance();
    const decision = this.#apply(input);
    return { state: this.#state, decision, events: this.#events };
  }

  clockStep(deltaMs: number): BreakerStep {
    this.#state = shiftState(this.#state, deltaMs);
    this.#events.push(
      catalogEvent('risk.circuit_breaker.clock_step', {
        ...this.#attributes(this.#now),
        'risk.circuit_breaker.clock_step_ms': deltaMs,
      }),
    );
    return { state: this.#state, decision: USED, events: this.#events };
  }

  #apply(input: Exclude<BreakerInput, { type: 'clock_step' }>): BreakerDecision {
    switch (input.type) {
      case 'allow':
        return this.#allow(input.reduces);
      case 'result':
        return this.#result(input);
      case 'release':
        return this.#release(input.epoch, input.probe);
      case 'trade':
        return this.#trade(input);
      case 'equity':
        return this.#equity(input.equity);
      case 'manual':
        return this.#manual(input.act, input.actor, input.reason);
      case 'configure':
        return this.#configure(input.config, input.actor, input.reason);
      case 'tick':
        return USED;
    }
  }

  /** Brings about what was due up to now, each at its own time. */
  #advance(): void {
    while (isDue(this.#state, this.#now)) {
      const { status, openUntilMs, untilIsFixed, needsProbe, sinceMs, probes } = this.#state;
      if (status === 'OPEN') {
        // A fixed time can lie before the opening where the wall clock was put forward since.
        const atMs = Math.max(openUntilMs ?? 0, sinceMs);
        this.#transition(
          { to: needsProbe ? 'HALF_OPEN' : 'CLOSED', atMs, triggers: [untilIsFixed ? 'time_of_day' : 'cooldown'] },
          [],
        );
      } else {
        const hung = probes.reduce((first, probe) => (probe.deadlineMs < first.deadlineMs ? probe : first));
        this.#state = endProbe(this.#state, hung.id, false);
        this.#events.push(
          catalogEvent('risk.circuit_breaker.failure', {
            ...this.#attributes(hung.deadlineMs),
            'risk.circuit_breaker.result': 'timeout',
            'risk.circuit_breaker.counted': true,
            'risk.circuit_breaker.probe.id': hung.id,
            'error.type': 'PROBE_TIMEOUT',
          }),
        );
        this.#open([], ['probe_timeout'], hung.deadlineMs);
      }
    }
  }

  #allow(reduces: boolean): BreakerDecision {
    const { status, probes, nextProbe } = this.#state;
    if (status === 'CLOSED' || status === 'DISABLED') return USED;
    if (reduces) {
      this.#events.push(
        catalogEvent('risk.circuit_breaker.exit_permitted', {
          ...this.#attributes(this.#now),
          'risk.reason.code': 'CIRCUIT_BREAKER_REDUCES',
        }),
      );
      return { permitted: true, code: 'CIRCUIT_BREAKER_REDUCES' };
    }
    if (status === 'HALF_OPEN' && probes.length < this.#config.maxProbes) {
      const probe = { id: nextProbe, deadlineMs: this.#now + this.#config.probeTimeoutMs };
      this.#state = addProbe(this.#state, probe);
      this.#events.push(
        catalogEvent('risk.circuit_breaker.probe', {
          ...this.#attributes(this.#now),
          'risk.circuit_breaker.probes_in_flight': this.#state.probes.length,
          'risk.circuit_breaker.probe.id': probe.id,
          'risk.circuit_breaker.probe.until': instant(probe.deadlineMs),
        }),
      );
      return { permitted: true, code: 'CIRCUIT_BREAKER_PROBE', probe: probe.id };
    }
    const code = status === 'HALF_OPEN' ? 'CIRCUIT_BREAKER_PROBES_TAKEN' : `CIRCUIT_BREAKER_${status}`;
    this.#events.push(
      catalogEvent('risk.circuit_breaker.not_permitted', { ...this.#attributes(this.#now), 'risk.reason.code': code }),
    );
    return { permitted: false, code };
  }

  #result(input: CallResult): BreakerDecision {
    const { durationMs } = input;
    if (durationMs !== undefined && !(isNumber(durationMs) && durationMs >= 0))
      return this.#invalid('CIRCUIT_BREAKER_DURATION_INVALID');
    const { status, epoch, probes } = this.#state;
    if (input.duplicate === true) return this.#late(input, 'CIRCUIT_BREAKER_RESULT_DUPLICATE');
    if (input.epoch !== undefined && input.epoch !== epoch) return this.#late(input, 'CIRCUIT_BREAKER_RESULT_LATE');
    const slow = this.#config.slowCallMs !== null && durationMs !== undefined && durationMs >= this.#config.slowCallMs;
    const bypassed = input.bypassed === true && status !== 'CLOSED';
    if (bypassed || status === 'DISABLED') {
      if (input.failed || this.#all) this.#recordResult(input, slow, false, undefined);
      return { permitted: false, code: 'CIRCUIT_BREAKER_NOT_COUNTED' };
    }
    if (status === 'CLOSED') {
      this.#countCall(input, slow);
      return USED;
    }
    if (status !== 'HALF_OPEN') return this.#late(input, 'CIRCUIT_BREAKER_RESULT_LATE');
    if (input.probe !== undefined && !probes.some((one) => one.id === input.probe))
      return this.#late(input, 'CIRCUIT_BREAKER_RESULT_DUPLICATE');
    this.#endProbe(input, slow);
    return USED;
  }

  #countCall(input: CallResult, slow: boolean): void {
    const calls = addCall(this.#state.calls, this.#config, this.#now, input.failed, slow);
    const changed = calls !== this.#state.calls;
    if (changed) this.#state = { ...this.#state, calls };
    if (changed || input.failed || this.#all) this.#recordResult(input, slow, true, undefined);
    if (!changed) return;
    const reached = reachedByCalls(countCalls(calls, this.#config, this.#now), this.#config);
    // A success ends a run of failures and can make the window long enough for a rate; it never adds to a count of failures.
    if (reached !== undefined && (input.failed || reached.trigger.endsWith('rate')))
      this.#open([reached], [reached.trigger], this.#now);
  }

  #endProbe(input: CallResult, slow: boolean): void {
    const tooSlow = slow && this.#config.slowCallRate !== null;
    const good = !input.failed && !tooSlow;
    // A result without a permit is taken for the oldest probe under way.
    const id = input.probe ?? this.#state.probes[0]?.id;
    this.#state = endProbe(this.#state, id, good);
    this.#recordResult(input, slow, true, id);
    if (!good) this.#open([], [input.failed ? 'probe_failed' : 'probe_slow'], this.#now);
    else if (this.#state.probeSuccesses >= this.#config.successesToClose)
      this.#transition({ to: 'CLOSED', atMs: this.#now, triggers: ['probes_succeeded'] }, []);
  }

  #recordResult(input: CallResult, slow: boolean, counted: boolean, probe: number | undefined): void {
    const attributes = {
      ...this.#attributes(this.#now),
      'risk.circuit_breaker.result': input.failed ? 'failure' : 'success',
      'risk.circuit_breaker.counted': counted,
      ...(slow ? { 'risk.circuit_breaker.slow': true } : {}),
      ...(probe === undefined ? {} : { 'risk.circuit_breaker.probe.id': probe }),
      ...(input.durationMs === undefined ? {} : { 'timing.duration_ms': input.durationMs }),
      ...errorAttributes(input.error),
    } as const;
    this.#events.push(
      input.failed
        ? catalogEvent('risk.circuit_breaker.failure', attributes)
        : catalogEvent('risk.circuit_breaker.success', attributes),
    );
  }

  #late(input: CallResult, code: string): BreakerDecision {
    this.#events.push(
      catalogEvent('risk.circuit_breaker.late_result', {
        ...this.#attributes(this.#now),
        'risk.circuit_breaker.result': input.failed ? 'failure' : 'success',
        'risk.reason.code': code,
        ...(input.probe === undefined ? {} : { 'risk.circuit_breaker.probe.id': input.probe }),
        ...(input.durationMs === undefined ? {} : { 'timing.duration_ms': input.durationMs }),
        ...errorAttributes(input.error),
      }),
    );
    return { permitted: false, code };
  }

  #release(epoch: number, probe: number): BreakerDecision {
    const inFlight = epoch === this.#state.epoch && this.#state.probes.some((one) => one.id === probe);
    if (!inFlight) return { permitted: false, code: 'CIRCUIT_BREAKER_RESULT_LATE' };
    this.#state = endProbe(this.#state, probe, false);
    this.#events.push(
      catalogEvent('risk.circuit_breaker.probe_released', {
        ...this.#attributes(this.#now),
        'risk.circuit_breaker.probe.id': probe,
      }),
    );
    return USED;
  }

  #trade(trade: TradeResult): BreakerDecision {
    if (!isNumber(trade.pnl) || typeof trade.stopLoss !== 'boolean')
      return this.#invalid('CIRCUIT_BREAKER_TRADE_INVALID');
    const trades = addTrade(this.#state.trades, this.#config, this.#now, trade);
    const changed = trades !== this.#state.trades;
    const reached = reachedByTrade(trades, this.#config, trade);
    this.#state = { ...this.#state, trades };
    if (changed || this.#all || this.#wouldOpen(reached)) {
      this.#events.push(
        catalogEvent('risk.circuit_breaker.trade_result', {
          ...this.#attributes(this.#now),
          'trading.pnl': trade.pnl,
          'risk.circuit_breaker.stop_loss': trade.stopLoss,
          'risk.circuit_breaker.losing_streak': trades.losingStreak,
          'risk.circuit_breaker.stop_loss_count': trades.stopLosses.length,
          ...(trades.day === null
            ? {}
            : { 'risk.daily_loss': dailyLossOf(trades), 'risk.circuit_breaker.day': trades.day }),
        }),
      );
    }
    this.#openByTrade(reached);
    return USED;
  }

  #equity(equity: number): BreakerDecision {
    if (!isNumber(equity)) return this.#invalid('CIRCUIT_BREAKER_EQUITY_INVALID');
    const trades = addEquity(this.#state.trades, this.#config, equity);
    const changed = trades !== this.#state.trades;
    const reached = reachedByEquity(trades, this.#config, equity);
    this.#state = { ...this.#state, trades };
    if (changed || this.#all || this.#wouldOpen(reached)) {
      this.#events.push(
        catalogEvent('risk.circuit_breaker.equity', {
          ...this.#attributes(this.#now),
          'trading.equity': equity,
          'risk.drawdown_ratio': drawdownRatio(trades.equityPeak, equity),
        }),
      );
    }
    this.#openByTrade(reached);
    return USED;
  }

  #wouldOpen(reached: readonly Reached[]): boolean {
    const { status, triggers, openUntilMs } = this.#state;
    if (status === 'OPEN') return openUntilMs !== null && reached.some((one) => !triggers.includes(one.trigger));
    return reached.length > 0 && (status === 'CLOSED' || status === 'HALF_OPEN');
  }

  /** Exits pass while it is open, and realise losses: a trigger that is new to this opening lengthens it. */
  #openByTrade(reached: readonly Reached[]): void {
    if (!this.#wouldOpen(reached)) return;
    const { status, triggers } = this.#state;
    const fresh = status === 'OPEN' ? reached.filter((one) => !triggers.includes(one.trigger)) : reached;
    this.#open(
      fresh,
      fresh.map((one) => one.trigger),
      this.#now,
    );
  }

  #open(reached: readonly Reached[], triggers: readonly string[], atMs: number, actor?: Actor): void {
    const { unlockAt, latched, cooldownMs } = this.#config;
    let untilIsFixed = unlockAt !== null && triggers.every(isTradeTrigger);
    let openUntilMs: number | null = latched
      ? null
      : untilIsFixed && unlockAt !== null
        ? nextTimeOfDay(atMs, unlockAt.time, unlockAt.timeZone)
        : atMs + cooldownMs;
    const before = this.#state;
    if (before.status === 'OPEN' && openUntilMs !== null) {
      // A second trigger never shortens what the first began.
      if (before.openUntilMs === null || before.openUntilMs >= openUntilMs)
        [openUntilMs, untilIsFixed] = [before.openUntilMs, before.untilIsFixed];
    }
    this.#transition(
      { to: 'OPEN', atMs, triggers, openUntilMs, untilIsFixed: untilIsFixed && !latched },
      reached,
      actor,
    );
  }

  #manual(act: ManualAct, actor: string, reason: string): BreakerDecision {
    const invalid = this.#unnamed(actor, reason);
    if (invalid !== undefined) return invalid;
    const by: Actor = { 'risk.actor': actor, 'risk.reason': reason, operation: act };
    const { status } = this.#state;
    const target = targetOf(act, status);
    if (target === undefined) return this.#invalid(`CIRCUIT_BREAKER_ALREADY_${status}`, by);
    if (act === 'reset' || act === 'enable') this.#state = clearCounts(this.#state);
    const attributes = { ...this.#attributes(this.#now), ...by };
    this.#events.push(
      act === 'disable'
        ? catalogEvent('risk.circuit_breaker.manual_disable', attributes)
        : act === 'trip' || act === 'force_open'
          ? catalogEvent('risk.circuit_breaker.manual_trip', attributes)
          : catalogEvent('risk.circuit_breaker.manual_reset', attributes),
    );
    if (target === 'OPEN') this.#open([], MANUAL, this.#now, by);
    else if (target !== status) this.#transition({ to: target, atMs: this.#now, triggers: MANUAL }, [], by);
    return USED;
  }

  #configure(config: BreakerConfig, actor: string, reason: string): BreakerDecision {
    const invalid = this.#unnamed(actor, reason);
    if (invalid !== undefined) return invalid;
    this.#state = adaptState(this.#state, this.#config, config);
    this.#events.push(
      catalogEvent('risk.circuit_breaker.config_changed', {
        ...this.#name,
        'risk.config.old': { ...this.#config },
        'risk.config.new': { ...config },
        'risk.actor': actor,
        'risk.reason': reason,
      }),
    );
    return USED;
  }

  #unnamed(actor: unknown, reason: unknown): BreakerDecision | undefined {
    const isText = (value: unknown) => typeof value === 'string' && value.trim() !== '';
    if (!isText(actor)) return this.#invalid('CIRCUIT_BREAKER_ACTOR_MISSING');
    return isText(reason) ? undefined : this.#invalid('CIRCUIT_BREAKER_REASON_MISSING');
  }

  #invalid(code: string, by?: Actor): BreakerDecision {
    this.#events.push(
      catalogEvent('risk.circuit_breaker.invalid_input', { ...this.#name, 'risk.reason.code': code, ...by }),
    );
    return { permitted: false, code };
  }

  #transition(transition: Transition, reached: readonly Reached[], actor?: Actor): void {
    const before = this.#state;
    this.#state = applyTransition(before, transition);
    const { to, atMs, triggers } = transition;
    this.#events.push(
      catalogEvent('risk.circuit_breaker.state_change', {
        // The window as it was when it brought the transition about: closing empties it.
        ...windowAttributes({ ...this.#state, calls: before.calls }, this.#config, atMs),
        ...this.#name,
        ...triggerAttributes(reached, triggers),
        'risk.circuit_breaker.state.old': before.status,
        'risk.circuit_breaker.state.new': to,
        'risk.circuit_breaker.state.code': breakerStatusCode(to),
        'risk.scope': this.#config.scope,
        'risk.reason.code': `CIRCUIT_BREAKER_${(triggers[0] ?? to).toUpperCase()}`,
        'risk.reason': reasonOf(reached, triggers),
        ...actor,
      }),
    );
  }

  #attributes(atMs: number): EventAttributes<'risk.circuit_breaker.failure'> {
    return { ...this.#name, ...windowAttributes(this.#state, this.#config, atMs) };
  }
}

interface Actor {
  readonly 'risk.actor': string;
  readonly 'risk.reason': string;
  readonly operation: ManualAct;
}

/** Where an act leads; undefined where the breaker is there already, or (trip) is beyond being tripped. */
function targetOf(act: ManualAct, status: BreakerStatus): BreakerStatus | undefined {
  switch (act) {
    case 'trip':
      return status === 'DISABLED' || status === 'FORCED_OPEN' ? undefined : 'OPEN';
    case 'force_open':
      return status === 'FORCED_OPEN' ? undefined : 'FORCED_OPEN';
    case 'disable':
      return status === 'DISABLED' ? undefined : 'DISABLED';
    case 'enable':
      return status === 'CLOSED' ? undefined : 'CLOSED';
    case 'reset':
      return 'CLOSED';
  }
}

const errorAttributes = (error: FailureInfo | undefined) => ({
  ...(error?.type === undefined ? {} : { 'error.type': error.type }),
  ...(error?.code === undefined ? {} : { 'error.code': error.code }),
  ...(error?.message === undefined ? {} : { 'error.message': error.message }),
});
