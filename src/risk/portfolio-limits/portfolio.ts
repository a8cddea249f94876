/** What the caller shows the limits: the portfolio as it stands and the order it wants to send; and whether both are usable. */

/** What an order or position says of its instrument. Absent in an order, the position in the same symbol says it. */
export interface Instrument {
  /** Units of the underlying per contract. Default 1. */
  readonly multiplier?: number | null | undefined;
  /** Delta per unit of the underlying. Default 1: the instrument is the underlying itself. */
  readonly delta?: number | null | undefined;
  /** Gamma per unit of the underlying. Default 0. */
  readonly gamma?: number | null | undefined;
  /** Vega per unit of the underlying. Default 0. */
  readonly vega?: number | null | undefined;
  /** Symbol under which per-symbol delta is added up. Default: the symbol itself. */
  readonly underlying?: string | null | undefined;
  /** Group of the sector limit, where the option `groups` does not name one. */
  readonly sector?: string | null | undefined;
  /** Group of the correlation limit, where the option `groups` does not name one. */
  readonly correlationGroup?: string | null | undefined;
  /** Margin per unit of notional: 0.1 is ten percent. Default: the limit's `rate`. */
  readonly marginRate?: number | null | undefined;
}

/** An open position. One row per symbol; several rows of one symbol count as several positions, but are netted for its exits. */
export interface Position extends Instrument {
  readonly symbol: string;
  /** Signed: long positive, short negative. */
  readonly quantity: number;
  /** Current price, > 0. */
  readonly price?: number | null | undefined;
  /** When that price was observed, epoch milliseconds. Checked against `maxPriceAgeMs` where given. */
  readonly priceTimeMs?: number | null | undefined;
  /** Price of the position's stop, for portfolio heat. */
  readonly stopPrice?: number | null | undefined;
}

/** An order that is to be sent, or is pending. */
export interface LimitOrder extends Instrument {
  readonly symbol: string;
  readonly side: 'buy' | 'sell';
  /** > 0; of a pending order, what is still unfilled. */
  readonly quantity: number;
  /** Limit price, > 0; absent for a market order. */
  readonly price?: number | null | undefined;
  /** Market price that the order is judged by, > 0. Default: the price of the position in the same symbol. */
  readonly referencePrice?: number | null | undefined;
  /** When the market price was observed, epoch milliseconds. */
  readonly priceTimeMs?: number | null | undefined;
  readonly orderId?: string | null | undefined;
  readonly clientOrderId?: string | null | undefined;
  readonly type?: string | null | undefined;
  readonly role?: 'entry' | 'exit' | 'take_profit' | 'stop_loss' | null | undefined;
  /** The venue lets it only reduce a position. */
  readonly reduceOnly?: boolean | null | undefined;
  /** A capped quantity is a multiple of it. Default: the option of that name. */
  readonly quantityStep?: number | null | undefined;
  readonly accountId?: string | null | undefined;
  readonly strategyId?: string | null | undefined;
  readonly venue?: string | null | undefined;
}

/** The portfolio as the caller knows it now. */
export interface Portfolio {
  /** Account equity in the account's currency: what percentages are of. */
  readonly equity?: number | null | undefined;
  readonly positions: readonly Position[];
  /** Orders sent and not yet done. Those that the limits were told of by `orderPlaced` are counted once, by their ids. */
  readonly pending?: readonly LimitOrder[] | null | undefined;
  /** Margin in use as the venue reports it. Default: added up from the positions. */
  readonly marginUsed?: number | null | undefined;
}

/** Whether a number that may be absent is unusable where it is not: no number, not finite, or (`positive`) ≤ 0. */
const isBad = (value: unknown, positive: boolean): boolean =>
  value !== undefined &&
  value !== null &&
  (typeof value !== 'number' || !Number.isFinite(value) || (positive && value <= 0));

/** Why an order cannot be understood at all, as a code; `''` where symbol, side and quantity are usable. */
export function orderProblem(order: LimitOrder): string {
  if (typeof order !== 'object' || order === null) return 'ORDER_INVALID';
  if (typeof order.symbol !== 'string' || order.symbol === '') return 'SYMBOL_INVALID';
  if (order.side !== 'buy' && order.side !== 'sell') return 'SIDE_INVALID';
  const quantity: unknown = order.quantity;
  return typeof quantity === 'number' && quantity > 0 && quantity < Number.POSITIVE_INFINITY ? '' : 'QUANTITY_INVALID';
}

