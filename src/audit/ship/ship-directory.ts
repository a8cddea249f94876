/** Ships what dead writers left in a data directory: for `risktrail ship`, and for volumes of containers that are gone. */
import { basename, resolve } from 'node:path';
import { type Clock, createSystemClock } from '../../core/clock.ts';
import { RiskTrailError } from '../../core/errors.ts';
import { checkTlsFiles } from './otlp-client.ts';
import type { RejectedRecord } from './rejected.ts';
import type { ShipperSettings } from './settings.ts';
import { ShipLoop, type ShipWork, storedSequence, streamDirectories } from './ship-loop.ts';

/** How a directory is shipped. */
export interface ShipDirectoryOptions {
  /** Told while it goes on. */
  readonly onProgress?: (progress: ShipProgress) => void;
  /** Told of each record that was set aside. */
  readonly onRejected?: (record: RejectedRecord) => void;
  /** Told once when something begins to fail, and of each thing that is passed over. */
  readonly onError?: (error: unknown, what: string) => void;
  /** Stops it. */
  readonly signal?: AbortSignal;
  /** It ends when nothing got through for so long. @default 60,000 */
  readonly giveUpMs?: number;
  readonly clock?: Clock;
}

/** How far it is. */
export interface ShipProgress {
  readonly sentRecords: number;
  readonly totalRecords: number;
  /** What the receiver, or the way to it, is up to; undefined while all is well. */
  readonly failure: string | undefined;
}

/** What became of one stream. */
export interface ShippedStream {
  /** Its UUID. */
  readonly stream: string;
  /**
   * `sent`: nothing is left. `alive`: its writer lives and ships it itself. `taken`: another process ships it. `refused`: the
   * receiver refuses all that is left. `failed`: it can't be read. `stopped`: it was not come to the end of.
   */
  readonly outcome: 'sent' | 'alive' | 'taken' | 'refused' | 'failed' | 'stopped';
  readonly sentRecords: number;
  readonly rejectedRecords: number;
  /** Records that are still to be sent; undefined where nobody may count them. */
  readonly remainingRecords: number | undefined;
}

/** What became of a data directory. */
export interface ShipResult {
  readonly endpoint: string;
  readonly streams: readonly ShippedStream[];
  readonly sentRecords: number;
  readonly rejectedRecords: number;
  readonly remainingRecords: number;
  readonly requests: number;
  /** Why it isn't all, where it isn't. */
  readonly lastError: string | undefined;
  /** Every stream is `sent`. */
  readonly complete: boolean;
}

const GIVE_UP_MS = 60_000;
const WATCH_MS = 200;

/**
 * Ships every stream whose writer is dead, older ones first. A stream that a live process writes to is left to that process.
 * @throws RiskTrailError NO_TRAIL_FILES, FILE_UNREADABLE
 */
export async function shipDirectory(
  dataDir: string,
  settings: ShipperSettings,
  options: ShipDirectoryOptions = {},
): Promise<ShipResult> {
  checkTlsFiles(settings);
  const directories = listOf(dataDir);
  return new DirectoryShipping(dataDir, settings, options).run(directories);
}

function listOf(dataDir: string): string[] {
  try {
    return streamDirectories(resolve(dataDir));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') throw new RiskTrailError('NO_TRAIL_FILES', { path: dataDir }, error);
    throw new RiskTrailError('FILE_UNREADABLE', { path: dataDir, reason: message }, error);
  }
}

class DirectoryShipping {
  readonly #options: ShipDirectoryOptions;
  readonly #clock: Clock;
  readonly #giveUp = new AbortController();
  readonly #signal: AbortSignal;
  readonly #loop: ShipLoop;
  readonly #giveUpMs: number;
  #lastError: string | undefined;
  #totalRecords = 0;
  #aliveMs = 0;
  #sentBytes = 0;

