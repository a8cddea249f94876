/** The one place where our own failures end: counted, told to OpenTelemetry's `diag`, never thrown. */
import { diag } from '@opentelemetry/api';

/** What went wrong since the start. */
export interface FailureReport {
  readonly count: number;
  /** Failures by where they happened. */
  readonly byWhere: Readonly<Record<string, number>>;
  /** Troubles of others that are tried again, such as a receiver that is away. */
  readonly warnings: number;
  readonly last?: { readonly where: string; readonly message: string; readonly time: string };
}

export interface Failures {
  /** Never throws. */
  report(error: unknown, where: string): void;
  /** What comes from outside and is tried again: a receiver that is away. Counted apart, told to `diag`. Never throws. */
  warn(error: unknown, where: string): void;
  read(): FailureReport;
}

/** After so many of one place `diag` hears only of every thousandth: a broken disk must not fill the log. */
const TELL_EACH = 10;
const THEN_EVERY = 1000;

/** @param now wall clock, epoch milliseconds */
export function createFailures(now: () => number): Failures {
  const byWhere: Record<string, number> = Object.create(null);
  let count = 0;
  let warnings = 0;
  let last: FailureReport['last'];
  return {
    report(error, where) {
      try {
        const times = (byWhere[where] ?? 0) + 1;
        byWhere[where] = times;
        count++;
        const message = error instanceof Error ? error.message : String(error);
        last = { where, message, time: new Date(now()).toISOString() };
        if (times <= TELL_EACH || times % THEN_EVERY === 0) {
          diag.error(`risktrail: ${where}: ${message}${times > TELL_EACH ? ` (${times} times)` : ''}`);
        }
      } catch {
        // A throwing diag logger or an error whose message throws: it is counted, and there is nobody left to tell.
      }
    },
    warn(error, where) {
      try {
        warnings++;
        diag.warn(`risktrail: ${where}: ${error instanceof Error ? error.message : String(error)}`);
      } catch {
        // As above.
      }
    },
    read: () => ({ count, warnings, byWhere: { ...byWhere }, ...(last === undefined ? {} : { last }) }),
  };
}
