/**
 * How long a start takes that goes on with a dead writer's stream, each in a process of its own, which knows nothing yet: with
 * 10 MB in the open segment, and the same behind 10 million sealed records. The sealed files are links to one: a start looks
 * at their lengths and opens none of them, whatever is in them.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { openJournal } from '../src/audit/journal/journal.ts';
import { segmentName } from '../src/audit/journal/segment-files.ts';
import { createSystemClock, hrTimeToNanos, toHrTime } from '../src/core/clock.ts';
import {
  makeSealedTrail,
  RECORDS_A_SEGMENT,
  RESOURCE,
  SCOPE,
  SERVICE,
  STREAM,
  STREAM_ID,
  sealedSize,
} from './sealed-trail.ts';
import { breakerChange, median, quantile } from './support.ts';

const OPEN_BYTES = 9_900_000;
const SEALED_RECORDS = 10_000_000;
const RUNS = 9;

const clock = createSystemClock();

const open = (dataDir: string) =>
  openJournal({
    dataDir,
    serviceName: SERVICE,
    resource: RESOURCE,
    scope: SCOPE,
    clock,
    onError: (error, what) => console.error(what, error),
  });

/** A writer that is killed when its open segment is full. */
async function live(dataDir: string, segment: string): Promise<void> {
  const journal = open(dataDir);
  for (let index = 0; statSync(segment).size < OPEN_BYTES; index++) {
    journal.append(breakerChange(index, hrTimeToNanos(toHrTime(clock.now()))));
    // As a service does that isn't in a burst: the checkpoint of a thousand records is made before the next one is due.
    if (index % 1000 === 999) await journal.checkpoint();
  }
  process.kill(process.pid, 'SIGKILL');
}

/** Opens the journal in `dataDir` and prints what that took: wall time, and processor time of the thread. */
function measure(dataDir: string): void {
  const start = performance.now();
  const startCpu = process.threadCpuUsage();
  const journal = open(dataDir);
  const took = performance.now() - start;
  const { user, system } = process.threadCpuUsage(startCpu);
  if (journal.stream !== STREAM) throw new Error('the stream was not gone on with');
  console.log(`${took} ${(user + system) / 1000}`);
  process.exit(0);
}

/** A full open segment behind `sealedRecords` sealed records. */
function makeTemplate(template: string, sealedRecords: number): void {
  makeSealedTrail(template, sealedRecords, 100_000);
  const segment = join(template, 'streams', STREAM_ID, segmentName(sealedSize(sealedRecords)));
  const made = spawnSync(process.execPath, [import.meta.filename, 'live', template, segment], { encoding: 'utf8' });
  if (made.signal !== 'SIGKILL') throw new Error(made.stderr);
}

function report(name: string, template: string, runs: string): void {
  const times: number[] = [];
  const cpu: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    const dataDir = join(runs, `${name}-${run}`);
    // Links stay links; the open segment, the state folder and the lock are copies.
    spawnSync('cp', ['-rl', template, dataDir]);
    const stream = join('streams', STREAM_ID);
    for (const part of ['state', 'checkpoint', segmentName(name === 'sealed' ? sealedSize(SEALED_RECORDS) : 0)]) {
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

if (process.argv[2] === 'open') {
  measure(process.argv[3]!);
} else if (process.argv[2] === 'live') {
  await live(process.argv[3]!, process.argv[4]!);
} else {
  const base = process.env['RISKTRAIL_BENCH_DIR'] ?? join(import.meta.dirname, '..');
  const dir = mkdtempSync(join(base, '.bench-recovery-'));
  process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
  makeTemplate(join(dir, 'plain-template'), 0);
  makeTemplate(join(dir, 'sealed-template'), SEALED_RECORDS);
  console.log(`start with 10 MB in the open segment, ${RUNS} fresh processes each`);
  report('alone', join(dir, 'plain-template'), dir);
  report('sealed', join(dir, 'sealed-template'), dir);
  const size = sealedSize(SEALED_RECORDS);
  console.log(`sealed: behind ${size} records in ${size / RECORDS_A_SEGMENT} files`);
}
