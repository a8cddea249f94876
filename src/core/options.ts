/**
 * Checks of options: one object in, a frozen copy with its defaults out; the first wrong field throws with its name, what
 * was expected and what came. Unknown keys are refused with the nearest right name. Nothing is repaired in silence.
 */
import leven from 'leven';
import { describeValue, RiskTrailError } from './errors.ts';

/** One option's check: what it expects in words, and the test. `undefined` never reaches `accepts`. */
export interface Check<T> {
  readonly expected: string;
  accepts(value: unknown): value is T;
  /** For nested options and lists: replaces the value (by its checked copy), `field` being its whole path. */
  read?(value: unknown, field: string): T;
  readonly optional?: boolean;
}

export type CheckMap<T> = { readonly [K in keyof Required<T>]: Check<NonNullable<T[K]>> };

function check<T>(expected: string, accepts: (value: unknown) => boolean): Check<T> {
  return { expected, accepts: accepts as (value: unknown) => value is T };
}

const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);

/** A finite number, with optional inclusive bounds `min` and `max` and exclusive ones `above` and `below`. */
export function number(
  bounds: { min?: number; max?: number; above?: number; below?: number; integer?: boolean } = {},
): Check<number> {
  const words = [
    bounds.integer ? 'an integer' : 'a finite number',
    bounds.min === undefined ? '' : `≥ ${bounds.min}`,
    bounds.above === undefined ? '' : `> ${bounds.above}`,
    bounds.max === undefined ? '' : `≤ ${bounds.max}`,
    bounds.below === undefined ? '' : `< ${bounds.below}`,
  ].filter(Boolean);
  return check(
    words.join(' '),
    (value) =>
      isNumber(value) &&
      (!bounds.integer || Number.isInteger(value)) &&
      (bounds.min === undefined || value >= bounds.min) &&
      (bounds.max === undefined || value <= bounds.max) &&
      (bounds.above === undefined || value > bounds.above) &&
      (bounds.below === undefined || value < bounds.below),
  );
}

export const integer = (min: number, max?: number): Check<number> =>
  number({ integer: true, min, ...(max === undefined ? {} : { max }) });
export const positive = (): Check<number> => number({ above: 0 });
export const ratio = (): Check<number> => number({ min: 0, max: 1 });
export const boolean = (): Check<boolean> => check('true or false', (value) => typeof value === 'boolean');
export const string = (): Check<string> =>
  check('a non-empty string', (value) => typeof value === 'string' && value.length > 0);
// biome-ignore lint/suspicious/noExplicitAny: a check of "callable" can say no more about the signature
export const func = <T extends (...args: any[]) => unknown>(): Check<T> =>
  check('a function', (value) => typeof value === 'function');
export const oneOf = <const T extends string>(values: readonly T[]): Check<T> =>
  check(`one of ${values.map((value) => `'${value}'`).join(', ')}`, (value) => values.includes(value as T));
export const object = <T extends object>(what = 'an object'): Check<T> =>
  check(what, (value) => typeof value === 'object' && value !== null && !Array.isArray(value));
export const record = <T>(of: Check<T>, what: string): Check<Readonly<Record<string, T>>> => ({
  ...object<Readonly<Record<string, T>>>(what),
  read: (value, field) =>
    Object.freeze(
      Object.fromEntries(
        Object.entries(value as object).map(([key, item]) => [key, readValue(of, item, `${field}.${key}`)]),
      ),
    ),
});
export const list = <T>(of: Check<T>): Check<readonly T[]> => ({
  expected: `a list of ${of.expected}`,
  accepts: (value): value is readonly T[] => Array.isArray(value),
  read: (value, field) =>
    Object.freeze((value as unknown[]).map((item, index) => readValue(of, item, `${field}[${index}]`))),
});
/** Options within options: `limits.portfolioDelta.max`. */
export function nested<T extends object>(checks: CheckMap<T>, defaults: Partial<T> = {}): Check<T> {
  return { ...object<T>(), read: (value, field) => readOptions(field, value, checks, defaults) as T };
}

function readValue<T>(one: Check<T>, value: unknown, field: string): T {
  if (!one.accepts(value)) {
    throw new RiskTrailError('OPTION_INVALID', { field, expected: one.expected, received: describeValue(value) });
  }
  return one.read === undefined ? value : one.read(value, field);
}

/** ` (did you mean "x"?)`, or nothing where no name is near. */
export function nearest(name: string, names: Iterable<string>): string {
  let best = '';
  let distance = Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const candidate of names) {
    const steps = leven(name.toLowerCase(), candidate.toLowerCase());
    if (steps < distance) [best, distance] = [candidate, steps];
  }
  return best === '' ? '' : ` (did you mean "${best}"?)`;
}

/**
 * Reads one object of options.
 * @param owner path in front of each field's name: `circuitBreaker("broker")`
 * @param input what the caller gave; `undefined` is `{}`; a field of `undefined` is absent
 * @param defaults values for absent fields; a field without default is required unless its name is in `optional`
 * @returns a frozen copy
 * @throws RiskTrailError OPTION_INVALID, OPTION_UNKNOWN
 */
export function readOptions<T extends object, D extends Partial<T> = Partial<T>>(
  owner: string,
  input: unknown,
  checks: CheckMap<T>,
  defaults: D,
  optional: readonly (keyof T)[] = [],
): Readonly<T> {
  const at = (key: string) => (owner === '' ? key : `${owner}.${key}`);
  if (input !== undefined && (typeof input !== 'object' || input === null || Array.isArray(input))) {
    throw new RiskTrailError('OPTION_INVALID', {
      field: owner || 'options',
      expected: 'an object of options',
      received: describeValue(input),
    });
  }
  const given = (input ?? {}) as Record<string, unknown>;
  const known = checks as Record<string, Check<unknown>>;
  for (const key of Object.keys(given)) {
    if (!Object.hasOwn(known, key)) {
      throw new RiskTrailError('OPTION_UNKNOWN', { field: at(key), hint: nearest(key, Object.keys(known)) });
    }
  }
  const result: Record<string, unknown> = {};
  for (const [key, one] of Object.entries(known)) {
    const value = given[key];
    if (value !== undefined) result[key] = readValue(one, value, at(key));
    else if (Object.hasOwn(defaults, key)) result[key] = defaults[key as keyof T];
    else if (!optional.includes(key as keyof T) && one.optional !== true) {
      throw new RiskTrailError('OPTION_INVALID', { field: at(key), expected: one.expected, received: 'nothing' });
    }
  }
  return Object.freeze(result) as Readonly<T>;
}
