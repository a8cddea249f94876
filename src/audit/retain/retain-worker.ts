/** Keeps the worker of sealing and retention: starts it when there is a job, and again after it died. */
import { Worker } from 'node:worker_threads';
import type { Clock } from '../../core/clock.ts';
import type { RetainJob, RetainResult, RetainRunner } from './retain-jobs.ts';

export interface RetainWorkerOptions {
  readonly clock: Clock;
  /** Told of each death of the thread. */
  readonly onError: (error: unknown, what: string) => void;
  /**
   * Whether the thread is only asked to seal. It reads in pieces then, and gets a small heap: V8 would let the pieces that
   * were done with stand up to 80 MB.
   */
  readonly sealsOnly?: boolean;
  /** Makes the thread. @default createRetainThread */
  readonly createWorker?: () => Worker;
}

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;

interface Waiting {
  resolve(result: never): void;
  reject(error: unknown): void;
}

/** Four times what sealing takes. */
const SEALING_HEAP_MB = 32;

/** The thread that does the jobs. @param sealsOnly see {@link RetainWorkerOptions.sealsOnly} */
export function createRetainThread(sealsOnly = false): Worker {
  const file = import.meta.url.endsWith('.ts') ? './seal-worker.ts' : './seal-worker.js';
  const resourceLimits = sealsOnly ? { maxOldGenerationSizeMb: SEALING_HEAP_MB } : {};
  return new Worker(new URL(file, import.meta.url), {
    name: 'risktrail-retain',
    execArgv: [],
    env: {},
    resourceLimits,
  });
}

/**
 * A runner whose jobs run in a thread of its own, one after the other. The thread doesn't keep the process alive. After a
 * death, jobs are refused for a while that doubles with each death, up to a minute; whoever gave them tries again later.
 */
export class RetainWorker implements RetainRunner {
  readonly #options: RetainWorkerOptions;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #nextId = 1;
  #deaths = 0;
  /** On the monotonic clock. */
  #notBeforeMs = 0;
  #stopped = false;

  constructor(options: RetainWorkerOptions) {
    this.#options = options;
  }

  run<J extends RetainJob>(job: J): Promise<RetainResult<J>> {
    return new Promise((resolve, reject) => {
      if (this.#stopped) throw new Error('sealing and retention have stopped');
      if (this.#worker === undefined && this.#options.clock.monotonic() < this.#notBeforeMs) {
        throw new Error('the thread of sealing and retention died a moment ago');
      }
      this.#worker ??= this.#start();
      const id = this.#nextId++;
      this.#waiting.set(id, { resolve: resolve as Waiting['resolve'], reject });
      this.#worker.postMessage({ id, job });
    });
  }

  #start(): Worker {
    const { createWorker, sealsOnly } = this.#options;
    const worker = createWorker === undefined ? createRetainThread(sealsOnly) : createWorker();
    worker.on('message', ({ id, result, failure }) => {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (failure === undefined) {
        this.#deaths = 0;
        waiting?.resolve(result as never);
      } else waiting?.reject(Object.assign(new Error(failure.message), { code: failure.code }));
    });
    worker.on('error', (error) => this.#died(worker, error));
    worker.on('exit', (code) => this.#died(worker, new Error(`the thread ended with status ${code}`)));
    // Behind the listeners: the first of messages takes it back.
    worker.unref();
    return worker;
  }

  #died(worker: Worker, error: unknown): void {
    // An error is followed by an exit.
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#deaths++);
    this.#notBeforeMs = this.#options.clock.monotonic() + pause;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const one of waiting) one.reject(error);
    if (!this.#stopped) this.#options.onError(error, 'thread of sealing and retention');
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    // What it leaves half done is what a kill would leave: the next start goes on with it.
    await this.#worker?.terminate();
  }
}
