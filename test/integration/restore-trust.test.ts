import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isRiskTrailError } from '../../src/core/errors.ts';
import type { RiskTrailOptions } from '../../src/index.ts';
import { readTrail, startTestTrail, temporaryDirectory } from '../support/trail.ts';

const BY = { actor: 'ann', reason: 'test' };

/** A trail with an open breaker that was signed, then a halt by hand, closed in order. @returns its newest segment */
async function leaveTrail(dataDir: string, options: RiskTrailOptions = {}): Promise<string> {
  const trail = await startTestTrail({ dataDir, ...options });
  trail.circuitBreaker('broker', { failureThreshold: 1, cooldownMs: 3_600_000, onOpen: 'none' }).failure();
  trail.trailingStops({ trailingPct: 1 }).add({ id: 'p1', symbol: 'AAPL', side: 'long', entryPrice: 100 });
  await trail.flush();
  trail.gate.reduce(BY);
  await trail.close();
  const stream = join(dataDir, 'streams', trail.stream.split('/')[1]!);
  return join(stream, readdirSync(stream).find((name) => name.endsWith('.jsonl'))!);
}

/** Changes the last snapshot of the gate: behind the first checkpoint, before the last. */
function tamper(segment: string): void {
  const lines = readFileSync(segment, 'utf8').split('\n');
  const at = lines.findLastIndex((line) => line.includes('"eventName":"risk.trading_state_snapshot"'));
  expect(at).toBeGreaterThan(0);
  lines[at] = lines[at]!.replaceAll('REDUCING', 'ACTIVE');
  writeFileSync(segment, lines.join('\n'));
}

async function start(dataDir: string, options: RiskTrailOptions = {}) {
  const trail = await startTestTrail({ dataDir, ...options });
  const breaker = trail.circuitBreaker('broker', { failureThreshold: 1, cooldownMs: 3_600_000, onOpen: 'none' });
  const stops = trail.trailingStops({ trailingPct: 1 });
  return { trail, breaker, stops };
}

