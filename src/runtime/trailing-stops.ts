/** Trailing stops, instrumented: holds the stops of a service, records their journey, tells of triggers. */
import type { Attributes } from '@opentelemetry/api';
import type { CatalogEvent } from '../catalog/events.ts';
import { describeValue } from '../core/errors.ts';
import { Listeners, type Subscription } from '../core/listeners.ts';
import {
  type AddStopInput,
  addStop,
  type Bar,
  type BarPath,
  barInputEvent,
  barStop,
  type FlipInput,
  failedStep,
  flipStop,
  type InputTarget,
  isTrailingStop,
  type PriceStamp,
  partialCloseStop,
  priceInputEvent,
  readTrailingStopsOptions,
  refuseChange,
  removeStop,
  restoredEvent,
  type StopChange,
  type StopChangeCode,
  type StopDecision,
  StopSet,
  type StopStep,
  snapshotEvent,
  type TrailingStop,
  type TrailingStopsOptions,
  type TrailingStopsState,
  tickStop,
} from '../risk/trailing-stop.ts';
import type { LayerHost } from './layer-host.ts';
import { clockStepAttributes, type RestoreTerms, settleConfigChange } from './restore-terms.ts';

export type {
  AddStopInput,
  Bar,
  BarPath,
  FlipInput,
  PriceStamp,
  StopAction,
  StopChangeCode,
  StopCode,
  StopSide,
  StopStatus,
  TrailingStop,
  TrailingStopOverrides,
  TrailingStopSettings,
  TrailingStopsOptions,
  TrailingStopsState,
} from '../risk/trailing-stop.ts';

/** What a price brought about for one stop. */
export interface TrailingStopDecision extends StopDecision {
  /** Record id of the event that says so; absent where nothing was recorded. */
  readonly recordId?: string;
}

/** What came of adding, closing, flipping or removing. */
export interface TrailingStopChange {
  readonly id: string;
  /** False: nothing was changed; `code` and `reason` say why. */
  readonly accepted: boolean;
  readonly code: StopChangeCode;
  readonly reason?: string;
  /** The stop as it stands now; absent where it was removed or does not exist. */
  readonly stop?: TrailingStop;
  readonly recordId?: string;
}

/** Where the stops go on from after a restart. */
export interface RestoredTrailingStops {
  readonly state: TrailingStopsState;
  /** Record that the state was rebuilt from. */
  readonly recordId?: string;
  readonly ageMs?: number;
  /** Time of the last record before the restart, epoch milliseconds. */
  readonly lastMs?: number;
}

/** Prices of a bar are taken in a declared order, as the bar does not say which came first. */
export interface BarOptions extends PriceStamp {
  readonly path: BarPath;
}

/**
 * A set of trailing stops. No method throws.
 * A key that is the id of a stop means that stop; else it is a symbol and means all stops on it.
 */
export interface TrailingStops {
  /** Puts a stop under a position. An id may be used again once its stop has triggered or was removed. */
  add(input: AddStopInput): TrailingStopChange;
  /** Takes one observed price; a decision for each stop that the key means, in the order of adding. */
  tick(idOrSymbol: string, price: number, stamp?: PriceStamp): readonly TrailingStopDecision[];
  /** Takes the open, high, low and close of a bar in the declared order. */
  bar(idOrSymbol: string, bar: Bar, options: BarOptions): readonly TrailingStopDecision[];
  /** Part of the position was closed; the last part removes the stop. */
  partialClose(id: string, quantityClosed: number): TrailingStopChange;
  /** The position turned to the other side: the stop begins anew. */
  flip(id: string, input: FlipInput): TrailingStopChange;
  /** The position was closed, or is to be guarded no more. Triggered stops stand until they are removed or added again. */
  remove(id: string, reason?: string): TrailingStopChange;
  get(id: string): TrailingStop | undefined;
  list(): readonly TrailingStop[];
  /** Records the state of all stops, and returns it: JSON-serialisable, what a restart goes on from. */
  snapshot(): TrailingStopsState;
  /** Told of each trigger after it was recorded. A listener's throw is reported, and changes nothing. */
  onTrigger(listener: (decision: TrailingStopDecision) => void): Subscription;
}

