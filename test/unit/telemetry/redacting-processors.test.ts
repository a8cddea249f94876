import type { ReadWriteLogRecord } from '@opentelemetry/sdk-logs';
import { type ReadableSpan, type Span, TracerProvider } from '@opentelemetry/sdk-trace';
import { describe, expect, it } from 'vitest';
import { RedactingLogRecordProcessor, RedactingSpanProcessor } from '../../../src/telemetry/redacting-processors.ts';
import { createRedactor } from '../../../src/telemetry/redaction.ts';

const M = '***MASKED***';

/** What a span processor gets at the end of a span with secrets in it. */
function endedSpan(processor: RedactingSpanProcessor): void {
  const provider = new TracerProvider({ spanProcessors: [processor] });
  const span = provider
    .getTracer('lib')
    .startSpan('GET', { attributes: { 'url.full': 'https://x.com/?signature=ab' } });
  span.addEvent('sent', { authorization: 'Bearer abc' });
  span.end();
}

describe('masking of spans', () => {
  it('happens in place where the SDK tells of the ending, before the next processor', () => {
    const ended: ReadableSpan[] = [];
    const next = { onStart: () => {}, onEnd: (span: ReadableSpan) => void ended.push(span), ...NOTHING };
    endedSpan(new RedactingSpanProcessor(createRedactor(), next));
    expect(ended[0]?.attributes['url.full']).toBe(`https://x.com/?signature=${M}`);
    expect(ended[0]?.events[0]?.attributes).toEqual({ authorization: M });
  });

  it('gives a masked view to the next processor where an older SDK does not', () => {
    const ended: ReadableSpan[] = [];
    const originals: ReadableSpan[] = [];
    class OldSdkProcessor extends RedactingSpanProcessor {
      override onEnding(_span: Span): void {}
      override onEnd(span: ReadableSpan): void {
        originals.push(span);
        super.onEnd(span);
      }
    }
    const next = { onStart: () => {}, onEnd: (span: ReadableSpan) => void ended.push(span), ...NOTHING };
    endedSpan(new OldSdkProcessor(createRedactor(), next));
    expect(ended[0]?.attributes['url.full']).toBe(`https://x.com/?signature=${M}`);
    expect(ended[0]?.events[0]?.attributes).toEqual({ authorization: M });
    expect(ended[0]?.spanContext()).toBe(originals[0]?.spanContext());
    expect(ended[0]?.duration).toBe(originals[0]?.duration);
    expect(originals[0]?.attributes['url.full']).toBe('https://x.com/?signature=ab');
  });
});

const NOTHING = { forceFlush: async () => {}, shutdown: async () => {} };

describe('masking of log records', () => {
  const record = (body: unknown, attributes: Record<string, unknown>) => {
    const made = {
      body,
      attributes,
      setAttribute(name: string, value: unknown) {
        attributes[name] = value;
      },
      setBody(value: unknown) {
        made.body = value;
      },
    };
    return made as unknown as ReadWriteLogRecord;
  };

  it('covers attributes and bodies of any form', () => {
    const processor = new RedactingLogRecordProcessor(createRedactor());
    const one = record({ user: 'bob', password: 'x' }, { 'db.statement': "password = 'x'", ids: ['4111111111111111'] });
    processor.onEmit(one);
    expect(one.body).toEqual({ user: 'bob', password: M });
    expect(one.attributes).toEqual({ 'db.statement': `password = '${M}'`, ids: ['4111111111111111'] });
  });

  it('leaves the records that it is not to touch', () => {
    const processor = new RedactingLogRecordProcessor(createRedactor(), () => false);
    const one = record('password=x', {});
    processor.onEmit(one);
    expect(one.body).toBe('password=x');
  });
});
