/**
 * The writer of one stream: gives records their numbers, keeps the tree, the lines that wait and the segment files. It knows
 * nothing of time, signatures or locks; each call either happens whole or throws and leaves everything as it was.
 *
 * A record has its number once it is taken. It is written at once, is gathered with others for one write, or waits in the ring
 * behind those taken before it; what is signed, synced and told to others goes only as far as what is written.
 */
import { Frontier } from '../proof/tree.ts';
import { type AuditInput, isNanos } from '../record/audit-input.ts';
import { type EncodedRecord, type EncoderOptions, RecordEncoder } from '../record/encode.ts';
import type { JournalFs } from './journal-fs.ts';
import type { DurablePosition } from './journal-types.ts';
import { LeafQueue } from './leaf-queue.ts';
import { LineBatch } from './line-batch.ts';
import { LineRing, type WaitingLine } from './line-ring.ts';
import type { ResumePoint } from './resume-point.ts';
import { Segment } from './segment.ts';
import { listSegments, plainSegmentName, type SegmentFile } from './segment-files.ts';
import { CHECKPOINT_EVENT, PRUNED_EVENT } from './system-events.ts';

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
export interface TreePoint extends WrittenPoint {
  readonly frontier: Frontier;
}

/** How far a stream was written at one moment. */
interface WrittenPoint {
  readonly size: number;
  /** How many records other than checkpoints the stream had taken through this writer. */
  readonly plainRecords: number;
  /** Time of the last record, decimal nanoseconds. */
  readonly lastTime: string;
  /** The file that was written to, and its length. */
  readonly segment: Segment;
  readonly bytes: number;
}

/** A start need not read more of the newest segment than about this. */
const RESUME_EVERY_BYTES = 2_000_000;

export interface StreamWriterOptions extends EncoderOptions {
  readonly directory: string;
  readonly segmentMaxBytes: number;
  /** How many bytes of lines may wait. */
  readonly waitBufferBytes: number;
  readonly position: StreamPosition;
  readonly fs: JournalFs;
  /** Told of each record that waited, once it is written. */
  readonly onWritten?: ((line: WaitingLine, sequence: number) => void) | undefined;
}

/** Numbers of records, both included. */
export interface SequenceRange {
  readonly first: number;
  readonly last: number;
}

export class StreamWriter {
  readonly stream: string;
  readonly directory: string;
  readonly #options: StreamWriterOptions;
  readonly #fs: JournalFs;
  readonly #encoder: RecordEncoder;
  readonly #tree: LeafQueue;
  readonly #segmentMaxBytes: number;
  #ring: LineRing | undefined;
  /** Taken and not written; in front of it nothing waits. */
  readonly #batch: LineBatch;
  #segment: Segment;
  /** Files before the current one that hold something not yet synced, or a part of a record still to be cut off. */
  #retired: Segment[] = [];
  #rotateAt: number;
  /** Of what is taken. */
  #sequence: number;
  #lastTime: string;
  /** Of what is written. */
  #written: number;
  #writtenTime: string;
  #writtenPlain: number;
  #bytes = 0;
  /** Time of the record that was encoded last. */
  #time = '0';
  #sealed: readonly SealedFile[];
  /** Retention may have removed files of records with numbers below it. */
  #prunedBelow = 0;
  /** Where the segments begin that this writer began and no checkpoint covers yet, oldest first. */
  #starts: ResumePoint[] = [];
  /** How much of the current segment stands before the newest point that was taken within it. */
  #resumeBytes = 0;
  /** A file was created whose name may not be on disk yet. */
  directoryUnsynced = true;

  /** @throws the system's error where the segment can't be opened */
  constructor(options: StreamWriterOptions) {
    const { position, fs } = options;
    this.stream = options.stream;
    this.directory = options.directory;
    this.#options = options;
    this.#fs = fs;
    this.#encoder = new RecordEncoder(options);
    this.#tree = new LeafQueue(position.frontier);
    this.#sequence = position.sequence;
    this.#lastTime = position.lastTime;
    this.#written = position.sequence;
    this.#writtenTime = position.lastTime;
    this.#writtenPlain = position.sequence;
    this.#batch = new LineBatch(options.waitBufferBytes);
    this.#segmentMaxBytes = options.segmentMaxBytes;
    this.#rotateAt = options.segmentMaxBytes;
    this.#segment =
      position.segment === undefined
        ? Segment.create(options.directory, position.sequence, fs)
        : Segment.reopen(position.segment.file, position.segment.bytes, fs);
    this.#sealed = position.sealed;
  }

