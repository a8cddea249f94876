/** Writes the records of one stream back into segments, in the order of their numbers, whatever the order they come in. */

import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { PRIVATE_FILE_MODE, replaceFileSync, syncDirectorySync } from '../journal/durable-file.ts';
import { formatResumePoint, type ResumePoint, resumePointPath } from '../journal/resume-point.ts';
import { CHECKPOINT_FILE, segmentName } from '../journal/segment-files.ts';
import type { SealedFile } from '../journal/stream-writer.ts';
import { createStreamDirectory, markDamaged } from '../journal/streams.ts';
import { CHECKPOINT_EVENT, CLOSED_EVENT } from '../journal/system-events.ts';
import { openNote, parseCheckpoint, type VerifierKey } from '../proof/note.ts';
import { Frontier } from '../proof/tree.ts';
import type { SequenceRange, SequenceSet } from '../reconcile/sequence-set.ts';
import { plainAttributes } from '../record/otlp.ts';
import { type CopiedRecord, journalLine } from './copied-records.ts';

/** What was written of a stream. */
export interface RebuiltStream {
  /** `<service>/<stream UUID>` */
  readonly stream: string;
  readonly records: number;
  readonly firstSequence: number;
  readonly lastSequence: number;
  /** Time of the last record, decimal nanoseconds. */
  readonly lastTime: string;
  /** Root of the tree over all records, base64; null where some are missing. */
  readonly root: string | null;
  /** Size of the newest signed checkpoint among the records; null where there is none. */
  readonly checkpointSize: number | null;
  /** Its note. */
  readonly checkpoint: string | undefined;
  /** Numbers missing between the first and the last. */
  readonly gaps: readonly SequenceRange[];
  /** Whether it ended in order. */
  readonly closed: boolean;
  /** SHA-256 over the numbers and hashes of its records: two copies with the same are the same. */
  readonly digest: string;
}

/** Lines are gathered to so many bytes before they are written. */
const WRITE_BYTES = 1 << 20;

/** Left where the stream is open: a start of a service begins a stream of its own, which names this one. */
const NOT_CONTINUED = 'rebuilt from a copy: only the host that wrote it may go on with it';

export class StreamRebuilder {
  readonly stream: string;
  readonly directory: string;
  readonly #numbers: SequenceSet;
  readonly #keys: readonly VerifierKey[];
  readonly #segmentMaxBytes: number;
  /** Records that came before their turn. */
  readonly #early = new Map<number, CopiedRecord>();
  readonly #digest = createHash('sha256');
  readonly #tree = new Frontier();
  readonly #whole: boolean;
  #next: number;
  #fd: number | undefined;
  #name = '';
  #bytes = 0;
  #waiting: string[] = [];
  #waitingBytes = 0;
  #sealed: SealedFile[] = [];
  #start: ResumePoint | undefined;
  #records = 0;
  #lastTime = '0';
  #lastEvents: string[] = [];
  #checkpoint: { readonly size: number; readonly note: string } | undefined;

  /**
   * @param directory folder of the stream, made here
   * @param numbers those that will come
   * @param keys those that may have signed its checkpoints
   */
  constructor(
    stream: string,
    directory: string,
    numbers: SequenceSet,
    keys: readonly VerifierKey[],
    segmentMaxBytes: number,
  ) {
    this.stream = stream;
    this.directory = directory;
    this.#numbers = numbers;
    this.#keys = keys;
    this.#segmentMaxBytes = segmentMaxBytes;
    this.#next = this.#numbers.next(0, true);
    this.#whole = this.#next === 0 && this.#numbers.missing(0, this.#numbers.highest + 1).length === 0;
    createStreamDirectory(directory);
  }

