/**
 * The state of every risk layer of one service, rebuilt from its events: what a restart goes on from, and what was the state at
 * any moment. At every event it equals the live state, but for the feed cursor of stops (see `trailing-stop/fold.ts`).
 *
 * A process begins with `system.start`. Where the event `risk.state_restored` stands before that, the layers went on from the
 * state so far; else they began anew. Snapshots repeat what the fold knows: the first one of a layer in a process, or after
 * its `restored` event, is taken as it is; any later one is compared, and where it differs the fold is kept and says so.
 */
import { differences } from '../core/difference.ts';
import { decodeConfig, decodeState } from './circuit-breaker/codec.ts';
import { type FoldedBreaker, foldBreaker } from './circuit-breaker/fold.ts';
import { foldOpenOrders, isOrderEvent, NO_ORDERS, type OpenOrders, readOpenOrders } from './open-orders.ts';
import { foldLimits } from './portfolio-limits/fold.ts';
import { type LimitsState, limitsSnapshot, limitsStateOf } from './portfolio-limits/state.ts';
import type { RecordedEvent } from './recorded-event.ts';
import { INITIAL_TRADING_STATE, type TradingStateState } from './trading-state.ts';
import { foldTradingState } from './trading-state-fold.ts';
import { applyStopEvent, type FoldedStops } from './trailing-stop/fold.ts';
import type { TrailingStop } from './trailing-stop/stop.ts';
import { isTrailingStop } from './trailing-stop/validate.ts';
import { CONTEXT_ASSUMED, UPCASTERS, type Upcaster, upcastEvent } from './upcast.ts';

/** The newest event that told of a layer. */
interface Told {
  readonly recordId: string;
  /** Epoch milliseconds. */
  readonly timeMs: number;
}

/** A circuit breaker as its events leave it. */
export interface BreakerEntry extends FoldedBreaker, Told {
  /** Record id of the state change that explains the state. */
  readonly causeRecordId?: string;
}

/** A set of limits as its events leave it. */
export interface LimitsEntry extends Told {
  readonly state: LimitsState;
}

/** The stops of one set as their events leave them, in the order of adding. */
export interface StopsEntry extends Told {
  readonly stops: readonly TrailingStop[];
}

/** The state of every layer. */
export interface RiskState {
  /** By name. */
  readonly breakers: ReadonlyMap<string, BreakerEntry>;
  /** By the name of the set. */
  readonly limits: ReadonlyMap<string, LimitsEntry>;
  /** By the name of the set; sets without a stop are not in it. */
  readonly stops: ReadonlyMap<string, StopsEntry>;
  readonly tradingState: TradingStateState;
  readonly openOrders: OpenOrders;
  /** Account that the service said it trades; absent where it never did. */
  readonly accountId?: string;
  /** The newest event that was folded; absent before the first. */
  readonly last?: Told;
}

/** A snapshot that does not say what the events before it come to. */
export interface SnapshotFinding {
  readonly recordId: string;
  readonly timeMs: number;
  readonly event: string;
  /** `circuit_breaker:broker`, `portfolio_limits:default`, `trailing_stops:default`, `trading_state`, `open_orders`. */
  readonly layer: string;
  /** Paths that differ: what the fold has there and what the snapshot says, as JSON. */
  readonly differences: readonly { readonly path: string; readonly folded: string; readonly snapshot: string }[];
}

/**
 * `risk.component` of events about a breaker that another library keeps begins so, the library's name behind it: no state of
 * ours is folded from them, whatever the breaker's name.
 */
export const FOREIGN_BREAKER = 'circuit_breaker:';

export const breakerKey = (name: string): string => `circuit_breaker:${name}`;
export const limitsKey = (name: string): string => `portfolio_limits:${name}`;
export const stopsKey = (name: string): string => `trailing_stops:${name}`;
export const TRADING_STATE_KEY = 'trading_state';
export const ORDERS_KEY = 'open_orders';

/** Name of the snapshot event with which a round of snapshots begins; it lists the layers that the round holds. */
export const ROUND_EVENT = 'risk.trading_state_snapshot';
/** Attribute of that event: the layers whose snapshots follow. */
export const ROUND_LAYERS = 'risk.layers';
/** Event of a process that went on from the state so far. */
export const RESTORED_EVENT = 'risk.state_restored';

const BREAKER = 'risk.circuit_breaker.';
const STOP = 'risk.trailing_stop.';
const LIMIT = 'risk.portfolio_limit.';
/** The journal could not be written for a while. */
const LOST_EVENT = 'audit.degraded';
const LIMIT_OTHERS: ReadonlySet<string> = new Set(['config.limits_changed', 'risk.daily_loss_limit', 'risk.limit_hit']);

