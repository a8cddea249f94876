import { appendFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { parseVerifierKeys } from '../../src/audit/proof/note.ts';
import { openFindingJournal } from '../../src/audit/verify/finding-journal.ts';
import { followVerification, type StreamFinding } from '../../src/audit/verify/follow.ts';
import { verifyTrail } from '../../src/audit/verify/verify.ts';
import { createManualClock } from '../../src/core/clock.ts';
import { readTrail } from '../support/trail.ts';
import {
  journalOf,
  lineOf,
  MadeKey,
  type MadeRecord,
  makeDirectory,
  makeStream,
  segmentOf,
} from '../support/trail-maker.ts';

const KEY = new MadeKey('bot');
const keys = parseVerifierKeys(KEY.vkey);
const UUID = '0b5f0e52-6b2a-4b6e-9d3c-2f0f9a7d1c11';

const made: string[] = [];
afterEach(() => {
  for (const directory of made.splice(0)) rmSync(directory, { recursive: true });
});

/** Follows a trail; before each look but the first the next step is taken, and after the last it ends. */
async function follow(directory: string, steps: readonly (() => void)[]) {
  const stop = new AbortController();
  const found: (StreamFinding & { look: number })[] = [];
  const through: (number | null | undefined)[] = [];
  const { exitStatus, report } = await followVerification({
    paths: [directory],
    keys,
    signal: stop.signal,
    intervalMs: 0,
    onFinding: (finding) => void found.push({ ...finding, look: through.length }),
    onLook: ({ streams }) => {
      steps[through.length]?.();
      through.push(streams[0]?.verifiedThrough);
      if (through.length > steps.length) stop.abort();
    },
  });
  return {
    exitStatus,
    report,
    through,
    found: found.map(({ kind, sequence, look }) => `${look}: ${kind} ${sequence}`),
  };
}

describe('verify --follow', () => {
  it('goes on with what is written, new segments included, and finds nothing in a whole trail', async () => {
    const stream = makeStream(KEY, UUID, 60);
    const directory = makeDirectory(journalOf(stream, stream.records.slice(0, 25)));
    made.push(directory);
    const put = (name: string, records: readonly MadeRecord[]) =>
      appendFileSync(join(directory, name), records.map((record) => lineOf(record)).join(''));
    const { exitStatus, report, through, found } = await follow(directory, [
      () => put(segmentOf(stream, 15), stream.records.slice(25, 30)),
      () => put(segmentOf(stream, 30), stream.records.slice(30, 55)),
      () => put(segmentOf(stream, 55), stream.records.slice(55)),
    ]);
    expect({ exitStatus, found, through }).toEqual({ exitStatus: 0, found: [], through: [18, 28, 48, 58] });
    expect(report.streams[0]).toMatchObject({ records: 60, closed: true, checkpoints: 6 });
  });

  it('tells of each finding once, when it is made, and ends with the status of all of them', async () => {
    const stream = makeStream(KEY, UUID, 60);
    const directory = makeDirectory(journalOf(stream, stream.records.slice(0, 30)));
    made.push(directory);
    const path = join(directory, segmentOf(stream, 30));
    const text = (records: readonly MadeRecord[]) => records.map((record) => lineOf(record)).join('');
    const changed = { ...(stream.records[42] as MadeRecord), body: 'changed' };
    const { exitStatus, found } = await follow(directory, [
      () => writeFileSync(path, text(stream.records.slice(33, 40))),
      () => appendFileSync(path, text([stream.records[40] as MadeRecord, stream.records[41] as MadeRecord, changed])),
      () => appendFileSync(path, text(stream.records.slice(43))),
      // All is mended: what was found was found.
      () => writeFileSync(path, text(stream.records.slice(30))),
    ]);
    expect(found).toEqual(['1: GAP 30', '2: INVALID 42']);
    expect(exitStatus).toBe(1);
  });

  it('fails at once where there is nothing to verify', async () => {
    const directory = makeDirectory({ 'verifier.vkey': `${KEY.vkey}\n` });
    made.push(directory);
    await expect(follow(directory, [])).rejects.toMatchObject({ code: 'NOTHING_TO_VERIFY' });
  });

  it('records findings in a journal of its own service, which verifies', async () => {
    const directory = join(makeDirectory({}), 'verifier');
    made.push(dirname(directory));
    mkdirSync(directory);
    const errors: unknown[] = [];
    const clock = createManualClock(Date.UTC(2026, 0, 1));
    const journal = openFindingJournal(directory, `bot/${UUID}`, (error) => errors.push(error), clock);
    const detail = 'records 30 to 32 (3) missing';
    journal.add({ stream: `bot/${UUID}`, kind: 'GAP', sequence: 30, file: null, line: null, detail });
    await journal.close();
    expect(errors).toEqual([]);
    expect(await verifyTrail({ paths: [directory], strict: true })).toMatchObject({ exitStatus: 0 });
    const finding = (await readTrail(directory)).find((record) => record.event === 'audit.finding');
    expect(finding?.stream).toMatch(/^bot-verifier\//);
    expect(finding).toMatchObject({
      body: `Verification: GAP (${detail})`,
      'audit.finding.kind': 'GAP',
      'audit.finding.detail': detail,
      'audit.finding.stream': `bot/${UUID}`,
      'audit.finding.sequence': 30,
    });
  });
});
