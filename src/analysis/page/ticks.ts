/** Where the marks of a time axis stand: on round times of the calendar, UTC. */

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

interface Step {
  readonly ms: number;
  /** Where it goes by months; `ms` is then only how long that is about. */
  readonly months?: number;
  /** Part of the ISO time that is shown. */
  readonly text: readonly [from: number, to: number];
}

const TIME = [11, 16] as const;
const DATE = [5, 10] as const;
const MONTH = [0, 7] as const;
const YEAR = [0, 4] as const;
const months = (count: number, text: readonly [number, number]): Step => ({
  ms: count * 30.44 * DAY,
  months: count,
  text,
});
const STEPS: readonly Step[] = [
  { ms: 1000, text: [14, 19] },
  { ms: 10_000, text: [14, 19] },
  ...[1, 5, 15, 30].map((count) => ({ ms: count * MINUTE, text: TIME })),
  ...[1, 3, 6, 12].map((count) => ({ ms: count * HOUR, text: TIME })),
  ...[1, 2, 7, 14].map((count) => ({ ms: count * DAY, text: DATE })),
  months(1, MONTH),
  months(3, MONTH),
  months(6, MONTH),
  ...[12, 24, 60, 120].map((count) => months(count, YEAR)),
];

/** A mark. */
export interface Tick {
  readonly ms: number;
  readonly text: string;
}

/** At most `most` marks within the range, at equal steps of the calendar. */
export function ticksOf(fromMs: number, toMs: number, most: number): readonly Tick[] {
  const step = STEPS.find(({ ms }) => (toMs - fromMs) / ms <= most) ?? STEPS.at(-1)!;
  const ticks: Tick[] = [];
  const add = (ms: number) => {
    if (ms >= fromMs && ms <= toMs) ticks.push({ ms, text: new Date(ms).toISOString().slice(...step.text) });
  };
  if (step.months === undefined) {
    for (let ms = Math.ceil(fromMs / step.ms) * step.ms; ms <= toMs; ms += step.ms) add(ms);
    return ticks;
  }
  const start = new Date(fromMs);
  const first = start.getUTCFullYear() * 12 + start.getUTCMonth();
  for (let month = Math.floor(first / step.months) * step.months; ; month += step.months) {
    const ms = Date.UTC(Math.floor(month / 12), month % 12, 1);
    if (ms > toMs) return ticks;
    add(ms);
  }
}
