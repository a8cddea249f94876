/** Lets the threads of the trading code go first where processors are short. */
import { setPriority } from 'node:os';

/** Whether a thread has a priority of its own. Elsewhere the priority is the whole process's. */
export const PRIORITY_IS_THREADS = process.platform === 'linux';

/**
 * Lowers the priority of the calling thread, and of no other: on Linux process 0 means the calling thread alone
 * (https://man7.org/linux/man-pages/man2/setpriority.2.html, "C library/kernel differences"). Elsewhere nothing happens.
 * @param nice from 0, as usual, to 19, last
 */
export function lowerThreadPriority(nice: number): void {
  if (!PRIORITY_IS_THREADS) return;
  try {
    setPriority(0, nice);
  } catch {
    // A sandbox may forbid it: everything works without it.
  }
}
