/** Calls: permits, results, probes. */
import { catalogEvent } from '../../catalog/events.ts';
import type { Draft } from './draft.ts';
import { instant } from './events.ts';
import { type BreakerDecision, type CallResult, type FailureInfo, USED } from './input.ts';
import { addProbe, endProbe } from './state.ts';
import { addCall, countCalls, reachedByCalls } from './window.ts';

export function allow(draft: Draft, reduces: boolean, call?: number): BreakerDecision {
  const { status, probes, nextProbe } = draft.state;
  if (status === 'CLOSED' || status === 'DISABLED') {
    if (draft.all) {
      draft.record(
        catalogEvent('risk.circuit_breaker.permitted', {
          ...draft.attributes(draft.now),
          ...callAttribute(call),
          ...(reduces ? { 'risk.circuit_breaker.reduces': true } : {}),
        }),
      );
    }
    return USED;
  }
  if (reduces) {
    draft.record(
      catalogEvent('risk.circuit_breaker.exit_permitted', {
        ...draft.attributes(draft.now),
        ...callAttribute(call),
        'risk.reason.code': 'CIRCUIT_BREAKER_REDUCES',
      }),
    );
    return { permitted: true, code: 'CIRCUIT_BREAKER_REDUCES' };
  }
  if (status === 'HALF_OPEN' && probes.length < draft.config.maxProbes) {
    const probe = { id: nextProbe, deadlineMs: draft.now + draft.config.probeTimeoutMs };
    draft.state = addProbe(draft.state, probe);
    draft.record(
      catalogEvent('risk.circuit_breaker.probe', {
        ...draft.attributes(draft.now),
        ...callAttribute(call),
        'risk.circuit_breaker.probes_in_flight': draft.state.probes.length,
        'risk.circuit_breaker.probe.id': probe.id,
        'risk.circuit_breaker.probe.until': instant(probe.deadlineMs),
      }),
    );
    return { permitted: true, code: 'CIRCUIT_BREAKER_PROBE', probe: probe.id };
  }
  const code = status === 'HALF_OPEN' ? 'CIRCUIT_BREAKER_PROBES_TAKEN' : `CIRCUIT_BREAKER_${status}`;
  draft.record(
    catalogEvent('risk.circuit_breaker.not_permitted', {
      ...draft.attributes(draft.now),
      ...callAttribute(call),
      'risk.reason.code': code,
    }),
  );
  return { permitted: false, code };
}

export function result(draft: Draft, input: CallResult): BreakerDecision {
  const { durationMs } = input;
  if (durationMs !== undefined && !(Number.isFinite(durationMs) && durationMs >= 0))
    return draft.invalid('CIRCUIT_BREAKER_DURATION_INVALID');
  const { status, epoch, probes } = draft.state;
  if (input.duplicate === true) return late(draft, input, 'CIRCUIT_BREAKER_RESULT_DUPLICATE');
  if (input.epoch !== undefined && input.epoch !== epoch) return late(draft, input, 'CIRCUIT_BREAKER_RESULT_LATE');
  const slow = draft.config.slowCallMs !== null && durationMs !== undefined && durationMs >= draft.config.slowCallMs;
  const bypassed = input.bypassed === true && status !== 'CLOSED';
  if (bypassed || status === 'DISABLED') {
    if (input.failed || draft.all) recordResult(draft, input, slow, false, undefined);
    return { permitted: false, code: 'CIRCUIT_BREAKER_NOT_COUNTED' };
  }
  if (status === 'CLOSED') {
    countCall(draft, input, slow);
    return USED;
  }
  // Without a permit and without a probe under way it is of a call from before: only probes may close the breaker.
  const isOfProbe = input.probe !== undefined || probes.length > 0;
  if (status !== 'HALF_OPEN' || !isOfProbe) return late(draft, input, 'CIRCUIT_BREAKER_RESULT_LATE');
  if (input.probe !== undefined && !probes.some((one) => one.id === input.probe))
    return late(draft, input, 'CIRCUIT_BREAKER_RESULT_DUPLICATE');
  finishProbe(draft, input, slow);
  return USED;
}

