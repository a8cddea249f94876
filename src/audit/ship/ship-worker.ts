/** The shipper's thread: all reading, encoding and sending happens here, away from the trading code. */
import { parentPort, workerData } from 'node:worker_threads';
import { createSystemClock } from '../../core/clock.ts';
import { lowerThreadPriority } from '../../core/thread-priority.ts';
import type { DurablePosition } from '../journal/journal-types.ts';
import { createEncoder } from './encoder.ts';
import { LineParser } from './line.ts';
import { createOtlpClient } from './otlp-client.ts';
import { Pace } from './pace.ts';
import { ShipLoop } from './ship-loop.ts';
import type { WorkerOrder, WorkerReport, WorkerStart } from './ship-messages.ts';

/** Figures are told at most so often. */
const STATS_EVERY_MS = 200;

/** About a third of the processor time that the trading thread gets where both want all of it. */
const NICE = 5;

/** Of a processor, while there is a backlog: trading code that wakes up finds one free. */
const SHARE = 0.5;

lowerThreadPriority(NICE);
const { dataDir, settings } = workerData as WorkerStart;
const clock = createSystemClock();
const stopping = new AbortController();
const tell = (report: WorkerReport) => parentPort!.postMessage(report);
const tellError = (error: unknown, what: string) =>
  tell({ kind: 'error', message: error instanceof Error ? error.message : String(error), what });

let healthSent = 0;
let healthDropped = 0;
let position: DurablePosition | undefined;
let ending = false;
let statsTimer: NodeJS.Timeout | undefined;

const pace = new Pace(SHARE);
const loop = new ShipLoop({
  dataDir,
  settings,
  clock,
  onError: tellError,
  onRejected: (record) => tell({ kind: 'rejected', record }),
  onChange() {
    statsTimer ??= setTimeout(tellStats, STATS_EVERY_MS);
    if (ending) endWhereDone();
  },
  async pause(signal) {
    // The process waits for the end.
    if (!ending) await pace.pause(signal);
  },
});

function tellStats(): void {
  clearTimeout(statsTimer);
  statsTimer = undefined;
  tell({ kind: 'stats', stats: { ...loop.stats(), healthSent, healthDropped } });
}

/** When the end was asked for: it comes as soon as all is sent. */
function endWhereDone(): void {
  const { liveSequence, otherRecords } = loop.stats();
  if (otherRecords === 0 && liveSequence >= (position?.sequence ?? 0)) stopping.abort();
}

/** Of its own client, since an outage of the other's connections is just what it tells of. */
const healthClient = createOtlpClient(settings, clock);
const healthEncoder = createEncoder(settings);
const healthParser = new LineParser();
let sendingHealth = false;

async function sendHealth(bytes: Uint8Array): Promise<void> {
  const block = Buffer.from(bytes);
  const end = block.at(-1) === 10 ? block.length - 1 : block.length;
  const line = healthParser.split(block, 0, end);
  if (line === undefined || sendingHealth) {
    healthDropped++;
    return;
  }
  sendingHealth = true;
  try {
    const answer = await healthClient.send(await healthEncoder.encode([line]), 1);
    if (answer.kind === 'accepted') healthSent++;
    else healthDropped++;
  } catch {
    healthDropped++;
  } finally {
    sendingHealth = false;
    statsTimer ??= setTimeout(tellStats, STATS_EVERY_MS);
  }
}

parentPort!.on('message', (order: WorkerOrder) => {
  switch (order.kind) {
    case 'position':
      position = order.position;
      loop.setPosition(order.position);
      statsTimer ??= setTimeout(tellStats, STATS_EVERY_MS);
      break;
    case 'health':
      void sendHealth(order.line);
      break;
    case 'stop':
      ending = true;
      setTimeout(() => stopping.abort(), order.deadlineMs);
      endWhereDone();
  }
});

try {
  await loop.run(stopping.signal);
} catch (error) {
  // Anything but the end that was asked for is a defect: it ends the thread, and the other side begins a new one.
  if (!stopping.signal.aborted) throw error;
}
tellStats();
tell({ kind: 'stopped' });
