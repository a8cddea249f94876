/** Breaches of the daily loss and drawdown limits: recorded once each, with what they demand of the trading gate. */
import { type CatalogEvent, catalogEvent } from '../../catalog/events.ts';
import type { GateDemand } from '../trading-state.ts';
import { type Building, setName } from './events.ts';
import type { BreachAction, PortfolioLimitsOptions } from './options.ts';
import { isBeyond, readable, utilizationOf } from './result.ts';
import type { Run } from './run.ts';
import { applyLimitsChange, type BreachableLimit, dailyLoss, drawdownRatio } from './state.ts';

/** Records what began or ended to be beyond its limit, and tells the gate. */
export function settleBreaches(run: Run): void {
  settleDailyLoss(run);
  settleDrawdown(run);
}

function settleDailyLoss(run: Run): void {
  const { day } = run.state;
  const limit = run.limits.options.dailyLoss;
  const loss = dailyLoss(run.state);
  const isOver = limit !== undefined && isBeyond(loss, limit.max);
  // A breach holds until the day ends, whatever is won back; only other limits or a new day end it before.
  if (day.breached && (limit === undefined || !isOver) && wasConfigured(run)) {
    end(run, 'daily_loss', 'the limits were changed');
  }
  if (limit === undefined || !isOver || day.breached) return;
  run.state = applyLimitsChange(run.state, { type: 'breached', limit: 'daily_loss', on: true });
  const attributes: Building<'risk.daily_loss_limit'> = {
    'risk.daily_loss': readable(loss),
    'risk.daily_loss.max': limit.max,
    'risk.reason.code': 'DAILY_LOSS_EXCEEDED',
    'risk.until': new Date(day.resetMs).toISOString(),
    'risk.limit.change': { type: 'breached', limit: 'daily_loss', on: true },
  };
  if (run.equity !== undefined) attributes['trading.equity'] = run.equity;
  setName(attributes, run.limits.options);
  const event = catalogEvent('risk.daily_loss_limit', attributes);
  const reason = `daily loss of ${readable(loss)} is beyond ${limit.max}`;
  begin(run, 'daily_loss', event, limit.onBreach ?? 'REDUCING', reason, day.resetMs);
}

function settleDrawdown(run: Run): void {
  const limit = run.limits.options.drawdown;
  const { drawdownBreached, peakEquity } = run.state;
  if (drawdownBreached && limit === undefined) end(run, 'drawdown', 'the limit was removed');
  // Without a peak there is no drawdown, whatever the equity.
  const equity = run.equity ?? (peakEquity === null ? 0 : undefined);
  if (limit === undefined || equity === undefined) return;
  const ratio = drawdownRatio(run.state, equity);
  const isOver = isBeyond(ratio, limit.max);
  if (drawdownBreached && !isOver) end(run, 'drawdown', `drawdown is back at ${ratio}, at most ${limit.max}`);
  if (drawdownBreached || !isOver) return;
  run.state = applyLimitsChange(run.state, { type: 'breached', limit: 'drawdown', on: true });
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
  setName(attributes, run.limits.options);
  const event = catalogEvent('risk.limit_hit', attributes);
  begin(run, 'drawdown', event, limit.onBreach ?? 'REDUCING', `drawdown of ${readable(ratio)} is beyond ${limit.max}`);
}

function begin(
  run: Run,
  limit: BreachableLimit,
  event: CatalogEvent,
  onBreach: BreachAction,
  reason: string,
  untilMs?: number,
): void {
  if (onBreach === 'none') run.effects.push({ event });
  else {
    const demand = breachDemand(run.limits.options, limit, onBreach, reason);
    run.effects.push({ event, demand: untilMs === undefined ? demand : { ...demand, untilMs } });
  }
}

function end(run: Run, limit: BreachableLimit, reason: string): void {
  run.update({ type: 'breached', limit, on: false }, true, (attributes) => {
    attributes['risk.reason'] = reason;
  });
  const last = run.effects.pop()!;
  run.effects.push({ ...last, demand: breachDemand(run.limits.options, limit, 'ACTIVE', reason) });
}

function wasConfigured(run: Run): boolean {
  return run.effects.some(({ event }) => event.name === 'config.limits_changed');
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
