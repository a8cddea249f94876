/**
 * The shipper as the process sees it: a handle on a worker thread that sends the trail. Nothing in here waits for the network
 * or the disk.
 */
import { Worker } from 'node:worker_threads';
import type { Clock } from '../../core/clock.ts';
import type { DurablePosition } from '../journal/journal-types.ts';
import { checkTlsFiles } from './otlp-client.ts';
import type { RejectedRecord } from './rejected.ts';
import { type ShipperSettings, withoutSecrets } from './settings.ts';
import type { WorkerOrder, WorkerReport, WorkerStart, WorkerStats } from './ship-messages.ts';

export type { RejectedRecord } from './rejected.ts';

/** What a shipper needs. */
export interface ShipperOptions {
  /** The data directory: all of its streams are shipped whose writers are this process or dead. */
  readonly dataDir: string;
  readonly settings: ShipperSettings;
  readonly clock: Clock;
  /** Told once when something begins to fail, and of each thing that is passed over. */
  readonly onError: (error: unknown, what: string) => void;
  /** Told of each record that was set aside, to be recorded as `audit.record_rejected`. */
  readonly onRejected: (record: RejectedRecord) => void;
}

/** How the shipping is. Times are milliseconds since the epoch. */
export interface ShipperStats {
  /** Without user, password and query. */
  readonly endpoint: string;
  /** Durable records that no receiver has acknowledged. */
  readonly backlogRecords: number;
  /** What they take on disk. */
  readonly backlogBytes: number;
  /** Age of the oldest of them; 0 where there is none. */
  readonly backlogSeconds: number;
  readonly requests: number;
  readonly sentRecords: number;
  readonly sentBytes: number;
  readonly rejectedRecords: number;
  readonly healthSent: number;
  readonly healthDropped: number;
  readonly lastSuccessMs: number | undefined;
  readonly lastError: { readonly message: string; readonly timeMs: number } | undefined;
  /** Nothing gets through at present. */
  readonly failing: boolean;
  /** How often the thread had to be begun anew. */
  readonly restarts: number;
}

/** A shipper. */
export interface Shipper {
  /** Begins; again does nothing. */
  start(): void;
  /** Tells how far the journal may be read: for `Journal.onDurable`. */
  notify(position: DurablePosition): void;
  stats(): ShipperStats;
  /** Sends one line of OTLP/JSON past the journal, at once or not at all. */
  sendHealth(line: string): void;
  /**
   * Sends what is left, for no longer than `deadlineMs`; what was not sent then is sent by the next start. Further calls share
   * one promise, which doesn't reject.
   */
  stop(deadlineMs: number): Promise<void>;
}

const REJECTED_EVENT = 'audit.record_rejected';
const FIRST_RESTART_MS = 1_000;
const MAX_RESTART_MS = 30_000;
/** A thread that lasted so long begins its successor at once again. */
const SOUND_MS = 60_000;
/** Beyond the deadline: time to put the cursor on disk. */
const GRACE_MS = 1_000;

const NOTHING: WorkerStats = {
  liveSequence: 0,
  otherRecords: 0,
  backlogBytes: 0,
  oldestMs: undefined,
  requests: 0,
  sentRecords: 0,
  sentBytes: 0,
  rejectedRecords: 0,
  lastSuccessMs: undefined,
  lastError: undefined,
  failing: false,
  healthSent: 0,
  healthDropped: 0,
};

/** Makes a shipper. @throws RiskTrailError FILE_UNREADABLE where a certificate or key that the settings name can't be read */
export function createShipper(options: ShipperOptions): Shipper {
  checkTlsFiles(options.settings);
  return new WorkerShipper(options);
}

class WorkerShipper implements Shipper {
  readonly #options: ShipperOptions;
  #worker: Worker | undefined;
  #beganMs = 0;
  #restartMs = FIRST_RESTART_MS;
  #restartTimer: NodeJS.Timeout | undefined;
  #restarts = 0;
  #position: DurablePosition | undefined;
  #stats = NOTHING;
  /** Sums of the threads before this one. */
  #before = NOTHING;
  #stopping: Promise<void> | undefined;
  #stopped: (() => void) | undefined;

