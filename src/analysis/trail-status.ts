/** How a trail stands, from its files alone: for operators, beside a running service or after its end. */
import { existsSync, readdirSync, readFileSync, statfsSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { readHealth, type StoredHealth } from '../audit/journal/health-file.ts';
import { readSegment, readSegmentHead, readSegmentTail } from '../audit/journal/segment-content.ts';
import { CHECKPOINT_FILE, listSegments, type SegmentFile } from '../audit/journal/segment-files.ts';
import { readShippedPosition } from '../audit/journal/shipped-position.ts';
import { inspectStream, STREAMS_DIRECTORY } from '../audit/journal/streams.ts';
import { parseCheckpoint } from '../audit/proof/note.ts';
import { auditForm } from '../audit/record/canonical.ts';
import { type OtlpLogRecord, visitRecords } from '../audit/record/otlp.ts';
import { RiskTrailError } from '../core/errors.ts';

/** What is not shipped yet. */
export interface Backlog {
  readonly records: number;
  /** As they lie on disk: sealed segments count compressed. */
  readonly bytes: number;
  /** Age of the oldest of them, in seconds; 0 where there is none. */
  readonly seconds: number;
}

/** One stream. */
export interface StreamStatus {
  /** `<service>/<stream UUID>` */
  readonly stream: string;
  readonly directory: string;
  readonly status: 'open' | 'closed' | 'damaged';
  /** Whether its writer told of itself within three of its intervals; null where it never does. */
  readonly running: boolean | null;
  /** Records from the first to the last number, what retention removed included. */
  readonly records: number;
  readonly segments: { readonly plain: number; readonly sealed: number; readonly bytes: number };
  /** Time of the last record, RFC 3339 with nanoseconds as written; null where there is none. */
  readonly lastRecordTimeUnixNano: string | null;
  /** The newest signed checkpoint: it covers the records below `size`. */
  readonly checkpoint: { readonly size: number; readonly ageSeconds: number } | null;
  /** Records that no checkpoint covers, its own record included. */
  readonly uncovered: number;
  readonly shipped: { readonly sequence: number; readonly endpoint: string; readonly complete: boolean } | null;
  /** null where the trail is not shipped. */
  readonly backlog: Backlog | null;
  /** Records that the receiver refused for good, set aside in `rejected/`. */
  readonly rejected: number;
  /** What the running trail last said of itself. */
  readonly health: Readonly<Record<string, unknown>> | null;
}

/** A data directory. */
export interface TrailStatus {
  readonly dataDir: string;
  readonly streams: readonly StreamStatus[];
  readonly diskFreeBytes: number;
  /** What an operator should look at, one sentence each; empty where all is well. */
  readonly concerns: readonly string[];
}

/** Enough for a stream's first and last records. */
const END_BYTES = 262_144;
/** Silence of so many intervals means that the writer is gone. */
const MISSED_INTERVALS = 3;
/** Less is a matter of hours. */
export const LOW_DISK_BYTES = 1_000_000_000;

/** Whether records wait longer than a receiver takes that answers. */
export const isLate = (backlog: Backlog): boolean => backlog.seconds > OLD_BACKLOG_SECONDS;
const OLD_BACKLOG_SECONDS = 60;

/** Whether a running writer has records that should be signed by now. */
export const isUnsigned = (one: StreamStatus): boolean =>
  one.running === true && one.uncovered > 1 && (one.checkpoint?.ageSeconds ?? 0) > OLD_CHECKPOINT_SECONDS;
const OLD_CHECKPOINT_SECONDS = 60;

/**
 * @param nowMs epoch milliseconds
 * @throws RiskTrailError PATH_NOT_FOUND, NO_TRAIL_FILES, FILE_UNREADABLE
 */
export function readTrailStatus(dataDir: string, nowMs: number): TrailStatus {
  const directory = resolve(dataDir);
  const streams = listIds(directory)
    .map((id) => streamStatus(directory, id, nowMs))
    .filter((one) => one !== undefined);
  const { bavail, bsize } = statfsSync(directory);
  const diskFreeBytes = bavail * bsize;
  const concerns = streams.flatMap(concernsOf);
  if (diskFreeBytes < LOW_DISK_BYTES) concerns.push(`only ${diskFreeBytes} bytes are free on the volume`);
  return { dataDir: directory, streams, diskFreeBytes, concerns };
}

function listIds(dataDir: string): string[] {
  try {
    return readdirSync(join(dataDir, STREAMS_DIRECTORY)).sort();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && existsSync(dataDir)) throw new RiskTrailError('NO_TRAIL_FILES', { path: dataDir }, error);
    if (code === 'ENOENT' || code === 'ENOTDIR') throw new RiskTrailError('PATH_NOT_FOUND', { path: dataDir }, error);
    throw new RiskTrailError('FILE_UNREADABLE', { path: dataDir, reason: message }, error);
  }
}

