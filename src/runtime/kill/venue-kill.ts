/**
 * Cancels every open order of an exchange, and by choice closes its positions. What the venue lists counts, not what it
 * answered to a cancel: after each round it is asked again, so that an order that was on its way is found, a cancel without an
 * answer is settled, and the end is the venue's own word that nothing is left.
 */
import { type CatalogEvent, catalogEvent } from '../../catalog/events.ts';
import type { OpenOrder } from '../../risk/open-orders.ts';
import type { VenuePosition } from '../venue-reconcile.ts';
import { FlattenOrders } from './flatten.ts';
import type {
  FlattenedPosition,
  KillExchange,
  KilledOrder,
  KillReport,
  KillTerms,
  KillVenueOrder,
} from './kill-types.ts';
import { callVenue, pauseBefore, type VenueAnswer } from './venue-calls.ts';

/** What the kill switch needs of its trail. */
export interface KillHost {
  /** Records an event; never throws. */
  emit(event: CatalogEvent): string | undefined;
  openOrders(): readonly OpenOrder[];
  /** Records an intent, on disk where the settings ask for it, and then acts. */
  writeAhead<T>(
    name: 'order.intent',
    attributes: Readonly<Record<string, unknown>>,
    act: (ahead: { readonly recordId: string | undefined }) => Promise<T>,
  ): Promise<T>;
}

/** Who kills, and why. */
export interface KillCause {
  readonly actor: string;
  readonly reason: string;
  readonly scope: string;
  /** Record id of the event that began it. */
  readonly recordId: string | undefined;
  readonly event: string;
}

/** The terms with every default. */
export interface KillSetting extends KillTerms {
  readonly flatten: boolean;
  readonly timeoutMs: number;
  readonly attempts: number;
  readonly backoffMs: number;
}

/** Instrumented exchanges tell of their orders by themselves. */
const INSTRUMENTED = Symbol.for('risktrail.ccxt.patched');

interface Order {
  readonly orderId: string | undefined;
  readonly clientOrderId: string | undefined;
  readonly symbol: string | undefined;
  outcome: KilledOrder['outcome'] | undefined;
  attempts: number;
  error: string | undefined;
  /** Lists in a row that did not have it. */
  missed: number;
}

const textOf = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);
const isList = (value: unknown): value is readonly KillVenueOrder[] => Array.isArray(value);

export class VenueKill {
  readonly #host: KillHost;
  readonly #exchange: KillExchange;
  readonly #cause: KillCause;
  readonly #terms: KillSetting;
  readonly #venue: string | undefined;
  readonly #tells: boolean;
  readonly #orders: Order[] = [];
  readonly #failures = new Map<string, string>();

  constructor(host: KillHost, exchange: KillExchange, cause: KillCause, terms: KillSetting) {
    this.#host = host;
    this.#exchange = exchange;
    this.#cause = cause;
    this.#terms = terms;
    this.#venue = textOf(exchange.id);
    this.#tells = INSTRUMENTED in exchange;
  }

  async run(): Promise<KillReport> {
    const listed = await this.#cancelAll();
    const { positions, left } = await this.#flatten();
    // Closing a position may have taken a while; what came in meanwhile is to be found, too.
    const open = this.#terms.flatten && listed !== undefined ? await this.#listOpen() : listed;
    return this.#conclude(open, positions, left);
  }

