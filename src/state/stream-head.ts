/** A stream's first record, or the first that retention left of it. */
import { listSegments } from '../audit/journal/segment-files.ts';
import { readBlocks } from '../audit/read/files.ts';
import { type PreviousOf, placeOf, previousOf, type RecordPlace } from './stream-record.ts';

/** Place of the first record that is there; undefined where there is none that can be read. */
export async function firstPlaceOf(directory: string): Promise<RecordPlace | undefined> {
  const first = listSegments(directory)[0];
  if (first === undefined) return undefined;
  for await (const { bytes } of readBlocks(first.path)) {
    const end = bytes.indexOf(10);
    return end < 0 ? undefined : placeOf(bytes.toString('utf8', 0, end));
  }
  return undefined;
}

/** The stream that the one in a directory goes on from, where its first record says so. */
export async function previousStreamOf(directory: string): Promise<PreviousOf | undefined> {
  const place = await firstPlaceOf(directory);
  return place === undefined ? undefined : previousOf(place);
}
