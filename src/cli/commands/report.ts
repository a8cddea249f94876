/** `risktrail report`: what a trail comes to, in numbers. */
import { writeFile } from 'node:fs/promises';
import { Argument, type Command } from 'commander';
import type { OpenTrailOptions } from '../../analysis/index.ts';
import type { PageOptions } from '../../analysis/page/index.ts';
import { REPORTS, type Report, type ReportName, type ReportSection } from '../../analysis/report/types.ts';
import { RiskTrailError } from '../../core/errors.ts';
import { EXIT } from '../exit-codes.ts';
import type { Output } from '../output.ts';
import { NO_PAGER_OPTION, type PagerFlags, withPager } from '../pager.ts';
import { trailPaths } from '../paths.ts';
import { withProgress } from '../progress.ts';

interface ReportFlags extends PagerFlags {
  readonly from?: string;
  readonly to?: string;
  readonly symbol?: string;
  readonly strategy?: string;
  readonly account?: string;
  readonly verify?: boolean;
  readonly cache?: boolean | string;
  readonly html?: string;
}

const EXAMPLES = `
Times are UTC unless they have a zone. daily is of one day, by default the last of the trail; the others are of the whole trail.
Every metric has its convention and how many observations it stands on in --json; a metric without value says why.
Exit status: 0; with --verify 1 or 2 where the verification found something.

Examples:
  $ risktrail report daily --from 2020-03-16
  $ risktrail report trading ./risktrail-data --from 2020-01-01 --to 2020-03-31 --strategy trend-50
  $ risktrail report risk --verify --json | jq '.sections[] | select(.name == "questions")'
  $ risktrail report symbol --csv > symbols.csv
  $ risktrail report daily --html today.html
`;

/** Adds the command to the program. @param done told of the exit status */
export function addReportCommand(program: Command, done: (status: number) => void): void {
  program
    .command('report')
    .description('metrics of trading, orders, risk layers, errors, alerts and the service')
    .addArgument(new Argument('<report>', 'which').choices(REPORTS))
    .argument('[paths...]', 'data directory or files (default: RISKTRAIL_DATA_DIR or ./risktrail-data)')
    .option('--from <time>', 'from this time on: 2020-03-16, 2020-03-16T14:30:00Z, or back from now: 24h, 7d')
    .option('--to <time>', 'up to and including this time')
    .option('--symbol <symbol>', 'instrument')
    .option('--strategy <id>', 'strategy')
    .option('--account <id>', 'account')
    .option('--verify', 'verify the trail first')
    .option(
      '--cache [directory]',
      'keep what reports need of finished segments as Parquet (default: cache in the trail’s directory)',
    )
    .option('--json', 'the report as JSON')
    .option('--csv', 'CSV: section, name, value, n, unit, convention; tables as they are')
    .option('--html <file>', 'a page to look at: one HTML file with pictures, and this report in front')
    .option(...NO_PAGER_OPTION)
    .addHelpText('after', EXAMPLES)
    .action(async (name: ReportName, paths: readonly string[], flags: ReportFlags) =>
      done(await withPager(flags, (output) => report(name, paths, flags, output))),
    );
}

async function report(name: ReportName, paths: readonly string[], flags: ReportFlags, output: Output): Promise<number> {
  const { openTrail } = await import('../../analysis/index.ts');
  const { createSystemClock } = await import('../../core/clock.ts');
  const { json, csv, html, cache, pager: _, ...asked } = flags;
  const of = trailPaths(paths);
  if (html !== undefined) return writePage(of, html, { ...asked, report: name }, cache, output);
  const make = async (onProgress: OpenTrailOptions['onProgress']) => {
    await using trail = openTrail(of, { onProgress, cache });
    return await trail.report[name](asked);
  };
  const made = await withProgress(`report ${name} of ${of.join(' ')}`, createSystemClock().monotonic, make);
  const status = made.integrity.status === 'findings' ? EXIT.finding : EXIT.good;
  // Set before printing: whoever reads may stop reading.
  process.exitCode = status;
  if (json) await output.write(`${JSON.stringify(made, undefined, 2)}\n`);
  else if (csv) await output.write(await asCsv(made));
  else await output.write(await asText(made, output));
  if (status === EXIT.finding) output.note(`risktrail: ${made.integrity.detail}`);
  else if (made.records === 0) output.note(`risktrail: no record of the trail is within what was asked for`);
  return status;
}

