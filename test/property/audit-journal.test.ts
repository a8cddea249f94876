import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Journal } from '../../src/audit/journal/journal.ts';
import {
  copyAsCrashed,
  openTestJournal,
  recordsByStream,
  segmentPaths,
  temporaryDirectory,
  testEvent,
} from '../support/journal.ts';
import { verifyDirectory } from '../support/verify.ts';

const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constantFrom('append' as const, 'ahead' as const),
      count: fc.integer({ min: 1, max: 8 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom({ do: 'checkpoint' as const }, { do: 'request' as const }, { do: 'sync' as const }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('crash' as const), torn: fc.integer({ min: 0, max: 300 }) }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom({ do: 'close' as const }, { do: 'closeSync' as const }, { do: 'second' as const }),
  },
);

it('any interleaving of appends, checkpoints, rotations, crashes and ends leaves a trail that holds all and verifies', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 14 }),
      fc.integer({ min: 2000, max: 9000 }),
      fc.integer({ min: 2, max: 12 }),
      async (steps, segmentMaxBytes, checkpointRecords) => {
        const { path: root, remove } = temporaryDirectory();
        const journals: Journal[] = [];
        let dir = join(root, '0');
        let events = 0;
        const open = () => {
          const journal = openTestJournal(dir, { segmentMaxBytes, checkpointRecords, checkpointIntervalMs: 1_000_000 });
          journals.push(journal);
          return journal;
        };
        try {
          let journal = open();
          const appended = new Set<string>();
          /** Relied on once they are committed: the next act of this journal's writes them. */
          let ahead: string[] = [];
          for (const one of steps) {
            if (one.do === 'crash') ahead = [];
            else if (one.do !== 'ahead' && one.do !== 'second') {
              for (const record of ahead.splice(0)) appended.add(record);
            }
            switch (one.do) {
              case 'ahead':
                for (let i = 0; i < one.count; i++) {
                  const { recordId } = journal.append(testEvent(events++), 'commit');
                  ahead.push(`${journal.stream} ${recordId}`);
                }
                break;
              case 'append':
                for (let i = 0; i < one.count; i++) {
                  const { recordId, sequence } = journal.append(testEvent(events++));
                  appended.add(`${journal.stream} ${recordId}`).add(`${journal.stream} ${sequence} ${recordId}`);
                }
                break;
              case 'checkpoint':
                await journal.checkpoint();
                break;
              case 'request':
                journal.requestCheckpoint();
                break;
              case 'sync':
                await journal.sync();
                break;
              case 'close':
                await journal.close('property');
                journal = open();
                break;
              case 'closeSync':
                journal.closeSync('property');
                journal = open();
                break;
              case 'second':
                // The first writer dies with the next crash, or lives on beside.
                journal = open();
                break;
              case 'crash': {
                dir = copyAsCrashed(dir, join(root, String(journals.length)));
                const path = segmentPaths({ directory: join(dir, 'streams', journal.streamId) }).at(-1)!;
                appendFileSync(path, '{"resourceLogs":[{"resource":'.repeat(20).slice(0, one.torn));
                journal = open();
              }
            }
          }
          for (const one of journals) await one.close('property');
          for (const record of ahead) appended.add(record);
          const held = new Set<string>();
          for (const [stream, records] of await recordsByStream(dir)) {
            for (const { sequence, recordId } of records) {
              held.add(`${stream} ${recordId}`).add(`${stream} ${sequence} ${recordId}`);
            }
          }
          expect([...appended].filter((record) => !held.has(record))).toEqual([]);
          expect(await verifyDirectory(dir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
        } finally {
          for (const one of journals) one.closeSync('property');
          remove();
        }
      },
    ),
    { numRuns: 60 },
  );
});
