/**
 * The slow way into a record: makes any JavaScript value fit section 3 of the audit format and names what it changed. The
 * encoder comes here only when a value isn't plain, so this file is written for completeness, not for speed. Nothing that
 * an application hands over makes it throw: an event is always recorded.
 */
import { isAnyArrayBuffer } from 'node:util/types';

/** A value that has a canonical form as it stands. */
export type CanonicalValue = string | number | boolean | CanonicalValue[] | { [key: string]: CanonicalValue };

/** Attributes of a record, each with a canonical form. */
export type CanonicalAttributes = Record<string, CanonicalValue>;

/** Deeper values become text: receivers limit how deep a payload may nest, and one OTLP level is three of theirs. */
export const MAX_DEPTH = 16;

/** Attributes that the writer itself sets. */
export const RESERVED_ATTRIBUTES: ReadonlySet<string> = new Set([
  'audit.stream',
  'audit.sequence.number',
  'audit.integrity.value',
  'audit.coerced',
]);

/** Longest text that stands in for a value that is nested too deeply, in UTF-16 code units. */
const MAX_STAND_IN = 4096;

const ABSENT = Symbol('absent');
type Result = CanonicalValue | typeof ABSENT;

interface Walk {
  readonly coerced: Set<string>;
  /** The containers around the value at hand; one that turns up again within itself is circular. */
  readonly around: unknown[];
}

/**
 * Plain attributes from any.
 * @param attributes what the caller gave; reserved names are dropped and listed
 * @param already names that an earlier stage changed
 * @returns the attributes, with `audit.coerced` where the list of names is not empty
 */
export function coerceAttributes(attributes: unknown, already: readonly unknown[] = []): CanonicalAttributes {
  const coerced = new Set<string>();
  addNames(coerced, already);
  const walk: Walk = { coerced, around: [] };
  const plain: CanonicalAttributes = {};
  const entries = entriesOf(attributes, walk, '');
  const keys = new Set(entries.map(([key]) => key));
  for (const [key, read] of entries) {
    if (key === 'audit.coerced') addNames(coerced, readSafely(read));
    else if (RESERVED_ATTRIBUTES.has(key)) coerced.add(key);
    else add(plain, keys, key, read, '', walk);
  }
  if (coerced.size > 0) plain['audit.coerced'] = [...coerced];
  return plain;
}

function addNames(coerced: Set<string>, names: unknown): void {
  try {
    if (Array.isArray(names)) for (const name of names) coerced.add(String(name).toWellFormed());
  } catch {
    // A list of names that can't be read names nothing.
  }
}

