/** Records that a receiver refused for good: each stays as a file of its own in the stream's folder `rejected`. */
import { join } from 'node:path';
import { makeDirectorySync, replaceFile, syncDirectorySync } from '../journal/durable-file.ts';
import { type OtlpLogRecord, plainAttributes, visitRecords } from '../record/otlp.ts';
import { type Line, lineText } from './line.ts';

/** Folder of a stream with the records that were set aside. */
const REJECTED_DIRECTORY = 'rejected';
const SEQUENCE_DIGITS = 20;

/** A record and why the receiver wouldn't have it. */
export interface Refusal {
  readonly line: Line;
  /** Status and message of the answer. */
  readonly answer: string;
}

/** What is told of a record that was set aside. */
export interface RejectedRecord {
  /** `audit.record.id`; empty where the line can't be read. */
  readonly recordId: string;
  readonly stream: string;
  readonly sequence: number;
  readonly eventName: string;
  readonly answer: string;
  /** File with the line and the answer. */
  readonly path: string;
}

/**
 * Sets a record aside; when the promise resolves the file is on disk. Doing it again replaces the file.
 * @throws the system's error
 */
export async function setAside(
  directory: string,
  { line, answer }: Refusal,
  endpoint: string,
  nowMs: number,
): Promise<RejectedRecord> {
  const folder = join(directory, REJECTED_DIRECTORY);
  makeDirectorySync(folder);
  syncDirectorySync(directory);
  const path = join(folder, `${String(line.sequence).padStart(SEQUENCE_DIGITS, '0')}.json`);
  const text = lineText(line);
  const content = {
    version: 1,
    sequence: line.sequence,
    time: new Date(nowMs).toISOString(),
    endpoint,
    answer,
    line: text,
  };
  await replaceFile(path, `${JSON.stringify(content)}\n`);
  const record = recordOf(text);
  const attributes = plainAttributes(record?.attributes);
  const named = (value: unknown) => (typeof value === 'string' ? value : '');
  return {
    recordId: named(attributes['audit.record.id']),
    stream: named(attributes['audit.stream']),
    sequence: line.sequence,
    eventName: named(record?.eventName),
    answer,
    path,
  };
}

function recordOf(text: string): OtlpLogRecord | undefined {
  let found: OtlpLogRecord | undefined;
  visitRecords(text, (record) => {
    found = record;
  });
  return found;
}
