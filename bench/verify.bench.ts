/**
 * How fast a trail is verified, and in how much memory: `node bench/verify.bench.ts [records] [runs] [threads…]`.
 * Prints JSON. The journal is what the writer's encoder makes of events of eight attributes, with checkpoints every 1,000
 * records, in segments of 10 MB; the same is then verified sealed, and as a Collector writes it (a hundred records a line, ints in
 * quotes, its own order of members), in one file with its parts out of order. Each run has a process of its own, so the
 * highest memory is that run's, all threads and the program itself included.
 */
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { constants, zstdCompressSync } from 'node:zlib';
import { createSigner, formatCheckpoint, parseVerifierKeys } from '../src/audit/proof/note.ts';
import { Frontier } from '../src/audit/proof/tree.ts';
import { RecordEncoder } from '../src/audit/record/encode.ts';
import { verifyTrail } from '../src/audit/verify/verify.ts';

const SEGMENT_BYTES = 10_000_000;
const RECORDS_PER_LINE = 100;
const UUID = '9daa6223-bff6-4d4e-8c73-7bd8062153f2';
const STREAM = `bench/${UUID}`;
const FIRST_TIME = 1_763_690_060_000_000_000n;

/** One run in this process: prints what it took. */
async function measure(path: string, vkey: string, records: number, threads: number | undefined): Promise<void> {
  const start = performance.now();
  const report = await verifyTrail({ paths: [path], keys: parseVerifierKeys(vkey), threads });
  const seconds = (performance.now() - start) / 1000;
  if (!report.ok || report.streams[0]?.records !== records) throw new Error(JSON.stringify(report));
  const peakRssMb = Math.round(process.resourceUsage().maxRSS / 1000);
  const { user, system } = process.cpuUsage();
  console.log(
    JSON.stringify({
      recordsPerSecond: Math.round(records / seconds),
      peakRssMb,
      cpuSecondsPerSecond: Number(((user + system) / 1e6 / seconds).toFixed(2)),
    }),
  );
}

function writeJournal(folder: string, records: number): { vkey: string; bytes: number } {
  const signer = createSigner('bench', generateKeyPairSync('ed25519').privateKey);
  const scope = { name: 'risktrail', version: '1' };
  const encoder = new RecordEncoder({ stream: STREAM, resource: { 'service.name': 'bench' }, scope });
  mkdirSync(folder, { recursive: true });
  const tree = new Frontier();
  const pending = Buffer.alloc(1 << 20);
  let filled = 0;
  let file = -1;
  let room = 0;
  let total = 0;
  const flush = () => {
    if (filled > 0) writeSync(file, pending, 0, filled);
    filled = 0;
  };
  for (let sequence = 0; sequence < records; sequence++) {
    const isCheckpoint = sequence % 1000 === 999 || sequence === records - 1;
    const ordinary = sequence === records - 2 ? 'audit.stream_closed' : 'order.placed';
    const eventName = sequence === 0 ? 'audit.stream_opened' : isCheckpoint ? 'audit.checkpoint' : ordinary;
    const attributes: Record<string, string | number> = isCheckpoint
      ? { 'audit.checkpoint': signer.sign(formatCheckpoint({ origin: STREAM, size: sequence, root: tree.root() })) }
      : {
          'trading.symbol': 'BTCUSDT',
          'trading.side': 'buy',
          'trading.price': 91_234.5 + sequence / 100,
          'trading.quantity': (sequence % 1000) + 1,
          'trading.order.id': `order_${sequence}`,
          'trading.account.id': 'ACC123',
          'trading.strategy.id': 'momentum',
          'trading.venue': 'binance',
        };
    const encoded = encoder.encode(
      {
        eventName,
        attributes,
        body: `Order placed: buy ${sequence} BTCUSDT`,
        severityNumber: 9,
        severityText: 'INFO',
        timeUnixNano: `${FIRST_TIME + BigInt(sequence) * 1_000_000n}`,
        observedTimeUnixNano: `${FIRST_TIME + BigInt(sequence) * 1_000_000n}`,
        traceId: '0af7651916cd43dd8448eb211c80319c',
        spanId: 'b7ad6b7169203331',
        flags: 1,
      },
      sequence,
    );
    const { line, lineBytes, leaf } = encoded;
    tree.append(leaf);
    if (room < lineBytes) {
      flush();
      if (file >= 0) closeSync(file);
      file = openSync(join(folder, `${String(sequence).padStart(20, '0')}.jsonl`), 'w');
      room = SEGMENT_BYTES;
    }
    if (filled + lineBytes > pending.length) flush();
    line.copy(pending, filled, 0, lineBytes);
    filled += lineBytes;
    room -= lineBytes;
    total += lineBytes;
  }
  flush();
  closeSync(file);
  return { vkey: signer.vkey, bytes: total };
}

