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
  /** Where it was sent, where that is recorded. */
  readonly venue?: string;
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

/** Whether the event tells that the order is at its end at the venue. */
export function isEnd({ attributes }: OrderEvent): boolean {
  const status = attributes['trading.order.status'];
  return status !== undefined && ENDED.includes(status);
}

/** Applies one event. What is no `order.*` event, or is about an order that is not known to be open, changes nothing. */
export function foldOpenOrders(orders: OpenOrders, event: OrderEvent): OpenOrders {
  switch (event.name) {
    case 'order.intent':
      return newest([...orders.filter((one) => !isAbout(event, one)), opened(event, 'intent')]);
    case 'order.placed':
    case 'order.outcome_unknown':
    case 'order.edited':
      return settled(orders, event);
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

/** The fields of an order, to be written over by the next one: what an order lacks is undefined. */
export interface OrderFields {
  orderId: string | undefined;
  clientOrderId: string | undefined;
  venue: string | undefined;
  symbol: string | undefined;
  side: string | undefined;
  quantity: number | string | undefined;
  price: number | string | undefined;
  filled: number;
  status: OpenOrder['status'];
  recordId: string;
  firstRecordId: string;
  sinceMs: number;
}

/** Fields of no order. */
export const noOrder = (): OrderFields => ({
  ...{ orderId: undefined, clientOrderId: undefined, venue: undefined, symbol: undefined, side: undefined },
  ...{
    quantity: undefined,
    price: undefined,
    filled: 0,
    status: 'intent',
    recordId: '',
    firstRecordId: '',
    sinceMs: 0,
  },
});

/** Writes the order that an event opens over what the fields held. */
export function openInto(
  order: OrderFields,
  { attributes, recordId, timeMs }: OrderEvent,
  status: OpenOrder['status'],
) {
  order.orderId = text(attributes['trading.order.id']);
  order.clientOrderId = text(attributes['trading.order.client_id']);
  order.venue = text(attributes['trading.venue']);
  order.symbol = text(attributes['trading.symbol']);
  order.side = text(attributes['trading.side']);
  order.quantity = amount(attributes['trading.quantity']);
  order.price = amount(attributes['trading.price']);
  order.filled = 0;
  order.status = status;
  order.recordId = recordId;
  order.firstRecordId = recordId;
  order.sinceMs = timeMs;
}

/** Writes what a later event tells over the fields of the order that it is about. */
export function changeInto(
  order: OrderFields,
  { attributes, recordId }: OrderEvent,
  status: OpenOrder['status'],
): void {
  order.orderId = text(attributes['trading.order.id']) ?? order.orderId;
  order.clientOrderId = text(attributes['trading.order.client_id']) ?? order.clientOrderId;
  order.venue = text(attributes['trading.venue']) ?? order.venue;
  order.symbol = text(attributes['trading.symbol']) ?? order.symbol;
  order.side = text(attributes['trading.side']) ?? order.side;
  order.quantity = amount(attributes['trading.quantity']) ?? order.quantity;
  order.price = amount(attributes['trading.price']) ?? order.price;
  order.status = status;
  order.recordId = recordId;
}

/** The order of these fields. */
export function orderOf(fields: OrderFields): OpenOrder {
  const { orderId, clientOrderId, venue, symbol, side, quantity, price, filled, status } = fields;
  const { recordId, firstRecordId, sinceMs } = fields;
  const order: { -readonly [K in keyof OpenOrder]: OpenOrder[K] } = {
    ...{ filled, status, recordId, firstRecordId, sinceMs },
  };
  if (orderId !== undefined) order.orderId = orderId;
  if (clientOrderId !== undefined) order.clientOrderId = clientOrderId;
  if (venue !== undefined) order.venue = venue;
  if (symbol !== undefined) order.symbol = symbol;
  if (side !== undefined) order.side = side;
  if (quantity !== undefined) order.quantity = quantity;
  if (price !== undefined) order.price = price;
  return order;
}

/** The fields of an order. */
export const fieldsOf = (order: OpenOrder): OrderFields => ({ ...noOrder(), ...order });

function opened(event: OrderEvent, status: OpenOrder['status']): OpenOrder {
  const fields = noOrder();
  openInto(fields, event, status);
  return orderOf(fields);
}

function changed(event: OrderEvent, status: OpenOrder['status'], before: OpenOrder): OpenOrder {
  const fields = fieldsOf(before);
  changeInto(fields, event, status);
  return orderOf(fields);
}

/** As what an event opens the order that it is about, where that one is not known; undefined where it opens none. */
export function opensAs(event: OrderEvent): OpenOrder['status'] | undefined {
  const { name } = event;
  if (name === 'order.intent') return 'intent';
  if (name !== 'order.placed' && name !== 'order.outcome_unknown') return undefined;
  if (isEnd(event)) return undefined;
  return name === 'order.placed' ? 'placed' : 'unknown';
}

/** What places an order, edits it, or leaves its outcome unknown. */
function settled(orders: OpenOrders, event: OrderEvent): OpenOrders {
  const at = orders.findIndex((one) => isAbout(event, one));
  const opens = opensAs(event);
  if (at < 0) return opens === undefined ? orders : newest([...orders, opened(event, opens)]);
  if (isEnd(event)) return orders.toSpliced(at, 1);
  const order = orders[at]!;
  return orders.with(at, changed(event, opens ?? order.status, order));
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
    isEnd(event) ||
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
