/** What a journal is to those who use it. `openJournal` opens one. */

import type { Subscription } from '../../core/listeners.ts';
import type { AuditInput } from '../record/audit-input.ts';
import type { CheckpointInfo } from './checkpointer.ts';

/**
 * When whoever appends a record relies on it. `append`: as soon as `append` returns; the record is with the operating system
 * then, wherever it can be. `commit`: once the promise resolves that `append` gives; until then the record may be in memory, so
 * that those which come together are written in one go.
 */
export type ReliedOn = 'append' | 'commit';

/** What `append` did. */
export interface AppendResult {
  /** `audit.record.id`; empty where the record was lost, or comes after the one that is being made. */
  readonly recordId: string;
  /** The record's number; only where it is with the operating system already. */
  readonly sequence: number | undefined;
  /**
   * `written`: with the operating system. `waiting`: in memory, because the disk is slow or can't be written, or until the
   * commit; it is written as soon as that is possible, in order, and lost if the process is killed before. `lost`: there was no
   * room for it.
   */
  readonly state: 'written' | 'waiting' | 'lost';
  /**
   * Where it is relied on once it is committed: resolves when the record is on disk, rejects with RiskTrailError
   * AUDIT_NOT_DURABLE where it isn't. Need not be waited for.
   */
  readonly committed?: Promise<void>;
}

/** Told of each record that was written. */
export interface AppendedRecord {
  readonly recordId: string;
  readonly sequence: number;
  readonly eventName: string;
  /** Length of the line. */
  readonly bytes: number;
}

/** Figures of one journal since it was opened. */
export interface JournalStats {
  /** Records in the stream, those of before a recovery and those that wait included: the next number. */
  readonly records: number;
  /** Bytes that this journal has written. */
  readonly bytes: number;
  /** Checkpoints signed by this journal. */
  readonly checkpoints: number;
  readonly lastCheckpoint: { readonly size: number; readonly timeMs: number } | undefined;
  /** Writes that failed. */
  readonly writeErrors: number;
  /** Events that could not be recorded, and records that somebody deleted from under the writer. */
  readonly lostRecords: number;
  /** Written records other than checkpoints that no checkpoint covers yet. */
  readonly uncheckpointed: number;
  /** Whether records can't be written or are being lost at the moment. */
  readonly degraded: boolean;
  /** `direct`: as ever. `buffered`: the disk is slow, a thread of ours writes. `failing`: records wait until writing works. */
  readonly mode: 'direct' | 'buffered' | 'failing';
  /** What waits in memory, and how much may. */
  readonly waiting: { readonly records: number; readonly bytes: number; readonly capacityBytes: number };
  /** Writes that took longer than the stall budget. */
  readonly stalls: number;
  /** How often the wall clock was set by more than a second against the monotonic one. */
  readonly clockSteps: number;
  /** The records with numbers below it are known to be on disk; undefined before the first sync. */
  readonly durableSequence: number | undefined;
  /** Free space for this user on the journal's file system, as of the last look; undefined where that isn't known. */
  readonly diskFreeBytes: number | undefined;
}

/** What a recovery found. */
export interface RecoveryInfo {
  readonly records: number;
  readonly cutBytes: number;
}

/** How much of a stream is known to be on disk: all that may leave the machine. */
export interface DurablePosition {
  /** The stream's folder. */
  readonly directory: string;
  /** `<service>/<stream UUID>` */
  readonly stream: string;
  /** Name of the segment that is written to. The segments before it are on disk whole. */
  readonly file: string;
  /** How much of that segment is on disk: whole lines. */
  readonly bytes: number;
  /** The records with numbers below it are on disk. */
  readonly sequence: number;
}

export interface Journal {
  /** `<service>/<stream UUID>`, the origin of its checkpoints. */
  readonly stream: string;
  readonly streamId: string;
  /** The stream's folder. */
  readonly directory: string;
  /** The public key that verifies its checkpoints. */
  readonly vkey: string;
  /** Set where the stream of a dead writer is gone on with. */
  readonly recovered: RecoveryInfo | undefined;
  /** Whether records can't be written, or are being lost, at the moment. */
  readonly failing: boolean;
  /** Records one event. Never throws. @param reliedOn `append` by default */
  append(input: AuditInput, reliedOn?: ReliedOn): AppendResult;
  /** Begins a checkpoint now. Doesn't wait. */
  requestCheckpoint(): void;
  /** Makes a checkpoint over all that was appended before. @returns the newest one */
  checkpoint(): Promise<CheckpointInfo | undefined>;
  /**
   * Resolves when all that was appended before is on disk.
   * @throws RiskTrailError AUDIT_NOT_DURABLE
   */
  sync(): Promise<void>;
  /**
   * Resolves when all that was appended before is on disk, as {@link sync} does: calls that come together share one
   * `fdatasync`.
   * @throws RiskTrailError AUDIT_NOT_DURABLE
   */
  commit(): Promise<void>;
  /** Tells `listener` after each sync of what is on disk now, and at once where that is known already. */
  onDurable(listener: (position: DurablePosition) => void): Subscription;
  /** Tells `listener` of each checkpoint once its file is in place. */
  onCheckpoint(listener: (checkpoint: CheckpointInfo) => void): Subscription;
  /** The current segment gets no further record: the next one begins a new file. */
  closeSegment(): void;
  /** Closes the stream in order. Concurrent and further calls share one promise, which doesn't reject. */
  close(reason: string): Promise<void>;
  /** {@link close} without waiting for anything but, for a bounded time, what a slow disk has not taken yet. */
  closeSync(reason: string): void;
  stats(): JournalStats;
}
