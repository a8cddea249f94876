/** Settings and state as events carry them: a record holds no null, so what is null is left out and put back when read. */
import { withoutNulls } from '../../core/without-nulls.ts';
import type { BreakerConfig } from './options.ts';
import type { BreakerState } from './state.ts';

type Plain = Readonly<Record<string, unknown>>;

export const encodeConfig = (config: BreakerConfig): Plain => withoutNulls(config);

export const encodeState = (state: BreakerState): Plain => withoutNulls(state);

const UNSET = {
  windowMs: null,
  windowCalls: null,
  failureThreshold: null,
  failureRate: null,
  consecutiveFailures: null,
  slowCallMs: null,
  slowCallRate: null,
  stopLossCount: null,
  drawdown: null,
  dailyLoss: null,
  losingStreak: null,
  unlockAt: null,
} satisfies Partial<BreakerConfig>;

export const decodeConfig = (plain: Plain): BreakerConfig => ({ ...UNSET, ...(plain as unknown as BreakerConfig) });

export function decodeState(plain: Plain): BreakerState {
  const state = plain as unknown as BreakerState;
  return {
    ...state,
    openUntilMs: state.openUntilMs ?? null,
    trades: { ...state.trades, equityPeak: state.trades.equityPeak ?? null, day: state.trades.day ?? null },
  };
}
