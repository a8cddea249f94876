/** What the snippets of the documentation take as given: a broker, a portfolio, an order. Loaded in front of each of them. */
import type { KillExchange, LimitOrder, Portfolio, RiskTrail } from '../../src/index.ts';

/** A broker that answers at once. */
const theBroker = {
  placeOrder: async (order: LimitOrder) => ({ id: 'order_1', symbol: order.symbol }),
  cancelOrder: async (orderId: string) => orderId,
  subscribe: async (symbol: string) => symbol,
  fetchPositions: async () => [{ symbol: 'AAPL', quantity: 20 }],
  fetchBalance: async () => 100_000,
};
const thePortfolio: Portfolio = { equity: 100_000, positions: [] };
const theOrder: LimitOrder = { symbol: 'AAPL', side: 'buy', quantity: 10, referencePrice: 150 };

/** An exchange where nothing is open. */
const theExchange: KillExchange = {
  id: 'demo',
  fetchOpenOrders: async () => [],
  fetchPositions: async () => [],
  cancelOrder: async (id) => id,
  createOrder: async () => ({ id: 'order_2' }),
};

declare global {
  var trail: RiskTrail;
  var broker: typeof theBroker;
  var exchange: KillExchange;
  var portfolio: Portfolio;
  var order: LimitOrder;
  var correlationId: string;
}

Object.assign(globalThis, {
  broker: theBroker,
  exchange: theExchange,
  portfolio: thePortfolio,
  order: theOrder,
  correlationId: '9f1c2d3e-4a5b-4c6d-8e7f-001122334455',
});
