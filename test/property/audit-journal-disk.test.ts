import fc from 'fast-check';
import { expect, it } from 'vitest';
import { openTestJournal, recordsByStream, temporaryDirectory, testEvent } from '../support/journal.ts';
import type { DiskCall } from '../support/journal-disk.ts';
import { createTestDisk } from '../support/journal-disk.ts';
import { verifyDirectory } from '../support/verify.ts';

const count = fc.integer({ min: 1, max: 12 });
const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constantFrom('append' as const, 'ahead' as const), count }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('stall' as const), ms: fc.constantFrom(0, 25) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('fail' as const),
      call: fc.constantFrom<DiskCall>('writeSync', 'fdatasync', 'openSync', 'ftruncateSync'),
      code: fc.constantFrom('ENOSPC', 'EIO', 'EROFS'),
      times: fc.integer({ min: 1, max: 3 }),
      partial: fc.integer({ min: 0, max: 3000 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      { do: 'mend' as const },
      { do: 'sync' as const },
      { do: 'checkpoint' as const },
      { do: 'turn' as const },
    ),
  },
);

it('any interleaving of appends, announcements and trouble with the disk loses nothing that was told as recorded', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 4, maxLength: 20 }),
      fc.integer({ min: 3000, max: 60_000 }),
      fc.constantFrom(5000, 40_000, 1_000_000),
      async (steps, segmentMaxBytes, waitBufferBytes) => {
        const { path: dir, remove } = temporaryDirectory();
        const disk = createTestDisk();
        const journal = openTestJournal(dir, {
          fs: disk.fs,
          segmentMaxBytes,
          waitBufferBytes,
          stallBudgetMs: 20,
          calmMs: 0,
          retryMs: 0,
          checkpointIntervalMs: 1_000_000,
          onError: () => {},
        });
        try {
          const told = new Set<string>();
          const taken: number[] = [];
          let next = 0;
          for (const one of steps) {
            switch (one.do) {
              case 'append':
              case 'ahead':
                for (let i = 0; i < one.count; i++) {
                  const index = next++;
                  const { state, recordId, committed } = journal.append(
                    testEvent(index),
                    one.do === 'ahead' ? 'commit' : 'append',
                  );
                  if (state !== 'lost') taken.push(index);
                  if (state === 'written') told.add(recordId);
                  committed?.then(
                    () => told.add(recordId),
                    () => {},
                  );
                }
                break;
              case 'stall':
                disk.delayWrites(one.ms);
                break;
              case 'fail':
                disk.fail(one.call, one.code, one.times, one.partial);
                break;
              case 'mend':
                disk.mend();
                break;
              case 'turn':
                await new Promise((resolve) => setImmediate(resolve));
                break;
              default:
                await journal[one.do]().catch((error) => expect(error).toMatchObject({ code: 'AUDIT_NOT_DURABLE' }));
            }
          }
          disk.mend();
          await journal.checkpoint();
          await journal.close('property');
          const records = (await recordsByStream(dir)).get(journal.stream)!;
          expect(records.map((record) => record.sequence)).toEqual(records.map((_, index) => index));
          const held = new Set(records.map((record) => record.recordId));
          expect([...told].filter((id) => !held.has(id))).toEqual([]);
          const events = records.filter((one) => one.eventName.startsWith('risk.'));
          expect(events.map((one) => Number(one.attributes['index']))).toEqual(taken);
          // Events of the trail's own are counted as well.
          const { lostRecords, waiting } = journal.stats();
          expect(lostRecords).toBeGreaterThanOrEqual(next - taken.length);
          expect(waiting).toMatchObject({ records: 0, bytes: 0 });
          const toldLost = records.map((one) => Number(one.attributes['audit.degraded.lost_records'] ?? 0));
          expect(toldLost.reduce((sum, lost) => sum + lost, 0)).toBe(lostRecords);
          expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
        } finally {
          disk.mend();
          journal.closeSync('property');
          remove();
        }
      },
    ),
    { numRuns: 60 },
  );
}, 120_000);
