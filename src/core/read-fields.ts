/** Reading what a caller gave us, whose getters and proxies must not throw into a decision. */

/**
 * The named fields of `given`, read once each; those that are absent or can't be read are absent.
 * @param report told of each throw; must not throw itself
 */
export function readFields<T, K extends keyof T>(
  given: T | null | undefined,
  names: readonly K[],
  report: (error: unknown) => void,
): Partial<Pick<T, K>> {
  const fields: Partial<Pick<T, K>> = {};
  for (const name of names) {
    try {
      const value = given?.[name];
      if (value !== undefined) fields[name] = value;
    } catch (error) {
      report(error);
    }
  }
  return fields;
}
