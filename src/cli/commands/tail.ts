/** `risktrail tail`: the last records, then each new one as it is written. */
import type { Command } from 'commander';
import type { RecordFilter } from '../../analysis/filter.ts';
import { EXIT } from '../exit-codes.ts';
import { addFilterOptions, type FilterFlags } from '../filter-options.ts';
import { gather, parseCount } from '../option-values.ts';
import { createOutput, type Output } from '../output.ts';
import { trailPaths } from '../paths.ts';
import { createPrinter } from '../record-printer.ts';

interface TailFlags extends FilterFlags {
  readonly lines: number;
  readonly json?: boolean;
  readonly split?: string;
  readonly into?: readonly string[];
  readonly follow: boolean;
}

const EXAMPLES = `
Follows every stream of the directory, new segments and new streams included, until Ctrl-C.

--split writes files for programs that read files: JSON lines, one file for each category and all.jsonl with everything; a record
of two categories stands in both. --into names other files: NAME=WHAT[,WHAT…], WHAT a category, *, event:PATTERN, service:NAME
or stream:NAME. All that is there comes first. Ended, killed and started again it goes on where it was: no line is
missing, none comes twice. Files are only appended to; one that was moved away is begun anew.

Examples:
  $ risktrail tail ./risktrail-data
  $ risktrail tail --category enforcement --lines 50
  $ risktrail tail --severity WARN --json | jq -r '.timestamp + " " + .body'
  $ risktrail tail ./risktrail-data --split ./logs
  $ risktrail tail ./risktrail-data --split ./logs --into trades=trade,order --into errors=error --into audit='*'
  $ risktrail tail ./risktrail-data --split ./logs --no-follow
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
    .option('--split <directory>', 'write files there instead, one for each category, and keep them up to date')
    .option('--into <name=what>', 'with --split: a file and what goes into it; may be repeated', gather)
    .option('--no-follow', 'end when everything that is there is shown or written')
    .addHelpText('after', EXAMPLES)
    .action(async (paths: readonly string[], flags: TailFlags) => done(await follow(paths, flags, createOutput())));
}

async function follow(paths: readonly string[], flags: TailFlags, output: Output): Promise<number> {
  const { parseFilter } = await import('../../analysis/filter.ts');
  const { followTrail } = await import('../../analysis/follow.ts');
  const { createSystemClock } = await import('../../core/clock.ts');
  const filter = parseFilter(flags, createSystemClock());
  if (flags.split !== undefined) return split(trailPaths(paths), flags.split, flags, filter, output);
  const print = await createPrinter(flags.json === true, output);
  const stop = new AbortController();
  const onLook = () => {
    if (!flags.follow) stop.abort();
  };
  const options = { last: flags.lines, filter, onLook, signal: stop.signal };
  for await (const records of followTrail(trailPaths(paths), options)) await print(records);
  return EXIT.good;
}

async function split(
  paths: readonly string[],
  directory: string,
  { into, follow }: TailFlags,
  filter: RecordFilter,
  output: Output,
): Promise<number> {
  const { parseSplitRule, splitTrail } = await import('../../analysis/split-trail.ts');
  const rules = into?.map(parseSplitRule);
  const written = await splitTrail(paths, { directory, rules, filter, follow });
  output.note(`${written} lines written to ${directory}`);
  return EXIT.good;
}
