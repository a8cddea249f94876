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
          ...{ symbol: 'BTCUSDT', orderId: 27 + number, orderListId: -1, clientOrderId: asked.get('newClientOrderId') },
          ...{
            transactTime: 1_750_000_000_000,
            price: '61000.00',
            origQty: '0.50000',
            executedQty: filled ? '0.50000' : '0.00000',
          },
          ...{
            cummulativeQuoteQty: filled ? '30500.00' : '0.00',
            status: filled ? 'FILLED' : 'NEW',
            timeInForce: 'GTC',
          },
          ...{ type: 'LIMIT', side: 'BUY', fills: [] },
        };
        return { json: order, headers: WEIGHT };
      }
    }
  },
  other({ path }) {
    if (path === '/api/v3/exchangeInfo')
      return { json: { timezone: 'UTC', serverTime: 1, symbols: [SYMBOL] }, headers: WEIGHT };
    if (path === '/api/v3/openOrders') return { json: [] };
    return { json: {} };
  },
};
