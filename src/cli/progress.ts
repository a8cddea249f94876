/** A sign of life while long work runs: a line on standard error, where that is a terminal. */

const FIRST_MS = 700;
const EVERY_MS = 250;
/** Carriage return and "erase to the end of the line". */
const CLEAR = '\r\u001b[K';

/**
 * Runs `work`; if it takes long, shows what is being done and for how long, and takes the line away at the end.
 * @param monotonicMs clock to measure by
 */
export async function withProgress<T>(what: string, monotonicMs: () => number, work: () => Promise<T>): Promise<T> {
  const { stderr } = process;
  if (!stderr.isTTY) return work();
  const startedMs = monotonicMs();
  let shown = false;
  const timer = setInterval(() => {
    const elapsedMs = monotonicMs() - startedMs;
    if (elapsedMs < FIRST_MS) return;
    shown = true;
    stderr.write(`${CLEAR}${what} … ${(elapsedMs / 1000).toFixed(0)} s`);
  }, EVERY_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    if (shown) stderr.write(CLEAR);
  }
}
