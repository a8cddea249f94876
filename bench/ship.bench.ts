/**
 * Shipping: its rate and processor time, and what it costs the thread that records events: `node bench/ship.bench.ts`. The
 * receiver is a process of its own that reads and answers, with one thread: it stands for one on another machine. A real
 * Collector is slower, and measured by `collector.bench.ts`; to have it here, too, name it by OTEL_EXPORTER_OTLP_ENDPOINT.
 * One part by its name as an argument: rates, emitting, loopDelay. Writes beside this repository's `node_modules`, or to RISKTRAIL_BENCH_DIR: about a gigabyte.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { zstdCompressSync } from 'node:zlib';
import { type AuditInput, type Journal, openJournal } from '../src/audit/journal/journal.ts';
import { RecordEncoder } from '../src/audit/record/encode.ts';
import { readShipperSettings, type ShipperSettings } from '../src/audit/ship/settings.ts';
import { shipDirectory } from '../src/audit/ship/ship-directory.ts';
import { createShipper, type Shipper } from '../src/audit/ship/shipper.ts';
import { createSystemClock } from '../src/core/clock.ts';
import { breakerChange, median, table } from './support.ts';

const clock = createSystemClock();
const RESOURCE = { 'service.name': 'momentum-bot', 'service.version': '1.2.3', 'host.name': 'bench' };
const SCOPE = { name: 'risktrail', version: '0.1.0' };
const RATE_RECORDS = 300_000;
const BACKLOG_RECORDS = 1_000_000;

if (process.argv[2] === 'receiver') receive();
else if (process.argv[2] === 'backlog') makeBacklog(process.argv[3]!, Number(process.argv[4]));
else await run();

/** Reads everything, answers well. */
function receive(): void {
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => response.writeHead(200, { 'content-type': 'application/json' }).end('{}'));
  });
  server.listen(0, '127.0.0.1', () => process.send!((server.address() as AddressInfo).port));
  process.on('disconnect', () => process.exit());
}

function input(index: number): AuditInput {
  return breakerChange(index, `${1_700_000_000_000_000 + index}000`);
}

/** A stream that a dead writer left, of full segments, sealed. */
function makeBacklog(dataDir: string, records: number): void {
  const id = '0193f6a0-1111-7aaa-8bbb-123456789abc';
  const directory = join(dataDir, 'streams', id);
  mkdirSync(join(directory, 'state'), { recursive: true });
  const encoder = new RecordEncoder({ stream: `momentum-bot/${id}`, resource: RESOURCE, scope: SCOPE });
  let path = '';
  let bytes = 0;
  const chunks: Buffer[] = [];
  for (let sequence = 0; sequence < records; sequence++) {
    if (path === '') path = join(directory, `${String(sequence).padStart(20, '0')}.jsonl`);
    const { line, lineBytes } = encoder.encode(input(sequence), sequence);
    chunks.push(Buffer.from(line.subarray(0, lineBytes)));
    bytes += lineBytes;
    if (bytes < 10_000_000 && sequence < records - 1) continue;
    writeFileSync(`${path}.zst`, zstdCompressSync(Buffer.concat(chunks.splice(0))));
    [path, bytes] = ['', 0];
  }
}

async function run(): Promise<void> {
  const base = process.env['RISKTRAIL_BENCH_DIR'] ?? join(import.meta.dirname, '..');
  const directory = mkdtempSync(join(base, '.bench-ship-'));
  process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
  const receiver = fork(import.meta.filename, ['receiver'], { execArgv: ['--single-threaded-gc'] });
  const [port] = (await once(receiver, 'message')) as [number];
  const settings = readShipperSettings(process.env) ?? readShipperSettings({}, `http://127.0.0.1:${port}/v1/logs`)!;
  const parts = { rates, emitting, loopDelay };
  for (const [name, part] of Object.entries(parts)) {
    if (process.argv[2] === undefined || process.argv[2] === name) await part(join(directory, name), settings);
  }
  receiver.disconnect();
}

