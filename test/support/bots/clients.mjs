// Arguments: library, address of the venue, how many orders. Nothing in here knows of risktrail.
const [library, url, count] = process.argv.slice(2);
const KEY = 'KEYOFTHEBOTKEYOFTHEBOT';
const SECRET = 'secret-of-the-bot-secret-of-the-bot';

const CLIENTS = {
  async alpaca() {
    const { Alpaca } = await import('@alpacahq/alpaca-trade-api');
    // Its hosts are fixed: what it sends is turned to the venue of this machine.
    const fetchApi = (address, init) => fetch(url + new URL(address).pathname, init);
    const alpaca = new Alpaca({ keyId: KEY, secret: SECRET, paper: true, timeoutMs: 400, retry: false, fetchApi });
    const { orders } = alpaca.trading;
    return {
      place: () => orders.limit({ symbol: 'AAPL', qty: 5, side: 'buy', limitPrice: 190 }),
      cancel: () => orders.deleteOrderByOrderID({ orderId: 'al-1' }),
    };
  },
  async binance() {
    const { MainClient } = await import('binance');
    const client = new MainClient({ api_key: KEY, api_secret: SECRET, baseUrl: url }, { timeout: 400 });
    return {
      place: () =>
        client.submitNewOrder({
          symbol: 'BTCUSDT',
          side: 'BUY',
          type: 'LIMIT',
          quantity: 0.5,
          price: 61_000,
          timeInForce: 'GTC',
        }),
      cancel: () => client.cancelOrder({ symbol: 'BTCUSDT', orderId: 28 }),
    };
  },
  async bybit() {
    const { RestClientV5 } = await import('bybit-api');
    const client = new RestClientV5({ key: KEY, secret: SECRET, baseUrl: url }, { timeout: 400 });
    return {
      place: (i) =>
        client.submitOrder({
          category: 'spot',
          symbol: 'BTCUSDT',
          side: 'Buy',
          orderType: 'Limit',
          qty: '0.5',
          price: '61000',
          orderLinkId: `bot-${i}`,
        }),
      cancel: () => client.cancelOrder({ category: 'spot', symbol: 'BTCUSDT', orderId: 'by-1' }),
    };
  },
};

const client = await CLIENTS[library]();
for (let i = 0; i < Number(count); i++) {
  await client.place(i).then(
    () => process.stdout.write('answered\n'),
    () => process.stdout.write('failed\n'),
  );
}
await client.cancel();
