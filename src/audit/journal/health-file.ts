/**
 * What a running trail last said of its own health, in the state folder of its stream: for `risktrail status`, which looks
 * from another process. No part of the proof.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { replaceFile, replaceFileSync } from './durable-file.ts';
import { STATE_DIRECTORY } from './segment-files.ts';

const HEALTH_FILE = 'health.json';

/** Health as it was told: plain data. */
export interface StoredHealth {
  /** When, epoch milliseconds. */
  readonly timeMs: number;
  /** The next is due after so many milliseconds; 0 where no further one comes. */
  readonly intervalMs: number;
  /** As `trail.health()` gives it. */
  readonly health: Readonly<Record<string, unknown>>;
}

const pathIn = (directory: string): string => join(directory, STATE_DIRECTORY, HEALTH_FILE);

const textOf = (stored: StoredHealth): string => `${JSON.stringify({ version: 1, ...stored })}\n`;

/** Puts the health of the stream in `directory` in the place of what was told before. @throws the system's error */
export const writeHealth = (directory: string, stored: StoredHealth): Promise<void> =>
  replaceFile(pathIn(directory), textOf(stored));

/** {@link writeHealth}, at the end of the process. @throws the system's error */
export const writeHealthSync = (directory: string, stored: StoredHealth): void =>
  replaceFileSync(pathIn(directory), textOf(stored));

/** What was last told; undefined where nothing was, or it can't be understood. */
export function readHealth(directory: string): StoredHealth | undefined {
  try {
    const { version, timeMs, intervalMs, health } = JSON.parse(readFileSync(pathIn(directory), 'utf8'));
    if (version !== 1 || typeof timeMs !== 'number' || typeof intervalMs !== 'number') return undefined;
    return typeof health === 'object' && health !== null ? { timeMs, intervalMs, health } : undefined;
  } catch {
    return undefined;
  }
}
