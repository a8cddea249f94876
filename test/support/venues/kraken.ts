/** Kraken's REST API as far as an order needs it. https://docs.kraken.com/api/docs/rest-api/add-order */
import type { Venue } from './venue-server.ts';

const PAIR = {
  ...{ altname: 'XBTUSD', wsname: 'XBT/USD', aclass_base: 'currency', base: 'XXBT', aclass_quote: 'currency' },
  ...{ quote: 'ZUSD', lot: 'unit', cost_decimals: 5, pair_decimals: 1, lot_decimals: 8, lot_multiplier: 1 },
  ...{ leverage_buy: [2, 3], leverage_sell: [2, 3], fees: [[0, 0.4]], fees_maker: [[0, 0.25]] },
  ...{ fee_volume_currency: 'ZUSD', margin_call: 80, margin_stop: 40, ordermin: '0.0001', costmin: '0.5' },
  ...{ tick_size: '0.1', status: 'online' },
};
const ASSETS = {
  XXBT: { aclass: 'currency', altname: 'XBT', decimals: 10, display_decimals: 5, status: 'enabled' },
  ZUSD: { aclass: 'currency', altname: 'USD', decimals: 4, display_decimals: 2, status: 'enabled' },
};

const order = (id: string, status: string, filled: string) => ({
  [id]: {
    ...{ refid: null, userref: 0, status, opentm: 1_750_000_000.1, starttm: 0, expiretm: 0 },
    descr: {
      pair: 'XBTUSD',
      type: 'buy',
      ordertype: 'limit',
      price: '61000.0',
      price2: '0',
      leverage: 'none',
      order: 'buy 0.50000000 XBTUSD @ limit 61000.0',
      close: '',
    },
    ...{
      vol: '0.50000000',
      vol_exec: filled,
      cost: String(Number(filled) * 61_000),
      fee: '0',
      price: filled === '0' ? '0' : '61000.0',
      stopprice: '0',
      limitprice: '0',
      misc: '',
      oflags: 'fciq',
    },
  },
});

export const KRAKEN: Venue = {
  isOrder: ({ path }) => path === '/0/private/AddOrder',
  order(outcome, _request, number) {
    switch (outcome) {
      case 'insufficient':
        return { json: { error: ['EOrder:Insufficient funds'] } };
      case '429':
        return { status: 429, json: { error: ['EAPI:Rate limit exceeded'] }, headers: { 'retry-after': '3' } };
      case '500':
        return { status: 500, json: { error: ['EGeneral:Internal error'] } };
      default:
        return {
          json: {
            error: [],
            result: {
              descr: { order: 'buy 0.50000000 XBTUSD @ limit 61000.0' },
              txid: [`OKRAKN-00000-00000${number}`],
            },
          },
        };
    }
  },
  other({ path }) {
    switch (path) {
      case '/0/public/AssetPairs':
        return { json: { error: [], result: { XXBTZUSD: PAIR } } };
      case '/0/public/Assets':
        return { json: { error: [], result: ASSETS } };
      case '/0/public/OHLC': {
        const candle = (hour: number) => [
          1_750_000_000 + hour * 3600,
          '100',
          '100',
          '100',
          String(60_000 + hour * 100),
          '100',
          '1',
          1,
        ];
        return {
          json: { error: [], result: { XXBTZUSD: Array.from({ length: 30 }, (_, hour) => candle(hour)), last: 0 } },
        };
      }
      case '/0/private/Balance':
      case '/0/private/BalanceEx':
        return { json: { error: [], result: { ZUSD: { balance: '1000.5', hold_trade: '0' } } } };
      case '/0/private/CancelOrder':
        return { json: { error: [], result: { count: 1 } } };
      case '/0/private/AmendOrder':
        return { json: { error: [], result: { amend_id: 'TTW6PD-RC36L-ZZSWNU' } } };
      case '/0/private/EditOrder':
        return {
          json: {
            error: [],
            result: {
              ...{
                status: 'ok',
                txid: 'OKRAKN-00000-000001',
                originaltxid: 'OKRAKN-00000-000001',
                orders_cancelled: 1,
              },
              ...{ volume: '0.40000000', price: '61500.0', descr: { order: 'buy 0.40000000 XBTUSD @ limit 61500.0' } },
            },
          },
        };
      case '/0/private/CancelAll':
        return { json: { error: [], result: { count: 2 } } };
      case '/0/private/QueryOrders':
        return { json: { error: [], result: order('OKRAKN-00000-000001', 'closed', '0.50000000') } };
      default:
        return { json: { error: [], result: {} } };
    }
  },
};
