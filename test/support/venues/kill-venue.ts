/** A venue on this machine with open orders and positions, whose answers to each operation are scripted. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

/** `lost`: done, and the answer never comes. `dropped`: not done, and no answer comes. `late`: as `lost`, and done later. */
export type KillVenueAct = 'ok' | 'lost' | 'dropped' | '500' | 'refused' | 'missing';

export interface HeldOrder {
  id: string;
  clientOrderId?: string;
  symbol: string;
  side: string;
  amount: number;
  filled: number;
  status: string;
  average?: number;
  timestamp?: number;
}

export interface KillVenueState {
  readonly orders: HeldOrder[];
  readonly trades: { order: string; amount: number; price: number }[];
  readonly positions: Record<string, number>;
  /** Operation, or operation and id → what becomes of each call in turn; the last one stays. */
  readonly script: Record<string, KillVenueAct[]>;
  /** Every call as it came. */
  readonly calls: string[];
  readonly url: string;
}

export async function startKillVenue(
  given: Partial<Pick<KillVenueState, 'script' | 'positions'>> & { readonly open?: readonly string[] },
): Promise<KillVenueState> {
  const orders: HeldOrder[] = (given.open ?? []).map((id) => ({
    ...{ id, symbol: 'BTC/USDT', side: 'buy', amount: 1, filled: 0, status: 'open' },
  }));
  const state = {
    orders,
    trades: [],
    positions: { ...given.positions },
    script: { ...given.script },
    calls: [] as string[],
    url: '',
  };
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      const operation = (request.url ?? '/').slice(1);
      const args = JSON.parse(body) as Record<string, unknown>;
      const id = String(args['id'] ?? args['symbol'] ?? args['timeoutMs'] ?? '');
      state.calls.push(id === '' ? operation : `${operation} ${id}`);
      const script = state.script[`${operation} ${id}`] ?? state.script[operation] ?? ['ok'];
      const act = (script.length > 1 ? script.shift() : script[0])!;
      const answer = (status: number, json: unknown) => response.writeHead(status).end(JSON.stringify(json));
      if (act === '500') return answer(500, { name: 'ExchangeNotAvailable' });
      if (act === 'refused') return answer(400, { name: 'ExchangeError', message: 'refused' });
      if (act === 'missing') return answer(400, { name: 'OrderNotFound', message: 'no such order' });
      const result = act === 'dropped' ? undefined : perform(state, operation, args);
      if (act === 'ok') answer(200, result ?? null);
      return undefined;
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  state.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return state;
}

function perform(state: KillVenueState, operation: string, args: Record<string, unknown>): unknown {
  const { orders, positions } = state;
  switch (operation) {
    case 'fetchOpenOrders':
      return orders.filter(({ status }) => status === 'open');
    case 'fetchClosedOrders':
      return orders.filter(({ status }) => status !== 'open');
    case 'fetchOrder':
      return (
        orders.find(({ id, clientOrderId }) => id === args['id'] || clientOrderId === args['clientOrderId']) ?? null
      );
    case 'fetchMyTrades':
      return state.trades;
    case 'fetchPositions':
      return Object.entries(positions).map(([symbol, quantity]) => ({
        ...{ symbol, contracts: Math.abs(quantity), side: quantity < 0 ? 'short' : 'long' },
      }));
    case 'cancelOrder': {
      const order = orders.find(({ id }) => id === args['id']);
      if (order !== undefined) order.status = 'canceled';
      return { id: args['id'] };
    }
    case 'createOrder': {
      const [symbol, amount] = [String(args['symbol']), Number(args['amount'])];
      const order = {
        ...{
          id: `m${orders.length}`,
          clientOrderId: String(args['clientOrderId']),
          symbol,
          side: String(args['side']),
        },
        ...{ amount, filled: amount, status: 'closed' },
      };
      orders.push(order);
      const quantity = (positions[symbol] ?? 0) + (args['side'] === 'buy' ? amount : -amount);
      positions[symbol] = quantity;
      return order;
    }
    default:
      return null;
  }
}
