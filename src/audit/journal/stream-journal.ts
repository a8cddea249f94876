/**
 * The audit journal of one process (or worker thread): takes events, and when `append` returns, the record is with the
 * operating system, or `state` says where it is. Nothing in here throws once the journal is open.
 */
import type { Clock } from '../../core/clock.ts';
import { RiskTrailError } from '../../core/errors.ts';
import { Listeners, type Subscription } from '../../core/listeners.ts';
import { nextTurn } from '../../core/next-turn.ts';
import type { Signer } from '../proof/note.ts';
import type { AuditInput } from '../record/audit-input.ts';
import { Checkpointer, type CheckpointInfo } from './checkpointer.ts';
import type { JournalFs } from './journal-fs.ts';
import type {
  AppendedRecord,
  AppendResult,
  DurablePosition,
  Journal,
  JournalStats,
  RecoveryInfo,
  ReliedOn,
} from './journal-types.ts';
import type { Lock } from './lock.ts';
import type { Quota } from './quota.ts';
import type { StreamWriter } from './stream-writer.ts';
import { SystemEvents } from './system-events.ts';
import { codeOf, type PutResult, WritePath } from './write-path.ts';

/** What a stream journal is made of. */
export interface StreamJournalOptions {
  readonly streamId: string;
  readonly writer: StreamWriter;
  readonly signer: Signer;
  readonly lock: Lock;
  /** Makes the stream's folder anew after somebody deleted it. @returns the lock in it @throws the system's error */
  readonly remakeDirectory: () => Lock;
  readonly clock: Clock;
  /** Real time. */
  readonly ticks: Clock;
  readonly fs: JournalFs;
  readonly checkpointSize: number;
  readonly recovered: RecoveryInfo | undefined;
  readonly checkpointRecords: number;
  readonly checkpointIntervalMs: number;
  readonly stallBudgetMs: number;
  readonly calmMs: number;
  readonly retryMs: number;
  readonly closeWaitMs: number;
  readonly waitBufferBytes: number;
  readonly quota?: Quota | undefined;
  readonly onError: (error: unknown, what: string) => void;
  readonly onAppended?: ((record: AppendedRecord) => void) | undefined;
}

/** A wall clock that went otherwise than the monotonic one by more than this was set. */
const CLOCK_STEP_MS = 1000;
/** How often the free space is looked at, at checkpoints. */
const DISK_LOOK_MS = 10_000;

/** A journal over one stream. `openJournal` makes it. */
export class StreamJournal implements Journal {
  readonly streamId: string;
  readonly recovered: RecoveryInfo | undefined;
  readonly #options: StreamJournalOptions;
  readonly #writer: StreamWriter;
  readonly #path: WritePath;
  readonly #checkpointer: Checkpointer;
  readonly #events: SystemEvents;
  readonly #durableListeners = new Listeners<DurablePosition>((error) => this.#report(error, 'listener'));
  readonly #checkpointListeners = new Listeners<CheckpointInfo>((error) => this.#report(error, 'listener'));
  #lock: Lock;
  #state: 'open' | 'closing' | 'closed' = 'open';
  #closing: Promise<void> | undefined;
  /** The closing record is taken. */
  #ended = false;
  #timer: NodeJS.Timeout | undefined;
  /** A checkpoint is under way because it was due. */
  #requested = false;
  #appending = false;
  #deferred: AuditInput[] = [];
  #lostLate = 0;
  #durable: DurablePosition | undefined;
  #commit: Promise<void> | undefined;
  /** Wall time less monotonic time. */
  #clockOffset: number;
  #clockSteps = 0;
  #diskFreeBytes: number | undefined;
  #diskLookedAt = Number.NEGATIVE_INFINITY;

