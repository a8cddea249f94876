/** A data directory with millions of sealed records, made in a moment. */
import { linkSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { formatResumePoint, resumePointPath } from '../src/audit/journal/resume-point.ts';
import { formatSealedState, sealedStatePath } from '../src/audit/journal/sealed-state.ts';
import { sealedSegmentName, segmentName } from '../src/audit/journal/segment-files.ts';
import { Frontier } from '../src/audit/proof/tree.ts';
import { RecordEncoder } from '../src/audit/record/encode.ts';
import { createSystemClock, hrTimeToNanos, toHrTime } from '../src/core/clock.ts';
import { breakerChange } from './support.ts';

export const SERVICE = 'momentum-bot';
export const RESOURCE = { 'service.name': SERVICE, 'service.version': '1.2.3', 'host.name': 'bench' };
export const SCOPE = { name: 'risktrail', version: '0.1.0' };
export const STREAM_ID = '0193f6a0-1111-7aaa-8bbb-123456789abc';
export const STREAM = `${SERVICE}/${STREAM_ID}`;
export const RECORDS_A_SEGMENT = 7_000;
const SEGMENT_BYTES = 10_000_000;

const clock = createSystemClock();

/** Records in whole segments: at least `records`. */
export const sealedSize = (records: number): number => Math.ceil(records / RECORDS_A_SEGMENT) * RECORDS_A_SEGMENT;

/**
 * A data directory with a stream of `sealedRecords` sealed records and an open segment of about `openBytes` behind them. The
 * sealed files are links to one: a start looks at their lengths and opens none of them, whatever is in them.
 */
export function makeSealedTrail(dataDir: string, sealedRecords: number, openBytes: number): void {
  const directory = join(dataDir, 'streams', STREAM_ID);
  mkdirSync(join(directory, 'state'), { recursive: true });
  const time = hrTimeToNanos(toHrTime(clock.now()));
  const sealed = Buffer.from(zstdCompressSync(Buffer.alloc(SEGMENT_BYTES)));
  const files = [];
  for (let first = 0; first < sealedRecords; first += RECORDS_A_SEGMENT) {
    const name = segmentName(first);
    const path = join(directory, sealedSegmentName(name));
    if (first === 0) writeFileSync(path, sealed);
    else linkSync(join(directory, sealedSegmentName(segmentName(0))), path);
    files.push({ name, bytes: SEGMENT_BYTES, sealedBytes: sealed.length, lastTime: time });
  }
  const size = files.length * RECORDS_A_SEGMENT;
  const frontier = new Frontier();
  const leaf = Buffer.alloc(32, 7);
  for (let i = 0; i < size; i++) frontier.append(leaf);
  if (files.length > 0) {
    writeFileSync(sealedStatePath(directory), formatSealedState({ version: 1, stream: STREAM, closed: false, files }));
    const start = { size, frontier, lastTime: time, sealed: files, file: segmentName(size), offset: 0 };
    writeFileSync(resumePointPath(directory), formatResumePoint(STREAM, start));
  }
  writeFileSync(join(directory, segmentName(size)), openSegment(size, openBytes));
}

function openSegment(first: number, openBytes: number): Buffer {
  const encoder = new RecordEncoder({ stream: STREAM, resource: RESOURCE, scope: SCOPE });
  const lines: Buffer[] = [];
  for (let bytes = 0, index = 0; bytes < openBytes; index++) {
    const { line, lineBytes } = encoder.encode(
      breakerChange(index, hrTimeToNanos(toHrTime(clock.now()))),
      first + index,
    );
    lines.push(Buffer.from(line.subarray(0, lineBytes)));
    bytes += lineBytes;
  }
  return Buffer.concat(lines);
}
