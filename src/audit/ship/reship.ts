/**
 * Ships chosen records of a stream once more: what a reconciliation found missing in a copy. The stream's cursor stays where it
 * is. Of a stream whose writer lives only what a checkpoint covers is sent, since that is known to be on disk; the rest is on
 * its way by that writer's own shipper.
 */
import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Clock, createSystemClock } from '../../core/clock.ts';
import { readCheckpointFile } from '../journal/recovery.ts';
import { parseCheckpoint } from '../proof/note.ts';
import { settleStream } from './dead-stream.ts';
import { Delivery } from './delivery.ts';
import { createEncoder } from './encoder.ts';
import type { Line } from './line.ts';
import { createOtlpClient } from './otlp-client.ts';
import type { ShipperSettings } from './settings.ts';
import { type ReadLimit, StreamReader } from './stream-reader.ts';

/** How records are shipped again. */
export interface ReshipOptions {
  /** It ends when nothing got through for so long. @default 60_000 */
  readonly giveUpMs?: number;
  readonly clock?: Clock;
  /** Stops it. */
  readonly signal?: AbortSignal;
  /** Told after each batch how many records were sent so far. */
  readonly onProgress?: (sent: number) => void;
}

/** What became of it. */
export interface ReshipResult {
  /** Records that the receiver acknowledged. */
  readonly sent: number;
  /** Records that it refused while it took others. */
  readonly refused: number;
  /** Why it isn't all; undefined where every record is decided. */
  readonly failure: string | undefined;
}

/** Of a stream that is being written: every file as far as it goes, whole lines. */
const ALIVE: ReadLimit = {
  firstSequence: Number.POSITIVE_INFINITY,
  copy: 0,
  bytes: Number.POSITIVE_INFINITY,
  ended: false,
};
const GIVE_UP_MS = 60_000;
const RANDOM_STEPS = 2 ** 32;

/** How far a stream may leave the machine: by its files and, where its writer lives, by number. */
function limitsOf(directory: string): { limit: ReadLimit; below: number } | undefined {
  const settled = settleStream(directory);
  if (settled === 'empty') return undefined;
  if (settled !== undefined) return { limit: settled, below: Number.POSITIVE_INFINITY };
  const note = readCheckpointFile(directory) ?? '';
  const checkpoint = parseCheckpoint(note.slice(0, note.lastIndexOf('\n\n') + 1));
  return checkpoint && { limit: ALIVE, below: checkpoint.size };
}

/** Gives up when nothing got through for so long. */
class Patience {
  readonly #giveUp = new AbortController();
  readonly #giveUpMs: number;
  readonly signal: AbortSignal;
  lastError: string | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor({ giveUpMs = GIVE_UP_MS, signal }: ReshipOptions) {
    this.#giveUpMs = giveUpMs;
    this.signal = AbortSignal.any([this.#giveUp.signal, ...(signal === undefined ? [] : [signal])]);
    this.renew();
  }

  renew(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#giveUp.abort(), this.#giveUpMs);
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}

/**
 * Ships the records of these numbers again, as far as the journal holds them.
 * @param directory the stream's folder
 * @param ranges numbers, both ends included, in order and without overlap
 * @throws RiskTrailError FILE_UNREADABLE where a file of the TLS settings can't be read; the system's error where the journal can't
 */
export async function reshipRecords(
  directory: string,
  ranges: readonly { readonly first: number; readonly last: number }[],
  settings: ShipperSettings,
  options: ReshipOptions = {},
): Promise<ReshipResult> {
  const limits = limitsOf(directory);
  if (limits === undefined) return { sent: 0, refused: 0, failure: 'nothing of the stream is known to be on disk' };
  const client = createOtlpClient(settings, options.clock ?? createSystemClock());
  const patience = new Patience(options);
  const delivery = new Delivery({
    client,
    settings,
    encoder: createEncoder(settings),
    pause: (ms, signal) => sleep(ms, undefined, { signal }),
    random: () => randomInt(RANDOM_STEPS) / RANDOM_STEPS,
    onAccepted: () => patience.renew(),
    onOutage: (told) => {
      patience.lastError = told;
    },
    onRequest: () => {},
  });
  const total = { sent: 0, refused: 0 };
  try {
    for await (const lines of batchesOf(directory, ranges, limits, settings)) {
      const delivered = await delivery.deliver(lines, patience.signal);
      if (delivered.kind === 'all-refused') return { ...total, failure: delivered.told };
      total.refused += delivered.refused.length;
      total.sent += lines.length - delivered.refused.length;
      options.onProgress?.(total.sent);
    }
    return { ...total, failure: undefined };
  } catch (error) {
    if (!patience.signal.aborted) throw error;
    return { ...total, failure: patience.lastError ?? 'it was stopped' };
  } finally {
    patience.end();
    client.close();
  }
}

/** The lines of the wanted numbers, in batches. */
async function* batchesOf(
  directory: string,
  ranges: readonly { readonly first: number; readonly last: number }[],
  { limit, below }: { readonly limit: ReadLimit; readonly below: number },
  { maxBatchRecords, maxBatchBytes }: ShipperSettings,
): AsyncGenerator<readonly Line[]> {
  for (const { first, last } of ranges) {
    const end = Math.min(last + 1, below);
    const reader = new StreamReader(directory, first, () => {});
    try {
      while (reader.next < end) {
        const read = await reader.read(limit, Math.min(maxBatchRecords, end - reader.next), maxBatchBytes);
        if (read.length === 0) break;
        const lines = read.filter(({ sequence }) => sequence < end);
        if (lines.length > 0) yield lines;
        reader.release(reader.next);
      }
    } finally {
      await reader.close();
    }
  }
}
