import { context, logs, trace } from '@opentelemetry/api';
import { describe, expect, it } from 'vitest';
import { openTrail } from '../../src/analysis/index.ts';
import { verifyTrail } from '../../src/audit/verify/verify.ts';
import { STREAM_EVENTS } from '../../src/catalog/events.ts';
import { createManualClock, defineEvents, getRiskTrail, isRiskTrailError, startRiskTrail } from '../../src/index.ts';
import { readBack, startTestTrail, temporaryDirectory } from '../support/trail.ts';

// biome-ignore lint/suspicious/noExplicitAny: what a JavaScript caller can do
type Untyped = any;

describe('emit', () => {
  it('records an event with its severity, body, attributes and the context it happened in', async () => {
    const trail = await startTestTrail({ clock: createManualClock(Date.UTC(2024, 0, 2, 14, 30, 0, 123)) });
    const recordId = trail.withContext(
      { accountId: 'ACC123', correlationId: 'a1b2c3d4-e5f6-4890-abcd-ef1234567890' },
      () =>
        trail.emit('trade.entry', {
          'trading.symbol': 'AAPL',
          'trading.side': 'buy',
          'trading.quantity': '100.00',
          'trading.price': 150.25,
          metadata: { rsi: 65.2, nested: { macd: [1, 2] } },
        }),
    );
    const record = (await readBack(trail)).find((one) => one.event === 'trade.entry');
    expect(record).toMatchObject({
      timestamp: '2024-01-02T14:30:00.123000000Z',
      severity: 'INFO',
      category: ['trade'],
      body: 'Entry: buy 100.00 AAPL at 150.25',
      record_id: recordId,
      trace_id: 'a1b2c3d4e5f64890abcdef1234567890',
      'trading.quantity': '100.00',
      'trading.account.id': 'ACC123',
      'correlation.id': 'a1b2c3d4-e5f6-4890-abcd-ef1234567890',
      metadata: { rsi: 65.2, nested: { macd: [1, 2] } },
    });
    expect(record?.span_id).toMatch(/^[0-9a-f]{16}$/);
  });

  it('lets nobody write what only the journal may say of its stream: the trail still verifies', async () => {
    const trail = await startTestTrail();
    const untyped = trail as Untyped;
    for (const name of STREAM_EVENTS) {
      expect(untyped.emit(name, { 'audit.checkpoint': 'x', 'audit.closed.reason': 'x' })).toBeTypeOf('string');
      logs.getLogger('a library').emit({ eventName: name, body: 'x' });
    }
    const records = await readBack(trail);
    expect(records.map(({ event }) => event)).toEqual(
      expect.arrayContaining(STREAM_EVENTS.map((name) => `foreign.${name}`)),
    );
    expect(records.filter(({ event }) => event === 'audit.stream_closed')).toHaveLength(1);
    const report = await verifyTrail({ paths: [trail.dataDir] });
    expect(report.streams.flatMap(({ findings }) => findings)).toEqual([]);
  });

  it('keeps the record whatever stands in its options', async () => {
    const trail = await startTestTrail({ clock: createManualClock(Date.UTC(2024, 0, 2)) });
    const untyped = trail as Untyped;
    const wrong = [
      ...[{ timeMs: Number.NaN }, { timeMs: -5 }, { timeMs: 1e20 }, { context: 5 }, { severity: 'LOUD' }, { body: {} }],
      ...[null, 5, { body: Symbol('x') }],
    ];
    const ids = wrong.map((options) => untyped.emit('system.market_status', {}, options));
    expect(ids.filter((id) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id))).toHaveLength(wrong.length);
    expect(trail.health().failures.byWhere['emit options']).toBe(7);
    const records = (await readBack(trail)).filter(({ event }) => event === 'system.market_status');
    expect(new Set(records.map(({ timestamp, severity }) => `${timestamp} ${severity}`)).size).toBe(1);
  });

  it('records what a JavaScript caller gets wrong, names it, and never throws', async () => {
    const trail = await startTestTrail();
    const untyped = trail as Untyped;
    untyped.emit('order.placed', {
      'trading.symbol': 'AAPL',
      'trading.side': 'long',
      'trading.quantity': Number.NaN,
      'trading.price': 12n,
      'trading.prize': 1,
      metadata: { when: new Date(0), big: 2n, gone: undefined },
    });
    untyped.emit('order.filled', { 'trading.symbol': 'AAPL' });
    untyped.emit('order.palced', { note: 'x' });
    untyped.emit('order.placed');
    untyped.emit('order.placed', null);
    untyped.emit(undefined, {});
    untyped.emit('order.placed', {
      'trading.symbol': 'AAPL',
      'trading.side': 'buy',
      get 'trading.price'() {
        throw new Error('getter');
      },
    });
    const circular: Record<string, unknown> = {};
    circular['self'] = circular;
    untyped.emit('order.placed', { 'trading.symbol': 'AAPL', 'trading.side': 'buy', metadata: circular });
    const counts = trail.health().emitted;
    const records = await readBack(trail);
    const [first, filled, palced] = records.filter((one) => one.event?.startsWith('order.'));
    expect(first).toMatchObject({
      'trading.side': 'long',
      'trading.quantity': 'NaN',
      'trading.price': '12',
      'trading.prize': 1,
      metadata: { when: '1970-01-01T00:00:00.000Z', big: '2' },
      'audit.invalid': ['trading.side', 'trading.prize'],
    });
    expect(new Set(first?.['audit.coerced'] as string[])).toEqual(
      new Set(['trading.quantity', 'trading.price', 'metadata.when', 'metadata.big', 'metadata.gone']),
    );
    expect(filled?.['audit.missing']).toEqual(['trading.side', 'trading.quantity', 'trading.price']);
    expect(palced).toMatchObject({ event: 'order.palced', note: 'x', 'audit.invalid': ['event.name', 'note'] });
    expect(records.filter((one) => one.event === 'order.placed')).toHaveLength(5);
    expect(counts).toMatchObject({ failed: 0 });
    expect(counts.invalid).toBeGreaterThanOrEqual(2);
    expect(counts.missing).toBeGreaterThanOrEqual(3);
  });

  it('masks the name of an event that nobody knows', async () => {
    const trail = await startTestTrail();
    (trail as Untyped).emit('login password=hunter2 4111 1111 1111 1111', {});
    expect(JSON.stringify(await readBack(trail))).not.toMatch(/hunter2|4111 1111/);
  });

  it('never lets a caller set what the trail itself says of a record', async () => {
    const trail = await startTestTrail();
    (trail as Untyped).emit('system.error', {
      'audit.sequence.number': 7,
      'audit.stream': 'forged',
      'audit.record.id': 'mine',
      'audit.integrity.value': 'x',
    });
    const record = (await readBack(trail)).find((one) => one.event === 'system.error');
    expect(record?.stream).toBe(trail.stream);
    expect(record?.record_id).not.toBe('mine');
    expect(record?.sequence).toBe(2);
  });

  it('leaves to the lines of other libraries nothing that a receiver would take for a record of the trail', async () => {
    const seen: Record<string, unknown>[] = [];
    const processor = {
      onEmit: ({ body, attributes }: { body?: unknown; attributes: object }) => void seen.push({ body, ...attributes }),
      forceFlush: async () => {},
      shutdown: async () => {},
    };
    await startTestTrail({ logProcessors: [processor] });
    logs.getLogger('a library').emit({
      body: 'a line',
      attributes: {
        'audit.stream': 'forged',
        'audit.sequence.number': 7,
        'audit.integrity.value': 'x',
        'audit.record.id': 'mine',
        'audit.note': 'kept',
        kept: 1,
      },
    });
    expect(seen.filter(({ body }) => body === 'a line')).toEqual([{ body: 'a line', 'audit.note': 'kept', kept: 1 }]);
  });

  it('records the events of a service’s own family with the same checks', async () => {
    const events = defineEvents({
      attributes: { 'acme.score': { type: 'number', brief: 'Score.' } },
      events: {
        'acme.rebalanced': { brief: 'Rebalanced', required: ['acme.score'], category: ['strategy'], severity: 'WARN' },
        'acme.hedged': { brief: 'Hedged', category: ['risk', 'position'], component: 'hedger' },
      },
    });
    const trail = await startTestTrail({ events });
    trail.emit('acme.rebalanced', { 'acme.score': 0.75 });
    (trail as Untyped).emit('acme.rebalanced', { 'acme.score': 'high' });
    trail.emit('acme.hedged', {});
    const records = await readBack(trail);
    const [good, bad] = records.filter((one) => one.event === 'acme.rebalanced');
    // Readers don't know the family: the record says what it is.
    const hedged = records.find((one) => one.event === 'acme.hedged');
    expect(hedged).toMatchObject({ category: ['risk', 'position'], component: 'hedger' });
    await using analysis = openTrail(trail.dataDir);
    const found = await analysis.sql("SELECT event, component FROM events WHERE list_contains(category, 'position')");
    expect(found.rows).toEqual([['acme.hedged', 'hedger']]);
    expect(good).toMatchObject({ severity: 'WARN', body: 'Rebalanced', 'acme.score': 0.75, category: ['strategy'] });
    expect(good?.['audit.invalid']).toBeUndefined();
    expect(bad).toMatchObject({ 'acme.score': 'high', 'audit.invalid': ['acme.score'] });
  });

  it('refuses a family with a taken name, a malformed one, or an attribute that nobody defined', () => {
    const define = defineEvents as Untyped;
    expect(() => define({ events: { 'order.placed': { brief: 'x' } } })).toThrow(/order\.placed.*not taken/);
    expect(() => define({ events: { Rebalanced: { brief: 'x' } } })).toThrow(/snake_case/);
    expect(() => define({ events: { 'acme.x': { brief: 'x', required: ['trading.symbl'] } } })).toThrow(
      /trading\.symbol/,
    );
  });

  it('masks secrets before anything is hashed or written', async () => {
    const trail = await startTestTrail();
    trail.emit('api.error', {
      operation: 'place_order',
      'error.message': 'GET /order?symbol=X&signature=abcdef0123456789abcdef failed for trader@example.com',
      metadata: { api_key: 'sk-live-123', order_id: '4111111111111111', note: 'card 4111 1111 1111 1111' },
    });
    const record = (await readBack(trail)).find((one) => one.event === 'api.error');
    const text = JSON.stringify(record);
    expect(text).not.toContain('abcdef0123456789');
    expect(text).not.toContain('trader@example.com');
    expect(text).not.toContain('sk-live-123');
    expect(text).not.toContain('4111 1111 1111 1111');
    // An id that happens to look like a card is an id.
    expect(record?.['metadata']).toMatchObject({ order_id: '4111111111111111' });
  });

  it('takes events that others emit through OpenTelemetry, masked, in the trace they were in', async () => {
    const trail = await startTestTrail();
    const tracer = trace.getTracer('library');
    tracer.startActiveSpan('work', (span) => {
      logs.getLogger('library').emit({
        eventName: 'order.rejected',
        severityNumber: 17,
        severityText: 'ERROR',
        body: 'refused, token=abc123secret',
        attributes: { 'trading.symbol': 'AAPL', 'error.message': 'password=hunter2' },
        context: context.active(),
      });
      span.end();
    });
    logs.getLogger('library').emit({ body: 'a plain line is telemetry' });
    const records = await readBack(trail);
    const adopted = records.find((one) => one.event === 'order.rejected');
    expect(adopted).toMatchObject({ severity: 'ERROR', 'trading.symbol': 'AAPL' });
    expect(adopted?.trace_id).toMatch(/^[0-9a-f]{32}$/);
    expect(JSON.stringify(adopted)).not.toMatch(/hunter2|abc123secret/);
    expect(records.some((one) => one.body.startsWith('a plain line'))).toBe(false);
  });
});

