/**
 * Removes the oldest segments of a trail, by choice only. What goes is the beginning of a stream (or all of one that was
 * closed), only where a signed checkpoint covers it and, where the trail is shipped, a reconciled copy holds it. The order:
 *
 * 1. The worker reads what is to go, hashes every record again, and makes the account of it: the subtree hashes below the
 *    first checkpoint that covers it all. What was changed or lacks a number is evidence: it is told, and nothing goes.
 * 2. The account is appended to the running stream as `audit.segment_pruned`, and behind it every account of other streams
 *    that stood among the records that go, so that what a stream says of others outlives it.
 * 3. A checkpoint is made that covers these records; they and the checkpoint are on disk.
 * 4. The account is noted in the pruned stream's `state/pruned.json` (temporary file, sync, rename, sync of its directory).
 * 5. The files are removed, oldest first; the directory is synced. Of a stream that goes whole, the file `checkpoint`, then
 *    the state folder and the stream's own follow.
 *
 * A process that dies before step 4 leaves files that are accounted for and still there, which a verifier passes over; the
 * next run makes the account again. One that dies behind it leaves files that the next run removes without another record.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../core/clock.ts';
import type { CheckpointInfo } from '../journal/checkpointer.ts';
import type { AppendResult } from '../journal/journal-types.ts';
import { VERIFIER_KEY_FILE } from '../journal/keys.ts';
import { type Lock, tryLock } from '../journal/lock.ts';
import { noteStatement, type PruneAccount, type PrunedState, readPrunedState } from '../journal/pruned-state.ts';
import { readCheckpointFile } from '../journal/recovery.ts';
import { listSegmentFiles, listSegments, type SegmentFile } from '../journal/segment-files.ts';
import { inspectStream, lockPath, STREAMS_DIRECTORY, streamDirectory } from '../journal/streams.ts';
import { SystemEvents } from '../journal/system-events.ts';
import type { AuditInput } from '../record/audit-input.ts';
import { notePruned, removePruned } from './prune-files.ts';
import { type PrunePlan, planPruning, type RetentionPolicy } from './prune-plan.ts';
import type { RetainRunner } from './retain-jobs.ts';
import type { RetainedStream } from './retained-stream.ts';
import type { LiveStream, Sealer } from './sealer.ts';

/** The running journal, as far as retention needs it. */
export interface RetentionJournal extends LiveStream {
  append(input: AuditInput): AppendResult;
  checkpoint(): Promise<CheckpointInfo | undefined>;
  sync(): Promise<void>;
}

export interface RetentionOptions {
  readonly dataDir: string;
  readonly journal: RetentionJournal;
  readonly runner: RetainRunner;
  /** Sealing and pruning never meet: `sealer.exclusive`, and what it can still seal counts as reclaimed. */
  readonly sealer: Pick<Sealer, 'exclusive' | 'sealLive' | 'sealEnded'>;
  readonly clock: Clock;
  readonly policy: RetentionPolicy;
  /** Where the trail is shipped, only what a reconciled copy holds is removed. */
  readonly shipping: boolean;
  /** Told of what could not be removed, and why. */
  readonly onError: (error: unknown, what: string) => void;
}

/** What one run did. */
export interface RetentionResult {
  readonly removedSegments: number;
  readonly removedBytes: number;
  /** Closed streams of which nothing is left. */
  readonly removedStreams: number;
  /** Segments that are due, but not covered by a checkpoint. */
  readonly heldForCheckpoint: number;
  /** Segments that are due, but of which no copy is known to hold everything. */
  readonly heldForCopy: number;
  /** Streams that were left alone because their records are not what was signed, or could not be read. */
  readonly refusedStreams: number;
}

/** One stream's part of a run. */
interface Removal {
  readonly of: RetainedStream;
  readonly state: PrunedState;
  readonly others: readonly PruneAccount[];
}

const MAX_COVER_TURNS = 3;

