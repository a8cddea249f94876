/**
 * A process or worker thread that opens a journal, says its stream, emits on demand and closes. Arguments: data directory,
 * events. As a process it waits for a line on stdin after opening, so that several write at the same time.
 */
import { once } from 'node:events';
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { openTestJournal, testEvent } from './journal.ts';

const [dataDir, events] = isMainThread ? process.argv.slice(2) : workerData;
const say = (text: string) => (isMainThread ? console.log(text) : parentPort!.postMessage(text));

const journal = openTestJournal(dataDir, { checkpointRecords: 50 });
say(journal.stream);
await (isMainThread ? once(process.stdin, 'data') : once(parentPort!, 'message'));
for (let i = 0; i < Number(events); i++) {
  journal.append(testEvent(i));
  if (i % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
}
await journal.close('done');
process.exit();
