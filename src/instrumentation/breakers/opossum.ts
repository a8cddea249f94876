/** opossum: listeners on its own events, attached at a breaker's first call. */
import { guarded } from '../host.ts';
import { BreakerRecorder } from './events.ts';

interface OpossumBreaker {
  readonly name?: unknown;
  readonly opened?: boolean;
  readonly halfOpen?: boolean;
  on(event: string, listener: (...args: never[]) => void): unknown;
  prependListener(event: string, listener: (...args: never[]) => void): unknown;
}
interface OpossumClass {
  readonly prototype: { call?: (this: OpossumBreaker, ...args: unknown[]) => unknown };
}

const PATCHED = Symbol.for('risktrail.opossum.patched');
const seen = new WeakSet<object>();

const isTimeout = (error: unknown) => (error as { code?: unknown } | null)?.code === 'ETIMEDOUT';

function attach(breaker: OpossumBreaker): void {
  const name = typeof breaker.name === 'string' && breaker.name !== '' ? breaker.name : 'opossum';
  const state = breaker.opened === true ? 'OPEN' : breaker.halfOpen === true ? 'HALF_OPEN' : 'CLOSED';
  const recorder = new BreakerRecorder('opossum', name, state);
  breaker.on('failure', (error: unknown, durationMs: number) =>
    recorder.failed({ error, durationMs, timeout: isTimeout(error) }),
  );
  // Before its own listener, which closes the breaker.
  breaker.prependListener('success', (_result: unknown, durationMs: number) => recorder.succeeded(durationMs));
  breaker.on('reject', () => recorder.refused('CIRCUIT_BREAKER_OPEN'));
  breaker.on('semaphoreLocked', () => recorder.refused('CIRCUIT_BREAKER_CAPACITY'));
  breaker.on('open', () => recorder.changed('OPEN'));
  breaker.on('halfOpen', () => recorder.changed('HALF_OPEN', true));
  breaker.on('close', () => recorder.changed('CLOSED'));
}

/**
 * Records the breakers of a copy of opossum: for bundles, which no hook sees.
 * @param opossum its `CircuitBreaker` class, which is what the package exports
 * @returns what was given
 */
export function instrumentOpossum<T>(opossum: T): T {
  const { prototype } = opossum as unknown as OpossumClass;
  const original = prototype?.call;
  if (typeof original !== 'function' || Object.hasOwn(prototype, PATCHED)) return opossum;
  Object.defineProperty(prototype, PATCHED, { value: true });
  prototype.call = function call(...args) {
    if (!seen.has(this)) {
      seen.add(this);
      guarded(undefined, 'opossum', () => attach(this));
    }
    return original.apply(this, args);
  };
  return opossum;
}
