/**
 * Takes each checkpoint to every anchor, beside the trading code: notes are handed over at once and delivered in the
 * background, each anchor by itself, retried with growing pauses for as long as it takes. A newer note says all that an older
 * one of its stream says, so while an anchor can't be reached only the newest waits; how many it stood in for is counted.
 */
import type { Clock } from '../../core/clock.ts';
import { type AnchorTarget, anchorName } from './anchor-target.ts';
import { type AnchorWriter, anchorWriter, type OutgoingNote } from './writers.ts';

/** How anchors report and retry. */
export interface AnchorsOptions {
  readonly clock: Clock;
  /** Told of each failed attempt. */
  readonly onError: (error: unknown, what: string) => void;
  /** Pause after the first failure, in milliseconds; doubled with each further one. @default 1000 */
  readonly retryMs?: number;
  /** Longest pause. @default 60_000 */
  readonly maxRetryMs?: number;
}

/** How one anchor is. */
export interface AnchorStats {
  /** `file:PATH`, `dir:PATH`, or an address without user, password and query. */
  readonly anchor: string;
  /** Notes delivered. */
  readonly delivered: number;
  /** Attempts that failed. */
  readonly failures: number;
  /** Notes that a newer one of the same stream replaced while they waited. */
  readonly superseded: number;
  /** Notes that wait, one a stream at most. */
  readonly pending: number;
  /** Epoch milliseconds. */
  readonly lastSuccessMs: number | undefined;
  readonly lastError: { readonly message: string; readonly timeMs: number } | undefined;
}

/** The anchors of a trail. */
export interface Anchors {
  /** Hands a signed note over to every anchor. Never throws, never waits. @param stream `<service>/<stream UUID>` */
  publish(note: string, stream: string): void;
  stats(): AnchorStats[];
  /** Gives what waits a last chance for so long, then ends. Again does nothing more. @default 2000 */
  stop(deadlineMs?: number): Promise<void>;
}

const DEFAULTS = Object.freeze({ retryMs: 1000, maxRetryMs: 60_000 });
const STOP_DEADLINE_MS = 2000;
const ABORT_MS = 100;

/**
 * Makes anchors.
 * @example
 * const anchors = createAnchors(parseAnchors(process.env.RISKTRAIL_ANCHORS ?? ''), { clock, onError });
 * journal.onCheckpoint(({ note }) => anchors.publish(note, journal.stream));
 */
export function createAnchors(targets: readonly AnchorTarget[], options: AnchorsOptions): Anchors {
  const anchors = targets.map((target) => new Anchor(target, options));
  return {
    publish(note, stream) {
      for (const anchor of anchors) anchor.take({ note, stream });
    },
    stats: () => anchors.map((anchor) => anchor.stats()),
    async stop(deadlineMs = STOP_DEADLINE_MS) {
      await Promise.all(anchors.map((anchor) => anchor.stop(deadlineMs)));
    },
  };
}

/** One anchor, and what waits for it. */
class Anchor {
  readonly #name: string;
  readonly #write: AnchorWriter;
  readonly #options: Required<AnchorsOptions>;
  /** The newest note of each stream that is not delivered. */
  readonly #waiting = new Map<string, OutgoingNote>();
  readonly #abort = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #failuresInARow = 0;
  #delivered = 0;
  #failures = 0;
  #superseded = 0;
  #lastSuccessMs: number | undefined;
  #lastError: AnchorStats['lastError'];
  #stopping = false;

  constructor(target: AnchorTarget, options: AnchorsOptions) {
    this.#name = anchorName(target);
    this.#write = anchorWriter(target);
    this.#options = { ...DEFAULTS, ...options };
  }

  take(outgoing: OutgoingNote): void {
    if (this.#stopping) return;
    if (this.#waiting.has(outgoing.stream)) this.#superseded++;
    this.#waiting.set(outgoing.stream, outgoing);
    if (this.#timer === undefined) this.#run();
  }

  stats(): AnchorStats {
    return {
      anchor: this.#name,
      delivered: this.#delivered,
      failures: this.#failures,
      superseded: this.#superseded,
      pending: this.#waiting.size,
      lastSuccessMs: this.#lastSuccessMs,
      lastError: this.#lastError,
    };
  }

  #run(): void {
    this.#running ??= this.#deliver().finally(() => {
      this.#running = undefined;
    });
  }

  /** Delivers what waits, in the order of the streams' first note, until nothing does or an attempt fails. */
  async #deliver(): Promise<void> {
    for (;;) {
      const [outgoing] = this.#waiting.values();
      if (outgoing === undefined) return;
      try {
        await this.#write(outgoing, this.#abort.signal);
      } catch (error) {
        this.#failed(error);
        return;
      }
      this.#failuresInARow = 0;
      this.#delivered++;
      this.#lastSuccessMs = this.#options.clock.now();
      // A newer one may have come meanwhile.
      if (this.#waiting.get(outgoing.stream) === outgoing) this.#waiting.delete(outgoing.stream);
      else this.#superseded--;
    }
  }

  #failed(error: unknown): void {
    this.#failures++;
    this.#failuresInARow++;
    const message = describe(error);
    this.#lastError = { message, timeMs: this.#options.clock.now() };
    try {
      this.#options.onError(error, `anchor ${this.#name}`);
    } catch {
      // Whoever listens to failures may fail: the anchor goes on.
    }
    if (this.#stopping) return;
    const { retryMs, maxRetryMs } = this.#options;
    const longest = Math.min(maxRetryMs, retryMs * 2 ** Math.min(30, this.#failuresInARow - 1));
    // Many services that wait for one anchor must not come back all at once.
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#run();
      },
      longest / 2 + (Math.random() * longest) / 2,
    );
    this.#timer.unref();
  }

  async stop(deadlineMs: number): Promise<void> {
    if (!this.#stopping) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      if (this.#waiting.size > 0 && this.#running === undefined) this.#run();
      this.#stopping = true;
    }
    await this.#runningFor(deadlineMs);
    this.#abort.abort();
    // A request ends with that; a file system that hangs doesn't, and nobody is to wait for it.
    await this.#runningFor(ABORT_MS);
  }

  /** Resolves when nothing is being delivered, or after so long. */
  async #runningFor(longestMs: number): Promise<void> {
    if (this.#running === undefined) return;
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, longestMs);
    });
    await Promise.race([this.#running, deadline]);
    clearTimeout(timer);
  }
}

/** The message, with that of the cause, which `fetch` hides the reason in. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error && error.cause.message !== '' ? `: ${error.cause.message}` : '';
  return `${error.message}${cause}`;
}
