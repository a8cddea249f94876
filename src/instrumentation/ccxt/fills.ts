/**
 * Fills of one exchange object, out of whatever shows them: the answer to an order, reads of orders and trades, streams. The
 * same fill comes by several of these ways; it is recorded once, by how much of the order was recorded so far.
 */
import type { CatalogEvent } from '../../catalog/events.ts';
import { difference, product, sum } from '../../risk/decimal.ts';
import { type InstrumentationHost, type KnownOrder, machineClock, record } from '../host.ts';

type Fields = Readonly<Record<string, unknown>>;

interface Tracked {
  /** Quantity that was recorded as filled. */
  recorded: number;
  /** At which average; unknown of what somebody else recorded. */
  average: number | undefined;
  /** What it cost, once that was asked for. */
  cost: number | undefined;
  /** Quantity of the trades that were seen. */
  traded: number;
  /** Ids of those trades, once there are any. */
  trades: Set<string> | undefined;
  ended: boolean;
}

/** Of more, the oldest is forgotten: nothing grows with the calls made. */
const MAX_ORDERS = 2000;
const MAX_TRADES = 1000;

const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined);

function quantity(value: unknown): number | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  const number = Number(value);
  return Number.isFinite(number) ? number : undefined;
}

const decimal = (value: unknown): number | string | undefined =>
  typeof value === 'number' || typeof value === 'string' ? value : undefined;

const tell = (host: InstrumentationHost, name: CatalogEvent['name'], attributes: object) =>
  record(host, { name, attributes } as never);

/** What the recorded part of an order cost: calculated for those that are filled in parts alone. */
function costOf(tracked: Tracked): number | undefined {
  if (tracked.average !== undefined) tracked.cost ??= product(tracked.recorded, tracked.average);
  return tracked.cost;
}

/** What was added to the recorded part was traded at this price; undefined where nobody knows what that part cost. */
function priceOfAdded(tracked: Tracked, filled: number, average: number, added: number): number | undefined {
  const cost = costOf(tracked);
  return cost === undefined ? undefined : shortened(difference(product(filled, average), cost) / added);
}

/** Binary rounding of a quotient, taken away. */
const shortened = (value: number) => Number(value.toPrecision(12));

const ENDS: Readonly<Record<string, true>> = { canceled: true, cancelled: true, expired: true };

export class FillBook {
  readonly #venue: string;
  readonly #orders = new Map<string, Tracked>();
  /** Their ids in a ring, the oldest at `#oldest` once it is full: a map finds its first key by going over those it lost. */
  readonly #ids: string[] = [];
  #oldest = 0;
  readonly #sinceMs = machineClock.now();

  constructor(venue: string) {
    this.#venue = venue;
  }

  /** An order of this process was accepted. */
  placed(orderId: string): void {
    this.#track(orderId, 0);
  }

  /**
   * The same, with the venue's answer, which may show a fill already.
   * @param asked attributes of what was asked for: they say what the answer leaves out
   */
  answered(host: InstrumentationHost, orderId: string, shown: Fields, asked: Fields): void {
    this.#progress(host, orderId, shown, this.#track(orderId, 0), asked);
  }

  /** Somebody else told of the order: so much of it is filled, and whether it ended. */
  told(orderId: string, filled: number, ended: boolean): void {
    const tracked = this.#orders.get(orderId) ?? this.#track(orderId, filled);
    if (filled > tracked.recorded) {
      tracked.recorded = filled;
      tracked.average = undefined;
      tracked.cost = undefined;
    }
    tracked.traded = Math.max(tracked.traded, filled);
    tracked.ended ||= ended;
  }

  /** A cancellation was recorded by its own call. */
  cancelled(orderId: string): void {
    const tracked = this.#orders.get(orderId);
    if (tracked !== undefined) tracked.ended = true;
  }

  /**
   * Orders were shown.
   * @param live by a stream: also orders that this process has not placed, if they are newer than itself
   */
  orders(host: InstrumentationHost, shown: unknown, live: boolean): void {
    const known = knownOrders(host);
    for (const one of listOf(shown)) this.#order(host, one, live, known);
  }

  /** Trades of this account were shown. */
  trades(host: InstrumentationHost, shown: unknown, live: boolean): void {
    const known = knownOrders(host);
    for (const one of listOf(shown)) this.#trade(host, one, live, known);
  }

