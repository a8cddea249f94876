/** A thread that indexes files, one after the other. */
import { parentPort } from 'node:worker_threads';
import { isRiskTrailError } from '../../core/errors.ts';
import { type ResumePoint, type ScannedFile, scanFile } from './record-index-file.ts';

/** A file to index. */
export interface ScanRequest {
  readonly path: string;
  /** Where to go on, where a part of it is indexed. */
  readonly resume?: ResumePoint | undefined;
}

/** What came of it. */
export interface ScanAnswer {
  /** Undefined where the file is gone, or could not be read. */
  readonly scanned?: ScannedFile | undefined;
  /** Why it could not be read. */
  readonly failed?: { readonly path: string; readonly reason: string };
}

const port = parentPort;

async function answer({ path, resume }: ScanRequest): Promise<ScanAnswer> {
  try {
    return { scanned: await scanFile(path, resume) };
  } catch (error) {
    const reason = isRiskTrailError(error) ? String(error.details['reason']) : (error as Error).message;
    return { failed: { path, reason } };
  }
}

port?.on('message', async (request: ScanRequest) => {
  const told = await answer(request);
  port.postMessage(told, told.scanned === undefined ? [] : [...told.scanned.parts, ...told.scanned.tail]);
});
