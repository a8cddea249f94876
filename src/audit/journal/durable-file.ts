/**
 * Small files that must be whole after a power cut: temporary file, fsync, rename, fsync of the directory. On Windows a
 * directory can't be opened for that, so the last step is skipped there.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  promises,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';

/** Only its owner may read or write. */
export const PRIVATE_FILE_MODE = 0o600;
/** Only its owner may list or enter. */
const PRIVATE_DIRECTORY_MODE = 0o700;

/**
 * Makes a directory and those above it that are missing. Step by step, because Node's own `recursive` never returns where a
 * file system refuses new names with ENOENT (`/proc`).
 * @throws the system's error
 */
export function makeDirectorySync(path: string): void {
  const missing: string[] = [];
  for (let at = path; !existsSync(at); at = dirname(at)) missing.push(at);
  for (const directory of missing.reverse()) {
    try {
      mkdirSync(directory, { mode: PRIVATE_DIRECTORY_MODE });
    } catch (error) {
      // Another process made it in between.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
  if (!statSync(path).isDirectory())
    throw Object.assign(new Error(`ENOTDIR: ${path} is no directory`), { code: 'ENOTDIR' });
}

function temporaryName(path: string): string {
  return `${path}.${randomBytes(6).toString('hex')}.tmp`;
}

/** Makes names that were created in, renamed into or removed from `directory` last. Does nothing on Windows. */
export function syncDirectorySync(directory: string): void {
  if (process.platform === 'win32') return;
  const fd = openSync(directory, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** {@link syncDirectorySync} off the thread. */
export async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await promises.open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function writeTemporarySync(path: string, content: string, mode: number): string {
  const temporary = temporaryName(path);
  const fd = openSync(temporary, 'wx', mode);
  try {
    writeFileSync(fd, content);
    fsyncSync(fd);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
  return temporary;
}

/** Replaces a file: afterwards it holds either what it held before or all of `content`, whatever happens. */
export function replaceFileSync(path: string, content: string, mode: number = PRIVATE_FILE_MODE): void {
  const temporary = writeTemporarySync(path, content, mode);
  try {
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  syncDirectorySync(dirname(path));
}

/** {@link replaceFileSync} off the thread. */
export async function replaceFile(path: string, content: string, mode: number = PRIVATE_FILE_MODE): Promise<void> {
  const temporary = temporaryName(path);
  const handle = await promises.open(temporary, 'wx', mode);
  try {
    await handle.writeFile(content);
    await handle.sync();
    await handle.close();
    await promises.rename(temporary, path);
  } catch (error) {
    await handle.close().catch(() => {});
    await promises.rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(dirname(path));
}

/** Some file systems have no hard links. There, a second process could read a file that is being copied. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);

function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch (error) {
    if (!NO_LINKS.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
    copyFileSync(from, to, constants.COPYFILE_EXCL);
  }
}

/**
 * Creates a file unless it is there already: of several processes that try at once exactly one succeeds, and none ever sees
 * a part of the content.
 * @returns whether it was created
 */
export function createFileSync(path: string, content: string, mode: number = PRIVATE_FILE_MODE): boolean {
  const temporary = writeTemporarySync(path, content, mode);
  try {
    linkOrCopy(temporary, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
  syncDirectorySync(dirname(path));
  return true;
}
