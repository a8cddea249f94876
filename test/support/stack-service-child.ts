/**
 * A service for the tests of the stack: journal and shipper, driven by messages. Arguments: data directory, file for the
 * count of what was acknowledged, number of this life. With `SERVICE_WRITES_ITSELF=1` it never leaves writing to a thread,
 * which on a busy machine may get too little of a processor to keep up with a load.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { AckWriter } from '../../scripts/torture-acks.ts';
import { openService } from '../../scripts/torture-service.ts';
import { readShipperSettings } from '../../src/audit/ship/settings.ts';
import { testEvent } from './journal.ts';
import type { ServiceAnswer, ServiceCommand } from './stack-service.ts';

const TICK_MS = 5;

const [dataDir, ackFile, life] = process.argv.slice(2) as [string, string, string];
const service = openService({
  dataDir,
  serviceName: 'bot',
  segmentMaxBytes: 5_000_000,
  ...(process.env['SERVICE_WRITES_ITSELF'] === '1' ? { stallBudgetMs: 0 } : {}),
  shipping: readShipperSettings(process.env),
  onError: (error, what) => console.error(`${what}: ${error}`),
});
const acks = new AckWriter(ackFile);
let taken = 0;

/** The event says which life it is of, and which of that life's events. */
function emit(index: number): void {
  const { state } = service.append(testEvent(index, { body: `Event ${index} of life ${life}` }));
  if (state !== 'lost') taken++;
  if (state === 'written') acks.acknowledge(taken);
}

async function emitAll(records: number, overMs: number): Promise<void> {
  const start = performance.now();
  for (let done = 0; done < records; ) {
    const share = overMs === 0 ? 1 : (performance.now() - start) / overMs;
    for (const due = Math.min(records, share * records); done < due; done++) emit(done);
    if (done < records) await sleep(TICK_MS);
  }
}

function answer(): ServiceAnswer {
  const stats = service.shipper?.stats();
  return {
    taken,
    backlog: stats?.backlogRecords ?? 0,
    rejected: stats?.rejectedRecords ?? 0,
    lastError: stats?.lastError?.message ?? '',
  };
}

async function obey(command: ServiceCommand): Promise<void> {
  if (command.kind === 'emit') await emitAll(command.records, command.overMs);
  else if (command.kind === 'close') await service.close(command.deadlineMs);
}

process.on('message', async ({ id, command }: { id: number; command: ServiceCommand }) => {
  await obey(command);
  process.send!({ id, answer: answer() });
  if (command.kind === 'close') process.disconnect();
});