  #order(host: InstrumentationHost, order: Fields, live: boolean, known: KnownOrders): void {
    const id = text(order['id']);
    if (id === undefined) return;
    const tracked = this.#find(id, order, live, known);
    if (tracked !== undefined) this.#progress(host, id, order, tracked);
  }

  #progress(host: InstrumentationHost, id: string, order: Fields, tracked: Tracked, asked?: Fields): void {
    const filled = quantity(order['filled']);
    const status = text(order['status']);
    if (filled !== undefined && filled > tracked.recorded) {
      const average = quantity(order['average']) ?? quantity(order['price']) ?? 0;
      const first = tracked.recorded === 0;
      const added = first ? filled : difference(filled, tracked.recorded);
      const price =
        (first ? undefined : priceOfAdded(tracked, filled, average, added)) ??
        decimal(order['average'] ?? order['price']);
      const remaining = decimal(order['remaining']);
      const attributes = this.#about(id, order, asked);
      attributes['trading.quantity'] = first ? (decimal(order['filled']) ?? added) : added;
      if (price !== undefined && Number(price) !== 0) attributes['trading.price'] = price;
      attributes['trading.order.filled_quantity'] = decimal(order['filled']);
      if (remaining !== undefined) attributes['trading.order.remaining_quantity'] = remaining;
      if (status !== undefined) attributes['trading.order.status'] = status;
      tell(host, 'order.filled', attributes);
      tracked.recorded = filled;
      tracked.average = average;
      tracked.cost = undefined;
    }
    if (status !== undefined && ENDS[status] && !tracked.ended) {
      tracked.ended = true;
      const attributes = this.#about(id, order, asked);
      attributes['trading.order.status'] = status;
      tell(host, 'order.cancelled', attributes);
    }
  }

  #trade(host: InstrumentationHost, trade: Fields, live: boolean, known: KnownOrders): void {
    const orderId = text(trade['order']);
    const tradeId = text(trade['id']);
    const amount = quantity(trade['amount']);
    if (orderId === undefined || amount === undefined || amount <= 0) return;
    const tracked = this.#find(orderId, trade, live, known);
    if (tracked === undefined) return;
    if (tradeId !== undefined) {
      tracked.trades ??= new Set();
      if (tracked.trades.has(tradeId)) return;
      if (tracked.trades.size < MAX_TRADES) tracked.trades.add(tradeId);
    }
    tracked.traded = sum(tracked.traded, amount);
    if (tracked.traded <= tracked.recorded) return;
    const added = difference(tracked.traded, tracked.recorded);
    const fee = (trade['fee'] as Fields | undefined)?.['cost'];
    const price = decimal(trade['price']);
    const attributes = this.#about(orderId, trade);
    attributes['trading.quantity'] = added === amount ? (decimal(trade['amount']) ?? added) : added;
    if (price !== undefined) attributes['trading.price'] = price;
    attributes['trading.order.filled_quantity'] = tracked.traded;
    if (tradeId !== undefined) attributes['trading.trade.id'] = tradeId;
    if (decimal(fee) !== undefined) attributes['trading.fee'] = fee;
    tell(host, 'order.filled', attributes);
    const before = costOf(tracked);
    tracked.cost = before === undefined ? undefined : sum(before, product(added, quantity(trade['price']) ?? 0));
    tracked.average = undefined;
    tracked.recorded = tracked.traded;
  }

  #about(id: string, shown: Fields, asked?: Fields): Record<string, unknown> {
    const client = text(shown['clientOrderId']);
    const symbol = text(shown['symbol'] ?? asked?.['trading.symbol']);
    const side = text(shown['side'] ?? asked?.['trading.side']);
    const attributes: Record<string, unknown> = { 'trading.venue': this.#venue, 'trading.order.id': id };
    if (client !== undefined) attributes['trading.order.client_id'] = client;
    if (symbol !== undefined) attributes['trading.symbol'] = symbol;
    if (side !== undefined) attributes['trading.side'] = side;
    return attributes;
  }

  #find(id: string, shown: Fields, live: boolean, known: KnownOrders): Tracked | undefined {
    const tracked = this.#orders.get(id);
    if (tracked !== undefined) return tracked;
    const before = known(id, text(shown['clientOrderId']));
    if (before !== undefined) return this.#track(id, before.filled);
    // A read shows the account's history; only a stream shows what happens now.
    if (!live) return undefined;
    const timeMs = quantity(shown['timestamp']);
    const old = timeMs !== undefined && timeMs < this.#sinceMs;
    const tracks = this.#track(id, old ? (quantity(shown['filled']) ?? 0) : 0);
    // An old order's trades of before were somebody's to record.
    if (old && shown['order'] !== undefined) return undefined;
    return tracks;
  }

  #track(id: string, recorded: number): Tracked {
    const cost = recorded === 0 ? 0 : undefined;
    const tracked = { recorded, average: undefined, cost, traded: recorded, trades: undefined, ended: false };
    if (!this.#orders.has(id)) this.#remember(id);
    this.#orders.set(id, tracked);
    return tracked;
  }

  #remember(id: string): void {
    if (this.#ids.length < MAX_ORDERS) {
      this.#ids.push(id);
      return;
    }
    this.#orders.delete(this.#ids[this.#oldest]!);
    this.#ids[this.#oldest] = id;
    this.#oldest = (this.#oldest + 1) % MAX_ORDERS;
  }
}

type KnownOrders = (id: string, clientId: string | undefined) => KnownOrder | undefined;

/** The trail's open orders, listed when first asked for. */
function knownOrders(host: InstrumentationHost): KnownOrders {
  let list: readonly KnownOrder[] | undefined;
  return (id, clientId) => {
    list ??= host.openOrders();
    return list.find(
      (one) =>
        one.orderId === id || (clientId !== undefined && one.clientOrderId === clientId && one.orderId === undefined),
    );
  };
}

function listOf(shown: unknown): readonly Fields[] {
  const list = Array.isArray(shown) ? shown : [shown];
  return list.filter((one) => typeof one === 'object' && one !== null);
}
