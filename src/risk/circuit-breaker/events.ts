/** The attributes of the breaker's events: each carries what a fold needs to rebuild the state. */
import type { EventAttributes } from '../../catalog/events.ts';
import type { BreakerConfig } from './options.ts';
import { type BreakerState, breakerStatusCode } from './state.ts';
import { countCalls, type Reached } from './window.ts';

type WindowAttributes = Omit<EventAttributes<'risk.circuit_breaker.failure'>, 'risk.circuit_breaker.name'>;

/** An instant as events write it. Times are whole milliseconds, so nothing is lost. */
export const instant = (epochMs: number): string => new Date(epochMs).toISOString();

/** The breaker's numbers at `atMs`: on every event, as it stands after the event's own effect. */
export function windowAttributes(state: BreakerState, config: BreakerConfig, atMs: number): WindowAttributes {
  const counts = countCalls(state.calls, config, atMs);
  return {
    'risk.circuit_breaker.at': instant(atMs),
    'risk.circuit_breaker.epoch': state.epoch,
    'risk.circuit_breaker.state.code': breakerStatusCode(state.status),
    'risk.circuit_breaker.failure_count': counts.failures,
    'risk.circuit_breaker.consecutive_failures': counts.consecutiveFailures,
    ...(config.failureThreshold === null ? {} : { 'risk.circuit_breaker.failure_threshold': config.failureThreshold }),
    ...(counts.calls === null
      ? {}
      : {
          'risk.circuit_breaker.call_count': counts.calls,
          'risk.circuit_breaker.slow_call_count': counts.slow ?? 0,
        }),
    ...(counts.failureRate === null
      ? {}
      : {
          'risk.circuit_breaker.failure_rate': counts.failureRate,
          'risk.circuit_breaker.slow_call_rate': counts.slowCallRate ?? 0,
        }),
    ...(state.status === 'HALF_OPEN'
      ? {
          'risk.circuit_breaker.probes_allowed': config.maxProbes,
          'risk.circuit_breaker.probes_in_flight': state.probes.length,
        }
      : {}),
    ...(state.status === 'OPEN'
      ? {
          'risk.circuit_breaker.latched': state.openUntilMs === null,
          ...(state.openUntilMs === null
            ? {}
            : {
                'risk.circuit_breaker.open_until': instant(state.openUntilMs),
                'risk.circuit_breaker.open_until_fixed': state.untilIsFixed,
              }),
        }
      : {}),
  };
}

/** The trigger of a transition with the value that reached its threshold. */
export function triggerAttributes(reached: readonly Reached[], triggers: readonly string[]): WindowAttributes {
  const first = reached[0];
  return {
    'risk.circuit_breaker.trigger': triggers[0],
    'risk.circuit_breaker.triggers': triggers,
    ...(first === undefined
      ? {}
      : {
          'risk.circuit_breaker.trigger_value': first.value,
          'risk.circuit_breaker.trigger_threshold': first.threshold,
        }),
  };
}

/** A trigger in words, for a transition's reason. */
export function reasonOf(reached: readonly Reached[], triggers: readonly string[]): string {
  if (reached.length === 0) return PLAIN_REASONS[triggers[0] ?? ''] ?? triggers.join(', ');
  return reached.map(({ trigger, value, threshold }) => `${trigger} ${round(value)} reached ${threshold}`).join(', ');
}

const round = (value: number): number => Math.round(value * 1e6) / 1e6;

const PLAIN_REASONS: Readonly<Record<string, string>> = {
  cooldown: 'the cool-down is over',
  time_of_day: 'the time of day to unlock has come',
  probes_succeeded: 'the probes succeeded',
  probe_failed: 'a probe failed',
  probe_slow: 'a probe was slow',
  probe_timeout: 'a probe did not answer in time',
};
