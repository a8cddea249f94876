/** What a running trail offers to the service that started it. */

import type { JournalStats } from '../audit/journal/journal.ts';
import type { EmittableAttributes, EmittableName, EventFamily, NoFamily } from '../catalog/define-events.ts';
import type { TrailContext } from '../telemetry/context.ts';
import type { EmitOptions, EmitterCounts } from '../telemetry/emitter.ts';
import type { TrailLogger } from '../telemetry/logger.ts';
import type { RunningTimer, TimedOptions } from '../telemetry/timing.ts';
import type { CircuitBreaker, CircuitBreakerOptions } from './circuit-breaker.ts';
import type { FailureReport } from './failures.ts';
import type { PortfolioLimits, PortfolioLimitsOptions } from './portfolio-limits.ts';
import type { PositionSizeInput, PositionSizeResult } from './position-size.ts';
import type { Settings } from './settings.ts';
import type { SignalContext, SignalInput, SignalVerdict } from './signal-validation.ts';
import type { TradingGate, TradingState } from './trading-gate.ts';
import type { TrailingStops, TrailingStopsOptions } from './trailing-stops.ts';

/** How the trail is, as `trail.health()` tells. */
export interface TrailHealth {
  /** `degraded`: records were lost or something of ours failed; `disabled`: nothing is recorded; `closed`. */
  readonly status: 'healthy' | 'degraded' | 'disabled' | 'closed';
  readonly uptimeMs: number;
  readonly tradingState: TradingState;
  /** The journal, unless disabled. */
  readonly journal?: JournalStats;
  readonly emitted: EmitterCounts;
  /** Telemetry that exporters or full queues lost. */
  readonly dropped: { readonly spans: number; readonly logs: number };
  /** Our own failures, none of which reached trading code. */
  readonly failures: FailureReport;
}

/**
 * A running trail. No method throws once it is started, but for wrong *configuration* of a layer at its construction.
 * @typeParam F the service's own events
 */
export interface RiskTrail<F extends EventFamily = NoFamily> {
  /** `<service>/<stream UUID>`; empty when disabled. */
  readonly stream: string;
  /** Directory of the trail. */
  readonly dataDir: string;
  /** Verifier key of the stream's writer; empty when disabled. */
  readonly verifierKey: string;
  readonly settings: Settings;
  /** The gate that says whether an order may add risk: halt, reduce, resume, kill switch. */
  readonly gate: TradingGate;

  /**
   * Records an event, tied to the active span and context.
   * @returns its record id; nothing where the event is of class telemetry, or could not be written (`health()` tells).
   */
  emit<N extends EmittableName<F>>(
    name: N,
    attributes: EmittableAttributes<F, N>,
    options?: EmitOptions,
  ): string | undefined;

  /** Runs `fn` with the context on every event and span within. What `fn` returns or throws passes through. */
  withContext<T>(trailContext: TrailContext, fn: () => T): T;

  /** Runs `fn` in a span of that name and tells of it when it is slow. What `fn` returns or throws passes through. */
  timed<T>(operation: string, fn: () => T, options?: TimedOptions): T;
  /** A span that ends with `stop()`, which returns the duration in milliseconds. */
  startTimer(operation: string, options?: TimedOptions): RunningTimer;

  /** A plain leveled logger: class telemetry, never part of the proof. */
  logger(category: string): TrailLogger;

  /** @throws RiskTrailError OPTION_INVALID, OPTION_UNKNOWN */
  circuitBreaker(name: string, options?: CircuitBreakerOptions): CircuitBreaker;
  /** @throws RiskTrailError OPTION_INVALID, OPTION_UNKNOWN */
  trailingStops(options: TrailingStopsOptions): TrailingStops;
  /** @throws RiskTrailError OPTION_INVALID, OPTION_UNKNOWN */
  portfolioLimits(options: PortfolioLimitsOptions): PortfolioLimits;
  sizePosition(input: PositionSizeInput): PositionSizeResult;
  validateSignal(signal: SignalInput, against?: SignalContext): SignalVerdict;

  /** Records the state of every layer now, as the snapshot interval does. */
  snapshot(): void;
  health(): TrailHealth;
  /**
   * Resolves when every record so far is on disk and covered by a signed checkpoint, and telemetry was handed over. Never
   * rejects: where that was impossible, `health()` tells.
   */
  flush(): Promise<void>;
  /** Orderly end: snapshots, `system.stop`, the stream closed and signed. Calls after the first share its promise. */
  close(reason?: string): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
