/** The verifier keys that a command is given, or finds beside a trail. */
import { readFile } from 'node:fs/promises';
import type { VerifierKey } from '../audit/proof/note.ts';
import { isRiskTrailError, RiskTrailError } from '../core/errors.ts';

/** `<name>+<hash>+<base64>`, as the signed-note format has it. */
const KEY = /^[^\s+]+\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+$/;

/**
 * The text of a file that the user named.
 * @throws RiskTrailError PATH_NOT_FOUND, FILE_UNREADABLE
 */
export async function readGivenFile(path: string): Promise<string> {
  return (await readGivenBytes(path)).toString('utf8');
}

/** {@link readGivenFile} as bytes. */
export async function readGivenBytes(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new RiskTrailError('PATH_NOT_FOUND', { path }, error);
    throw new RiskTrailError('FILE_UNREADABLE', { path, reason: message }, error);
  }
}

/**
 * The keys that `--vkey` names: each the text of one, or a file with one a line.
 * @throws RiskTrailError PATH_NOT_FOUND, FILE_UNREADABLE, VERIFIER_KEY_INVALID
 */
export async function readVerifierKeys(given: readonly string[]): Promise<VerifierKey[]> {
  const { parseVerifierKeys } = await import('../audit/proof/note.ts');
  const keys: VerifierKey[] = [];
  for (const one of given) keys.push(...parseVerifierKeys(KEY.test(one.trim()) ? one : await readGivenFile(one)));
  return keys;
}

/**
 * The keys given, with those that they hand over to by statements beside the trail; where none was given, the keys beside the
 * trail, if any.
 * @throws RiskTrailError PATH_NOT_FOUND, FILE_UNREADABLE, VERIFIER_KEY_INVALID
 */
export async function keysOrBeside(given: readonly string[], paths: readonly string[]): Promise<VerifierKey[]> {
  const { findTrailFiles } = await import('../audit/read/files.ts');
  const { keys: keyFiles } = await findTrailFiles(paths);
  if (given.length > 0) {
    const { trustHandovers } = await import('../audit/proof/handover.ts');
    const { handoversBeside } = await import('../audit/proof/read-handovers.ts');
    return trustHandovers(await readVerifierKeys(given), await handoversBeside(paths, keyFiles));
  }
  const { keysBeside } = await import('../audit/verify/keys.ts');
  try {
    return await keysBeside(paths, keyFiles);
  } catch (error) {
    if (isRiskTrailError(error, 'VERIFIER_KEY_MISSING')) return [];
    throw error;
  }
}
