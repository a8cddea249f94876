/** Orders whose outcome nobody recorded: what `risktrail reconcile-orders` lists. */
import type { OpenOrder } from '../risk/open-orders.ts';
import type { ServiceState } from './state-at.ts';

/** An order that may stand at the venue, though no record says so. */
export interface UnsettledOrder {
  readonly since: string;
  readonly service: string;
  readonly stream: string;
  readonly venue: string | null;
  readonly symbol: string | null;
  readonly side: string | null;
  readonly quantity: number | string | null;
  readonly price: number | string | null;
  readonly order_id: string | null;
  readonly client_order_id: string | null;
  /** `none`: only the intent was recorded; `unknown`: no answer came. */
  readonly outcome: 'none' | 'unknown';
  readonly record_id: string;
}

/** The orders of these states whose outcome is not known. */
export function unsettledOrders(states: readonly ServiceState[]): readonly UnsettledOrder[] {
  return states.flatMap(({ stream, state }) =>
    state.openOrders.filter(({ status }) => status !== 'placed').map((order) => orderOf(stream, order)),
  );
}

function orderOf(stream: string, order: OpenOrder): UnsettledOrder {
  return {
    since: new Date(order.sinceMs).toISOString(),
    service: stream.slice(0, stream.lastIndexOf('/')),
    stream,
    venue: order.venue ?? null,
    symbol: order.symbol ?? null,
    side: order.side ?? null,
    quantity: order.quantity ?? null,
    price: order.price ?? null,
    order_id: order.orderId ?? null,
    client_order_id: order.clientOrderId ?? null,
    outcome: order.status === 'intent' ? 'none' : 'unknown',
    record_id: order.firstRecordId,
  };
}
