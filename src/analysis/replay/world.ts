/** Runs the steps of a chain through the pure layers, with parameters as recorded or changed, on the recorded clock. */
import { differences } from '../../core/difference.ts';
import { foldLimits } from '../../risk/portfolio-limits/fold.ts';
import { type LimitsState, limitsSnapshot, nextReset } from '../../risk/portfolio-limits/state.ts';
import type { TradingStateChange } from '../../risk/trading-state.ts';
import { judgeAgain } from './judge-again.ts';
import { type Emit, ReplayBreaker, ReplayGate, ReplayLimits } from './layers.ts';
import { type Changes, changedBreaker, changedLimits } from './parameters.ts';
import {
  breakerLayer,
  type LayerKey,
  limitsLayer,
  type Place,
  type RecordedChain,
  type RecordedCheck,
  type Step,
  stopsLayer,
} from './steps.ts';
import { ReplayStops } from './stops-layer.ts';

/** Told of what the layers decide as the replay goes on. */
interface Watch {
  gate?(change: TradingStateChange, place: Place): void;
  /** @param bound the numbers of the check are known, not what it was made from */
  check?(place: Place, set: string, recorded: RecordedCheck, replayed: RecordedCheck, bound: boolean): void;
  call?(place: Place, breaker: string, recorded: boolean, replayed: boolean, code: string): void;
  /** A snapshot that does not say what the replay has come to. */
  snapshot?(place: Place, layer: LayerKey, found: ReturnType<typeof differences>): void;
}

interface WorldOptions {
  readonly chain: RecordedChain;
  readonly changes: Changes;
  readonly emit: Emit;
  readonly watch: Watch;
}

/** Which layers can come out otherwise; the others' decisions stand as they were recorded. */
export interface Affected {
  readonly stops: boolean;
  readonly others: boolean;
}

/** What a change of parameters can change. */
export function affected(chain: RecordedChain, changes: Changes): Affected {
  const drives = (set: string) => chain.drivingSets.has(set) || changes.stops.get(set)?.onTrigger === 'REDUCING';
  const stopsDrive = [...changes.stops.keys()].some(drives);
  const others = changes.breakers.size > 0 || changes.limits.size > 0 || stopsDrive;
  // A stop goes its own way, whatever else is changed; where it drives the gate, what it does must be told.
  return { stops: changes.stops.size > 0 || (others && chain.drivingSets.size > 0), others };
}

const STOP_STEPS: ReadonlySet<Step['kind']> = new Set([
  ...(['stops_snapshot', 'stop_close', 'stop_flip', 'stop_remove', 'price', 'bar'] as const),
]);
/** Of every layer. */
const SHARED_STEPS: ReadonlySet<Step['kind']> = new Set(['process', 'stop_add']);

const parts = new WeakMap<RecordedChain, { stops?: readonly Step[]; others?: readonly Step[] }>();

/** The steps of some layers, found once for all settings of a sweep. */
function stepsFor(chain: RecordedChain, { stops, others }: Affected): readonly Step[] {
  if (stops === others) return stops ? chain.steps : [];
  let part = parts.get(chain);
  if (part === undefined) {
    part = {};
    parts.set(chain, part);
  }
  const wanted = (isStops: boolean) =>
    chain.steps.filter(({ kind }) => SHARED_STEPS.has(kind) || STOP_STEPS.has(kind) === isStops);
  if (stops) {
    part.stops ??= wanted(true);
    return part.stops;
  }
  part.others ??= wanted(false);
  return part.others;
}

export class ReplayWorld {
  readonly gate: ReplayGate;
  readonly breakers = new Map<string, ReplayBreaker>();
  readonly limits = new Map<string, ReplayLimits>();
  readonly stops = new Map<string, ReplayStops>();
  /** Positions that were never opened here: what followed from them did not happen. */
  readonly gone = new Set<string>();
  /** Executions whose order was allowed, in part: by which share of what was filled. */
  readonly shares = new Map<string, number>();
  /** Journeys that never began, by the record that added their stop. */
  readonly notEntered = new Set<string>();
  /** Executions of which an order that was filled would have been refused after their stop stood. */
  readonly exitRefused = new Set<string>();
  /** Entries that would be refused, unless a later try is let through. */
  readonly #missed = new Set<string>();
  readonly #entered = new Set<string>();
  readonly #options: WorldOptions;
  readonly #isChanged: boolean;
  readonly #all: boolean;
  #place: Place = { recordId: '', sequence: -1, timeMs: 0, link: undefined };
  #gateIsKnown = false;
  /** No process has begun yet: the trail's beginning is gone. */
  #inMidst: boolean;
  #which: Affected = { stops: true, others: true };

