/**
 * The audit journal of one process (or worker thread): takes events, and when `append` returns, the record is with the
 * operating system. Nothing in here throws once the journal is open.
 */
import type { Clock } from '../../core/clock.ts';
import { RiskTrailError } from '../../core/errors.ts';
import type { Signer } from '../proof/note.ts';
import type { AuditInput } from '../record/audit-input.ts';
import type { EncodedRecord } from '../record/encode.ts';
import { Checkpointer, type CheckpointInfo } from './checkpointer.ts';
import type { AppendedRecord, AppendResult, Journal, JournalStats, RecoveryInfo } from './journal-types.ts';
import type { Lock } from './lock.ts';
import type { StreamWriter } from './stream-writer.ts';
import { SystemEvents } from './system-events.ts';

/** What a stream journal is made of. */
export interface StreamJournalOptions {
  readonly streamId: string;
  readonly writer: StreamWriter;
  readonly signer: Signer;
  readonly lock: Lock;
  readonly clock: Clock;
  readonly checkpointSize: number;
  readonly recovered: RecoveryInfo | undefined;
  readonly checkpointRecords: number;
  readonly checkpointIntervalMs: number;
  readonly onError: (error: unknown, what: string) => void;
  readonly onAppended?: ((record: AppendedRecord) => void) | undefined;
}

interface OutageNow {
  readonly reason: string;
  readonly fromMs: number;
  lostRecords: number;
}

/** A journal over one stream. `openJournal` makes it. */
export class StreamJournal implements Journal {
  readonly streamId: string;
  readonly recovered: RecoveryInfo | undefined;
  readonly #options: StreamJournalOptions;
  readonly #writer: StreamWriter;
  readonly #checkpointer: Checkpointer;
  readonly #events: SystemEvents;
  #state: 'open' | 'closing' | 'closed' = 'open';
  #closing: Promise<void> | undefined;
  /** The closing record is written. */
  #ended = false;
  #timer: NodeJS.Timeout | undefined;
  #outage: OutageNow | undefined;
  /** A closed segment whose record could not be written yet. */
  #sealed: { first: number; last: number } | undefined;
  #appending = false;
  #deferred: AuditInput[] = [];
  #writeErrors = 0;
  #lostRecords = 0;
  #lateReported = false;

  constructor(options: StreamJournalOptions) {
    this.#options = options;
    this.#writer = options.writer;
    this.streamId = options.streamId;
    this.recovered = options.recovered;
    this.#events = new SystemEvents(options.clock);
    this.#checkpointer = new Checkpointer({
      writer: options.writer,
      signer: options.signer,
      clock: options.clock,
      size: options.checkpointSize,
      append: (note) => this.#appendCheckpoint(note),
      onError: (error, what) => this.#report(error, what),
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
    return this.#outage !== undefined;
  }

  append(input: AuditInput): AppendResult {
    if (this.#appending) {
      // A getter or listener that emits while we encode: the outer record comes first.
      this.#deferred.push(input);
      return { recordId: '', sequence: undefined };
    }
    if (this.#state === 'closed') {
      if (!this.#lateReported) this.#report(new Error('the journal is closed'), 'append after close');
      this.#lateReported = true;
      this.#lostRecords++;
      return { recordId: '', sequence: undefined };
    }
    this.#appending = true;
    let result: AppendResult;
    try {
      const record = this.#append(input);
      result = { recordId: record.recordId, sequence: this.#writer.sequence - 1 };
      if (this.#options.onAppended !== undefined) this.#tell(input.eventName, result.sequence!, record);
    } catch (error) {
      this.#lose(error);
      result = { recordId: '', sequence: undefined };
    }
    this.#appending = false;
    if (this.#deferred.length > 0) this.#appendDeferred();
    if (this.#checkpointer.uncovered >= this.#options.checkpointRecords) {
      if (!this.#checkpointer.busy && this.#state === 'open') this.requestCheckpoint();
    } else if (this.#timer === undefined) this.#arm();
    return result;
  }

  #append(input: AuditInput): EncodedRecord {
    const writer = this.#writer;
    if (writer.rotationDue) this.#rotate();
    if (this.#outage !== undefined) this.#endOutage(this.#outage);
    if (this.#sealed !== undefined) {
      writer.append(this.#events.segmentSealed(this.#sealed.first, this.#sealed.last));
      this.#sealed = undefined;
    }
    return writer.append(input);
  }

  #appendDeferred(): void {
    const inputs = this.#deferred;
    this.#deferred = [];
    for (const input of inputs) this.append(input);
  }

  /** Brings no other record with it where the stream is closed: behind the closing record stand only checkpoints. */
  #appendCheckpoint(note: string): boolean {
    return this.#attempt(() => {
      if (this.#writer.segmentBroken) this.#rotate();
      if (this.#outage !== undefined && !this.#ended) this.#endOutage(this.#outage);
      this.#writer.append(this.#events.checkpoint(note));
    });
  }

  #attempt(action: () => void): boolean {
    try {
      action();
      return true;
    } catch (error) {
      this.#failed(error);
      return false;
    }
  }

  #rotate(): void {
    try {
      this.#sealed = this.#writer.rotate() ?? this.#sealed;
    } catch (error) {
      this.#writeErrors++;
      this.#report(error, 'new segment');
    }
  }

  /** Writing may work again: the outage is told before anything else. */
  #endOutage(outage: OutageNow): void {
    this.#writer.append(this.#events.degraded(outage));
    this.#outage = undefined;
  }

  #lose(error: unknown): void {
    this.#failed(error);
    this.#lostRecords++;
    this.#outage!.lostRecords++;
  }

  #failed(error: unknown): void {
    this.#writeErrors++;
    if (this.#outage !== undefined) return;
    const reason = (error as NodeJS.ErrnoException)?.code ?? String(error);
    this.#outage = { reason, fromMs: this.#options.clock.now(), lostRecords: 0 };
    this.#report(error, 'append');
  }

  #report(error: unknown, what: string): void {
    try {
      this.#options.onError(error, what);
    } catch {
      // There is nobody left to tell.
    }
  }

