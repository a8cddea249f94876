/**
 * The open orders of a running service: what {@link foldOpenOrders} comes to, found by their ids, so that an event costs the
 * same however many orders are open. A service that places a thousand orders a second leaves next to nothing to the garbage
 * collector: orders stand in slots that are used again.
 */
import {
  changeInto,
  fieldsOf,
  foldOpenOrders,
  isEnd,
  isOrderEvent,
  MAX_OPEN_ORDERS,
  namesOrders,
  noOrder,
  type OpenOrder,
  type OpenOrders,
  type OrderEvent,
  type OrderFields,
  openInto,
  opensAs,
  orderOf,
} from './open-orders.ts';
import { SlotIndex } from './slot-index.ts';

/** One more than may stay: the oldest goes when the newest has come. */
const SLOTS = MAX_OPEN_ORDERS + 1;
const NONE = -1;

export class OpenOrderBook {
  readonly #orders: readonly OrderFields[] = Array.from({ length: SLOTS }, noOrder);
  /** When each slot was filled: what is older has the smaller number. */
  readonly #ages = new Float64Array(SLOTS);
  /** The slots of the next older and the next newer order. */
  readonly #older = new Int32Array(SLOTS);
  readonly #newer = new Int32Array(SLOTS);
  readonly #free = Int32Array.from({ length: SLOTS }, (_, slot) => slot);
  #oldest = NONE;
  #newest = NONE;
  #size = 0;
  #added = 0;
  readonly #byOrderId = new SlotIndex(SLOTS);
  readonly #byClientId = new SlotIndex(SLOTS);
  /** Many a service names no order by a record: made when the first one does. */
  #byRecord: SlotIndex | undefined;
  #byFirstRecord: SlotIndex | undefined;

  /** @param orders open already, oldest first; of too many the newest are kept */
  constructor(orders: OpenOrders) {
    for (const order of orders.slice(-MAX_OPEN_ORDERS)) this.#add(order);
  }

  get size(): number {
    return this.#size;
  }

  /** Every open order, oldest first. */
  list(): OpenOrders {
    return this.#all().map((slot) => orderOf(this.#orders[slot]!));
  }

  /** Takes one event. What is no `order.*` event changes nothing. */
  apply(event: OrderEvent): void {
    if (!isOrderEvent(event.name)) return;
    const slots = namesOrders(event) ? this.#slotsOf(event) : this.#all();
    const opens = opensAs(event);
    if (slots.length === 0) {
      if (opens === undefined) return;
      const slot = this.#take();
      openInto(this.#orders[slot]!, event, opens);
      this.#entered(slot);
      return;
    }
    if (slots.length === 1 && opens !== undefined && opens !== 'intent') {
      this.#leave(slots[0]!);
      changeInto(this.#orders[slots[0]!]!, event, opens);
      this.#enter(slots[0]!);
      return;
    }
    if (slots.length === 1 && MAY_END.has(event.name) && isEnd(event)) {
      this.#remove(slots[0]!);
      return;
    }
    const before = slots.map((slot) => orderOf(this.#orders[slot]!));
    const after = foldOpenOrders(before, event);
    if (after === before) return;
    if (event.name !== 'order.intent' && after.length === before.length) {
      for (const [i, slot] of slots.entries()) {
        if (after[i] === before[i]) continue;
        this.#leave(slot);
        Object.assign(this.#orders[slot]!, fieldsOf(after[i]!));
        this.#enter(slot);
      }
      return;
    }
    const stays = new Set(after);
    for (const [i, slot] of slots.entries()) {
      if (!stays.delete(before[i]!)) this.#remove(slot);
    }
    for (const order of stays) this.#add(order);
  }

  #all(): readonly number[] {
    const slots: number[] = [];
    for (let slot = this.#oldest; slot !== NONE; slot = this.#newer[slot]!) slots.push(slot);
    return slots;
  }

  /** Oldest first. */
  #slotsOf({ attributes }: OrderEvent): readonly number[] {
    const cause = attributes['risk.cause.record_id'];
    let found = this.#byOrderId.find(attributes['trading.order.id'], undefined);
    found = this.#byClientId.find(attributes['trading.order.client_id'], found);
    if (cause !== undefined) {
      this.#indexRecords();
      found = this.#byRecord!.find(cause, found);
      found = this.#byFirstRecord!.find(cause, found);
    }
    if (found === undefined) return NO_SLOTS;
    return [...found].sort((a, b) => this.#ages[a]! - this.#ages[b]!);
  }

  #indexRecords(): void {
    if (this.#byRecord !== undefined) return;
    this.#byRecord = new SlotIndex(SLOTS);
    this.#byFirstRecord = new SlotIndex(SLOTS);
    for (const slot of this.#all()) this.#enterRecords(slot);
  }

  #add(order: OpenOrder): void {
    const slot = this.#take();
    Object.assign(this.#orders[slot]!, fieldsOf(order));
    this.#entered(slot);
  }

  /** A slot behind all others, in no index yet. */
  #take(): number {
    const slot = this.#free[this.#size++]!;
    this.#ages[slot] = this.#added++;
    this.#older[slot] = this.#newest;
    this.#newer[slot] = NONE;
    if (this.#newest === NONE) this.#oldest = slot;
    else this.#newer[this.#newest] = slot;
    this.#newest = slot;
    return slot;
  }

  #entered(slot: number): void {
    this.#enter(slot);
    if (this.#size > MAX_OPEN_ORDERS) this.#remove(this.#oldest);
  }

  #remove(slot: number): void {
    this.#leave(slot);
    const older = this.#older[slot]!;
    const newer = this.#newer[slot]!;
    if (older === NONE) this.#oldest = newer;
    else this.#newer[older] = newer;
    if (newer === NONE) this.#newest = older;
    else this.#older[newer] = older;
    this.#free[--this.#size] = slot;
  }

  #enter(slot: number): void {
    const { orderId, clientOrderId } = this.#orders[slot]!;
    if (orderId !== undefined) this.#byOrderId.add(slot, orderId);
    if (clientOrderId !== undefined) this.#byClientId.add(slot, clientOrderId);
    if (this.#byRecord !== undefined) this.#enterRecords(slot);
  }

  #enterRecords(slot: number): void {
    const { recordId, firstRecordId } = this.#orders[slot]!;
    this.#byRecord!.add(slot, recordId);
    this.#byFirstRecord!.add(slot, firstRecordId);
  }

  #leave(slot: number): void {
    this.#byOrderId.remove(slot);
    this.#byClientId.remove(slot);
    this.#byRecord?.remove(slot);
    this.#byFirstRecord?.remove(slot);
  }
}

const NO_SLOTS: readonly number[] = Object.freeze([]);

/** Events about one order that end it where they say so. */
const MAY_END: ReadonlySet<string> = new Set(['order.placed', 'order.outcome_unknown', 'order.edited', 'order.filled']);
