import { describe, expect, it } from 'vitest';
import { startAccountProcess } from '../support/account-processes.ts';
import { readTrail, startTestTrail, temporaryDirectory } from '../support/trail.ts';
import { verifyDirectory } from '../support/verify.ts';

/** Up to eight processes start in one test. */
const TIMEOUT_MS = 240_000;

const three = async (dataDir: string) =>
  Promise.all([startAccountProcess(dataDir), startAccountProcess(dataDir), startAccountProcess(dataDir)]);

describe('three processes of one account', { timeout: TIMEOUT_MS }, () => {
  it('a breaker that opens in one halts the others, whose records name its record as their cause; a reset frees all', async () => {
    const dataDir = temporaryDirectory();
    const [a, b, c] = await three(dataDir);
    await a.do('trip');
    for (const one of [b, c]) {
      await one.seen((report) => report.type === 'breaker' && report.state === 'OPEN');
      const { result } = await one.do('look');
      expect(result).toMatchObject({ state: 'OPEN', gate: { allowed: false, state: 'HALTED' }, exits: true });
      expect(result.failures.count).toBe(0);
    }
    expect((await b.do('check', 1)).result).toMatchObject({ allowed: false, code: 'TRADING_HALTED' });
    await c.do('reset');
    for (const one of [a, b]) await one.until('look', [], (it) => it.state === 'CLOSED' && it.gate.allowed);
    await b.do('halt');
    for (const one of [a, c]) await one.until('look', [], (it) => it.gate.state === 'HALTED');
    await a.do('resume');
    for (const one of [b, c]) await one.until('look', [], (it) => it.gate.allowed);
    for (const one of [a, b, c]) await one.close();

    const records = await readTrail(dataDir);
    const trips = records.filter(
      (one) => one.event === 'risk.circuit_breaker.state_change' && one['risk.circuit_breaker.state.new'] === 'OPEN',
    );
    const origin = trips.find((one) => one.stream === a.stream);
    for (const other of [b, c]) {
      const act = records.find(
        (one) => one.event === 'risk.circuit_breaker.manual_trip' && one.stream === other.stream,
      );
      expect(act).toMatchObject({
        'risk.cause.record_id': origin?.record_id,
        'risk.cause.event': 'risk.circuit_breaker.state_change',
      });
    }
    expect(trips).toHaveLength(3);
    expect(await verifyDirectory(dataDir, { strict: true })).toEqual({ exitCode: 0, findings: [] });
  });

  it("the day's loss and the exposure are those of all, a killed process's included; it goes on after a restart", async () => {
    const dataDir = temporaryDirectory();
    const [a, b, c] = await three(dataDir);
    await Promise.all([a.do('pnl', -300), b.do('pnl', -200), c.do('pnl', -100)]);
    for (const one of [a, b, c]) await one.until('look', [], (it) => it.pnl === -600);

    // On its way in one, filled in another: both count in the third, and what the caller lists already counts once.
    await a.do('place', 'a1', 5);
    await b.do('place', 'b1', 10);
    await b.do('fill', 'b1', 10);
    for (const one of [a, c]) await one.until('others', [], (it) => it.includes('AAPL 10'));
    expect((await c.do('check', 1)).result.projected).toBe(16);
    expect((await c.do('check', 1, 10)).result.projected).toBe(16);
    expect((await c.do('check', 11)).result).toMatchObject({ allowed: false, code: 'SYMBOL_DELTA_EXCEEDED' });
    // Its own order is not counted twice.
    expect((await a.do('check', 1)).result.projected).toBe(16);

    await b.kill();
    expect((await c.do('check', 11)).result.allowed).toBe(false);
    expect((await a.do('look')).result.pnl).toBe(-600);
    await a.do('pnl', -50);
    const again = await startAccountProcess(dataDir);
    expect(again.stream).toBe(b.stream);
    await again.until('look', [], (it) => it.pnl === -650);
    expect((await again.do('check', 1, 10)).result.projected).toBe(16);
    await again.do('pnl', -350);
    for (const one of [a, c]) await one.until('look', [], (it) => it.pnl === -1000);
    await c.do('pnl', -1);
    for (const one of [a, again]) {
      const { gate } = await one.until('look', [], (it) => it.gate.state === 'REDUCING');
      expect(gate.allowed).toBe(false);
    }
    expect((await again.do('look')).result.failures.count).toBe(0);
    for (const one of [a, c, again]) await one.close();
    expect((await verifyDirectory(dataDir, { strict: true })).exitCode).toBe(0);
  });

  it('after all were killed at once each loss counts once, in however many streams they go on', async () => {
    const dataDir = temporaryDirectory();
    const before = await three(dataDir);
    await Promise.all(before.map((one, index) => one.do('pnl', -100 * (index + 1))));
    for (const one of before) await one.until('look', [], (it) => it.pnl === -600);
    await before[0].do('forceOpen');
    for (const one of before) await one.until('look', [], (it) => it.state === 'FORCED_OPEN');
    await Promise.all(before.map((one) => one.kill()));
    const after = [];
    for (let turn = 0; turn < 3; turn++) {
      after.push(await startAccountProcess(dataDir));
      const { result } = await after[turn]!.do('look');
      expect(result).toMatchObject({ pnl: -600, state: 'FORCED_OPEN', gate: { state: 'HALTED' } });
    }
    await after[1]!.do('pnl', -7);
    for (const one of after) await one.until('look', [], (it) => it.pnl === -607);
    for (const one of after) await one.close();
    const last = await startAccountProcess(dataDir);
    expect((await last.do('look')).result).toMatchObject({ pnl: -607, state: 'FORCED_OPEN' });
    expect((await last.do('look')).result.failures.count).toBe(0);
    await last.close();
    expect((await verifyDirectory(dataDir)).exitCode).toBe(0);
  });
});

describe("scope: 'account'", { timeout: TIMEOUT_MS }, () => {
  it('needs the setting accountId', async () => {
    const trail = await startTestTrail();
    expect(() => trail.circuitBreaker('broker', { scope: 'account' })).toThrow('accountId');
    expect(() => trail.portfolioLimits({ scope: 'account' })).toThrow('accountId');
  });

  it('of the gate holds for questions that name no account, and for no other account', async () => {
    const trail = await startTestTrail({ accountId: 'ACC1' });
    trail.gate.halt({ actor: 'ann', reason: 'news', scope: 'account:ACC1' });
    expect(trail.gate.check({ reduces: false }).allowed).toBe(false);
    expect(trail.gate.check({ reduces: false, accountId: 'ACC2' }).allowed).toBe(true);
  });

  it('leaves layers of another account, and layers with a scope of their own, alone', async () => {
    const dataDir = temporaryDirectory();
    const other = await startAccountProcess(dataDir, { accountId: 'ACC2' });
    const mine = await startAccountProcess(dataDir, { restore: false });
    await other.do('trip');
    await other.do('pnl', -5);
    const third = await startAccountProcess(dataDir, { restore: false });
    await third.do('pnl', -3);
    await mine.until('look', [], (it) => it.pnl === -3);
    expect((await mine.do('look')).result).toMatchObject({ state: 'CLOSED', gate: { allowed: true } });
  });
});
