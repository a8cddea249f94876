/**
 * Small files that must be whole after a power cut: temporary file, fsync, rename, fsync of the directory. On Windows a
 * directory can't be opened for that, so the last step is skipped there.
 */
import { randomBytes } from 'node:crypto';
import { constants, copyFileSync, existsSync, linkSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { type JournalFs, NODE_FS } from './journal-fs.ts';

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
export function syncDirectorySync(directory: string, fs: JournalFs = NODE_FS): void {
  if (process.platform === 'win32') return;
  const fd = fs.openSync(directory, 'r');
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** {@link syncDirectorySync} off the thread. */
export async function syncDirectory(directory: string, fs: JournalFs = NODE_FS): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await fs.promises.open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function writeTemporarySync(path: string, content: string, mode: number, fs: JournalFs): string {
  const temporary = temporaryName(path);
  const fd = fs.openSync(temporary, 'wx', mode);
  try {
    fs.writeFileSync(fd, content);
    fs.fsyncSync(fd);
  } catch (error) {
    fs.rmSync(temporary, { force: true });
    throw error;
  } finally {
    fs.closeSync(fd);
  }
  return temporary;
}

/** Replaces a file: afterwards it holds either what it held before or all of `content`, whatever happens. */
export function replaceFileSync(
  path: string,
  content: string,
  mode: number = PRIVATE_FILE_MODE,
  fs: JournalFs = NODE_FS,
): void {
  const temporary = writeTemporarySync(path, content, mode, fs);
  try {
    fs.renameSync(temporary, path);
  } catch (error) {
    fs.rmSync(temporary, { force: true });
    throw error;
  }
  syncDirectorySync(dirname(path), fs);
}

/** {@link replaceFileSync} off the thread. */
export async function replaceFile(
  path: string,
  content: string,
  mode: number = PRIVATE_FILE_MODE,
  fs: JournalFs = NODE_FS,
): Promise<void> {
  const temporary = temporaryName(path);
  const handle = await fs.promises.open(temporary, 'wx', mode);
  try {
    await handle.writeFile(content);
    await handle.sync();
    await handle.close();
    await fs.promises.rename(temporary, path);
  } catch (error) {
    await handle.close().catch(() => {});
    await fs.promises.rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(dirname(path), fs);
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
  const temporary = writeTemporarySync(path, content, mode, NODE_FS);
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
