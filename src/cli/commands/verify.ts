/** `risktrail verify`: is the trail whole, unchanged and signed? */
import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import type { SemanticReport } from '../../analysis/semantic-check.ts';
import type { FindingJournal } from '../../audit/verify/finding-journal.ts';
import type { VerifyOptions, VerifyReport } from '../../audit/verify/verify.ts';
import { RiskTrailError } from '../../core/errors.ts';
import { EXIT } from '../exit-codes.ts';
import { gather, parseCount } from '../option-values.ts';
import { createOutput, type Output } from '../output.ts';
import { trailPaths } from '../paths.ts';
import { withProgress } from '../progress.ts';
import { readVerifierKeys } from '../verifier-keys.ts';

interface VerifyFlags {
  readonly vkey?: readonly string[];
  readonly anchor?: readonly string[];
  readonly strict?: boolean;
  readonly semantic?: boolean;
  readonly json?: boolean;
  readonly from?: string;
  readonly saveCheckpoint?: string;
  readonly follow?: boolean;
  readonly reportTo?: string;
  readonly threads?: number;
}

const EXAMPLES = `
Exit status: 0 whole and unchanged; 1 something was changed, or a snapshot disagrees; 2 something is missing or unreadable;
3 nothing to verify.
With --follow, Ctrl-C ends with the status of all that was found.
A key that lies beside the trail shows that the trail is consistent with itself, not who signed it: give the key with --vkey.

Examples:
  $ risktrail verify ./risktrail-data
  $ risktrail verify ./risktrail-data --vkey /keys/momentum-bot.vkey --anchor /backup/checkpoint
  $ risktrail verify ./risktrail-data --from /safe/verified.json --save-checkpoint /safe/verified.json
  $ risktrail verify ./risktrail-data --semantic
  $ risktrail verify ./risktrail-data --follow --json --report-to ./verifier-data
  $ risktrail verify /var/log/otel/audit*.jsonl --vkey 'momentum-bot+12345678+AZHq…' --strict --json
`;

/** Adds the command to the program. @param done told of the exit status */
export function addVerifyCommand(program: Command, done: (status: number) => void): void {
  program
    .command('verify')
    .description('verify that a trail is whole, unchanged and signed')
    .argument('[paths...]', 'data directory or files (default: RISKTRAIL_DATA_DIR or ./risktrail-data)')
    .option(
      '--vkey <key>',
      'verifier key, or a file of them; may be repeated (default: verifier.vkey of the trail)',
      gather,
    )
    .option(
      '--anchor <path>',
      'checkpoints kept elsewhere, against which to check: a file of one or many, or a directory of files; may be repeated',
      gather,
    )
    .option('--strict', 'an unsigned tail, an open stream and a torn last line are findings, too')
    .option('--semantic', 'also compare each snapshot of the risk state with what the events before it come to')
    .option('--from <file>', 'go on from what an earlier verification saved, without reading that again')
    .option('--save-checkpoint <file>', 'save what was verified, for --from, where nothing is wrong')
    .option('--follow', 'keep verifying as the trail grows, and print each finding as it is made')
    .option('--report-to <dir>', 'with --follow: a data directory in which each finding becomes an audit.finding event')
    .option('--threads <count>', 'threads beside the main one (default: by size and cores)', parseCount(0))
    .option('--json', 'the report as JSON; with --follow each finding as a line')
    .addHelpText('after', EXAMPLES)
    .action(async (paths: readonly string[], flags: VerifyFlags) => done(await verify(paths, flags, createOutput())));
}

async function verify(given: readonly string[], flags: VerifyFlags, output: Output): Promise<number> {
  const { createSystemClock } = await import('../../core/clock.ts');
  const paths = trailPaths(given);
  const options: VerifyOptions = {
    paths,
    keys: await readVerifierKeys(flags.vkey ?? []),
    anchors: flags.anchor ?? [],
    strict: flags.strict === true,
    from: startOf(flags, output),
    saveCheckpoint: flags.saveCheckpoint,
    threads: flags.threads,
  };
  if (flags.follow === true) return follow(options, flags, output);
  const { verifyTrail } = await import('../../audit/verify/verify.ts');
  const report = await withProgress(`verifying ${paths.join(' ')}`, createSystemClock().monotonic, (onProgress) =>
    verifyTrail({ ...options, onProgress }),
  );
  const semantic = flags.semantic === true ? await compareSnapshots(paths) : undefined;
  const status = statusOf(report, semantic);
  // Set before printing: whoever reads may stop reading.
  process.exitCode = status;
  await print(report, flags, output, semantic);
  if (flags.saveCheckpoint !== undefined && !report.ok) {
    output.note(`risktrail: ${flags.saveCheckpoint} was not written: only what is whole can be gone on from`);
  }
  return status;
}