async function rates(dataDir: string, settings: ShipperSettings): Promise<void> {
  const rows: (string | number)[][] = [];
  const kinds = [
    ['http/json', 'none'],
    ['http/json', 'gzip'],
    ['http/protobuf', 'none'],
  ] as const;
  for (const [protocol, compression] of kinds) {
    makeBacklog(dataDir, RATE_RECORDS);
    const cpu = process.cpuUsage();
    const began = performance.now();
    const result = await shipDirectory(dataDir, { ...settings, protocol, compression });
    const seconds = (performance.now() - began) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    if (!result.complete) throw new Error(JSON.stringify(result));
    const rate = Math.round(RATE_RECORDS / seconds);
    rows.push([
      `${protocol} ${compression}`,
      String(rate),
      (user + system) / 1e6 / seconds,
      (user + system) / RATE_RECORDS,
    ]);
    rmSync(dataDir, { recursive: true });
  }
  console.log(
    `${table(['backlog of 300,000', 'records/s', 'processors of ours', 'µs of processor a record'], rows)}\n`,
  );
}

function open(dataDir: string): Journal {
  const onError = (error: unknown, what: string) => console.error(what, error);
  return openJournal({ dataDir, serviceName: 'momentum-bot', resource: RESOURCE, scope: SCOPE, clock, onError });
}

function shipperOf(dataDir: string, journal: Journal, settings: ShipperSettings): Shipper {
  const onError = (error: unknown, what: string) => console.error(what, error);
  const shipper = createShipper({ dataDir, settings, clock, onError, onRejected: console.error });
  shipper.start();
  journal.onDurable((position) => shipper.notify(position));
  return shipper;
}

/** Two journals take turns with the same load, one of them shipping. */
async function emitting(dataDir: string, settings: ShipperSettings): Promise<void> {
  const times: Record<'without' | 'with', number[]> = { without: [], with: [] };
  const plain = open(join(dataDir, 'plain'));
  const shipping = open(join(dataDir, 'shipping'));
  const shipper = shipperOf(join(dataDir, 'shipping'), shipping, settings);
  const burst = async (journal: Journal, list: number[]) => {
    let spent = 0;
    for (let i = 0; i < 20_000; i++) {
      const event = input(i);
      const began = performance.now();
      journal.append(event);
      spent += performance.now() - began;
      if (i % 20 === 19) await sleep(0);
    }
    list.push((spent * 1000) / 20_000);
  };
  for (let round = 0; round < 6; round++) {
    await burst(plain, round === 0 ? [] : times.without);
    await burst(shipping, round === 0 ? [] : times.with);
  }
  const { sentRecords } = shipper.stats();
  await plain.close('bench');
  await shipping.close('bench');
  await shipper.stop(10_000);
  const [a, b] = [median(times.without), median(times.with)];
  console.log(
    `append ${a.toFixed(2)} µs without, ${b.toFixed(2)} µs while shipping (${sentRecords} sent meanwhile): ratio ${(b / a).toFixed(2)}\n`,
  );
}

/** The same load, without and with a million records of another stream on their way. */
async function loopDelay(dataDir: string, settings: ShipperSettings): Promise<void> {
  const rows: (string | number)[][] = [];
  for (const backlog of [0, BACKLOG_RECORDS, 0, BACKLOG_RECORDS]) {
    const at = join(dataDir, String(rows.length));
    // In a process of its own: what it leaves to the collector is no part of the comparison.
    if (backlog > 0) await once(fork(import.meta.filename, ['backlog', at, String(backlog)]), 'exit');
    const journal = open(at);
    const shipper = shipperOf(at, journal, settings);
    await sleep(500);
    const delay = monitorEventLoopDelay({ resolution: 5 });
    delay.enable();
    const began = performance.now();
    let drainedMs: number | undefined;
    for (let i = 0; performance.now() - began < (backlog === 0 ? 15_000 : 60_000); i++) {
      for (let k = 0; k < 20; k++) journal.append(input(i * 20 + k));
      await sleep(10);
      if (shipper.stats().sentRecords >= backlog) drainedMs ??= performance.now() - began;
      // What follows the backlog is no part of the comparison.
      if (backlog > 0 && drainedMs !== undefined) break;
    }
    delay.disable();
    rows.push([
      String(backlog),
      delay.percentile(50) / 1e6,
      delay.percentile(99) / 1e6,
      delay.max / 1e6,
      backlog === 0 || drainedMs === undefined ? '' : `${(drainedMs / 1000 + 0.5).toFixed(1)} s`,
    ]);
    await journal.close('bench');
    await shipper.stop(30_000);
    rmSync(at, { recursive: true });
  }
  console.log(table(['backlog', 'event-loop delay p50 ms', 'p99 ms', 'max ms', 'drained in'], rows));
}
