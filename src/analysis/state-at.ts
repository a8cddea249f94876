/** What was the state of every risk layer at a moment: folded from the records up to and at it, and from no others. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { listSegments } from '../audit/journal/segment-files.ts';
import { STREAMS_DIRECTORY } from '../audit/journal/streams.ts';
import { type RiskState, RiskStateFold } from '../risk/risk-state.ts';
import { rebuildRiskState } from '../state/rebuild-state.ts';
import { firstPlaceOf } from '../state/stream-head.ts';
import { nanosOf, previousOf, toRecordedEvent } from '../state/stream-record.ts';
import type { FlatRecord } from './flat-record.ts';
import { type QueryOptions, queryTrail } from './trail-query.ts';

/** The state of one service's process, or of the row of processes that went on from one another. */
export interface ServiceState {
  /** Stream of its newest record, `<service>/<stream UUID>`. */
  readonly stream: string;
  readonly state: RiskState;
}

/**
 * The state at a moment, one for each row of streams that go on from one another: a service has one for each of its processes.
 * A journal is read from the newest round of snapshots before the moment on; other files, such as a Collector's, as a whole.
 * Nothing is verified here: that is `verifyTrail`'s part.
 * @param paths data directories, or any files and directories of a trail
 * @param at timestamp with nine digits of the second, as `parseBound` gives it; without, the end of the trail
 * @param onProgress told how far reading has come; of a journal it ends where the newest round of snapshots is found
 * @throws RiskTrailError PATH_NOT_FOUND, FILE_UNREADABLE, NO_TRAIL_FILES
 */
export async function stateAt(
  paths: readonly string[],
  at?: string,
  onProgress?: QueryOptions['onProgress'],
): Promise<readonly ServiceState[]> {
  const states: ServiceState[] = [];
  const others: string[] = [];
  for (const path of paths) {
    const heads = await headsOf(path, at === undefined ? undefined : nanosOfIso(at));
    if (heads === undefined) {
      others.push(path);
      continue;
    }
    const onRead = onProgress === undefined ? undefined : addUp(path, onProgress);
    for (const head of heads) states.push(await stateOf(path, head, at, onRead));
  }
  return others.length === 0 ? states : [...states, ...(await foldFiles(others, at, onProgress))];
}

type OnRead = (bytes: number) => void;

/** Adds up what is read of a data directory's streams. */
function addUp(dataDir: string, onProgress: NonNullable<QueryOptions['onProgress']>): OnRead {
  const directory = join(dataDir, STREAMS_DIRECTORY);
  const sizes = readdirSync(directory).flatMap((name) =>
    // One that is gone meanwhile has nothing to be read.
    listSegments(join(directory, name)).map(({ path }) => statSync(path, { throwIfNoEntry: false })?.size ?? 0),
  );
  const totalBytes = sizes.reduce((sum, size) => sum + size, 0);
  let bytes = 0;
  return (more) => {
    bytes += more;
    onProgress({ bytes, totalBytes });
  };
}

async function stateOf(
  dataDir: string,
  stream: string,
  at: string | undefined,
  onRead: OnRead | undefined,
): Promise<ServiceState> {
  const until = at === undefined ? undefined : nanosOfIso(at);
  const rebuilt = await rebuildRiskState({ dataDir, stream, until, onRead });
  return { stream: rebuilt.stream ?? stream, state: rebuilt.fold.state() };
}

function nanosOfIso(iso: string): bigint {
  return BigInt(Date.parse(`${iso.slice(0, 19)}Z`)) * 1_000_000n + BigInt(iso.slice(20, 29));
}

/** Streams of a data directory, begun by then, that no other one went on from by then; undefined where it is none. */
async function headsOf(dataDir: string, until: bigint | undefined): Promise<readonly string[] | undefined> {
  const directory = join(dataDir, STREAMS_DIRECTORY);
  if (!existsSync(directory)) return undefined;
  const heads: string[] = [];
  const continued = new Set<string>();
  for (const name of readdirSync(directory).sort()) {
    const place = await firstPlaceOf(join(directory, name));
    if (place === undefined) continue;
    if (until !== undefined && nanosOf(place.time) > until) continue;
    const stream = toRecordedEvent(place).attributes['audit.stream'];
    if (typeof stream !== 'string' || basename(stream) !== name) return undefined;
    const previous = previousOf(place);
    if (previous !== undefined) continued.add(previous.stream);
    heads.push(stream);
  }
  return heads.filter((stream) => !continued.has(stream));
}

async function foldFiles(
  paths: readonly string[],
  at: string | undefined,
  onProgress: QueryOptions['onProgress'],
): Promise<readonly ServiceState[]> {
  return Array.from(await foldStreams(paths, at, onProgress), ([stream, fold]) => ({ stream, state: fold.state() }));
}

/** Folds by stream; one that goes on from another stands in its place. */
async function foldStreams(
  paths: readonly string[],
  at: string | undefined,
  onProgress: QueryOptions['onProgress'],
): Promise<ReadonlyMap<string, RiskStateFold>> {
  const folds = new Map<string, RiskStateFold>();
  for await (const batch of queryTrail(paths, { onProgress })) {
    for (const record of batch) {
      const { stream, event } = record;
      if (stream === null || event === null || (at !== undefined && record.timestamp > at)) continue;
      let fold = folds.get(stream);
      if (fold === undefined) {
        // A stream that goes on from another takes its state over.
        const previous = record['audit.previous.stream'];
        fold = (typeof previous === 'string' ? folds.get(previous) : undefined) ?? new RiskStateFold();
        if (typeof previous === 'string') folds.delete(previous);
        folds.set(stream, fold);
      }
      fold.apply({ name: event, recordId: record.record_id ?? '', timeMs: timeMsOf(record), attributes: record });
    }
  }
  return folds;
}

function timeMsOf({ timestamp }: FlatRecord): number {
  return Date.parse(`${timestamp.slice(0, 19)}Z`) + Math.floor(Number(timestamp.slice(20, 29)) / 1000) / 1000;
}
