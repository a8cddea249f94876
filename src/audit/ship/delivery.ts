/**
 * Brings a batch of lines to the receiver, whatever it answers: waits out what may pass, halves what is too large, and finds
 * the records that it refuses by halving what it refuses. It ends only when every record is decided, or it is stopped.
 */
import type { Answer } from './answer.ts';
import type { Encoder } from './encoder.ts';
import type { Line } from './line.ts';
import type { OtlpClient } from './otlp-client.ts';
import type { Refusal } from './rejected.ts';
import type { ShipperSettings } from './settings.ts';

/** What a delivery needs from around it. */
export interface DeliveryOptions {
  readonly client: OtlpClient;
  readonly settings: Pick<ShipperSettings, 'backOffMs' | 'maxBackOffMs'>;
  /** A line that can't be encoded is found as a refused one is. */
  readonly encoder: Encoder;
  /** Resolves after the time; rejects when the signal says stop. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
  /** From 0 to below 1. */
  readonly random: () => number;
  /** Told of each request that was answered well; `warning` is what the receiver had to say all the same. */
  readonly onAccepted: (bytes: number, warning: string | undefined) => void;
  /** Told of each answer that decides nothing, before the pause that follows. */
  readonly onOutage: (told: string, pauseMs: number) => void;
  readonly onRequest: () => void;
}

/** What became of a batch: all of it is decided, or the receiver would have none of it. */
export type Delivered =
  | { readonly kind: 'done'; readonly refused: readonly Refusal[] }
  | { readonly kind: 'all-refused'; readonly told: string };

type Decision = Exclude<Answer, { kind: 'outage' }>;

/** A request that got no answer at all is tried so often before it is halved: it may be too large for the way there. */
const SILENT_ATTEMPTS = 2;
/** Doubling stops to count here; the pause has its own bound. */
const MAX_DOUBLINGS = 20;

/** Delivers batches, one after the other. */
export class Delivery {
  readonly #options: DeliveryOptions;
  /** Answers in a row that decided nothing. */
  #failures = 0;
  /** A line that was accepted: whether the receiver still takes it shows what a refusal means. */
  #witness: Line | undefined;
  /** The last batch was refused to the last record. */
  #allRefused = false;
  #probes = 0;
  /** A request that was encoded ahead. */
  #prepared: { readonly lines: readonly Line[]; readonly body: Promise<Buffer> } | undefined;

  constructor(options: DeliveryOptions) {
    this.#options = options;
  }

  /** Encodes the batch that comes next, while the receiver works on the one before. */
  prepare(lines: readonly Line[]): void {
    if (lines.length === 0) return;
    const body = this.#options.encoder.encode(lines);
    body.catch(() => {});
    this.#prepared = { lines, body };
  }

  /**
   * @returns when each line was accepted or refused; refused ones may be set aside, since others of the batch were accepted
   * @throws the signal's reason when it is stopped
   */
  async deliver(lines: readonly Line[], signal: AbortSignal): Promise<Delivered> {
    const answer = await this.#ask(lines, signal);
    if (answer.kind === 'accepted') return { kind: 'done', refused: [] };
    const round = { accepted: false, refused: [] as Refusal[], signal };
    if (answer.kind === 'refused' && lines.length > 1 && !(await this.#takesAnything(lines, signal))) {
      this.#allRefused = true;
      return { kind: 'all-refused', told: answer.told };
    }
    await this.#divide(lines, answer, round);
    this.#allRefused = !round.accepted;
    return round.accepted ? { kind: 'done', refused: round.refused } : { kind: 'all-refused', told: answer.told };
  }

  /** Waits after a batch that was refused to the last record, longer each time. @throws the signal's reason */
  async waitAfterRefusal(told: string, signal: AbortSignal): Promise<void> {
    await this.#wait(told, undefined, signal);
  }

  /** Whether it is worth looking for the refused records, which takes about two requests for each: one record is tried. */
  async #takesAnything(lines: readonly Line[], signal: AbortSignal): Promise<boolean> {
    const probe = this.#witness ?? (this.#allRefused ? lines[this.#probes++ % lines.length]! : undefined);
    // It may be too old by now, where others are not: next time another one is tried.
    this.#witness = undefined;
    return probe === undefined || (await this.#ask([probe], signal)).kind === 'accepted';
  }

  async #divide(
    lines: readonly Line[],
    answer: Exclude<Decision, { kind: 'accepted' }>,
    round: { accepted: boolean; refused: Refusal[]; readonly signal: AbortSignal },
  ): Promise<void> {
    if (lines.length === 1) {
      round.refused.push({ line: lines[0]!, answer: answer.told });
      return;
    }
    const middle = lines.length >> 1;
    for (const half of [lines.slice(0, middle), lines.slice(middle)]) {
      const decision = await this.#ask(half, round.signal);
      if (decision.kind === 'accepted') round.accepted = true;
      else await this.#divide(half, decision, round);
    }
  }

  /** Sends until there is an answer that decides something. */
  async #ask(lines: readonly Line[], signal: AbortSignal): Promise<Decision> {
    const { client, encoder, onAccepted, onRequest } = this.#options;
    let body: Buffer;
    try {
      body = await (this.#prepared?.lines === lines ? this.#prepared.body : encoder.encode(lines));
    } catch (error) {
      return { kind: 'refused', told: `cannot be encoded: ${(error as Error).message}` };
    }
    // An earlier attempt may still be on its way: then the bytes stay as they are.
    let early = false;
    for (let silent = 0; ; ) {
      signal.throwIfAborted();
      onRequest();
      const answer = await client.send(body, lines.length, signal);
      signal.throwIfAborted();
      early ||= answer.early === true;
      if (answer.kind !== 'outage') {
        if (answer.kind === 'accepted' || answer.kind === 'partial') {
          this.#failures = 0;
          onAccepted(body.length, answer.kind === 'accepted' ? answer.warning : answer.told);
        }
        if (answer.kind === 'accepted') this.#witness = keep(lines.at(-1)!);
        if (!early) encoder.reuse(body);
        return answer;
      }
      if (answer.silent === true) silent++;
      await this.#wait(answer.told, answer.retryAfterMs, signal);
      if (silent >= SILENT_ATTEMPTS && lines.length > 1) return { kind: 'too-large', told: answer.told };
    }
  }

  /** Full jitter (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), on top of what was asked for. */
  async #wait(told: string, retryAfterMs: number | undefined, signal: AbortSignal): Promise<void> {
    const { settings, random, pause, onOutage } = this.#options;
    const bound = Math.min(settings.maxBackOffMs, settings.backOffMs * 2 ** Math.min(this.#failures, MAX_DOUBLINGS));
    this.#failures++;
    const pauseMs = (retryAfterMs ?? 0) + random() * (retryAfterMs === undefined ? bound : settings.backOffMs);
    onOutage(told, pauseMs);
    await pause(pauseMs, signal);
  }
}

/** The line in a block of its own: a witness should not hold a megabyte. */
function keep(line: Line): Line {
  const block = Buffer.from(line.block.subarray(line.start, line.end));
  return { ...line, block, start: 0, end: block.length };
}
