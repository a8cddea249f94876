/**
 * A process that emits without pause until it is killed, and reports each record whose `append` returned, as
 * `<stream> <sequence> <record id>`, and each that was committed, as `<stream> committed <record id>`, a line each. Arguments:
 * data directory, segment size, checkpoint records.
 */
import { writeSync } from 'node:fs';
import { openTestJournal, testEvent } from './journal.ts';

const [dataDir, segmentMaxBytes, checkpointRecords] = process.argv.slice(2);
const journal = openTestJournal(dataDir!, {
  segmentMaxBytes: Number(segmentMaxBytes),
  checkpointRecords: Number(checkpointRecords),
  checkpointIntervalMs: 20,
});

let index = 0;
function emit(): void {
  // Some in one go, then a turn of the event loop: checkpoints finish in between.
  for (let i = 0; i < 10; i++) {
    const { recordId, sequence } = journal.append(testEvent(index++));
    writeSync(1, `${journal.stream} ${sequence} ${recordId}\n`);
  }
  for (let i = 0; i < 10; i++) {
    const { recordId, committed } = journal.append(testEvent(index++), 'commit');
    void committed!.then(() => writeSync(1, `${journal.stream} committed ${recordId}\n`));
  }
  setImmediate(emit);
}
emit();