/**
 * @param restored state to go on from: stops of another set's name are left to it; each stop keeps its own settings
 * @throws RiskTrailError OPTION_INVALID, OPTION_UNKNOWN
 * @example
 * const stops = trail.trailingStops({ activationPct: 2, trailingPct: 1.5 });
 * stops.add({ id: 'pos-1', symbol: 'AAPL', side: 'long', entryPrice: 150.25, quantity: 100 });
 * for (const decision of stops.tick('AAPL', 148.1)) if (decision.action === 'TRIGGER') closePosition(decision.id);
 */
export function createTrailingStops(
  host: LayerHost,
  options: TrailingStopsOptions | undefined,
  restored?: RestoredTrailingStops,
): TrailingStops {
  return new InstrumentedTrailingStops(host, options, restored);
}

const WHERE = 'trailingStops';
const KEEP: RestoreTerms = { onConfigChange: 'keep' };

/** Event that an action is told by. */
const EVENT_OF = {
  ACTIVATE: 'risk.trailing_stop.activate',
  UPDATE: 'risk.trailing_stop.update',
  TRIGGER: 'risk.trailing_stop.trigger',
  HOLD: 'risk.trailing_stop.peak',
  IGNORED: 'risk.trailing_stop.invalid_input',
} as const;

class InstrumentedTrailingStops implements TrailingStops {
  readonly #host: LayerHost;
  readonly #name: string;
  readonly #drivesGate: boolean;
  readonly #settings: ReturnType<typeof readTrailingStopsOptions>['settings'];
  readonly #listeners: Listeners<TrailingStopDecision>;
  readonly #stops = new StopSet();

  constructor(host: LayerHost, options: TrailingStopsOptions | undefined, restored: RestoredTrailingStops | undefined) {
    const { name, onTrigger, settings } = readTrailingStopsOptions(options);
    this.#host = host;
    this.#name = name;
    this.#drivesGate = onTrigger === 'REDUCING';
    this.#settings = settings;
    this.#listeners = new Listeners((error) => host.report(error, `${WHERE}.onTrigger`));
    if (restored !== undefined) this.#guard('restore', undefined, () => this.#restore(restored));
    this.#guard('onSnapshot', undefined, () => {
      host.onSnapshot(() => (this.#stops.size === 0 ? [] : [snapshotEvent(this.#state())]));
    });
  }

  add(input: AddStopInput): TrailingStopChange {
    const id = this.#guard('add', undefined, () => input?.id);
    return this.#change(id, (held) => {
      const change = addStop(this.#settings, this.#name, input);
      const { stop } = change;
      if (stop === undefined) return change;
      if (held !== undefined && held.status !== 'triggered') {
        const about = { id: stop.id, symbol: stop.symbol };
        return refuseChange('TRAILING_STOP_EXISTS', 'a stop of this id is at work', about, held);
      }
      if (this.#stops.wouldBeAmbiguous(stop)) return ambiguousId(stop);
      // A re-entry takes its place at the end, as any stop that is added.
      if (held !== undefined) this.#stops.drop(held);
      return change;
    });
  }

