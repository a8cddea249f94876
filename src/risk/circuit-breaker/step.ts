/**
 * The circuit breaker, pure: `(state, input, now) → {state, decision, events}`. What time brings about (the end of a
 * cool-down, a hung probe) happens at the moment it was due, before the input, so the state at a time does not depend on how
 * often the breaker was asked in between.
 */
import { type CatalogEvent, catalogEvent } from '../../catalog/events.ts';
import { configure, manual } from './acts.ts';
import { allow, release, result } from './calls.ts';
import { Draft } from './draft.ts';
import { type BreakerContext, type BreakerDecision, type BreakerInput, type BreakerStep, USED } from './input.ts';
import { type BreakerState, endProbe, shiftState } from './state.ts';
import { recordEquity, recordTrade } from './trades.ts';

const NOTHING: readonly CatalogEvent[] = Object.freeze([]);

/** @param now whole epoch milliseconds, not before those of earlier steps but for a `clock_step` */
export function stepBreaker(
  context: BreakerContext,
  state: BreakerState,
  input: BreakerInput,
  now: number,
): BreakerStep {
  if (input.type === 'clock_step') return clockStep(new Draft(context, state, now), input.deltaMs);
  if (!isDue(state, now)) {
    // The hot path: nothing to record, nothing to change.
    if (input.type === 'tick') return { state, decision: USED, events: NOTHING };
    if (
      input.type === 'allow' &&
      context.recordInputs !== 'all' &&
      (state.status === 'CLOSED' || state.status === 'DISABLED')
    )
      return { state, decision: USED, events: NOTHING };
  }
  const draft = new Draft(context, state, now);
  advance(draft);
  const decision = apply(draft, input);
  return { state: draft.state, decision, events: draft.events };
}

/** Whether time alone has brought a transition about. */
export function isDue(state: BreakerState, now: number): boolean {
  if (state.status === 'OPEN') return state.openUntilMs !== null && now >= state.openUntilMs;
  return state.status === 'HALF_OPEN' && state.probes.some((probe) => now >= probe.deadlineMs);
}

function clockStep(draft: Draft, deltaMs: number): BreakerStep {
  draft.state = shiftState(draft.state, deltaMs);
  draft.record(
    catalogEvent('risk.circuit_breaker.clock_step', {
      ...draft.attributes(draft.now),
      'risk.circuit_breaker.clock_step_ms': deltaMs,
    }),
  );
  return { state: draft.state, decision: USED, events: draft.events };
}

function apply(draft: Draft, input: Exclude<BreakerInput, { type: 'clock_step' }>): BreakerDecision {
  switch (input.type) {
    case 'allow':
      return allow(draft, input.reduces, input.call);
    case 'result':
      return result(draft, input);
    case 'release':
      return release(draft, input.epoch, input.probe, input.call);
    case 'trade':
      return recordTrade(draft, input);
    case 'equity':
      return recordEquity(draft, input.equity);
    case 'manual':
      return manual(draft, input.act, input.actor, input.reason);
    case 'configure':
      return configure(draft, input.config, input.actor, input.reason);
    case 'tick':
      return USED;
  }
}

/** Brings about what was due up to now, each at its own time. */
function advance(draft: Draft): void {
  while (isDue(draft.state, draft.now)) {
    const { status, openUntilMs, untilIsFixed, needsProbe, sinceMs, probes } = draft.state;
    if (status === 'OPEN') {
      // A fixed time can lie before the opening where the wall clock was put forward since.
      const atMs = Math.max(openUntilMs ?? 0, sinceMs);
      draft.transition(
        { to: needsProbe ? 'HALF_OPEN' : 'CLOSED', atMs, triggers: [untilIsFixed ? 'time_of_day' : 'cooldown'] },
        [],
      );
    } else {
      const hung = probes.reduce((first, probe) => (probe.deadlineMs < first.deadlineMs ? probe : first));
      draft.state = endProbe(draft.state, hung.id, false);
      draft.record(
        catalogEvent('risk.circuit_breaker.failure', {
          ...draft.attributes(hung.deadlineMs),
          'risk.circuit_breaker.result': 'timeout',
          'risk.circuit_breaker.counted': true,
          'risk.circuit_breaker.probe.id': hung.id,
          'error.type': 'PROBE_TIMEOUT',
        }),
      );
      draft.open([], ['probe_timeout'], hung.deadlineMs);
    }
  }
}
