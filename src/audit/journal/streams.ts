/**
 * The streams in a data directory: which are there, which ended in order, which a dead writer left.
 */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { auditForm } from '../record/canonical.ts';
import { type OtlpLogRecord, visitRecords } from '../record/otlp.ts';
import { makeDirectorySync, replaceFileSync } from './durable-file.ts';
import { readCheckpointFile } from './recovery.ts';
import { readSealedState, type SealedState } from './sealed-state.ts';
import { isBrokenContent, readSegmentHead, readSegmentTail } from './segment-content.ts';
import { listSegments, plainSegmentName, type SegmentFile, STATE_DIRECTORY } from './segment-files.ts';
import { CHECKPOINT_EVENT, CLOSED_EVENT, type PreviousStream } from './system-events.ts';

/** Folder of all streams in a data directory. */
export const STREAMS_DIRECTORY = 'streams';
const LOCK_FILE = 'lock';
/** Left in a stream that can't be continued, so that it is read and reported once only. In the state folder. */
const DAMAGED_FILE = 'damaged.json';
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
/** Enough for the first record, and for the last records of a stream that was closed. */
const END_BYTES = 65_536;
const MAX_TURNS = 5;

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
  /** Its segments, in the order of writing. */
  readonly files: readonly SegmentFile[];
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

/** Looks at one stream; undefined where it holds no record of this service, or is gone. */
export function inspectStream(dataDir: string, service: string, id: string): StreamEntry | undefined {
  for (let turn = 1; ; turn++) {
    try {
      return inspect(streamDirectory(dataDir, id), `${service}/${id}`, id);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      // Another process may seal a file of a closed stream between our listing and our opening it, or remove the stream.
      if (turn === MAX_TURNS) return undefined;
    }
  }
}

function inspect(directory: string, stream: string, id: string): StreamEntry | undefined {
  const files = listSegments(directory);
  const holds = (file: SegmentFile) => statSync(file.path).size > 0;
  const first = files.find(holds);
  const last = files.findLast(holds);
  if (first === undefined || last === undefined) return undefined;
  const damaged = statSync(join(directory, STATE_DIRECTORY, DAMAGED_FILE), { throwIfNoEntry: false }) !== undefined;
  const entry = (status: StreamEntry['status'], lastTime: bigint): StreamEntry => {
    return { id, directory, stream, status: damaged ? 'damaged' : status, lastTime, files };
  };
  const state = first.sealed ? readSealedState(directory) : undefined;
  const noted = state?.stream === stream ? notedEnd(state, last) : undefined;
  if (noted !== undefined) return entry('closed', noted);
  try {
    if (state?.stream !== stream && streamOf(first, stream) !== stream) return undefined;
    const { closed, lastTime } = lookAtEnd(readSegmentTail(last, END_BYTES).toString('utf8'));
    return entry(closed ? 'closed' : 'open', lastTime);
  } catch (error) {
    // What a start makes of it is recovery's matter.
    if (isBrokenContent(error)) return entry('open', 0n);
    throw error;
  }
}

/** The stream that the first record names; `unknown` where there is no whole one. */
function streamOf(first: SegmentFile, unknown: string): string | undefined {
  const record = readRecord(readSegmentHead(first, END_BYTES).toString('utf8').split('\n', 1)[0]!);
  return record === undefined ? unknown : auditForm(record)?.stream;
}

/** The end of a stream that was sealed whole, as the sealer noted it: then no file need be opened. */
function notedEnd(state: SealedState, last: SegmentFile): bigint | undefined {
  const end = state.files.at(-1);
  if (!state.closed || end === undefined || end.name !== plainSegmentName(last.name)) return undefined;
  return last.sealed && statSync(last.path).size === end.sealedBytes ? BigInt(end.lastTime) : undefined;
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
