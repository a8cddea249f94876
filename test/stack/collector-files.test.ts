import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseVerifierKeys } from '../../src/audit/proof/note.ts';
import { reconcileTrail } from '../../src/audit/reconcile/reconcile.ts';
import { createSystemClock } from '../../src/core/clock.ts';
import { findStackBinary } from '../support/stack-binaries.ts';
import { type Collector, collectorConfig, startCollector } from '../support/stack-collector.ts';
import { startLoki } from '../support/stack-loki.ts';
import { compareCopy, StackService } from '../support/stack-service.ts';
import { verifyDirectory } from '../support/verify.ts';

const TLS = join(import.meta.dirname, '../fixtures/tls');
const TOLD = ['UNSIGNED_TAIL', 'NOT_CLOSED', 'TORN_TAIL'];
const LONG_MS = 240_000;

const { path: otelcol } = findStackBinary('otelcol');

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'risktrail-collector-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** Sends so many records and waits until all are answered. */
async function send(endpoint: string, records: number, overMs: number): Promise<void> {
  await using service = await StackService.start(directory, endpoint);
  await service.ask({ kind: 'emit', records, overMs });
  const { taken, backlog, rejected } = await service.ask({ kind: 'close', deadlineMs: 120_000 });
  expect({ taken, backlog, rejected }).toEqual({ taken: records, backlog: 0, rejected: 0 });
}

/** Journal and audit file are equal, record for record; @returns how many records there are */
async function expectEqual(collector: Collector): Promise<number> {
  const { records, ...rest } = await compareCopy(join(directory, 'data'), collector.auditDirectory);
  expect(rest).toEqual({ missing: 0, different: 0, surplus: 0 });
  const keys = parseVerifierKeys(readFileSync(join(directory, 'data', 'verifier.vkey'), 'utf8'));
  const { findings } = await verifyDirectory(collector.auditDirectory, { keys });
  expect(findings.filter((kind) => !TOLD.includes(kind))).toEqual([]);
  return records;
}

const linesOf = (collector: Collector) =>
  collector.auditFiles().flatMap((file) => readFileSync(file, 'utf8').trimEnd().split('\n'));

/** Every record in the file, those that stand twice counted twice. */
const recordsIn = (collector: Collector) =>
  linesOf(collector).reduce((sum, line) => sum + (line.match(/"audit\.record\.id"/g)?.length ?? 0), 0);