function countCall(draft: Draft, input: CallResult, slow: boolean): void {
  const calls = addCall(draft.state.calls, draft.config, draft.now, input.failed, slow);
  const changed = calls !== draft.state.calls;
  if (changed) draft.state = { ...draft.state, calls };
  if (changed || input.failed || draft.all) recordResult(draft, input, slow, true, undefined);
  if (!changed) return;
  const reached = reachedByCalls(countCalls(calls, draft.config, draft.now), draft.config);
  // A success ends a run of failures and can make the window long enough for a rate; it never adds to a count of failures.
  if (reached !== undefined && (input.failed || reached.trigger.endsWith('rate')))
    draft.open([reached], [reached.trigger], draft.now);
}

function finishProbe(draft: Draft, input: CallResult, slow: boolean): void {
  const tooSlow = slow && draft.config.slowCallRate !== null;
  const good = !input.failed && !tooSlow;
  // A result without a permit is taken for the oldest probe under way.
  const id = input.probe ?? draft.state.probes[0]?.id;
  draft.state = endProbe(draft.state, id, good);
  recordResult(draft, input, slow, true, id);
  if (!good) draft.open([], [input.failed ? 'probe_failed' : 'probe_slow'], draft.now);
  else if (draft.state.probeSuccesses >= draft.config.successesToClose)
    draft.transition({ to: 'CLOSED', atMs: draft.now, triggers: ['probes_succeeded'] }, []);
}

function recordResult(
  draft: Draft,
  input: CallResult,
  slow: boolean,
  counted: boolean,
  probe: number | undefined,
): void {
  const attributes = {
    ...draft.attributes(draft.now),
    'risk.circuit_breaker.result': input.failed ? 'failure' : 'success',
    'risk.circuit_breaker.counted': counted,
    ...(slow ? { 'risk.circuit_breaker.slow': true } : {}),
    ...(probe === undefined ? {} : { 'risk.circuit_breaker.probe.id': probe }),
    ...callAttribute(input.call),
    ...(input.durationMs === undefined ? {} : { 'timing.duration_ms': input.durationMs }),
    ...errorAttributes(input.error),
  } as const;
  draft.record(
    input.failed
      ? catalogEvent('risk.circuit_breaker.failure', attributes)
      : catalogEvent('risk.circuit_breaker.success', attributes),
  );
}

function late(draft: Draft, input: CallResult, code: string): BreakerDecision {
  draft.record(
    catalogEvent('risk.circuit_breaker.late_result', {
      ...draft.attributes(draft.now),
      'risk.circuit_breaker.result': input.failed ? 'failure' : 'success',
      'risk.reason.code': code,
      ...(input.probe === undefined ? {} : { 'risk.circuit_breaker.probe.id': input.probe }),
      ...callAttribute(input.call),
      ...(input.durationMs === undefined ? {} : { 'timing.duration_ms': input.durationMs }),
      ...errorAttributes(input.error),
    }),
  );
  return { permitted: false, code };
}

export function release(draft: Draft, epoch: number, probe: number, call?: number): BreakerDecision {
  const inFlight = epoch === draft.state.epoch && draft.state.probes.some((one) => one.id === probe);
  if (!inFlight) return { permitted: false, code: 'CIRCUIT_BREAKER_RESULT_LATE' };
  draft.state = endProbe(draft.state, probe, false);
  draft.record(
    catalogEvent('risk.circuit_breaker.probe_released', {
      ...draft.attributes(draft.now),
      'risk.circuit_breaker.probe.id': probe,
      ...callAttribute(call),
    }),
  );
  return USED;
}

const callAttribute = (call: number | undefined) =>
  call === undefined ? {} : { 'risk.circuit_breaker.call.id': call };

const errorAttributes = (error: FailureInfo | undefined) => ({
  ...(error?.type === undefined ? {} : { 'error.type': error.type }),
  ...(error?.code === undefined ? {} : { 'error.code': error.code }),
  ...(error?.message === undefined ? {} : { 'error.message': error.message }),
});
