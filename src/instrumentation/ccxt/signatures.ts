/** Which of an exchange's methods are unified calls, and what their arguments mean. */

/** Kinds of unified calls. */
export type CallKind = 'create' | 'edit' | 'cancel' | 'leverage' | 'margin' | 'read' | 'watch' | 'other';

/**
 * The kind of a method by its name; undefined where it is none of ours. `…Request` builds a request and sends nothing;
 * `createExpiredOptionMarket`, `parseOrder` and their like are helpers.
 */
export function kindOf(name: string): CallKind | undefined {
  if (name.endsWith('Request')) return undefined;
  if (/^create[A-Za-z]*Orders?(With[A-Za-z]+)?(Ws)?$/.test(name)) return 'create';
  if (/^edit[A-Za-z]*Orders?(With[A-Za-z]+)?(Ws)?$/.test(name)) return 'edit';
  if (/^cancel[A-Za-z]*Orders?(With[A-Za-z]+|ForSymbols|After)?(Ws)?$/.test(name)) return 'cancel';
  if (name === 'setLeverage') return 'leverage';
  if (name === 'setMarginMode') return 'margin';
  if (READS.has(name)) return 'read';
  if (
    name === 'watchOrders' ||
    name === 'watchMyTrades' ||
    name === 'watchOrdersForSymbols' ||
    name === 'watchMyTradesForSymbols'
  )
    return 'watch';
  if (/^(fetch|set|add|reduce|close|transfer|withdraw|borrow|repay)[A-Z]/.test(name) && !PARTS.test(name))
    return 'other';
  return undefined;
}

/** Reads that risk depends on, or that may show a fill. */
const READS: ReadonlySet<string> = new Set(
  [
    'fetchBalance',
    'fetchPositions',
    'fetchPosition',
    'fetchOrder',
    'fetchOrders',
    'fetchOpenOrder',
    'fetchOpenOrders',
    'fetchClosedOrder',
    'fetchClosedOrders',
    'fetchCanceledOrders',
    'fetchMyTrades',
    'fetchOrderTrades',
    'fetchCanceledAndClosedOrders',
  ].flatMap((name) => [name, `${name}Ws`]),
);

/** What is no call of its own: the low parts of ccxt, helpers, and settings of the object. */
const PARTS =
  /^(fetch2|fetchPartialBalance|fetchPaginatedCall\w*|fetchRestOrderBookSafe|fetchWebEndpoint|set(Headers|Markets|SandboxMode|ProxyAgents|FetchProxyOptions|Property|Last\w*|BalanceCacheBy\w*|TimeoutWithCancel\w*|Ws\w*|Http\w*)|addPagination\w*|addFetchCache|addKey\w*|addMargin\w*ToSymbol)$/;

/** Arguments by their place, for each way to create an order; `params` come last in all of them. */
const CREATE: Readonly<Record<string, readonly string[]>> = {
  createOrder: ['symbol', 'type', 'side', 'amount', 'price'],
  createLimitOrder: ['symbol', 'side', 'amount', 'price'],
  createMarketOrder: ['symbol', 'side', 'amount', 'price'],
  createLimitBuyOrder: ['symbol', 'amount', 'price'],
  createLimitSellOrder: ['symbol', 'amount', 'price'],
  createMarketBuyOrder: ['symbol', 'amount'],
  createMarketSellOrder: ['symbol', 'amount'],
  createMarketOrderWithCost: ['symbol', 'side', 'cost'],
  createMarketBuyOrderWithCost: ['symbol', 'cost'],
  createMarketSellOrderWithCost: ['symbol', 'cost'],
  createStopOrder: ['symbol', 'type', 'side', 'amount', 'price', 'stopPrice'],
  createTriggerOrder: ['symbol', 'type', 'side', 'amount', 'price', 'stopPrice'],
  createStopLimitOrder: ['symbol', 'side', 'amount', 'price', 'stopPrice'],
  createStopMarketOrder: ['symbol', 'side', 'amount', 'stopPrice'],
  createStopLossOrder: ['symbol', 'type', 'side', 'amount', 'price', 'stopPrice'],
  createTakeProfitOrder: ['symbol', 'type', 'side', 'amount', 'price', 'stopPrice'],
  createOrderWithTakeProfitAndStopLoss: ['symbol', 'type', 'side', 'amount', 'price', 'takeProfit', 'stopLoss'],
  createTrailingAmountOrder: ['symbol', 'type', 'side', 'amount', 'price', 'trailingAmount', 'stopPrice'],
  createTrailingPercentOrder: ['symbol', 'type', 'side', 'amount', 'price', 'trailingPercent', 'stopPrice'],
  createTwapOrder: ['symbol', 'side', 'amount', 'duration'],
};

