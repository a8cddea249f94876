/**
 * The record encoder: from one audit input, in one pass, the canonical text that is hashed (section 3 of the audit format)
 * and the OTLP/JSON line that is written. It runs within every `emit`, so what doesn't change is prepared: the payload's head
 * once, the sorted keys and the text between values once per event name and list of keys.
 */
import { hash } from 'node:crypto';
import { createUuidV7 } from '../../core/uuid.ts';
import { type AuditInput, isFlags, isNanos, isRecordId, severityOf, writeHexId } from './audit-input.ts';
import { type CanonicalAttributes, coerceAttributes } from './coerce.ts';
import { asciiBytes, RecordBytes, utf8Bytes } from './record-bytes.ts';
import {
  considerRuns,
  createShapeCache,
  MAX_RUN_SLOTS,
  type Shape,
  type ShapeCache,
  SLOT_RECORD_ID,
  SLOT_SEQUENCE,
  type SlotMemory,
  usesRuns,
} from './shape.ts';
import { otlpAttributes, writeAscii, writeNumber, writeValue } from './value.ts';

export type { AuditInput } from './audit-input.ts';

/** What the encoder made. The same object is filled again by the next call: take out of it what has to last. */
export interface EncodedRecord {
  recordId: string;
  /** The text that was hashed; made when it is asked for. */
  readonly canonical: string;
  /** Where in the line the leaf hash stands, in padded base64. */
  integrityAt: number;
  /** Leaf hash, 32 bytes; made when it is asked for. */
  readonly leaf: Buffer;
  /** The line with its newline, in the first `lineBytes` bytes. */
  line: Buffer;
  lineBytes: number;
}

/** What stands in front of every record of a stream. */
export interface EncoderOptions {
  /** `<service>/<stream UUID>`. */
  readonly stream: string;
  readonly resource: Readonly<Record<string, unknown>>;
  readonly scope: { readonly name: string; readonly version: string };
}

/** Length of a hash in padded base64. */
const INTEGRITY_LENGTH = 44;
const OBSERVED = asciiBytes('","observedTimeUnixNano":"');
const INTEGRITY = asciiBytes(',{"key":"audit.integrity.value","value":{"stringValue":"');
const LINE_BODY = asciiBytes('"}}],"body":{"stringValue":');
const LINE_TRACE = asciiBytes(',"traceId":"');
const LINE_SPAN = asciiBytes('","spanId":"');
const LINE_SPAN_ALONE = asciiBytes(',"spanId":"');
const LINE_FLAGS = asciiBytes(',"flags":');
const LINE_END = asciiBytes('}]}]}]}\n');
const CANONICAL_BODY = asciiBytes('},"body":');
const CANONICAL_SPAN = asciiBytes(',"span":"');
const CANONICAL_TIME = asciiBytes('","time":"');
const CANONICAL_TRACE = asciiBytes('","trace":"');
const CANONICAL_END = asciiBytes('"}');
/** A longer value is not worth remembering. */
const MAX_REMEMBERED = 64;
/** More than all that stands behind the event's name in either text. */
const END_LENGTH = 256;

/** Encodes the records of one stream. Not for use by several writers. */
export class RecordEncoder {
  readonly #shapes: ShapeCache;
  readonly #out: RecordBytes;
  readonly #newRecordId = createUuidV7();
  /** The values of the record at hand, by slot. */
  readonly #values: unknown[] = [];
  readonly #result: Omit<EncodedRecord, 'canonical' | 'leaf'>;
  #severityNumber: unknown;
  #severityText: unknown;
  #severity = 0;
  #severityBytes = utf8Bytes('');
  readonly #traceId = new HexId(32);
  readonly #spanId = new HexId(16);