describe('a trail is restored from only where it verifies', () => {
  it('a whole one: everything, and nothing is halted', async () => {
    const dataDir = temporaryDirectory();
    await leaveTrail(dataDir);
    const { trail, breaker, stops } = await start(dataDir);
    expect(trail.restored).toMatchObject({ outcome: 'restored', unsigned: 0 });
    expect([trail.gate.state(), breaker.state, stops.list().length]).toEqual(['REDUCING', 'OPEN', 1]);
    expect(trail.health().status).toBe('healthy');
  });

  it('by default a changed record halts trading, on the state of the last good checkpoint, until a person resumes', async () => {
    const dataDir = temporaryDirectory();
    tamper(await leaveTrail(dataDir));
    const { trail, breaker, stops } = await start(dataDir);
    expect(trail.restored).toMatchObject({ outcome: 'halted', reason: expect.stringContaining('was changed') });
    expect([trail.gate.state(), breaker.state, stops.list().length]).toEqual(['HALTED', 'OPEN', 1]);
    expect(trail.gate.check({ reduces: true }).allowed).toBe(true);
    await trail.close();

    const again = await startTestTrail({ dataDir });
    expect([again.restored?.outcome, again.gate.state()]).toEqual(['restored', 'HALTED']);
    again.gate.resume(BY);
    expect(again.gate.state()).toBe('ACTIVE');
    await again.close();
    const records = await readTrail(dataDir);
    expect(records.filter((one) => one.event === 'risk.state_restored')).toMatchObject([
      { 'risk.restored.outcome': 'halted', 'risk.reason.code': 'TRAIL_NOT_TRUSTED' },
      { 'risk.restored.outcome': 'restored' },
    ]);
  });

  it('checkpoint: goes on from the last good checkpoint; fresh: from nothing; both say why', async () => {
    for (const [onUntrustedTrail, breakerState, stopCount] of [
      ['checkpoint', 'OPEN', 1],
      ['fresh', 'CLOSED', 0],
    ] as const) {
      const dataDir = temporaryDirectory();
      tamper(await leaveTrail(dataDir));
      const { trail, breaker, stops } = await start(dataDir, { onUntrustedTrail });
      expect(trail.restored).toMatchObject({ outcome: onUntrustedTrail, reason: expect.stringContaining('changed') });
      expect([trail.gate.state(), breaker.state, stops.list().length]).toEqual(['ACTIVE', breakerState, stopCount]);
      await trail.close();
    }
  });

  it('a missing record, a cut end, a checkpoint by another key: each is found', async () => {
    const edits: Readonly<Record<string, (lines: string[]) => string[]>> = {
      missing: (lines) => lines.filter((line) => !line.includes('"eventName":"system.stop"')),
      cut: (lines) => lines.slice(0, -6),
      'not signed': (lines) => lines,
    };
    for (const [name, edit] of Object.entries(edits)) {
      const dataDir = temporaryDirectory();
      const segment = await leaveTrail(dataDir);
      const whole = readFileSync(segment, 'utf8').trimEnd().split('\n');
      writeFileSync(segment, `${edit(whole).join('\n')}\n`);
      if (name === 'not signed') {
        // Another key in the place of the service's.
        const other = temporaryDirectory();
        await leaveTrail(other);
        for (const file of ['verifier.vkey', 'signing-key.pem'])
          writeFileSync(join(dataDir, file), readFileSync(join(other, file)));
      }
      const { trail } = await start(dataDir);
      expect(trail.restored, name).toMatchObject({ outcome: 'halted' });
      expect(trail.gate.state(), name).toBe('HALTED');
      await trail.close();
    }
  });

  it('where an unsigned tail was cut by a torn line, the whole records before it stand', async () => {
    const dataDir = temporaryDirectory();
    const segment = await leaveTrail(dataDir);
    const lines = readFileSync(segment, 'utf8').split('\n');
    const at = lines.findIndex((line) => line.includes('"eventName":"risk.trading_state_change"'));
    writeFileSync(segment, `${lines.slice(0, at + 1).join('\n')}\n${lines[at + 1]!.slice(0, 40)}`);
    // As it was when the process died: no newer note.
    const note = JSON.parse(lines.slice(0, at).findLast((line) => line.includes('"audit.checkpoint"'))!) as {
      resourceLogs: {
        scopeLogs: { logRecords: { attributes: { key: string; value: { stringValue: string } }[] }[] }[];
      }[];
    };
    const attributes = note.resourceLogs[0]!.scopeLogs[0]!.logRecords[0]!.attributes;
    writeFileSync(
      join(segment, '..', 'checkpoint'),
      attributes.find(({ key }) => key === 'audit.checkpoint')!.value.stringValue,
    );
    const { trail, breaker } = await start(dataDir);
    expect(trail.restored).toMatchObject({ outcome: 'restored' });
    expect(trail.restored!.unsigned).toBeGreaterThan(0);
    expect([trail.gate.state(), breaker.state]).toEqual(['REDUCING', 'OPEN']);
  });
});

describe('whose trail it is', () => {
  const codeOf = async (options: RiskTrailOptions) => {
    try {
      await (await startTestTrail(options)).close();
      return 'started';
    } catch (error) {
      return isRiskTrailError(error) ? `${error.code}: ${error.message}` : String(error);
    }
  };

  it('that of another service is refused, unless told to begin beside it', async () => {
    const dataDir = temporaryDirectory();
    await leaveTrail(dataDir, { serviceName: 'one' });
    expect(await codeOf({ dataDir, serviceName: 'other' })).toBe(
      `RESTORE_OTHER_SERVICE: the trail in ${dataDir} is that of service "one", not of "other"`,
    );
    expect(readdirSync(join(dataDir, 'streams'))).toHaveLength(1);
    expect(await codeOf({ dataDir, serviceName: 'other', restore: false })).toBe('started');
    expect(await codeOf({ dataDir, serviceName: 'other' })).toBe('started');
  });

  it('that of another account is refused', async () => {
    const dataDir = temporaryDirectory();
    await leaveTrail(dataDir, { accountId: 'ACC1' });
    expect(await codeOf({ dataDir, accountId: 'ACC2' })).toBe(
      `RESTORE_OTHER_ACCOUNT: the trail in ${dataDir} is that of account "ACC1", not of "ACC2"`,
    );
    expect(await codeOf({ dataDir, accountId: 'ACC1' })).toBe('started');
  });
});

