import { createHash } from 'node:crypto';
import { setImmediate as immediate, setTimeout as wait } from 'node:timers/promises';
import { context, trace } from '@opentelemetry/api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  activeContextAttributes,
  CONTEXT_SPAN_NAME,
  runWithContext,
  type TrailContext,
} from '../../../src/telemetry/context.ts';
import { newCorrelationId, traceIdOf } from '../../../src/telemetry/correlation.ts';
import { startForTest, type TestTelemetry } from './support.ts';

const UUID = '9F1C2D3E-4A5B-4C6D-8E7F-001122334455';
const UUID_TRACE = '9f1c2d3e4a5b4c6d8e7f001122334455';
const hashed = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 32);

let telemetry: TestTelemetry;
beforeAll(async () => {
  telemetry = await startForTest();
});
afterAll(() => telemetry.shutdown());

const run = <T>(given: TrailContext, fn: () => T): T => runWithContext(telemetry.tracer, given, fn);
const activeTrace = () => trace.getActiveSpan()?.spanContext().traceId;

describe('the trace id of a correlation id', () => {
  it('is a UUID without its dashes, in lower case', () => {
    expect(traceIdOf(UUID)).toBe(UUID_TRACE);
  });

  it('is the first half of the SHA-256 of any other string', () => {
    for (const id of ['abc-123', '', 'ä', UUID_TRACE, `${UUID} `]) expect(traceIdOf(id)).toBe(hashed(id));
  });

  it('is never all zero: the nil UUID is hashed', () => {
    const nil = '00000000-0000-0000-0000-000000000000';
    expect(traceIdOf(nil)).toBe(hashed(nil));
  });

  it('made where none was given is that of a random UUID, asked for at once or later', () => {
    const ids = Array.from({ length: 1000 }, () => {
      const id = newCorrelationId();
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      expect(traceIdOf(id)).toBe(id.replaceAll('-', ''));
      return id;
    });
    expect(new Set(ids).size).toBe(1000);
    for (const id of ids) expect(traceIdOf(id)).toBe(id.replaceAll('-', ''));
  });
});

describe('seed 002: correlation ids track work through the pipeline', () => {
  it('the first span is a true root whose trace id is the correlation id', async () => {
    run({ correlationId: UUID, accountId: 'ROOT1' }, () => {
      telemetry.tracer.startSpan('work').end();
    });
    const spans = (await telemetry.spans()).filter((span) => span.attributes['trading.account.id'] === 'ROOT1');
    const root = spans.find((span) => span.name === CONTEXT_SPAN_NAME);
    const work = spans.find((span) => span.name === 'work');
    expect(root?.spanContext().traceId).toBe(UUID_TRACE);
    expect(root?.parentSpanContext).toBeUndefined();
    expect(work?.spanContext().traceId).toBe(UUID_TRACE);
    expect(work?.parentSpanContext?.spanId).toBe(root?.spanContext().spanId);
    expect(work?.attributes).toMatchObject({ 'correlation.id': UUID, 'trading.account.id': 'ROOT1' });
  });

  it('seed 002: an id is made where none is given, the same for every step within', () => {
    const seen = run({ accountId: 'ACC123' }, () => [1, 2, 3].map(() => activeContextAttributes()['correlation.id']));
    expect(new Set(seen).size).toBe(1);
    expect(seen[0]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4/);
    expect(run({}, activeTrace)).not.toBe(run({}, activeTrace));
    run({}, () => expect(activeTrace()).toBe(traceIdOf(String(activeContextAttributes()['correlation.id']))));
  });

  it("a caller's span keeps its trace; the correlation id stands on the spans within", async () => {
    const outer = telemetry.tracer.startSpan('caller', { root: true });
    context.with(trace.setSpan(context.active(), outer), () =>
      run({ correlationId: 'abc-123' }, () => {
        expect(activeTrace()).toBe(outer.spanContext().traceId);
        telemetry.tracer.startSpan('within-caller').end();
      }),
    );
    outer.end();
    const within = (await telemetry.spans()).find((span) => span.name === 'within-caller');
    expect(within?.attributes['correlation.id']).toBe('abc-123');
    expect(within?.parentSpanContext?.spanId).toBe(outer.spanContext().spanId);
  });

  it('a root span that is asked for within gets an id of its own', () => {
    run({ correlationId: UUID }, () => {
      const other = telemetry.tracer.startSpan('other', { root: true });
      expect(other.spanContext().traceId).not.toBe(UUID_TRACE);
      other.end();
    });
  });
});