  #tell(eventName: string, sequence: number, record: EncodedRecord): void {
    const { recordId, lineBytes } = record;
    try {
      this.#options.onAppended?.({ recordId, sequence, eventName, bytes: lineBytes });
    } catch (error) {
      this.#report(error, 'listener');
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
    void this.checkpoint();
  }

  async checkpoint(): Promise<CheckpointInfo | undefined> {
    if (this.#state === 'closed') return this.#checkpointer.last;
    if (this.#outage !== undefined) this.#probe(this.#outage);
    const info = await this.#checkpointer.checkpoint();
    const more = this.#checkpointer.uncovered > 0 || this.#outage !== undefined;
    if (more && this.#timer === undefined) this.#arm();
    return info;
  }

  /** Without further events, an outage's end is found by trying. */
  #probe(outage: OutageNow): void {
    try {
      if (this.#writer.rotationDue) this.#rotate();
      this.#endOutage(outage);
    } catch {
      this.#writeErrors++;
    }
  }

  async sync(): Promise<void> {
    if (this.#state === 'closed') return;
    if (this.#outage !== undefined) throw new RiskTrailError('AUDIT_NOT_DURABLE', { reason: this.#outage.reason });
    try {
      await this.#checkpointer.sync();
    } catch (error) {
      const reason = (error as NodeJS.ErrnoException)?.code ?? String(error);
      throw new RiskTrailError('AUDIT_NOT_DURABLE', { reason }, error);
    }
  }

  close(reason: string): Promise<void> {
    this.#closing ??= this.#close(reason);
    return this.#closing;
  }

  async #close(reason: string): Promise<void> {
    if (this.#state !== 'open') return;
    this.#state = 'closing';
    await this.#checkpointer.settle();
    this.#finish(reason);
  }

  closeSync(reason: string): void {
    this.#finish(reason);
  }

  #finish(reason: string): void {
    if (this.#state === 'closed') return;
    clearTimeout(this.#timer);
    try {
      this.#ended = this.#attempt(() => this.#append(this.#events.closed(reason)));
      if (this.#ended) this.#checkpointer.finish();
    } catch (error) {
      this.#report(error, 'close');
    }
    this.#state = 'closed';
    this.#writer.close();
    this.#options.lock.release();
  }

  /** Makes the last checkpoint of a stream whose closing record stands already. */
  finishClosed(): void {
    this.#ended = true;
    try {
      this.#checkpointer.finish();
    } catch (error) {
      this.#report(error, 'close');
    }
    this.#state = 'closed';
    this.#writer.close();
    this.#options.lock.release();
  }

  stats(): JournalStats {
    const { last } = this.#checkpointer;
    return {
      records: this.#writer.sequence,
      bytes: this.#writer.bytes,
      checkpoints: this.#checkpointer.count,
      lastCheckpoint: last && { size: last.size, timeMs: last.timeMs },
      writeErrors: this.#writeErrors,
      lostRecords: this.#lostRecords,
      uncheckpointed: this.#checkpointer.uncovered,
      degraded: this.#outage !== undefined,
    };
  }
}
