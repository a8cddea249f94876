/** What the limits remember between checks, and every way in which it changes. */
import { nextTimeOfDay } from '../circuit-breaker/schedule.ts';
import type { PortfolioLimitsOptions, RateLimit } from './options.ts';
import type { Instrument, LimitOrder } from './portfolio.ts';
import { RecentList } from './recent-list.ts';

/** An order that was sent, as the limits on like orders compare it. */
export interface SentOrder {
  /** Epoch milliseconds. */
  readonly atMs: number;
  readonly symbol: string;
  readonly side: 'buy' | 'sell';
  /** As asked for, before any cap. */
  readonly quantity: number;
  readonly price: number | null;
  readonly clientOrderId: string | null;
}

/** A pending order as the limits keep it. */
export type PendingOrder = Pick<
  LimitOrder,
  'symbol' | 'side' | 'quantity' | 'price' | 'referencePrice' | 'orderId' | 'clientOrderId' | 'reduceOnly'
> &
  Instrument;

/** What the limits remember. Its lists write themselves as arrays; {@link limitsSnapshot} gives it as plain data. */
export interface LimitsState {
  readonly version: 1;
  /** The options in force, checked and complete. */
  readonly config: Readonly<PortfolioLimitsOptions>;
  /** Times of the orders that passed, epoch milliseconds, as far as the window of the order rate reaches, at most one more than it allows. */
  readonly orderTimes: RecentList<number>;
  /** Times of the messages sent, as far as the window of the message rate reaches, at most one more than it allows. */
  readonly messageTimes: RecentList<number>;
  /** Orders that passed, as far as the windows on like orders reach, at most {@link MAX_REMEMBERED_ORDERS}. */
  readonly sent: RecentList<SentOrder>;
  /** Pending orders by id. */
  readonly pending: Readonly<Record<string, PendingOrder>>;
  readonly day: {
    /** When the next day starts, epoch milliseconds. */
    readonly resetMs: number;
    /** Realised profit (+) or loss (−) since the day's start. */
    readonly pnl: number;
    /** The day's loss limit was passed. */
    readonly breached: boolean;
  };
  /** Highest equity seen; null before the first. */
  readonly peakEquity: number | null;
  readonly drawdownBreached: boolean;
}

/** The state as plain data: what a snapshot event holds. */
export type LimitsSnapshot = Omit<LimitsState, 'orderTimes' | 'messageTimes' | 'sent'> & {
  readonly orderTimes: readonly number[];
  readonly messageTimes: readonly number[];
  readonly sent: readonly SentOrder[];
};

/** Of orders within the windows on like orders, so many of the newest are compared. */
export const MAX_REMEMBERED_ORDERS = 1000;

/** One change of the state, complete in itself: what an event holds of it, and what a fold applies again. */
export type LimitsChange =
  /** An order passed its check: it counts as one order and one message. */
  | ({ readonly type: 'order_sent' } & SentOrder)
  | { readonly type: 'message_sent'; readonly atMs: number; readonly count: number }
  | { readonly type: 'order_placed'; readonly order: PendingOrder }
  | { readonly type: 'order_done'; readonly orderId: string }
  | { readonly type: 'fill'; readonly orderId: string | null; readonly quantity: number; readonly pnl: number }
  | { readonly type: 'pnl'; readonly pnl: number }
  | { readonly type: 'equity'; readonly equity: number }
  /** A new day: nothing lost yet. */
  | { readonly type: 'day_started'; readonly resetMs: number }
  | { readonly type: 'breached'; readonly limit: BreachableLimit; readonly on: boolean }
  /** A person lets drawdown be counted from this equity on. */
  | { readonly type: 'peak_reset'; readonly equity: number | null }
  | { readonly type: 'configured'; readonly config: Readonly<PortfolioLimitsOptions>; readonly resetMs: number };

/** Limits whose breach is an event of its own and acts on the trading gate. */
export type BreachableLimit = 'daily_loss' | 'drawdown';

/** The state before anything happened. @param now epoch milliseconds */
export function initialLimitsState(config: Readonly<PortfolioLimitsOptions>, now: number): LimitsState {
  return {
    version: 1,
    config,
    orderTimes: RecentList.of<number>([]),
    messageTimes: RecentList.of<number>([]),
    sent: RecentList.of<SentOrder>([]),
    pending: {},
    day: { resetMs: nextReset(config, now), pnl: 0, breached: false },
    peakEquity: null,
    drawdownBreached: false,
  };
}

/** When the trading day after `now` starts. */
export const nextReset = (config: PortfolioLimitsOptions, now: number): number =>
  nextTimeOfDay(now, config.dailyLoss?.resetTime ?? '00:00', config.dailyLoss?.timeZone ?? 'UTC');

/** How far back orders are compared; 0 where no limit needs it. */
const likeWindowMs = (config: PortfolioLimitsOptions): number =>
  Math.max(config.duplicateOrder?.windowMs ?? 0, config.repeatedOrder?.windowMs ?? 0);

