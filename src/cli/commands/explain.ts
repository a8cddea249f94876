/** `risktrail explain`: why did that happen? */
import type { Command } from 'commander';
import type { Explanation } from '../../analysis/index.ts';
import { EXIT } from '../exit-codes.ts';
import { createOutput, type Output } from '../output.ts';
import { trailPaths } from '../paths.ts';
import { withProgress } from '../progress.ts';

interface ExplainFlags {
  readonly at?: string;
  readonly event?: string;
  readonly order?: string;
  readonly position?: string;
  readonly verify?: boolean;
  readonly json?: boolean;
}

const EXAMPLES = `
Give one of --at, --event, --order, --position. Exit status: 0 explained and intact; 1 a record is not what was written.
Each record is checked against its hash; a trail of up to 200 MB is verified as a whole, a larger one with --verify.

Examples:
  $ risktrail explain --at 2020-03-13T19:30:00Z
  $ risktrail explain ./risktrail-data --order D001081
  $ risktrail explain --position trend-50-2020-02-26 --json | jq -r '.steps[].text'
`;

/** Adds the command to the program. @param done told of the exit status */
export function addExplainCommand(program: Command, done: (status: number) => void): void {
  program
    .command('explain')
    .description('the chain of records that led to a halt, an event, an order or a position')
    .argument('[paths...]', 'data directory or files (default: RISKTRAIL_DATA_DIR or ./risktrail-data)')
    .option('--at <time>', 'why trading was halted then')
    .option('--event <id>', 'record id')
    .option('--order <id>', 'order id')
    .option('--position <id>', 'position, execution or stop id')
    .option('--verify', 'verify the trail as a whole, however large')
    .option('--json', 'as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (paths: readonly string[], flags: ExplainFlags) => done(await explain(paths, flags, createOutput())));
}

async function explain(paths: readonly string[], flags: ExplainFlags, output: Output): Promise<number> {
  const { openTrail } = await import('../../analysis/index.ts');
  const { createSystemClock } = await import('../../core/clock.ts');
  const { json, ...target } = flags;
  await using trail = openTrail(trailPaths(paths));
  const explained = await withProgress('looking', createSystemClock().monotonic, () => trail.explain(target));
  await output.write(json ? `${JSON.stringify(explained, undefined, 2)}\n` : await asText(explained, output));
  return explained.steps.some((step) => step.integrity === 'changed') ? EXIT.finding : EXIT.good;
}

const PART = { led: 'led there', cause: 'cause', event: '=> this', followed: 'followed' } as const;

async function asText({ answer, steps, integrity }: Explanation, output: Output): Promise<string> {
  const { printable, textTable } = await import('../../analysis/text-table.ts');
  const lines = [output.style('bold', printable(answer))];
  if (steps.length > 0) {
    const rows = steps.map((step) => [
      step.time.slice(0, 23).replace('T', ' '),
      PART[step.part],
      step.text,
      step.sequence === null ? '' : `#${step.sequence}`,
      step.traceId?.slice(0, 8) ?? '',
      step.integrity,
    ]);
    lines.push('', textTable(['TIME (UTC)', '', 'WHAT', 'RECORD', 'TRACE', 'CHECK'], rows, 140).trimEnd());
  }
  lines.push('', `Integrity: ${printable(integrity)}.`);
  return `${lines.join('\n')}\n`;
}