  /** The next record's number. */
  get sequence(): number {
    return this.#sequence;
  }

  /** How many records the stream has in its files: the number of the first that waits. */
  get writtenRecords(): number {
    return this.#written;
  }

  /** How many of them are no checkpoints (those of before a recovery are all counted). */
  get plainRecords(): number {
    return this.#writtenPlain;
  }

  /** Bytes appended to files through this writer. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Records that wait. */
  get waitingRecords(): number {
    return this.#sequence - this.#written;
  }

  /** Bytes of the lines that wait. */
  get waitingBytes(): number {
    return (this.#ring?.bytes ?? 0) + this.#batch.bytes;
  }

  /** Those of them that are gathered for one write. */
  get gatheredBytes(): number {
    return this.#batch.bytes;
  }

  /** The lines that wait; made when it is first asked for. */
  get ring(): LineRing {
    this.#ring ??= new LineRing(this.#options.waitBufferBytes);
    return this.#ring;
  }

  /** The file that is written to. */
  get segment(): Segment {
    return this.#segment;
  }

  /**
   * Where the next start may begin to read, once all before `signed` is signed; undefined where that isn't worth noting. It is
   * handed out once.
   */
  takeResumePoint(signed: TreePoint): ResumePoint | undefined {
    const { size, frontier, lastTime, segment, bytes: offset } = signed;
    const index = this.#starts.findLastIndex((start) => start.size <= size);
    const start = index < 0 ? undefined : this.#starts.splice(0, index + 1)[index];
    if (segment !== this.#segment || offset - this.#resumeBytes < RESUME_EVERY_BYTES) return start;
    this.#resumeBytes = offset;
    return { size, frontier, lastTime, sealed: this.#sealed, file: segment.name, offset };
  }

  /** Whether the next record belongs into a new segment. */
  get rotationDue(): boolean {
    return this.#segment.bytes >= this.#rotateAt || this.#segment.broken;
  }

  /** The current segment gets no further record, whatever its size. */
  closeSegment(): void {
    if (this.#segment.bytes > 0) this.#rotateAt = 0;
  }

  /** What a sync that begins now puts on disk. */
  written(): DurablePosition {
    const { directory, stream } = this;
    const { name, bytes } = this.#segment;
    return { directory, stream, file: name, bytes, sequence: this.#written };
  }

  /** The tree as it is now, of what is written. */
  point(): TreePoint {
    return { ...this.#writtenPoint(), frontier: this.#tree.frontier(this.#written).clone() };
  }

  #writtenPoint(): WrittenPoint {
    return {
      size: this.#written,
      plainRecords: this.#writtenPlain,
      lastTime: this.#writtenTime,
      segment: this.#segment,
      bytes: this.#segment.bytes,
    };
  }

  /**
   * The tree as it was at the call, hashed in steps of `leaves` with `pause` between them: what is appended meanwhile stays
   * out. Where somebody else had the whole tree hashed in between, the tree as it is then.
   */
  async pointInSteps(leaves: number, pause: () => Promise<void>): Promise<TreePoint> {
    const written = this.#writtenPoint();
    const { size } = written;
    const tree = this.#tree;
    while (tree.settledSize < size) {
      tree.settle(leaves, size);
      if (tree.settledSize < size) await pause();
    }
    return tree.settledSize === size ? { ...written, frontier: tree.settledFrontier() } : this.point();
  }

  /**
   * Makes the next record, without taking it yet. Its time is never before the last one's.
   * @returns the encoder's record, good until the next call
   */
  encode(input: AuditInput): EncodedRecord {
    const time = this.#monotone(input.timeUnixNano);
    this.#time = time;
    if (input.eventName === PRUNED_EVENT) this.#notePruned(input.attributes);
    return this.#encoder.encode(time === input.timeUnixNano ? input : { ...input, timeUnixNano: time }, this.#sequence);
  }

  #notePruned(attributes: Readonly<Record<string, unknown>>): void {
    const size = attributes['audit.pruned.tree_size'];
    if (attributes['audit.pruned.stream'] === this.stream && typeof size === 'number') this.#prunedBelow = size;
  }

  #monotone(time: string): string {
    const last = this.#lastTime;
    if (!isNanos(time)) return last;
    const before = time.length === last.length ? time < last : time.length < last.length;
    return before ? last : time;
  }

  /**
   * Writes the record that was just encoded, and takes it. Only where nothing waits or is gathered.
   * @throws the system's error; the stream then stands where it stood
   */
  write(encoded: EncodedRecord, eventName: string): void {
    this.#segment.append(encoded.line, encoded.lineBytes);
    this.#take(encoded);
    this.#advance(encoded.lineBytes, eventName, this.#time);
  }

  /** Takes the record that was just encoded, behind those that wait. @returns false where there is no room for it */
  hold(encoded: EncodedRecord, eventName: string): boolean {
    const { line, lineBytes: bytes, recordId } = encoded;
    if (!this.ring.push(line, { bytes, recordId, eventName, time: this.#time })) return false;
    this.#take(encoded);
    return true;
  }

  /**
   * Takes the record that was just encoded, for {@link writeGathered}. Only where nothing waits in the ring.
   * @returns false where there is no room for it
   */
  gather(encoded: EncodedRecord, eventName: string): boolean {
    const { line, lineBytes: bytes, recordId } = encoded;
    if (!this.#batch.push(line, { bytes, recordId, eventName, time: this.#time })) return false;
    this.#take(encoded);
    return true;
  }

  /**
   * Writes what was gathered in one go.
   * @throws the system's error; the stream then stands where it stood
   */
  writeGathered(): void {
    const content = this.#batch.content();
    this.#segment.append(content, content.length);
    const first = this.#written;
    const lines = this.#batch.take();
    for (const { bytes, eventName, time } of lines) this.#advance(bytes, eventName, time);
    const { onWritten } = this.#options;
    if (onWritten !== undefined) lines.forEach((line, index) => void onWritten(line, first + index));
  }

  /** What was gathered waits in the ring instead, which has room for it. */
  holdGathered(): void {
    const content = this.#batch.content();
    let at = 0;
    for (const line of this.#batch.take()) {
      this.ring.push(content.subarray(at), line);
      at += line.bytes;
    }
  }

  #take(encoded: EncodedRecord): void {
    this.#tree.append(encoded.line, encoded.integrityAt, this.#written);
    this.#sequence++;
    this.#lastTime = this.#time;
  }

  #advance(bytes: number, eventName: string, time: string): void {
    this.#written++;
    this.#writtenTime = time;
    this.#bytes += bytes;
    if (eventName !== CHECKPOINT_EVENT) this.#writtenPlain++;
  }

  /** Takes note of what the writer thread has written. */
  collect(): void {
    this.#ring?.collect((line) => {
      this.#segment.grew(line.bytes);
      this.#leave(line);
    });
  }

  #leave(line: WaitingLine): void {
    const sequence = this.#written;
    this.#advance(line.bytes, line.eventName, line.time);
    this.#options.onWritten?.(line, sequence);
  }

  /** Takes the file back from a writer thread that touches it no more: cuts off what it wrote of a line. */
  takeBack(): void {
    this.collect();
    this.#ring?.reclaim();
    this.#segment.trim();
  }

  /**
   * Writes the first of the lines that wait, some `maxBytes` of them.
   * @throws the system's error; the stream then stands where it stood
   */
  writeWaiting(maxBytes: number): void {
    const ring = this.#ring;
    if (ring === undefined || ring.records === 0) return;
    const { bytes, lines } = ring.peek(maxBytes);
    this.#segment.append(bytes, bytes.length);
    ring.shift(lines, (line) => this.#leave(line));
  }

  /**
   * Begins a new segment.
   * @returns the numbers of the closed one, or undefined where it held nothing
   * @throws the system's error; the old one is then gone on with
   */
  rotate(): SequenceRange | undefined {
    try {
      return this.#begin(Segment.create(this.directory, this.#written, this.#fs));
    } catch (error) {
      this.#putOffRotation();
      throw error;
    }
  }

  /** {@link rotate} off the thread, while no line is written; without effect where it isn't wanted any more by then. */
  async rotateAside(stillWanted: () => boolean): Promise<SequenceRange | undefined> {
    try {
      const next = await Segment.createAside(this.directory, this.#written, this.#fs);
      if (next.firstSequence === this.#written && stillWanted()) return this.#begin(next);
      next.discard();
      return undefined;
    } catch (error) {
      this.#putOffRotation();
      throw error;
    }
  }

  /** Not tried again at each record, unless the old one can't be used at all. */
  #putOffRotation(): void {
    this.#rotateAt = this.#segment.bytes + this.#segmentMaxBytes / 10;
  }

  #use(next: Segment): void {
    this.#segment = next;
    this.#rotateAt = this.#segmentMaxBytes;
    this.#resumeBytes = 0;
  }

  #begin(next: Segment): SequenceRange | undefined {
    const old = this.#segment;
    this.#use(next);
    this.directoryUnsynced = true;
    if (old.bytes === 0 && old.mend()) {
      old.discard();
      return undefined;
    }
    this.#sealed = [...this.#sealed, { name: old.name, bytes: old.bytes }];
    this.#starts.push({
      size: this.#written,
      frontier: this.#tree.frontier(this.#written).clone(),
      lastTime: this.#writtenTime,
      sealed: this.#sealed,
      file: next.name,
      offset: 0,
    });
    if (old.bytes > old.syncedBytes || !old.mend()) this.#retired.push(old);
    else old.close();
    return old.firstSequence < this.#written ? { first: old.firstSequence, last: this.#written - 1 } : undefined;
  }

