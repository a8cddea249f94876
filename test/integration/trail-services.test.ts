import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { readTrailStatus } from '../../src/analysis/trail-status.ts';
import { plainAttributes } from '../../src/audit/record/otlp.ts';
import { verifyTrail } from '../../src/audit/verify/verify.ts';
import { startRiskTrail } from '../../src/index.ts';
import { type Receiver, startReceiver } from '../support/otlp-receiver.ts';
import { readBack, startTestTrail, temporaryDirectory } from '../support/trail.ts';

const ORDER = {
  'trading.symbol': 'AAPL',
  'trading.side': 'buy',
  'trading.quantity': 1,
  'trading.order.id': 'o',
} as const;

let receiver: Receiver | undefined;
afterEach(async () => {
  vi.unstubAllEnvs();
  await receiver?.close();
  receiver = undefined;
});

async function shipTo(): Promise<Receiver> {
  receiver = await startReceiver();
  vi.stubEnv('OTEL_EXPORTER_OTLP_LOGS_ENDPOINT', `${receiver.url}/v1/logs`);
  vi.stubEnv('OTEL_METRICS_EXPORTER', 'none');
  return receiver;
}

describe('a trail with a receiver', () => {
  it('ships every audit record once, in order, and tells how far it is', async () => {
    const { accepted } = await shipTo();
    const trail = await startTestTrail();
    for (let i = 0; i < 500; i++) trail.emit('order.placed', ORDER);
    await trail.flush();
    await vi.waitFor(() => expect(trail.health().shipping?.backlogRecords).toBe(0), 30_000);
    expect(trail.health()).toMatchObject({ status: 'healthy', shipping: { rejectedRecords: 0, failing: false } });
    await trail.close();
    const records = await readBack(trail);
    const status = readTrailStatus(trail.dataDir, Date.now());
    expect(status.streams[0]).toMatchObject({ status: 'closed', running: false, records: records.length });
    const shipped = status.streams[0]!.shipped!.sequence;
    // Health goes past the journal and has no number.
    const numbers = accepted.filter((number) => number >= 0);
    expect(numbers.slice(0, shipped)).toEqual(Array.from({ length: shipped }, (_, i) => i));
    expect(shipped).toBeGreaterThan(500);
  });

  it('sends what was left at the end with the next start', async () => {
    const { accepted, reply } = await shipTo();
    receiver!.reply = () => ({ status: 503 });
    const dataDir = temporaryDirectory();
    const first = await startRiskTrail({ serviceName: 'test', dataDir });
    first.emit('order.placed', ORDER);
    await first.close();
    expect(accepted).toEqual([]);
    expect(readTrailStatus(dataDir, Date.now()).streams[0]?.backlog?.records).toBeGreaterThan(3);
    receiver!.reply = reply;
    const second = await startRiskTrail({ serviceName: 'test', dataDir });
    await vi.waitFor(() => expect(receiver!.acceptedByStream.get(first.stream)).toBeDefined(), 30_000);
    await vi.waitFor(() => expect(readTrailStatus(dataDir, Date.now()).streams[0]?.backlog?.records).toBe(0), 30_000);
    await second.close();
  });

  it('tells its health past the journal', async () => {
    await shipTo();
    const trail = await startTestTrail({ auditHealthIntervalMs: 20 });
    const health = () =>
      receiver!.requests.flatMap(({ records }) => records).filter(({ eventName }) => eventName === 'audit.health');
    await vi.waitFor(() => expect(health().length).toBeGreaterThan(1), 30_000);
    expect(plainAttributes(health().at(-1)!.attributes)).toMatchObject({
      'audit.health.journal_mode': 'direct',
      'audit.health.lost_records': 0,
    });
    await trail.close();
    expect((await readBack(trail)).map(({ event }) => event)).not.toContain('audit.health');
  });

  it('records what the receiver refuses for good', async () => {
    await shipTo();
    const { reply } = receiver!;
    receiver!.reply = (request, index) =>
      request.records.some((record) => record.eventName === 'order.rejected')
        ? { status: 400, body: 'no such thing' }
        : reply(request, index);
    const trail = await startTestTrail();
    trail.emit('order.placed', ORDER);
    const refused = trail.emit('order.rejected', { ...ORDER, 'risk.reason': 'x' } as never);
    await trail.flush();
    await vi.waitFor(() => expect(trail.health().shipping?.rejectedRecords).toBe(1), 30_000);
    await trail.close();
    const told = (await readBack(trail)).find(({ event }) => event === 'audit.record_rejected');
    expect(told).toMatchObject({ 'audit.rejected.record_id': refused });
    expect(readTrailStatus(trail.dataDir, Date.now()).concerns.join()).toContain('refused by the receiver');
  });

  it.each([
    ['shipping: off', { shipping: 'off' as const }, {}],
    ['OTEL_SDK_DISABLED', {}, { OTEL_SDK_DISABLED: 'true' }],
  ])('sends nothing under %s', async (_, options, env) => {
    await shipTo();
    for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
    const trail = await startTestTrail(options);
    trail.emit('order.placed', ORDER);
    await trail.close();
    expect(trail.health().shipping).toBeUndefined();
    expect(receiver!.requests).toEqual([]);
  });

  it('refuses a wrong address before anything is started', async () => {
    vi.stubEnv('OTEL_EXPORTER_OTLP_LOGS_ENDPOINT', 'collector');
    const dataDir = temporaryDirectory();
    await expect(startRiskTrail({ serviceName: 'test', dataDir })).rejects.toMatchObject({ code: 'OPTION_INVALID' });
    expect(readdirSync(dataDir)).toEqual([]);
  });
});