describe('settings that changed over a restart', () => {
  const old = { failureThreshold: 3, cooldownMs: 1_000 };
  const limitsOf = (max: number) => ({ dailyLoss: { max, onBreach: 'HALTED' as const } });

  async function restart(onConfigChange: 'keep' | 'apply' | 'refuse') {
    const dataDir = temporaryDirectory();
    const first = await startTestTrail({ dataDir });
    first.circuitBreaker('broker', old).failure();
    first.portfolioLimits(limitsOf(100)).recordPnl(-150);
    await first.close();
    return startTestTrail({ dataDir, onConfigChange });
  }

  it('apply: those given now hold, and each that differs is named', async () => {
    const trail = await restart('apply');
    const breaker = trail.circuitBreaker('broker', { failureThreshold: 2, cooldownMs: 1_000 });
    const limits = trail.portfolioLimits(limitsOf(500));
    expect(trail.gate.state()).toBe('ACTIVE');
    expect(limits.snapshot()).toMatchObject({
      config: { dailyLoss: { max: 500 } },
      day: { pnl: -150, breached: false },
    });
    breaker.failure();
    expect(breaker.state).toBe('OPEN');
    await trail.close();
    const records = await readTrail(trail.dataDir);
    const restored = records.filter((one) => /\.restored$/.test(one.event ?? ''));
    expect(restored.map((one) => one['risk.restored.differs'])).toEqual([
      ['failureThreshold: 3 → 2'],
      ['dailyLoss.max: 100 → 500'],
    ]);
    expect(restored[0]).toMatchObject({ 'risk.restored.config': 'apply' });
  });

  it('keep: those of before hold', async () => {
    const trail = await restart('keep');
    const breaker = trail.circuitBreaker('broker', { failureThreshold: 2, cooldownMs: 1_000 });
    const limits = trail.portfolioLimits(limitsOf(500));
    breaker.failure();
    expect(breaker.state).toBe('CLOSED');
    expect(breaker.configure({ cooldownMs: 9 }, BY).accepted).toBe(true);
    expect(breaker.snapshot().config).toMatchObject({ failureThreshold: 3, cooldownMs: 9 });
    expect(limits.snapshot()).toMatchObject({ config: { dailyLoss: { max: 100 } }, day: { breached: true } });
    expect(trail.gate.state()).toBe('HALTED');
  });

  it('refuse: the layer is not made, the error names what differs, and its state is not lost', async () => {
    const trail = await restart('refuse');
    const make = () => trail.circuitBreaker('broker', { failureThreshold: 2, cooldownMs: 1_000 });
    expect(make).toThrow('circuit breaker "broker" had other settings before the restart: failureThreshold: 3 → 2');
    expect(() => trail.portfolioLimits(limitsOf(500))).toThrow('dailyLoss.max: 100 → 500');
    expect(trail.circuitBreaker('broker', old).snapshot().state.calls.failures).toHaveLength(1);
    expect(trail.portfolioLimits(limitsOf(100)).snapshot().day.pnl).toBe(-150);
  });
});

it('a layer that nobody makes for a while is still found later', async () => {
  const dataDir = temporaryDirectory();
  await leaveTrail(dataDir);
  for (let restart = 0; restart < 2; restart++) {
    const trail = await startTestTrail({ dataDir });
    expect(trail.restored?.layers).toEqual(['circuit_breaker:broker', 'trailing_stops:default']);
    await trail.close();
  }
  const { breaker, stops } = await start(dataDir);
  expect([breaker.state, stops.list().length]).toEqual(['OPEN', 1]);
});
