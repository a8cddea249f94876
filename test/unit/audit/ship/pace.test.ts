import { describe, expect, it } from 'vitest';
import { Pace } from '../../../../src/audit/ship/pace.ts';

const { signal } = new AbortController();

/** A thread whose time passes as the test says. */
function thread(share: number) {
  const time = { active: 0, idle: 0 };
  const pauses: number[] = [];
  const pace = new Pace(share, {
    utilization: () => ({ ...time }),
    async sleep(ms) {
      pauses.push(ms);
      time.idle += ms;
    },
  });
  return {
    pauses,
    time,
    async work(active: number, idle = 0) {
      time.active += active;
      time.idle += idle;
      await pace.pause(signal);
    },
  };
}

describe('the pace of a thread', () => {
  it.each([0.2, 0.5, 0.8, 1])('is a share of %d of the time', async (share) => {
    const { work, time } = thread(share);
    for (let i = 0; i < 20; i++) await work(10 + i);
    expect(time.active / (time.active + time.idle)).toBeCloseTo(share);
  });

  it('counts what the thread waited for anyhow', async () => {
    const { work, pauses } = thread(0.25);
    await work(10, 25);
    await work(10, 30);
    await work(10, 200);
    expect(pauses).toEqual([5]);
  });

  it('saves nothing up: after an idle hour the next work has its pause', async () => {
    const { work, pauses } = thread(0.5);
    await work(0, 3_600_000);
    await work(10);
    expect(pauses).toEqual([10]);
  });

  it('makes up for pauses that are too short for a timer', async () => {
    const { work, pauses } = thread(0.5);
    for (let i = 0; i < 5; i++) await work(0.25);
    expect(pauses).toEqual([1]);
  });

  it('pauses for a second at most, where the machine stood still', async () => {
    const { work, pauses } = thread(0.5);
    await work(3_600_000);
    await work(10);
    expect(pauses).toEqual([1_000, 10]);
  });

  it('goes by the event loop of its own thread', async () => {
    const pace = new Pace(0.5);
    const before = performance.eventLoopUtilization();
    for (const began = performance.now(); performance.now() - began < 30; );
    // What the loop was at work is known from the next turn on.
    await new Promise((resolve) => setImmediate(resolve));
    await pace.pause(signal);
    expect(performance.eventLoopUtilization(before).idle).toBeGreaterThan(20);
  });

  it('ends with the signal', async () => {
    const pace = new Pace(0.001);
    for (const began = performance.now(); performance.now() - began < 10; );
    await expect(pace.pause(AbortSignal.abort(new Error('stop')))).rejects.toThrow();
  });
});