  constructor(options: EncoderOptions) {
    this.#shapes = createShapeCache(options.stream);
    const resource = otlpAttributes(coerceAttributes(options.resource));
    const scope = `{"name":${jsonText(options.scope.name)},"version":${jsonText(options.scope.version)}}`;
    const head = `{"resourceLogs":[{"resource":{"attributes":${resource}},"scopeLogs":[{"scope":${scope},"logRecords":[{"timeUnixNano":"`;
    // The leaf hash is over a zero byte and the canonical text, which always begins with the attributes.
    const out = new RecordBytes(asciiBytes('\0{"attributes":{'), utf8Bytes(head));
    this.#out = out;
    this.#result = {
      recordId: '',
      integrityAt: 0,
      line: out.line,
      lineBytes: 0,
    };
    const result = this.#result;
    Object.defineProperties(result, {
      canonical: { get: () => out.canonical.toString('utf8', 1, out.canonicalEnd) },
      leaf: {
        get: () => {
          const { line, integrityAt } = result;
          return Buffer.from(line.toString('latin1', integrityAt, integrityAt + INTEGRITY_LENGTH), 'base64');
        },
      },
    });
  }

  /**
   * Encodes `input` as record `sequence` of the stream. Never throws: what has no canonical form is changed, and named in
   * `audit.coerced`.
   */
  encode(input: AuditInput, sequence: number): EncodedRecord {
    try {
      if (
        (input.coerced === undefined || input.coerced.length === 0) &&
        this.#encode(input, input.attributes, sequence)
      ) {
        return this.#result as EncodedRecord;
      }
    } catch {
      // A getter or a proxy threw: the slow way names it.
    }
    return this.#encodeCoerced(input, sequence);
  }

  #encodeCoerced(input: AuditInput, sequence: number): EncodedRecord {
    const coerced: unknown[] = [...(input.coerced ?? [])];
    const text = (name: 'eventName' | 'severityText' | 'body'): string => {
      const given: unknown = input[name];
      if (typeof given === 'string' && given.isWellFormed()) return given;
      coerced.push(name);
      try {
        return given === undefined || given === null ? '' : String(given).toWellFormed();
      } catch {
        return '';
      }
    };
    const clean = { ...input, eventName: text('eventName'), severityText: text('severityText'), body: text('body') };
    let attributes: CanonicalAttributes;
    try {
      const id: unknown = input.attributes['audit.record.id'];
      if (id !== undefined && !isRecordId(id)) coerced.push('audit.record.id');
      attributes = coerceAttributes(input.attributes, coerced);
    } catch {
      attributes = { 'audit.coerced': ['*'] };
    }
    if (!isRecordId(attributes['audit.record.id'])) delete attributes['audit.record.id'];
    try {
      if (this.#encode(clean, attributes, sequence)) return this.#result as EncodedRecord;
    } catch {
      // Longer than the longest string: what can be kept is that it happened.
    }
    this.#encode({ ...clean, body: clean.body.slice(0, 1000).toWellFormed() }, { 'audit.coerced': ['*'] }, sequence);
    return this.#result as EncodedRecord;
  }

  /** False where something isn't plain; then nothing has been made. */
  #encode(input: AuditInput, attributes: Readonly<Record<string, unknown>>, sequence: number): boolean {
    const shape = this.#shapes.find(input.eventName, attributes);
    if (shape === undefined) return false;
    const out = this.#out;
    out.begin();
    const time = input.timeUnixNano;
    const given = shape.recordIdKey ? attributes['audit.record.id'] : undefined;
    if (shape.recordIdKey && !isRecordId(given)) return false;
    const recordId = (given as string | undefined) ?? this.#newRecordId(millisOf(time));

    out.asciiToLine(time);
    if (input.observedTimeUnixNano !== undefined && isNanos(input.observedTimeUnixNano)) {
      out.toLine(OBSERVED);
      out.asciiToLine(input.observedTimeUnixNano);
    }
    if (!this.#writeSeverity(input)) return false;
    out.reserve(shape.bytes);
    if (!this.#writeAttributes(shape, attributes, recordId, sequence)) return false;
    out.reserve(INTEGRITY.length + INTEGRITY_LENGTH);
    out.toLine(INTEGRITY);
    const integrityAt = out.lineEnd;
    out.lineEnd += INTEGRITY_LENGTH;
    out.toLine(LINE_BODY);
    out.toCanonical(CANONICAL_BODY);
    if (!out.quoted(input.body)) return false;
    this.#writeEnd(input, shape, time);

    const result = this.#result;
    const integrity = hash('sha256', out.canonical.subarray(0, out.canonicalEnd), 'base64');
    const { line } = out;
    for (let i = 0; i < INTEGRITY_LENGTH; i++) line[integrityAt + i] = integrity.charCodeAt(i);
    result.integrityAt = integrityAt;
    result.recordId = recordId;
    result.line = out.line;
    result.lineBytes = out.lineEnd;
    return true;
  }

  /** From the time to the severity text. Few pairs of these are in use: the last one's text is kept. */
  #writeSeverity({ severityNumber, severityText }: AuditInput): boolean {
    if (severityNumber !== this.#severityNumber || severityText !== this.#severityText) {
      if (typeof severityText !== 'string' || !severityText.isWellFormed()) return false;
      this.#severityNumber = severityNumber;
      this.#severityText = severityText;
      this.#severity = severityOf(severityNumber);
      this.#severityBytes = utf8Bytes(
        `","severityNumber":${this.#severity},"severityText":${JSON.stringify(severityText)}`,
      );
    }
    this.#out.reserve(this.#severityBytes.length);
    this.#out.toLine(this.#severityBytes);
    return true;
  }

  #writeAttributes(
    shape: Shape,
    attributes: Readonly<Record<string, unknown>>,
    recordId: string,
    sequence: number,
  ): boolean {
    const { canonical, otlp, slots, memory, runs } = shape;
    const out = this.#out;
    // Each value is read once: it may be a getter.
    const values = this.#values;
    const mask = readValues(shape, attributes, values);
    if (usesRuns(runs, mask)) return writeRuns(out, shape, values, recordId, sequence);
    let remembers = false;
    for (let i = 0; i < slots.length; i++) {
      const slot = slots[i]!;
      if (slot >= 0) {
        const value = values[i];
        const last = memory[i]!;
        if (value === last.value) {
          if (last.canonical === undefined) {
            remembers = true;
            if (!writeRemembered(out, canonical[i]!, otlp[i]!, value, last)) return false;
          } else writeBoth(out, last.canonical, last.otlp!);
          continue;
        }
        last.value = isMemorable(value) ? value : undefined;
        last.canonical = undefined;
        if ((runs.mask & (1 << i)) !== 0) runs.mask = 0;
        writeBoth(out, canonical[i]!, otlp[i]!);
        if (!writeValue(out, value, 0)) return false;
        continue;
      }
      writeBoth(out, canonical[i]!, otlp[i]!);
      if (slot === SLOT_RECORD_ID) writeAscii(out, recordId);
      else if (slot === SLOT_SEQUENCE) writeNumber(out, sequence);
    }
    if (mask > 0 && !remembers) considerRuns(shape, mask);
    return true;
  }

  /** Both texts from the body to their ends. */
  #writeEnd(input: AuditInput, shape: Shape, time: string): void {
    const out = this.#out;
    const traceId = this.#traceId.of(input.traceId);
    const spanId = this.#spanId.of(input.spanId);
    out.reserve(shape.canonicalEvent.length + END_LENGTH);
    out.toCanonical(shape.canonicalEvent);
    out.asciiToCanonical(`${this.#severity}`);
    out.toCanonical(CANONICAL_SPAN);
    out.toCanonical(spanId);
    out.toCanonical(CANONICAL_TIME);
    out.asciiToCanonical(time);
    out.toCanonical(CANONICAL_TRACE);
    out.toCanonical(traceId);
    out.toCanonical(CANONICAL_END);

    out.asciiToLine('}');
    if (traceId.length > 0) {
      out.toLine(LINE_TRACE);
      out.toLine(traceId);
      if (spanId.length > 0) {
        out.toLine(LINE_SPAN);
        out.toLine(spanId);
      }
      out.asciiToLine('"');
    } else if (spanId.length > 0) {
      out.toLine(LINE_SPAN_ALONE);
      out.toLine(spanId);
      out.asciiToLine('"');
    }
    if (isFlags(input.flags)) {
      out.toLine(LINE_FLAGS);
      out.asciiToLine(`${input.flags}`);
    }
    out.toLine(LINE_END);
  }
}

