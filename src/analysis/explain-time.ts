/** Times of day without a day, as people ask for them: which day is meant. */
import type { Clock } from '../core/clock.ts';
import type { StateChange } from './explain-records.ts';
import { parseBound } from './time-bound.ts';

const TIME_OF_DAY = /^(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d)?$/;
const HOURS_AND_MINUTES = 5;
const DAY_MS = 86_400_000;

/** Whether a text is a time of day: hours and minutes, and seconds if wanted. */
export const isTimeOfDay = (text: string): boolean => TIME_OF_DAY.test(text);

const dateOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
const midnightOf = (timestamp: string): number => Date.parse(`${timestamp.slice(0, 10)}T00:00:00Z`);

/**
 * The moment that somebody asks about: a time of day as it is, anything else as {@link parseBound} has it.
 * @throws RiskTrailError OPTION_INVALID
 */
export const parseMoment = (field: string, text: string, clock: Clock): string =>
  isTimeOfDay(text) ? text : parseBound(field, text, 'from', clock, 'a time of day (10:30)');

/** A point in time that stands for its whole minute, where it has no seconds: who asks for 10:30 means a halt within it, too. */
export function untilOf(at: string): string {
  return at.endsWith(':00.000000000Z') ? `${at.slice(0, 17)}59.999999999Z` : at;
}

/**
 * The day of a time of day: that of the trail's last record if trading was halted then, else the latest on which a halt began
 * then, else the latest on which trading was halted then, else that of the last record all the same.
 * @param changes changes of trading state, in the order of time
 * @param scopeOf what the change is of: its state holds until the next of the same
 * @param last time of the last record
 * @returns the point in time, where there is one, and in words which day was taken
 */
export function dayOf(
  timeOfDay: string,
  changes: readonly StateChange[],
  scopeOf: (change: StateChange) => string,
  last: string | undefined,
): { readonly at: string | undefined; readonly words: string } {
  if (last === undefined) return { at: undefined, words: `Nothing halted at ${timeOfDay}: no record has a time.` };
  const time = timeOfDay.length > HOURS_AND_MINUTES ? timeOfDay : `${timeOfDay}:00`;
  const on = (midnightMs: number) => `${dateOf(midnightMs)}T${time}.000000000Z`;
  const lastDay = midnightOf(last);
  /** The last such time in front of a point in time, or on the last day. */
  const lastBefore = (end: string | undefined) => {
    if (end === undefined || untilOf(on(lastDay)) < end) return lastDay;
    const day = midnightOf(end);
    return untilOf(on(day)) < end ? day : day - DAY_MS;
  };
  let began: number | undefined;
  let halted: number | undefined;
  const nextOf = new Map<string, string>();
  for (const change of changes.toReversed()) {
    const scope = scopeOf(change);
    const end = nextOf.get(scope);
    nextOf.set(scope, change.timestamp);
    if (change.state === 'ACTIVE') continue;
    if (change.timestamp.slice(11).startsWith(timeOfDay)) began ??= midnightOf(change.timestamp);
    const day = lastBefore(end);
    if (untilOf(on(day)) >= change.timestamp && (halted === undefined || day > halted)) halted = day;
  }
  const day = halted === lastDay ? lastDay : (began ?? halted ?? lastDay);
  const why =
    day === lastDay
      ? 'the day of the trail’s last record'
      : `the latest day on which ${day === began ? 'a halt began' : 'trading was halted'} then`;
  return { at: on(day), words: `${timeOfDay} is taken as ${on(day).slice(0, 19).replace('T', ' ')} UTC, ${why}.` };
}
