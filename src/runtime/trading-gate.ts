/** The trading gate: the one place that says whether an order may add risk. The risk layers and people drive it. */
import { type CatalogEvent, catalogEvent } from '../catalog/events.ts';
import { describeValue } from '../core/errors.ts';
import { Listeners, type Subscription } from '../core/listeners.ts';
import { readFields } from '../core/read-fields.ts';
import {
  answerGate,
  effectiveState,
  type GateAnswer,
  type GateDemand,
  type GateQuestion,
  GLOBAL_SCOPE,
  INITIAL_TRADING_STATE,
  isTradingState,
  stepTradingState,
  type TradingState,
  type TradingStateChange,
  type TradingStateInput,
  type TradingStateState,
  tradingStateCode,
  withDemandRecord,
} from '../risk/trading-state.ts';
import type { TrailHost } from './host.ts';
import { type KillSwitchOptions, type OrderOutcome, runKillSwitch } from './kill-switch.ts';

export type { GateAnswer, GateDemand, GateQuestion, TradingState } from '../risk/trading-state.ts';
export type { KillSwitchOptions, OrderOutcome } from './kill-switch.ts';

/** A person's act on the gate. */
export interface GateAct {
  readonly actor: string;
  readonly reason: string;
  /** `global` (default) or kind:id. */
  readonly scope?: string | undefined;
}

export interface TimedGateAct extends GateAct {
  /** Epoch milliseconds at which it ends by itself. */
  readonly untilMs?: number | undefined;
}

/** A change as listeners see it. */
export interface GateChange extends TradingStateChange {
  /** Record id of its `risk.trading_state_change` event. */
  readonly recordId?: string | undefined;
}

export interface GateSnapshot extends TradingStateState {
  /** Effective state of each scope that is not ACTIVE. */
  readonly scopes: Readonly<Record<string, TradingState>>;
}

export interface TradingGate {
  /** Sets what a source demands of a scope; ACTIVE withdraws. The strictest of a scope's sources holds. */
  demand(demand: GateDemand): void;
  /** Effective state of a scope (default `global`), wider scopes not counted. */
  state(scope?: string): TradingState;
  /** The strictest of `global` and every scope of the question; what reduces risk always passes. */
  check(question: GateQuestion): GateAnswer;
  /** Halts by hand (source `manual`). Never refused: a missing actor or reason is recorded, and it halts. */
  halt(act: TimedGateAct): void;
  /** Lets only reducing orders through, by hand. It replaces an earlier manual halt of the same scope. */
  reduce(act: TimedGateAct): void;
  /**
   * Withdraws what was demanded by hand, a halt after an untrusted restart or a difference from the venue, and what other
   * processes of the account demand; other sources' demands stand. Refused and recorded without actor or reason.
   */
  resume(act: GateAct): void;
  /** Halts, then cancels the orders given, all at once; each order's outcome is an event and in the result. Never rejects. */
  killSwitch(options: KillSwitchOptions): Promise<readonly OrderOutcome[]>;
  /** Ends the demands whose time is over. */
  tick(): void;
  snapshot(): GateSnapshot;
  onChange(listener: (change: GateChange) => void): Subscription;
  /** Calls `tick` before each answer, so that a layer whose time has come withdraws its demand first. Must be cheap. */
  beforeAnswer(tick: () => void): Subscription;
}

/** What the gate needs of its trail. */
export interface GateHost extends Pick<TrailHost, 'clock' | 'emit' | 'report' | 'onSnapshot'> {
  /** Account that the service trades. */
  readonly accountId?: string | undefined;
}

/** @param state demands to go on from after a restart; those whose time is over end at once */
export function createTradingGate(host: GateHost, state: TradingStateState = INITIAL_TRADING_STATE): TradingGate {
  return new InstrumentedGate(host, state);
}

/** Source of what a person demands. */
export const MANUAL_SOURCE = 'manual';
const MANUAL = MANUAL_SOURCE;
/** Beginning of the sources of what another process of the account demands; a person's `resume` withdraws it here. */
export const PEER_SOURCE = 'peer:';
/** Source of a halt because the venue holds something else than the trail; a person's `resume` withdraws it. */
export const VENUE_SOURCE = 'venue_reconciliation';
/** Source of the halt with which a service starts whose trail is not to be trusted; a person's `resume` withdraws it. */
export const RESTORE_SOURCE = 'restore';
const ACT_FIELDS = ['actor', 'reason', 'scope', 'untilMs'] as const;
const DEMAND_FIELDS = [
  'source',
  'scope',
  'state',
  'actor',
  'reason',
  'reasonCode',
  'causeRecordId',
  'causeEvent',
  'untilMs',
] as const;
const KILL_FIELDS = ['actor', 'reason', 'scope', 'orders', 'cancel', 'timeoutMs'] as const;
const isText = (value: unknown): value is string => typeof value === 'string' && value.trim() !== '';