describe('a trail of a thread', () => {
  it('is found by getRiskTrail while it runs, and only then', async () => {
    expect(() => getRiskTrail()).toThrow(expect.objectContaining({ code: 'NOT_STARTED' }));
    const trail = await startTestTrail();
    expect(getRiskTrail()).toBe(trail);
    await expect(startRiskTrail({ serviceName: 'second', dataDir: temporaryDirectory() })).rejects.toSatisfy((error) =>
      isRiskTrailError(error, 'ALREADY_STARTED'),
    );
    await trail.close();
    expect(() => getRiskTrail()).toThrow(expect.objectContaining({ code: 'NOT_STARTED' }));
  });

  it('starts and stops with its own events, and closes once however often it is told to', async () => {
    const trail = await startTestTrail({ serviceVersion: '1.2.3' });
    await Promise.all([trail.close('shutdown'), trail.close('again')]);
    // Too late to be recorded: there is no record to name.
    expect(trail.emit('system.error', {})).toBeUndefined();
    const records = await readBack(trail);
    expect(records.map((one) => one.event)).toEqual([
      'audit.stream_opened',
      'system.start',
      'risk.trading_state_snapshot',
      'system.stop',
      ...records.slice(4).map((one) => one.event),
    ]);
    expect(records.find((one) => one.event === 'system.start')).toMatchObject({
      'service.version': '1.2.3',
      'system.config': { serviceName: 'test', checkpointRecords: 1000 },
    });
    expect(records.find((one) => one.event === 'audit.stream_closed')?.['audit.closed.reason']).toBe('shutdown');
    expect(records.slice(4).every((one) => one.event?.startsWith('audit.'))).toBe(true);
  });

  it('makes decisions and records nothing when disabled', async () => {
    const dataDir = temporaryDirectory();
    const trail = await startTestTrail({ disabled: true, dataDir: `${dataDir}/none` });
    const limits = trail.portfolioLimits({ orderQuantity: { max: 10 } });
    const order = { symbol: 'AAPL', side: 'buy', quantity: 11, price: 10 } as const;
    expect(limits.checkEntry({ equity: 1000, positions: [] }, order).allowed).toBe(false);
    expect(trail.health().status).toBe('disabled');
    await trail.close();
    const { existsSync } = await import('node:fs');
    expect(existsSync(`${dataDir}/none`)).toBe(false);
  });

  it('names the field, the expectation and the value of a wrong setting', async () => {
    await expect(startRiskTrail({ serviceName: 'x', checkpointRecords: 0 })).rejects.toThrow(
      /checkpointRecords.*expected an integer ≥ 1, got 0/,
    );
    await expect(startRiskTrail({ serviceName: 'x', checkpointRecord: 5 } as Untyped)).rejects.toThrow(
      /checkpointRecord.*did you mean "checkpointRecords"/,
    );
  });
});
