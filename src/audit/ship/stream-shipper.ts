/** Ships one stream: reads, delivers, sets aside what was refused, and moves the cursor. */
import type { Clock } from '../../core/clock.ts';
import { readShippedPosition, writeShippedPosition } from '../journal/shipped-position.ts';
import { auditForm } from '../record/canonical.ts';
import { type OtlpLogRecord, visitRecords } from '../record/otlp.ts';
import type { Delivered, Delivery } from './delivery.ts';
import { type Line, lineText, lineTimeMs } from './line.ts';
import { type RejectedRecord, setAside } from './rejected.ts';
import { type ReadLimit, StreamReader } from './stream-reader.ts';

/** The cursor is put on disk at most so often: what was sent since is sent again after a crash. */
const PERSIST_EVERY_MS = 250;

export interface StreamShipperOptions {
  /** The stream's folder. */
  readonly directory: string;
  readonly delivery: Delivery;
  /** As it may be shown. */
  readonly endpoint: string;
  readonly limits: { readonly maxBatchRecords: number; readonly maxBatchBytes: number };
  readonly clock: Clock;
  readonly onError: (error: unknown, what: string) => void;
  /** Told after the cursor moved. */
  readonly onMoved: (records: number) => void;
  readonly onRejected: (record: RejectedRecord) => void;
  /** Asked after each batch, and waited for. */
  readonly pause?: ((signal: AbortSignal) => Promise<void>) | undefined;
}

/** A shipper of one stream. Nothing in here is called twice at once. */
export class StreamShipper {
  readonly directory: string;
  readonly #options: StreamShipperOptions;
  readonly #reader: StreamReader;
  #stream = '';
  #sequence: number;
  #persisted: number;
  #persistedMs = Number.NEGATIVE_INFINITY;
  #writing: Promise<void> | undefined;
  /** Read and not yet decided. */
  #batch: readonly Line[] = [];
  #oldestMs: number | undefined;

  /** Begins where the stream's cursor stands. @throws the system's error */
  constructor(options: StreamShipperOptions) {
    this.#options = options;
    this.directory = options.directory;
    const stored = readShippedPosition(options.directory);
    this.#stream = stored?.stream ?? '';
    this.#sequence = stored?.sequence ?? 0;
    this.#persisted = this.#sequence;
    this.#reader = new StreamReader(options.directory, this.#sequence, (problem) =>
      options.onError(new Error(problem), 'journal'),
    );
  }

  /** Records below it are decided. */
  get sequence(): number {
    return this.#sequence;
  }

  /** `<service>/<stream UUID>`; empty before the first record. */
  get stream(): string {
    return this.#stream;
  }

  /** Time of the oldest record that was read and is not decided, in milliseconds since the epoch. */
  get oldestMs(): number | undefined {
    return this.#oldestMs;
  }

  /** Bytes on disk of what is not decided. */
  backlogBytes(limit: ReadLimit): number {
    let bytes = this.#reader.backlogBytes(limit);
    for (const { start, end } of this.#batch) bytes += end - start + 1;
    return bytes;
  }

  /**
   * Ships all that the limit allows; the limit is asked for again before each reading, since it moves.
   * @returns undefined when there is nothing more, or what the receiver said who refused everything
   * @throws the signal's reason, or the system's error
   */
  async ship(limit: () => ReadLimit, signal: AbortSignal): Promise<string | undefined> {
    let ahead: Promise<readonly Line[]> | undefined;
    try {
      for (;;) {
        let read = (await ahead) ?? [];
        ahead = undefined;
        // The limit may have moved since.
        if (read.length === 0) read = await this.#read(limit(), this.#batch);
        // The same list where it can be: it may be encoded already.
        this.#batch = this.#batch.length === 0 ? read : [...this.#batch, ...read];
        const first = this.#batch[0];
        if (first === undefined) {
          this.#oldestMs = undefined;
          await this.#persist(true);
          return undefined;
        }
        this.#oldestMs = lineTimeMs(first);
        if (this.#stream === '') this.#stream = streamOf(first);
        signal.throwIfAborted();
        const { delivery } = this.#options;
        const delivering = delivery.deliver(this.#batch, signal);
        // What comes next is read and encoded while the receiver works.
        ahead = this.#read(limit(), []).then((lines) => {
          delivery.prepare(lines);
          return lines;
        });
        ahead.catch(() => {});
        const delivered = await delivering;
        if (delivered.kind === 'all-refused') {
          this.#batch = [...this.#batch, ...(await ahead)];
          ahead = undefined;
          return delivered.told;
        }
        await this.#decide(delivered);
        await this.#options.pause?.(signal);
      }
    } finally {
      // Stopped: what was read ahead comes first at the next call.
      if (ahead !== undefined) this.#batch = [...this.#batch, ...(await ahead.catch(() => []))];
    }
  }

  /** What fits beside the lines that are there; at least nothing. */
  async #read(limit: ReadLimit, beside: readonly Line[]): Promise<readonly Line[]> {
    const { maxBatchRecords, maxBatchBytes } = this.#options.limits;
    let room = maxBatchBytes;
    for (const { start, end } of beside) room -= end - start;
    if (beside.length >= maxBatchRecords || room <= 0) return [];
    return this.#reader.read(limit, maxBatchRecords - beside.length, room);
  }

  async #decide(delivered: Extract<Delivered, { kind: 'done' }>): Promise<void> {
    const { directory, endpoint, clock, onRejected, onMoved } = this.#options;
    // On disk before the cursor passes them.
    for (const refusal of delivered.refused) {
      onRejected(await setAside(directory, refusal, endpoint, clock.now()));
    }
    const records = this.#batch.length;
    this.#sequence = this.#batch.at(-1)!.sequence + 1;
    this.#batch = [];
    this.#reader.release(this.#sequence);
    onMoved(records - delivered.refused.length);
    if (clock.monotonic() - this.#persistedMs >= PERSIST_EVERY_MS) void this.#persist(false);
  }

  /** @param wait whether the newest position must be on disk at the end */
  async #persist(wait: boolean): Promise<void> {
    if (wait) await this.#writing;
    if (this.#writing !== undefined || this.#sequence === this.#persisted) return;
    this.#persistedMs = this.#options.clock.monotonic();
    this.#writing = this.#write(false);
    if (wait) await this.#writing;
  }

  async #write(complete: boolean): Promise<void> {
    const sequence = this.#sequence;
    const { directory, endpoint, onError } = this.#options;
    try {
      await writeShippedPosition(directory, { stream: this.#stream, sequence, endpoint, complete });
      this.#persisted = sequence;
    } catch (error) {
      onError(error, 'shipping cursor');
    } finally {
      this.#writing = undefined;
    }
  }

  /** Notes that the stream has ended and all of it is shipped. */
  async complete(): Promise<void> {
    await this.#writing;
    await this.#write(true);
  }

  /** Puts the cursor on disk and closes the files. */
  async close(): Promise<void> {
    await this.#persist(true);
    await this.#reader.close();
  }
}

function streamOf(line: Line): string {
  let stream = '';
  visitRecords(lineText(line), (record: OtlpLogRecord) => {
    stream = auditForm(record)?.stream ?? '';
  });
  return stream;
}
