/**
 * Masking of secrets, before anything is hashed, written or exported: by the name of what holds them, and by their form in
 * free text. What the catalogue declares an id, an enumeration or a number is never masked by its form: one in ten random
 * 16-digit order ids passes the check digit of a card.
 */
import type { AttributeDefinition } from '../catalog/define.ts';
import { boolean, func, list, object, readOptions, string } from '../core/options.ts';
import { createNameRules, type NameRules, type SecretLevel, wordsOf } from './redaction-names.ts';
import { invalidOption, readPatterns } from './redaction-patterns.ts';
import { MASK, maskText } from './redaction-text.ts';

export { MASK } from './redaction-text.ts';

/** Options of masking. */
export interface RedactionOptions {
  /** `false`: nothing is masked. */
  readonly enabled?: boolean;
  /** Names besides the built-in ones whose values are secret: `['internal_ref']`, in any spelling. */
  readonly keys?: readonly string[];
  /** Names that are no secrets though the built-in rules say so: `['token']` where that is a coin. */
  readonly except?: readonly string[];
  /** Further forms in free text: regular expressions, or their sources. No `g` needed; none may match the empty text. */
  readonly patterns?: readonly (RegExp | string)[];
  /** Told of failures inside, which never reach the caller: the value is masked whole then. */
  readonly report?: (error: unknown, where: string) => void;
}

/** Masks secrets. No method throws: what can't be masked is masked whole, and reported. */
export interface Redactor {
  /** `false`: every method gives back what it was given. */
  readonly enabled: boolean;
  /**
   * An attribute's value, masked by its name; by its form too where `definition` says free text, or where there is none.
   * Values are never changed in place; one without secrets is given back as it is.
   */
  attribute(name: string, value: unknown, definition?: AttributeDefinition): unknown;
  /** Free text. */
  text(text: string): string;
  /** A map, list or value under free keys, such as `metadata`. `path` is the name it stands under. */
  deep(value: unknown, path: string): unknown;
  /** A URL, the path and query of one, or a query alone. Digits in the path are ids and stay. */
  url(url: string): string;
}

/** Values nested deeper than this are masked whole. The audit format turns what is deeper than 16 into text anyway. */
const MAX_DEPTH = 32;

/** Names in a query string that are secrets there and nowhere else. */
const QUERY_SECRETS = new Set(['sign', 'sig', 'hmac', 'key', 'code']);

const CHECKS = {
  enabled: boolean(),
  keys: list(string()),
  except: list(string()),
  patterns: list(object<RegExp>('a regular expression or its source')),
  report: func<NonNullable<RedactionOptions['report']>>(),
};

