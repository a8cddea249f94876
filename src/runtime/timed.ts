/** The `@timed()` decorator over whichever trail runs when the method is called. */
import { createTimedDecorator } from '../telemetry/timing.ts';
import { currentTrail } from './current.ts';

/**
 * Times a method: a span, and a `performance.latency` event when it is slow. Without a running trail the method runs as it is.
 * @example
 * class Broker {
 *   @timed({ thresholdMs: 100 }) async fetchPositions() { … }
 * }
 */
export const timed: ReturnType<typeof createTimedDecorator> = createTimedDecorator(currentTrail);
