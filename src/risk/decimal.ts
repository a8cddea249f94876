/**
 * Exact arithmetic on the decimal numbers that people and venues write. `102 * (1 - 0.02)` and `0.3 - 0.1` in binary
 * floating point miss the numbers that a reader expects by a last digit, and a comparison at equality then goes wrong.
 * Here each input stands for its shortest decimal text (102, 0.02), the result is calculated exactly, and the answer is
 * the double nearest to it: the one that the reader would have typed.
 */

/** units / 10^scale */
interface Decimal {
  readonly units: bigint;
  readonly scale: number;
}

function decimal(value: number): Decimal {
  const text = String(value);
  const exponentAt = text.indexOf('e');
  const mantissa = exponentAt < 0 ? text : text.slice(0, exponentAt);
  const exponent = exponentAt < 0 ? 0 : Number(text.slice(exponentAt + 1));
  const dot = mantissa.indexOf('.');
  const digits = dot < 0 ? mantissa : mantissa.slice(0, dot) + mantissa.slice(dot + 1);
  const scale = (dot < 0 ? 0 : mantissa.length - dot - 1) - exponent;
  return scale >= 0 ? { units: BigInt(digits), scale } : { units: BigInt(digits) * 10n ** BigInt(-scale), scale: 0 };
}

const toNumber = (value: Decimal): number => Number(`${value.units}e${-value.scale}`);

function plus(a: Decimal, b: Decimal): Decimal {
  const scale = Math.max(a.scale, b.scale);
  return {
    units: a.units * 10n ** BigInt(scale - a.scale) + b.units * 10n ** BigInt(scale - b.scale),
    scale,
  };
}

const times = (a: Decimal, b: Decimal): Decimal => ({ units: a.units * b.units, scale: a.scale + b.scale });

/** a + b of finite numbers. */
export const sum = (a: number, b: number): number => toNumber(plus(decimal(a), decimal(b)));

/** a − b of finite numbers. */
export const difference = (a: number, b: number): number => sum(a, -b);

/** Product of finite numbers; infinite where no double holds it. */
export const product = (...factors: readonly number[]): number =>
  toNumber(factors.map(decimal).reduce(times, { units: 1n, scale: 0 }));

/** `percent` hundredths of `value`. */
export const percentOf = (value: number, percent: number): number => product(value, percent, 0.01);

/** `value` raised (or, for a negative percentage, lowered) by `percent` hundredths of itself. */
export function changedByPercent(value: number, percent: number): number {
  const base = decimal(value);
  const factor = decimal(percent);
  return toNumber(plus(base, times(base, { units: factor.units, scale: factor.scale + 2 })));
}

/** The lists' products as whole numbers over one common denominator: `[numerator, denominator]`, nothing rounded. */
function fraction(numerators: readonly number[], denominators: readonly number[]): [bigint, bigint] {
  const over = numerators.map(decimal).reduce(times, { units: 1n, scale: 0 });
  const under = denominators.map(decimal).reduce(times, { units: 1n, scale: 0 });
  const scale = Math.max(over.scale, under.scale);
  return [over.units * 10n ** BigInt(scale - over.scale), under.units * 10n ** BigInt(scale - under.scale)];
}

/** Digits that every double holds exactly as decimal text. */
const SIGNIFICANT_DIGITS = 15;

/**
 * Product of `numerators` over product of `denominators`, all > 0, cut (never rounded up) to 15 significant digits.
 * With `step` > 0: cut to a multiple of the step instead.
 */
export function quotientDown(numerators: readonly number[], denominators: readonly number[], step?: number): number {
  if (step !== undefined) {
    const [over, under] = fraction(numerators, [...denominators, step]);
    const size = decimal(step);
    return toNumber({ units: (over / under) * size.units, scale: size.scale });
  }
  const [over, under] = fraction(numerators, denominators);
  const scale = Math.max(0, SIGNIFICANT_DIGITS - (String(over).length - String(under).length));
  const units = (over * 10n ** BigInt(scale)) / under;
  const surplus = Math.max(0, String(units).length - SIGNIFICANT_DIGITS);
  const cut = 10n ** BigInt(surplus);
  return toNumber({ units: (units / cut) * cut, scale });
}
