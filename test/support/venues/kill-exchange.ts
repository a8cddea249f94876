/** The client of a {@link startKillVenue} venue, as ccxt has it: the same methods, and classes of errors of the same names. */
import type { KillExchange } from '../../../src/runtime/kill/kill-types.ts';
import type { OrdersExchange } from '../../../src/runtime/order-lookup.ts';

class ExchangeError extends Error {}
class OrderNotFound extends ExchangeError {}
class ExchangeNotAvailable extends Error {}
const ERRORS: Record<string, new (message: string) => Error> = { ExchangeError, OrderNotFound, ExchangeNotAvailable };

const client = (url: string) => async (operation: string, args: object) => {
  const response = await fetch(`${url}/${operation}`, {
    ...{ method: 'POST', body: JSON.stringify(args), headers: { connection: 'close' } },
  });
  const json = (await response.json()) as { name?: string; message?: string };
  if (!response.ok) throw new (ERRORS[json.name ?? ''] ?? Error)(json.message ?? json.name ?? 'failed');
  return json as never;
};

export function killExchange(url: string, without: readonly string[] = []): KillExchange {
  const ask = client(url);
  const exchange: KillExchange = {
    id: 'loopback',
    has: Object.fromEntries(without.map((name) => [name, false])),
    fetchOpenOrders: (symbol) => ask('fetchOpenOrders', { symbol }),
    fetchClosedOrders: (symbol) => ask('fetchClosedOrders', { symbol }),
    fetchPositions: () => ask('fetchPositions', {}),
    cancelOrder: (id, symbol) => ask('cancelOrder', { id, symbol }),
    createOrder: (symbol, type, side, amount, _price, params) =>
      ask('createOrder', { symbol, type, side, amount, ...params }),
    cancelAllOrdersAfter: (timeoutMs) => ask('cancelAllOrdersAfter', { timeoutMs }),
  };
  return exchange;
}

/** The same venue, as one asks it for orders. `without`: what `has` lacks. */
export function ordersExchange(url: string, without: readonly string[] = []): OrdersExchange {
  const ask = client(url);
  const names = ['fetchOrder', 'fetchOpenOrders', 'fetchClosedOrders', 'fetchMyTrades'];
  return {
    id: 'loopback',
    has: Object.fromEntries(names.map((name) => [name, !without.includes(name)])),
    fetchOrder: (id, _symbol, params) => ask('fetchOrder', params === undefined ? { id } : params),
    fetchOpenOrders: (symbol) => ask('fetchOpenOrders', { symbol }),
    fetchClosedOrders: (symbol) => ask('fetchClosedOrders', { symbol }),
    fetchMyTrades: (symbol) => ask('fetchMyTrades', { symbol }),
  };
}
