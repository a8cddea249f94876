// A CommonJS service under PM2: it asks for a price again and again, behind a breaker of opossum.
const CircuitBreaker = require('opossum');

const PAUSE_MS = Number(process.env.APP_PAUSE_MS ?? 1000);
const ROUNDS = Number(process.env.APP_ROUNDS ?? Number.POSITIVE_INFINITY);

async function price() {
  const response = await fetch(process.env.PRICE_URL ?? 'https://api.kraken.com/0/public/Ticker?pair=XBTUSD');
  if (!response.ok) throw new Error(`the venue answered ${response.status}`);
  return response.json();
}

const breaker = new CircuitBreaker(price, { name: 'prices', timeout: 3000, volumeThreshold: 3, resetTimeout: 30_000 });

(async () => {
  for (let round = 0; round < ROUNDS; round++) {
    try {
      await breaker.fire();
      console.log('price');
    } catch (error) {
      console.log(error.message);
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  breaker.shutdown();
})();
