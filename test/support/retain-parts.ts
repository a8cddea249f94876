/** A journal with its sealer and retention, in one thread, for tests. */
import { readdirSync } from 'node:fs';
import type { Journal } from '../../src/audit/journal/journal.ts';
import { createInlineRunner, type RetainRunner } from '../../src/audit/retain/retain-jobs.ts';
import { Retention, type RetentionOptions } from '../../src/audit/retain/retention.ts';
import { Sealer } from '../../src/audit/retain/sealer.ts';
import { type Clock, createSystemClock } from '../../src/core/clock.ts';
import { testEvent } from './journal.ts';

/** Sealing and retention over an open journal. */
export interface RetainParts {
  readonly sealer: Sealer;
  readonly retention: Retention;
  /** What was reported. */
  readonly errors: string[];
  /** Makes a checkpoint, and seals what it covers. @returns by how many bytes files became smaller */
  seal(): Promise<number>;
}

/** Makes them. */
export function retainParts(
  dataDir: string,
  journal: Journal,
  more: Partial<RetentionOptions> = {},
  runner: RetainRunner = createInlineRunner(),
  clock: Clock = createSystemClock(),
): RetainParts {
  const errors: string[] = [];
  const onError = (error: unknown, what: string) => {
    errors.push(`${what}: ${(error as Error).message}`);
  };
  const sealer = new Sealer({ dataDir, live: journal, runner, clock, onError });
  const options = { dataDir, journal, runner, sealer, clock, policy: {}, shipping: false, onError };
  const retention = new Retention({ ...options, ...more });
  return {
    sealer,
    retention,
    errors,
    async seal() {
      const info = await journal.checkpoint();
      sealer.checkpointed(info?.size ?? 0);
      return sealer.sealLive();
    },
  };
}

/** Appends `count` events. */
export function appendMany(journal: Journal, count: number, from = 0): void {
  for (let index = from; index < from + count; index++) journal.append(testEvent(index));
}

/** Names of the segment files in a stream's folder. */
export function segmentNames(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => name.includes('.jsonl'))
    .sort();
}
