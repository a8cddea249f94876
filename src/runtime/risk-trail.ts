/** What a running trail offers to the service that started it. */

import type { JournalStats } from '../audit/journal/journal.ts';
import type { EmittableAttributes, EmittableName, EventFamily, NoFamily } from '../catalog/define-events.ts';
import type { Subscription } from '../core/listeners.ts';
import type { OpenOrders } from '../risk/open-orders.ts';
import type { BackgroundCheckStats } from '../state/background-check.ts';
import type { TrailContext } from '../telemetry/context.ts';
import type { EmitOptions, EmitterCounts } from '../telemetry/emitter.ts';
import type { TrailLogger } from '../telemetry/logger.ts';
import type { RunningTimer, TimedOptions } from '../telemetry/timing.ts';
import type { TrailAlerts } from './alerts-types.ts';
import type { CircuitBreaker, CircuitBreakerOptions } from './circuit-breaker.ts';
import type { FailureReport } from './failures.ts';
import type { KillArming, KillReport, VenueKillOptions } from './kill/kill-types.ts';
import type { OrdersExchange } from './order-lookup.ts';
import type { PortfolioLimits, PortfolioLimitsOptions } from './portfolio-limits.ts';
import type { PositionSizeInput, PositionSizeResult } from './position-size.ts';
import type { RestoreReport } from './restore.ts';
import type { Settings } from './settings.ts';
import type { SignalContext, SignalInput, SignalVerdict } from './signal-validation.ts';
import type { TradingGate, TradingState } from './trading-gate.ts';
import type { ServiceHealth } from './trail-services.ts';
import type { TrailingStops, TrailingStopsOptions } from './trailing-stops.ts';
import type { OrdersReconcileOptions, OrdersReport } from './venue-orders.ts';
import type { VenueExchange, VenueReconcileOptions, VenueReport } from './venue-reconcile.ts';
import type { AheadRecord } from './write-ahead.ts';

/** How the trail is, as `trail.health()` tells. */
export interface TrailHealth extends ServiceHealth {
  /**
   * `degraded`: records were lost, the disk is slow or can't be written, nothing gets through to the receiver, or something of
   * ours failed; `disabled`: nothing is recorded; `closed`.
   */
  readonly status: 'healthy' | 'degraded' | 'disabled' | 'closed';
  readonly uptimeMs: number;
  readonly tradingState: TradingState;
  /** The journal, unless disabled. */
  readonly journal?: JournalStats;
  /** The check of the whole trail behind the start; absent where there was no earlier process, or it is switched off. */
  readonly verification?: BackgroundCheckStats;
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
  /** What was found of an earlier process; absent where there was none, or nothing is to be restored. */
  readonly restored: RestoreReport | undefined;
  /** Alerts of the running rules; absent where the setting `alerts` is off. */
  readonly alerts: TrailAlerts | undefined;
  /** The gate that says whether an order may add risk: halt, reduce, resume, kill switch. */
  readonly gate: TradingGate;

  /**
   * Records an event, tied to the active span and context.
   * @returns its record id; nothing where the event is of class telemetry, or was lost. While the disk is slow or can't be
   * written the record waits in memory: `health().journal.mode` tells, and `commit()` waits for it.
   */
  emit<N extends EmittableName<F>>(
    name: N,
    attributes: EmittableAttributes<F, N>,
    options?: EmitOptions,
  ): string | undefined;

  /**
   * Records an event and then acts: with `durability: 'disk'` only once the record is on disk. The call that sends an order
   * belongs in here. What `act` returns or throws passes through.
   * @example
   * const order = await trail.writeAhead('order.intent', intent, () => exchange.createOrder('BTC/USDT', 'limit', 'buy', 0.1, 61_000));
   * @throws RiskTrailError INTENT_NOT_DURABLE where the disk fails and `auditFailure` refuses; never for an exit
   */
  writeAhead<N extends EmittableName<F>, T>(
    name: N,
    attributes: EmittableAttributes<F, N>,
    act: (ahead: AheadRecord) => T | Promise<T>,
  ): Promise<T>;
  /**
   * Resolves when every record so far is on disk. Calls that come together share one `fdatasync`.
   * @throws RiskTrailError AUDIT_NOT_DURABLE where the disk fails
   */
  commit(): Promise<void>;