  /** Takes a record; one that came before is passed over. */
  add(record: CopiedRecord): void {
    if (record.sequence < this.#next || this.#early.has(record.sequence)) return;
    if (record.sequence > this.#next) {
      this.#early.set(record.sequence, record);
      return;
    }
    for (let next: CopiedRecord | undefined = record; next !== undefined; next = this.#early.get(this.#next)) {
      this.#early.delete(next.sequence);
      this.#write(next);
      this.#next = this.#numbers.next(next.sequence + 1, true);
    }
  }

  #write(copied: CopiedRecord): void {
    const { record, sequence, claim } = copied;
    const line = journalLine(copied);
    const bytes = Buffer.byteLength(line);
    if (this.#fd === undefined || this.#bytes + bytes > this.#segmentMaxBytes) this.#rotate(sequence);
    this.#waiting.push(line);
    this.#waitingBytes += bytes;
    this.#bytes += bytes;
    if (this.#waitingBytes >= WRITE_BYTES) this.#flush();
    this.#records++;
    this.#lastTime = String(record.timeUnixNano ?? '0');
    this.#digest.update(`${sequence} ${claim}\n`);
    if (this.#whole) this.#tree.append(Buffer.from(claim, 'base64'));
    const event = typeof record.eventName === 'string' ? record.eventName : '';
    if (event !== CHECKPOINT_EVENT) this.#lastEvents = [event];
    else {
      this.#lastEvents.push(event);
      this.#takeNote(plainAttributes(record.attributes)['audit.checkpoint']);
    }
  }

  #takeNote(note: unknown): void {
    if (typeof note !== 'string') return;
    const checkpoint = parseCheckpoint(`${note.split('\n').slice(0, 3).join('\n')}\n`);
    if (checkpoint?.origin !== this.stream || 'error' in openNote(note, this.#keys)) return;
    if (checkpoint.size > (this.#checkpoint?.size ?? 0)) this.#checkpoint = { size: checkpoint.size, note };
  }

  #rotate(firstSequence: number): void {
    this.#closeSegment();
    this.#name = segmentName(firstSequence);
    this.#fd = openSync(join(this.directory, this.#name), 'wx', PRIVATE_FILE_MODE);
    this.#bytes = 0;
    this.#start = {
      size: this.#tree.size,
      frontier: this.#tree.clone(),
      lastTime: this.#lastTime,
      sealed: [...this.#sealed],
      file: this.#name,
      offset: 0,
    };
  }

  #flush(): void {
    if (this.#waitingBytes === 0) return;
    const bytes = Buffer.from(this.#waiting.join(''));
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd!, bytes, at);
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  #closeSegment(): void {
    if (this.#fd === undefined) return;
    this.#flush();
    fsyncSync(this.#fd);
    closeSync(this.#fd);
    this.#sealed.push({ name: this.#name, bytes: this.#bytes });
    this.#fd = undefined;
  }

  /** Puts the stream on disk: what is not closed is marked, so that no start goes on with it. */
  finish(): RebuiltStream {
    this.#closeSegment();
    const closed = this.#lastEvents[0] === CLOSED_EVENT && this.#lastEvents.length > 1;
    if (this.#checkpoint !== undefined) {
      replaceFileSync(join(this.directory, CHECKPOINT_FILE), this.#checkpoint.note);
    }
    if (this.#whole && this.#start !== undefined) {
      writeFileSync(resumePointPath(this.directory), formatResumePoint(this.stream, this.#start), {
        mode: PRIVATE_FILE_MODE,
      });
    }
    if (!closed) markDamaged(this.directory, NOT_CONTINUED);
    syncDirectorySync(this.directory);
    const firstSequence = this.#numbers.next(0, true);
    const lastSequence = this.#numbers.highest;
    return {
      stream: this.stream,
      records: this.#records,
      firstSequence,
      lastSequence,
      lastTime: this.#lastTime,
      root: this.#whole ? this.#tree.root().toString('base64') : null,
      checkpointSize: this.#checkpoint?.size ?? null,
      checkpoint: this.#checkpoint?.note,
      gaps: this.#numbers.missing(firstSequence, lastSequence + 1),
      closed,
      digest: this.#digest.digest('hex'),
    };
  }

  /** Lets go of the file where the restore is given up. */
  abandon(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}