  constructor(dataDir: string, settings: ShipperSettings, options: ShipDirectoryOptions) {
    this.#options = options;
    this.#clock = options.clock ?? createSystemClock();
    this.#giveUpMs = options.giveUpMs ?? GIVE_UP_MS;
    this.#signal = AbortSignal.any([this.#giveUp.signal, ...(options.signal === undefined ? [] : [options.signal])]);
    this.#loop = new ShipLoop({
      dataDir,
      settings,
      clock: this.#clock,
      onError: (error, what) => {
        this.#lastError = (error as Error).message;
        options.onError?.(error, what);
      },
      onRejected: (record) => options.onRejected?.(record),
      onChange: () => {},
    });
  }

  async run(directories: readonly string[]): Promise<ShipResult> {
    this.#aliveMs = this.#clock.monotonic();
    const timer = setInterval(() => this.#watch(), WATCH_MS);
    const streams: ShippedStream[] = [];
    try {
      const found = [];
      for (const directory of directories) found.push({ directory, work: await this.#find(directory) });
      for (const { work } of found) if (typeof work === 'object') this.#totalRecords += work.end - work.from;
      for (const { directory, work } of found) {
        const stream = basename(directory);
        streams.push({ stream, ...(typeof work === 'object' ? await this.#ship(work) : nothingOf(work)) });
      }
    } finally {
      clearInterval(timer);
      await this.#loop.close();
    }
    return this.#result(streams);
  }

  async #find(directory: string): Promise<ShipWork | 'drained' | 'alive' | 'failed'> {
    try {
      return await this.#loop.find(directory);
    } catch (error) {
      this.#failed(error);
      return 'failed';
    }
  }

  async #ship(work: ShipWork): Promise<Omit<ShippedStream, 'stream'>> {
    const { rejectedRecords: before } = this.#loop.stats();
    let outcome: ShippedStream['outcome'] = 'sent';
    try {
      this.#signal.throwIfAborted();
      const refused = await this.#loop.shipDead(work, this.#signal);
      if (refused !== undefined) {
        outcome = 'refused';
        this.#lastError = refused;
      }
    } catch (error) {
      outcome = this.#signal.aborted ? 'stopped' : 'failed';
      if (!this.#signal.aborted) this.#failed(error);
    }
    const reached = storedSequence(work.directory);
    if (outcome === 'sent' && reached < work.end) outcome = 'taken';
    const rejectedRecords = this.#loop.stats().rejectedRecords - before;
    const moved = outcome === 'taken' ? 0 : Math.max(0, reached - work.from);
    return {
      outcome,
      sentRecords: moved - rejectedRecords,
      rejectedRecords,
      remainingRecords: Math.max(0, work.end - reached),
    };
  }

  #failed(error: unknown): void {
    this.#lastError = (error as Error).message;
    this.#options.onError?.(error, 'shipping');
  }

  /** Tells of the progress, and gives up where there is none. */
  #watch(): void {
    const stats = this.#loop.stats();
    const nowMs = this.#clock.monotonic();
    if (stats.sentBytes > this.#sentBytes || !stats.failing) this.#aliveMs = nowMs;
    this.#sentBytes = stats.sentBytes;
    if (nowMs - this.#aliveMs >= this.#giveUpMs) this.#giveUp.abort();
    const { sentRecords } = stats;
    const failure = stats.failing ? stats.lastError?.message : undefined;
    this.#options.onProgress?.({ sentRecords, totalRecords: this.#totalRecords, failure });
  }

  #result(streams: readonly ShippedStream[]): ShipResult {
    const { requests } = this.#loop.stats();
    const sum = (count: (stream: ShippedStream) => number) => streams.reduce((total, one) => total + count(one), 0);
    const complete = streams.every(({ outcome }) => outcome === 'sent');
    return {
      endpoint: this.#loop.endpoint,
      streams,
      sentRecords: sum((stream) => stream.sentRecords),
      rejectedRecords: sum((stream) => stream.rejectedRecords),
      remainingRecords: sum((stream) => stream.remainingRecords ?? 0),
      requests,
      lastError: complete ? undefined : this.#lastError,
      complete,
    };
  }
}

function nothingOf(found: 'drained' | 'alive' | 'failed'): Omit<ShippedStream, 'stream'> {
  const outcome = found === 'drained' ? 'sent' : found;
  return { outcome, sentRecords: 0, rejectedRecords: 0, remainingRecords: found === 'drained' ? 0 : undefined };
}
