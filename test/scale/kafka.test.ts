import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseVerifierKeys } from '../../src/audit/proof/note.ts';
import { stackBinary } from '../support/stack-binaries.ts';
import { collectorConfig, startCollector } from '../support/stack-collector.ts';
import { startKafka, startKafkaReader } from '../support/stack-kafka.ts';
import { compareCopy, StackService } from '../support/stack-service.ts';
import { verifyDirectory } from '../support/verify.ts';

const RECORDS = 20_000;
const BURST = 5_000;
const ARRIVAL_MS = 240_000;

let directory: string;
const missing: string[] = [];
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'risktrail-kafka-'));
  for (const server of ['otelcol', 'otelcol-kafka', 'kafka'] as const) {
    const { path, ...why } = await stackBinary(server);
    if (path === undefined) missing.push((why as { reason: string }).reason);
  }
}, 1_800_000);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

it('kafka-reader.yaml is valid for a Collector with the receiver', async ({ skip }) => {
  if (missing.length > 0) skip(missing.join('; '));
  const { path } = await stackBinary('otelcol-kafka');
  execFileSync(path!, ['validate', '--config', `file:${collectorConfig('kafka-reader.yaml')}`], { stdio: 'pipe' });
});

it('through Kafka, killed and started again in mid-run: what a service was answered for is in the audit file', async ({
  skip,
}) => {
  if (missing.length > 0) skip(missing.join('; '));
  await using kafka = await startKafka(directory);
  await kafka.createTopic('risktrail.logs');
  await kafka.createTopic('risktrail.traces');
  const brokers = { KAFKA_BROKERS: `[${kafka.broker}]` };
  await using writer = await startCollector(directory, { name: 'writer' });
  await using reader = await startKafkaReader(directory, { ...brokers, COLLECTOR_ENDPOINT: writer.endpoint });
  await using front = await startCollector(directory, { config: 'kafka.yaml', name: 'front', env: brokers });
  await using service = await StackService.start(directory, front.endpoint);

  const emitted = service.ask({ kind: 'emit', records: RECORDS, overMs: 20_000 });
  // Some are through, more are to come.
  for (let { taken, backlog } = await service.ask({ kind: 'stats' }); taken - backlog < RECORDS / 10; ) {
    await sleep(50);
    ({ taken, backlog } = await service.ask({ kind: 'stats' }));
  }
  const { taken: takenAtKill } = await service.ask({ kind: 'stats' });
  expect(takenAtKill).toBeLessThan(RECORDS);
  await kafka.kill();
  await sleep(1_000);
  await kafka.start();
  await emitted;
  // A batch of 2 MB, the largest that a service sends.
  await service.ask({ kind: 'emit', records: BURST, overMs: 0 });
  const { taken, backlog, rejected } = await service.ask({ kind: 'close', deadlineMs: 240_000 });
  expect({ taken, backlog, rejected }).toEqual({ taken: RECORDS + BURST, backlog: 0, rejected: 0 });

  // Everything was answered for by Kafka; the reader is on its way.
  const compared = () => compareCopy(join(directory, 'data'), writer.auditDirectory);
  let difference = await compared();
  for (const end = performance.now() + ARRIVAL_MS; difference.missing > 0 && performance.now() < end; ) {
    await sleep(1_000);
    difference = await compared();
  }
  const { records, ...rest } = difference;
  expect(rest).toEqual({ missing: 0, different: 0, surplus: 0 });
  expect(records).toBeGreaterThan(RECORDS + BURST);
  const keys = parseVerifierKeys(readFileSync(join(directory, 'data', 'verifier.vkey'), 'utf8'));
  expect(await verifyDirectory(writer.auditDirectory, { keys })).toMatchObject({ exitCode: 0 });
  await reader.stop();
});
