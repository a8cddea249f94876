import ccxt from 'ccxt';
import { beforeAll, describe, expect, it } from 'vitest';
import { fillBook } from '../../src/instrumentation/ccxt/records.ts';
import { findHost } from '../../src/instrumentation/host.ts';
import { instrumentCcxt } from '../../src/instrumentation/index.ts';
import { listenAsTrail } from '../support/listening-host.ts';

const heard = listenAsTrail();
beforeAll(() => void instrumentCcxt(ccxt));

// biome-ignore lint/suspicious/noExplicitAny: ccxt's base class is wider than what its types say
const Base = ccxt.Exchange as any;
type Answer = (path: string, attempt: number) => unknown;

const MARKET = {
  id: 'BTCUSD',
  symbol: 'BTC/USD',
  base: 'BTC',
  quote: 'USD',
  spot: true,
  type: 'spot',
  precision: {},
  limits: {},
};

/** An exchange of the program's own whose answers a test chooses; its name is that of its class, as ccxt's are. */
function makeExchange(answer: Answer, options: object = {}, members: Record<string, unknown> = {}) {
  class desk extends Base {
    describe() {
      return this.deepExtend(super.describe(), {
        ...{
          id: 'desk',
          name: 'Desk',
          rateLimit: 30,
          enableRateLimit: false,
          api: { private: { post: ['order', 'cancel', 'edit', 'set'], get: ['read'] } },
        },
        urls: { api: 'http://desk.invalid' },
        ...options,
      });
    }
    sign(path: string, _api: string, method: string) {
      return {
        url: `http://desk.invalid/${path}?signature=0123456789abcdef`,
        method,
        body: undefined,
        headers: undefined,
      };
    }
    async fetchMarkets() {
      return [MARKET];
    }
    async createOrder(symbol: string, type: string, side: string, amount: number, price?: number, params = {}) {
      await this.loadMarkets();
      const { id, ...rest } = (await this.privatePostOrder(params)) as Record<string, unknown>;
      return { id, symbol, type, side, amount, price, status: 'open', ...rest };
    }
    async createOrders(orders: object[], params = {}) {
      return this.privatePostOrder({ orders, ...params });
    }
    async cancelOrder(id: string, symbol: string, params = {}) {
      await this.privatePostCancel(params);
      return { id, symbol, status: 'canceled' };
    }
    async cancelAllOrders(_symbol?: string, params = {}) {
      return this.privatePostCancel(params);
    }
    async editOrder(id: string, symbol: string, ...rest: unknown[]) {
      const [type, side, amount, price] = rest;
      return { id, symbol, type, side, amount, price, ...((await this.privatePostEdit({})) as object) };
    }
    async setLeverage() {
      return this.privatePostSet({});
    }
    async setMarginMode() {
      return this.privatePostSet({});
    }
    async fetchBalance() {
      return this.privateGetRead({});
    }
    async fetchPositions() {
      return this.privateGetRead({});
    }
    async fetchOrder() {
      return this.privateGetRead({});
    }
    async fetchMyTrades() {
      return this.privateGetRead({});
    }
    async watchOrders() {
      return answer('watch', 0);
    }
    async watchMyTrades() {
      return answer('watch', 0);
    }
  }
  let attempt = 0;
  // biome-ignore lint/suspicious/noExplicitAny: see above
  const exchange: any = new (desk as any)({ apiKey: 'THEKEYOFTHEDESK', secret: 'THESECRETOFTHEDESK', ...members });
  exchange.fetchImplementation = async (url: string) => {
    const result = answer(new URL(url).pathname.slice(1), attempt++);
    if (result instanceof Error) throw result;
    const {
      status = 200,
      headers = {},
      json = result,
    } = (result ?? {}) as { status?: number; headers?: object; json?: unknown };
    return { status, statusText: '', headers, text: async () => JSON.stringify(json) };
  };
  exchange.fetchImplementationLoading = Promise.resolve();
  exchange.fetchIsNative = false;
  exchange.AbortError = class extends Error {};
  exchange.FetchError = class extends Error {};
  return exchange;
}

const timeout = () => Object.assign(new Error('aborted'), { name: 'AbortError' });
const attributesOf = (name: string) =>
  heard.events.filter((one) => one.name === name).map(({ attributes }) => attributes);

