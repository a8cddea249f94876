/** Parsed JSON, looked at without trust. */

/** An object as `JSON.parse` gives it. */
export type Json = { readonly [member: string]: unknown };

export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A list, empty where the value is none. */
export const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