  constructor(options: WorldOptions) {
    this.#options = options;
    const { chain, changes, emit, watch } = options;
    this.#all = chain.recordInputs === 'all';
    this.#isChanged = changes.breakers.size + changes.limits.size + changes.stops.size > 0;
    this.gate = new ReplayGate(
      emit,
      (change) => watch.gate?.(change, this.#place),
      (now) => this.#tickBreakers(now),
    );
    this.#inMidst = chain.start === undefined;
    if (chain.start !== undefined) this.#start();
  }

  /** @param which layers are run; the others stand still */
  run(which: Affected = { stops: true, others: true }): void {
    this.#which = which;
    for (const step of stepsFor(this.#options.chain, which)) {
      this.#place = step.place;
      if (this.#isChanged && which.others) this.#passTime(step.now);
      this.#take(step);
    }
    for (const set of this.stops.values()) set.finish();
  }

  #start(): void {
    const { chain, emit } = this.#options;
    const { breakers, limits, stops, tradingState } = chain.start!;
    this.gate.state = tradingState;
    this.#gateIsKnown = true;
    for (const [name, { config, state, causeRecordId }] of breakers) {
      const breaker = new ReplayBreaker(
        name,
        { config, state, cause: causeRecordId },
        chain.recordInputs,
        this.gate,
        emit,
      );
      this.breakers.set(name, breaker);
      this.#applyTo(breaker);
    }
    for (const [set, { state }] of limits) {
      this.limits.set(set, new ReplayLimits(set, this.#changedState(set, state), this.#all, this.gate, emit));
    }
    for (const [set, { stops: list }] of stops) this.#stopsOf(set).hold(list, undefined);
  }

  /** What is due by time alone in what was changed: of the rest the trail says when it was. */
  #passTime(now: number): void {
    const { breakers, limits } = this.#options.changes;
    for (const name of breakers.keys()) {
      const breaker = this.breakers.get(name);
      if (breaker?.stale === false) breaker.tick(Math.floor(now));
    }
    for (const set of limits.keys()) {
      const own = this.limits.get(set);
      if (own?.stale !== false) continue;
      const prefix = set === 'default' ? 'portfolio_limits:' : `portfolio_limits:${set}:`;
      const isOver = this.gate.state.demands.some(
        ({ source, untilMs }) => untilMs !== undefined && now >= untilMs && source.startsWith(prefix),
      );
      if (isOver) this.gate.tick(now);
      own.tick(Math.floor(now));
    }
  }

  #tickBreakers(now: number): void {
    for (const breaker of this.breakers.values()) if (!breaker.stale) breaker.tick(Math.floor(now));
  }

  #stopsOf(set: string): ReplayStops {
    let stops = this.stops.get(set);
    if (stops === undefined) {
      const { chain, changes, emit } = this.#options;
      const change = changes.stops.get(set);
      const drives = change?.onTrigger === undefined ? chain.drivingSets.has(set) : change.onTrigger === 'REDUCING';
      stops = new ReplayStops(set, change?.overrides ?? {}, drives, this.gate, emit);
      this.stops.set(set, stops);
    }
    return stops;
  }

  #applyTo(breaker: ReplayBreaker): void {
    const config = changedBreaker(breaker.name, breaker.config, this.#options.changes);
    if (config !== breaker.config) breaker.resumeWith(config);
  }

  #changedState(set: string, state: LimitsState): LimitsState {
    const config = changedLimits(set, state.config, this.#options.changes);
    if (config === state.config) return state;
    const sameDay =
      config.dailyLoss?.timeZone === state.config.dailyLoss?.timeZone &&
      config.dailyLoss?.resetTime === state.config.dailyLoss?.resetTime;
    return sameDay
      ? { ...state, config }
      : { ...state, config, day: { ...state.day, resetMs: nextReset(config, this.#place.timeMs) } };
  }

  #isGone(link: string | undefined): boolean {
    return link !== undefined && (this.gone.has(link) || this.#missed.has(link));
  }

  #take(step: Step): void {
    const { now, place } = step;
    switch (step.kind) {
      case 'process':
        this.#process(step.goesOn);
        return;
      case 'gate_snapshot':
        if (!this.#gateIsKnown || !this.#isChanged) this.gate.state = { demands: step.demands };
        this.#gateIsKnown = true;
        return;
      case 'gate_demand':
        this.gate.demand(step.demand, now);
        return;
      case 'gate_tick':
        this.gate.tick(now);
        return;
      case 'breaker_snapshot':
        this.#breakerSnapshot(step);
        return;
      case 'breaker_restored': {
        const breaker = this.breakers.get(step.name);
        if (breaker !== undefined) breaker.restoring = { clockStepMs: step.clockStepMs };
        return;
      }
      case 'breaker':
        this.#breakerInput(step);
        return;
      case 'stops_snapshot':
        this.#stopsSnapshot(step);
        return;
      case 'stop_add': {
        const { link } = place;
        if (link !== undefined && this.#isGone(link)) {
          this.notEntered.add(place.recordId);
          this.gone.add(link);
          return;
        }
        if (link !== undefined) this.#entered.add(link);
        if (this.#which.stops) this.#stopsOf(step.set).add(step.input, step.settings, place, now);
        return;
      }
      case 'stop_close':
        this.#stopsOf(step.set).close(step.id, step.quantity, now);
        return;
      case 'stop_flip':
        this.#stopsOf(step.set).flip(step.id, step.input, step.settings, place, now);
        return;
      case 'stop_remove':
        this.#stopsOf(step.set).remove(step.id, step.reason, step.fired, now);
        return;
      case 'price':
        this.#stopsOf(step.set).price(step.key, step.price, step.stamp, step.symbol, now);
        return;
      case 'bar':
        this.#stopsOf(step.set).bar(step.key, step.bar, step.path, step.stamp, now);
        return;
      default:
        this.#limitsStep(step);
    }
  }

  #process(goesOn: boolean): void {
    this.#gateIsKnown = this.#gateIsKnown && goesOn && this.#isChanged;
    this.#inMidst = false;
    if (!goesOn) {
      this.breakers.clear();
      this.limits.clear();
      for (const stops of this.stops.values()) stops.clear();
      this.gate.state = { demands: [] };
      return;
    }
    for (const breaker of this.breakers.values()) breaker.stale = true;
    for (const limits of this.limits.values()) limits.stale = true;
  }

  #breakerSnapshot(step: Extract<Step, { kind: 'breaker_snapshot' }>): void {
    const { name, config, state, cause, now, place } = step;
    const { chain, changes, emit, watch } = this.#options;
    const breaker = this.breakers.get(name);
    const isChanged = changes.breakers.has(name);
    const inForce = isChanged ? changedBreaker(name, config, changes) : config;
    if (breaker === undefined) {
      const made = new ReplayBreaker(name, { config: inForce, state, cause }, chain.recordInputs, this.gate, emit);
      this.breakers.set(name, made);
      if (!this.#inMidst) made.begin(now);
      return;
    }
    if (breaker.restoring !== undefined) {
      if (isChanged) breaker.resume(inForce, breaker.restoring.clockStepMs);
      else breaker.adopt(config, state, cause);
      breaker.restoring = undefined;
      breaker.stale = false;
      breaker.permits.clear();
      breaker.begin(now);
      return;
    }
    // What the process has not made yet stands in its snapshots as it was.
    if (breaker.stale || this.#isChanged) return;
    const found = differences(breaker.plain(), { config, state });
    if (found.length > 0) watch.snapshot?.(place, breakerLayer(name), found);
  }

  #breakerInput(step: Extract<Step, { kind: 'breaker' }>): void {
    const { name, input, now, place } = step;
    const breaker = this.breakers.get(name);
    if (breaker === undefined) return;
    const { link } = place;
    const { watch, changes } = this.#options;
    switch (input.type) {
      case 'allow': {
        if (link !== undefined && this.gone.has(link)) return;
        const { permitted, code, probe } = breaker.allow(input.reduces, input.call, now);
        watch.call?.(place, name, step.permitted === true, permitted, code);
        // Nobody knows what would have come of the call.
        if (probe !== undefined && step.permitted !== true) {
          breaker.step({ type: 'release', epoch: breaker.state.epoch, probe, call: input.call }, now);
        }
        return;
      }
      case 'result': {
        const { call } = input;
        const permit = call === undefined ? undefined : breaker.permits.get(call);
        let permitted = permit?.permitted ?? !(call !== undefined && link !== undefined && this.gone.has(link));
        const { status } = breaker.state;
        if (step.unasked === true && this.#isChanged && status !== 'CLOSED' && status !== 'DISABLED') {
          const decision = breaker.allow(false, undefined, now);
          permitted = decision.permitted;
          watch.call?.(place, name, true, permitted, decision.code);
        }
        if (!permitted) {
          if (!input.failed && link !== undefined) this.#missedCall(link);
          return;
        }
        if (!input.failed && link !== undefined) this.#missed.delete(link);
        if (permit === undefined) breaker.step(input, now);
        else {
          const { probe: _, bypassed: __, epoch: ___, ...rest } = input;
          const { epoch, probe, bypassed } = permit;
          breaker.step({ ...rest, epoch, bypassed, ...(probe === undefined ? {} : { probe }) }, now);
        }
        return;
      }
      case 'release': {
        const permit = input.call === undefined ? undefined : breaker.permits.get(input.call);
        if (permit === undefined) breaker.step({ ...input, epoch: breaker.state.epoch }, now);
        else if (permit.probe !== undefined) breaker.step({ ...input, epoch: permit.epoch, probe: permit.probe }, now);
        return;
      }
      case 'trade':
        if (this.#isGone(link)) return;
        break;
      case 'configure':
        breaker.step({ ...input, config: changedBreaker(name, input.config, changes) }, now);
        return;
    }
    breaker.step(input, now);
  }

  /** An order that was filled would not have been sent. */
  #missedCall(link: string): void {
    if (this.#entered.has(link)) this.exitRefused.add(link);
    else this.#missed.add(link);
  }

  #stopsSnapshot(step: Extract<Step, { kind: 'stops_snapshot' }>): void {
    const { set, stops: list, restored, restoredFrom, now, place } = step;
    const stops = this.#stopsOf(set);
    const isChanged = this.#options.changes.stops.has(set);
    if (this.#inMidst && stops.stops.length === 0) {
      stops.hold(list, place);
      return;
    }
    if (restored) {
      if (!isChanged) stops.adopt(list, place);
      stops.demandAgain(restoredFrom, now);
      return;
    }
    if (this.#isChanged) return;
    const plain = (one: object) => ({ ...one, cursor: undefined });
    const found = differences(stops.stops.map(plain), list.map(plain));
    if (found.length > 0) this.#options.watch.snapshot?.(place, stopsLayer(set), found);
  }

  #limitsStep(step: Exclude<Step, { kind: 'process' | 'breaker' }> & { readonly set?: string }): void {
    const { kind, now, place } = step;
    const set = step.set ?? 'default';
    const { changes } = this.#options;
    const limits = this.limits.get(set);
    if (kind === 'limits_snapshot') {
      this.#limitsSnapshot(step);
      return;
    }
    if (limits === undefined) return;
    switch (kind) {
      case 'limits_restored':
        limits.restoring = true;
        return;
      case 'limits':
        if (step.input.type === 'fill' && this.#isGone(place.link)) return;
        limits.input(step.input, now);
        return;
      case 'limits_recovered':
        limits.recover(step.reason, place.recordId, now);
        return;
      case 'limits_config':
        limits.configure(changedLimits(set, step.config, changes), step.actor, step.reason, now);
        return;
      case 'health':
        limits.health(step.portfolio, now);
        return;
      case 'check': {
        const { decision } = limits.check(step.portfolio, step.order, now);
        const { quantity, code } = decision;
        this.#checked(place, set, step.recorded, { decision: decision.decision, quantity, code }, false);
        return;
      }
      case 'told_check': {
        const event = { name: 'risk.portfolio_limit.check', attributes: step.attributes };
        const answer = this.#isChanged
          ? judgeAgain(step, limits.options, changes.limits.get(set), this.gate, now)
          : undefined;
        const replayed = answer ?? step.recorded;
        if (replayed.decision !== 'deny') {
          const state = foldLimits(limits.state, event, set);
          if (state !== undefined) limits.state = state;
        }
        this.#checked(place, set, step.recorded, replayed, true);
        return;
      }
    }
  }

  #checked(place: Place, set: string, recorded: RecordedCheck, replayed: RecordedCheck, bound: boolean): void {
    const { link } = place;
    if (link !== undefined && recorded.observed === undefined) {
      if (replayed.decision === 'deny' && recorded.decision !== 'deny') this.gone.add(link);
      else if (replayed.decision !== 'deny') {
        this.gone.delete(link);
        const share = recorded.quantity > 0 ? replayed.quantity / recorded.quantity : 1;
        if (share < 1) this.shares.set(link, share);
        else this.shares.delete(link);
      }
    }
    this.#options.watch.check?.(place, set, recorded, replayed, bound);
  }

  #limitsSnapshot(step: Extract<Step, { kind: 'limits_snapshot' }>): void {
    const { set, state, now, place } = step;
    const { changes, emit, watch } = this.#options;
    const limits = this.limits.get(set);
    if (limits === undefined) {
      this.limits.set(set, new ReplayLimits(set, this.#changedState(set, state), this.#all, this.gate, emit));
      return;
    }
    if (limits.restoring) {
      limits.restoring = false;
      limits.stale = false;
      if (!changes.limits.has(set)) limits.adopt(state);
      limits.demandAgain(now);
      return;
    }
    if (limits.stale || this.#isChanged) return;
    const found = differences(limitsSnapshot(limits.state), limitsSnapshot(state));
    if (found.length > 0) watch.snapshot?.(place, limitsLayer(set), found);
  }
}
