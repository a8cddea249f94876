/** Files that are whole as soon as they have their name: written beside it, then renamed. Ctrl-C leaves nothing of one. */
import { chmod, realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname, extname, join, resolve } from 'node:path';
import { RiskTrailError } from '../core/errors.ts';
import { letGo, removeAtExit } from './temporary-directory.ts';

let made = 0;

/**
 * Writes a file under another name, and gives it its own when it is whole. What stood there before stays until then, and its
 * rights after. What is no plain file, such as a pipe or a device, is written as it is.
 * @param write writes to the path that it is given
 * @throws RiskTrailError FILE_UNREADABLE, and its own of `write`
 */
export async function writeWhole<T>(path: string, write: (path: string) => Promise<T>): Promise<T> {
  const before = await stat(path).catch(() => undefined);
  // A link goes on leading to what it led to.
  const target = before === undefined ? resolve(path) : await realpath(path);
  const asIs = before !== undefined && !before.isFile();
  const temporary = asIs
    ? target
    : join(dirname(target), `.${process.pid}-${++made}-risktrail-export${extname(target)}`);
  try {
    if (asIs) return await write(path);
    removeAtExit(temporary);
    const written = await write(temporary);
    if (before !== undefined) await chmod(temporary, before.mode);
    await rename(temporary, target);
    return written;
  } catch (error) {
    // Where it could not even be begun, there is nothing to remove.
    if (!asIs) await rm(temporary, { force: true }).catch(() => {});
    if (error instanceof RiskTrailError) throw error;
    const reason = (error as Error).message.split('\n', 1)[0]!.replaceAll(temporary, path);
    throw new RiskTrailError('FILE_UNREADABLE', { path, reason }, error);
  } finally {
    letGo(temporary);
  }
}
