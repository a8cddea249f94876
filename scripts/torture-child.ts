/**
 * One life of a torture run: a process that does its work until it is killed. Its only argument is a `ChildTask` as JSON. It
 * prints `ready` once its work has begun. What goes wrong it prints to standard error.
 */
import type { AppendResult } from '../src/audit/journal/journal-types.ts';
import { reconcileTrail } from '../src/audit/reconcile/reconcile.ts';
import { readShipperSettings, type ShipperSettings } from '../src/audit/ship/settings.ts';
import { shipDirectory } from '../src/audit/ship/ship-directory.ts';
import { createSystemClock } from '../src/core/clock.ts';
import { AckWriter } from './torture-acks.ts';
import { KEY_ATTRIBUTE } from './torture-census.ts';
import type { ChildTask } from './torture-run.ts';
import { openService } from './torture-service.ts';

const TICK_MS = 2;
/** So many records in a row are relied on when they are appended, then as many when they are committed. */
const COMMITTED_RUN = 32;

const task = JSON.parse(process.argv[2]!) as ChildTask;
const clock = createSystemClock();
/** A refusal must not outlast a life: so short a one that the next attempt falls into it. */
const shipping: ShipperSettings = {
  ...readShipperSettings({ OTEL_EXPORTER_OTLP_ENDPOINT: task.endpoint })!,
  backOffMs: 50,
  maxBackOffMs: 200,
};
const report = (error: unknown, what: string) => console.error(`${what}: ${error}`);

/** Emits at the rate asked for until nothing is left to emit, acknowledging what is with the operating system. */
async function emit(take: (index: number) => AppendResult): Promise<void> {
  const acks = new AckWriter(task.ackFile);
  const start = performance.now();
  for (let index = 0, tries = 0; index < task.records; ) {
    const due = Math.min(task.records, ((performance.now() - start) / 1000) * task.recordsPerSecond);
    for (; tries < due; tries++) {
      const { state, committed } = take(index);
      // Numbers are given only to what was taken: an event that is refused leaves no hole in the count.
      if (state !== 'lost') index++;
      const count = index;
      if (state === 'written') acks.acknowledge(count);
      else committed?.then(() => acks.acknowledge(count)).catch(() => {});
    }
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
  acks.close();
}

async function service(): Promise<void> {
  const { dataDir, segmentMaxBytes, policy } = task;
  const running = openService({ dataDir, serviceName: 'torture', segmentMaxBytes, shipping, policy, onError: report });
  process.stdout.write('ready\n');
  await emit((index) => {
    const input = {
      eventName: 'risk.portfolio_limit.check',
      severityNumber: 9,
      severityText: 'INFO',
      body: 'Limit portfolio_delta: 42 of 100',
      timeUnixNano: `${clock.now()}000000`,
      traceId: '0193f6a011117aaa8bbb123456789abc',
      spanId: '0123456789abcdef',
      flags: 1,
      attributes: {
        [KEY_ATTRIBUTE]: `${task.life}:${index}`,
        'risk.limit.type': 'portfolio_delta',
        'risk.limit.utilization': (index % 1000) / 1000,
        'trading.symbol': 'AAPL',
        'trading.account.id': 'ACC123',
        'trading.price': 150.25 + (index % 100) / 4,
        'trading.quantity': index % 500,
        'risk.limit.decision': 'allowed',
      },
    };
    return running.append(input, Math.floor(index / COMMITTED_RUN) % 2 === 0 ? 'append' : 'commit');
  });
  await running.close(task.deadlineMs);
}

/** What `risktrail ship` does. */
async function ship(): Promise<void> {
  process.stdout.write('ready\n');
  await shipDirectory(task.dataDir, shipping, { signal: AbortSignal.timeout(task.deadlineMs) });
}

/** What `risktrail reconcile` does: only what it found in the copy may be removed. */
async function reconcile(): Promise<void> {
  process.stdout.write('ready\n');
  await reconcileTrail({ directory: task.dataDir, files: [task.copy], clock });
}

const ROLES = { service, ship, reconcile } as const satisfies Record<ChildTask['role'], () => Promise<void>>;
await ROLES[task.role]();
