/**
 * Orders whose end is not recorded: intents that were written before an order was sent, orders at the venue, orders whose
 * outcome is unknown. Rebuilt from the `order.*` events that a service records.
 */

/** An order that may still be filled. JSON-serialisable. */
export interface OpenOrder {
  /** The venue's id, where it is known. */
  readonly orderId?: string;
  /** The service's own id. */
  readonly clientOrderId?: string;
  readonly symbol?: string;
  readonly side?: string;
  /** As it was given: a number, or a decimal string. */
  readonly quantity?: number | string;
  readonly price?: number | string;
  /** Filled so far. */
  readonly filled: number;
  /**
   * - `intent`: it was about to be sent; nothing says that it was
   * - `placed`: the venue accepted it
   * - `unknown`: no answer came, it may have been executed
   */
  readonly status: 'intent' | 'placed' | 'unknown';
  /** Record id of the newest event about it. */
  readonly recordId: string;
  /** Record id of its first event. */
  readonly firstRecordId: string;
  /** Time of its first event, epoch milliseconds. */
  readonly sinceMs: number;
}

/** Every open order, oldest first. */
export type OpenOrders = readonly OpenOrder[];

export const NO_ORDERS: OpenOrders = Object.freeze([]);

/** More are not remembered: of a service that records no order's end, the oldest are forgotten. */
export const MAX_OPEN_ORDERS = 1000;

const newest = (orders: OpenOrders): OpenOrders =>
  orders.length > MAX_OPEN_ORDERS ? orders.slice(-MAX_OPEN_ORDERS) : orders;

/** Whether an event is about no orders but those whose ids or records it names one by one. */
export function namesOrders({ name, attributes }: OrderEvent): boolean {
  if (name !== 'order.cancelled') return true;
  return !Array.isArray(attributes['trading.order.ids']) && NAMING.some((key) => attributes[key] !== undefined);
}

const NAMING = ['trading.order.id', 'trading.order.client_id', 'risk.cause.record_id'] as const;

/** An event about orders: what the fold reads of it. */
export interface OrderEvent {
  readonly name: string;
  readonly recordId: string;
  readonly timeMs: number;
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** Whether an event is about an order. */
export const isOrderEvent = (name: string): boolean => name.startsWith('order.');

/** An order of one of these states at the venue is at its end. */
const ENDED: readonly unknown[] = ['filled', 'closed', 'cancelled', 'canceled', 'rejected', 'expired'];

/** Applies one event. What is no `order.*` event, or is about an order that is not known to be open, changes nothing. */
export function foldOpenOrders(orders: OpenOrders, event: OrderEvent): OpenOrders {
  switch (event.name) {
    case 'order.intent':
      return newest([...orders.filter((one) => !isAbout(event, one)), opened(event, 'intent')]);
    case 'order.placed':
      return settled(orders, event, 'placed', true);
    case 'order.outcome_unknown':
      return settled(orders, event, 'unknown', true);
    case 'order.edited':
      return settled(orders, event, undefined, false);
    case 'order.filled':
      return filled(orders, event);
    case 'order.rejected':
      return orders.filter((one) => !isAbout(event, one));
    case 'order.cancelled':
      return cancelled(orders, event);
    default:
      return orders;
  }
}

/** The open orders that a snapshot holds, as far as they can be read. */
export function readOpenOrders(snapshot: unknown): OpenOrders {
  const list = (snapshot as { orders?: unknown } | null | undefined)?.orders;
  if (!Array.isArray(list)) return NO_ORDERS;
  return list.filter(
    (one) => typeof one === 'object' && one !== null && typeof one.recordId === 'string' && Number.isFinite(one.filled),
  );
}

const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);
const amount = (value: unknown): number | string | undefined =>
  typeof value === 'number' || typeof value === 'string' ? value : undefined;

