/** Positions and open orders as the trail has them, compared with what the venue says: each difference is an event. */
import { type CatalogEvent, catalogEvent } from '../catalog/events.ts';
import { type CheckMap, list, number, oneOf, positive, readOptions, record, string } from '../core/options.ts';
import type { OpenOrder, OpenOrders } from '../risk/open-orders.ts';
import { failureInfo } from './failure-info.ts';
import type { TrailHost } from './host.ts';
import { type TradingGate, VENUE_SOURCE } from './trading-gate.ts';

/** A position as ccxt gives it; what is of another type is passed over. */
export interface VenuePosition {
  readonly symbol?: unknown;
  /** Unsigned where `side` says the direction, else signed. */
  readonly contracts?: unknown;
  readonly side?: unknown;
}

/** An order as ccxt gives it. */
export interface VenueOrder {
  readonly id?: unknown;
  readonly clientOrderId?: unknown;
  readonly symbol?: unknown;
  readonly side?: unknown;
  readonly amount?: unknown;
  readonly filled?: unknown;
  readonly remaining?: unknown;
}

/** What is asked of an exchange; an instance of a ccxt class has it. A method that is missing is not asked. */
export interface VenueExchange {
  readonly id?: unknown;
  readonly has?: object | undefined;
  fetchPositions?(symbols?: string[]): Promise<readonly VenuePosition[]>;
  fetchOpenOrders?(symbol?: string): Promise<readonly VenueOrder[]>;
  fetchBalance?(): Promise<object>;
}

export interface VenueReconcileOptions {
  /** Symbols to ask for; some venues list the open orders of one symbol at a time only. @default all */
  readonly symbols?: readonly string[] | undefined;
  /**
   * Signed positions by symbol as the service knows them; a symbol that is missing is flat.
   * @default the fills that limits with `scope: 'account'` were told of; without such limits positions are not compared
   */
  readonly positions?: Readonly<Record<string, number>> | undefined;
  /** Share of a quantity by which two are still the same. @default 1e-9 */
  readonly tolerance?: number | undefined;
  /** What a difference brings about. @default 'report' */
  readonly onDifference?: 'report' | 'halt' | undefined;
  /** What it brings about that the exchange could not be asked. @default 'report' */
  readonly onError?: 'report' | 'halt' | undefined;
  /** How long each question may take, milliseconds. @default 30_000 */
  readonly timeoutMs?: number | undefined;
}

/** What differs, each as the trail has it against what the venue says. */
export type VenueDifferenceKind =
  /** The trail has a position, the venue none; the other way round; or another quantity. */
  | 'position_missing'
  | 'position_unknown'
  | 'position_quantity'
  /** The trail has an open order that the venue does not list; the other way round; or another quantity is left of it. */
  | 'order_missing'
  | 'order_unknown'
  | 'order_quantity';

export interface VenueDifference {
  readonly kind: VenueDifferenceKind;
  readonly symbol?: string;
  readonly orderId?: string;
  readonly clientOrderId?: string;
  /** Signed position, or what is left of the order. */
  readonly expected?: number;
  readonly found?: number;
  /** What the trail has of an order: an `intent` that the venue does not list was never sent, or is at its end there. */
  readonly status?: OpenOrder['status'];
  /** Record id of the difference's event. */
  readonly recordId?: string;
}

export interface VenueReport {
  /** Every question that the exchange has was answered. */
  readonly complete: boolean;
  /** What was compared: `positions`, `orders`. */
  readonly compared: readonly string[];
  readonly differences: readonly VenueDifference[];
  /** What could not be asked, and why. */
  readonly failures: readonly { readonly operation: string; readonly message: string }[];
}

type Host = Pick<TrailHost, 'emit' | 'report'> & { readonly gate: Pick<TradingGate, 'demand'> };

/** What the trail has. */
export interface TrailHoldings {
  readonly openOrders: OpenOrders;
  /** Undefined where nothing is known of them. */
  readonly positions: ReadonlyMap<string, number> | undefined;
  /** Ids of orders of other processes of the account. */
  readonly othersOrders?: ReadonlySet<string> | undefined;
  readonly options: VenueReconcileOptions | undefined;
}