/** Applies one change. The only way in which the state becomes another; the same state comes back where nothing changed. */
export function applyLimitsChange(state: LimitsState, change: LimitsChange): LimitsState {
  switch (change.type) {
    case 'order_sent':
      return orderSent(state, change);
    case 'message_sent': {
      let times = state.messageTimes;
      const limit = state.config.messageRate;
      if (limit === undefined) return state;
      const count = Math.min(change.count, limit.max + 1);
      for (let index = 0; index < count; index += 1) times = withTime(times, change.atMs, limit);
      return { ...state, messageTimes: times };
    }
    case 'order_placed': {
      const id = pendingId(change.order);
      return id === undefined ? state : { ...state, pending: { ...state.pending, [id]: change.order } };
    }
    case 'order_done': {
      if (!Object.hasOwn(state.pending, change.orderId)) return state;
      const { [change.orderId]: _, ...pending } = state.pending;
      return { ...state, pending };
    }
    case 'fill':
      return addPnl(fill(state, change.orderId, change.quantity), change.pnl);
    case 'pnl':
      return addPnl(state, change.pnl);
    case 'equity': {
      const peak = state.peakEquity;
      return peak !== null && change.equity <= peak ? state : { ...state, peakEquity: change.equity };
    }
    case 'day_started':
      return { ...state, day: { resetMs: change.resetMs, pnl: 0, breached: false } };
    case 'breached':
      return change.limit === 'drawdown'
        ? { ...state, drawdownBreached: change.on }
        : { ...state, day: { ...state.day, breached: change.on } };
    case 'peak_reset':
      return { ...state, peakEquity: change.equity };
    case 'configured':
      return { ...state, config: change.config, day: { ...state.day, resetMs: change.resetMs } };
  }
}

function orderSent(state: LimitsState, order: { readonly type: 'order_sent' } & SentOrder): LimitsState {
  const { config } = state;
  const windowMs = likeWindowMs(config);
  if (windowMs === 0 && config.orderRate === undefined && config.messageRate === undefined) return state;
  let sent = state.sent;
  if (windowMs > 0) {
    const { type: _, ...plain } = order;
    sent = sent
      .dropWhile((one) => one.atMs <= order.atMs - windowMs)
      .newest(MAX_REMEMBERED_ORDERS - 1)
      .with(plain);
  }
  return {
    ...state,
    sent,
    orderTimes: withTime(state.orderTimes, order.atMs, config.orderRate),
    messageTimes: withTime(state.messageTimes, order.atMs, config.messageRate),
  };
}

/** Adds a time, and drops what no decision needs any more: past the window, or more than one past the limit. */
function withTime(times: RecentList<number>, atMs: number, limit: RateLimit | undefined): RecentList<number> {
  if (limit === undefined) return times;
  const windowMs = limit.windowMs ?? 1000;
  return times
    .dropWhile((one) => one <= atMs - windowMs)
    .newest(limit.max)
    .with(atMs);
}

function addPnl(state: LimitsState, pnl: number): LimitsState {
  if (pnl === 0) return state;
  // JSON has no infinity: a sum that overflows stays at the largest number.
  const sum = Math.max(-Number.MAX_VALUE, Math.min(Number.MAX_VALUE, state.day.pnl + pnl));
  return { ...state, day: { ...state.day, pnl: sum } };
}

function fill(state: LimitsState, orderId: string | null, quantity: number): LimitsState {
  const order = orderId !== null && Object.hasOwn(state.pending, orderId) ? state.pending[orderId] : undefined;
  if (order === undefined || orderId === null || quantity === 0) return state;
  const left = order.quantity - quantity;
  // Sums of decimal fills miss the order's quantity by rounding: that much is no order.
  if (left <= order.quantity * 1e-9) return applyLimitsChange(state, { type: 'order_done', orderId });
  return { ...state, pending: { ...state.pending, [orderId]: { ...order, quantity: left } } };
}

type OrderIds = Pick<LimitOrder, 'orderId' | 'clientOrderId'>;

/** Whether two orders are one, by either of their ids. */
export const isSameOrder = (one: OrderIds, other: OrderIds): boolean =>
  (one.orderId != null && one.orderId === other.orderId) ||
  (one.clientOrderId != null && one.clientOrderId === other.clientOrderId);

/** The id under which a pending order is kept: the venue's, else the caller's own. */
export const pendingId = (order: OrderIds): string | undefined => order.orderId ?? order.clientOrderId ?? undefined;

/** Loss of the day so far, ≥ 0. */
export const dailyLoss = (state: LimitsState): number => Math.max(0, -state.day.pnl);

/** Fall from the peak as a ratio of the peak, ≥ 0; 0 while no positive peak is known. */
export function drawdownRatio(state: LimitsState, equity: number): number {
  const peak = state.peakEquity;
  return peak === null || peak <= 0 ? 0 : Math.min(Number.MAX_VALUE, Math.max(0, (peak - equity) / peak));
}

/** The state as plain data. */
export function limitsSnapshot(state: LimitsState): LimitsSnapshot {
  return {
    ...state,
    orderTimes: state.orderTimes.toJSON(),
    messageTimes: state.messageTimes.toJSON(),
    sent: state.sent.toJSON(),
  };
}

/** The state from a snapshot, such as one read from the trail; `undefined` where it is none. */
export function limitsStateOf(snapshot: unknown): LimitsState | undefined {
  const it = snapshot as LimitsSnapshot | null | undefined;
  if (typeof it !== 'object' || it === null || it.version !== 1) return undefined;
  const isObject = (value: unknown) => typeof value === 'object' && value !== null && !Array.isArray(value);
  const lists = [it.orderTimes, it.messageTimes, it.sent];
  if (!lists.every(Array.isArray) || !isObject(it.config) || !isObject(it.pending) || !isObject(it.day))
    return undefined;
  if (!Number.isFinite(it.day.resetMs) || !Number.isFinite(it.day.pnl)) return undefined;
  return {
    ...it,
    // A map in the trail has no null: an absent member is one.
    peakEquity: it.peakEquity ?? null,
    orderTimes: RecentList.of(it.orderTimes),
    messageTimes: RecentList.of(it.messageTimes),
    sent: RecentList.of(
      it.sent.map((one) => ({ ...one, price: one.price ?? null, clientOrderId: one.clientOrderId ?? null })),
    ),
  };
}
