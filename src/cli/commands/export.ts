/** `risktrail export`: the records that match, as a file for other tools. */
import { Argument, type Command } from 'commander';
import { EXPORT_FORMATS, type ExportFormat } from '../../analysis/export.ts';
import type { OpenTrailOptions } from '../../analysis/index.ts';
import { EXIT } from '../exit-codes.ts';
import { addFilterOptions, type FilterFlags } from '../filter-options.ts';
import { createOutput, isPrintedTo, type Output } from '../output.ts';
import { trailPaths } from '../paths.ts';
import { withProgress } from '../progress.ts';

interface ExportFlags extends FilterFlags {
  readonly since?: string;
  readonly until?: string;
  readonly output?: string;
  readonly partition?: string;
}

const EXAMPLES = `
CSV follows RFC 4180; text that a spreadsheet would run as a formula gets an apostrophe in front. Times keep nine digits of the
second, decimals their text. Parquet needs --output, and the package @duckdb/node-api; xlsx needs --output, and write-excel-file.

Examples:
  $ risktrail export csv --event 'trade.*' --since 2024-01-01 --until 2024-01-31 --output trading_logs_2024_01.csv
  $ risktrail export jsonl ./risktrail-data --category risk | gzip > risk.jsonl.gz
  $ risktrail export parquet --output trail.parquet
  $ risktrail export xlsx --event 'trade.*' --output trades.xlsx
  $ risktrail export parquet --partition day,service --output lake
`;

/** Adds the command to the program. @param done told of the exit status */
export function addExportCommand(program: Command, done: (status: number) => void): void {
  const command = program
    .command('export')
    .description('write the records that match as CSV, JSON lines, Parquet or a workbook')
    .addArgument(new Argument('<format>', 'form of the file').choices(EXPORT_FORMATS))
    .argument('[paths...]', 'data directory or files (default: RISKTRAIL_DATA_DIR or ./risktrail-data)');
  addFilterOptions(command)
    .option('--since <time>', 'from this time on: 2020-03-16, 2020-03-16T14:30:00Z, or back from now: 15m, 24h, 7d')
    .option('--until <time>', 'up to and including this time')
    .option('-o, --output <file>', 'file to write (default: standard output)')
    .option('--partition <keys>', 'parquet: a lake of many files below --output, by day, service or day,service')
    .addHelpText('after', EXAMPLES)
    .action(async (format: ExportFormat, paths: readonly string[], flags: ExportFlags) =>
      done(await exportRecords(format, paths, flags, createOutput())),
    );
}

async function exportRecords(
  format: ExportFormat,
  paths: readonly string[],
  flags: ExportFlags,
  output: Output,
): Promise<number> {
  const { openTrail } = await import('../../analysis/index.ts');
  const { createSystemClock } = await import('../../core/clock.ts');
  const { output: file, partition, ...filter } = flags;
  if (partition !== undefined && format !== 'parquet') {
    output.note(`risktrail: export ${format}: --partition is for parquet`);
    return EXIT.usage;
  }
  if ((format === 'parquet' || format === 'xlsx') && file === undefined) {
    output.note(
      `risktrail: export ${format}: --output is missing: such a file is not written from its beginning to its end`,
    );
    return EXIT.usage;
  }
  const of = trailPaths(paths);
  const clock = createSystemClock();
  if (partition !== undefined) {
    const lake = async (onProgress: OpenTrailOptions['onProgress']) => {
      await using trail = openTrail(of, { onProgress });
      return await trail.exportLake(file!, partition, filter);
    };
    const made = await withProgress(`writing ${file}`, clock.monotonic, lake);
    output.note(
      `${made.records} ${made.records === 1 ? 'record' : 'records'} written in ${made.written} files below ${file}; ${made.unchanged} files of the trail were there already`,
    );
    return EXIT.good;
  }
  const work = async (onProgress: OpenTrailOptions['onProgress']) => {
    await using trail = openTrail(of, { onProgress });
    return await trail.export(format, file ?? ((text) => output.write(text)), filter);
  };
  // Where the text goes to a terminal or another program, it would stand in between.
  const isShown = file !== undefined || isPrintedTo('file');
  const count = isShown
    ? await withProgress(`writing ${file ?? 'standard output'}`, clock.monotonic, work)
    : await work(undefined);
  if (file !== undefined) output.note(`${count} ${count === 1 ? 'record' : 'records'} written to ${file}`);
  else if (count === 0) output.note('no record matches');
  return EXIT.good;
}
