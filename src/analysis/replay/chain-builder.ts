/** Turns the events of one chain, in order, into the steps that a replay takes and the decisions that it is held against. */
import type { RecordedEvent } from '../../risk/recorded-event.ts';
import type { RiskState } from '../../risk/risk-state.ts';
import type { TradingState } from '../../risk/trading-state.ts';
import { upcastEvent } from '../../risk/upcast.ts';
import { breakerStep } from './breaker-steps.ts';
import { LimitsReader } from './limits-steps.ts';
import {
  breakerLayer,
  GATE,
  type GateChange,
  type LayerKey,
  limitsLayer,
  type Place,
  type RecordedChain,
  type RecordedDecision,
  type Step,
  stopsLayer,
} from './steps.ts';
import { StopsReader } from './stop-steps.ts';

type Attributes = RecordedEvent['attributes'];

const BREAKER = 'risk.circuit_breaker.';
const STOP = 'risk.trailing_stop.';
/** Events of a breaker that are no decision of its own. */
const BREAKER_NO_DECISION: ReadonlySet<string> = new Set(
  ['snapshot', 'restored', 'invalid_input'].map((one) => BREAKER + one),
);

/** With these a process begins, or a round of snapshots. */
const BEGINNINGS: ReadonlySet<string> = new Set([
  ...['system.start', 'risk.state_restored', 'risk.trading_state_snapshot'],
]);

/** Whether an event, or what it tells, is recorded where every input is. */
const isOfEveryInput = ({ name, attributes }: RecordedEvent): boolean =>
  name === 'risk.circuit_breaker.permitted' ||
  attributes['risk.input'] !== undefined ||
  (name === 'market.price' && attributes['risk.trailing_stop.manager'] !== undefined);

export class ChainBuilder {
  readonly #steps: Step[] = [];
  readonly #decisions = new Map<LayerKey, RecordedDecision[]>();
  readonly #gateChanges: GateChange[] = [];
  readonly #breakers = new Set<string>();
  readonly #drivingSets = new Set<string>();
  readonly #stops = new StopsReader();
  readonly #limits = new LimitsReader();
  #start: RiskState | undefined;
  #recordInputs: 'changes' | 'all' = 'changes';
  #goesOn = false;
  #begun = false;
  #told = false;
  #realised = 0;
  #trades = 0;
  #stream = '';
  #firstMs = Number.NaN;
  #lastMs = Number.NaN;

  /** The replay begins in the midst of the trail. */
  startFrom(state: RiskState): void {
    this.#start = state;
    this.#begun = true;
    for (const name of state.breakers.keys()) this.#breakers.add(name);
    for (const set of state.limits.keys()) this.#limits.sets.add(set);
    for (const [set, { stops }] of state.stops) this.#stops.hold(set, stops);
  }

  /** Something of the time before the replay. */
  learn({ name, attributes }: RecordedEvent): void {
    if (name === 'system.start') this.#readSettings(attributes);
    if (name.startsWith('risk.trading_state_')) this.#noteDriver(attributes);
  }