describe('a unified call', () => {
  it('is one record whatever the nesting, also under the alias in snake case of the first object of a class', async () => {
    const exchange = makeExchange(() => ({ id: 'a1' }));
    await exchange.create_limit_buy_order('BTC/USD', 2, 100);
    expect(heard.names()).toEqual(['order.intent', 'order.placed']);
    expect(attributesOf('order.intent')[0]).toMatchObject({
      'trading.symbol': 'BTC/USD',
      'trading.side': 'buy',
      'trading.quantity': 2,
      'trading.price': 100,
      'trading.order.type': 'limit',
      'trading.venue': 'desk',
    });
    expect(attributesOf('order.placed')[0]).toMatchObject({
      'trading.order.id': 'a1',
      'risk.cause.record_id': 'record-1',
    });
    expect(attributesOf('api.call').map((one) => one['operation'])).toEqual([
      expect.stringMatching(/^createLimitBuyOrder$/),
    ]);
    expect(heard.failures).toEqual([]);
  });

  it('of a subclass of the program’s own is told order by order', async () => {
    const exchange = makeExchange((_, attempt) => ({ id: `b${attempt}` }));
    const Own = class extends exchange.constructor {
      async createBracketOrder() {
        await this['createOrder']('BTC/USD', 'limit', 'buy', 1, 100);
        await this['createOrder']('BTC/USD', 'limit', 'sell', 1, 110);
      }
    };
    const own = Object.assign(new Own(), {
      fetchImplementation: exchange.fetchImplementation,
      fetchIsNative: false,
      fetchImplementationLoading: Promise.resolve(),
      AbortError: exchange.AbortError,
      FetchError: exchange.FetchError,
    });
    await own.createBracketOrder();
    expect(heard.names()).toEqual(['order.intent', 'order.placed', 'order.intent', 'order.placed']);
  });

  it('of several orders is an intent and an outcome for each', async () => {
    const exchange = makeExchange(() => [
      { id: 'm1', status: 'open' },
      { id: 'm2', status: 'rejected' },
    ]);
    const orders = [1, 2].map((amount) => ({ symbol: 'BTC/USD', type: 'limit', side: 'sell', amount, price: 9 }));
    await exchange.createOrders(orders);
    expect(heard.names()).toEqual(['order.intent', 'order.intent', 'order.placed', 'order.rejected']);
    expect(attributesOf('order.rejected')[0]).toMatchObject({
      'trading.order.id': 'm2',
      'trading.quantity': 2,
      'risk.cause.record_id': 'record-2',
    });
  });

  it('keeps concurrent calls of one exchange apart', async () => {
    const exchange = makeExchange((_, attempt) => ({ id: `c${attempt}` }));
    await Promise.all(Array.from({ length: 20 }, (_, i) => exchange.createOrder('BTC/USD', 'limit', 'buy', i + 1, 5)));
    expect(attributesOf('order.intent')).toHaveLength(20);
    const causes = attributesOf('order.placed').map((one) => one['risk.cause.record_id']);
    expect(new Set(causes).size).toBe(20);
  });

  it('passes on what it returns and throws', async () => {
    const exchange = makeExchange((path) => (path === 'order' ? { id: 'd1' } : { status: 401, json: {} }));
    await expect(exchange.createOrder('BTC/USD', 'market', 'sell', 3)).resolves.toMatchObject({ id: 'd1', amount: 3 });
    await expect(exchange.fetchBalance()).rejects.toBeInstanceOf(ccxt.AuthenticationError);
  });
});