describe.skipIf(otelcol === undefined)('the files of collector/', () => {
  it.each(['collector.yaml', 'agent.yaml', 'gateway.yaml', 'kafka.yaml'])('%s is valid', (name) => {
    const token = join(directory, 'token');
    writeFileSync(token, 'secret');
    const env = { ...process.env, GATEWAY_TOKEN_FILE: token, TOKEN_FILE: token };
    execFileSync(otelcol!, ['validate', '--config', `file:${collectorConfig(name)}`], { env, stdio: 'pipe' });
  });

  it(
    'collector.yaml: what it answers is in the audit file and in Loki, record for record',
    async () => {
      if (findStackBinary('loki').path === undefined) return;
      await using loki = await startLoki(directory);
      const env = { LOKI_ENDPOINT: `${loki.endpoint}/otlp`, QUEUE_BYTES: '100000000' };
      await using collector = await startCollector(directory, { env });
      await send(collector.endpoint, 5_000, 1_000);
      expect(await expectEqual(collector)).toBeGreaterThan(5_000);
      const reconcile = () =>
        reconcileTrail({
          directory: join(directory, 'data'),
          files: [collector.auditDirectory],
          loki: { url: loki.endpoint },
          clock: createSystemClock(),
        });
      // The queue is on its way, and Loki answers before its index knows all.
      let { report } = await reconcile();
      for (let tries = 0; report.exitStatus !== 0 && tries < 60; tries++) {
        await sleep(500);
        ({ report } = await reconcile());
      }
      const lacking = report.streams.flatMap(({ copies }) => copies.map(({ copy, missing }) => ({ copy, missing })));
      expect(lacking.filter(({ missing }) => missing.length > 0)).toEqual([]);
      expect(lacking.map(({ copy }) => copy)).toContain('loki');
    },
    LONG_MS,
  );

  it(
    'collector.yaml: with Loki down for the whole run and its queue full, no audit batch is refused or sent twice',
    async () => {
      await using collector = await startCollector(directory, { env: { QUEUE_BYTES: '200000' } });
      await send(collector.endpoint, 30_000, 3_000);
      const records = await expectEqual(collector);
      // Each once: had the full queue been the sender's trouble, it would have sent whole batches again.
      expect(recordsIn(collector)).toBe(records);
      const refused = await collector.metric('otelcol_exporter_enqueue_failed_log_records');
      expect(refused + (await collector.metric('otelcol_exporter_enqueue_failed_log_records_total'))).toBeGreaterThan(
        0,
      );
    },
    LONG_MS,
  );

  it(
    'collector.yaml: the queue for Loki outlives kill -9 of the Collector',
    async () => {
      if (findStackBinary('loki').path === undefined) return;
      await using loki = await startLoki(directory);
      await loki.stop();
      const env = { LOKI_ENDPOINT: `${loki.endpoint}/otlp`, QUEUE_BYTES: '100000000' };
      await using collector = await startCollector(directory, { env });
      await send(collector.endpoint, 3_000, 500);
      // What the batch processor still held a moment ago is in the queue on disk.
      await sleep(2_000);
      await collector.kill();
      await loki.start();
      await collector.start();
      const reconcile = () =>
        reconcileTrail({
          directory: join(directory, 'data'),
          loki: { url: loki.endpoint },
          clock: createSystemClock(),
        });
      let { report } = await reconcile();
      for (let tries = 0; report.exitStatus !== 0 && tries < 120; tries++) {
        await sleep(500);
        ({ report } = await reconcile());
      }
      expect(report.streams.flatMap(({ copies }) => copies.map(({ missing }) => missing.length))).toEqual([0, 0]);
    },
    LONG_MS,
  );

  it(
    'agent.yaml and gateway.yaml: by TLS and a token through both, record for record; without the token nothing',
    async () => {
      const token = join(directory, 'token');
      const wrong = join(directory, 'wrong');
      writeFileSync(token, 'a-token-of-the-test');
      writeFileSync(wrong, 'another-token');
      const certificate = { TLS_CERT_FILE: join(TLS, 'server.pem'), TLS_KEY_FILE: join(TLS, 'server.key') };
      await using gateway = await startCollector(directory, {
        config: 'gateway.yaml',
        name: 'gateway',
        env: { TOKEN_FILE: token, ...certificate },
      });
      const reached = {
        GATEWAY_ENDPOINT: gateway.grpcAddress,
        GATEWAY_HOSTS: `[${gateway.grpcAddress}]`,
        GATEWAY_CA_FILE: join(TLS, 'ca.pem'),
        GATEWAY_SERVER_NAME: 'localhost',
      };
      await using stranger = await startCollector(directory, {
        config: 'agent.yaml',
        name: 'stranger',
        env: { ...reached, GATEWAY_TOKEN_FILE: wrong },
      });
      const line = '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"eventName":"a","body":{"stringValue":"b"}}]}]}]}';
      const headers = { 'content-type': 'application/json' };
      const answer = await fetch(`${stranger.endpoint}/v1/logs`, { method: 'POST', headers, body: line });
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expect(recordsIn(gateway)).toBe(0);

      await using agent = await startCollector(directory, {
        config: 'agent.yaml',
        name: 'agent',
        env: { ...reached, GATEWAY_TOKEN_FILE: token },
      });
      await send(agent.endpoint, 10_000, 1_000);
      expect(await expectEqual(gateway)).toBeGreaterThan(10_000);
    },
    LONG_MS,
  );
});
