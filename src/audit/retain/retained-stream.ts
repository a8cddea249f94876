/** A stream as retention sees it: its segments, how old and how large they are, and what holds them back. */
import { statSync } from 'node:fs';
import { noteStatement } from '../journal/pruned-state.ts';
import { readCheckpointFile } from '../journal/recovery.ts';
import { readSealedState } from '../journal/sealed-state.ts';
import { readSegmentTail } from '../journal/segment-content.ts';
import { listSegmentFiles, listSegments, plainSegmentName, type SegmentFile } from '../journal/segment-files.ts';
import { auditForm } from '../record/canonical.ts';
import { type OtlpLogRecord, visitRecords } from '../record/otlp.ts';
import type { PlannedSegment } from './prune-plan.ts';
import { reconciledThrough } from './reconciled-position.ts';

/** One segment. */
export interface RetainedSegment extends PlannedSegment {
  readonly file: SegmentFile;
  /** Its files: two where both forms stand. */
  readonly paths: readonly string[];
  /** The number of the first record behind it. */
  readonly end: number;
}

/** A stream's segments that may go, in order. */
export interface RetainedStream {
  readonly stream: string;
  readonly directory: string;
  readonly segments: readonly RetainedSegment[];
  /** The one that is being written, which never goes: it only counts. */
  readonly current: { readonly bytes: number } | undefined;
}

export interface LookJob {
  readonly kind: 'look';
  readonly stream: string;
  readonly directory: string;
  /** Whether it is being written: else it was closed in order. */
  readonly live: boolean;
  /** Whether only what a reconciled copy holds may go. */
  readonly shipping: boolean;
}

const TAIL_BYTES = 65_536;
const NANOS_PER_MS = 1_000_000n;

/**
 * Looks at a stream's files. Runs in the worker, since a long trail has many.
 * @throws the system's error
 */
export function lookAtStream({ stream, directory, live, shipping }: LookJob): RetainedStream {
  const files = listSegments(directory);
  const all = listSegmentFiles(directory);
  const times = new Map(readSealedState(directory)?.files.map((file) => [file.name, file.lastTime]));
  const covered = noteStatement(readCheckpointFile(directory) ?? '')?.size ?? 0;
  const copied = shipping ? reconciledThrough(directory, stream) : Number.POSITIVE_INFINITY;
  const segments: RetainedSegment[] = [];
  let current: RetainedStream['current'];
  for (const [index, file] of files.entries()) {
    const name = plainSegmentName(file.name);
    const paths = all.filter((one) => plainSegmentName(one.name) === name).map((one) => one.path);
    const bytes = paths.reduce((sum, path) => sum + statSync(path).size, 0);
    const next = files[index + 1]?.firstSequence;
    if (live && next === undefined) {
      current = { bytes };
      continue;
    }
    const tail = next === undefined ? lastRecord(file) : undefined;
    const end = next ?? (tail === undefined ? file.firstSequence : (auditForm(tail)?.sequence ?? -1) + 1);
    const lastTime = times.get(name) ?? String((tail ?? lastRecord(file))?.timeUnixNano ?? '0');
    const lastMs = Number(BigInt(lastTime) / NANOS_PER_MS);
    // Of a stream that was closed the last records are checkpoints, which nothing covers.
    const held = next !== undefined && end > covered ? 'checkpoint' : end > copied ? 'copy' : undefined;
    segments.push({ stream, file, paths, bytes, end, lastMs, held });
  }
  return { stream, directory, segments, current };
}

function lastRecord(file: SegmentFile): OtlpLogRecord | undefined {
  const text = readSegmentTail(file, TAIL_BYTES).toString('utf8').trimEnd();
  let found: OtlpLogRecord | undefined;
  visitRecords(text.slice(text.lastIndexOf('\n') + 1), (record) => {
    found = record;
  });
  return found;
}
