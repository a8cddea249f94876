/** Compares plain data, for telling what of it changed. */

const isMap = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** One member that differs. */
export interface Difference {
  /** Dotted path of the member; '' where the whole differs. */
  readonly path: string;
  readonly before: unknown;
  readonly after: unknown;
}

/**
 * What differs between two plain values, each member by its path. A member that is null, undefined or absent is all the same:
 * the trail knows no null. Lists are told as a whole.
 */
export function differences(before: unknown, after: unknown, path = ''): readonly Difference[] {
  if (before === after || (before == null && after == null)) return [];
  if (isMap(before) && isMap(after)) {
    const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
    return [...keys].flatMap((key) => differences(before[key], after[key], path === '' ? key : `${path}.${key}`));
  }
  if (Array.isArray(before) && Array.isArray(after) && before.length === after.length) {
    if (before.every((one, index) => differences(one, after[index]).length === 0)) return [];
  }
  return Object.is(before, after) ? [] : [{ path, before, after }];
}
