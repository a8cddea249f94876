/**
 * The cache beside a trail: of every segment that is never written again one Parquet file with what reports ask for. It is
 * never the truth: an entry counts only as long as its segment and its own file are, by size, times and inode, those that
 * were hashed when it was made; where one differs, both are hashed again, and what is not the same is made anew.
 */
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { isSegment, segmentOf } from '../../audit/read/files.ts';
import { RiskTrailError } from '../../core/errors.ts';
import type { CachedFiles } from '../sql/trail-database.ts';

/** What is known of a file without reading it. */
interface Identity {
  readonly size: string;
  readonly mtimeNs: string;
  readonly ctimeNs: string;
  readonly ino: string;
}

/** A file as it was hashed. */
interface Hashed {
  readonly identity: Identity;
  /** SHA-256, hex. */
  readonly digest: string;
}

interface Entry {
  readonly segment: Hashed;
  readonly parquet: Hashed & { readonly name: string };
}

/**
 * Makes the Parquet file of a segment.
 * @returns whether it could: lines that are no records of a journal are not cached
 */
export type MakeParquet = (segment: string, target: string) => Promise<boolean>;

/**
 * Makes one Parquet file of several. Of few large files DuckDB reads what it needs many times faster than of many small ones.
 */
export type MergeParquet = (tables: readonly string[], target: string) => Promise<void>;

/** What a merged file is made of. */
interface Merged {
  /** Names of the Parquet files, which tell their content, with their folders. */
  readonly tables: readonly string[];
  readonly parquet: Hashed & { readonly name: string };
}

const MERGED = 'merged.json';
/** As many files beside the merged one are worth merging anew. */
const MAX_LOOSE = 16;

/** Two at a time: DuckDB reads a small file with one thread. */
const BUILDERS = 2;
const TAIL_BYTES = 1 << 16;
const CLOSED = Buffer.from('"eventName":"audit.stream_closed"');

async function identityOf(path: string): Promise<Identity | undefined> {
  try {
    const { size, mtimeNs, ctimeNs, ino } = await stat(path, { bigint: true });
    return { size: String(size), mtimeNs: String(mtimeNs), ctimeNs: String(ctimeNs), ino: String(ino) };
  } catch {
    return undefined;
  }
}

const isSame = (one: Identity | undefined, other: Identity | undefined): boolean =>
  one !== undefined &&
  one.size === other?.size &&
  one.mtimeNs === other.mtimeNs &&
  one.ctimeNs === other.ctimeNs &&
  one.ino === other.ino;

async function digestOf(path: string): Promise<string> {
  const digest = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) digest.update(chunk as Buffer);
  return digest.digest('hex');
}

/** A file's identity and hash, if it stayed the same meanwhile. */
async function hashed(path: string): Promise<Hashed | undefined> {
  const identity = await identityOf(path);
  if (identity === undefined) return undefined;
  const digest = await digestOf(path).catch(() => undefined);
  return digest !== undefined && isSame(identity, await identityOf(path)) ? { identity, digest } : undefined;
}

/** Whether the last record of a plain segment closes its stream. */
async function isClosed(path: string): Promise<boolean> {
  const handle = await open(path).catch(() => undefined);
  if (handle === undefined) return false;
  try {
    const { size } = await handle.stat();
    const start = Math.max(0, size - TAIL_BYTES);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(size - start), 0, size - start, start);
    const tail = buffer.subarray(0, bytesRead);
    if (tail.at(-1) !== 10) return false;
    return tail.subarray(tail.lastIndexOf(10, tail.length - 2) + 1).includes(CLOSED);
  } finally {
    await handle.close();
  }
}

/** The segments that are never written again: sealed, followed by another, or closed with their stream. */
export async function finalSegments(files: readonly string[]): Promise<readonly string[]> {
  const last = new Map<string, string>();
  for (const file of files) if (isSegment(file)) last.set(dirname(file), file);
  const answers = await Promise.all(
    files.map(async (file) => {
      if (!isSegment(file)) return false;
      return segmentOf(file)!.sealed || last.get(dirname(file)) !== file || (await isClosed(file));
    }),
  );
  return files.filter((_, at) => answers[at]);
}

