/**
 * Counts the records of a torture run in a journal and in a copy, by the key that each carries. It looks for text, and
 * knows nothing of records, numbers or trees: what it finds owes nothing to the shipper and the verifier that it checks.
 */
import { createReadStream, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readBlocks } from '../src/audit/read/files.ts';

/** Attribute that holds `<life>:<index>` of each record. */
export const KEY_ATTRIBUTE = 'torture.key';

const KEY = /"torture\.key","value":\{"stringValue":"(\d+):(\d+)"/g;
/** Longer than a key with its frame: as much of a chunk is seen again with the next. */
const OVERLAP = 96;
/** A process that is killed may have written records that it could not acknowledge any more, where they waited in memory. */
const SLACK = 1 << 16;

const IN_JOURNAL = 1;
const IN_COPY = 2;

/** What was found of the acknowledged records. */
export interface Census {
  readonly acknowledged: number;
  /** Acknowledged, and in the journal. */
  readonly inJournal: number;
  /** Acknowledged, and in the copy. */
  readonly inCopy: number;
  /** Acknowledged, and in neither. */
  readonly lost: number;
  /** The first of them. */
  readonly lostKeys: readonly string[];
  /** Times that a record came to the copy again. */
  readonly duplicates: number;
}

/** Counts keys per life. */
class Marks {
  readonly #lives: readonly Uint8Array[];
  duplicates = 0;

  constructor(acknowledged: readonly number[]) {
    this.#lives = acknowledged.map((count) => new Uint8Array(count + SLACK));
  }

  set(life: number, index: number, bit: number): void {
    const marks = this.#lives[life];
    if (marks === undefined || index >= marks.length) throw new Error(`a record that nobody wrote: ${life}:${index}`);
    if (bit === IN_COPY && (marks[index]! & bit) !== 0) this.duplicates++;
    marks[index]! |= bit;
  }

  census(acknowledged: readonly number[]): Census {
    let [inJournal, inCopy, lost] = [0, 0, 0];
    const lostKeys: string[] = [];
    for (const [life, count] of acknowledged.entries()) {
      for (let index = 0; index < count; index++) {
        const mark = this.#lives[life]![index]!;
        if ((mark & IN_JOURNAL) !== 0) inJournal++;
        if ((mark & IN_COPY) !== 0) inCopy++;
        if (mark !== 0) continue;
        lost++;
        if (lostKeys.length < 20) lostKeys.push(`${life}:${index}`);
      }
    }
    const total = acknowledged.reduce((sum, count) => sum + count, 0);
    return { acknowledged: total, inJournal, inCopy, lost, lostKeys, duplicates: this.duplicates };
  }
}

async function* chunksOf(path: string): AsyncGenerator<Buffer> {
  if (path.endsWith('.zst')) {
    for await (const block of readBlocks(path)) {
      if (block.broken) throw new Error(`${path} can't be decompressed`);
      yield block.bytes;
    }
  } else {
    yield* createReadStream(path, { highWaterMark: 1 << 20 });
  }
}

async function scanFile(path: string, bit: number, marks: Marks): Promise<void> {
  let rest = '';
  for await (const chunk of chunksOf(path)) {
    const text = rest + chunk.toString('latin1');
    let end = 0;
    for (const match of text.matchAll(KEY)) {
      marks.set(Number(match[1]), Number(match[2]), bit);
      end = match.index + match[0].length;
    }
    // No key is read twice, and none is missed that two chunks share.
    rest = text.slice(Math.max(end, text.length - OVERLAP));
  }
}

/** Files of records below a directory; of a segment that stands both plain and sealed, one. */
function recordFiles(directory: string): string[] {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  const plain = new Set(names.filter((name) => name.endsWith('.jsonl')));
  const sealed = names.filter((name) => name.endsWith('.jsonl.zst') && !plain.has(name.slice(0, -'.zst'.length)));
  return [...plain, ...sealed].map((name) => join(directory, name));
}

/**
 * Looks for every acknowledged record. `acknowledged` says how many each process was told to be taken.
 * @throws Error where a file can't be read to its end, or holds a record that nobody wrote
 */
export async function takeCensus(journal: string, copy: string, acknowledged: readonly number[]): Promise<Census> {
  const marks = new Marks(acknowledged);
  for (const path of recordFiles(journal)) await scanFile(path, IN_JOURNAL, marks);
  for (const path of recordFiles(copy)) await scanFile(path, IN_COPY, marks);
  return marks.census(acknowledged);
}
