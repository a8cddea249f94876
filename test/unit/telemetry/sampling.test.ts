import { context, ROOT_CONTEXT, TraceFlags, trace } from '@opentelemetry/api';
import { afterEach, describe, expect, it } from 'vitest';
import { isSampled, markAudit } from '../../../src/telemetry/sampling.ts';
import { startForTest, type TestTelemetry } from './support.ts';

let telemetry: TestTelemetry;
afterEach(() => telemetry.shutdown());

/** A parent with one child; `audit` puts an audit event into the child. */
function work(audit: boolean, name: string): boolean | undefined {
  const { tracer } = telemetry;
  return tracer.startActiveSpan(`${name} parent`, (parent) => {
    const kept = tracer.startActiveSpan(`${name} child`, (child) => {
      const result = audit ? markAudit(context.active()) : undefined;
      tracer.startSpan(`${name} grandchild`).end();
      child.end();
      return result;
    });
    parent.end();
    return kept;
  });
}

describe('spans that hold an audit event', () => {
  it('are exported with what is around them though the sampler says no', async () => {
    telemetry = await startForTest({ env: { OTEL_TRACES_SAMPLER: 'parentbased_always_off' } });
    expect(work(true, 'audit')).toBe(true);
    work(false, 'plain');
    const names = (await telemetry.spans()).map((span) => span.name).sort();
    expect(names).toEqual(['audit child', 'audit grandchild', 'audit parent']);
    expect((await telemetry.spans()).every((span) => span.spanContext().traceFlags === TraceFlags.SAMPLED)).toBe(true);
  });

  it('an unsampled inbound parent does not lose them either', async () => {
    telemetry = await startForTest();
    const remote = trace.setSpanContext(ROOT_CONTEXT, {
      traceId: '0af7651916cd43dd8448eb211c80319c',
      spanId: 'b7ad6b7169203331',
      traceFlags: TraceFlags.NONE,
      isRemote: true,
    });
    context.with(remote, () => {
      expect(isSampled(context.active())).toBe(false);
      work(true, 'inbound');
      work(false, 'dropped');
    });
    const spans = await telemetry.spans();
    expect(spans.map((span) => span.name).sort()).toEqual(['inbound child', 'inbound grandchild', 'inbound parent']);
    expect(spans[0]?.spanContext().traceId).toBe('0af7651916cd43dd8448eb211c80319c');
  });

  it('a ratio of 1 and unknown samplers keep everything, and what is wrong is told', async () => {
    telemetry = await startForTest({ env: { OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '7' } });
    work(false, 'plain');
    expect(await telemetry.spans()).toHaveLength(3);
    expect(telemetry.told).toEqual([
      'sampling: OTEL_TRACES_SAMPLER_ARG: expected a number from 0 to 1, got "7"; 1 is used',
    ]);
  });

  it('a foreign span that was dropped stays so, and is told', async () => {
    telemetry = await startForTest();
    const dropped = trace.wrapSpanContext({ traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), traceFlags: 0 });
    const active = trace.setSpan(ROOT_CONTEXT, dropped);
    expect(markAudit(active)).toBe(false);
    expect(isSampled(active)).toBe(false);
    expect(dropped.spanContext().traceFlags).toBe(0);
  });

  it('without a span there is nothing to lose', async () => {
    telemetry = await startForTest();
    expect(markAudit(ROOT_CONTEXT)).toBe(true);
    expect(isSampled(ROOT_CONTEXT)).toBe(true);
  });
});
