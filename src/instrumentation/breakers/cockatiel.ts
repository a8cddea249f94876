/** cockatiel: listeners on a circuit breaker policy's own events, attached at its first execution. */
import { guarded } from '../host.ts';
import { BreakerRecorder, type BreakerState } from './events.ts';

interface Policy {
  readonly state?: number;
  readonly onFailure?: (listener: (event: FailureEvent) => void) => unknown;
  readonly onSuccess?: (listener: (event: { readonly duration?: number }) => void) => unknown;
  readonly onStateChange?: (listener: (state: number) => void) => unknown;
}
interface FailureEvent {
  readonly duration?: number;
  readonly reason?: { readonly error?: unknown; readonly value?: unknown };
}
interface PolicyClass {
  readonly prototype: { execute?: (this: Policy, ...args: unknown[]) => unknown };
}

/** Numbers of cockatiel's `CircuitState`. */
const STATES: readonly BreakerState[] = ['CLOSED', 'OPEN', 'HALF_OPEN', 'FORCED_OPEN'];
const PATCHED = Symbol.for('risktrail.cockatiel.patched');
const recorders = new WeakMap<object, BreakerRecorder>();
let count = 0;

function attach(policy: Policy): BreakerRecorder {
  // Its breakers have no names: they are counted in the order of their first use.
  const recorder = new BreakerRecorder('cockatiel', `cockatiel-${++count}`, STATES[policy.state ?? 0] ?? 'CLOSED');
  recorders.set(policy, recorder);
  policy.onFailure?.(({ duration, reason }) =>
    recorder.failed({ error: reason?.error, durationMs: duration, timeout: isTimeout(reason?.error) }),
  );
  policy.onSuccess?.(({ duration }) => recorder.succeeded(duration));
  policy.onStateChange?.((state) => recorder.changed(STATES[state] ?? 'CLOSED'));
  return recorder;
}

const isTimeout = (error: unknown) =>
  (error as { isTaskCancelledError?: unknown } | null)?.isTaskCancelledError === true;

/**
 * Records the circuit breakers of a copy of cockatiel: for bundles, which no hook sees.
 * @param cockatiel the module's namespace
 * @returns what was given
 */
export function instrumentCockatiel<T extends { readonly CircuitBreakerPolicy?: unknown }>(cockatiel: T): T {
  const prototype = (cockatiel.CircuitBreakerPolicy as PolicyClass | undefined)?.prototype;
  const original = prototype?.execute;
  if (prototype === undefined || typeof original !== 'function' || Object.hasOwn(prototype, PATCHED)) return cockatiel;
  Object.defineProperty(prototype, PATCHED, { value: true });
  prototype.execute = async function execute(...args) {
    let recorder: BreakerRecorder | undefined;
    guarded(undefined, 'cockatiel', () => {
      recorder = recorders.get(this) ?? attach(this);
    });
    try {
      return await original.apply(this, args);
    } catch (error) {
      const { isBrokenCircuitError, isIsolatedCircuitError } = (error ?? {}) as Record<string, unknown>;
      if (isIsolatedCircuitError === true) recorder?.refused('CIRCUIT_BREAKER_FORCED_OPEN');
      else if (isBrokenCircuitError === true) recorder?.refused('CIRCUIT_BREAKER_OPEN');
      throw error;
    }
  };
  return cockatiel;
}
