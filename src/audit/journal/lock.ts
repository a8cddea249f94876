/**
 * One writer per stream. The lock is an exclusive SQLite transaction on a file that stays empty: the kernel holds it for the
 * open file and drops it when the process dies, however it dies. No process id is written or read anywhere: ids are used
 * again, and two containers on one volume each have a process 1.
 *
 * SQLite keeps threads of one process apart as well, through a table of its own. That only holds while nothing else in the
 * process opens and closes the file, since closing any descriptor of a file drops the process's POSIX locks on it
 * (https://www.sqlite.org/howtocorrupt.html section 2.2): never read a lock file.
 */
import { closeSync, openSync, truncateSync } from 'node:fs';
import type { DatabaseSync as Database } from 'node:sqlite';
import { PRIVATE_FILE_MODE } from './durable-file.ts';

/** A lock that is held. */
export interface Lock {
  /** Lets go; again does nothing. */
  release(): void;
}

let DatabaseSync: typeof Database | undefined;

/** `node:sqlite` costs a few milliseconds and, in some versions, a warning on stderr that says nothing to our users. */
function loadSqlite(): typeof Database {
  if (DatabaseSync !== undefined) return DatabaseSync;
  const { emitWarning } = process;
  process.emitWarning = ((warning: string | Error, ...rest: unknown[]) => {
    if (String(warning).includes('SQLite')) return;
    (emitWarning as (...args: unknown[]) => void).call(process, warning, ...rest);
  }) as typeof process.emitWarning;
  try {
    ({ DatabaseSync } = process.getBuiltinModule('node:sqlite'));
  } finally {
    process.emitWarning = emitWarning;
  }
  return DatabaseSync;
}

const SQLITE_BUSY = 5;
const SQLITE_NOTADB = 26;

function sqliteCode(error: unknown): number {
  // The low byte is the primary code: https://www.sqlite.org/rescode.html
  return Number((error as { errcode?: number }).errcode ?? 0) & 0xff;
}

/**
 * Takes the lock at `path`, creating the file where it is missing.
 * @returns undefined where somebody else holds it
 * @throws Error where the file can't be opened or the file system can't lock
 */
export function tryLock(path: string): Lock | undefined {
  createPrivately(path);
  try {
    return begin(path);
  } catch (error) {
    if (sqliteCode(error) !== SQLITE_NOTADB) throw error;
  }
  // Somebody wrote into it. The file is empty while it is used as it should be, so emptying it harms nobody.
  truncateSync(path);
  return begin(path);
}

function createPrivately(path: string): void {
  try {
    closeSync(openSync(path, 'wx', PRIVATE_FILE_MODE));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

function begin(path: string): Lock | undefined {
  const database = new (loadSqlite())(path);
  try {
    // Without a journal in memory, a file `-journal` would appear beside the lock.
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (sqliteCode(error) === SQLITE_BUSY) return undefined;
    throw error;
  }
  let held = true;
  return {
    release() {
      if (!held) return;
      held = false;
      database.close();
    },
  };
}
