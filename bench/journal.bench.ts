/**
 * What one audit append costs beside its parts, measured in the same run: `node bench/journal.bench.ts`. Ratios count, not
 * microseconds: they depend on the machine. Writes to RISKTRAIL_BENCH_DIR, or to a new directory beside this repository's
 * `node_modules`, since /tmp is often memory.
 */

import { hash } from 'node:crypto';
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type AuditInput, type Journal, openJournal } from '../src/audit/journal/journal.ts';
import { Frontier } from '../src/audit/proof/tree.ts';
import { RecordEncoder } from '../src/audit/record/encode.ts';
import { createSystemClock, hrTimeToNanos, toHrTime } from '../src/core/clock.ts';
import { breakerChange } from './support.ts';

const RESOURCE = {
  'service.name': 'momentum-bot',
  'service.version': '1.2.3',
  'host.name': 'bench',
  'telemetry.sdk.language': 'nodejs',
};
const SCOPE = { name: 'risktrail', version: '0.1.0' };
const STREAM = 'momentum-bot/0193f6a0-1111-7aaa-8bbb-123456789abc';
const REPEATS = 9;
const BATCH = 5_000;

const clock = createSystemClock();
const base = process.env['RISKTRAIL_BENCH_DIR'] ?? join(import.meta.dirname, '..');
const dir = mkdtempSync(join(base, '.bench-journal-'));
process.on('exit', () => rmSync(dir, { recursive: true, force: true }));

function input(index: number): AuditInput {
  return breakerChange(index, hrTimeToNanos(toHrTime(clock.now())));
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

function quantile(values: Float64Array, share: number): number {
  return values.toSorted()[Math.min(values.length - 1, Math.floor(values.length * share))]!;
}

interface Case {
  readonly name: string;
  run(index: number): unknown;
  after?(): void | Promise<void>;
}

/** Medians in µs per call. The cases take turns, so that a slow moment of the machine meets all of them. */
async function compare(cases: readonly Case[]): Promise<Map<string, number>> {
  const times = new Map<string, number[]>(cases.map(({ name }) => [name, []]));
  for (let repeat = -10; repeat < REPEATS; repeat++) {
    for (const one of cases) {
      const start = performance.now();
      for (let i = 0; i < BATCH; i++) one.run(i);
      const perCall = ((performance.now() - start) / BATCH) * 1000;
      if (repeat >= 0) times.get(one.name)!.push(perCall);
      await one.after?.();
    }
  }
  return new Map([...times].map(([name, values]) => [name, median(values)]));
}

function openBenchJournal(name: string): Journal {
  return openJournal({
    dataDir: join(dir, name),
    serviceName: 'momentum-bot',
    resource: RESOURCE,
    scope: SCOPE,
    clock,
    onError: (error, what) => console.error(what, error),
  });
}

async function parts(): Promise<void> {
  const encoder = new RecordEncoder({ stream: STREAM, resource: RESOURCE, scope: SCOPE });
  const sample = encoder.encode(input(1), 123_456);
  const { canonical, lineBytes } = sample;
  const line = Buffer.from(sample.line.subarray(0, lineBytes));
  const node = Buffer.alloc(65, 1);
  const leaf = Buffer.alloc(32, 2);
  const frontier = new Frontier();
  const fd = openSync(join(dir, 'plain'), 'a');
  const journal = openBenchJournal('parts');
  const yieldOnce = () => new Promise<void>((resolve) => setImmediate(resolve));
  const medians = await compare([
    { name: 'making the input (clock, objects)', run: input },
    { name: 'encode: canonical text, leaf hash, line', run: (i) => encoder.encode(input(i), i) },
    { name: 'SHA-256 of the canonical text', run: (i) => hash('sha256', `\0${canonical}${i}`, 'base64') },
    { name: 'SHA-256 of two nodes', run: () => hash('sha256', node, 'binary') },
    { name: 'tree append', run: () => frontier.append(leaf) },
    { name: 'writeSync of the line', run: () => writeSync(fd, line, 0, lineBytes), after: () => ftruncateSync(fd) },
    {
      name: 'append (all of it)',
      run: (i) => journal.append(input(i)),
      after: async () => {
        await journal.checkpoint();
        await yieldOnce();
      },
    },
  ]);
  closeSync(fd);
  await journal.close('bench');
  // On its own, since its garbage weighs on whatever takes turns with it.
  const generic = await compare([
    { name: 'JSON.stringify of the line, generic', run: () => JSON.stringify(PARSED_LINE) },
  ]);
  console.log(`\nline ${lineBytes} bytes, canonical text ${canonical.length}; medians of ${REPEATS} × ${BATCH}`);
  for (const [name, time] of [...medians, ...generic])
    console.log(`${name.padEnd(44)}${time.toFixed(2).padStart(8)} µs`);
  const get = (name: string) => medians.get(name)!;
  const sum = get('encode: canonical text, leaf hash, line') + get('tree append') + get('writeSync of the line');
  console.log(`${'encode + tree + writeSync'.padEnd(44)}${sum.toFixed(2).padStart(8)} µs`);
  console.log(
    `append ÷ (encode + tree + writeSync)        ${(get('append (all of it)') / sum).toFixed(2).padStart(8)}`,
  );
}

let PARSED_LINE: unknown;
{
  const encoder = new RecordEncoder({ stream: STREAM, resource: RESOURCE, scope: SCOPE });
  const { line, lineBytes } = encoder.encode(input(1), 123_456);
  PARSED_LINE = JSON.parse(line.toString('utf8', 0, lineBytes));
}

async function latency(
  name: string,
  count: number,
  pause: (index: number) => Promise<void> | undefined,
): Promise<void> {
  const journal = openBenchJournal(name);
  for (let i = 0; i < 5_000; i++) journal.append(input(i));
  await journal.checkpoint();
  const times = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const event = input(i);
    const start = performance.now();
    journal.append(event);
    times[i] = (performance.now() - start) * 1000;
    const wait = pause(i);
    if (wait !== undefined) await wait;
  }
  const { checkpoints } = journal.stats();
  await journal.close('bench');
  const shown = [0.5, 0.99, 0.999, 0.9999].map((share) => `p${share * 100} ${quantile(times, share).toFixed(1)}`);
  console.log(
    `${name.padEnd(30)} ${shown.join('  ')}  max ${quantile(times, 1).toFixed(0)} µs; ${checkpoints} checkpoints`,
  );
}