/** The layer of a snapshot event as {@link ROUND_LAYERS} names it; undefined for any other event. */
export function snapshotLayer({ name, attributes }: Pick<RecordedEvent, 'name' | 'attributes'>): string | undefined {
  switch (name) {
    case 'risk.circuit_breaker.snapshot':
      return breakerKey(String(attributes['risk.circuit_breaker.name']));
    case 'risk.portfolio_limit.snapshot':
      return limitsKey(limitSetOf(attributes));
    case 'risk.trailing_stop.snapshot':
      return stopsKey(managerOf(attributes['risk.snapshot']));
    case 'risk.open_orders_snapshot':
      return ORDERS_KEY;
    case ROUND_EVENT:
    // Says nothing that the round's first event does not hold.
    case 'risk.trading_state_scope_snapshot':
      return TRADING_STATE_KEY;
    default:
      return undefined;
  }
}

/** Whether a {@link RiskStateFold} reads events of this name; all others may be kept from it. */
export function isFoldedEvent(name: string): boolean {
  return (
    name.startsWith('risk.') ||
    isOrderEvent(name) ||
    name.startsWith('system.') ||
    name.startsWith('audit.') ||
    LIMIT_OTHERS.has(name)
  );
}

const limitSetOf = (attributes: RecordedEvent['attributes']): string =>
  String(attributes['risk.limit.set'] ?? 'default');

function managerOf(snapshot: unknown): string {
  const stops = (snapshot as { stops?: readonly { manager?: unknown }[] } | undefined)?.stops;
  return String((Array.isArray(stops) ? stops[0]?.manager : undefined) ?? 'default');
}

/** The state that events leave, from the first on. */
export function foldRiskState(events: Iterable<RecordedEvent>, upcasters?: readonly Upcaster[]): RiskState {
  const fold = new RiskStateFold(upcasters);
  for (const event of events) fold.apply(event);
  return fold.state();
}

/** The snapshots that do not say what the events before them come to. */
export function checkSnapshots(events: Iterable<RecordedEvent>, upcasters?: readonly Upcaster[]): SnapshotFinding[] {
  const fold = new RiskStateFold(upcasters);
  for (const event of events) fold.apply(event);
  return [...fold.findings];
}

/** A fold under way. Takes the events of one service in their order; events of no layer are passed over. */
export class RiskStateFold {
  readonly #upcasters: readonly Upcaster[];
  #breakers = new Map<string, BreakerEntry>();
  #limits = new Map<string, LimitsEntry>();
  /** Of all sets, as they share their ids. */
  #stops: FoldedStops = new Map();
  #stopsTold = new Map<string, Told>();
  /** Stops of an older trail whose own context is not known before a snapshot tells it. */
  readonly #assumed = new Set<string>();
  #tradingState = INITIAL_TRADING_STATE;
  #orders: OpenOrders = NO_ORDERS;
  #accountId: string | undefined;
  #last: Told | undefined;
  /** Layers whose next snapshot is compared. */
  readonly #known = new Set<string>();
  /** The process that starts goes on from what there is. */
  #goesOn = false;
  /** Such a process has begun, and its first round of snapshots, which says from what it went on, is still to come. */
  #awaitsRound = false;
  /** The present process began with nothing: of what has no snapshot when it is made, all is known. */
  #fromNothing = false;
  readonly #findings: SnapshotFinding[] = [];
  #unreadable = 0;
  #compared = 0;

  constructor(upcasters: readonly Upcaster[] = UPCASTERS) {
    this.#upcasters = upcasters;
  }

  /** Snapshots that differed from the fold so far, at most 1,000. */
  get findings(): readonly SnapshotFinding[] {
    return this.#findings;
  }

  /** Events of a newer version that had to be left out: with any, the state is not to be trusted. */
  get unreadable(): number {
    return this.#unreadable;
  }

  /** Snapshots that were compared with what the events before them come to. */
  get compared(): number {
    return this.#compared;
  }

