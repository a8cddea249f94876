/** One event on its way into the journal, and what of it can be recorded as it stands. */

/** One event to be recorded. Everything but `attributes` is what OpenTelemetry's LogRecord has. */
export interface AuditInput {
  readonly eventName: string;
  /** OpenTelemetry severity number, 1–24; anything else is recorded as 0, unset. */
  readonly severityNumber: number;
  readonly severityText: string;
  /** A short sentence for people. */
  readonly body: string;
  /** Nanoseconds since the epoch, decimal. */
  readonly timeUnixNano: string;
  readonly observedTimeUnixNano?: string;
  /** 32 hex digits; anything else is left out. */
  readonly traceId?: string | undefined;
  /** 16 hex digits; anything else is left out. */
  readonly spanId?: string | undefined;
  readonly flags?: number | undefined;
  /** The event's own attributes. `audit.record.id` may be among them; the other `audit.*` of section 2 are the writer's. */
  readonly attributes: Readonly<Record<string, unknown>>;
  /** Names of attributes that an earlier stage already changed, for `audit.coerced`. */
  readonly coerced?: readonly string[];
}

const ZERO = 0x30;
const NINE = 0x39;
const MAX_NANOS = '18446744073709551615';
const MAX_FLAGS = 0xffff_ffff;
/** Characters of a record id, by their code: what needs no escape in JSON. */
const RECORD_ID_CODES = Uint8Array.from({ length: 128 }, (_, code) =>
  /[0-9A-Za-z._:-]/.test(String.fromCharCode(code)) ? 1 : 0,
);
const MAX_RECORD_ID = 128;
/** For the code of a hex digit the code of its lower case, for any other 0. */
const HEX_CODES = Uint8Array.from({ length: 128 }, (_, code) => {
  const character = String.fromCharCode(code);
  return /[0-9A-Fa-f]/.test(character) ? character.toLowerCase().charCodeAt(0) : 0;
});

/** Whether `text` is a time that the format allows: decimal nanoseconds below 2^64. */
export function isNanos(text: unknown): text is string {
  if (typeof text !== 'string') return false;
  const { length } = text;
  if (length === 0 || length > MAX_NANOS.length || (length > 1 && text.charCodeAt(0) === ZERO)) return false;
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code < ZERO || code > NINE) return false;
  }
  return length < MAX_NANOS.length || text <= MAX_NANOS;
}

/** A severity number of OpenTelemetry's, 0 (unset) for anything else. */
export function severityOf(value: number): number {
  return Number.isInteger(value) && value >= 1 && value <= 24 ? value : 0;
}

/** Whether flags are worth recording. */
export function isFlags(value: number | undefined): value is number {
  return value !== undefined && Number.isInteger(value) && value > 0 && value <= MAX_FLAGS;
}

/** Ids are ours or, given by the caller, of a form that needs no escapes. */
export function isRecordId(id: unknown): id is string {
  if (typeof id !== 'string' || id.length === 0 || id.length > MAX_RECORD_ID) return false;
  for (let i = 0; i < id.length; i++) if (RECORD_ID_CODES[id.charCodeAt(i)] !== 1) return false;
  return true;
}

/**
 * Writes a hex id in lower case. Each new span brings one: read once, it takes a third of what a pattern takes.
 * @param into as long as the id has to be
 * @returns false for anything else and for all zeros; what stands in `into` is then of no use
 */
export function writeHexId(id: unknown, into: Uint8Array): boolean {
  const { length } = into;
  if (typeof id !== 'string' || id.length !== length) return false;
  let bits = 0;
  for (let i = 0; i < length; i++) {
    const code = id.charCodeAt(i);
    const lower = code < HEX_CODES.length ? HEX_CODES[code]! : 0;
    if (lower === 0) return false;
    bits |= lower ^ ZERO;
    into[i] = lower;
  }
  return bits !== 0;
}
