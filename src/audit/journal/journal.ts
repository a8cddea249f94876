/**
 * Opens the journal of a process: keys, the stream to go on with or a new one, and the end of streams that dead writers left.
 */
import { dirname, join, resolve } from 'node:path';
import { type Clock, createSystemClock } from '../../core/clock.ts';
import { isRiskTrailError, RiskTrailError } from '../../core/errors.ts';
import { createUuidV7 } from '../../core/uuid.ts';
import type { Signer } from '../proof/note.ts';
import { makeDirectorySync, syncDirectorySync } from './durable-file.ts';
import { type JournalFs, NODE_FS } from './journal-fs.ts';
import type { AppendedRecord, Journal, RecoveryInfo } from './journal-types.ts';
import { openSigner, publishVerifierKey } from './keys.ts';
import { type Lock, tryLock } from './lock.ts';
import { Quota } from './quota.ts';
import { recoverStream } from './recovery.ts';
import { readShippedPosition } from './shipped-position.ts';
import { StreamJournal } from './stream-journal.ts';
import { emptyPosition, type StreamPosition, StreamWriter } from './stream-writer.ts';
import {
  createStreamDirectory,
  inspectStream,
  listStreams,
  lockPath,
  markDamaged,
  previousStream,
  STREAMS_DIRECTORY,
  type StreamEntry,
  streamDirectory,
} from './streams.ts';
import { configDigest, SystemEvents } from './system-events.ts';

export type { AuditInput } from '../record/audit-input.ts';
export type { AppendedRecord, DurablePosition, Journal, JournalStats, ReliedOn } from './journal-types.ts';

/** What a journal needs. */
export interface JournalOptions {
  /** Made where it is missing. */
  readonly dataDir: string;
  /** `service.name`. */
  readonly serviceName: string;
  /** PKCS#8 PEM of an Ed25519 key; without it the data directory has its own. */
  readonly signingKeyFile?: string | undefined;
  /** Resource attributes, on every line. */
  readonly resource: Readonly<Record<string, unknown>>;
  readonly scope: { readonly name: string; readonly version: string };
  readonly clock: Clock;
  /** @default DEFAULT_JOURNAL.segmentMaxBytes */
  readonly segmentMaxBytes?: number;
  /** A checkpoint is made after so many records … */
  readonly checkpointRecords?: number;
  /** … or so long after the first record that none covers, in milliseconds. */
  readonly checkpointIntervalMs?: number;
  /** A write that takes longer than this is the last one of this thread for a while. 0: none is too long. */
  readonly stallBudgetMs?: number;
  /** How many bytes of records may wait in memory while the disk is slow or can't be written. */
  readonly waitBufferBytes?: number;
  /** So long must a slow disk have been quick again before this thread writes to it, in milliseconds. */
  readonly calmMs?: number;
  /** So long after a failed write the next one is tried, in milliseconds. */
  readonly retryMs?: number;
  /** So long, in milliseconds, an end waits for what a slow disk has not taken yet. */
  readonly closeWaitMs?: number;
  /** How many bytes the streams in the data directory may have; none is deleted for it but by {@link JournalOptions.reclaim}. */
  readonly maxBytes?: number | undefined;
  /** Removes what retention keeps no longer. @returns bytes that are free now */
  readonly reclaim?: (() => Promise<number>) | undefined;
  /** The calls of the file system; Node's own by default. */
  readonly fs?: JournalFs;
  /** The settings in force: their digest stands in the stream's first record. */
  readonly config?: unknown;
  /** Told of what went wrong, with the place. */
  readonly onError: (error: unknown, what: string) => void;
  readonly onAppended?: ((record: AppendedRecord) => void) | undefined;
}

type JournalDefaults = Required<
  Pick<
    JournalOptions,
    | 'segmentMaxBytes'
    | 'checkpointRecords'
    | 'checkpointIntervalMs'
    | 'stallBudgetMs'
    | 'waitBufferBytes'
    | 'calmMs'
    | 'retryMs'
    | 'closeWaitMs'
    | 'fs'
  >
>;

/** Settings that hold where an option is absent. */
const DEFAULT_JOURNAL: JournalDefaults = Object.freeze({
  segmentMaxBytes: 10_000_000,
  checkpointRecords: 1000,
  checkpointIntervalMs: 1000,
  stallBudgetMs: 20,
  waitBufferBytes: 33_554_432,
  calmMs: 1000,
  retryMs: 100,
  closeWaitMs: 5000,
  fs: NODE_FS,
});

