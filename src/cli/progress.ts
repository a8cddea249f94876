/** A sign of life while long work runs: a line on standard error, where that is a terminal. */

const FIRST_MS = 700;
const EVERY_MS = 250;
/** Carriage return and "erase to the end of the line". */
const CLEAR = '\r\u001b[K';
const BAR_WIDTH = 24;
/** Before that much is done, what is left can't be told from what was. */
const FIRST_ESTIMATE = 0.01;

/** How far work has come: of the bytes of all segments, those of which are done. */
export interface Progress {
  readonly bytes: number;
  /** 0 where it isn't known. */
  readonly totalBytes: number;
  /** Absent where it isn't counted, and where the bytes may be read more than once: what is left can't be told then. */
  readonly records?: number;
  /** What is counted. @default 'records' */
  readonly unit?: string;
}

/** `m:ss`, or `h:mm:ss`. */
function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (value: number) => String(value).padStart(2, '0');
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return `${hours > 0 ? `${hours}:${two(minutes)}` : minutes}:${two(whole % 60)}`;
}

/**
 * The line that is shown: a bar, the share that is done, the rate and the time that is left, or how long it has been, and what
 * is being done.
 * @param elapsedMs since the work began
 */
export function progressLine(what: string, progress: Progress | undefined, elapsedMs: number): string {
  if (progress === undefined || progress.totalBytes === 0) return `${what} … ${(elapsedMs / 1000).toFixed(0)} s`;
  // A live trail is longer by the end than it was at the start.
  const share = Math.min(1, progress.bytes / progress.totalBytes);
  const filled = Math.floor(share * BAR_WIDTH);
  const bar = `[${'#'.repeat(filled)}${'.'.repeat(BAR_WIDTH - filled)}]`;
  const { records, unit = 'records' } = progress;
  if (records === undefined) return `${bar} ${Math.floor(share * 100)} %, ${(elapsedMs / 1000).toFixed(0)} s: ${what}`;
  const rate = Math.round(records / (elapsedMs / 1000)).toLocaleString('en-US');
  const left = share < FIRST_ESTIMATE ? '' : `, ${duration((elapsedMs / 1000) * (1 / share - 1))} left`;
  return `${bar} ${Math.floor(share * 100)} %, ${rate} ${unit}/s${left}: ${what}`;
}

/**
 * Runs `work`; if it takes long, shows what is being done, how far it is and how long it will take, and takes the line away
 * at the end.
 * @param monotonicMs clock to measure by
 * @param work is given a function to tell its progress by, or nothing where nobody looks; and one that takes the line away for
 * good, for work that prints before it is done
 */
export async function withProgress<T>(
  what: string,
  monotonicMs: () => number,
  work: (onProgress: ((progress: Progress) => void) | undefined, hide: () => void) => Promise<T>,
): Promise<T> {
  const { stderr } = process;
  if (!stderr.isTTY) return work(undefined, () => {});
  const startedMs = monotonicMs();
  let shown = false;
  let latest: Progress | undefined;
  const timer = setInterval(() => {
    const elapsedMs = monotonicMs() - startedMs;
    if (elapsedMs < FIRST_MS) return;
    shown = true;
    // A line that wraps could not be taken away.
    stderr.write(`${CLEAR}${progressLine(what, latest, elapsedMs).slice(0, (stderr.columns ?? 80) - 1)}`);
  }, EVERY_MS);
  const hide = () => {
    clearInterval(timer);
    if (shown) stderr.write(CLEAR);
    shown = false;
    process.removeListener('exit', hide);
  };
  // Ctrl-C ends the process at once.
  process.once('exit', hide);
  try {
    return await work((progress) => {
      latest = progress;
    }, hide);
  } finally {
    hide();
  }
}
