/**
 * The way of a record to its file, whatever the disk does. Nothing in here throws.
 *
 * - `direct`: the journal's own thread writes; when `put` returns `written`, the record is with the operating system. Records
 *   that nobody relies on before the next sync are gathered until then, or until another one comes, and written in one go.
 * - `slow`: a write took longer than the stall budget. Records go into a ring that a thread of our own empties, so that the
 *   next stall is not the trading loop's. Back to `direct` once the ring is empty and writes have been quick for a while.
 * - `failing`: a write failed. Records wait in the same ring, and are written in order as soon as writing works.
 *
 * A record that waits has its number and its time. One that finds the ring full has neither: it is lost, and so are those
 * behind it, until the event that tells of them has its place in the stream: what is lost is one range, told right where it
 * is missing.
 */
import type { Clock } from '../../core/clock.ts';
import type { AuditInput } from '../record/audit-input.ts';
import type { EncodedRecord } from '../record/encode.ts';
import { Calm } from './calm.ts';
import type { JournalFs } from './journal-fs.ts';
import type { Quota } from './quota.ts';
import type { StreamWriter } from './stream-writer.ts';
import type { SystemEvents } from './system-events.ts';
import { countOf, Untold } from './untold.ts';
import { WriterThread } from './writer-thread.ts';
import { WrittenWaiters } from './written-waiters.ts';

/** What became of a record. */
export type PutResult = 'written' | 'waiting' | 'lost';

/** How records are written at the moment. */
export type WriteMode = 'direct' | 'slow' | 'failing';

export interface WritePathOptions {
  readonly writer: StreamWriter;
  readonly events: SystemEvents;
  /** The trail's time. */
  readonly clock: Clock;
  /** Real time, for stalls and pauses. */
  readonly ticks: Clock;
  readonly fs: JournalFs;
  /** A write that takes longer is the last one of the journal's own thread for a while. */
  readonly stallBudgetMs: number;
  /** So long must writes have been quick before the journal's own thread writes again. */
  readonly calmMs: number;
  /** So long after a failed write the next one is tried. */
  readonly retryMs: number;
  readonly quota?: Quota | undefined;
  /** Makes the stream's folder again, and holds its lock. @throws the system's error */
  readonly remakeDirectory: () => void;
  readonly onError: (error: unknown, what: string) => void;
}

const MAX_THREAD_PAUSE_MS = 60_000;
/** How much of what waits the journal writes in one turn of the event loop. */
const SLICE_BYTES = 262_144;
/** A slice that doesn't fit is tried again at this fraction. */
const SLICE_STEP = 8;
/** There may be room for less. */
const ROOM_ERRORS = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);
/** Events that are told in one go: a guard against a telling that brings about the next. */
const MOST_TOLD = 20;
/** In a slow time, records are taken again after a loss once so much of the ring is free. */
const ROOM_SHARE = 0.5;
/** A burst that filled the ring waits until so much of it is free. */
const WAITED_SHARE = 0.125;

export class WritePath {
  readonly #options: WritePathOptions;
  readonly #writer: StreamWriter;
  #mode: WriteMode = 'direct';
  readonly #untold: Untold;
  #lastError: unknown;
  #retryAt = 0;
  #retryTimer: NodeJS.Timeout | undefined;
  #thread: WriterThread | undefined;
  #threadPauseMs = 1000;
  #noThreadBefore = 0;
  readonly #calm: Calm;
  #rotating = false;
  readonly #waiters = new WrittenWaiters();
  #ended = false;
  /** From here on the journal's own thread writes, however long it takes. */
  #finishing = false;
  #stalls = 0;
  #writeErrors = 0;
  #lostRecords = 0;
  #recordId = '';
  #lineBytes = 0;

  constructor(options: WritePathOptions) {
    this.#options = options;
    this.#writer = options.writer;
    this.#calm = new Calm(options.calmMs);
    this.#untold = new Untold(options.events, () => options.clock.now());
  }

  get mode(): WriteMode {
    return this.#mode;
  }

  /** Whether records can't be written at all, or are being lost. */
  get failing(): boolean {
    return this.#mode === 'failing' || this.#untold.isLosing;
  }

