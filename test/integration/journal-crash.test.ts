import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { recordsByStream, temporaryDirectory } from '../support/journal.ts';
import { verifyDirectory } from '../support/verify.ts';

const CHILD = fileURLToPath(new URL('../support/journal-child.ts', import.meta.url));
const TRAILS = 2;
const KILLS = 25;
const LONGEST_MS = 50;

/** Park and Miller's generator: the moments of death are the same in every run, as far as a machine allows. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
}

/** Resolves once a stream of the trail has a signed checkpoint. */
async function checkpointed(dataDir: string): Promise<void> {
  const streams = join(dataDir, 'streams');
  while (!readdirSync(streams).some((id) => existsSync(join(streams, id, 'checkpoint')))) await delay(5);
}

/**
 * Runs the emitting child and kills it `afterMs` after its first report, and not before the trail has a checkpoint: on a busy
 * machine none of these short lives might come to one.
 * @returns what it had reported
 */
async function runAndKill(dataDir: string, afterMs: number): Promise<string[]> {
  const child = spawn(process.execPath, [CHILD, dataDir, '60000', '100'], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.once('data', () => {
    void Promise.all([delay(afterMs), checkpointed(dataDir)]).then(() => child.kill('SIGKILL'));
  });
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  const [, signal] = await once(child, 'close');
  expect(signal).toBe('SIGKILL');
  // The last report may be cut off.
  return output.split('\n').slice(0, -1);
}

describe('kill -9 at random moments', () => {
  const trails: { dir: string; remove: () => void; reported: string[] }[] = [];
  beforeAll(async () => {
    // Side by side, for the sake of time: each trail has a process after the other.
    await Promise.all(
      Array.from({ length: TRAILS }, async (_, index) => {
        const { path: dir, remove } = temporaryDirectory();
        const reported: string[] = [];
        trails.push({ dir, remove, reported });
        const next = random(20_081_010 + index);
        for (let kill = 0; kill < KILLS; kill++) reported.push(...(await runAndKill(dir, next() * LONGEST_MS)));
      }),
    );
  }, 120_000);
  afterAll(() => {
    for (const { remove } of trails) remove();
  });

  it(`leave every record that was reported, ${TRAILS * KILLS} times over, in one stream that goes on`, async () => {
    for (const { dir, reported } of trails) {
      const streams = await recordsByStream(dir);
      expect([...streams.keys()]).toHaveLength(1);
      const records = [...streams.values()][0]!;
      const held = new Set(
        records.flatMap(({ stream, sequence, recordId }) => [
          `${stream} ${sequence} ${recordId}`,
          `${stream} committed ${recordId}`,
        ]),
      );
      expect(reported.filter((one) => one.includes(' committed ')).length).toBeGreaterThan(KILLS);
      expect(reported.length).toBeGreaterThan(KILLS * 10);
      expect(reported.filter((one) => !held.has(one))).toEqual([]);
      expect(records.map((record) => record.sequence)).toEqual(records.map((_, index) => index));
      expect(records.filter((record) => record.eventName === 'audit.recovered')).toHaveLength(KILLS - 1);
      expect(records.some((record) => record.eventName === 'audit.checkpoint')).toBe(true);
    }
  });

  it('leave a trail that verifies', async () => {
    for (const { dir } of trails) {
      const { exitCode, findings } = await verifyDirectory(dir);
      expect(exitCode).toBe(0);
      expect(findings.filter((kind) => !['UNSIGNED_TAIL', 'NOT_CLOSED', 'TORN_TAIL'].includes(kind))).toEqual([]);
    }
  });
});
