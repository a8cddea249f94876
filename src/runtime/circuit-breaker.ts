/** The instrumented circuit breaker: guards calls, records what it decides, and drives the trading gate. */
import { type CatalogEvent, catalogEvent } from '../catalog/events.ts';
import { isRiskTrailError, RiskTrailError } from '../core/errors.ts';
import { Listeners, type Subscription } from '../core/listeners.ts';
import { readFields } from '../core/read-fields.ts';
import type { BreakerDecision, BreakerInput, ManualAct } from '../risk/circuit-breaker/input.ts';
import {
  type BreakerConfig,
  type CircuitBreakerOptions,
  optionsOf,
  readBreakerOptions,
} from '../risk/circuit-breaker/options.ts';
import {
  adaptState,
  type BreakerState,
  type BreakerStatus,
  initialBreakerState,
  resumeState,
  shiftState,
} from '../risk/circuit-breaker/state.ts';
import { stepBreaker } from '../risk/circuit-breaker/step.ts';
import { createBreakerClock } from './circuit-breaker-clock.ts';
import { changeOf, restoredEvent, snapshotEvent } from './circuit-breaker-records.ts';
import { type BreakerSnapshot, readSnapshot } from './circuit-breaker-snapshot.ts';
import type {
  BreakerAct,
  BreakerChange,
  BreakerResult,
  BreakerTrade,
  CircuitBreaker,
  ExecuteOptions,
  GuardedCall,
  Permit,
} from './circuit-breaker-types.ts';
import { type FailureReport, failureInfo } from './failure-info.ts';
import type { LayerHost } from './layer-host.ts';
import { clockStepAttributes, NO_CHANGE, type RestoreTerms, settleConfigChange } from './restore-terms.ts';

export type { CircuitBreakerOptions } from '../risk/circuit-breaker/options.ts';
export type {
  BreakerAct,
  BreakerChange,
  BreakerResult,
  BreakerSnapshot,
  BreakerTrade,
  CircuitBreaker,
  ExecuteOptions,
  GuardedCall,
  Permit,
} from './circuit-breaker-types.ts';

/**
 * @param from snapshot of an earlier process to go on from; remaining waits count from when it opened
 * @param terms how it goes on; by default with the settings given now
 * @throws RiskTrailError OPTION_INVALID, OPTION_UNKNOWN, RESTORE_CONFIG_CHANGED
 */
export function createCircuitBreaker(
  host: LayerHost,
  name: string,
  options?: CircuitBreakerOptions,
  from?: BreakerSnapshot,
  terms?: RestoreTerms,
): CircuitBreaker {
  if (typeof name !== 'string' || name.trim() === '') {
    throw new RiskTrailError('OPTION_INVALID', {
      field: 'circuitBreaker.name',
      expected: 'a non-empty string',
      received: typeof name === 'string' ? '""' : typeof name,
    });
  }
  return new InstrumentedBreaker(host, name, options ?? {}, from, terms);
}

interface Issued {
  readonly startMs: number;
  settled: boolean;
}

class InstrumentedBreaker implements CircuitBreaker {
  readonly name: string;
  readonly #host: LayerHost;
  readonly #listeners: Listeners<BreakerChange>;
  readonly #issued = new WeakMap<Permit, Issued>();
  readonly #clock: ReturnType<typeof createBreakerClock>;
  #options: CircuitBreakerOptions;
  #config: BreakerConfig;
  #isFailure: (error: unknown) => boolean;
  #state: BreakerState;
  /** Record id of the event that explains the present state. */
  #causeId: string | undefined;
  /** Changes that listeners have yet to hear of. A listener that acts on one does not overtake it. */
  readonly #unheard: BreakerChange[] = [];
  #telling = false;
  /** Permits so far, counted where every input is recorded. */
  #calls = 0;

