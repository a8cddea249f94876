/**
 * The names of a stream's files. A segment is `<first sequence>.jsonl` while it is written, and `<first sequence>.jsonl.zst`
 * once it is sealed; a file begun after a disk error takes the same number with a suffix (`<first sequence>.1.jsonl`).
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

/** File of a stream with its newest signed note. */
export const CHECKPOINT_FILE = 'checkpoint';
/** The writer's own folder of a stream. */
export const STATE_DIRECTORY = 'state';

const SEQUENCE_DIGITS = 20;
const NAME = /^([0-9]{20})(?:\.([0-9]+))?\.jsonl(\.zst)?$/;
const SEALED_SUFFIX = '.zst';

/** A segment as found in a directory. */
export interface SegmentFile {
  /** Name of the file: with `.zst` where it is sealed. */
  readonly name: string;
  readonly path: string;
  readonly firstSequence: number;
  /** 0, or the suffix of a file begun after a disk error. */
  readonly copy: number;
  /** Whether it is compressed by zstd, and never written again. */
  readonly sealed: boolean;
}

/** Name of the plain segment whose first record has this number. */
export function segmentName(firstSequence: number, copy = 0): string {
  const digits = String(firstSequence).padStart(SEQUENCE_DIGITS, '0');
  return copy === 0 ? `${digits}.jsonl` : `${digits}.${copy}.jsonl`;
}

/** A segment's name while it is plain, whichever form it has now. */
export function plainSegmentName(name: string): string {
  return name.endsWith(SEALED_SUFFIX) ? name.slice(0, -SEALED_SUFFIX.length) : name;
}

/** A segment's name once it is sealed, whichever form it has now. */
export function sealedSegmentName(name: string): string {
  return `${plainSegmentName(name)}${SEALED_SUFFIX}`;
}

/** Every file of a segment, in the order of writing: where both forms of one stand, the plain one comes first. */
export function listSegmentFiles(directory: string): SegmentFile[] {
  const files: SegmentFile[] = [];
  // Joined once: a stream may have thousands.
  const parent = join(directory, '/');
  for (const name of readdirSync(directory)) {
    const match = NAME.exec(name);
    if (match === null) continue;
    files.push({
      name,
      path: parent + name,
      firstSequence: Number(match[1]),
      copy: Number(match[2] ?? 0),
      sealed: match[3] !== undefined,
    });
  }
  return files.sort(
    (a, b) => a.firstSequence - b.firstSequence || a.copy - b.copy || Number(a.sealed) - Number(b.sealed),
  );
}

/** The segments of a stream's directory, each once, in the order of writing: where both forms stand, the plain one. */
export function listSegments(directory: string): SegmentFile[] {
  const files = listSegmentFiles(directory);
  return files.filter((file, index) => {
    const before = files[index - 1];
    return before === undefined || before.firstSequence !== file.firstSequence || before.copy !== file.copy;
  });
}
