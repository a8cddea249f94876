/** `risktrail tail`: the last records, then each new one as it is written. */
import type { Command } from 'commander';
import { EXIT } from '../exit-codes.ts';
import { addFilterOptions, type FilterFlags } from '../filter-options.ts';
import { parseCount } from '../option-values.ts';
import { createOutput, type Output } from '../output.ts';
import { trailPaths } from '../paths.ts';
import { createPrinter } from '../record-printer.ts';

interface TailFlags extends FilterFlags {
  readonly lines: number;
  readonly json?: boolean;
}

const EXAMPLES = `
Follows every stream of the directory, new segments and new streams included, until Ctrl-C.

Examples:
  $ risktrail tail ./risktrail-data
  $ risktrail tail --category enforcement --lines 50
  $ risktrail tail --severity WARN --json | jq -r '.timestamp + " " + .body'
`;

/** Adds the command to the program. @param done told of the exit status */
export function addTailCommand(program: Command, done: (status: number) => void): void {
  const command = program
    .command('tail')
    .description('show the last records of a trail, then new ones as they are written')
    .argument('[paths...]', 'data directory or files (default: RISKTRAIL_DATA_DIR or ./risktrail-data)');
  addFilterOptions(command)
    .option('-n, --lines <count>', 'how many that are already there come first', parseCount(0), 10)
    .option('--json', 'JSON lines in the flat shape')
    .addHelpText('after', EXAMPLES)
    .action(async (paths: readonly string[], flags: TailFlags) => done(await follow(paths, flags, createOutput())));
}

async function follow(paths: readonly string[], flags: TailFlags, output: Output): Promise<number> {
  const { parseFilter } = await import('../../analysis/filter.ts');
  const { followTrail } = await import('../../analysis/follow.ts');
  const { createSystemClock } = await import('../../core/clock.ts');
  const filter = parseFilter(flags, createSystemClock());
  const print = await createPrinter(flags.json === true, output);
  for await (const records of followTrail(trailPaths(paths), { last: flags.lines, filter })) await print(records);
  return EXIT.good;
}
