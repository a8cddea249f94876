import { describe, expect, it } from 'vitest';
import { runRestartChild } from '../support/restart.ts';
import { readTrail, temporaryDirectory } from '../support/trail.ts';

const START = Date.UTC(2024, 0, 2, 14, 30);
const at = (ms: number) => ({ startMs: START + ms });

// Each test starts several processes, and they all run at once.
describe.concurrent('after kill -9 a service goes on where it was', { timeout: 180_000 }, () => {
  it('an open breaker: the rest of its wait counts from when it opened, and trading stays halted', async () => {
    const dataDir = temporaryDirectory();
    const before = await runRestartChild(dataDir, 'open', at(0));
    expect(before).toMatchObject({ gate: 'HALTED', breaker: { status: 'OPEN', openUntilMs: START + 60_000 } });
    const after = await runRestartChild(dataDir, 'probe', at(59_999));
    expect(after.stream).toBe(before.stream);
    expect(after).toMatchObject({
      gate: 'HALTED',
      breaker: { status: 'OPEN', openUntilMs: START + 60_000, triggers: ['failure_count'] },
      answer: { permitted: false, code: 'CIRCUIT_BREAKER_OPEN' },
      allowed: 'TRADING_HALTED',
      exit: true,
      restored: { outcome: 'restored', stream: before.stream },
      health: 'healthy',
    });
    const later = await runRestartChild(dataDir, 'probe', at(60_000));
    expect(later).toMatchObject({ gate: 'ACTIVE', answer: { permitted: true, code: 'CIRCUIT_BREAKER_PROBE' } });
  });

  it('half-open: no phantom probe takes the place of a real one', async () => {
    const dataDir = temporaryDirectory();
    const before = await runRestartChild(dataDir, 'halfOpen', at(0));
    expect(before.breaker).toMatchObject({ status: 'HALF_OPEN', probes: [{ id: 1 }] });
    const after = await runRestartChild(dataDir, 'nothing', at(60_010));
    expect(after.breaker).toMatchObject({ status: 'HALF_OPEN', probes: [], epoch: before.breaker.epoch + 1 });
    const again = await runRestartChild(dataDir, 'probe', at(60_020));
    expect(again.answer).toMatchObject({ permitted: true, code: 'CIRCUIT_BREAKER_PROBE', probe: 2 });
  });

  it('a latched breaker stays latched, however long it takes', async () => {
    const dataDir = temporaryDirectory();
    await runRestartChild(dataDir, 'latch', at(0));
    const after = await runRestartChild(dataDir, 'nothing', at(86_400_000 * 30));
    expect(after.latch).toBe('OPEN');
  });

  it('stops: peak, level and size; a price already beyond the level fires at once, told with the gap', async () => {
    const dataDir = temporaryDirectory();
    const before = await runRestartChild(dataDir, 'stops', at(0));
    const after = await runRestartChild(dataDir, 'nothing', at(5_000));
    expect(after.stops).toEqual(before.stops);
    const fired = await runRestartChild(dataDir, 'gap', at(10_000));
    expect(fired.answer).toMatchObject([{ id: 'p1', action: 'TRIGGER', stopPrice: 108.9, price: 90, gap: 18.9 }]);
    const records = await readTrail(dataDir);
    const restored = records.filter((one) => one.event === 'risk.trailing_stop.restored');
    expect(restored).toHaveLength(4);
    expect(restored[0]).toMatchObject({
      'risk.trailing_stop.id': 'p1',
      'risk.trailing_stop.stop_price': 108.9,
      'risk.trailing_stop.peak_price': 110,
      'risk.trailing_stop.quantity': 10,
    });
    expect(records.map((one) => one.record_id)).toContain(restored[0]!['risk.restored.record_id']);
    const last = (await runRestartChild(dataDir, 'gap', at(15_000))).stops[0];
    expect(last).toMatchObject({ status: 'triggered', trigger: { gap: 18.9 } });
  });

  it('the used daily loss, till its reset in its zone', async () => {
    const dataDir = temporaryDirectory();
    const before = await runRestartChild(dataDir, 'loss', at(0));
    expect(before).toMatchObject({ gate: 'REDUCING', day: { pnl: -1200, breached: true } });
    // Five o'clock in New York.
    const reset = Date.UTC(2024, 0, 2, 22);
    expect(before.day.resetMs).toBe(reset);
    const after = await runRestartChild(dataDir, 'nothing', { startMs: reset - 1 });
    expect(after).toMatchObject({ gate: 'REDUCING', day: before.day, allowed: 'TRADING_REDUCING', exit: true });
    const next = await runRestartChild(dataDir, 'nothing', { startMs: reset });
    expect(next).toMatchObject({ gate: 'ACTIVE', day: { pnl: 0, breached: false }, allowed: 'OK' });
  });

  it('a halt by hand, after an orderly end too, until somebody resumes', async () => {
    const dataDir = temporaryDirectory();
    const before = await runRestartChild(dataDir, 'halt', at(0), 'close');
    const after = await runRestartChild(dataDir, 'nothing', at(1_000), 'close');
    expect(after.stream).not.toBe(before.stream);
    expect(after).toMatchObject({
      gate: 'HALTED',
      restored: { outcome: 'restored', stream: before.stream, unsigned: 0 },
    });
    const third = await runRestartChild(dataDir, 'nothing', at(2_000));
    expect(third).toMatchObject({ gate: 'HALTED', restored: { stream: after.stream } });
    const events = (await readTrail(dataDir)).filter((one) => one.event === 'risk.trading_state_restored');
    expect(events).toMatchObject([{ 'risk.trading_state.new': 'HALTED' }, { 'risk.trading_state.new': 'HALTED' }]);
  });

  it('intents and orders without an end', async () => {
    const dataDir = temporaryDirectory();
    const before = await runRestartChild(dataDir, 'orders', at(0));
    expect(before.orders).toMatchObject([
      { clientOrderId: 'c1', status: 'intent' },
      { clientOrderId: 'c2', orderId: 'v2', status: 'placed' },
    ]);
    const after = await runRestartChild(dataDir, 'nothing', at(1_000), 'close');
    expect(after.orders).toEqual(before.orders);
    expect((await runRestartChild(dataDir, 'nothing', at(2_000))).orders).toEqual(before.orders);
  });

  it('a clock set back while it was down neither ends nor lengthens a wait, and is recorded', async () => {
    const dataDir = temporaryDirectory();
    await runRestartChild(dataDir, 'open', at(0));
    const after = await runRestartChild(dataDir, 'nothing', at(-3_600_000));
    expect(after.breaker).toMatchObject({ status: 'OPEN', openUntilMs: START - 3_600_000 + 60_000 });
    const records = await readTrail(dataDir);
    const restored = records.find((one) => one.event === 'risk.circuit_breaker.restored');
    expect(restored?.['risk.restored.clock_step_ms']).toBe(-3_600_000);
  });

  it('a clock set forward counts as time that went by', async () => {
    const dataDir = temporaryDirectory();
    await runRestartChild(dataDir, 'open', at(0));
    const after = await runRestartChild(dataDir, 'probe', at(86_400_000));
    expect(after.answer).toMatchObject({ permitted: true, code: 'CIRCUIT_BREAKER_PROBE' });
  });

  it('with restore: false it begins anew, and what it then does is what the next one finds', async () => {
    const dataDir = temporaryDirectory();
    await runRestartChild(dataDir, 'open+stops+halt', at(0));
    const fresh = await runRestartChild(dataDir, 'nothing', { ...at(1_000), restore: false });
    expect(fresh).toMatchObject({ restored: null, gate: 'ACTIVE', breaker: { status: 'CLOSED' }, stops: [] });
    const next = await runRestartChild(dataDir, 'nothing', at(2_000));
    expect(next).toMatchObject({ gate: 'ACTIVE', breaker: { status: 'CLOSED' }, stops: [] });
  });

  it('reads back to the newest round of snapshots only, which is taken every few thousand records', async () => {
    const dataDir = temporaryDirectory();
    await runRestartChild(
      dataDir,
      'open+stops+many',
      { ...at(0), segmentMaxBytes: 1_000_000, snapshotIntervalMs: 60_000 },
      'close',
    );
    const after = await runRestartChild(dataDir, 'nothing', at(1_000));
    expect(after).toMatchObject({ breaker: { status: 'OPEN' }, stops: [{ peakPrice: 110 }, {}] });
    expect(after.restored.records).toBeLessThan(9_000);
  });
});
