/** The trailing stops of a replay: those of one set, with how each of their journeys goes. */
import { withoutNulls } from '../../core/without-nulls.ts';
import {
  type AddStopInput,
  addStop,
  type Bar,
  type BarPath,
  barStop,
  type FlipInput,
  flipStop,
  type PriceStamp,
  partialCloseStop,
  removeStop,
  type StopChange,
  type StopStep,
  type TrailingStop,
  type TrailingStopOverrides,
  type TrailingStopSettings,
  tickStop,
} from '../../risk/trailing-stop.ts';
import type { Emit, ReplayGate } from './layers.ts';
import { type JourneyEnd, type Place, stopsLayer } from './steps.ts';

/** How a journey ended in the replay, and why nothing can be said where nothing can. */
export interface ReplayedEnd extends JourneyEnd {
  readonly unknown?: string;
}

const NONE: readonly string[] = [];

export class ReplayStops {
  readonly set: string;
  readonly #emit: Emit;
  readonly #gate: ReplayGate;
  readonly #drivesGate: boolean;
  readonly #overrides: TrailingStopOverrides;
  readonly #removed: ReadonlySet<string>;
  readonly #isChanged: boolean;
  /** By id, in the order of adding. */
  readonly #stops = new Map<string, TrailingStop>();
  /** Ids of those that a price can move, by symbol: a list that is made anew when one comes or goes. */
  readonly #moving = new Map<string, readonly string[]>();
  /** Record id that a held stop was added by. */
  readonly #keyOf = new Map<string, string>();
  readonly #lastPrice = new Map<string, number>();
  readonly ends = new Map<string, ReplayedEnd>();

