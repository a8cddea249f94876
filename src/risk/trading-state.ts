/**
 * The trading state, pure: who demands what of which scope, and what holds in effect. The effective state of a scope is the
 * strictest of what its sources demand; what reduces risk passes in every state.
 */
import { TRADING_STATES } from '../catalog/attributes.ts';
import { type CatalogEvent, catalogEvent } from '../catalog/events.ts';

/** ACTIVE: everything passes. REDUCING and HALTED: only what reduces risk passes. */
export type TradingState = (typeof TRADING_STATES)[number];

/** The scope that holds for every order. */
export const GLOBAL_SCOPE = 'global';

/** What one source demands of one scope. A later demand of the same source and scope replaces it; ACTIVE withdraws it. */
export interface GateDemand {
  /** `circuit_breaker:broker`, `portfolio_limits:daily_loss`, `manual` … */
  readonly source: string;
  readonly state: TradingState;
  /** `global` (default) or kind:id: `account:ACC1`, `symbol:AAPL`, `strategy:mom-1`, `venue:binance`. */
  readonly scope?: string | undefined;
  readonly actor: string;
  readonly reason: string;
  /** Why, as CATEGORY_CONDITION. */
  readonly reasonCode?: string | undefined;
  /** Record id of the event behind it, such as the breaker's state change. */
  readonly causeRecordId?: string | undefined;
  readonly causeEvent?: string | undefined;
  /** Epoch milliseconds at which the demand ends by itself. */
  readonly untilMs?: number | undefined;
}

/** A demand in force. */
export interface StandingDemand extends GateDemand {
  readonly scope: string;
  /** Record id of the event that recorded it. */
  readonly recordId?: string | undefined;
}

/** Every demand in force, oldest first. JSON-serialisable. */
export interface TradingStateState {
  readonly demands: readonly StandingDemand[];
}

export type TradingStateInput =
  | { readonly type: 'demand'; readonly demand: GateDemand }
  /** Ends the demands whose time is over. */
  | { readonly type: 'tick' };

/** One change of a scope's effective state. */
export interface TradingStateChange {
  readonly scope: string;
  readonly old: TradingState;
  readonly new: TradingState;
  /** Source of the demand that was made, withdrawn or ended. */
  readonly source: string;
  readonly actor: string;
  readonly reason: string;
  readonly reasonCode?: string | undefined;
  readonly causeRecordId?: string | undefined;
  readonly causeEvent?: string | undefined;
  readonly untilMs?: number | undefined;
  /** Epoch milliseconds. */
  readonly atMs: number;
}

/** One recorded effect of an input: its event, the demand that it is about, and the change where the effective state changed. */
export interface TradingStateEffect {
  readonly event: CatalogEvent;
  readonly source: string;
  readonly scope: string;
  readonly change?: TradingStateChange;
}

export interface TradingStateStep {
  readonly state: TradingStateState;
  readonly effects: readonly TradingStateEffect[];
}

export const INITIAL_TRADING_STATE: TradingStateState = Object.freeze({ demands: Object.freeze([]) });

/** ACTIVE 0, REDUCING 1, HALTED 2: the higher, the stricter. */
export const tradingStateCode = (state: TradingState): number => TRADING_STATES.indexOf(state);

/** Whether `value` names a trading state. */
export const isTradingState = (value: unknown): value is TradingState => TRADING_STATES.includes(value as TradingState);

/** The effective state of one scope, wider scopes not counted. A demand whose time is over holds until a tick ended it. */
export function effectiveState(state: TradingStateState, scope: string): TradingState {
  let code = 0;
  for (const demand of state.demands) if (demand.scope === scope) code = Math.max(code, tradingStateCode(demand.state));
  return TRADING_STATES[code]!;
}

const isOver = (demand: StandingDemand, now: number): boolean => demand.untilMs !== undefined && now >= demand.untilMs;

/**
 * Applies one input. A demand that is the same as the one in force changes nothing and gives no event; one that changes the
 * demands but not the effective state is recorded as `risk.trading_state_demand`, so that the demands can be rebuilt.
 * @param now epoch milliseconds
 */
export function stepTradingState(state: TradingStateState, input: TradingStateInput, now: number): TradingStateStep {
  if (input.type === 'demand') {
    const { untilMs } = input.demand;
    // Whole milliseconds, as its event keeps them.
    const demand = untilMs === undefined ? input.demand : { ...input.demand, untilMs: Math.ceil(untilMs) };
    return applyDemand(state, demand, now);
  }
  let current = state;
  const effects: TradingStateEffect[] = [];
  for (const ended of state.demands) {
    if (!isOver(ended, now)) continue;
    const step = applyDemand(
      current,
      {
        source: ended.source,
        state: 'ACTIVE',
        scope: ended.scope,
        actor: 'clock',
        reason: `its time was over: ${ended.reason}`,
        reasonCode: 'TRADING_DEMAND_EXPIRED',
        causeRecordId: ended.recordId ?? ended.causeRecordId,
      },
      now,
    );
    current = step.state;
    effects.push(...step.effects);
  }
  return { state: current, effects };
}

