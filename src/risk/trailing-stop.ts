/**
 * Trailing stops: pure state transitions of one stop, and the fold that rebuilds all of them. A stop follows the best price
 * since entry at a fixed distance and never loosens; see `trailing-stop/step.ts` for what a price does, in which order.
 */
export type { Bar, BarPath } from './trailing-stop/bar.ts';
export {
  barInputEvent,
  type InputTarget,
  priceInputEvent,
  restoredEvent,
  snapshotEvent,
} from './trailing-stop/events.ts';
export type { PriceStamp } from './trailing-stop/feed.ts';
export { foldTrailingStops } from './trailing-stop/fold.ts';
export {
  type AddStopInput,
  addStop,
  type FlipInput,
  flipStop,
  partialCloseStop,
  refuseChange,
  removeStop,
  type StopChange,
  type StopChangeCode,
} from './trailing-stop/lifecycle.ts';
export {
  readTrailingStopsOptions,
  type TrailingStopOverrides,
  type TrailingStopSettings,
  type TrailingStopsOptions,
} from './trailing-stop/settings.ts';
export {
  barStop,
  failedStep,
  type StopAction,
  type StopCode,
  type StopDecision,
  type StopStep,
  tickStop,
} from './trailing-stop/step.ts';
export type {
  StopSide,
  StopStatus,
  TrailingStop,
  TrailingStopsState,
} from './trailing-stop/stop.ts';
export { StopSet } from './trailing-stop/stop-set.ts';
export { isTrailingStop } from './trailing-stop/validate.ts';