/** Percent-decoded where it can be. */
function decoded(text: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const UNCHANGED: Redactor = {
  enabled: false,
  attribute: (_name, value) => value,
  text: (text) => text,
  deep: (value) => value,
  url: (url) => url,
};

/**
 * @param options see {@link RedactionOptions}
 * @param owner path of the options in error messages
 * @throws RiskTrailError OPTION_INVALID, OPTION_UNKNOWN: also for a pattern that does not compile, throws, matches the
 *   empty text or holds nested repetition
 */
export function createRedactor(options: RedactionOptions = {}, owner = 'redaction'): Redactor {
  const { patterns: given, ...rest } = (options ?? {}) as RedactionOptions & Record<string, unknown>;
  const read = readOptions<Required<RedactionOptions>>(
    owner,
    rest,
    CHECKS as never,
    { enabled: true, keys: [], except: [], patterns: [], report: () => {} } as Required<RedactionOptions>,
  );
  for (const field of ['keys', 'except'] as const) {
    read[field].forEach((key, index) => {
      if (wordsOf(key).length === 0) throw invalidOption(`${owner}.${field}[${index}]`, 'a name with a letter', key);
    });
  }
  const patterns = readPatterns(owner, given);
  if (!read.enabled) return UNCHANGED;
  return buildRedactor(createNameRules(read.keys, read.except), patterns, read.report);
}

function buildRedactor(
  names: NameRules,
  patterns: readonly RegExp[],
  report: (error: unknown, where: string) => void,
): Redactor {
  const hasPatterns = patterns.length > 0;

  function mask(text: string, digits: boolean): string {
    let result = maskText(text, names, digits);
    if (hasPatterns) for (const pattern of patterns) result = result.replace(pattern, MASK);
    return result;
  }

  /** Whether the name alone makes the value a secret. */
  function isSecret(level: SecretLevel, value: unknown): boolean {
    if (level === 0) return false;
    return level < 0 || (typeof value === 'string' && value.length >= level);
  }

  /** What stands in place of a secret; lists stay lists, so that an attribute keeps its type; nothing stays nothing. */
  function masked(value: unknown): unknown {
    if (value === undefined || value === null || value === '') return value;
    return Array.isArray(value) ? [MASK] : MASK;
  }

  /** A query string, name by name. */
  function query(text: string): string {
    let result = '';
    for (let start = 0; start <= text.length; ) {
      let end = start;
      while (end < text.length && text[end] !== '&' && text[end] !== ';') end++;
      const pair = text.slice(start, end);
      const equals = pair.indexOf('=');
      result += equals < 0 ? mask(pair, false) : queryPair(pair.slice(0, equals), pair.slice(equals + 1));
      result += text.slice(end, end + 1);
      start = end + 1;
    }
    return result;
  }

  function queryPair(name: string, value: string): string {
    const plain = decoded(name);
    const last = wordsOf(plain).at(-1) ?? '';
    if (value !== '' && (QUERY_SECRETS.has(last) || names.meaning(plain).level !== 0)) return `${name}=${MASK}`;
    const digits = !names.meaning(plain).isId;
    const text = decoded(value);
    return `${name}=${mask(text, digits) === text ? value : MASK}`;
  }

  function url(text: string): string {
    let at = text.indexOf('?');
    // `#access_token=…`, or a query without the rest of its URL.
    if (at < 0) at = text.indexOf('#');
    if (at < 0) return text.includes('=') && !text.includes('/') ? query(text) : mask(text, false);
    const hash = text.indexOf('#', at + 1);
    const end = hash < 0 ? text.length : hash;
    const rest = hash < 0 ? '' : `#${query(text.slice(hash + 1))}`;
    return mask(text.slice(0, at), false) + text[at] + query(text.slice(at + 1, end)) + rest;
  }

  function walk(value: unknown, name: string, depth: number, digits: boolean): unknown {
    if (typeof value === 'string') return names.meaning(name).isUrl ? url(value) : mask(value, digits);
    if (typeof value !== 'object' || value === null) return value;
    if (depth > MAX_DEPTH) return MASK;
    if (Array.isArray(value)) {
      let copy: unknown[] | undefined;
      for (let i = 0; i < value.length; i++) {
        const item = walk(value[i], name, depth + 1, digits);
        if (item !== value[i]) {
          copy ??= [...value];
          copy[i] = item;
        }
      }
      return copy ?? value;
    }
    const prototype = Object.getPrototypeOf(value);
    // Dates, buffers and instances have no free keys; whoever records them makes them plain first.
    if (prototype !== Object.prototype && prototype !== null) return value;
    return members(value as Record<string, unknown>, name, depth);
  }

  function members(value: Record<string, unknown>, name: string, depth: number): unknown {
    let copy: Record<string, unknown> | undefined;
    const meaningOf = names.memberMeaning(name);
    for (const key of Object.keys(value)) {
      const item = value[key];
      const { pathLevel, own } = meaningOf(key);
      const changed =
        isSecret(pathLevel, item) || isSecret(own.level, item)
          ? masked(item)
          : walk(item, key, depth + 1, typeof item !== 'string' && !Array.isArray(item) ? true : !own.isId);
      if (changed !== item) {
        copy ??= { ...value };
        copy[key] = changed;
      }
      // A secret may itself be a key.
      if (typeof key === 'string' && key.length > 12) {
        const text = mask(key, false);
        if (text !== key) {
          copy ??= { ...value };
          copy[text] = copy[key];
          delete copy[key];
        }
      }
    }
    return copy ?? value;
  }

  /** A string where the catalogue expects something else: an enumeration's unknown value, words for a number. */
  function untyped(name: string, value: string, definition: AttributeDefinition): string {
    if (definition.type === 'string') {
      return definition.values === undefined || definition.values.includes(value) ? value : mask(value, false);
    }
    if (definition.type === 'strings') return value;
    return /^[-+.\deE]*$/.test(value) ? value : mask(value, !names.meaning(name).isId);
  }

  function attribute(name: string, value: unknown, definition: AttributeDefinition | undefined): unknown {
    const { level, isId, isUrl } = names.meaning(name);
    if (isSecret(level, value)) return masked(value);
    if (typeof value === 'number' || typeof value === 'boolean') return value;
    if (definition === undefined) return walk(value, name, 0, !isId);
    if (typeof value === 'string') {
      if (definition.text !== true) return untyped(name, value, definition);
      return isUrl ? url(value) : mask(value, true);
    }
    if (Array.isArray(value) && definition.type === 'strings' && definition.text !== true) {
      for (let i = 0; i < value.length; i++) {
        if (typeof value[i] !== 'string') return walk(value, name, 0, !isId);
      }
      return value;
    }
    return walk(value, name, 0, true);
  }

  /** What could not be masked is masked whole. */
  function failed(error: unknown, where: string): string {
    try {
      report(error, where);
    } catch {
      // Whoever is told may fail as well; the value is masked either way.
    }
    return MASK;
  }

  function guarded<T>(where: string, work: () => T): T | string {
    try {
      return work();
    } catch (error) {
      return failed(error, where);
    }
  }

  return {
    enabled: true,
    attribute(name, value, definition) {
      // Written out: this runs for each attribute of each event.
      try {
        return attribute(name, value, definition);
      } catch (error) {
        return failed(error, 'redactor.attribute');
      }
    },
    text: (text) => guarded('redactor.text', () => mask(text, true)),
    deep: (value, path) => guarded('redactor.deep', () => walk(value, path, 0, !names.meaning(path).isId)),
    url: (text) => guarded('redactor.url', () => url(text)),
  };
}