  tick(idOrSymbol: string, price: number, stamp?: PriceStamp): readonly TrailingStopDecision[] {
    return this.#prices(
      'tick',
      idOrSymbol,
      (stop, now) => tickStop(stop, price, stamp ?? {}, now),
      (target) => priceInputEvent(target, price, stamp ?? {}),
    );
  }

  bar(idOrSymbol: string, bar: Bar, options: BarOptions): readonly TrailingStopDecision[] {
    const stamp: Partial<BarOptions> = options ?? {};
    const path = stamp.path as BarPath;
    return this.#prices(
      'bar',
      idOrSymbol,
      (stop, now) => barStop(stop, bar, path, stamp, now),
      (target) => barInputEvent(target, bar, path, stamp),
    );
  }

  partialClose(id: string, quantityClosed: number): TrailingStopChange {
    return this.#change(id, (stop) => (stop === undefined ? unknownStop(id) : partialCloseStop(stop, quantityClosed)));
  }

  flip(id: string, input: FlipInput): TrailingStopChange {
    return this.#change(id, (stop) => (stop === undefined ? unknownStop(id) : flipStop(stop, input)));
  }

  remove(id: string, reason?: string): TrailingStopChange {
    return this.#change(id, (stop) => (stop === undefined ? unknownStop(id) : removeStop(stop, reason)));
  }

  get(id: string): TrailingStop | undefined {
    return this.#stops.get(id);
  }

  list(): readonly TrailingStop[] {
    return this.#stops.list();
  }

  snapshot(): TrailingStopsState {
    const state = this.#state();
    this.#emit(snapshotEvent(state));
    return state;
  }

  onTrigger(listener: (decision: TrailingStopDecision) => void): Subscription {
    return this.#listeners.add(listener);
  }

  #state(): TrailingStopsState {
    return { stops: this.list() };
  }

  /** Every stop's decision, events and new state stand before the first event is emitted. */
  #prices(
    operation: 'tick' | 'bar',
    key: string,
    step: (stop: TrailingStop, now: number) => StopStep,
    input: (target: InputTarget) => CatalogEvent | undefined,
  ): readonly TrailingStopDecision[] {
    return this.#guard(operation, [], () => {
      if (typeof key !== 'string' || key === '') {
        this.#emitAll(operation, { 'risk.component': 'trailing_stop' }, refuseKey(key).events);
        return [];
      }
      const stops = this.#stops.meantBy(key);
      if (stops.length === 0) {
        this.#priceOfNone(operation, key, input);
        return [];
      }
      const now = this.#host.clock.now();
      const steps = stops.map((stop) => this.#guard(operation, undefined, () => step(stop, now)) ?? failedStep(stop));
      for (const { stop } of steps) this.#stops.hold(stop);

      const inputs: CatalogEvent[] = [];
      if (this.#host.recordInputs === 'all') {
        const { id, symbol } = stops[0]!;
        const manager = this.#name;
        const event = input(key === symbol ? { symbol, manager } : { symbol, stopId: id, manager });
        if (event !== undefined) inputs.push(event);
      }
      const decisions = this.#record(operation, stops[0]!.symbol, inputs, steps);
      for (const decision of decisions) if (decision.action === 'TRIGGER') this.#triggered(decision);
      return decisions;
    });
  }

  /** No stop stands on it; under other parameters one might. */
  #priceOfNone(
    operation: 'tick' | 'bar',
    symbol: string,
    input: (target: InputTarget) => CatalogEvent | undefined,
  ): void {
    const event =
      this.#host.recordInputs === 'all'
        ? this.#guard(operation, undefined, () => input({ symbol, manager: this.#name }))
        : undefined;
    if (event !== undefined) this.#record(operation, symbol, [event], []);
  }

  #record(
    operation: 'tick' | 'bar',
    symbol: string,
    inputs: readonly CatalogEvent[],
    steps: readonly StopStep[],
  ): readonly TrailingStopDecision[] {
    // Most prices change nothing and leave nothing: they cost no span either.
    if (inputs.length === 0 && steps.every((step) => step.events.length === 0))
      return steps.map((step) => step.decision);
    const attributes = { 'risk.component': 'trailing_stop', 'trading.symbol': symbol };
    return this.#span(operation, attributes, () => {
      for (const event of inputs) this.#emit(event);
      return steps.map(({ decision, events }) => {
        let recordId: string | undefined;
        for (const event of events) {
          const emitted = this.#emit(event);
          if (event.name === EVENT_OF[decision.action]) recordId = emitted;
        }
        return recordId === undefined ? decision : { ...decision, recordId };
      });
    });
  }

  #triggered(decision: TrailingStopDecision): void {
    if (this.#drivesGate) {
      const { id, symbol, stopPrice, price } = decision;
      this.#demand(
        id,
        symbol,
        'REDUCING',
        `trailing stop ${id} fired at ${price}, level ${stopPrice}`,
        decision.recordId,
      );
    }
    this.#listeners.emit(decision);
  }

  #change(id: unknown, decide: (held: TrailingStop | undefined) => StopChange): TrailingStopChange {
    const name = typeof id === 'string' ? id : '';
    const failed: TrailingStopChange = { id: name, accepted: false, code: 'TRAILING_STOP_FAILED' };
    return this.#guard('change', failed, () => {
      const held = this.#stops.get(name);
      const { accepted, code, reason, stop, events } = decide(held);
      if (accepted) {
        if (stop !== undefined) this.#stops.hold(stop);
        else if (held !== undefined) this.#stops.drop(held);
      }
      const recordIds = this.#emitAll('change', { 'risk.component': 'trailing_stop' }, events);
      if (accepted && held?.status === 'triggered' && stop?.status !== 'triggered' && this.#drivesGate) {
        this.#demand(held.id, held.symbol, 'ACTIVE', `trailing stop ${held.id} stands no more`, recordIds.at(-1));
      }
      const now = stop ?? (accepted ? undefined : held);
      return {
        id: name,
        accepted,
        code,
        ...(reason === undefined ? {} : { reason }),
        ...(now === undefined ? {} : { stop: now }),
        ...(recordIds[0] === undefined ? {} : { recordId: recordIds[0] }),
      };
    });
  }

  #restore({ state, recordId, ageMs, lastMs }: RestoredTrailingStops): void {
    const clockStep = lastMs === undefined ? {} : clockStepAttributes(this.#host.clock.now(), lastMs);
    const events: CatalogEvent[] = [];
    for (const stop of Array.isArray(state?.stops) ? state.stops : []) {
      if (!isTrailingStop(stop)) {
        const reason = 'a stop that was written down cannot be read';
        const about = { field: 'restored', value: describeValue(stop) };
        events.push(...refuseChange('TRAILING_STOP_INPUT_INVALID', reason, about).events);
      } else if (stop.manager === this.#name) {
        this.#stops.hold(deepFreeze(stop));
        // A stop keeps the settings that it was placed with: they may be its own, beside those of its set.
        const { attributes } = settleConfigChange(WHERE, stop.settings, this.#settings, KEEP);
        events.push(restoredEvent(stop, recordId, ageMs, { ...attributes, ...clockStep }));
      }
    }
    if (this.#stops.size > 0) events.push(snapshotEvent(this.#state()));
    this.#emitAll('restore', { 'risk.component': 'trailing_stop' }, events);
    if (!this.#drivesGate) return;
    for (const { id, symbol, status } of this.#stops.list()) {
      if (status === 'triggered') this.#demand(id, symbol, 'REDUCING', `trailing stop ${id} has fired`, recordId);
    }
  }

  #demand(
    id: string,
    symbol: string,
    state: 'REDUCING' | 'ACTIVE',
    reason: string,
    recordId: string | undefined,
  ): void {
    this.#guard('gate', undefined, () =>
      this.#host.gate.demand({
        source: `trailing_stop:${id}`,
        state,
        scope: `symbol:${symbol}`,
        actor: 'trailing_stop',
        reason,
        reasonCode: state === 'REDUCING' ? 'TRAILING_STOP_TRIGGERED' : 'TRAILING_STOP_ENDED',
        ...(recordId === undefined ? {} : { causeRecordId: recordId }),
        ...(state === 'REDUCING' ? { causeEvent: 'risk.trailing_stop.trigger' } : {}),
      }),
    );
  }

  #emit(event: CatalogEvent): string | undefined {
    return this.#guard('emit', undefined, () => this.#host.emit(event));
  }

  #emitAll(
    operation: string,
    attributes: Attributes,
    events: readonly CatalogEvent[],
  ): readonly (string | undefined)[] {
    return this.#span(operation, attributes, () => events.map((event) => this.#emit(event)));
  }

  #span<T>(operation: string, attributes: Attributes, fn: () => T): T {
    return this.#host.span(`risk.trailing_stop ${operation}`, attributes, fn);
  }

  /** Whatever of ours fails is reported, and the caller goes on. */
  #guard<T>(operation: string, otherwise: T, fn: () => T): T {
    try {
      return fn();
    } catch (error) {
      this.#host.report(error, `${WHERE}.${operation}`);
      return otherwise;
    }
  }
}

const unknownStop = (id: unknown): StopChange =>
  refuseChange('TRAILING_STOP_UNKNOWN', 'there is no stop of this id', {
    ...(typeof id === 'string' && id !== '' ? { id } : {}),
    field: 'id',
    value: describeValue(id),
  });

const ambiguousId = ({ id, symbol }: TrailingStop): StopChange =>
  refuseChange('TRAILING_STOP_ID_AMBIGUOUS', 'the id is the symbol of another stop, or the symbol another stop’s id', {
    id,
    symbol,
    field: 'id',
    value: describeValue(id),
  });

const refuseKey = (key: unknown): StopChange =>
  refuseChange('TRAILING_STOP_ID_INVALID', 'the id or symbol is no non-empty string', {
    field: 'idOrSymbol',
    value: describeValue(key),
  });

function deepFreeze<T extends object>(value: T): T {
  for (const part of Object.values(value)) if (typeof part === 'object' && part !== null) deepFreeze(part);
  return Object.freeze(value);
}
