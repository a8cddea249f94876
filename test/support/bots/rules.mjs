// Arguments: address of the venue, then one step each: `buy:0.1`, `sell:0.1`, `market:0.1`, `ticker`, `reduce:1`, `edit:0.2` or
// `edit:0.2@61500` (the newest order). Knows nothing of risktrail.
import ccxt from 'ccxt';

const [url, ...steps] = process.argv.slice(2);
const exchange = new ccxt.kraken({ apiKey: 'a', secret: 'c2VjcmV0', timeout: 20_000, enableRateLimit: false });
exchange.urls.api = { public: url, private: url };

let newest;
for (const step of steps) {
  const [what, amount] = step.split(':');
  try {
    if (what === 'balance') await exchange.fetchBalance();
    else if (what === 'ohlcv') await exchange.fetchOHLCV('BTC/USD', '1h');
    else if (what === 'market') await exchange.createMarketBuyOrder('BTC/USD', Number(amount));
    else if (what === 'reduce') {
      await exchange.createOrder('BTC/USD', 'limit', 'buy', Number(amount), 61_000, { reduceOnly: true });
    } else if (what === 'edit') {
      const [quantity, price = 61_000] = amount.split('@').map(Number);
      await exchange.editOrder(newest, 'BTC/USD', 'limit', 'buy', quantity, price);
    } else newest = (await exchange.createOrder('BTC/USD', 'limit', what, Number(amount), 61_000)).id;
    console.log(step, 'ok');
  } catch (error) {
    console.log(step, error.code ?? error.name, error.message.split('\n')[0]);
  }
}
