/** What the circuit breaker is told and asked, and what it answers. */
import type { CatalogEvent } from '../../catalog/events.ts';
import type { BreakerConfig } from './options.ts';
import type { BreakerState } from './state.ts';
import type { TradeResult } from './trading-triggers.ts';

export type ManualAct = 'trip' | 'force_open' | 'disable' | 'reset' | 'enable';

/** A failed call's error, as far as it is known. */
export interface FailureInfo {
  readonly type?: string | undefined;
  readonly code?: string | undefined;
  readonly message?: string | undefined;
}

/** The outcome of a call. */
export interface CallResult {
  readonly type: 'result';
  /** Number of the call's permit, where it has one. */
  readonly call?: number | undefined;
  readonly failed: boolean;
  readonly durationMs?: number | undefined;
  /** Epoch of the call's permit; without a permit the result is taken as of now. */
  readonly epoch?: number | undefined;
  /** Probe id of the call's permit. */
  readonly probe?: number | undefined;
  /** The call only reduced risk and was let through without regard to the state. */
  readonly bypassed?: boolean | undefined;
  /** The permit's result came before. */
  readonly duplicate?: boolean | undefined;
  readonly error?: FailureInfo | undefined;
}

export type BreakerInput =
  | { readonly type: 'allow'; readonly reduces: boolean; readonly call?: number | undefined }
  | CallResult
  /** The call of a probe's permit was given up by its caller. */
  | { readonly type: 'release'; readonly epoch: number; readonly probe: number; readonly call?: number | undefined }
  | ({ readonly type: 'trade' } & TradeResult)
  | { readonly type: 'equity'; readonly equity: number }
  | { readonly type: 'manual'; readonly act: ManualAct; readonly actor: string; readonly reason: string }
  | { readonly type: 'configure'; readonly config: BreakerConfig; readonly actor: string; readonly reason: string }
  | { readonly type: 'tick' }
  /** The wall clock was stepped by so many milliseconds: durations hold, so every time moves along. */
  | { readonly type: 'clock_step'; readonly deltaMs: number };

export interface BreakerDecision {
  /** Of `allow`: whether the call may run. Of everything else: whether the input was used. */
  readonly permitted: boolean;
  readonly code: string;
  /** Id of the probe, where the call is one. */
  readonly probe?: number;
}

export interface BreakerStep {
  readonly state: BreakerState;
  readonly decision: BreakerDecision;
  readonly events: readonly CatalogEvent[];
}

/** What stays the same from step to step. */
export interface BreakerContext {
  readonly name: string;
  readonly config: BreakerConfig;
  readonly recordInputs: 'changes' | 'all';
}

/** The input was used. */
export const USED: BreakerDecision = Object.freeze({ permitted: true, code: 'OK' });
