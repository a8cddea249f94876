/** `risktrail restore`: a data directory rebuilt from a copy of its trail, on another host. */
import type { Command } from 'commander';
import type { RestoreReport } from '../../audit/restore/restore-trail.ts';
import type { StreamReport } from '../../audit/verify/verify.ts';
import { RiskTrailError } from '../../core/errors.ts';
import { gather } from '../option-values.ts';
import { createOutput, type Output } from '../output.ts';
import { withProgress } from '../progress.ts';
import { readVerifierKeys } from '../verifier-keys.ts';

interface RestoreFlags {
  readonly from?: readonly string[];
  readonly to?: string;
  readonly service?: string;
  readonly vkey?: readonly string[];
  readonly anchor?: readonly string[];
  readonly onFindings?: string;
  readonly signingKey?: string;
  readonly json?: boolean;
}

const EXAMPLES = `
The copy is verified first. A start in the restored directory resumes the risk state from it, in a stream of its own that names
the old one: two hosts never go on with one stream, so see that the old host is down for good. Running it again changes nothing.
A key that lies beside the copy shows that the copy is consistent with itself, not who signed it: give the key with --vkey.
Exit status: 0 restored, or there already; 1 something was changed; 2 something is missing; 3 wrong usage, no key, or a target
that holds something else. With 1 and 2 nothing is written unless --on-findings restore asks for it.

Examples:
  $ risktrail restore --from /var/log/otel/audit.jsonl --to ./risktrail-data --vkey /keys/momentum-bot.vkey
  $ risktrail restore --from /backup/otel --to ./risktrail-data --service momentum-bot --on-findings restore --json
`;

/** Adds the command to the program. @param done told of the exit status */
export function addRestoreCommand(program: Command, done: (status: number) => void): void {
  program
    .command('restore')
    .description("rebuild a data directory from a Collector's files, to go on with on another host")
    .option('--from <paths...>', 'files or directories that a Collector wrote: plain, rotated, compressed')
    .option('--to <directory>', 'the data directory to be: missing, empty, or with a signing key alone')
    .option('--service <name>', 'whose trail, where the files hold several')
    .option('--vkey <key>', 'verifier key, or a file of them; may be repeated (default: verifier.vkey beside)', gather)
    .option('--anchor <path>', 'checkpoints kept elsewhere, which the copy must reach; may be repeated', gather)
    .option('--on-findings <policy>', 'refuse, or restore what is intact all the same', 'refuse')
    .option('--signing-key <file>', "this host's signing key (default: one of the directory's own)")
    .option('--json', 'the report as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (flags: RestoreFlags) => done(await restore(flags, createOutput())));
}

function need(field: string, expected: string, value: string | undefined): string {
  if (value !== undefined && value !== '') return value;
  throw new RiskTrailError('OPTION_INVALID', { field, expected, received: 'nothing' });
}

async function restore(flags: RestoreFlags, output: Output): Promise<number> {
  const to = need('--to', 'the data directory to be', flags.to);
  need('--from', 'files or directories of a copy', flags.from?.[0]);
  const policy = flags.onFindings;
  if (policy !== 'refuse' && policy !== 'restore') {
    const details = { field: '--on-findings', expected: 'refuse or restore', received: JSON.stringify(policy) };
    throw new RiskTrailError('OPTION_INVALID', details);
  }
  const { restoreTrail } = await import('../../audit/restore/restore-trail.ts');
  const { createSystemClock } = await import('../../core/clock.ts');
  const clock = createSystemClock();
  const keys = await readVerifierKeys(flags.vkey ?? []);
  const report = await withProgress(`restoring ${to}`, clock.monotonic, () =>
    restoreTrail({
      from: flags.from as readonly string[],
      to,
      service: flags.service,
      ...(keys.length === 0 ? {} : { keys }),
      anchors: flags.anchor,
      onFindings: policy,
      signingKeyFile: flags.signingKey,
      clock,
      onError: (error, what) => output.note(`risktrail: ${what}: ${(error as Error).message}`),
    }),
  );
  // Set before printing: whoever reads may stop reading.
  process.exitCode = report.exitStatus;
  await output.write(flags.json ? `${JSON.stringify(await plainReport(report), undefined, 2)}\n` : inWords(report));
  return report.exitStatus;
}

async function plainReport({ verification, exitStatus, streams, ...rest }: RestoreReport): Promise<object> {
  const { toReportJson } = await import('../../audit/verify/verify.ts');
  const told = streams.map(({ checkpoint, digest, ...one }) => one);
  return { ...rest, streams: told, verification: toReportJson(verification) };
}

const isBad = ({ kind }: StreamReport['findings'][number]): boolean =>
  !['TORN_TAIL', 'UNSIGNED_TAIL', 'NOT_CLOSED', 'PRUNED'].includes(kind);

function inWords({ outcome, service, to, stream, streams, verification }: RestoreReport): string {
  const lines: string[] = [];
  if (outcome === 'refused') lines.push(`Nothing was restored: the copy of ${service} has findings.`);
  else if (outcome === 'unchanged') lines.push(`${to} holds this copy of ${service} already; nothing was changed.`);
  else lines.push(`Restored ${service} to ${to}; the new stream is ${stream}.`);
  for (const { stream: one, records, lastSequence, checkpointSize, gaps } of streams) {
    const signed = checkpointSize === null ? 'no checkpoint' : `signed below ${checkpointSize}`;
    const missing = gaps.map(({ first, last }) => (first === last ? `${first}` : `${first}–${last}`)).join(', ');
    lines.push(`  ${one}: ${records} records through ${lastSequence}, ${signed}${missing && `, missing ${missing}`}`);
  }
  for (const { stream: one, findings } of verification.streams) {
    for (const finding of findings.filter(isBad)) lines.push(`  ${finding.kind} ${one}: ${finding.detail}`);
  }
  if (verification.keySource !== 'given') lines.push('  The key lay beside the copy: who signed it is not proven.');
  return `${lines.join('\n')}\n`;
}