const CHECKS: CheckMap<VenueReconcileOptions> = {
  symbols: list(string()),
  positions: record(number(), 'finite quantities by symbol'),
  tolerance: positive(),
  onDifference: oneOf(['report', 'halt']),
  onError: oneOf(['report', 'halt']),
  timeoutMs: positive(),
};

/** Compares. Never rejects: wrong options and whatever the exchange throws are recorded. */
export async function reconcileVenue(
  host: Host,
  exchange: VenueExchange,
  holdings: TrailHoldings,
): Promise<VenueReport> {
  try {
    return await new Reconciliation(host, exchange, holdings).run();
  } catch (error) {
    host.report(error, 'reconcile');
    const message = error instanceof Error ? error.message : String(error);
    return { complete: false, compared: [], differences: [], failures: [{ operation: 'reconcile', message }] };
  }
}

class Reconciliation {
  readonly #host: Host;
  readonly #exchange: VenueExchange;
  readonly #holdings: TrailHoldings;
  readonly #options: VenueReconcileOptions & { readonly tolerance: number; readonly timeoutMs: number };
  readonly #venue: string | undefined;
  readonly #differences: VenueDifference[] = [];
  readonly #failures: { operation: string; message: string; recordId: string | undefined }[] = [];
  readonly #compared: string[] = [];

  constructor(host: Host, exchange: VenueExchange, holdings: TrailHoldings) {
    this.#host = host;
    this.#exchange = exchange;
    this.#holdings = holdings;
    const keys = Object.keys(CHECKS) as (keyof VenueReconcileOptions)[];
    const given = readOptions<VenueReconcileOptions>('reconcile', holdings.options ?? {}, CHECKS, {}, keys);
    this.#options = { ...given, tolerance: given.tolerance ?? 1e-9, timeoutMs: given.timeoutMs ?? 30_000 };
    this.#venue = typeof exchange?.id === 'string' ? exchange.id : undefined;
  }

  async run(): Promise<VenueReport> {
    const { symbols } = this.#options;
    const [positions, orders] = await Promise.all([
      this.#ask('fetchPositions', (one) => one.fetchPositions?.(symbols === undefined ? undefined : [...symbols])),
      this.#askOrders(symbols),
      this.#askBalance(),
    ]);
    if (Array.isArray(positions)) this.#comparePositions(positions);
    if (orders !== undefined) this.#compareOrders(orders);
    this.#conclude();
    return {
      complete: this.#failures.length === 0,
      compared: this.#compared,
      differences: this.#differences,
      failures: this.#failures.map(({ operation, message }) => ({ operation, message })),
    };
  }

