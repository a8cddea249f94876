/**
 * Fills of one exchange object, out of whatever shows them: the answer to an order, reads of orders and trades, streams. The
 * same fill comes by several of these ways; it is recorded once, by how much of the order was recorded so far.
 */
import { difference, product, sum } from '../../risk/decimal.ts';
import { type InstrumentationHost, type KnownOrder, machineClock, record } from '../host.ts';

type Fields = Readonly<Record<string, unknown>>;

interface Tracked {
  /** Quantity that was recorded as filled, and what it cost. */
  recorded: number;
  cost: number;
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

/** Binary rounding of a quotient, taken away. */
const shortened = (value: number) => Number(value.toPrecision(12));

const ENDS: Readonly<Record<string, true>> = { canceled: true, cancelled: true, expired: true };

export class FillBook {
  readonly #venue: string;
  readonly #orders = new Map<string, Tracked>();
  readonly #sinceMs = machineClock.now();

  constructor(venue: string) {
    this.#venue = venue;
  }

  /** An order of this process was accepted. */
  placed(orderId: string): void {
    this.#track(orderId, 0);
  }

  /** Somebody else told of the order: so much of it is filled, and whether it ended. */
  told(orderId: string, filled: number, ended: boolean): void {
    const tracked = this.#orders.get(orderId) ?? this.#track(orderId, filled);
    tracked.recorded = Math.max(tracked.recorded, filled);
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
    const filled = quantity(order['filled']);
    if (id === undefined) return;
    const tracked = this.#find(id, order, live, known);
    if (tracked === undefined) return;
    const status = text(order['status']);
    if (filled !== undefined && filled > tracked.recorded) {
      const average = quantity(order['average']) ?? quantity(order['price']) ?? 0;
      const total = product(filled, average);
      const added = difference(filled, tracked.recorded);
      const first = tracked.recorded === 0;
      const price = first ? (order['average'] ?? order['price']) : shortened(difference(total, tracked.cost) / added);
      this.#fill(host, id, order, {
        'trading.quantity': first ? (decimal(order['filled']) ?? added) : added,
        ...(decimal(price) === undefined || Number(price) === 0 ? {} : { 'trading.price': decimal(price) }),
        'trading.order.filled_quantity': decimal(order['filled']),
        ...(decimal(order['remaining']) === undefined
          ? {}
          : { 'trading.order.remaining_quantity': order['remaining'] }),
        ...(status === undefined ? {} : { 'trading.order.status': status }),
      });
      tracked.recorded = filled;
      tracked.cost = total;
    }
    if (status !== undefined && ENDS[status] && !tracked.ended) {
      tracked.ended = true;
      record(host, {
        name: 'order.cancelled',
        attributes: {
          ...this.#about(id, order),
          'trading.order.status': status,
        },
      } as never);
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
    this.#fill(host, orderId, trade, {
      'trading.quantity': added === amount ? (decimal(trade['amount']) ?? added) : added,
      ...(price === undefined ? {} : { 'trading.price': price }),
      'trading.order.filled_quantity': tracked.traded,
      ...(tradeId === undefined ? {} : { 'trading.trade.id': tradeId }),
      ...(decimal(fee) === undefined ? {} : { 'trading.fee': fee }),
    });
    tracked.recorded = tracked.traded;
    tracked.cost = sum(tracked.cost, product(added, quantity(trade['price']) ?? 0));
  }

  #about(id: string, shown: Fields) {
    const client = text(shown['clientOrderId']);
    const symbol = text(shown['symbol']);
    const side = text(shown['side']);
    return {
      'trading.venue': this.#venue,
      'trading.order.id': id,
      ...(client === undefined ? {} : { 'trading.order.client_id': client }),
      ...(symbol === undefined ? {} : { 'trading.symbol': symbol }),
      ...(side === undefined ? {} : { 'trading.side': side }),
    };
  }

  #fill(host: InstrumentationHost, id: string, shown: Fields, more: object): void {
    record(host, { name: 'order.filled', attributes: { ...this.#about(id, shown), ...more } } as never);
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
    const tracked: Tracked = { recorded, cost: 0, traded: recorded, trades: undefined, ended: false };
    this.#orders.set(id, tracked);
    if (this.#orders.size > MAX_ORDERS) this.#orders.delete(this.#orders.keys().next().value!);
    return tracked;
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
