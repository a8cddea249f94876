/** What the kill switch asks of an exchange, what it is told, and what it answers. */
import type { VenueExchange, VenueOrder, VenuePosition } from '../venue-reconcile.ts';

/** An order as ccxt gives it, with how it stands. */
export interface KillVenueOrder extends VenueOrder {
  readonly status?: unknown;
}

/** What is asked of an exchange; an instance of a ccxt class has it. What is missing is not asked, and the report says so. */
export interface KillExchange extends VenueExchange {
  fetchOpenOrders?(symbol?: string): Promise<readonly KillVenueOrder[]>;
  fetchClosedOrders?(symbol?: string): Promise<readonly KillVenueOrder[]>;
  fetchOrder?(id: string, symbol?: string): Promise<KillVenueOrder>;
  fetchPositions?(symbols?: string[]): Promise<readonly VenuePosition[]>;
  cancelOrder?(id: string, symbol?: string): Promise<unknown>;
  createOrder?(
    symbol: string,
    type: string,
    side: 'buy' | 'sell',
    amount: number,
    price?: number,
    params?: Record<string, unknown>,
  ): Promise<object>;
  /** The venue's own dead-man's switch: without a renewal within `timeoutMs` it cancels every order; 0 disarms it. */
  cancelAllOrdersAfter?(timeoutMs: number): Promise<unknown>;
}

/** How an exchange is killed. */
export interface KillTerms {
  /** Closes positions, too, by reducing market orders. @default false */
  readonly flatten?: boolean | undefined;
  /** Symbols to ask for; some venues list the open orders of one symbol at a time only. @default all */
  readonly symbols?: readonly string[] | undefined;
  /** How long each request may take until its outcome is unknown, milliseconds. @default 10_000 */
  readonly timeoutMs?: number | undefined;
  /** How often each order, position and question is tried at most. @default 5 */
  readonly attempts?: number | undefined;
  /** Pause before the second attempt, milliseconds; each further one doubles it, up to 5 s. @default 250 */
  readonly backoffMs?: number | undefined;
}

/** The kill switch by hand. */
export interface VenueKillOptions extends KillTerms {
  readonly exchange: KillExchange;
  readonly actor: string;
  readonly reason: string;
  /** What is halted: `global` (default) or kind:id. The orders of the exchange are cancelled whatever it says. */
  readonly scope?: string | undefined;
}

/** An exchange that stands ready to be killed. */
export interface KillArming extends KillTerms {
  readonly exchange: KillExchange;
  /** Cancels (and flattens by `flatten`) whenever the gate becomes HALTED as a whole, whoever demanded it. @default false */
  readonly onHalted?: boolean | undefined;
  /**
   * Arms the venue's own cancel-all-after with this time, milliseconds, and renews it at every third of it: when this process
   * dies, or can't reach the venue, the venue cancels. An orderly close disarms it. @default off
   */
  readonly deadMansSwitchMs?: number | undefined;
}

/** What came of one order. */
export interface KilledOrder {
  readonly orderId?: string;
  readonly clientOrderId?: string;
  readonly symbol?: string;
  /** `succeeded`: the venue said that it is cancelled, or that it isn't open any more. */
  readonly outcome: 'succeeded' | 'failed' | 'unknown';
  readonly attempts: number;
  readonly error?: string;
}

/** What came of one position. */
export interface FlattenedPosition {
  readonly symbol: string;
  /** Signed, as it was found. */
  readonly quantity: number;
  readonly outcome: 'succeeded' | 'failed' | 'unknown';
  /** Client ids of the orders that were sent. */
  readonly clientOrderIds: readonly string[];
  readonly error?: string;
}

export interface KillReport {
  /** Name of the exchange, where it has one. */
  readonly venue?: string;
  /** The venue said at the end that nothing is left of what was asked for. */
  readonly complete: boolean;
  readonly orders: readonly KilledOrder[];
  readonly positions: readonly FlattenedPosition[];
  /** What is left, or may be. */
  readonly left: {
    /** Ids of orders, by the venue's where it is known. */
    readonly orders: readonly string[];
    /** Signed quantities by symbol. */
    readonly positions: Readonly<Record<string, number>>;
  };
  /** What could not be asked or done, newest answer of each operation. */
  readonly failures: readonly { readonly operation: string; readonly message: string }[];
}
