/**
 * Every error that risktrail throws, in one catalogue. `docs/errors.md` lists the same codes; a test keeps both equal.
 * Errors are thrown at start-up, by construction and by commands. Once started, nothing here reaches trading code.
 */

interface ErrorDefinition {
  /** One sentence; `{name}` is replaced by the detail of that name. */
  readonly message: string;
  /** What the caller should do about it. */
  readonly remedy: string;
}

/** code → message and remedy. Add a code here and in `docs/errors.md`. */
export const ERRORS = {
  OPTION_INVALID: {
    message: '{field}: expected {expected}, got {received}',
    remedy: 'Correct the named option; nothing was started or changed.',
  },
  OPTION_UNKNOWN: {
    message: '{field}: unknown option{hint}',
    remedy: 'Remove the key or correct its spelling.',
  },
} as const satisfies Record<string, ErrorDefinition>;

export type ErrorCode = keyof typeof ERRORS;

/** Values for the `{name}` places of an error's message. */
export type ErrorDetails = Readonly<Record<string, string | number | boolean>>;

/**
 * The one error class. Match on `code`, not on the class or the message.
 * @example
 * try { trail.circuitBreaker('broker', { failureThreshold: 0 }); }
 * catch (error) { if (isRiskTrailError(error, 'OPTION_INVALID')) … }
 */
export class RiskTrailError extends Error {
  override readonly name = 'RiskTrailError';
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, details: ErrorDetails = {}, cause?: unknown) {
    super(
      ERRORS[code].message.replace(/\{(\w+)\}/g, (_, name: string) => String(details[name] ?? '')),
      cause === undefined ? undefined : { cause },
    );
    this.code = code;
    this.details = details;
  }

  /** What the caller should do about it. */
  get remedy(): string {
    return ERRORS[this.code].remedy;
  }
}

/** Whether `error` is ours and, where a code is given, of that code. Works across realms and copies of the package. */
export function isRiskTrailError(error: unknown, code?: ErrorCode): error is RiskTrailError {
  return (
    error instanceof Error &&
    error.name === 'RiskTrailError' &&
    (code === undefined || (error as RiskTrailError).code === code)
  );
}

/** A received value as it should stand in a message: short, quoted where it is a string, never a secret's whole length. */
export function describeValue(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}…` : value);
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'symbol' || typeof value === 'number' || typeof value === 'boolean' || value === null)
    return String(value);
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch {
    // Circular: the type says enough.
  }
  if (text === undefined) return Object.prototype.toString.call(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
