// The momentum bot with risk layers: limits and a breaker in front of each order, a trailing stop behind each position, and the
// orders of a process that was killed asked of the venue first.
import { setTimeout as wait } from 'node:timers/promises';
import ccxt from 'ccxt';
import { getRiskTrail } from 'risktrail';

const SYMBOL = 'BTC/USD';
const AMOUNT = Number(process.env.BOT_AMOUNT ?? 0.01);
const THRESHOLD = 1.01;
const PAUSE_MS = Number(process.env.BOT_PAUSE_MS ?? 60_000);
const ROUNDS = Number(process.env.BOT_ROUNDS ?? Number.POSITIVE_INFINITY);

// Started by `--import risktrail/register`, as without layers.
const trail = getRiskTrail();
const limits = trail.portfolioLimits({
  orderNotional: { max: 1000, warnAt: 0.8 },
  positionPercent: { max: 80 },
  orderRate: { max: 5, windowMs: 60_000 },
});
const breaker = trail.circuitBreaker('broker', { consecutiveFailures: 3, cooldownMs: 30_000 });
const stops = trail.trailingStops({ activationPct: 2, trailingPct: 1.5 });

const exchange = new ccxt.kraken({ apiKey: process.env.KRAKEN_KEY, secret: process.env.KRAKEN_SECRET, timeout: 5000 });
if (process.env.KRAKEN_URL) exchange.urls.api = { public: process.env.KRAKEN_URL, private: process.env.KRAKEN_URL };

async function momentum() {
  const candles = await exchange.fetchOHLCV(SYMBOL, '1h', undefined, 24);
  const closes = candles.map(([, , , , close]) => close);
  const last = closes.at(-1);
  return { last, ratio: last / (closes.reduce((sum, close) => sum + close, 0) / closes.length) };
}

let open;
async function enter(price) {
  const { total } = await exchange.fetchBalance();
  const portfolio = { equity: total.USD ?? 0, positions: [] };
  const order = { symbol: SYMBOL, side: 'buy', quantity: AMOUNT, price, referencePrice: price };
  const decision = limits.checkEntry(portfolio, order);
  if (!decision.allowed) {
    console.log('refused:', decision.code);
    return;
  }
  open = await breaker.execute(() => exchange.createLimitBuyOrder(SYMBOL, decision.quantity, price));
  stops.add({ id: open.id, symbol: SYMBOL, side: 'long', entryPrice: price, quantity: decision.quantity });
  console.log('bought', open.id);
}

async function leave(why) {
  // What only takes risk away passes an open breaker, too.
  await breaker.execute(() => exchange.cancelOrder(open.id, SYMBOL), { reduces: true });
  stops.remove(open.id, why);
  open = undefined;
}

const { orders, complete } = await trail.reconcileOrders(exchange);
for (const { orderId, outcome } of orders)
  console.log('after the restart:', orderId ?? 'an order without an id', outcome);
// Until the venue knows what became of every order, nothing that adds risk is sent.
if (!complete) trail.gate.reduce({ actor: 'bot', reason: 'an order of before the restart has no known outcome' });

// An order of before the restart that still stands is the one to watch.
const standing = trail.openOrders().find(({ symbol, orderId }) => symbol === SYMBOL && orderId !== undefined);
if (standing !== undefined) open = { id: standing.orderId };

for (let round = 0; round < ROUNDS; round++) {
  try {
    const { last, ratio } = await momentum();
    await trail.withContext({ strategyId: 'momentum', symbol: SYMBOL }, async () => {
      if (open === undefined && ratio > THRESHOLD) await enter(last);
      else if (open !== undefined) {
        const triggered = stops.tick(SYMBOL, last).some(({ action }) => action === 'TRIGGER');
        if (triggered || ratio < THRESHOLD) await leave(triggered ? 'stopped out' : 'momentum is over');
      }
    });
  } catch (error) {
    console.error(error.code ?? error.name);
  }
  await wait(PAUSE_MS);
}
