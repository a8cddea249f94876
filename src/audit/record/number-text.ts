/** Numbers as ECMAScript formats them, which is what RFC 8785 asks for, written as bytes. */

const MINUS = 0x2d;
const POINT = 0x2e;
const DIGIT_ZERO = 0x30;
const MIN_INT = -(2 ** 31);
/** Nine digits in front of the point: with six behind it, fifteen. */
const MOST_MILLIONTHS = 999_999_999_999_999;

/**
 * Writes a finite number. Room for 25 bytes must be there.
 *
 * Most numbers of trading have no more than six decimals and fifteen digits. No two decimals of up to fifteen digits are the
 * same double, so where such a decimal is the number, it is also its shortest text: no search for that is needed.
 * @returns where the next byte goes
 */
export function writeNumberText(target: Uint8Array, start: number, value: number): number {
  let at = start;
  if ((value | 0) === value && value !== MIN_INT) {
    if (value < 0) target[at++] = MINUS;
    const positive = value < 0 ? -value : value;
    return writeDigits(target, at, positive, positive < 1e9 ? digitsOf(positive) : 10);
  }
  const millionths = Math.round(value * 1e6);
  if (millionths / 1e6 !== value || millionths > MOST_MILLIONTHS || millionths < -MOST_MILLIONTHS) {
    const text = `${value}`;
    for (let i = 0; i < text.length; i++) target[at++] = text.charCodeAt(i);
    return at;
  }
  const positive = Math.abs(millionths);
  // Both parts fit 32 bits, in which the arithmetic below is done.
  const whole = Math.floor(positive / 1e6) | 0;
  let rest = (positive - whole * 1e6) | 0;
  if (millionths < 0) target[at++] = MINUS;
  at = writeDigits(target, at, whole, digitsOf(whole));
  if (rest === 0) return at;
  let decimals = 6;
  for (let shorter = (rest / 10) | 0; shorter * 10 === rest; shorter = (rest / 10) | 0) {
    rest = shorter;
    decimals--;
  }
  target[at++] = POINT;
  return writeDigits(target, at, rest, decimals);
}

/** How many decimal digits an integer from 0 to 999,999,999 has. */
function digitsOf(value: number): number {
  if (value < 10) return 1;
  if (value < 100) return 2;
  if (value < 1000) return 3;
  if (value < 10_000) return 4;
  if (value < 100_000) return 5;
  if (value < 1_000_000) return 6;
  return value < 10_000_000 ? 7 : value < 100_000_000 ? 8 : 9;
}

/** Writes an integer below 2^31 with so many digits. @returns where the next byte goes */
function writeDigits(target: Uint8Array, at: number, value: number, digits: number): number {
  let rest = value;
  for (let i = at + digits - 1; i >= at; i--) {
    const next = (rest / 10) | 0;
    target[i] = DIGIT_ZERO + rest - next * 10;
    rest = next;
  }
  return at + digits;
}
