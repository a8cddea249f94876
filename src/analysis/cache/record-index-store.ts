/**
 * Indexes on disk, beside a trail: one file for each of its files. They are never the truth: one counts only as long as its
 * file is, by size, times and inode, the one that was indexed, and its own hash is that of what stands there. Anything else is
 * dropped and made anew.
 */
import { hash, randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { endianness } from 'node:os';
import { join } from 'node:path';
import { RiskTrailError } from '../../core/errors.ts';
import { type FileIdentity, isSameFile } from './record-index-file.ts';
import { IndexPart } from './record-index-part.ts';
import { isRunning } from './segment-cache.ts';

/** What is kept of a file. */
export interface StoredIndex {
  readonly identity: FileIdentity;
  readonly parts: readonly IndexPart[];
}

interface Header {
  readonly path: string;
  readonly identity: FileIdentity;
  /** Bytes of each part. */
  readonly parts: readonly number[];
}

/** Version of the form; what is found differently has another. */
const FORM = `records-2-${endianness().toLowerCase()}`;
const DIGEST_BYTES = 32;
const LENGTH_BYTES = 8;
const ALIGNMENT = 8;

const aligned = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
const digestOf = (bytes: Uint8Array): Buffer => hash('sha256', bytes, 'buffer');

/** Indexes in a directory. Several processes may use it at once. */
export class IndexStore {
  readonly #root: string;
  readonly #directory: string;

  /** @param root directory of the cache */
  constructor(root: string) {
    this.#root = root;
    this.#directory = join(root, FORM);
  }

  #path(file: string): string {
    return join(this.#directory, `${hash('sha256', file).slice(0, 32)}.index`);
  }

  /** The index of a file; undefined where there is none, or none that is to be trusted. */
  async read(file: string, identity: FileIdentity): Promise<StoredIndex | undefined> {
    try {
      const bytes = await readFile(this.#path(file));
      const body = bytes.subarray(DIGEST_BYTES);
      if (!digestOf(body).equals(bytes.subarray(0, DIGEST_BYTES))) return undefined;
      const length = body.readUInt32LE(0);
      const header = JSON.parse(body.toString('utf8', LENGTH_BYTES, LENGTH_BYTES + length)) as Header;
      if (header.path !== file || !isSameFile(header.identity, identity)) return undefined;
      let at = LENGTH_BYTES + aligned(length);
      const parts = header.parts.map((size) => {
        // A copy of its own lies where its numbers can be read in place.
        const part = new IndexPart(Uint8Array.from(body.subarray(at, at + size)).buffer);
        at += size;
        return part;
      });
      return { identity, parts };
    } catch {
      return undefined;
    }
  }

  /**
   * Keeps the index of a file.
   * @throws RiskTrailError FILE_UNREADABLE: the cache can't be written
   */
  async write(file: string, { identity, parts }: StoredIndex): Promise<void> {
    const header: Header = { path: file, identity, parts: parts.map(({ buffer }) => buffer.byteLength) };
    const text = Buffer.from(JSON.stringify(header));
    const length = Buffer.alloc(LENGTH_BYTES);
    length.writeUInt32LE(text.length);
    const padding = Buffer.alloc(aligned(text.length) - text.length);
    const body = Buffer.concat([length, text, padding, ...parts.map(({ buffer }) => new Uint8Array(buffer))]);
    const temporary = join(this.#directory, `.${process.pid}-${randomUUID()}`);
    try {
      await mkdir(this.#directory, { recursive: true });
      await writeFile(temporary, Buffer.concat([digestOf(body), body]));
      await rename(temporary, this.#path(file));
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {});
      const reason = (error as Error).message.split('\n', 1)[0]!;
      throw new RiskTrailError('FILE_UNREADABLE', { path: this.#root, reason }, error);
    }
  }

  /** Removes other forms, indexes of files that are gone, and what writers left that are gone. */
  async sweep(files: readonly string[]): Promise<void> {
    const names = new Set(files.map((file) => this.#path(file)));
    const list = (directory: string) => readdir(directory).catch(() => []);
    for (const name of await list(this.#root)) {
      if (name.startsWith('records-') && name !== FORM) await this.#remove(join(this.#root, name));
    }
    for (const name of await list(this.#directory)) {
      const writer = /^\.(\d+)-/.exec(name)?.[1];
      const path = join(this.#directory, name);
      if (writer === undefined ? !names.has(path) : !isRunning(Number(writer))) await this.#remove(path);
    }
  }

  async #remove(path: string): Promise<void> {
    await rm(path, { recursive: true, force: true }).catch(() => {});
  }
}