describe('a trail with anchors', () => {
  it('hands each checkpoint to them, and is verified against them', async () => {
    const directory = temporaryDirectory();
    const file = join(directory, 'notes.txt');
    const trail = await startTestTrail({ anchors: [`file:${file}`, `dir:${join(directory, 'copies')}`] });
    trail.emit('order.placed', ORDER);
    await trail.flush();
    await trail.close();
    expect(trail.health().anchors).toMatchObject([
      { pending: 0, failures: 0 },
      { pending: 0, failures: 0 },
    ]);
    expect(readFileSync(file, 'utf8')).toContain(trail.stream);
    const report = await verifyTrail({ paths: [trail.dataDir], anchors: [file] });
    expect(report.exitStatus).toBe(0);
  });

  it('refuses a wrong one before anything is started', async () => {
    const dataDir = temporaryDirectory();
    await expect(startRiskTrail({ serviceName: 'test', dataDir, anchors: ['ftp://x'] })).rejects.toMatchObject({
      code: 'OPTION_INVALID',
    });
    expect(readdirSync(dataDir)).toEqual([]);
  });
});

describe('a trail that is kept', () => {
  it('seals full segments while it runs, and stays whole', async () => {
    const trail = await startTestTrail({ segmentMaxBytes: 20_000, checkpointRecords: 50 });
    for (let i = 0; i < 200; i++) trail.emit('order.placed', ORDER);
    await trail.flush();
    await vi.waitFor(() => expect(trail.health().sealing?.sealedSegments).toBeGreaterThan(5), 30_000);
    await trail.close();
    const report = await verifyTrail({ paths: [trail.dataDir], strict: true });
    expect(report.exitStatus).toBe(0);
    expect(readTrailStatus(trail.dataDir, Date.now()).streams[0]?.segments.sealed).toBeGreaterThan(5);
  });

  it('gives metrics, and says of itself what status reads', async () => {
    const trail = await startTestTrail({ auditHealthIntervalMs: 50 });
    trail.emit('order.placed', ORDER);
    await trail.flush();
    await vi.waitFor(() => {
      const [stream] = readTrailStatus(trail.dataDir, Date.now()).streams;
      expect(stream).toMatchObject({ status: 'open', running: true, backlog: null, shipped: null });
      expect(stream?.health).toMatchObject({ status: 'healthy' });
    }, 30_000);
    await trail.close();
    expect(readTrailStatus(trail.dataDir, Date.now()).concerns).toEqual([]);
  });
});
