/**
 * What became of an order, asked of the venue: by its id, by the service's own id, and in the venue's lists of orders and
 * trades. That an order is in no list proves that it never arrived only where the lists are whole and hold orders of every end.
 */
import type { OpenOrder } from '../risk/open-orders.ts';
import { callVenue, type VenueAnswer } from './kill/venue-calls.ts';
import { isSameOrder, type VenueExchange, type VenueOrder } from './venue-reconcile.ts';

/** An order as ccxt gives it, with how it stands. */
export interface VenueOrderState extends VenueOrder {
  /** `open`, `closed`, `canceled`, `expired`, `rejected`. */
  readonly status?: unknown;
  /** Mean price of what was filled. */
  readonly average?: unknown;
  readonly price?: unknown;
  /** Epoch milliseconds. */
  readonly timestamp?: unknown;
}

/** A trade of the account as ccxt gives it. */
export interface VenueTrade {
  /** The venue's id of its order. */
  readonly order?: unknown;
  readonly amount?: unknown;
  readonly price?: unknown;
}

type ListOrders = (symbol?: string, since?: number, limit?: number) => Promise<readonly VenueOrderState[]>;

/** What is asked of an exchange; an instance of a ccxt class has it. A method that is missing is not asked. */
export interface OrdersExchange extends VenueExchange {
  fetchOrder?(id: string, symbol?: string, params?: Record<string, unknown>): Promise<VenueOrderState>;
  fetchOrderWithClientOrderId?(clientOrderId: string, symbol?: string): Promise<VenueOrderState>;
  readonly fetchOrders?: ListOrders | undefined;
  readonly fetchClosedOrders?: ListOrders | undefined;
  readonly fetchCanceledOrders?: ListOrders | undefined;
  readonly fetchCanceledAndClosedOrders?: ListOrders | undefined;
  fetchMyTrades?(symbol?: string, since?: number, limit?: number): Promise<readonly VenueTrade[]>;
}

/** Why nothing is known of an order. */
export type UnknownCode =
  /** It gave no answer. */
  | 'VENUE_NOT_ASKED'
  /** Its lists may be pages of longer ones, or lack orders of some ends. */
  | 'VENUE_CANNOT_TELL'
  /** It once accepted the order, and lists it no more. */
  | 'ORDER_NOT_LISTED'
  /** It may still be on its way. */
  | 'ORDER_TOO_YOUNG'
  /** It has no id, and the venue has orders that it may be. */
  | 'ORDER_AMBIGUOUS';

/** What the venue says of an order. */
export type FoundOrder =
  | { readonly is: 'found'; readonly order: VenueOrderState }
  | { readonly is: 'absent' }
  | { readonly is: 'unknown'; readonly code: UnknownCode; readonly candidates?: readonly string[] };

export interface LookupOptions {
  readonly timeoutMs: number;
  /** A list of so many orders may be a page of a longer one. */
  readonly pageSize: number;
  /** An order that is younger may still be on its way. */
  readonly settleMs: number;
  /** Time of the oldest order that is asked for, epoch milliseconds. */
  readonly sinceMs: number;
  /** Epoch milliseconds. */
  readonly now: number;
}

interface Lists {
  readonly orders: readonly VenueOrderState[];
  /** What they lack does not exist. */
  readonly whole: boolean;
  /** Every list that was asked for came. */
  readonly answered: boolean;
}

type Question =
  | 'fetchOrder'
  | 'fetchOrderWithClientOrderId'
  | 'fetchOpenOrders'
  | 'fetchOrders'
  | 'fetchClosedOrders'
  | 'fetchCanceledOrders'
  | 'fetchCanceledAndClosedOrders'
  | 'fetchMyTrades';

/** Clocks of venues differ from ours by less than this. */
const SKEW_MS = 5 * 60_000;
/** So many orders are asked for where a list takes a number. */
const LIMIT = 100;
/** After so many questions in a row without an answer the venue is not asked any more. */
const SILENCES = 2;

export class OrderLookup {
  readonly #exchange: OrdersExchange;
  readonly #options: LookupOptions;
  readonly #lists = new Map<string, Promise<Lists>>();
  readonly #trades = new Map<string, Promise<readonly VenueTrade[] | undefined>>();
  readonly #failures = new Map<string, { operation: string; message: string; type: string | undefined }>();
  #silences = 0;