async function writePage(
  paths: readonly string[],
  file: string,
  options: PageOptions,
  cache: ReportFlags['cache'],
  output: Output,
): Promise<number> {
  const { openTrail, renderPage } = await import('../../analysis/index.ts');
  const { createSystemClock } = await import('../../core/clock.ts');
  const make = async (onProgress: OpenTrailOptions['onProgress']) => {
    await using trail = openTrail(paths, { onProgress, cache });
    const integrity = await trail.integrity(options.verify);
    return { integrity, page: await renderPage(trail, { ...options, integrity }) };
  };
  const what = `page of ${options.report} of ${paths.join(' ')}`;
  const { integrity, page } = await withProgress(what, createSystemClock().monotonic, make);
  if (file === '-') await output.write(page);
  else {
    try {
      await writeFile(file, page);
    } catch (error) {
      throw new RiskTrailError('FILE_UNWRITABLE', { path: file, reason: (error as Error).message }, error);
    }
    output.note(`risktrail: wrote ${file}`);
  }
  if (integrity.status !== 'findings') return EXIT.good;
  output.note(`risktrail: ${integrity.detail}`);
  return EXIT.finding;
}

async function asText(made: Report, output: Output): Promise<string> {
  const { cellText, textTable } = await import('../../analysis/text-table.ts');
  const filters = Object.entries(made.filters).map(([name, value]) => `${name} ${value}`);
  const range = made.records === 0 ? 'no records' : `${made.records} records, ${made.first} to ${made.last}`;
  const lines = [
    output.style('bold', `Report ${made.report}: ${[range, ...filters].join(', ')}`),
    made.integrity.status === 'verified'
      ? made.integrity.detail
      : output.style('yellow', `Warning: ${made.integrity.detail}`),
  ];
  for (const section of made.sections) {
    lines.push('', output.style('bold', section.title));
    if (section.metrics === undefined) {
      lines.push(section.rows!.length === 0 ? 'none' : textTable(section.columns!, section.rows!).trimEnd());
      continue;
    }
    const rows = Object.entries(section.metrics).map(([name, metric]) => [
      name,
      metric.value === null ? 'undefined' : cellText(metric.value),
      metric.unit ?? '',
      metric.n,
      metric.undefinedBecause === undefined ? metric.convention : `because ${metric.undefinedBecause}`,
    ]);
    lines.push(textTable(['metric', 'value', 'unit', 'n', 'convention'], rows, 110).trimEnd());
  }
  return `${lines.join('\n')}\n`;
}

async function asCsv(made: Report): Promise<string> {
  const { csvRow } = await import('../../analysis/export.ts');
  const table = (section: ReportSection) => [
    csvRow(['section', ...section.columns!]),
    ...section.rows!.map((row) => csvRow([section.name, ...row])),
  ];
  const metrics = made.sections.filter((section) => section.metrics !== undefined);
  const parts: string[] = [];
  if (metrics.length > 0) {
    parts.push(csvRow(['section', 'name', 'value', 'n', 'unit', 'convention', 'undefined_because']));
    for (const { name, metrics: values } of metrics) {
      for (const [key, one] of Object.entries(values!)) {
        parts.push(csvRow([name, key, one.value, one.n, one.unit, one.convention, one.undefinedBecause]));
      }
    }
  }
  for (const section of made.sections) {
    if (section.metrics !== undefined) continue;
    if (parts.length > 0) parts.push('\r\n');
    parts.push(...table(section));
  }
  return parts.join('');
}
