/**
 * Closes positions by reducing market orders, never twice: an order has its intent in the trail before it is sent; where no
 * answer comes, the venue is asked for it by its client id and for the position, and only when it knows of no such order is the
 * order sent again, under the same client id. A process that was killed in between finds the id in the trail.
 */
import { randomUUID } from 'node:crypto';
import { type CatalogEvent, catalogEvent } from '../../catalog/events.ts';
import type { VenuePosition } from '../venue-reconcile.ts';
import type { FlattenedPosition, KillExchange, KillVenueOrder } from './kill-types.ts';
import { callVenue, pauseBefore } from './venue-calls.ts';
import type { KillHost, KillSetting } from './venue-kill.ts';

/** How the client ids of these orders begin. Letters and digits alone: every venue takes them. */
const PREFIX = 'rtkill';

/** Why no further order is sent. */
const WAITS: { readonly [F in Found]?: string } = {
  working: 'its order is still working',
  unknown: 'the venue cannot say what became of its order',
};

export interface FlattenParts {
  readonly host: KillHost;
  readonly exchange: KillExchange;
  readonly terms: KillSetting;
  /** The exchange tells of its orders by itself. */
  readonly tells: boolean;
  /** Actor, reason, scope, venue and cause, for each event. */
  readonly who: {
    readonly 'risk.actor': string;
    readonly 'risk.reason': string;
    readonly 'risk.scope': string;
    readonly 'trading.venue'?: string;
    readonly 'risk.cause.record_id'?: string;
    readonly 'risk.cause.event'?: string;
  };
  readonly canList: (operation: 'fetchOpenOrders' | 'fetchClosedOrders') => boolean;
  readonly listPositions: () => Promise<readonly VenuePosition[] | undefined>;
}

interface Target {
  readonly symbol: string;
  readonly quantity: number;
  outcome: FlattenedPosition['outcome'] | undefined;
  error: string | undefined;
  readonly ids: string[];
  /** Client id of the last order, unless it was refused: what became of it is asked before another is sent. */
  pending: string | undefined;
  /** The venue's id of it. */
  orderId: string | undefined;
  /** The signed position that it was to close. */
  sent: number | undefined;
}

type Found = 'filled' | 'ended' | 'working' | 'absent' | 'unknown';
const WORKING: readonly unknown[] = ['open', 'new', 'pending'];
const ENDED_BADLY: readonly unknown[] = ['canceled', 'cancelled', 'rejected', 'expired'];

export class FlattenOrders {
  readonly #parts: FlattenParts;
  readonly #targets = new Map<string, Target>();

  constructor(parts: FlattenParts) {
    this.#parts = parts;
  }

  /** @returns `left`: signed positions at the end; undefined where the venue could not be asked */
  async run(): Promise<{
    positions: readonly FlattenedPosition[];
    left: Readonly<Record<string, number>> | undefined;
  }> {
    const { attempts, backoffMs } = this.#parts.terms;
    let held = await this.#held();
    for (let attempt = 1; attempt <= attempts && held !== undefined && held.size > 0; attempt++) {
      await Promise.all([...held].map(([symbol, quantity]) => this.#close(symbol, quantity)));
      await pauseBefore(attempt + 1, backoffMs);
      held = await this.#held();
    }
    for (const target of this.#targets.values()) {
      if (held !== undefined && !held.has(target.symbol))
        Object.assign(target, { outcome: 'succeeded', error: undefined });
      else if (target.outcome === 'succeeded') {
        // It was accepted, and the position still stands.
        Object.assign(target, {
          outcome: held === undefined ? 'unknown' : 'failed',
          error: 'the position still stands',
        });
      }
    }
    const positions = [...this.#targets.values()].map(({ symbol, quantity, outcome, error, ids }) => ({
      ...{ symbol, quantity, outcome: outcome ?? ('unknown' as const), clientOrderIds: ids },
      ...(error === undefined ? {} : { error }),
    }));
    return { positions, left: held === undefined ? undefined : Object.fromEntries(held) };
  }

