/** Small trails for tests of reading: OTLP/JSON lines as a journal or a Collector writes them, with no valid proof in them. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** What a line's record says; everything has a default. */
export interface LineOptions {
  readonly stream?: string;
  readonly timeMs?: number;
  readonly event?: string;
  readonly severityNumber?: number;
  readonly body?: string;
  readonly attributes?: Readonly<Record<string, string | number | boolean>>;
  readonly service?: string;
  readonly traceId?: string;
}

export const STREAM_A = 'bot/9daa6223-bff6-4d4e-8c73-7bd8062153f2';
export const STREAM_B = 'bot/a63d8b4d-5a4c-4a44-8501-9bc29b4b1ded';
/** 2020-03-16T14:00:00Z. */
export const START_MS = Date.UTC(2020, 2, 16, 14);

const anyValue = (value: string | number | boolean) =>
  typeof value === 'string'
    ? { stringValue: value }
    : typeof value === 'number'
      ? { doubleValue: value }
      : { boolValue: value };

function logRecord(sequence: number | undefined, options: LineOptions): unknown {
  const { stream = STREAM_A, timeMs = START_MS + (sequence ?? 0) * 1000 } = options;
  const audit =
    sequence === undefined
      ? {}
      : { 'audit.stream': stream, 'audit.sequence.number': sequence, 'audit.record.id': `${stream}#${sequence}` };
  return {
    timeUnixNano: `${timeMs}000000`,
    severityNumber: options.severityNumber ?? 9,
    eventName: options.event ?? 'order.placed',
    body: { stringValue: options.body ?? `record ${sequence}` },
    ...(options.traceId === undefined ? {} : { traceId: options.traceId }),
    attributes: Object.entries({ ...audit, ...options.attributes }).map(([key, value]) => ({
      key,
      value: anyValue(value),
    })),
  };
}

const payload = (records: readonly unknown[], service = 'bot') =>
  `${JSON.stringify({
    resourceLogs: [
      {
        resource: { attributes: [{ key: 'service.name', value: { stringValue: service } }] },
        scopeLogs: [{ scope: { name: 'test' }, logRecords: records }],
      },
    ],
  })}\n`;

/** A line with one record; a sequence of undefined makes it no audit record. */
export function line(sequence: number | undefined, options: LineOptions = {}): string {
  return payload([logRecord(sequence, options)], options.service);
}

/** One line with several records, as a Collector groups them. */
export function groupedLine(
  records: readonly (readonly [sequence: number | undefined, options?: LineOptions])[],
): string {
  return payload(records.map(([sequence, options]) => logRecord(sequence, options ?? {})));
}

/** The lines `from` to below `to` of a stream, a second apart. */
export function lines(from: number, to: number, options: LineOptions = {}): string {
  let text = '';
  for (let sequence = from; sequence < to; sequence++) text += line(sequence, options);
  return text;
}

/** Path of a stream's segment below the data directory. */
export function segmentPath(dataDir: string, stream: string, firstSequence: number): string {
  return join(dataDir, 'streams', stream.split('/')[1]!, `${String(firstSequence).padStart(20, '0')}.jsonl`);
}

/** Writes a file with the folders that it needs. */
export function put(path: string, text: string | Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}
