/** The orders that are pending: those that the limits were told of, and those that the caller's portfolio lists. */
import type { LimitOrder, Portfolio } from './portfolio.ts';
import { isSameOrder, type LimitsState, type PendingOrder, pendingId } from './state.ts';

/** Whether any order is pending at all. */
export function hasPending(state: LimitsState, portfolio: Portfolio): boolean {
  for (const _ in state.pending) return true;
  return portfolio.pending != null && portfolio.pending.length > 0;
}

/** Every order that is pending, once each, and never the order itself: its venue's id or the caller's own decides. */
export function forEachPending(
  state: LimitsState,
  portfolio: Portfolio,
  order: LimitOrder,
  visit: (pending: PendingOrder) => void,
): void {
  const tracked = state.pending;
  for (const id in tracked) {
    const pending = tracked[id]!;
    if (!isSameOrder(pending, order)) visit(pending);
  }
  const seen = new Set<string>();
  for (const pending of portfolio.pending ?? []) {
    if (isSameOrder(pending, order)) continue;
    const id = pendingId(pending);
    if (id !== undefined) {
      if (seen.has(id) || isTracked(tracked, pending, id)) continue;
      seen.add(id);
    }
    visit(pending);
  }
}

function isTracked(tracked: LimitsState['pending'], pending: LimitOrder, id: string): boolean {
  if (Object.hasOwn(tracked, id)) return true;
  for (const key in tracked) if (isSameOrder(tracked[key]!, pending)) return true;
  return false;
}
