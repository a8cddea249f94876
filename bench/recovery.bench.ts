/**
 * How long a start takes that goes on with a dead writer's stream, each in a process of its own, which knows nothing yet: with
 * 10 MB in the open segment, and the same behind 10 million sealed records. The sealed files are links to one: a start looks
 * at their lengths and opens none of them, whatever is in them.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, linkSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { openJournal } from '../src/audit/journal/journal.ts';
import { formatSegmentStart, segmentStartPath } from '../src/audit/journal/recovery.ts';
import { formatSealedState, sealedStatePath } from '../src/audit/journal/sealed-state.ts';
import { sealedSegmentName, segmentName } from '../src/audit/journal/segment-files.ts';
import { Frontier } from '../src/audit/proof/tree.ts';
import { RecordEncoder } from '../src/audit/record/encode.ts';
import { createSystemClock, hrTimeToNanos, toHrTime } from '../src/core/clock.ts';
import { breakerChange, median, quantile } from './support.ts';

const RESOURCE = { 'service.name': 'momentum-bot', 'service.version': '1.2.3', 'host.name': 'bench' };
const SCOPE = { name: 'risktrail', version: '0.1.0' };
const ID = '0193f6a0-1111-7aaa-8bbb-123456789abc';
const STREAM = `momentum-bot/${ID}`;
const OPEN_BYTES = 10_000_000;
const SEALED_RECORDS = 10_000_000;
const RECORDS_A_SEGMENT = 7_000;
const RUNS = 9;

const clock = createSystemClock();

/** Opens the journal in `dataDir` and prints what that took: wall time, and processor time of the thread. */
function measure(dataDir: string): void {
  const start = performance.now();
  const startCpu = process.threadCpuUsage();
  const journal = openJournal({
    dataDir,
    serviceName: 'momentum-bot',
    resource: RESOURCE,
    scope: SCOPE,
    clock,
    onError: (error, what) => console.error(what, error),
  });
  const took = performance.now() - start;
  const { user, system } = process.threadCpuUsage(startCpu);
  if (journal.stream !== STREAM) throw new Error('the stream was not gone on with');
  console.log(`${took} ${(user + system) / 1000}`);
  process.exit(0);
}

/** A data directory with a stream of `sealedRecords` sealed records and an open segment behind them. */
function makeTrail(dataDir: string, sealedRecords: number): void {
  const directory = join(dataDir, 'streams', ID);
  mkdirSync(join(directory, 'state'), { recursive: true });
  const time = hrTimeToNanos(toHrTime(clock.now()));
  const sealed = Buffer.from(zstdCompressSync(Buffer.alloc(OPEN_BYTES)));
  const files = [];
  for (let first = 0; first < sealedRecords; first += RECORDS_A_SEGMENT) {
    const name = segmentName(first);
    const path = join(directory, sealedSegmentName(name));
    if (first === 0) writeFileSync(path, sealed);
    else linkSync(join(directory, sealedSegmentName(segmentName(0))), path);
    files.push({ name, bytes: OPEN_BYTES, sealedBytes: sealed.length, lastTime: time });
  }
  const size = files.length * RECORDS_A_SEGMENT;
  const frontier = new Frontier();
  const leaf = Buffer.alloc(32, 7);
  for (let i = 0; i < size; i++) frontier.append(leaf);
  if (files.length > 0) {
    writeFileSync(sealedStatePath(directory), formatSealedState({ version: 1, stream: STREAM, closed: false, files }));
    const start = formatSegmentStart(STREAM, { size, frontier, lastTime: time, sealed: files });
    writeFileSync(segmentStartPath(directory), start);
  }
  writeFileSync(join(directory, segmentName(size)), openSegment(size));
}

function openSegment(first: number): Buffer {
  const encoder = new RecordEncoder({ stream: STREAM, resource: RESOURCE, scope: SCOPE });
  const lines: Buffer[] = [];
  for (let bytes = 0, index = 0; bytes < OPEN_BYTES; index++) {
    const { line, lineBytes } = encoder.encode(
      breakerChange(index, hrTimeToNanos(toHrTime(clock.now()))),
      first + index,
    );
    lines.push(Buffer.from(line.subarray(0, lineBytes)));
    bytes += lineBytes;
  }
  return Buffer.concat(lines);
}

function report(name: string, template: string, runs: string): void {
  const times: number[] = [];
  const cpu: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    const dataDir = join(runs, `${name}-${run}`);
    // Links stay links; the open segment, the state folder and the lock are copies.
    spawnSync('cp', ['-rl', template, dataDir]);
    const stream = join('streams', ID);
    for (const part of ['state', segmentName(name === 'sealed' ? sealedSize() : 0)]) {
      rmSync(join(dataDir, stream, part), { recursive: true });
      cpSync(join(template, stream, part), join(dataDir, stream, part), { recursive: true });
    }
    // The copying's own writes would otherwise wait for the first fsync of the start.
    spawnSync('sync', ['-f', dataDir]);
    const child = spawnSync(process.execPath, [import.meta.filename, 'open', dataDir], { encoding: 'utf8' });
    if (child.status !== 0) throw new Error(child.stderr);
    const [wall, thread] = child.stdout.split(' ').map(Number);
    times.push(wall!);
    cpu.push(thread!);
    rmSync(dataDir, { recursive: true });
  }
  const range = `${quantile(times, 0).toFixed(0)} to ${quantile(times, 1).toFixed(0)}`;
  const share = `${median(cpu).toFixed(0)} ms on the processor`;
  console.log(`${name.padEnd(8)} median ${median(times).toFixed(0)} ms (${range}), of which ${share}`);
}

function sealedSize(): number {
  return Math.ceil(SEALED_RECORDS / RECORDS_A_SEGMENT) * RECORDS_A_SEGMENT;
}

if (process.argv[2] === 'open') {
  measure(process.argv[3]!);
} else {
  const base = process.env['RISKTRAIL_BENCH_DIR'] ?? join(import.meta.dirname, '..');
  const dir = mkdtempSync(join(base, '.bench-recovery-'));
  process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
  makeTrail(join(dir, 'plain-template'), 0);
  makeTrail(join(dir, 'sealed-template'), SEALED_RECORDS);
  console.log(`start with 10 MB in the open segment, ${RUNS} fresh processes each`);
  report('alone', join(dir, 'plain-template'), dir);
  report('sealed', join(dir, 'sealed-template'), dir);
  console.log(`sealed: behind ${sealedSize()} records in ${sealedSize() / RECORDS_A_SEGMENT} files`);
}
