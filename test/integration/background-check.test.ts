import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { RiskTrail, RiskTrailOptions } from '../../src/index.ts';
import { readTrail, startTestTrail, temporaryDirectory } from '../support/trail.ts';

const BY = { actor: 'ann', reason: 'looked into it' };
const TRADE = { 'trading.side': 'buy', 'trading.quantity': 1, 'trading.price': 100 } as const;

/** A trail of two closed streams. @returns the directory of the first, which no start reads any more */
async function leaveStreams(dataDir: string): Promise<string> {
  const first = await startTestTrail({ dataDir });
  first.circuitBreaker('broker', { failureThreshold: 5, onOpen: 'none' }).failure();
  for (let n = 0; n < 50; n++) first.emit('trade.entry', { ...TRADE, 'trading.symbol': `S${n}` });
  await first.close();
  await (await startTestTrail({ dataDir })).close();
  return join(dataDir, 'streams', first.stream.slice(first.stream.lastIndexOf('/') + 1));
}

function change(stream: string): void {
  const path = join(stream, readdirSync(stream).find((name) => name.endsWith('.jsonl'))!);
  const lines = readFileSync(path, 'utf8').split('\n');
  const at = lines.findIndex((line) => line.includes('"S7"'));
  expect(at).toBeGreaterThan(0);
  writeFileSync(path, lines.with(at, lines[at]!.replaceAll('"S7"', '"S8"')).join('\n'));
}

const start = (dataDir: string, options: RiskTrailOptions = {}) =>
  startTestTrail({ dataDir, verifyAfterStartMs: 1, ...options });

async function verified(trail: RiskTrail) {
  const deadline = performance.now() + 60_000;
  for (;;) {
    const { verification } = trail.health();
    if (verification === undefined || verification.state === 'done' || verification.state === 'failed')
      return verification;
    if (performance.now() > deadline) throw new Error(`still ${verification.state}`);
    await sleep(20);
  }
}

const findingsOf = async (dataDir: string) =>
  (await readTrail(dataDir)).filter((one) => one.event === 'audit.finding').map((one) => one['audit.finding.kind']);

describe('behind a start that verified its tail, the whole trail is verified', () => {
  it('a whole one: nothing is found, every stream was read, trading goes on', async () => {
    const dataDir = temporaryDirectory();
    await leaveStreams(dataDir);
    const trail = await start(dataDir);
    const before = (await readTrail(dataDir)).length;
    expect(await verified(trail)).toMatchObject({ state: 'done', findings: 0, known: 0 });
    expect(trail.health().verification!.records).toBeGreaterThanOrEqual(before);
    expect([trail.gate.state(), trail.health().status]).toEqual(['ACTIVE', 'healthy']);
  });

  it('a record changed where no start looks: it starts, is halted late, and says why; once looked into it is known', async () => {
    const dataDir = temporaryDirectory();
    change(await leaveStreams(dataDir));
    const trail = await start(dataDir);
    expect([trail.restored?.outcome, trail.gate.state()]).toEqual(['restored', 'ACTIVE']);
    const found = await verified(trail);
    expect(found).toMatchObject({ state: 'done', known: 0 });
    expect(found!.findings).toBeGreaterThan(0);
    expect([trail.gate.state(), trail.health().status]).toEqual(['HALTED', 'degraded']);
    expect(trail.gate.check({ reduces: true }).allowed).toBe(true);
    trail.gate.resume(BY);
    expect(trail.gate.state()).toBe('ACTIVE');
    await trail.close();
    const told = await findingsOf(dataDir);
    expect(told).toHaveLength(found!.findings);
    expect(told).toContain('INVALID');

    const again = await start(dataDir);
    expect(await verified(again)).toMatchObject({ state: 'done', findings: 0, known: found!.findings });
    expect(again.gate.state()).toBe('ACTIVE');
    await again.close();
    expect(await findingsOf(dataDir)).toEqual(told);
  });

  it.each(['checkpoint', 'fresh'] as const)(
    'under onUntrustedTrail %s it is recorded, and trading goes on',
    async (policy) => {
      const dataDir = temporaryDirectory();
      change(await leaveStreams(dataDir));
      const trail = await start(dataDir, { onUntrustedTrail: policy });
      expect((await verified(trail))!.findings).toBeGreaterThan(0);
      expect([trail.gate.state(), trail.health().status]).toEqual(['ACTIVE', 'degraded']);
      await trail.close();
      expect(await findingsOf(dataDir)).toContain('INVALID');
    },
  );

  it('a stream that is gone is found', async () => {
    const dataDir = temporaryDirectory();
    const { rmSync } = await import('node:fs');
    rmSync(await leaveStreams(dataDir), { recursive: true });
    const trail = await start(dataDir);
    expect((await verified(trail))!.findings).toBe(1);
    expect(trail.gate.state()).toBe('HALTED');
    await trail.close();
    expect(await findingsOf(dataDir)).toEqual(['MISSING_STREAM']);
  });

  it('while the trail is written: what comes meanwhile is no finding', async () => {
    const dataDir = temporaryDirectory();
    await leaveStreams(dataDir);
    const trail = await start(dataDir, { segmentMaxBytes: 100_000, checkpointRecords: 50 });
    for (let n = 0; trail.health().verification?.state !== 'done' && n < 100_000; n++) {
      trail.emit('trade.entry', { ...TRADE, 'trading.symbol': `T${n}` });
      if (n % 20 === 0) await sleep(1);
    }
    expect(await verified(trail)).toMatchObject({ state: 'done', findings: 0 });
    expect(trail.gate.state()).toBe('ACTIVE');
  });

  it('0 switches it off; a trail without a past has none; closing ends it', async () => {
    const dataDir = temporaryDirectory();
    const first = await start(dataDir);
    expect(first.health().verification).toBeUndefined();
    await first.close();
    const second = await start(dataDir, { verifyAfterStartMs: 0 });
    expect(second.health().verification).toBeUndefined();
    await second.close();
    const third = await start(dataDir);
    await third.close();
    expect(third.health().failures.count).toBe(0);
  });
});
