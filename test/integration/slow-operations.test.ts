import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createManualClock, type RiskTrail, startRiskTrail } from '../../src/index.ts';

describe('slow operations', () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'risktrail-slow-'));
  let trail: RiskTrail | undefined;
  afterEach(async () => {
    await trail?.close();
    rmSync(dataDir, { recursive: true, force: true });
  });

  it('seed 002: an operation past its threshold is in the trail, where nobody exports anything', async () => {
    const clock = createManualClock(Date.parse('2024-03-08T15:00:00Z'));
    trail = await startRiskTrail({ serviceName: 'slow', dataDir, clock, handleSignals: false });
    const before = trail.health().journal?.records ?? 0;
    trail.timed('fetch_balance', () => clock.advance(99), { thresholdMs: 100 });
    expect(trail.health().journal?.records).toBe(before);
    trail.timed('fetch_positions', () => clock.advance(100), { thresholdMs: 100 });
    expect(trail.health().journal?.records).toBe(before + 1);
  });
});
