/**
 * A process that records events and ships them, for tests that kill it: `node ship-child.ts DATA_DIR ENDPOINT COUNT`. Prints
 * the highest number that the journal took, a line each thousand records, then `done`, and stays until it is killed.
 */
import { openJournal } from '../../src/audit/journal/journal.ts';
import { readShipperSettings } from '../../src/audit/ship/settings.ts';
import { createShipper } from '../../src/audit/ship/shipper.ts';
import { createSystemClock } from '../../src/core/clock.ts';
import { testEvent } from './journal.ts';

const [dataDir, endpoint, count] = process.argv.slice(2);
const clock = createSystemClock();
const onError = (error: unknown, what: string) => console.error(what, error);
const journal = openJournal({
  dataDir: dataDir!,
  serviceName: 'bot',
  resource: { 'service.name': 'bot' },
  scope: { name: 'risktrail', version: '0.1.0' },
  clock,
  segmentMaxBytes: 500_000,
  onError,
});
const settings = readShipperSettings({}, endpoint)!;
const shipper = createShipper({
  dataDir: dataDir!,
  settings: { ...settings, maxBatchRecords: 100, backOffMs: 20, maxBackOffMs: 100 },
  clock,
  onError,
  onRejected() {},
});
shipper.start();
journal.onDurable((position) => shipper.notify(position));
let next = 0;
const timer = setInterval(() => {
  let sequence: number | undefined;
  for (let i = 0; i < 1000 && next < Number(count); i++) ({ sequence } = journal.append(testEvent(next++)));
  // Records have no number while a slow disk makes the journal hold them in memory.
  if (sequence !== undefined) console.log(sequence);
  if (next < Number(count)) return;
  clearInterval(timer);
  console.log('done');
}, 10);
// Stays until it is told to go.
const stay = setInterval(() => {}, 1e6);
process.on('SIGTERM', async () => {
  clearInterval(timer);
  clearInterval(stay);
  await journal.close('SIGTERM');
  await shipper.stop(10_000);
  console.log(JSON.stringify(shipper.stats()));
});