class InstrumentedGate implements TradingGate {
  readonly #host: GateHost;
  readonly #listeners: Listeners<GateChange>;
  readonly #ticks = new Set<{ readonly tick: () => void }>();
  #state: TradingStateState;
  #timed: boolean;
  #ticking = false;
  /** Changes that listeners have yet to hear of. A listener that acts on one does not overtake it. */
  readonly #unheard: GateChange[] = [];
  #telling = false;

  constructor(host: GateHost, state: TradingStateState) {
    this.#host = host;
    this.#state = state;
    this.#timed = state.demands.some((one) => one.untilMs !== undefined);
    this.#listeners = new Listeners((error) => host.report(error, 'trading gate listener'));
    host.onSnapshot(() => this.#snapshotEvents());
  }

  demand(given: GateDemand): void {
    const isObject = typeof given === 'object' && given !== null;
    const demand = isObject ? (this.#read(given, DEMAND_FIELDS) as GateDemand) : given;
    const bad = this.#badField(demand);
    if (bad !== undefined) this.#invalid(bad, isObject ? demand.scope : undefined);
    else this.#apply({ type: 'demand', demand });
  }

  state(scope: string = GLOBAL_SCOPE): TradingState {
    this.#endTimed();
    return effectiveState(this.#state, scope);
  }

  check(question: GateQuestion): GateAnswer {
    this.#endTimed();
    // Without a question every scope but the global one is unknown, and nothing is known to reduce risk.
    try {
      return answerGate(this.#state, this.#ofAccount(question ?? { reduces: false }));
    } catch (error) {
      this.#host.report(error, 'trading gate');
      return answerGate(this.#state, { reduces: false, accountId: this.#host.accountId });
    }
  }

  /** A question that names no account is about the one that the service trades. */
  #ofAccount(question: GateQuestion): GateQuestion {
    const { accountId } = this.#host;
    return this.#state.demands.length === 0 || accountId === undefined || question.accountId !== undefined
      ? question
      : { ...question, accountId };
  }

  halt(act: TimedGateAct): void {
    this.#manual('HALTED', act, undefined);
  }

  reduce(act: TimedGateAct): void {
    this.#manual('REDUCING', act, undefined);
  }

  resume(act: GateAct): void {
    const { actor, reason, scope } = this.#read(act, ['actor', 'reason', 'scope']);
    if (!isText(actor) || !isText(reason)) {
      this.#invalid('actor or reason', scope);
      return;
    }
    if (scope !== undefined && !isText(scope)) {
      this.#invalid('scope', scope);
      return;
    }
    // Only what is in force gives an event.
    const peers = this.#state.demands.filter((one) => one.source.startsWith(PEER_SOURCE)).map((one) => one.source);
    for (const source of [MANUAL, RESTORE_SOURCE, VENUE_SOURCE, ...peers]) {
      this.#apply({ type: 'demand', demand: { source, state: 'ACTIVE', actor, reason, scope } });
    }
  }

  killSwitch(options: KillSwitchOptions): Promise<readonly OrderOutcome[]> {
    const emit = (event: CatalogEvent) => this.#emit(event);
    const given = this.#read(options, KILL_FIELDS) as KillSwitchOptions;
    return runKillSwitch(given, emit, (act, causeRecordId) => this.#manual('HALTED', act, causeRecordId));
  }

  tick(): void {
    this.#endTimed();
  }

  snapshot(): GateSnapshot {
    this.#endTimed();
    return this.#snapshot();
  }

  #snapshot(): GateSnapshot {
    const scopes: Record<string, TradingState> = {};
    for (const { scope } of this.#state.demands) {
      scopes[scope] = effectiveState(this.#state, scope);
    }
    return { demands: this.#state.demands, scopes };
  }

  onChange(listener: (change: GateChange) => void): Subscription {
    return this.#listeners.add(listener);
  }

  beforeAnswer(tick: () => void): Subscription {
    const entry = { tick };
    this.#ticks.add(entry);
    return { dispose: () => void this.#ticks.delete(entry) };
  }

  /** A person's halt must work at once: what is missing from it is recorded, and the strictest reading taken. */
  #manual(state: TradingState, act: TimedGateAct, causeRecordId: string | undefined): void {
    const { actor, reason, scope, untilMs } = this.#read(act, ACT_FIELDS);
    const timeIsGood = untilMs === undefined || isTime(untilMs);
    const scopeIsGood = scope === undefined || isText(scope);
    if (!isText(actor) || !isText(reason)) this.#invalid('actor or reason', scope);
    if (!scopeIsGood) this.#invalid('scope', scope);
    if (!timeIsGood) this.#invalid('untilMs', scope);
    this.#apply({
      type: 'demand',
      demand: {
        source: MANUAL,
        state,
        actor: isText(actor) ? actor : 'unnamed',
        reason: isText(reason) ? reason : 'none given',
        ...(scopeIsGood ? { scope } : {}),
        ...(timeIsGood && untilMs !== undefined ? { untilMs } : {}),
        ...(causeRecordId === undefined ? {} : { causeRecordId, causeEvent: 'risk.kill_switch' }),
      },
    });
  }

  /** What can't be read counts as absent. */
  #read<T, K extends keyof T>(given: T, names: readonly K[]): Partial<Pick<T, K>> {
    return readFields(given, names, (error) => this.#host.report(error, 'trading gate'));
  }

  #badField(demand: GateDemand): string | undefined {
    if (typeof demand !== 'object' || demand === null) return 'demand';
    if (!isText(demand.source)) return 'source';
    if (!isTradingState(demand.state)) return 'state';
    if (demand.scope !== undefined && !isText(demand.scope)) return 'scope';
    if (!isText(demand.actor) || !isText(demand.reason)) return 'actor or reason';
    return demand.untilMs !== undefined && !isTime(demand.untilMs) ? 'untilMs' : undefined;
  }

  #invalid(field: string, scope: unknown): void {
    this.#emit(
      catalogEvent('risk.trading_state_invalid_input', {
        'risk.reason.code': 'TRADING_STATE_INPUT_INVALID',
        'risk.reason': `${field} is missing or unusable`,
        ...(scope === undefined ? {} : { 'risk.scope': typeof scope === 'string' ? scope : describeValue(scope) }),
      }),
    );
  }

  #endTimed(): void {
    if (this.#ticking) return;
    this.#ticking = true;
    for (const { tick } of this.#ticks) {
      try {
        tick();
      } catch (error) {
        this.#host.report(error, 'trading gate');
      }
    }
    if (this.#timed) this.#apply({ type: 'tick' });
    this.#ticking = false;
  }

  #apply(input: TradingStateInput): void {
    const now = this.#host.clock.now();
    const step = stepTradingState(this.#state, input, now);
    this.#state = step.state;
    this.#timed = step.state.demands.some((one) => one.untilMs !== undefined);
    for (const { event, source, scope, change } of step.effects) {
      const recordId = this.#emit(event);
      if (recordId !== undefined) this.#state = withDemandRecord(this.#state, source, scope, recordId);
      if (change !== undefined) this.#unheard.push(recordId === undefined ? change : { ...change, recordId });
    }
    if (this.#telling) return;
    this.#telling = true;
    for (let next = this.#unheard.shift(); next !== undefined; next = this.#unheard.shift()) this.#listeners.emit(next);
    this.#telling = false;
  }

  #emit(event: CatalogEvent): string | undefined {
    try {
      return this.#host.emit(event);
    } catch (error) {
      this.#host.report(error, 'trading gate');
      return undefined;
    }
  }

  #snapshotEvents(): readonly CatalogEvent[] {
    // As it was recorded last: taking a snapshot brings nothing about.
    const { demands, scopes } = this.#snapshot();
    const global = scopes[GLOBAL_SCOPE] ?? 'ACTIVE';
    const others = Object.entries(scopes).filter(([scope]) => scope !== GLOBAL_SCOPE);
    return [
      catalogEvent('risk.trading_state_snapshot', {
        'risk.trading_state.new': global,
        'risk.trading_state.code': tradingStateCode(global),
        'risk.snapshot': { demands, scopes },
      }),
      // A query by scope sees no further than its window: a halt that has stood for long is told again.
      ...others.map(([scope, state]) =>
        catalogEvent('risk.trading_state_scope_snapshot', {
          'risk.scope': scope,
          'risk.trading_state.new': state,
          'risk.trading_state.code': tradingStateCode(state),
        }),
      ),
    ];
  }
}

/** Epoch milliseconds that a Date can hold. */
const isTime = (value: unknown): value is number => typeof value === 'number' && Math.abs(value) <= 8.64e15;
