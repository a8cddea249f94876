import { rmSync } from 'node:fs';
import { expect, it, vi } from 'vitest';
import { parseVerifierKeys } from '../../src/audit/proof/note.ts';
import { verifyTrail } from '../../src/audit/verify/verify.ts';
import { journalOf, MadeKey, makeDirectory, makeStream } from '../support/trail-maker.ts';

const calls = vi.hoisted(() => ({ digest: 0, closed: 0 }));

vi.mock('../../src/audit/verify/digest-pool.ts', () => {
  class ThreadsLost extends Error {}
  class DigestPool {
    readonly capacity = 2;
    digest(): Promise<never> {
      calls.digest++;
      return Promise.reject(new ThreadsLost('a thread ended'));
    }
    close(): void {
      calls.closed++;
    }
  }
  return { ThreadsLost, DigestPool };
});

it('a verification whose threads die begins again without them', async () => {
  const key = new MadeKey('bot');
  const stream = makeStream(key, '0b5f0e52-6b2a-4b6e-9d3c-2f0f9a7d1c11', 60);
  const directory = makeDirectory(journalOf(stream));
  try {
    const options = { paths: [directory], keys: parseVerifierKeys(key.vkey) };
    const report = await verifyTrail({ ...options, threads: 2 });
    expect(calls.digest).toBeGreaterThan(0);
    expect(calls.closed).toBe(1);
    expect(report).toEqual(await verifyTrail({ ...options, threads: 0 }));
    expect(report.exitStatus).toBe(0);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
