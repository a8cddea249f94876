/** What the headers of an answer say of the venue's rate limit. */

export interface RateLimit {
  readonly remaining?: number;
  readonly limit?: number;
  readonly used?: number;
  /** How long the venue asks to wait, in milliseconds. */
  readonly retryAfterMs?: number;
}

/** Names of headers in lower case; the first that is there counts. */
const REMAINING = [
  'x-ratelimit-remaining',
  'ratelimit-remaining',
  'x-bapi-limit-status',
  'gw-ratelimit-remaining',
  'x-rate-limit-remaining',
];
const LIMIT = ['x-ratelimit-limit', 'ratelimit-limit', 'x-bapi-limit', 'gw-ratelimit-limit', 'x-rate-limit-limit'];
const USED = [
  'x-mbx-used-weight-1m',
  'x-sapi-used-ip-weight-1m',
  'x-mbx-used-weight',
  'x-mexc-used-weight',
  'x-bx-used-weight',
];

type Headers = Readonly<Record<string, unknown>> | { get(name: string): string | null };

/** Reads headers given as an object, in any case of letters, or as a `Headers`. */
export function rateLimitOf(headers: unknown): RateLimit {
  if (typeof headers !== 'object' || headers === null) return {};
  const find = finder(headers as Headers);
  const remaining = find(REMAINING);
  const limit = find(LIMIT);
  const used = find(USED);
  const retryAfter = find(['retry-after']);
  return {
    ...(remaining === undefined ? {} : { remaining }),
    ...(limit === undefined ? {} : { limit }),
    ...(used === undefined ? {} : { used }),
    ...(retryAfter === undefined ? {} : { retryAfterMs: retryAfter * 1000 }),
  };
}

function finder(headers: Headers): (names: readonly string[]) => number | undefined {
  const get =
    typeof (headers as { get?: unknown }).get === 'function'
      ? (name: string) => (headers as { get(name: string): string | null }).get(name) ?? undefined
      : lowered(headers as Record<string, unknown>);
  return (names) => {
    for (const name of names) {
      const text = get(name);
      const value = text === undefined || text === '' ? Number.NaN : Number(text);
      if (Number.isFinite(value)) return value;
    }
    return undefined;
  };
}

function lowered(headers: Record<string, unknown>): (name: string) => unknown {
  const found = new Map<string, unknown>();
  for (const name in headers) found.set(name.toLowerCase(), headers[name]);
  return (name) => found.get(name);
}