async function memory(): Promise<void> {
  const journal = openBenchJournal('memory');
  for (let i = 0; i < 20_000; i++) journal.append(input(i));
  await journal.checkpoint();
  globalThis.gc?.();
  const idle = process.memoryUsage().rss;
  let highest = idle;
  const start = performance.now();
  for (let i = 0; i < 1_000_000; i++) {
    journal.append(input(i));
    if (i % 1000 === 0) {
      await new Promise((resolve) => setImmediate(resolve));
      highest = Math.max(highest, process.memoryUsage().rss);
    }
  }
  const seconds = (performance.now() - start) / 1000;
  await journal.close('bench');
  const above = (bytes: number) => `${((bytes - idle) / 1_048_576).toFixed(1)} MB`;
  console.log(
    `1 M appends in ${seconds.toFixed(1)} s: resident memory at most ${above(highest)} above idle, ${above(process.memoryUsage().rss)} at the end`,
  );
}

const tick = () => new Promise<void>((resolve) => setImmediate(resolve));
const sleep = () => new Promise<void>((resolve) => setTimeout(resolve, 1));
await parts();
console.log();
await latency('paced, 10 a millisecond', 30_000, (i) => (i % 10 === 0 ? sleep() : undefined));
await latency('burst, a turn each 100', 200_000, (i) => (i % 100 === 0 ? tick() : undefined));
await latency('burst, a turn each 5,000', 200_000, (i) => (i % 5_000 === 0 ? tick() : undefined));
await memory();