  constructor(exchange: OrdersExchange, options: LookupOptions) {
    this.#exchange = exchange;
    this.#options = options;
  }

  /** What could not be asked, each question once. */
  get failures(): readonly { operation: string; message: string; type: string | undefined }[] {
    return [...this.#failures.values()];
  }

  /** Never rejects. @param isOurs whether the trail knows the venue's order as another one than that which is looked for */
  async find(order: OpenOrder, isOurs: (id: string) => boolean): Promise<FoundOrder> {
    const direct = await this.#ask(order);
    if (direct !== undefined) return { is: 'found', order: direct };
    const lists = await this.#listsOf(order.symbol);
    const listed = lists.orders.find((one) => isSameOrder(order, one));
    if (listed !== undefined) return { is: 'found', order: listed };
    if (order.orderId !== undefined) {
      const traded = await this.#traded(order, order.orderId);
      if (traded !== undefined) return { is: 'found', order: traded };
    }
    if (!lists.answered) return { is: 'unknown', code: 'VENUE_NOT_ASKED' };
    if (order.orderId !== undefined) return { is: 'unknown', code: 'ORDER_NOT_LISTED' };
    const candidates = order.clientOrderId === undefined ? this.#candidates(order, lists.orders, isOurs) : [];
    if (candidates.length > 0) return { is: 'unknown', code: 'ORDER_AMBIGUOUS', candidates };
    if (!lists.whole) return { is: 'unknown', code: 'VENUE_CANNOT_TELL' };
    const { now, settleMs } = this.#options;
    return now - order.sinceMs < settleMs ? { is: 'unknown', code: 'ORDER_TOO_YOUNG' } : { is: 'absent' };
  }

  /** By one of its ids; an answer counts only where it names the order that was asked for: some venues pass over what they don't know. */
  async #ask(order: OpenOrder): Promise<VenueOrderState | undefined> {
    const { orderId, clientOrderId, symbol } = order;
    const exchange = this.#exchange;
    let answer: VenueOrderState | undefined;
    if (orderId !== undefined) answer = await this.#call('fetchOrder', () => exchange.fetchOrder?.(orderId, symbol));
    else if (clientOrderId === undefined) return undefined;
    else if (typeof exchange.fetchOrderWithClientOrderId === 'function') {
      answer = await this.#call('fetchOrderWithClientOrderId', () =>
        exchange.fetchOrderWithClientOrderId?.(clientOrderId, symbol),
      );
    } else {
      answer = await this.#call('fetchOrder', () => exchange.fetchOrder?.(clientOrderId, symbol, { clientOrderId }));
    }
    return answer !== undefined && isSameOrder(order, answer) ? answer : undefined;
  }

  #listsOf(symbol: string | undefined): Promise<Lists> {
    const key = symbol ?? '';
    let lists = this.#lists.get(key);
    if (lists === undefined) {
      lists = this.#askLists(symbol);
      this.#lists.set(key, lists);
    }
    return lists;
  }

  async #askLists(symbol: string | undefined): Promise<Lists> {
    const { sinceMs, pageSize } = this.#options;
    const orders: VenueOrderState[] = [];
    let [whole, answered] = [true, true];
    const take = async (operation: Question & keyof OrdersExchange) => {
      if (!this.#can(operation)) {
        if (operation === 'fetchOpenOrders') whole = false;
        return;
      }
      const list = await this.#call(operation, () => {
        if (operation === 'fetchOpenOrders') return this.#exchange.fetchOpenOrders?.(symbol);
        const ask = this.#exchange[operation] as ListOrders;
        return ask.call(this.#exchange, symbol, sinceMs - SKEW_MS, LIMIT);
      });
      if (!Array.isArray(list)) {
        [whole, answered] = [false, false];
        return;
      }
      if (list.length >= pageSize) whole = false;
      orders.push(...(list as readonly VenueOrderState[]).filter((one) => typeof one === 'object' && one !== null));
    };
    await take('fetchOpenOrders');
    const ended = this.#endedLists();
    for (const operation of ended) await take(operation);
    return { orders, whole: whole && ended.length > 0, answered };
  }

  /** The lists that hold orders of every end together; none where the venue has no such lists. */
  #endedLists(): readonly (
    | 'fetchOrders'
    | 'fetchClosedOrders'
    | 'fetchCanceledOrders'
    | 'fetchCanceledAndClosedOrders'
  )[] {
    if (this.#can('fetchCanceledAndClosedOrders')) return ['fetchCanceledAndClosedOrders'];
    if (this.#can('fetchOrders')) return ['fetchOrders'];
    if (!this.#can('fetchClosedOrders')) return [];
    // Where there is no list of the cancelled ones, they stand among the closed ones.
    return this.#can('fetchCanceledOrders') ? ['fetchClosedOrders', 'fetchCanceledOrders'] : ['fetchClosedOrders'];
  }

  /** What the account's trades say of an order that no list has any more. */
  async #traded(order: OpenOrder, orderId: string): Promise<VenueOrderState | undefined> {
    if (!this.#can('fetchMyTrades')) return undefined;
    const key = order.symbol ?? '';
    let trades = this.#trades.get(key);
    if (trades === undefined) {
      const since = this.#options.sinceMs - SKEW_MS;
      trades = this.#call('fetchMyTrades', () => this.#exchange.fetchMyTrades?.(order.symbol, since, LIMIT));
      this.#trades.set(key, trades);
    }
    const list = await trades;
    const ours = Array.isArray(list) ? list.filter((one) => one?.order === orderId) : [];
    let [filled, cost] = [0, 0];
    for (const { amount, price } of ours) {
      filled += Number(amount);
      cost += Number(amount) * Number(price);
    }
    const total = Number(order.quantity);
    // Of a part nobody knows whether the rest is open or cancelled.
    if (!(filled > 0) || !Number.isFinite(total) || filled < total * (1 - 1e-9)) return undefined;
    const average = cost / filled;
    return {
      ...{ id: orderId, status: 'closed', amount: total, filled: total, remaining: 0 },
      ...(Number.isFinite(average) ? { average: Number(average.toPrecision(12)) } : {}),
    };
  }

  /** Ids of orders on the same terms that came after the intent and that the trail doesn't know. */
  #candidates(
    order: OpenOrder,
    listed: readonly VenueOrderState[],
    isOurs: (id: string) => boolean,
  ): readonly string[] {
    const quantity = Number(order.quantity);
    const isIt = ({ symbol, side, amount, timestamp }: VenueOrderState) =>
      (symbol === undefined || symbol === order.symbol) &&
      (side === undefined || side === order.side) &&
      (typeof amount !== 'number' || Math.abs(amount - quantity) <= 1e-9 * Math.max(1, quantity)) &&
      (typeof timestamp !== 'number' || timestamp >= order.sinceMs - SKEW_MS);
    return listed.filter(isIt).flatMap(({ id }) => (typeof id === 'string' && !isOurs(id) ? [id] : []));
  }

  #can(operation: Question): boolean {
    const has = this.#exchange.has as Readonly<Record<string, unknown>> | undefined;
    if (typeof this.#exchange[operation] !== 'function') return false;
    // ccxt has every method on every exchange: those that `has` leaves open mostly throw.
    return has === undefined || Object.keys(has).length === 0 || Boolean(has[operation]);
  }

  /** @returns undefined where it can't be asked, or there was no answer */
  async #call<T>(operation: Question, call: () => Promise<T> | undefined): Promise<T | undefined> {
    if (this.#silences >= SILENCES) return undefined;
    const isById = operation === 'fetchOrder' || operation === 'fetchOrderWithClientOrderId';
    if (!isById && !this.#can(operation)) return undefined;
    const answer: VenueAnswer<T | undefined> = await callVenue(call, this.#options.timeoutMs);
    this.#silences = answer.outcome === 'unknown' && !answer.needsSymbol ? this.#silences + 1 : 0;
    if (answer.outcome === 'succeeded') return answer.value;
    const isUnsupported = answer.type === 'NotSupported';
    // A venue that is asked by an id that it can't be asked by, or doesn't know, has answered.
    const isAnswer = answer.missing || isUnsupported || (isById && answer.outcome === 'failed');
    if (!isAnswer && !this.#failures.has(operation)) {
      this.#failures.set(operation, { operation, message: answer.message, type: answer.type });
    }
    return undefined;
  }
}
