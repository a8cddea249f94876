import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { formatTorture, tortureFailures } from '../../scripts/torture-report.ts';
import { torture } from '../../scripts/torture-run.ts';

const SLICE = { kills: 25, records: 20_000, seed: 20_261_121, lifeMs: 250, segmentMaxBytes: 300_000, pruning: true };

it('a slice of the torture loses nothing that was acknowledged', { timeout: 120_000 }, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'risktrail-torture-'));
  try {
    const result = await torture({ directory, ...SLICE });
    expect(tortureFailures(result), formatTorture(SLICE, result)).toEqual([]);
    expect(result.census.acknowledged).toBeGreaterThanOrEqual(SLICE.records);
    // Retention took part.
    expect(result.census.inJournal).toBeLessThan(result.census.acknowledged);
    expect(Object.values(result.kills).reduce((sum, kills) => sum + kills, 0)).toBeGreaterThanOrEqual(SLICE.kills);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
