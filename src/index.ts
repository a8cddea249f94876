/** The public API: named exports, no logic. */
export type { AlertRecord } from './alerting/open-alerts.ts';
export type { AlertRule, AlertSeverity, AlertType } from './alerting/rule.ts';
export { ALERT_RULES } from './alerting/rules.ts';
export type { JournalStats } from './audit/journal/journal-types.ts';
export { ATTRIBUTES, type AttributeName, COMMON_ATTRIBUTES } from './catalog/attributes.ts';
export {
  type AttributeDefinition,
  type AttributeType,
  CATEGORIES,
  type Category,
  type EventClass,
  type EventDefinition,
  type Severity,
} from './catalog/define.ts';
export {
  defineEvents,
  type EmittableAttributes,
  type EmittableName,
  type EventFamily,
  type NoFamily,
  type OwnEvent,
} from './catalog/define-events.ts';
export { EVENTS, type EventAttributes, type EventName } from './catalog/events.ts';
export { type Clock, createManualClock, createSystemClock, type ManualClock } from './core/clock.ts';
export { ERRORS, type ErrorCode, type ErrorDetails, isRiskTrailError, RiskTrailError } from './core/errors.ts';
export type { Subscription } from './core/listeners.ts';
export type { OpenOrder, OpenOrders } from './risk/open-orders.ts';
export type { AlertAct, AlertNotice, AlertsOptions, TrailAlerts } from './runtime/alerts-types.ts';
export type { DeliveryStats, WebhookOptions } from './runtime/alerts-webhook.ts';
export type {
  BreakerAct,
  BreakerChange,
  BreakerResult,
  BreakerSnapshot,
  BreakerTrade,
  CircuitBreaker,
  CircuitBreakerOptions,
  ExecuteOptions,
  GuardedCall,
  Permit,
} from './runtime/circuit-breaker.ts';
export { getRiskTrail } from './runtime/current.ts';
export type { FailureReport } from './runtime/failures.ts';
export type {
  FlattenedPosition,
  KillArming,
  KillExchange,
  KilledOrder,
  KillReport,
  KillTerms,
  VenueKillOptions,
} from './runtime/kill/kill-types.ts';
export type { OrdersExchange, UnknownCode, VenueOrderState, VenueTrade } from './runtime/order-lookup.ts';
export type { OrderRule } from './runtime/order-rules-options.ts';
export type {
  Fill,
  Instrument,
  LimitDecision,
  LimitHealth,
  LimitOrder,
  LimitOutcome,
  LimitResult,
  LimitsAct,
  LimitsInputResult,
  LimitsSnapshot,
  LimitsUpdate,
  LimitType,
  Portfolio,
  PortfolioHealth,
  PortfolioLimits,
  PortfolioLimitsOptions,
  Position,
} from './runtime/portfolio-limits.ts';
export type { PositionSizeCode, PositionSizeInput, PositionSizeResult } from './runtime/position-size.ts';
export type { RestoreOutcome, RestoreReport } from './runtime/restore.ts';
export type { RiskTrail, TrailHealth } from './runtime/risk-trail.ts';
export type { RiskTrailOptions, Settings } from './runtime/settings.ts';
export type {
  SignalCheck,
  SignalCode,
  SignalContext,
  SignalInput,
  SignalVerdict,
} from './runtime/signal-validation.ts';
export { startRiskTrail } from './runtime/start.ts';
export { timed } from './runtime/timed.ts';
export type {
  GateAct,
  GateAnswer,
  GateChange,
  GateDemand,
  GateQuestion,
  GateSnapshot,
  KillSwitchOptions,
  OrderOutcome,
  TimedGateAct,
  TradingGate,
  TradingState,
} from './runtime/trading-gate.ts';
export type {
  AddStopInput,
  Bar,
  BarOptions,
  BarPath,
  FlipInput,
  PriceStamp,
  StopAction,
  StopChangeCode,
  StopCode,
  StopSide,
  StopStatus,
  TrailingStop,
  TrailingStopChange,
  TrailingStopDecision,
  TrailingStopOverrides,
  TrailingStopSettings,
  TrailingStops,
  TrailingStopsOptions,
  TrailingStopsState,
} from './runtime/trailing-stops.ts';
export type { OrdersReconcileOptions, OrdersReport, ReconciledOrder } from './runtime/venue-orders.ts';
export type {
  VenueDifference,
  VenueDifferenceKind,
  VenueExchange,
  VenueOrder,
  VenuePosition,
  VenueReconcileOptions,
  VenueReport,
} from './runtime/venue-reconcile.ts';
export type { AheadRecord } from './runtime/write-ahead.ts';
export type { BackgroundCheckStats } from './state/background-check.ts';
export type { TrailContext } from './telemetry/context.ts';
export type { EmitOptions, EmitterCounts } from './telemetry/emitter.ts';
export type { TrailLogger } from './telemetry/logger.ts';
export type { RunningTimer, TimedOptions } from './telemetry/timing.ts';
export { VERSION } from './version.ts';
