/** `risktrail keys`: which keys sign a trail, and handing over to a new one. */
import type { Command } from 'commander';
import { EXIT } from '../exit-codes.ts';
import { createOutput, type Output } from '../output.ts';
import { trailPaths } from '../paths.ts';

interface ShowFlags {
  readonly json?: boolean;
}

interface RotateFlags extends ShowFlags {
  readonly key?: string;
  readonly newKey?: string;
}

const ROTATE_EXAMPLES = `
The old key signs that the new one follows (keys/handover-N.txt, signed by both), so whoever trusts the old key can go on with
risktrail verify --vkey OLD. The next start of the service opens a stream that the new key signs; restart it soon.
If somebody else may hold the old key, a hand-over is worth nothing: give the new verifier key to your checkers by another way.

Examples:
  $ risktrail keys rotate ./risktrail-data
  $ risktrail keys rotate ./risktrail-data --key /secrets/old.pem --new-key /secrets/new.pem
`;

const SHOW_EXAMPLES = `
Exit status: 0 good; 1 a hand-over statement is not signed by both of its keys.

Examples:
  $ risktrail keys show ./risktrail-data
  $ risktrail keys show ./risktrail-data --json
`;

const EXAMPLES = `
Examples:
  $ risktrail keys show ./risktrail-data
  $ risktrail keys rotate ./risktrail-data
`;

/** Adds the commands to the program. @param done told of the exit status */
export function addKeysCommand(program: Command, done: (status: number) => void): void {
  const keys = program.command('keys').description('show the keys that sign a trail, or hand over to a new one');
  keys.addHelpText('after', EXAMPLES);
  keys
    .command('show')
    .description('show the verifier keys of a data directory, newest first, and how they follow one another')
    .argument('[directory]', 'data directory (default: RISKTRAIL_DATA_DIR or ./risktrail-data)')
    .option('--json', 'as JSON')
    .helpOption('-h, --help', 'show this help')
    .addHelpText('after', SHOW_EXAMPLES)
    .action(async (directory: string | undefined, flags: ShowFlags) =>
      done(await show(directory, flags, createOutput())),
    );
  keys
    .command('rotate')
    .description('hand over to a new signing key, signed by the old one')
    .argument('[directory]', 'data directory (default: RISKTRAIL_DATA_DIR or ./risktrail-data)')
    .option('--key <file>', 'the old private key, where it is not the directory’s own')
    .option('--new-key <file>', 'the new private key, made where the file is missing')
    .option('--json', 'what was done, as JSON')
    .helpOption('-h, --help', 'show this help')
    .addHelpText('after', ROTATE_EXAMPLES)
    .action(async (directory: string | undefined, flags: RotateFlags) =>
      done(await rotate(directory, flags, createOutput())),
    );
}

function dataDirOf(directory: string | undefined): string {
  return trailPaths(directory === undefined ? [] : [directory])[0] as string;
}

async function show(directory: string | undefined, flags: ShowFlags, output: Output): Promise<number> {
  const { describeKeys } = await import('../../audit/journal/rotate-keys.ts');
  const report = await describeKeys(dataDirOf(directory));
  const status = report.handovers.every(({ newVkey }) => newVkey !== undefined) ? EXIT.good : EXIT.finding;
  if (flags.json) {
    await output.write(`${JSON.stringify(report, undefined, 2)}\n`);
    return status;
  }
  for (const { vkey, signs } of report.keys) await output.write(`${vkey}${signs ? '  (signs)' : ''}\n`);
  for (const { path, oldVkey, newVkey, time } of report.handovers) {
    const what = newVkey === undefined ? 'no statement that both keys signed' : `${time}\n  ${oldVkey}\n→ ${newVkey}`;
    await output.write(`\n${path}: ${what}\n`);
  }
  return status;
}

async function rotate(directory: string | undefined, flags: RotateFlags, output: Output): Promise<number> {
  const { rotateKeys } = await import('../../audit/journal/rotate-keys.ts');
  const { createSystemClock } = await import('../../core/clock.ts');
  const result = await rotateKeys({
    dataDir: dataDirOf(directory),
    keyFile: flags.key,
    newKeyFile: flags.newKey,
    clock: createSystemClock(),
    onWarning: output.note,
  });
  if (flags.json) {
    await output.write(`${JSON.stringify(result, undefined, 2)}\n`);
    return EXIT.good;
  }
  for (const { oldVkey, newVkey, path } of result.handovers) {
    await output.write(`${oldVkey}\nhands over to\n${newVkey}\n  ${path}\n`);
  }
  await output.write(`The new private key is ${result.keyFile}. Restart the service: it signs by it from then on.\n`);
  return EXIT.good;
}