  state(): RiskState {
    const stops = new Map<string, StopsEntry>();
    for (const [name, told] of this.#stopsTold) stops.set(name, { stops: this.#stopsOf(name), ...told });
    for (const [name, { stops: list }] of stops) if (list.length === 0) stops.delete(name);
    return {
      breakers: new Map(this.#breakers),
      limits: new Map(this.#limits),
      stops,
      tradingState: this.#tradingState,
      openOrders: this.#orders,
      ...(this.#accountId === undefined ? {} : { accountId: this.#accountId }),
      ...(this.#last === undefined ? {} : { last: this.#last }),
    };
  }

  apply(given: RecordedEvent): void {
    const { name } = given;
    if (!isFoldedEvent(name)) return;
    if (name !== 'system.start' && (name.startsWith('system.') || name.startsWith('audit.'))) {
      // The trail's own clock: a caller may give any time to an event of his own.
      this.#tell(given);
      if (name === LOST_EVENT) this.#doubt();
      return;
    }
    const event = upcastEvent(given, this.#upcasters);
    if (event === undefined) {
      this.#unreadable++;
      return;
    }
    this.#tell(event);
    if (name.startsWith(BREAKER)) this.#breaker(event);
    else if (name.startsWith(STOP)) this.#stop(event);
    else if (name.startsWith(LIMIT) || LIMIT_OTHERS.has(name)) this.#limit(event);
    else if (name.startsWith('risk.trading_state_')) this.#trading(event);
    else if (isOrderEvent(name)) this.#orders = foldOpenOrders(this.#orders, event);
    else if (name === 'risk.open_orders_snapshot') this.#ordersSnapshot(event);
    else if (name === RESTORED_EVENT) this.#goesOn = true;
    else if (name === 'system.start') this.#start();
  }

  #tell({ recordId, timeMs }: RecordedEvent): void {
    this.#last = { recordId, timeMs };
  }

  /** Events were lost: what the layers say next is better than what is known of them. */
  #doubt(): void {
    this.#known.clear();
    this.#fromNothing = false;
  }

  /** A new process. */
  #start(): void {
    this.#known.clear();
    if (!this.#goesOn) this.#clear();
    this.#fromNothing = !this.#goesOn;
    this.#awaitsRound = this.#goesOn;
    this.#goesOn = false;
  }

  #clear(): void {
    this.#breakers.clear();
    this.#limits.clear();
    this.#stops.clear();
    this.#stopsTold.clear();
    this.#assumed.clear();
    this.#tradingState = INITIAL_TRADING_STATE;
    this.#orders = NO_ORDERS;
  }

  #breaker(event: RecordedEvent): void {
    const { name, attributes, recordId, timeMs } = event;
    const id = attributes['risk.circuit_breaker.name'];
    if (typeof id !== 'string' || String(attributes['risk.component'] ?? '').startsWith(FOREIGN_BREAKER)) return;
    const key = breakerKey(id);
    const before = this.#breakers.get(id);
    if (name === 'risk.circuit_breaker.restored') this.#known.delete(key);
    if (name === 'risk.circuit_breaker.snapshot') {
      const snapshot = attributes['risk.snapshot'] as Record<string, Record<string, unknown>> | undefined;
      if (typeof snapshot?.['config'] !== 'object' || typeof snapshot['state'] !== 'object') return;
      const config = decodeConfig(snapshot['config']);
      const state = decodeState(snapshot['state']);
      const isFirst = this.#isFirst(key, before);
      if (!isFirst && this.#differs(event, key, { config: before!.config, state: before!.state }, { config, state }))
        return;
      const cause = snapshot['causeRecordId'] as unknown;
      this.#breakers.set(id, {
        ...{ config, state, recordId, timeMs },
        ...(typeof cause === 'string' ? { causeRecordId: cause } : {}),
      });
      return;
    }
    if (before === undefined) return;
    const folded = foldBreaker(before, event);
    if (folded === undefined) return;
    const causeRecordId = name === 'risk.circuit_breaker.state_change' ? recordId : before.causeRecordId;
    this.#breakers.set(id, {
      ...{ config: folded.config, state: folded.state, recordId, timeMs },
      ...(causeRecordId === undefined ? {} : { causeRecordId }),
    });
  }

  #limit(event: RecordedEvent): void {
    const { name, attributes, recordId, timeMs } = event;
    const set = limitSetOf(attributes);
    const key = limitsKey(set);
    const before = this.#limits.get(set);
    if (name === 'risk.portfolio_limit.restored') this.#known.delete(key);
    if (name === 'risk.portfolio_limit.snapshot') {
      const state = limitsStateOf(attributes['risk.snapshot']);
      if (state === undefined) return;
      const isFirst = this.#isFirst(key, before);
      if (!isFirst && this.#differs(event, key, limitsSnapshot(before!.state), limitsSnapshot(state))) return;
      this.#limits.set(set, { state, recordId, timeMs });
      return;
    }
    if (before === undefined) return;
    const state = foldLimits(before.state, event, set);
    if (state !== undefined && state !== before.state) this.#limits.set(set, { state, recordId, timeMs });
  }

  #stop(event: RecordedEvent): void {
    const { name, attributes, recordId, timeMs } = event;
    if (name === 'risk.trailing_stop.snapshot') {
      const manager = managerOf(attributes['risk.snapshot']);
      const key = stopsKey(manager);
      const list = (attributes['risk.snapshot'] as { stops?: unknown } | undefined)?.stops;
      if (!Array.isArray(list)) return;
      const told = this.#stopsTold.get(manager);
      const isFirst = this.#isFirst(key, told);
      const stops = list.filter(isTrailingStop);
      for (const stop of stops) this.#settleContext(stop);
      if (!isFirst && this.#differs(event, key, comparable(this.#stopsOf(manager)), comparable(stops))) return;
      applyStopEvent(this.#stops, event);
      this.#stopsTold.set(manager, { recordId, timeMs });
      return;
    }
    const id = attributes['risk.trailing_stop.id'];
    const held = typeof id === 'string' ? this.#stops.get(id) : undefined;
    applyStopEvent(this.#stops, event);
    const stop = (typeof id === 'string' ? this.#stops.get(id) : undefined) ?? held;
    if (stop !== undefined) this.#stopsTold.set(stop.manager, { recordId, timeMs });
    if (stop === undefined || name !== 'risk.trailing_stop.add') return;
    if (attributes[CONTEXT_ASSUMED] === true) this.#assumed.add(stop.id);
    else this.#assumed.delete(stop.id);
  }

  /** What an older event could not tell, its stop's first snapshot does. */
  #settleContext({ id, context }: TrailingStop): void {
    const stop = this.#assumed.delete(id) ? this.#stops.get(id) : undefined;
    if (stop === undefined) return;
    const { context: _, ...rest } = stop;
    this.#stops.set(id, Object.freeze(context === undefined ? rest : { ...rest, context }));
  }

  #stopsOf(manager: string): TrailingStop[] {
    return [...this.#stops.values()].filter((stop) => stop.manager === manager);
  }

  #trading(event: RecordedEvent): void {
    if (event.name === ROUND_EVENT) {
      // Where the trail was not to be trusted to its end, that is less than what was folded.
      if (this.#awaitsRound) this.#clear();
      this.#awaitsRound = false;
      const demands = (event.attributes['risk.snapshot'] as Partial<TradingStateState> | undefined)?.demands;
      if (!Array.isArray(demands)) return;
      const account = event.attributes['trading.account.id'];
      if (typeof account === 'string') this.#accountId = account;
      const isFirst = this.#isFirst(TRADING_STATE_KEY, this.#tradingState);
      if (!isFirst && this.#differs(event, TRADING_STATE_KEY, this.#tradingState.demands, demands)) return;
    }
    this.#tradingState = foldTradingState(this.#tradingState, event);
  }

  #ordersSnapshot(event: RecordedEvent): void {
    const orders = withVenues(readOpenOrders(event.attributes['risk.snapshot']), this.#orders);
    const isFirst = this.#isFirst(ORDERS_KEY, this.#orders);
    if (isFirst || !this.#differs(event, ORDERS_KEY, byRecord(this.#orders), byRecord(orders))) this.#orders = orders;
  }

  /** Whether a snapshot is taken as it is. The next one of the layer is compared. */
  #isFirst(key: string, before: unknown): boolean {
    const isFirst = before === undefined || !(this.#known.has(key) || (this.#fromNothing && !hasFirstSnapshot(key)));
    this.#known.add(key);
    return isFirst;
  }

  #differs(event: RecordedEvent, layer: string, folded: unknown, snapshot: unknown): boolean {
    this.#compared++;
    const found = differences(folded, snapshot);
    if (found.length === 0) return false;
    if (this.#findings.length < MAX_FINDINGS) {
      this.#findings.push({
        ...{ recordId: event.recordId, timeMs: event.timeMs, event: event.name, layer },
        differences: found.map(({ path, before, after }) => ({
          path,
          folded: JSON.stringify(before) ?? 'nothing',
          snapshot: JSON.stringify(after) ?? 'nothing',
        })),
      });
    }
    return true;
  }
}

