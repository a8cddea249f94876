/**
 * The open orders of a running service: what {@link foldOpenOrders} comes to, found by their ids, so that an event costs the
 * same however many orders are open.
 */
import {
  foldOpenOrders,
  isOrderEvent,
  MAX_OPEN_ORDERS,
  namesOrders,
  type OpenOrder,
  type OpenOrders,
  type OrderEvent,
} from './open-orders.ts';

export class OpenOrderBook {
  /** By the order in which they were opened. */
  readonly #orders = new Map<number, OpenOrder>();
  /** Places of the orders that an id or a record stands for. */
  readonly #places = new Map<string, Set<number>>();
  #next = 0;

  /** @param orders open already, oldest first */
  constructor(orders: OpenOrders) {
    for (const order of orders) this.#put(this.#next++, order);
  }

  get size(): number {
    return this.#orders.size;
  }

  /** Every open order, oldest first. */
  list(): OpenOrders {
    return [...this.#orders.values()];
  }

  /** Takes one event. What is no `order.*` event changes nothing. */
  apply(event: OrderEvent): void {
    if (!isOrderEvent(event.name)) return;
    const places = namesOrders(event) ? this.#placesOf(event) : [...this.#orders.keys()];
    const before = places.map((place) => this.#orders.get(place)!);
    const after = foldOpenOrders(before, event);
    if (after === before) return;
    if (event.name !== 'order.intent' && after.length === before.length) {
      for (const [i, place] of places.entries()) {
        if (after[i] === before[i]) continue;
        this.#drop(place, before[i]!);
        // The place in the map is kept.
        this.#put(place, after[i]!);
      }
      return;
    }
    const stays = new Set(after);
    for (const [i, place] of places.entries()) {
      const order = before[i]!;
      if (!stays.delete(order)) {
        this.#drop(place, order);
        this.#orders.delete(place);
      }
    }
    for (const order of stays) this.#put(this.#next++, order);
    while (this.#orders.size > MAX_OPEN_ORDERS) {
      const [place, order] = this.#orders.entries().next().value!;
      this.#drop(place, order);
      this.#orders.delete(place);
    }
  }

  #placesOf({ attributes }: OrderEvent): number[] {
    const found = new Set<number>();
    const keys = [
      `o${attributes['trading.order.id']}`,
      `c${attributes['trading.order.client_id']}`,
      `r${attributes['risk.cause.record_id']}`,
    ];
    for (const key of keys) for (const place of this.#places.get(key) ?? []) found.add(place);
    return [...found].sort((a, b) => a - b);
  }

  #put(place: number, order: OpenOrder): void {
    this.#orders.set(place, order);
    for (const key of keysOf(order)) {
      const places = this.#places.get(key);
      if (places === undefined) this.#places.set(key, new Set([place]));
      else places.add(place);
    }
  }

  /** Takes an order out of the index. */
  #drop(place: number, order: OpenOrder): void {
    for (const key of keysOf(order)) {
      const places = this.#places.get(key);
      places?.delete(place);
      if (places?.size === 0) this.#places.delete(key);
    }
  }
}

function keysOf({ orderId, clientOrderId, recordId, firstRecordId }: OpenOrder): string[] {
  const keys = [`r${recordId}`, `r${firstRecordId}`];
  if (orderId !== undefined) keys.push(`o${orderId}`);
  if (clientOrderId !== undefined) keys.push(`c${clientOrderId}`);
  return keys;
}
