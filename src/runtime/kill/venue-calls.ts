/** Calls of an exchange that may fail, hang, or throw whatever they like: each ends in a plain answer. */
import { failureInfo } from '../failure-info.ts';

/** What became of a call. `unknown`: no answer came, or none that says that nothing was done. */
export type VenueAnswer<T> =
  | { readonly outcome: 'succeeded'; readonly value: T }
  | {
      readonly outcome: 'failed' | 'unknown';
      readonly message: string;
      readonly type: string | undefined;
      /** The venue knows of no such order. */
      readonly missing: boolean;
      /** It wants a symbol. */
      readonly needsSymbol: boolean;
    };

class NoAnswer extends Error {
  override readonly name = 'TimeoutError';
}

const MAX_TIMER_MS = 2 ** 31 - 1;
const MAX_TEXT = 300;

/** Runs a call for `timeoutMs` at most. Never rejects; what comes later is passed over. */
export async function callVenue<T>(call: () => Promise<T> | T, timeoutMs: number): Promise<VenueAnswer<T>> {
  let timer: NodeJS.Timeout | undefined;
  try {
    const late = new Promise<never>((_, reject) => {
      const expired = () => reject(new NoAnswer(`no answer within ${timeoutMs} ms`));
      timer = setTimeout(expired, Math.min(timeoutMs, MAX_TIMER_MS));
    });
    return { outcome: 'succeeded', value: await Promise.race([Promise.resolve().then(call), late]) };
  } catch (error) {
    return failed(error);
  } finally {
    clearTimeout(timer);
  }
}

function failed(error: unknown): VenueAnswer<never> {
  const names = classNames(error);
  const is = (name: string) => names.includes(name);
  const info = failureInfo(error);
  const message = plain(info?.message ?? String(error));
  // ccxt: what the venue answered with a refusal stands under ExchangeError, what never came under NetworkError.
  const refused = is('ExchangeError') || is('RateLimitExceeded') || is('DDoSProtection') || is('InvalidNonce');
  return {
    outcome: refused ? 'failed' : 'unknown',
    message,
    type: info?.type,
    missing: is('OrderNotFound'),
    needsSymbol: is('ArgumentsRequired') || is('BadSymbol'),
  };
}

/** Names of the classes of an error: they hold over the two copies (ESM and CommonJS) of a library, `instanceof` doesn't. */
function classNames(error: unknown): readonly string[] {
  const names: string[] = [];
  let at: unknown = typeof error === 'object' && error !== null ? Object.getPrototypeOf(error) : undefined;
  for (let depth = 0; depth < 20 && typeof at === 'object' && at !== null; depth++) {
    const name = (at as { constructor?: { name?: unknown } }).constructor?.name;
    if (typeof name === 'string') names.push(name);
    at = Object.getPrototypeOf(at);
  }
  return names;
}

/** Addresses lose their query, which may hold a signature. */
function plain(message: string): string {
  const text = message.replace(/(\b[a-z][a-z0-9+.-]*:\/\/[^\s?#"'<>]+)[?#][^\s"'<>]*/gi, '$1');
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
}

/** Pause before an attempt; the first has none. Doubles each time, up to 5 s. */
export function pauseBefore(attempt: number, backoffMs: number): Promise<void> {
  if (attempt <= 1) return Promise.resolve();
  const ms = Math.min(backoffMs * 2 ** (attempt - 2), 5000);
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
