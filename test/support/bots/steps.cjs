const http = require('node:http');

/** For what a test waits for, and for what may take its time on a busy machine. */
const TIMEOUT_MS = 2000;
const LOADING_TIMEOUT_MS = 30_000;

/** What the bots do: an order for each outcome that the venue has in store. Nothing in here knows of risktrail. */
const SECRETS = {
  apiKey: 'KEYOFTHEBOTKEYOFTHEBOT',
  secret: Buffer.from('secret of the bot, secret of the bot').toString('base64'),
};

const SETTINGS = {
  kraken: {},
  binance: { options: { fetchMarkets: { types: ['spot'] }, fetchCurrencies: false, fetchMargins: false } },
  bybit: {
    options: {
      fetchMarkets: { types: ['spot'] },
      enableUnifiedMargin: true,
      enableUnifiedAccount: true,
      unifiedMarginStatus: 5,
    },
  },
  coinbase: { options: { fetchMarkets: { currencies: false } } },
};
/** As ccxt 3 has them. */
const OLDER = {
  binance: { options: { fetchMarkets: ['spot'], fetchCurrencies: false, fetchMargins: false } },
  coinbase: {},
};
const SYMBOLS = { kraken: 'BTC/USD', binance: 'BTC/USDT', bybit: 'BTC/USDT', coinbase: 'BTC/USD' };

/** Puts every address of the exchange on the venue of this machine. */
function redirect(urls, base) {
  if (typeof urls === 'string')
    return base + (urls.startsWith('http') ? new URL(urls.replace('{hostname}', 'h')).pathname.replace(/\/$/, '') : '');
  return Object.fromEntries(Object.entries(urls ?? {}).map(([key, value]) => [key, redirect(value, base)]));
}

exports.makeExchange = function makeExchange(ccxt, venue, url, more = {}) {
  const older = ccxt.version.startsWith('3.');
  const settings = (older ? OLDER[venue] : undefined) ?? SETTINGS[venue];
  const exchange = new ccxt[venue]({ ...SECRETS, enableRateLimit: false, timeout: TIMEOUT_MS, ...settings, ...more });
  exchange.urls.api = redirect(exchange.urls.api, url);
  if (venue === 'bybit') exchange.hostname = 'h';
  // Its agent is one of TLS, unless it is told.
  if (older) exchange.agent = new http.Agent({ keepAlive: true });
  return exchange;
};

/** Orders one after the other; with `changes` the first that was placed is then edited, cancelled, and all others with it. */
exports.trade = async function trade(ccxt, venue, url, count, changes = false) {
  const exchange = exports.makeExchange(ccxt, venue, url, { timeout: LOADING_TIMEOUT_MS });
  const symbol = SYMBOLS[venue];
  await exchange.loadMarkets();
  exchange.timeout = TIMEOUT_MS;
  const tell = async (what, work) => {
    try {
      const order = await work();
      process.stdout.write(`${what} ${order.id ?? ''}\n`);
      return order;
    } catch (error) {
      // To a log of the program's own: the message may hold the whole address.
      console.debug(error.message);
      process.stdout.write(`failed ${error.constructor.name}\n`);
      return undefined;
    }
  };
  const placed = [];
  for (let i = 0; i < count; i++) {
    const params = { clientOrderId: `bot-${i}` };
    const order = await tell('placed', () => exchange.createLimitBuyOrder(symbol, 0.5, 61_000, params));
    if (order !== undefined) placed.push(order.id);
  }
  if (!changes) return;
  await tell('edited', () => exchange.editOrder(placed[0], symbol, 'limit', 'buy', 0.4, 61_500));
  await tell('cancelled', () => exchange.cancelOrder(placed[0], symbol));
  const all = exchange.has.cancelAllOrders === true;
  await tell('cancelled all', () => (all ? exchange.cancelAllOrders(symbol) : exchange.cancelOrders(placed, symbol)));
};

const leaves = (urls, to) =>
  typeof urls === 'string'
    ? to
    : Object.fromEntries(Object.entries(urls).map(([key, value]) => [key, leaves(value, to)]));

/** An order whose fills come over a socket: its orders and its trades are both waited for, until it is filled. */
exports.watch = async function watch(ccxt, url, socketUrl) {
  const exchange = exports.makeExchange({ version: ccxt.version, binance: ccxt.pro.binance }, 'binance', url, {
    timeout: LOADING_TIMEOUT_MS,
  });
  exchange.urls.api.ws = leaves(exchange.urls.api.ws, socketUrl);
  // It asks for this where a socket is without TLS.
  await exchange.loadHttpProxyAgent?.();
  await exchange.loadMarkets();
  const { id } = await exchange.createLimitBuyOrder('BTC/USDT', 0.5, 61_000, { clientOrderId: 'bot-0' });
  const seen = { orders: false, trades: false };
  const orders = async () => {
    while (!seen.orders) seen.orders = (await exchange.watchOrders('BTC/USDT')).some((one) => one.status === 'closed');
  };
  const trades = async () => {
    while (!seen.trades) seen.trades = (await exchange.watchMyTrades('BTC/USDT')).some((one) => one.amount === 0.3);
  };
  await Promise.all([orders(), trades()]);
  process.stdout.write(`filled ${id}\n`);
  await exchange.close();
  // It renews the key of its stream for as long as the process lives.
  if (ccxt.version.startsWith('3.')) process.exit(0);
};
