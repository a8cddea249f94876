/** Orders whose outcome nobody recorded, and open ones, asked of the venue: what it says of each is recorded. */
import { type CatalogEvent, catalogEvent } from '../catalog/events.ts';
import { type CheckMap, integer, list, positive, readOptions, string } from '../core/options.ts';
import { reconciledOrder, withoutFills } from '../instrumentation/ccxt/reconciled.ts';
import { difference } from '../risk/decimal.ts';
import type { OpenOrder, OpenOrders } from '../risk/open-orders.ts';
import {
  type FoundOrder,
  OrderLookup,
  type OrdersExchange,
  type UnknownCode,
  type VenueOrderState,
} from './order-lookup.ts';
import { remainingOf } from './venue-reconcile.ts';

export interface OrdersReconcileOptions {
  /** Orders of these symbols alone. @default all */
  readonly symbols?: readonly string[] | undefined;
  /** How long each question may take, milliseconds. @default 30_000 */
  readonly timeoutMs?: number | undefined;
  /** An order that is younger than this, in milliseconds, may still be on its way: that the venue lacks it proves nothing. @default 10_000 */
  readonly settleMs?: number | undefined;
  /** A list of so many orders may be a page of a longer one: what it lacks may exist. @default 20 */
  readonly pageSize?: number | undefined;
}

/** What the venue says of one order. */
export interface ReconciledOrder {
  readonly orderId?: string;
  readonly clientOrderId?: string;
  readonly symbol?: string;
  /** As the trail had it. */
  readonly before: OpenOrder['status'];
  /** `never_arrived`: the venue has no such order, and would list it. `unknown`: it can't tell. */
  readonly outcome: 'open' | 'filled' | 'cancelled' | 'rejected' | 'never_arrived' | 'unknown';
  /** Filled so far, where the venue said. */
  readonly filled?: number;
  /** Why the outcome is unknown. */
  readonly code?: UnknownCode;
  /** The venue's orders that an order without an id may be. */
  readonly candidates?: readonly string[];
}

export interface OrdersReport {
  /** The outcome of every order is known. */
  readonly complete: boolean;
  readonly orders: readonly ReconciledOrder[];
  /** What could not be asked, and why. */
  readonly failures: readonly { readonly operation: string; readonly message: string }[];
  /** Record id of the result's event. */
  readonly recordId?: string;
}

/** What the reconciliation needs of its trail. */
export interface OrdersHost {
  /** Records an event; never throws. */
  emit(event: CatalogEvent): string | undefined;
  report(error: unknown, where: string): void;
  openOrders(): OpenOrders;
  /** Wall clock, epoch milliseconds. */
  now(): number;
}

const CHECKS: CheckMap<OrdersReconcileOptions> = {
  symbols: list(string()),
  timeoutMs: positive(),
  settleMs: integer(0),
  pageSize: integer(1),
};
const DEFAULTS = { timeoutMs: 30_000, settleMs: 10_000, pageSize: 20 } as const;

/** In words, for the events. */
const WHY: Readonly<Record<UnknownCode, string>> = {
  VENUE_NOT_ASKED: 'the venue gave no answer',
  VENUE_CANNOT_TELL: 'the venue does not list every order there was',
  ORDER_NOT_LISTED: 'the venue lists the order no more',
  ORDER_TOO_YOUNG: 'the order may still be on its way',
  ORDER_AMBIGUOUS: 'the order has no id, and the venue has orders that it may be',
};

/** Asks and records. Never rejects: wrong options and whatever the exchange throws are recorded. */
export async function reconcileVenueOrders(
  host: OrdersHost,
  exchange: OrdersExchange,
  options: OrdersReconcileOptions = {},
): Promise<OrdersReport> {
  try {
    const terms = readOptions<OrdersReconcileOptions>('reconcileOrders', options ?? {}, CHECKS, DEFAULTS, ['symbols']);
    return await new OrdersReconciliation(host, exchange, terms as Terms).run();
  } catch (error) {
    host.report(error, 'reconcile orders');
    const message = error instanceof Error ? error.message : String(error);
    return { complete: false, orders: [], failures: [{ operation: 'reconcileOrders', message }] };
  }
}

