import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openTestJournal, recordsByStream, temporaryDirectory } from '../support/journal.ts';
import { verifyDirectory } from '../support/verify.ts';

const BURST = fileURLToPath(new URL('../support/journal-burst.ts', import.meta.url));
const EVENTS = 300;

let dir: string;
let remove: () => void;
beforeEach(() => {
  ({ path: dir, remove } = temporaryDirectory());
});
afterEach(() => remove());

interface Writer {
  readonly stream: Promise<string>;
  readonly done: Promise<unknown>;
  go(): void;
}

function process_(): Writer {
  const child = spawn(process.execPath, [BURST, dir, String(EVENTS)], { stdio: ['pipe', 'pipe', 'inherit'] });
  return {
    stream: once(child.stdout, 'data').then(([chunk]) => String(chunk).trim()),
    done: once(child, 'exit'),
    go: () => void child.stdin.write('go\n'),
  };
}

function thread(): Writer {
  const worker = new Worker(BURST, { workerData: [dir, EVENTS] });
  return {
    stream: once(worker, 'message').then(([stream]) => stream),
    done: once(worker, 'exit'),
    go: () => worker.postMessage('go'),
  };
}

async function expectStreamOfItsOwnEach(writers: Writer[]) {
  const streams = await Promise.all(writers.map((one) => one.stream));
  expect(new Set(streams).size).toBe(writers.length);
  for (const writer of writers) writer.go();
  await Promise.all(writers.map((one) => one.done));
  const found = await recordsByStream(dir);
  expect([...found.keys()].toSorted()).toEqual(streams.toSorted());
  for (const records of found.values()) {
    expect(records.filter((record) => !record.eventName.startsWith('audit.'))).toHaveLength(EVENTS);
  }
  expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
}

describe('a stream of its own, under one key', () => {
  it('is what each of several processes gets that start at once', async () => {
    await expectStreamOfItsOwnEach([process_(), process_(), process_()]);
  });

  it('is what each worker thread gets', async () => {
    await expectStreamOfItsOwnEach([thread(), thread(), thread()]);
  });

  it('is what each of two processes gets that start after a crash: one goes on, one begins', async () => {
    const dead = spawn(process.execPath, [BURST, dir, '0'], { stdio: ['pipe', 'pipe', 'inherit'] });
    const [stream] = await once(dead.stdout, 'data');
    dead.kill('SIGKILL');
    await once(dead, 'exit');
    const writers = [process_(), process_()];
    const streams = await Promise.all(writers.map((one) => one.stream));
    expect(streams.filter((one) => one === String(stream).trim())).toHaveLength(1);
    expect(new Set(streams).size).toBe(2);
    for (const writer of writers) writer.go();
    await Promise.all(writers.map((one) => one.done));
    expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });

  it('can be several within one thread as well', async () => {
    const journals = [openTestJournal(dir), openTestJournal(dir)];
    expect(journals[0]!.stream).not.toBe(journals[1]!.stream);
    for (const journal of journals) await journal.close('test');
    expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });
});
