/**
 * Puts a stream on disk and signs its tree, beside the hot path: what is signed is what was synced, and appending goes on
 * meanwhile. Order of a checkpoint: take the tree's state → fdatasync of all that it stands on → sign → append the
 * checkpoint's record → replace the file `checkpoint`.
 */
import { join } from 'node:path';
import type { Clock } from '../../core/clock.ts';
import { nextTurn } from '../../core/next-turn.ts';
import { formatCheckpoint, type Signer } from '../proof/note.ts';
import { PRIVATE_FILE_MODE, replaceFile, replaceFileSync, syncDirectory, syncDirectorySync } from './durable-file.ts';
import type { JournalFs } from './journal-fs.ts';
import type { DurablePosition } from './journal-types.ts';
import { formatResumePoint, resumePointPath } from './resume-point.ts';
import type { Segment } from './segment.ts';
import { CHECKPOINT_FILE } from './segment-files.ts';
import type { StreamWriter, TreePoint } from './stream-writer.ts';

/** A signed checkpoint. */
export interface CheckpointInfo {
  readonly size: number;
  readonly note: string;
  /** When it was signed, epoch milliseconds. */
  readonly timeMs: number;
}

export interface CheckpointerOptions {
  readonly writer: StreamWriter;
  readonly signer: Signer;
  readonly fs: JournalFs;
  readonly clock: Clock;
  /** Size of the newest checkpoint signed before. */
  readonly size: number;
  /** Appends the checkpoint's record. @returns whether it was written */
  readonly append: (note: string) => boolean;
  /** Sees to it that nothing writes to the current file any more: its sync failed. */
  readonly stepAside: (error: unknown) => Promise<void>;
  /** Told after each sync. */
  readonly onDurable: (position: DurablePosition) => void;
  /** Told of each checkpoint whose file is in place. */
  readonly onCheckpoint: (checkpoint: CheckpointInfo) => void;
  readonly onError: (error: unknown, what: string) => void;
}

/** How often a sync is tried on new files before it is given up for this time. */
const MAX_SYNC_TURNS = 3;
/** How many leaves are hashed into the tree in one turn of the event loop. */
const SETTLE_LEAVES = 512;

export class Checkpointer {
  readonly #options: CheckpointerOptions;
  readonly #writer: StreamWriter;
  #size: number;
  #coveredPlainRecords: number;
  #count = 0;
  #last: CheckpointInfo | undefined;
  #syncing: Promise<void> | undefined;
  #nextSync: Promise<void> | undefined;
  #signing: Promise<CheckpointInfo | undefined> | undefined;
  #nextSigning: Promise<CheckpointInfo | undefined> | undefined;
  #finished = false;

  constructor(options: CheckpointerOptions) {
    this.#options = options;
    this.#writer = options.writer;
    this.#size = options.size;
    this.#coveredPlainRecords = options.size;
  }

  /** Records other than checkpoints that no checkpoint covers. */
  get uncovered(): number {
    return this.#writer.plainRecords - this.#coveredPlainRecords;
  }

  /** Whether a checkpoint is being made. */
  get busy(): boolean {
    return this.#signing !== undefined;
  }

  /** Checkpoints made. */
  get count(): number {
    return this.#count;
  }

  get last(): CheckpointInfo | undefined {
    return this.#last;
  }

