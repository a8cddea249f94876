import { appendFileSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Journal } from '../../src/audit/journal/journal.ts';
import { listSegments } from '../../src/audit/journal/segment-files.ts';
import { ACCOUNT_EVENT } from '../../src/runtime/account-state.ts';
import { AccountStreams, type StreamState } from '../../src/runtime/account-streams.ts';
import { openTestJournal, testEvent } from '../support/journal.ts';
import { temporaryDirectory } from '../support/temporary.ts';

let made = 0;

function write(journal: Journal, pnl: number, account = 'ACC1'): void {
  const limits = [{ set: 'default', resetMs: 1, pnl, positions: [], pending: [] }];
  const snapshot = { version: 1, limits, breakers: [], demands: [], takesOver: [] };
  const attributes = { 'trading.account.id': account, 'risk.snapshot': snapshot };
  journal.append(testEvent(++made, { eventName: ACCOUNT_EVENT, attributes }));
}

function setup(options: Parameters<typeof openTestJournal>[1] = {}) {
  const dataDir = temporaryDirectory();
  const journal = openTestJournal(dataDir, options);
  onTestFinished(() => journal.closeSync('test'));
  const told: StreamState[] = [];
  const streams = new AccountStreams({
    ...{ dataDir, accountId: 'ACC1', ownId: '00000000-0000-4000-8000-000000000000' },
    onState: (state) => told.push(state),
    report: (error) => {
      throw error;
    },
  });
  onTestFinished(() => streams.stop());
  return { dataDir, journal, streams, told, resultsOf: () => told.map(({ state }) => state.limits[0]?.pnl) };
}

const lastFile = (journal: Journal): string => listSegments(journal.directory).at(-1)?.path as string;

describe('the states of other streams', () => {
  it('are read from the end, and followed from there: each newer one, across segments', async () => {
    const { journal, streams, resultsOf } = setup({ segmentMaxBytes: 4000 });
    write(journal, -1);
    for (let index = 0; index < 20; index++) journal.append(testEvent(++made));
    write(journal, -2);
    write(journal, -3, 'ACC2');
    journal.append(testEvent(++made));
    expect(streams.scan()).toMatchObject([{ stream: journal.stream, closed: false, state: { limits: [{ pnl: -2 }] } }]);
    await streams.look();
    expect(resultsOf()).toEqual([]);
    write(journal, -4);
    await streams.look();
    await streams.look();
    for (let index = 0; index < 20; index++) journal.append(testEvent(++made));
    write(journal, -5);
    await streams.look();
    expect(resultsOf()).toEqual([-4, -5]);
    expect(listSegments(journal.directory).length).toBeGreaterThan(3);
  });

  it('find a stream that is begun later', async () => {
    const { dataDir, journal, streams, told } = setup();
    expect(streams.scan()).toEqual([]);
    await streams.look();
    const other = openTestJournal(dataDir, { serviceName: 'other' });
    onTestFinished(() => other.closeSync('test'));
    write(other, -7);
    await streams.look();
    expect(told).toMatchObject([{ stream: other.stream }]);
    expect(other.stream).not.toBe(journal.stream);
  });

  it('trust no line that is being written, and none whose hash is not the one that it claims', async () => {
    const { journal, streams, resultsOf } = setup();
    write(journal, -1);
    streams.scan();
    write(journal, -2);
    const path = lastFile(journal);
    const whole = readFileSync(path, 'utf8');
    truncateSync(path, whole.length - 40);
    await streams.look();
    expect(resultsOf()).toEqual([]);
    writeFileSync(path, whole.replace('"doubleValue":-2', '"doubleValue":2').replace('"intValue":-2', '"intValue":2'));
    expect(readFileSync(path, 'utf8')).not.toBe(whole);
    await streams.look();
    expect(resultsOf()).toEqual([]);
    expect(streams.scan()).toMatchObject([{ state: { limits: [{ pnl: -1 }] } }]);
    writeFileSync(path, whole);
    expect(streams.scan()).toMatchObject([{ state: { limits: [{ pnl: -2 }] } }]);
    appendFileSync(path, whole.split('\n').at(-2)!.slice(0, 300));
    expect(streams.scan()).toMatchObject([{ state: { limits: [{ pnl: -2 }] } }]);
  });

  it('are found in a stream that ended in order, plain or sealed, and say so', async () => {
    const { dataDir, journal, streams } = setup();
    write(journal, -9);
    await journal.close('test');
    expect(streams.scan()).toMatchObject([{ closed: true, state: { limits: [{ pnl: -9 }] } }]);
    const path = lastFile(journal);
    writeFileSync(`${path}.zst`, zstdCompressSync(readFileSync(path)));
    rmSync(path);
    expect(streams.scan()).toMatchObject([{ closed: true, state: { limits: [{ pnl: -9 }] } }]);
    rmSync(join(dataDir, 'streams'), { recursive: true });
    expect(streams.scan()).toEqual([]);
  });
});
