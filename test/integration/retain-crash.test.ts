import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { createManualClock } from '../../src/core/clock.ts';
import { openTestJournal, recordsByStream, temporaryDirectory } from '../support/journal.ts';
import { retainParts } from '../support/retain-parts.ts';
import { verifyDirectory } from '../support/verify.ts';

const CHILD = fileURLToPath(new URL('../support/retain-crash-child.ts', import.meta.url));
const AT_ONCE = 3;
/** What an orderly end after an unclean one leaves. */
const TOLD = ['PRUNED', 'NOT_CLOSED', 'UNSIGNED_TAIL', 'TORN_TAIL'];

const cache = temporaryDirectory();

/** Runs the child until it dies before its `deadline`-th operation. @returns what it had reported */
async function runChild(dataDir: string, deadline: number): Promise<{ lines: string[]; signal: string | null }> {
  const child = spawn(process.execPath, [CHILD, dataDir, String(deadline)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_COMPILE_CACHE: cache.path },
  });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  const [, signal] = await once(child, 'close');
  return { lines: output.trimEnd().split('\n'), signal };
}

/** The records that are neither held nor below the size of an account of pruning. */
async function lostOf(dataDir: string, reported: readonly string[]): Promise<{ lost: string[]; pruned: boolean }> {
  const streams = await recordsByStream(dataDir);
  const sizes = new Map<string, number>();
  const held = new Set<string>();
  for (const record of [...streams.values()].flat()) {
    held.add(`${record.stream} ${record.sequence} ${record.recordId}`);
    const stream = record.attributes['audit.pruned.stream'];
    if (typeof stream !== 'string') continue;
    sizes.set(stream, Math.max(sizes.get(stream) ?? 0, record.attributes['audit.pruned.tree_size'] as number));
  }
  const lost = reported.filter((line) => {
    const [stream, sequence] = line.split(' ') as [string, string];
    return !held.has(line) && Number(sequence) >= (sizes.get(stream) ?? 0);
  });
  return { lost, pruned: sizes.size > 0 };
}

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' });
}

async function checkDeath(deadline: number): Promise<void> {
  const { path: dir, remove } = temporaryDirectory();
  try {
    const { lines, signal } = await runChild(dir, deadline);
    expect(signal, `the child survived operation ${deadline}`).toBe('SIGKILL');
    const at = `after a death before operation ${deadline}`;
    const reported = lines.filter((line) => line.split(' ').length === 3);
    const dead = await verifyDirectory(dir);
    expect(dead.exitCode, `${dead.findings} ${at}`).toBe(0);
    const before = await lostOf(dir, reported);
    expect(before.lost, at).toEqual([]);
    if (!lines.includes('pruning')) expect(before.pruned, at).toBe(false);

    const clock = createManualClock(Date.UTC(2026, 0, 9));
    const journal = openTestJournal(dir, { segmentMaxBytes: 4_000, checkpointIntervalMs: 3_600_000, clock });
    const { seal, sealer, retention, errors } = retainParts(
      dir,
      journal,
      { policy: { maxSegments: 3 } },
      undefined,
      clock,
    );
    await seal();
    await sealer.sealEnded();
    const result = await retention.run();
    expect([errors, result.refusedStreams], at).toEqual([[], 0]);
    await journal.close('shutdown');
    const alive = await verifyDirectory(dir);
    expect(alive.exitCode, `${alive.findings} ${at}`).toBe(0);
    expect(
      alive.findings.filter((kind) => !TOLD.includes(kind)),
      at,
    ).toEqual([]);
    expect((await lostOf(dir, reported)).lost, at).toEqual([]);
    const files = filesBelow(dir);
    expect(
      files.filter((name) => name.endsWith('.tmp')),
      at,
    ).toEqual([]);
    expect(
      files.filter((name) => files.includes(`${name}.zst`)),
      at,
    ).toEqual([]);
  } finally {
    remove();
  }
}

describe('kill -9 between any two operations on files', () => {
  afterAll(() => cache.remove());

  it('of rotating, checkpointing, sealing and pruning loses no record, and the trail verifies before and after the restart', async () => {
    const { path, remove } = temporaryDirectory();
    const { lines, signal } = await runChild(path, 0);
    expect(signal).toBeNull();
    expect(filesBelow(path).some((name) => name.endsWith(join('state', 'pruned.json')))).toBe(true);
    remove();
    const operations = Number(lines.at(-1)!.split(' ')[1]);
    expect(operations).toBeGreaterThan(60);
    let next = 1;
    const work = async () => {
      while (next <= operations) await checkDeath(next++);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  }, 120_000);
});
