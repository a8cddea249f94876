/** A risk state as people and scripts ask for it: plain data, times as ISO 8601, headroom beside what is used. */
import { compileLimits } from '../risk/portfolio-limits/compile.ts';
import { LIMIT_NAMES } from '../risk/portfolio-limits/options.ts';
import { dailyLoss, type LimitsState } from '../risk/portfolio-limits/state.ts';
import type { RiskState } from '../risk/risk-state.ts';
import { effectiveState, GLOBAL_SCOPE, type TradingState } from '../risk/trading-state.ts';
import type { ServiceState } from './state-at.ts';

/** Kinds of layers that can be asked for. */
export const STATE_LAYERS = [
  'trading_state',
  'circuit_breaker',
  'trailing_stop',
  'portfolio_limits',
  'orders',
] as const;
export type StateLayer = (typeof STATE_LAYERS)[number];

/** One service's state. A member is absent where its layer was not asked for. */
export interface StateView {
  readonly stream: string;
  /** Time of the newest record that counts; null before the first. */
  readonly last_time: string | null;
  readonly last_record_id: string | null;
  readonly trading_state?: {
    readonly global: TradingState;
    /** Effective state of each scope that is not ACTIVE. */
    readonly scopes: Readonly<Record<string, TradingState>>;
    readonly demands: RiskState['tradingState']['demands'];
  };
  readonly circuit_breakers?: readonly object[];
  readonly trailing_stops?: readonly object[];
  readonly portfolio_limits?: readonly object[];
  readonly open_orders?: readonly object[];
}

const iso = (ms: number | null | undefined): string | null => (ms == null ? null : new Date(ms).toISOString());

/** @param layers those that are asked for; all unless given */
export function stateView({ stream, state }: ServiceState, layers: readonly StateLayer[] = STATE_LAYERS): StateView {
  const wants = (layer: StateLayer) => layers.includes(layer);
  return {
    stream,
    last_time: iso(state.last?.timeMs),
    last_record_id: state.last?.recordId ?? null,
    ...(wants('trading_state') ? { trading_state: tradingOf(state) } : {}),
    ...(wants('circuit_breaker') ? { circuit_breakers: breakersOf(state) } : {}),
    ...(wants('trailing_stop') ? { trailing_stops: [...state.stops.values()].flatMap(({ stops }) => stops) } : {}),
    ...(wants('portfolio_limits') ? { portfolio_limits: limitsOf(state) } : {}),
    ...(wants('orders')
      ? { open_orders: state.openOrders.map((one) => ({ ...one, sinceMs: undefined, since: iso(one.sinceMs) })) }
      : {}),
  };
}

function tradingOf({ tradingState }: RiskState) {
  const scopes: Record<string, TradingState> = {};
  for (const { scope } of tradingState.demands) scopes[scope] = effectiveState(tradingState, scope);
  return { global: effectiveState(tradingState, GLOBAL_SCOPE), scopes, demands: tradingState.demands };
}

function breakersOf({ breakers }: RiskState) {
  return Array.from(breakers, ([name, { state, config, recordId, causeRecordId }]) => ({
    name,
    status: state.status,
    since: iso(state.sinceMs),
    open_until: iso(state.openUntilMs),
    latched: state.status === 'OPEN' && state.openUntilMs === null,
    triggers: state.triggers,
    failures: state.calls.failures.length,
    consecutive_failures: state.calls.consecutiveFailures,
    failure_threshold: config.failureThreshold,
    probes: state.probes.length,
    losing_streak: state.trades.losingStreak,
    day: state.trades.day,
    day_pnl: state.trades.dayPnl,
    equity_peak: state.trades.equityPeak,
    record_id: recordId,
    cause_record_id: causeRecordId ?? null,
  }));
}

/** One limit in force. What a check's portfolio alone can tell is used, and its headroom, stand as null. */
interface LimitView {
  readonly limit: string;
  readonly max: number;
  readonly used: number | null;
  readonly headroom: number | null;
}

/** Every limit in force, with what is left of those that are used by what came before. */
function limitRows(state: LimitsState, nowMs: number): readonly LimitView[] {
  const { config } = state;
  const within = (times: LimitsState['orderTimes'], windowMs: number) =>
    times.toJSON().filter((time) => time > nowMs - windowMs).length;
  const used = (type: string): number | null => {
    if (type === 'daily_loss') return dailyLoss(state);
    if (type === 'order_rate') return within(state.orderTimes, config.orderRate?.windowMs ?? 1000);
    return type === 'message_rate' ? within(state.messageTimes, config.messageRate?.windowMs ?? 1000) : null;
  };
  return compileLimits(config, LIMIT_NAMES).list.map(({ type, max }) => {
    const now = used(type);
    return { limit: type, max, used: now, headroom: now === null ? null : max - now };
  });
}

function limitsOf({ limits, last }: RiskState) {
  return Array.from(limits, ([set, { state, recordId }]) => {
    const { config, day, peakEquity, drawdownBreached, pending } = state;
    const loss = dailyLoss(state);
    const max = config.dailyLoss?.max ?? null;
    return {
      set,
      day_pnl: day.pnl,
      daily_loss: loss,
      daily_loss_max: max,
      daily_loss_headroom: max === null ? null : max - loss,
      daily_loss_breached: day.breached,
      day_ends: iso(day.resetMs),
      equity_peak: peakEquity,
      drawdown_breached: drawdownBreached,
      drawdown_max: config.drawdown?.max ?? null,
      limits: limitRows(state, last?.timeMs ?? 0),
      pending_orders: Object.values(pending),
      orders_remembered: state.sent.size,
      record_id: recordId,
    };
  });
}
