import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { recordsByStream, temporaryDirectory } from '../support/journal.ts';
import { verifyDirectory } from '../support/verify.ts';

const CHILD = fileURLToPath(new URL('../support/journal-child.ts', import.meta.url));
const KILLS = 50;
const LONGEST_MS = 60;

/** Park and Miller's generator: the moments of death are the same in every run, as far as a machine allows. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
}

/** Runs the emitting child and kills it `afterMs` after its first report. @returns what it had reported */
async function runAndKill(dataDir: string, afterMs: number): Promise<string[]> {
  const child = spawn(process.execPath, [CHILD, dataDir, '60000', '100'], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.once('data', () => setTimeout(() => child.kill('SIGKILL'), afterMs));
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  const [, signal] = await once(child, 'close');
  expect(signal).toBe('SIGKILL');
  // The last report may be cut off.
  return output.split('\n').slice(0, -1);
}

describe('kill -9 at random moments', () => {
  let dir: string;
  let remove: () => void;
  const reported: string[] = [];
  beforeAll(async () => {
    ({ path: dir, remove } = temporaryDirectory());
    const next = random(20_081_010);
    for (let kill = 0; kill < KILLS; kill++) reported.push(...(await runAndKill(dir, next() * LONGEST_MS)));
  });
  afterAll(() => remove());

  it(`leaves every record that was reported, ${KILLS} times over, in one stream that goes on`, async () => {
    const streams = await recordsByStream(dir);
    expect([...streams.keys()]).toHaveLength(1);
    const records = [...streams.values()][0]!;
    const held = new Set(records.map((record) => `${record.stream} ${record.sequence} ${record.recordId}`));
    expect(reported.length).toBeGreaterThan(KILLS * 10);
    expect(reported.filter((one) => !held.has(one))).toEqual([]);
    expect(records.map((record) => record.sequence)).toEqual(records.map((_, index) => index));
    expect(records.filter((record) => record.eventName === 'audit.recovered')).toHaveLength(KILLS - 1);
    expect(records.filter((record) => record.eventName === 'audit.checkpoint').length).toBeGreaterThan(KILLS / 5);
  });

  it('leaves a trail that verifies', async () => {
    const { exitCode, findings } = await verifyDirectory(dir);
    expect(exitCode).toBe(0);
    expect(findings.filter((kind) => !['UNSIGNED_TAIL', 'NOT_CLOSED', 'TORN_TAIL'].includes(kind))).toEqual([]);
  });
});