function isAbout({ attributes }: OrderEvent, order: OpenOrder): boolean {
  const orderId = text(attributes['trading.order.id']);
  if (orderId !== undefined && orderId === order.orderId) return true;
  const clientOrderId = text(attributes['trading.order.client_id']);
  if (clientOrderId !== undefined && clientOrderId === order.clientOrderId) return true;
  // An order that has no id yet is named by the record of its intent.
  const cause = attributes['risk.cause.record_id'];
  return cause !== undefined && (cause === order.recordId || cause === order.firstRecordId);
}

function opened(event: OrderEvent, status: OpenOrder['status'], before?: OpenOrder): OpenOrder {
  const { attributes, recordId, timeMs } = event;
  const orderId = text(attributes['trading.order.id']) ?? before?.orderId;
  const clientOrderId = text(attributes['trading.order.client_id']) ?? before?.clientOrderId;
  const symbol = text(attributes['trading.symbol']) ?? before?.symbol;
  const side = text(attributes['trading.side']) ?? before?.side;
  const quantity = amount(attributes['trading.quantity']) ?? before?.quantity;
  const price = amount(attributes['trading.price']) ?? before?.price;
  const order: { -readonly [K in keyof OpenOrder]: OpenOrder[K] } = {
    filled: before?.filled ?? 0,
    status,
    recordId,
    firstRecordId: before?.firstRecordId ?? recordId,
    sinceMs: before?.sinceMs ?? timeMs,
  };
  if (orderId !== undefined) order.orderId = orderId;
  if (clientOrderId !== undefined) order.clientOrderId = clientOrderId;
  if (symbol !== undefined) order.symbol = symbol;
  if (side !== undefined) order.side = side;
  if (quantity !== undefined) order.quantity = quantity;
  if (price !== undefined) order.price = price;
  return order;
}

/** @param status its status from now on; undefined leaves it */
function settled(
  orders: OpenOrders,
  event: OrderEvent,
  status: OpenOrder['status'] | undefined,
  opens: boolean,
): OpenOrders {
  const at = orders.findIndex((one) => isAbout(event, one));
  if (ENDED.includes(event.attributes['trading.order.status'])) return at < 0 ? orders : orders.toSpliced(at, 1);
  if (at < 0) return opens ? newest([...orders, opened(event, status!)]) : orders;
  const order = orders[at]!;
  return orders.with(at, opened(event, status ?? order.status, order));
}

function filled(orders: OpenOrders, event: OrderEvent): OpenOrders {
  const at = orders.findIndex((one) => isAbout(event, one));
  if (at < 0) return orders;
  const { attributes, recordId } = event;
  const order = orders[at]!;
  const sum = Number(
    attributes['trading.order.filled_quantity'] ?? order.filled + Number(attributes['trading.quantity']),
  );
  const remaining = attributes['trading.order.remaining_quantity'];
  const total = Number(order.quantity);
  const isOver =
    ENDED.includes(attributes['trading.order.status']) ||
    (remaining === undefined
      ? // Sums of decimal fills miss the order's quantity by rounding: that much is no order.
        !(Number.isFinite(total) && Number.isFinite(sum)) || sum >= total * (1 - 1e-9)
      : Number(remaining) === 0);
  if (isOver) return orders.toSpliced(at, 1);
  const orderId = order.orderId ?? text(attributes['trading.order.id']);
  return orders.with(at, {
    ...order,
    ...(orderId === undefined ? {} : { orderId }),
    filled: Number.isFinite(sum) ? sum : order.filled,
    status: 'placed',
    recordId,
  });
}

/** One order by its ids, several by a list of ids; without any, all of a symbol or all there are. */
function cancelled(orders: OpenOrders, event: OrderEvent): OpenOrders {
  const { attributes } = event;
  const ids = attributes['trading.order.ids'];
  const named = NAMING.some((name) => attributes[name] !== undefined);
  if (Array.isArray(ids)) {
    const listed = (id: string | undefined) => id !== undefined && ids.includes(id);
    return orders.filter((one) => !listed(one.orderId) && !listed(one.clientOrderId) && !isAbout(event, one));
  }
  if (named) return orders.filter((one) => !isAbout(event, one));
  const symbol = text(attributes['trading.symbol']);
  return symbol === undefined ? NO_ORDERS : orders.filter((one) => one.symbol !== symbol);
}
