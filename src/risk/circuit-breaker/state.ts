/** The circuit breaker's state: plain data from which it goes on after a restart, and the transitions between its states. */
import { BREAKER_STATES } from '../../catalog/attributes.ts';
import type { BreakerConfig } from './options.ts';
import {
  adaptTrades,
  clearFired,
  EMPTY_TRADES,
  isTradeTrigger,
  shiftTrades,
  type TradeCounts,
} from './trading-triggers.ts';
import { adaptCalls, type CallWindow, EMPTY_CALLS, shiftCalls } from './window.ts';

/** CLOSED lets calls pass, OPEN refuses them, HALF_OPEN lets probes pass, DISABLED lets all pass, FORCED_OPEN refuses all. */
export type BreakerStatus = (typeof BREAKER_STATES)[number];

/** A call that HALF_OPEN let through to see whether the other side answers again. */
export interface Probe {
  readonly id: number;
  /** Epoch milliseconds from which it counts as failed. */
  readonly deadlineMs: number;
}

/** Everything that the breaker remembers. JSON-serialisable; times are whole epoch milliseconds. */
export interface BreakerState {
  readonly status: BreakerStatus;
  /** Counts transitions; a result from an earlier epoch is late. */
  readonly epoch: number;
  /** When the status began. */
  readonly sinceMs: number;
  /** When OPEN ends by itself; null while latched and in every other status. */
  readonly openUntilMs: number | null;
  /** `openUntilMs` is a time of day: it stays where it is when the wall clock is stepped, a cool-down moves along. */
  readonly untilIsFixed: boolean;
  /** What opened it, in order; empty when CLOSED. */
  readonly triggers: readonly string[];
  /** OPEN ends in HALF_OPEN; otherwise (trading triggers alone) in CLOSED: no probe tells whether the market has turned. */
  readonly needsProbe: boolean;
  readonly calls: CallWindow;
  readonly probes: readonly Probe[];
  readonly probeSuccesses: number;
  /** Id of the next probe. */
  readonly nextProbe: number;
  readonly trades: TradeCounts;
}

/** CLOSED, nothing counted. */
export function initialBreakerState(nowMs: number): BreakerState {
  return {
    ...{ status: 'CLOSED', epoch: 0, sinceMs: nowMs, openUntilMs: null, untilIsFixed: false, triggers: [] },
    ...{ needsProbe: false, calls: EMPTY_CALLS, probes: [], probeSuccesses: 0, nextProbe: 1, trades: EMPTY_TRADES },
  };
}

/** closed 0, open 1, half-open 2, disabled 3, forced open 4 */
export const breakerStatusCode = (status: BreakerStatus): number => BREAKER_STATES.indexOf(status);

/** What ends OPEN by time. */
const UNLOCKS: readonly string[] = ['cooldown', 'time_of_day'];

export interface Transition {
  readonly to: BreakerStatus;
  readonly atMs: number;
  /** What brought it about: opening triggers, `cooldown`, `time_of_day`, `probes_succeeded`, `manual`. */
  readonly triggers: readonly string[];
  /** Only when `to` is OPEN. */
  readonly openUntilMs?: number | null;
  readonly untilIsFixed?: boolean;
}

/** The state after a transition. Live breaker and fold share it, so that a transition's event says all that it needs. */
export function applyTransition(state: BreakerState, transition: Transition): BreakerState {
  const { to, atMs, triggers } = transition;
  const opens = to === 'OPEN';
  const wasGuarding = state.status === 'OPEN' || state.status === 'HALF_OPEN';
  const unlocks = state.status === 'OPEN' && triggers.some((one) => UNLOCKS.includes(one));
  const begins = to === 'CLOSED' || to === 'HALF_OPEN';
  return {
    status: to,
    epoch: state.epoch + 1,
    sinceMs: atMs,
    openUntilMs: opens ? (transition.openUntilMs ?? null) : null,
    untilIsFixed: opens && transition.untilIsFixed === true,
    triggers: opens
      ? state.status === 'OPEN'
        ? [...state.triggers, ...triggers]
        : triggers
      : to === 'HALF_OPEN'
        ? state.triggers
        : [],
    needsProbe: opens
      ? (wasGuarding && state.needsProbe) || triggers.some((one) => !isTradeTrigger(one))
      : to === 'HALF_OPEN',
    calls: begins ? EMPTY_CALLS : state.calls,
    probes: [],
    probeSuccesses: 0,
    nextProbe: state.nextProbe,
    // What locked for a time has done its work; what it did not lock for (the day's loss) goes on counting.
    trades: unlocks ? clearFired(state.trades, state.triggers) : state.trades,
  };
}

/** A person's reset: every count begins anew, the day's loss and the equity peak included. The status stays. */
export function clearCounts(state: BreakerState): BreakerState {
  return { ...state, calls: EMPTY_CALLS, trades: EMPTY_TRADES };
}

export function addProbe(state: BreakerState, probe: Probe): BreakerState {
  return { ...state, probes: [...state.probes, probe], nextProbe: probe.id + 1 };
}

/** Takes a probe from those in flight; `succeeded` counts it towards closing. An id of `undefined` takes none. */
export function endProbe(state: BreakerState, id: number | undefined, succeeded: boolean): BreakerState {
  return {
    ...state,
    probes: state.probes.filter((probe) => probe.id !== id),
    probeSuccesses: state.probeSuccesses + (succeeded ? 1 : 0),
  };
}

/** Moves every time along with a wall clock that was stepped by `deltaMs`, so that what remains of a duration stays the same. */
export function shiftState(state: BreakerState, deltaMs: number): BreakerState {
  return {
    ...state,
    sinceMs: state.sinceMs + deltaMs,
    openUntilMs: state.openUntilMs === null || state.untilIsFixed ? state.openUntilMs : state.openUntilMs + deltaMs,
    calls: shiftCalls(state.calls, deltaMs),
    probes: state.probes.map((probe) => ({ ...probe, deadlineMs: probe.deadlineMs + deltaMs })),
    trades: shiftTrades(state.trades, deltaMs),
  };
}

/** Keeps the counts that a change of settings leaves meaningful; status, open time and probes stay as they are. */
export function adaptState(state: BreakerState, old: BreakerConfig, next: BreakerConfig): BreakerState {
  return { ...state, calls: adaptCalls(state.calls, old, next), trades: adaptTrades(state.trades, next) };
}

/** The state of a new process that goes on from `state`: calls that were under way can no longer report. */
export function resumeState(state: BreakerState): BreakerState {
  return { ...state, epoch: state.epoch + 1, probes: [] };
}