function readSafely(read: () => unknown): unknown {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** Sets one member, under a well-formed key that isn't taken, nor will be by one of `keys`. */
function add(
  target: CanonicalAttributes,
  keys: ReadonlySet<string>,
  key: string,
  read: () => unknown,
  path: string,
  walk: Walk,
): void {
  let name = key.toWellFormed();
  while (Object.hasOwn(target, name) || (name !== key && keys.has(name))) name += '\u{fffd}';
  const at = path === '' ? name : `${path}.${name}`;
  if (name !== key) walk.coerced.add(at);
  const value = coerceRead(read, at, walk);
  if (value === ABSENT) return;
  // Assigning `__proto__` would set the prototype.
  Object.defineProperty(target, name, { value, enumerable: true, configurable: true, writable: true });
}

function coerceRead(read: () => unknown, path: string, walk: Walk): Result {
  try {
    return coerce(read(), path, walk);
  } catch (error) {
    walk.coerced.add(path);
    return `[unreadable: ${messageOf(error)}]`;
  }
}

function messageOf(error: unknown): string {
  try {
    return String(error instanceof Error ? error.message : error)
      .slice(0, 200)
      .toWellFormed();
  } catch {
    return 'error';
  }
}

function coerce(value: unknown, path: string, walk: Walk): Result {
  switch (typeof value) {
    case 'string':
      return value.isWellFormed() ? value : changed(value.toWellFormed(), path, walk);
    case 'boolean':
      return value;
    case 'number':
      return Number.isFinite(value) ? value : changed(String(value), path, walk);
    case 'bigint':
      return changed(value.toString(), path, walk);
    case 'object':
      return value === null ? changed(ABSENT, path, walk) : coerceObject(value, path, walk);
    default:
      return changed(ABSENT, path, walk);
  }
}

function changed<T extends Result>(result: T, path: string, walk: Walk): T {
  walk.coerced.add(path);
  return result;
}

function coerceObject(value: object, path: string, walk: Walk): Result {
  if (walk.around.includes(value)) return changed('[circular]', path, walk);
  if (walk.around.length >= MAX_DEPTH) return changed(standIn(value), path, walk);
  walk.around.push(value);
  try {
    if (Array.isArray(value)) return coerceArray(value, path, walk);
    if (isPlain(value)) return coerceMembers(value, path, walk);
    walk.coerced.add(path);
    return coerceInstance(value, path, walk);
  } finally {
    walk.around.pop();
  }
}

function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function coerceArray(value: readonly unknown[], path: string, walk: Walk): CanonicalValue[] {
  const result: CanonicalValue[] = [];
  for (let i = 0; i < value.length; i++) {
    const item = coerceRead(() => value[i], `${path}[${i}]`, walk);
    result.push(item === ABSENT ? '' : item);
  }
  return result;
}

function coerceMembers(value: unknown, path: string, walk: Walk): CanonicalAttributes {
  const result: CanonicalAttributes = {};
  const entries = entriesOf(value, walk, path);
  const keys = new Set(entries.map(([key]) => key));
  for (const [key, read] of entries) add(result, keys, key, read, path, walk);
  return result;
}

/** Own enumerable string keys, each with a way to read its value later: a getter may throw. */
function entriesOf(value: unknown, walk: Walk, path: string): [string, () => unknown][] {
  if (typeof value !== 'object' || value === null) return [];
  try {
    return Object.keys(value).map((key) => [key, () => (value as Record<string, unknown>)[key]]);
  } catch {
    walk.coerced.add(path === '' ? '*' : path);
    return [];
  }
}

/** Dates, binary, collections, errors, boxed primitives, and instances of any class by their own members. */
function coerceInstance(value: object, path: string, walk: Walk): Result {
  if (value instanceof Date) {
    return Number.isNaN(value.getTime()) ? 'Invalid Date' : Date.prototype.toISOString.call(value);
  }
  if (ArrayBuffer.isView(value)) {
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64');
  }
  if (isAnyArrayBuffer(value)) return Buffer.from(value as ArrayBuffer).toString('base64');
  if (value instanceof Map) {
    const result: CanonicalAttributes = {};
    const keys = new Set([...value.keys()].map(keyText));
    for (const [key, item] of value) add(result, keys, keyText(key), () => item, path, walk);
    return result;
  }
  if (value instanceof Set) return coerceArray([...value], path, walk);
  if (value instanceof Error) {
    const { name, message } = value;
    const own = coerceMembers(value, path, walk);
    return { ...own, name: String(name).toWellFormed(), message: String(message).toWellFormed() };
  }
  if (value instanceof RegExp || value instanceof URL) return String(value).toWellFormed();
  if (value instanceof Number || value instanceof String || value instanceof Boolean || value instanceof BigInt) {
    return coerce(value.valueOf(), path, walk);
  }
  const { toJSON } = value as { toJSON?: unknown };
  if (typeof toJSON === 'function') return coerce(toJSON.call(value), path, walk);
  return coerceMembers(value, path, walk);
}

function keyText(key: unknown): string {
  return typeof key === 'object' && key !== null ? standIn(key) : String(key);
}

function standIn(value: object): string {
  try {
    return (JSON.stringify(value) ?? '[nested too deeply]').slice(0, MAX_STAND_IN).toWellFormed();
  } catch {
    return '[nested too deeply]';
  }
}
