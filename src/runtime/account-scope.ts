/**
 * The state that the processes of one account share through their data directory, without a server.
 *
 * Each process writes what it adds into its own stream as `risk.account_state` records and follows those of the others. What
 * comes from another process is applied to the layers here as an ordinary input of theirs, whose events name the record of
 * the other process as their cause. Applying the same record again changes nothing.
 *
 * - a loss: every process's day holds the sum over all of them
 * - fills and orders on their way: counted in every process's checks
 * - a breaker that opens or is forced open opens the others of its name; a person's reset closes them. That the other side
 *   answers again, each process finds out by its own probes
 * - what is demanded of the account's scope of the gate, by a layer or a person, holds in every process
 */
import { type CatalogEvent, catalogEvent } from '../catalog/events.ts';
import type { GateDemand } from '../risk/trading-state.ts';
import { dayResult, netPositions, takenOver } from './account-book.ts';
import { SharedLimits } from './account-limits.ts';
import {
  ACCOUNT_EVENT,
  type AccountBreaker,
  type AccountManual,
  type AccountState,
  accountStateValue,
} from './account-state.ts';
import { AccountStreams, type StreamState } from './account-streams.ts';
import type { BreakerChange, CircuitBreaker } from './circuit-breaker-types.ts';
import type { LayerHost } from './layer-host.ts';
import type { PortfolioLimits } from './portfolio-limits.ts';
import { MANUAL_SOURCE, PEER_SOURCE } from './trading-gate.ts';

export interface AccountScopeOptions {
  readonly host: LayerHost;
  readonly dataDir: string;
  readonly accountId: string;
  /** The process's own stream, `<service>/<stream UUID>`. */
  readonly stream: string;
  /** Stream from which the process restored its layers; its own where that goes on. */
  readonly restoredFrom: string | undefined;
}

/** The record of another process that is being applied. */
interface Cause {
  readonly recordId: string;
  readonly event: string;
}

interface SharedBreaker {
  readonly breaker: CircuitBreaker;
  /** The newest change that this process itself brought about. */
  own: AccountBreaker | undefined;
  /** Time of the newest change that is known of any process, where it happened, epoch milliseconds. */
  lastMs: number;
  /** The change of each stream that was looked at last, by its record. */
  readonly applied: Map<string, string>;
}

/** Of two acts of one moment the record decides, the same in every process. */
function isNewer(one: AccountManual, other: AccountManual | undefined): boolean {
  if (other === undefined || one.atMs !== other.atMs) return one.atMs > (other?.atMs ?? Number.NEGATIVE_INFINITY);
  return (one.recordId ?? '') > (other.recordId ?? '');
}

const WHERE = 'account scope';
/** Actor of what is applied here for another process. */
const PEER_ACTOR = 'account';

export class AccountScope {
  /** Scope of the gate that is shared. */
  readonly scope: string;
  readonly #options: AccountScopeOptions;
  readonly #streams: AccountStreams;
  readonly #breakers = new Map<string, SharedBreaker>();
  readonly #limits = new Map<string, SharedLimits>();
  /** The newest state of every stream but the own one. */
  readonly #others = new Map<string, StreamState>();
  /** The states of {@link #others}, and the own one as the sums need it. */
  readonly #states = new Map<string, AccountState>();
  /** What this stream wrote before this process went on with it. */
  readonly #before: AccountState | undefined;
  /** Demands of others as they were applied: source here → record. A person may have lifted one since. */
  readonly #applied = new Map<string, string>();
  #manual: AccountManual | undefined;
  #cause: Cause | undefined;
  #applying = false;
  #dirty = false;
  #ended = false;

