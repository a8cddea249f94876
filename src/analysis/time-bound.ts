/** Points in time as people write them: a date, a time, or how far back. */
import type { Clock } from '../core/clock.ts';
import { describeValue, RiskTrailError } from '../core/errors.ts';
import { nanosToIso } from './flat-record.ts';

const BACK = /^(\d+(?:\.\d+)?)(s|m|h|d|w)$/;
const UNIT_MS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;
const POINT = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?\s*(Z|[+-]\d\d:?\d\d)?)?$/i;
const POINTS = 'a date (2020-03-16), a time (2020-03-16T14:30:00Z; UTC unless it has a zone)';
const SPANS = 'how far back (30s, 15m, 24h, 7d, 2w)';

/**
 * A bound as a timestamp with nine digits of the second, comparable as text with those of flat records.
 * @param field how the option is called in messages
 * @param side `from` a bare date is its first nanosecond, `to` its last
 * @param also what else the option takes, in words
 * @throws RiskTrailError OPTION_INVALID
 */
export function parseBound(field: string, text: string, side: 'from' | 'to', clock: Clock, also?: string): string {
  const back = BACK.exec(text);
  if (back !== null) {
    const ms = Math.max(0, clock.now() - Number(back[1]) * UNIT_MS[back[2] as keyof typeof UNIT_MS]);
    return nanosToIso(String(BigInt(Math.floor(ms)) * 1_000_000n));
  }
  const point = POINT.exec(text);
  const bound = point === null ? undefined : pointOf(point, side);
  if (bound !== undefined) return bound;
  const expected = `${POINTS}${also === undefined ? '' : `, ${also}`} or ${SPANS}`;
  throw new RiskTrailError('OPTION_INVALID', { field, expected, received: describeValue(text) });
}

function pointOf(point: RegExpExecArray, side: 'from' | 'to'): string | undefined {
  const [, date, minutes, seconds = '00', fraction = '', zone = 'Z'] = point as unknown as string[];
  // JavaScript takes the 31st of February for the 2nd of March.
  const day = Date.parse(`${date}T00:00:00Z`);
  if (Number.isNaN(day) || !new Date(day).toISOString().startsWith(date!)) return undefined;
  if (minutes === undefined) return side === 'from' ? `${date}T00:00:00.000000000Z` : `${date}T23:59:59.999999999Z`;
  const offset = /^[+-]\d{4}$/.test(zone) ? `${zone.slice(0, 3)}:${zone.slice(3)}` : zone.toUpperCase();
  const whole = Date.parse(`${date}T${minutes}:${seconds}${offset}`);
  if (Number.isNaN(whole)) return undefined;
  return `${new Date(whole).toISOString().slice(0, 19)}.${fraction.padEnd(9, '0')}Z`;
}
