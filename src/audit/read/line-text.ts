/**
 * The bytes of a journal's lines as whoever walks through them without making objects needs them: the characters and texts that
 * risktrail and the Collector write, and how they are looked for. Blocks end with a newline and no text that is looked for holds
 * one, so that no loop here can run past the end.
 *
 * Whoever is in a hurry takes the constants apart into constants of its own module: V8 compiles those in, and reads imported ones
 * from memory each time.
 */

/** Characters. */
export const CODES = {
  QUOTE: 0x22,
  COMMA: 0x2c,
  MINUS: 0x2d,
  POINT: 0x2e,
  ZERO: 0x30,
  NINE: 0x39,
  COLON: 0x3a,
  OPEN_LIST: 0x5b,
  BACKSLASH: 0x5c,
  CLOSE_LIST: 0x5d,
  OPEN: 0x7b,
  CLOSE: 0x7d,
  SPACE: 0x20,
  NEWLINE: 0x0a,
} as const;
const { ZERO, NINE } = CODES;

/** A text of at least four bytes that is looked for four at a time; the last four may overlap those before. */
export interface LineText {
  readonly length: number;
  readonly words: Int32Array;
}

/** @param text in ASCII, four characters at least */
export function lineText(text: string): LineText {
  const bytes = Buffer.from(text, 'latin1');
  const words = new Int32Array(Math.ceil(bytes.length / 4));
  for (let at = 0; at < words.length; at++) words[at] = bytes.readInt32LE(Math.min(at * 4, bytes.length - 4));
  return { length: bytes.length, words };
}

/** What stands in a line between the values. */
export const TEXTS = {
  // Members of a record, up to their values.
  TIME: lineText('"timeUnixNano":"'),
  OBSERVED: lineText('"observedTimeUnixNano":"'),
  TRACE: lineText('"traceId":"'),
  SPAN: lineText('"spanId":"'),
  SEVERITY_NUMBER: lineText('"severityNumber":'),
  SEVERITY_TEXT: lineText('"severityText":"'),
  BODY: lineText('"body":{"stringValue":"'),
  EVENT: lineText('"eventName":"'),
  ATTRIBUTES: lineText('"attributes":['),
  FLAGS: lineText('"flags":'),
  // An attribute up to its key, and from its key to its value.
  KEY: lineText('{"key":"'),
  VALUE: lineText('","value":'),
  // Values by their kinds.
  STRING: lineText('{"stringValue":"'),
  INT: lineText('{"intValue":'),
  DOUBLE: lineText('{"doubleValue":'),
  TRUE: lineText('{"boolValue":true'),
  FALSE: lineText('{"boolValue":false'),
  LIST: lineText('{"arrayValue":{"values":['),
  MAP: lineText('{"kvlistValue":{"values":['),
} as const;

/** What the quick ways ask for beyond the grammar. */
export const BOUNDS = {
  /** Lists in lists: deeper ones are left to the general way. */
  MAX_DEPTH: 32,
  /** Fewer digits than a double holds exactly. */
  MAX_DIGITS: 15,
  /** Digits of a time that is below 2^64 whatever they are. */
  MAX_TIME_DIGITS: 19,
  TRACE_DIGITS: 32,
} as const;

/** Whether `text` stands in a block at `at`. */
export function stands(view: DataView, at: number, { length, words }: LineText): boolean {
  const last = at + length - 4;
  if (last + 4 > view.byteLength) return false;
  const count = words.length - 1;
  for (let i = 0; i < count; i++) if (view.getInt32(at + i * 4, true) !== words[i]) return false;
  return view.getInt32(last, true) === words[count];
}

/** Index behind an integer in its shortest form, without sign; -1 where there is none of up to `most` digits. */
export function digitsEnd(bytes: Uint8Array, at: number, most: number): number {
  let i = at;
  while ((bytes[i] as number) >= ZERO && (bytes[i] as number) <= NINE) i++;
  return i === at || i - at > most || (bytes[at] === ZERO && i - at > 1) ? -1 : i;
}
