/**
 * Compares the copies of a trail: the journal, the files that a Collector wrote, Loki. Per stream and copy: which numbers it
 * holds, lacks, holds twice, and where it disagrees. What was reconciled is noted beside the journal for retention to go by.
 */
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock } from '../../core/clock.ts';
import { RiskTrailError } from '../../core/errors.ts';
import { replaceFile } from '../journal/durable-file.ts';
import { readShippedPosition } from '../journal/shipped-position.ts';
import { findTrailFiles } from '../read/files.ts';
import { reconciledPositionPath } from '../retain/reconciled-position.ts';
import { readFileCopy } from './file-copy.ts';
import { type LokiSource, readLokiCopy } from './loki-copy.ts';
import { countOf, type SequenceRange, unite } from './sequence-set.ts';
import { StreamLedger } from './stream-ledger.ts';

/** What to compare. */
export interface ReconcileOptions {
  /** The data directory. */
  readonly directory: string;
  /** Files and directories of one copy, as a Collector wrote it. */
  readonly files?: readonly string[] | undefined;
  readonly loki?: LokiSource | undefined;
  readonly clock: Clock;
  /** Whether `state/reconciled.json` is written in each stream's folder. @default true */
  readonly note?: boolean | undefined;
  /** Told where the note could not be written. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** What one copy holds of a stream. */
export interface CopyReport {
  readonly copy: 'journal' | 'files' | 'loki';
  /** Distinct numbers held. */
  readonly records: number;
  readonly held: readonly SequenceRange[];
  /** Below the stream's size, what retention removed from the journal aside. */
  readonly missing: readonly SequenceRange[];
  readonly missingRecords: number;
  readonly twice: readonly SequenceRange[];
  readonly twiceRecords: number;
  /** Records that aren't what their hash says, or whose hash isn't that of the first copy that holds the number. */
  readonly differing: readonly SequenceRange[];
  readonly differingRecords: number;
}

/** One stream. */
export interface StreamReconciliation {
  readonly stream: string;
  /** One more than the highest number that any copy holds. */
  readonly size: number;
  /** Records below were removed from the journal by retention. */
  readonly pruned: number;
  /** Records below were acknowledged by the receiver; null where nothing was shipped. */
  readonly shippedThrough: number | null;
  /** All that the journal holds below is in the copy of files, and is on disk there; null where no such copy was compared. */
  readonly reconciledThrough: number | null;
  /** The journal first. */
  readonly copies: readonly CopyReport[];
}

/** The outcome. */
export interface ReconcileReport {
  readonly ok: boolean;
  /** Sorted by name. */
  readonly streams: readonly StreamReconciliation[];
  /** 0 all copies are whole; 1 some disagree; 2 something is missing. */
  readonly exitStatus: 0 | 1 | 2;
}

/** What could be shipped again of one stream. */
export interface Repair {
  readonly stream: string;
  /** The stream's folder. */
  readonly directory: string;
  /** Numbers that the journal holds and some other copy lacks. */
  readonly ranges: readonly SequenceRange[];
}

/** A reconciliation, with what a repair needs. */
export interface Reconciliation {
  readonly report: ReconcileReport;
  readonly repairs: readonly Repair[];
}

const JOURNAL = 0;
const VERSION = 1;

const serviceOf = (stream: string) => stream.slice(0, stream.lastIndexOf('/'));

/**
 * Compares the copies of a trail. A record needs some ten bytes of memory, ten million of them 120 MB.
 * @throws RiskTrailError OPTION_INVALID where there is nothing to compare with, NO_TRAIL_FILES, PATH_NOT_FOUND,
 *   FILE_UNREADABLE, LOKI_UNREADABLE
 */
export async function reconcileTrail(options: ReconcileOptions): Promise<Reconciliation> {
  return new Reconciler(options).run();
}

class Reconciler {
  readonly #options: ReconcileOptions;
  readonly #kinds: readonly CopyReport['copy'][];
  readonly #ledgers = new Map<string, StreamLedger>();
  #services = new Set<string>();
  /** Journal files that were read, for those that a running writer adds. */
  #read: readonly string[] = [];

  constructor(options: ReconcileOptions) {
    this.#options = options;
    const files = options.files !== undefined && options.files.length > 0;
    this.#kinds = ['journal', ...(files ? (['files'] as const) : []), ...(options.loki ? (['loki'] as const) : [])];
    if (this.#kinds.length === 1) {
      const details = { field: 'reconcile', expected: "a Collector's files or a Loki to compare with" };
      throw new RiskTrailError('OPTION_INVALID', { ...details, received: 'nothing' });
    }
  }

  #ledger(stream: string): StreamLedger {
    let ledger = this.#ledgers.get(stream);
    if (ledger === undefined) {
      ledger = new StreamLedger(stream, this.#kinds.length);
      this.#ledgers.set(stream, ledger);
    }
    return ledger;
  }

