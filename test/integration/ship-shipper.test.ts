import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { tryLock } from '../../src/audit/journal/lock.ts';
import { readShippedPosition } from '../../src/audit/journal/shipped-position.ts';
import { lockPath } from '../../src/audit/journal/streams.ts';
import { lockForShipping } from '../../src/audit/ship/dead-stream.ts';
import type { RejectedRecord } from '../../src/audit/ship/rejected.ts';
import { readShipperSettings } from '../../src/audit/ship/settings.ts';
import { shipDirectory } from '../../src/audit/ship/ship-directory.ts';
import { createShipper, type Shipper, type ShipperStats } from '../../src/audit/ship/shipper.ts';
import { createSystemClock } from '../../src/core/clock.ts';
import { openTestJournal, temporaryDirectory, testEvent } from '../support/journal.ts';
import { MadeStream, upTo } from '../support/made-stream.ts';
import { OK, type Receiver, startReceiver } from '../support/otlp-receiver.ts';

let directory: ReturnType<typeof temporaryDirectory>;
let receiver: Receiver;
let shippers: Shipper[];
let errors: string[];
let rejected: RejectedRecord[];
let children: ChildProcess[];
let failed: string;

beforeEach(async () => {
  directory = temporaryDirectory();
  receiver = await startReceiver();
  shippers = [];
  children = [];
  failed = '';
  errors = [];
  rejected = [];
});
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  await Promise.all(shippers.map((shipper) => shipper.stop(0)));
  await receiver.close();
  directory.remove();
});

function settings() {
  const read = readShipperSettings({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url })!;
  return { ...read, maxBatchRecords: 100, backOffMs: 10, maxBackOffMs: 40 };
}

function start(): Shipper {
  const shipper = createShipper({
    dataDir: directory.path,
    settings: settings(),
    clock: createSystemClock(),
    onError: (error, what) => errors.push(`${what}: ${(error as Error).message}`),
    onRejected: (record) => rejected.push(record),
  });
  shippers.push(shipper);
  shipper.start();
  return shipper;
}

/** Waits for something that comes by itself; the test's own time is the bound. */
async function until(what: () => boolean): Promise<void> {
  while (!what() && failed === '') await new Promise((resolve) => setTimeout(resolve, 10));
  expect(failed).toBe('');
}

const distinct = (numbers: readonly number[] | undefined) => [...new Set(numbers)].toSorted((a, b) => a - b);