  constructor(
    host: LayerHost,
    name: string,
    options: CircuitBreakerOptions,
    from: BreakerSnapshot | undefined,
    terms: RestoreTerms | undefined,
  ) {
    const owner = `circuitBreaker("${name}")`;
    const { config: given, isFailure } = readBreakerOptions(owner, options);
    const earlier = from === undefined ? undefined : readSnapshot(`${owner}.snapshot`, from);
    const changed =
      earlier === undefined ? NO_CHANGE : settleConfigChange(`circuit breaker "${name}"`, earlier.config, given, terms);
    const config = earlier !== undefined && changed.keep ? Object.freeze(earlier.config) : given;
    this.name = name;
    this.#host = host;
    this.#options = changed.keep ? { ...optionsOf(config), isFailure } : { ...options };
    this.#config = config;
    this.#isFailure = isFailure;
    this.#listeners = new Listeners((error) => host.report(error, `circuit breaker ${name} listener`));
    this.#clock = createBreakerClock(host.clock);
    const now = this.#clock.read().now;
    this.#state = earlier === undefined ? initialBreakerState(now) : this.#resume(earlier, now);
    if (earlier !== undefined) {
      const further = { ...changed.attributes, ...clockStepAttributes(now, earlier.savedAtMs) };
      this.#emit(restoredEvent(this.#snapshotAt(now), earlier, terms?.ageMs, further));
    }
    this.#emit(this.#snapshotEvent());
    this.#driveGate(undefined);
    host.onSnapshot(() => [this.#snapshotEvent()]);
    host.gate.beforeAnswer(() => this.#tickIfTimed());
  }

  get state(): BreakerStatus {
    this.#tickIfTimed();
    return this.#state.status;
  }

  execute<T>(fn: (call: GuardedCall) => T | PromiseLike<T>, options: ExecuteOptions = {}): Promise<T> {
    const attributes = { 'risk.circuit_breaker.name': this.name };
    return this.#host.span('risk.circuit_breaker.execute', attributes, () => this.#execute(fn, options ?? {}));
  }

  async #execute<T>(fn: (call: GuardedCall) => T | PromiseLike<T>, options: ExecuteOptions): Promise<T> {
    const { signal } = options;
    if (typeof fn !== 'function') {
      this.#invalid('CIRCUIT_BREAKER_FUNCTION_MISSING');
      throw new RiskTrailError('OPTION_INVALID', {
        field: `circuitBreaker("${this.name}").execute`,
        expected: 'a function',
        received: typeof fn,
      });
    }
    signal?.throwIfAborted();
    const permit = this.allow(options);
    if (!permit.permitted) {
      throw new RiskTrailError('CIRCUIT_BREAKER_REFUSED', { name: this.name, reason: permit.code });
    }
    let value: T;
    try {
      value = await fn(signal === undefined ? { permit } : { permit, signal });
    } catch (error) {
      if (signal?.aborted === true) this.#release(permit);
      else if (this.#counts(error)) this.failure(error, permit);
      else this.success(permit);
      throw error;
    }
    this.success(permit);
    return value;
  }

  allow(options: { readonly reduces?: boolean | undefined } = {}): Permit {
    const call = this.#host.recordInputs === 'all' ? ++this.#calls : undefined;
    const decision = this.#run({ type: 'allow', reduces: this.#field(options, 'reduces') === true, call });
    const { epoch, openUntilMs } = this.#state;
    const permit: Permit = {
      permitted: decision.permitted,
      code: decision.code,
      epoch,
      ...(decision.probe === undefined ? {} : { probe: decision.probe }),
      ...(call === undefined ? {} : { call }),
      ...(decision.code === 'CIRCUIT_BREAKER_REDUCES' ? { bypassed: true } : {}),
      ...(decision.permitted || openUntilMs === null ? {} : { openUntil: openUntilMs }),
    };
    this.#issued.set(permit, { startMs: this.#host.clock.monotonic(), settled: false });
    return Object.freeze(permit);
  }

  success(permit?: Permit, options?: { readonly durationMs?: number | undefined }): BreakerResult {
    return this.#settle(false, permit, this.#field(options, 'durationMs'), undefined);
  }

  failure(error?: unknown, permit?: Permit): BreakerResult {
    const info = failureInfo(error);
    return this.#settle(true, permit, info?.durationMs, info);
  }

  recordTrade(trade: BreakerTrade): BreakerResult {
    const { pnl, stopLoss = false, symbol } = this.#read(trade, ['pnl', 'stopLoss', 'symbol']);
    return this.#result(this.#run({ type: 'trade', pnl: pnl as number, stopLoss, symbol }));
  }

  recordEquity(equity: number): BreakerResult {
    return this.#result(this.#run({ type: 'equity', equity }));
  }

  trip(act: BreakerAct): BreakerResult {
    return this.#manual('trip', act);
  }

  forceOpen(act: BreakerAct): BreakerResult {
    return this.#manual('force_open', act);
  }

  disable(act: BreakerAct): BreakerResult {
    return this.#manual('disable', act);
  }

  enable(act: BreakerAct): BreakerResult {
    return this.#manual('enable', act);
  }

  reset(act: BreakerAct): BreakerResult {
    return this.#manual('reset', act);
  }

  configure(options: CircuitBreakerOptions, by: BreakerAct): BreakerResult {
    const { actor, reason } = this.#actOf(by);
    let merged: CircuitBreakerOptions;
    let read: ReturnType<typeof readBreakerOptions>;
    try {
      merged = { ...this.#options, ...options };
      read = readBreakerOptions(`circuitBreaker("${this.name}")`, merged);
    } catch (error) {
      const code = isRiskTrailError(error) ? error.code : 'OPTION_INVALID';
      return this.#invalid(code, error instanceof Error ? error.message : undefined);
    }
    const old = this.#config;
    const { config } = read;
    const decision = this.#run({ type: 'configure', config, actor, reason });
    if (decision.permitted) {
      this.#options = merged;
      this.#config = config;
      this.#isFailure = read.isFailure;
      if (old.scope !== config.scope || old.onOpen !== config.onOpen) {
        if (old.scope !== config.scope) this.#demand('ACTIVE', old.scope, actor, reason);
        this.#driveGate(undefined);
      }
    }
    return this.#result(decision);
  }

  tick(): void {
    this.#run({ type: 'tick' });
  }

  snapshot(): BreakerSnapshot {
    this.#tickIfTimed();
    return this.#snapshotAt(this.#clock.last());
  }

  onStateChange(listener: (change: BreakerChange) => void): Subscription {
    return this.#listeners.add(listener);
  }

  #settle(
    failed: boolean,
    permit: Permit | undefined,
    givenMs: number | undefined,
    error: FailureReport | undefined,
  ): BreakerResult {
    if (permit === undefined || permit === null) {
      return this.#result(this.#run({ type: 'result', failed, durationMs: givenMs, error }));
    }
    const issued = typeof permit === 'object' ? this.#issued.get(permit) : undefined;
    // Those that we issued are frozen and plain; others, such as a copy that came through JSON, may be anything.
    const read =
      issued === undefined ? this.#read(permit, ['epoch', 'permitted', 'probe', 'bypassed', 'call']) : permit;
    if (typeof permit !== 'object' || !Number.isSafeInteger(read.epoch)) {
      return this.#invalid('CIRCUIT_BREAKER_PERMIT_INVALID');
    }
    if (read.permitted !== true) return this.#invalid('CIRCUIT_BREAKER_PERMIT_REFUSED');
    const duplicate = issued?.settled === true;
    if (issued !== undefined) issued.settled = true;
    const durationMs =
      givenMs ?? (issued === undefined || duplicate ? undefined : this.#host.clock.monotonic() - issued.startMs);
    const { epoch, probe, bypassed } = read;
    const call = Number.isSafeInteger(read.call) ? read.call : undefined;
    return this.#result(
      this.#run({ type: 'result', failed, durationMs, error, epoch, probe, bypassed, duplicate, call }),
    );
  }

  #release(permit: Permit): void {
    const issued = this.#issued.get(permit);
    if (issued !== undefined) issued.settled = true;
    const { epoch, probe, call } = permit;
    if (probe !== undefined) this.#run({ type: 'release', epoch, probe, call });
  }

  /** What can't be read counts as absent. */
  #read<T, K extends keyof T>(given: T | undefined, names: readonly K[]): Partial<Pick<T, K>> {
    return readFields(given, names, (error) => this.#host.report(error, `circuit breaker ${this.name}`));
  }

  /** Actor and reason as given: the pure step refuses what is missing. */
  #actOf(by: BreakerAct): BreakerAct {
    return this.#read(by, ['actor', 'reason']) as BreakerAct;
  }

  #field<T, K extends keyof T>(given: T | undefined, name: K): T[K] | undefined {
    return given === undefined ? undefined : this.#read(given, [name])[name];
  }