  /** @returns undefined where the exchange has no such method, or it failed */
  async #ask<T>(
    operation: 'fetchPositions' | 'fetchOpenOrders' | 'fetchBalance',
    call: (exchange: VenueExchange) => Promise<T> | undefined,
  ): Promise<T | undefined> {
    let timer: NodeJS.Timeout | undefined;
    try {
      const has = this.#exchange.has as Readonly<Record<string, unknown>> | undefined;
      if (typeof this.#exchange[operation] !== 'function' || has?.[operation] === false) return undefined;
      const { timeoutMs } = this.#options;
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
      });
      return await Promise.race([call(this.#exchange), late]);
    } catch (error) {
      this.#fail(operation, error);
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }

  async #askOrders(symbols: readonly string[] | undefined): Promise<readonly VenueOrder[] | undefined> {
    if (symbols === undefined) return this.#ask('fetchOpenOrders', (one) => one.fetchOpenOrders?.());
    const all: VenueOrder[] = [];
    for (const symbol of symbols) {
      const some = await this.#ask('fetchOpenOrders', (one) => one.fetchOpenOrders?.(symbol));
      if (!Array.isArray(some)) return undefined;
      all.push(...some);
    }
    return all;
  }

  async #askBalance(): Promise<void> {
    const balance = await this.#ask('fetchBalance', (one) => one.fetchBalance?.());
    const total = (balance as { total?: unknown } | undefined)?.total;
    if (typeof total !== 'object' || total === null) return;
    for (const [currency, amount] of Object.entries(total)) {
      if (typeof amount !== 'number' || amount === 0) continue;
      const attributes = { 'trading.balance': amount, 'trading.currency': currency, ...this.#at() };
      this.#host.emit(catalogEvent('account.balance_query', attributes));
    }
  }

  #at(): { 'trading.venue'?: string } {
    return this.#venue === undefined ? {} : { 'trading.venue': this.#venue };
  }

  #fail(operation: string, error: unknown): void {
    const info = failureInfo(error);
    const message = info?.message ?? String(error);
    const recordId = this.#host.emit(
      catalogEvent('risk.reconciliation.failed', {
        operation,
        'error.message': message,
        ...(info?.type === undefined ? {} : { 'error.type': info.type }),
        ...this.#at(),
      }),
    );
    this.#failures.push({ operation, message, recordId });
  }

  #isSame(one: number, other: number): boolean {
    return Math.abs(one - other) <= this.#options.tolerance * Math.max(1, Math.abs(one), Math.abs(other));
  }

  #comparePositions(listed: readonly VenuePosition[]): void {
    const given = this.#options.positions;
    const expected = given === undefined ? this.#holdings.positions : new Map(Object.entries(given));
    if (expected === undefined) return;
    this.#compared.push('positions');
    const found = new Map<string, number>();
    for (const position of listed) {
      const { symbol, contracts, side } = position ?? {};
      if (typeof symbol !== 'string' || typeof contracts !== 'number' || !Number.isFinite(contracts)) continue;
      found.set(symbol, (found.get(symbol) ?? 0) + (side === 'short' ? -Math.abs(contracts) : contracts));
    }
    const { symbols } = this.#options;
    for (const symbol of new Set([...expected.keys(), ...found.keys()])) {
      if (symbols !== undefined && !symbols.includes(symbol)) continue;
      const [ours, theirs] = [expected.get(symbol) ?? 0, found.get(symbol) ?? 0];
      if (this.#isSame(ours, theirs)) continue;
      const kind = theirs === 0 ? 'position_missing' : ours === 0 ? 'position_unknown' : 'position_quantity';
      this.#differ({ kind, symbol, expected: ours, found: theirs });
    }
  }

  #compareOrders(listed: readonly VenueOrder[]): void {
    this.#compared.push('orders');
    const { openOrders, othersOrders } = this.#holdings;
    const { symbols } = this.#options;
    const matched = new Set<VenueOrder>();
    for (const ours of openOrders) {
      if (symbols !== undefined && ours.symbol !== undefined && !symbols.includes(ours.symbol)) continue;
      const theirs = listed.find((one) => isSameOrder(ours, one));
      const left = Number(ours.quantity ?? Number.NaN) - ours.filled;
      const what = { ...idsOf(ours), status: ours.status, ...(Number.isFinite(left) ? { expected: left } : {}) };
      if (theirs === undefined) {
        this.#differ({ kind: 'order_missing', ...what });
        continue;
      }
      matched.add(theirs);
      const remaining = remainingOf(theirs);
      if (remaining === undefined || !Number.isFinite(left) || this.#isSame(left, remaining)) continue;
      this.#differ({ kind: 'order_quantity', ...what, found: remaining });
    }
    for (const theirs of listed) {
      const { id, clientOrderId, symbol } = theirs ?? {};
      if (matched.has(theirs) || othersOrders?.has(String(id)) || othersOrders?.has(String(clientOrderId))) continue;
      const remaining = remainingOf(theirs);
      this.#differ({
        kind: 'order_unknown',
        ...(typeof symbol === 'string' ? { symbol } : {}),
        ...(typeof id === 'string' ? { orderId: id } : {}),
        ...(typeof clientOrderId === 'string' ? { clientOrderId } : {}),
        ...(remaining === undefined ? {} : { found: remaining }),
      });
    }
  }

  #differ(difference: Omit<VenueDifference, 'recordId'>): void {
    const { kind, symbol, orderId, clientOrderId, expected, found, status } = difference;
    const recordId = this.#host.emit(
      catalogEvent('risk.reconciliation.difference', {
        'risk.reconciliation.kind': kind,
        ...(symbol === undefined ? {} : { 'trading.symbol': symbol }),
        ...(orderId === undefined ? {} : { 'trading.order.id': orderId }),
        ...(clientOrderId === undefined ? {} : { 'trading.order.client_id': clientOrderId }),
        ...(status === undefined ? {} : { 'trading.order.status': status }),
        ...(expected === undefined ? {} : { 'risk.reconciliation.expected': expected }),
        ...(found === undefined ? {} : { 'risk.reconciliation.found': found }),
        ...this.#at(),
      }),
    );
    this.#differences.push(recordId === undefined ? difference : { ...difference, recordId });
  }

  #conclude(): void {
    const { onDifference, onError } = this.#options;
    const completed: CatalogEvent = catalogEvent('risk.reconciliation.completed', {
      'risk.reconciliation.differences': this.#differences.length,
      'risk.reconciliation.compared': this.#compared,
      'risk.reconciliation.complete': this.#failures.length === 0,
      ...this.#at(),
    });
    const recordId = this.#host.emit(completed);
    const venue = this.#venue ?? 'the venue';
    const [difference] = this.#differences;
    const [failure] = this.#failures;
    const cause =
      difference !== undefined && onDifference === 'halt'
        ? { recordId: difference.recordId, event: 'risk.reconciliation.difference', code: 'VENUE_DIFFERS' }
        : failure !== undefined && onError === 'halt'
          ? { recordId: failure.recordId, event: 'risk.reconciliation.failed', code: 'VENUE_NOT_ASKED' }
          : undefined;
    if (cause === undefined && (difference !== undefined || failure !== undefined)) return;
    const reason =
      cause === undefined
        ? `${venue} holds what the trail holds`
        : cause.code === 'VENUE_DIFFERS'
          ? `${venue} holds something else than the trail: ${this.#differences.length} differences`
          : `${venue} could not be asked: ${failure?.message ?? ''}`;
    const causeRecordId = cause === undefined ? recordId : cause.recordId;
    this.#host.gate.demand({
      ...{ source: VENUE_SOURCE, state: cause === undefined ? 'ACTIVE' : 'HALTED', actor: VENUE_SOURCE, reason },
      ...(cause === undefined ? {} : { reasonCode: cause.code }),
      ...(causeRecordId === undefined ? {} : { causeRecordId }),
      causeEvent: cause?.event ?? completed.name,
    });
  }
}

/** Whether the venue's order is that of the trail, by either id. */
export const isSameOrder = (ours: Pick<OpenOrder, 'orderId' | 'clientOrderId'>, theirs: VenueOrder): boolean =>
  (ours.orderId !== undefined && ours.orderId === theirs?.id) ||
  (ours.clientOrderId !== undefined && ours.clientOrderId === theirs?.clientOrderId);

function idsOf({
  symbol,
  orderId,
  clientOrderId,
}: OpenOrder): Pick<VenueDifference, 'symbol' | 'orderId' | 'clientOrderId'> {
  return {
    ...(symbol === undefined ? {} : { symbol }),
    ...(orderId === undefined ? {} : { orderId }),
    ...(clientOrderId === undefined ? {} : { clientOrderId }),
  };
}

/** What is left of an order at the venue. */
export function remainingOf(order: VenueOrder): number | undefined {
  const { remaining, amount, filled } = order ?? {};
  if (typeof remaining === 'number') return remaining;
  return typeof amount === 'number' ? amount - (typeof filled === 'number' ? filled : 0) : undefined;
}
