/**
 * Has the closed segments of a data directory compressed: those of the running stream as checkpoints come to cover them, those
 * that dead or closed streams left behind at the start. Nothing in here blocks: files are handled by a worker.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../core/clock.ts';
import { tryLock } from '../journal/lock.ts';
import { inspectStream, lockPath, STREAMS_DIRECTORY, streamDirectory } from '../journal/streams.ts';
import { msToNextDay } from './daily-border.ts';
import type { RetainRunner } from './retain-jobs.ts';
import { hasPlainSegments, type SealResult } from './seal-segment.ts';
import { TaskQueue } from './task-queue.ts';

/** The stream that this process writes. */
export interface LiveStream {
  /** `<service>/<stream UUID>` */
  readonly stream: string;
  readonly streamId: string;
  readonly directory: string;
}

export interface SealerOptions {
  readonly dataDir: string;
  readonly live: LiveStream;
  readonly runner: RetainRunner;
  readonly clock: Clock;
  /** Told of what could not be sealed; it stays as it is and is tried again. */
  readonly onError: (error: unknown, what: string) => void;
  /** Set where a segment is also to be closed at midnight UTC: closes the running one, unless nothing stands in it. */
  readonly rotateDaily?: (() => void) | undefined;
  /** The least time between two looks at the running stream's files. @default 1000 */
  readonly intervalMs?: number;
}

/** Figures since the start. */
export interface SealerStats {
  readonly sealedSegments: number;
  /** By how many bytes files became smaller. */
  readonly freedBytes: number;
  readonly failures: number;
}

const DEFAULT_INTERVAL_MS = 1_000;
const RETRY_MS = 60_000;
/** The longest that a timer is set for: a clock that is set forward is noticed then. */
const LONGEST_TIMER_MS = 600_000;

export class Sealer {
  readonly #options: SealerOptions;
  readonly #queue = new TaskQueue();
  #timer: NodeJS.Timeout | undefined;
  #dayTimer: NodeJS.Timeout | undefined;
  #covered = 0;
  /** The coverage at which the running stream's files were last looked at. */
  #looked = 0;
  /** On the monotonic clock: after a failure, the running stream is left alone for a while. */
  #notBeforeMs = Number.NEGATIVE_INFINITY;
  #stopped = false;
  #stats = { sealedSegments: 0, freedBytes: 0, failures: 0 };

  constructor(options: SealerOptions) {
    this.#options = options;
    if (options.rotateDaily !== undefined) this.#armDay(options.rotateDaily);
  }

  /**
   * A checkpoint of the running stream covers the records below `size`: segments that were closed before are sealed soon.
   * To be called at every checkpoint.
   */
  checkpointed(size: number): void {
    this.#covered = Math.max(this.#covered, size);
    if (this.#timer !== undefined || this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.sealLive();
    }, this.#options.intervalMs ?? DEFAULT_INTERVAL_MS);
    this.#timer.unref();
  }

  /** Seals what is due of the running stream. @returns by how many bytes its files became smaller; never rejects */
  sealLive(): Promise<number> {
    return this.exclusive(async () => {
      const below = this.#covered;
      if (below <= this.#looked || this.#stopped || this.#options.clock.monotonic() < this.#notBeforeMs) return 0;
      const { live } = this.#options;
      const freed = await this.#seal(live.directory, live.stream, below);
      if (freed === undefined) this.#notBeforeMs = this.#options.clock.monotonic() + RETRY_MS;
      else this.#looked = below;
      return freed ?? 0;
    });
  }

  /**
   * Seals what ended streams of this service left plain: to be called once after the start. Streams that another process
   * writes or looks after are left to it. @returns by how many bytes files became smaller; never rejects
   */
  async sealEnded(): Promise<number> {
    let freed = 0;
    for (const id of this.#otherStreams()) freed += await this.exclusive(() => this.#sealEnded(id));
    return freed;
  }

  #otherStreams(): string[] {
    const { dataDir, live } = this.#options;
    try {
      return readdirSync(join(dataDir, STREAMS_DIRECTORY)).filter((id) => id !== live.streamId);
    } catch (error) {
      this.#failed(error, 'sealing');
      return [];
    }
  }

  async #sealEnded(id: string): Promise<number> {
    const { dataDir, live } = this.#options;
    if (this.#stopped) return 0;
    const directory = streamDirectory(dataDir, id);
    try {
      if (!hasPlainSegments(directory)) return 0;
      const service = live.stream.slice(0, -live.streamId.length - 1);
      if (inspectStream(dataDir, service, id)?.status !== 'closed') return 0;
      const lock = tryLock(lockPath(directory));
      if (lock === undefined) return 0;
      try {
        return (await this.#seal(directory, `${service}/${id}`, 'all')) ?? 0;
      } finally {
        lock.release();
      }
    } catch (error) {
      // Retention of another process may have removed it.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#failed(error, `sealing of stream ${id}`);
      return 0;
    }
  }

  /** @returns undefined where it has to be tried again */
  async #seal(directory: string, stream: string, below: number | 'all'): Promise<number | undefined> {
    let result: SealResult;
    try {
      result = await this.#options.runner.run({ kind: 'seal', directory, stream, below });
    } catch (error) {
      if (!this.#stopped) this.#failed(error, `sealing of stream ${stream}`);
      return undefined;
    }
    this.#stats.sealedSegments += result.sealedSegments;
    this.#stats.freedBytes += result.freedBytes;
    for (const failure of result.failures) this.#failed(new Error(failure), 'sealing of a segment');
    return result.failures.length > 0 ? undefined : result.freedBytes;
  }

  #failed(error: unknown, what: string): void {
    this.#stats.failures++;
    this.#options.onError(error, what);
  }

  /** Runs work that must not meet a sealing. */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    return this.#queue.run(work);
  }

  #armDay(rotate: () => void): void {
    const { clock } = this.#options;
    const rest = msToNextDay(clock.now());
    const due = rest <= LONGEST_TIMER_MS;
    this.#dayTimer = setTimeout(
      () => {
        if (due) rotate();
        this.#armDay(rotate);
      },
      Math.min(rest, LONGEST_TIMER_MS),
    );
    this.#dayTimer.unref();
  }

  stats(): SealerStats {
    return { ...this.#stats };
  }

  /** Ends at once; the next start goes on with what is half done. The runner is its maker's to stop. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#dayTimer);
  }
}
