/** `risktrail verify`: is the trail whole, unchanged and signed? */
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import type { VerifierKey } from '../../audit/proof/note.ts';
import { RiskTrailError } from '../../core/errors.ts';
import { gather } from '../option-values.ts';
import { createOutput, type Output } from '../output.ts';
import { trailPaths } from '../paths.ts';
import { withProgress } from '../progress.ts';

interface VerifyFlags {
  readonly vkey?: readonly string[];
  readonly anchor?: readonly string[];
  readonly strict?: boolean;
  readonly json?: boolean;
}

const EXAMPLES = `
Exit status: 0 whole and unchanged; 1 something was changed; 2 something is missing or unreadable; 3 nothing to verify.
A key that lies beside the trail shows that the trail is consistent with itself, not who signed it: give the key with --vkey.

Examples:
  $ risktrail verify ./risktrail-data
  $ risktrail verify ./risktrail-data --vkey /keys/momentum-bot.vkey --anchor /backup/checkpoint
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
    .option('--anchor <file>', 'checkpoint kept elsewhere, against which to check; may be repeated', gather)
    .option('--strict', 'an unsigned tail, an open stream and a torn last line are findings, too')
    .option('--json', 'the report as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (paths: readonly string[], flags: VerifyFlags) => done(await verify(paths, flags, createOutput())));
}

async function verify(paths: readonly string[], flags: VerifyFlags, output: Output): Promise<number> {
  const { toReportJson, verifyTrail } = await import('../../audit/verify/verify.ts');
  const { createSystemClock } = await import('../../core/clock.ts');
  const trail = trailPaths(paths);
  const keys = (await Promise.all((flags.vkey ?? []).map(readKeys))).flat();
  const report = await withProgress(`verifying ${trail.join(' ')}`, createSystemClock().monotonic, () =>
    verifyTrail({ paths: trail, keys, anchors: flags.anchor ?? [], strict: flags.strict === true }),
  );
  // Set before printing: whoever reads may stop reading.
  process.exitCode = report.exitStatus;
  if (flags.json) {
    await output.write(`${JSON.stringify(toReportJson(report), undefined, 2)}\n`);
  } else {
    const { formatVerifyReport } = await import('../../audit/verify/report.ts');
    await output.write(`${formatVerifyReport(report).trimEnd()}\n`);
  }
  return report.exitStatus;
}

/** `<name>+<hash>+<base64>`, as the signed-note format has it. */
const KEY = /^[^\s+]+\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+$/;

/** The keys that `--vkey` names: the text of one, or a file with one a line. */
async function readKeys(given: string): Promise<readonly VerifierKey[]> {
  const { parseVerifierKeys } = await import('../../audit/proof/note.ts');
  if (KEY.test(given.trim())) return parseVerifierKeys(given);
  let text: string;
  try {
    text = await readFile(given, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new RiskTrailError('PATH_NOT_FOUND', { path: given }, error);
    throw new RiskTrailError('FILE_UNREADABLE', { path: given, reason: message }, error);
  }
  return parseVerifierKeys(text);
}
