/** The hand-over statements of a data directory: `keys/handover-<number>.txt`. */
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

/** Folder of the statements in a data directory. */
export const KEYS_DIRECTORY = 'keys';
const NAME = /^handover-([1-9]\d{0,8})\.txt$/;
/** From a segment up to its data directory. */
const LEVELS_UP = 3;
const MAX_STATEMENT_BYTES = 65_536;

/** A file with a statement, its signatures not yet looked at. */
export interface HandoverFile {
  readonly path: string;
  readonly number: number;
  readonly text: string;
}

/** Name of the file with a statement's number. */
export function handoverFile(dataDir: string, number: number): string {
  return join(dataDir, KEYS_DIRECTORY, `handover-${number}.txt`);
}

/** The statements in one data directory, in the order of their numbers; none where the folder is missing. */
export async function readHandovers(dataDir: string): Promise<HandoverFile[]> {
  const names = await readdir(join(dataDir, KEYS_DIRECTORY)).catch(() => []);
  const found: HandoverFile[] = [];
  for (const name of names) {
    const match = NAME.exec(name);
    if (match === null) continue;
    const path = join(dataDir, KEYS_DIRECTORY, name);
    const text = await readFile(path, 'utf8').catch(() => '');
    if (text !== '' && text.length <= MAX_STATEMENT_BYTES) found.push({ path, number: Number(match[1]), text });
  }
  return found.sort((a, b) => a.number - b.number);
}

/**
 * The texts of all statements in data directories that the paths name, or lie in, or that lie in them.
 * @param keyFiles `verifier.vkey` files that were found below the paths: each is a data directory's
 */
export async function handoversBeside(paths: readonly string[], keyFiles: readonly string[]): Promise<string[]> {
  const directories = new Set(keyFiles.map((path) => dirname(resolve(path))));
  for (const path of paths) {
    let directory = resolve(path);
    for (let level = 0; level <= LEVELS_UP; level++) {
      directories.add(directory);
      directory = dirname(directory);
    }
  }
  const found = await Promise.all([...directories].map(readHandovers));
  return found.flat().map(({ text }) => text);
}
