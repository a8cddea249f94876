/** The tail of a stream, read from its end backwards, and whether it is what was signed. */
import { readFileSync, statSync } from 'node:fs';
import { storedFrontier } from '../audit/journal/resume-point.ts';
import { CHECKPOINT_FILE, listSegments, type SegmentFile } from '../audit/journal/segment-files.ts';
import { CHECKPOINT_EVENT } from '../audit/journal/system-events.ts';
import { openNote, parseCheckpoint, type VerifierKey } from '../audit/proof/note.ts';
import { Frontier } from '../audit/proof/tree.ts';
import { readBlocks } from '../audit/read/files.ts';
import { nextTurn } from '../core/next-turn.ts';
import { ROUND_EVENT, ROUND_LAYERS, snapshotLayer, TRADING_STATE_KEY } from '../risk/risk-state.ts';
import { backwardLines } from './backward-lines.ts';
import { nanosOf, noteOf, placeOf, type RecordPlace, toRecordedEvent } from './stream-record.ts';

/** Raised in here: the tail is not what was signed, or can't be read. */
class Untrusted extends Error {}

/** What was found of a stream's tail. */
export interface TailCheck {
  /** Why it is not to be trusted; undefined where it is. */
  readonly problem: string | undefined;
  /** Size of the newest signed checkpoint whose root fits; 0 where there is none yet. */
  readonly signedSize: number;
}

/** A stream's newest records. `places` are from the newest on, without a hole. */
export class StreamTail {
  readonly stream: string;
  readonly directory: string;
  readonly places: RecordPlace[] = [];
  /** Why it can't be trusted, as far as reading shows. */
  problem: string | undefined;
  /** The stream's first record is among `places`. */
  complete = false;
  /** From this number on each record was found to be what its hash says, and to lie under the roots that were signed. */
  soundFrom = Number.POSITIVE_INFINITY;
  readonly #batches: AsyncGenerator<readonly string[], void, undefined>;
  readonly #until: bigint | undefined;
  readonly #onRead: ((bytes: number) => void) | undefined;
  #ended = false;
  #torn = false;
  /** Index below which rounds were looked for. */
  #looked = 0;
  readonly #snapshots = new Set<string>();
  #round: number | undefined;

  /**
   * @param until only records up to and at this time, nanoseconds since the epoch; files that begin later are not read
   * @param onRead told of each part that was read, by its bytes as they lie on disk
   */
  constructor(directory: string, stream: string, until?: bigint, onRead?: (bytes: number) => void) {
    this.directory = directory;
    this.stream = stream;
    this.#until = until;
    this.#onRead = onRead;
    this.#batches = this.#read();
  }

  async *#read(): AsyncGenerator<readonly string[], void, undefined> {
    const files = listSegments(this.directory);
    for (let index = files.length - 1; index >= 0; index--) {
      const file = files[index]!;
      if (index > 0 && this.#until !== undefined && (await startOf(file)) > this.#until) continue;
      for await (const lines of backwardLines(file)) {
        if (this.#onRead !== undefined) await this.#tell(file, lines, this.#onRead);
        yield lines;
      }
    }
  }

  async #tell(file: SegmentFile, lines: readonly string[], onRead: (bytes: number) => void): Promise<void> {
    const bytes = file.sealed
      ? statSync(file.path, { throwIfNoEntry: false })?.size
      : lines.reduce((sum, one) => sum + one.length + 1, 0);
    onRead(bytes ?? 0);
    // Whoever shows how far it is needs a turn.
    await nextTurn();
  }

  /** Whether a record is not later than what is asked for. */
  isWithin(place: RecordPlace): boolean {
    return this.#until === undefined || nanosOf(place.time) <= this.#until;
  }

  /** Reads on towards the beginning. @returns false at the end, and where a hole or an unreadable line stops it */
  async more(): Promise<boolean> {
    if (this.#ended) return false;
    const { value: lines } = await this.#batches.next();
    if (lines === undefined) {
      this.#ended = true;
      return false;
    }
    for (const line of lines) {
      if (!this.#take(line)) {
        this.#ended = true;
        await this.#batches.return();
        return false;
      }
    }
    return true;
  }

  #take(line: string): boolean {
    const place = placeOf(line);
    if (place === undefined) {
      // The last line of a stream that is being written.
      if (this.places.length === 0 && !this.#torn) {
        this.#torn = true;
        return true;
      }
      this.problem ??= `a line before number ${this.places.at(-1)?.sequence ?? 'one'} cannot be read`;
      return false;
    }
    const newest = this.places[0];
    const oldest = this.places.at(-1);
    if (newest !== undefined && oldest !== undefined) {
      if (place.sequence >= oldest.sequence) {
        // After a disk error records stand twice, in two files.
        const known = this.places[newest.sequence - place.sequence];
        if (known?.claim === place.claim) return true;
        this.problem ??= `record ${place.sequence} stands twice and differs`;
        return false;
      }
      if (place.sequence !== oldest.sequence - 1) {
        this.problem ??= `record ${oldest.sequence - 1} is missing`;
        return false;
      }
    }
    this.places.push(place);
    if (place.sequence === 0) this.complete = true;
    return true;
  }

