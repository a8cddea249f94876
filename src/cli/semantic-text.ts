/** What comparing a trail's snapshots came to, in words, for a terminal. */

import type { SemanticReport, StreamSnapshotFinding } from '../analysis/semantic-check.ts';
import { printable } from '../core/printable.ts';

/** Values longer than this are cut. */
const MAX_VALUE = 120;

const short = (json: string) => printable(json.length > MAX_VALUE ? `${json.slice(0, MAX_VALUE)}…` : json);
const count = (number: number, noun: string) => `${number.toLocaleString('en-US')} ${noun}${number === 1 ? '' : 's'}`;

function findingText({ stream, layer, timeMs, recordId, differences }: StreamSnapshotFinding): string[] {
  const rows = differences.map(
    ({ path, folded, snapshot }) =>
      `    ${path === '' ? 'state' : printable(path)}: the events give ${short(folded)}, the snapshot says ${short(snapshot)}`,
  );
  const time = new Date(timeMs).toISOString();
  return [`  ${printable(layer)}  ${time}  record ${printable(recordId)}  ${printable(stream)}`, ...rows];
}

/** Plain text of lines ending in a newline, without colours. */
export function formatSemanticReport({ compared, findings, unreadable }: SemanticReport): string {
  const lines = findings.flatMap(findingText);
  const all = `${count(compared, 'snapshot')} compared with the events before ${compared === 1 ? 'it' : 'them'}`;
  if (findings.length === 0) lines.push(`Snapshots: ${all}, none disagrees.`);
  else lines.unshift(`Snapshots: ${all}, ${findings.length} disagree. A restart goes by the events.`);
  if (unreadable > 0) lines.push(`${count(unreadable, 'event')} of a newer version could not be read.`);
  return `${lines.join('\n')}\n`;
}
