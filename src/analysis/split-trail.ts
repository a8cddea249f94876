/**
 * A trail as plain files for programs that read files: one for each category, or as rules say, kept up to date. Each record
 * is written to a file once, also where the process was killed and started again: how far it got stands in a file of its own,
 * and what was written after that is read back from the files themselves.
 */
import { constants, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { type FileHandle, open, realpath } from 'node:fs/promises';
import { join, relative, resolve, sep } from 'node:path';
import { replaceFile } from '../audit/journal/durable-file.ts';
import { type Lock, tryLock } from '../audit/journal/lock.ts';
import { CATEGORIES } from '../catalog/define.ts';
import { createSystemClock } from '../core/clock.ts';
import { describeValue, RiskTrailError } from '../core/errors.ts';
import { nearest } from '../core/options.ts';
import { namePattern, type RecordFilter } from './filter.ts';
import type { FlatRecord } from './flat-record.ts';
import { type FollowProgress, followTrail } from './follow.ts';
import { SeenRecords } from './seen-records.ts';

/** One file of a split. */
export interface SplitRule {
  /** Its name without the ending `.jsonl`. */
  readonly name: string;
  readonly takes: RecordFilter;
}

export interface SplitOptions {
  /** Where the files are; made where it is missing. */
  readonly directory: string;
  /** @default {@link categoryRules} */
  readonly rules?: readonly SplitRule[] | undefined;
  /** Only these; everything unless given. */
  readonly filter?: RecordFilter | undefined;
  /** Ends it. */
  readonly signal?: AbortSignal | undefined;
  /** Ends when everything that is there is written. @default true */
  readonly follow?: boolean | undefined;
  /** Told of the records written so far, after each look. */
  readonly onLook?: ((written: number) => void) | undefined;
}

const STATE = '.split.json';
const LOCK = '.split.lock';
/** How far it got is written so often at most: what comes between is read back from the files. */
const SAVE_MS = 1000;
const READ_BYTES = 1 << 20;
const NEWLINE = 10;
/** Names that are file names everywhere. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;

/** Every record in `all`, and each category in a file of its name; a record of two categories stands in both. */
export function categoryRules(): readonly SplitRule[] {
  return [
    { name: 'all', takes: () => true },
    ...CATEGORIES.map((name) => ({ name, takes: ({ category }: FlatRecord) => category.includes(name) })),
  ];
}

/**
 * A rule out of `NAME=WHAT[,WHAT…]`; a record is taken where one of them fits. WHAT: a category, `*` for everything,
 * `event:PATTERN`, `service:NAME`, `stream:NAME`.
 * @throws RiskTrailError OPTION_INVALID
 */
export function parseSplitRule(given: string): SplitRule {
  const at = given.indexOf('=');
  const name = given.slice(0, at);
  const wanted = given.slice(at + 1);
  if (at < 0 || !NAME.test(name) || wanted === '') {
    throw invalid('--into', 'NAME=WHAT, such as trades=trade,order', given);
  }
  const tests = wanted.split(',').map((what) => parseWhat(what.trim()));
  return { name, takes: (record) => tests.some((test) => test(record)) };
}

function parseWhat(what: string): RecordFilter {
  if (what === '*') return () => true;
  const [kind, value] = [what.slice(0, what.indexOf(':')), what.slice(what.indexOf(':') + 1)];
  if (what.includes(':') && value !== '') {
    if (kind === 'event') {
      const test = namePattern(value);
      return ({ event }) => event !== null && test(event);
    }
    if (kind === 'service') return ({ service }) => service === value;
    if (kind === 'stream') return ({ stream }) => stream === value;
  }
  if (!(CATEGORIES as readonly string[]).includes(what)) {
    const kinds = `a category (${CATEGORIES.join(', ')}), *, event:…, service:… or stream:…`;
    throw invalid('--into', `${kinds}${nearest(what, CATEGORIES)}`, what);
  }
  return ({ category }) => category.includes(what);
}

const invalid = (field: string, expected: string, received: unknown) =>
  new RiskTrailError('OPTION_INVALID', { field, expected, received: describeValue(received) });

/**
 * Writes a trail's records into files, then each new one as it comes, until the signal says stop. Each audit record is written
 * to a file once, however often this is ended, killed and begun again; records that are no audit records are left out.
 * @returns how many lines were written
 * @throws RiskTrailError OPTION_INVALID, PATH_NOT_FOUND, FILE_UNREADABLE
 */
export async function splitTrail(paths: readonly string[], options: SplitOptions): Promise<number> {
  const directory = resolve(options.directory);
  refuseInside(paths, directory);
  mkdirSync(directory, { recursive: true });
  const lock = lockOf(directory);
  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
  const files: SplitFile[] = [];
  try {
    const state = await readState(directory, paths);
    for (const { name, takes } of options.rules ?? categoryRules()) {
      files.push(await SplitFile.open(directory, name, takes, state?.outputs[name]));
    }
    const count = () => files.reduce((sum, file) => sum + file.written, 0);
    const { monotonic } = createSystemClock();
    let savedMs = Number.NEGATIVE_INFINITY;
    const onLook = async (progress: () => FollowProgress) => {
      // What was written before and not in the state has come again by now.
      for (const file of files) file.allTold();
      if (monotonic() - savedMs >= SAVE_MS || options.follow === false) {
        await save(directory, paths, progress(), files);
        savedMs = monotonic();
      }
      options.onLook?.(count());
      if (options.follow === false) stop.abort();
    };
    const from = state?.progress;
    for await (const records of followTrail(paths, { last: 'all', from, signal, onLook })) {
      const wanted = records.filter((one) => one.sequence !== null && (options.filter?.(one) ?? true));
      for (const file of files) await file.write(wanted);
    }
    return count();
  } finally {
    for (const file of files) await file.close();
    lock.release();
  }
}

/** What lies within the trail would be read as a part of it. */
function refuseInside(paths: readonly string[], directory: string): void {
  for (const path of paths) {
    const way = relative(resolve(path), directory);
    if (way === '' || !(way === '..' || way.startsWith(`..${sep}`) || resolve(way) === way)) {
      throw invalid('--split', `a directory outside of ${path}`, directory);
    }
  }
}

function lockOf(directory: string): Lock {
  const lock = tryLock(join(directory, LOCK));
  if (lock === undefined) throw invalid('--split', 'a directory that no other process writes to', directory);
  return lock;
}

interface SplitState {
  /** What is split, absolute. */
  readonly trail: readonly string[];
  readonly progress: FollowProgress;
  /** File → inode, and its size at that moment. */
  readonly outputs: Readonly<Record<string, readonly [inode: number, size: number]>>;
}

async function readState(directory: string, paths: readonly string[]): Promise<SplitState | undefined> {
  const path = join(directory, STATE);
  if (!existsSync(path)) return undefined;
  let state: SplitState;
  try {
    state = JSON.parse(readFileSync(path, 'utf8')) as SplitState;
    if (!Array.isArray(state.trail) || typeof state.outputs !== 'object') throw new Error('it is no state of a split');
  } catch (error) {
    throw new RiskTrailError('FILE_UNREADABLE', { path, reason: (error as Error).message }, error);
  }
  const trail = await Promise.all(paths.map((one) => realpath(one)));
  if (state.trail.join('\n') !== trail.join('\n')) {
    throw invalid('--split', `a directory for ${paths.join(' ')}; this one is of ${state.trail.join(' ')}`, directory);
  }
  return state;
}

/** The files first, then how far they are: after a power cut the state never says more than the files hold. */
async function save(
  directory: string,
  paths: readonly string[],
  progress: FollowProgress,
  files: readonly SplitFile[],
): Promise<void> {
  if (!files.some((file) => file.changed) && existsSync(join(directory, STATE))) return;
  for (const file of files) await file.sync();
  const trail = await Promise.all(paths.map((one) => realpath(one)));
  const outputs = Object.fromEntries(files.map((file) => [file.name, file.position]));
  const state: SplitState = { trail, progress, outputs };
  await replaceFile(join(directory, STATE), `${JSON.stringify(state)}\n`);
}

class SplitFile {
  readonly name: string;
  readonly #takes: RecordFilter;
  readonly #handle: FileHandle;
  readonly #inode: number;
  #size: number;
  /** What was written after the state was. */
  #already: SeenRecords | undefined;
  #changed = false;
  #written = 0;

  private constructor(name: string, takes: RecordFilter, handle: FileHandle, inode: number, size: number) {
    this.name = name;
    this.#takes = takes;
    this.#handle = handle;
    this.#inode = inode;
    this.#size = size;
  }

  /** @param known the file as the state has it; one that was moved away since begins anew */
  static async open(
    directory: string,
    name: string,
    takes: RecordFilter,
    known: readonly [inode: number, size: number] | undefined,
  ): Promise<SplitFile> {
    const path = join(directory, `${name}.jsonl`);
    const handle = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_APPEND, 0o600);
    const { ino, size } = await handle.stat();
    const file = new SplitFile(name, takes, handle, ino, size);
    await file.#readBack(known !== undefined && known[0] === ino && known[1] <= size ? known[1] : 0);
    return file;
  }

  get changed(): boolean {
    return this.#changed;
  }

  get written(): number {
    return this.#written;
  }

  get position(): readonly [inode: number, size: number] {
    return [this.#inode, this.#size];
  }

  /** Which records stand behind what the state tells of. A line that was cut in the midst goes. */
  async #readBack(from: number): Promise<void> {
    if (this.#size <= from) return;
    this.#already = new SeenRecords();
    let rest: Buffer = Buffer.alloc(0);
    let whole = from;
    for (let at = from; at < this.#size; ) {
      const { bytesRead, buffer } = await this.#handle.read(Buffer.alloc(READ_BYTES), 0, READ_BYTES, at);
      if (bytesRead === 0) break;
      at += bytesRead;
      const bytes = Buffer.concat([rest, buffer.subarray(0, bytesRead)]);
      const end = bytes.lastIndexOf(NEWLINE) + 1;
      rest = bytes.subarray(end);
      whole += end;
      for (const line of bytes.subarray(0, end).toString('utf8').split('\n')) this.#take(line);
    }
    if (whole < this.#size) {
      await this.#handle.truncate(whole);
      this.#size = whole;
    }
  }

  #take(line: string): void {
    if (line === '') return;
    try {
      const { stream, sequence } = JSON.parse(line) as FlatRecord;
      if (typeof stream === 'string' && typeof sequence === 'number') this.#already?.add(stream, sequence);
    } catch {
      // Somebody else's line: it stays.
    }
  }

  async write(records: readonly FlatRecord[]): Promise<void> {
    const lines: string[] = [];
    for (const record of records) {
      if (!this.#takes(record)) continue;
      if (this.#already?.add(record.stream!, record.sequence!) === false) continue;
      lines.push(`${JSON.stringify(record)}\n`);
    }
    if (lines.length === 0) return;
    const bytes = Buffer.from(lines.join(''));
    await this.#handle.appendFile(bytes);
    this.#size += bytes.length;
    this.#written += lines.length;
    this.#changed = true;
  }

  /** Nothing comes again of what was there. */
  allTold(): void {
    this.#already = undefined;
  }

  async sync(): Promise<void> {
    if (!this.#changed) return;
    await this.#handle.datasync();
    this.#changed = false;
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}
