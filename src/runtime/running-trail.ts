/** A running trail: its layers, its clockwork and its end. Made by `startRiskTrail`. */
import { context, ROOT_CONTEXT } from '@opentelemetry/api';
import type { Journal, ReliedOn } from '../audit/journal/journal.ts';
import type { CatalogEvent } from '../catalog/events.ts';
import { createSystemClock } from '../core/clock.ts';
import type { Subscription } from '../core/listeners.ts';
import type { OrderCheck } from '../instrumentation/host.ts';
import { NO_ORDERS, type OpenOrders } from '../risk/open-orders.ts';
import type { BackgroundCheck } from '../state/background-check.ts';
import { runWithContext, type TrailContext } from '../telemetry/context.ts';
import type { EmitOptions, Emitter } from '../telemetry/emitter.ts';
import { observeHealth } from '../telemetry/health-metrics.ts';
import { createLogger, type TrailLogger } from '../telemetry/logger.ts';
import type { Telemetry } from '../telemetry/providers.ts';
import type { Redactor } from '../telemetry/redaction.ts';
import { createTiming, type RunningTimer, type TimedOptions, type Timing } from '../telemetry/timing.ts';
import { AccountSharing } from './account-sharing.ts';
import type { RunningAlerts } from './alerts.ts';
import type { TrailAlerts } from './alerts-types.ts';
import type { CircuitBreaker, CircuitBreakerOptions } from './circuit-breaker.ts';
import { currentTrail, setCurrentTrail } from './current.ts';
import { usableOptions } from './emit-options.ts';
import { uncaughtEvent } from './failure-info.ts';
import type { Failures } from './failures.ts';
import { healthFigures } from './health-figures.ts';
import { JournalDemand } from './journal-demand.ts';
import { KillSwitches, POLL_MS } from './kill/kill-switches.ts';
import type { KillArming, KillReport, VenueKillOptions } from './kill/kill-types.ts';
import { createLayerHost, type TrailLayerHost } from './layer-host.ts';
import type { OrdersExchange } from './order-lookup.ts';
import type { OrderRules, OrderRulesHost } from './order-rules.ts';
import { OrderTracking } from './order-tracking.ts';
import type { PortfolioLimits, PortfolioLimitsOptions } from './portfolio-limits.ts';
import { createPositionSizing, type PositionSizing } from './position-size.ts';
import { watchProcessExit } from './process-exit.ts';
import { type Restored, type RestoreReport, tradingRestoredEvent } from './restore.ts';
import { checkBehindStart } from './restore-findings.ts';
import type { RiskTrail, TrailHealth } from './risk-trail.ts';
import type { Settings } from './settings.ts';
import { createSignalValidation, type SignalValidation } from './signal-validation.ts';
import { Timers } from './timers.ts';
import { RESTORE_SOURCE, type TradingGate } from './trading-gate.ts';
import { TrailLayers } from './trail-layers.ts';
import type { TrailServices } from './trail-services.ts';
import type { TrailingStops, TrailingStopsOptions } from './trailing-stops.ts';
import type { OrdersReconcileOptions, OrdersReport } from './venue-orders.ts';
import { reconcileVenue, type VenueExchange, type VenueReconcileOptions, type VenueReport } from './venue-reconcile.ts';
import { type AheadRecord, type WriteAheadParts, writeAhead } from './write-ahead.ts';

/** How often what is due by time alone (cool-downs, unlock times, hung probes) is looked for in an idle service. */
const TICK_MS = 1000;

/** Telemetry may take this long to be handed over at the end; the journal has no such limit, it is on this machine. */
const TELEMETRY_MS = 500;

/** What a trail is made of. */
export interface TrailParts {
  readonly settings: Settings;
  readonly failures: Failures;
  /** Absent when disabled. */
  readonly journal: Journal | undefined;
  /** What runs beside the journal. Absent when disabled. */
  readonly services: TrailServices | undefined;
  /** Absent where no alert rules run. */
  readonly alerts: RunningAlerts | undefined;
  readonly emitter: Emitter;
  readonly telemetry: Telemetry;
  readonly redactor: Redactor;
  /** The settings as `system.start` tells them, masked. */
  readonly configuration: Readonly<Record<string, unknown>>;
  /** What an earlier process left; absent where there was none, or nothing is to be restored. */
  readonly restored: Restored | undefined;
}

