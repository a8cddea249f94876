/** Errors of clients that send by axios: what is known of the request, and what may be recorded of the error. */
import type { BrokerError } from '../broker.ts';

/** The connection was never made. */
const NOT_SENT: readonly unknown[] = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN'];
const MAX_TEXT = 300;

interface Thrown {
  readonly name?: unknown;
  readonly code?: unknown;
  readonly message?: unknown;
  readonly isAxiosError?: unknown;
  readonly response?: { readonly status?: unknown; readonly data?: unknown };
  readonly headers?: unknown;
}

/** A venue's own answer, as its client threw it; undefined where none came. */
export function answerOf(error: unknown): Thrown | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const thrown = error as Thrown;
  if (thrown.isAxiosError !== true) return thrown instanceof Error ? undefined : thrown;
  const { response } = thrown;
  if (response === undefined) return undefined;
  const data = typeof response.data === 'object' && response.data !== null ? (response.data as Thrown) : {};
  return { ...data, code: data.code ?? response.status };
}

/** Where no answer came: whether the request may have been executed. */
export function unanswered(error: unknown): 'rejected' | 'unknown' {
  // Texts and plain errors are thrown before anything is sent.
  if (typeof error !== 'object' || error === null) return 'rejected';
  const { isAxiosError, code } = error as Thrown;
  return isAxiosError === true && !NOT_SENT.includes(code) ? 'unknown' : 'rejected';
}

/** Its kind, code and text; never its address, headers or settings, which hold keys and signatures. */
export function describe(error: unknown): BrokerError {
  if (typeof error === 'string') return { type: 'Error', message: plain(error) };
  const from = (answerOf(error) ?? error ?? {}) as Thrown;
  const { name } = (error ?? {}) as Thrown;
  const message = typeof from.message === 'string' ? from.message : undefined;
  const code = from.code;
  return {
    type: typeof name === 'string' ? name : 'ApiError',
    ...(typeof code === 'string' || typeof code === 'number' ? { code: String(code) } : {}),
    ...(message === undefined ? {} : { message: plain(message) }),
  };
}

function plain(message: string): string {
  const text = message
    .replace(/(\b[a-z][a-z0-9+.-]*:\/\/[^\s?#"'<>]+)[?#][^\s"'<>]*/gi, '$1')
    .replace(/\b(signature|sign|api_?key|secret|token)(["']?\s*[=:]\s*["']?)[^\s&"',}]+/gi, '$1$2***');
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
}

/** Text of a string or number that isn't empty. */
export const textOf = (value: unknown): string | undefined =>
  (typeof value === 'string' && value !== '') || typeof value === 'number' ? String(value) : undefined;

/** A quantity or price as it was given. */
export const amountOf = (value: unknown): number | string | undefined =>
  typeof value === 'number' || (typeof value === 'string' && value !== '') ? value : undefined;

export function sideOf(value: unknown): 'buy' | 'sell' | undefined {
  const side = String(value).toLowerCase();
  return side === 'buy' || side === 'sell' ? side : undefined;
}

export const isTrue = (value: unknown): boolean => value === true || value === 'true';

/** Fields without those that are undefined. */
export function given<T extends object>(fields: T): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}