  /** Why, where it is failing. */
  get reason(): string {
    return this.#mode === 'failing' ? (this.#untold.outageReason ?? '') : 'records were lost';
  }

  get cause(): unknown {
    return this.#lastError;
  }

  get stalls(): number {
    return this.#stalls;
  }

  get writeErrors(): number {
    return this.#writeErrors;
  }

  get lostRecords(): number {
    return this.#lostRecords;
  }

  /** `audit.record.id` of the record that was put last. */
  get recordId(): string {
    return this.#recordId;
  }

  /** Length of its line. */
  get lineBytes(): number {
    return this.#lineBytes;
  }

  /**
   * Takes a record, behind what has to be told first.
   * @param mayGather whether it may wait in memory for {@link flush}, which each other record brings about
   */
  put(input: AuditInput, mayGather = false): PutResult {
    if (this.#mode === 'slow') this.#look();
    else this.retryIfDue();
    if (this.#mode === 'direct' && this.#writer.rotationDue) this.#rotate();
    this.#tell();
    return this.#store(input, mayGather);
  }

  /** Takes a checkpoint's record. With `ended`, nothing else comes before it: behind the closing record stand only those. */
  putCheckpoint(input: AuditInput): PutResult {
    if (!this.#ended) return this.put(input);
    if (this.#mode === 'direct' && this.#writer.segment.broken) this.#rotate();
    return this.#store(input);
  }

  /** The closing record is in its place. */
  end(): void {
    this.#ended = true;
    this.#finishing = true;
    clearTimeout(this.#retryTimer);
  }

  #store(input: AuditInput, mayGather = false, mayMakeRoom = true): PutResult {
    if (!mayGather) this.flush();
    const encoded = this.#writer.encode(input);
    // Events of ours may be encoded meanwhile, into the same object.
    const { recordId, lineBytes } = encoded;
    let result = this.#place(encoded, input, mayGather);
    if (result === 'lost') {
      if (mayMakeRoom && this.#makeRoom(lineBytes)) return this.#store(input, mayGather, false);
      result = this.#lose(input.timeUnixNano);
    }
    this.#recordId = recordId;
    this.#lineBytes = lineBytes;
    return result;
  }

  #place(encoded: EncodedRecord, input: AuditInput, mayGather: boolean): PutResult {
    if (mayGather && this.#gather(encoded, input)) return 'waiting';
    return this.#mode === 'direct' ? this.#write(encoded, input) : this.#hold(encoded, input);
  }

  /** @returns false where it can't be gathered; nothing is, then */
  #gather(encoded: EncodedRecord, { eventName }: AuditInput): boolean {
    if (this.#mode !== 'direct') return false;
    if (this.#writer.gather(encoded, eventName)) return true;
    this.flush();
    return this.#mode === 'direct' && this.#writer.gather(encoded, eventName);
  }

  /** Writes what was gathered. */
  flush(): void {
    const bytes = this.#writer.gatheredBytes;
    if (bytes === 0) return;
    const { ticks, quota, stallBudgetMs } = this.#options;
    const start = ticks.monotonic();
    try {
      quota?.admit(bytes);
      this.#writer.writeGathered();
    } catch (error) {
      this.#fail(error);
      return;
    }
    const took = ticks.monotonic() - start;
    if (took > stallBudgetMs) this.#goSlow(took);
  }

  #write(encoded: EncodedRecord, input: AuditInput): PutResult {
    const { ticks, quota, stallBudgetMs } = this.#options;
    const start = ticks.monotonic();
    try {
      quota?.admit(encoded.lineBytes);
      this.#writer.write(encoded, input.eventName);
    } catch (error) {
      this.#fail(error);
      return this.#hold(encoded, input);
    }
    const took = ticks.monotonic() - start;
    if (took > stallBudgetMs) this.#goSlow(took);
    return 'written';
  }

  #hold(encoded: EncodedRecord, input: AuditInput): PutResult {
    if (this.#untold.isLosing || !this.#writer.hold(encoded, input.eventName)) return 'lost';
    if (this.#mode === 'slow') this.#release();
    return 'waiting';
  }

  /**
   * A burst may fill the ring faster than the thread empties it, or before it is up. As long as the disk takes something,
   * waiting for it within the stall budget is what a direct write would have cost. Only a thread that stays within one
   * write for longer leaves no room.
   */
  #makeRoom(bytes: number): boolean {
    if (this.#mode !== 'slow' || this.#untold.isLosing) return false;
    const { ticks, stallBudgetMs } = this.#options;
    const writer = this.#writer;
    const thread = this.#thread!;
    const now = () => ticks.monotonic();
    const { capacity } = writer.ring;
    const free = () => {
      writer.collect();
      return capacity - writer.waitingBytes;
    };
    const room = () => free() >= bytes;
    if (bytes > capacity) return false;
    const untilMs = now() + stallBudgetMs;
    // For many at once: to wait for each record anew takes longer than to write it.
    const plenty = Math.max(bytes, capacity * WAITED_SHARE);
    if (thread.waitUntil(() => free() >= plenty, untilMs, now) || room()) return true;
    if (!thread.parkNow(untilMs, now)) {
      thread.run(writer.segment.fd);
      return false;
    }
    this.#rotating = false;
    writer.takeBack();
    this.#endSlow();
    this.#writeWaiting();
    return room();
  }

  /** Writes what waits as long as the disk is quick. */
  #writeWaiting(): void {
    const { ticks, stallBudgetMs, quota } = this.#options;
    const writer = this.#writer;
    try {
      while (writer.waitingRecords > 0) {
        if (writer.rotationDue) this.#untold.addSealed(writer.rotate());
        quota?.admit(Math.min(SLICE_BYTES, writer.waitingBytes));
        const start = ticks.monotonic();
        this.#writeSlice();
        const took = ticks.monotonic() - start;
        if (took > stallBudgetMs && this.#goSlow(took)) return;
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  #lose(time: string): PutResult {
    this.#lostRecords++;
    this.#untold.addLoss(time);
    return 'lost';
  }

  /** Records what has to be told and isn't yet. */
  #tell(): void {
    if (this.#ended || this.#untold.isEmpty) return;
    for (let turn = 0; turn < MOST_TOLD; turn++) {
      const event = this.#untold.take({ mode: this.#mode, hasRoom: this.#hasRoom });
      if (event === undefined) return;
      this.#store(event);
    }
  }

  get #hasRoom(): boolean {
    const { waitingBytes } = this.#writer;
    return waitingBytes === 0 || waitingBytes <= this.#writer.ring.capacity * (1 - ROOM_SHARE);
  }

  #rotate(): void {
    try {
      this.#untold.addSealed(this.#writer.rotate());
    } catch (error) {
      if (this.#writer.segment.broken) this.#fail(error);
      else {
        this.#writeErrors++;
        this.#options.onError(error, 'new segment');
      }
    }
  }

  // ——— failing ———

  #fail(error: unknown): void {
    this.#writer.holdGathered();
    this.#writeErrors++;
    this.#lastError = error;
    this.#mode = 'failing';
    const { retryMs, ticks, onError } = this.#options;
    this.#retryAt = ticks.monotonic() + retryMs;
    this.#armRetry(retryMs);
    if (this.#untold.outageBegins(codeOf(error))) onError(error, 'append');
    this.#settleWaiters();
  }

  #armRetry(delayMs: number): void {
    if (this.#finishing) return;
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => {
      this.retry();
      this.#tell();
    }, delayMs);
    this.#retryTimer.unref();
  }

  /** {@link retry}, unless that was just tried. */
  retryIfDue(): void {
    if (this.#mode === 'failing' && this.#options.ticks.monotonic() >= this.#retryAt) this.retry();
  }

  /**
   * Where writing failed: tries again, and writes what waits. In steps, a turn of the event loop each, unless `all` is asked.
   * @returns whether nothing is failing any more
   */
  retry(all = false): boolean {
    if (this.#mode !== 'failing') return true;
    const { retryMs, ticks, quota } = this.#options;
    const writer = this.#writer;
    this.#retryAt = ticks.monotonic() + retryMs;
    try {
      if (writer.segment.deletedNow()) this.#restore();
      do {
        if (writer.rotationDue) this.#untold.addSealed(writer.rotate());
        quota?.admit(Math.min(SLICE_BYTES, writer.waitingBytes));
        const start = ticks.monotonic();
        this.#writeSlice();
        const took = ticks.monotonic() - start;
        if (!all && took > this.#options.stallBudgetMs && this.#goSlow(took)) return true;
      } while (all && writer.waitingRecords > 0);
    } catch (error) {
      this.#writeErrors++;
      this.#lastError = error;
      this.#armRetry(retryMs);
      return false;
    }
    if (writer.waitingRecords > 0) {
      this.#retryAt = 0;
      this.#armRetry(0);
      return false;
    }
    clearTimeout(this.#retryTimer);
    this.#mode = 'direct';
    return true;
  }

  /** Where there is room for little, little is written. */
  #writeSlice(): void {
    for (let bytes = SLICE_BYTES; ; bytes /= SLICE_STEP) {
      try {
        this.#writer.writeWaiting(bytes);
        return;
      } catch (error) {
        if (bytes < SLICE_STEP || !ROOM_ERRORS.has(codeOf(error))) throw error;
      }
      if (this.#writer.segment.broken) this.#untold.addSealed(this.#writer.rotate());
    }
  }

  /** Somebody deleted the stream's files: what is still held is written again, what is gone is told. */
  #restore(): void {
    this.#options.remakeDirectory();
    const missing = this.#writer.restore();
    this.#lostRecords += countOf(missing);
    this.#untold.addMissing(missing);
  }

  /** Whether {@link checkDeleted} has anything to do: where this thread writes, a look at the file costs next to nothing. */
  get mayBeDeleted(): boolean {
    return this.#mode === 'slow' || (this.#mode === 'direct' && this.#writer.segment.deletedNow());
  }

  /** Looks whether somebody deleted the file that is written to; if so, all is set up again. */
  async checkDeleted(): Promise<void> {
    const { segment } = this.#writer;
    if (!(await segment.deleted()) || segment !== this.#writer.segment || this.#mode === 'failing') return;
    const error = Object.assign(new Error(`ENOENT: ${segment.path} was deleted`), { code: 'ENOENT' });
    await this.stepAside(error);
    if (this.#ended || this.mode === 'slow') return;
    if (this.mode === 'direct') this.#fail(error);
    this.retry();
    this.#tell();
  }

  /** Where a thread writes: sees to it that it touches the current file no more. What comes waits until the next try. */
  async stepAside(error: unknown): Promise<void> {
    if (this.#mode !== 'slow') return;
    await this.#thread?.park();
    if (this.mode !== 'slow') return;
    this.#writer.takeBack();
    this.#fail(error);
  }

  // ——— slow ———

  /** @returns whether a thread writes from now on */
  #goSlow(tookMs: number): boolean {
    this.#stalls++;
    const now = this.#options.ticks.monotonic();
    if (this.#finishing || now < this.#noThreadBefore || !this.#startThread()) return false;
    this.#calm.begin(now);
    this.#mode = 'slow';
    this.#untold.slowBegins(tookMs);
    this.#rotating = false;
    this.#thread!.run(this.#writer.segment.fd);
    return true;
  }

  #endSlow(): void {
    this.#mode = 'direct';
    this.#calm.end(this.#options.ticks.monotonic());
  }

  #startThread(): boolean {
    if (this.#thread !== undefined && !this.#thread.dead) return true;
    const { fs, onError, ticks } = this.#options;
    try {
      this.#thread = new WriterThread({
        ring: this.#writer.ring,
        fs,
        onWrote: (tookMs) => this.#onWrote(tookMs),
        onFailed: (error) => this.#onThreadFailed(error),
      });
      return true;
    } catch (error) {
      this.#noThreadBefore = ticks.monotonic() + MAX_THREAD_PAUSE_MS;
      onError(error, 'writer thread');
      return false;
    }
  }

  #onWrote(tookMs: number): void {
    const { stallBudgetMs, ticks } = this.#options;
    if (tookMs <= stallBudgetMs) this.#calm.wasQuick();
    else {
      this.#stalls++;
      this.#calm.stalled(ticks.monotonic());
    }
    if (this.#mode !== 'slow') return;
    this.#look();
    this.#tell();
  }

  /** Takes note of the thread's progress. */
  #look(): void {
    const writer = this.#writer;
    writer.collect();
    if (writer.rotationDue) this.#rotateAside();
    // With nothing to write, the thread sleeps.
    else if (writer.waitingRecords === 0 && this.#calm.isReached(this.#options.ticks.monotonic())) this.#endSlow();
    this.#settleWaiters();
  }

  #release(): void {
    if (this.#rotating) return;
    if (this.#writer.rotationDue) {
      this.#rotateAside();
      return;
    }
    this.#writer.ring.release();
    this.#thread?.wake();
  }

  /** Once the thread has written all that it may, the next file is made, beside this thread as well. */
  #rotateAside(): void {
    const writer = this.#writer;
    if (this.#rotating || !writer.ring.idle) return;
    writer.collect();
    this.#rotating = true;
    const thread = this.#thread;
    const wanted = () => this.#rotating && this.#mode === 'slow' && this.#thread === thread;
    writer
      .rotateAside(wanted)
      .then((sealed) => this.#untold.addSealed(sealed))
      .catch((error) => {
        this.#options.onError(error, 'new segment');
        this.#writeErrors++;
      })
      .finally(() => {
        if (!wanted()) return;
        this.#rotating = false;
        thread?.run(writer.segment.fd);
        this.#release();
        this.#tell();
      });
  }

  #onThreadFailed(error: Error): void {
    const { ticks, onError } = this.#options;
    if (this.#thread?.dead === true) {
      this.#thread = undefined;
      this.#noThreadBefore = ticks.monotonic() + this.#threadPauseMs;
      this.#threadPauseMs = Math.min(this.#threadPauseMs * 2, MAX_THREAD_PAUSE_MS);
      if (this.#mode !== 'slow') onError(error, 'writer thread');
    }
    if (this.#mode !== 'slow') return;
    this.#writer.segment.failed(error);
    this.#writer.takeBack();
    this.#fail(error);
  }

  /** Resolves once the records below `sequence` are written. Rejects with what went wrong where writing fails. */
  writtenThrough(sequence: number): Promise<void> {
    this.flush();
    this.#writer.collect();
    if (this.#writer.writtenRecords >= sequence) return Promise.resolve();
    const written = this.#waiters.add(sequence);
    // Whoever waits keeps the process alive: an unreferenced thread alone would let it end.
    this.#thread?.hold(true);
    this.#settleWaiters();
    return written;
  }

  #settleWaiters(): void {
    if (this.#waiters.isEmpty) return;
    this.#waiters.settle(this.#writer.writtenRecords);
    if (this.#mode === 'failing') this.#waiters.fail(this.#lastError);
    if (this.#waiters.isEmpty) this.#thread?.hold(false);
  }

  /**
   * For an end that can't wait: has all that waits written within `boundMs`, and the journal's own thread write again.
   * @returns false where that isn't possible; then no further record may be put
   */
  finishNow(boundMs: number): boolean {
    this.#finishing = true;
    this.flush();
    if (this.#mode === 'failing') return this.retry(true);
    if (this.#mode === 'direct') return true;
    const { ticks } = this.#options;
    const now = () => ticks.monotonic();
    const untilMs = now() + boundMs;
    this.#rotating = false;
    this.#writer.collect();
    // Whatever the file's length: a new one isn't waited for any more.
    this.#writer.ring.release();
    this.#thread!.wake();
    const drained = this.#thread!.drainNow(untilMs, now);
    // A thread that is still within a write could write after us.
    if (!this.#thread!.parkNow(untilMs, now) && !drained) {
      this.#writer.collect();
      this.#thread!.quit();
      return false;
    }
    this.#writer.takeBack();
    if (!drained) this.#fail(Object.assign(new Error('the disk is too slow'), { code: 'slow' }));
    else this.#endSlow();
    return this.retry(true);
  }

  /** Ends the thread; what still waits is lost. @returns false where the thread may still be within a write */
  close(): boolean {
    this.end();
    this.#lostRecords += this.#writer.waitingRecords;
    this.#waiters.fail(new Error('the journal is closed'));
    const quiet = this.#mode !== 'slow';
    this.#thread?.quit();
    return quiet;
  }
}

/** An error's code, or its text. */
export function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException)?.code ?? String(error);
}
