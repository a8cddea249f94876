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
import type { Clock } from '../../core/clock.ts';
import { RiskTrailError } from '../../core/errors.ts';
import type { CachedFiles } from '../sql/fact-tables.ts';

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

/** A file of the cache, and its name. */
type Made = Hashed & { readonly name: string };

interface Entry {
  readonly segment: Hashed;
  readonly parquet: Made;
}

/** Makes the files of the cache. */
export interface TableMaker {
  /**
   * Makes the table of a segment.
   * @returns whether it could: lines that are no records of a journal are not cached
   */
  make(segment: string, target: string): Promise<boolean>;
  /** Whether no record stands in them twice. */
  isOnce(tables: readonly string[]): Promise<boolean>;
  /**
   * Makes one table of several, each record once, and the table that counts its records. Of one large file DuckDB reads what
   * it needs many times faster than of many small ones.
   */
  merge(tables: readonly string[], target: string, counts: string): Promise<void>;
}

/** What a merged table is made of. */
interface Merged {
  /** The segments with their tables, whose names, folders included, tell their content. */
  readonly holds: readonly { readonly table: string; readonly segment: string; readonly identity: Identity }[];
  readonly parquet: Made;
  readonly counts: Made;
  /** Tables beside it that were looked at: no record stands twice in all of them. */
  readonly beside: readonly string[];
}

const MERGED = 'merged.json';
/** As many tables beside the merged one are worth merging anew. */
const MAX_LOOSE = 8;
/** A segment that has not been written for so long is taken for one that is never written again, as its stream's writer died. */
const QUIET_MS = 3_600_000;

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

/**
 * The segments that are never written again: sealed, followed by another, closed with their stream, or left by a writer.
 * @param clock by which a writer has left; none where that doesn't count
 */
export async function finalSegments(files: readonly string[], clock?: Clock): Promise<readonly string[]> {
  const last = new Map<string, string>();
  for (const file of files) if (isSegment(file)) last.set(dirname(file), file);
  const quietBefore = clock === undefined ? Number.NEGATIVE_INFINITY : clock.now() - QUIET_MS;
  const answers = await Promise.all(
    files.map(async (file) => {
      if (!isSegment(file)) return false;
      if (segmentOf(file)!.sealed || last.get(dirname(file)) !== file) return true;
      const mtimeMs = await stat(file).then(
        (found) => found.mtimeMs,
        () => Number.POSITIVE_INFINITY,
      );
      return mtimeMs < quietBefore || (await isClosed(file));
    }),
  );
  return files.filter((_, at) => answers[at]);
}

const ENTRY = /\.json$/;
const TABLE = /\.[0-9a-f]{16}\.parquet$/;

/** Cached segments of a trail. Several processes may use and build it at once. */
export class SegmentCache {
  readonly #root: string;
  readonly #directory: string;
  readonly #maker: TableMaker;
  readonly #clock: Clock;

  /**
   * @param root directory of the cache
   * @param version what the Parquet files hold: those of another version are dropped
   */
  constructor(root: string, version: string, maker: TableMaker, clock: Clock) {
    this.#root = root;
    this.#directory = join(root, version);
    this.#maker = maker;
    this.#clock = clock;
  }

