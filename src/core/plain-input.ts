/** Input of a decision as a record can hold it. */

const MAX_DEPTH = 8;

/**
 * A copy of what a caller gave, without the members that are null or undefined, which a record does not hold.
 * @returns undefined where it could not be read back as it was: a number that is not finite, a function, a value that is no
 *   plain data
 */
export function plainInput(value: object): Record<string, unknown> | undefined {
  const copy = plain(value, 0);
  return copy === NONE || typeof copy !== 'object' ? undefined : (copy as Record<string, unknown>);
}

const NONE = Symbol('not plain');

function plain(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value;
    case 'number':
      return Number.isFinite(value) ? value : NONE;
    case 'object':
      return depth > MAX_DEPTH ? NONE : plainObject(value as object, depth);
    default:
      return NONE;
  }
}

function plainObject(value: object, depth: number): unknown {
  if (Array.isArray(value)) {
    const items = value.map((item) => (item === null || item === undefined ? NONE : plain(item, depth + 1)));
    return items.includes(NONE) ? NONE : items;
  }
  const copy: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(value)) {
    if (member === null || member === undefined) continue;
    const item = plain(member, depth + 1);
    if (item === NONE) return NONE;
    copy[key] = item;
  }
  return copy;
}