  /** @returns what the venue lists at the end; undefined where it could not be asked */
  async #cancelAll(): Promise<readonly KillVenueOrder[] | undefined> {
    for (const one of this.#host.openOrders()) this.#take(one.orderId, one.clientOrderId, one.symbol);
    let open: readonly KillVenueOrder[] | undefined;
    for (let attempt = 1; attempt <= this.#terms.attempts; attempt++) {
      await pauseBefore(attempt, this.#terms.backoffMs);
      open = await this.#listOpen();
      if (open !== undefined) this.#compare(open);
      const due = this.#due(open);
      if (open !== undefined && due.length === 0 && this.#orders.every(({ outcome }) => outcome !== undefined))
        return open;
      await Promise.all(due.map((order) => this.#cancel(order)));
      // A venue that can't list its orders has said what it can say.
      if (!this.#has('fetchOpenOrders') && this.#orders.every(({ outcome }) => outcome === 'succeeded'))
        return undefined;
    }
    open = await this.#listOpen();
    if (open !== undefined) this.#compare(open);
    return open;
  }

  #take(orderId: string | undefined, clientOrderId: string | undefined, symbol: string | undefined): Order {
    const known = this.#orders.find(
      (one) =>
        (orderId !== undefined && one.orderId === orderId) ||
        (clientOrderId !== undefined && one.clientOrderId === clientOrderId),
    );
    if (known !== undefined && (known.orderId !== undefined || orderId === undefined)) return known;
    const order: Order = {
      ...{ orderId, clientOrderId: clientOrderId ?? known?.clientOrderId, symbol: symbol ?? known?.symbol },
      ...{ outcome: undefined, attempts: 0, error: undefined, missed: 0 },
    };
    if (known === undefined) this.#orders.push(order);
    else this.#orders[this.#orders.indexOf(known)] = order;
    return order;
  }

  /** What the venue lists is open; what it doesn't list twice is not. */
  #compare(open: readonly KillVenueOrder[]): void {
    const listed = new Set<Order>();
    for (const one of open) {
      const order = this.#take(textOf(one?.id), textOf(one?.clientOrderId), textOf(one?.symbol));
      listed.add(order);
      order.missed = 0;
      if (order.outcome === 'succeeded') order.outcome = undefined;
    }
    for (const order of this.#orders) {
      if (listed.has(order)) continue;
      order.missed++;
      if (order.outcome === 'succeeded') continue;
      // One whose send may still be on its way, or that a list lags behind, is looked for once more.
      if (order.attempts > 0 || order.missed > 1) this.#gone(order);
    }
  }

  #gone(order: Order): void {
    order.outcome = 'succeeded';
    order.error = undefined;
    this.#tell(order, 'not_open');
  }

  /** Orders that are to be cancelled in this round. */
  #due(open: readonly KillVenueOrder[] | undefined): readonly Order[] {
    const isOpen = (order: Order) =>
      open === undefined ||
      open.some(
        (one) =>
          one?.id === order.orderId || (order.orderId === undefined && one?.clientOrderId === order.clientOrderId),
      );
    return this.#orders.filter(
      (order) => order.outcome !== 'succeeded' && order.orderId !== undefined && isOpen(order),
    );
  }

  async #cancel(order: Order): Promise<void> {
    order.attempts++;
    if (typeof this.#exchange.cancelOrder !== 'function') {
      Object.assign(order, { outcome: 'failed', error: 'the exchange has no cancelOrder' });
      this.#tell(order);
      return;
    }
    const { orderId, symbol } = order;
    const answer = await callVenue(() => this.#exchange.cancelOrder?.(orderId!, symbol), this.#terms.timeoutMs);
    const gone = answer.outcome !== 'succeeded' && answer.missing;
    order.outcome = gone ? 'succeeded' : answer.outcome;
    order.error = answer.outcome === 'succeeded' || gone ? undefined : answer.message;
    this.#tell(order, gone ? 'not_open' : undefined, answer);
    if (answer.outcome === 'succeeded') this.#cancelled(order);
  }

  /** The trail's own list of open orders must not keep one that was cancelled by an exchange that nobody else tells of. */
  #cancelled({ orderId, clientOrderId, symbol }: Order): void {
    if (this.#tells) return;
    const isSame = (one: OpenOrder) => one.orderId === orderId;
    if (!this.#host.openOrders().some(isSame)) return;
    this.#host.emit(
      catalogEvent('order.cancelled', {
        'trading.order.id': orderId!,
        ...(clientOrderId === undefined ? {} : { 'trading.order.client_id': clientOrderId }),
        ...(symbol === undefined ? {} : { 'trading.symbol': symbol }),
        ...this.#at(),
        ...this.#because(),
      }),
    );
  }

  #tell(order: Order, status?: string, answer?: VenueAnswer<unknown>): void {
    const { orderId, clientOrderId, symbol, outcome, error, attempts } = order;
    this.#host.emit(
      catalogEvent('risk.kill_switch', {
        ...this.#who(),
        'risk.action': 'cancel',
        ...(orderId === undefined ? {} : { 'trading.order.id': orderId }),
        ...(clientOrderId === undefined ? {} : { 'trading.order.client_id': clientOrderId }),
        ...(symbol === undefined ? {} : { 'trading.symbol': symbol }),
        ...(status === undefined ? {} : { 'trading.order.status': status }),
        'risk.outcome': outcome ?? 'unknown',
        'retry.count': Math.max(0, attempts - 1),
        ...(error === undefined ? {} : { 'error.message': error }),
        ...(answer === undefined || answer.outcome === 'succeeded' || answer.type === undefined
          ? {}
          : { 'error.type': answer.type }),
      }),
    );
  }

  #at(): { 'trading.venue'?: string } {
    return this.#venue === undefined ? {} : { 'trading.venue': this.#venue };
  }

  #because(): { 'risk.cause.record_id'?: string; 'risk.cause.event'?: string } {
    const { recordId, event } = this.#cause;
    return recordId === undefined ? {} : { 'risk.cause.record_id': recordId, 'risk.cause.event': event };
  }

  #who() {
    const { actor, reason, scope } = this.#cause;
    return { 'risk.actor': actor, 'risk.reason': reason, 'risk.scope': scope, ...this.#at(), ...this.#because() };
  }

  #has(operation: keyof KillExchange): boolean {
    const has = this.#exchange.has as Readonly<Record<string, unknown>> | undefined;
    return typeof this.#exchange[operation] === 'function' && has?.[operation] !== false;
  }

  #remember<T>(operation: string, answer: VenueAnswer<T>): T | undefined {
    if (answer.outcome === 'succeeded') {
      this.#failures.delete(operation);
      return answer.value;
    }
    this.#failures.set(operation, answer.message);
    return undefined;
  }

  /** Every open order at the venue; undefined where it has not said. */
  async #listOpen(): Promise<readonly KillVenueOrder[] | undefined> {
    if (!this.#has('fetchOpenOrders')) {
      this.#failures.set('fetchOpenOrders', 'the exchange cannot list its open orders');
      return undefined;
    }
    const { symbols, timeoutMs } = this.#terms;
    if (symbols !== undefined) return this.#listEach(symbols);
    const answer = await callVenue(() => this.#exchange.fetchOpenOrders?.(), timeoutMs);
    if (answer.outcome !== 'succeeded' && answer.needsSymbol) {
      const known = [...new Set(this.#orders.flatMap(({ symbol }) => symbol ?? []))];
      if (known.length > 0) return this.#listEach(known);
    }
    const list = this.#remember('fetchOpenOrders', answer);
    return isList(list) ? list : undefined;
  }

  async #listEach(symbols: readonly string[]): Promise<readonly KillVenueOrder[] | undefined> {
    const all: KillVenueOrder[] = [];
    for (const symbol of symbols) {
      const answer = await callVenue(() => this.#exchange.fetchOpenOrders?.(symbol), this.#terms.timeoutMs);
      const some = this.#remember('fetchOpenOrders', answer);
      if (!isList(some)) return undefined;
      all.push(...some);
    }
    return all;
  }

  async #flatten(): Promise<{
    positions: readonly FlattenedPosition[];
    left: Readonly<Record<string, number>> | undefined;
  }> {
    if (!this.#terms.flatten) return { positions: [], left: {} };
    if (!this.#has('fetchPositions') || !this.#has('createOrder')) {
      this.#failures.set('flatten', 'the exchange cannot list positions or create orders: nothing was flattened');
      return { positions: [], left: undefined };
    }
    const flatten = new FlattenOrders({
      host: this.#host,
      exchange: this.#exchange,
      terms: this.#terms,
      tells: this.#tells,
      who: this.#who(),
      canList: (operation) => this.#has(operation),
      listPositions: async () => {
        const { symbols, timeoutMs } = this.#terms;
        const call = () => this.#exchange.fetchPositions?.(symbols === undefined ? undefined : [...symbols]);
        const list = this.#remember('fetchPositions', await callVenue(call, timeoutMs));
        return Array.isArray(list) ? (list as readonly VenuePosition[]) : undefined;
      },
    });
    return flatten.run();
  }

  #conclude(
    open: readonly KillVenueOrder[] | undefined,
    positions: readonly FlattenedPosition[],
    held: Readonly<Record<string, number>> | undefined,
  ): KillReport {
    const name = ({ orderId, clientOrderId }: Order) => orderId ?? clientOrderId ?? 'an order without an id';
    const unsettled = this.#orders.filter(({ outcome }) => outcome !== 'succeeded').map(name);
    const listed = (open ?? []).map((one) => textOf(one?.id) ?? textOf(one?.clientOrderId) ?? 'an order without an id');
    const orders = [...new Set([...unsettled, ...listed])];
    const isEmpty = orders.length === 0 && Object.keys(held ?? {}).length === 0;
    const asked = open !== undefined && held !== undefined;
    const failures = [...this.#failures].map(([operation, message]) => ({ operation, message }));
    this.#host.emit(
      catalogEvent('risk.kill_switch', {
        ...this.#who(),
        'risk.action': 'report',
        'risk.outcome': isEmpty ? (asked ? 'succeeded' : 'unknown') : 'failed',
        ...(orders.length === 0 ? {} : { 'trading.order.ids': orders }),
        ...(failures.length === 0
          ? {}
          : { 'error.message': failures.map((one) => `${one.operation}: ${one.message}`).join('; ') }),
        metadata: { orders: this.#orders.length, positions: positions.length, positions_left: { ...held } },
      }),
    );
    return {
      ...(this.#venue === undefined ? {} : { venue: this.#venue }),
      complete: isEmpty && asked,
      orders: this.#orders.map(({ orderId, clientOrderId, symbol, outcome, attempts, error }) => ({
        ...(orderId === undefined ? {} : { orderId }),
        ...(clientOrderId === undefined ? {} : { clientOrderId }),
        ...(symbol === undefined ? {} : { symbol }),
        outcome: outcome ?? 'unknown',
        attempts,
        ...(error === undefined ? {} : { error }),
      })),
      positions,
      left: { orders, positions: held ?? {} },
      failures,
    };
  }
}
