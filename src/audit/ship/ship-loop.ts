/**
 * Ships the streams of a data directory, older ones first: the live one of this process as far as it is told, and those whose
 * writers are gone. It goes on for ever; what fails is told and tried again.
 */
import { randomInt } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../core/clock.ts';
import type { DurablePosition } from '../journal/journal-types.ts';
import type { Lock } from '../journal/lock.ts';
import { readShippedPosition, writeShippedPosition } from '../journal/shipped-position.ts';
import { STREAMS_DIRECTORY } from '../journal/streams.ts';
import { endOf, isClosed, lockForShipping, settleStream, signatureOf } from './dead-stream.ts';
import { Delivery } from './delivery.ts';
import { createEncoder } from './encoder.ts';
import { createOtlpClient, type OtlpClient } from './otlp-client.ts';
import type { RejectedRecord } from './rejected.ts';
import type { ShipperSettings } from './settings.ts';
import type { ReadLimit } from './stream-reader.ts';
import { StreamShipper } from './stream-shipper.ts';

/** Figures of a loop since it began. */
export interface LoopStats {
  /** Of the live stream: records below it are acknowledged. */
  readonly liveSequence: number;
  /** Records of other streams that are not. */
  readonly otherRecords: number;
  /** Bytes on disk that are not acknowledged, in all streams. */
  readonly backlogBytes: number;
  /** Time of the oldest record that is known not to be acknowledged, in milliseconds since the epoch. */
  readonly oldestMs: number | undefined;
  readonly requests: number;
  readonly sentRecords: number;
  readonly sentBytes: number;
  readonly rejectedRecords: number;
  readonly lastSuccessMs: number | undefined;
  readonly lastError: { readonly message: string; readonly timeMs: number } | undefined;
  /** Nothing gets through at present. */
  readonly failing: boolean;
}

export interface ShipLoopOptions {
  readonly dataDir: string;
  readonly settings: ShipperSettings;
  readonly clock: Clock;
  /** Told once when something begins to fail, and of each thing that is passed over. */
  readonly onError: (error: unknown, what: string) => void;
  readonly onRejected: (record: RejectedRecord) => void;
  /** Told whenever the figures changed for the better or worse. */
  readonly onChange: () => void;
  /** Asked after each batch, and waited for: how a thread leaves processors to others. */
  readonly pause?: (signal: AbortSignal) => Promise<void>;
}

/** Streams are looked for anew after so long: a process beside this one may have died. */
const LOOK_AROUND_MS = 30_000;
const LOCAL_RETRY_MS = 1_000;
const MAX_JITTER = 2 ** 32;

interface Live {
  readonly shipper: StreamShipper;
  readonly lock: Lock;
}

/** A stream that is shipped to its end. */
export interface ShipWork {
  readonly directory: string;
  /** Where the cursor stands. */
  readonly from: number;
  /** Number behind its last record. */
  readonly end: number;
  readonly limit: ReadLimit;
  /** While it is at work. */
  shipper: StreamShipper | undefined;
}

/** The loop. `run` is called once. */
export class ShipLoop {
  readonly #options: ShipLoopOptions;
  readonly #client: OtlpClient;
  readonly #delivery: Delivery;
  #position: DurablePosition | undefined;
  #live: Live | undefined;
  /** The position that was shipped, or tried, last. */
  #tried: DurablePosition | undefined;
  /** Where the live stream's cursor stood when it was first heard of. */
  #liveStart = 0;
  #lookedMs = Number.NEGATIVE_INFINITY;
  /** Streams with nothing to ship, by folder, as they looked then. */
  readonly #settled = new Map<string, string>();
  #works: ShipWork[] = [];
  #wake: (() => void) | undefined;
  #requests = 0;
  #sentRecords = 0;
  #sentBytes = 0;
  #rejectedRecords = 0;
  #lastSuccessMs: number | undefined;
  #lastError: { message: string; timeMs: number } | undefined;
  #failing = false;
  /** What was told last: the same failure again is not told again. */
  #told = '';

