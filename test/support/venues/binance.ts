/** Binance's spot REST API as far as an order needs it. https://developers.binance.com/docs/binance-spot-api-docs/rest-api */
import type { Venue } from './venue-server.ts';

const SYMBOL = {
  ...{ symbol: 'BTCUSDT', status: 'TRADING', baseAsset: 'BTC', baseAssetPrecision: 8, quoteAsset: 'USDT' },
  ...{ quotePrecision: 8, quoteAssetPrecision: 8, isSpotTradingAllowed: true, isMarginTradingAllowed: false },
  ...{ orderTypes: ['LIMIT', 'MARKET'], permissions: ['SPOT'], permissionSets: [['SPOT']] },
  filters: [
    { filterType: 'PRICE_FILTER', minPrice: '0.01', maxPrice: '1000000', tickSize: '0.01' },
    { filterType: 'LOT_SIZE', minQty: '0.00001', maxQty: '9000', stepSize: '0.00001' },
    { filterType: 'NOTIONAL', minNotional: '5' },
  ],
};
const ORDER = {
  ...{ symbol: 'BTCUSDT', orderListId: -1, transactTime: 1_750_000_000_000, price: '61000.00', origQty: '0.50000' },
  ...{ executedQty: '0.00000', cummulativeQuoteQty: '0.00', status: 'NEW', timeInForce: 'GTC', type: 'LIMIT' },
  ...{ side: 'BUY', fills: [] },
};
const WEIGHT = { 'x-mbx-used-weight-1m': '17' };

export const BINANCE: Venue = {
  isOrder: ({ method, path }) => method === 'POST' && path === '/api/v3/order',
  order(outcome, request, number) {
    const asked = new URLSearchParams(request.body);
    switch (outcome) {
      case 'insufficient':
        return { status: 400, json: { code: -2010, msg: 'Account has insufficient balance for requested action.' } };
      case '429':
        return {
          status: 429,
          json: { code: -1003, msg: 'Too many requests.' },
          headers: { ...WEIGHT, 'retry-after': '3' },
        };
      case '500':
        return { status: 500, json: { code: -1000, msg: 'An unknown error occurred while processing the request.' } };
      default: {
        const filled = outcome === 'filled';
        const order = {
          ...{ ...ORDER, orderId: 27 + number, clientOrderId: asked.get('newClientOrderId') },
          ...(filled ? { executedQty: '0.50000', cummulativeQuoteQty: '30500.00', status: 'FILLED' } : {}),
        };
        return { json: order, headers: WEIGHT };
      }
    }
  },
  other({ method, path }) {
    if (path === '/api/v3/exchangeInfo')
      return { json: { timezone: 'UTC', serverTime: 1, symbols: [SYMBOL] }, headers: WEIGHT };
    const canceled = { ...ORDER, orderId: 28, origClientOrderId: 'bot-0', status: 'CANCELED' };
    switch (`${method} ${path}`) {
      case 'POST /api/v3/order/cancelReplace': {
        const newOrderResponse = { ...ORDER, orderId: 90, clientOrderId: 'bot-90', origQty: '0.40000' };
        const results = { cancelResult: 'SUCCESS', newOrderResult: 'SUCCESS' };
        return { json: { ...results, cancelResponse: { ...canceled, orderId: 29 }, newOrderResponse } };
      }
      case 'PUT /fapi/v1/order':
        return {
          json: { ...ORDER, orderId: 28, clientOrderId: 'bot-0', origQty: '0.300', price: '61500', avgPrice: '0' },
        };
      case 'DELETE /api/v3/order':
        return { json: canceled };
      case 'DELETE /api/v3/openOrders':
        return { json: [canceled] };
      case 'POST /api/v3/userDataStream':
        return { json: { listenKey: 'listenkeyofthebot0123456789' } };
      case 'GET /api/v3/openOrders':
        return { json: [] };
      default:
        return { json: {} };
    }
  },
};
