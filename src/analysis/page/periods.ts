/** Calendar periods: by which of them a range is told, which it has, and how each is called. */

/** Calendar periods by which tables and heat are told. */
export type Unit = 'minute' | 'hour' | 'day' | 'week' | 'month' | 'quarter' | 'year';

const UNITS: readonly (readonly [Unit, ms: number])[] = [
  ['minute', 60_000],
  ['hour', 3_600_000],
  ['day', 86_400_000],
  ['week', 604_800_000],
  ['month', 2_629_746_000],
  ['quarter', 7_889_238_000],
  ['year', 31_556_952_000],
];

/** More columns than this can't be told apart. */
const MAX_PERIODS = 84;

/** The finest unit that leaves few enough periods. */
export function unitOf(spanMs: number): Unit {
  return UNITS.find(([, ms]) => spanMs / ms <= MAX_PERIODS)?.[0] ?? 'year';
}

/** How a period is called. */
export function periodText(ms: number, unit: Unit): string {
  const iso = new Date(ms).toISOString();
  if (unit === 'year') return iso.slice(0, 4);
  if (unit === 'quarter') return `${iso.slice(0, 4)} Q${Math.floor(Number(iso.slice(5, 7)) / 3.01) + 1}`;
  if (unit === 'month') return iso.slice(0, 7);
  if (unit === 'week' || unit === 'day') return iso.slice(0, 10);
  return unit === 'hour' ? `${iso.slice(5, 10)} ${iso.slice(11, 16)}` : iso.slice(11, 16);
}

/** Every period of the range, whether something happened in it or not. */
export function periodsOf({
  fromMs,
  toMs,
  unit,
}: {
  readonly fromMs: number;
  readonly toMs: number;
  readonly unit: Unit;
}): readonly number[] {
  const periods: number[] = [];
  const start = new Date(fromMs);
  const months = { month: 1, quarter: 3, year: 12 }[unit as 'month'];
  if (months !== undefined) {
    const first = start.getUTCFullYear() * 12 + start.getUTCMonth();
    for (let month = Math.floor(first / months) * months; ; month += months) {
      const ms = Date.UTC(Math.floor(month / 12), month % 12, 1);
      if (ms > toMs) return periods;
      periods.push(ms);
    }
  }
  const step = { minute: 60_000, hour: 3_600_000, day: 86_400_000, week: 604_800_000 }[unit as 'day'];
  // Weeks begin on a Monday; the epoch was a Thursday.
  const offset = unit === 'week' ? 4 * 86_400_000 : 0;
  for (let ms = Math.floor((fromMs - offset) / step) * step + offset; ms <= toMs; ms += step) periods.push(ms);
  return periods;
}
