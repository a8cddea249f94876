/**
 * How many bytes the streams of a data directory may have. Nothing is deleted for it but what retention gives up by itself:
 * where that isn't enough, records wait, and are lost in the end, as on a full disk.
 */
import { readdirSync, statSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../core/clock.ts';

export interface QuotaOptions {
  readonly maxBytes: number;
  /** The folder whose files count. */
  readonly directory: string;
  /** Bytes that the writer has appended so far. */
  readonly appended: () => number;
  /** Removes what is no longer kept. @returns bytes that are free now */
  readonly reclaim?: (() => Promise<number>) | undefined;
  readonly ticks: Clock;
  readonly onError: (error: unknown, what: string) => void;
}

/** From this share on it is looked for what can go, before anything has to wait. */
const EARLY_SHARE = 0.9;
/** Not more often than this, in milliseconds, unless nothing can be written. */
const EARLY_PAUSE_MS = 30_000;
const PAUSE_MS = 1000;

export class Quota {
  readonly #options: QuotaOptions;
  /** Bytes of all files but those that {@link QuotaOptions.appended} counts. */
  #base: number;
  #running: Promise<void> | undefined;
  #lookedAt: number;

  /** Adds up the files that are there. */
  constructor(options: QuotaOptions) {
    this.#options = options;
    this.#base = sizeSync(options.directory) - options.appended();
    this.#lookedAt = options.ticks.monotonic() - EARLY_PAUSE_MS;
  }

  /** Bytes that count, as far as is known. */
  get used(): number {
    return this.#base + this.#options.appended();
  }

  /** @throws Error with the code `QUOTA` where `bytes` more would be too many */
  admit(bytes: number): void {
    const { maxBytes } = this.#options;
    const used = this.used + bytes;
    if (used <= maxBytes * EARLY_SHARE) return;
    const full = used > maxBytes;
    if (this.#options.ticks.monotonic() - this.#lookedAt >= (full ? PAUSE_MS : EARLY_PAUSE_MS)) void this.look();
    if (!full) return;
    throw Object.assign(new Error(`QUOTA: the journal may have ${maxBytes} bytes`), { code: 'QUOTA' });
  }

  /** Has retention remove what may go, and adds up anew. Concurrent calls share one. Never rejects. */
  look(): Promise<void> {
    this.#lookedAt = this.#options.ticks.monotonic();
    this.#running ??= this.#look().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #look(): Promise<void> {
    try {
      await this.#options.reclaim?.();
    } catch (error) {
      this.#options.onError(error, 'reclaim');
    }
    try {
      const appended = this.#options.appended();
      this.#base = (await size(this.#options.directory)) - appended;
    } catch (error) {
      this.#options.onError(error, 'quota');
    }
  }
}

function sizeSync(directory: string): number {
  let sum = 0;
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) sum += statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.size ?? 0;
  }
  return sum;
}

async function size(directory: string): Promise<number> {
  let sum = 0;
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    // Others remove files meanwhile.
    sum += await stat(join(entry.parentPath, entry.name)).then(
      (found) => found.size,
      () => 0,
    );
  }
  return sum;
}