/** A round of snapshots is due after so many records: a restart reads back to the last round. */
const ROUND_RECORDS = 2000;

export class RunningTrail implements RiskTrail {
  readonly settings: Settings;
  readonly #parts: TrailParts;
  readonly #host: TrailLayerHost;
  readonly #timing: Timing;
  readonly #sizing: PositionSizing;
  readonly #validation: SignalValidation;
  readonly #startedMs: number;
  readonly #timers: Timers;
  readonly #layers: TrailLayers;
  readonly #unwatch: () => void;
  readonly #metrics: { dispose(): void };
  readonly #journalDemand: JournalDemand;
  readonly #restored: Restored | undefined;
  readonly #orders: OrderTracking;
  readonly #account: AccountSharing;
  readonly #kill: KillSwitches;
  readonly #check: BackgroundCheck | undefined;
  #rules: OrderRules | undefined;
  /** Audit events since the last round of snapshots. */
  #sinceRound = 0;
  #closing: Promise<void> | undefined;
  #ended = false;

  constructor(parts: TrailParts) {
    const { settings, failures, emitter, telemetry, restored } = parts;
    this.settings = settings;
    this.#parts = parts;
    this.#timers = new Timers(failures.report);
    this.#startedMs = settings.clock.monotonic();
    this.#host = createLayerHost({
      clock: settings.clock,
      recordInputs: settings.recordInputs,
      tracer: telemetry.tracer,
      emit: (event) => this.#emit(event),
      report: failures.report,
      tradingState: restored?.state.tradingState,
      accountId: settings.accountId,
    });
    this.#restored = restored;
    this.#orders = new OrderTracking(restored?.state.openOrders ?? NO_ORDERS, failures.report);
    this.#host.onSnapshot(() => this.#snapshotsOfOthers());
    const { journal } = parts;
    this.#journalDemand = new JournalDemand(this.#host.gate, settings.auditFailure, () => journal?.failing === true);
    this.#account = new AccountSharing({ settings, journal, host: this.#host, restoredFrom: restored?.report.stream });
    this.#layers = new TrailLayers({ settings, host: this.#host, account: this.#account, restored: restored?.layers });
    this.#kill = new KillSwitches({
      ...{ gate: this.#host.gate, machine: createSystemClock(), report: failures.report },
      ...{ service: settings.serviceName, stream: journal?.stream ?? '' },
      dataDir: journal === undefined ? undefined : settings.dataDir,
      emit: (event) => this.#emit(event),
      openOrders: () => this.openOrders(),
      writeAhead: (name, attributes, act) => this.writeAhead(name, attributes, act),
    });
    this.#timing = createTiming({
      tracer: telemetry.tracer,
      clock: settings.clock,
      emit: (name, attributes) => emitter.emit(name, attributes),
      defaultThresholdMs: settings.slowThresholdMs,
      report: failures.report,
    });
    this.#sizing = createPositionSizing(this.#host);
    this.#validation = createSignalValidation(this.#host);
    if (restored !== undefined) this.#emit(restored.event);
    this.#emit({
      name: 'system.start',
      attributes: {
        ...(settings.serviceVersion === undefined ? {} : { 'service.version': settings.serviceVersion }),
        'system.config': parts.configuration,
      },
    });
    if (restored !== undefined) this.#goOn(restored);
    this.#check = this.#checkBehindStart();
    this.#every(TICK_MS, () => {
      this.#journalDemand.follow();
      this.gate.tick();
    });
    this.#every(POLL_MS, () => this.#kill.poll());
    this.#every(settings.snapshotIntervalMs, () => this.snapshot());
    this.#every(settings.healthCheckIntervalMs, () => this.#healthCheck());
    this.#metrics = observeHealth(() => healthFigures(this.health(), settings.clock.now()), failures.report);
    parts.services?.start(() => this.health());
    this.#unwatch = watchProcessExit(
      {
        onExit: (reason) => this.#endNow(reason),
        onUncaught: (error, origin) => this.#uncaught(error, origin),
      },
      settings.handleSignals,
    );
  }

  get stream(): string {
    return this.#parts.journal?.stream ?? '';
  }

  get dataDir(): string {
    return this.settings.dataDir;
  }

  get verifierKey(): string {
    return this.#parts.journal?.vkey ?? '';
  }

  get restored(): RestoreReport | undefined {
    return this.#restored?.report;
  }

  openOrders(): OpenOrders {
    return this.#orders.list();
  }

  get alerts(): TrailAlerts | undefined {
    return this.#parts.alerts;
  }

  get gate(): TradingGate {
    return this.#host.gate;
  }

  emit(name: string, attributes: object, options?: EmitOptions): string | undefined {
    const usable = options == null ? undefined : usableOptions(options, this.#parts.failures.report);
    return this.#record(name, attributes, usable, 'append');
  }

  #record(name: string, attributes: object, options: EmitOptions | undefined, reliedOn: ReliedOn): string | undefined {
    this.#orders.settle();
    const recordId = this.#parts.emitter.emit(name, attributes as Record<string, unknown>, options, reliedOn);
    if (name === 'risk.trading_state_change') this.#parts.journal?.requestCheckpoint();
    if (recordId === undefined) this.#orders.drop();
    else this.#recorded(name, recordId, attributes);
    this.#journalDemand.follow();
    return recordId;
  }

  /** Told of each event as it was made. */
  observe(name: string, timeMs: number, attributes: Readonly<Record<string, unknown>>): void {
    this.#orders.observe(name, timeMs, attributes);
  }

  #recorded(name: string, recordId: string, attributes: object): void {
    this.#orders.settle();
    this.#account.recorded(name, recordId, attributes);
    this.#rules?.recorded(name, attributes as Readonly<Record<string, unknown>>);
    if (++this.#sinceRound < ROUND_RECORDS || this.settings.snapshotIntervalMs === 0) return;
    this.#sinceRound = 0;
    // A layer may be in the midst of recording what it did: when it is through, its state and its events are one.
    queueMicrotask(() => {
      if (this.#ended) return;
      try {
        this.snapshot();
      } catch (error) {
        this.#parts.failures.report(error, 'snapshot');
      }
    });
  }

  /** The trail holds the state of an earlier process: the gate has gone on from it already. */
  #goOn({ report, state, findings }: Restored): void {
    const { outcome, reason } = report;
    const { demands } = state.tradingState;
    if (demands.length > 0) this.#emit(tradingRestoredEvent({ report, state }, this.settings.clock.now()));
    this.#journalDemand.takeBack(demands);
    if (outcome === 'halted') this.#distrust(reason ?? '');
    for (const event of findings) this.#emit(event);
    // From here on a restart finds every layer in this stream.
    this.snapshot();
  }

  /** Trading is halted until a person resumes it. */
  #distrust(reason: string): void {
    this.gate.demand({
      ...{ source: RESTORE_SOURCE, state: 'HALTED', actor: RESTORE_SOURCE },
      reason: `the trail is not to be trusted: ${reason}`,
      reasonCode: 'TRAIL_NOT_TRUSTED',
    });
  }

  #checkBehindStart(): BackgroundCheck | undefined {
    const { settings, journal, failures } = this.#parts;
    if (journal === undefined || this.#restored === undefined) return undefined;
    return checkBehindStart({
      ...{ settings, journal, report: failures.report },
      emit: (event) => this.#emit(event),
      halt: (reason) => this.#distrust(reason),
    });
  }

  /** What is in no layer's own snapshot: open orders, and layers of before that nobody has made yet. */
  #snapshotsOfOthers(): readonly CatalogEvent[] {
    return [
      ...(this.#restored?.layers.snapshots() ?? []),
      ...(this.#parts.alerts?.snapshots() ?? []),
      ...this.#orders.snapshots(),
    ];
  }

  #emit(event: CatalogEvent): string | undefined {
    return this.emit(event.name, event.attributes);
  }

  writeAhead<T>(
    name: string,
    attributes: Readonly<Record<string, unknown>>,
    act: (ahead: AheadRecord) => T | Promise<T>,
  ): Promise<T> {
    const { settings, journal, failures } = this.#parts;
    const emit: WriteAheadParts['emit'] = (one, its, reliedOn) => this.#record(one, its, undefined, reliedOn);
    return writeAhead({ settings, journal, emit, report: failures.report }, name, attributes, act);
  }

  reconcile(exchange: VenueExchange, options?: VenueReconcileOptions): Promise<VenueReport> {
    const { report } = this.#parts.failures;
    return reconcileVenue({ gate: this.gate, emit: (event) => this.#emit(event), report }, exchange, {
      openOrders: this.openOrders(),
      positions: this.#account.positions(),
      othersOrders: this.#account.othersOrders(),
      options,
    });
  }

  async reconcileOrders(exchange: OrdersExchange, options?: OrdersReconcileOptions): Promise<OrdersReport> {
    // Loaded when used: most starts have nothing to ask.
    const { reconcileVenueOrders } = await import('./venue-orders.ts');
    const host = {
      emit: (event: CatalogEvent) => this.#emit(event),
      report: this.#parts.failures.report,
      openOrders: () => this.openOrders(),
      now: () => this.settings.clock.now(),
    };
    return reconcileVenueOrders(host, exchange, options);
  }

  killSwitch(options: VenueKillOptions): Promise<KillReport> {
    return this.#kill.kill(options);
  }

  /** Told by instrumentations of an exchange that places orders: a request of the kill switch reaches it, armed or not. */
  knowExchange(exchange: object): void {
    this.#kill.know(exchange);
  }

  /** What rules of the settings need of the trail. */
  rulesHost(): OrderRulesHost {
    return {
      emit: (event) => this.#emit(event),
      report: this.#parts.failures.report,
      now: () => this.settings.clock.now(),
      openOrders: () => this.#orders.list(),
      circuitBreaker: (name, options, within) => this.#layers.circuitBreaker(name, options, within),
      portfolioLimits: (options, within) => this.#layers.portfolioLimits(options, within),
    };
  }

  /** Rules of the settings stand in front of every order of ccxt from here on. */
  useOrderRules(rules: OrderRules): void {
    this.#rules = rules;
  }

  /** Asked by instrumentations before orders are sent. */
  checkOrders(
    exchange: object,
    orders: readonly Readonly<Record<string, unknown>>[],
    change?: 'edit',
  ): OrderCheck | undefined {
    return this.#ended ? undefined : this.#rules?.check(exchange, orders, change);
  }

  /** Told by instrumentations of what a read showed. */
  sawRead(exchange: object, operation: string, args: readonly unknown[], result: unknown): void {
    this.#rules?.saw(exchange, operation, args, result);
  }

  armKillSwitch(options: KillArming): Subscription {
    return this.#kill.arm(options);
  }

  async commit(): Promise<void> {
    await this.#parts.journal?.commit();
  }

  withContext<T>(trailContext: TrailContext, fn: () => T): T {
    return runWithContext(this.#parts.telemetry.tracer, trailContext, fn);
  }

  timed<T>(operation: string, fn: () => T, options?: TimedOptions): T {
    return this.#timing.timed(operation, fn, options);
  }

  startTimer(operation: string, options?: TimedOptions): RunningTimer {
    return this.#timing.startTimer(operation, options);
  }

  logger(category: string): TrailLogger {
    const { settings, telemetry, redactor } = this.#parts;
    return createLogger({
      category,
      otelLogger: telemetry.otelLogger,
      clock: settings.clock,
      redactor,
      consoleLevel: settings.logLevel,
      otlpLevel: settings.otlpLogLevel,
      report: this.#parts.failures.report,
    });
  }

  circuitBreaker(name: string, options?: CircuitBreakerOptions): CircuitBreaker {
    return this.#layers.circuitBreaker(name, options);
  }

  trailingStops(options: TrailingStopsOptions): TrailingStops {
    return this.#layers.trailingStops(options);
  }

  portfolioLimits(options: PortfolioLimitsOptions): PortfolioLimits {
    return this.#layers.portfolioLimits(options);
  }

  readonly sizePosition: PositionSizing['sizePosition'] = (input) => this.#sizing.sizePosition(input);

  readonly validateSignal: SignalValidation['validateSignal'] = (signal, against) =>
    this.#validation.validateSignal(signal, against);

  snapshot(): void {
    this.#sinceRound = 0;
    // It tells of all that was: the work around the call has no part in it.
    context.with(ROOT_CONTEXT, () => this.#host.takeSnapshots());
    this.#account.publish();
  }

  #healthCheck(): void {
    const { status, uptimeMs, tradingState } = this.health();
    this.#emit({
      name: 'system.health_check',
      attributes: { 'system.status': status, 'system.uptime_ms': uptimeMs, 'risk.trading_state.new': tradingState },
    });
  }

  health(): TrailHealth {
    const { settings, journal, services, emitter, telemetry, failures } = this.#parts;
    const stats = journal?.stats();
    const beside = services?.health() ?? {};
    const failed = failures.read();
    const slow = stats !== undefined && (stats.degraded || stats.mode !== 'direct' || stats.lostRecords > 0);
    const verification = this.#check?.stats();
    const unsound = verification !== undefined && verification.findings > 0;
    const troubled = failed.count > 0 || slow || unsound || beside.shipping?.failing === true;
    const status = settings.disabled ? 'disabled' : this.#ended ? 'closed' : troubled ? 'degraded' : 'healthy';
    return {
      status,
      uptimeMs: settings.clock.monotonic() - this.#startedMs,
      tradingState: this.gate.state(),
      ...(stats === undefined ? {} : { journal: stats }),
      ...(verification === undefined ? {} : { verification }),
      ...beside,
      emitted: emitter.counts(),
      dropped: telemetry.dropped(),
      failures: failed,
    };
  }

  async flush(): Promise<void> {
    const { journal, telemetry, failures } = this.#parts;
    try {
      await Promise.all([journal?.checkpoint(), telemetry.forceFlush(TELEMETRY_MS)]);
    } catch (error) {
      failures.report(error, 'flush');
    }
  }

  close(reason = 'close'): Promise<void> {
    this.#closing ??= this.#close(reason);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close('dispose');
  }

  async #close(reason: string): Promise<void> {
    if (this.#ended) return;
    const { journal, services, alerts, telemetry, failures } = this.#parts;
    try {
      if (this.#kill.isArmed) await this.#kill.stop();
      // The process may have ended meanwhile.
      if (this.#ended) return;
      this.#recordEnd(reason);
      await journal?.close(reason);
      await Promise.all([services?.stop(() => this.health()), alerts?.stop(), telemetry.shutdown(TELEMETRY_MS)]);
    } catch (error) {
      failures.report(error, 'close');
    }
    this.#forget();
  }

  /** The process ends: only what is synchronous is left. */
  #endNow(reason: string): void {
    try {
      if (!this.#ended) this.#recordEnd(reason);
      // Where an orderly close was under way it is cut short here: the stream is closed once, by whoever comes last.
      this.#parts.journal?.closeSync(reason);
      this.#parts.services?.stopNow(() => this.health());
    } catch (error) {
      // A throw in here would become the program's exit code.
      this.#parts.failures.report(error, 'exit');
    }
    this.#forget();
  }

  #recordEnd(reason: string): void {
    this.snapshot();
    this.#emit({
      name: 'system.stop',
      attributes: {
        'system.stop.reason': reason,
        'system.uptime_ms': this.settings.clock.monotonic() - this.#startedMs,
      },
    });
    this.#account.stop();
    this.#kill.abandon();
    this.#check?.stop();
    this.#ended = true;
    this.#parts.alerts?.end();
    this.#timers.stop();
  }

  #forget(): void {
    this.#unwatch();
    this.#metrics.dispose();
    if (currentTrail() === (this as RiskTrail)) setCurrentTrail(undefined);
  }

  #uncaught(error: unknown, origin: string): void {
    try {
      this.#emit(uncaughtEvent(error, origin));
    } catch (failure) {
      this.#parts.failures.report(failure, 'uncaught exception');
    }
  }

  #every(intervalMs: number, act: () => void): void {
    if (!this.settings.disabled) this.#timers.every(intervalMs, act);
  }
}
