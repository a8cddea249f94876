/** The thread that seals segments and reads what is to be pruned: compressing and hashing stay away from trading code. */
import { parentPort } from 'node:worker_threads';
import { type RetainJob, runRetainJob } from './retain-jobs.ts';
import { TaskQueue } from './task-queue.ts';

const queue = new TaskQueue();

async function answer(id: number, job: RetainJob): Promise<void> {
  try {
    const result = await runRetainJob(job);
    parentPort?.postMessage({ id, result });
  } catch (error) {
    // A copied error would lose its code.
    const { message, code } = error as NodeJS.ErrnoException;
    parentPort?.postMessage({ id, failure: { message, code } });
  }
}

// One at a time: they are about the same files.
parentPort?.on('message', ({ id, job }: { id: number; job: RetainJob }) => void queue.run(() => answer(id, job)));
