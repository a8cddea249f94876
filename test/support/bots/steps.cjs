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
const SYMBOLS = { kraken: 'BTC/USD', binance: 'BTC/USDT', bybit: 'BTC/USDT', coinbase: 'BTC/USD' };

/** Puts every address of the exchange on the venue of this machine. */
function redirect(urls, base) {
  if (typeof urls === 'string')
    return base + (urls.startsWith('http') ? new URL(urls.replace('{hostname}', 'h')).pathname.replace(/\/$/, '') : '');
  return Object.fromEntries(Object.entries(urls ?? {}).map(([key, value]) => [key, redirect(value, base)]));
}

exports.makeExchange = function makeExchange(ccxt, venue, url, more = {}) {
  const exchange = new ccxt[venue]({ ...SECRETS, enableRateLimit: false, timeout: 1000, ...SETTINGS[venue], ...more });
  exchange.urls.api = redirect(exchange.urls.api, url);
  if (venue === 'bybit') exchange.hostname = 'h';
  return exchange;
};

exports.trade = async function trade(ccxt, venue, url, count) {
  const exchange = exports.makeExchange(ccxt, venue, url);
  await exchange.loadMarkets();
  for (let i = 0; i < count; i++) {
    try {
      const order = await exchange.createLimitBuyOrder(SYMBOLS[venue], 0.5, 61_000, { clientOrderId: `bot-${i}` });
      process.stdout.write(`placed ${order.id}\n`);
    } catch (error) {
      // To a log of the program's own: the message may hold the whole address.
      console.debug(error.message);
      process.stdout.write(`failed ${error.constructor.name}\n`);
    }
  }
};