  async run(): Promise<Reconciliation> {
    await this.#readJournal();
    const filesAt = this.#kinds.indexOf('files');
    if (filesAt > 0) await this.#readFiles(filesAt);
    const { loki, clock } = this.#options;
    if (loki !== undefined) {
      const at = this.#kinds.indexOf('loki');
      for (const ledger of this.#ledgers.values()) await readLokiCopy(loki, ledger, at, clock.now());
    }
    if ([...this.#ledgers.values()].some((ledger) => ledger.copies[JOURNAL]!.held.highest < ledger.size - 1)) {
      await this.#readJournalAgain();
    }
    const ledgers = [...this.#ledgers.values()]
      .filter((ledger) => ledger.size > 0)
      .sort((a, b) => (a.stream < b.stream ? -1 : 1));
    const streams = ledgers.map((ledger) => this.#report(ledger));
    if (filesAt > 0 && this.#options.note !== false) await this.#writeNotes(ledgers, streams);
    return { report: summarise(streams), repairs: ledgers.flatMap((ledger) => repairOf(ledger)) };
  }

  async #readJournal(): Promise<void> {
    const { directory } = this.#options;
    const { records: files } = await findTrailFiles([directory]);
    const index = JOURNAL;
    const records = await readFileCopy({ index, files, isJournal: true }, (stream) => this.#ledger(stream));
    if (records === 0) throw new RiskTrailError('NO_TRAIL_FILES', { path: directory });
    this.#read = files;
    this.#services = new Set([...this.#ledgers.keys()].map(serviceOf));
  }

  /** A writer that lives may have gone on while the copies were read: then they hold what the journal seems to lack. */
  async #readJournalAgain(): Promise<void> {
    const { records } = await findTrailFiles([this.#options.directory]);
    const folders = new Map<string, string>();
    for (const path of this.#read) folders.set(dirname(path), path);
    const files = records.filter((path) => path >= (folders.get(dirname(path)) ?? ''));
    await readFileCopy({ index: JOURNAL, files, isJournal: true, again: true }, (stream) => this.#ofService(stream));
  }

  /** Streams of services that the journal knows nothing of are somebody else's. */
  #ofService(stream: string): StreamLedger | undefined {
    return this.#ledgers.get(stream) ?? (this.#services.has(serviceOf(stream)) ? this.#ledger(stream) : undefined);
  }

  async #readFiles(index: number): Promise<void> {
    const { records: files } = await findTrailFiles(this.#options.files as readonly string[]);
    await readFileCopy({ index, files, isJournal: false }, (stream) => this.#ofService(stream));
    // A Collector doesn't sync: only what is on disk may let go of what the journal holds.
    for (const path of files) await syncFile(path);
  }

  #report(ledger: StreamLedger): StreamReconciliation {
    const { size, pruned, directory } = ledger;
    const copies = ledger.copies.map(({ held, twice, differing }, index): CopyReport => {
      // Of a stream that was pruned through its end only the last checkpoint's own record stands behind the pruned ones.
      const prunedWhole = pruned > 0 && size === pruned + 1 && held.size === 0;
      const missing = held.missing(index !== JOURNAL ? 0 : prunedWhole ? size : pruned, size);
      return {
        copy: this.#kinds[index] as CopyReport['copy'],
        records: held.size,
        held: held.ranges(),
        missing,
        missingRecords: countOf(missing),
        twice: twice.ranges(),
        twiceRecords: twice.size,
        differing: differing.ranges(),
        differingRecords: differing.size,
      };
    });
    const at = this.#kinds.indexOf('files');
    return {
      stream: ledger.stream,
      size,
      pruned,
      shippedThrough: directory === undefined ? null : (readShippedPosition(directory)?.sequence ?? null),
      reconciledThrough: at < 0 ? null : reconciledThrough(ledger, at),
      copies,
    };
  }

  /** Notes for retention how far the copy of files holds what the journal does. Loki's isn't one that could be verified. */
  async #writeNotes(ledgers: readonly StreamLedger[], streams: readonly StreamReconciliation[]): Promise<void> {
    const at = new Date(this.#options.clock.now()).toISOString();
    for (const [index, ledger] of ledgers.entries()) {
      const { stream, directory } = ledger;
      if (directory === undefined) continue;
      const sequence = streams[index]!.reconciledThrough as number;
      const copies = this.#kinds
        .map((copy, place) => ({ copy, sequence: reconciledThrough(ledger, place) }))
        .slice(JOURNAL + 1);
      const path = reconciledPositionPath(directory);
      try {
        await replaceFile(path, `${JSON.stringify({ version: VERSION, stream, sequence, at, copies })}\n`);
      } catch (error) {
        this.#options.onWarning?.(`${path} was not written: ${(error as Error).message}`);
      }
    }
  }
}

/** First number, from the journal's first on, that a copy lacks or has otherwise; at most the end of the journal. */
function reconciledThrough(ledger: StreamLedger, copy: number): number {
  const { held } = ledger.copies[JOURNAL]!;
  const first = held.next(0, true);
  if (first === Number.POSITIVE_INFINITY) return 0;
  return Math.min(ledger.wholeThrough(copy, first), ledger.wholeThrough(JOURNAL, first), held.highest + 1);
}

function repairOf(ledger: StreamLedger): Repair[] {
  const { stream, directory, size } = ledger;
  if (directory === undefined) return [];
  const [journal, ...others] = ledger.copies;
  const wanted = unite(...others.map(({ held }) => held.missing(0, size)));
  const ranges = wanted.flatMap(({ first, last }) => {
    const parts: SequenceRange[] = [];
    for (let at = journal!.held.next(first, true); at <= last; ) {
      const end = Math.min(journal!.held.next(at, false), last + 1);
      parts.push({ first: at, last: end - 1 });
      at = journal!.held.next(end, true);
    }
    return parts;
  });
  return ranges.length === 0 ? [] : [{ stream, directory, ranges }];
}

function summarise(streams: readonly StreamReconciliation[]): ReconcileReport {
  const copies = streams.flatMap((stream) => stream.copies);
  const differing = copies.some(({ differingRecords }) => differingRecords > 0);
  const missing = copies.some(({ missingRecords }) => missingRecords > 0);
  const exitStatus = differing ? 1 : missing ? 2 : 0;
  return { ok: exitStatus === 0, streams, exitStatus };
}

async function syncFile(path: string): Promise<void> {
  try {
    const handle = await open(path, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch {
    // A read-only or foreign file system: it was on disk before it was mounted here, or is none of ours to sync.
  }
}
