/**
 * Files whose lines hold thousands of records, as a Collector batches them, written anew with one record a line. DuckDB takes
 * a line as a whole, and a thousand of them at once: of such lines that is more memory than it may have.
 */
import { type FileHandle, open, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isSegment, readBlocks } from '../../audit/read/files.ts';
import { makeTemporaryDirectory, removeTemporaryDirectory } from '../temporary-directory.ts';

/** Lines up to this size are left as they are. */
const LONG_BYTES = 1 << 18;
const WRITE_BYTES = 1 << 20;

const [NEWLINE, QUOTE, BACKSLASH, COMMA, COLON] = [0x0a, 0x22, 0x5c, 0x2c, 0x3a];
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];
const isSpace = (byte: number | undefined): boolean => byte === 0x20 || byte === 0x09 || byte === 0x0d;

/** A part of a line: where it begins, and where it has ended. */
type Span = readonly [start: number, end: number];

/** Walks the text of one line by its brackets; values are not looked into. Where it is no JSON, a place is -1. */
class LineWalker {
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  #skipSpace(at: number): number {
    let next = at;
    while (isSpace(this.#bytes[next])) next++;
    return next;
  }

  #endOfString(at: number): number {
    for (let quote = this.#bytes.indexOf(QUOTE, at + 1); quote >= 0; quote = this.#bytes.indexOf(QUOTE, quote + 1)) {
      let before = quote - 1;
      while (this.#bytes[before] === BACKSLASH) before--;
      if ((quote - before) % 2 === 1) return quote + 1;
    }
    return -1;
  }

  #endOfValue(at: number): number {
    const first = this.#bytes[at];
    if (first === QUOTE) return this.#endOfString(at);
    let next = at;
    if (first !== OPEN_OBJECT && first !== OPEN_LIST) {
      for (; next < this.#bytes.length; next++) {
        const byte = this.#bytes[next]!;
        if (byte === COMMA || byte === CLOSE_LIST || byte === CLOSE_OBJECT || isSpace(byte)) break;
      }
      return next === at ? -1 : next;
    }
    let depth = 0;
    while (next < this.#bytes.length) {
      const byte = this.#bytes[next]!;
      if (byte === QUOTE) {
        next = this.#endOfString(next);
        if (next < 0) return -1;
        continue;
      }
      if (byte === OPEN_OBJECT || byte === OPEN_LIST) depth++;
      else if ((byte === CLOSE_OBJECT || byte === CLOSE_LIST) && --depth === 0) return next + 1;
      next++;
    }
    return -1;
  }