  /** Resolves when all that was appended before the call is on disk. Calls that come together share one fdatasync. */
  sync(): Promise<void> {
    if (this.#syncing === undefined) {
      this.#syncing = this.#sync().finally(() => {
        this.#syncing = undefined;
      });
      return this.#syncing;
    }
    // The running one may have begun before the caller's last record was written.
    this.#nextSync ??= this.#syncing
      .catch(() => {})
      .then(() => {
        this.#nextSync = undefined;
        return this.sync();
      });
    return this.#nextSync;
  }

  async #sync(): Promise<void> {
    const writer = this.#writer;
    let written: DurablePosition;
    for (let turn = 1; ; turn++) {
      written = writer.written();
      const segments = writer.unsyncedSegments();
      const results = await Promise.allSettled(segments.map((segment) => segment.sync()));
      if (this.#finished) return;
      const failed = segments.filter((_, index) => results[index]!.status === 'rejected');
      if (failed.length === 0) break;
      const { reason } = results.find((result) => result.status === 'rejected')!;
      if (failed.includes(writer.segment)) await this.#options.stepAside(reason);
      if (this.#finished) return;
      this.#replaceFailed(failed, reason, turn);
    }
    if (writer.directoryUnsynced) {
      writer.directoryUnsynced = false;
      try {
        await syncDirectory(writer.directory, this.#options.fs);
      } catch (error) {
        writer.directoryUnsynced = true;
        throw error;
      }
    }
    if (this.#finished) return;
    writer.releaseSynced();
    this.#options.onDurable(written);
  }

  #replaceFailed(failed: readonly Segment[], reason: unknown, turn: number): void {
    this.#options.onError(reason, 'sync of a segment; its records go to a new file');
    if (turn >= MAX_SYNC_TURNS) throw reason;
    for (const segment of failed) this.#writer.replace(segment);
  }

  /**
   * Signs a checkpoint over all that was appended before the call, unless nothing but checkpoints is uncovered.
   * Never rejects: a failure is reported, and the next call tries again.
   */
  checkpoint(): Promise<CheckpointInfo | undefined> {
    if (this.#signing === undefined) {
      this.#signing = this.#checkpoint().finally(() => {
        this.#signing = undefined;
      });
      return this.#signing;
    }
    this.#nextSigning ??= this.#signing.then(() => {
      this.#nextSigning = undefined;
      return this.checkpoint();
    });
    return this.#nextSigning;
  }

  async #checkpoint(): Promise<CheckpointInfo | undefined> {
    if (this.uncovered <= 0 || this.#finished) return this.#last;
    try {
      // Not within the `append` that made it due.
      await nextTurn();
      if (this.#finished) return this.#last;
      const point = await this.#writer.pointInSteps(SETTLE_LEAVES, nextTurn);
      await this.sync();
      // A close that didn't wait has signed more by now.
      if (this.#finished) return this.#last;
      const info = this.#sign(point);
      if (info === undefined) return this.#last;
      await replaceFile(this.#checkpointPath, info.note, PRIVATE_FILE_MODE, this.#options.fs);
      if (this.#finished && this.#last !== undefined) this.saveNote();
      else {
        this.#options.onCheckpoint(info);
        await this.#saveResumePoint(point);
      }
    } catch (error) {
      if (!this.#finished) this.#options.onError(error, 'checkpoint');
    }
    return this.#last;
  }

  #sign(point: TreePoint): CheckpointInfo | undefined {
    const { signer, clock, append } = this.#options;
    const { stream } = this.#writer;
    const note = signer.sign(formatCheckpoint({ origin: stream, size: point.size, root: point.frontier.root() }));
    if (!append(note)) return undefined;
    this.#size = point.size;
    this.#coveredPlainRecords = point.plainRecords;
    this.#count++;
    this.#last = { size: point.size, note, timeMs: clock.now() };
    return this.#last;
  }

  get #checkpointPath(): string {
    return join(this.#writer.directory, CHECKPOINT_FILE);
  }

  /** What is signed the next start need not read. */
  async #saveResumePoint(signed: TreePoint): Promise<void> {
    const resume = this.#writer.takeResumePoint(signed);
    if (resume === undefined) return;
    const { directory, stream } = this.#writer;
    const text = formatResumePoint(stream, resume);
    await replaceFile(resumePointPath(directory), text, PRIVATE_FILE_MODE, this.#options.fs);
  }

  /** Writes the file of the newest checkpoint, waiting for it. @throws the system's error */
  saveNote(): void {
    if (this.#last === undefined) return;
    replaceFileSync(this.#checkpointPath, this.#last.note, PRIVATE_FILE_MODE, this.#options.fs);
  }

  /** Waits for what is under way. */
  async settle(): Promise<void> {
    while (this.#signing !== undefined || this.#syncing !== undefined) {
      await Promise.allSettled([this.#signing, this.#syncing]);
    }
  }

  /**
   * The last checkpoint: covers every record that isn't itself a checkpoint, and is on disk when this returns. Blocks; used
   * where a stream ends. What is under way finds itself finished.
   * @throws the system's error
   */
  finish(): void {
    this.#finished = true;
    this.#syncNow();
    if (this.uncovered <= 0) return;
    const info = this.#sign(this.#writer.point());
    if (info === undefined) return;
    this.#syncNow();
    this.saveNote();
    this.#options.onCheckpoint(info);
  }

  #syncNow(): void {
    const writer = this.#writer;
    for (let turn = 1; ; turn++) {
      const segments = writer.unsyncedSegments();
      const failed: Segment[] = [];
      let reason: unknown;
      for (const segment of segments) {
        try {
          segment.syncNow();
        } catch (error) {
          failed.push(segment);
          reason = error;
        }
      }
      if (failed.length === 0) break;
      this.#replaceFailed(failed, reason, turn);
    }
    if (writer.directoryUnsynced) {
      syncDirectorySync(writer.directory, this.#options.fs);
      writer.directoryUnsynced = false;
    }
    this.#options.onDurable(writer.written());
  }
}