function applyDemand(state: TradingStateState, demand: GateDemand, now: number): TradingStateStep {
  const scope = demand.scope ?? GLOBAL_SCOPE;
  const previous = state.demands.find((one) => one.source === demand.source && one.scope === scope);
  if (previous === undefined ? demand.state === 'ACTIVE' : isSame(previous, demand)) return { state, effects: [] };
  const others = state.demands.filter((one) => one !== previous);
  const next: TradingStateState = {
    demands: demand.state === 'ACTIVE' ? others : [...others, standing(demand, scope)],
  };
  const before = effectiveState(state, scope);
  const after = effectiveState(next, scope);
  const attributes = {
    'risk.scope': scope,
    'risk.actor': demand.actor,
    'risk.reason': demand.reason,
    'risk.trading_state.source': demand.source,
    'risk.trading_state.demand': demand.state,
    'risk.trading_state.new': after,
    'risk.trading_state.code': tradingStateCode(after),
    ...(demand.reasonCode === undefined ? {} : { 'risk.reason.code': demand.reasonCode }),
    ...(demand.causeRecordId === undefined ? {} : { 'risk.cause.record_id': demand.causeRecordId }),
    ...(demand.causeEvent === undefined ? {} : { 'risk.cause.event': demand.causeEvent }),
    ...(demand.untilMs === undefined ? {} : { 'risk.until': new Date(demand.untilMs).toISOString() }),
  };
  if (before === after) {
    const event = catalogEvent('risk.trading_state_demand', attributes);
    return { state: next, effects: [{ event, source: demand.source, scope }] };
  }
  const { source, actor, reason, reasonCode, causeRecordId, causeEvent, untilMs } = demand;
  const change: TradingStateChange = {
    ...{ scope, old: before, new: after, source, actor, reason },
    ...{ reasonCode, causeRecordId, causeEvent, untilMs, atMs: now },
  };
  const event = catalogEvent('risk.trading_state_change', { ...attributes, 'risk.trading_state.old': before });
  return { state: next, effects: [{ event, source, scope, change }] };
}

/** What is absent is left out: a snapshot event holds the demands as they are. */
function standing(demand: GateDemand, scope: string): StandingDemand {
  const { source, state, actor, reason, reasonCode, causeRecordId, causeEvent, untilMs } = demand;
  return {
    ...{ source, state, scope, actor, reason },
    ...(reasonCode === undefined ? {} : { reasonCode }),
    ...(causeRecordId === undefined ? {} : { causeRecordId }),
    ...(causeEvent === undefined ? {} : { causeEvent }),
    ...(untilMs === undefined ? {} : { untilMs }),
  };
}

const isSame = (one: StandingDemand, other: GateDemand): boolean =>
  one.state === other.state &&
  one.untilMs === other.untilMs &&
  one.actor === other.actor &&
  one.reason === other.reason &&
  one.reasonCode === other.reasonCode &&
  one.causeRecordId === other.causeRecordId;

/** Notes under which record id the newest demand of a source and scope was recorded. */
export function withDemandRecord(
  state: TradingStateState,
  source: string,
  scope: string,
  recordId: string,
): TradingStateState {
  return {
    demands: state.demands.map((one) => (one.source === source && one.scope === scope ? { ...one, recordId } : one)),
  };
}

/** What is asked of the gate before an order. */
export interface GateQuestion {
  /** The order only reduces risk: an exit, a cancel, a smaller position on the same side. */
  readonly reduces: boolean;
  readonly symbol?: string | undefined;
  readonly accountId?: string | undefined;
  readonly strategyId?: string | undefined;
  readonly venue?: string | undefined;
}

export interface GateAnswer {
  readonly allowed: boolean;
  /** The strictest state among `global` and the scopes of the question. */
  readonly state: TradingState;
  /** The scope that decided; `global` where nothing stands. */
  readonly scope: string;
  readonly code: 'OK' | 'TRADING_HALTED' | 'TRADING_REDUCING';
  /** Reason of the demand that decided. */
  readonly reason?: string | undefined;
  /** Record id of the event that put the deciding demand in force, else that of its cause. */
  readonly causeRecordId?: string | undefined;
}

const ACTIVE_ANSWER: GateAnswer = Object.freeze({ allowed: true, state: 'ACTIVE', scope: GLOBAL_SCOPE, code: 'OK' });

/** Answers a question: denied where a scope that it touches is REDUCING or HALTED, unless it reduces risk. */
export function answerGate(state: TradingStateState, question: GateQuestion): GateAnswer {
  if (state.demands.length === 0) return ACTIVE_ANSWER;
  let deciding: StandingDemand | undefined;
  for (const demand of state.demands) {
    if (!touches(demand.scope, question)) continue;
    if (deciding === undefined || tradingStateCode(demand.state) > tradingStateCode(deciding.state)) deciding = demand;
  }
  if (deciding === undefined) return ACTIVE_ANSWER;
  const causeRecordId = deciding.recordId ?? deciding.causeRecordId;
  const allowed = question.reduces === true;
  return {
    allowed,
    state: deciding.state,
    scope: deciding.scope,
    code: allowed ? 'OK' : deciding.state === 'HALTED' ? 'TRADING_HALTED' : 'TRADING_REDUCING',
    reason: deciding.reason,
    ...(causeRecordId === undefined ? {} : { causeRecordId }),
  };
}

function touches(scope: string, question: GateQuestion): boolean {
  if (scope === GLOBAL_SCOPE) return true;
  const colon = scope.indexOf(':');
  const id = scope.slice(colon + 1);
  switch (scope.slice(0, colon)) {
    case 'symbol':
      return question.symbol === id;
    case 'account':
      return question.accountId === id;
    case 'strategy':
      return question.strategyId === id;
    case 'venue':
      return question.venue === id;
    default:
      return false;
  }
}