  /** Whether there is nothing but one object. */
  isObject(): boolean {
    const start = this.#skipSpace(0);
    if (this.#bytes[start] !== OPEN_OBJECT) return false;
    const end = this.#endOfValue(start);
    return end >= 0 && this.#skipSpace(end) === this.#bytes.length;
  }

  /** The members of an object that have these names, the first of each; undefined where it is no object. */
  members(at: number, names: readonly string[]): ReadonlyMap<string, Span> | undefined {
    const found = new Map<string, Span>();
    let next = this.#skipSpace(at);
    if (this.#bytes[next] !== OPEN_OBJECT) return undefined;
    next = this.#skipSpace(next + 1);
    while (this.#bytes[next] === QUOTE) {
      const end = this.#endOfString(next);
      if (end < 0) return undefined;
      const name = this.#bytes.toString('latin1', next + 1, end - 1);
      const colon = this.#skipSpace(end);
      if (this.#bytes[colon] !== COLON) return undefined;
      const start = this.#skipSpace(colon + 1);
      const past = this.#endOfValue(start);
      if (past < 0) return undefined;
      if (names.includes(name) && !found.has(name)) found.set(name, [start, past]);
      next = this.#skipSpace(past);
      if (this.#bytes[next] === COMMA) next = this.#skipSpace(next + 1);
    }
    return this.#bytes[next] === CLOSE_OBJECT ? found : undefined;
  }

  /** The elements of a list; none where it is no list. */
  elements(at: number | undefined): readonly Span[] {
    const spans: Span[] = [];
    if (at === undefined || this.#bytes[at] !== OPEN_LIST) return spans;
    let next = this.#skipSpace(at + 1);
    while (next < this.#bytes.length && this.#bytes[next] !== CLOSE_LIST) {
      const end = this.#endOfValue(next);
      if (end < 0) return spans;
      spans.push([next, end]);
      next = this.#skipSpace(end);
      if (this.#bytes[next] === COMMA) next = this.#skipSpace(next + 1);
    }
    return spans;
  }
}

/** The records of a line, each as a line with its resource; none where it is torn or holds none. Their bytes stay as they are. */
export function* splitLine(line: Buffer): Generator<Buffer> {
  const walker = new LineWalker(line);
  if (!walker.isObject()) return;
  const resources = walker.elements(walker.members(0, ['resourceLogs'])?.get('resourceLogs')?.[0]);
  const end = Buffer.from(']}]}]}\n');
  for (const [start] of resources) {
    const members = walker.members(start, ['resource', 'scopeLogs']);
    const resource = members?.get('resource');
    const head = Buffer.concat([
      Buffer.from('{"resourceLogs":[{'),
      ...(resource === undefined ? [] : [Buffer.from('"resource":'), line.subarray(...resource), Buffer.from(',')]),
      Buffer.from('"scopeLogs":[{"logRecords":['),
    ]);
    for (const [scope] of walker.elements(members?.get('scopeLogs')?.[0])) {
      const records = walker.elements(walker.members(scope, ['logRecords'])?.get('logRecords')?.[0]);
      for (const record of records) yield Buffer.concat([head, line.subarray(...record), end]);
    }
  }
}

function* linesOf(bytes: Buffer): Generator<Buffer> {
  for (let start = 0; start < bytes.length; ) {
    const newline = bytes.indexOf(NEWLINE, start);
    const end = newline < 0 ? bytes.length : newline;
    yield bytes.subarray(start, end);
    start = end + 1;
  }
}

async function hasLongLine(path: string): Promise<boolean> {
  for await (const { bytes } of readBlocks(path)) {
    for (const line of linesOf(bytes)) if (line.length > LONG_BYTES) return true;
  }
  return false;
}

async function splitFile(path: string, target: FileHandle): Promise<void> {
  let held: Buffer[] = [];
  let size = 0;
  const flush = async () => {
    if (size > 0) await target.appendFile(Buffer.concat(held));
    held = [];
    size = 0;
  };
  for await (const { bytes } of readBlocks(path)) {
    for (const line of linesOf(bytes)) {
      // The block's buffer is used again, and long lines are split one record after the other: nothing is held for long.
      const parts = line.length > LONG_BYTES ? splitLine(line) : [Buffer.concat([line, Buffer.of(NEWLINE)])];
      for (const part of parts) {
        held.push(part);
        size += part.length;
        if (size > WRITE_BYTES) await flush();
      }
    }
  }
  await flush();
}

interface SplitFile {
  /** What the file was when it was split. */
  readonly version: string;
  /** Its copy; none where it has no long line. */
  readonly target: string | undefined;
}

/** Copies of files with long lines, in a temporary directory. */
export class SplitFiles {
  readonly #files = new Map<string, SplitFile>();
  #directory: string | undefined;
  #count = 0;

  /**
   * The files as they are to be read, copies in place of those that have long lines. A file that was written since is split
   * anew; journals have no such lines.
   */
  async of(paths: readonly string[]): Promise<readonly string[]> {
    const read: string[] = [];
    for (const path of paths) read.push(isSegment(path) ? path : ((await this.#split(path)) ?? path));
    return read;
  }

  async #split(path: string): Promise<string | undefined> {
    const found = await stat(path, { bigint: true }).catch(() => undefined);
    const version = `${found?.ino} ${found?.size} ${found?.mtimeNs}`;
    const known = this.#files.get(path);
    if (known?.version === version) return known.target;
    let target: string | undefined;
    if (await hasLongLine(path)) {
      this.#directory ??= await makeTemporaryDirectory('lines');
      target = join(this.#directory, `${this.#count++}.jsonl`);
      const handle = await open(target, 'wx', 0o600);
      try {
        await splitFile(path, handle);
      } finally {
        await handle.close();
      }
      if (known?.target !== undefined) await rm(known.target, { force: true });
    }
    this.#files.set(path, { version, target });
    return target;
  }

  /** Removes the copies. */
  async close(): Promise<void> {
    this.#files.clear();
    const directory = this.#directory;
    this.#directory = undefined;
    if (directory !== undefined) await removeTemporaryDirectory(directory);
  }
}
