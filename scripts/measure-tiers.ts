/**
 * What a record costs on its way agent → gateway: `collector/agent.yaml` and `collector/gateway.yaml` in real Collectors, by TLS
 * and a token, fed by a service with all that it has as fast as they take it. Prints records a second, and each process's
 * processor time per record, that of the way to Loki included: something answers there that throws away what it gets.
 *
 *     node scripts/measure-tiers.ts [--records 200000] [--runs 3]
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { stackBinary } from '../test/support/stack-binaries.ts';
import { startCollector } from '../test/support/stack-collector.ts';
import { compareCopy, StackService } from '../test/support/stack-service.ts';

const { values } = parseArgs({
  options: { records: { type: 'string', default: '200000' }, runs: { type: 'string', default: '3' } },
});
const records = Number(values.records);
const TLS = join(import.meta.dirname, '../test/fixtures/tls');
const DEADLINE_MS = 600_000;

interface Measured {
  readonly perSecond: number;
  readonly agentMicros: number;
  readonly gatewayMicros: number;
  readonly agentPeak: number;
  readonly gatewayPeak: number;
  readonly bytes: number;
}

/** Takes everything, as Loki does. */
const sink = createServer((request, response) => {
  request.resume().on('end', () => response.writeHead(204).end());
});
await once(sink.listen(0, '127.0.0.1'), 'listening');
const sinkUrl = `http://127.0.0.1:${(sink.address() as AddressInfo).port}`;

async function measure(directory: string): Promise<Measured> {
  const token = join(directory, 'token');
  writeFileSync(token, 'a-token-of-the-measurement');
  await using gateway = await startCollector(directory, {
    config: 'gateway.yaml',
    name: 'gateway',
    env: {
      TOKEN_FILE: token,
      TLS_CERT_FILE: join(TLS, 'server.pem'),
      TLS_KEY_FILE: join(TLS, 'server.key'),
      LOKI_ENDPOINT: `${sinkUrl}/otlp`,
      QUEUE_BYTES: '10000000000',
    },
  });
  await using agent = await startCollector(directory, {
    config: 'agent.yaml',
    name: 'agent',
    env: {
      GATEWAY_ENDPOINT: gateway.grpcAddress,
      GATEWAY_HOSTS: `[${gateway.grpcAddress}]`,
      GATEWAY_CA_FILE: join(TLS, 'ca.pem'),
      GATEWAY_SERVER_NAME: 'localhost',
      GATEWAY_TOKEN_FILE: token,
    },
  });
  await using service = await StackService.start(directory, agent.endpoint, 0, { SERVICE_WRITES_ITSELF: '1' });
  const before = [agent.usage().cpuMs, gateway.usage().cpuMs] as const;
  const began = performance.now();
  // In parts, so that the journal is not what is waited for.
  for (let sent = 0; sent < records; sent += 5000) {
    await service.ask({ kind: 'emit', records: Math.min(5000, records - sent), overMs: 50 });
  }
  const { backlog, rejected } = await service.ask({ kind: 'close', deadlineMs: DEADLINE_MS });
  const seconds = (performance.now() - began) / 1000;
  if (backlog + rejected > 0) throw new Error(`${backlog} records were left, ${rejected} were refused`);
  // The gateway answers before Loki has what it queued.
  const sent = async () =>
    (await gateway.metric('otelcol_exporter_sent_log_records_total')) +
    (await gateway.metric('otelcol_exporter_sent_log_records'));
  for (let before = -1, now = await sent(); now > before; [before, now] = [now, await sent()]) await sleep(2_000);
  const [agentUse, gatewayUse] = [agent.usage(), gateway.usage()];
  const difference = await compareCopy(join(directory, 'data'), gateway.auditDirectory);
  if (difference.missing + difference.different > 0) throw new Error(JSON.stringify(difference));
  return {
    perSecond: records / seconds,
    agentMicros: ((agentUse.cpuMs - before[0]) * 1000) / records,
    gatewayMicros: ((gatewayUse.cpuMs - before[1]) * 1000) / records,
    agentPeak: agentUse.peakBytes,
    gatewayPeak: gatewayUse.peakBytes,
    bytes: gateway.auditFiles().reduce((sum, file) => sum + statSync(file).size, 0) / records,
  };
}

const binary = await stackBinary('otelcol');
if (binary.path === undefined) throw new Error(binary.reason);
for (let run = 1; run <= Number(values.runs); run++) {
  const directory = mkdtempSync(join(tmpdir(), 'risktrail-tiers-'));
  try {
    const { perSecond, agentMicros, gatewayMicros, agentPeak, gatewayPeak, bytes } = await measure(directory);
    const mebibytes = (count: number) => Math.round(count / 2 ** 20);
    console.log(
      `run ${run}: ${Math.round(perSecond)} records/s, agent ${agentMicros.toFixed(1)} µs and ` +
        `gateway ${gatewayMicros.toFixed(1)} µs of processor a record, peak memory ${mebibytes(agentPeak)} and ` +
        `${mebibytes(gatewayPeak)} MiB, ${Math.round(bytes)} bytes a record in the audit file`,
    );
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
sink.close();
sink.closeAllConnections();
