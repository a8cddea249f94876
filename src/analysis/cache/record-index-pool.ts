/** Indexes many files in threads. */
import { Worker } from 'node:worker_threads';
import { RiskTrailError } from '../../core/errors.ts';
import { type ScannedFile, scanFile } from './record-index-file.ts';
import type { ScanAnswer, ScanRequest } from './record-index-worker.ts';

/** Told of each file as soon as it is indexed; of one that is gone with undefined. */
export type OnScanned = (request: ScanRequest, scanned: ScannedFile | undefined) => void;

const source = import.meta.url.endsWith('.ts') ? './record-index-worker.ts' : './record-index-worker.js';

/** A thread that could not be started, or ended: what it was to do is done here. */
class ThreadLost extends Error {}

/**
 * Indexes files.
 * @param threads how many threads; with one it is done here
 * @param signal ends it; what was told until then stands
 * @throws RiskTrailError FILE_UNREADABLE
 */
export async function scanFiles(
  requests: readonly ScanRequest[],
  threads: number,
  signal: AbortSignal,
  onScanned: OnScanned,
): Promise<void> {
  let next = 0;
  let failed = false;
  const take = () => (signal.aborted || failed ? undefined : requests[next++]);
  const here = async (first: ScanRequest | undefined) => {
    for (let one = first; one !== undefined; one = take()) onScanned(one, await scanFile(one.path, one.resume, signal));
  };
  if (threads <= 1 || requests.length <= 1) return here(take());
  const work = async () => {
    let one = take();
    const worker = startWorker();
    try {
      for (; one !== undefined && worker !== undefined; one = take()) onScanned(one, await ask(worker, one, signal));
    } catch (error) {
      if (!(error instanceof ThreadLost)) {
        failed = true;
        throw error;
      }
    } finally {
      void worker?.terminate();
    }
    if (one !== undefined && !signal.aborted) await here(one);
  };
  await Promise.all(Array.from({ length: Math.min(threads, requests.length) }, work));
}

function startWorker(): Worker | undefined {
  try {
    return new Worker(new URL(source, import.meta.url), { execArgv: [], env: {} });
  } catch {
    return undefined;
  }
}

async function ask(worker: Worker, request: ScanRequest, signal: AbortSignal): Promise<ScannedFile | undefined> {
  const { scanned, failed } = await new Promise<ScanAnswer>((resolve, reject) => {
    const lose = (error?: unknown) => finish(() => reject(new ThreadLost('a thread ended', { cause: error })));
    const answer = (told: ScanAnswer) => finish(() => resolve(told));
    const finish = (tell: () => void) => {
      worker.off('message', answer).off('error', lose).off('exit', lose);
      signal.removeEventListener('abort', lose);
      tell();
    };
    worker.on('message', answer).on('error', lose).on('exit', lose);
    signal.addEventListener('abort', lose);
    worker.postMessage(request);
  });
  if (failed !== undefined) throw new RiskTrailError('FILE_UNREADABLE', failed);
  return scanned;
}
