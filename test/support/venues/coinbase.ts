/** Coinbase's Advanced Trade API as far as an order needs it. https://docs.cdp.coinbase.com/advanced-trade/reference */
import type { Venue } from './venue-server.ts';

const PRODUCT = {
  ...{
    product_id: 'BTC-USD',
    price: '61000',
    price_percentage_change_24h: '0',
    volume_24h: '1',
    base_increment: '0.00000001',
  },
  ...{
    quote_increment: '0.01',
    quote_min_size: '1',
    quote_max_size: '50000000',
    base_min_size: '0.00000001',
    base_max_size: '3400',
  },
  ...{
    base_name: 'Bitcoin',
    quote_name: 'US Dollar',
    is_disabled: false,
    status: 'online',
    trading_disabled: false,
    product_type: 'SPOT',
  },
  ...{
    quote_currency_id: 'USD',
    base_currency_id: 'BTC',
    base_display_symbol: 'BTC',
    quote_display_symbol: 'USD',
    price_increment: '0.01',
  },
};

export const COINBASE: Venue = {
  isOrder: ({ method, path }) => method === 'POST' && path === '/api/v3/brokerage/orders',
  order(outcome, request, number) {
    switch (outcome) {
      case 'insufficient':
        return {
          json: {
            ...{ success: false, failure_reason: 'UNKNOWN_FAILURE_REASON', order_id: '' },
            error_response: {
              error: 'INSUFFICIENT_FUND',
              message: 'Insufficient balance in source account',
              error_details: '',
              preview_failure_reason: 'PREVIEW_INSUFFICIENT_FUND',
            },
          },
        };
      case '429':
        return {
          status: 429,
          json: { error: 'too many requests', error_details: 'too many requests', message: 'too many requests' },
        };
      case '500':
        return { status: 500, json: { error: 'INTERNAL', message: 'internal error' } };
      default: {
        const asked = JSON.parse(request.body) as { client_order_id: string };
        return {
          json: {
            ...{ success: true, failure_reason: 'UNKNOWN_FAILURE_REASON', order_id: `cb-${number}` },
            success_response: {
              order_id: `cb-${number}`,
              product_id: 'BTC-USD',
              side: 'BUY',
              client_order_id: asked.client_order_id,
            },
          },
        };
      }
    }
  },
  other({ path, body }) {
    if (path.endsWith('/products')) return { json: { products: [PRODUCT], num_products: 1 } };
    if (path.endsWith('/transaction_summary'))
      return { json: { fee_tier: { taker_fee_rate: '0.006', maker_fee_rate: '0.004' } } };
    if (path.endsWith('/orders/edit')) return { json: { success: true, errors: [] } };
    if (path.endsWith('/orders/batch_cancel')) {
      const { order_ids } = JSON.parse(body) as { order_ids: readonly string[] };
      const results = order_ids.map((order_id) => ({ success: true, failure_reason: '', order_id }));
      return { json: { results } };
    }
    return { json: { data: [], products: [], currencies: [] } };
  },
};
