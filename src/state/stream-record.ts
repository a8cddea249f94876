/** A journal's line, read as far as is needed: its place in the stream at once, the rest when it is asked for. */
import { leafHashBase64 } from '../audit/proof/tree.ts';
import { auditForm } from '../audit/record/canonical.ts';
import { type OtlpLogRecord, plainAttributes, visitRecords } from '../audit/record/otlp.ts';
import type { RecordedEvent } from '../risk/recorded-event.ts';

/** Where a record stands, as its line says. */
export interface RecordPlace {
  readonly sequence: number;
  readonly event: string;
  /** `audit.integrity.value`, base64 of the leaf hash; unchecked. */
  readonly claim: string;
  /** Decimal nanoseconds since the epoch. */
  readonly time: string;
  readonly line: string;
}

/** The stream that another one goes on from. */
export interface PreviousOf {
  /** `<service>/<stream UUID>` */
  readonly stream: string;
  /** Its newest signed note when it was named. */
  readonly checkpoint: string | undefined;
}

/** Text between two marks of a line, unescaped as it stands; undefined where it isn't there. */
function between(line: string, before: string, after: string, from: number): string | undefined {
  if (from < 0) return undefined;
  const start = from + before.length;
  const end = line.indexOf(after, start);
  return end < 0 ? undefined : line.slice(start, end);
}

const EVENT = '"eventName":"';
const TIME = '"timeUnixNano":"';
const SEQUENCE = '{"key":"audit.sequence.number","value":{"intValue":';
const CLAIM = '{"key":"audit.integrity.value","value":{"stringValue":"';

/** The place of a line that the journal wrote; undefined where the line is no audit record. */
export function placeOf(line: string): RecordPlace | undefined {
  // Parsing takes ten times as long, and most lines of a tail are of no risk layer. Where this reading were wrong, for a line
  // that something else wrote, the roots would not fit.
  const event = between(line, EVENT, '"', line.indexOf(EVENT));
  const time = between(line, TIME, '"', line.indexOf(TIME));
  const sequence = Number(between(line, SEQUENCE, '}', line.indexOf(SEQUENCE)) ?? Number.NaN);
  const claim = between(line, CLAIM, '"', line.lastIndexOf(CLAIM));
  if (event !== undefined && time !== undefined && claim !== undefined && Number.isSafeInteger(sequence)) {
    return { event, time, sequence, claim, line };
  }
  const record = recordOf(line);
  const form = record === undefined ? undefined : auditForm(record);
  if (form?.sequence === undefined || form.claim === undefined) return undefined;
  const { eventName, timeUnixNano } = record!;
  return {
    event: typeof eventName === 'string' ? eventName : '',
    time: String(timeUnixNano ?? '0'),
    sequence: form.sequence,
    claim: form.claim,
    line,
  };
}

function recordOf(line: string): OtlpLogRecord | undefined {
  let found: OtlpLogRecord | undefined;
  visitRecords(line, (record) => {
    found = record;
  });
  return found;
}

/** Whether a line is the record of its stream that its place says, unchanged. */
export const isIntact = (place: RecordPlace, stream: string): boolean => intactEvent(place, stream) !== undefined;

/** A line as the folds read it; undefined where it is not the record of its stream that its place says, or was changed. */
export function intactEvent(place: RecordPlace, stream: string): RecordedEvent | undefined {
  const record = recordOf(place.line);
  const form = record === undefined ? undefined : auditForm(record);
  const intact =
    form?.text !== undefined &&
    form.stream === stream &&
    form.sequence === place.sequence &&
    form.claim === place.claim &&
    record!.eventName === place.event &&
    leafHashBase64(form.text) === place.claim;
  return intact ? eventOf(place, record) : undefined;
}

/** A line as the folds read it. */
export const toRecordedEvent = (place: RecordPlace): RecordedEvent => eventOf(place, recordOf(place.line));

function eventOf(place: RecordPlace, record: OtlpLogRecord | undefined): RecordedEvent {
  const attributes = plainAttributes(record?.attributes);
  const recordId = attributes['audit.record.id'];
  return {
    name: place.event,
    recordId: typeof recordId === 'string' ? recordId : '',
    timeMs: timeMsOf(place.time),
    attributes,
  };
}

/** Decimal nanoseconds as they are. */
export const nanosOf = (nanos: string): bigint => (/^\d{1,20}$/.test(nanos) ? BigInt(nanos) : 0n);

/** Decimal nanoseconds as milliseconds, with the microseconds in the fraction: exactly what the writer's clock had. */
export function timeMsOf(nanos: string): number {
  const seconds = Number(nanos.slice(0, -9));
  const rest = Number(nanos.slice(-9));
  return Number.isFinite(seconds) && Number.isFinite(rest) ? seconds * 1000 + Math.floor(rest / 1000) / 1000 : 0;
}

/** The note that a checkpoint record holds. */
export function noteOf(place: RecordPlace): string | undefined {
  const note = toRecordedEvent(place).attributes['audit.checkpoint'];
  return typeof note === 'string' ? note : undefined;
}

/** The stream that a stream's first record names. */
export function previousOf(place: RecordPlace): PreviousOf | undefined {
  const { attributes } = toRecordedEvent(place);
  const stream = attributes['audit.previous.stream'];
  const checkpoint = attributes['audit.previous.checkpoint'];
  if (typeof stream !== 'string') return undefined;
  return { stream, checkpoint: typeof checkpoint === 'string' ? checkpoint : undefined };
}

/** Whether the fold of the risk layers reads events of this name. */
export function isFolded(event: string): boolean {
  return (
    event.startsWith('risk.') ||
    event.startsWith('order.') ||
    event.startsWith('system.') ||
    event === 'config.limits_changed'
  );
}
