/** Finds the records of explanations by looking at every record of a trail: slow, and plain enough to be believed. */
import {
  type CheckedRecord,
  checkedRecords,
  type FirstRecords,
  type IdQuestion,
  isRefused,
  matches,
  onceInOrder,
  type RecordFinder,
  type StateChange,
} from '../../src/analysis/explain-records.ts';
import type { FlatRecord } from '../../src/analysis/flat-record.ts';
import { findTrailFiles, readBlocks, scanBlock } from '../../src/audit/read/files.ts';

const after = (a: FlatRecord, b: FlatRecord): boolean =>
  a.timestamp > b.timestamp || (a.timestamp === b.timestamp && (a.sequence ?? 0) > (b.sequence ?? 0));

/** Reads a trail as it is now, whole. */
export async function plainFinder(paths: readonly string[]): Promise<RecordFinder> {
  const all: CheckedRecord[] = [];
  for (const path of (await findTrailFiles(paths)).records) {
    for await (const block of readBlocks(path)) {
      scanBlock(block, {
        line: (text) => all.push(...checkedRecords(text)) > 0,
        torn: () => {},
      });
    }
  }
  const pick = (keep: (one: FlatRecord) => boolean) => onceInOrder(all, keep);
  const first = (keep: (one: FlatRecord) => boolean, most: number): FirstRecords => {
    const found = pick(keep);
    return { first: found.slice(0, most), count: found.length };
  };
  const changes = new Map<StateChange, CheckedRecord>();
  for (const one of pick(({ event }) => event === 'risk.trading_state_change')) {
    const { timestamp, sequence, stream } = one.flat;
    const told = one.flat['risk.trading_state.new'];
    const state = told === 'ACTIVE' || told === 'HALTED' ? told : null;
    const scope = (one.flat['risk.scope'] as string | undefined) ?? null;
    changes.set({ timestamp, sequence, stream, scope, state }, one);
  }
  return {
    find: async (question: IdQuestion) => pick((one) => matches(question, one)),
    changes: () => [...changes.keys()],
    read: async (change) => changes.get(change)!,
    key: (text) => text ?? null,
    async lastBefore(kind, change, breaker, most) {
      const event = `risk.circuit_breaker.${kind === 'failure' ? 'failure' : 'trade_result'}`;
      return pick(
        (one) =>
          one.event === event &&
          one.stream === change.stream &&
          one.sequence! < change.sequence! &&
          one['risk.circuit_breaker.name'] === breaker,
      ).slice(-most);
    },
    citing: async (recordId, most) => first((one) => one['risk.cause.record_id'] === recordId, most),
    refused: async (begin, end, most) =>
      first(
        (one) =>
          isRefused(one) && one.stream === begin.stream && after(one, begin) && (end === undefined || after(end, one)),
        most,
      ),
    lastTime: () =>
      all
        .map(({ flat }) => flat.timestamp)
        .sort()
        .at(-1),
  };
}
