import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { msToNextDay } from '../../../src/audit/retain/daily-border.ts';
import { type PlannedSegment, planPruning } from '../../../src/audit/retain/prune-plan.ts';
import { createInlineRunner } from '../../../src/audit/retain/retain-jobs.ts';
import { Sealer } from '../../../src/audit/retain/sealer.ts';

const DAY_MS = 86_400_000;
const NONE = { bytes: 0, segments: 0 };

function segment(stream: string, day: number, held?: PlannedSegment['held']): PlannedSegment {
  return { stream, bytes: 100, lastMs: day * DAY_MS, held };
}

const planned = (...args: Parameters<typeof planPruning>) => Object.fromEntries(planPruning(...args).remove);

describe('the choice of what goes', () => {
  const week = [0, 1, 2, 3, 4, 5, 6].map((day) => segment('a', day));

  it('is nothing where nothing was chosen', () => {
    expect(planned({}, 1e15, week, NONE)).toEqual({});
  });

  it('by age: what is older than so many days, and not what is exactly as old', () => {
    expect(planned({ days: 3 }, 7 * DAY_MS, week, NONE)).toEqual({ a: 4 });
    expect(planned({ days: 3 }, 7 * DAY_MS + 1, week, NONE)).toEqual({ a: 5 });
  });

  it('by bytes and count: the oldest until the rest fits, with what can not go counted in', () => {
    expect(planned({ maxBytes: 500 }, 0, week, NONE)).toEqual({ a: 2 });
    expect(planned({ maxBytes: 500 }, 0, week, { bytes: 300, segments: 1 })).toEqual({ a: 5 });
    expect(planned({ maxSegments: 5 }, 0, week, { bytes: 0, segments: 1 })).toEqual({ a: 3 });
    expect(planned({ maxBytes: 500, maxSegments: 3 }, 0, week, NONE)).toEqual({ a: 4 });
  });

  it('with days beside a limit: only what is older, and only while the limit is passed', () => {
    expect(planned({ days: 5, maxSegments: 1 }, 7 * DAY_MS, week, NONE)).toEqual({ a: 2 });
    expect(planned({ days: 5, maxSegments: 10 }, 7 * DAY_MS, week, NONE)).toEqual({});
  });

  it('takes the oldest of all streams first, and of each from its beginning', () => {
    const streams = [segment('a', 1), segment('a', 4), segment('b', 2), segment('b', 3)];
    expect(planned({ maxSegments: 1 }, 0, streams, NONE)).toEqual({ a: 1, b: 2 });
  });

  it('stops in a stream at what is held back, says so, and goes on with others', () => {
    const streams = [segment('a', 1, 'copy'), segment('a', 2), segment('b', 3), segment('b', 4, 'checkpoint')];
    const plan = planPruning({ maxSegments: 0 }, 0, streams, NONE);
    expect(Object.fromEntries(plan.remove)).toEqual({ b: 1 });
    expect([plan.heldForCopy, plan.heldForCheckpoint]).toEqual([1, 1]);
  });
});

describe('the border of days', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it('is midnight UTC', () => {
    expect(msToNextDay(Date.UTC(2026, 0, 1))).toBe(DAY_MS);
    expect(msToNextDay(Date.UTC(2026, 0, 1, 23, 59, 59))).toBe(1000);
    expect(msToNextDay(-1)).toBe(1);
  });

  it('has the running segment closed once, where that was chosen', () => {
    vi.useFakeTimers({ now: Date.UTC(2026, 0, 1, 20) });
    const dataDir = mkdtempSync(join(tmpdir(), 'risktrail-border-'));
    const rotateDaily = vi.fn();
    const sealer = new Sealer({
      dataDir,
      live: { stream: 'bot/x', streamId: 'x', directory: dataDir },
      runner: createInlineRunner(),
      clock: { now: () => Date.now(), monotonic: () => 0 },
      onError: () => {},
      rotateDaily,
    });
    vi.advanceTimersByTime(4 * 3_600_000 - 1);
    expect(rotateDaily).toHaveBeenCalledTimes(0);
    vi.advanceTimersByTime(2);
    expect(rotateDaily).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(DAY_MS);
    expect(rotateDaily).toHaveBeenCalledTimes(2);
    sealer.stop();
    vi.advanceTimersByTime(DAY_MS);
    expect(rotateDaily).toHaveBeenCalledTimes(2);
    rmSync(dataDir, { recursive: true });
  });
});