type Attributes = Record<string, unknown>;
interface Terms {
  readonly symbols?: readonly string[];
  readonly timeoutMs: number;
  readonly settleMs: number;
  readonly pageSize: number;
}

const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);
const amount = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isFinite(value) ? value : undefined;

/** Members without those that have no value. */
const put = (attributes: Attributes): Attributes =>
  Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined));

class OrdersReconciliation {
  readonly #host: OrdersHost;
  readonly #exchange: OrdersExchange;
  readonly #terms: Terms;
  readonly #venue: string | undefined;

  constructor(host: OrdersHost, exchange: OrdersExchange, terms: Terms) {
    this.#host = host;
    this.#exchange = exchange;
    this.#terms = terms;
    this.#venue = text(exchange?.id);
  }

  async run(): Promise<OrdersReport> {
    const asked = this.#host.openOrders().filter((one) => this.#isOfThis(one));
    const now = this.#host.now();
    const lookup = new OrderLookup(this.#exchange, {
      ...this.#terms,
      ...{ now, sinceMs: Math.min(now, ...asked.map(({ sinceMs }) => sinceMs)) },
    });
    const known = new Set(asked.flatMap(({ orderId }) => (orderId === undefined ? [] : [orderId])));
    const orders: ReconciledOrder[] = [];
    for (const order of asked) {
      // Reads of an instrumented exchange tell of fills by themselves: here they are told once, with what brought them to light.
      const found = await withoutFills(() => lookup.find(order, (id) => known.has(id)));
      const said = this.#settle(order, found);
      if (said?.orderId !== undefined) known.add(said.orderId);
      if (said !== undefined) orders.push(said);
    }
    return this.#conclude(orders, lookup.failures);
  }

  #isOfThis({ venue, symbol }: OpenOrder): boolean {
    const { symbols } = this.#terms;
    if (symbols !== undefined && symbol !== undefined && !symbols.includes(symbol)) return false;
    return venue === undefined || this.#venue === undefined || venue === this.#venue;
  }

  /** @returns undefined where the trail learnt the order's end while the venue was asked */
  #settle(asked: OpenOrder, found: FoundOrder): ReconciledOrder | undefined {
    const order = this.#host.openOrders().find((one) => one.firstRecordId === asked.firstRecordId);
    if (order === undefined) return undefined;
    const about = put({ orderId: order.orderId, clientOrderId: order.clientOrderId, symbol: order.symbol });
    const said = (outcome: ReconciledOrder['outcome'], more: object = {}) =>
      ({ ...about, before: order.status, outcome, ...more }) as ReconciledOrder;
    if (found.is === 'found') return this.#found(order, found.order, said);
    if (found.is === 'absent') {
      this.#emit('order.rejected', order, {
        'risk.reason.code': 'ORDER_NEVER_ARRIVED',
        'risk.reason': 'the venue has no such order',
      });
      return said('never_arrived');
    }
    const { code, candidates } = found;
    // One that the trail has as unknown stays so: told once.
    if (order.status !== 'unknown') {
      this.#emit('order.outcome_unknown', order, { 'risk.reason.code': code, 'risk.reason': WHY[code] });
    }
    return said('unknown', { code, ...(candidates === undefined ? {} : { candidates }) });
  }

  #found(
    order: OpenOrder,
    theirs: VenueOrderState,
    said: (outcome: ReconciledOrder['outcome'], more?: object) => ReconciledOrder,
  ): ReconciledOrder {
    const status = text(theirs.status);
    const filled = amount(theirs.filled);
    const ids = put({
      'trading.order.id': text(theirs.id),
      'trading.order.client_id': text(theirs.clientOrderId),
      'trading.symbol': order.symbol ?? text(theirs.symbol),
      'trading.side': order.side ?? text(theirs.side),
      'trading.quantity': order.quantity ?? amount(theirs.amount),
      'trading.price': order.price ?? amount(theirs.price),
    });
    const more = put({ orderId: text(theirs.id), clientOrderId: text(theirs.clientOrderId), filled });
    if (status === 'rejected') {
      this.#emit('order.rejected', order, { ...ids, 'trading.order.status': status });
      return said('rejected', more);
    }
    if (order.status !== 'placed') this.#emit('order.placed', order, ids);
    const remaining = remainingOf(theirs);
    const isCancelled = status === 'canceled' || status === 'cancelled' || status === 'expired';
    const isFilled = !isCancelled && (status === 'closed' || status === 'filled');
    if (filled !== undefined && filled > order.filled) {
      const isFirst = order.filled === 0;
      this.#emit('order.filled', order, {
        ...ids,
        ...put({
          'trading.quantity': isFirst ? filled : difference(filled, order.filled),
          // What earlier parts cost is not known here.
          'trading.price': isFirst ? (amount(theirs.average) ?? amount(theirs.price)) : undefined,
          'trading.order.filled_quantity': filled,
          'trading.order.remaining_quantity': isFilled ? 0 : remaining,
          'trading.order.status': isCancelled ? undefined : status,
        }),
      });
    }
    if (isCancelled) this.#emit('order.cancelled', order, { ...ids, 'trading.order.status': status });
    const id = text(theirs.id);
    if (id !== undefined) reconciledOrder(this.#exchange, id, filled ?? order.filled, isCancelled);
    return said(isCancelled ? 'cancelled' : isFilled ? 'filled' : 'open', more);
  }

  #emit(
    name: 'order.placed' | 'order.filled' | 'order.cancelled' | 'order.rejected' | 'order.outcome_unknown',
    order: OpenOrder,
    more: Attributes,
  ): void {
    const { orderId, clientOrderId, symbol, side, quantity, price, status, firstRecordId } = order;
    const attributes = {
      ...put({
        'trading.order.id': orderId,
        'trading.order.client_id': clientOrderId,
        'trading.symbol': symbol,
        'trading.side': side,
        'trading.quantity': quantity,
        'trading.price': price,
        'trading.venue': this.#venue ?? order.venue,
        'risk.cause.record_id': firstRecordId,
        'risk.cause.event': status === 'intent' ? 'order.intent' : undefined,
        operation: 'reconcileOrders',
      }),
      ...more,
    };
    this.#host.emit({ name, attributes } as unknown as CatalogEvent);
  }

  #conclude(
    orders: readonly ReconciledOrder[],
    failed: readonly { operation: string; message: string; type: string | undefined }[],
  ): OrdersReport {
    const at = this.#venue === undefined ? {} : { 'trading.venue': this.#venue };
    for (const { operation, message, type } of failed) {
      this.#host.emit(
        catalogEvent('risk.reconciliation.failed', {
          ...{ operation, 'error.message': message, ...at },
          ...(type === undefined ? {} : { 'error.type': type }),
        }),
      );
    }
    const left = orders.filter(({ outcome }) => outcome === 'unknown');
    const ids = left.flatMap(({ orderId, clientOrderId }) => orderId ?? clientOrderId ?? []);
    const recordId = this.#host.emit(
      catalogEvent('risk.reconciliation.orders', {
        'risk.reconciliation.complete': left.length === 0,
        'risk.reconciliation.asked': orders.length,
        'risk.reconciliation.unknown': left.length,
        ...(ids.length === 0 ? {} : { 'trading.order.ids': ids }),
        ...at,
      }),
    );
    const failures = failed.map(({ operation, message }) => ({ operation, message }));
    return { complete: left.length === 0, orders, failures, ...(recordId === undefined ? {} : { recordId }) };
  }
}
