/** What a trail tells that the risk layers were given, in order: the steps that a replay takes again. */

import type { BreakerInput } from '../../risk/circuit-breaker/input.ts';
import type { BreakerConfig } from '../../risk/circuit-breaker/options.ts';
import type { BreakerState } from '../../risk/circuit-breaker/state.ts';
import type { LimitsInput } from '../../risk/portfolio-limits/inputs.ts';
import type { PortfolioLimitsOptions } from '../../risk/portfolio-limits/options.ts';
import type { LimitOrder, Portfolio } from '../../risk/portfolio-limits/portfolio.ts';
import type { LimitsState } from '../../risk/portfolio-limits/state.ts';
import type { RiskState } from '../../risk/risk-state.ts';
import type { GateDemand, StandingDemand } from '../../risk/trading-state.ts';
import type {
  AddStopInput,
  Bar,
  BarPath,
  FlipInput,
  PriceStamp,
  TrailingStop,
  TrailingStopSettings,
} from '../../risk/trailing-stop.ts';

/** Where a step stands in the trail. */
export interface Place {
  readonly recordId: string;
  readonly sequence: number;
  /** Epoch milliseconds. */
  readonly timeMs: number;
  /** Execution (position) that the record is of, where it says so. */
  readonly link: string | undefined;
}

/** What the layers decided then, as far as a comparison needs it. */
export interface RecordedCheck {
  readonly decision: 'allow' | 'cap' | 'deny';
  readonly quantity: number;
  readonly code: string;
  /** It was of an order rule that only observes: whatever it says, the order was sent. */
  readonly observed?: true;
}

interface StepOf {
  readonly place: Place;
  /** Time that the layer went by, epoch milliseconds. */
  readonly now: number;
}

/** One step. */
export type Step = StepOf &
  (
    | { readonly kind: 'process'; readonly goesOn: boolean }
    | { readonly kind: 'gate_snapshot'; readonly demands: readonly StandingDemand[] }
    | { readonly kind: 'gate_demand'; readonly demand: GateDemand }
    | { readonly kind: 'gate_tick' }
    | {
        readonly kind: 'breaker_snapshot';
        readonly name: string;
        readonly config: BreakerConfig;
        readonly state: BreakerState;
        readonly cause: string | undefined;
      }
    | { readonly kind: 'breaker_restored'; readonly name: string; readonly clockStepMs: number }
    | {
        readonly kind: 'breaker';
        readonly name: string;
        readonly input: BreakerInput;
        /** Of `allow`: whether it was let through. */
        readonly permitted?: boolean;
        /** Of a result: it was counted by a closed breaker, though nothing says how it was let through. */
        readonly unasked?: boolean;
        /** Of a result that came too late, or twice: its code. */
        readonly late?: string;
      }
    | {
        readonly kind: 'stops_snapshot';
        readonly set: string;
        readonly stops: readonly TrailingStop[];
        /** Record that the stops were restored from, where they were. */
        readonly restoredFrom: string | undefined;
        readonly restored: boolean;
      }
    | {
        readonly kind: 'stop_add';
        readonly set: string;
        readonly input: AddStopInput;
        readonly settings: TrailingStopSettings;
      }
    | { readonly kind: 'stop_close'; readonly set: string; readonly id: string; readonly quantity: number }
    | {
        readonly kind: 'stop_flip';
        readonly set: string;
        readonly id: string;
        readonly input: FlipInput;
        readonly settings: TrailingStopSettings;
      }
    | {
        readonly kind: 'stop_remove';
        readonly set: string;
        readonly id: string;
        readonly reason: string | undefined;
        /** The stop had fired: its position was closed for it. */
        readonly fired: boolean;
      }
    | {
        readonly kind: 'price';
        readonly set: string;
        readonly key: string;
        readonly price: number;
        readonly stamp: PriceStamp;
        /** The price is known from what it brought about alone. */
        readonly symbol?: string;
      }
    | {
        readonly kind: 'bar';
        readonly set: string;
        readonly key: string;
        readonly bar: Bar;
        readonly path: BarPath;
        readonly stamp: PriceStamp;
      }
    | { readonly kind: 'limits_snapshot'; readonly set: string; readonly state: LimitsState }
    | { readonly kind: 'limits_restored'; readonly set: string }
    | { readonly kind: 'limits'; readonly set: string; readonly input: Exclude<LimitsInput, { type: 'configured' }> }
    | {
        readonly kind: 'limits_config';
        readonly set: string;
        readonly config: PortfolioLimitsOptions;
        readonly actor: string;
        readonly reason: string;
      }
    | {
        readonly kind: 'check';
        readonly set: string;
        readonly portfolio: Portfolio;
        readonly order: LimitOrder;
        readonly recorded: RecordedCheck;
      }
    /** A check whose input is not recorded: what is known of it are its limits' numbers. */
    | {
        readonly kind: 'told_check';
        readonly set: string;
        readonly attributes: Readonly<Record<string, unknown>>;
        readonly recorded: RecordedCheck;
      }
    /** A drawdown was over; the equity that said so is not recorded. */
    | { readonly kind: 'limits_recovered'; readonly set: string; readonly reason: string }
    | { readonly kind: 'health'; readonly set: string; readonly portfolio: Portfolio }
  );

