/**
 * What an error of ccxt says of the order that it came for, by its class and the classes above it: names hold over the two
 * copies (ESM and CommonJS) that a process may have, `instanceof` doesn't.
 * https://docs.ccxt.com/#/README?id=error-handling
 */

/** What became of a request that failed. */
export type Failure =
  /** The venue refused it, or it was never sent: it was not executed. */
  | 'rejected'
  /** No answer, or none that says so: it may have been executed. */
  | 'unknown';

/** Names of an error's class and of the classes above it, the class itself first. */
export function classNames(error: unknown): readonly string[] {
  const names: string[] = [];
  let at: unknown = typeof error === 'object' && error !== null ? Object.getPrototypeOf(error) : undefined;
  for (let depth = 0; depth < 20 && typeof at === 'object' && at !== null; depth++) {
    const name = (at as { constructor?: { name?: unknown } }).constructor?.name;
    if (typeof name === 'string' && name !== '' && name !== 'Object') names.push(name);
    at = Object.getPrototypeOf(at);
  }
  return names;
}

/** The venue answered that there were too many requests; it did nothing. */
export const isRateLimit = (names: readonly string[]): boolean =>
  names.includes('RateLimitExceeded') || names.includes('DDoSProtection');

/** Refused before anything was done, though their classes stand under the ones of the network. */
const REFUSED = ['RateLimitExceeded', 'DDoSProtection', 'InvalidNonce', 'OnMaintenance'];

/** The connection was never made. */
const NOT_SENT =
  /\b(ECONNREFUSED|ConnectionRefused|ENOTFOUND|EAI_AGAIN|DNSError|UND_ERR_CONNECT_TIMEOUT)\b|connect timeout/i;

/** A venue that answers with an error of the client's has refused, but for 408: that is its own word for a time-out. */
const isRefusal = (status: number | undefined) =>
  status !== undefined && status >= 400 && status < 500 && status !== 408;

/**
 * Whether an attempt that was sent may have been executed.
 * @param status of the answer, where one came. (An answer of 400 that an exchange's own table doesn't explain is thrown as
 *   `ExchangeNotAvailable`, like a 503.)
 */
export function failureOf(error: unknown, status?: number): Failure {
  const names = classNames(error);
  if (isRefusal(status) && !names.includes('RequestTimeout')) return 'rejected';
  if (names.some((name) => REFUSED.includes(name))) return 'rejected';
  // A server that broke may have broken after the order: only a class that names the reason says that it was refused.
  if (status !== undefined && status >= 500 && names[0] === 'ExchangeError') return 'unknown';
  if (names.includes('ExchangeError')) return 'rejected';
  const message = error instanceof Error ? error.message : '';
  const code = (error as { code?: unknown } | null)?.code;
  if (!names.includes('RequestTimeout') && NOT_SENT.test(typeof code === 'string' ? `${code} ${message}` : message)) {
    return 'rejected';
  }
  return 'unknown';
}

const MAX_TEXT = 500;

/** Settings of an exchange that are secrets. */
const SECRETS = [
  'apiKey',
  'secret',
  'password',
  'privateKey',
  'walletAddress',
  'token',
  'uid',
  'twofa',
  'login',
] as const;

/**
 * A message without what signs a request: addresses lose their query, and the exchange's own keys are taken out wherever they
 * stand. (ccxt puts the whole address into the messages of its network errors.)
 */
export function plainMessage(exchange: object, message: string): string {
  let text = message.replace(/(\b[a-z][a-z0-9+.-]*:\/\/[^\s?#"'<>]+)[?#][^\s"'<>]*/gi, '$1');
  text = text.replace(
    /\b(signature|sign|api_?key|nonce|secret|token|passphrase)(["']?\s*[=:]\s*["']?)[^\s&"',}]+/gi,
    '$1$2***',
  );
  for (const name of SECRETS) {
    const value = (exchange as Record<string, unknown>)[name];
    if (typeof value === 'string' && value.length >= 4) text = text.replaceAll(value, '***');
  }
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
}
