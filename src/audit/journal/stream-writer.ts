/**
 * The writer of one stream: gives records their numbers, keeps the tree and the segment files. It knows nothing of time,
 * signatures or locks; each call either happens whole or throws and leaves everything as it was.
 */
import { readFileSync, truncateSync } from 'node:fs';
import { basename } from 'node:path';
import { Frontier } from '../proof/tree.ts';
import { type AuditInput, isNanos } from '../record/audit-input.ts';
import { type EncodedRecord, type EncoderOptions, RecordEncoder } from '../record/encode.ts';
import { LeafQueue } from './leaf-queue.ts';
import { Segment, type SegmentFile } from './segment.ts';
import { CHECKPOINT_EVENT } from './system-events.ts';

/** Where a stream stands: nothing yet, or what recovery found. */
export interface StreamPosition {
  /** The next record's number. */
  readonly sequence: number;
  readonly frontier: Frontier;
  /** Time of the last record, decimal nanoseconds. */
  readonly lastTime: string;
  /** Size of the newest signed checkpoint. */
  readonly checkpointSize: number;
  /** The file to go on with, all of it synced, and its length. */
  readonly segment?: { readonly file: SegmentFile; readonly bytes: number } | undefined;
  /** The files before that one, where this place is where that one begins. */
  readonly sealed: readonly SealedFile[];
}

/** A file that is not written to any more. */
export interface SealedFile {
  readonly name: string;
  readonly bytes: number;
}

/** A stream that has no record yet. */
export function emptyPosition(): StreamPosition {
  return { sequence: 0, frontier: new Frontier(), lastTime: '0', checkpointSize: 0, sealed: [] };
}

/** The state of the tree at one moment. */
export interface TreePoint {
  readonly size: number;
  readonly frontier: Frontier;
  /** How many records other than checkpoints the stream had taken through this writer. */
  readonly plainRecords: number;
}

/** Where a segment begins: all that recovery needs to leave the files before it unread. */
export interface SegmentStart {
  readonly size: number;
  readonly frontier: Frontier;
  readonly lastTime: string;
  /** The files before it. */
  readonly sealed: readonly SealedFile[];
}

export interface StreamWriterOptions extends EncoderOptions {
  readonly directory: string;
  readonly segmentMaxBytes: number;
  readonly position: StreamPosition;
}

export class StreamWriter {
  readonly stream: string;
  readonly directory: string;
  readonly #encoder: RecordEncoder;
  readonly #tree: LeafQueue;
  readonly #segmentMaxBytes: number;
  #segment: Segment;
  /** Files before the current one that hold something not yet synced. */
  #retired: Segment[] = [];
  #rotateAt: number;
  #sequence: number;
  #lastTime: string;
  #plainRecords: number;
  #bytes = 0;
  #sealed: readonly SealedFile[];
  /** Where the segments begin that this writer began and no checkpoint covers yet, oldest first. */
  #starts: SegmentStart[] = [];
  /** A file was created whose name may not be on disk yet. */
  directoryUnsynced = true;

  /** @throws the system's error where the segment can't be opened */
  constructor(options: StreamWriterOptions) {
    const { position } = options;
    this.stream = options.stream;
    this.directory = options.directory;
    this.#encoder = new RecordEncoder(options);
    this.#tree = new LeafQueue(position.frontier);
    this.#sequence = position.sequence;
    this.#lastTime = position.lastTime;
    this.#plainRecords = position.sequence;
    this.#segmentMaxBytes = options.segmentMaxBytes;
    this.#rotateAt = options.segmentMaxBytes;
    this.#segment =
      position.segment === undefined
        ? Segment.create(options.directory, position.sequence)
        : Segment.reopen(position.segment.file, position.segment.bytes);
    this.#sealed = position.sealed;
  }

  /** The next record's number: how many records the stream has. */
  get sequence(): number {
    return this.#sequence;
  }

  /** Bytes appended through this writer. */
  get bytes(): number {
    return this.#bytes;
  }

  /** How many records other than checkpoints the stream has (those of before a recovery are all counted). */
  get plainRecords(): number {
    return this.#plainRecords;
  }

  /** Takes the beginning of the newest segment with nothing before it above `size`; undefined where there is no new one. */
  takeSegmentStart(size: number): SegmentStart | undefined {
    const index = this.#starts.findLastIndex((start) => start.size <= size);
    return index < 0 ? undefined : this.#starts.splice(0, index + 1)[index];
  }

  /** Whether the next record belongs into a new segment. */
  get rotationDue(): boolean {
    return this.#segment.bytes >= this.#rotateAt || this.#segment.broken;
  }

  /** Whether nothing more can be appended before a new segment is begun. */
  get segmentBroken(): boolean {
    return this.#segment.broken;
  }

  /** Whether a byte is not known to be on disk. */
  get unsynced(): boolean {
    return this.#retired.length > 0 || this.#segment.bytes > this.#segment.syncedBytes || this.directoryUnsynced;
  }