const MAX_FINDINGS = 1000;

/** Layers that record a snapshot when they are made. */
const hasFirstSnapshot = (key: string): boolean =>
  key.startsWith('circuit_breaker:') || key.startsWith('portfolio_limits:');

/** By id, in their order. A price that changed nothing is not recorded, yet the feed cursor knows it: it is left out. */
const comparable = (stops: readonly TrailingStop[]): Readonly<Record<string, unknown>> => ({
  stops: Object.fromEntries(stops.map(({ cursor: _, ...stop }) => [stop.id, stop])),
  order: stops.map(({ id }) => id),
});

/** Snapshots of older versions do not say where an order was sent; its events do. */
function withVenues(orders: OpenOrders, folded: OpenOrders): OpenOrders {
  if (orders.every(({ venue }) => venue !== undefined)) return orders;
  const venues = new Map(folded.map(({ firstRecordId, venue }) => [firstRecordId, venue]));
  return orders.map((order) => {
    const venue = order.venue ?? venues.get(order.firstRecordId);
    return venue === undefined ? order : { ...order, venue };
  });
}

const byRecord = (orders: OpenOrders): Readonly<Record<string, unknown>> => ({
  orders: Object.fromEntries(orders.map((order) => [order.firstRecordId, order])),
  order: orders.map(({ firstRecordId }) => firstRecordId),
});
