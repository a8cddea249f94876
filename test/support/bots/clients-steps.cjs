/** What the bots of the venues' own clients do. Nothing in here knows of risktrail. */
const KEY = 'KEYOFTHEBOTKEYOFTHEBOT';
const SECRET = 'secret-of-the-bot-secret-of-the-bot';

/** Long for an answer of a busy machine, short for a test that waits for none. */
const TIMEOUT_MS = 1500;

const ALPACA_ORDER = { symbol: 'AAPL', qty: 5, side: 'buy' };
const BINANCE_ORDER = { symbol: 'BTCUSDT', side: 'BUY', type: 'LIMIT', quantity: 0.5, price: 61_000 };

const CLIENTS = {
  alpaca({ Alpaca, default: Older }, url) {
    if (Alpaca === undefined) {
      const alpaca = new Older({ keyId: KEY, secretKey: SECRET, paper: true, baseUrl: url });
      // It has no time-out of its own.
      const inTime = (answer) =>
        Promise.race([answer, new Promise((_, fail) => setTimeout(fail, TIMEOUT_MS, new Error('given up')).unref())]);
      return {
        place: () =>
          inTime(alpaca.createOrder({ ...ALPACA_ORDER, type: 'limit', limit_price: 190, time_in_force: 'day' })),
        edit: () => alpaca.replaceOrder('al-1', { qty: 4, limit_price: 191 }),
        cancel: () => alpaca.cancelOrder('al-1'),
        cancelAll: () => alpaca.cancelAllOrders(),
      };
    }
    // Its hosts are fixed: what it sends is turned to the venue of this machine.
    const fetchApi = (address, init) => fetch(url + new URL(address).pathname, init);
    const alpaca = new Alpaca({
      keyId: KEY,
      secret: SECRET,
      paper: true,
      timeoutMs: TIMEOUT_MS,
      retry: false,
      fetchApi,
    });
    const { orders } = alpaca.trading;
    return {
      place: () => orders.limit({ ...ALPACA_ORDER, limitPrice: 190 }),
      edit: () => orders.patchOrderByOrderId({ orderId: 'al-1', patchOrderRequest: { qty: '4', limitPrice: '191' } }),
      cancel: () => orders.deleteOrderByOrderID({ orderId: 'al-1' }),
      cancelAll: () => orders.deleteAllOrders(),
    };
  },
  binance({ MainClient, USDMClient }, url) {
    const [client, futures] = [MainClient, USDMClient].map(
      (Client) => new Client({ api_key: KEY, api_secret: SECRET, baseUrl: url }, { timeout: TIMEOUT_MS }),
    );
    return {
      place: () => client.submitNewOrder({ ...BINANCE_ORDER, timeInForce: 'GTC' }),
      replace: () =>
        client.replaceOrder({
          ...{ ...BINANCE_ORDER, quantity: 0.4, timeInForce: 'GTC' },
          ...{ cancelReplaceMode: 'STOP_ON_FAILURE', cancelOrderId: 29 },
        }),
      edit: () => futures.modifyOrder({ symbol: 'BTCUSDT', side: 'BUY', orderId: 28, quantity: 0.3, price: 61_500 }),
      cancel: () => client.cancelOrder({ symbol: 'BTCUSDT', orderId: 28 }),
      cancelAll: () => client.cancelAllSymbolOrders({ symbol: 'BTCUSDT' }),
    };
  },
  bybit({ RestClientV5 }, url) {
    const client = new RestClientV5({ key: KEY, secret: SECRET, baseUrl: url }, { timeout: TIMEOUT_MS });
    const about = { category: 'spot', symbol: 'BTCUSDT' };
    const order = { ...about, side: 'Buy', orderType: 'Limit', qty: '0.5', price: '61000' };
    return {
      place: (i) => client.submitOrder({ ...order, orderLinkId: `bot-${i}` }),
      edit: () => client.amendOrder({ ...about, orderId: 'by-1', qty: '0.4' }),
      cancel: () => client.cancelOrder({ ...about, orderId: 'by-1' }),
      cancelAll: () => client.cancelAllOrders(about),
    };
  },
};

exports.trade = async function trade(library, loaded, url, count) {
  const client = CLIENTS[library](loaded, url);
  const tell = (answer) =>
    answer.then(
      () => process.stdout.write('answered\n'),
      () => process.stdout.write('failed\n'),
    );
  for (let i = 0; i < Number(count); i++) await tell(client.place(i));
  for (const one of ['replace', 'edit', 'cancel', 'cancelAll'])
    if (client[one] !== undefined) await tell(client[one]());
};
