/** What a user of a circuit breaker sees. */
import type { Subscription } from '../core/listeners.ts';
import type { CircuitBreakerOptions } from '../risk/circuit-breaker/options.ts';
import type { BreakerStatus } from '../risk/circuit-breaker/state.ts';
import type { BreakerSnapshot } from './circuit-breaker-snapshot.ts';

export type { BreakerSnapshot } from './circuit-breaker-snapshot.ts';

/** Who acts and why; both are required. */
export interface BreakerAct {
  readonly actor: string;
  readonly reason: string;
}

/** The breaker's answer to `allow`. Hand it to `success` or `failure` with the call's outcome. */
export interface Permit {
  readonly permitted: boolean;
  /**
   * OK (closed or disabled), CIRCUIT_BREAKER_PROBE, CIRCUIT_BREAKER_REDUCES; refused: CIRCUIT_BREAKER_OPEN,
   * CIRCUIT_BREAKER_FORCED_OPEN, CIRCUIT_BREAKER_PROBES_TAKEN.
   */
  readonly code: string;
  /** The breaker's epoch; a result that comes in a later one is late. */
  readonly epoch: number;
  /** Probe id, where the call is a probe. */
  readonly probe?: number;
  /** Its number, with `recordInputs: 'all'`: by it a replay knows which result belongs to which call. */
  readonly call?: number;
  /** It was let through because it only reduces risk. */
  readonly bypassed?: boolean;
  /** Refused while OPEN: epoch milliseconds at which probes are let through; absent while latched. */
  readonly openUntil?: number;
}

/** What came of an input that asks for no permit. */
export interface BreakerResult {
  /** False: ignored (late, a duplicate, unusable, not counted in this state) and recorded as such. */
  readonly accepted: boolean;
  readonly code: string;
  readonly state: BreakerStatus;
}

/** A closed trade. */
export interface BreakerTrade {
  /** Realised profit (+) or loss (−) in the account currency. */
  readonly pnl: number;
  /** It was closed by its stop. @default false */
  readonly stopLoss?: boolean | undefined;
  readonly symbol?: string | undefined;
}

export interface BreakerChange {
  readonly name: string;
  readonly old: BreakerStatus;
  readonly new: BreakerStatus;
  readonly epoch: number;
  /** What brought it about; the main trigger first. */
  readonly triggers: readonly string[];
  readonly reason: string;
  readonly actor?: string;
  /** When it took effect, epoch milliseconds. */
  readonly atMs: number;
  readonly openUntilMs?: number;
  /** Record id of its event. */
  readonly recordId?: string;
}

/** What a guarded function is given. */
export interface GuardedCall {
  readonly permit: Permit;
  readonly signal?: AbortSignal;
}

export interface ExecuteOptions {
  /** The call only reduces risk (an exit, a cancel): it passes in every state. */
  readonly reduces?: boolean | undefined;
  /** Handed to the function. A call that its caller aborted counts neither as success nor as failure. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * A circuit breaker. No method throws; `execute` rejects with what its function threw, or with CIRCUIT_BREAKER_REFUSED.
 * @example
 * const breaker = trail.circuitBreaker('broker', { failureThreshold: 5, windowMs: 60_000, cooldownMs: 30_000 });
 * await breaker.execute(() => broker.placeOrder(order));
 */
export interface CircuitBreaker {
  readonly name: string;
  /** The state now; what time has brought about is recorded on the way. */
  readonly state: BreakerStatus;
  /**
   * Runs `fn` if permitted and counts its outcome.
   * @throws RiskTrailError (as a rejection) CIRCUIT_BREAKER_REFUSED where `fn` was not run; else what `fn` threw, unchanged
   */
  execute<T>(fn: (call: GuardedCall) => T | PromiseLike<T>, options?: ExecuteOptions): Promise<T>;
  /** Asks for a permit, for callers who cannot wrap their call. */
  allow(options?: { readonly reduces?: boolean | undefined }): Permit;
  /** The call succeeded. Without a permit the result counts for the present state. @param options default duration: since the permit */
  success(permit?: Permit, options?: { readonly durationMs?: number | undefined }): BreakerResult;
  /** The call failed. */
  failure(error?: unknown, permit?: Permit): BreakerResult;
  /** A closed trade, for the trading triggers. */
  recordTrade(trade: BreakerTrade): BreakerResult;
  /** The account's equity, for the drawdown trigger. */
  recordEquity(equity: number): BreakerResult;
  /** Opens it: as by a failure, with cool-down or latch. */
  trip(act: BreakerAct): BreakerResult;
  /** Opens it until somebody enables or resets it. */
  forceOpen(act: BreakerAct): BreakerResult;
  /** Switches it off: every call passes, none is counted. */
  disable(act: BreakerAct): BreakerResult;
  /** Closes it again from any other state, with every count at zero. */
  enable(act: BreakerAct): BreakerResult;
  /** Closes it from any state, with every count at zero, the day's loss and the equity peak included. */
  reset(act: BreakerAct): BreakerResult;
  /** Changes the settings named, keeps the others and the state. Unusable settings are refused with OPTION_INVALID or OPTION_UNKNOWN. */
  configure(options: CircuitBreakerOptions, act: BreakerAct): BreakerResult;
  /** Brings about what is due by time alone. */
  tick(): void;
  snapshot(): BreakerSnapshot;
  onStateChange(listener: (change: BreakerChange) => void): Subscription;
}