async function compareSnapshots(paths: readonly string[]): Promise<SemanticReport> {
  const { createSystemClock } = await import('../../core/clock.ts');
  const { checkTrailSnapshots } = await import('../../analysis/semantic-check.ts');
  return withProgress(`comparing the snapshots of ${paths.join(' ')}`, createSystemClock().monotonic, (onProgress) =>
    checkTrailSnapshots(paths, onProgress),
  );
}

/** What was changed outranks what is missing. */
function statusOf(report: VerifyReport, semantic: SemanticReport | undefined): number {
  if (semantic === undefined || semantic.ok || report.exitStatus === EXIT.finding) return report.exitStatus;
  return semantic.findings.length > 0 ? EXIT.finding : EXIT.incomplete;
}

/** The first of many nightly checks finds nothing to go on from in the file that it will write itself. */
function startOf({ from, saveCheckpoint }: VerifyFlags, output: Output): string | undefined {
  if (from === undefined || from !== saveCheckpoint || existsSync(from)) return from;
  output.note(`risktrail: ${from} is not there yet: verifying from the beginning`);
  return undefined;
}

async function print(
  report: VerifyReport,
  flags: VerifyFlags,
  output: Output,
  semantic?: SemanticReport | undefined,
): Promise<void> {
  if (flags.json) {
    const { toReportJson } = await import('../../audit/verify/verify.ts');
    const json = { ...toReportJson(report), ...(semantic === undefined ? {} : { semantic }) };
    await output.write(`${JSON.stringify(json, undefined, flags.follow ? undefined : 2)}\n`);
    return;
  }
  const { formatVerifyReport } = await import('../../audit/verify/report.ts');
  await output.write(`${formatVerifyReport(report).trimEnd()}\n`);
  if (semantic === undefined) return;
  const { formatSemanticReport } = await import('../semantic-text.ts');
  await output.write(`\n${formatSemanticReport(semantic)}`);
}

async function follow(options: VerifyOptions, flags: VerifyFlags, output: Output): Promise<number> {
  const expected = 'not to be given together with --follow';
  if (flags.saveCheckpoint !== undefined) {
    throw new RiskTrailError('OPTION_INVALID', { field: '--save-checkpoint', expected, received: 'both' });
  }
  if (flags.semantic === true) {
    throw new RiskTrailError('OPTION_INVALID', { field: '--semantic', expected, received: 'both' });
  }
  const { followVerification } = await import('../../audit/verify/follow.ts');
  const { formatFinding } = await import('../../audit/verify/report.ts');
  const { openFindingJournal } = await import('../../audit/verify/finding-journal.ts');
  const stop = new AbortController();
  // The program's own listener would end the process at once, without a status.
  process.removeAllListeners('SIGINT');
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  let journal: FindingJournal | undefined;
  const journalFor = (stream: string) => {
    if (flags.reportTo === undefined) return undefined;
    const onError = (error: unknown, what: string) => output.note(`risktrail: ${what}: ${(error as Error).message}`);
    journal ??= openFindingJournal(flags.reportTo, stream, onError);
    return journal;
  };
  try {
    const { report, exitStatus } = await followVerification({
      ...options,
      signal: stop.signal,
      onFinding: async (finding) => {
        journalFor(finding.stream)?.add(finding);
        await output.write(flags.json ? `${JSON.stringify(finding)}\n` : `${formatFinding(finding)}\n`);
      },
      onLook: ({ streams }) => {
        const known = streams.find(({ stream }) => stream !== '');
        if (known !== undefined) journalFor(known.stream);
      },
    });
    process.exitCode = exitStatus;
    await print(report, flags, output);
    return exitStatus;
  } finally {
    await journal?.close();
  }
}