  /** @param overrides settings that take the place of each stop's own; null takes one away */
  constructor(
    set: string,
    overrides: { readonly [K in keyof TrailingStopOverrides]: TrailingStopOverrides[K] | null },
    drivesGate: boolean,
    gate: ReplayGate,
    emit: Emit,
  ) {
    this.set = set;
    this.#isChanged = Object.keys(overrides).length > 0;
    this.#removed = new Set(
      Object.keys(overrides).filter((name) => overrides[name as keyof TrailingStopOverrides] === null),
    );
    this.#overrides = withoutNulls(overrides);
    this.#drivesGate = drivesGate;
    this.#gate = gate;
    this.#emit = emit;
  }

  get stops(): readonly TrailingStop[] {
    return [...this.#stops.values()];
  }

  /** Stops that stand at the beginning, or that a snapshot shows. */
  hold(stops: readonly TrailingStop[], place: Place | undefined): void {
    for (const stop of stops) {
      if (this.#stops.get(stop.id) === undefined) this.#keyOf.set(stop.id, place?.recordId ?? `start:${stop.id}`);
      this.#hold(stop);
    }
  }

  /** The stops are those of a snapshot, and no others. */
  adopt(stops: readonly TrailingStop[], place: Place): void {
    for (const held of this.stops) if (!stops.some(({ id }) => id === held.id)) this.#drop(held);
    this.hold(stops, place);
  }

  /** After a restart the gate is told of those that have fired. */
  demandAgain(recordId: string | undefined, now: number): void {
    if (!this.#drivesGate) return;
    for (const stop of this.stops) {
      if (stop.status === 'triggered')
        this.#demand(stop, 'REDUCING', `trailing stop ${stop.id} has fired`, recordId, now);
    }
  }

  add(input: AddStopInput, settings: TrailingStopSettings, place: Place, now: number): void {
    const held = this.#stops.get(input.id);
    // In the trail its place was free: there it had fired, or been taken away.
    if (held !== undefined && held.status !== 'triggered') {
      this.#end(held, 'removed', undefined, undefined, 'its id was used again before it fired');
    }
    const change = addStop(this.#base(settings), this.set, this.#isChanged ? { ...input, ...this.#overrides } : input);
    if (change.accepted && held !== undefined) this.#drop(held);
    this.#change(held, change, now);
    this.#keyOf.set(input.id, place.recordId);
    if (!change.accepted) {
      const { side, entryPrice, quantity } = input;
      this.ends.set(place.recordId, {
        ...{ end: 'removed', side, entryPrice, quantity },
        unknown: `the stop is refused: ${change.code}`,
      });
    }
  }

  /** A process that begins with nothing. */
  clear(): void {
    this.finish();
    for (const held of this.stops) this.#drop(held);
  }

  #base(settings: TrailingStopSettings): TrailingStopSettings {
    if (this.#removed.size === 0) return settings;
    const kept = Object.entries(settings).filter(([name]) => !this.#removed.has(name));
    return Object.freeze(Object.fromEntries(kept)) as unknown as TrailingStopSettings;
  }

  close(id: string, quantity: number, now: number): void {
    const held = this.#stops.get(id);
    if (held === undefined || (this.#isChanged && held.status === 'triggered')) return;
    const change = partialCloseStop(held, quantity);
    if (!change.accepted && this.#isChanged) return;
    this.#change(held, change, now);
    if (change.accepted && change.stop === undefined) this.#end(held, 'removed', now, this.#lastPrice.get(held.symbol));
  }

  flip(id: string, input: FlipInput, settings: TrailingStopSettings, place: Place, now: number): void {
    const held = this.#stops.get(id);
    if (held === undefined) return;
    if (held.status !== 'triggered') this.#end(held, 'removed', now, input.entryPrice);
    const base = { ...held, settings: this.#base(settings) };
    this.#change(held, flipStop(base, this.#isChanged ? { ...input, ...this.#overrides } : input), now);
    this.#keyOf.set(id, place.recordId);
  }

  /** @param fired in the trail it was taken away because it had fired */
  remove(id: string, reason: string | undefined, fired: boolean, now: number): void {
    const held = this.#stops.get(id);
    if (held === undefined) return;
    // Here it has not fired yet: its position is still open.
    if (fired && held.status !== 'triggered' && this.#isChanged) return;
    if (held.status !== 'triggered') this.#end(held, 'removed', now, this.#lastPrice.get(held.symbol));
    this.#change(held, removeStop(held, reason), now);
  }

  /** @param only with a symbol, other stops on it see the price too */
  price(key: string, price: number, stamp: PriceStamp, symbol: string | undefined, now: number): void {
    const wide = symbol !== undefined && this.#isChanged ? symbol : key;
    this.#prices(wide, (stop) => tickStop(stop, price, stamp, now), now);
    if (symbol !== undefined) this.#lastPrice.set(symbol, price);
    else this.#lastPrice.set(this.#stops.get(key)?.symbol ?? key, price);
  }

  bar(key: string, bar: Bar, path: BarPath, stamp: PriceStamp, now: number): void {
    this.#prices(key, (stop) => barStop(stop, bar, path, stamp, now), now);
    this.#lastPrice.set(this.#stops.get(key)?.symbol ?? key, bar.close);
  }

  /** What is still open at the end of the trail. */
  finish(): void {
    for (const stop of this.stops) {
      const key = this.#keyOf.get(stop.id)!;
      if (stop.status === 'triggered' || this.ends.has(key)) continue;
      const { side, entryPrice, quantity } = stop;
      this.ends.set(key, { end: 'open', side, entryPrice, quantity });
    }
  }

  #hold(stop: TrailingStop): void {
    const { id, symbol, status } = stop;
    const before = this.#stops.get(id);
    this.#stops.set(id, stop);
    if (before?.symbol === symbol && (before.status === 'triggered') === (status === 'triggered')) return;
    if (before !== undefined) this.#still(before);
    if (status !== 'triggered') this.#moving.set(symbol, [...(this.#moving.get(symbol) ?? []), id]);
  }

  #drop(stop: TrailingStop): void {
    this.#stops.delete(stop.id);
    this.#still(stop);
  }

  #still({ id, symbol }: TrailingStop): void {
    const ids = this.#moving.get(symbol)?.filter((one) => one !== id);
    if (ids === undefined) return;
    if (ids.length === 0) this.#moving.delete(symbol);
    else this.#moving.set(symbol, ids);
  }

  /** As the service finds them: the stop of that id; where there is none, or it is a symbol's name too, all on the symbol. */
  #meantBy(key: string): readonly string[] {
    const one = this.#stops.get(key);
    if (one !== undefined && one.symbol !== key) return one.status === 'triggered' ? NONE : [key];
    return this.#moving.get(key) ?? NONE;
  }

  #prices(key: string, step: (stop: TrailingStop) => StopStep, now: number): void {
    let steps: StopStep[] | undefined;
    // Those that have fired see no more prices: they go on coming while an exit is under way.
    for (const id of this.#meantBy(key)) {
      const stop = this.#stops.get(id)!;
      const one = step(stop);
      if (one.stop !== stop) this.#hold(one.stop);
      if (one.events.length === 0) continue;
      if (steps === undefined) steps = [one];
      else steps.push(one);
    }
    if (steps === undefined) return;
    const fired: { readonly stop: TrailingStop; readonly recordId: string | undefined }[] = [];
    for (const { stop, decision, events } of steps) {
      let recordId: string | undefined;
      for (const event of events) {
        if (event.name === 'risk.trailing_stop.invalid_input') continue;
        const emitted = this.#emit(stopsLayer(this.set), event);
        if (event.name === 'risk.trailing_stop.trigger') recordId = emitted;
      }
      if (decision.action !== 'TRIGGER') continue;
      this.#end(stop, 'fired', now, stop.trigger!.price);
      fired.push({ stop, recordId });
    }
    if (!this.#drivesGate) return;
    for (const { stop, recordId } of fired) {
      const { level, price } = stop.trigger!;
      this.#demand(stop, 'REDUCING', `trailing stop ${stop.id} fired at ${price}, level ${level}`, recordId, now);
    }
  }

  #change(held: TrailingStop | undefined, { accepted, stop, events }: StopChange, now: number): void {
    if (!accepted) return;
    if (stop !== undefined) this.#hold(stop);
    else if (held !== undefined) this.#drop(held);
    let last: string | undefined;
    for (const event of events) last = this.#emit(stopsLayer(this.set), event);
    if (held?.status === 'triggered' && stop?.status !== 'triggered' && this.#drivesGate) {
      this.#demand(held, 'ACTIVE', `trailing stop ${held.id} stands no more`, last, now);
    }
  }

  #end(
    stop: TrailingStop,
    end: 'fired' | 'removed',
    timeMs: number | undefined,
    price: number | undefined,
    unknown?: string,
  ): void {
    const key = this.#keyOf.get(stop.id)!;
    if (this.ends.has(key)) return;
    const { side, entryPrice, quantity, trigger } = stop;
    this.ends.set(key, {
      ...{ end, side, entryPrice, quantity },
      ...(timeMs === undefined ? {} : { timeMs }),
      ...(price === undefined ? {} : { price }),
      ...(end === 'fired' && trigger !== undefined ? { kind: trigger.kind, level: trigger.level } : {}),
      ...(unknown === undefined ? {} : { unknown }),
    });
  }

  #demand(
    { id, symbol }: TrailingStop,
    state: 'REDUCING' | 'ACTIVE',
    reason: string,
    recordId: string | undefined,
    now: number,
  ): void {
    this.#gate.demand(
      {
        ...{ source: `trailing_stop:${id}`, state, scope: `symbol:${symbol}`, actor: 'trailing_stop', reason },
        reasonCode: state === 'REDUCING' ? 'TRAILING_STOP_TRIGGERED' : 'TRAILING_STOP_ENDED',
        ...(recordId === undefined ? {} : { causeRecordId: recordId }),
        ...(state === 'REDUCING' ? { causeEvent: 'risk.trailing_stop.trigger' } : {}),
      },
      now,
    );
  }
}
