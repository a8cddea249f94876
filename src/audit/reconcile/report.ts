/** A reconciliation in words, for a terminal. */
import { printable } from '../../core/printable.ts';
import type { CopyReport, ReconcileReport, StreamReconciliation } from './reconcile.ts';
import type { SequenceRange } from './sequence-set.ts';

const COPIES: Record<CopyReport['copy'], string> = { journal: 'journal', files: "Collector's files", loki: 'Loki' };
const NAME_WIDTH = Math.max(...Object.values(COPIES).map(({ length }) => length));
/** Ranges that are written out; the rest is counted. */
const MAX_RANGES = 10;

const VERDICT = {
  0: 'WHOLE: every copy holds every record.',
  1: 'DISAGREEING: copies hold different records of one number. risktrail verify says which were changed.',
  2: 'INCOMPLETE: something is missing from a copy.',
} as const;

const number = (value: number) => value.toLocaleString('en-US');
function rangesText(ranges: readonly SequenceRange[]): string {
  const shown = ranges
    .slice(0, MAX_RANGES)
    .map(({ first, last }) => (first === last ? `${first}` : `${first}–${last}`));
  const more = ranges.length - shown.length;
  return more > 0 ? `${shown.join(', ')} and ${number(more)} more ranges` : shown.join(', ');
}

function copyText(copy: CopyReport, stream: StreamReconciliation): string[] {
  const facts = [`holds ${number(copy.records)}`];
  const { missing, missingRecords, twice, twiceRecords, differing, differingRecords } = copy;
  if (copy.copy === 'journal' && stream.pruned > 0) facts.push(`retention removed those below ${stream.pruned}`);
  if (missingRecords > 0) facts.push(`lacks ${number(missingRecords)} (${rangesText(missing)})`);
  if (twiceRecords > 0) facts.push(`has ${number(twiceRecords)} more than once (${rangesText(twice)})`);
  if (differingRecords > 0) facts.push(`disagrees on ${number(differingRecords)} (${rangesText(differing)})`);
  return [`  ${COPIES[copy.copy].padEnd(NAME_WIDTH)}  ${facts.join('; ')}`];
}

function streamText(stream: StreamReconciliation): string[] {
  const { size, shippedThrough } = stream;
  const lines = [`Stream ${printable(stream.stream)}: ${number(size)} records`];
  for (const copy of stream.copies) lines.push(...copyText(copy, stream));
  if (shippedThrough !== null && shippedThrough < size) {
    lines.push(`  Records from ${shippedThrough} on are not shipped yet, or not acknowledged.`);
  }
  return lines;
}

/** A report for people: each stream with its copies, and the verdict. Lines ending in a newline, without colours. */
export function formatReconcileReport(report: ReconcileReport): string {
  const lines = report.streams.flatMap((stream) => [...streamText(stream), '']);
  return `${[...lines, VERDICT[report.exitStatus]].join('\n')}\n`;
}