  /**
   * Index in `places` of the newest round of snapshots that is whole: every layer that it lists has its snapshot behind it.
   * From there on the events alone give the state of every layer.
   */
  findRound(): number | undefined {
    this.#round ??= this.#nextRound();
    return this.#round;
  }

  /**
   * The whole round before that, where it stands among what was read. From there on the events show whether the newest round
   * says what they come to.
   */
  findEarlierRound(): number | undefined {
    if (this.#round === undefined) return undefined;
    this.#snapshots.clear();
    return this.#nextRound();
  }

  #nextRound(): number | undefined {
    for (; this.#looked < this.places.length; this.#looked++) {
      const place = this.places[this.#looked]!;
      if (!place.event.endsWith('snapshot') || !place.event.startsWith('risk.') || !this.isWithin(place)) continue;
      const event = toRecordedEvent(place);
      if (event.name !== ROUND_EVENT) {
        this.#snapshots.add(snapshotLayer(event) ?? '');
        continue;
      }
      const layers = event.attributes[ROUND_LAYERS];
      if (Array.isArray(layers) && layers.every((one) => one === TRADING_STATE_KEY || this.#snapshots.has(one))) {
        return this.#looked++;
      }
    }
    return undefined;
  }

  /** Reads on until a round is whole, or the stream's beginning is there. @returns the round's index */
  async toRound(): Promise<number | undefined> {
    while (this.findRound() === undefined && (await this.more()));
    return this.findRound();
  }

  /**
   * Checks roots and the newest signature over the tail: from where the writer noted the tree's frontier, else from the
   * stream's beginning.
   * @param anchor a note kept in a later stream
   * @param recovered the journal has gone on with this stream, and has read it from that frontier on: hashes and roots are
   *   what they should be, and only whose signature they bear is still to be seen
   */
  async check(keys: readonly VerifierKey[], anchor?: string, recovered = false): Promise<TailCheck> {
    try {
      const signedSize = await this.#check(keys, anchor, recovered);
      return { problem: this.problem, signedSize };
    } catch (error) {
      if (!(error instanceof Untrusted)) throw error;
      return { problem: error.message, signedSize: 0 };
    }
  }

  async #check(keys: readonly VerifierKey[], anchor: string | undefined, recovered: boolean): Promise<number> {
    const newest = this.places[0];
    if (newest === undefined) return 0;
    const stored = storedFrontier(this.directory, this.stream);
    const from = stored !== undefined && stored.size <= newest.sequence + 1 ? stored : new Frontier();
    while ((this.places.at(-1)?.sequence ?? 0) > from.size && (await this.more()));
    if (this.problem !== undefined) throw new Untrusted(this.problem);
    const oldest = this.places.at(-1)!.sequence;
    if (oldest > from.size)
      throw new Untrusted(`the records before ${oldest} were removed, and no frontier says what they came to`);

    const notes: { readonly note: string; readonly size: number; readonly root: Uint8Array }[] = [];
    const add = (note: string | undefined, what: string) => {
      if (note === undefined) return;
      const checkpoint = parseCheckpoint(`${note.split('\n').slice(0, 3).join('\n')}\n`);
      if (checkpoint?.origin !== this.stream) throw new Untrusted(`${what} is no checkpoint of this stream`);
      if (checkpoint.size > newest.sequence + 1) {
        throw new Untrusted(`records below ${checkpoint.size}, the size that ${what} signs, are missing`);
      }
      notes.push({ note, ...checkpoint });
    };
    for (let at = newest.sequence - from.size; at >= 0; at--) {
      const place = this.places[at]!;
      if (place.event === CHECKPOINT_EVENT) add(noteOf(place), `record ${place.sequence}`);
    }
    add(readNote(this.directory), 'the file checkpoint');
    add(anchor, 'the note in the stream after it');
    notes.sort((a, b) => a.size - b.size);
    const last = notes.at(-1);
    if (last !== undefined) {
      const opened = openNote(last.note, keys);
      if ('error' in opened)
        throw new Untrusted(`the newest checkpoint is not signed by the service's key: ${opened.error}`);
    }
    if (recovered) {
      this.soundFrom = from.size;
      return last !== undefined && last.size >= from.size ? last.size : 0;
    }
    let signedSize = 0;
    const tree = from;
    for (const { size, root } of notes) {
      // What is below the frontier was checked when it was written, and lies under the roots above it.
      if (size < tree.size) continue;
      while (tree.size < size) tree.append(Buffer.from(this.places[newest.sequence - tree.size]!.claim, 'base64'));
      if (!tree.root().equals(root)) throw new Untrusted(`the records below ${size} are not those that were signed`);
      signedSize = size;
    }
    return signedSize;
  }
}

async function startOf(file: SegmentFile): Promise<bigint> {
  for await (const { bytes } of readBlocks(file.path)) {
    const newline = bytes.indexOf(10);
    return nanosOf(placeOf(bytes.toString('utf8', 0, newline < 0 ? undefined : newline))?.time ?? '0');
  }
  return 0n;
}

function readNote(directory: string): string | undefined {
  try {
    return readFileSync(`${directory}/${CHECKPOINT_FILE}`, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
