/** Tokens: made at random, kept as hashes, compared in constant time. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { RiskTrailError } from '../../core/errors.ts';
import { list, oneOf, readOptions } from '../../core/options.ts';

/** What a token allows: reading, and acknowledging (which resolves and dismisses alerts, too). */
export const SCOPES = ['read', 'acknowledge'] as const;
export type Scope = (typeof SCOPES)[number];

/** A token as the token file has it. */
export interface TokenEntry {
  /** Who uses it: stands as `risk.actor` in the audit events of its accesses. */
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** `sha256:` and the hash in hex: the token has 256 random bits, so nothing slower is needed. */
  readonly hash: string;
  /** Not valid from then on: ISO 8601 with a zone. */
  readonly expires?: string | undefined;
}

/** Who asks. */
export interface Caller {
  readonly name: string;
  readonly scopes: readonly Scope[];
}

const PREFIX = 'rt_';
const RANDOM_BYTES = 32;
const HASH = /^sha256:[0-9a-f]{64}$/;
const NAME = /^[\w.@-]{1,64}$/;
const EXPIRES = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/;

const digestOf = (token: string): Buffer => createHash('sha256').update(token).digest();

/** Makes a token: shown once, kept by its user. */
export function createToken(
  name: string,
  scopes: readonly Scope[],
  expires?: string,
): { token: string; entry: TokenEntry } {
  const token = `${PREFIX}${randomBytes(RANDOM_BYTES).toString('base64url')}`;
  const entry = {
    name,
    scopes,
    hash: `sha256:${digestOf(token).toString('hex')}`,
    ...(expires === undefined ? {} : { expires }),
  };
  return { token, entry: checkEntry(entry, '') };
}

function checkEntry(entry: unknown, owner: string): TokenEntry {
  const scope = oneOf(SCOPES);
  const pattern = (expected: string, test: (value: string) => boolean) => ({
    expected,
    accepts: (value: unknown): value is string => typeof value === 'string' && test(value),
  });
  return readOptions<TokenEntry>(
    owner,
    entry,
    {
      name: pattern('1 to 64 letters, digits, dots, dashes, underscores or @', (value) => NAME.test(value)),
      scopes: {
        ...list(scope),
        expected: `a list of ${scope.expected}`,
        accepts: (value): value is Scope[] => Array.isArray(value) && value.length > 0,
      },
      hash: pattern('sha256: and 64 hexadecimal digits, as risktrail serve token prints it', (value) =>
        HASH.test(value),
      ),
      expires: pattern(
        'a time with its zone, such as 2026-01-01T00:00:00Z',
        (value) => EXPIRES.test(value) && !Number.isNaN(Date.parse(value)),
      ),
    },
    {},
    ['expires'],
  );
}

/**
 * Reads a token file: `{"tokens": [{"name": …, "scopes": […], "hash": …}]}`.
 * @throws RiskTrailError TOKEN_FILE_INVALID
 */
export async function readTokenFile(path: string): Promise<readonly TokenEntry[]> {
  const invalid = (reason: string, cause?: unknown) =>
    new RiskTrailError('TOKEN_FILE_INVALID', { path, reason }, cause);
  let content: unknown;
  try {
    content = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw invalid((error as Error).message, error);
  }
  const tokens = (content as { tokens?: unknown } | null)?.tokens;
  if (!Array.isArray(tokens) || tokens.length === 0) throw invalid('expected {"tokens": [ … ]} with one token or more');
  try {
    const entries = tokens.map((one, at) => checkEntry(one, `tokens[${at}]`));
    if (new Set(entries.map(({ name }) => name)).size < entries.length) throw invalid('two tokens have one name');
    return entries;
  } catch (error) {
    if (error instanceof RiskTrailError && error.code === 'TOKEN_FILE_INVALID') throw error;
    throw invalid((error as Error).message, error);
  }
}

/** Knows the tokens. */
export class TokenKeeper {
  readonly #entries: readonly (TokenEntry & { readonly digest: Buffer })[];

  constructor(entries: readonly TokenEntry[]) {
    this.#entries = entries.map((entry) => ({ ...entry, digest: Buffer.from(entry.hash.slice(7), 'hex') }));
  }

  /** Whose token it is; undefined where it is nobody's, or expired. Takes the same time whichever it is. @param nowMs epoch milliseconds */
  callerOf(token: string, nowMs: number): Caller | undefined {
    const digest = digestOf(token);
    let found: TokenEntry | undefined;
    for (const entry of this.#entries) if (timingSafeEqual(entry.digest, digest)) found = entry;
    if (found === undefined || (found.expires !== undefined && Date.parse(found.expires) <= nowMs)) return undefined;
    return { name: found.name, scopes: found.scopes };
  }
}