const EDIT: Readonly<Record<string, readonly string[]>> = {
  editLimitBuyOrder: ['id', 'symbol', 'amount', 'price'],
  editLimitSellOrder: ['id', 'symbol', 'amount', 'price'],
  editLimitOrder: ['id', 'symbol', 'side', 'amount', 'price'],
  editOrder: ['id', 'symbol', 'type', 'side', 'amount', 'price'],
  editOrderWithClientOrderId: ['clientOrderId', 'symbol', 'type', 'side', 'amount', 'price'],
};

/** Arguments by name. */
export type NamedArguments = Readonly<Record<string, unknown>>;

/** Whether every exchange has the method under this name: the program may override or call it by a class of its own. */
export function isUnifiedName(method: string): boolean {
  const name = withoutWs(method);
  return (
    Object.hasOwn(CREATE, name) ||
    Object.hasOwn(EDIT, name) ||
    UNIFIED.has(name) ||
    READS.has(name) ||
    /^watch/.test(name)
  );
}

const UNIFIED: ReadonlySet<string> = new Set([
  ...['createOrders', 'createPostOnlyOrder', 'createReduceOnlyOrder', 'editOrders', 'cancelOrder', 'cancelOrders'],
  ...['cancelAllOrders', 'cancelAllOrdersAfter', 'cancelOrdersForSymbols', 'cancelOrderWithClientOrderId'],
  ...['cancelOrdersWithClientOrderIds', 'cancelUnifiedOrder', 'setLeverage', 'setMarginMode'],
]);

const withoutWs = (name: string) => (name.endsWith('Ws') ? name.slice(0, -2) : name);
const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function named(names: readonly string[], given: readonly unknown[]): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!;
    const value = given[i];
    // Optional arguments are often left out, and `params` come earlier then.
    if (isMap(value) && name !== 'takeProfit' && name !== 'stopLoss') break;
    if (value !== undefined) result[name] = value;
  }
  const params = given.findLast(isMap);
  if (params !== undefined) result['params'] = params;
  return result;
}

/** What a method's name says of its order, by the name. */
const said = new Map<string, { readonly side: string | undefined; readonly type: string | undefined }>();

function saidBy(name: string) {
  let known = said.get(name);
  if (known === undefined) {
    known = {
      side: /Buy/.test(name) ? 'buy' : /Sell/.test(name) ? 'sell' : undefined,
      type: /Limit/.test(name) ? 'limit' : /Market/.test(name) ? 'market' : undefined,
    };
    said.set(name, known);
  }
  return known;
}

function ofName(name: string, result: Record<string, unknown>): Record<string, unknown> {
  const { side, type } = saidBy(name);
  if (side !== undefined) result['side'] ??= side;
  if (type !== undefined) result['type'] ??= type;
  return result;
}

/** The orders that a creating call is to send: one, or as many as it lists. */
export function ordersOf(method: string, given: readonly unknown[]): readonly NamedArguments[] {
  const name = withoutWs(method);
  if (Array.isArray(given[0])) return given[0].filter(isMap);
  return [ofName(name, named(CREATE[name] ?? CREATE['createOrder']!, given))];
}

/** The edits that an editing call asks for. */
export function editsOf(method: string, given: readonly unknown[]): readonly NamedArguments[] {
  const name = withoutWs(method);
  if (Array.isArray(given[0])) return given[0].filter(isMap);
  return [ofName(name, named(EDIT[name] ?? EDIT['editOrder']!, given))];
}

/** What a cancelling call is about. */
export interface CancelTarget {
  readonly id?: string;
  readonly clientOrderId?: string;
  readonly ids?: readonly string[];
  readonly symbol?: string;
}

/** @returns undefined where nothing is cancelled now: the venue's own dead-man's switch */
export function cancelTarget(method: string, given: readonly unknown[]): CancelTarget | undefined {
  const name = withoutWs(method);
  if (name === 'cancelAllOrdersAfter') return undefined;
  const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined);
  const symbol = name.startsWith('cancelAll') ? text(given[0]) : text(given[1]);
  const about = symbol === undefined ? {} : { symbol };
  if (name.startsWith('cancelAll')) return about;
  const [first] = given;
  if (Array.isArray(first)) {
    const ids = first.map((one) => text(isMap(one) ? one['id'] : one)).filter((id) => id !== undefined);
    return { ...about, ids };
  }
  const id = text(isMap(first) ? first['id'] : first);
  if (id === undefined) return about;
  return name.endsWith('WithClientOrderId') ? { ...about, clientOrderId: id } : { ...about, id };
}
