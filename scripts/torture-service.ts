/** What a trading service holds of the trail, without the service: a journal, its shipper, sealing and retention. */
import { type AuditInput, type Journal, openJournal } from '../src/audit/journal/journal.ts';
import type { AppendResult, ReliedOn } from '../src/audit/journal/journal-types.ts';
import type { RetentionPolicy } from '../src/audit/retain/prune-plan.ts';
import { RetainWorker } from '../src/audit/retain/retain-worker.ts';
import { Retention } from '../src/audit/retain/retention.ts';
import { Sealer } from '../src/audit/retain/sealer.ts';
import type { ShipperSettings } from '../src/audit/ship/settings.ts';
import { createShipper, type Shipper } from '../src/audit/ship/shipper.ts';
import { createSystemClock } from '../src/core/clock.ts';

/** What the parts are told. */
export interface ServiceOptions {
  readonly dataDir: string;
  readonly serviceName: string;
  readonly segmentMaxBytes?: number;
  /** As the journal's own option. */
  readonly stallBudgetMs?: number;
  /** Without, nothing is shipped. */
  readonly shipping: ShipperSettings | undefined;
  /** Runs all the time, so that a kill is likely to meet it. */
  readonly policy?: RetentionPolicy;
  readonly onError: (error: unknown, what: string) => void;
}

/** The running parts. */
export interface Service {
  readonly journal: Journal;
  readonly shipper: Shipper | undefined;
  append(input: AuditInput, reliedOn?: ReliedOn): AppendResult;
  /** Closes the stream, then sends what is left for as long as that. */
  close(deadlineMs: number): Promise<void>;
}

const RETENTION_PAUSE_MS = 200;
const SEAL_INTERVAL_MS = 20;

/** Starts everything. */
export function openService(options: ServiceOptions): Service {
  const { dataDir, serviceName, segmentMaxBytes, stallBudgetMs, shipping, policy = {}, onError } = options;
  const clock = createSystemClock();
  const journal = openJournal({
    dataDir,
    serviceName,
    resource: { 'service.name': serviceName },
    scope: { name: 'risktrail', version: '0' },
    clock,
    onError,
    ...(segmentMaxBytes === undefined ? {} : { segmentMaxBytes }),
    ...(stallBudgetMs === undefined ? {} : { stallBudgetMs }),
  });
  const shipper =
    shipping &&
    createShipper({
      dataDir,
      settings: shipping,
      clock,
      onError,
      onRejected: (record) => onError(record.answer, 'rejected'),
    });
  shipper?.start();
  journal.onDurable((position) => shipper?.notify(position));

  const runner = new RetainWorker({ clock, onError });
  const sealer = new Sealer({ dataDir, live: journal, runner, clock, onError, intervalMs: SEAL_INTERVAL_MS });
  const retention = new Retention({
    dataDir,
    journal,
    runner,
    sealer,
    clock,
    policy,
    shipping: shipping !== undefined,
    onError,
  });
  journal.onCheckpoint(({ size }) => sealer.checkpointed(size));
  let closing = false;
  const tend = async () => {
    await sealer.sealEnded();
    do {
      await retention.run();
      await new Promise((resolve) => setTimeout(resolve, RETENTION_PAUSE_MS));
    } while (!closing);
  };
  const tending = tend();

  return {
    journal,
    shipper,
    append: (input, reliedOn) => journal.append(input, reliedOn),
    async close(deadlineMs) {
      closing = true;
      // The thread of retention keeps no process alive: somebody has to wait for it.
      const waiting = setInterval(() => {}, 1000);
      await tending;
      sealer.stop();
      await runner.stop();
      await journal.close('shutdown');
      await shipper?.stop(deadlineMs);
      clearInterval(waiting);
    },
  };
}
