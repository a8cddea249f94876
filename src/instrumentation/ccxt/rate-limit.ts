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

interface Known {
  readonly tells: keyof RateLimit;
  /** Its place among the headers that tell the same. */
  readonly rank: number;
}

const KNOWN: ReadonlyMap<string, Known> = new Map(
  Object.entries({ remaining: REMAINING, limit: LIMIT, used: USED, retryAfterMs: ['retry-after'] }).flatMap(
    ([tells, names]) => names.map((name, rank) => [name, { tells: tells as keyof RateLimit, rank }] as const),
  ),
);

/** The same by names as venues write them: they send the same ones with each answer. */
const written = new Map<string, Known | null>();
const MAX_WRITTEN = 1000;

function knownAs(name: string): Known | null {
  const before = written.get(name);
  if (before !== undefined) return before;
  const known = KNOWN.get(name.toLowerCase()) ?? null;
  if (written.size < MAX_WRITTEN) written.set(name, known);
  return known;
}

/** Reads headers given as an object, in any case of letters, or as a `Headers`. */
export function rateLimitOf(headers: unknown): RateLimit {
  const found: { -readonly [K in keyof RateLimit]: number } = {};
  if (typeof headers !== 'object' || headers === null) return found;
  const ranks: { -readonly [K in keyof RateLimit]: number } = {};
  const read = (value: unknown, name: string) => {
    const known = knownAs(name);
    if (known === null || value === undefined || value === null || value === '') return;
    const { tells, rank } = known;
    const number = Number(value);
    if (!Number.isFinite(number) || rank > (ranks[tells] ?? rank)) return;
    ranks[tells] = rank;
    found[tells] = tells === 'retryAfterMs' ? number * 1000 : number;
  };
  const { forEach } = headers as Partial<Headers>;
  if (typeof forEach === 'function') (headers as Headers).forEach(read);
  else for (const name in headers) read((headers as Record<string, unknown>)[name], name);
  return found;
}
