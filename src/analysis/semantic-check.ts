/**
 * Whether each snapshot in a trail says what the events before it come to. A snapshot only repeats: where it says something
 * else, the process that wrote it held another state than it recorded.
 */
import { type AuditRecord, readRecords } from '../audit/read/reader.ts';
import { ProgressCount } from '../audit/verify/progress-count.ts';
import { isFoldedEvent, RiskStateFold, type SnapshotFinding } from '../risk/risk-state.ts';
import { timeMsOf } from '../state/stream-record.ts';
import { type FileGroup, findGroups, type QueryOptions } from './trail-query.ts';

/** A snapshot that does not say what the events before it come to, and the stream that it stands in. */
export interface StreamSnapshotFinding extends SnapshotFinding {
  /** `<service>/<stream UUID>` */
  readonly stream: string;
}

/** What comparing the snapshots of a trail came to. */
export interface SemanticReport {
  /** No snapshot disagrees, and every event could be read. */
  readonly ok: boolean;
  /** Snapshots that were compared. The first of a layer in a process is what its events go on from: it is taken as it is. */
  readonly compared: number;
  /** Snapshots that disagree; at most 1,000 of a row of streams that go on from one another. */
  readonly findings: readonly StreamSnapshotFinding[];
  /** Events of a newer version, which could not be folded: what comes after them was compared without them. */
  readonly unreadable: number;
}

/** So many records of a stream wait for those in front of them. A journal is in order; a Collector's file may not be. */
const MAX_WAITING = 10_000;

/**
 * Compares every snapshot in a trail with what the events before it come to. A stream's records are taken by their numbers,
 * not by their times: a clock may have been set back. Nothing is verified here: that is `verifyTrail`'s part.
 * @param paths data directories, or any files and directories of a trail
 * @param onProgress told how far reading has come, file by file
 * @throws RiskTrailError PATH_NOT_FOUND, FILE_UNREADABLE, NO_TRAIL_FILES
 */
export async function checkTrailSnapshots(
  paths: readonly string[],
  onProgress?: QueryOptions['onProgress'],
): Promise<SemanticReport> {
  const streams = new Map<string, StreamFold>();
  const groups = await inChains(await findGroups(paths));
  const files = groups.flat();
  const count = onProgress === undefined ? undefined : await ProgressCount.of(files, onProgress);
  let read = 0;
  const onFileEnd = (file: string) => count?.end(files.indexOf(file), read);
  for (const group of groups) {
    for await (const batch of readRecords(group, { onFileEnd })) {
      read += batch.length;
      for (const record of batch) {
        const { stream, sequence } = record;
        if (stream === undefined || sequence === undefined) continue;
        let fold = streams.get(stream);
        if (fold === undefined) {
          fold = new StreamFold(stream, streams.get(String(record.attributes['audit.previous.stream'])));
          streams.set(stream, fold);
        }
        fold.add(sequence, record);
      }
    }
  }
  return reportOf([...streams.values()]);
}

function reportOf(streams: readonly StreamFold[]): SemanticReport {
  for (const stream of streams) stream.end();
  const findings = streams.flatMap((one) => one.findings);
  // Streams that go on from one another share a fold.
  const folds = [...new Set(streams.map(({ fold }) => fold))];
  const sum = (of: (fold: RiskStateFold) => number) => folds.reduce((total, fold) => total + of(fold), 0);
  const unreadable = sum((fold) => fold.unreadable);
  return {
    ok: findings.length === 0 && unreadable === 0,
    compared: sum((fold) => fold.compared),
    findings,
    unreadable,
  };
}

/** The groups in an order in which a stream comes after the one that it goes on from. */
async function inChains(groups: readonly FileGroup[]): Promise<readonly FileGroup[]> {
  const previousOf = new Map<string, string>();
  const heads: { readonly group: FileGroup; readonly stream: string }[] = [];
  for (const group of groups) {
    const first = await firstRecord(group);
    const stream = first?.stream ?? '';
    const previous = first?.attributes['audit.previous.stream'];
    if (typeof previous === 'string') previousOf.set(stream, previous);
    heads.push({ group, stream });
  }
  const depthOf = (stream: string): number => {
    let depth = 0;
    // Streams that name one another in a circle are no trail of ours.
    for (let at = previousOf.get(stream); at !== undefined && depth <= groups.length; at = previousOf.get(at)) depth++;
    return depth;
  };
  const depths = new Map(heads.map(({ stream }) => [stream, depthOf(stream)]));
  return heads.toSorted((a, b) => depths.get(a.stream)! - depths.get(b.stream)!).map(({ group }) => group);
}

async function firstRecord(group: FileGroup): Promise<AuditRecord | undefined> {
  for await (const batch of readRecords(group.slice(0, 1))) return batch[0];
  return undefined;
}

/** One stream's records, in the order of their numbers, each once, on top of what the stream before it came to. */
class StreamFold {
  readonly stream: string;
  readonly fold: RiskStateFold;
  readonly #from: number;
  #to: number | undefined;
  #next = 0;
  #waiting = new Map<number, AuditRecord>();

  constructor(stream: string, previous: StreamFold | undefined) {
    this.stream = stream;
    previous?.end();
    this.fold = previous?.fold ?? new RiskStateFold();
    this.#from = this.fold.findings.length;
  }

  get findings(): readonly StreamSnapshotFinding[] {
    return this.fold.findings.slice(this.#from, this.#to).map((one) => ({ ...one, stream: this.stream }));
  }

  add(sequence: number, record: AuditRecord): void {
    if (sequence < this.#next) return;
    if (sequence > this.#next) {
      this.#waiting.set(sequence, record);
      if (this.#waiting.size > MAX_WAITING) this.#skip();
      return;
    }
    this.#apply(record);
    this.#goOn();
  }

  /** Takes what waits though records before it are missing. The stream is then at its end. */
  end(): void {
    while (this.#waiting.size > 0) this.#skip();
    this.#to ??= this.fold.findings.length;
  }

  #skip(): void {
    this.#next = Math.min(...this.#waiting.keys());
    this.#goOn();
  }

  #goOn(): void {
    for (let next = this.#waiting.get(this.#next); next !== undefined; next = this.#waiting.get(this.#next)) {
      this.#waiting.delete(this.#next);
      this.#apply(next);
    }
  }

  #apply(record: AuditRecord): void {
    this.#next = record.sequence! + 1;
    const { eventName: name, recordId = '', attributes } = record;
    if (isFoldedEvent(name)) this.fold.apply({ name, recordId, timeMs: timeMsOf(record.time), attributes });
  }
}
