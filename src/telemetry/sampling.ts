/**
 * Spans that hold an audit event are always kept. Our own provider records every span, whatever `OTEL_TRACES_SAMPLER` says,
 * and decides at the end: a span is exported if the configured sampler wanted it or an audit event was put into it. What is
 * recorded and not wanted is garbage when it ends, so memory holds no more than the spans that are open.
 */
import { type Context, type Span, type SpanContext, TraceFlags, trace } from '@opentelemetry/api';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  createAlwaysRecordSampler,
  ParentBasedSampler,
  type Sampler,
  type SpanProcessor,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace';

/** On spans of our own provider that are not kept yet: the span around it within the process, if there is one. */
const PARENT = Symbol('risktrail parent span');
type Tracked = Span & { [PARENT]?: Span | null };

/** Remembers which spans are ours, and their parents. A property costs a fifth of a WeakMap here, on every span. */
export function createParentTracker(): SpanProcessor {
  return {
    onStart(span, parentContext) {
      if ((span.spanContext().traceFlags & TraceFlags.SAMPLED) !== 0) return;
      (span as Tracked)[PARENT] = trace.getSpan(parentContext) ?? null;
    },
    onEnd: () => {},
    forceFlush: async () => {},
    shutdown: async () => {},
  };
}

/**
 * Keeps a span of our own provider, and with it the open spans around it, so that the trace has its root. Spans that begin
 * inside of it from now on are kept too where the sampler goes by the parent. Foreign spans stay as they are.
 * @returns whether the span is kept
 */
export function markAuditSpan(span: Span): boolean {
  let at: Tracked | null = span;
  while (at !== null) {
    const spanContext: SpanContext = at.spanContext();
    if ((spanContext.traceFlags & TraceFlags.SAMPLED) !== 0) break;
    const parent: Span | null | undefined = at[PARENT];
    if (parent === undefined || !at.isRecording()) break;
    spanContext.traceFlags |= TraceFlags.SAMPLED;
    at = parent;
  }
  return (span.spanContext().traceFlags & TraceFlags.SAMPLED) !== 0;
}

/**
 * Marks the span of a context as one that holds an audit event.
 * @returns whether the span is kept; `true` where there is no span that could be lost
 */
export function markAudit(active: Context): boolean {
  const span = trace.getSpan(active);
  return span === undefined || markAuditSpan(span);
}

/** Whether the span of a context is kept; `true` where there is none. */
export function isSampled(active: Context): boolean {
  const spanContext = trace.getSpanContext(active);
  return spanContext === undefined || (spanContext.traceFlags & TraceFlags.SAMPLED) !== 0;
}

/**
 * The sampler that the standard variables ask for, with every span recorded.
 * https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#general-sdk-configuration
 */
export function createAuditSampler(
  env: Readonly<Record<string, string | undefined>>,
  report: (error: unknown, where: string) => void,
): Sampler {
  return createAlwaysRecordSampler(samplerFromEnv(env, report));
}

function samplerFromEnv(
  env: Readonly<Record<string, string | undefined>>,
  report: (error: unknown, where: string) => void,
): Sampler {
  const name = env['OTEL_TRACES_SAMPLER']?.trim() ?? '';
  switch (name) {
    case 'always_on':
      return new AlwaysOnSampler();
    case 'always_off':
      return new AlwaysOffSampler();
    case 'traceidratio':
      return new TraceIdRatioBasedSampler(ratio(env, report));
    case 'parentbased_always_off':
      return new ParentBasedSampler({ root: new AlwaysOffSampler() });
    case 'parentbased_traceidratio':
      return new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio(env, report)) });
    default:
      if (name !== '' && name !== 'parentbased_always_on')
        report(new Error(`OTEL_TRACES_SAMPLER: unknown sampler "${name}", parentbased_always_on is used`), 'sampling');
      return new ParentBasedSampler({ root: new AlwaysOnSampler() });
  }
}

function ratio(
  env: Readonly<Record<string, string | undefined>>,
  report: (error: unknown, where: string) => void,
): number {
  const text = env['OTEL_TRACES_SAMPLER_ARG']?.trim();
  if (text === undefined || text === '') return 1;
  const value = Number(text);
  if (value >= 0 && value <= 1) return value;
  report(new Error(`OTEL_TRACES_SAMPLER_ARG: expected a number from 0 to 1, got "${text}"; 1 is used`), 'sampling');
  return 1;
}