describe('the shipper of a running journal', () => {
  it('sends what is on disk, and all of it when it is stopped after the journal', async () => {
    const journal = openTestJournal(directory.path, { segmentMaxBytes: 50_000 });
    const shipper = start();
    journal.onDurable((position) => shipper.notify(position));
    for (let i = 0; i < 500; i++) journal.append(testEvent(i));
    await journal.checkpoint();
    await until(() => distinct(receiver.accepted).length >= 500);
    for (let i = 0; i < 500; i++) journal.append(testEvent(i));
    await journal.close('test');
    await shipper.stop(20_000);
    const { records } = journal.stats();
    expect(receiver.acceptedByStream.get(journal.stream)).toEqual(upTo(records));
    expect(shipper.stats()).toMatchObject({
      backlogRecords: 0,
      backlogBytes: 0,
      backlogSeconds: 0,
      sentRecords: records,
      failing: false,
      restarts: 0,
    });
    expect(readShippedPosition(journal.directory)).toMatchObject({ sequence: records, stream: journal.stream });
    expect(errors).toEqual([]);
    // The next to look finds that it was closed, and that nothing is left.
    expect(await shipDirectory(directory.path, settings())).toMatchObject({ complete: true, requests: 0 });
    expect(readShippedPosition(journal.directory)).toMatchObject({ sequence: records, complete: true });
  });

  it('never sends a byte that is not known to be on disk', async () => {
    const made = new MadeStream(directory.path).add(10);
    const live = tryLock(lockPath(made.directory));
    const position = made.position();
    made.add(10);
    const shipper = start();
    shipper.notify(position);
    await until(() => shipper.stats().sentRecords === 10);
    expect(receiver.accepted).toEqual(upTo(10));
    shipper.notify(made.position());
    await until(() => receiver.accepted.length === 20);
    live?.release();
  });

  it('sends the streams of dead writers first, older ones first, and leaves those of living ones', async () => {
    const old = new MadeStream(directory.path, 1).add(150).seal().add(10);
    const older = new MadeStream(directory.path, 0).add(5);
    const foreign = new MadeStream(directory.path, 2).add(5);
    const lock = tryLock(lockPath(foreign.directory));
    const own = new MadeStream(directory.path, 3).add(5);
    const ownLock = tryLock(lockPath(own.directory));
    const shipper = start();
    shipper.notify(own.position());
    await until(() => receiver.accepted.length === 170);
    const order = [...new Set(receiver.requests.flatMap(({ streams }) => streams))];
    expect(order).toEqual([older.stream, old.stream, own.stream]);
    expect(receiver.acceptedByStream.get(old.stream)).toEqual(upTo(160));
    lock?.release();
    ownLock?.release();
  });

  it('tells a backlog with its age while nothing gets through, and that it is over', async () => {
    receiver.reply = () => ({ status: 503, body: 'full' });
    const made = new MadeStream(directory.path).add(20);
    const lock = tryLock(lockPath(made.directory));
    const shipper = start();
    shipper.notify(made.position());
    await until(() => shipper.stats().failing);
    const stats = shipper.stats();
    expect(stats).toMatchObject({ backlogRecords: 20, sentRecords: 0, lastSuccessMs: undefined });
    expect(stats.lastError?.message).toBe('503: full');
    await until(() => shipper.stats().backlogBytes > 0 && shipper.stats().backlogSeconds > 1e6);
    receiver.reply = () => OK;
    await until(() => shipper.stats().backlogRecords === 0);
    expect(shipper.stats()).toMatchObject({ failing: false, backlogBytes: 0, backlogSeconds: 0 });
    expect(errors).toEqual([`shipping: ${receiver.url}/v1/logs: 503: full`]);
    lock?.release();
  });

  it('tells of each record that was set aside, but not of refused tellings', async () => {
    receiver.reply = ({ sequences }) => (sequences.includes(3) || sequences.includes(4) ? { status: 400 } : OK);
    const event = (index: number) => (index === 4 ? { eventName: 'audit.record_rejected' } : {});
    const made = new MadeStream(directory.path).add(8, event);
    const lock = tryLock(lockPath(made.directory));
    const shipper = start();
    shipper.notify(made.position());
    await until(() => shipper.stats().rejectedRecords === 2);
    expect(rejected).toHaveLength(1);
    expect(rejected[0]).toMatchObject({ sequence: 3, eventName: 'risk.circuit_breaker.state_change' });
    expect(rejected[0]!.recordId).toMatch(/^[0-9a-f-]{36}$/);
    expect(errors.join()).toContain('record 4 is set aside');
    lock?.release();
  });

  it('sends health past the backlog, and drops it where that fails', async () => {
    const health =
      '{"resourceLogs":[{"resource":{},"scopeLogs":[{"scope":{},"logRecords":[{"eventName":"audit.health"}]}]}]}\n';
    receiver.reply = ({ records }) => (records[0]?.eventName === 'audit.health' ? OK : { status: 503 });
    const made = new MadeStream(directory.path).add(20);
    const lock = tryLock(lockPath(made.directory));
    const shipper = start();
    shipper.notify(made.position());
    await until(() => shipper.stats().failing);
    shipper.sendHealth(health);
    await until(() => shipper.stats().healthSent === 1);
    receiver.reply = () => ({ status: 503 });
    shipper.sendHealth(health);
    await until(() => shipper.stats().healthDropped === 1);
    shipper.sendHealth('nonsense');
    await until(() => shipper.stats().healthDropped === 2);
    lock?.release();
  });

  it('goes on when the directory is missing for a while, and tells of it', async () => {
    const shipper = start();
    await until(() => errors.length > 0);
    expect(errors.join()).toContain('ENOENT');
    const made = new MadeStream(directory.path).add(20);
    const lock = tryLock(lockPath(made.directory));
    shipper.notify(made.position());
    await until(() => shipper.stats().sentRecords === 20);
    expect(shipper.stats().restarts).toBe(0);
    lock?.release();
  });

  it('begins its thread anew when that dies', async () => {
    const made = new MadeStream(directory.path).add(20);
    const lock = tryLock(lockPath(made.directory));
    const shipper = start();
    shipper.notify(made.position());
    await until(() => shipper.stats().sentRecords === 20);
    // Not a position at all: the thread can't go on.
    shipper.notify(null as never);
    shipper.notify(made.add(20).position());
    // What the first one sent may be sent again, where it died before its cursor was on disk.
    await until(() => shipper.stats().sentRecords >= 40 && shipper.stats().backlogRecords === 0);
    expect(shipper.stats().restarts).toBe(1);
    expect(errors.join()).toContain('shipping thread');
    expect(distinct(receiver.accepted)).toEqual(upTo(40));
    lock?.release();
  });

  it('stops in time while nothing gets through, and keeps what it could not send', async () => {
    receiver.reply = () => () => {};
    const made = new MadeStream(directory.path).add(20);
    const lock = tryLock(lockPath(made.directory));
    const shipper = start();
    shipper.notify(made.position());
    await until(() => receiver.requests.length > 0);
    await Promise.all([shipper.stop(50), shipper.stop(50)]);
    expect(shipper.stats().backlogRecords).toBe(20);
    lock?.release();
    receiver.reply = () => OK;
    expect(await shipDirectory(directory.path, settings())).toMatchObject({ complete: true, sentRecords: 20 });
  });
});

