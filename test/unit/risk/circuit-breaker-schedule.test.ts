import { describe, expect, it } from 'vitest';
import { nextTimeOfDay, tradingDay } from '../../../src/risk/circuit-breaker/schedule.ts';

const NEW_YORK = 'America/New_York';
const next = (now: string, time: string, zone: string) =>
  new Date(nextTimeOfDay(Date.parse(now), time, zone)).toISOString();

describe('next time of day in a zone', () => {
  it('is today before it and tomorrow from it on', () => {
    expect(next('2024-01-02T14:29:59.999Z', '09:30', NEW_YORK)).toBe('2024-01-02T14:30:00.000Z');
    expect(next('2024-01-02T14:30:00.000Z', '09:30', NEW_YORK)).toBe('2024-01-03T14:30:00.000Z');
  });

  it('goes by the date of the zone, not of UTC', () => {
    // 20:00 on 1 January in New York is 2 January in UTC.
    expect(next('2024-01-02T01:00:00Z', '23:00', NEW_YORK)).toBe('2024-01-02T04:00:00.000Z');
    expect(next('2024-01-01T20:00:00Z', '00:00', 'Asia/Tokyo')).toBe('2024-01-02T15:00:00.000Z');
    expect(next('2024-01-01T20:00:00Z', '09:00', 'Asia/Kolkata')).toBe('2024-01-02T03:30:00.000Z');
  });

  it('is an hour earlier in UTC after clocks went forward, an hour later after they went back', () => {
    // New York: 10 March and 3 November 2024.
    expect(next('2024-03-09T15:00:00Z', '09:30', NEW_YORK)).toBe('2024-03-10T13:30:00.000Z');
    expect(next('2024-11-02T14:00:00Z', '09:30', NEW_YORK)).toBe('2024-11-03T14:30:00.000Z');
    // London: 31 March and 27 October 2024.
    expect(next('2024-03-30T12:00:00Z', '08:00', 'Europe/London')).toBe('2024-03-31T07:00:00.000Z');
    expect(next('2024-10-26T12:00:00Z', '08:00', 'Europe/London')).toBe('2024-10-27T08:00:00.000Z');
  });

  it('takes a time that the change leaves out as much later as clocks were put forward', () => {
    expect(next('2024-03-10T05:00:00Z', '02:30', NEW_YORK)).toBe('2024-03-10T07:30:00.000Z');
  });

  it('takes the first of a time that occurs twice, and once that is past, the next day', () => {
    expect(next('2024-11-03T04:00:00Z', '01:30', NEW_YORK)).toBe('2024-11-03T05:30:00.000Z');
    expect(next('2024-11-03T05:45:00Z', '01:30', NEW_YORK)).toBe('2024-11-04T06:30:00.000Z');
  });
});

describe('trading day', () => {
  const day = (now: string, zone: string, resetAt: string) => tradingDay(Date.parse(now), zone, resetAt);

  it('changes at its reset time in the zone', () => {
    expect(day('2024-01-02T04:59:59Z', NEW_YORK, '00:00')).toBe('2024-01-01');
    expect(day('2024-01-02T05:00:00Z', NEW_YORK, '00:00')).toBe('2024-01-02');
    expect(day('2024-01-02T21:59:59Z', NEW_YORK, '17:00')).toBe('2024-01-01');
    expect(day('2024-01-02T22:00:00Z', NEW_YORK, '17:00')).toBe('2024-01-02');
  });

  it('keeps to the zone on the days of both clock changes', () => {
    expect(day('2024-03-11T03:59:59Z', NEW_YORK, '00:00')).toBe('2024-03-10');
    expect(day('2024-03-11T04:00:00Z', NEW_YORK, '00:00')).toBe('2024-03-11');
    expect(day('2024-11-04T04:59:59Z', NEW_YORK, '00:00')).toBe('2024-11-03');
    expect(day('2024-11-04T05:00:00Z', NEW_YORK, '00:00')).toBe('2024-11-04');
  });
});
