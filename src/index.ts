/** The public API: named exports, no logic. */
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
export { defineEvents, type EventFamily, type NoFamily, type OwnEvent } from './catalog/define-events.ts';
export { type EventAttributes, type EventName, EVENTS } from './catalog/events.ts';
export { type Clock, createManualClock, createSystemClock, type ManualClock } from './core/clock.ts';
export { ERRORS, type ErrorCode, isRiskTrailError, RiskTrailError } from './core/errors.ts';
export type { Subscription } from './core/listeners.ts';
export { getRiskTrail } from './runtime/current.ts';
export type { RiskTrail, TrailHealth } from './runtime/risk-trail.ts';
export { type StartOptions, startRiskTrail } from './runtime/start.ts';
export { VERSION } from './version.ts';
