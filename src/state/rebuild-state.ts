/** The risk state at the end of a stream: from its newest whole round of snapshots on, read and checked backwards. */
import { existsSync } from 'node:fs';
import { streamDirectory } from '../audit/journal/streams.ts';
import type { VerifierKey } from '../audit/proof/note.ts';
import type { RecordedEvent } from '../risk/recorded-event.ts';
import { RiskStateFold } from '../risk/risk-state.ts';
import { intactEvent, isFolded, type PreviousOf, previousOf, toRecordedEvent } from './stream-record.ts';
import { StreamTail } from './stream-tail.ts';
import { readVerifiedPrefix } from './verified-prefix.ts';

/** What a stream came to. */
export interface RebuiltState {
  readonly fold: RiskStateFold;
  /** Why the trail is not to be trusted to its end; the fold is then that of what stands below its last good checkpoint. */
  readonly problem: string | undefined;
  /** The stream that holds the newest record that was folded, `<service>/<stream UUID>`; absent where there was none. */
  readonly stream: string | undefined;
  /** Records that were read. */
  readonly records: number;
  /** Of those, such as no signed checkpoint covers yet. */
  readonly unsigned: number;
}

/** How a stream is read. */
export interface RebuildOptions {
  readonly dataDir: string;
  /** `<service>/<stream UUID>` */
  readonly stream: string;
  /** Keys of the service. Without, nothing is checked. */
  readonly keys?: readonly VerifierKey[] | undefined;
  /** Only records up to and at this time, nanoseconds since the epoch. */
  readonly until?: bigint | undefined;
  /** Only records of `stream` with smaller numbers: what the process that reads wrote itself comes behind. */
  readonly below?: number | undefined;
  /** This process's journal goes on with `stream`, and has checked the hashes and roots of its open segment just now. */
  readonly recovered?: boolean | undefined;
  /** Told of each part that was read, by its bytes as they lie on disk. */
  readonly onRead?: ((bytes: number) => void) | undefined;
}

/** More streams than this that each end without a round of snapshots are no trail of ours. */
const MAX_STREAMS = 1000;

/**
 * Rebuilds the state at the end of a stream, those that it goes on from included as far as they are needed.
 * @throws the system's error where files can't be read; RiskTrailError FILE_UNREADABLE
 */
export function rebuildRiskState(options: RebuildOptions): Promise<RebuiltState> {
  return rebuild(options, undefined, 0);
}

async function rebuild(options: RebuildOptions, anchor: string | undefined, depth: number): Promise<RebuiltState> {
  const { dataDir, stream, keys, until, below = Number.POSITIVE_INFINITY } = options;
  const directory = streamDirectory(dataDir, stream.slice(stream.lastIndexOf('/') + 1));
  if (!existsSync(directory)) return nothing(`stream ${stream} is missing`);
  const tail = new StreamTail(directory, stream, until, options.onRead);
  const at = await tail.toRound();
  const check = keys === undefined ? undefined : await tail.check(keys, anchor, options.recovered);
  // An earlier round costs no more reading, and shows whether the newest one says what the events come to: they win.
  const end = tail.findEarlierRound() ?? at ?? tail.places.length - 1;
  const events: RecordedEvent[] = [];
  const unread = check?.problem ?? tail.problem;
  const problem = unread ?? (keys === undefined ? undefined : changedRecord(tail, end, events));
  if (problem !== undefined && keys !== undefined) return fromPrefix(options, directory, problem, depth);

  let before: RebuiltState | undefined;
  if (at === undefined) {
    if (tail.places.length === 0) return nothing(undefined);
    if (!tail.complete) {
      if (keys !== undefined) return nothing('no snapshot of every layer stands in what retention left of the trail');
    } else before = await goBack(options, previousOf(tail.places.at(-1)!), depth);
  }
  const fold = before?.fold ?? new RiskStateFold();
  const signedSize = check?.signedSize ?? Number.POSITIVE_INFINITY;
  let folded = 0;
  let unsigned = 0;
  for (let index = end; index >= 0; index--) {
    const place = tail.places[index]!;
    if (place.sequence >= below || !tail.isWithin(place)) continue;
    if (place.sequence >= signedSize && !place.event.startsWith('audit.')) unsigned++;
    if (isFolded(place.event) || place.event.startsWith('audit.')) {
      if (isFolded(place.event)) folded++;
      fold.apply(events[index] ?? toRecordedEvent(place));
    }
  }
  const newer = fold.unreadable > 0 ? 'it holds events of a newer version' : undefined;
  return {
    fold,
    problem: before?.problem ?? newer,
    stream: folded > 0 ? stream : before?.stream,
    records: tail.places.length + (before?.records ?? 0),
    unsigned: unsigned + (before?.unsigned ?? 0),
  };
}

const nothing = (problem: string | undefined): RebuiltState => ({
  ...{ fold: new RiskStateFold(), problem, stream: undefined, records: 0, unsigned: 0 },
});

async function goBack(options: RebuildOptions, previous: PreviousOf | undefined, depth: number) {
  if (previous === undefined) return undefined;
  if (depth >= MAX_STREAMS) return nothing(`more than ${MAX_STREAMS} streams end without a snapshot of every layer`);
  return rebuild(
    { ...options, stream: previous.stream, below: undefined, recovered: false },
    previous.checkpoint,
    depth + 1,
  );
}

/**
 * The newest record that was changed, among those that are folded.
 * @param events put in here by index: a line is parsed once
 */
function changedRecord(tail: StreamTail, end: number, events: RecordedEvent[]): string | undefined {
  for (let index = 0; index <= end; index++) {
    const place = tail.places[index]!;
    if (place.sequence >= tail.soundFrom || (!isFolded(place.event) && place.sequence !== 0)) continue;
    const event = intactEvent(place, tail.stream);
    if (event === undefined) return `record ${place.sequence} was changed`;
    events[index] = event;
  }
  return undefined;
}

async function fromPrefix(
  options: RebuildOptions,
  directory: string,
  problem: string,
  depth: number,
): Promise<RebuiltState> {
  const { stream, keys } = options;
  let before: RebuiltState | undefined;
  let fold = new RiskStateFold();
  let events = 0;
  const records = await readVerifiedPrefix(directory, stream, keys ?? [], {
    async opened(previous) {
      before = await goBack(options, previous, depth);
      if (before !== undefined) fold = before.fold;
    },
    verified(list) {
      events += list.length;
      for (const event of list) fold.apply(event);
    },
  });
  const earlier = before as RebuiltState | undefined;
  return {
    fold,
    problem: `stream ${stream}: ${problem}`,
    stream: events > 0 ? stream : earlier?.stream,
    records: records + (earlier?.records ?? 0),
    unsigned: 0,
  };
}