describe('shipping a directory', () => {
  it('leaves streams whose writer lives and those that another process ships, and says so', async () => {
    const alive = new MadeStream(directory.path, 1).add(5);
    const taken = new MadeStream(directory.path, 2).add(5);
    const free = new MadeStream(directory.path, 3).add(5);
    const locks = [tryLock(lockPath(alive.directory)), lockForShipping(taken.directory)];
    const result = await shipDirectory(directory.path, settings());
    expect(result.streams).toMatchObject([
      { stream: alive.id, outcome: 'alive', remainingRecords: undefined },
      { stream: taken.id, outcome: 'taken', sentRecords: 0, remainingRecords: 5 },
      { stream: free.id, outcome: 'sent', sentRecords: 5, remainingRecords: 0 },
    ]);
    expect(result).toMatchObject({ complete: false, sentRecords: 5 });
    for (const lock of locks) lock?.release();
  });

  it('never looks again into a stream that was closed and sent', async () => {
    const journal = openTestJournal(directory.path);
    for (let i = 0; i < 10; i++) journal.append(testEvent(i));
    await journal.close('test');
    expect(await shipDirectory(directory.path, settings())).toMatchObject({ complete: true, sentRecords: 13 });
    expect(readShippedPosition(journal.directory)).toMatchObject({ complete: true, sequence: 13 });
    expect(await shipDirectory(directory.path, settings())).toMatchObject({
      complete: true,
      sentRecords: 0,
      requests: 0,
    });
  });

  it('takes a copy of the records alone, and a path relative to here', async () => {
    const made = new MadeStream(directory.path).add(5);
    rmSync(join(made.directory, 'state'), { recursive: true });
    const result = await shipDirectory(relative(process.cwd(), directory.path), settings());
    expect(result).toMatchObject({ complete: true, sentRecords: 5 });
  });

  it('ships what was added since', async () => {
    const made = new MadeStream(directory.path).add(5);
    await shipDirectory(directory.path, settings());
    made.add(5);
    expect(await shipDirectory(directory.path, settings())).toMatchObject({ complete: true, sentRecords: 5 });
    expect(receiver.accepted).toEqual(upTo(10));
  });

  it('stops at a signal, with the cursor where it was come to', async () => {
    const made = new MadeStream(directory.path).add(1_000);
    const stop = new AbortController();
    receiver.reply = (_request, index) => {
      if (index === 3) stop.abort();
      return OK;
    };
    const result = await shipDirectory(directory.path, settings(), { signal: stop.signal });
    expect(result.streams[0]).toMatchObject({ outcome: 'stopped' });
    expect(readShippedPosition(made.directory)?.sequence).toBe(result.sentRecords);
    expect(result.sentRecords + result.remainingRecords).toBe(1_000);
    expect(await shipDirectory(directory.path, settings())).toMatchObject({ complete: true });
    expect(distinct(receiver.accepted)).toEqual(upTo(1_000));
  });

  it('is told of a directory that holds no trail', async () => {
    await expect(shipDirectory(`${directory.path}/none`, settings())).rejects.toMatchObject({ code: 'NO_TRAIL_FILES' });
  });
});

describe('a process that ships', () => {
  function spawnChild(count: number): ChildProcess {
    const script = new URL('../support/ship-child.ts', import.meta.url).pathname;
    const child = spawn(process.execPath, [script, directory.path, `${receiver.url}/v1/logs`, String(count)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    child.on('exit', (code, signal) => {
      if (signal === null && code !== 0) failed = `the process ended with code ${code}`;
    });
    return child;
  }

  it('loses nothing by kill -9, and what is left is shipped from its directory', async () => {
    const child = spawnChild(100_000);
    let appended = -1;
    createInterface(child.stdout!).on('line', (line) => {
      if (line !== 'done') appended = Number(line);
    });
    await until(() => receiver.accepted.length > 3_000);
    child.kill('SIGKILL');
    await once(child, 'exit');
    const [stream] = receiver.acceptedByStream.keys();
    const cursor = readShippedPosition(`${directory.path}/streams/${stream!.split('/')[1]}`)?.sequence ?? 0;
    expect(cursor).toBeLessThanOrEqual(distinct(receiver.accepted).length);
    const result = await shipDirectory(directory.path, settings());
    expect(result).toMatchObject({ complete: true, remainingRecords: 0 });
    const numbers = distinct(receiver.acceptedByStream.get(stream!));
    expect(numbers).toEqual(upTo(numbers.length));
    expect(numbers.length).toBeGreaterThan(appended);
    // Each number came first in the order of the stream.
    expect([...new Set(receiver.accepted)]).toEqual(numbers);
  });

  it('sends all of it before an orderly end', async () => {
    const child = spawnChild(5_000);
    const lines: string[] = [];
    const output = createInterface(child.stdout!);
    output.on('line', (line) => lines.push(line));
    await until(() => lines.includes('done'));
    child.kill('SIGTERM');
    const [code] = await once(child, 'exit');
    expect(code).toBe(0);
    const stats = JSON.parse(lines.at(-1)!) as ShipperStats;
    expect(stats).toMatchObject({ backlogRecords: 0, failing: false });
    const numbers = distinct(receiver.accepted);
    expect(numbers).toEqual(upTo(numbers.length));
    expect(numbers.length).toBeGreaterThan(5_002);
  });
});
