/** A verification's outcome in words, for a terminal. */
import { printable } from '../../core/printable.ts';
import { FINDING_EXIT, type Finding, type FindingKind, type StreamReport, type VerifyReport } from './verify.ts';

/** What each kind of finding means. */
const MEANING: Record<FindingKind, string> = {
  INVALID: 'changed, or no audit record',
  ROOT_MISMATCH: 'checkpoint does not fit the records',
  BAD_SIGNATURE: 'checkpoint not signed by the keys',
  CONFLICT: 'two different records of one number',
  FORK: 'two histories were signed',
  AFTER_CLOSE: 'record after the end of the stream',
  GAP: 'records missing',
  TRUNCATED: 'records missing at the end',
  MISSING_STREAM: 'stream missing',
  TORN: 'unreadable',
  TORN_TAIL: 'last line incomplete',
  UNSIGNED_TAIL: 'not yet covered by a checkpoint',
  NOT_CLOSED: 'stream open, or its writer died',
  PRUNED: 'removed by retention, as recorded',
};

const VERDICT = {
  0: 'PASSED: nothing was changed and nothing is missing.',
  1: 'FAILED: something was changed, inserted or forged.',
  2: 'INCOMPLETE: nothing that is there was changed, but something is missing.',
} as const;

const KEY_SOURCE = {
  given: 'The verifier key was given.',
  'beside the trail':
    'The verifier key lay beside the trail: this shows that the trail is consistent, not who signed it. To show that, give the key from elsewhere.',
} as const;

const count = (number: number, noun: string) => `${number.toLocaleString('en-US')} ${noun}${number === 1 ? '' : 's'}`;

function placeOf({ file, line, sequence }: Finding): string {
  const record = sequence === null ? '' : `#${sequence}`;
  const at = file === null ? '' : `${file}${line === null ? '' : `:${line}`}`;
  return [record, at].filter((part) => part !== '').join('  ');
}

/** Rows of columns, each as wide as its widest cell. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => (row[column] as string).length))) ?? [];
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] as number))
      .join('  ')
      .trimEnd(),
  );
}

function summaryOf(stream: StreamReport): string {
  if (stream.records === 0) return 'no records';
  const range = `numbers ${stream.firstSequence} to ${stream.lastSequence}`;
  const verified =
    stream.verifiedThrough === null ? 'no checkpoint fits' : `verified through ${stream.verifiedThrough}`;
  const parts = [`${count(stream.records, 'record')} (${range})`, count(stream.checkpoints, 'checkpoint'), verified];
  if (stream.unsignedTail > 0) parts.push(`${count(stream.unsignedTail, 'record')} not yet signed`);
  parts.push(stream.closed ? 'closed' : 'open');
  return parts.join(', ');
}

function streamText(stream: StreamReport): string[] {
  const name = stream.stream === '' ? 'Lines of no known stream' : `Stream ${printable(stream.stream)}`;
  const lines = [name, ...(stream.stream === '' ? [] : [`  ${summaryOf(stream)}`])];
  if (stream.findings.length > 0) {
    const rows = stream.findings.map((finding) => [
      finding.kind,
      MEANING[finding.kind],
      printable(finding.detail),
      printable(placeOf(finding)),
    ]);
    lines.push(...table(rows).map((row) => `    ${row}`));
  }
  if (stream.findingsOmitted > 0) lines.push(`    … and ${count(stream.findingsOmitted, 'more finding')}`);
  return lines;
}

/** One finding as a line, without its newline. */
export function formatFinding(finding: Finding & { readonly stream: string }): string {
  const place = [finding.stream, placeOf(finding)].filter((part) => part !== '').join('  ');
  return printable(`${finding.kind}  ${MEANING[finding.kind]}: ${finding.detail}  ${place}`);
}

/** The verdict's words: with `strict`, what is only open or unsigned says 2 as well. */
function verdictOf(report: VerifyReport): string {
  const hard = report.streams.some((stream) => stream.findings.some(({ kind }) => FINDING_EXIT[kind] === 2));
  if (report.exitStatus === 2 && !hard) return 'INCOMPLETE: nothing was changed, but not all is closed and signed.';
  return VERDICT[report.exitStatus];
}

/**
 * A report for people: each stream with its findings, where the key came from, the verdict. Plain text of lines ending in a
 * newline, without colours.
 */
export function formatVerifyReport(report: VerifyReport): string {
  const lines: string[] = [];
  for (const stream of report.streams) lines.push(...streamText(stream), '');
  lines.push(KEY_SOURCE[report.keySource], verdictOf(report));
  return `${lines.join('\n')}\n`;
}
