/** Processors around all others: whoever throws in one is kept away from trading code and from the processors behind it. */
import type { Span as ApiSpan, SpanOptions, Tracer } from '@opentelemetry/api';
import { context } from '@opentelemetry/api';
import type { LogRecordProcessor } from '@opentelemetry/sdk-logs';
import type { SpanProcessor } from '@opentelemetry/sdk-trace';
import { activeSpanAttributes } from './context.ts';
import type { Redactor } from './redaction.ts';

type Report = (error: unknown, where: string) => void;

const nameOf = (part: object) => part.constructor?.name || 'processor';

async function quietly(work: () => Promise<void> | undefined, where: string, report: Report): Promise<void> {
  try {
    await work();
  } catch (error) {
    report(error, where);
  }
}

/** A log record processor whose throws and rejections go to `report`. */
export function guardLogProcessor(processor: LogRecordProcessor, report: Report): LogRecordProcessor {
  const name = nameOf(processor);
  const guarded: LogRecordProcessor = {
    onEmit(record, active) {
      try {
        processor.onEmit(record, active);
      } catch (error) {
        report(error, `${name}.onEmit`);
      }
    },
    forceFlush: (options) => quietly(() => processor.forceFlush(options), `${name}.forceFlush`, report),
    shutdown: () => quietly(() => processor.shutdown(), `${name}.shutdown`, report),
  };
  if (typeof processor.enabled !== 'function') return guarded;
  return {
    ...guarded,
    enabled(options) {
      try {
        return processor.enabled?.(options) ?? true;
      } catch (error) {
        report(error, `${name}.enabled`);
        return true;
      }
    },
  };
}

/** A span processor whose throws and rejections go to `report`. */
export function guardSpanProcessor(processor: SpanProcessor, report: Report): SpanProcessor {
  const name = nameOf(processor);
  return {
    onStart(span, parentContext) {
      try {
        processor.onStart(span, parentContext);
      } catch (error) {
        report(error, `${name}.onStart`);
      }
    },
    onEnding(span) {
      try {
        processor.onEnding?.(span);
      } catch (error) {
        report(error, `${name}.onEnding`);
      }
    },
    onEnd(span) {
      try {
        processor.onEnd(span);
      } catch (error) {
        report(error, `${name}.onEnd`);
      }
    },
    forceFlush: () => quietly(() => processor.forceFlush(), `${name}.forceFlush`, report),
    shutdown: () => quietly(() => processor.shutdown(), `${name}.shutdown`, report),
  };
}

/** Puts the context's attributes on every span of our own provider, whoever starts it. */
export function createContextSpanProcessor(): SpanProcessor {
  return {
    onStart(span, parentContext) {
      const attributes = activeSpanAttributes(parentContext);
      if (attributes === undefined) return;
      // What the span's maker set stands.
      for (const key in attributes) if (span.attributes[key] === undefined) span.setAttribute(key, attributes[key]);
    },
    onEnd: () => {},
    forceFlush: async () => {},
    shutdown: async () => {},
  };
}

/**
 * A foreign provider's tracer for our own spans: there we have no processor, so the context's attributes and the masking of
 * the first attributes happen where a span starts.
 */
export function createAttachedTracer(tracer: Tracer, redactor: Redactor): Tracer {
  function prepared(options: SpanOptions | undefined, active = context.active()): SpanOptions {
    const masked: Record<string, unknown> = { ...activeSpanAttributes(active) };
    for (const [key, value] of Object.entries(options?.attributes ?? {})) masked[key] = redactor.attribute(key, value);
    return { ...options, attributes: masked as NonNullable<SpanOptions['attributes']> };
  }
  return {
    startSpan: (name, options, active) => tracer.startSpan(redactor.text(name), prepared(options, active), active),
    startActiveSpan: ((name: string, ...rest: unknown[]) => {
      const fn = rest.at(-1) as (span: ApiSpan) => unknown;
      const options = rest.length > 1 ? (rest[0] as SpanOptions) : undefined;
      const active = rest.length > 2 ? (rest[1] as ReturnType<typeof context.active>) : context.active();
      return tracer.startActiveSpan(redactor.text(name), prepared(options, active), active, fn);
    }) as Tracer['startActiveSpan'],
  };
}