  constructor(options: ShipLoopOptions) {
    // As the journal names its folders.
    this.#options = { ...options, dataDir: resolve(options.dataDir) };
    const { settings, clock } = options;
    this.#client = createOtlpClient(settings, clock);
    this.#delivery = new Delivery({
      client: this.#client,
      settings,
      encoder: createEncoder(settings),
      pause: (ms, signal) => sleep(ms, undefined, { signal }),
      random: () => randomInt(MAX_JITTER - 1) / MAX_JITTER,
      onRequest: () => void this.#requests++,
      onAccepted: (bytes, warning) => this.#succeeded(bytes, warning),
      onOutage: (told) => this.#failed(told),
    });
  }

  /** Where the records go, as it may be shown. */
  get endpoint(): string {
    return this.#client.endpoint;
  }

  /** Tells how far the live stream may be read. */
  setPosition(position: DurablePosition): void {
    if (this.#position?.directory !== position.directory) {
      this.#liveStart = storedSequence(position.directory);
      this.#lookedMs = Number.NEGATIVE_INFINITY;
    }
    this.#position = position;
    this.#wake?.();
  }

  /** Ships for ever. @throws the signal's reason when it is stopped; all is closed then */
  async run(signal: AbortSignal): Promise<never> {
    try {
      for (;;) {
        signal.throwIfAborted();
        await this.#try(() => this.#lookAround(signal), signal);
        let refused = '';
        // One that is refused altogether doesn't hold up the others.
        for (const work of this.#works) {
          refused = (await this.#try(() => this.shipDead(work, signal), signal)) || refused;
        }
        refused = (await this.#try(() => this.#shipLive(signal), signal)) || refused;
        this.#options.onChange();
        if (refused !== '') await this.#delivery.waitAfterRefusal(refused, signal);
        else await this.#waitForMore(signal);
      }
    } finally {
      await this.close();
    }
  }

  /** A failure here at home is told, and tried again a little later. @returns what a receiver said who refused everything */
  async #try(work: () => Promise<string | undefined>, signal: AbortSignal): Promise<string> {
    try {
      return (await work()) ?? '';
    } catch (error) {
      signal.throwIfAborted();
      const { message } = error as Error;
      if (message !== this.#told) this.#options.onError(error, 'shipping');
      this.#told = message;
      this.#lastError = { message, timeMs: this.#options.clock.now() };
      await sleep(LOCAL_RETRY_MS, undefined, { signal });
      return '';
    }
  }

  async #shipLive(signal: AbortSignal): Promise<string | undefined> {
    const position = this.#position;
    if (position === undefined) return undefined;
    this.#tried = position;
    if (this.#live !== undefined && this.#live.shipper.directory !== position.directory) {
      await this.#closeLive();
      this.#liveStart = storedSequence(position.directory);
    }
    if (this.#live === undefined) {
      const lock = lockForShipping(position.directory);
      // Somebody ships what the stream held before we went on with it.
      if (lock === undefined) return undefined;
      this.#live = { lock, shipper: this.#createShipper(position.directory) };
    }
    if (this.#live.shipper.sequence >= position.sequence) return undefined;
    const { shipper } = this.#live;
    return shipper.ship(() => limitOf(this.#position!, position), signal);
  }

  async #closeLive(): Promise<void> {
    const live = this.#live;
    if (live === undefined) return;
    this.#live = undefined;
    this.#liveStart = live.shipper.sequence;
    await live.shipper.close();
    live.lock.release();
  }

  #createShipper(directory: string): StreamShipper {
    const { settings, clock, onError, onRejected, pause } = this.#options;
    return new StreamShipper({
      directory,
      delivery: this.#delivery,
      endpoint: this.#client.endpoint,
      limits: settings,
      clock,
      onError,
      onMoved: (records) => {
        this.#sentRecords += records;
        this.#options.onChange();
      },
      onRejected: (record) => {
        this.#rejectedRecords++;
        onRejected(record);
      },
      pause,
    });
  }

  /** Looks for streams without a writer that hold something to ship, oldest first: their ids are in the order of time. */
  async #lookAround(signal: AbortSignal): Promise<undefined> {
    const nowMs = this.#options.clock.monotonic();
    if (nowMs - this.#lookedMs < LOOK_AROUND_MS) return undefined;
    this.#lookedMs = nowMs;
    const works: ShipWork[] = [];
    for (const directory of streamDirectories(this.#options.dataDir)) {
      if (directory === this.#position?.directory) continue;
      const known = this.#works.find((work) => work.directory === directory);
      if (known !== undefined) {
        works.push(known);
        continue;
      }
      await this.#try(async () => {
        const work = await this.find(directory);
        if (typeof work === 'object') works.push(work);
        return undefined;
      }, signal);
    }
    this.#works = works;
    return undefined;
  }

  /** What there is to ship of a stream, or why there is nothing. @throws the system's error */
  async find(directory: string): Promise<ShipWork | 'drained' | 'alive'> {
    if (this.#settled.get(directory) === 'complete') return 'drained';
    const signature = signatureOf(directory);
    if (signature === '' || this.#settled.get(directory) === signature) return 'drained';
    const shipped = readShippedPosition(directory);
    if (shipped?.complete === true) {
      this.#settled.set(directory, 'complete');
      return 'drained';
    }
    const limit = settleStream(directory);
    if (limit === undefined) return 'alive';
    if (limit === 'empty') return 'drained';
    const end = await endOf(directory, limit);
    if (shipped !== undefined && shipped.sequence >= end) {
      const complete = isClosed(directory, shipped.stream);
      if (complete) await writeShippedPosition(directory, { ...shipped, complete });
      this.#settled.set(directory, complete ? 'complete' : signature);
      return 'drained';
    }
    return { directory, from: shipped?.sequence ?? 0, end, limit, shipper: undefined };
  }

  /**
   * Ships one stream to its end.
   * @returns undefined when it is done or another process ships it, or what the receiver said who refused everything
   * @throws the signal's reason, or the system's error
   */
  async shipDead(work: ShipWork, signal: AbortSignal): Promise<string | undefined> {
    const { directory, limit } = work;
    const lock = lockForShipping(directory);
    if (lock === undefined) {
      this.#forget(work);
      return undefined;
    }
    const shipper = this.#createShipper(directory);
    work.shipper = shipper;
    try {
      const refused = await shipper.ship(() => limit, signal);
      if (refused !== undefined) return refused;
      if (isClosed(directory, shipper.stream)) {
        await shipper.complete();
        this.#settled.set(directory, 'complete');
      } else {
        this.#settled.set(directory, signatureOf(directory));
      }
      this.#forget(work);
      return undefined;
    } finally {
      await shipper.close();
      work.shipper = undefined;
      lock.release();
    }
  }

  #forget(work: ShipWork): void {
    this.#works = this.#works.filter((one) => one !== work);
  }

  async #waitForMore(signal: AbortSignal): Promise<void> {
    // More became durable meanwhile.
    if (this.#position !== this.#tried) return;
    const behind = this.#position !== undefined && (this.#live?.shipper.sequence ?? 0) < this.#position.sequence;
    // Behind all the same: another process has the stream's shipping, or its last records can't be read.
    const waitMs = behind ? LOCAL_RETRY_MS : LOOK_AROUND_MS;
    const woken = new AbortController();
    if (!behind) this.#wake = () => woken.abort();
    try {
      await sleep(waitMs, undefined, { signal: AbortSignal.any([signal, woken.signal]) });
    } catch {
      signal.throwIfAborted();
    } finally {
      this.#wake = undefined;
    }
  }

  #succeeded(bytes: number, warning: string | undefined): void {
    const { clock, onError, onChange } = this.#options;
    this.#sentBytes += bytes;
    this.#lastSuccessMs = clock.now();
    this.#failing = false;
    if (warning !== undefined && warning !== this.#told) onError(new Error(warning), 'answer of the receiver');
    this.#told = warning ?? '';
    onChange();
  }

  #failed(told: string): void {
    const { clock, onError, onChange } = this.#options;
    this.#lastError = { message: told, timeMs: clock.now() };
    this.#failing = true;
    if (told !== this.#told) onError(new Error(`${this.#client.endpoint}: ${told}`), 'shipping');
    this.#told = told;
    onChange();
  }

  stats(): LoopStats {
    const live = this.#live?.shipper;
    let backlogBytes = 0;
    let otherRecords = 0;
    let oldestMs = live?.oldestMs;
    try {
      for (const { directory, shipper, limit, end } of this.#works) {
        otherRecords += Math.max(0, end - (shipper?.sequence ?? storedSequence(directory)));
        backlogBytes += shipper?.backlogBytes(limit) ?? 0;
        if (shipper?.oldestMs !== undefined) oldestMs = Math.min(oldestMs ?? shipper.oldestMs, shipper.oldestMs);
      }
      if (live !== undefined) backlogBytes += live.backlogBytes(limitOf(this.#position!));
    } catch {
      // Figures only: what can't be read is told by the shipping itself.
    }
    return {
      liveSequence: live?.sequence ?? this.#liveStart,
      otherRecords,
      backlogBytes,
      oldestMs,
      requests: this.#requests,
      sentRecords: this.#sentRecords,
      sentBytes: this.#sentBytes,
      rejectedRecords: this.#rejectedRecords,
      lastSuccessMs: this.#lastSuccessMs,
      lastError: this.#lastError,
      failing: this.#failing,
    };
  }

  /** Puts the live cursor on disk and closes all that is open. */
  async close(): Promise<void> {
    await this.#closeLive();
    this.#client.close();
  }
}

/** Where a stream's cursor stands on disk; 0 where that can't be told. */
export function storedSequence(directory: string): number {
  try {
    return readShippedPosition(directory)?.sequence ?? 0;
  } catch {
    return 0;
  }
}

/** The folders of all streams, by age. @throws the system's error */
export function streamDirectories(dataDir: string): string[] {
  const folder = join(dataDir, STREAMS_DIRECTORY);
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(folder, entry.name))
    .sort();
}

const SEGMENT = /^(\d+)(?:\.(\d+))?\.jsonl/;

/** @param before the position before, where `position` may be another stream's already */
function limitOf(position: DurablePosition, before = position): ReadLimit {
  const { file, bytes } = position.directory === before.directory ? position : before;
  const match = SEGMENT.exec(file);
  return { firstSequence: Number(match?.[1]), copy: Number(match?.[2] ?? 0), bytes, ended: false };
}
