/** Lets the threads of the trading code go first where processors are short. */
import { readlinkSync } from 'node:fs';
import { setPriority } from 'node:os';

/**
 * Lowers the priority of the calling thread, and of no other. Linux alone has priorities by thread, and names the own one
 * (https://man7.org/linux/man-pages/man7/sched.7.html, "The nice value"); elsewhere nothing happens.
 * @param nice from 0, as usual, to 19, last
 */
export function lowerThreadPriority(nice: number): void {
  if (process.platform !== 'linux') return;
  try {
    const thread = /\/task\/(\d+)$/.exec(readlinkSync('/proc/thread-self'))?.[1];
    if (thread !== undefined) setPriority(Number(thread), nice);
  } catch {
    // No /proc, or not allowed: everything works without it.
  }
}