/** A stream that this process may write to. */
interface Claim {
  readonly id: string;
  readonly lock: Lock;
  readonly position: StreamPosition;
  readonly recovered: RecoveryInfo | undefined;
}

/** `<service>` of `audit.stream`: what stands outside `A-Za-z0-9._-` becomes `_`. */
function serviceOf(serviceName: string): string {
  return serviceName.replace(/[^A-Za-z0-9._-]/gu, '_');
}

/**
 * Opens the journal: goes on with the newest stream that a dead writer of this service left, closes the others, or begins a
 * new stream. Synchronous, so that a record can be taken from a program's first line on.
 * @throws RiskTrailError AUDIT_DIRECTORY_UNUSABLE, SIGNING_KEY_UNREADABLE, SIGNING_KEY_INVALID, SIGNING_KEY_NOT_ED25519,
 *   KEY_NAME_INVALID
 */
export function openJournal(options: JournalOptions): Journal {
  const dataDir = resolve(options.dataDir);
  try {
    makeDirectorySync(join(dataDir, STREAMS_DIRECTORY));
    const opener = new Opener({ ...DEFAULT_JOURNAL, ...withoutUndefined(options), dataDir });
    return opener.open();
  } catch (error) {
    if (isRiskTrailError(error)) throw error;
    throw new RiskTrailError('AUDIT_DIRECTORY_UNUSABLE', { path: dataDir, reason: (error as Error).message }, error);
  }
}

function withoutUndefined<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
}

/**
 * What left the machine can't be unsaid: a number that a receiver holds must not be given again, to another record.
 * @returns why the stream can't be gone on with
 */
function shorterThanShipped(
  { directory, stream }: StreamEntry,
  { position }: { readonly position: StreamPosition },
): { readonly kind: 'damaged'; readonly reason: string } | undefined {
  const shipped = readShippedPosition(directory);
  if (shipped?.stream !== stream || shipped.sequence <= position.sequence) return undefined;
  const reason = `${position.sequence} records stand and ${shipped.sequence} were shipped`;
  return { kind: 'damaged', reason };
}

class Opener {
  readonly #options: JournalOptions & JournalDefaults;
  readonly #service: string;
  readonly #signer: Signer;
  readonly #ticks = createSystemClock();

  constructor(options: JournalOptions & JournalDefaults) {
    this.#options = options;
    this.#service = serviceOf(options.serviceName);
    this.#signer = openSigner(options.dataDir, this.#service, options.signingKeyFile, (message) =>
      options.onError(new Error(message), 'signing key'),
    );
    publishVerifierKey(options.dataDir, this.#signer.vkey);
  }