  constructor(options: ShipperOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#worker !== undefined || this.#stopping !== undefined || this.#restartTimer !== undefined) return;
    const { dataDir, settings, clock } = this.#options;
    this.#beganMs = clock.monotonic();
    const own = import.meta.url.endsWith('.ts') ? './ship-worker.ts' : './ship-worker.js';
    const start: WorkerStart = { dataDir, settings };
    let worker: Worker;
    try {
      worker = new Worker(new URL(own, import.meta.url), {
        workerData: start,
        env: {},
        execArgv: [],
        name: 'risktrail-ship',
      });
    } catch (error) {
      // Too many threads, or no memory for one more.
      this.#died(error);
      return;
    }
    this.#worker = worker;
    let reason: unknown;
    worker.on('message', (report: WorkerReport) => this.#take(report));
    worker.on('error', (error) => {
      reason = error;
    });
    worker.on('exit', (code) => {
      if (this.#worker !== worker) return;
      this.#worker = undefined;
      if (this.#stopping === undefined) this.#died(reason ?? new Error(`the thread ended with code ${code}`));
      else this.#stopped?.();
    });
    // Behind the listeners: the first of messages takes it back.
    worker.unref();
    if (this.#position !== undefined) this.#order({ kind: 'position', position: this.#position });
  }

  #died(reason: unknown): void {
    const { clock } = this.#options;
    if (clock.monotonic() - this.#beganMs >= SOUND_MS) this.#restartMs = FIRST_RESTART_MS;
    this.#restarts++;
    this.#before = this.#sums();
    this.#stats = { ...NOTHING, liveSequence: this.#stats.liveSequence };
    this.#report(reason, 'shipping thread');
    this.#restartTimer = setTimeout(() => {
      this.#restartTimer = undefined;
      this.start();
    }, this.#restartMs);
    this.#restartTimer.unref();
    this.#restartMs = Math.min(this.#restartMs * 2, MAX_RESTART_MS);
  }

  #sums(): WorkerStats {
    const [a, b] = [this.#before, this.#stats];
    return {
      ...b,
      requests: a.requests + b.requests,
      sentRecords: a.sentRecords + b.sentRecords,
      sentBytes: a.sentBytes + b.sentBytes,
      rejectedRecords: a.rejectedRecords + b.rejectedRecords,
      healthSent: a.healthSent + b.healthSent,
      healthDropped: a.healthDropped + b.healthDropped,
      lastSuccessMs: b.lastSuccessMs ?? a.lastSuccessMs,
      lastError: b.lastError ?? a.lastError,
    };
  }

  #take(report: WorkerReport): void {
    switch (report.kind) {
      case 'stats':
        this.#stats = report.stats;
        break;
      case 'error':
        this.#report(new Error(report.message), report.what);
        break;
      case 'rejected':
        this.#reject(report.record);
        break;
      case 'stopped':
        this.#stopped?.();
    }
  }

  #reject(record: RejectedRecord): void {
    // A receiver that refuses these too would never be done with them.
    if (record.eventName === REJECTED_EVENT) {
      this.#report(new Error(`${record.answer}: record ${record.sequence} is set aside in ${record.path}`), 'rejected');
      return;
    }
    try {
      this.#options.onRejected(record);
    } catch (error) {
      this.#report(error, 'rejected');
    }
  }

  #report(error: unknown, what: string): void {
    try {
      this.#options.onError(error, what);
    } catch {
      // There is nobody left to tell.
    }
  }

  #order(order: WorkerOrder): void {
    try {
      this.#worker?.postMessage(order);
    } catch (error) {
      this.#report(error, 'shipping thread');
    }
  }

  notify(position: DurablePosition): void {
    this.#position = position;
    this.#order({ kind: 'position', position });
  }

  sendHealth(line: string): void {
    this.#order({ kind: 'health', line: Buffer.from(line) });
  }

  stats(): ShipperStats {
    const { liveSequence, otherRecords, oldestMs, ...rest } = this.#sums();
    const backlogRecords = Math.max(0, (this.#position?.sequence ?? 0) - liveSequence) + otherRecords;
    const age = oldestMs === undefined ? 0 : (this.#options.clock.now() - oldestMs) / 1000;
    return {
      ...rest,
      endpoint: withoutSecrets(this.#options.settings.endpoint),
      backlogRecords,
      backlogBytes: backlogRecords === 0 ? 0 : rest.backlogBytes,
      backlogSeconds: backlogRecords === 0 ? 0 : Math.max(0, age),
      restarts: this.#restarts,
    };
  }

  stop(deadlineMs: number): Promise<void> {
    this.#stopping ??= this.#stop(deadlineMs);
    return this.#stopping;
  }

  async #stop(deadlineMs: number): Promise<void> {
    clearTimeout(this.#restartTimer);
    const worker = this.#worker;
    if (worker === undefined) return;
    const ended = new Promise<void>((resolve) => {
      this.#stopped = resolve;
      // Not unref'ed: the process waits for what it was asked to wait for.
      const timer = setTimeout(resolve, deadlineMs + GRACE_MS);
      worker.once('exit', () => clearTimeout(timer));
    });
    this.#order({ kind: 'stop', deadlineMs });
    await ended;
    await worker.terminate();
  }
}