const ENTRY = /\.json$/;

/** Cached segments of a trail. Several processes may use and build it at once. */
export class SegmentCache {
  readonly #root: string;
  readonly #directory: string;
  readonly #make: MakeParquet;
  readonly #merge: MergeParquet;

  /**
   * @param root directory of the cache
   * @param version what the Parquet files hold: those of another version are dropped
   */
  constructor(root: string, version: string, make: MakeParquet, merge: MergeParquet) {
    this.#root = root;
    this.#directory = join(root, version);
    this.#make = make;
    this.#merge = merge;
  }

  /**
   * Brings the cache up to the files that are there now.
   * @returns the segments that it holds, and the Parquet files; other segments are to be read themselves
   * @throws RiskTrailError FILE_UNREADABLE: the cache can't be written
   */
  async prepare(files: readonly string[]): Promise<CachedFiles> {
    const segments = await finalSegments(files);
    const found = await Promise.all(segments.map((segment) => this.#lookUp(segment)));
    const cached = new Map<string, string>();
    const missing: string[] = [];
    for (const [at, segment] of segments.entries()) {
      const path = found[at];
      if (path === undefined) missing.push(segment);
      else cached.set(segment, path);
    }
    try {
      if (missing.length > 0) {
        await mkdir(this.#directory, { recursive: true });
        await this.#sweep(segments);
        await this.#build(missing, cached);
      }
      return { segments: new Set(cached.keys()), tables: await this.#tables([...cached.values()]) };
    } catch (error) {
      if (error instanceof RiskTrailError) throw error;
      const reason = (error as Error).message.split('\n', 1)[0]!;
      throw new RiskTrailError('FILE_UNREADABLE', { path: this.#root, reason }, error);
    }
  }

  /** The merged file, if it holds nothing but what is asked for, and the files that it doesn't hold. */
  async #tables(paths: readonly string[]): Promise<readonly string[]> {
    const own = await this.#merged(new Set(paths));
    const loose = own === undefined ? paths : paths.filter((path) => !own.holds.has(path));
    if (loose.length <= MAX_LOOSE) return own === undefined ? loose : [own.path, ...loose];
    const temporary = join(this.#directory, `.${process.pid}-${randomUUID()}.parquet`);
    try {
      await this.#merge(paths, temporary);
      const digest = await digestOf(temporary);
      const name = `merged.${digest.slice(0, 16)}.parquet`;
      await rename(temporary, join(this.#directory, name));
      const identity = await identityOf(join(this.#directory, name));
      if (identity === undefined) return paths;
      const tables = paths.map((path) => relative(this.#directory, path));
      await this.#write(join(this.#directory, MERGED), { tables, parquet: { identity, digest, name } });
      return [join(this.#directory, name)];
    } finally {
      await rm(temporary, { force: true });
    }
  }

  async #merged(paths: ReadonlySet<string>): Promise<{ path: string; holds: ReadonlySet<string> } | undefined> {
    let merged: Merged;
    let holds: ReadonlySet<string>;
    try {
      merged = JSON.parse(await readFile(join(this.#directory, MERGED), 'utf8')) as Merged;
      holds = new Set(merged.tables.map((table) => join(this.#directory, table)));
      if (basename(merged.parquet.name) !== merged.parquet.name) return undefined;
    } catch {
      return undefined;
    }
    for (const path of holds) if (!paths.has(path)) return undefined;
    const path = join(this.#directory, merged.parquet.name);
    if (isSame(await identityOf(path), merged.parquet.identity)) return { path, holds };
    return (await hashed(path))?.digest === merged.parquet.digest ? { path, holds } : undefined;
  }

  async #build(missing: readonly string[], cached: Map<string, string>): Promise<void> {
    let next = 0;
    const work = async () => {
      for (let at = next++; at < missing.length; at = next++) {
        const path = await this.#add(missing[at]!);
        if (path !== undefined) cached.set(missing[at]!, path);
      }
    };
    await Promise.all(Array.from({ length: BUILDERS }, work));
  }

  #folder(segment: string): string {
    return join(this.#directory, basename(dirname(segment)));
  }

  #entryPath(segment: string): string {
    return join(this.#folder(segment), `${basename(segment)}.json`);
  }

  /** The Parquet file of a segment, if both are what they were; undefined where it is to be made anew. */
  async #lookUp(segment: string): Promise<string | undefined> {
    const path = this.#entryPath(segment);
    let entry: Entry;
    try {
      entry = JSON.parse(await readFile(path, 'utf8')) as Entry;
      if (basename(entry.parquet.name) !== entry.parquet.name) return undefined;
    } catch {
      return undefined;
    }
    const parquet = join(this.#folder(segment), entry.parquet.name);
    const [own, made] = await Promise.all([identityOf(segment), identityOf(parquet)]);
    if (isSame(own, entry.segment?.identity) && isSame(made, entry.parquet.identity)) return parquet;
    if (own === undefined || made === undefined) return undefined;
    // Copied or touched, or another file: the hashes tell.
    const [source, target] = await Promise.all([hashed(segment), hashed(parquet)]);
    if (source === undefined || source.digest !== entry.segment?.digest) return undefined;
    if (target === undefined || target.digest !== entry.parquet.digest) return undefined;
    await this.#write(path, { segment: source, parquet: { ...target, name: entry.parquet.name } }).catch(() => {});
    return parquet;
  }

  /** Makes an entry. What is not finished has a name of its own that no reader looks at. */
  async #add(segment: string): Promise<string | undefined> {
    const folder = this.#folder(segment);
    await mkdir(folder, { recursive: true });
    const before = await hashed(segment);
    if (before === undefined) return undefined;
    const temporary = join(folder, `.${process.pid}-${randomUUID()}.parquet`);
    try {
      if (!(await this.#make(segment, temporary))) return undefined;
      const digest = await digestOf(temporary);
      // Named after its content: of two that build at once neither describes the other's file.
      const name = `${basename(segment)}.${digest.slice(0, 16)}.parquet`;
      await rename(temporary, join(folder, name));
      const identity = await identityOf(join(folder, name));
      if (identity === undefined || !isSame(before.identity, await identityOf(segment))) return undefined;
      await this.#write(this.#entryPath(segment), { segment: before, parquet: { identity, digest, name } });
      return join(folder, name);
    } finally {
      await rm(temporary, { force: true });
    }
  }

  async #write(path: string, entry: Entry | Merged): Promise<void> {
    const temporary = join(dirname(path), `.${process.pid}-${randomUUID()}.entry`);
    await writeFile(temporary, JSON.stringify(entry));
    await rename(temporary, path);
  }

  /** Removes other versions, entries of segments that are gone, and what builders left that are gone. */
  async #sweep(segments: readonly string[]): Promise<void> {
    for (const name of await readdir(this.#root)) {
      if (name !== basename(this.#directory) && /^v\d+-/.test(name))
        await rm(join(this.#root, name), { recursive: true, force: true });
    }
    const known = new Map<string, Set<string>>();
    for (const segment of segments) {
      const folder = this.#folder(segment);
      known.set(folder, (known.get(folder) ?? new Set()).add(basename(segment)));
    }
    for (const stream of await readdir(this.#directory)) {
      const folder = join(this.#directory, stream);
      // A question that began before may still read the last one: it goes with the next.
      if (/^merged\./.test(stream)) continue;
      const names = known.get(folder);
      if (names === undefined) {
        await rm(folder, { recursive: true, force: true });
        continue;
      }
      for (const name of await readdir(folder).catch(() => [])) {
        const builder = /^\.(\d+)-/.exec(name)?.[1];
        const isLeft = builder !== undefined && !isRunning(Number(builder));
        const segment = ENTRY.test(name) ? name.replace(ENTRY, '') : name.replace(/\.[0-9a-f]{16}\.parquet$/, '');
        if (isLeft || (builder === undefined && !names.has(segment))) await rm(join(folder, name), { force: true });
      }
    }
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