  /** Signed positions that are not flat. */
  async #held(): Promise<Map<string, number> | undefined> {
    const { attempts, backoffMs } = this.#parts.terms;
    for (let attempt = 1; attempt <= attempts; attempt++) {
      await pauseBefore(attempt, backoffMs);
      const list = await this.#parts.listPositions();
      if (list !== undefined) return signed(list);
    }
    return undefined;
  }

  async #close(symbol: string, quantity: number): Promise<void> {
    const target = this.#targetOf(symbol, quantity);
    if (target.pending !== undefined) {
      const found = await this.#lookUp(target, target.pending);
      // A list of positions may lag behind a fill: as long as it says the same, it says nothing.
      const waits =
        found === 'filled' && target.sent === quantity
          ? 'its order was filled, the position still stands'
          : WAITS[found];
      if (waits !== undefined) {
        Object.assign(target, { outcome: 'unknown', error: waits });
        this.#tell(target, target.pending, 'unknown');
        return;
      }
      // What still stands of the position takes an order of its own; one that never arrived is sent again as it was.
      if (found !== 'absent') Object.assign(target, { pending: undefined, orderId: undefined });
    }
    await this.#send(target, quantity);
  }

  #targetOf(symbol: string, quantity: number): Target {
    const known = this.#targets.get(symbol);
    if (known !== undefined) return known;
    // Of a process that was killed before it heard what became of its order.
    const before = this.#parts.host
      .openOrders()
      .find((one) => one.symbol === symbol && one.clientOrderId?.startsWith(PREFIX) === true);
    const pending = before?.clientOrderId;
    const amount = Number(before?.quantity);
    const target: Target = {
      ...{ symbol, quantity, outcome: undefined, error: undefined, pending, orderId: before?.orderId },
      sent: Number.isFinite(amount) ? (before?.side === 'sell' ? amount : -amount) : undefined,
      ids: pending === undefined ? [] : [pending],
    };
    this.#targets.set(symbol, target);
    return target;
  }

  async #send(target: Target, quantity: number): Promise<void> {
    const { host, exchange, terms, tells, who } = this.#parts;
    const { symbol } = target;
    const clientId = target.pending ?? `${PREFIX}${randomUUID().replaceAll('-', '').slice(0, 16)}`;
    if (!target.ids.includes(clientId)) target.ids.push(clientId);
    Object.assign(target, { pending: clientId, sent: quantity });
    const side: 'buy' | 'sell' = quantity > 0 ? 'sell' : 'buy';
    const amount = Math.abs(quantity);
    const order = {
      'trading.symbol': symbol,
      'trading.side': side,
      'trading.quantity': amount,
      'trading.order.type': 'market',
      'trading.order.client_id': clientId,
      'trading.order.role': 'exit',
      'trading.order.reduce_only': true,
      ...(who['trading.venue'] === undefined ? {} : { 'trading.venue': who['trading.venue'] }),
    } as const;
    const params = { reduceOnly: true, clientOrderId: clientId };
    const send = () =>
      callVenue(() => exchange.createOrder?.(symbol, 'market', side, amount, undefined, params), terms.timeoutMs);
    let intent: string | undefined;
    const answer = tells
      ? await send()
      : await host.writeAhead('order.intent', order, ({ recordId }) => {
          intent = recordId;
          return send();
        });
    const cause = intent === undefined ? {} : { 'risk.cause.record_id': intent, 'risk.cause.event': 'order.intent' };
    const tellOrder = (event: CatalogEvent) => {
      if (!tells) host.emit(event);
    };
    if (answer.outcome === 'succeeded') {
      const id = (answer.value as { id?: unknown } | undefined)?.id;
      const placed = { ...order, ...cause, ...(typeof id === 'string' ? { 'trading.order.id': id } : {}) };
      tellOrder(catalogEvent('order.placed', placed));
      Object.assign(target, {
        outcome: 'succeeded',
        error: undefined,
        orderId: typeof id === 'string' ? id : undefined,
      });
      this.#tell(target, clientId, 'succeeded', typeof id === 'string' ? id : undefined);
      return;
    }
    const error = {
      'error.message': answer.message,
      ...(answer.type === undefined ? {} : { 'error.type': answer.type }),
    };
    if (answer.outcome === 'failed') {
      tellOrder(catalogEvent('order.rejected', { ...order, ...cause, ...error }));
      target.pending = undefined;
    } else {
      tellOrder(catalogEvent('order.outcome_unknown', { ...order, ...cause, ...error }));
    }
    Object.assign(target, { outcome: answer.outcome, error: answer.message });
    this.#tell(target, clientId, answer.outcome);
  }

  /** What became of an order, by its client id. Whoever can't say so of every order doesn't know that there is none. */
  async #lookUp({ symbol, orderId }: Target, clientId: string): Promise<Found> {
    const { exchange, terms, canList } = this.#parts;
    const isIt = (one: KillVenueOrder) =>
      one?.clientOrderId === clientId || (orderId !== undefined && one?.id === orderId);
    let complete = true;
    for (const operation of ['fetchOpenOrders', 'fetchClosedOrders'] as const) {
      if (!canList(operation)) {
        complete = false;
        continue;
      }
      const answer = await callVenue(() => exchange[operation]?.(symbol), terms.timeoutMs);
      const list = answer.outcome === 'succeeded' && Array.isArray(answer.value) ? answer.value : undefined;
      if (list === undefined) complete = false;
      const order = (list as readonly KillVenueOrder[] | undefined)?.find(isIt);
      if (order === undefined) continue;
      if (operation === 'fetchOpenOrders' || WORKING.includes(order.status)) return 'working';
      this.#settled(clientId, symbol, order);
      const { status, amount, filled } = order;
      const isWhole = typeof amount === 'number' && typeof filled === 'number' ? filled >= amount : status === 'closed';
      return isWhole && !ENDED_BADLY.includes(status) ? 'filled' : 'ended';
    }
    return complete ? 'absent' : 'unknown';
  }

  /** What was learnt of an order whose answer never came. */
  #settled(clientId: string, symbol: string, { id, status, side, filled }: KillVenueOrder): void {
    const { host, who, tells } = this.#parts;
    if (tells && !host.openOrders().some((one) => one.clientOrderId === clientId)) return;
    const about = {
      ...{ 'trading.symbol': symbol, 'trading.order.client_id': clientId },
      ...(typeof id === 'string' ? { 'trading.order.id': id } : {}),
      ...(typeof status === 'string' ? { 'trading.order.status': status } : {}),
      ...(typeof filled === 'number' ? { 'trading.order.filled_quantity': filled } : {}),
      ...(who['trading.venue'] === undefined ? {} : { 'trading.venue': who['trading.venue'] }),
    };
    if (ENDED_BADLY.includes(status)) host.emit(catalogEvent('order.cancelled', about));
    else host.emit(catalogEvent('order.placed', { ...about, 'trading.side': side === 'buy' ? 'buy' : 'sell' }));
  }

  #tell(
    { symbol, quantity, error }: Target,
    clientId: string,
    outcome: FlattenedPosition['outcome'],
    id?: string,
  ): void {
    const { host, who } = this.#parts;
    host.emit(
      catalogEvent('risk.kill_switch', {
        ...who,
        'risk.action': 'flatten',
        'risk.outcome': outcome,
        'trading.symbol': symbol,
        'trading.position.quantity': quantity,
        'trading.order.client_id': clientId,
        ...(id === undefined ? {} : { 'trading.order.id': id }),
        ...(outcome === 'succeeded' || error === undefined ? {} : { 'error.message': error }),
      }),
    );
  }
}

function signed(list: readonly VenuePosition[]): Map<string, number> {
  const held = new Map<string, number>();
  for (const position of list) {
    const { symbol, contracts, side } = position ?? {};
    if (typeof symbol !== 'string' || typeof contracts !== 'number' || !Number.isFinite(contracts)) continue;
    const quantity = side === 'short' ? -Math.abs(contracts) : contracts;
    held.set(symbol, (held.get(symbol) ?? 0) + quantity);
  }
  for (const [symbol, quantity] of held) if (quantity === 0) held.delete(symbol);
  return held;
}
