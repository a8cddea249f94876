/** The triggers that trades and equity pull: stop losses in a window, a losing streak, the day's loss, drawdown. */
import type { BreakerConfig } from './options.ts';
import { tradingDay } from './schedule.ts';
import type { Reached } from './window.ts';

const TRADE_TRIGGERS: readonly string[] = ['stop_loss_count', 'losing_streak', 'daily_loss', 'drawdown'];

/** Whether a trigger is one of trades or equity, which no probe can test. */
export const isTradeTrigger = (trigger: string): boolean => TRADE_TRIGGERS.includes(trigger);

export interface TradeCounts {
  /** Times of the newest stop losses, at most `stopLossCount.count` of them. */
  readonly stopLosses: readonly number[];
  /** Losing trades since the last winning one. */
  readonly losingStreak: number;
  /** Highest equity since the start, the last unlock or reset; null before the first. */
  readonly equityPeak: number | null;
  /** Trading day (YYYY-MM-DD in the zone of `dailyLoss`) that `dayPnl` is of. */
  readonly day: string | null;
  /** Realised profit (+) or loss (−) of that day. */
  readonly dayPnl: number;
}

export const EMPTY_TRADES: TradeCounts = Object.freeze({
  stopLosses: Object.freeze([]),
  losingStreak: 0,
  equityPeak: null,
  day: null,
  dayPnl: 0,
});

/** A closed trade. */
export interface TradeResult {
  /** Realised profit (+) or loss (−) in the account currency. */
  readonly pnl: number;
  /** It was closed by its stop. */
  readonly stopLoss: boolean;
  readonly symbol?: string | undefined;
}

/** Counts a trade for the triggers that are set. Returns the same object where nothing changes. */
export function addTrade(counts: TradeCounts, config: BreakerConfig, atMs: number, trade: TradeResult): TradeCounts {
  const { stopLossCount, dailyLoss, losingStreak } = config;
  const next = { ...counts };
  if (stopLossCount !== null && trade.stopLoss) {
    const kept = counts.stopLosses.filter((time) => time > atMs - stopLossCount.windowMs);
    next.stopLosses = [...kept, atMs].slice(-stopLossCount.count);
  }
  if (losingStreak !== null && trade.pnl !== 0) next.losingStreak = trade.pnl < 0 ? counts.losingStreak + 1 : 0;
  if (dailyLoss !== null) {
    const day = tradingDay(atMs, dailyLoss.timeZone, dailyLoss.resetAt);
    // A clock set back over the reset does not bring yesterday back: the day only moves on.
    const isNewDay = counts.day === null || day > counts.day;
    next.day = isNewDay ? day : counts.day;
    next.dayPnl = (isNewDay ? 0 : counts.dayPnl) + trade.pnl;
  }
  const same =
    next.stopLosses === counts.stopLosses &&
    next.losingStreak === counts.losingStreak &&
    next.day === counts.day &&
    next.dayPnl === counts.dayPnl;
  return same ? counts : next;
}

/** Moves the equity peak. Returns the same object where it does not move. */
export function addEquity(counts: TradeCounts, config: BreakerConfig, equity: number): TradeCounts {
  if (config.drawdown === null || (counts.equityPeak !== null && equity <= counts.equityPeak)) return counts;
  return { ...counts, equityPeak: equity };
}

/** Fall from the peak, of the peak: 0 at the peak; at least 1 once the equity is used up. */
export function drawdownRatio(peak: number | null, equity: number): number {
  if (equity <= 0) return peak !== null && peak > 0 ? (peak - equity) / peak : 1;
  return peak === null || equity >= peak ? 0 : (peak - equity) / peak;
}

/** Loss of the day so far, ≥ 0. */
export const dailyLossOf = (counts: TradeCounts): number => Math.max(0, -counts.dayPnl);

/** Which triggers a trade reached (≥). */
export function reachedByTrade(counts: TradeCounts, config: BreakerConfig, trade: TradeResult): readonly Reached[] {
  const reached: Reached[] = [];
  const { stopLossCount, losingStreak, dailyLoss } = config;
  if (stopLossCount !== null && trade.stopLoss && counts.stopLosses.length >= stopLossCount.count) {
    reached.push({ trigger: 'stop_loss_count', value: counts.stopLosses.length, threshold: stopLossCount.count });
  }
  if (losingStreak !== null && trade.pnl < 0 && counts.losingStreak >= losingStreak.count) {
    reached.push({ trigger: 'losing_streak', value: counts.losingStreak, threshold: losingStreak.count });
  }
  if (dailyLoss !== null && isAtLeast(dailyLossOf(counts), dailyLoss.max)) {
    reached.push({ trigger: 'daily_loss', value: dailyLossOf(counts), threshold: dailyLoss.max });
  }
  return reached;
}

/** Whether an equity value reached the drawdown trigger (≥). */
export function reachedByEquity(counts: TradeCounts, config: BreakerConfig, equity: number): readonly Reached[] {
  if (config.drawdown === null) return [];
  const value = drawdownRatio(counts.equityPeak, equity);
  const threshold = config.drawdown.maxRatio;
  return isAtLeast(value, threshold) ? [{ trigger: 'drawdown', value, threshold }] : [];
}

/** ≥ with room for what sums of decimal fractions lose in binary: 0.7 + 0.1 reaches 0.8. */
const isAtLeast = (value: number, threshold: number): boolean => value >= threshold * (1 - 1e-12);

/** After an unlock: the counts that locked begin anew. The day's loss stays the day's. */
export function clearFired(counts: TradeCounts, triggers: readonly string[]): TradeCounts {
  return {
    ...counts,
    stopLosses: triggers.includes('stop_loss_count') ? [] : counts.stopLosses,
    losingStreak: triggers.includes('losing_streak') ? 0 : counts.losingStreak,
    equityPeak: triggers.includes('drawdown') ? null : counts.equityPeak,
  };
}

/** Keeps the counts that a change of settings leaves meaningful. */
export function adaptTrades(counts: TradeCounts, next: BreakerConfig): TradeCounts {
  return {
    stopLosses: next.stopLossCount === null ? [] : counts.stopLosses.slice(-next.stopLossCount.count),
    losingStreak: next.losingStreak === null ? 0 : counts.losingStreak,
    equityPeak: next.drawdown === null ? null : counts.equityPeak,
    day: next.dailyLoss === null ? null : counts.day,
    dayPnl: next.dailyLoss === null ? 0 : counts.dayPnl,
  };
}

export function shiftTrades(counts: TradeCounts, deltaMs: number): TradeCounts {
  return { ...counts, stopLosses: counts.stopLosses.map((time) => time + deltaMs) };
}
