/** What the exit status of every command means. */
export const EXIT = {
  /** All is well. */
  good: 0,
  /** A finding, or the answer is no. */
  finding: 1,
  /** Incomplete or degraded: something could not be read or is missing. */
  incomplete: 2,
  /** Wrong usage, or input that can't be read at all. */
  usage: 3,
  /** Stopped by Ctrl-C (128 + SIGINT). */
  interrupted: 130,
} as const;
