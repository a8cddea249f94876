/**
 * The calls of the file system that a journal's writer makes. Node's own by default; a test gives others, to have each
 * of them fail or stall.
 */
import * as nodeFs from 'node:fs';

type FsCalls = Pick<
  typeof nodeFs,
  | 'open'
  | 'openSync'
  | 'writeSync'
  | 'readSync'
  | 'ftruncateSync'
  | 'truncateSync'
  | 'fstat'
  | 'fstatSync'
  | 'fdatasync'
  | 'fdatasyncSync'
  | 'fsyncSync'
  | 'closeSync'
  | 'readFileSync'
  | 'writeFileSync'
  | 'renameSync'
  | 'rmSync'
> & { readonly promises: Pick<typeof nodeFs.promises, 'open' | 'rename' | 'rm' | 'statfs'> };

/** What a journal's writer asks of the file system. */
export interface JournalFs extends FsCalls {
  /**
   * For the writer thread, which no function can be passed to: a module whose export `createWriteSync(data)` gives the
   * `writeSync` to be used there.
   */
  readonly thread?: { readonly module: string; readonly data: unknown };
}

/** Node's own file system. */
export const NODE_FS: JournalFs = nodeFs;
