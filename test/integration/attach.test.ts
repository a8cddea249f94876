import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { readBack, readTrail, startTestTrail, temporaryDirectory } from '../support/trail.ts';
import { verifyDirectory } from '../support/verify.ts';

const CHILD = fileURLToPath(new URL('../support/attach-trail-child.ts', import.meta.url));
const TRACE = '9f1c2d3e4a5b4c6d8e7f001122334455';
const INBOUND = '0af7651916cd43dd8448eb211c80319c';

async function attach(sampling: 'keeping' | 'dropping') {
  const dataDir = temporaryDirectory();
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [CHILD, dataDir, sampling]);
  expect(stderr).toBe('');
  expect(await verifyDirectory(dataDir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  const records = await readTrail(dataDir);
  return { seen: JSON.parse(stdout), find: (event: string) => records.find((record) => record.event === event) };
}

describe('startRiskTrail({ attach: true }) beside an SDK that runs', () => {
  it('keeps to the traces that are there and brings correlation ids into them; the SDK goes on as before', async () => {
    const { seen, find } = await attach('keeping');
    expect(seen).toMatchObject({ refused: 'OPTION_INVALID', failures: { count: 0 }, sameLogs: true, legacy: false });
    // The first span of a correlation: the id is the trace id.
    expect(find('order.placed')).toMatchObject({ trace_id: TRACE, 'correlation.id': expect.any(String) });
    expect(find('order.placed')).not.toHaveProperty('sampled');
    expect(find('risk.portfolio_limit.check')?.trace_id).toBe(TRACE);
    // A span of the caller's: its trace is kept, the correlation id stands beside.
    const { traceId, spanId } = seen.caller;
    expect(find('order.filled')).toMatchObject({ trace_id: traceId, span_id: spanId });
    expect(find('order.cancelled')).toMatchObject({
      trace_id: traceId,
      span_id: spanId,
      'correlation.id': 'request-7',
    });
    expect(find('trade.entry')).toMatchObject({ trace_id: INBOUND, span_id: 'b7ad6b7169203331' });
    expect(seen.spans).toEqual([
      { name: 'risk.check', traceId: TRACE },
      { name: 'trail.context', traceId: TRACE },
      { name: 'handle request', traceId },
      { name: 'after close', traceId: expect.any(String) },
    ]);
    expect(seen.lines).toEqual(['a line of theirs', 'a line after close']);
  });

  it('under a sampler that drops, events keep their trace id and say so', async () => {
    const { seen, find } = await attach('dropping');
    expect(seen.spans).toEqual([]);
    expect(find('order.placed')).toMatchObject({ trace_id: TRACE, sampled: false });
    expect(find('risk.portfolio_limit.check')).toMatchObject({ trace_id: TRACE, sampled: false });
    expect(find('order.filled')).toMatchObject({ trace_id: seen.caller.traceId, sampled: false });
    expect(find('system.stop')).not.toHaveProperty('sampled');
    expect(seen.failures.count).toBe(0);
  });
});

describe('the global of the old package @opentelemetry/api-logs', () => {
  /** As a library built on it finds its logger: `logs.getLogger('library', '1.0')` of that package. */
  // biome-ignore lint/suspicious/noExplicitAny: the old package's own types are not installed
  const oldGlobal = () => (globalThis as any)[Symbol.for('io.opentelemetry.js.api.logs')];

  it('records emitted through it reach the trail, masked, and the global is given back at close', async () => {
    expect(oldGlobal()).toBeUndefined();
    const trail = await startTestTrail();
    const logger = oldGlobal()(1).getLogger('library', '1.0');
    logger.emit({
      eventName: 'order.rejected',
      severityNumber: 17,
      attributes: {
        'trading.symbol': 'SPX',
        'trading.side': 'buy',
        'trading.quantity': 1,
        'error.message': 'refused: api_key=abcdef0123456789abcdef0123456789',
      },
    });
    logger.emit({ body: 'a plain line' });
    const health = trail.health();
    const records = await readBack(trail);
    const rejected = records.find((record) => record.event === 'order.rejected');
    expect(rejected).toMatchObject({ 'trading.symbol': 'SPX', stream: trail.stream });
    expect(rejected).not.toHaveProperty('audit.missing');
    expect(JSON.stringify(rejected)).not.toContain('abcdef0123456789');
    // A line that is no event of the catalogue is telemetry.
    expect(records.some((record) => record.body === 'a plain line')).toBe(false);
    expect(health.emitted.telemetry).toBeGreaterThanOrEqual(1);
    expect(oldGlobal()).toBeUndefined();
  });

  it('another version of its interface gets a logger that does nothing', async () => {
    await startTestTrail();
    expect(() => oldGlobal()(99).getLogger('library').emit({ body: 'x' })).not.toThrow();
  });
});