  constructor(options: StreamJournalOptions) {
    const { writer, clock, fs, ticks } = options;
    this.#options = options;
    this.#writer = writer;
    this.#lock = options.lock;
    this.streamId = options.streamId;
    this.recovered = options.recovered;
    this.#events = new SystemEvents(clock);
    this.#clockOffset = clock.now() - clock.monotonic();
    const onError = (error: unknown, what: string) => this.#report(error, what);
    this.#path = new WritePath({
      writer,
      events: this.#events,
      clock,
      ticks,
      fs,
      stallBudgetMs: options.stallBudgetMs,
      calmMs: options.calmMs,
      retryMs: options.retryMs,
      quota: options.quota,
      remakeDirectory: () => this.#remakeDirectory(),
      onError,
    });
    this.#checkpointer = new Checkpointer({
      writer,
      signer: options.signer,
      fs,
      clock,
      size: options.checkpointSize,
      append: (note) => this.#appendCheckpoint(note),
      stepAside: (error) => this.#path.stepAside(error),
      onDurable: (position) => {
        this.#durable = position;
        this.#durableListeners.emit(position);
      },
      onCheckpoint: (checkpoint) => this.#checkpointListeners.emit(checkpoint),
      onError,
    });
  }

  get stream(): string {
    return this.#writer.stream;
  }

  get directory(): string {
    return this.#writer.directory;
  }

  get vkey(): string {
    return this.#options.signer.vkey;
  }

  get failing(): boolean {
    return this.#path.failing;
  }

  append(input: AuditInput, reliedOn: ReliedOn = 'append'): AppendResult {
    const result = this.#append(input, reliedOn);
    return reliedOn === 'append' ? result : this.#withCommit(result);
  }

  #append(input: AuditInput, reliedOn: ReliedOn): AppendResult {
    if (this.#appending) {
      // A getter or listener that emits while we encode: the outer record comes first.
      this.#deferred.push(input);
      return { recordId: '', sequence: undefined, state: 'waiting' };
    }
    if (this.#state === 'closed') {
      if (this.#lostLate === 0) this.#report(new Error('the journal is closed'), 'append after close');
      this.#lostLate++;
      return { recordId: '', sequence: undefined, state: 'lost' };
    }
    this.#appending = true;
    let result: AppendResult;
    try {
      result = this.#result(this.#path.put(input, reliedOn === 'commit'), input.eventName);
    } catch (error) {
      this.#report(error, 'append');
      this.#lostLate++;
      result = { recordId: '', sequence: undefined, state: 'lost' };
    }
    this.#appending = false;
    if (this.#deferred.length > 0) this.#appendDeferred();
    if (this.#checkpointer.uncovered >= this.#options.checkpointRecords) {
      if (!this.#requested && !this.#checkpointer.busy && this.#state === 'open') this.requestCheckpoint();
    } else if (this.#timer === undefined) this.#arm();
    return result;
  }

  #result(state: PutResult, eventName: string): AppendResult {
    if (state === 'lost') return { recordId: '', sequence: undefined, state };
    const { recordId, lineBytes: bytes } = this.#path;
    if (state === 'waiting') return { recordId, sequence: undefined, state };
    // What is told right behind a record, that the disk is slow, waits in the ring: this one was written last.
    const sequence = this.#writer.writtenRecords - 1;
    if (this.#options.onAppended !== undefined) this.#tell({ recordId, sequence, eventName, bytes });
    return { recordId, sequence, state };
  }

  #withCommit(result: AppendResult): AppendResult {
    const { recordId, sequence, state } = result;
    if (state !== 'lost') return { recordId, sequence, state, committed: this.commit() };
    const lost = new RiskTrailError('AUDIT_NOT_DURABLE', { reason: 'the record could not be taken' });
    const committed = Promise.reject(lost);
    committed.catch(() => {});
    return { recordId, sequence, state, committed };
  }

  #tell(record: AppendedRecord): void {
    try {
      this.#options.onAppended?.(record);
    } catch (error) {
      this.#report(error, 'listener');
    }
  }

  #appendDeferred(): void {
    const inputs = this.#deferred;
    this.#deferred = [];
    for (const input of inputs) this.append(input);
  }

  #appendCheckpoint(note: string): boolean {
    const result = this.#path.putCheckpoint(this.#events.checkpoint(note));
    return this.#ended ? result === 'written' : result !== 'lost';
  }

  #remakeDirectory(): void {
    const lock = this.#options.remakeDirectory();
    this.#lock.release();
    this.#lock = lock;
    // The signed note is still true.
    try {
      this.#checkpointer.saveNote();
    } catch (error) {
      this.#report(error, 'checkpoint');
    }
  }

  #report(error: unknown, what: string): void {
    try {
      this.#options.onError(error, what);
    } catch {
      // There is nobody left to tell.
    }
  }

  #arm(): void {
    if (this.#state !== 'open') return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.requestCheckpoint();
    }, this.#options.checkpointIntervalMs);
    this.#timer.unref();
  }

  requestCheckpoint(): void {
    this.#requested = true;
    void this.checkpoint().finally(() => {
      this.#requested = false;
    });
  }

  async checkpoint(): Promise<CheckpointInfo | undefined> {
    if (this.#state === 'closed') return this.#checkpointer.last;
    this.#look();
    this.#path.flush();
    if (this.#path.mayBeDeleted) await this.#path.checkDeleted();
    this.#writer.collect();
    if (this.#path.retry()) await this.#checkpointer.checkpoint();
    // Nothing can be signed now, but what was written before may leave the machine.
    else await this.#checkpointer.sync().catch(() => {});
    const more = this.#checkpointer.uncovered > 0 || this.#path.mode !== 'direct';
    if (more && this.#timer === undefined) this.#arm();
    return this.#checkpointer.last;
  }

  /** Keeps the figures that a glance at the clock and the disk gives. */
  #look(): void {
    const { clock, ticks, fs } = this.#options;
    const offset = clock.now() - clock.monotonic();
    if (Math.abs(offset - this.#clockOffset) > CLOCK_STEP_MS) this.#clockSteps++;
    this.#clockOffset = offset;
    if (ticks.monotonic() - this.#diskLookedAt < DISK_LOOK_MS) return;
    this.#diskLookedAt = ticks.monotonic();
    fs.promises.statfs(this.directory).then(
      ({ bavail, bsize }) => {
        this.#diskFreeBytes = bavail * bsize;
      },
      () => {
        this.#diskFreeBytes = undefined;
      },
    );
  }

  async sync(): Promise<void> {
    const { sequence } = this.#writer;
    try {
      if (this.#state === 'closed') {
        if (this.#durable?.sequence === sequence) return;
        throw new RiskTrailError('AUDIT_NOT_DURABLE', { reason: 'the journal is closed' });
      }
      this.#path.retryIfDue();
      this.#path.flush();
      if (this.#path.failing) throw new RiskTrailError('AUDIT_NOT_DURABLE', { reason: this.#path.reason });
      await this.#path.writtenThrough(sequence);
      await this.#checkpointer.sync();
    } catch (error) {
      if (error instanceof RiskTrailError) throw error;
      throw new RiskTrailError('AUDIT_NOT_DURABLE', { reason: codeOf(error) }, error);
    }
  }

  commit(): Promise<void> {
    // Whoever commits in this turn of the event loop shares one sync: begun at once, it would leave out all but the first.
    if (this.#commit === undefined) {
      this.#commit = nextTurn().then(() => {
        this.#commit = undefined;
        return this.sync();
      });
      // Not everybody waits for it.
      this.#commit.catch(() => {});
    }
    return this.#commit;
  }

  onDurable(listener: (position: DurablePosition) => void): Subscription {
    const subscription = this.#durableListeners.add(listener);
    if (this.#durable !== undefined) listener(this.#durable);
    return subscription;
  }

  onCheckpoint(listener: (checkpoint: CheckpointInfo) => void): Subscription {
    return this.#checkpointListeners.add(listener);
  }

  closeSegment(): void {
    this.#writer.closeSegment();
  }

  close(reason: string): Promise<void> {
    this.#closing ??= this.#close(reason);
    return this.#closing;
  }

  async #close(reason: string): Promise<void> {
    if (this.#state !== 'open') return;
    this.#state = 'closing';
    await this.#checkpointer.settle();
    await this.#waitForSlowDisk();
    this.#finish(reason);
  }

  /** So that this thread doesn't stand still while there is time. */
  async #waitForSlowDisk(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#options.closeWaitMs);
    });
    await Promise.race([this.#path.writtenThrough(this.#writer.sequence).catch(() => {}), late]);
    clearTimeout(timer);
  }

  closeSync(reason: string): void {
    this.#finish(reason);
  }

  #finish(reason: string): void {
    if (this.#state === 'closed') return;
    clearTimeout(this.#timer);
    let writable = false;
    try {
      writable = this.#path.finishNow(this.#options.closeWaitMs);
      if (writable) this.#finishStream(reason);
      else this.#report(this.#path.cause ?? new Error('the disk is too slow'), 'close');
    } catch (error) {
      this.#report(error, 'close');
    }
    this.#end();
  }

  #finishStream(reason: string): void {
    const closed = this.#path.put(this.#events.closed(reason)) === 'written' || this.#path.finishNow(0);
    this.#path.end();
    this.#ended = closed;
    if (closed) this.#checkpointer.finish();
    else this.#report(this.#path.cause, 'close');
  }

  /** Makes the last checkpoint of a stream whose closing record stands already. */
  finishClosed(): void {
    this.#ended = true;
    this.#path.end();
    try {
      this.#checkpointer.finish();
    } catch (error) {
      this.#report(error, 'close');
    }
    this.#end();
  }

  #end(): void {
    this.#state = 'closed';
    const quiet = this.#path.close();
    // A thread that is still within a write needs the file, and nobody else may write to the stream meanwhile.
    if (!quiet) return;
    this.#writer.close();
    this.#lock.release();
  }

  stats(): JournalStats {
    const { last } = this.#checkpointer;
    const { mode } = this.#path;
    return {
      records: this.#writer.sequence,
      bytes: this.#writer.bytes,
      checkpoints: this.#checkpointer.count,
      lastCheckpoint: last && { size: last.size, timeMs: last.timeMs },
      writeErrors: this.#path.writeErrors,
      lostRecords: this.#path.lostRecords + this.#lostLate,
      uncheckpointed: this.#checkpointer.uncovered,
      degraded: this.#path.failing,
      mode: mode === 'slow' ? 'buffered' : mode,
      waiting: {
        records: this.#writer.waitingRecords,
        bytes: this.#writer.waitingBytes,
        capacityBytes: this.#options.waitBufferBytes,
      },
      stalls: this.#path.stalls,
      clockSteps: this.#clockSteps,
      durableSequence: this.#durable?.sequence,
      diskFreeBytes: this.#diskFreeBytes,
    };
  }
}