type Json = Record<string, unknown>;

/** A record as the Collector's file exporter writes it. */
function collected(record: Json): Json {
  const { timeUnixNano, observedTimeUnixNano, severityNumber, severityText, body, eventName, flags, ...ids } = record;
  const attributes = (record['attributes'] as { key: string; value: Json }[]).map(({ key, value }) =>
    typeof value['intValue'] === 'number' ? { key, value: { intValue: String(value['intValue']) } } : { key, value },
  );
  const { traceId, spanId } = ids;
  return {
    timeUnixNano,
    observedTimeUnixNano,
    severityNumber,
    severityText,
    body,
    attributes,
    flags,
    traceId,
    spanId,
    eventName,
  };
}

/** The same records in one file of another name, which tells the verifier nothing of their order; newest segment first. */
function writeCollectorFile(folder: string, path: string): void {
  const file = openSync(path, 'w');
  for (const name of readdirSync(folder).sort().reverse()) {
    const lines = readFileSync(join(folder, name), 'utf8').trimEnd().split('\n');
    for (let at = 0; at < lines.length; at += RECORDS_PER_LINE) {
      const parsed = lines.slice(at, at + RECORDS_PER_LINE).map((line) => JSON.parse(line));
      const payload = parsed[0];
      payload.resourceLogs[0].scopeLogs[0].logRecords = parsed.map((one) =>
        collected(one.resourceLogs[0].scopeLogs[0].logRecords[0]),
      );
      writeSync(file, `${JSON.stringify(payload)}\n`);
    }
  }
  closeSync(file);
}

/** The segments as sealing leaves them. */
function writeSealed(folder: string, target: string): number {
  mkdirSync(target, { recursive: true });
  let bytes = 0;
  for (const name of readdirSync(folder)) {
    const params = { [constants.ZSTD_c_checksumFlag]: 1, [constants.ZSTD_c_compressionLevel]: 3 };
    const sealed = zstdCompressSync(readFileSync(join(folder, name)), { params });
    writeFileSync(join(target, `${name}.zst`), sealed);
    bytes += sealed.length;
  }
  return bytes;
}

const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;

function runs(path: string, vkey: string, records: number, count: number, threads: string) {
  const results = Array.from({ length: count }, () => {
    const args = [fileURLToPath(import.meta.url), '--measure', path, vkey, String(records), threads];
    const child = spawnSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
    if (child.status !== 0) throw new Error(`a run failed with ${child.status}`);
    return JSON.parse(child.stdout) as { recordsPerSecond: number; peakRssMb: number; cpuSecondsPerSecond: number };
  });
  return {
    recordsPerSecond: median(results.map((one) => one.recordsPerSecond)),
    runs: results.map((one) => one.recordsPerSecond),
    peakRssMb: Math.max(...results.map((one) => one.peakRssMb)),
    cores: median(results.map((one) => one.cpuSecondsPerSecond)),
  };
}

function main(records: number, count: number, threads: readonly string[]): void {
  const directory = mkdtempSync(join(tmpdir(), 'risktrail-bench-'));
  try {
    const folder = join(directory, 'journal', 'streams', UUID);
    const { vkey, bytes } = writeJournal(folder, records);
    const results: Record<string, unknown> = { records, bytesPerRecord: Math.round(bytes / records) };
    const all = (name: string, path: string) => {
      for (const one of threads) results[`${name}, threads ${one}`] = runs(path, vkey, records, count, one);
    };
    all('journal', join(directory, 'journal'));
    const sealedBytes = writeSealed(folder, join(directory, 'sealed', 'streams', UUID));
    results['sealedBytesPerRecord'] = Math.round(sealedBytes / records);
    all('sealed journal', join(directory, 'sealed'));
    rmSync(join(directory, 'sealed'), { recursive: true });
    const path = join(directory, 'collector.jsonl');
    writeCollectorFile(folder, path);
    results['collectorBytesPerRecord'] = Math.round(statSync(path).size / records);
    all('Collector file', path);
    console.log(JSON.stringify(results, null, 2));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const [first, ...rest] = process.argv.slice(2);
if (first === '--measure') {
  const [path, vkey, records, threads] = rest as [string, string, string, string];
  await measure(path, vkey, Number(records), threads === 'default' ? undefined : Number(threads));
} else {
  main(Number(first ?? 300_000), Number(rest[0] ?? 3), rest.length > 1 ? rest.slice(1) : ['0', 'default']);
}
