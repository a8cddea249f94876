/** The part of a stream that stands, where its end is not to be trusted: everything below its last good checkpoint. */
import { listSegments } from '../audit/journal/segment-files.ts';
import { CHECKPOINT_EVENT } from '../audit/journal/system-events.ts';
import { openNote, parseCheckpoint, type VerifierKey } from '../audit/proof/note.ts';
import { Frontier } from '../audit/proof/tree.ts';
import { readBlocks } from '../audit/read/files.ts';
import type { RecordedEvent } from '../risk/recorded-event.ts';
import { isFolded, isIntact, noteOf, type PreviousOf, placeOf, previousOf, toRecordedEvent } from './stream-record.ts';

/** What {@link readVerifiedPrefix} tells of. */
export interface PrefixVisitor {
  /** The stream's first record, before anything else: the stream that it goes on from. */
  opened(previous: PreviousOf | undefined): Promise<void>;
  /** Events that the folds read, below a checkpoint that is signed and whose root fits; in order. */
  verified(events: readonly RecordedEvent[]): void;
}

/**
 * Reads a stream from its first record to the first that is not what it should be.
 * @returns how many records stand below the last good checkpoint; 0 where retention removed the beginning
 */
export async function readVerifiedPrefix(
  directory: string,
  stream: string,
  keys: readonly VerifierKey[],
  visitor: PrefixVisitor,
): Promise<number> {
  const tree = new Frontier();
  let verified = 0;
  let waiting: { readonly sequence: number; readonly event: RecordedEvent }[] = [];

  /** @returns whether the note is signed, and its root is that of the records so far */
  function isGood(note: string | undefined, roots: ReadonlyMap<number, Buffer>): number | undefined {
    const opened = note === undefined ? undefined : openNote(note, keys);
    if (opened === undefined || 'error' in opened) return undefined;
    const checkpoint = parseCheckpoint(opened.text);
    if (checkpoint?.origin !== stream) return undefined;
    return roots.get(checkpoint.size)?.equals(checkpoint.root) === true ? checkpoint.size : undefined;
  }

  /** Roots at the sizes that a checkpoint may name: it covers what stood when it was begun. */
  const roots = new Map<number, Buffer>();
  for (const file of listSegments(directory)) {
    for await (const block of readBlocks(file.path)) {
      if (block.broken) return verified;
      for (const line of block.bytes.toString('utf8').split('\n')) {
        if (line === '') continue;
        const place = placeOf(line);
        if (place === undefined || !isIntact(place, stream)) return verified;
        if (place.sequence < tree.size) continue;
        if (place.sequence > tree.size) return verified;
        if (place.sequence === 0) await visitor.opened(previousOf(place));
        if (place.event === CHECKPOINT_EVENT) {
          const size = isGood(noteOf(place), roots);
          if (size === undefined) return verified;
          if (size > verified) {
            verified = size;
            visitor.verified(waiting.filter((one) => one.sequence < size).map((one) => one.event));
            waiting = waiting.filter((one) => one.sequence >= size);
            for (const known of roots.keys()) if (known < size) roots.delete(known);
          }
        }
        tree.append(Buffer.from(place.claim, 'base64'));
        roots.set(tree.size, tree.root());
        if (isFolded(place.event)) waiting.push({ sequence: place.sequence, event: toRecordedEvent(place) });
      }
    }
  }
  return verified;
}
