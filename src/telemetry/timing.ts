/**
 * Timing in three ways: around a call, on a method, by hand. Each is a span with `timing.*` attributes, and an operation
 * that takes its threshold or longer is told in a `performance.latency` event. Durations come from the monotonic clock.
 */
import { type Attributes, context, type Span, SpanStatusCode, type Tracer, trace } from '@opentelemetry/api';
import type { EventAttributes } from '../catalog/events.ts';
import { type Clock, toHrTime } from '../core/clock.ts';
import { settle } from './context.ts';

/** What may be said of one timed operation. */
export interface TimedOptions {
  /** Duration in milliseconds from which it is slow. Default: that of the trail. */
  readonly thresholdMs?: number | undefined;
  /** Attributes of its span. */
  readonly attributes?: Attributes | undefined;
}

/** A timer that runs. */
export interface RunningTimer {
  /** Ends the span. @returns the duration in milliseconds; later calls return the same */
  stop(attributes?: Attributes): number;
  /** As `stop()`, for `using`. */
  [Symbol.dispose](): void;
}

export interface Timing {
  /** Runs `fn` once, in a span. What it returns or throws passes through; nothing else is ever thrown. */
  timed<T>(operation: string, fn: () => T, options?: TimedOptions): T;
  /** Starts a span that is not the active one. */
  startTimer(operation: string, options?: TimedOptions): RunningTimer;
}

export interface TimingParts {
  readonly tracer: Tracer;
  readonly clock: Clock;
  /** Records the event of a slow operation. */
  emit(name: 'performance.latency', attributes: EventAttributes<'performance.latency'>): unknown;
  /** For operations that name none; `undefined`: those are never slow. */
  readonly defaultThresholdMs?: number | undefined;
  report(error: unknown, where: string): void;
}

/** One operation under way. */
interface Running {
  readonly operation: string;
  readonly startMs: number;
  readonly thresholdMs: number | undefined;
  readonly span: Span | undefined;
}

export function createTiming(parts: TimingParts): Timing {
  const { tracer, clock, report } = parts;

  function begin(operation: string, options: TimedOptions | undefined): Running {
    let span: Span | undefined;
    let thresholdMs: number | undefined;
    const name = typeof operation === 'string' && operation !== '' ? operation : 'unnamed';
    try {
      const given = options?.thresholdMs;
      thresholdMs = typeof given === 'number' && given >= 0 ? given : parts.defaultThresholdMs;
      if (given !== undefined && given !== thresholdMs)
        report(new TypeError(`thresholdMs: expected a number ≥ 0, got ${String(given)}`), 'timing');
      span = tracer.startSpan(name, {
        attributes: { ...options?.attributes, operation: name },
        startTime: toHrTime(clock.now()),
      });
    } catch (error) {
      report(error, 'timing');
    }
    return { operation: name, startMs: clock.monotonic(), thresholdMs, span };
  }

  function end(running: Running, failed: boolean, reason: unknown, more?: Attributes): number {
    const durationMs = Math.max(0, clock.monotonic() - running.startMs);
    const { operation, thresholdMs, span } = running;
    try {
      const slow = thresholdMs !== undefined && durationMs >= thresholdMs;
      const attributes = {
        'timing.duration_ms': durationMs,
        ...(thresholdMs === undefined ? {} : { 'timing.threshold_ms': thresholdMs, 'timing.threshold_exceeded': slow }),
      };
      span?.setAttributes({ ...more, ...attributes });
      if (failed) fail(span, reason);
      // In the operation's own span, while that is open.
      if (slow) {
        const within = span === undefined ? context.active() : trace.setSpan(context.active(), span);
        context.with(within, () => parts.emit('performance.latency', { operation, ...attributes }));
      }
    } catch (error) {
      report(error, 'timing');
    }
    try {
      span?.end(toHrTime(clock.now()));
    } catch (error) {
      report(error, 'timing');
    }
    return durationMs;
  }

  function fail(span: Span | undefined, reason: unknown): void {
    if (span === undefined) return;
    const error = reason instanceof Error ? reason : new Error(String(reason));
    span.recordException(error, toHrTime(clock.now()));
    span.setAttribute('error.type', error.name);
    span.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
  }

  return {
    timed(operation, fn, options) {
      const running = begin(operation, options);
      const { span } = running;
      const outer = context.active();
      const active = span === undefined ? outer : trace.setSpan(outer, span);
      return settle(
        () => context.with(active, fn),
        (failed, reason) => void end(running, failed, reason),
      );
    },
    startTimer(operation, options) {
      const running = begin(operation, options);
      // The event belongs to where the timer was started, wherever it is stopped.
      const started = context.active();
      let durationMs: number | undefined;
      const stop = (attributes?: Attributes) => {
        durationMs ??= context.with(started, () => end(running, false, undefined, attributes));
        return durationMs;
      };
      return { stop, [Symbol.dispose]: () => void stop() };
    },
  };
}

/** A standard (TC39) decorator of methods. */
export type MethodDecorator = <This, Args extends unknown[], Return>(
  method: (this: This, ...args: Args) => Return,
  decorated: ClassMethodDecoratorContext<This, (this: This, ...args: Args) => Return>,
) => (this: This, ...args: Args) => Return;

/**
 * Makes the `@timed()` decorator. The operation is `Class.method` unless it is named.
 * @param find asked at each call, so that classes may be defined before a trail is started; without one the method runs as
 *   it is
 * @example
 * class Broker {
 *   @timed({ thresholdMs: 100 }) async fetchPositions() { … }
 * }
 */
export function createTimedDecorator(
  find: () => Pick<Timing, 'timed'> | undefined,
): (options?: TimedOptions & { readonly operation?: string | undefined }) => MethodDecorator {
  return (options) => (method, decorated) => {
    const name = String(decorated.name);
    return function (this, ...args) {
      const timing = find();
      if (timing === undefined) return method.apply(this, args);
      return timing.timed(options?.operation ?? operationOf(this, name), () => method.apply(this, args), options);
    };
  };
}

function operationOf(self: unknown, method: string): string {
  try {
    const owner = typeof self === 'function' ? self.name : (self as object | undefined)?.constructor?.name;
    return owner === undefined || owner === '' ? method : `${owner}.${method}`;
  } catch {
    return method;
  }
}
