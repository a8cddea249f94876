/** Verifier keys that lie beside a trail. */
import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { RiskTrailError } from '../../core/errors.ts';
import { parseVerifierKeys, type VerifierKey } from '../proof/note.ts';

/** From a segment up to its data directory. */
const LEVELS_UP = 3;

/**
 * The keys of the `verifier.vkey` files among those found in the trail's directories or, where there is none, of the nearest
 * one above each path.
 * @throws RiskTrailError VERIFIER_KEY_INVALID, VERIFIER_KEY_MISSING, FILE_UNREADABLE
 */
export async function keysBeside(paths: readonly string[], found: readonly string[]): Promise<VerifierKey[]> {
  const keys = new Map<string, VerifierKey>();
  const read = async (path: string): Promise<boolean> => {
    let text: string;
    try {
      text = await readFile(path, 'utf8');
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' || code === 'ENOTDIR') return false;
      throw new RiskTrailError('FILE_UNREADABLE', { path, reason: message }, error);
    }
    for (const key of parseVerifierKeys(text)) keys.set(key.vkey, key);
    return true;
  };
  for (const path of found) await read(path);
  if (keys.size === 0) {
    for (const path of paths) {
      let directory = dirname(resolve(path));
      for (let level = 0; level < LEVELS_UP; level++) {
        if (await read(join(directory, 'verifier.vkey'))) break;
        directory = dirname(directory);
      }
    }
  }
  if (keys.size === 0) throw new RiskTrailError('VERIFIER_KEY_MISSING');
  return [...keys.values()];
}