  /** Runs `fn` with the context on every event and span within. What `fn` returns or throws passes through. */
  withContext<T>(trailContext: TrailContext, fn: () => T): T;

  /** Runs `fn` in a span of that name and tells of it when it is slow. What `fn` returns or throws passes through. */
  timed<T>(operation: string, fn: () => T, options?: TimedOptions): T;
  /** A span that ends with `stop()`, which returns the duration in milliseconds. */
  startTimer(operation: string, options?: TimedOptions): RunningTimer;

  /** A plain leveled logger: class telemetry, never part of the proof. */
  logger(category: string): TrailLogger;

  /** @throws RiskTrailError OPTION_INVALID, OPTION_UNKNOWN, RESTORE_CONFIG_CHANGED */
  circuitBreaker(name: string, options?: CircuitBreakerOptions): CircuitBreaker;
  /** @throws RiskTrailError OPTION_INVALID, OPTION_UNKNOWN */
  trailingStops(options: TrailingStopsOptions): TrailingStops;
  /** @throws RiskTrailError OPTION_INVALID, OPTION_UNKNOWN, RESTORE_CONFIG_CHANGED */
  portfolioLimits(options: PortfolioLimitsOptions): PortfolioLimits;
  sizePosition(input: PositionSizeInput): PositionSizeResult;
  validateSignal(signal: SignalInput, against?: SignalContext): SignalVerdict;

  /** Orders whose end was not recorded, of before a restart too: intents, orders at the venue, unknown outcomes. */
  openOrders(): OpenOrders;
  /**
   * Compares positions and open orders with those of the venue, as at a start, and records what differs. Never rejects: what
   * the exchange throws is recorded.
   * @param exchange anything with ccxt's `fetchPositions`, `fetchOpenOrders`, `fetchBalance`; those that it has are asked
   * @example
   * const { differences } = await trail.reconcile(exchange, { symbols: ['BTC/USDT'], onDifference: 'halt' });
   */
  reconcile(exchange: VenueExchange, options?: VenueReconcileOptions): Promise<VenueReport>;
  /**
   * Asks the venue for the orders whose end was not recorded (intents that a crash left, unknown outcomes, open orders), and
   * records what it says: placed, filled, cancelled, rejected, never arrived; what it can't tell stays unknown. Never rejects.
   * Orders of another `trading.venue` than the exchange's id are left alone.
   * @param exchange anything with some of ccxt's `fetchOrder`, `fetchOpenOrders`, `fetchClosedOrders`, `fetchMyTrades` …
   * @example
   * const { complete, orders } = await trail.reconcileOrders(exchange);
   */
  reconcileOrders(exchange: OrdersExchange, options?: OrdersReconcileOptions): Promise<OrdersReport>;
  /**
   * Halts trading at once, then cancels every open order of the exchange, closes its positions where `flatten` says so, and
   * reports what is left. What had no answer is asked for and tried again; no closing order is sent twice. Never rejects.
   * @param options `exchange`: anything with ccxt's `fetchOpenOrders` and `cancelOrder` (to flatten: `fetchPositions`,
   *   `createOrder`)
   * @example
   * const { complete, left } = await trail.killSwitch({ exchange, actor: 'A. Trader', reason: 'wrong prices', flatten: true });
   */
  killSwitch(options: VenueKillOptions): Promise<KillReport>;
  /**
   * Makes an exchange known to `risktrail kill`, and by choice to the gate's HALTED; arms the venue's own dead-man's switch.
   * @returns `dispose` takes it back
   * @throws RiskTrailError OPTION_INVALID, OPTION_UNKNOWN
   * @example
   * trail.armKillSwitch({ exchange, onHalted: true, deadMansSwitchMs: 60_000 });
   */
  armKillSwitch(options: KillArming): Subscription;
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