function streamStatus(dataDir: string, id: string, nowMs: number): StreamStatus | undefined {
  const directory = join(dataDir, STREAMS_DIRECTORY, id);
  try {
    const files = listSegments(directory).filter((file) => statSync(file.path).size > 0);
    const stream = streamOf(files);
    if (stream === undefined) return undefined;
    const entry = inspectStream(dataDir, stream.slice(0, stream.lastIndexOf('/')), id);
    if (entry === undefined) return undefined;
    const last = lastRecord(files);
    const checkpoint = checkpointOf(directory, nowMs);
    const shipped = readShippedPosition(directory);
    const stored = readHealth(directory);
    const records = last.sequence + 1;
    const from = shipped?.sequence ?? (stored?.health['shipping'] === undefined ? undefined : 0);
    return {
      stream,
      directory,
      status: entry.status,
      running: isRunning(entry.status, stored, nowMs),
      records,
      segments: {
        plain: files.filter((file) => !file.sealed).length,
        sealed: files.filter((file) => file.sealed).length,
        bytes: sizeOf(files),
      },
      lastRecordTimeUnixNano: last.time,
      checkpoint,
      uncovered: Math.max(0, records - (checkpoint?.size ?? 0)),
      shipped: shipped === undefined ? null : pick(shipped),
      backlog: from === undefined ? null : backlogOf(files, from, records, nowMs),
      rejected: countRejected(directory),
      health: stored?.health ?? null,
    };
  } catch (error) {
    // Retention may remove a closed stream meanwhile.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function pick({ sequence, endpoint, complete }: NonNullable<StreamStatus['shipped']>) {
  return { sequence, endpoint, complete };
}

const sizeOf = (files: readonly SegmentFile[]): number =>
  files.reduce((sum, file) => sum + statSync(file.path).size, 0);

function isRunning(status: StreamStatus['status'], stored: StoredHealth | undefined, nowMs: number): boolean | null {
  if (status !== 'open') return false;
  if (stored === undefined || stored.intervalMs === 0) return null;
  return nowMs - stored.timeMs <= MISSED_INTERVALS * stored.intervalMs;
}

function recordIn(line: string): OtlpLogRecord | undefined {
  let found: OtlpLogRecord | undefined;
  visitRecords(line, (record) => {
    found = record;
  });
  return found;
}

/** `audit.stream` of the first record. */
function streamOf(files: readonly SegmentFile[]): string | undefined {
  const [first] = files;
  if (first === undefined) return undefined;
  const record = recordIn(readSegmentHead(first, END_BYTES).toString('utf8').split('\n', 1)[0]!);
  return record === undefined ? undefined : auditForm(record)?.stream;
}

/** Number and time of the last whole record. */
function lastRecord(files: readonly SegmentFile[]): { sequence: number; time: string | null } {
  for (const file of files.toReversed()) {
    const lines = readSegmentTail(file, END_BYTES).toString('utf8').split('\n');
    // What stands behind the last newline is being written.
    for (const line of lines.slice(0, -1).reverse()) {
      const record = recordIn(line);
      const sequence = record === undefined ? undefined : auditForm(record)?.sequence;
      if (sequence !== undefined) return { sequence, time: String(record?.timeUnixNano ?? '') || null };
    }
  }
  return { sequence: -1, time: null };
}

function checkpointOf(directory: string, nowMs: number): StreamStatus['checkpoint'] {
  try {
    const path = join(directory, CHECKPOINT_FILE);
    const checkpoint = parseCheckpoint(`${readFileSync(path, 'utf8').split('\n').slice(0, 3).join('\n')}\n`);
    if (checkpoint === undefined) return null;
    return { size: checkpoint.size, ageSeconds: Math.max(0, (nowMs - statSync(path).mtimeMs) / 1000) };
  } catch {
    return null;
  }
}

/** The records from number `from` on. */
function backlogOf(files: readonly SegmentFile[], from: number, records: number, nowMs: number): Backlog {
  if (from >= records) return { records: 0, bytes: 0, seconds: 0 };
  const at = Math.max(
    0,
    files.findLastIndex((file) => file.firstSequence <= from),
  );
  let bytes = sizeOf(files.slice(at + 1));
  let seconds = 0;
  const file = files[at]!;
  const content = readSegment(file);
  let start = 0;
  for (let number = file.firstSequence; number < from && start < content.length; number++) {
    const newline = content.indexOf(10, start);
    start = newline < 0 ? content.length : newline + 1;
  }
  const share = content.length === 0 ? 0 : (content.length - start) / content.length;
  bytes += Math.round(statSync(file.path).size * share);
  const end = content.indexOf(10, start);
  const oldest = recordIn(content.toString('utf8', start, end < 0 ? content.length : end));
  if (oldest !== undefined) seconds = Math.max(0, nowMs / 1000 - Number(oldest.timeUnixNano) / 1e9);
  return { records: records - from, bytes, seconds };
}

function countRejected(directory: string): number {
  try {
    return readdirSync(join(directory, 'rejected')).filter((name) => name.endsWith('.json')).length;
  } catch {
    return 0;
  }
}

function concernsOf(one: StreamStatus): string[] {
  const concerns: string[] = [];
  const say = (text: string) => concerns.push(`${one.stream}: ${text}`);
  if (one.status === 'damaged') say('damaged, and not continued: run risktrail verify');
  if (one.rejected > 0)
    say(`${one.rejected} records were refused by the receiver, see ${join(one.directory, 'rejected')}`);
  if (one.backlog !== null && isLate(one.backlog)) {
    say(`${one.backlog.records} records wait to be shipped, the oldest for ${Math.round(one.backlog.seconds)} s`);
  }
  if (one.status !== 'open') return concerns;
  if (one.running === false) say('its writer is silent; the next start of the service goes on with it');
  if (isUnsigned(one)) {
    say(`the newest checkpoint is ${Math.round(one.checkpoint!.ageSeconds)} s old`);
  }
  const health = one.health as {
    status?: unknown;
    journal?: { lostRecords?: unknown };
    verification?: { findings?: unknown };
  } | null;
  if (one.running === true && health?.status === 'degraded') say('the service says degraded');
  if (Number(health?.journal?.lostRecords ?? 0) > 0)
    say(`${health?.journal?.lostRecords} events could not be recorded`);
  if (Number(health?.verification?.findings ?? 0) > 0) {
    say(`the check of the whole trail found ${health?.verification?.findings}: run risktrail verify`);
  }
  return concerns;
}
