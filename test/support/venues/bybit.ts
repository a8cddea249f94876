/** Bybit's v5 REST API as far as a spot order needs it. https://bybit-exchange.github.io/docs/v5/order/create-order */
import type { Venue } from './venue-server.ts';

const ok = (result: object) => ({ retCode: 0, retMsg: 'OK', result, retExtInfo: {}, time: 1_750_000_000_000 });
const refused = (retCode: number, retMsg: string) => ({ ...ok({}), retCode, retMsg });
const LIMITS = { 'x-bapi-limit-status': '19', 'x-bapi-limit': '20' };

const SYMBOL = {
  ...{
    symbol: 'BTCUSDT',
    baseCoin: 'BTC',
    quoteCoin: 'USDT',
    innovation: '0',
    status: 'Trading',
    marginTrading: 'none',
  },
  lotSizeFilter: {
    basePrecision: '0.000001',
    quotePrecision: '0.0000001',
    minOrderQty: '0.00001',
    maxOrderQty: '100',
    minOrderAmt: '1',
    maxOrderAmt: '4000000',
  },
  priceFilter: { tickSize: '0.01' },
};

export const BYBIT: Venue = {
  isOrder: ({ path }) => path === '/v5/order/create',
  order(outcome, request, number) {
    switch (outcome) {
      case 'insufficient':
        return { json: refused(170131, 'Insufficient balance.'), headers: LIMITS };
      case '429':
        return { json: refused(10006, 'Too many visits!'), headers: { ...LIMITS, 'x-bapi-limit-status': '0' } };
      case '500':
        return { status: 500, json: refused(10016, 'Internal server error.') };
      default: {
        const { orderLinkId } = JSON.parse(request.body) as { orderLinkId: string };
        return { json: ok({ orderId: `by-${number}`, orderLinkId }), headers: LIMITS };
      }
    }
  },
  other({ path }) {
    if (path === '/v5/market/instruments-info')
      return { json: ok({ category: 'spot', list: [SYMBOL], nextPageCursor: '' }) };
    if (path === '/v5/user/query-api') return { json: ok({ unified: 0, uta: 1, id: '1' }) };
    if (path === '/v5/account/info') return { json: ok({ unifiedMarginStatus: 5, marginMode: 'REGULAR_MARGIN' }) };
    const one = { orderId: 'by-1', orderLinkId: 'bot-0' };
    if (path === '/v5/order/amend' || path === '/v5/order/cancel') return { json: ok(one) };
    if (path === '/v5/order/cancel-all') return { json: ok({ list: [one], success: '1' }) };
    return { json: ok({ list: [], rows: [] }) };
  },
};
