/** A long trail out of the demo's: its records again and again, each time as a stream of its own. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';

/** Risktrail's command. */
export const MAIN = join(import.meta.dirname, '../src/cli/main.ts');
/** Time of the first record: midnight of a day. */
export const START_NS = 1_700_006_400_000_000_000n;
/** From one record to the next: a million of them are a day. */
const NS_BETWEEN = 86_000_000n;
const SEGMENT_BYTES = 10_000_000;

/** Such a trail. */
export interface RepeatedDemo {
  /** Its data directory. */
  readonly path: string;
  /** Its segments, in order. */
  readonly files: readonly string[];
  readonly bytes: number;
}

/**
 * Plays the demo and repeats it.
 * @param root an empty directory, which holds both afterwards
 */
export function makeRepeatedDemo(root: string, records: number): RepeatedDemo {
  const demo = join(root, 'demo');
  const made = spawnSync(process.execPath, [MAIN, 'demo', demo, '--quiet'], { encoding: 'utf8' });
  if (made.status !== 0) throw new Error(made.stderr);
  const uuid = readdirSync(join(demo, 'streams'))[0]!;
  const lines = linesOf(join(demo, 'streams', uuid));
  const path = join(root, 'trail');
  const files: string[] = [];
  let bytes = 0;
  let count = 0;
  for (let copy = 0; count < records; copy++) {
    const own = `${uuid.slice(0, 24)}${String(copy).padStart(12, '0')}`;
    const folder = join(path, 'streams', own);
    mkdirSync(folder, { recursive: true });
    let segment: string[] = [];
    let size = 0;
    let first = 0;
    const flush = (next: number) => {
      if (segment.length > 0) {
        const file = join(folder, `${String(first).padStart(20, '0')}.jsonl`);
        writeFileSync(file, segment.join(''));
        // As old as what is in it: its writer left.
        utimesSync(file, Number(START_NS / 1_000_000_000n), Number(START_NS / 1_000_000_000n));
        files.push(file);
      }
      bytes += size;
      [segment, size, first] = [[], 0, next];
    };
    for (const [sequence, line] of lines.slice(0, records - count).entries()) {
      const time = `"timeUnixNano":"${START_NS + BigInt(count++) * NS_BETWEEN}"`;
      const text = `${line.replaceAll(uuid, own).replace(/"timeUnixNano":"\d+"/, time)}\n`;
      segment.push(text);
      size += text.length;
      if (size > SEGMENT_BYTES) flush(sequence + 1);
    }
    flush(0);
  }
  return { path, files, bytes };
}

/** Lines of all segments of a stream, packed ones too. */
function linesOf(folder: string): readonly string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.jsonl') || name.endsWith('.jsonl.zst'))
    .sort()
    .flatMap((name) => {
      const bytes = readFileSync(join(folder, name));
      const text = (name.endsWith('.zst') ? zstdDecompressSync(bytes) : bytes).toString('utf8');
      return text.trimEnd().split('\n');
    });
}
