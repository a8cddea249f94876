/** `risktrail explain`: why did that happen? */
import type { Command } from 'commander';
import type { ExplainStep, Explanation, OpenTrailOptions } from '../../analysis/index.ts';
import { EXIT } from '../exit-codes.ts';
import type { Output } from '../output.ts';
import { NO_PAGER_OPTION, type PagerFlags, withPager } from '../pager.ts';
import { trailPaths } from '../paths.ts';
import { withProgress } from '../progress.ts';

interface ExplainFlags extends PagerFlags {
  readonly at?: string;
  readonly event?: string;
  readonly order?: string;
  readonly position?: string;
  readonly verify?: boolean;
  readonly cache?: boolean | string;
}

const EXAMPLES = `
Give one of --at, --event, --order, --position. Exit status: 0 explained and intact; 1 a record is not what was written.
Each record is checked against its hash; a trail of up to 200 MB is verified as a whole, a larger one with --verify.
A time of day alone (10:30, UTC) is taken on the last record's day if trading was halted then, else on the latest day on which
a halt began then, or was in force; which day that is, is told.

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
    .option('--at <time>', 'why trading was halted then: 2020-03-13T19:30:00Z, or 19:30')
    .option('--event <id>', 'record id')
    .option('--order <id>', 'order id')
    .option('--position <id>', 'position, execution or stop id')
    .option('--verify', 'verify the trail as a whole, however large')
    .option(
      '--cache [directory]',
      'keep an index of the trail, for later questions (default: cache in the trail’s directory)',
    )
    .option('--json', 'as JSON')
    .option('--csv', 'the records of the chain as CSV')
    .option(...NO_PAGER_OPTION)
    .addHelpText('after', EXAMPLES)
    .action(async (paths: readonly string[], flags: ExplainFlags) =>
      done(await withPager(flags, (output) => explain(paths, flags, output))),
    );
}

async function explain(paths: readonly string[], flags: ExplainFlags, output: Output): Promise<number> {
  const { openTrail } = await import('../../analysis/index.ts');
  const { createSystemClock } = await import('../../core/clock.ts');
  const { json, csv, cache, pager: _, ...target } = flags;
  const of = trailPaths(paths);
  const look = async (onProgress: OpenTrailOptions['onProgress']) => {
    await using trail = openTrail(of, { onProgress, cache });
    return await trail.explain(target);
  };
  const explained = await withProgress(`reading ${of.join(' ')}`, createSystemClock().monotonic, look);
  const status = explained.steps.some((step) => step.integrity === 'changed') ? EXIT.finding : EXIT.good;
  // Set before printing: whoever reads may stop reading.
  process.exitCode = status;
  if (json) await output.write(`${JSON.stringify(explained, undefined, 2)}\n`);
  else await output.write(csv ? await asCsv(explained) : await asText(explained, output));
  return status;
}

async function asCsv({ steps }: Explanation): Promise<string> {
  const { csvRow } = await import('../../analysis/export.ts');
  const columns = {
    ...{ time: 'time', part: 'part', event: 'event', text: 'what', recordId: 'record_id', stream: 'stream' },
    ...{ sequence: 'sequence', traceId: 'trace_id', integrity: 'integrity' },
  } as const satisfies Readonly<Record<keyof ExplainStep, string>>;
  const members = Object.keys(columns) as (keyof ExplainStep)[];
  return [csvRow(Object.values(columns)), ...steps.map((step) => csvRow(members.map((name) => step[name])))].join('');
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
