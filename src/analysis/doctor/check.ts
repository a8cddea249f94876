/** What `risktrail doctor` tells: checks, each with what was found and what to do about it. */

/** One line of it. */
export interface Check {
  readonly name: string;
  readonly status: 'ok' | 'warn' | 'fail';
  /** What was found. */
  readonly found: string;
  /** What to do about it; absent where all is well. */
  readonly fix?: string;
}

export const ok = (name: string, found: string): Check => ({ name, status: 'ok', found });
export const warn = (name: string, found: string, fix: string): Check => ({ name, status: 'warn', found, fix });
export const fail = (name: string, found: string, fix: string): Check => ({ name, status: 'fail', found, fix });

/** What an error says, in one line. */
export function reasonOf(error: unknown): string {
  const { message, cause } = error as { message?: unknown; cause?: { code?: unknown; message?: unknown } };
  const deeper = cause?.code ?? cause?.message;
  return `${String(message ?? error)}${deeper === undefined ? '' : ` (${String(deeper)})`}`.replaceAll(
    /\s*\n\s*/g,
    ' ',
  );
}

/** What checks come to: the worst of them. */
export function worstOf(checks: readonly Check[]): Check['status'] {
  return (['fail', 'warn'] as const).find((status) => checks.some((check) => check.status === status)) ?? 'ok';
}
