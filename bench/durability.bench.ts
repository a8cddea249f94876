/**
 * What durability costs: concurrent commits against plain writes and fdatasync of the same bytes, and `append` on a disk
 * that stalls, with the writer thread and without.
 *
 *     node bench/durability.bench.ts
 */

import * as nodeFs from 'node:fs';
import { closeSync, fdatasync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type Journal, openJournal } from '../src/audit/journal/journal.ts';
import type { JournalFs } from '../src/audit/journal/journal-fs.ts';
import { listSegments } from '../src/audit/journal/segment-files.ts';
import { createSystemClock, hrTimeToNanos, toHrTime } from '../src/core/clock.ts';
import { createWriteSync, STALL_EVERY, STALL_MS } from './durability-disk.ts';
import { median, quantile, table, temporaryDirectory, Yardstick } from './support.ts';

const clock = createSystemClock();
const directory = process.env['RISKTRAIL_BENCH_DIR'] ?? temporaryDirectory();

const input = (i: number) => ({
  eventName: 'order.intent',
  severityNumber: 9,
  severityText: 'INFO',
  body: 'Order intent: buy 0.25 BTC/USDT at 61234.5',
  timeUnixNano: hrTimeToNanos(toHrTime(clock.now())),
  attributes: {
    'trading.symbol': 'BTC/USDT',
    'trading.side': 'buy',
    'trading.quantity': 0.25,
    'trading.price': 61_234.5 + (i % 100) / 100,
    'trading.order.id': `order-${i}`,
    'trading.order.type': 'limit',
    'trading.account.id': 'ACC123',
    'trading.strategy.id': 'momentum-1',
  },
});

function open(name: string, more: { fs?: JournalFs; stallBudgetMs?: number } = {}): Journal {
  return openJournal({
    dataDir: join(directory, name),
    serviceName: 'bench',
    resource: { 'service.name': 'bench' },
    scope: { name: 'risktrail', version: '0.0.0' },
    clock,
    segmentMaxBytes: 1_000_000_000,
    onError: (error, what) => console.error(what, error),
    ...more,
  });
}

/** Rounds of 64 callers who each append a record and wait for it to be on disk, in turn with plain writes of as many bytes. */
async function commits(): Promise<void> {
  const CALLERS = 64;
  // Where the file system puts a file makes a fifth of what its sync takes: several of each.
  const PAIRS = 8;
  const ROUNDS = 60;
  // As a service is that has run for a while.
  const WARMUP = 1500;
  const yardstick = new Yardstick();
  const rounds: { readonly readings: readonly number[]; readonly times: readonly number[] }[] = [];
  let journal: Journal;
  let plain: number;
  let bytes = Buffer.alloc(0);

  /** Microseconds a record. */
  async function perRecord(records: number, run: () => Promise<unknown>): Promise<number> {
    const start = performance.now();
    await run();
    return ((performance.now() - start) * 1000) / records;
  }
  /** What is recorded is the caller's, as the bytes of the plain writes are. */
  const inputsOf = (callers: number) => Array.from({ length: callers }, (_, i) => input(i));

  /** As `writeAhead` does. */
  function commitAhead(callers: number): Promise<number> {
    const inputs = inputsOf(callers);
    return perRecord(callers, () => Promise.all(inputs.map((one) => journal.append(one, 'commit').committed)));
  }

  /** As `emit` and then `commit` do. */
  function commitAll(callers: number): Promise<number> {
    const inputs = inputsOf(callers);
    return perRecord(callers, () =>
      Promise.all(
        inputs.map((one) => {
          journal.append(one);
          return journal.commit();
        }),
      ),
    );
  }
  function writeAll(callers: number): Promise<number> {
    return perRecord(callers, () => {
      for (let i = 0; i < callers; i++) writeSync(plain, bytes);
      return new Promise((resolve) => fdatasync(plain, resolve));
    });
  }

  const ways = [commitAhead, commitAll, writeAll];

  async function round(number: number): Promise<(typeof rounds)[number]> {
    const before = journal.stats().bytes;
    const readings = [yardstick.read()];
    const times: number[] = [];
    for (const [group, callers] of [CALLERS, 1].entries()) {
      // The first pays for what waits in the file system's own journal: each is the first in every third round.
      for (let turn = 0; turn < ways.length; turn++) {
        const way = (number + turn) % ways.length;
        times[group * ways.length + way] = await ways[way]!(callers);
        readings.push(yardstick.read());
      }
    }
    bytes = Buffer.alloc(Math.round((journal.stats().bytes - before) / (2 * (CALLERS + 1))), 'x');
    return { readings, times };
  }

  for (let pair = 0; pair < PAIRS; pair++) {
    journal = open(`commit-${pair}`);
    plain = openSync(join(directory, `plain-${pair}`), 'a');
    for (let i = pair === 0 ? -WARMUP : -10; i < ROUNDS; i++) {
      const measured = await round(i + WARMUP);
      if (i >= 0) rounds.push(measured);
    }
    await journal.close('bench');
    closeSync(plain);
  }
  const isClear = yardstick.clear();
  const clear = rounds.filter(({ readings }) => readings.every(isClear));
  const medians = (of: typeof rounds) => [0, 1, 2, 3, 4, 5].map((i) => median(of.map(({ times }) => times[i]!)));
  const [undisturbed, all] = [medians(clear), medians(rounds)];
  const row = (name: string, read: (times: readonly number[]) => number) => [name, read(undisturbed), read(all)];
  console.log(`### Commit, ${CALLERS} concurrent callers; medians of ${PAIRS} × ${ROUNDS} rounds in turn\n`);
  console.log(
    table(
      ['µs per record', `the processor ours (${clear.length} rounds)`, 'all rounds'],
      [
        row('append until the commit, as `writeAhead`', (times) => times[0]!),
        row('append, then commit', (times) => times[1]!),
        row('the same bytes: writes, then one fdatasync', (times) => times[2]!),
        row('ratio of the first (must be ≤ 1.50)', (times) => times[0]! / times[2]!),
        row('ratio of the second', (times) => times[1]! / times[2]!),
        row('one caller alone: append until the commit', (times) => times[3]!),
        row('append, then commit', (times) => times[4]!),
        row('one write and its fdatasync', (times) => times[5]!),
      ],
    ),
  );
}