/** Why an order's other numbers are unusable; an exit passes all the same. */
export function detailProblem(order: LimitOrder): string {
  if (isBad(order.price, true)) return 'PRICE_INVALID';
  if (isBad(order.referencePrice, true)) return 'REFERENCE_PRICE_INVALID';
  if (isBad(order.priceTimeMs, false)) return 'PRICE_TIME_INVALID';
  if (isBad(order.quantityStep, true)) return 'QUANTITY_STEP_INVALID';
  const { orderId, clientOrderId } = order;
  if (
    (orderId != null && typeof orderId !== 'string') ||
    (clientOrderId != null && typeof clientOrderId !== 'string')
  ) {
    return 'ORDER_ID_INVALID';
  }
  return instrumentProblem(order);
}

function instrumentProblem(instrument: Instrument): string {
  if (isBad(instrument.multiplier, true)) return 'MULTIPLIER_INVALID';
  if (isBad(instrument.delta, false) || isBad(instrument.gamma, false) || isBad(instrument.vega, false)) {
    return 'GREEKS_INVALID';
  }
  return isBad(instrument.marginRate, false) || (instrument.marginRate ?? 0) < 0 ? 'MARGIN_RATE_INVALID' : '';
}

function isBadPosition(position: Position): boolean {
  return (
    typeof position !== 'object' ||
    position === null ||
    typeof position.symbol !== 'string' ||
    position.symbol === '' ||
    typeof position.quantity !== 'number' ||
    !Number.isFinite(position.quantity) ||
    isBad(position.price, true) ||
    isBad(position.priceTimeMs, false) ||
    instrumentProblem(position) !== ''
  );
}

/** Why a portfolio is unusable; exits pass all the same. */
export function portfolioProblem(portfolio: Portfolio): string {
  if (typeof portfolio !== 'object' || portfolio === null) return 'PORTFOLIO_INVALID';
  if (isBad(portfolio.equity, false)) return 'EQUITY_INVALID';
  if (isBad(portfolio.marginUsed, false)) return 'MARGIN_INVALID';
  if (!Array.isArray(portfolio.positions)) return 'PORTFOLIO_INVALID';
  for (let index = 0; index < portfolio.positions.length; index += 1) {
    if (isBadPosition(portfolio.positions[index])) return 'POSITION_INVALID';
  }
  const pending: unknown = portfolio.pending;
  if (pending == null) return '';
  if (!Array.isArray(pending)) return 'PENDING_INVALID';
  for (const order of pending as LimitOrder[]) {
    if (orderProblem(order) !== '' || detailProblem(order) !== '') return 'PENDING_INVALID';
  }
  return '';
}

/** Net quantity held in a symbol; rows that cannot be read count as nothing. */
export function heldQuantity(portfolio: Portfolio, symbol: string): number {
  const positions: unknown = portfolio?.positions;
  if (!Array.isArray(positions)) return 0;
  let held = 0;
  for (const position of positions as Position[]) {
    if (position?.symbol === symbol && Number.isFinite(position.quantity)) held += position.quantity;
  }
  return held;
}

/** An order in its two parts: what reduces the position and passes always, and what adds to it and is checked. */
export interface OrderParts {
  /** Net quantity held before the order, signed. */
  readonly held: number;
  /** Quantity that reduces the position, ≥ 0. */
  readonly reducing: number;
  /** Quantity that opens or adds, ≥ 0. */
  readonly adding: number;
}

/**
 * Splits an order by the position that it meets. A reduce-only order only reduces, whatever the position. Other orders that
 * are pending do not change the split: a stop and a target may both be as large as the position.
 */
export function splitOrder(held: number, order: LimitOrder): OrderParts {
  const { quantity } = order;
  if (order.reduceOnly === true) return { held, reducing: quantity, adding: 0 };
  const opposite = order.side === 'buy' ? -held : held;
  if (opposite <= 0) return { held, reducing: 0, adding: quantity };
  if (quantity <= opposite) return { held, reducing: quantity, adding: 0 };
  return { held, reducing: opposite, adding: quantity - opposite };
}
