/** A set of limits that the processes of an account share: the day's result and the exposure are those of all of them. */
import type { Fill } from '../risk/portfolio-limits/inputs.ts';
import type { Instrument, LimitOrder, Portfolio } from '../risk/portfolio-limits/portfolio.ts';
import { isSameOrder, type PendingOrder } from '../risk/portfolio-limits/state.ts';
import { accountPortfolio } from './account-book.ts';
import type { AccountLimits, AccountPosition, AccountState } from './account-state.ts';
import type {
  LimitDecision,
  LimitsAct,
  LimitsInputResult,
  LimitsSnapshot,
  LimitsUpdate,
  PortfolioHealth,
  PortfolioLimits,
} from './portfolio-limits.ts';

export interface SharedLimitsOptions {
  /** The set's name. */
  readonly set: string;
  readonly accountId: string;
  /** The process's own stream. */
  readonly stream: string;
  /** What this stream added before. */
  readonly before: AccountLimits;
  /** What every process adds, this one included. */
  states(): ReadonlyMap<string, AccountState>;
  /** Records what this process adds, now. */
  publish(): void;
  /** The same when the present step is through. */
  publishLater(): void;
}

const INSTRUMENT = [
  'multiplier',
  'delta',
  'gamma',
  'vega',
  'underlying',
  'sector',
  'correlationGroup',
  'marginRate',
] as const;
/** Sums of decimal fills miss nothing by rounding: that much is no position. */
const ROUNDING = 1e-9;

export class SharedLimits implements PortfolioLimits {
  readonly #inner: PortfolioLimits;
  readonly #options: SharedLimitsOptions;
  readonly #positions = new Map<string, AccountPosition>();
  readonly #instruments = new Map<string, Instrument>();
  #pnl: number;
  #resetMs: number;
  /** The orders on their way as they will be once the limits were told. */
  #coming: readonly PendingOrder[] | undefined;

  constructor(inner: PortfolioLimits, options: SharedLimitsOptions) {
    this.#inner = inner;
    this.#options = options;
    this.#pnl = options.before.pnl;
    this.#resetMs = options.before.resetMs;
    for (const one of options.before.positions) this.#positions.set(one.symbol, one);
  }

  /** What this process adds. */
  state(): AccountLimits {
    this.#startDay();
    const pending = this.#coming ?? Object.values(this.#inner.snapshot().pending);
    return { ...this.sums(), pending };
  }

