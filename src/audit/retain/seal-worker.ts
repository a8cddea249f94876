/** The thread that seals segments and reads what is to be pruned: compressing and hashing stay away from trading code. */
import { parentPort } from 'node:worker_threads';
import { type RetainJob, runRetainJob } from './retain-jobs.ts';

parentPort?.on('message', ({ id, job }: { id: number; job: RetainJob }) => {
  try {
    parentPort?.postMessage({ id, result: runRetainJob(job) });
  } catch (error) {
    // A copied error would lose its code.
    const { message, code } = error as NodeJS.ErrnoException;
    parentPort?.postMessage({ id, failure: { message, code } });
  }
});
