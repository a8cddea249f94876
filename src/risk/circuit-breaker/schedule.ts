/** Times of day in a named zone, by `Intl` alone. */

const DAY_MS = 86_400_000;
const formats = new Map<string, Intl.DateTimeFormat>();

/** Whether `Intl` knows the zone. */
export function isTimeZone(value: unknown): value is string {
  if (typeof value !== 'string' || value === '') return false;
  try {
    formatOf(value);
    return true;
  } catch {
    return false;
  }
}

function formatOf(timeZone: string): Intl.DateTimeFormat {
  let format = formats.get(timeZone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-US', {
      ...{ timeZone, hourCycle: 'h23' },
      ...{ year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric' },
    });
    formats.set(timeZone, format);
  }
  return format;
}

/** Before 1973 clocks were set at other than whole minutes. */
const WHOLE_MINUTES_MS = Date.UTC(1973, 0, 1);
const MINUTE_MS = 60_000;
const MAX_OFFSETS = 32_768;
/** By zone, by minute since the epoch: `Intl` takes microseconds, and a replay asks for the same times again and again. */
const offsets = new Map<string, Map<number, number>>();

/** Milliseconds that the zone's clocks are ahead of UTC at an instant. */
function offsetAt(timeZone: string, epochMs: number): number {
  if (!(epochMs >= WHOLE_MINUTES_MS)) return lookUpOffset(timeZone, epochMs);
  let known = offsets.get(timeZone);
  if (known === undefined) {
    known = new Map();
    offsets.set(timeZone, known);
  }
  const minute = Math.floor(epochMs / MINUTE_MS);
  let offset = known.get(minute);
  if (offset === undefined) {
    if (known.size >= MAX_OFFSETS) known.clear();
    offset = lookUpOffset(timeZone, epochMs);
    known.set(minute, offset);
  }
  return offset;
}

function lookUpOffset(timeZone: string, epochMs: number): number {
  const part: Record<string, number> = {};
  for (const { type, value } of formatOf(timeZone).formatToParts(epochMs)) part[type] = Number(value);
  const local = Date.UTC(part.year!, part.month! - 1, part.day, part.hour, part.minute, part.second);
  return local - Math.floor(epochMs / 1000) * 1000;
}

/**
 * The instant of a local time given as if it were UTC. A time that occurs twice is its first occurrence; one that the change
 * to summer time leaves out is as much later as the clocks were put forward (Temporal's `compatible`).
 */
function instantOf(timeZone: string, localMs: number): number {
  const before = localMs - offsetAt(timeZone, localMs - DAY_MS);
  if (before + offsetAt(timeZone, before) === localMs) return before;
  const after = localMs - offsetAt(timeZone, localMs + DAY_MS);
  return after + offsetAt(timeZone, after) === localMs ? after : before;
}

const minutesOf = (time: string): number => Number(time.slice(0, 2)) * 60 + Number(time.slice(3));

/**
 * The next time, after `nowMs`, that clocks in the zone show `time`.
 * @param time `HH:MM`
 * @returns epoch milliseconds
 */
export function nextTimeOfDay(nowMs: number, time: string, timeZone: string): number {
  const localNow = nowMs + offsetAt(timeZone, nowMs);
  const midnight = Math.floor(localNow / DAY_MS) * DAY_MS;
  for (let day = midnight; ; day += DAY_MS) {
    const instant = instantOf(timeZone, day + minutesOf(time) * 60_000);
    if (instant > nowMs) return instant;
  }
}

/**
 * The trading day of an instant: the date in the zone on which it began at `resetAt`.
 * @param resetAt `HH:MM`; 17:00 makes a day that runs from five o'clock to five o'clock
 * @returns `YYYY-MM-DD`
 */
export function tradingDay(nowMs: number, timeZone: string, resetAt: string): string {
  const local = nowMs + offsetAt(timeZone, nowMs) - minutesOf(resetAt) * 60_000;
  return new Date(local).toISOString().slice(0, 10);
}