  /** What of it counts for the sums: orders on their way are known to the limits here already. */
  sums(): AccountLimits {
    const { set } = this.#options;
    return { set, resetMs: this.#resetMs, pnl: this.#pnl, positions: [...this.#positions.values()], pending: [] };
  }

  /** The day that the limits are in. */
  day(): LimitsSnapshot['day'] {
    this.#inner.tick();
    return this.#inner.snapshot().day;
  }

  /** Makes the day's result of the limits what it is over all processes. */
  settle(target: number): void {
    const { pnl } = this.day();
    const missing = target - pnl;
    if (Math.abs(missing) > ROUNDING * Math.max(1, Math.abs(target))) this.#inner.recordPnl(missing);
  }

  checkEntry(portfolio: Portfolio, order: LimitOrder): LimitDecision {
    const { accountId } = this.#options;
    const asked = order?.accountId == null && order != null ? { ...order, accountId } : order;
    return this.#inner.checkEntry(this.#whole(portfolio), asked);
  }

  health(portfolio: Portfolio): PortfolioHealth {
    return this.#inner.health(this.#whole(portfolio));
  }

  /** What was lost is told to the others before it is counted here: a process that dies in between has told all that it counted. */
  recordFill(fill: Fill): LimitsInputResult {
    const pnl = fill?.pnl ?? 0;
    if (!(isFiniteNumber(fill?.quantity) && fill.quantity > 0 && isFiniteNumber(pnl)))
      return this.#inner.recordFill(fill);
    const pending = Object.values(this.#inner.snapshot().pending);
    const order = pending.find((one) => isSameOrder(one, fill));
    this.#addPnl(pnl);
    this.#addFill(fill, order);
    const left = order === undefined ? 0 : order.quantity - fill.quantity;
    const rest = order === undefined || left <= ROUNDING * order.quantity ? [] : [{ ...order, quantity: left }];
    return this.#told([...pending.filter((one) => one !== order), ...rest], () => this.#inner.recordFill(fill));
  }

  recordPnl(pnl: number): LimitsInputResult {
    if (isFiniteNumber(pnl) && pnl !== 0) {
      this.#addPnl(pnl);
      this.#options.publish();
    }
    return this.#inner.recordPnl(pnl);
  }

  recordEquity(equity: number): LimitsInputResult {
    return this.#inner.recordEquity(equity);
  }

  orderPlaced(order: LimitOrder): LimitsInputResult {
    const isUsable = isFiniteNumber(order?.quantity) && order.quantity > 0 && typeof order.symbol === 'string';
    if (!isUsable || (order.orderId ?? order.clientOrderId) == null) return this.#inner.orderPlaced(order);
    this.#instruments.set(order.symbol, instrumentOf(order));
    const others = Object.values(this.#inner.snapshot().pending).filter((one) => !isSameOrder(one, order));
    return this.#told([...others, { ...order }], () => this.#inner.orderPlaced(order));
  }

  /** Tells the others what will be on its way, and then the limits here. */
  #told(pending: readonly PendingOrder[], act: () => LimitsInputResult): LimitsInputResult {
    this.#coming = pending;
    this.#options.publish();
    this.#coming = undefined;
    const result = act();
    if (!result.accepted) this.#options.publishLater();
    return result;
  }

  orderDone(orderId: string): LimitsInputResult {
    const result = this.#inner.orderDone(orderId);
    this.#options.publishLater();
    return result;
  }

  messageSent(count?: number): LimitsInputResult {
    return this.#inner.messageSent(count);
  }

  configure(update: LimitsUpdate, act: LimitsAct): void {
    this.#inner.configure(update, act);
    this.#options.publishLater();
  }

  resetPeak(act: LimitsAct & { readonly equity?: number }): LimitsInputResult {
    return this.#inner.resetPeak(act);
  }

  tick(): void {
    this.#inner.tick();
  }

  snapshot(): LimitsSnapshot {
    return this.#inner.snapshot();
  }

  #whole(portfolio: Portfolio): Portfolio {
    const { set, stream } = this.#options;
    return accountPortfolio(portfolio, this.#options.states(), set, stream);
  }

  #startDay(): void {
    const { resetMs } = this.#inner.snapshot().day;
    if (resetMs === this.#resetMs) return;
    this.#resetMs = resetMs;
    this.#pnl = 0;
  }

  #addPnl(pnl: number): void {
    this.#inner.tick();
    this.#startDay();
    this.#pnl += pnl;
  }

  #addFill({ symbol, side, quantity, price }: Fill, order: PendingOrder | undefined): void {
    const what = symbol ?? order?.symbol;
    const way = side ?? order?.side;
    if (what == null || way == null) return;
    const before = this.#positions.get(what);
    const sum = (before?.quantity ?? 0) + (way === 'buy' ? quantity : -quantity);
    if (Math.abs(sum) <= ROUNDING * quantity) {
      this.#positions.delete(what);
      return;
    }
    const paid = price ?? order?.price ?? before?.price;
    this.#positions.set(what, {
      ...before,
      ...this.#instruments.get(what),
      ...{ symbol: what, quantity: sum },
      ...(paid == null ? {} : { price: paid }),
    });
  }
}

const isFiniteNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);

function instrumentOf(order: LimitOrder): Instrument {
  const instrument: Record<string, unknown> = {};
  for (const field of INSTRUMENT) if (order[field] != null) instrument[field] = order[field];
  return instrument;
}
