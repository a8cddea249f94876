/** Card numbers and US social security numbers among the digits of a text. */

/** A part of the text to be replaced by {@link MASK}. */
export interface Cut {
  readonly start: number;
  readonly end: number;
}
export type Cuts = Cut[];

/** Fewest digits in a run that can be something: an SSN has nine. */
export const SHORTEST_RUN = 9;

export const isDigit = (code: number) => code >= 48 && code <= 57;
const isLetter = (code: number) => (code | 32) >= 97 && (code | 32) <= 122;
export const isWord = (code: number) => isDigit(code) || isLetter(code) || code === 95;

/**
 * The separator that a character is: 32 a space, 45 a dash, 46 a point, 0 none. Text that was copied from a page or a PDF has
 * no-break and thin spaces and typographic dashes in place of the plain ones.
 */
export function separatorOf(code: number): number {
  if (code < 128) return code === 32 || code === 45 || code === 46 ? code : 0;
  if (code === 0xa0 || code === 0x202f || (code >= 0x2000 && code <= 0x200b)) return 32;
  return (code >= 0x2010 && code <= 0x2015) || code === 0x2212 ? 45 : 0;
}

/** Digits of `text` between two places, separators left out. */
function digitsBetween(text: string, start: number, end: number): string {
  return text.slice(start, end).replace(/\D/g, '');
}

/** Check digit of ISO/IEC 7812-1 annex B. */
export function passesLuhn(digits: string): boolean {
  let sum = 0;
  for (let i = digits.length - 1, double = false; i >= 0; i--, double = !double) {
    let digit = digits.charCodeAt(i) - 48;
    if (double) {
      digit *= 2;
      if (digit > 9) digit -= 9;
    }
    sum += digit;
  }
  return sum % 10 === 0;
}

/** Prefixes and lengths of the card schemes, as ISO/IEC 7812 issuers publish them. */
function hasCardPrefix(digits: string): boolean {
  const length = digits.length;
  const two = Number(digits.slice(0, 2));
  const three = Number(digits.slice(0, 3));
  const four = Number(digits.slice(0, 4));
  if (digits[0] === '4') return length === 13 || length === 16 || length === 19;
  if (two === 34 || two === 37) return length === 15;
  if ((two >= 51 && two <= 55) || (four >= 2221 && four <= 2720)) return length === 16;
  if (two === 36 || two === 38 || two === 39 || (three >= 300 && three <= 305)) return length >= 14;
  if (four >= 3528 && four <= 3589) return length >= 16;
  if (four === 6011 || two === 65 || (three >= 644 && three <= 649) || two === 62) return length >= 16;
  return (
    four === 5018 || four === 5020 || four === 5038 || four === 5893 || four === 6304 || four === 6759 || two === 67
  );
}

const isCard = (digits: string) => hasCardPrefix(digits) && passesLuhn(digits);

/** The ways in which people group the digits of a card. */
const CARD_SHAPES = ['4-4-4-4', '4-4-4-4-3', '4-6-5', '4-6-4', '4-4-4-1', '4-4-4-3', '6-13', '8-8', '4-4-5'];
const SHAPES_BY_LENGTH = new Map<number, Set<string>>();
for (const shape of CARD_SHAPES) {
  const groups = shape.split('-').length;
  SHAPES_BY_LENGTH.set(groups, (SHAPES_BY_LENGTH.get(groups) ?? new Set()).add(shape));
}

interface DigitGroup {
  readonly start: number;
  readonly end: number;
  /** Separator in front of the group, within its run; 0 for the first. */
  readonly separator: number;
}

function isSsn(digits: string): boolean {
  const area = digits.slice(0, 3);
  return (
    area !== '000' && area !== '666' && area[0] !== '9' && digits.slice(3, 5) !== '00' && digits.slice(5) !== '0000'
  );
}

/** Cards and SSNs within one run of digit groups; a group is in at most a handful of windows. */
function cutRun(text: string, groups: readonly DigitGroup[], cuts: Cuts): void {
  const lengthOf = (at: number) => groups[at]!.end - groups[at]!.start;
  const separator = (at: number) => groups[at]?.separator ?? 0;
  for (let at = 0; at < groups.length; at++) {
    const { start, end } = groups[at]!;
    const length = end - start;
    if (length >= 13 && length <= 19) {
      // A decimal fraction is no card.
      if (separator(at) !== 46 && separator(at + 1) !== 46 && isCard(text.slice(start, end))) cuts.push({ start, end });
      continue;
    }
    if (length !== 3 && length !== 4 && length !== 6 && length !== 8) continue;
    const kind = separator(at + 1);
    if (kind === 0) continue;
    // Joined by a dash or a point to what stands in front: part of something longer, such as a UUID.
    if (kind !== 32 && separator(at) === kind) continue;
    let shape = String(length);
    for (let last = at + 1; last < at + 5 && separator(last) === kind; last++) {
      shape += `-${lengthOf(last)}`;
      if (kind !== 32 && separator(last + 1) === kind) continue;
      const from = start;
      const to = groups[last]!.end;
      if (shape === '3-2-4' && kind === 45 && isSsn(digitsBetween(text, from, to))) cuts.push({ start: from, end: to });
      else if (SHAPES_BY_LENGTH.get(last - at + 1)?.has(shape) && isCard(digitsBetween(text, from, to)))
        cuts.push({ start: from, end: to });
    }
  }
}

/** Cards and US social security numbers in a text. */
export function cutDigits(text: string, cuts: Cuts): void {
  for (let i = 0; i < text.length; i++) {
    if (!isDigit(text.charCodeAt(i))) continue;
    const first = i;
    const groups: DigitGroup[] = [];
    let separator = 0;
    let total = 0;
    for (;;) {
      const start = i;
      while (isDigit(text.charCodeAt(i))) i++;
      total += i - start;
      groups.push({ start, end: i, separator });
      separator = separatorOf(text.charCodeAt(i));
      if (separator === 0 || !isDigit(text.charCodeAt(i + 1))) break;
      i++;
    }
    // Digits that go on from or into letters are part of an id.
    if (isWord(text.charCodeAt(first - 1))) groups.shift();
    if (isWord(text.charCodeAt(i))) groups.pop();
    if (total >= SHORTEST_RUN) cutRun(text, groups, cuts);
  }
}
