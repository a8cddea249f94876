/** A tracer for where nobody is given the spans: they carry the ids that events stand under, and nothing else. */
import {
  type Context,
  context,
  isSpanContextValid,
  type Span,
  type SpanOptions,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { createIdGenerator } from './correlation.ts';

/**
 * Spans without an exporter or a processor are made to be forgotten; one of the SDK's costs a tenth of a limit check. These
 * are told apart by nothing that an event or an outbound request shows: the same ids, the same flags.
 * @param tracer makes the spans of whose parent the caller decided that it isn't sampled
 */
export function createUnseenTracer(tracer: Tracer): Tracer {
  const ids = createIdGenerator();

  function startSpan(name: string, options?: SpanOptions, active: Context = context.active()): Span {
    const parent = options?.root === true ? undefined : trace.getSpanContext(active);
    if (parent === undefined || !isSpanContextValid(parent)) {
      const traceId = ids.generateTraceId();
      return trace.wrapSpanContext({ traceId, spanId: ids.generateSpanId(), traceFlags: TraceFlags.SAMPLED });
    }
    const { traceId, traceFlags, traceState } = parent;
    if ((traceFlags & TraceFlags.SAMPLED) === 0) return tracer.startSpan(name, options, active);
    const own = { traceId, spanId: ids.generateSpanId(), traceFlags };
    return trace.wrapSpanContext(traceState === undefined ? own : { ...own, traceState });
  }

  return {
    startSpan,
    startActiveSpan: ((name: string, ...rest: unknown[]) => {
      const fn = rest.at(-1) as (span: Span) => unknown;
      const options = rest.length > 1 ? (rest[0] as SpanOptions) : undefined;
      const active = rest.length > 2 ? (rest[1] as Context) : context.active();
      const span = startSpan(name, options, active);
      return context.with(trace.setSpan(active, span), fn, undefined, span);
    }) as Tracer['startActiveSpan'],
  };
}