  /**
   * Brings the cache up to the files that are there now.
   * @returns the segments that it holds, and the Parquet files; other segments are to be read themselves
   * @throws RiskTrailError FILE_UNREADABLE: the cache can't be written
   */
  async prepare(files: readonly string[]): Promise<CachedFiles> {
    const [segments, merged] = await Promise.all([finalSegments(files, this.#clock), this.#merged()]);
    const held = new Map(merged?.holds.map((one) => [one.segment, one]));
    const identities = await Promise.all(segments.map(identityOf));
    const found = await Promise.all(
      segments.map((segment, at) => {
        const one = held.get(relative(this.#root, segment));
        return isSame(identities[at], one?.identity) ? join(this.#directory, one!.table) : this.#lookUp(segment);
      }),
    );
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
        await this.#sweep(segments, merged);
        await this.#build(missing, cached);
      }
      const looked = new Map(segments.map((segment, at) => [segment, identities[at]]));
      return { segments: new Set(cached.keys()), ...(await this.#tables(cached, looked, merged)) };
    } catch (error) {
      if (error instanceof RiskTrailError) throw error;
      const reason = (error as Error).message.split('\n', 1)[0]!;
      throw new RiskTrailError('FILE_UNREADABLE', { path: this.#root, reason }, error);
    }
  }

  /** The merged table, if it holds nothing but what is asked for, and the tables that it doesn't hold. */
  async #tables(
    cached: ReadonlyMap<string, string>,
    identities: ReadonlyMap<string, Identity | undefined>,
    merged: Merged | undefined,
  ): Promise<Omit<CachedFiles, 'segments'>> {
    const paths = new Set(cached.values());
    const of = (made: Made) => join(this.#directory, made.name);
    const held = new Set(merged?.holds.map(({ table }) => join(this.#directory, table)));
    if (merged !== undefined && [...held].every((path) => paths.has(path))) {
      const loose = [...paths].filter((path) => !held.has(path));
      const tables = [of(merged.parquet), ...loose];
      const answer = { tables, counts: { path: of(merged.counts), of: tables[0]! } };
      const beside = loose.map((path) => relative(this.#directory, path));
      if (beside.every((table) => merged.beside.includes(table))) return answer;
      if (loose.length <= MAX_LOOSE && (await this.#maker.isOnce(tables))) {
        await this.#write(join(this.#directory, MERGED), { ...merged, beside }).catch(() => {});
        return answer;
      }
    } else if (paths.size <= 1) return { tables: [...paths] };
    return this.#mergeAll(cached, identities);
  }

  async #mergeAll(
    cached: ReadonlyMap<string, string>,
    identities: ReadonlyMap<string, Identity | undefined>,
  ): Promise<Omit<CachedFiles, 'segments'>> {
    const temporary = this.#temporary(this.#directory, 'parquet');
    const temporaryCounts = this.#temporary(this.#directory, 'parquet');
    try {
      await this.#maker.merge([...new Set(cached.values())], temporary, temporaryCounts);
      const parquet = await this.#keep(temporary, 'merged');
      const counts = await this.#keep(temporaryCounts, 'counts');
      const holds = [...cached].flatMap(([segment, path]) => {
        const identity = identities.get(segment);
        const table = relative(this.#directory, path);
        return identity === undefined ? [] : [{ segment: relative(this.#root, segment), table, identity }];
      });
      await this.#write(join(this.#directory, MERGED), { holds, parquet, counts, beside: [] });
      const of = join(this.#directory, parquet.name);
      return { tables: [of], counts: { path: join(this.#directory, counts.name), of } };
    } finally {
      await rm(temporary, { force: true });
      await rm(temporaryCounts, { force: true });
    }
  }

  /** Gives a finished file its name, after its content: of two that build at once neither describes the other's file. */
  async #keep(temporary: string, name: string): Promise<Made> {
    const digest = await digestOf(temporary);
    const made = `${name}.${digest.slice(0, 16)}.parquet`;
    const path = join(dirname(temporary), made);
    await rename(temporary, path);
    const identity = await identityOf(path);
    if (identity === undefined) throw new Error(`${made} was removed as soon as it was made`);
    return { identity, digest, name: made };
  }

  /** A name for what is not finished, that no reader looks at. */
  #temporary(folder: string, extension: string): string {
    return join(folder, `.${process.pid}-${randomUUID()}.${extension}`);
  }

  /** What is merged, if its files are what they were. */
  async #merged(): Promise<Merged | undefined> {
    try {
      const merged = JSON.parse(await readFile(join(this.#directory, MERGED), 'utf8')) as Merged;
      const files = [merged.parquet, merged.counts];
      const same = await Promise.all(files.map((made) => this.#isIntact(made)));
      return same.every(Boolean) && Array.isArray(merged.holds) && Array.isArray(merged.beside) ? merged : undefined;
    } catch {
      return undefined;
    }
  }

  async #isIntact({ name, identity, digest }: Made): Promise<boolean> {
    if (basename(name) !== name) return false;
    const path = join(this.#directory, name);
    return isSame(await identityOf(path), identity) || (await hashed(path))?.digest === digest;
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

  /** A folder for each of the trail's: two of one name are told apart. */
  #folder(segment: string): string {
    const folder = dirname(segment);
    const place = createHash('sha256').update(relative(this.#root, folder)).digest('hex').slice(0, 8);
    return join(this.#directory, `${basename(folder)}-${place}`);
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

  /** Makes an entry. */
  async #add(segment: string): Promise<string | undefined> {
    const folder = this.#folder(segment);
    await mkdir(folder, { recursive: true });
    const before = await hashed(segment);
    if (before === undefined) return undefined;
    const temporary = this.#temporary(folder, 'parquet');
    try {
      if (!(await this.#maker.make(segment, temporary))) return undefined;
      const parquet = await this.#keep(temporary, basename(segment));
      if (!isSame(before.identity, await identityOf(segment))) return undefined;
      await this.#write(this.#entryPath(segment), { segment: before, parquet });
      return join(folder, parquet.name);
    } finally {
      await rm(temporary, { force: true });
    }
  }

  async #write(path: string, entry: Entry | Merged): Promise<void> {
    const temporary = this.#temporary(dirname(path), 'entry');
    await writeFile(temporary, JSON.stringify(entry));
    await rename(temporary, path);
  }

  /** Removes other versions, what is of segments that are gone, what builders left that are gone, and what is no longer told. */
  async #sweep(segments: readonly string[], merged: Merged | undefined): Promise<void> {
    for (const name of await readdir(this.#root)) {
      if (name !== basename(this.#directory) && /^v\d+-/.test(name))
        await rm(join(this.#root, name), { recursive: true, force: true });
    }
    const known = new Map<string, Set<string>>();
    for (const segment of segments) {
      const folder = this.#folder(segment);
      known.set(folder, (known.get(folder) ?? new Set()).add(basename(segment)));
    }
    for (const entry of await readdir(this.#directory, { withFileTypes: true })) {
      const path = join(this.#directory, entry.name);
      const names = known.get(path);
      if (entry.isDirectory() && names === undefined) await rm(path, { recursive: true, force: true });
      else if (entry.isDirectory()) await this.#sweepFolder(path, names!);
      else if (entry.name !== MERGED && !this.#isBeingMade(entry.name)) {
        const isTold = entry.name === merged?.parquet.name || entry.name === merged?.counts.name;
        if (!isTold) await this.#drop(path);
      }
    }
  }

  async #sweepFolder(folder: string, names: ReadonlySet<string>): Promise<void> {
    for (const name of await readdir(folder).catch(() => [])) {
      const path = join(folder, name);
      const segment = name.replace(ENTRY, '').replace(TABLE, '');
      if (this.#isBeingMade(name)) continue;
      if (!names.has(segment)) await rm(path, { force: true });
      else if (TABLE.test(name) && !(await this.#tells(join(folder, `${segment}.json`), name))) await this.#drop(path);
    }
  }

  async #tells(entryPath: string, name: string): Promise<boolean> {
    const text = await readFile(entryPath, 'utf8').catch(() => '');
    return text.includes(JSON.stringify(name));
  }

  /** Removes a file that nothing tells of: not at once, as another process may be about to, or still read it. */
  async #drop(path: string): Promise<void> {
    const found = await stat(path).catch(() => undefined);
    if (found !== undefined && found.mtimeMs < this.#clock.now() - QUIET_MS) await rm(path, { force: true });
  }

  #isBeingMade(name: string): boolean {
    const builder = /^\.(\d+)-/.exec(name)?.[1];
    return builder !== undefined && isRunning(Number(builder));
  }
}

/** Whether there is a process of this id. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