/** A layer's decision as it was recorded. */
export interface RecordedDecision {
  readonly name: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly place: Place;
}

/** Layers by key: `breaker:broker`, `stops:default`, `limits:default`, `gate`. */
export type LayerKey = string;
export const GATE: LayerKey = 'gate';
export const breakerLayer = (name: string): LayerKey => `breaker:${name}`;
export const stopsLayer = (set: string): LayerKey => `stops:${set}`;
export const limitsLayer = (set: string): LayerKey => `limits:${set}`;

/** How a stop's journey went. */
export interface Journey {
  /** Record id of the event that added the stop. */
  readonly key: string;
  readonly id: string;
  readonly set: string;
  readonly symbol: string;
  readonly link: string | undefined;
  readonly addedMs: number;
  readonly recorded: JourneyEnd;
}

/** How a journey ended: `fired`, `removed` (the position was closed otherwise), `open` (the trail ends before). */
export interface JourneyEnd {
  readonly end: 'fired' | 'removed' | 'open';
  readonly timeMs?: number;
  /** Observed price at which it fired, or the last one before it was removed; absent where none is known. */
  readonly price?: number;
  readonly kind?: 'trailing' | 'hard';
  readonly level?: number;
  readonly side: 'long' | 'short';
  readonly entryPrice: number;
  readonly quantity: number | undefined;
}

/** A halt or its end, as it was recorded. */
export interface GateChange {
  readonly timeMs: number;
  readonly scope: string;
  readonly old: string;
  readonly new: string;
  readonly source: string;
  readonly reason: string;
}

/** What one row of streams that go on from one another recorded of its risk layers. */
export interface RecordedChain {
  /** Newest stream of the row. */
  readonly stream: string;
  /** Whether inputs that changed nothing are in the trail too; what it changed to last. */
  readonly recordInputs: 'changes' | 'all';
  /** State at the first step; absent where the chain is taken from its beginning. */
  readonly start: RiskState | undefined;
  readonly steps: readonly Step[];
  /** What each layer decided, in order. */
  readonly decisions: ReadonlyMap<LayerKey, readonly RecordedDecision[]>;
  readonly journeys: readonly Journey[];
  readonly gateChanges: readonly GateChange[];
  readonly breakers: readonly string[];
  readonly stopSets: readonly string[];
  readonly limitSets: readonly string[];
  /** Sets of stops that drive the trading gate. */
  readonly drivingSets: ReadonlySet<string>;
  /** Realised profit and loss as the service recorded it with its trades. */
  readonly realised: number;
  readonly trades: number;
  /** Decisions whose input is not in the trail: they are taken over, not made again. */
  readonly takenOver: number;
  readonly firstMs: number;
  readonly lastMs: number;
}
