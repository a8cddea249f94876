// A momentum bot on Kraken: it buys what stands above its mean, and takes the order back when that is over.
import { setTimeout as wait } from 'node:timers/promises';
import ccxt from 'ccxt';

const SYMBOL = 'BTC/USD';
const AMOUNT = 0.01;
const THRESHOLD = 1.01;
const PAUSE_MS = Number(process.env.BOT_PAUSE_MS ?? 60_000);
const ROUNDS = Number(process.env.BOT_ROUNDS ?? Number.POSITIVE_INFINITY);

const exchange = new ccxt.kraken({ apiKey: process.env.KRAKEN_KEY, secret: process.env.KRAKEN_SECRET, timeout: 5000 });
if (process.env.KRAKEN_URL) exchange.urls.api = { public: process.env.KRAKEN_URL, private: process.env.KRAKEN_URL };

async function momentum() {
  const candles = await exchange.fetchOHLCV(SYMBOL, '1h', undefined, 24);
  const closes = candles.map(([, , , , close]) => close);
  const last = closes.at(-1);
  return { last, ratio: last / (closes.reduce((sum, close) => sum + close, 0) / closes.length) };
}

let open;
for (let round = 0; round < ROUNDS; round++) {
  const { last, ratio } = await momentum();
  try {
    if (open === undefined && ratio > THRESHOLD) {
      open = await exchange.createLimitBuyOrder(SYMBOL, AMOUNT, last);
      console.log('bought', open.id);
    } else if (open !== undefined && ratio < THRESHOLD) {
      await exchange.cancelOrder(open.id, SYMBOL);
      open = undefined;
    }
  } catch (error) {
    console.error(error.name);
  }
  await wait(PAUSE_MS);
}
