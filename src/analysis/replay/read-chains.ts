/** Reads what a trail says the risk layers were given and decided: one chain for each row of streams that go on from one another. */
import { RiskTrailError } from '../../core/errors.ts';
import { RiskStateFold } from '../../risk/risk-state.ts';
import type { FlatRecord } from '../flat-record.ts';
import { queryTrail, type ReadProgress } from '../trail-query.ts';
import { ChainBuilder } from './chain-builder.ts';
import type { RecordedChain } from './steps.ts';

/** Which part of a trail is read. */
interface ReadChainsOptions {
  /** Timestamps with nine digits of the second, as `parseBound` gives them. */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  /** Told how far reading has come. */
  readonly onRead?: ((progress: ReadProgress) => void) | undefined;
}

interface Row {
  readonly fold: RiskStateFold;
  readonly builder: ChainBuilder;
  begun: boolean;
}

/**
 * @param paths data directories or files of a trail
 * @returns the chains in which a risk layer was given anything
 * @throws RiskTrailError PATH_NOT_FOUND, FILE_UNREADABLE, NO_TRAIL_FILES, REPLAY_NOTHING
 */
export async function readChains(
  paths: readonly string[],
  options: ReadChainsOptions = {},
): Promise<readonly RecordedChain[]> {
  const { from, to, onRead } = options;
  const rows = new Map<string, Row>();
  for await (const batch of queryTrail(paths, { onProgress: onRead })) {
    for (const record of batch) {
      const { stream, event, timestamp } = record;
      if (stream === null || event === null || (to !== undefined && timestamp > to)) continue;
      const row = rowOf(rows, record, stream);
      const given = { name: event, recordId: record.record_id ?? '', timeMs: timeMsOf(timestamp), attributes: record };
      if (from !== undefined && timestamp < from) {
        row.fold.apply(given);
        row.builder.learn(given);
        continue;
      }
      if (!row.begun) {
        row.begun = true;
        if (from !== undefined) row.builder.startFrom(row.fold.state());
      }
      row.builder.take(given, record.sequence ?? 0, stream);
    }
  }
  const chains = [...rows.values()].map((row) => row.builder.done()).filter((chain) => chain.steps.length > 0);
  if (chains.length === 0) throw new RiskTrailError('REPLAY_NOTHING', { path: paths.join(', ') });
  return chains;
}

function rowOf(rows: Map<string, Row>, record: FlatRecord, stream: string): Row {
  const known = rows.get(stream);
  if (known !== undefined) return known;
  // A stream that goes on from another takes its place.
  const previous = record['audit.previous.stream'];
  const before = typeof previous === 'string' ? rows.get(previous) : undefined;
  if (typeof previous === 'string') rows.delete(previous);
  const row = before ?? { fold: new RiskStateFold(), builder: new ChainBuilder(), begun: false };
  rows.set(stream, row);
  return row;
}

/** Milliseconds since the epoch, with the microseconds in the fraction. */
function timeMsOf(timestamp: string): number {
  return Date.parse(`${timestamp.slice(0, 19)}Z`) + Math.floor(Number(timestamp.slice(20, 29)) / 1000) / 1000;
}
