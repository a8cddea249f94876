/** What a journal is to those who use it. `openJournal` opens one. */

import type { AuditInput } from '../record/audit-input.ts';
import type { CheckpointInfo } from './checkpointer.ts';

/** What `append` did. */
export interface AppendResult {
  /** `audit.record.id`; empty where the journal was already closed. */
  readonly recordId: string;
  /** The record's number; undefined where it could not be written. */
  readonly sequence: number | undefined;
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
  /** Records in the stream, those of before a recovery included: the next number. */
  readonly records: number;
  /** Bytes appended by this journal. */
  readonly bytes: number;
  /** Checkpoints signed by this journal. */
  readonly checkpoints: number;
  readonly lastCheckpoint: { readonly size: number; readonly timeMs: number } | undefined;
  /** Writes that failed. */
  readonly writeErrors: number;
  /** Events that could not be recorded. */
  readonly lostRecords: number;
  /** Records other than checkpoints that no checkpoint covers yet. */
  readonly uncheckpointed: number;
  /** Whether writing is impossible at the moment. */
  readonly degraded: boolean;
}

/** What a recovery found. */
export interface RecoveryInfo {
  readonly records: number;
  readonly cutBytes: number;
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
  /** Whether writing is impossible at the moment. */
  readonly failing: boolean;
  /** Records one event. Never throws. */
  append(input: AuditInput): AppendResult;
  /** Begins a checkpoint now. Doesn't wait. */
  requestCheckpoint(): void;
  /** Makes a checkpoint over all that was appended before. @returns the newest one */
  checkpoint(): Promise<CheckpointInfo | undefined>;
  /**
   * Resolves when all that was appended before is on disk.
   * @throws RiskTrailError AUDIT_NOT_DURABLE
   */
  sync(): Promise<void>;
  /** Closes the stream in order. Concurrent and further calls share one promise, which doesn't reject. */
  close(reason: string): Promise<void>;
  /** {@link close} without waiting for anything: for the end of the process. */
  closeSync(reason: string): void;
  stats(): JournalStats;
}
