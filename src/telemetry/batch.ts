/**
 * Batches for an exporter, with every loss counted. The SDK's own batch processors drop without a word when their queue is
 * full or an export fails, and a second flush returns before the first is done; so the exporters are the SDK's and the
 * queue is ours. What is handed in is in exactly one place at any time: waiting, in flight, exported, or dropped.
 */
import { context, ROOT_CONTEXT, TraceFlags } from '@opentelemetry/api';
import { ExportResultCode, suppressTracing } from '@opentelemetry/core';
import type { LogRecordProcessor, ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { ReadableSpan, SpanProcessor } from '@opentelemetry/sdk-trace';
import { nextTurn } from '../core/next-turn.ts';
import { type Exporter, LazyExporter } from './lazy-exporter.ts';

/** Sizes and times, as the `OTEL_BSP_*` and `OTEL_BLRP_*` variables have them. */
export interface BatchLimits {
  readonly maxQueueSize: number;
  readonly maxBatchSize: number;
  readonly delayMs: number;
  /** An export that takes longer counts as failed, and the next one begins. */
  readonly timeoutMs: number;
}

export const DEFAULT_BATCH_LIMITS: BatchLimits = {
  maxQueueSize: 2048,
  maxBatchSize: 512,
  delayMs: 1000,
  timeoutMs: 30_000,
};

/** Exports are traced by nobody, and keep no request's context alive. */
const SUPPRESSED = suppressTracing(ROOT_CONTEXT);

type Report = (error: unknown, where: string) => void;

/** Resolves when `work` settles or after `timeoutMs`, whichever comes first; never rejects. @returns whether it settled in time */
export function withinTime(work: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), timeoutMs);
    const settled = () => {
      clearTimeout(timer);
      resolve(true);
    };
    work.then(settled, settled);
  });
}

/** A bounded queue in front of one exporter. Nothing here throws or blocks. */
export class Batcher<T> {
  readonly #exporter: Exporter<T[]>;
  readonly #limits: BatchLimits;
  readonly #report: Report;
  readonly #what: string;
  #queue: T[] = [];
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #closed = false;
  #inFlight = 0;
  #dropped = 0;
  #overflowing = false;

  constructor(exporter: Exporter<T[]>, limits: BatchLimits, what: string, report: Report) {
    this.#exporter = exporter;
    this.#limits = limits;
    this.#what = what;
    this.#report = report;
  }

  /** Items that will never arrive: queue full, export failed or timed out, or left over at shutdown. */
  get dropped(): number {
    return this.#dropped;
  }

  add(item: T): void {
    if (this.#closed || this.#queue.length >= this.#limits.maxQueueSize) {
      this.#dropped++;
      if (!this.#overflowing && !this.#closed) {
        this.#overflowing = true;
        this.#report(
          new Error(`the queue of ${this.#limits.maxQueueSize} ${this.#what} is full`),
          `${this.#what} queue`,
        );
      }
      return;
    }
    this.#queue.push(item);
    if (this.#running !== undefined) return;
    if (this.#queue.length >= this.#limits.maxBatchSize) this.#start();
    else if (this.#timer === undefined) {
      this.#timer = setTimeout(() => this.#start(), this.#limits.delayMs);
      this.#timer.unref();
      // Loaded while the batch fills.
      if (this.#exporter instanceof LazyExporter) this.#exporter.prepare();
    }
  }

  /** Everything that was handed in until now has been exported or dropped when this resolves. */
  async flush(): Promise<void> {
    // A run under way takes what is waiting as well.
    while (this.#queue.length > 0 || this.#running !== undefined) {
      this.#start();
      await this.#running;
    }
    try {
      await this.#exporter.forceFlush?.();
    } catch (error) {
      this.#report(error, `${this.#what} exporter`);
    }
  }

  /** Flushes for as long as `timeoutMs` allows; what is left then is dropped and counted. */
  async shutdown(timeoutMs: number): Promise<void> {
    const work = this.flush();
    this.#closed = true;
    const inTime = await withinTime(work, timeoutMs);
    this.#dropped += this.#queue.length;
    this.#queue = [];
    if (!inTime) this.#report(new Error(`${this.#what} were still being exported after ${timeoutMs} ms`), 'shutdown');
    try {
      const ended = this.#exporter.shutdown();
      // A hung exporter may reject long after we stopped waiting.
      ended.catch((error) => this.#report(error, `${this.#what} exporter`));
      if (inTime) await withinTime(ended, timeoutMs);
    } catch (error) {
      this.#report(error, `${this.#what} exporter`);
    }
    // In flight still: nobody will know whether they arrived.
    this.#dropped += this.#inFlight;
    this.#inFlight = 0;
  }

  #start(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      this.#overflowing = false;
    });
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0) {
      // Serialising a batch takes longer than a decision may: never within the call that filled it.
      await nextTurn();
      const batch = this.#queue.splice(0, this.#limits.maxBatchSize);
      this.#inFlight += batch.length;
      const error = await this.#export(batch);
      // After a shutdown that gave up they are counted already.
      const counted = Math.min(this.#inFlight, batch.length);
      this.#inFlight -= counted;
      if (error !== undefined) {
        this.#dropped += counted;
        this.#report(error, `${this.#what} exporter`);
      }
    }
  }

  /** Resolves with the error of a failed export; never rejects. */
  #export(batch: T[]): Promise<unknown> {
    return new Promise((resolve) => {
      const { timeoutMs } = this.#limits;
      const timer = setTimeout(() => resolve(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
      timer.unref();
      const settle = (error: unknown) => {
        clearTimeout(timer);
        resolve(error);
      };
      try {
        context.with(SUPPRESSED, () =>
          this.#exporter.export(batch, (result) => {
            if (result.code === ExportResultCode.SUCCESS) settle(undefined);
            else settle(result.error ?? new Error(`export of ${this.#what} failed`));
          }),
        );
      } catch (error) {
        settle(error ?? new Error(`export of ${this.#what} failed`));
      }
    });
  }
}

/** Hands the log records that `wants` picks to a batcher. */
export function createLogBatchProcessor(
  batcher: Batcher<ReadableLogRecord>,
  wants: (record: ReadableLogRecord) => boolean,
): LogRecordProcessor {
  return {
    onEmit(record) {
      if (wants(record)) batcher.add(record);
    },
    forceFlush: () => batcher.flush(),
    shutdown: async () => {},
  };
}

/** Hands the sampled spans to a batcher. */
export function createSpanBatchProcessor(batcher: Batcher<ReadableSpan>): SpanProcessor {
  return {
    onStart: () => {},
    onEnd(span) {
      if ((span.spanContext().traceFlags & TraceFlags.SAMPLED) !== 0) batcher.add(span);
    },
    forceFlush: () => batcher.flush(),
    shutdown: async () => {},
  };
}
