/**
 * The streams in a data directory: which are there, which ended in order, which a dead writer left.
 */
import { closeSync, fstatSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { auditForm } from '../record/canonical.ts';
import { type OtlpLogRecord, visitRecords } from '../record/otlp.ts';
import { makeDirectorySync, replaceFileSync } from './durable-file.ts';
import { readCheckpointFile, STATE_DIRECTORY } from './recovery.ts';
import { listSegments } from './segment.ts';
import { CHECKPOINT_EVENT, CLOSED_EVENT, type PreviousStream } from './system-events.ts';

/** Folder of all streams in a data directory. */
export const STREAMS_DIRECTORY = 'streams';
const LOCK_FILE = 'lock';
/** Left in a stream that can't be continued, so that it is read and reported once only. In the state folder. */
const DAMAGED_FILE = 'damaged.json';
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
/** Enough for the first record, and for the last records of a stream that was closed. */
const END_BYTES = 65_536;

/** A stream as a glance at its ends shows it. */
export interface StreamEntry {
  readonly id: string;
  readonly directory: string;
  /** `<service>/<id>` */
  readonly stream: string;
  /** `open`: no orderly end, perhaps because its writer lives. `closed`: ended. `damaged`: was found so by an earlier start. */
  readonly status: 'open' | 'closed' | 'damaged';
  /** Time of the last record that was looked at, decimal nanoseconds. */
  readonly lastTime: bigint;
}

/** Path of a stream's folder. */
export function streamDirectory(dataDir: string, id: string): string {
  return join(dataDir, STREAMS_DIRECTORY, id);
}

/** Path of a stream's lock. */
export function lockPath(directory: string): string {
  return join(directory, STATE_DIRECTORY, LOCK_FILE);
}

/** Makes the folders of a new stream. */
export function createStreamDirectory(directory: string): void {
  makeDirectorySync(join(directory, STATE_DIRECTORY));
}

/** Notes that a stream can't be continued. Its records stay as they are. */
export function markDamaged(directory: string, reason: string): void {
  replaceFileSync(join(directory, STATE_DIRECTORY, DAMAGED_FILE), `${JSON.stringify({ reason })}\n`);
}

/** The streams of a service, newest first. Folders without a record are passed over. */
export function listStreams(dataDir: string, service: string): StreamEntry[] {
  const ids = readdirSync(join(dataDir, STREAMS_DIRECTORY)).filter((name) => UUID.test(name));
  return ids
    .sort()
    .reverse()
    .map((id) => inspectStream(dataDir, service, id))
    .filter((entry) => entry !== undefined);
}

/** Looks at one stream; undefined where it holds no record of this service. */
export function inspectStream(dataDir: string, service: string, id: string): StreamEntry | undefined {
  const directory = streamDirectory(dataDir, id);
  const files = listSegments(directory).filter((file) => statSync(file.path).size > 0);
  const first = files[0];
  const last = files.at(-1);
  if (first === undefined || last === undefined) return undefined;
  const stream = `${service}/${id}`;
  const head = readRecord(readEnd(first.path, 'start').split('\n', 1)[0]!);
  if (head !== undefined && auditForm(head)?.stream !== stream) return undefined;
  const { closed, lastTime } = lookAtEnd(readEnd(last.path, 'end'));
  const damaged = statSync(join(directory, STATE_DIRECTORY, DAMAGED_FILE), { throwIfNoEntry: false }) !== undefined;
  return { id, directory, stream, status: damaged ? 'damaged' : closed ? 'closed' : 'open', lastTime };
}

/** Closed is a stream that ends with its closing record and a checkpoint behind it, each a whole line. */
function lookAtEnd(text: string): { closed: boolean; lastTime: bigint } {
  const lines = text.split('\n');
  const torn = lines.pop() !== '';
  const last = readRecord(lines.at(-1) ?? '');
  const lastTime = timeOf(last);
  if (torn || last?.eventName !== CHECKPOINT_EVENT) return { closed: false, lastTime };
  for (let i = lines.length - 2; i >= 0; i--) {
    const event = readRecord(lines[i]!)?.eventName;
    if (event !== CHECKPOINT_EVENT) return { closed: event === CLOSED_EVENT, lastTime };
  }
  return { closed: false, lastTime };
}

function timeOf(record: OtlpLogRecord | undefined): bigint {
  const time = record?.timeUnixNano;
  return typeof time === 'string' && /^[0-9]{1,20}$/.test(time) ? BigInt(time) : 0n;
}

function readRecord(line: string): OtlpLogRecord | undefined {
  let found: OtlpLogRecord | undefined;
  visitRecords(line, (record) => {
    found = record;
  });
  return found;
}

function readEnd(path: string, which: 'start' | 'end'): string {
  const fd = openSync(path, 'r');
  try {
    const buffer = Buffer.allocUnsafe(END_BYTES);
    const from = which === 'start' ? 0 : Math.max(0, fstatSync(fd).size - END_BYTES);
    return buffer.toString('utf8', 0, readSync(fd, buffer, 0, END_BYTES, from));
  } finally {
    closeSync(fd);
  }
}

/** The stream that a new one names: the damaged one that was just found, else the one that ended last. */
export function previousStream(
  entries: readonly StreamEntry[],
  damagedNow: StreamEntry | undefined,
): PreviousStream | undefined {
  let previous = damagedNow;
  if (previous === undefined) {
    for (const entry of entries) {
      if (entry.status === 'open') continue;
      if (previous === undefined || entry.lastTime > previous.lastTime) previous = entry;
    }
  }
  return previous && { stream: previous.stream, checkpoint: readCheckpointFile(previous.directory) };
}