export class Retention {
  readonly #options: RetentionOptions;
  readonly #service: string;
  readonly #events: SystemEvents;
  #running: Promise<RetentionResult> | undefined;

  constructor(options: RetentionOptions) {
    this.#options = options;
    const { stream, streamId } = options.journal;
    this.#service = stream.slice(0, -streamId.length - 1);
    this.#events = new SystemEvents(options.clock);
  }

  /**
   * Removes what the policy says, as far as checkpoints and copies allow. Concurrent calls share one run. Never rejects: what
   * went wrong is told, and the next run tries again.
   */
  run(): Promise<RetentionResult> {
    this.#running ??= this.#options.sealer
      .exclusive(() => new RetentionRun(this.#options, this.#service, this.#events).run())
      .finally(() => {
        this.#running = undefined;
      });
    return this.#running;
  }

  /** Makes room: seals what is due and removes what the policy allows. @returns how many bytes became free */
  async reclaim(): Promise<number> {
    const { sealer } = this.#options;
    const sealed = (await sealer.sealLive()) + (await sealer.sealEnded());
    return sealed + (await this.run()).removedBytes;
  }
}

class RetentionRun {
  readonly #options: RetentionOptions;
  readonly #service: string;
  readonly #events: SystemEvents;
  readonly #locks = new Map<string, Lock>();
  #removed = { segments: 0, bytes: 0, streams: 0 };
  #refused = 0;

  constructor(options: RetentionOptions, service: string, events: SystemEvents) {
    this.#options = options;
    this.#service = service;
    this.#events = events;
  }

  async run(): Promise<RetentionResult> {
    let plan: PrunePlan | undefined;
    try {
      if (Object.values(this.#options.policy).some((value) => value !== undefined)) plan = await this.#run();
    } catch (error) {
      this.#options.onError(error, 'retention');
    } finally {
      for (const lock of this.#locks.values()) lock.release();
    }
    return {
      removedSegments: this.#removed.segments,
      removedBytes: this.#removed.bytes,
      removedStreams: this.#removed.streams,
      heldForCheckpoint: plan?.heldForCheckpoint ?? 0,
      heldForCopy: plan?.heldForCopy ?? 0,
      refusedStreams: this.#refused,
    };
  }

  async #run(): Promise<PrunePlan> {
    const { clock, policy } = this.#options;
    const streams: RetainedStream[] = [];
    const others = { bytes: 0, segments: 0 };
    for (const id of this.#streamIds()) {
      const stream = await this.#lookAt(id, others);
      if (stream !== undefined) streams.push(stream);
    }
    const segments = streams.flatMap((one) => one.segments);
    const plan = planPruning(policy, clock.now(), segments, others);
    const tellers = streams.map((one) => listSegments(one.directory));
    const removals: Removal[] = [];
    for (const stream of streams) {
      const count = plan.remove.get(stream.stream) ?? 0;
      const removal = count === 0 ? undefined : await this.#account(stream, count, tellers);
      if (removal !== undefined) removals.push(removal);
    }
    if (removals.length > 0 && (await this.#tell(removals))) {
      for (const { of, state } of removals) {
        await notePruned(of.directory, state);
        await this.#remove(of.directory, state);
      }
    }
    return plan;
  }

  /** Oldest first. */
  #streamIds(): string[] {
    return readdirSync(join(this.#options.dataDir, STREAMS_DIRECTORY)).sort();
  }

  /** A stream that may be pruned; what may not only counts. */
  async #lookAt(id: string, others: { bytes: number; segments: number }): Promise<RetainedStream | undefined> {
    const { dataDir, journal, shipping } = this.#options;
    const directory = streamDirectory(dataDir, id);
    const stream = `${this.#service}/${id}`;
    const live = id === journal.streamId;
    try {
      const before = readPrunedState(directory, stream);
      if (before !== undefined && (live || this.#lock(directory))) await this.#remove(directory, before);
      if (before?.border === 'all') return undefined;
      const status = live ? 'live' : inspectStream(dataDir, this.#service, id)?.status;
      if (status === undefined) return undefined;
      // What is damaged is evidence, and what is open has a writer or is ended by the next start.
      if (status !== 'live' && status !== 'closed') {
        countFiles(directory, others);
        return undefined;
      }
      const retained = await this.#options.runner.run({ kind: 'look', stream, directory, live, shipping });
      if (retained.current !== undefined) {
        others.bytes += retained.current.bytes;
        others.segments++;
      }
      return retained;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#refuse(stream, error);
      return undefined;
    }
  }

  /** @returns false where another process is at the stream */
  #lock(directory: string): boolean {
    if (this.#locks.has(directory)) return true;
    const lock = tryLock(lockPath(directory));
    if (lock !== undefined) this.#locks.set(directory, lock);
    return lock !== undefined;
  }

  /** Has the account made of a stream's first `count` segments. */
  async #account(of: RetainedStream, count: number, tellers: readonly SegmentFile[][]): Promise<Removal | undefined> {
    const { stream, directory, segments, current } = of;
    const border = count === segments.length && current === undefined ? 'all' : segments[count - 1]!.end;
    try {
      if (current === undefined && !this.#lock(directory)) return undefined;
      const result = await this.#options.runner.run({
        kind: 'scan',
        stream,
        files: listSegments(directory),
        before: readPrunedState(directory, stream)?.account,
        tellers,
        border,
        vkeys: readVerifierKeys(this.#options.dataDir),
      });
      if (result.kind === 'refused') throw new Error(result.reason);
      const signed = noteStatement(readCheckpointFile(directory) ?? '')?.size ?? 0;
      if (border === 'all' && signed > result.account.size) throw new Error(`records below ${signed} are missing`);
      return { of, state: { account: result.account, border }, others: result.others };
    } catch (error) {
      this.#refuse(stream, error);
      return undefined;
    }
  }

  #refuse(stream: string, error: unknown): void {
    this.#refused++;
    this.#options.onError(error, `retention of stream ${stream}: nothing of it was removed`);
  }

  /** @returns whether the accounts stand in the running stream, covered by a checkpoint, on disk */
  async #tell(removals: readonly Removal[]): Promise<boolean> {
    const { journal } = this.#options;
    const accounts = new Map<string, PruneAccount>();
    // The running stream's own stands first: what it says of others stands behind it.
    const own = removals.filter(({ of }) => of.stream === journal.stream);
    for (const { state } of [...own, ...removals]) accounts.set(state.account.stream, state.account);
    for (const { others } of removals) {
      for (const one of others) {
        const known = accounts.get(one.stream);
        if (one.stream !== journal.stream && (known?.size ?? 0) < one.size) accounts.set(one.stream, one);
      }
    }
    let last = -1;
    for (const account of accounts.values()) {
      const { sequence } = journal.append(this.#events.segmentPruned(account));
      if (sequence === undefined) throw new Error('the journal can not be written');
      last = sequence;
    }
    for (let turn = 0; turn < MAX_COVER_TURNS; turn++) {
      const info = await journal.checkpoint();
      if (info === undefined || info.size <= last) continue;
      await journal.sync();
      return true;
    }
    throw new Error('no checkpoint covers the account of what is to be removed');
  }

  async #remove(directory: string, state: PrunedState): Promise<void> {
    const { segments, bytes, stream } = await removePruned(directory, state);
    this.#removed.segments += segments;
    this.#removed.bytes += bytes;
    if (stream) this.#removed.streams++;
  }
}

function countFiles(directory: string, others: { bytes: number; segments: number }): void {
  for (const file of listSegmentFiles(directory)) {
    others.bytes += statSync(file.path).size;
    if (!file.sealed) others.segments++;
  }
}

function readVerifierKeys(dataDir: string): string[] {
  return readFileSync(join(dataDir, VERIFIER_KEY_FILE), 'utf8')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}