  take(given: RecordedEvent, sequence: number, stream: string): void {
    const event = upcastEvent(given);
    if (event === undefined) return;
    const { name, recordId, timeMs, attributes } = event;
    // Where no process tells of its settings, what is recorded of every input alone does.
    if (!this.#told && isOfEveryInput(event)) this.#recordInputs = 'all';
    // Of a trail whose beginning is gone, the first round of snapshots says where it stands.
    if (!this.#begun && !BEGINNINGS.has(name)) return;
    this.#begun = true;
    const execution = attributes['trading.execution.id'];
    const place: Place = { recordId, sequence, timeMs, link: typeof execution === 'string' ? execution : undefined };
    if (Number.isNaN(this.#firstMs)) this.#firstMs = timeMs;
    this.#lastMs = timeMs;
    this.#stream = stream;
    if (name.startsWith(BREAKER)) this.#breaker(event, place);
    else if (name.startsWith(STOP)) this.#stop(event, place);
    else if (name === 'market.price' || name === 'market.candle_closed') this.#market(event, place);
    else if (name.startsWith('risk.trading_state_')) this.#gate(event, place);
    else if (LimitsReader.reads(name)) this.#limit(event, place);
    else if (name === 'risk.state_restored') this.#goesOn = true;
    else if (name === 'system.start') {
      this.#readSettings(attributes);
      this.#steps.push({ kind: 'process', goesOn: this.#goesOn, place, now: timeMs });
      if (!this.#goesOn) this.#stops.clear();
      this.#goesOn = false;
    } else if (name === 'trade.exit' || name === 'trade.partial_exit') {
      const pnl = attributes['trading.pnl'];
      if (typeof pnl === 'number') this.#realised += pnl;
      this.#trades++;
    }
  }

  done(): RecordedChain {
    return {
      stream: this.#stream,
      recordInputs: this.#recordInputs,
      start: this.#start,
      steps: this.#steps,
      decisions: this.#decisions,
      journeys: this.#stops.journeys(),
      gateChanges: this.#gateChanges,
      breakers: [...this.#breakers],
      stopSets: [...this.#stops.sets],
      limitSets: [...this.#limits.sets],
      drivingSets: this.#drivingSets,
      realised: Math.round(this.#realised * 1e6) / 1e6,
      trades: this.#trades,
      takenOver: this.#limits.takenOver,
      firstMs: this.#firstMs,
      lastMs: this.#lastMs,
    };
  }

  #readSettings(attributes: Attributes): void {
    const config = attributes['system.config'] as { readonly recordInputs?: unknown } | undefined;
    this.#recordInputs = config?.recordInputs === 'all' ? 'all' : 'changes';
    this.#told = true;
  }

  #decided(layer: LayerKey, { name, attributes }: RecordedEvent, place: Place): void {
    const list = this.#decisions.get(layer);
    if (list === undefined) this.#decisions.set(layer, [{ name, attributes, place }]);
    else list.push({ name, attributes, place });
  }

  #breaker(event: RecordedEvent, place: Place): void {
    const name = event.attributes[`${BREAKER}name`];
    if (typeof name !== 'string') return;
    if (event.name === `${BREAKER}snapshot`) this.#breakers.add(name);
    if (!this.#breakers.has(name)) return;
    if (!BREAKER_NO_DECISION.has(event.name)) this.#decided(breakerLayer(name), event, place);
    const step = breakerStep(name, event, place);
    if (step !== undefined) this.#steps.push(step);
  }

  #stop(event: RecordedEvent, place: Place): void {
    const { set, step, decision } = this.#stops.take(event, place, this.#recordInputs === 'changes');
    if (set === undefined) return;
    if (decision) this.#decided(stopsLayer(set), event, place);
    if (step !== undefined) this.#steps.push(step);
  }

  #market(event: RecordedEvent, place: Place): void {
    const step = this.#stops.market(event, place);
    if (step !== undefined) this.#steps.push(step);
  }

  #limit(event: RecordedEvent, place: Place): void {
    const { set, step, decision } = this.#limits.take(event, place, this.#recordInputs === 'changes');
    if (decision) this.#decided(limitsLayer(set), event, place);
    if (step !== undefined) this.#steps.push(step);
  }

  #gate(event: RecordedEvent, place: Place): void {
    const { name, attributes, timeMs } = event;
    const now = timeMs;
    if (name === 'risk.trading_state_snapshot') {
      const demands = (attributes['risk.snapshot'] as { readonly demands?: unknown } | undefined)?.demands;
      if (Array.isArray(demands)) this.#steps.push({ kind: 'gate_snapshot', demands, place, now });
      return;
    }
    if (name !== 'risk.trading_state_change' && name !== 'risk.trading_state_demand') return;
    const text = (key: string) => attributes[key] as string | undefined;
    const source = text('risk.trading_state.source') ?? '';
    this.#noteDriver(attributes);
    this.#decided(GATE, event, place);
    if (name === 'risk.trading_state_change') {
      this.#gateChanges.push({
        ...{ timeMs, scope: text('risk.scope') ?? '', source, reason: text('risk.reason') ?? '' },
        ...{ old: text('risk.trading_state.old') ?? '', new: text('risk.trading_state.new') ?? '' },
      });
    }
    if (text('risk.actor') === 'clock' && text('risk.reason.code') === 'TRADING_DEMAND_EXPIRED') {
      this.#steps.push({ kind: 'gate_tick', place, now });
      return;
    }
    if (this.#isOfLayer(source)) {
      if (source.startsWith('portfolio_limits:')) this.#limits.demanded(place);
      return;
    }
    const until = text('risk.until');
    const optional = (key: string, value: unknown) => (value === undefined ? {} : { [key]: value });
    this.#steps.push({
      kind: 'gate_demand',
      demand: {
        source,
        state: text('risk.trading_state.demand') as TradingState,
        ...{ scope: text('risk.scope'), actor: text('risk.actor') ?? '', reason: text('risk.reason') ?? '' },
        ...optional('reasonCode', text('risk.reason.code')),
        ...optional('causeRecordId', text('risk.cause.record_id')),
        ...optional('causeEvent', text('risk.cause.event')),
        ...optional('untilMs', until === undefined ? undefined : Date.parse(until)),
      },
      place,
      now,
    });
  }

  /** Whether a demand comes from a layer that the replay holds itself. */
  #isOfLayer(source: string): boolean {
    const colon = source.indexOf(':');
    const name = source.slice(colon + 1);
    switch (source.slice(0, colon)) {
      case 'circuit_breaker':
        return this.#breakers.has(name);
      case 'trailing_stop':
        return this.#stops.setOf(name) !== undefined;
      case 'portfolio_limits': {
        const border = name.lastIndexOf(':');
        return this.#limits.sets.has(border < 0 ? 'default' : name.slice(0, border));
      }
      default:
        return false;
    }
  }

  #noteDriver(attributes: Attributes): void {
    const source = attributes['risk.trading_state.source'];
    if (typeof source !== 'string' || !source.startsWith('trailing_stop:')) return;
    const set = this.#stops.setOf(source.slice('trailing_stop:'.length));
    if (set !== undefined) this.#drivingSets.add(set);
  }
}
