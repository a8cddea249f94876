import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseVerifierKeys } from '../../src/audit/proof/note.ts';
import { type VerifyReport, verifyTrail } from '../../src/audit/verify/verify.ts';
import { lineOf, MadeKey, type MadeRecord, MadeStream, makeStream, reseal } from '../support/trail-maker.ts';

const KEY = new MadeKey('bot');
const keys = parseVerifierKeys(KEY.vkey);
const UUID = '0b5f0e52-6b2a-4b6e-9d3c-2f0f9a7d1c11';

let directory = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'risktrail-property-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

async function verify(name: string, records: readonly MadeRecord[]): Promise<VerifyReport> {
  const path = join(directory, name);
  writeFileSync(path, records.map((record) => lineOf(record)).join(''));
  const report = await verifyTrail({ paths: [path], keys });
  rmSync(path);
  return report;
}

/** A report without places, which differ between files. */
const essence = ({ streams, exitStatus }: VerifyReport) => ({
  exitStatus,
  streams: streams.map(({ findings, ...rest }) => ({
    ...rest,
    findings: findings.map(({ kind, sequence }) => `${kind} ${sequence}`).sort(),
  })),
});

/** A stream of 60 records that twice accounts for the removal of its beginning, and is closed. */
function makePruned(): MadeRecord[] {
  const stream = new MadeStream(KEY, UUID);
  stream.addMany(20);
  stream.checkpoint(stream.note(13));
  stream.pruned(stream, 13);
  stream.addMany(10);
  stream.checkpoint();
  stream.pruned(stream, 32);
  stream.addMany(20);
  stream.checkpoint(stream.note(50));
  stream.addMany(3);
  stream.close();
  return stream.records;
}

/** What a test does to a trail of 60 records. */
type Tampering = (records: MadeRecord[], at: number) => void;
const TAMPERINGS: readonly Tampering[] = [
  () => undefined,
  (records, at) => void records.splice(at, 1),
  (records, at) => void records.splice(at, 7),
  (records, at) => void records.splice(at),
  (records, at) => void records.splice(0, at),
  (records, at) => void records.splice(at / 2, at / 2),
  (records, at) => {
    const changed = { ...(records[at] as MadeRecord), body: 'changed' };
    records[at] = changed;
  },
  (records, at) => {
    const changed = { ...(records[at] as MadeRecord), body: 'changed' };
    reseal(changed);
    records[at] = changed;
  },
];

describe('a verification', () => {
  it('comes to the same of a journal in order, and of the same records in any order and repeated', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(makeStream(KEY, UUID, 60).records, makePruned()),
        fc.constantFrom(...TAMPERINGS),
        fc.integer({ min: 1, max: 58 }),
        fc.array(fc.nat(), { minLength: 60, maxLength: 60 }),
        fc.array(fc.nat(), { maxLength: 10 }),
        async (records, tamper, at, order, repeats) => {
          const held = [...records];
          tamper(held, at);
          const shuffled = held
            .map((record, index) => [order[index] as number, record] as const)
            .sort(([a], [b]) => a - b)
            .map(([, record]) => record);
          // A repeated record that is invalid is told once for each time that it stands there.
          const intact = held.filter((record) => records.includes(record));
          const more = repeats.map((index) => intact[index % intact.length] as MadeRecord);
          const inOrder = await verify('00000000000000000000.jsonl', held);
          expect(essence(await verify('collector.jsonl', [...shuffled, ...more]))).toEqual(essence(inOrder));
          expect(essence(await verify('00000000000000000000.jsonl', [...more, ...shuffled]))).toEqual(essence(inOrder));
        },
      ),
      { numRuns: 100 },
    );
  });

  it('finds every single change, removal and insertion below the newest checkpoint', async () => {
    const { records } = makeStream(KEY, UUID, 60);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 58 }), fc.nat({ max: 3 }), async (at, how) => {
        const held = [...records];
        const changed: MadeRecord = { ...(records[at] as MadeRecord), body: 'changed' };
        if (how > 0) reseal(changed);
        if (how < 2) held[at] = changed;
        else if (how === 2) held.splice(at, 1);
        else held.push(changed);
        const report = await verify('00000000000000000000.jsonl', held);
        expect(report.exitStatus).toBe(how === 2 ? 2 : 1);
      }),
      { numRuns: 60 },
    );
  });
});
