/** What the attributes of an order's events say, held against what the trail knows of the order. */
import { difference } from '../risk/decimal.ts';
import type { OpenOrder, OpenOrders } from '../risk/open-orders.ts';

/** Attributes of an event. */
export type Attributes = Readonly<Record<string, unknown>>;

/** A text that is not empty. */
export const text = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined;
/** A finite number, also where it is given as a decimal string. */
export const decimal = (value: unknown): number | undefined => {
  const number = typeof value === 'string' && value !== '' ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? number : undefined;
};

/** The open order that attributes name by one of its ids. */
export function openOrderOf(orders: OpenOrders, attributes: Attributes): OpenOrder | undefined {
  const id = text(attributes['trading.order.id']);
  const clientId = text(attributes['trading.order.client_id']);
  const venue = attributes['trading.venue'];
  return orders.find(
    (one) =>
      ((id !== undefined && one.orderId === id) || (clientId !== undefined && one.clientOrderId === clientId)) &&
      (one.venue === undefined || one.venue === venue),
  );
}

/**
 * An edit as an order of what it leaves to be filled; undefined where it raises neither quantity nor price.
 * @param order as it stands; of one that is not known every edit counts as raising
 */
export function raisedOf(edit: Attributes, order: OpenOrder | undefined): Attributes | undefined {
  if (order === undefined) return edit;
  const [before, beforePrice] = [decimal(order.quantity), decimal(order.price)];
  const quantity = decimal(edit['trading.quantity']) ?? before;
  const price = decimal(edit['trading.price']) ?? beforePrice;
  const isRaised =
    quantity === undefined ||
    before === undefined ||
    quantity > before ||
    (price !== undefined && (beforePrice === undefined || price > beforePrice));
  if (!isRaised) return undefined;
  const left = leftOf({ 'trading.quantity': quantity }, order);
  if (left !== undefined && left <= 0) return undefined;
  return {
    ...edit,
    ...(order.symbol === undefined ? {} : { 'trading.symbol': order.symbol }),
    ...(order.side === undefined ? {} : { 'trading.side': order.side }),
    ...(left === undefined ? {} : { 'trading.quantity': left }),
    ...(price === undefined ? {} : { 'trading.price': price }),
  };
}

/** What an edit leaves to be filled; undefined where it names no quantity. @param order as it stood or stands */
export function leftOf(edit: Attributes, order: OpenOrder | undefined): number | undefined {
  const quantity = decimal(edit['trading.quantity']);
  return quantity === undefined ? undefined : difference(quantity, order?.filled ?? 0);
}
