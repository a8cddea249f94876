/**
 * The open orders of a running service: what {@link foldOpenOrders} comes to, found by their ids, so that an event costs the
 * same however many orders are open.
 */
import {
  foldOpenOrders,
  isOrderEvent,
  MAX_OPEN_ORDERS,
  NO_ORDERS,
  namesOrders,
  type OpenOrder,
  type OpenOrders,
  type OrderEvent,
} from './open-orders.ts';

export class OpenOrderBook {
  /** By the order in which they were opened. */
  readonly #orders = new Map<number, OpenOrder>();
  /** Places of the orders that an id or a record stands for: nearly always one. */
  readonly #byOrderId: Index = new Map();
  readonly #byClientId: Index = new Map();
  readonly #byRecord: Index = new Map();
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
    const before = places.length === 0 ? NO_ORDERS : places.map((place) => this.#orders.get(place)!);
    const after = foldOpenOrders(before, event);
    if (after === before) return;
    if (places.length === 0) {
      for (const order of after) this.#put(this.#next++, order);
      this.#forgetOldest();
      return;
    }
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
    this.#forgetOldest();
  }

  #forgetOldest(): void {
    while (this.#orders.size > MAX_OPEN_ORDERS) {
      const [place, order] = this.#orders.entries().next().value!;
      this.#drop(place, order);
      this.#orders.delete(place);
    }
  }

  #placesOf({ attributes }: OrderEvent): readonly number[] {
    const orderId = attributes['trading.order.id'];
    const clientId = attributes['trading.order.client_id'];
    const cause = attributes['risk.cause.record_id'];
    const one = orderId === undefined ? undefined : this.#byOrderId.get(orderId);
    const two = clientId === undefined ? undefined : this.#byClientId.get(clientId);
    const three = cause === undefined ? undefined : this.#byRecord.get(cause);
    if (one === undefined && two === undefined && three === undefined) return NONE;
    const found = new Set([...listOf(one), ...listOf(two), ...listOf(three)]);
    return [...found].sort((a, b) => a - b);
  }

  #put(place: number, order: OpenOrder): void {
    this.#orders.set(place, order);
    const { orderId, clientOrderId, recordId, firstRecordId } = order;
    if (orderId !== undefined) enter(this.#byOrderId, orderId, place);
    if (clientOrderId !== undefined) enter(this.#byClientId, clientOrderId, place);
    enter(this.#byRecord, recordId, place);
    if (firstRecordId !== recordId) enter(this.#byRecord, firstRecordId, place);
  }

  /** Takes an order out of the index. */
  #drop(place: number, { orderId, clientOrderId, recordId, firstRecordId }: OpenOrder): void {
    if (orderId !== undefined) leave(this.#byOrderId, orderId, place);
    if (clientOrderId !== undefined) leave(this.#byClientId, clientOrderId, place);
    leave(this.#byRecord, recordId, place);
    if (firstRecordId !== recordId) leave(this.#byRecord, firstRecordId, place);
  }
}

type Index = Map<unknown, number | readonly number[]>;

const NONE: readonly number[] = Object.freeze([]);

const listOf = (places: number | readonly number[] | undefined): readonly number[] =>
  places === undefined ? NONE : typeof places === 'number' ? [places] : places;

function enter(index: Index, key: string, place: number): void {
  const known = index.get(key);
  index.set(key, known === undefined ? place : [...listOf(known), place]);
}

function leave(index: Index, key: string, place: number): void {
  const rest = listOf(index.get(key)).filter((one) => one !== place);
  if (rest.length === 0) index.delete(key);
  else index.set(key, rest);
}
