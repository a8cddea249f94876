/** Alpaca's trading API as far as an order needs it. https://docs.alpaca.markets/reference/postorder */
import type { Venue } from './venue-server.ts';

const ORDER = {
  ...{ created_at: '2025-06-15T15:06:40Z', updated_at: '2025-06-15T15:06:40Z', submitted_at: '2025-06-15T15:06:40Z' },
  ...{ asset_id: 'b0b6dd9d-8b9b-48a9-ba46-b9d54906e415', symbol: 'AAPL', asset_class: 'us_equity', notional: null },
  ...{ qty: '5', order_class: '', order_type: 'limit', type: 'limit', side: 'buy', time_in_force: 'day' },
  ...{ limit_price: '190', stop_price: null, extended_hours: false, legs: null },
};

export const ALPACA: Venue = {
  isOrder: ({ method, path }) => method === 'POST' && path === '/v2/orders',
  order(outcome, request, number) {
    switch (outcome) {
      case 'insufficient':
        return { status: 403, json: { code: 40310000, message: 'insufficient buying power' } };
      case '429':
        return { status: 429, json: { message: 'too many requests.' } };
      case '500':
        return { status: 500, json: { code: 50010000, message: 'internal server error occurred' } };
      default: {
        const { client_order_id } = JSON.parse(request.body) as { client_order_id?: string };
        const filled = outcome === 'filled';
        return {
          json: {
            ...{ ...ORDER, id: `al-${number}`, client_order_id: client_order_id ?? `own-${number}` },
            ...{ status: filled ? 'filled' : 'accepted', filled_qty: filled ? '5' : '0' },
            filled_avg_price: filled ? '189.5' : null,
          },
        };
      }
    }
  },
  other({ method, path }) {
    if (method === 'PATCH') {
      const edited = { qty: '4', limit_price: '191', status: 'accepted', filled_qty: '0', filled_avg_price: null };
      return {
        json: { ...ORDER, ...edited, id: 'al-90', client_order_id: 'own-90', replaces: path.split('/').at(-1) },
      };
    }
    if (method !== 'DELETE') return { json: {} };
    if (path === '/v2/orders') return { status: 207, json: [{ id: 'al-1', status: 200 }] };
    return { status: 204, json: null };
  },
};
