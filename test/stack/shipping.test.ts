import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseVerifierKeys } from '../../src/audit/proof/note.ts';
import { reconcileTrail } from '../../src/audit/reconcile/reconcile.ts';
import { createSystemClock } from '../../src/core/clock.ts';
import { findStackBinary } from '../support/stack-binaries.ts';
import { type Collector, startCollector } from '../support/stack-collector.ts';
import { GARBAGE, HALF_ANSWER, type ProxyMode, StackProxy } from '../support/stack-proxy.ts';
import { freePorts } from '../support/stack-server.ts';
import { compareCopy, StackService } from '../support/stack-service.ts';
import { verifyDirectory } from '../support/verify.ts';

/** Findings that only tell how far signing had come. */
const TOLD = ['UNSIGNED_TAIL', 'NOT_CLOSED', 'TORN_TAIL'];
const LONG_MS = 180_000;
const clock = createSystemClock();

let directory: string;
let collector: Collector;
let proxy: StackProxy;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'risktrail-shipping-'));
  if (findStackBinary('otelcol').path === undefined) return;
  collector = await startCollector(directory);
  const [port] = (await freePorts(1)) as [number];
  proxy = await StackProxy.open(collector.port, port);
});
afterEach(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await collector?.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** Waits until nothing is left to send, and ends the service in order. */
async function finish(service: StackService, records: number): Promise<void> {
  const { taken, backlog, rejected } = await service.ask({ kind: 'close', deadlineMs: 120_000 });
  expect({ taken, backlog, rejected }).toEqual({ taken: records, backlog: 0, rejected: 0 });
}

/** Journal and Collector's file hold the same records, at least so many, and both verify. */
async function expectWhole(events: number): Promise<void> {
  const dataDir = join(directory, 'data');
  const { records, ...rest } = await compareCopy(dataDir, collector.auditDirectory);
  expect(rest).toEqual({ missing: 0, different: 0, surplus: 0 });
  expect(records).toBeGreaterThan(events);
  const { report } = await reconcileTrail({ directory: dataDir, files: [collector.auditDirectory], clock });
  const lacking = report.streams.flatMap(({ copies }) => copies.map((copy) => copy.missingRecords));
  expect([report.exitStatus, ...lacking]).toEqual([0, ...lacking.map(() => 0)]);
  const keys = parseVerifierKeys(readFileSync(join(dataDir, 'verifier.vkey'), 'utf8'));
  for (const place of [dataDir, collector.auditDirectory]) {
    const { exitCode, findings } = await verifyDirectory(place, { keys });
    expect(findings.filter((kind) => !TOLD.includes(kind))).toEqual([]);
    expect(exitCode).toBe(0);
  }
}

describe.skipIf(findStackBinary('otelcol').path === undefined)('a trail shipped to a real Collector', () => {
  it('is whole after an outage of 20 s in a run of 30 s and 200,000 records', { timeout: LONG_MS }, async () => {
    await using service = await StackService.start(directory, proxy.endpoint);
    const emitting = service.ask({ kind: 'emit', records: 200_000, overMs: 30_000 });
    await sleep(5_000);
    while (proxy.passed === 0) await sleep(10);
    await proxy.cut();
    const before = proxy.passed;
    await sleep(20_000);
    expect(proxy.passed).toBe(before);
    await proxy.mend();
    await emitting;
    await finish(service, 200_000);
    await expectWhole(200_000);
  });

  it.each([
    { OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json', OTEL_EXPORTER_OTLP_COMPRESSION: 'none' },
    { OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json', OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip' },
    { OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf', OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip' },
  ])('is whole after a burst of 10,000 records in one tick: %j', async (env) => {
    await using service = await StackService.start(directory, proxy.endpoint, 0, env);
    await service.ask({ kind: 'emit', records: 10_000, overMs: 0 });
    await finish(service, 10_000);
    await expectWhole(10_000);
  });

  it('is whole after the Collector was killed twice by kill -9', { timeout: LONG_MS }, async () => {
    await using service = await StackService.start(directory, proxy.endpoint);
    const emitting = service.ask({ kind: 'emit', records: 60_000, overMs: 6_000 });
    for (let kill = 0; kill < 2; kill++) {
      const { passed } = proxy;
      while (proxy.passed < passed + 2) await sleep(10);
      await collector.kill();
      await sleep(1_000);
      await collector.start();
    }
    await emitting;
    await finish(service, 60_000);
    await expectWhole(60_000);
  });

  it('is whole after its own process was killed by kill -9 while shipping', { timeout: LONG_MS }, async () => {
    let acknowledged = 0;
    for (let life = 0; life < 4; life++) {
      await using service = await StackService.start(directory, proxy.endpoint, life);
      const { passed } = proxy;
      // Some answers come late, so that death finds requests on their way.
      proxy.mode = { kind: 'pass', delayMs: 50 };
      const emitting = service.ask({ kind: 'emit', records: 40_000, overMs: 4_000 }).catch(() => {});
      while (proxy.passed < passed + 2) await sleep(10);
      await service.kill();
      await emitting;
      expect(service.acknowledged).toBeGreaterThan(0);
      acknowledged += service.acknowledged;
    }
    proxy.mode = { kind: 'pass' };
    await using last = await StackService.start(directory, proxy.endpoint, 4);
    await finish(last, 0);
    await expectWhole(acknowledged);
  });

  it('is whole, and nothing is set aside, after answers of every bad kind', { timeout: LONG_MS }, async () => {
    await using service = await StackService.start(directory, proxy.endpoint);
    const emitting = service.ask({ kind: 'emit', records: 60_000, overMs: 6_000 });
    const modes: readonly ProxyMode[] = [
      { kind: 'answer', status: 400, body: '{"message":"no"}' },
      { kind: 'answer', status: 413 },
      { kind: 'answer', status: 429, headers: { 'retry-after': '1' } },
      { kind: 'answer', status: 503 },
      { kind: 'answer', status: 401 },
      { kind: 'answer', status: 302, headers: { location: 'http://127.0.0.1:9/' } },
      { kind: 'answer', status: 200, headers: { 'content-type': 'text/html' }, body: '<h1>Welcome</h1>' },
      GARBAGE,
      HALF_ANSWER,
      { kind: 'lose-answer' },
    ];
    for (const mode of modes) {
      proxy.mode = mode;
      const { requests } = proxy;
      while (proxy.requests < requests + 2) await sleep(10);
      while ((await service.ask({ kind: 'stats' })).lastError === '') await sleep(10);
      proxy.mode = { kind: 'pass', delayMs: 20 };
      const { passed } = proxy;
      while (proxy.passed === passed) await sleep(10);
    }
    await emitting;
    await finish(service, 60_000);
    await expectWhole(60_000);
  });

  it('keeps up with the trading code where the Collector is slow', { timeout: LONG_MS }, async () => {
    proxy.mode = { kind: 'pass', delayMs: 300 };
    await using service = await StackService.start(directory, proxy.endpoint);
    await service.ask({ kind: 'emit', records: 20_000, overMs: 2_000 });
    await finish(service, 20_000);
    await expectWhole(20_000);
  });
});
