/** What the worker of sealing and retention does, job by job. */
import { type ScanJob, type ScanResult, scanForPruning } from './prune-scan.ts';
import { type LookJob, lookAtStream, type RetainedStream } from './retained-stream.ts';
import { type SealJob, type SealResult, sealSegments } from './seal-segment.ts';

export type RetainJob = SealJob | ScanJob | LookJob;
export type RetainResult<J extends RetainJob> = J extends SealJob
  ? SealResult
  : J extends ScanJob
    ? ScanResult
    : RetainedStream;

/** Runs jobs: in a worker, or in tests where the caller is. */
export interface RetainRunner {
  run<J extends RetainJob>(job: J): Promise<RetainResult<J>>;
  /** Ends at once; what was under way is rejected. */
  stop(): Promise<void>;
}

/** Does one job. All but the sealing blocks. */
export async function runRetainJob<J extends RetainJob>(job: J): Promise<RetainResult<J>> {
  return (await dispatch(job)) as RetainResult<J>;
}

function dispatch(job: RetainJob): Promise<SealResult> | ScanResult | RetainedStream {
  switch (job.kind) {
    case 'seal':
      return sealSegments(job);
    case 'scan':
      return scanForPruning(job);
    case 'look':
      return lookAtStream(job);
  }
}

/** Jobs in the calling thread. */
export function createInlineRunner(): RetainRunner {
  return { run: runRetainJob, stop: async () => {} };
}
