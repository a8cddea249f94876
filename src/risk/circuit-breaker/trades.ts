/** Trades and equity: what they count, and when they open the breaker. */
import { catalogEvent } from '../../catalog/events.ts';
import type { Draft } from './draft.ts';
import { type BreakerDecision, USED } from './input.ts';
import {
  addEquity,
  addTrade,
  dailyLossOf,
  drawdownRatio,
  reachedByEquity,
  reachedByTrade,
  type TradeResult,
} from './trading-triggers.ts';
import type { Reached } from './window.ts';

export function recordTrade(draft: Draft, trade: TradeResult): BreakerDecision {
  if (!Number.isFinite(trade.pnl) || typeof trade.stopLoss !== 'boolean')
    return draft.invalid('CIRCUIT_BREAKER_TRADE_INVALID');
  const trades = addTrade(draft.state.trades, draft.config, draft.now, trade);
  const changed = trades !== draft.state.trades;
  const reached = reachedByTrade(trades, draft.config, trade);
  draft.state = { ...draft.state, trades };
  if (changed || draft.all || wouldOpen(draft, reached)) {
    draft.record(
      catalogEvent('risk.circuit_breaker.trade_result', {
        ...draft.attributes(draft.now),
        'trading.pnl': trade.pnl,
        ...(typeof trade.symbol === 'string' ? { 'trading.symbol': trade.symbol } : {}),
        'risk.circuit_breaker.stop_loss': trade.stopLoss,
        'risk.circuit_breaker.losing_streak': trades.losingStreak,
        'risk.circuit_breaker.stop_loss_count': trades.stopLosses.length,
        ...(trades.day === null
          ? {}
          : { 'risk.daily_loss': dailyLossOf(trades), 'risk.circuit_breaker.day': trades.day }),
      }),
    );
  }
  openByTrade(draft, reached);
  return USED;
}

export function recordEquity(draft: Draft, equity: number): BreakerDecision {
  if (!Number.isFinite(equity)) return draft.invalid('CIRCUIT_BREAKER_EQUITY_INVALID');
  const trades = addEquity(draft.state.trades, draft.config, equity);
  const changed = trades !== draft.state.trades;
  const reached = reachedByEquity(trades, draft.config, equity);
  draft.state = { ...draft.state, trades };
  if (changed || draft.all || wouldOpen(draft, reached)) {
    draft.record(
      catalogEvent('risk.circuit_breaker.equity', {
        ...draft.attributes(draft.now),
        'trading.equity': equity,
        'risk.drawdown_ratio': drawdownRatio(trades.equityPeak, equity),
      }),
    );
  }
  openByTrade(draft, reached);
  return USED;
}

function wouldOpen(draft: Draft, reached: readonly Reached[]): boolean {
  const { status, triggers, openUntilMs } = draft.state;
  if (status === 'OPEN') return openUntilMs !== null && reached.some((one) => !triggers.includes(one.trigger));
  return reached.length > 0 && (status === 'CLOSED' || status === 'HALF_OPEN');
}

/** Exits pass while it is open, and realise losses: a trigger that is new to this opening lengthens it. */
function openByTrade(draft: Draft, reached: readonly Reached[]): void {
  if (!wouldOpen(draft, reached)) return;
  const { status, triggers } = draft.state;
  const fresh = status === 'OPEN' ? reached.filter((one) => !triggers.includes(one.trigger)) : reached;
  draft.open(
    fresh,
    fresh.map((one) => one.trigger),
    draft.now,
  );
}