describe('nested contexts', () => {
  it('inherit and override, and end where they end', () => {
    run({ accountId: 'A', strategyId: 'S', metadata: { x: 1, y: 1 } }, () => {
      run({ strategyId: 'T', symbol: 'AAPL', metadata: { y: 2 } }, () => {
        expect(activeContextAttributes()).toMatchObject({
          'trading.account.id': 'A',
          'trading.strategy.id': 'T',
          'trading.symbol': 'AAPL',
          metadata: { x: 1, y: 2 },
        });
      });
      expect(activeContextAttributes()).toMatchObject({ 'trading.strategy.id': 'S', metadata: { x: 1, y: 1 } });
      expect(activeContextAttributes()).not.toHaveProperty('trading.symbol');
    });
    expect(activeContextAttributes()).toEqual({});
  });

  it('stay in the trace of the outer one, but for another correlation id, which begins its own', async () => {
    run({ correlationId: 'session-1' }, () => {
      const outer = trace.getActiveSpan()?.spanContext();
      run({ accountId: 'A' }, () => expect(trace.getActiveSpan()?.spanContext()).toBe(outer));
      run({ correlationId: UUID, accountId: 'LINKED' }, () => expect(activeTrace()).toBe(UUID_TRACE));
      expect(activeTrace()).toBe(traceIdOf('session-1'));
    });
    const inner = (await telemetry.spans()).find((span) => span.attributes['trading.account.id'] === 'LINKED');
    expect(inner?.parentSpanContext).toBeUndefined();
    expect(inner?.links[0]?.context.traceId).toBe(traceIdOf('session-1'));
  });

  it('are frozen and made once', () => {
    run({ accountId: 'A', metadata: { a: 1 } }, () => {
      expect(Object.isFrozen(activeContextAttributes())).toBe(true);
      expect(activeContextAttributes()).toBe(activeContextAttributes());
    });
  });
});

describe('concurrent contexts', () => {
  it('never mix', async () => {
    const errors: string[] = [];
    await Promise.all(
      Array.from({ length: 300 }, (_, index) =>
        run({ accountId: `ACC${index}`, correlationId: `c-${index}` }, async () => {
          for (let step = 0; step < 5; step++) {
            await (step % 2 === 0 ? immediate() : wait(index % 3));
            await run({ symbol: `S${index}-${step}` }, async () => {
              await immediate();
              const seen = activeContextAttributes();
              const right =
                seen['trading.account.id'] === `ACC${index}` &&
                seen['trading.symbol'] === `S${index}-${step}` &&
                activeTrace() === traceIdOf(`c-${index}`);
              if (!right) errors.push(JSON.stringify(seen));
            });
            if (activeContextAttributes()['trading.symbol'] !== undefined) errors.push('symbol leaked');
          }
        }),
      ),
    );
    expect(errors).toEqual([]);
  });
});

describe('what a JavaScript caller gets wrong', () => {
  it('is reported and left out; the rest stands', () => {
    telemetry.told.length = 0;
    const result = run(
      { accountId: 'A', acountId: 'B', ruleId: {}, symbol: 7, metadata: [1], venue: '' } as never,
      () => ({
        ...activeContextAttributes(),
      }),
    );
    expect(result).toMatchObject({ 'trading.account.id': 'A', 'trading.symbol': '7' });
    expect(Object.keys(result).sort()).toEqual(['correlation.id', 'trading.account.id', 'trading.symbol']);
    expect(telemetry.told).toEqual([
      'withContext: withContext.acountId: unknown option (did you mean "accountId"?)',
      'withContext: withContext.ruleId: expected a string, got {}',
      'withContext: withContext.metadata: expected a map, got [1]',
      'withContext: withContext.venue: expected a string, got ""',
    ]);
  });

  it('never throws, whatever is given', () => {
    const hostile = Object.defineProperty({}, 'accountId', {
      enumerable: true,
      get: () => {
        throw new Error('no');
      },
    });
    const revoked = Proxy.revocable({}, {});
    revoked.revoke();
    for (const bad of [null, undefined, 7, 'x', [], hostile, revoked.proxy])
      expect(run(bad as never, () => 42)).toBe(42);
  });

  it('metadata is made plain and masked once', () => {
    run({ metadata: { when: new Date(0), password: 'x', big: 5n } }, () => {
      expect(activeContextAttributes()['metadata']).toEqual({
        when: '1970-01-01T00:00:00.000Z',
        password: '***MASKED***',
        big: '5',
      });
    });
  });
});

describe('what the function returns or throws', () => {
  it('passes through', async () => {
    const error = new Error('broker down');
    const value = { a: 1 };
    expect(run({}, () => value)).toBe(value);
    expect(() =>
      run({}, () => {
        throw error;
      }),
    ).toThrow(error);
    await expect(run({}, () => Promise.reject(error))).rejects.toBe(error);
    await expect(run({}, () => Promise.resolve(value))).resolves.toBe(value);
  });

  it('a thenable that is no promise is not touched: it may begin its work at `then`', () => {
    let started = 0;
    const query = {
      // biome-ignore lint/suspicious/noThenProperty: a query builder has one
      then: () => {
        started++;
      },
    };
    expect(run({}, () => query)).toBe(query);
    expect(started).toBe(0);
  });

  it('a promise with properties of its own is handed on itself', async () => {
    const promise = Object.assign(Promise.resolve(1), { pid: 5 });
    expect(run({}, () => promise)).toBe(promise);
    await promise;
  });

  it('the span of a context ends with the promise and tells of its failure', async () => {
    await run({ accountId: 'FAILS' }, async () => {
      await immediate();
      throw new Error('password=x');
    }).catch(() => {});
    const span = (await telemetry.spans()).find((one) => one.attributes['trading.account.id'] === 'FAILS');
    expect(span?.status).toEqual({ code: 2, message: 'password=***MASKED***' });
  });
});
