/**
 * Shipping to a real Collector, which writes what it gets to a file: `node bench/collector.bench.ts [records]`. Without a
 * Collector at hand (see `test/support/stack-binaries.ts`) it says so and measures nothing.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { openJournal } from '../src/audit/journal/journal.ts';
import { readShipperSettings } from '../src/audit/ship/settings.ts';
import { shipDirectory } from '../src/audit/ship/ship-directory.ts';
import { createSystemClock } from '../src/core/clock.ts';
import { stackBinary } from '../test/support/stack-binaries.ts';
import { startCollector } from '../test/support/stack-collector.ts';
import { breakerChange, table, temporaryDirectory } from './support.ts';

const clock = createSystemClock();

/** Writes a closed stream of so many events with eight attributes. */
async function fill(dataDir: string, records: number): Promise<void> {
  const journal = openJournal({
    dataDir,
    serviceName: 'momentum-bot',
    resource: { 'service.name': 'momentum-bot' },
    scope: { name: 'risktrail', version: '0' },
    clock,
    onError: (error) => console.error(error),
  });
  for (let index = 0; index < records; ) {
    for (const end = Math.min(records, index + 200); index < end; index++) {
      journal.append(breakerChange(index, `${clock.now()}000000`));
    }
    await new Promise(setImmediate);
  }
  await journal.close('shutdown');
}

/** What the shipping process prints. */
interface Shipped {
  readonly records: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
}

async function ship(dataDir: string): Promise<Shipped> {
  const settings = readShipperSettings(process.env)!;
  const before = process.cpuUsage();
  const start = performance.now();
  const { sentRecords, complete, lastError } = await shipDirectory(dataDir, settings);
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(before);
  if (!complete) throw new Error(`not everything was sent: ${lastError}`);
  return { records: sentRecords, seconds, cpuSeconds: (user + system) / 1e6 };
}

async function run(records: number): Promise<void> {
  const binary = await stackBinary('otelcol');
  if (binary.path === undefined) {
    console.log(`Nothing measured: ${binary.reason}.`);
    return;
  }
  const directory = temporaryDirectory();
  const origin = join(directory, 'origin');
  const child = (env: NodeJS.ProcessEnv, ...args: readonly string[]) =>
    execFileSync(process.execPath, [import.meta.filename, ...args], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
      encoding: 'utf8',
    });
  child({}, 'fill', origin, String(records));
  const rows: (string | number)[][] = [];
  for (const [protocol, compression] of [
    ['http/json', 'none'],
    ['http/json', 'gzip'],
    ['http/protobuf', 'none'],
    ['http/protobuf', 'gzip'],
  ] as const) {
    const dataDir = join(directory, 'data');
    cpSync(origin, dataDir, { recursive: true });
    await using collector = await startCollector(directory);
    const env = {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
      OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
      OTEL_EXPORTER_OTLP_COMPRESSION: compression,
    };
    const shipped = JSON.parse(child(env, 'ship', dataDir)) as Shipped;
    const { records: sent, seconds, cpuSeconds } = shipped;
    rows.push([
      `${protocol}, ${compression}`,
      String(sent),
      seconds,
      String(Math.round(sent / seconds)),
      cpuSeconds / seconds,
      (cpuSeconds / sent) * 1e6,
    ]);
    await collector.stop();
    for (const path of [dataDir, collector.auditDirectory]) rmSync(path, { recursive: true });
  }
  console.log(
    table(['to a real Collector', 'records', 's', 'records/s', 'cores of ours', 'µs of ours a record'], rows),
  );
}

const [task, dataDir, count] = process.argv.slice(2);
if (task === 'fill') await fill(dataDir!, Number(count));
else if (task === 'ship') console.log(JSON.stringify(await ship(dataDir!)));
else await run(Number(task ?? 300_000));