  open(): Journal {
    let mine: Claim | undefined;
    let damaged: StreamEntry | undefined;
    for (const entry of this.#list()) {
      if (entry.status !== 'open') continue;
      try {
        const claim = this.#claim(entry);
        if (claim === 'damaged') damaged ??= entry;
        else if (claim === undefined) continue;
        else if (mine === undefined && damaged === undefined && !claim.closed) mine = claim;
        else this.#abandon(claim);
      } catch (error) {
        this.#options.onError(error, `stream ${entry.stream}`);
      }
    }
    // Newest first: where a damaged one came before any sound one, a new stream names it.
    if (mine === undefined) return this.#begin(damaged);
    const journal = this.#journal(mine);
    const { records, cutBytes } = mine.recovered!;
    journal.append(new SystemEvents(this.#options.clock).recovered(records, cutBytes));
    return journal;
  }

  #list(): StreamEntry[] {
    return listStreams(this.#options.dataDir, this.#service);
  }

  /** Takes a dead writer's stream; undefined where its writer lives or it ended meanwhile. */
  #claim(entry: StreamEntry): (Claim & { closed: boolean }) | 'damaged' | undefined {
    // A copy of the trail may lack folders that were empty: the stream would be passed over, and an older one gone on from.
    createStreamDirectory(entry.directory);
    const lock = tryLock(lockPath(entry.directory));
    if (lock === undefined) return undefined;
    try {
      const now = inspectStream(this.#options.dataDir, this.#service, entry.id);
      const recovered = now?.status === 'open' ? recoverStream(entry.directory, entry.stream, now.files) : undefined;
      const found = recovered?.kind === 'sound' ? (shorterThanShipped(entry, recovered) ?? recovered) : recovered;
      if (found?.kind === 'sound') {
        const { position, cutBytes, closed } = found;
        return { id: entry.id, lock, position, recovered: { records: position.sequence, cutBytes }, closed };
      }
      if (found?.kind === 'damaged') {
        markDamaged(entry.directory, found.reason);
        this.#options.onError(new Error(found.reason), `stream ${entry.stream} is damaged and not continued`);
      }
      lock.release();
      return found?.kind === 'damaged' ? 'damaged' : undefined;
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /** Ends a stream in its dead writer's place. */
  #abandon(claim: Claim & { closed: boolean }): void {
    const journal = this.#journal(claim);
    if (claim.closed) {
      journal.finishClosed();
      return;
    }
    const { records, cutBytes } = claim.recovered!;
    journal.append(new SystemEvents(this.#options.clock).recovered(records, cutBytes));
    journal.closeSync('abandoned');
  }

  #begin(damaged: StreamEntry | undefined): Journal {
    const { dataDir, clock, config } = this.#options;
    const previous = previousStream(this.#list(), damaged);
    // Streams sort by when they were really begun, also where the trail's own clock is a simulated one.
    const id = createUuidV7()(createSystemClock().now());
    const directory = streamDirectory(dataDir, id);
    createStreamDirectory(directory);
    syncDirectorySync(dirname(directory));
    syncDirectorySync(dataDir);
    const lock = tryLock(lockPath(directory));
    if (lock === undefined) throw new Error(`the lock of the new stream ${id} is taken`);
    const journal = this.#journal({ id, lock, position: emptyPosition(), recovered: undefined });
    const opened = new SystemEvents(clock).opened(this.#signer.vkey, configDigest(config), previous);
    if (journal.append(opened).sequence === undefined) {
      journal.closeSync('start_failed');
      throw new Error(`the first record of ${directory} could not be written`);
    }
    return journal;
  }

  #journal({ id, lock, position, recovered }: Claim): StreamJournal {
    const { segmentMaxBytes, resource, scope, waitBufferBytes, fs, onAppended } = this.#options;
    const { stallBudgetMs, dataDir } = this.#options;
    const directory = streamDirectory(dataDir, id);
    let writer: StreamWriter;
    let quota: Quota | undefined;
    try {
      writer = new StreamWriter({
        stream: `${this.#service}/${id}`,
        directory,
        segmentMaxBytes,
        waitBufferBytes,
        resource,
        scope,
        position,
        fs,
        onWritten:
          onAppended && (({ recordId, eventName, bytes }, sequence) => tell({ recordId, sequence, eventName, bytes })),
      });
      quota = this.#quota(() => writer.bytes);
    } catch (error) {
      lock.release();
      throw error;
    }
    const tell = (record: AppendedRecord) => {
      try {
        onAppended?.(record);
      } catch (error) {
        this.#options.onError(error, 'listener');
      }
    };
    return new StreamJournal({
      ...this.#options,
      streamId: id,
      writer,
      quota,
      signer: this.#signer,
      lock,
      remakeDirectory: () => this.#remake(directory),
      ticks: this.#ticks,
      stallBudgetMs: stallBudgetMs === 0 ? Number.POSITIVE_INFINITY : stallBudgetMs,
      checkpointSize: position.checkpointSize,
      recovered,
    });
  }

  #quota(appended: () => number): Quota | undefined {
    const { maxBytes, reclaim, onError, dataDir } = this.#options;
    if (maxBytes === undefined) return undefined;
    const directory = join(dataDir, STREAMS_DIRECTORY);
    return new Quota({ maxBytes, directory, appended, reclaim, ticks: this.#ticks, onError });
  }

  /** After somebody deleted the folder of a stream that is being written: the lock in it is gone as well. */
  #remake(directory: string): Lock {
    const { dataDir, fs } = this.#options;
    createStreamDirectory(directory);
    for (const path of [dirname(directory), dataDir]) syncDirectorySync(path, fs);
    const lock = tryLock(lockPath(directory));
    if (lock === undefined) throw new Error(`another process holds the lock of ${directory}`);
    publishVerifierKey(dataDir, this.#signer.vkey);
    return lock;
  }
}