  constructor(options: AccountScopeOptions) {
    const { dataDir, accountId, stream, host } = options;
    this.#options = options;
    this.scope = `account:${accountId}`;
    this.#streams = new AccountStreams({
      ...{ dataDir, accountId, ownId: stream.slice(stream.lastIndexOf('/') + 1) },
      onState: (state) => this.#take(state),
      report: host.report,
    });
    let before: AccountState | undefined;
    for (const found of this.#streams.scan()) {
      if (found.stream === stream) before = found.state;
      else this.#know(found);
    }
    this.#before = before;
    this.#manual = before?.manual;
    for (const { source, recordId } of host.gate.snapshot().demands) {
      if (source.startsWith(PEER_SOURCE) && recordId !== undefined) this.#applied.set(source, '');
    }
    this.#guard(() => this.#applyAll());
    this.publish();
    this.#streams.start();
  }

  /** A host for a layer that is shared: the first event of what is applied for another process names that one's record. */
  host(): LayerHost {
    const { host } = this.#options;
    return {
      ...host,
      emit: (event) => {
        const cause = this.#cause;
        if (cause === undefined) return host.emit(event);
        this.#cause = undefined;
        const attributes = {
          ...event.attributes,
          'risk.cause.record_id': cause.recordId,
          'risk.cause.event': cause.event,
        };
        return host.emit({ name: event.name, attributes } as CatalogEvent);
      },
    };
  }

  /** Shares a breaker. It was made with {@link host}. */
  addBreaker(breaker: CircuitBreaker): void {
    const { state } = breaker.snapshot();
    const own = this.#before?.breakers.find((one) => one.name === breaker.name);
    // What this stream never told of was before it was shared.
    const earlierMs = this.#before === undefined && state.epoch > 0 ? state.sinceMs : 0;
    const shared: SharedBreaker = { breaker, own, lastMs: own?.atMs ?? earlierMs, applied: new Map() };
    this.#breakers.set(breaker.name, shared);
    breaker.onStateChange((change) => this.#changed(shared, change));
    this.#guard(() => this.#applyBreakers());
    this.publish();
  }

  /** Shares a set of limits. It was made with {@link host}. */
  addLimits(set: string, limits: PortfolioLimits): PortfolioLimits {
    const { accountId, restoredFrom, stream } = this.#options;
    const before = this.#before?.limits.find((one) => one.set === set);
    const source = restoredFrom === stream ? before : this.#limitsOf(restoredFrom, set);
    const { day } = limits.snapshot();
    const shared = new SharedLimits(limits, {
      ...{ set, accountId, stream },
      // A loss of a time before it was shared is told nowhere else.
      before: before ?? {
        set,
        resetMs: day.resetMs,
        pnl: source === undefined ? day.pnl : 0,
        positions: [],
        pending: [],
      },
      states: () => this.#sums(),
      publish: () => this.publish(),
      publishLater: () => this.#publishLater(),
    });
    this.#limits.set(set, shared);
    this.publish();
    this.#guard(() => this.#applyLimits());
    return shared;
  }

  #limitsOf(stream: string | undefined, set: string): object | undefined {
    const state = stream === undefined ? undefined : this.#others.get(stream)?.state;
    return state?.limits.find((one) => one.set === set);
  }

  /** An event was recorded: where it is about the account's scope, the others are told. */
  recorded(name: string, recordId: string, attributes: Readonly<Record<string, unknown>>): void {
    if (name !== 'risk.trading_state_change' && name !== 'risk.trading_state_demand') return;
    if (attributes['risk.scope'] !== this.scope) return;
    const source = String(attributes['risk.trading_state.source']);
    if (source.startsWith(PEER_SOURCE)) return;
    if (source === MANUAL_SOURCE && !this.#applying) {
      const until = attributes['risk.until'];
      this.#manual = {
        state: attributes['risk.trading_state.demand'] as AccountManual['state'],
        actor: String(attributes['risk.actor']),
        reason: String(attributes['risk.reason']),
        atMs: this.#options.host.clock.now(),
        ...(typeof until === 'string' ? { untilMs: Date.parse(until) } : {}),
        recordId,
      };
    }
    this.#publishLater(recordId, name);
  }

  /** Records what this process adds. @param cause record that it follows from */
  publish(cause?: Cause): void {
    if (this.#ended) return;
    this.#dirty = false;
    this.#guard(() => {
      const { host, accountId } = this.#options;
      const event = catalogEvent('risk.account_state', {
        'trading.account.id': accountId,
        'risk.snapshot': accountStateValue(this.#state()),
        ...(cause === undefined ? {} : { 'risk.cause.record_id': cause.recordId, 'risk.cause.event': cause.event }),
      });
      host.emit(event);
    });
  }

  /** Net positions of the account by the fills that its processes were told of; undefined where no limits are shared. */
  positions(): ReadonlyMap<string, number> | undefined {
    if (this.#limits.size === 0) return undefined;
    const net = new Map<string, number>();
    const sets = [...this.#limits.keys()];
    for (const [symbol, { quantity }] of netPositions(this.#sums(), sets[0]!)) net.set(symbol, quantity);
    return net;
  }

  /** Ids of the orders that other processes of the account have on their way. */
  othersOrders(): ReadonlySet<string> {
    const ids = new Set<string>();
    for (const { state } of this.#others.values()) {
      for (const { pending } of state.limits) {
        for (const one of pending) {
          if (one.orderId != null) ids.add(one.orderId);
          if (one.clientOrderId != null) ids.add(one.clientOrderId);
        }
      }
    }
    return ids;
  }

  /** Ends the following. */
  stop(): void {
    this.#ended = true;
    this.#streams.stop();
  }

  #publishLater(recordId?: string, event?: string): void {
    if (this.#dirty || this.#ended) return;
    this.#dirty = true;
    const cause = recordId === undefined || event === undefined ? undefined : { recordId, event };
    // The layer that recorded the change is in the midst of it.
    queueMicrotask(() => {
      if (this.#dirty) this.publish(cause);
    });
  }

  #state(): AccountState {
    const { host } = this.#options;
    const kept = this.#before?.limits.filter((one) => !this.#limits.has(one.set)) ?? [];
    const keptBreakers = this.#before?.breakers.filter((one) => !this.#breakers.has(one.name)) ?? [];
    const demands = host.gate
      .snapshot()
      .demands.filter(
        ({ scope, source }) => scope === this.scope && source !== MANUAL_SOURCE && !source.startsWith(PEER_SOURCE),
      );
    return {
      version: 1,
      limits: [...kept, ...Array.from(this.#limits.values(), (one) => one.state())],
      breakers: [
        ...keptBreakers,
        ...Array.from(this.#breakers.values(), ({ own }) => own).filter((one) => one !== undefined),
      ],
      demands: demands.map(({ source, state, actor, reason, reasonCode, untilMs, recordId }) => ({
        ...{ source, state, actor, reason, reasonCode, untilMs, recordId },
      })),
      manual: this.#manual,
      takesOver: this.#takesOver(),
    };
  }

  /** What every process adds to the sums; of this one only what counts for them. */
  #sums(): ReadonlyMap<string, AccountState> {
    const limits = Array.from(this.#limits.values(), (one) => one.sums());
    const own = { version: 1, limits, breakers: [], demands: [], takesOver: this.#takesOver() } as const;
    this.#states.set(this.#options.stream, own);
    return this.#states;
  }

  #takesOver(): readonly string[] {
    const { restoredFrom, stream } = this.#options;
    const before = this.#before?.takesOver ?? [];
    return restoredFrom === undefined || restoredFrom === stream || before.includes(restoredFrom)
      ? before
      : [...before, restoredFrom];
  }

  #take(found: StreamState): void {
    if (this.#ended) return;
    this.#know(found);
    this.#guard(() => this.#applyAll());
  }

  #know(found: StreamState): void {
    this.#others.set(found.stream, found);
    this.#states.set(found.stream, found.state);
  }

  #applyAll(): void {
    this.#applyManual();
    this.#applyDemands();
    this.#applyBreakers();
    this.#applyLimits();
  }

  #changed(shared: SharedBreaker, change: BreakerChange): void {
    // What is done for another process happened when it did there.
    if (this.#applying) return;
    shared.lastMs = Math.max(shared.lastMs, change.atMs);
    const { name, atMs, openUntilMs, reason, recordId, actor } = change;
    shared.own = {
      ...{ name, status: change.new, atMs, reason },
      manual: actor !== undefined,
      ...(openUntilMs === undefined ? {} : { openUntilMs }),
      ...(recordId === undefined ? {} : { recordId }),
    };
    this.publish(recordId === undefined ? undefined : { recordId, event: 'risk.circuit_breaker.state_change' });
  }

  #applyBreakers(): void {
    const taken = takenOver(this.#sums());
    for (const shared of this.#breakers.values()) {
      for (const [stream, { state, recordId, closed }] of this.#others) {
        const theirs = state.breakers.find((one) => one.name === shared.breaker.name);
        if (theirs === undefined || closed || taken.has(stream)) continue;
        const id = theirs.recordId ?? recordId;
        if (shared.applied.get(stream) === id) continue;
        shared.applied.set(stream, id);
        if (theirs.atMs < shared.lastMs) continue;
        shared.lastMs = theirs.atMs;
        this.#applyBreaker(shared, theirs, stream, id);
      }
    }
  }

  #applyBreaker({ breaker }: SharedBreaker, theirs: AccountBreaker, stream: string, recordId: string): void {
    const { status, openUntilMs, manual } = theirs;
    const by = { actor: PEER_ACTOR, reason: `${theirs.reason} (in ${stream})` };
    const mine = breaker.state;
    const cause = { recordId, event: 'risk.circuit_breaker.state_change' };
    if (status === 'FORCED_OPEN') {
      if (mine !== 'FORCED_OPEN') this.#as(cause, () => breaker.forceOpen(by));
    } else if (status === 'OPEN') {
      const isOver = openUntilMs !== undefined && openUntilMs <= this.#options.host.clock.now();
      if (!isOver && (mine === 'CLOSED' || mine === 'HALF_OPEN')) this.#as(cause, () => breaker.trip(by));
    } else if (status === 'CLOSED' && manual) {
      if (mine === 'OPEN' || mine === 'HALF_OPEN' || mine === 'FORCED_OPEN') this.#as(cause, () => breaker.reset(by));
    }
  }

  #applyLimits(): void {
    const states = this.#sums();
    const newest = this.#newest();
    for (const [set, limits] of this.#limits) {
      const { resetMs } = limits.day();
      const target = dayResult(states, set, resetMs);
      this.#as(newest, () => limits.settle(target));
    }
  }

  /** The record that was read last. */
  #newest(): Cause | undefined {
    let newest: StreamState | undefined;
    for (const one of this.#others.values()) {
      // Record ids are UUIDv7: they sort by time.
      if (newest === undefined || one.recordId > newest.recordId) newest = one;
    }
    return newest === undefined ? undefined : { recordId: newest.recordId, event: ACCOUNT_EVENT };
  }

  #applyManual(): void {
    for (const { state, recordId } of this.#others.values()) {
      const { manual } = state;
      if (manual === undefined || !isNewer(manual, this.#manual)) continue;
      this.#manual = manual;
      this.#demand({ ...manual, source: MANUAL_SOURCE }, manual.recordId ?? recordId);
      this.#publishLater();
    }
  }

  #applyDemands(): void {
    const { host } = this.#options;
    const taken = takenOver(this.#sums());
    const wanted = new Map<string, { readonly demand: Omit<GateDemand, 'scope'>; readonly recordId: string }>();
    for (const [stream, { state, recordId, closed }] of this.#others) {
      if (taken.has(stream)) continue;
      for (const one of state.demands) {
        const source = `${PEER_SOURCE}${stream}:${one.source}`;
        // What ended in order keeps what it had, and brings nothing new. A breaker of ours follows theirs by itself.
        if (closed && !this.#applied.has(source)) continue;
        const breaker = one.source.startsWith('circuit_breaker:') ? one.source.slice(16) : undefined;
        if (breaker !== undefined && this.#breakers.has(breaker)) continue;
        if (one.untilMs !== undefined && one.untilMs <= host.clock.now()) continue;
        wanted.set(source, { demand: { ...one, source }, recordId: one.recordId ?? recordId });
      }
    }
    for (const source of this.#applied.keys()) {
      if (wanted.has(source)) continue;
      this.#applied.delete(source);
      const [standing] = host.gate
        .snapshot()
        .demands.filter((one) => one.source === source && one.scope === this.scope);
      if (standing === undefined) continue;
      this.#demand(
        { ...standing, state: 'ACTIVE', actor: PEER_ACTOR, reason: `over there: ${standing.reason}` },
        undefined,
      );
    }
    for (const [source, { demand, recordId }] of wanted) {
      if (this.#applied.get(source) === recordId) continue;
      this.#applied.set(source, recordId);
      this.#demand(demand, recordId);
    }
  }

  #demand(demand: Omit<GateDemand, 'scope'>, causeRecordId: string | undefined): void {
    const { source, state, actor, reason, reasonCode, untilMs } = demand;
    this.#as(undefined, () => {
      this.#options.host.gate.demand({
        ...{ source, state, actor, reason, scope: this.scope },
        ...(reasonCode === undefined ? {} : { reasonCode }),
        ...(untilMs === undefined ? {} : { untilMs }),
        ...(causeRecordId === undefined ? {} : { causeRecordId, causeEvent: 'risk.trading_state_change' }),
      });
    });
  }

  /** Runs what is done for another process, whose record is the cause of the first event. */
  #as(cause: Cause | undefined, act: () => void): void {
    const outer = this.#applying;
    this.#applying = true;
    this.#cause = cause;
    try {
      act();
    } finally {
      this.#cause = undefined;
      this.#applying = outer;
    }
  }

  #guard(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#options.host.report(error, WHERE);
    }
  }
}