  /** The files that hold something not yet synced, oldest first. */
  unsyncedSegments(): Segment[] {
    return [...this.#retired, this.#segment].filter((segment) => segment.bytes > segment.syncedBytes);
  }

  /** Lets go of closed segments whose last byte is on disk. */
  releaseSynced(): void {
    this.#retired = this.#retired.filter((segment) => {
      if (segment.bytes > segment.syncedBytes || !segment.mend()) return true;
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
    const copy = segment.replacement(this.directory);
    this.directoryUnsynced = true;
    this.#swap(segment, copy);
    segment.retire();
  }

  #swap(segment: Segment, copy: Segment): void {
    if (segment === this.#segment) this.#use(copy);
    else this.#retired = this.#retired.map((one) => (one === segment ? copy : one));
  }

  /**
   * After somebody deleted files: those that are still open are written once more from their descriptors.
   * @returns the numbers that are gone
   * @throws the system's error
   */
  restore(): SequenceRange[] {
    for (const segment of [...this.#retired, this.#segment]) {
      if (!segment.deletedNow()) continue;
      const copy = segment.restored(this.directory);
      this.directoryUnsynced = true;
      this.#swap(segment, copy);
      segment.close();
    }
    return this.#missing();
  }

  #missing(): SequenceRange[] {
    const held = new Set(listSegments(this.directory).map((file) => plainSegmentName(file.name)));
    const open = [...this.#retired, this.#segment].map((segment) => segment.firstSequence);
    const missing: SequenceRange[] = [];
    for (const [index, { name, bytes }] of this.#sealed.entries()) {
      const first = Number.parseInt(name, 10);
      const next = this.#sealed[index + 1];
      const end = next === undefined ? this.#segment.firstSequence : Number.parseInt(next.name, 10);
      if (
        bytes === 0 ||
        end <= Math.max(first, this.#prunedBelow) ||
        held.has(plainSegmentName(name)) ||
        open.includes(first)
      )
        continue;
      const before = missing.at(-1);
      if (before !== undefined && before.last + 1 === first) missing[missing.length - 1] = { ...before, last: end - 1 };
      else missing.push({ first, last: end - 1 });
    }
    return missing;
  }

  /** Closes all files. */
  close(): void {
    for (const segment of [...this.#retired, this.#segment]) {
      segment.mend();
      segment.close();
    }
  }
}