describe('an order that failed', () => {
  it.each<[string, Answer, string, object]>([
    ['timed out', () => timeout(), 'order.outcome_unknown', { 'error.type': 'RequestTimeout' }],
    [
      'met a reset connection',
      () => Object.assign(new Error('reset'), { code: 'ECONNRESET' }),
      'order.outcome_unknown',
      { 'error.type': 'NetworkError' },
    ],
    [
      'was never sent: the connection was refused',
      () => Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }),
      'order.rejected',
      { 'error.type': 'NetworkError' },
    ],
    [
      'was refused for its rate',
      () => ({ status: 429, json: {}, headers: { 'Retry-After': '2' } }),
      'order.rejected',
      { 'http.response.status_code': undefined },
    ],
    [
      'met a broken venue',
      () => ({ status: 503, json: {} }),
      'order.outcome_unknown',
      { 'error.type': 'ExchangeNotAvailable' },
    ],
    ['was refused', () => ({ status: 400, json: {} }), 'order.rejected', {}],
  ])('because it %s', async (_, answer, event, more) => {
    const exchange = makeExchange(answer);
    await expect(exchange.createOrder('BTC/USD', 'limit', 'buy', 1, 2)).rejects.toThrow();
    expect(heard.names().filter((name) => name.startsWith('order.'))).toEqual(['order.intent', event]);
    for (const [name, value] of Object.entries(more)) expect(attributesOf(event)[0]?.[name]).toBe(value);
    const text = JSON.stringify(heard.events);
    expect(text).not.toMatch(/0123456789abcdef|THEKEYOFTHEDESK|THESECRETOFTHEDESK/);
  });

  it('was not sent where loading the markets timed out', async () => {
    const exchange = makeExchange(() => ({ id: 'x' }));
    exchange.fetchMarkets = async () => {
      throw new ccxt.RequestTimeout('markets');
    };
    await expect(exchange.createOrder('BTC/USD', 'limit', 'buy', 1, 2)).rejects.toThrow();
    expect(heard.names()).toEqual(['order.intent', 'order.rejected']);
  });

  it('stays unknown where a repeated attempt was refused after one that timed out', async () => {
    const exchange = makeExchange(
      (_, attempt) => (attempt === 0 ? timeout() : { status: 400, json: {} }),
      {},
      { options: { maxRetriesOnFailure: 1 } },
    );
    await expect(exchange.createOrder('BTC/USD', 'limit', 'buy', 1, 2)).rejects.toThrow();
    expect(heard.names()).toEqual(['order.intent', 'api.retry_attempt', 'order.outcome_unknown']);
    expect(attributesOf('api.retry_attempt')[0]).toMatchObject({ 'retry.count': 1, operation: 'createOrder' });
    expect(attributesOf('order.outcome_unknown')[0]).toMatchObject({ 'retry.count': 1 });
  });
});

describe('a call of several requests', () => {
  it.each([
    ['beside each other', (one: () => unknown, other: () => unknown) => Promise.all([one(), other()])],
    ['one after the other', async (one: () => unknown, other: () => unknown) => [await one(), await other()]],
  ])('counts the attempts of each by itself: %s', async (_, both) => {
    const tries: Record<string, number> = {};
    const exchange = makeExchange(
      (path) => {
        tries[path] = (tries[path] ?? 0) + 1;
        return path === 'edit' && tries[path] === 1 ? timeout() : { id: 'n1' };
      },
      {},
      { options: { maxRetriesOnFailure: 1 } },
    );
    const { privatePostOrder } = exchange;
    exchange.privatePostOrder = async (params: object) => {
      const [order] = await both(
        () => privatePostOrder.call(exchange, params),
        () => exchange.privatePostEdit({}),
      );
      return order;
    };
    await exchange.createOrder('BTC/USD', 'limit', 'buy', 1, 2);
    expect(tries).toEqual({ order: 1, edit: 2 });
    expect(heard.names()).toEqual(['order.intent', 'api.retry_attempt', 'order.placed']);
    expect(attributesOf('order.placed')[0]).toMatchObject({ 'retry.count': 1 });
  });
});

