/** Patterns of a service's own, checked at the start so that none can throw or hang later. */
import { describeValue, RiskTrailError } from '../core/errors.ts';
import { MASK } from './redaction-text.ts';

export function invalidOption(field: string, expected: string, received: unknown, cause?: unknown): RiskTrailError {
  return new RiskTrailError('OPTION_INVALID', { field, expected, received: describeValue(received) }, cause);
}

/**
 * Whether a quantifier stands behind a group that itself ends in or holds one, as in `(a+)+`: such a pattern can take
 * exponential time on a hostile text.
 */
function hasNestedQuantifier(source: string): boolean {
  const open: boolean[] = [];
  for (let i = 0; i < source.length; i++) {
    const char = source[i]!;
    if (char === '\\') i++;
    else if (char === '[') {
      while (++i < source.length && source[i] !== ']') if (source[i] === '\\') i++;
    } else if (char === '(') open.push(false);
    else if (char === ')') {
      const inner = open.pop() ?? false;
      const repeated = /^(?:[*+]|\{\d+,)/.test(source.slice(i + 1, i + 8));
      if (inner && repeated) return true;
      if (open.length > 0 && (inner || repeated)) open[open.length - 1] = true;
    } else if (open.length > 0 && (char === '*' || char === '+' || /^\{\d+,/.test(source.slice(i, i + 7)))) {
      open[open.length - 1] = true;
    }
  }
  return false;
}

/** Texts that each pattern is tried on at the start. */
const SAMPLES = ['', 'order 4711 placed', 'key=value', 'a'.repeat(64), '\u{1f600}\n\t"\\'];

function compilePattern(given: unknown, field: string): RegExp {
  let pattern: RegExp;
  try {
    if (typeof given === 'string') pattern = new RegExp(given, 'g');
    else if (given instanceof RegExp) {
      // A copy: the state of the caller's own (lastIndex, replaced methods) is not ours.
      pattern = new RegExp(given.source, given.flags.replace(/[gy]/g, '').concat('g'));
    } else throw new TypeError('no regular expression');
    for (const sample of SAMPLES) {
      sample.replace(pattern, MASK);
      if (typeof given !== 'string') given.test(sample);
    }
    if (typeof given !== 'string') given.lastIndex = 0;
  } catch (error) {
    throw invalidOption(field, 'a regular expression or its source', given, error);
  }
  const source = pattern.source;
  if (pattern.test('')) throw invalidOption(field, 'a pattern that does not match the empty text', source);
  if (hasNestedQuantifier(source)) throw invalidOption(field, 'a pattern without nested repetition', source);
  pattern.lastIndex = 0;
  return pattern;
}

/**
 * Compiles the patterns that a service adds.
 * @throws RiskTrailError OPTION_INVALID
 */
export function readPatterns(owner: string, patterns: unknown): readonly RegExp[] {
  if (patterns === undefined) return [];
  const field = owner === '' ? 'patterns' : `${owner}.patterns`;
  if (!Array.isArray(patterns)) throw invalidOption(field, 'a list of regular expressions', patterns);
  return patterns.map((pattern, index) => compilePattern(pattern, `${field}[${index}]`));
}