  /** A predicate that throws has not cleared the error of being a failure. */
  #counts(error: unknown): boolean {
    try {
      return this.#isFailure(error) !== false;
    } catch (thrown) {
      this.#host.report(thrown, `circuit breaker ${this.name} isFailure`);
      return true;
    }
  }

  #manual(act: ManualAct, by: BreakerAct): BreakerResult {
    const { actor, reason } = this.#actOf(by);
    return this.#result(this.#run({ type: 'manual', act, actor, reason }));
  }

  #result(decision: BreakerDecision): BreakerResult {
    return { accepted: decision.permitted, code: decision.code, state: this.#state.status };
  }

  #invalid(code: string, reason?: string): BreakerResult {
    this.#emit(
      catalogEvent('risk.circuit_breaker.invalid_input', {
        'risk.circuit_breaker.name': this.name,
        'risk.reason.code': code,
        ...(reason === undefined ? {} : { 'risk.reason': reason }),
      }),
    );
    return { accepted: false, code, state: this.#state.status };
  }

  /** Nearly every question comes while no time runs: it costs no reading of the clock. */
  #tickIfTimed(): void {
    const { status, openUntilMs, probes } = this.#state;
    if (status === 'OPEN' ? openUntilMs !== null : status === 'HALF_OPEN' && probes.length > 0) this.tick();
  }

  #run(input: BreakerInput): BreakerDecision {
    const { now, steppedMs } = this.#clock.read();
    if (steppedMs !== 0) this.#step({ type: 'clock_step', deltaMs: steppedMs }, now);
    return this.#step(input, now);
  }

  #step(input: BreakerInput, now: number): BreakerDecision {
    const context = { name: this.name, config: this.#config, recordInputs: this.#host.recordInputs };
    const { state, decision, events } = stepBreaker(context, this.#state, input, now);
    this.#state = state;
    if (events.length === 0) return decision;
    const changes: BreakerChange[] = [];
    let cause: Cause | undefined = this.#causeId === undefined ? undefined : { id: this.#causeId, event: CHANGE };
    for (const event of events) {
      const recordId = this.#emit(event, cause);
      if (recordId !== undefined) cause = { id: recordId, event: event.name };
      if (event.name !== CHANGE) continue;
      if (recordId !== undefined) this.#causeId = recordId;
      changes.push(changeOf(event.attributes, recordId));
    }
    const last = changes.at(-1);
    if (last === undefined) return decision;
    // Every event is written before others hear of it: what they do in answer comes after it in the trail.
    this.#unheard.push(...changes);
    this.#driveGate(last);
    this.#tell();
    return decision;
  }

  #tell(): void {
    if (this.#telling) return;
    this.#telling = true;
    for (let next = this.#unheard.shift(); next !== undefined; next = this.#unheard.shift()) this.#listeners.emit(next);
    this.#telling = false;
  }

  /** Demands what the present state asks for. */
  #driveGate(change: BreakerChange | undefined): void {
    const { status } = this.#state;
    const { onOpen, scope } = this.#config;
    const isOpen = status === 'OPEN' || status === 'FORCED_OPEN';
    const actor = change?.actor ?? `circuit_breaker:${this.name}`;
    const reason = `circuit breaker ${this.name} is ${status}${change === undefined ? '' : `: ${change.reason}`}`;
    this.#demand(isOpen && onOpen !== 'none' ? onOpen : 'ACTIVE', scope, actor, reason);
  }

  #demand(state: 'ACTIVE' | 'REDUCING' | 'HALTED', scope: string, actor: string, reason: string): void {
    try {
      this.#host.gate.demand({
        ...{ source: `circuit_breaker:${this.name}`, state, scope, actor, reason },
        reasonCode: `CIRCUIT_BREAKER_${this.#state.status}`,
        ...(this.#causeId === undefined ? {} : { causeRecordId: this.#causeId, causeEvent: CHANGE }),
      });
    } catch (error) {
      this.#host.report(error, `circuit breaker ${this.name} gate`);
    }
  }

  /** @param cause for events that the state or an earlier event explains */
  #emit(event: CatalogEvent, cause?: Cause): string | undefined {
    const explained =
      cause !== undefined && EXPLAINED.has(event.name)
        ? { 'risk.cause.record_id': cause.id, 'risk.cause.event': cause.event }
        : undefined;
    try {
      return this.#host.emit(
        explained === undefined
          ? event
          : ({ name: event.name, attributes: { ...event.attributes, ...explained } } as CatalogEvent),
      );
    } catch (error) {
      this.#host.report(error, `circuit breaker ${this.name}`);
      return undefined;
    }
  }

  #resume(from: BreakerSnapshot, now: number): BreakerState {
    const adapted = adaptState(resumeState(from.state), from.config, this.#config);
    this.#causeId = from.causeRecordId;
    // A clock that was set back between the two processes must not lengthen a wait.
    return now < from.savedAtMs ? shiftState(adapted, now - from.savedAtMs) : adapted;
  }

  #snapshotEvent(): CatalogEvent {
    // As of the last reading: taking a snapshot brings nothing about.
    return snapshotEvent(this.#snapshotAt(this.#clock.last()));
  }

  #snapshotAt(savedAtMs: number): BreakerSnapshot {
    return {
      version: 1,
      name: this.name,
      savedAtMs,
      config: this.#config,
      state: this.#state,
      ...(this.#causeId === undefined ? {} : { causeRecordId: this.#causeId }),
    };
  }
}

const CHANGE = 'risk.circuit_breaker.state_change';

interface Cause {
  readonly id: string;
  readonly event: string;
}

/** Events that name their cause: the input that brought a transition about, or the transition that refused a call. */
const EXPLAINED: ReadonlySet<string> = new Set([
  CHANGE,
  'risk.circuit_breaker.not_permitted',
  'risk.circuit_breaker.exit_permitted',
  'risk.circuit_breaker.probe',
]);