describe('durations and rate limits', () => {
  it('are told apart: queue, attempts, HTTP', async () => {
    const exchange = makeExchange(
      () => ({ json: { id: 'e1' }, headers: { 'X-MBX-USED-WEIGHT-1M': '12', 'X-RateLimit-Remaining': '5' } }),
      { enableRateLimit: true },
    );
    await Promise.all([1, 2].map(() => exchange.createOrder('BTC/USD', 'limit', 'buy', 1, 2)));
    const placed = attributesOf('order.placed') as Record<string, number>[];
    expect(Math.max(...placed.map((one) => one['api.throttle_wait_ms']!))).toBeGreaterThan(15);
    for (const one of placed) {
      expect(one['api.http_ms']!).toBeLessThanOrEqual(one['api.attempts_ms']!);
      expect(one).toMatchObject({ 'api.rate_limit.used': 12, 'api.rate_limit.remaining': 5 });
    }
  });

  const NAMES = {
    'content-type': 'application/json',
    'x-mbx-used-weight': '99',
    'X-MBX-USED-WEIGHT-1M': '12',
    'X-RateLimit-Remaining': '',
    'gw-ratelimit-remaining': '4',
    'X-Bapi-Limit-Status': '3',
    'ratelimit-limit': 'many',
    'x-rate-limit-limit': '120',
  };

  it.each([
    ['an object', NAMES],
    ['the same the other way round', Object.fromEntries(Object.entries(NAMES).reverse())],
    ['what fetch gives', new Headers(NAMES)],
  ])('are read from the first known header that has a number: %s', async (_, headers) => {
    const exchange = makeExchange(() => ({ json: { id: 'e2' }, headers }));
    await exchange.createOrder('BTC/USD', 'limit', 'buy', 1, 2);
    expect(attributesOf('order.placed')[0]).toMatchObject({
      'api.rate_limit.used': 12,
      'api.rate_limit.remaining': 3,
      'api.rate_limit.limit': 120,
    });
  });

  it('that were hit are an event, with the wait that the venue asks for', async () => {
    const exchange = makeExchange(() => ({ status: 429, json: {}, headers: { 'Retry-After': '2' } }));
    await expect(exchange.fetchBalance()).rejects.toThrow();
    expect(heard.names()).toEqual(['api.rate_limit', 'api.error']);
    expect(attributesOf('api.rate_limit')[0]).toMatchObject({
      'retry.delay_ms': 2000,
      'http.response.status_code': 429,
      operation: 'fetchBalance',
    });
  });
});

describe('other calls', () => {
  it('that cancel, edit and set are recorded', async () => {
    const exchange = makeExchange((path) => (path === 'cancel' ? [{ id: 'f1' }, { id: 'f2' }] : {}));
    await exchange.cancelOrder('f0', 'BTC/USD');
    await exchange.cancelAllOrders('BTC/USD');
    await exchange.editOrder('f3', 'BTC/USD', 'limit', 'buy', 4, 99);
    await exchange.setLeverage(5, 'BTC/USD');
    await exchange.setMarginMode('ISOLATED', 'BTC/USD');
    expect(heard.names()).toEqual([
      'order.cancelled',
      'order.cancelled',
      'order.edited',
      'config.leverage_set',
      'config.margin_type_set',
    ]);
    const [one, all] = attributesOf('order.cancelled');
    expect(one).toMatchObject({ 'trading.order.id': 'f0' });
    expect(all).toMatchObject({ 'trading.order.ids': ['f1', 'f2'], 'trading.symbol': 'BTC/USD' });
    expect(attributesOf('order.edited')[0]).toMatchObject({
      'trading.order.id': 'f3',
      'trading.quantity': 4,
      'trading.price': 99,
    });
    expect(attributesOf('config.leverage_set')[0]).toMatchObject({
      'trading.leverage': 5,
      'trading.symbol': 'BTC/USD',
    });
    expect(attributesOf('config.margin_type_set')[0]).toMatchObject({ 'trading.margin_type': 'isolated' });
  });

  it('that replace an order cancel the old one', async () => {
    const exchange = makeExchange(() => ({ id: 'g2' }));
    await exchange.editOrder('g1', 'BTC/USD', 'limit', 'buy', 4, 99);
    expect(heard.names()).toEqual(['order.edited', 'order.cancelled', 'order.placed']);
    expect(attributesOf('order.placed')[0]).toMatchObject({ 'trading.order.id': 'g2' });
  });

  it('that cancel without an answer leave the order unknown; a refusal leaves it as it was', async () => {
    let answer: unknown = timeout();
    const exchange = makeExchange(() => answer);
    await expect(exchange.cancelOrder('h1', 'BTC/USD')).rejects.toThrow();
    answer = { status: 400, json: {} };
    await expect(exchange.cancelOrder('h2', 'BTC/USD')).rejects.toThrow();
    expect(heard.names()).toEqual(['order.outcome_unknown', 'api.error']);
    expect(attributesOf('api.error')[0]).toMatchObject({ 'trading.order.id': 'h2', operation: 'cancelOrder' });
  });

  it('that read what risk depends on are recorded', async () => {
    let answer: unknown = { total: { USD: 12.5, BTC: 0 } };
    const exchange = makeExchange(() => answer);
    await exchange.fetchBalance();
    answer = [{ symbol: 'BTC/USD', side: 'short', contracts: 3, entryPrice: 100, unrealizedPnl: -1 }];
    await exchange.fetchPositions();
    expect(attributesOf('account.balance_query')[0]).toMatchObject({
      'trading.balance': 12.5,
      'trading.currency': 'USD',
      metadata: { balances: { USD: 12.5 } },
    });
    expect(attributesOf('position.query')[0]).toMatchObject({
      'trading.position.count': 1,
      'trading.position.quantity': -3,
      'trading.symbol': 'BTC/USD',
    });
  });
});

