/** Rebuilds what the limits remember from their recorded events. Decisions are taken from the record, not made again. */
import type { PortfolioLimitsOptions } from './options.ts';
import { applyLimitsChange, type LimitsChange, type LimitsState, limitsStateOf } from './state.ts';

/** An event as it stands in the trail. */
export interface RecordedLimitsEvent {
  readonly name: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}

/**
 * Applies one event. The first event of a set of limits is its snapshot; what comes before any snapshot is passed over, as
 * are the events of other sets.
 * @param name the option `name` of the set
 * @returns the state after the event; undefined before the first snapshot
 */
export function foldLimits(
  state: LimitsState | undefined,
  event: RecordedLimitsEvent,
  name = 'default',
): LimitsState | undefined {
  const { attributes } = event;
  if ((attributes['risk.limit.set'] ?? 'default') !== name) return state;
  if (event.name === 'risk.portfolio_limit.snapshot') return limitsStateOf(attributes['risk.snapshot']) ?? state;
  const change = state === undefined ? undefined : changeOf(event);
  return state === undefined || change === undefined ? state : applyLimitsChange(state, change);
}

/** The change that an event holds; undefined where it holds none, as those that a caller emits on his own. */
function changeOf({ name, attributes }: RecordedLimitsEvent): LimitsChange | undefined {
  switch (name) {
    case 'risk.portfolio_limit.check':
      return sentOrder(attributes);
    case 'risk.portfolio_limit.update': {
      const change = attributes['risk.limit.change'] as LimitsChange | undefined;
      if (change === undefined) return undefined;
      // The trail has no null: an absent member is one.
      if (change.type === 'peak_reset') return { ...change, equity: change.equity ?? null };
      return change.type === 'fill' ? { ...change, orderId: change.orderId ?? null } : change;
    }
    case 'config.limits_changed': {
      const change = attributes['risk.limit.change'] as { readonly resetMs: number } | undefined;
      if (change === undefined) return undefined;
      const config = attributes['risk.config.new'] as PortfolioLimitsOptions;
      return { type: 'configured', config, resetMs: change.resetMs };
    }
    case 'risk.daily_loss_limit':
    case 'risk.limit_hit':
      return attributes['risk.limit.change'] as LimitsChange | undefined;
    default:
      return undefined;
  }
}

function sentOrder(attributes: Readonly<Record<string, unknown>>): LimitsChange | undefined {
  if (attributes['risk.decision'] === 'deny' || attributes['risk.limit.at_ms'] === undefined) return undefined;
  return {
    type: 'order_sent',
    atMs: attributes['risk.limit.at_ms'] as number,
    symbol: attributes['trading.symbol'] as string,
    side: attributes['trading.side'] as 'buy' | 'sell',
    quantity: attributes['trading.quantity'] as number,
    price: (attributes['trading.price'] as number | undefined) ?? null,
    clientOrderId: (attributes['trading.order.client_id'] as string | undefined) ?? null,
  };
}