  /** The tree as it is now. */
  point(): TreePoint {
    return { size: this.#sequence, frontier: this.#tree.frontier().clone(), plainRecords: this.#plainRecords };
  }

  /**
   * The tree as it was at the call, hashed in steps of `leaves` with `pause` between them: what is appended meanwhile stays
   * out. Where somebody else had the whole tree hashed in between, the tree as it is then.
   */
  async pointInSteps(leaves: number, pause: () => Promise<void>): Promise<TreePoint> {
    const size = this.#sequence;
    const plainRecords = this.#plainRecords;
    const tree = this.#tree;
    while (tree.settledSize < size) {
      tree.settle(Math.min(leaves, size - tree.settledSize));
      if (tree.settledSize < size) await pause();
    }
    return tree.settledSize === size ? { size, frontier: tree.settledFrontier(), plainRecords } : this.point();
  }

  /**
   * Appends one record. Its time is never before the last one's.
   * @returns the encoder's record, good until the next call
   * @throws the system's error; the stream then stands where it stood
   */
  append(input: AuditInput): EncodedRecord {
    const time = this.#monotone(input.timeUnixNano);
    const encoded = this.#encoder.encode(
      time === input.timeUnixNano ? input : { ...input, timeUnixNano: time },
      this.#sequence,
    );
    this.#segment.append(encoded.line, encoded.lineBytes);
    this.#tree.append(encoded.line, encoded.integrityAt);
    this.#sequence++;
    this.#lastTime = time;
    this.#bytes += encoded.lineBytes;
    if (input.eventName !== CHECKPOINT_EVENT) this.#plainRecords++;
    return encoded;
  }

  #monotone(time: string): string {
    const last = this.#lastTime;
    if (!isNanos(time)) return last;
    const before = time.length === last.length ? time < last : time.length < last.length;
    return before ? last : time;
  }

  /**
   * Begins a new segment.
   * @returns the numbers of the closed one, or undefined where it held nothing
   * @throws the system's error; the old one is then gone on with
   */
  rotate(): { first: number; last: number } | undefined {
    const old = this.#segment;
    let next: Segment;
    try {
      next = Segment.create(this.directory, this.#sequence);
    } catch (error) {
      // Not tried again at each record, unless the old one can't be used at all.
      this.#rotateAt = old.bytes + this.#segmentMaxBytes / 10;
      throw error;
    }
    this.#segment = next;
    this.#rotateAt = this.#segmentMaxBytes;
    this.directoryUnsynced = true;
    this.#sealed = [...this.#sealed, { name: basename(old.path), bytes: old.bytes }];
    this.#starts.push({
      size: this.#sequence,
      frontier: this.#tree.frontier().clone(),
      lastTime: this.#lastTime,
      sealed: this.#sealed,
    });
    if (old.bytes > old.syncedBytes) this.#retired.push(old);
    else old.close();
    return old.firstSequence < this.#sequence ? { first: old.firstSequence, last: this.#sequence - 1 } : undefined;
  }

  /** The files that hold something not yet synced, oldest first. */
  unsyncedSegments(): Segment[] {
    return [...this.#retired, this.#segment].filter((segment) => segment.bytes > segment.syncedBytes);
  }

  /** Lets go of closed segments whose last byte is on disk. */
  releaseSynced(): void {
    this.#retired = this.#retired.filter((segment) => {
      if (segment.bytes > segment.syncedBytes) return true;
      segment.close();
      return false;
    });
  }

  /**
   * After a failed sync of `segment`: its descriptor is never synced again, since the system may have dropped the bytes and
   * would report success. What wasn't synced is written once more, to a new file.
   * @throws the system's error where that isn't possible either
   */
  replace(segment: Segment): void {
    const content = readFileSync(segment.path);
    const unsynced = content.subarray(segment.syncedBytes, segment.bytes);
    if (unsynced.length < segment.bytes - segment.syncedBytes) throw new Error(`${segment.path} has lost records`);
    // One record is one line.
    const sequence = segment.firstSequence + countLines(content.subarray(0, segment.syncedBytes));
    const copy = Segment.create(this.directory, sequence);
    this.directoryUnsynced = true;
    copy.append(unsynced, unsynced.length);
    if (segment === this.#segment) {
      this.#segment = copy;
      this.#rotateAt = this.#segmentMaxBytes;
    } else this.#retired = this.#retired.map((one) => (one === segment ? copy : one));
    segment.close();
    try {
      truncateSync(segment.path, segment.syncedBytes);
    } catch {
      // The records then stand in two files, which a reader takes as one.
    }
  }

  /** Closes all files. */
  close(): void {
    for (const segment of this.#retired) segment.close();
    this.#segment.close();
  }
}

function countLines(content: Buffer): number {
  let count = 0;
  for (let at = content.indexOf(10); at >= 0; at = content.indexOf(10, at + 1)) count++;
  return count;
}