describe('fills', () => {
  const order = (filled: number, more: object = {}) => ({
    id: 'i1',
    symbol: 'BTC/USD',
    side: 'buy',
    amount: 4,
    average: 100,
    filled,
    remaining: 4 - filled,
    status: filled === 4 ? 'closed' : 'open',
    ...more,
  });
  const trade = (id: string, amount: number, more: object = {}) => ({
    id,
    order: 'i1',
    symbol: 'BTC/USD',
    side: 'buy',
    amount,
    price: 100,
    ...more,
  });
  const filled = () =>
    attributesOf('order.filled').map((one) => [
      one['trading.quantity'],
      one['trading.price'],
      one['trading.order.filled_quantity'],
    ]);

  it('are recorded once, whichever way shows them first', async () => {
    let answer: unknown = { id: 'i1' };
    const exchange = makeExchange(() => answer);
    await exchange.createOrder('BTC/USD', 'limit', 'buy', 4, 100);
    answer = [order(1)];
    await exchange.watchOrders();
    answer = [trade('t1', 1), trade('t2', 0.5)];
    await exchange.watchMyTrades();
    await exchange.watchMyTrades();
    answer = order(4, { average: 110 });
    await exchange.fetchOrder('i1');
    await exchange.fetchOrder('i1');
    expect(filled()).toEqual([
      [1, 100, 1],
      [0.5, 100, 1.5],
      [2.5, 116, 4],
    ]);
  });

  it('of orders that the trail knows from before a restart are recorded by reads; of others they are history', async () => {
    heard.known.push({ orderId: 'i1', filled: 1 });
    const exchange = makeExchange(() => [trade('t1', 1), { ...trade('t9', 7), order: 'old' }]);
    await exchange.fetchMyTrades();
    await exchange.fetchMyTrades();
    expect(filled()).toEqual([[1, 100, 2]]);
  });

  it('that add to what an earlier process recorded have the order’s average: what that cost is not known', async () => {
    heard.known.push({ orderId: 'i1', filled: 1 });
    let answer = order(3, { average: 105 });
    const exchange = makeExchange(() => answer);
    await exchange.fetchOrder('i1');
    answer = order(4, { average: 110 });
    await exchange.fetchOrder('i1');
    expect(filled()).toEqual([
      [2, 105, 3],
      [1, 125, 4],
    ]);
  });

  it('of streams are recorded where they are newer than the process', async () => {
    const exchange = makeExchange(() => [
      { ...trade('t1', 1), order: 'j1', timestamp: Date.now() + 1000 },
      { ...trade('t2', 2), order: 'j2', timestamp: 1000 },
    ]);
    await exchange.watchMyTrades();
    expect(attributesOf('order.filled').map((one) => one['trading.order.id'])).toEqual(['j1']);
  });

  it('of the newest 2,000 orders are known; each order that comes makes the oldest forgotten', async () => {
    const exchange = makeExchange((path) => (path === 'watch' ? [] : undefined));
    const book = fillBook(exchange);
    for (let i = 0; i < 2003; i++) book.placed(`k${i}`);
    // Told again, it takes no other's place.
    book.placed('k2002');
    const host = { ...findHost()!, openOrders: () => [] };
    for (const id of ['k0', 'k2', 'k3', 'k2002']) book.orders(host, order(1, { id }), false);
    expect(attributesOf('order.filled').map((one) => one['trading.order.id'])).toEqual(['k3', 'k2002']);
  });

  it('are followed by the cancellation of the rest', async () => {
    let answer: unknown = { id: 'i1' };
    const exchange = makeExchange(() => answer);
    await exchange.createOrder('BTC/USD', 'limit', 'buy', 4, 100);
    answer = [order(1, { status: 'canceled' })];
    await exchange.watchOrders();
    await exchange.watchOrders();
    expect(heard.names()).toEqual(['order.intent', 'order.placed', 'order.filled', 'order.cancelled']);
  });
});
