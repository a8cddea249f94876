/**
 * How fast a journal is verified, and in how much memory: `node bench/verify.bench.ts [records] [runs]`.
 * Prints JSON with medians. The journal is made by a small generator of its own, with checkpoints every 1,000 records,
 * in segments of 10 MB; the same records are then verified as a Collector's file.
 */
import { createHash, generateKeyPairSync } from 'node:crypto';
import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSigner, formatCheckpoint, parseVerifierKeys, type VerifierKey } from '../src/audit/proof/note.ts';
import { Frontier } from '../src/audit/proof/tree.ts';
import { verifyTrail } from '../src/audit/verify/verify.ts';

const RECORDS = Number(process.argv[2] ?? 300_000);
const RUNS = Number(process.argv[3] ?? 5);
const SEGMENT_BYTES = 10_000_000;
const UUID = '9daa6223-bff6-4d4e-8c73-7bd8062153f2';
const STREAM = `bench/${UUID}`;

type Values = Record<string, string | number | boolean>;

const sorted = (values: Values) => Object.fromEntries(Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1)));
const sha256 = (text: string) => createHash('sha256').update(text).digest();

function writeJournal(directory: string): { key: VerifierKey; bytes: number } {
  const signer = createSigner('bench', generateKeyPairSync('ed25519').privateKey);
  const folder = join(directory, 'streams', UUID);
  mkdirSync(folder, { recursive: true });
  const tree = new Frontier();
  let file = -1;
  let room = 0;
  let total = 0;
  let pending: string[] = [];
  let pendingBytes = 0;
  const flush = () => {
    if (pending.length > 0) writeSync(file, pending.join(''));
    pending = [];
    pendingBytes = 0;
  };
  for (let sequence = 0; sequence < RECORDS; sequence++) {
    const isCheckpoint = sequence % 1000 === 999 || sequence === RECORDS - 1;
    const event = sequence === 0 ? 'audit.stream_opened' : isCheckpoint ? 'audit.checkpoint' : 'order.placed';
    const closing = sequence === RECORDS - 2 ? 'audit.stream_closed' : event;
    const own: Values = isCheckpoint
      ? { 'audit.checkpoint': signer.sign(formatCheckpoint({ origin: STREAM, size: sequence, root: tree.root() })) }
      : {
          'trading.symbol': 'BTCUSDT',
          'trading.side': 'buy',
          'trading.price': 91_234.5 + sequence / 100,
          'trading.quantity': sequence,
          'trading.order.id': `order_${sequence}`,
          'trading.account.id': 'ACC123',
        };
    const attributes: Values = {
      ...own,
      'audit.stream': STREAM,
      'audit.sequence.number': sequence,
      'audit.record.id': `019aa41e-9b29-7c01-ae33-${String(sequence).padStart(12, '0')}`,
    };
    const ids = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' };
    const time = `${1_763_690_060_000_000_000n + BigInt(sequence)}`;
    const body = `Order placed: buy ${sequence} BTCUSDT`;
    const canonical = JSON.stringify({
      attributes: sorted(attributes),
      body,
      event: closing,
      severity: 9,
      span: ids.spanId,
      time,
      trace: ids.traceId,
    });
    const leaf = sha256(`\0${canonical}`);
    const line = `${JSON.stringify({
      resourceLogs: [
        {
          resource: { attributes: [{ key: 'service.name', value: { stringValue: 'bench' } }] },
          scopeLogs: [
            {
              scope: { name: 'risktrail', version: '1' },
              logRecords: [
                {
                  timeUnixNano: time,
                  observedTimeUnixNano: time,
                  severityNumber: 9,
                  severityText: 'INFO',
                  body: { stringValue: body },
                  eventName: closing,
                  attributes: [
                    ...Object.entries(attributes).map(([key, value]) => ({
                      key,
                      value:
                        typeof value === 'string'
                          ? { stringValue: value }
                          : Number.isInteger(value)
                            ? { intValue: value }
                            : { doubleValue: value },
                    })),
                    { key: 'audit.integrity.value', value: { stringValue: leaf.toString('base64') } },
                  ],
                  ...ids,
                },
              ],
            },
          ],
        },
      ],
    })}\n`;
    tree.append(leaf);
    if (room < line.length) {
      flush();
      if (file >= 0) closeSync(file);
      file = openSync(join(folder, `${String(sequence).padStart(20, '0')}.jsonl`), 'w');
      room = SEGMENT_BYTES;
    }
    room -= line.length;
    total += line.length;
    pending.push(line);
    pendingBytes += line.length;
    if (pendingBytes > 1 << 20) flush();
  }
  flush();
  closeSync(file);
  return { key: parseVerifierKeys(signer.vkey)[0] as VerifierKey, bytes: total };
}

/** The same lines in one file of another name, which tells the verifier nothing of their order. */
function writeCollectorFile(directory: string): string {
  const folder = join(directory, 'streams', UUID);
  const path = join(directory, 'collector.jsonl');
  const file = openSync(path, 'w');
  for (const name of readdirSync(folder).sort().reverse()) writeSync(file, readFileSync(join(folder, name)));
  closeSync(file);
  return path;
}

const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;
const mb = (bytes: number) => Math.round(bytes / 1e6);

async function measure(path: string, key: VerifierKey) {
  const rates: number[] = [];
  globalThis.gc?.();
  const idle = process.memoryUsage().rss;
  let peak = idle;
  const watch = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage().rss);
  }, 5);
  for (let run = 0; run < RUNS; run++) {
    const start = performance.now();
    const report = await verifyTrail({ paths: [path], keys: [key] });
    rates.push(RECORDS / ((performance.now() - start) / 1000));
    if (!report.ok || report.streams[0]?.records !== RECORDS) throw new Error(JSON.stringify(report));
  }
  clearInterval(watch);
  return { recordsPerSecond: Math.round(median(rates)), runs: rates.map(Math.round), peakRssGrowthMb: mb(peak - idle) };
}

const directory = mkdtempSync(join(tmpdir(), 'risktrail-bench-'));
try {
  const { key, bytes } = writeJournal(directory);
  const journal = await measure(join(directory, 'streams'), key);
  const collector = writeCollectorFile(directory);
  const outOfOrder = await measure(collector, key);
  const bytesPerRecord = Math.round(bytes / RECORDS);
  console.log(JSON.stringify({ records: RECORDS, bytesPerRecord, journal, outOfOrder }, null, 2));
} finally {
  rmSync(directory, { recursive: true });
}
