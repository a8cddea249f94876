/** The outcome of a torture run in words. */
import type { VerifyReport } from '../src/audit/verify/verify.ts';
import type { TortureOptions, TortureResult } from './torture-run.ts';

const number = (value: number) => value.toLocaleString('en');

/** What the verifier found, counted by kind. */
export function findingsOf(report: VerifyReport): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { findings } of report.streams) for (const { kind } of findings) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

/** Everything that must not be. Empty after a good run. */
export function tortureFailures({ census, unreconciled, journal, copy, failures }: TortureResult): string[] {
  const undelivered = census.acknowledged - census.inCopy;
  return [
    ...(census.lost > 0 ? [`${census.lost} acknowledged records are lost: ${census.lostKeys.join(', ')} …`] : []),
    ...(undelivered > 0 ? [`${undelivered} acknowledged records never reached the copy`] : []),
    ...(unreconciled > 0 ? [`${unreconciled} records don't reconcile`] : []),
    ...(journal.ok ? [] : [`the journal doesn't verify: ${JSON.stringify(findingsOf(journal))}`]),
    ...(copy.ok ? [] : [`the copy doesn't verify: ${JSON.stringify(findingsOf(copy))}`]),
    ...failures,
  ];
}

function verdict(report: VerifyReport): string {
  const findings = Object.entries(findingsOf(report)).map(([kind, count]) => `${count} ${kind}`);
  const words = findings.length === 0 ? 'nothing to tell' : findings.join(', ');
  return `exit ${report.exitStatus}: ${report.streams.length} streams, ${words}`;
}

/** A table in Markdown, and below it what must not be. */
export function formatTorture(options: Pick<TortureOptions, 'seed'>, result: TortureResult): string {
  const { kills, ended, unreconciled, census, sink, journal, copy, seconds, told } = result;
  const rows: readonly (readonly [string, string])[] = [
    ['seed', String(options.seed)],
    ['kills', number(Object.values(kills).reduce((sum, count) => sum + count, 0))],
    ...Object.entries(kills).map(([role, count]) => [`… of ${role}`, number(count)] as const),
    ['ended in order', number(ended)],
    ['records acknowledged', number(census.acknowledged)],
    ['**lost**', `**${number(census.lost)}**`],
    ['… in the journal', number(census.inJournal)],
    ['… removed from it by retention', number(census.acknowledged - census.lost - census.inJournal)],
    ['… in the copy', number(census.inCopy)],
    ['delivered more than once', number(census.duplicates)],
    ['missing or differing after reconciling', number(unreconciled)],
    ['requests', `${number(sink.requests)}, ${number(sink.refused)} refused, ${number(sink.lostAnswers)} answers lost`],
    ['journal verifies', verdict(journal)],
    ['copy verifies', verdict(copy)],
    ['time', `${Math.round(seconds)} s`],
  ];
  const table = ['| what | |', '|---|---|', ...rows.map(([name, value]) => `| ${name} | ${value} |`)];
  const messages = [...told].toSorted((a, b) => b[1] - a[1]).slice(0, 20);
  const failures = tortureFailures(result);
  return [
    ...table,
    ...(messages.length > 0
      ? ['', 'Told by the processes:', ...messages.map(([text, count]) => `${count} × ${text}`)]
      : []),
    ...(failures.length > 0 ? ['', 'FAILED:', ...failures] : []),
  ].join('\n');
}