const NO_ID = new Uint8Array(0);

/** The bytes of an id as it is hashed. Events of one trace come together, so the last good one is remembered. */
class HexId {
  readonly #bytes: Uint8Array;
  #last: string | undefined;

  /** @param length of the id, in hex digits */
  constructor(length: number) {
    this.#bytes = new Uint8Array(length);
  }

  /** Nothing for what is no id. */
  of(id: string | undefined): Uint8Array {
    if (id === undefined) return NO_ID;
    if (id === this.#last) return this.#bytes;
    this.#last = writeHexId(id, this.#bytes) ? id : undefined;
    return this.#last === undefined ? NO_ID : this.#bytes;
  }
}

/** Whether the same value, when it comes again, has the same text: primitives, and frozen lists of them. */
function isMemorable(value: unknown): boolean {
  if (typeof value === 'string') return value.length <= MAX_REMEMBERED;
  if (typeof value !== 'object') return true;
  return Array.isArray(value) && Object.isFrozen(value) && value.every((item) => typeof item !== 'object');
}

/** Reads the values of all slots. @returns those that stand in their memory as text, a bit for each; 0 where there are too many */
function readValues(
  { slots, keys, memory }: Shape,
  attributes: Readonly<Record<string, unknown>>,
  values: unknown[],
): number {
  const few = slots.length <= MAX_RUN_SLOTS;
  let mask = 0;
  for (let i = 0; i < slots.length; i++) {
    const slot = slots[i]!;
    if (slot < 0) continue;
    const value = attributes[keys[slot]!];
    values[i] = value;
    const last = memory[i]!;
    if (few && value === last.value && last.canonical !== undefined) mask |= 1 << i;
  }
  return mask;
}

/** Writes the attributes of a record that repeats all the values of the shape's runs. */
function writeRuns(
  out: RecordBytes,
  { runs, slots, memory }: Shape,
  values: readonly unknown[],
  recordId: string,
  sequence: number,
): boolean {
  const { steps } = runs;
  for (let s = 0; s < steps.length; s++) {
    const { canonical, otlp, slot: i } = steps[s]!;
    writeBoth(out, canonical, otlp);
    if (i < 0) break;
    const slot = slots[i]!;
    if (slot === SLOT_RECORD_ID) writeAscii(out, recordId);
    else if (slot === SLOT_SEQUENCE) writeNumber(out, sequence);
    else {
      const value = values[i];
      const last = memory[i]!;
      if (value !== last.value) {
        last.value = isMemorable(value) ? value : undefined;
        last.canonical = undefined;
      }
      if (!writeValue(out, value, 0)) return false;
    }
  }
  return true;
}

function writeBoth(out: RecordBytes, canonical: Uint8Array, otlp: Uint8Array): void {
  out.reserve(canonical.length + otlp.length);
  out.toCanonical(canonical);
  out.toLine(otlp);
}

/** Writes a value that came the second time in a row, and keeps what was written. */
function writeRemembered(
  out: RecordBytes,
  canonical: Uint8Array,
  otlp: Uint8Array,
  value: unknown,
  memory: SlotMemory,
): boolean {
  const { canonicalEnd, lineEnd } = out;
  writeBoth(out, canonical, otlp);
  if (!writeValue(out, value, 0)) return false;
  memory.canonical = Buffer.from(out.canonical.subarray(canonicalEnd, out.canonicalEnd));
  memory.otlp = Buffer.from(out.line.subarray(lineEnd, out.lineEnd));
  return true;
}

function millisOf(nanos: string): number {
  return Number(nanos.slice(0, -6));
}

function jsonText(value: unknown): string {
  return JSON.stringify(String(value).toWellFormed());
}
