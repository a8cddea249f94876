/** The orders that have no recorded end, kept as their events are recorded. */
import type { CatalogEvent } from '../catalog/events.ts';
import { OpenOrderBook } from '../risk/open-order-book.ts';
import { isOrderEvent, type OpenOrders, type OrderEvent } from '../risk/open-orders.ts';

export class OrderTracking {
  readonly #book: OpenOrderBook;
  readonly #report: (error: unknown, where: string) => void;
  /** The newest order event, until it is known whether it was recorded. */
  #waiting: OrderEvent | undefined;

  /** @param open those that an earlier process left */
  constructor(open: OpenOrders, report: (error: unknown, where: string) => void) {
    this.#book = new OpenOrderBook(open);
    this.#report = report;
  }

  /** Told of each event as it was made: what was given says less, where the context around the call says the rest. */
  observe(name: string, timeMs: number, attributes: Readonly<Record<string, unknown>>): void {
    if (!isOrderEvent(name)) return;
    // One that did not come through `emit`, but from another logger.
    this.settle();
    this.#waiting = { name, recordId: String(attributes['audit.record.id']), timeMs, attributes };
  }

  /** The newest event was recorded. */
  settle(): void {
    const event = this.#waiting;
    if (event === undefined) return;
    this.#waiting = undefined;
    try {
      this.#book.apply(event);
    } catch (error) {
      this.#report(error, 'open orders');
    }
  }

  /** The newest event was lost: the trail knows of no such order. */
  drop(): void {
    this.#waiting = undefined;
  }

  list(): OpenOrders {
    this.settle();
    return this.#book.list();
  }

  /** Where there are any, they are told with each round of snapshots. */
  snapshots(): readonly CatalogEvent[] {
    this.settle();
    if (this.#book.size === 0) return [];
    return [{ name: 'risk.open_orders_snapshot', attributes: { 'risk.snapshot': { orders: this.#book.list() } } }];
  }
}
