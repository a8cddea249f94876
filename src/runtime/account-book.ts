/** The sums over what all processes of an account added: the day's result, positions, and orders on their way. */
import type { LimitOrder, Portfolio } from '../risk/portfolio-limits/portfolio.ts';
import { heldQuantity } from '../risk/portfolio-limits/portfolio.ts';
import type { AccountLimits, AccountPosition, AccountState } from './account-state.ts';

/** By stream: `<service>/<stream UUID>`. */
export type AccountStates = ReadonlyMap<string, AccountState>;

/** Quantities are sums of decimal fills: so much of the larger side is rounding. */
const ROUNDING = 1e-9;

/** Streams whose orders, breakers and demands another one went on with. */
export function takenOver(states: AccountStates): ReadonlySet<string> {
  const taken = new Set<string>();
  for (const { takesOver } of states.values()) for (const stream of takesOver) taken.add(stream);
  return taken;
}

function* limitsOf(states: AccountStates, set: string): Generator<readonly [string, AccountLimits]> {
  for (const [stream, { limits }] of states) {
    for (const one of limits) if (one.set === set) yield [stream, one];
  }
}

/** Result of the day that ends at `resetMs`, over all streams. */
export function dayResult(states: AccountStates, set: string, resetMs: number): number {
  let sum = 0;
  for (const [, one] of limitsOf(states, set)) if (one.resetMs === resetMs) sum += one.pnl;
  return sum;
}

/** Net positions over all streams, by symbol. */
export function netPositions(states: AccountStates, set: string): ReadonlyMap<string, AccountPosition> {
  const net = new Map<string, AccountPosition>();
  for (const [, { positions }] of limitsOf(states, set)) {
    for (const position of positions) {
      const before = net.get(position.symbol);
      net.set(position.symbol, { ...before, ...position, quantity: (before?.quantity ?? 0) + position.quantity });
    }
  }
  return net;
}

/**
 * A portfolio with what it lacks of the account: for each symbol, what the fills of all processes come to beyond the position
 * that the caller lists, and the orders that other processes have on their way. Both count as pending orders, that is only
 * where they make a limit's value worse; a position is never counted twice, whether the caller lists those of its own process
 * or those of the whole account.
 * @param own this process's stream: its orders on their way are known to its limits already
 */
export function accountPortfolio(portfolio: Portfolio, states: AccountStates, set: string, own: string): Portfolio {
  if (typeof portfolio !== 'object' || portfolio === null || !Array.isArray(portfolio.positions)) return portfolio;
  const further: LimitOrder[] = [];
  for (const [symbol, position] of netPositions(states, set)) {
    const missing = position.quantity - heldQuantity(portfolio, symbol);
    if (Math.abs(missing) <= ROUNDING * Math.max(1, Math.abs(position.quantity))) continue;
    further.push({
      ...position,
      side: missing > 0 ? 'buy' : 'sell',
      quantity: Math.abs(missing),
      clientOrderId: `account:${symbol}`,
    });
  }
  const taken = takenOver(states);
  for (const [stream, { pending }] of limitsOf(states, set)) {
    if (stream !== own && !taken.has(stream)) further.push(...pending);
  }
  if (further.length === 0) return portfolio;
  const given = portfolio.pending;
  if (given != null && !Array.isArray(given)) return portfolio;
  return { ...portfolio, pending: [...(given ?? []), ...further] };
}
