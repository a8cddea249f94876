/** What is known of a failed call, from whatever its caller has in hand. */
import { type CatalogEvent, catalogEvent } from '../catalog/events.ts';
import type { FailureInfo } from '../risk/circuit-breaker/input.ts';

/** A failure for callers without an Error. */
export interface FailureReport extends FailureInfo {
  readonly durationMs?: number | undefined;
}

/** Reads an Error, a report, or anything that was thrown; hostile getters give nothing. */
export function failureInfo(error: unknown): FailureReport | undefined {
  if (error === undefined || error === null) return undefined;
  try {
    if (typeof error !== 'object') return { type: typeof error, message: String(error) };
    const from = error as Record<string, unknown>;
    const type = text(from.type) ?? text(from.name);
    const code = text(from.code);
    const message = text(from.message);
    const durationMs = typeof from.durationMs === 'number' ? from.durationMs : undefined;
    return {
      ...(error instanceof Error ? { type: text(from.name) ?? 'Error' } : type === undefined ? {} : { type }),
      ...(code === undefined ? {} : { code }),
      ...(message === undefined ? {} : { message }),
      ...(durationMs === undefined || error instanceof Error ? {} : { durationMs }),
    };
  } catch {
    return { type: typeof error };
  }
}

const text = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : typeof value === 'number' ? String(value) : undefined;

/** `system.error` of what nobody caught. @param origin of Node's: `uncaughtException` or `unhandledRejection` */
export function uncaughtEvent(error: unknown, origin: string): CatalogEvent {
  const { type = 'unknown', message, code } = failureInfo(error) ?? { message: String(error) };
  const stack = error instanceof Error ? error.stack : undefined;
  return catalogEvent('system.error', {
    operation: origin,
    'exception.type': type,
    ...(message === undefined ? {} : { 'exception.message': message }),
    ...(code === undefined ? {} : { 'error.code': code }),
    ...(typeof stack === 'string' ? { 'exception.stacktrace': stack } : {}),
  });
}
