import { describe, expect, it } from 'vitest';
import { isRiskTrailError } from '../../../src/core/errors.ts';
import { createCircuitBreaker } from '../../../src/runtime/circuit-breaker.ts';
import { createFakeHost } from '../../support/fake-host.ts';

const build = (options: unknown, from?: unknown) =>
  createCircuitBreaker(createFakeHost(), 'broker', options as never, from as never);

function refusal(options: unknown, from?: unknown): string {
  try {
    build(options, from);
  } catch (error) {
    if (isRiskTrailError(error)) return `${error.code} ${error.message}`;
    throw error;
  }
  return 'accepted';
}

describe('circuit breaker options', () => {
  it.each([
    [{ failureThreshold: 0 }, 'circuitBreaker("broker").failureThreshold: expected an integer ≥ 1 ≤ 10000, got 0'],
    [{ failureRate: 0 }, 'circuitBreaker("broker").failureRate: expected a finite number > 0 ≤ 1, got 0'],
    [{ failureRate: Number.NaN }, 'failureRate'],
    [{ windowMs: 1.5 }, 'circuitBreaker("broker").windowMs'],
    [{ windowMs: 1000, windowCalls: 5 }, 'windowMs or windowCalls, not both'],
    [{ slowCallRate: 0.5 }, 'circuitBreaker("broker").slowCallMs: expected a number of milliseconds'],
    [{ windowCalls: 5, minimumCalls: 6, failureRate: 0.5 }, 'minimumCalls: expected at most windowCalls (5), got 6'],
    [{ windowCalls: 5, failureThreshold: 6 }, 'failureThreshold: expected at most windowCalls (5), got 6'],
    [{ halfOpen: { maxProbes: 0 } }, 'circuitBreaker("broker").halfOpen.maxProbes'],
    [{ drawdown: { maxRatio: 10 } }, 'circuitBreaker("broker").drawdown.maxRatio'],
    [{ dailyLoss: { max: 100, timeZone: 'Mars/Olympus' } }, 'expected an IANA time zone'],
    [{ unlockAt: { time: '9:30', timeZone: 'UTC' } }, 'expected a time of day as HH:MM, got "9:30"'],
    [{ unlockAt: { time: '24:00', timeZone: 'UTC' } }, 'HH:MM'],
    [{ onOpen: 'STOP' }, "one of 'HALTED', 'REDUCING', 'none'"],
  ])('refuses %o', (options, message) => {
    const refused = refusal(options);
    expect(refused).toMatch(/^OPTION_INVALID /);
    expect(refused).toContain(message);
  });

  it('names the nearest right key for a misspelt one', () => {
    expect(refusal({ failureTreshold: 5 })).toBe(
      'OPTION_UNKNOWN circuitBreaker("broker").failureTreshold: unknown option (did you mean "failureThreshold"?)',
    );
  });

  it('refuses a missing name', () => {
    expect(() => createCircuitBreaker(createFakeHost(), '')).toThrow(/circuitBreaker\.name/);
  });

  it('opens at five failures in a minute when nothing is set, and at none when only a trading trigger is', () => {
    const plain = build({});
    for (let failure = 1; failure <= 4; failure += 1) plain.failure();
    expect(plain.state).toBe('CLOSED');
    plain.failure();
    expect(plain.state).toBe('OPEN');
    const trading = build({ losingStreak: { count: 3 } });
    for (let failure = 1; failure <= 50; failure += 1) trading.failure();
    expect(trading.state).toBe('CLOSED');
  });

  it('refuses a snapshot that is none', () => {
    const good = build({}).snapshot();
    expect(refusal({}, { ...good, version: 2 })).toContain('circuitBreaker("broker").snapshot.version');
    expect(refusal({}, { ...good, state: { ...good.state, status: 'AJAR' } })).toContain('snapshot.state.status');
    expect(refusal({}, { ...good, state: { ...good.state, calls: null } })).toContain('snapshot.state.calls');
    expect(refusal({}, null)).toContain('OPTION_INVALID');
  });
});