async function stalls(): Promise<void> {
  const CALLS = 60_000;
  const rows: (string | number)[][] = [];
  for (const [name, stallBudgetMs] of [
    ['without the writer thread', 0],
    ['with it (budget 20 ms)', 20],
  ] as const) {
    const count = new Int32Array(new SharedArrayBuffer(4));
    const fs: JournalFs = {
      ...nodeFs,
      writeSync: createWriteSync(count),
      thread: { module: new URL('durability-disk.ts', import.meta.url).href, data: count },
    };
    const journal = open(`slow-${stallBudgetMs}`, { fs, stallBudgetMs });
    const times = new Float64Array(CALLS);
    for (let i = 0; i < CALLS; i++) {
      const event = input(i);
      const start = performance.now();
      journal.append(event);
      times[i] = (performance.now() - start) * 1000;
      if (i % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await journal.sync();
    const { stalls: stalled, lostRecords } = journal.stats();
    await journal.close('bench');
    const over = times.filter((time) => time > 100_000).length;
    rows.push([
      name,
      quantile(times, 0.5),
      quantile(times, 0.999),
      quantile(times, 0.9999),
      quantile(times, 1),
      `${over}`,
      `${stalled}`,
      `${lostRecords}`,
    ]);
  }
  console.log(`\n### append, each ${STALL_EVERY}th write taking ${STALL_MS} ms (${CALLS} calls, 10 a millisecond)\n`);
  console.log(table(['µs', '50 %', '99.9 %', '99.99 %', 'maximum', 'calls > 100 ms', 'stalls told', 'lost'], rows));
}

/** A start over a segment of 10 MB that a dead writer left. */
async function recovery(): Promise<void> {
  const name = 'recovery';
  let journal = open(name);
  while (journal.stats().bytes < 10_000_000) journal.append(input(journal.stats().records));
  await journal.sync();
  const files = listSegments(journal.directory).map((file) => [file.path, readFileSync(file.path)] as const);
  const times: number[] = [];
  const streams = join(directory, name, 'streams');
  const { streamId } = journal;
  await journal.close('bench');
  for (let round = 0; round < 5; round++) {
    rmSync(streams, { recursive: true });
    nodeFs.mkdirSync(join(streams, streamId, 'state'), { recursive: true });
    for (const [path, content] of files) nodeFs.writeFileSync(path, content);
    const start = performance.now();
    journal = open(name);
    times.push(performance.now() - start);
    if (journal.recovered === undefined) throw new Error('nothing was recovered');
    await journal.close('bench');
  }
  const bytes = files.reduce((sum, [, content]) => sum + content.length, 0);
  console.log(
    `\nopening over an open segment of ${bytes} bytes: ${median(times).toFixed(0)} ms (must be ≤ 150), ${times.map((one) => one.toFixed(0)).join(' ')}`,
  );
}

await commits();
await stalls();
await recovery();
